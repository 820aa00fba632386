// SPDX-License-Identifier: MIT
/*
 * The time that guests see: system time, wall time, run states, and the timers of a vCPU.
 *
 * System time is published as (TSC stamp, ns, factor); a guest adds the scaled TSC that has passed since. The TSC is the same on every
 * CPU and its rate fixed, so one stamp would be good for ever; nothing need be written when a vCPU is switched in or moved. Still the
 * stamp is renewed now and then, so that the difference stays below 2^32 ticks and a guest that multiplies in 64 bits is right as well. Stamps are
 * whole granules of 2^31 ticks (shift 0; a half or a second or two): as the factor is even, a granule is a whole number of nanoseconds, so the
 * function of time that a guest computes is the very same, to the last bit, before and after, and on all its vCPUs.
 * It is renewed when a vCPU is switched in or its timer fires, found by one comparison.
 * Contract: time.h; <xen/vcpu.h>, ABI.md 6.  Locks: none but the timer queues'.  Tests: test-guest-time.c.  Page: docs/concepts/time.md.
 */
#include "guest-area.h"

#include "clock.h"
#include "cpu.h"
#include "event.h"
#include "guest-access.h"
#include "hypercall.h"
#include "log.h"
#include "public/collet-time.h"
#include "time.h"
#include "vcpu.h"

#include <hv/errno.h>

#define PERIOD_MIN_NS NS_PER_MS
#define TIME_FAR_NS (1ull << 50) /* 13 days */
#define TIME_FAR_RETRY_NS (100 * NS_PER_MS)

_Static_assert(sizeof(struct vcpu_time_info) == 32, "ABI: vcpu_time_info");
_Static_assert(sizeof(struct vcpu_runstate_info) == 48, "ABI: vcpu_runstate_info");

static uint64_t granule_ticks(void)
{
    return 1ull << (31 - clock_tsc_shift);
}

static uint64_t granule_ns(void)
{
    return clock_tsc_mul / 2;
}

/*
 * XEN_PVCLOCK_TSC_STABLE tells guests that the stamps of all vCPUs are one function of one TSC, so that even their programs may read the time without a
 * system call (Linux: vDSO). That is how we made them; it remains to see that the pCPUs' TSCs agree, once, when Domain0 gets its first stamp.
 */
static uint8_t time_flags(void)
{
    static int known = -1;

    if (unlikely(known < 0)) {
        known = clock_tscs_agree() ? XEN_PVCLOCK_TSC_STABLE_BIT : 0;
        if (known == 0)
            log_warning("the CPUs' time-stamp counters differ: time will jump when a vCPU moves");
    }
    return (uint8_t)known;
}

/* Write one vcpu_time_info, odd while it changes. */
static void time_info_write(struct vcpu_time_info *t, uint64_t granules)
{
    uint32_t version = READ_ONCE(t->version) | 1;

    WRITE_ONCE(t->version, version);
    compiler_barrier();
    t->tsc_timestamp = clock_tsc_base + granules * granule_ticks();
    t->system_time = granules * granule_ns();
    t->tsc_to_system_mul = clock_tsc_mul;
    t->tsc_shift = clock_tsc_shift;
    t->flags = time_flags();
    compiler_barrier();
    WRITE_ONCE(t->version, version + 1);
}

static void time_publish_at(struct vcpu *v, uint64_t now_ns)
{
    uint64_t granules = now_ns / granule_ns();

    time_info_write(&READ_ONCE(v->info)->time, granules);
    v->time.published_ns = granules * granule_ns();
    v->time.time_area_stale = v->time.time_area != 0;
}

void vcpu_time_publish(struct vcpu *v)
{
    time_publish_at(v, clock_now_ns());
}

void domain_wallclock_publish(struct domain *d)
{
    struct shared_info *s = d->shared;
    uint64_t wall = clock_wall_base_ns(), sec = wall / NS_PER_S;
    uint32_t version = READ_ONCE(s->wc_version) | 1;

    WRITE_ONCE(s->wc_version, version);
    compiler_barrier();
    s->wc_sec = (uint32_t)sec;
    s->wc_sec_hi = (uint32_t)(sec >> 32);
    s->wc_nsec = (uint32_t)(wall % NS_PER_S);
    compiler_barrier();
    WRITE_ONCE(s->wc_version, version + 1);
}

