// SPDX-License-Identifier: MIT
/* Invented time: the clock stands where it is put, and timers fire when host_run_until passes them. Contract: host.h, time.h, timer.h. */
#include "host.h"

#include "time.h"
#include "timer.h"

#define weak __attribute__((weak))

weak uint64_t host_now_ns;

/* All armed timers, in no order: there are few. The child link of struct timer is not used; next and prev chain them. */
static struct timer *armed_timers;
static struct spinlock timer_lock = SPINLOCK_INIT;

weak uint64_t clock_now_ns(void)
{
    return __atomic_load_n(&host_now_ns, __ATOMIC_RELAXED);
}

weak void timer_init(struct timer *timer, void (*handler)(void *), void *arg, uint32_t cpu)
{
    *timer = (struct timer){.handler = handler, .arg = arg, .cpu = cpu};
}

static void unlink_timer(struct timer *timer)
{
    if (timer->prev != NULL)
        timer->prev->next = timer->next;
    else
        armed_timers = timer->next;
    if (timer->next != NULL)
        timer->next->prev = timer->prev;
    timer->armed = false;
}

weak void timer_set(struct timer *timer, uint64_t deadline_ns)
{
    uint64_t flags = spin_lock_irqsave(&timer_lock);

    if (timer->armed)
        unlink_timer(timer);
    timer->deadline_ns = deadline_ns;
    timer->armed = true;
    timer->prev = NULL;
    timer->next = armed_timers;
    if (armed_timers != NULL)
        armed_timers->prev = timer;
    armed_timers = timer;
    spin_unlock_irqrestore(&timer_lock, flags);
}

weak void timer_cancel(struct timer *timer)
{
    uint64_t flags = spin_lock_irqsave(&timer_lock);

    if (timer->armed)
        unlink_timer(timer);
    spin_unlock_irqrestore(&timer_lock, flags);
}

weak void timer_cancel_sync(struct timer *timer)
{
    timer_cancel(timer);
}

weak bool timer_armed(const struct timer *timer)
{
    return timer->armed;
}

weak void timer_migrate(struct timer *timer, uint32_t cpu)
{
    timer->cpu = cpu;
}

/* The earliest armed timer, of one pCPU or (MAX_CPUS) of any; the first armed of equals. */
static struct timer *earliest(uint32_t cpu)
{
    struct timer *best = NULL;

    for (struct timer *t = armed_timers; t != NULL; t = t->next)
        if ((cpu == MAX_CPUS || t->cpu == cpu) && (best == NULL || t->deadline_ns <= best->deadline_ns))
            best = t;
    return best;
}

weak uint64_t host_timer_next(void)
{
    struct timer *t;
    uint64_t flags = spin_lock_irqsave(&timer_lock);

    t = earliest(MAX_CPUS);
    spin_unlock_irqrestore(&timer_lock, flags);
    return t != NULL ? t->deadline_ns : UINT64_MAX;
}

weak void host_timers_expire(void)
{
    uint32_t before = this_cpu_id();

    for (;;) {
        uint64_t flags = spin_lock_irqsave(&timer_lock);
        struct timer *t = earliest(host_threads ? before : MAX_CPUS);

        if (t == NULL || t->deadline_ns > clock_now_ns()) {
            spin_unlock_irqrestore(&timer_lock, flags);
            break;
        }
        unlink_timer(t);
        spin_unlock_irqrestore(&timer_lock, flags);
        host_on_cpu(t->cpu);
        t->handler(t->arg);
    }
    host_on_cpu(before);
    if (!host_threads)
        host_settle();
}

weak void host_run_until(uint64_t ns)
{
    uint64_t next;

    host_settle();
    while ((next = host_timer_next()) <= ns) {
        if (next > host_now_ns)
            host_now_ns = next;
        host_timers_expire();
    }
    if (ns > host_now_ns)
        host_now_ns = ns;
}

weak void host_clock_skip(uint64_t ns)
{
    host_now_ns += ns;
}

/* Guest time: only the runstate is kept, so that tests can check the core's accounting. */
weak void vcpu_runstate_change(struct vcpu *v, int new_state, uint64_t now_ns)
{
    struct vcpu_runstate_info *info = &v->time.runstate;

    info->time[info->state] += now_ns - info->state_entry_time;
    info->state_entry_time = now_ns;
    info->state = new_state;
}
