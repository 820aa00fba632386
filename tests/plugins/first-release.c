// SPDX-License-Identifier: MIT
/* Built against the header of the first release: it has to load, and to see the world as it was, in every later daemon. */
#include "released/plugin-api-1.h"

#include <errno.h>

static int first_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    (void)state;
    host->say(host, 0, count == 1 && settings[0].line == 2 ? settings[0].value : "nothing");
    return 0;
}

static int first_update(const struct collet_plugin_host *host, void *state, enum collet_plugin_event event, const struct collet_plugin_world *world)
{
    (void)state, (void)event;
    if (world->size < sizeof(*world) || world->domain_count != 3 || world->parameter_count < 2)
        return -EPROTO;
    for (uint32_t i = 0; i < world->domain_count; i++)
        host->set(host, world->domains[i].domid, ~0u, world->parameters[0].name, (double)(1000 * world->domains[i].vcpus + world->domains[i].domid), world->domains[i].name);
    return 0;
}

const struct collet_plugin collet_plugin = {
    .api = COLLET_PLUGIN_API, .size = sizeof(struct collet_plugin), .kind = COLLET_PLUGIN_SCHED, .name = "first-release", .configure = first_configure, .update = first_update};