/* The copy that the guest keeps elsewhere, by the same rule of versions. v is current, kernel memory reachable. */
static void time_area_update(struct vcpu *v)
{
    struct vcpu_time_info t = READ_ONCE(v->info)->time;
    uint64_t va = v->time.time_area;
    uint32_t even = t.version & ~1u;

    v->time.time_area_stale = false;
    t.version = even | 1;
    if (copy_to_guest(va, &t, sizeof(t)) != 0)
        return;
    (void)!copy_to_guest(va, &even, sizeof(even));
}

/*
 * The guest's copy of a run state. With the update flag that a guest asked for by vm_assist, readers on other vCPUs see that it is changing.
 * Writing may fail, if the guest has unmapped it: its loss.
 */
static void runstate_area_write(const struct vcpu *v, const struct vcpu_runstate_info *info)
{
    uint64_t va = v->time.runstate_area;
    uint64_t entry_va = va + offsetof(struct vcpu_runstate_info, state_entry_time);
    struct vcpu_runstate_info copy = *info;

    if (!(v->domain->vm_assist & (1u << VMASST_TYPE_runstate_update_flag))) {
        (void)!copy_to_guest(va, &copy, sizeof(copy));
        return;
    }
    copy.state_entry_time |= XEN_RUNSTATE_UPDATE;
    if (copy_to_guest(entry_va, &copy.state_entry_time, sizeof(copy.state_entry_time)) != 0)
        return;
    compiler_barrier();
    if (copy_to_guest(va, &copy, sizeof(copy)) != 0)
        return;
    compiler_barrier();
    copy.state_entry_time &= ~XEN_RUNSTATE_UPDATE;
    (void)!copy_to_guest(entry_va, &copy.state_entry_time, sizeof(copy.state_entry_time));
}

static void areas_update(struct vcpu *v)
{
    uint64_t token = guest_area_enter(v);

    if (v->time.runstate_area != 0)
        runstate_area_write(v, &v->time.runstate);
    if (v->time.time_area_stale)
        time_area_update(v);
    guest_area_leave(token);
}

void vcpu_runstate_change(struct vcpu *v, int new_state, uint64_t now_ns)
{
    struct vcpu_runstate_info *r = &v->time.runstate;

    r->time[r->state] += now_ns - r->state_entry_time;
    r->state = new_state;
    /* Last: a reader on another CPU that finds it unchanged has read a whole. */
    __atomic_store_n(&r->state_entry_time, now_ns, __ATOMIC_RELEASE);
}

/* v's run state with the time of the present state up to now. Any CPU. */
static struct vcpu_runstate_info runstate_snapshot(const struct vcpu *v)
{
    const struct vcpu_runstate_info *r = &v->time.runstate;
    struct vcpu_runstate_info copy;
    uint64_t now;

    for (int attempt = 0; attempt < 4; attempt++) {
        uint64_t entry = __atomic_load_n(&r->state_entry_time, __ATOMIC_ACQUIRE);

        copy.state = READ_ONCE(r->state);
        for (unsigned int i = 0; i < ARRAY_SIZE(copy.time); i++)
            copy.time[i] = READ_ONCE(r->time[i]);
        copy.state_entry_time = entry;
        compiler_barrier();
        if (READ_ONCE(r->state_entry_time) == entry)
            break;
    }
    now = clock_now_ns();
    if (now > copy.state_entry_time)
        copy.time[copy.state & 3] += now - copy.state_entry_time;
    return copy;
}

uint64_t vcpu_virtual_now_ns(const struct vcpu *v)
{
    return runstate_snapshot(v).time[RUNSTATE_running];
}

/* Renew the stamp if it is a granule old. v is current on this CPU, or does not run. */
static void time_refresh(struct vcpu *v, uint64_t now_ns)
{
    if (unlikely((int64_t)(now_ns - v->time.published_ns) >= (int64_t)granule_ns()))
        time_publish_at(v, now_ns);
}

static void singleshot_fired(void *arg)
{
    struct vcpu *v = arg;

    /* A vCPU that never leaves its CPU gets its new stamp here; one that runs elsewhere by now got it there. */
    if (v == this_cpu()->current)
        time_refresh(v, v->time.singleshot.deadline_ns);
    event_raise_virq(v, VIRQ_TIMER);
}

