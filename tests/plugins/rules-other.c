// SPDX-License-Identifier: MIT
/* Answers network rules, though its kind has none. */
#include "bad.h"

static int rules_other_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    host->rules(host, 1, "drop in\n");
    return 0;
}

const struct collet_plugin collet_plugin = {.api = COLLET_PLUGIN_API,
                                            .size = sizeof(struct collet_plugin),
                                            .kind = COLLET_PLUGIN_SCHED,
                                            .interval_ms = 100,
                                            .name = "rules-other",
                                            .summary = "a test",
                                            .configure = configure_nothing,
                                            .update = rules_other_update};
