// SPDX-License-Identifier: MIT
/*
 * Domains: creation, finding, stopping and destruction.
 *
 * A domain that ends (by its own wish, by a crash, by its watchdog) is marked and its vCPUs are paused, from any context; what follows is done later by
 * the boot CPU's idle vCPU in SOFTIRQ_DOMAIN: a guest's stack is no place to wait on, since the guest may be paused meanwhile. Domain0's end is the machine's.
 * A vCPU may have been paused inside a memory operation, with references in hand that only it can return: it is let run on until it has left it
 * (domain_settled) before anything is taken away.
 * Contract: domain.h.  Page: docs/concepts/domain.md.
 */
#include "domain.h"

#include "alloc.h"
#include "changes.h"
#include "cpu.h"
#include "block.h"
#include "domain-internal.h"
#include "guest-access.h"
#include "lib/string.h"
#include "mm.h"
#include "options.h"
#include "vcpu.h"
#include "vfr.h"

#include <hv/errno.h>
#include <xen/sched.h>

#define SETTLE_RETRY_NS NS_PER_MS
#define SETTLE_RUN_NS (200ull * 1000) /* for those who have something to finish */
#define DESTROY_PART_NS (5 * NS_PER_MS) /* of a destruction that Domain0 waits for, so that its timers do not */
#define SETTLE_TRIES_MAX 5000 /* Domain0: then the machine ends without */
#define IDLE_TRIES_MAX 100    /* then guests on the boot CPU are held, so that it idles */
#define STACK_DUMP_WORDS 32

struct spinlock domain_list_lock = SPINLOCK_INIT;
struct domain *domain_list;
struct domain *domain0;

/* The work of SOFTIRQ_DOMAIN; boot CPU only, except for what the lock protects. */
static struct timer work_timer;
static unsigned int work_tries; /* since the work came up */
static struct domain *work_domain; /* ended, and ours to destroy */
static bool work_busy;          /* the idle vCPU is at it, perhaps preempted */
static bool audit_wanted;
static struct spinlock held_lock = SPINLOCK_INIT; /* held, held_count */
static struct vcpu *held[DOMAIN_MAX_VCPUS];       /* paused so that the idle vCPU gets its turn */
static unsigned int held_count;
static domid_t last_domid;

static bool domid_in_use(domid_t id)
{
    const struct domain *d;

    lock_assert_held(&domain_list_lock);
    for (d = domain_list; d != NULL; d = d->next)
        if (d->id == id)
            return true;
    return false;
}

/* Numbers are not used again before all others were, so that a stale one names nobody. */
static domid_t domid_choose(void)
{
    unsigned int tries;
    domid_t id = DOMID_INVALID;

    spin_lock(&domain_list_lock);
    for (tries = 0; id == DOMID_INVALID && tries < DOMID_FIRST_RESERVED; tries++) {
        last_domid = last_domid < DOMID_FIRST_RESERVED - 1 ? last_domid + 1 : 1;
        if (!domid_in_use(last_domid))
            id = last_domid;
    }
    spin_unlock(&domain_list_lock);
    return id;
}

static void domain_free(struct domain *d)
{
    if (d->shared != NULL)
        domain_shared_page_free(d->shared);
    domain_put(d);
}

static int domain_parts_init(struct domain *d)
{
    int rc;

    d->shared = domain_shared_page_alloc(d);
    if (d->shared == NULL)
        return -ENOMEM;
    for (unsigned int i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        d->shared->vcpu_info[i].evtchn_upcall_mask = 1;
    rc = domain_events_init(d);
    if (rc != 0)
        return rc;
    rc = domain_grants_init(d);
    if (rc == 0) {
        rc = sched_domain_init(d);
        if (rc == 0)
            return 0;
        domain_grants_destroy(d);
    }
    domain_events_destroy(d);
    return rc;
}

struct domain *domain_create(domid_t id, const char *name, bool privileged, uint32_t vcpu_max, uint64_t frame_max)
{
    struct domain *d;

    if (vcpu_max == 0 || vcpu_max > DOMAIN_MAX_VCPUS)
        return NULL;
    if (id == DOMID_INVALID)
        id = domid_choose();
    d = id != DOMID_INVALID ? heap_alloc(sizeof(*d)) : NULL;
    if (d == NULL)
        return NULL;
    d->id = id;
    strlcpy(d->name, name, sizeof(d->name));
    d->privileged = privileged;
    d->refs = 1;
    d->frame_list = FRAME_LIST_END;
    d->frame_max = frame_max;
    d->vcpu_max = vcpu_max;
    d->shutdown_code = -1;
    d->created_ns = clock_now_ns();
    if (domain_parts_init(d) != 0) {
        domain_free(d);
        return NULL;
    }
    return d;
}

void domain_get(struct domain *d)
{
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
}

void domain_put(struct domain *d)
{
    if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) == 0)
        heap_free(d);
}

