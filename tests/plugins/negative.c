// SPDX-License-Identifier: MIT
/* A negative value. */
#include "bad.h"

static int negative_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    host->set(host, 1, PLUGIN_ALL, "weight", -5, "because");
    return 0;
}

SCHED_PLUGIN("negative", negative_update);
