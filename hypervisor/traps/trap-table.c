/* SPDX-License-Identifier: MIT */
/*
 * Where a guest wants to be called: trap table and callbacks (xen/xen.h, xen/callback.h). Every address is checked here, once, to be one that
 * sysretq and iretq can take and that is not the hypervisor's; so the bounces need not.
 */
#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "hypercall.h"
#include "traps.h"
#include "vcpu.h"

#include <hv/errno.h>
#include <xen/callback.h>

static bool entry_ok(uint64_t address)
{
    return guest_range_ok(address, 1);
}

int trap_entry_set(struct vcpu *v, const struct trap_info *t)
{
    if (t->address != 0 && !entry_ok(t->address))
        return -EINVAL;
    v->traps[t->vector] = (struct guest_trap){
        .address = t->address,
        .dpl = TI_GET_DPL(t),
        .masks_events = TI_GET_IF(t) != 0,
    };
    return 0;
}

long hypercall_set_trap_table(uint64_t traps)
{
    struct vcpu *v = current_vcpu();
    struct trap_info t;
    unsigned int i;
    int rc = 0;

    if (traps == 0) {
        for (i = 0; i < ARRAY_SIZE(v->traps); i++)
            v->traps[i] = (struct guest_trap){0};
        return 0;
    }
    /* An entry for each vector once over is all that makes sense; an address of 0 ends the list. */
    for (i = 0; rc == 0; i++, traps += sizeof(t)) {
        if (copy_from_guest(&t, traps, sizeof(t)) != 0)
            return -EFAULT;
        if (t.address == 0)
            break;
        if (i >= ARRAY_SIZE(v->traps))
            return -EINVAL;
        rc = trap_entry_set(v, &t);
    }
    return rc;
}

static int callback_set(struct vcpu *v, unsigned int type, uint64_t address, bool masks)
{
    if (address != 0 && !entry_ok(address))
        return -EINVAL;
    switch (type) {
    case CALLBACKTYPE_event:
        v->event_entry = address;
        return 0;
    case CALLBACKTYPE_failsafe:
        v->failsafe_entry = address;
        v->failsafe_masks_events = masks;
        return 0;
    case CALLBACKTYPE_syscall:
        v->syscall_entry = address;
        v->syscall_masks_events = masks;
        return 0;
    case CALLBACKTYPE_syscall32:
        v->syscall32_entry = address;
        v->syscall32_masks_events = masks;
        return 0;
    case CALLBACKTYPE_nmi:
        v->nmi_entry = address;
        return 0;
    default:
        return -ENOSYS; /* sysenter among them: SEP is not shown to guests */
    }
}

long hypercall_callback_op(int cmd, uint64_t arg)
{
    struct vcpu *v = current_vcpu();
    struct callback_register reg;
    struct callback_unregister unreg;

    switch (cmd) {
    case CALLBACKOP_register:
        if (copy_from_guest(&reg, arg, sizeof(reg)) != 0)
            return -EFAULT;
        return callback_set(v, reg.type, reg.address, reg.flags & CALLBACKF_mask_events);
    case CALLBACKOP_unregister:
        if (copy_from_guest(&unreg, arg, sizeof(unreg)) != 0)
            return -EFAULT;
        /* As in the public header's users: only the NMI callback can be taken back. */
        return unreg.type == CALLBACKTYPE_nmi ? callback_set(v, unreg.type, 0, false) : -EINVAL;
    default:
        return -ENOSYS;
    }
}

long hypercall_set_callbacks(uint64_t event, uint64_t failsafe, uint64_t syscall)
{
    struct vcpu *v = current_vcpu();

    if (!entry_ok(event) || !entry_ok(failsafe) || !entry_ok(syscall))
        return -EINVAL;
    v->event_entry = event;
    v->failsafe_entry = failsafe;
    v->syscall_entry = syscall;
    return 0;
}