struct domain *domain_find(domid_t id)
{
    struct domain *d;

    if (id == DOMID_SELF) {
        domain_get(current_vcpu()->domain);
        return current_vcpu()->domain;
    }
    spin_lock(&domain_list_lock);
    for (d = domain_list; d != NULL && d->id < id; d = d->next)
        ;
    if (d != NULL && d->id == id)
        domain_get(d);
    else
        d = NULL;
    spin_unlock(&domain_list_lock);
    return d;
}

struct domain *domain_find_from(uint32_t id)
{
    struct domain *d;

    spin_lock(&domain_list_lock);
    for (d = domain_list; d != NULL && d->id < id; d = d->next)
        ;
    if (d != NULL)
        domain_get(d);
    spin_unlock(&domain_list_lock);
    return d;
}

static void domain_link(struct domain *d)
{
    struct domain **at;

    lock_assert_held(&domain_list_lock);
    for (at = &domain_list; *at != NULL && (*at)->id < d->id; at = &(*at)->next)
        ;
    d->next = *at;
    __atomic_store_n(at, d, __ATOMIC_RELEASE);
    if (d->id == 0)
        domain0 = d;
}

void domain_publish(struct domain *d)
{
    spin_lock(&domain_list_lock);
    domain_link(d);
    spin_unlock(&domain_list_lock);
}

static bool name_in_use(const char *name, const struct domain *but)
{
    const struct domain *d;

    lock_assert_held(&domain_list_lock);
    for (d = domain_list; d != NULL; d = d->next)
        if (d != but && strcmp(d->name, name) == 0)
            return true;
    return false;
}

int domain_publish_unique(struct domain *d)
{
    int rc = -EEXIST;

    spin_lock(&domain_list_lock);
    if (!name_in_use(d->name, d)) {
        domain_link(d);
        rc = 0;
    }
    spin_unlock(&domain_list_lock);
    return rc;
}

int domain_set_name(struct domain *d, const char *name)
{
    int rc = -EEXIST;

    spin_lock(&domain_list_lock);
    if (!name_in_use(name, d)) {
        strlcpy(d->name, name, sizeof(d->name));
        rc = 0;
    }
    spin_unlock(&domain_list_lock);
    return rc;
}

bool domain_memory_enter(struct domain *d)
{
    bool ok;

    spin_lock(&d->memory_lock);
    ok = !d->dying;
    d->memory_users += ok;
    spin_unlock(&d->memory_lock);
    return ok;
}

void domain_memory_leave(struct domain *d)
{
    spin_lock(&d->memory_lock);
    d->memory_users--;
    spin_unlock(&d->memory_lock);
}

/* False if it never was on the list. */
static bool domain_unlist(struct domain *d)
{
    struct domain **at;
    bool listed;

    spin_lock(&domain_list_lock);
    for (at = &domain_list; *at != NULL && *at != d; at = &(*at)->next)
        ;
    listed = *at == d;
    if (listed)
        *at = d->next;
    spin_unlock(&domain_list_lock);
    return listed;
}

void domain_pause(struct domain *d)
{
    struct vcpu *v;

    for_each_vcpu(d, v)
        vcpu_pause(v);
}

/* The caller's own vCPU, if it is one of d's, leaves later. */
void domain_pause_sync(struct domain *d)
{
    struct vcpu *v;

    for_each_vcpu(d, v) {
        if (v == current_vcpu())
            vcpu_pause(v);
        else
            vcpu_pause_sync(v);
    }
}

void domain_unpause(struct domain *d)
{
    struct vcpu *v;

    for_each_vcpu(d, v)
        vcpu_unpause(v);
}

/* ---- How a domain ends ---- */

