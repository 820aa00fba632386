// SPDX-License-Identifier: MIT
/* Refuses its settings, in two lines. */
#include "bad.h"

static int refuse_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    (void)settings, (void)count, (void)state;
    plugin_say_text(host, PLUGIN_ERROR, "line one is wrong");
    plugin_say_text(host, PLUGIN_ERROR, "line two too");
    return -EINVAL;
}

static int refuse_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    return 0;
}

const struct collet_plugin collet_plugin = {.api = COLLET_PLUGIN_API, .size = sizeof(struct collet_plugin), .kind = COLLET_PLUGIN_SCHED, .name = "refuse-configure", .configure = refuse_configure, .update = refuse_update};
