// SPDX-License-Identifier: MIT
/* Crashes before it is loaded. */
#include "bad.h"

static void __attribute__((constructor)) crash(void)
{
    raise(SIGSEGV);
}

static int crash_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    return 0;
}

SCHED_PLUGIN("crash-load", crash_update);
