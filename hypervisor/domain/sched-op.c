// SPDX-License-Identifier: MIT
/*
 * sched_op of <xen/sched.h>: a guest gives up the processor, waits, or ends.
 *
 * Suspending is refused: nobody here could resume the domain.  Contract: hypercall.h.
 */
#include "cpu.h"
#include "domain.h"
#include "event.h"
#include "guest-access.h"
#include "hypercall.h"
#include "sched.h"
#include "vcpu.h"

#include <hv/errno.h>
#include <xen/sched.h>

#define POLL_PORTS_MAX 128u

static bool still_nothing(struct vcpu *v)
{
    return !event_deliverable(v->info) && !v->nmi_pending;
}

static long sched_block(struct vcpu *v)
{
    /* Unmask first and only then look: the other order loses an event that comes between. */
    WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
    smp_mb();
    if (still_nothing(v))
        vcpu_block(still_nothing);
    return 0;
}

static long sched_yield_op(void)
{
    vcpu_yield();
    return 0;
}

static long shutdown_with(struct domain *d, unsigned int reason)
{
    if (reason > SHUTDOWN_MAX)
        return -EINVAL;
    if (reason == SHUTDOWN_suspend || reason == SHUTDOWN_soft_reset)
        return -ENOSYS;
    domain_shutdown(d, (uint8_t)reason);
    return 0;
}

static long sched_shutdown(struct domain *d, uint64_t arg, bool code_only)
{
    struct sched_shutdown op;
    uint64_t flags;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    if (!code_only)
        return shutdown_with(d, op.reason);
    if (op.reason > SHUTDOWN_MAX)
        return -EINVAL;
    flags = spin_lock_irqsave(&d->lifetime_lock);
    d->shutdown_code = (int)op.reason;
    spin_unlock_irqrestore(&d->lifetime_lock, flags);
    return 0;
}

static long sched_poll_op(uint64_t arg)
{
    struct sched_poll op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    if (op.nr_ports > POLL_PORTS_MAX)
        return -EINVAL;
    return event_poll((uint64_t)op.ports.p, op.nr_ports, op.timeout);
}

static long sched_remote_shutdown(struct domain *caller, uint64_t arg)
{
    struct sched_remote_shutdown op;
    struct domain *d;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    if (!caller->privileged)
        return -EPERM;
    d = domain_find(op.domain_id);
    if (d == NULL)
        return -ESRCH;
    rc = d == caller ? -EPERM : -ESRCH;
    if (d != caller && domain_memory_enter(d)) { /* its vCPUs stay: they are paused */
        rc = shutdown_with(d, op.reason);
        domain_memory_leave(d);
    }
    domain_put(d);
    return rc;
}

static void watchdog_expired(void *arg)
{
    domain_shutdown(arg, SHUTDOWN_watchdog);
}

/* Under the lock: which of its watchdogs is meant; -errno if none. */
static int watchdog_choose(struct domain *d, uint32_t id, uint32_t timeout_s)
{
    uint32_t i;

    lock_assert_held(&d->lifetime_lock);
    if (id > ARRAY_SIZE(d->watchdog))
        return -EINVAL;
    if (id != 0)
        return d->watchdog_used[id - 1] ? (int)id : -EINVAL;
    if (timeout_s == 0)
        return -EINVAL;
    for (i = 0; i < ARRAY_SIZE(d->watchdog); i++)
        if (!d->watchdog_used[i])
            return (int)i + 1;
    return -ENOSPC;
}

static long sched_watchdog_op(struct domain *d, uint64_t arg)
{
    struct sched_watchdog op;
    uint64_t flags;
    int id;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    flags = spin_lock_irqsave(&d->lifetime_lock);
    id = watchdog_choose(d, op.id, op.timeout);
    if (id > 0 && d->watchdog[id - 1].handler == NULL)
        timer_init(&d->watchdog[id - 1], watchdog_expired, d, 0);
    if (id > 0) {
        d->watchdog_used[id - 1] = op.timeout != 0;
        if (op.timeout != 0)
            timer_set(&d->watchdog[id - 1], clock_now_ns() + op.timeout * NS_PER_S);
        else
            timer_cancel(&d->watchdog[id - 1]);
    }
    spin_unlock_irqrestore(&d->lifetime_lock, flags);
    if (id < 0)
        return id;
    return op.id == 0 ? id : 0; /* a new one is told its number */
}

long hypercall_sched_op(int cmd, uint64_t arg)
{
    struct vcpu *v = current_vcpu();

    switch (cmd) {
    case SCHEDOP_yield:
        return sched_yield_op();
    case SCHEDOP_block:
        return sched_block(v);
    case SCHEDOP_shutdown:
        return sched_shutdown(v->domain, arg, false);
    case SCHEDOP_poll:
        return sched_poll_op(arg);
    case SCHEDOP_remote_shutdown:
        return sched_remote_shutdown(v->domain, arg);
    case SCHEDOP_shutdown_code:
        return sched_shutdown(v->domain, arg, true);
    case SCHEDOP_watchdog:
        return sched_watchdog_op(v->domain, arg);
    default:
        return -ENOSYS; /* pin_override among them */
    }
}

/* The form before Xen 3.0.2: the reason is the argument itself. */
long hypercall_sched_op_compat(int cmd, unsigned long arg)
{
    switch (cmd) {
    case SCHEDOP_yield:
        return sched_yield_op();
    case SCHEDOP_block:
        return sched_block(current_vcpu());
    case SCHEDOP_shutdown:
        return shutdown_with(current_vcpu()->domain, (unsigned int)arg);
    default:
        return -ENOSYS;
    }
}