static void dump_registers(const struct vcpu *v)
{
    const struct regs *r = v->regs;

    log_report("d%uv%u: rip %04x:%016lx rsp %04x:%016lx rflags %08lx %s", v->domain->id, v->id, (unsigned int)r->cs,
              (unsigned long)r->rip, (unsigned int)r->ss, (unsigned long)r->rsp, (unsigned long)r->rflags,
              v->in_kernel ? "kernel" : "user");
    log_report("d%uv%u: rax %016lx rbx %016lx rcx %016lx rdx %016lx", v->domain->id, v->id, (unsigned long)r->rax,
              (unsigned long)r->rbx, (unsigned long)r->rcx, (unsigned long)r->rdx);
    log_report("d%uv%u: rsi %016lx rdi %016lx rbp %016lx r8  %016lx", v->domain->id, v->id, (unsigned long)r->rsi,
              (unsigned long)r->rdi, (unsigned long)r->rbp, (unsigned long)r->r8);
    log_report("d%uv%u: r9  %016lx r10 %016lx r11 %016lx r12 %016lx", v->domain->id, v->id, (unsigned long)r->r9,
              (unsigned long)r->r10, (unsigned long)r->r11, (unsigned long)r->r12);
    log_report("d%uv%u: r13 %016lx r14 %016lx r15 %016lx cr3 %016lx", v->domain->id, v->id, (unsigned long)r->r13,
              (unsigned long)r->r14, (unsigned long)r->r15, (unsigned long)(v->in_kernel ? v->kernel_cr3 : v->user_cr3));
}

static void dump_stack(const struct vcpu *v)
{
    uint64_t words[4], sp = v->regs->rsp & ~7ul;
    unsigned int i;

    for (i = 0; i < STACK_DUMP_WORDS; i += ARRAY_SIZE(words), sp += sizeof(words)) {
        if (copy_from_guest(words, sp, sizeof(words)) != 0)
            return;
        log_report("d%uv%u: [%016lx] %016lx %016lx %016lx %016lx", v->domain->id, v->id, (unsigned long)sp,
                  (unsigned long)words[0], (unsigned long)words[1], (unsigned long)words[2], (unsigned long)words[3]);
    }
}

/* Marks the end. False if it had ended before. */
static bool domain_mark_ended(struct domain *d, uint8_t reason)
{
    uint64_t flags = spin_lock_irqsave(&d->lifetime_lock);
    bool first = !d->shut_down;

    if (first) {
        d->shutdown_reason = d->shutdown_code >= 0 && reason != SHUTDOWN_crash ? (uint8_t)d->shutdown_code : reason;
        WRITE_ONCE(d->ending, true);
        __atomic_store_n(&d->shut_down, true, __ATOMIC_RELEASE);
    }
    spin_unlock_irqrestore(&d->lifetime_lock, flags);
    return first;
}

static void domain_end(struct domain *d, uint8_t reason)
{
    if (!domain_mark_ended(d, reason))
        return;
    domain_pause(d);
    change_record(COLLET_CHANGE_DOMAIN_SHUT_DOWN, d, d->shutdown_reason, d->name);
    if (d != domain0)
        event_raise_global_virq(VIRQ_DOM_EXC);
    softirq_raise_on(0, SOFTIRQ_DOMAIN);
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
    struct vcpu *v = current_vcpu(); /* NULL on an IST stack */
    char reason[200];
    va_list args;

    if (__atomic_exchange_n(&d->crashed, true, __ATOMIC_ACQ_REL))
        return;
    va_start(args, fmt);
    vsnprintf(reason, sizeof(reason), fmt, args);
    va_end(args);
    strlcpy(d->crash_text, reason, sizeof(d->crash_text));
    log_report("d%u: crashed: %s", d->id, reason);
    if (v != NULL && v->domain == d) {
        dump_registers(v);
        /* Reading its stack may fault, and then takes the way of any page fault. */
        if (irq_enabled())
            dump_stack(v);
    }
    domain_end(d, SHUTDOWN_crash);
}

void domain_shutdown(struct domain *d, uint8_t reason)
{
    static const char *const names[] = {
        [SHUTDOWN_poweroff] = "poweroff", [SHUTDOWN_reboot] = "reboot",     [SHUTDOWN_suspend] = "suspend",
        [SHUTDOWN_crash] = "crash",       [SHUTDOWN_watchdog] = "watchdog", [SHUTDOWN_soft_reset] = "soft reset",
    };

    if (reason == SHUTDOWN_crash && !__atomic_exchange_n(&d->crashed, true, __ATOMIC_ACQ_REL))
        log_report("d%u: crashed: it says so itself", d->id);
    else if (!d->shut_down)
        log_info("d%u: shut down: %s", d->id, reason < ARRAY_SIZE(names) ? names[reason] : "?");
    domain_end(d, reason);
}