static void periodic_fired(void *arg)
{
    struct vcpu *v = arg;
    uint64_t period = READ_ONCE(v->time.period_ns), now = clock_now_ns(), next;

    if (period == 0)
        return;
    if (v == this_cpu()->current)
        time_refresh(v, now);
    next = v->time.periodic.deadline_ns + period;
    if (next <= now) /* late by whole periods: they become one tick */
        next = now + period - (now - next) % period;
    event_raise_virq(v, VIRQ_TIMER);
    timer_set(&v->time.periodic, next);
}

static void virtual_alarm_fired(void *arg)
{
    struct vcpu *v = arg;

    v->time.virtual_deadline_ns = 0;
    event_raise_virq(v, COLLET_VIRQ_VIRTUAL_ALARM);
}

/* Real time at which the running vCPU v reaches its virtual deadline, if it goes on running. */
static void virtual_alarm_arm(struct vcpu *v)
{
    const struct vcpu_runstate_info *r = &v->time.runstate;
    uint64_t ran = r->time[RUNSTATE_running], deadline = v->time.virtual_deadline_ns;

    timer_set(&v->time.virtual_alarm, r->state_entry_time + (deadline > ran ? deadline - ran : 0));
}

void vcpu_time_init(struct vcpu *v)
{
    struct vcpu_time *t = &v->time;

    timer_init(&t->singleshot, singleshot_fired, v, v->cpu);
    timer_init(&t->periodic, periodic_fired, v, v->cpu);
    timer_init(&t->virtual_alarm, virtual_alarm_fired, v, v->cpu);
    timer_init(&v->poll_timer, event_poll_timeout, v, v->cpu);
    t->runstate = (struct vcpu_runstate_info){.state = RUNSTATE_offline, .state_entry_time = clock_now_ns()};
}

void vcpu_time_destroy(struct vcpu *v)
{
    v->time.period_ns = 0;
    timer_cancel_sync(&v->time.singleshot);
    timer_cancel_sync(&v->time.periodic);
    timer_cancel_sync(&v->time.virtual_alarm);
    timer_cancel_sync(&v->poll_timer);
}

void vcpu_time_switched_in(struct vcpu *v)
{
    struct vcpu_time *t = &v->time;
    uint32_t cpu = this_cpu_id();

    if (v->is_idle)
        return;
    time_refresh(v, t->runstate.state_entry_time);
    timer_follow(&t->singleshot, cpu);
    timer_follow(&t->periodic, cpu);
    timer_follow(&t->virtual_alarm, cpu);
    timer_follow(&v->poll_timer, cpu);
    if (unlikely(t->virtual_deadline_ns != 0))
        virtual_alarm_arm(v);
    if (t->runstate_area != 0 || t->time_area_stale)
        areas_update(v);
}

void vcpu_time_switched_out(struct vcpu *v)
{
    if (unlikely(v->time.virtual_deadline_ns != 0))
        timer_cancel(&v->time.virtual_alarm);
}

/* Arm for what a guest asked for. Nonsense far ahead (or negative) is looked at again soon, so that a confused guest does not sleep for years. */
static void singleshot_set(struct vcpu *v, uint64_t deadline_ns)
{
    if (unlikely(deadline_ns >= TIME_FAR_NS)) {
        uint64_t now = clock_now_ns();

        if ((int64_t)deadline_ns < 0 || deadline_ns - now >= TIME_FAR_NS)
            deadline_ns = now + TIME_FAR_RETRY_NS;
    }
    timer_set(&v->time.singleshot, deadline_ns);
}

long hypercall_set_timer_op(uint64_t timeout_ns)
{
    struct vcpu *v = current_vcpu();

    if (timeout_ns == 0)
        timer_cancel(&v->time.singleshot);
    else
        singleshot_set(v, timeout_ns);
    return 0;
}

static long op_set_singleshot(struct vcpu *v, uint64_t arg)
{
    struct vcpu_set_singleshot_timer set;

    if (v != current_vcpu())
        return -EINVAL;
    if (copy_from_guest(&set, arg, sizeof(set)) != 0)
        return -EFAULT;
    if ((set.flags & VCPU_SSHOTTMR_future) && set.timeout_abs_ns < clock_now_ns())
        return -ETIME;
    singleshot_set(v, set.timeout_abs_ns);
    return 0;
}

