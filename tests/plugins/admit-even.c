// SPDX-License-Identifier: MIT
/* Admits domains with an even number of frames. */
#include "bad.h"

static int admit_even(const struct collet_plugin_host *host, void *state, const struct collet_plugin_request *request, const struct collet_plugin_world *world)
{
    (void)host, (void)state, (void)request, (void)world;
    if (request->frames % 2 == 0)
        return 0;
    plugin_say_text(host, PLUGIN_ERROR, "%s wants %llu frames, which is odd; %u domains are there", request->name, (unsigned long long)request->frames, world->domain_count);
    return -EPERM;
}

const struct collet_plugin collet_plugin = {.api = COLLET_PLUGIN_API, .size = sizeof(struct collet_plugin), .kind = COLLET_PLUGIN_ADMISSION, .name = "admit-even", .configure = configure_nothing, .admit = admit_even};