/* ---- What follows ---- */

static void machine_restart(void)
{
    machine_end(!boot_options.noreboot ? MACHINE_REBOOT : boot_options.noreboot_exit ? MACHINE_POWEROFF : MACHINE_HALT);
}

void domain0_failed(void)
{
    machine_restart();
    for (;;)
        cpu_halt();
}

/* Domain0 has ended, and with it the machine. */
static void domain0_end(void)
{
    uint8_t reason = domain0->shutdown_reason;
    bool fault = reason == SHUTDOWN_crash || reason == SHUTDOWN_watchdog;

    if (fault || boot_options.audit)
        frames_audit();
    if (reason == SHUTDOWN_poweroff)
        machine_end(MACHINE_POWEROFF);
    machine_restart();
}

/* v is off its pCPU, and not inside a memory operation; one that is inside is let run, and stopped again the next time. d is paused, perhaps several times. */
static bool vcpu_settled(struct vcpu *v)
{
    vcpu_drain_end(v);
    vcpu_pause_sync(v);
    vcpu_unpause(v);
    if (!READ_ONCE(v->preempted_in_mm))
        return true;
    vcpu_drain_begin(v);
    return false;
}

/* Whether nothing of d runs any more. To be asked again, a little later, until it is so. Context: not on one of its vCPUs; may preempt. */
static bool domain_settled(struct domain *d)
{
    bool settled = READ_ONCE(d->memory_users) == 0;
    struct vcpu *v;

    for_each_vcpu(d, v)
        settled &= vcpu_settled(v);
    return settled;
}

/* v goes away: whoever waits for the boot CPU to idle must not know it any more. */
static void work_forget_held(const struct vcpu *v)
{
    unsigned int i, kept = 0;

    spin_lock(&held_lock);
    for (i = 0; i < held_count; i++)
        if (held[i] != v)
            held[kept++] = held[i];
    held_count = kept;
    spin_unlock(&held_lock);
}

/* What keeps its memory in use: may be done again. None of its vCPUs runs or holds anything halfway. */
static void domain_let_go(struct domain *d)
{
    struct vcpu *v;

    for (unsigned int i = 0; i < ARRAY_SIZE(d->watchdog); i++)
        if (d->watchdog[i].handler != NULL)
            timer_cancel_sync(&d->watchdog[i]);
    domain_events_destroy(d);
    for_each_vcpu(d, v)
        vcpu_drop_memory(v);
}

/* None of its vCPUs runs or holds anything halfway. */
static void domain_teardown(struct domain *d)
{
    struct vcpu *v;

    domain_let_go(d);
    domain_memory_destroy(d, UINT64_MAX);
    domain_grants_destroy(d);
    for_each_vcpu(d, v) {
        work_forget_held(v);
        vcpu_destroy(v);
    }
    sched_domain_destroy(d);
    if (domain_unlist(d)) { /* else nobody has heard of it */
        if (domain0 != NULL && domain0 != d)
            event_raise_global_virq(VIRQ_DOM_EXC);
        change_record(COLLET_CHANGE_DOMAIN_DESTROYED, d, 0, d->name);
        log_info("d%u: destroyed", d->id);
    }
    domain_free(d);
}

static bool domain_mark_dying(struct domain *d)
{
    bool first;

    spin_lock(&d->memory_lock); /* no reservation grows after this (mm/domain-memory.c) */
    first = !d->dying;
    WRITE_ONCE(d->ending, true);
    d->dying = true;
    spin_unlock(&d->memory_lock);
    return first;
}

/* Wait until nothing of d, which is paused, runs any more. */
static void domain_settle(struct domain *d)
{
    while (!domain_settled(d)) {
        uint64_t until_ns = clock_now_ns() + SETTLE_RUN_NS;

        do {
            vcpu_yield();
            preempt_point();
        } while (clock_now_ns() < until_ns);
    }
}

/* No device has a frame of it any more. False: to be called again. */
static bool domain_devices_destroy(struct domain *d)
{
    bool disks = block_domain_destroy(d), network = vfr_domain_destroy(d);

    return disks && network;
}

