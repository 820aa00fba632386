// SPDX-License-Identifier: MIT
/*
 * platform_op of <xen/platform.h>: Domain0 has no platform of its own; it may set the wall clock. Contract: hypercall.h.
 */
#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "hypercall.h"
#include "time.h"
#include "vcpu.h"

#include <hv/errno.h>
#include <xen/platform.h>

static long platform_set_time(const struct xenpf_settime64 *op)
{
    struct domain *d;

    if (op->mbz != 0 || op->nsecs >= NS_PER_S || op->system_time > clock_now_ns())
        return -EINVAL;
    if (op->secs > INT64_MAX / NS_PER_S || op->secs * NS_PER_S + op->nsecs < op->system_time)
        return -EINVAL; /* wall time at system time 0 would not be a time */
    clock_set_wall(op->secs, op->nsecs, op->system_time);
    spin_lock(&domain_list_lock);
    for (d = domain_list; d != NULL; d = d->next)
        domain_wallclock_publish(d);
    spin_unlock(&domain_list_lock);
    return 0;
}

long hypercall_platform_op(uint64_t arg)
{
    struct xen_platform_op op;

    if (!current_vcpu()->domain->privileged)
        return -EPERM;
    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    if (op.interface_version != XENPF_INTERFACE_VERSION)
        return -EACCES;
    return op.cmd == XENPF_settime64 ? platform_set_time(&op.u.settime64) : -ENOSYS;
}
