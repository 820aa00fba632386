/* SPDX-License-Identifier: MIT */
/* Control operations on the trace: start, stop, where the rings are. Contract: <collet/control.h>. */
#include "control-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "guest-access.h"
#include "hypercall.h"
#include "trace.h"

#include <hv/errno.h>

/* Who runs here, as if it had just begun: else a reader could not know it before the next switch, which may be long in coming. */
static void trace_current(void *arg unused_arg)
{
    const struct vcpu *v = this_cpu()->current;

    trace_vcpu(COLLET_TRACE_SWITCH, v, trace_subject(v), ~0ull);
}

static void trace_set_kinds(uint64_t kinds)
{
    uint64_t flags;

    trace_enable(kinds);
    if (kinds & 1ull << COLLET_TRACE_SWITCH) {
        cpu_call(cpu_online_mask & ~cpu_bit(this_cpu_id()), trace_current, NULL);
        flags = irq_save();
        trace_current(NULL);
        irq_restore(flags);
    }
    hypercalls_trace((kinds & (1ull << COLLET_TRACE_HYPERCALL | 1ull << COLLET_TRACE_HYPERCALL_ENTER)) != 0);
}

long control_trace_start(uint64_t arg, size_t bytes)
{
    struct collet_trace_start op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (op.pad != 0 || op.kinds == 0 || (op.kinds >> COLLET_TRACE_KINDS) != 0)
        return -EINVAL;
    rc = trace_rings_make(op.pages);
    if (rc != 0)
        return rc;
    trace_set_kinds(op.kinds);
    return 0;
}

long control_trace_stop(uint64_t arg unused_arg, size_t bytes unused_arg)
{
    trace_set_kinds(0);
    return 0;
}

static int copy_mfns(const struct collet_trace_info *op, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t mfn = virt_to_mfn(trace_page(op->cpu, i)).n;

        if (copy_to_guest(op->mfns + i * sizeof(mfn), &mfn, sizeof(mfn)) != 0)
            return -EFAULT;
    }
    return 0;
}

long control_trace_info(uint64_t arg, size_t bytes)
{
    struct collet_trace_info op;
    uint32_t count = 0;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (op.cpu >= cpu_count)
        return -EINVAL;
    op.kinds = READ_ONCE(trace_kinds);
    op.cpus = cpu_count;
    op.pages = trace_pages();
    if (op.mfns != 0 && op.pages != 0) {
        count = min(op.count, op.pages + 1);
        rc = copy_mfns(&op, count);
        if (rc != 0)
            return rc;
    }
    op.count = count;
    return control_copy_out(arg, bytes, &op, sizeof(op));
}
