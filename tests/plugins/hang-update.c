// SPDX-License-Identifier: MIT
/* Never comes back. */
#include "bad.h"

static int hang_update_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    for (volatile int on = 1; on != 0;)
        ;
    return 0;
}

SCHED_PLUGIN("hang-update", hang_update_update);
