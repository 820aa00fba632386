// SPDX-License-Identifier: MIT
/* Hangs before it is loaded. */
#include "bad.h"

static void __attribute__((constructor)) hang(void)
{
    for (;;)
        sleep(1);
}

static int hang_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    return 0;
}

SCHED_PLUGIN("hang-load", hang_update);
