// SPDX-License-Identifier: MIT
/*
 * mine: who waited for a processor longer than it ran gets more weight; who did not gets its old one back.
 *
 * Copy this folder, give it your name (the file, .name below, and the settings file are called the same), and change what it computes.
 * Contract: <hv/plugin.h>.  Tests: test-mine.c.  Guide: docs/write-a-plugin.md.
 */
#include <hv/plugin-tools.h>

/* What lasts from call to call. */
struct mine {
    double base, most;
};

static const char mine_help[] = "base = 256     weight of a domain that does not wait\n"
                                "most = 1024    weight of one that does";

/* Each setting is known and makes sense, or it is told with file and line and what would be right. */
static int mine_configure(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state)
{
    struct mine *mine = calloc(1, sizeof(*mine));
    int rc = mine != NULL ? 0 : -ENOMEM;

    if (mine != NULL)
        *mine = (struct mine){.base = 256, .most = 1024};
    for (uint32_t i = 0; i < count && mine != NULL; i++) {
        const struct collet_plugin_setting *s = &settings[i];
        double *to = strcmp(s->key, "base") == 0 ? &mine->base : strcmp(s->key, "most") == 0 ? &mine->most : NULL;

        if (s->section[0] != '\0' || to == NULL)
            rc = plugin_setting_wrong(host, s, "mine knows `base` and `most`, without a section");
        else if (!plugin_read_count(s->value, to) || *to < 1)
            rc = plugin_setting_wrong(host, s, "a number from 1 was expected");
    }
    if (rc == 0)
        *state = mine;
    else
        free(mine);
    return rc;
}

/* Called at events and every .interval_ms: say what should be in force. What is in force already costs nothing; what is not named stays as it is. */
static int mine_update(const struct collet_plugin_host *host, void *state, enum collet_plugin_event event, const struct collet_plugin_world *world)
{
    const struct collet_plugin_parameter *weight = plugin_parameter(world, "weight", PLUGIN_SCOPE_DOMAIN);
    const struct mine *mine = state;

    (void)event;
    if (weight == NULL) {
        plugin_say_text(host, PLUGIN_WARNING, "the scheduler %s has no weights", world->sched);
        return 0;
    }
    for (uint32_t i = 0; i < world->domain_count; i++) {
        const struct collet_plugin_domain *d = &world->domains[i];
        bool waits = d->interval_runnable_ns > d->interval_run_ns;

        plugin_set_domain(host, d->domid, "weight", waits ? mine->most : mine->base, waits ? "waited longer than it ran" : "ran longer than it waited");
    }
    return 0;
}

/* The one name that is seen from outside. */
const struct collet_plugin collet_plugin = {
    .api = COLLET_PLUGIN_API,
    .size = sizeof(struct collet_plugin),
    .kind = COLLET_PLUGIN_SCHED,
    .interval_ms = 1000,
    .name = "mine",
    .summary = "more weight to those who wait",
    .help = mine_help,
    .configure = mine_configure,
    .update = mine_update,
    .end = free,
};
