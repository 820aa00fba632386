// SPDX-License-Identifier: MIT
/* Asks for a weight of a VBD that is not on that disk, after one that is. */
#include "bad.h"

static int nowhere_update(UPDATE_ARGS)
{
    UPDATE_UNUSED;
    plugin_set_vbd(host, 0, 2, "weight", 10, "there");
    plugin_set_vbd(host, 0, 77, "weight", 10, "not there");
    return 0;
}

const struct collet_plugin collet_plugin = {.api = COLLET_PLUGIN_API,
                                            .size = sizeof(struct collet_plugin),
                                            .kind = COLLET_PLUGIN_DISK,
                                            .interval_ms = 100,
                                            .name = "disk-nowhere",
                                            .summary = "a test",
                                            .configure = configure_nothing,
                                            .update = nowhere_update};
