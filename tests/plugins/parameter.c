// SPDX-License-Identifier: MIT
/* A parameter that does not exist. */
#include "bad.h"

static int parameter_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    host->set(host, 1, PLUGIN_ALL, "wieght", 5, "because");
    return 0;
}

SCHED_PLUGIN("parameter", parameter_update);
