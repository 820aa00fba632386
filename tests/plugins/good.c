// SPDX-License-Identifier: MIT
/* Does all right: a weight from its settings. */
#include "bad.h"

#ifndef GOOD_NAME
#define GOOD_NAME "good"
#endif

struct good {
    double weight, only, warp;
    unsigned int updates;
    bool refuse;
};

static int good_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    struct good *good = calloc(1, sizeof(*good));

    *good = (struct good){.weight = 100, .only = -1, .warp = -1};
    for (uint32_t i = 0; i < count; i++) {
        double *to = strcmp(settings[i].key, "weight") == 0 ? &good->weight : strcmp(settings[i].key, "only") == 0 ? &good->only : strcmp(settings[i].key, "warp") == 0 ? &good->warp : NULL;

        if (to == NULL || !plugin_read_count(settings[i].value, to)) {
            free(good);
            return plugin_setting_wrong(host, &settings[i], "a number was expected");
        }
    }
    plugin_say_text(host, PLUGIN_NOTE, "weight %g", good->weight);
    *state = good;
    return 0;
}

/* The weight for each domain (or only one), and a greater one for vCPU 1 of those that have it. */
static int good_update(UPDATE_ARGS)
{
    struct good *good = state;

    good->updates++;
    plugin_say_text(host, PLUGIN_NOTE, "event %d, interval %s, runs %llu", event, world->interval_ns != 0 ? "yes" : "no",
                    (unsigned long long)world->domains[world->domain_count - 1].interval_run_ns);
    for (uint32_t i = 0; i < world->domain_count; i++) {
        if (good->only >= 0 && world->domains[i].domid != good->only)
            continue;
        plugin_set_domain(host, world->domains[i].domid, "weight", good->weight, "weight %g for %s", good->weight, world->domains[i].name);
        if (world->domains[i].vcpus > 1)
            host->set(host, world->domains[i].domid, 1, "weight", good->weight + 1, "more for vCPU 1");
        if (good->warp >= 0)
            plugin_set_domain(host, world->domains[i].domid, "warp_ns", good->warp, "warp");
    }
    return 0;
}

const struct collet_plugin collet_plugin = {
    .api = COLLET_PLUGIN_API,
    .size = sizeof(struct collet_plugin),
    .kind = COLLET_PLUGIN_SCHED,
    .interval_ms = 100,
    .name = GOOD_NAME,
    .summary = "sets a weight",
    .help = "weight = N",
    .configure = good_configure,
    .update = good_update,
    .end = free,
};
