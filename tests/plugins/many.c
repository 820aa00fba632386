// SPDX-License-Identifier: MIT
/* A hundred thousand values. */
#include "bad.h"

static int many_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    for (int i = 0; i < 100000; i++)
        host->set(host, 1, PLUGIN_ALL, "weight", 5, "because");
    return 0;
}

SCHED_PLUGIN("many", many_update);
