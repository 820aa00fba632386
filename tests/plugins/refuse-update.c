// SPDX-License-Identifier: MIT
/* Answers every update with an error. */
#include "bad.h"

static int refuse_update_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    plugin_say_text(host, PLUGIN_ERROR, "not in the mood");
    return -EBUSY;
}

SCHED_PLUGIN("refuse-update", refuse_update_update);