static long op_stop_singleshot(struct vcpu *v)
{
    if (v != current_vcpu())
        return -EINVAL;
    timer_cancel(&v->time.singleshot);
    return 0;
}

static long op_set_periodic(struct vcpu *v, uint64_t arg)
{
    struct vcpu_set_periodic_timer set;

    if (copy_from_guest(&set, arg, sizeof(set)) != 0)
        return -EFAULT;
    if (set.period_ns < PERIOD_MIN_NS || set.period_ns >= TIME_FAR_NS)
        return -EINVAL;
    WRITE_ONCE(v->time.period_ns, set.period_ns);
    timer_set(&v->time.periodic, clock_now_ns() + set.period_ns);
    return 0;
}

static long op_stop_periodic(struct vcpu *v)
{
    /* In this order: a handler under way sees the zero, or has re-armed already. */
    __atomic_store_n(&v->time.period_ns, 0, __ATOMIC_SEQ_CST);
    timer_cancel(&v->time.periodic);
    return 0;
}

static long op_register_runstate(struct vcpu *v, uint64_t arg)
{
    struct vcpu_register_runstate_memory_area area;
    struct vcpu_runstate_info info;

    if (copy_from_guest(&area, arg, sizeof(area)) != 0)
        return -EFAULT;
    if (!guest_range_ok(area.addr.p, sizeof(info)))
        return -EFAULT;
    v->time.runstate_area = area.addr.p;
    if (area.addr.p != 0) {
        info = v == current_vcpu() ? v->time.runstate : runstate_snapshot(v);
        runstate_area_write(v, &info);
    }
    return 0;
}

static long op_register_time(struct vcpu *v, uint64_t arg)
{
    struct vcpu_register_time_memory_area area;

    if (copy_from_guest(&area, arg, sizeof(area)) != 0)
        return -EFAULT;
    if (!guest_range_ok(area.addr.p, sizeof(struct vcpu_time_info)))
        return -EFAULT;
    v->time.time_area = area.addr.p;
    v->time.time_area_stale = false;
    if (area.addr.p != 0)
        time_area_update(v);
    return 0;
}

static long op_get_runstate(struct vcpu *v, uint64_t arg)
{
    struct vcpu_runstate_info info = runstate_snapshot(v);

    return copy_to_guest(arg, &info, sizeof(info));
}

static long op_get_virtual_time(struct vcpu *v, uint64_t arg)
{
    struct collet_virtual_time t = {vcpu_virtual_now_ns(v), READ_ONCE(v->time.virtual_deadline_ns)};

    return copy_to_guest(arg, &t, sizeof(t));
}

static long op_set_virtual_alarm(struct vcpu *v, uint64_t arg)
{
    struct collet_virtual_alarm alarm;

    if (v != current_vcpu())
        return -EINVAL;
    if (copy_from_guest(&alarm, arg, sizeof(alarm)) != 0)
        return -EFAULT;
    if (alarm.virtual_ns >= TIME_FAR_NS)
        return -EINVAL;
    v->time.virtual_deadline_ns = alarm.virtual_ns;
    if (alarm.virtual_ns != 0)
        virtual_alarm_arm(v);
    else
        timer_cancel(&v->time.virtual_alarm);
    return 0;
}

long vcpu_op_time(struct vcpu *v, int cmd, uint64_t arg)
{
    switch (cmd) {
    case VCPUOP_set_singleshot_timer: return op_set_singleshot(v, arg);
    case VCPUOP_stop_singleshot_timer: return op_stop_singleshot(v);
    case VCPUOP_set_periodic_timer: return op_set_periodic(v, arg);
    case VCPUOP_stop_periodic_timer: return op_stop_periodic(v);
    case VCPUOP_register_runstate_memory_area: return op_register_runstate(v, arg);
    case VCPUOP_register_vcpu_time_memory_area: return op_register_time(v, arg);
    case VCPUOP_get_runstate_info: return op_get_runstate(v, arg);
    case COLLET_VCPUOP_get_virtual_time: return op_get_virtual_time(v, arg);
    case COLLET_VCPUOP_set_virtual_alarm: return op_set_virtual_alarm(v, arg);
    default: return -ENOSYS;
    }
}
