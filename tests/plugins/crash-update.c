// SPDX-License-Identifier: MIT
/* Crashes in update, after it has asked for something. */
#include "bad.h"

static int crash_update_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    host->set(host, 0, PLUGIN_ALL, "weight", 7, "because");
    *(volatile int *)state = 1; /* state is NULL */
    return 0;
}

SCHED_PLUGIN("crash-update", crash_update_update);
