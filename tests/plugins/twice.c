// SPDX-License-Identifier: MIT
/* The same value twice. */
#include "bad.h"

static int twice_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    host->set(host, 1, PLUGIN_ALL, "weight", 5, "because");
    host->set(host, 1, PLUGIN_ALL, "weight", 6, "because");
    return 0;
}

SCHED_PLUGIN("twice", twice_update);
