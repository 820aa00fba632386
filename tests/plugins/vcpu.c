// SPDX-License-Identifier: MIT
/* A vCPU that does not exist. */
#include "bad.h"

static int vcpu_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    host->set(host, 1, 9, "weight", 5, "because");
    return 0;
}

SCHED_PLUGIN("vcpu", vcpu_update);
