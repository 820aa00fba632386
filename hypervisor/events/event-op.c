// SPDX-License-Identifier: MIT
/*
 * HYPERVISOR_event_channel_op: each sub-operation's argument copied once and checked, the work done in event-channel.c, results copied back. A port
 * whose number cannot be delivered is closed again.
 * Refused with -ENOSYS, so that guests use the two-level form: FIFO channels (init_control, expand_array, set_priority) and physical interrupts.
 * Contract: hypercall.h; <xen/event_channel.h>.
 */
#include "event-internal.h"

#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "hypercall.h"
#include "vcpu.h"

#include <hv/errno.h>

/* The domain that an operation names; another than one's own only for the privileged. Its ports and vCPUs stay until named_release. */
static long domain_named(domid_t id, struct domain **d)
{
    struct domain *self = current_vcpu()->domain, *found;

    *d = self;
    if (id == DOMID_SELF || id == self->id)
        return 0;
    if (!self->privileged)
        return -EPERM;
    found = domain_find(id);
    if (found == NULL)
        return -ESRCH;
    if (!domain_memory_enter(found)) {
        domain_put(found);
        return -ESRCH;
    }
    *d = found;
    return 0;
}

static void named_release(struct domain *d)
{
    if (d == current_vcpu()->domain)
        return;
    domain_memory_leave(d);
    domain_put(d);
}

/* Tell the guest its new port: the whole argument goes back, as it came but for the port. */
static long port_answer(struct domain *d, long port, uint64_t arg, const void *op, size_t bytes)
{
    if (copy_to_guest(arg, op, bytes) == 0)
        return 0;
    (void)channel_close(d, (uint32_t)port);
    return -EFAULT;
}

void event_close(struct domain *d, evtchn_port_t port)
{
    (void)channel_close(d, port);
}

static long op_alloc_unbound(uint64_t arg)
{
    struct evtchn_alloc_unbound op;
    struct domain *d;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    rc = domain_named(op.dom, &d);
    if (rc != 0)
        return rc;
    rc = event_alloc_unbound(d, op.remote_dom == DOMID_SELF ? current_vcpu()->domain->id : op.remote_dom);
    if (rc >= 0) {
        op.port = (evtchn_port_t)rc;
        rc = port_answer(d, rc, arg, &op, sizeof(op));
    }
    named_release(d);
    return rc;
}

static long op_bind_interdomain(struct domain *d, uint64_t arg)
{
    struct evtchn_bind_interdomain op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    rc = channel_bind_interdomain(d, op.remote_dom, op.remote_port);
    if (rc < 0)
        return rc;
    op.local_port = (evtchn_port_t)rc;
    return port_answer(d, rc, arg, &op, sizeof(op));
}

static long op_bind_virq(struct domain *d, uint64_t arg)
{
    struct evtchn_bind_virq op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    rc = channel_bind_virq(d, op.virq, op.vcpu);
    if (rc < 0)
        return rc;
    op.port = (evtchn_port_t)rc;
    return port_answer(d, rc, arg, &op, sizeof(op));
}

static long op_bind_ipi(struct domain *d, uint64_t arg)
{
    struct evtchn_bind_ipi op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    rc = channel_bind_ipi(d, op.vcpu);
    if (rc < 0)
        return rc;
    op.port = (evtchn_port_t)rc;
    return port_answer(d, rc, arg, &op, sizeof(op));
}

static long op_bind_vcpu(struct domain *d, uint64_t arg)
{
    struct evtchn_bind_vcpu op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    return channel_bind_vcpu(d, op.port, op.vcpu);
}

static long op_status(uint64_t arg)
{
    struct evtchn_status op;
    struct domain *d;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    rc = domain_named(op.dom, &d);
    if (rc != 0)
        return rc;
    rc = channel_status(d, op.port, &op);
    named_release(d);
    if (rc == 0)
        rc = copy_to_guest(arg, &op, sizeof(op));
    return rc;
}

static long op_reset(uint64_t arg)
{
    struct evtchn_reset op;
    struct domain *d;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    rc = domain_named(op.dom, &d);
    if (rc != 0)
        return rc;
    channel_close_all(d);
    named_release(d);
    return 0;
}

long hypercall_event_channel_op(int cmd, uint64_t arg)
{
    struct domain *d = current_vcpu()->domain;
    evtchn_port_t port; /* the whole argument of send, close and unmask */

    switch (cmd) {
    case EVTCHNOP_send:
    case EVTCHNOP_unmask:
    case EVTCHNOP_close:
        if (copy_from_guest(&port, arg, sizeof(port)) != 0)
            return -EFAULT;
        if (likely(cmd == EVTCHNOP_send))
            return channel_send(d, port);
        return cmd == EVTCHNOP_unmask ? channel_unmask(d, port) : channel_close(d, port);
    case EVTCHNOP_alloc_unbound: return op_alloc_unbound(arg);
    case EVTCHNOP_bind_interdomain: return op_bind_interdomain(d, arg);
    case EVTCHNOP_bind_virq: return op_bind_virq(d, arg);
    case EVTCHNOP_bind_ipi: return op_bind_ipi(d, arg);
    case EVTCHNOP_bind_vcpu: return op_bind_vcpu(d, arg);
    case EVTCHNOP_status: return op_status(arg);
    case EVTCHNOP_reset: return op_reset(arg);
    default: return -ENOSYS;
    }
}
