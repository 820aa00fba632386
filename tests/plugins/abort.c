// SPDX-License-Identifier: MIT
/* Complains at length on its standard error, and aborts. */
#include "bad.h"

static int abort_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    for (int i = 0; i < 100; i++)
        fprintf(stderr, "complaint %d\n", i);
    fprintf(stderr, "the end is near,\nthis far\n");
    abort();
}

SCHED_PLUGIN("abort", abort_update);
