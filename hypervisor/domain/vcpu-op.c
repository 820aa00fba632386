// SPDX-License-Identifier: MIT
/*
 * vcpu_op of <xen/vcpu.h>: a guest manages its own vCPUs. What concerns time is answered by time/guest-time.c.
 * Contract: hypercall.h.
 */
#include "alloc.h"
#include "cpu.h"
#include "domain-internal.h"
#include "guest-access.h"
#include "hypercall.h"
#include "sched.h"

#include <hv/errno.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

static long initialise_from(struct vcpu *v, uint64_t arg)
{
    struct vcpu_guest_context *c = heap_alloc(sizeof(*c));
    long rc;

    if (c == NULL)
        return -ENOMEM;
    rc = copy_from_guest(c, arg, sizeof(*c));
    if (rc == 0)
        rc = vcpu_set_context(v, c);
    heap_free(c);
    return rc;
}

static long vcpu_initialise(struct vcpu *v, uint64_t arg)
{
    long rc;

    if (__atomic_exchange_n(&v->initialising, true, __ATOMIC_ACQUIRE))
        return -EBUSY; /* another vCPU is at it */
    rc = v->initialised ? -EEXIST : initialise_from(v, arg);
    if (rc == 0)
        __atomic_store_n(&v->initialised, true, __ATOMIC_RELEASE);
    __atomic_store_n(&v->initialising, false, __ATOMIC_RELEASE);
    return rc;
}

static long vcpu_up(struct vcpu *v)
{
    uint64_t flags;

    if (!__atomic_load_n(&v->initialised, __ATOMIC_ACQUIRE))
        return -EINVAL;
    flags = spin_lock_irqsave(&v->domain->lifetime_lock);
    if (vcpu_is_down(v))
        vcpu_set_down(v, false);
    spin_unlock_irqrestore(&v->domain->lifetime_lock, flags);
    return 0;
}

/* A domain whose last vCPU goes down has powered off: nothing in it could ever bring one up again. */
static long vcpu_down(struct vcpu *v)
{
    struct domain *d = v->domain;
    uint64_t flags = spin_lock_irqsave(&d->lifetime_lock);
    bool others = false;
    struct vcpu *other;

    for_each_vcpu(d, other)
        others |= other != v && !vcpu_is_down(other);
    if (others && !vcpu_is_down(v))
        vcpu_set_down(v, true);
    spin_unlock_irqrestore(&d->lifetime_lock, flags);
    if (!others && !vcpu_is_down(v))
        domain_shutdown(d, SHUTDOWN_poweroff);
    return 0;
}

static long vcpu_register_info_op(struct vcpu *v, uint64_t arg)
{
    struct vcpu_register_vcpu_info op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    return vcpu_register_info(v, op.mfn, op.offset);
}

static long vcpu_send_nmi(struct vcpu *v)
{
    if (!__atomic_exchange_n(&v->nmi_pending, true, __ATOMIC_SEQ_CST)) {
        vcpu_wake(v);
        if (v != current_vcpu())
            cpu_kick(READ_ONCE(v->cpu)); /* so that it passes the way back to its guest, where it is looked at */
    }
    return 0;
}

long hypercall_vcpu_op(int cmd, unsigned int vcpu_id, uint64_t arg)
{
    struct domain *d = current_vcpu()->domain;
    struct vcpu *v;

    if (unlikely(vcpu_id >= d->vcpu_max))
        return -ENOENT;
    v = d->vcpus[vcpu_id];
    if (unlikely(v == NULL))
        return -ENOENT;
    switch (cmd) {
    case VCPUOP_initialise:
        return vcpu_initialise(v, arg);
    case VCPUOP_up:
        return vcpu_up(v);
    case VCPUOP_down:
        return vcpu_down(v);
    case VCPUOP_is_up:
        return !vcpu_is_down(v);
    case VCPUOP_register_vcpu_info:
        return vcpu_register_info_op(v, arg);
    case VCPUOP_send_nmi:
        return vcpu_send_nmi(v);
    case VCPUOP_get_physid:
        return -EINVAL; /* only a vCPU that is pinned to one processor has this number */
    default:
        return vcpu_op_time(v, cmd, arg);
    }
}
