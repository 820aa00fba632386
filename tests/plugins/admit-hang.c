// SPDX-License-Identifier: MIT
/* Never says whether a domain may come. */
#include "bad.h"

static int admit_hang(const struct collet_plugin_host *host, void *state, const struct collet_plugin_request *request, const struct collet_plugin_world *world)
{
    (void)host, (void)state, (void)request, (void)world;
    for (volatile int on = 1; on != 0;)
        sleep(1);
    return 0;
}

const struct collet_plugin collet_plugin = {.api = COLLET_PLUGIN_API, .size = sizeof(struct collet_plugin), .kind = COLLET_PLUGIN_ADMISSION, .name = "admit-hang", .configure = configure_nothing, .admit = admit_hang};
