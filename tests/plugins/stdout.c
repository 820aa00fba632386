// SPDX-License-Identifier: MIT
/* Writes to its standard output; otherwise right. */
#include "bad.h"

static int stdout_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    for (int i = 0; i < 1000; i++)
        printf("out of place\n");
    fflush(stdout);
    if (write(2, "error\n", 6) != 6)
        return -EIO;
    host->set(host, 1, PLUGIN_ALL, "weight", 42, "because");
    return 0;
}

SCHED_PLUGIN("stdout", stdout_update);
