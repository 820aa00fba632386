// SPDX-License-Identifier: MIT
/*
 * A plugin's turn: admissions that wait for it, then events, then ticks; and its updates: the world that it is shown, the answer that it gives.
 * Contract: plugin-host.h; the whole: docs/concepts/plugin-host.md.  Tests: test-plugin-host.c.
 */
#include "plugin-host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SOON_NS (5 * NS_PER_MS) /* events that come within this become one call of each kind */
#define SCHED_SETTLES_NS (50 * NS_PER_MS)

static void events_ripe(void *arg);

/* ---- Updates ---- */

/* A part that is refused is mostly a mistake in a file of the administrator's, so it is told, and no reason to stop the plugin: -EIO, unlike nonsense. */
static int rules_apply(struct plugin *plugin, const struct plugin_worker *w, char *error, size_t bytes)
{
    const struct plugins_daemon *daemon = &plugin->plugins->set.daemon;
    const char *text = w->rules != NULL ? w->rules : "";

    if (!(plugin->kind & COLLET_PLUGIN_NET) || w->rules_order > PLUGIN_RULES_ORDER_MAX || w->rules_bytes > COLLET_PLUGIN_RULES_MAX) {
        snprintf(error, bytes, "it answered rules of %zu bytes, order %u: %s", w->rules_bytes, w->rules_order, plugin->kind & COLLET_PLUGIN_NET ? "at most 1 MiB and 99 are taken" : "it is not of kind COLLET_PLUGIN_NET");
        return -EINVAL;
    }
    if (daemon->apply_rules == NULL) {
        snprintf(error, bytes, "this daemon does not look after network rules");
        return -EIO;
    }
    return daemon->apply_rules(daemon->arg, plugin->name, w->rules_order, text, error, bytes) == 0 ? 0 : -EIO;
}

void plugin_updated(struct plugin *plugin, struct plugin_worker *w, int rc)
{
    struct plugin_unpack u;
    struct collet_plugin_world world;
    char error[1024] = "no memory";

    plugin->updates++;
    if (rc != 0) {
        snprintf(error, sizeof(error), "update answered %d (%s)%s%.800s; nothing is changed", rc, strerror(rc < 0 ? -rc : rc), w->errors != NULL ? ": " : "", w->errors != NULL ? w->errors : "");
        plugin_set_error(plugin, error);
        plugin_say(plugin, 1, "%s", error);
        return;
    }
    rc = plugin_worker_world(w, &u, &world) ? plugin_answer(plugin->plugins, plugin, w, &world, error, sizeof(error)) : -ENOMEM;
    plugin_unpack_free(&u);
    if (rc >= 0 && w->rules_said)
        rc = rules_apply(plugin, w, error, sizeof(error));
    if (rc == -EINVAL) {
        plugin->worker = NULL;
        plugin_worker_free(w);
        plugin_failed(plugin, error);
    } else if (rc == -ESTALE) {
        plugin->events |= 1u << COLLET_PLUGIN_SCHED_CHANGED;
        if (plugin->soon == NULL) /* a little later, when the daemon knows the new module */
            plugin->soon = loop_timer(plugin->plugins->set.loop, SCHED_SETTLES_NS, events_ripe, plugin);
    } else if (rc < 0) {
        plugin_set_error(plugin, error);
        plugin_say(plugin, 1, "%s", error);
    } else {
        plugin->failed_in_row = 0;
        plugin_set_error(plugin, NULL);
    }
}

static uint64_t since(uint64_t total, uint64_t before)
{
    return total >= before ? total - before : total;
}

static const struct plugin_totals *totals_of(const struct plugin *plugin, uint32_t domid)
{
    for (uint32_t i = 0; i < plugin->totals_count; i++)
        if (plugin->totals[i].domid == domid)
            return &plugin->totals[i];
    return NULL;
}

/* What has happened to it since the plugin was asked last. */
static void fill_interval(struct collet_plugin_domain *d, const struct plugin_totals *before)
{
    d->interval_run_ns = since(d->run_ns, before->run_ns);
    d->interval_runnable_ns = since(d->runnable_ns, before->runnable_ns);
    d->interval_blocked_ns = since(d->blocked_ns, before->blocked_ns);
    d->interval_wakes = since(d->wakes, before->wakes);
    d->interval_dispatches = since(d->dispatches, before->dispatches);
    for (int i = 0; i < COLLET_LATENCY_BUCKETS; i++)
        d->interval_latency[i] = since(d->latency[i], before->latency[i]);
}

static void keep_totals(struct plugin_totals *t, const struct collet_plugin_domain *d)
{
    *t = (struct plugin_totals){d->domid, d->run_ns, d->runnable_ns, d->blocked_ns, d->wakes, d->dispatches, {0}};
    memcpy(t->latency, d->latency, sizeof(t->latency));
}

