/* SPDX-License-Identifier: MIT */
/* COLLET_OP_LOG_READ: the hypervisor's log, as text. Contract: <collet/control.h>; the ring: lib/log.c. */
#include "control-internal.h"

#include "cpu.h"
#include "guest-access.h"
#include "log.h"

#include <hv/errno.h>

#define CHUNK 512u
#define READ_MAX 65536u /* more than is ever kept */

long control_log_read(uint64_t arg, size_t bytes)
{
    struct collet_log_read op;
    char chunk[CHUNK];
    uint32_t room, written = 0;
    size_t n;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (op.pad != 0)
        return -EINVAL;
    op.next = op.from;
    for (room = min(op.bytes, READ_MAX); written < room; written += (uint32_t)n) {
        n = log_read(&op.next, chunk, min((uint32_t)sizeof(chunk), room - written));
        if (n == 0)
            break;
        if (copy_to_guest(op.buffer + written, chunk, n) != 0)
            return -EFAULT;
        preempt_point();
    }
    op.bytes = written;
    return control_copy_out(arg, bytes, &op, sizeof(op));
}
