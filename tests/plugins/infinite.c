// SPDX-License-Identifier: MIT
/* An infinite value. */
#include "bad.h"

static int infinite_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    host->set(host, 1, PLUGIN_ALL, "weight", INFINITY, "because");
    return 0;
}

SCHED_PLUGIN("infinite", infinite_update);
