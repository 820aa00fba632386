// SPDX-License-Identifier: MIT
/* Takes memory until there is none, and does not ask whether it got it. */
#include "bad.h"

static int leak_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    for (;;)
        *(volatile char *)malloc(1u << 20) = 1;
    return 0;
}

SCHED_PLUGIN("leak", leak_update);
