// SPDX-License-Identifier: MIT
/* A domain that does not exist. */
#include "bad.h"

static int domain_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    host->set(host, 77, PLUGIN_ALL, "weight", 5, "because");
    return 0;
}

SCHED_PLUGIN("domain", domain_update);
