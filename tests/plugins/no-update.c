// SPDX-License-Identifier: MIT
/* A scheduling plugin without update. */
#include "bad.h"

const struct collet_plugin collet_plugin = {.api = COLLET_PLUGIN_API, .size = sizeof(struct collet_plugin), .kind = COLLET_PLUGIN_SCHED, .name = "no-update", .configure = configure_nothing, .update = NULL};
