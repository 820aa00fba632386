// SPDX-License-Identifier: MIT
/* Ends its process. */
#include "bad.h"

static int silent_exit_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    _exit(0);
}

SCHED_PLUGIN("silent-exit", silent_exit_update);
