// SPDX-License-Identifier: MIT
/* Of no kind. */
#include "bad.h"

static int any_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    return 0;
}

const struct collet_plugin collet_plugin = {.api = COLLET_PLUGIN_API, .size = sizeof(struct collet_plugin), .kind = 0, .name = "no-kind", .configure = configure_nothing, .update = any_update};
