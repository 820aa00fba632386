// SPDX-License-Identifier: MIT
/* A value beyond the greatest. */
#include "bad.h"

static int range_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    host->set(host, 1, PLUGIN_ALL, "weight", 65536, "because");
    return 0;
}

SCHED_PLUGIN("range", range_update);
