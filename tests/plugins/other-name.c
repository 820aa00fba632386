// SPDX-License-Identifier: MIT
/* Not called as its file. */
#include "bad.h"

static int any_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    return 0;
}

const struct collet_plugin collet_plugin = {.api = COLLET_PLUGIN_API, .size = sizeof(struct collet_plugin), .kind = COLLET_PLUGIN_SCHED, .name = "something-else", .configure = configure_nothing, .update = any_update};
