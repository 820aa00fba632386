// SPDX-License-Identifier: MIT
/* Answers more network rules than are taken. */
#include "bad.h"

static int rules_long_update(UPDATE_ARGS)
{
    static char text[COLLET_PLUGIN_RULES_MAX + 100000];

    UPDATE_UNUSED;
    memset(text, '#', sizeof(text) - 1);
    host->rules(host, 1, text);
    return 0;
}

const struct collet_plugin collet_plugin = {.api = COLLET_PLUGIN_API,
                                            .size = sizeof(struct collet_plugin),
                                            .kind = COLLET_PLUGIN_NET,
                                            .interval_ms = 100,
                                            .name = "rules-long",
                                            .summary = "a test",
                                            .configure = configure_nothing,
                                            .update = rules_long_update};
