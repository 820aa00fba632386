/* SPDX-License-Identifier: MIT */
/* Control operations on captures. Contract: <collet/control.h>; what is behind them: vfr/capture.c. */
#include "control-internal.h"

#include "alloc.h"
#include "capture.h"
#include "cpu.h"
#include "guest-access.h"

#include <hv/errno.h>

static int filter_copy_in(const struct collet_capture_open *op, struct vfr_bpf_insn **filter)
{
    size_t bytes = op->filter_count * sizeof(**filter);

    *filter = NULL;
    if (op->filter_count > COLLET_CAPTURE_FILTER_MAX)
        return -E2BIG;
    if (bytes == 0)
        return 0;
    *filter = heap_alloc(bytes);
    if (*filter == NULL)
        return -ENOMEM;
    if (copy_from_guest(*filter, op->filter, bytes) == 0)
        return 0;
    heap_free(*filter);
    return -EFAULT;
}

long control_capture_open(uint64_t arg, size_t bytes)
{
    struct collet_capture_open op;
    struct vfr_bpf_insn *filter;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc == 0)
        rc = filter_copy_in(&op, &filter);
    if (rc != 0)
        return rc;
    rc = capture_open(&op, filter);
    if (rc != 0)
        heap_free(filter);
    if ((rc == 0 || rc == -EINVAL) && control_copy_out(arg, bytes, &op, sizeof(op)) != 0) {
        if (rc == 0)
            (void)!capture_close(op.capture); /* nobody would know its number */
        return -EFAULT;
    }
    return rc;
}

static int positions_take(const struct collet_capture_info *op)
{
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        uint64_t position;
        int rc;

        if (copy_from_guest(&position, op->consumed + cpu * sizeof(position), sizeof(position)) != 0)
            return -EFAULT;
        rc = capture_consume(op->capture, cpu, position);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int frames_give(struct collet_capture_info *op)
{
    uint32_t room = op->count;

    for (op->count = 0; op->count < room; op->count++) {
        const void *page = capture_page(op->capture, op->cpu, op->count);
        uint64_t mfn;

        if (page == NULL)
            return 0;
        mfn = virt_to_mfn(page).n;
        if (copy_to_guest(op->mfns + op->count * sizeof(mfn), &mfn, sizeof(mfn)) != 0)
            return -EFAULT;
    }
    return 0;
}

long control_capture_info(uint64_t arg, size_t bytes)
{
    struct collet_capture_info op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc == 0)
        rc = capture_info(&op);
    if (rc == 0 && op.consumed != 0)
        rc = positions_take(&op);
    if (rc == 0 && op.mfns != 0)
        rc = frames_give(&op);
    else
        op.count = 0;
    if (rc != 0)
        return rc;
    return control_copy_out(arg, bytes, &op, sizeof(op));
}

long control_capture_close(uint64_t arg, size_t bytes)
{
    struct collet_capture_ref op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    return rc != 0 ? rc : capture_close(op.capture);
}