void domain_destroy(struct domain *d)
{
    if (!domain_mark_dying(d))
        return;
    domain_pause(d);
    domain_settle(d);
    while (!domain_devices_destroy(d)) {
        vcpu_yield();
        preempt_point();
    }
    domain_teardown(d);
}

int domain_destroy_part(struct domain *d)
{
    uint64_t until_ns = clock_now_ns() + DESTROY_PART_NS;
    bool yes = true;

    if (domain_mark_dying(d))
        domain_pause(d);
    else if (!__atomic_compare_exchange_n(&d->destroy_rests, &yes, false, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return -ESRCH; /* somebody else is at it */
    domain_settle(d);
    if (!domain_devices_destroy(d)) {
        __atomic_store_n(&d->destroy_rests, true, __ATOMIC_RELEASE);
        vcpu_yield();
        return -EINTR;
    }
    domain_let_go(d);
    if (!domain_memory_destroy(d, until_ns)) {
        __atomic_store_n(&d->destroy_rests, true, __ATOMIC_RELEASE);
        return -EINTR;
    }
    domain_teardown(d);
    return 0;
}

/* The first ended domain that nobody else will destroy: ours alone from here on, since it is marked as dying. */
static struct domain *domain_to_destroy(void)
{
    struct domain *d;

    if (work_domain != NULL)
        return work_domain;
    spin_lock(&domain_list_lock);
    for (d = domain_list; d != NULL; d = d->next)
        if (d->destroy_at_end && READ_ONCE(d->shut_down) && domain_mark_dying(d))
            break;
    work_domain = d;
    spin_unlock(&domain_list_lock);
    return d;
}

/* v, current, keeps the boot CPU from idling: it has to wait until the work is done. */
static void work_hold(struct vcpu *v)
{
    spin_lock(&held_lock);
    if (held_count < ARRAY_SIZE(held)) {
        held[held_count++] = v;
        vcpu_pause(v);
    }
    spin_unlock(&held_lock);
}

static void work_release_held(void)
{
    spin_lock(&held_lock);
    while (held_count > 0)
        vcpu_unpause(held[--held_count]);
    spin_unlock(&held_lock);
}

/* Each piece returns false if it is to be tried again later. */
static bool work_domain0(void)
{
    bool walk = domain0->shutdown_reason != SHUTDOWN_poweroff || boot_options.audit;

    if (walk && work_tries < SETTLE_TRIES_MAX && !domain_settled(domain0))
        return false;
    domain0_end();
    return true;
}

static bool work_destroy(struct domain *d)
{
    if (!domain_settled(d) || !domain_devices_destroy(d))
        return false;
    work_domain = NULL;
    domain_teardown(d);
    return true;
}

static bool work_do(struct domain *ended)
{
    if (domain0 != NULL && READ_ONCE(domain0->shut_down))
        return work_domain0();
    if (audit_wanted) {
        audit_wanted = false;
        frames_audit();
        return true;
    }
    return ended == NULL || work_destroy(ended);
}

/* SOFTIRQ_DOMAIN on the boot CPU. Only here are boot-module domains destroyed, so a pointer to one stays good. */
static void domain_work(void)
{
    struct domain *ended = work_busy ? NULL : domain_to_destroy();
    bool wanted = ended != NULL || audit_wanted || (domain0 != NULL && READ_ONCE(domain0->shut_down));

    if (!wanted && !work_busy)
        return;
    /* Comes back in a moment: the work may have to wait, or be preempted by a guest that has to be held. */
    work_tries++;
    timer_set(&work_timer, clock_now_ns() + SETTLE_RETRY_NS);
    if (!current_vcpu()->is_idle) {
        if (work_tries > IDLE_TRIES_MAX)
            work_hold(current_vcpu());
        return;
    }
    if (work_busy)
        return; /* further down on this stack */
    work_busy = true;
    if (work_do(ended))
        work_tries = 0;
    work_busy = false;
    work_release_held();
}

static void work_timer_fired(void *arg)
{
    (void)arg;
    softirq_raise_on(0, SOFTIRQ_DOMAIN);
}

void domain_audit_request(void)
{
    audit_wanted = true;
    softirq_raise_on(0, SOFTIRQ_DOMAIN);
}

void domains_init(void)
{
    timer_init(&work_timer, work_timer_fired, NULL, 0);
    softirq_register(SOFTIRQ_DOMAIN, domain_work);
    domain_keys_init();
}
