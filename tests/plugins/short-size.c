// SPDX-License-Identifier: MIT
/* Its descriptor is too short. */
#include "bad.h"

static int any_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    return 0;
}

const struct collet_plugin collet_plugin = {.api = COLLET_PLUGIN_API, .size = 16, .kind = COLLET_PLUGIN_SCHED, .name = "short-size", .configure = configure_nothing, .update = any_update};
