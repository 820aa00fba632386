// SPDX-License-Identifier: MIT
/* One good value and one that is no number. */
#include "bad.h"

static int nan_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    host->set(host, 0, PLUGIN_ALL, "weight", 300, "because");
    host->set(host, 1, PLUGIN_ALL, "weight", NAN, "because");
    return 0;
}

SCHED_PLUGIN("nan", nan_update);
