// SPDX-License-Identifier: MIT
/*
 * physdev_op of <xen/physdev.h>: no domain has physical devices; what is left is what Linux asks while it starts. Contract: hypercall.h.
 */
#include "cpu.h"
#include "guest-access.h"
#include "hypercall.h"
#include "vcpu.h"

#include <hv/errno.h>
#include <xen/physdev.h>

#define IO_PORTS 65536u

/* Only remembered: it decides nothing but what the emulator of I/O instructions would answer anyway. */
static long physdev_set_iopl(uint64_t arg)
{
    struct physdev_set_iopl op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    if (op.iopl > 3)
        return -EINVAL;
    current_vcpu()->iopl = (uint8_t)op.iopl;
    return 0;
}

/* A process asks for ports; it gets what all get: nothing behind any of them. */
static long physdev_set_iobitmap(uint64_t arg)
{
    struct physdev_set_iobitmap op;

    if (copy_from_guest(&op, arg, sizeof(op)) != 0)
        return -EFAULT;
    return op.nr_ports <= IO_PORTS ? 0 : -EINVAL;
}

long hypercall_physdev_op(int cmd, uint64_t arg)
{
    switch (cmd) {
    case PHYSDEVOP_set_iopl:
        return physdev_set_iopl(arg);
    case PHYSDEVOP_set_iobitmap:
        return physdev_set_iobitmap(arg);
    default:
        return -ENOSYS;
    }
}
