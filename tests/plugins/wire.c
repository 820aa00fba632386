// SPDX-License-Identifier: MIT
/* Writes to the socket that it speaks with the daemon through. */
#include "bad.h"

static int wire_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    char junk[64];

    memset(junk, 0xa5, sizeof(junk));
    return write(3, junk, sizeof(junk)) < 0 ? -EIO : 0;
}

SCHED_PLUGIN("wire", wire_update);