struct update {
    enum collet_plugin_event event;
    const struct collet_plugin_world *world;
};

static void fill_update(struct plugin_pack *p, void *arg)
{
    const struct update *update = arg;

    plugin_pack_u64(p, update->event);
    plugin_pack_world(p, update->world);
}

/* Rules have to name a domain as its interfaces do, or they would meet nothing. */
static const char *name_for(const struct plugin *plugin, const struct collet_plugin_domain *d)
{
    const struct plugins_daemon *daemon = &plugin->plugins->set.daemon;
    const char *name = plugin->kind & COLLET_PLUGIN_NET && daemon->rules_name != NULL ? daemon->rules_name(daemon->arg, d->domid) : NULL;

    return name != NULL ? name : d->name;
}

static int update_call(struct plugin *plugin, enum collet_plugin_event event, const struct collet_plugin_world *world)
{
    static const struct plugin_totals none;
    struct collet_plugin_domain *domains = calloc(world->domain_count + 1, sizeof(*domains));
    struct plugin_totals *totals = calloc(world->domain_count + 1, sizeof(*totals));
    struct collet_plugin_world copy = *world;
    int rc = -ENOMEM;

    if (domains != NULL && totals != NULL) {
        for (uint32_t i = 0; i < world->domain_count; i++) {
            const struct plugin_totals *before = totals_of(plugin, world->domains[i].domid);

            domains[i] = world->domains[i];
            domains[i].name = name_for(plugin, &world->domains[i]);
            if (plugin->last_call_ns != 0)
                fill_interval(&domains[i], before != NULL ? before : &none);
            keep_totals(&totals[i], &domains[i]);
        }
        copy.domains = domains;
        copy.interval_ns = plugin->last_call_ns != 0 ? since(world->now_ns, plugin->last_call_ns) : 0;
        rc = plugin_worker_call(plugin->worker, PLUGIN_MESSAGE_UPDATE, fill_update, &(struct update){event, &copy});
    }
    free(domains);
    if (rc != 0) {
        free(totals);
        return rc;
    }
    free(plugin->totals);
    plugin->totals = totals;
    plugin->totals_count = world->domain_count;
    plugin->last_call_ns = world->now_ns;
    return 0;
}

int plugin_world_now(struct plugins *plugins, const struct collet_plugin_world **world)
{
    int rc = plugins->set.daemon.world(plugins->set.daemon.arg, world);

    if (rc == 0)
        plugins->system_ahead_ns = (*world)->now_ns - loop_now();
    return rc;
}

static void update_start(struct plugin *plugin)
{
    enum collet_plugin_event event = (enum collet_plugin_event)__builtin_ctz(plugin->events);
    const struct collet_plugin_world *world;

    plugin->events &= ~(1u << event);
    if (plugin_world_now(plugin->plugins, &world) != 0)
        return;
    if (event == COLLET_PLUGIN_SCHED_CHANGED || strcmp(plugin->sched, world->sched) != 0)
        plugin_values_forget(plugin, true, world);
    snprintf(plugin->sched, sizeof(plugin->sched), "%s", world->sched);
    plugin_values_forget(plugin, false, world);
    update_call(plugin, event, world);
}

/* ---- Turns ---- */

static void tick(void *arg)
{
    struct plugin *plugin = arg;

    plugin->timer = NULL;
    plugin->events |= 1u << COLLET_PLUGIN_TICK;
    plugin_next(plugin);
}

/* If its worker is free, give it what waits; if nothing does, set the clock. */
void plugin_next(struct plugin *plugin)
{
    if (plugin->state != PLUGIN_RUNNING || plugin->worker->phase != PHASE_IDLE)
        return;
    plugin_admissions_step(plugin->plugins);
    if (plugin->state != PLUGIN_RUNNING || plugin->worker->phase != PHASE_IDLE || (plugin->kind & PLUGIN_KINDS_UPDATED) == 0)
        return;
    if (plugin->events != 0 && plugin->soon == NULL)
        update_start(plugin);
    if (plugin->timer == NULL)
        plugin->timer = loop_timer(plugin->plugins->set.loop, plugin->interval_ms * NS_PER_MS, tick, plugin);
}

static void events_ripe(void *arg)
{
    struct plugin *plugin = arg;

    plugin->soon = NULL;
    plugin_next(plugin);
}

void plugin_event(struct plugin *plugin, enum collet_plugin_event event)
{
    plugin->events |= 1u << event;
    if (plugin->soon == NULL)
        plugin->soon = loop_timer(plugin->plugins->set.loop, SOON_NS, events_ripe, plugin);
}
