// SPDX-License-Identifier: MIT
/* A value that no integer holds. */
#include "bad.h"

static int huge_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    host->set(host, 1, PLUGIN_ALL, "weight", 1e300, "because");
    return 0;
}

SCHED_PLUGIN("huge", huge_update);
