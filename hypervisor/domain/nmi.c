// SPDX-License-Identifier: MIT
/*
 * nmi_op of <xen/nmi.h>: where vCPU 0 takes NMIs, instead of entry 2 of its trap table. Contract: hypercall.h.
 */
#include "cpu.h"
#include "guest-access.h"
#include "hypercall.h"
#include "vcpu.h"

#include <hv/errno.h>
#include <xen/nmi.h>

static long nmi_register(struct vcpu *v, uint64_t arg)
{
    struct xennmi_callback op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    if (v->id != 0 || !guest_range_ok(op.handler_address, 1))
        return -EINVAL;
    v->nmi_entry = op.handler_address;
    return 0;
}

long hypercall_nmi_op(unsigned int cmd, uint64_t arg)
{
    struct vcpu *v = current_vcpu();

    switch (cmd) {
    case XENNMI_register_callback:
        return nmi_register(v, arg);
    case XENNMI_unregister_callback:
        v->nmi_entry = 0;
        return 0;
    default:
        return -ENOSYS;
    }
}
