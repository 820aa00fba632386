// SPDX-License-Identifier: MIT
/*
 * The life of a plugin: a worker is started, loaded and configured, takes over, fails, is waited for and started again, ends.
 *
 * A plugin has at most two workers: the one in charge, and a candidate that is being loaded and configured (at load, reload and restart). Only a candidate that was configured replaces what was there, so a
 * bad reload costs nothing. A worker that fails is replaced after a back-off that doubles; what the plugin had put in force stays, and stays its own.
 * Contract: plugin-host.h; the whole: docs/concepts/plugin-host.md.  Tests: test-plugin-host.c.
 */
#include "plugin-host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MIN_MS 100u
#define INTERVAL_MAX_MS 3600000u

const char *const plugin_state_names[PLUGIN_STATES] = {"starting", "running", "backoff", "stopped", "refused"};

struct plugin_ending {
    struct plugin_ending *next;
    struct plugins *plugins;
    struct plugin_worker *worker;
    struct plugin_waiter *waiter; /* or NULL */
};

static void set_state(struct plugin *plugin, enum plugin_state state)
{
    plugin->state = state;
    plugin->since_ns = plugin_now_ns(plugin->plugins);
}

/* ---- Workers that end ---- */

static void ending_said(void *arg, struct plugin_worker *w, int level, const char *text)
{
    (void)arg, (void)w, (void)level, (void)text;
}

static void ending_lost(void *arg, struct plugin_worker *w, bool refused, const char *why)
{
    struct plugin_ending *e = arg, **at;

    (void)w, (void)refused, (void)why;
    for (at = &e->plugins->endings; *at != e; at = &(*at)->next)
        ;
    *at = e->next;
    plugin_waiter_finish(e->waiter, 0, NULL);
    free(e);
}

static const struct plugin_worker_ops ending_ops = {.said = ending_said, .lost = ending_lost};

void plugin_worker_retire(struct plugins *plugins, struct plugin_worker *w, struct plugin_waiter *waiter)
{
    struct plugin_ending *e = w != NULL ? calloc(1, sizeof(*e)) : NULL;

    if (e == NULL) {
        if (w != NULL)
            plugin_worker_free(w);
        plugin_waiter_finish(waiter, 0, NULL);
        return;
    }
    *e = (struct plugin_ending){.next = plugins->endings, .plugins = plugins, .worker = w, .waiter = waiter};
    plugins->endings = e;
    w->ops = &ending_ops;
    w->arg = e;
    plugin_worker_end(w);
}

/* Give it the word to end, and let it go. */
void plugin_worker_release(struct plugins *plugins, struct plugin_worker *w)
{
    if (w == NULL)
        return;
    if (w->pid != 0 && (w->ending || plugin_worker_call(w, PLUGIN_MESSAGE_END, NULL, NULL) == 0)) {
        loop_child(plugins->set.loop, w->pid, NULL, NULL);
        w->pid = 0;
    }
    plugin_worker_free(w);
}

void plugin_endings_release(struct plugins *plugins)
{
    while (plugins->endings != NULL) {
        struct plugin_ending *e = plugins->endings;

        plugins->endings = e->next;
        plugin_worker_release(plugins, e->worker);
        free(e);
    }
}

/* ---- Starting, and what follows a failure ---- */

void plugin_timer_stop(struct loop_timer **timer)
{
    loop_timer_cancel(*timer);
    *timer = NULL;
}

static void backoff_over(void *arg)
{
    struct plugin *plugin = arg;

    plugin->timer = NULL;
    plugin->restarts++;
    plugin_candidate_start(plugin);
}

/* It has failed and has no worker. */
void plugin_failed(struct plugin *plugin, const char *why)
{
    struct plugins *plugins = plugin->plugins;
    uint64_t now_ns = loop_now();

    plugin->failures++;
    plugin_set_error(plugin, why);
    plugin_timer_stop(&plugin->timer);
    plugin_timer_stop(&plugin->soon);
    if (plugin->good_since_ns != 0 && now_ns - plugin->good_since_ns >= plugins->quiet_ns)
        plugin->backoff_ns = plugin->failed_in_row = 0;
    plugin->good_since_ns = 0;
    plugin->admitting = NULL;
    if (++plugin->failed_in_row > plugins->set.restarts_max) {
        set_state(plugin, PLUGIN_STOPPED);
        plugin_say(plugin, 2, "%s; it has failed %u times in a row and is not started again: `collet plugin reload %s` does", why, plugin->failed_in_row, plugin->name);
    } else {
        plugin->backoff_ns = plugin->backoff_ns == 0 ? plugins->backoff_first_ns : plugin->backoff_ns * 2;
        if (plugin->backoff_ns > plugins->backoff_max_ns)
            plugin->backoff_ns = plugins->backoff_max_ns;
        set_state(plugin, PLUGIN_BACKOFF);
        plugin_say(plugin, 2, "%s; its last good parameters stay; started again in %.3g s", why, (double)plugin->backoff_ns / NS_PER_S);
        plugin->timer = loop_timer(plugins->set.loop, plugin->backoff_ns, backoff_over, plugin);
    }
    plugin_admissions_step(plugins);
}

void plugin_refused(struct plugin *plugin, int rc, const char *why)
{
    plugin_settings_free(&plugin->next_settings);
    plugin->fresh = false;
    if (plugin->worker == NULL) {
        set_state(plugin, PLUGIN_REFUSED);
        plugin_set_error(plugin, why);
        plugin_say(plugin, 2, "refused: %s", why);
    } else {
        plugin_say(plugin, 2, "reload refused, the old one goes on: %s", why);
    }
    plugin_finish(plugin, rc, why);
    plugin_admissions_step(plugin->plugins);
}

static void candidate_failed(struct plugin *plugin, bool refused, const char *why)
{
    if (refused || plugin->worker != NULL) {
        plugin_refused(plugin, refused ? -ENOEXEC : -EIO, why);
        return;
    }
    /* It may be a passing trouble: the settings are kept for the next try. */
    plugin_finish(plugin, -EIO, why);
    plugin_failed(plugin, why);
}

static void worker_lost(void *arg, struct plugin_worker *w, bool refused, const char *why)
{
    struct plugin *plugin = arg;

    if (w == plugin->candidate) {
        plugin->candidate = NULL;
        candidate_failed(plugin, refused, why);
        return;
    }
    plugin->worker = NULL;
    plugin->admitting = NULL;
    if (plugin->candidate != NULL) { /* a reload is under way: it decides */
        set_state(plugin, PLUGIN_STARTING);
        plugin_say(plugin, 2, "%s", why);
    } else {
        plugin_failed(plugin, why);
    }
}

static void worker_said(void *arg, struct plugin_worker *w, int level, const char *text)
{
    (void)w;
    plugin_say(arg, level, "%s", text);
}

static void fill_settings(struct plugin_pack *p, void *arg)
{
    const struct plugin_settings *settings = arg;

    plugin_pack_settings(p, settings->list, settings->count);
}

static void worker_hello(void *arg, struct plugin_worker *w)
{
    struct plugin *plugin = arg;
    uint32_t ms = w->hello.interval_ms;

    w->hello.interval_ms = ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : ms > INTERVAL_MAX_MS ? INTERVAL_MAX_MS : ms;
    plugin->kind |= w->hello.kind; /* known from here on, even if its settings are refused */
    plugin_worker_call(w, PLUGIN_MESSAGE_CONFIGURE, fill_settings, plugin->fresh ? &plugin->next_settings : &plugin->settings);
}

/* The candidate has been configured: it is in charge now. */
static void candidate_take_over(struct plugin *plugin)
{
    struct plugin_worker *w = plugin->candidate;

    if (plugin->fresh) {
        plugin_settings_free(&plugin->settings);
        plugin->settings = plugin->next_settings;
        plugin->next_settings = (struct plugin_settings){0};
        plugin->fresh = false;
    }
    plugin->candidate = NULL;
    plugin->admitting = NULL;
    if (plugin->worker != NULL)
        plugin_worker_retire(plugin->plugins, plugin->worker, NULL);
    plugin->worker = w;
    plugin->kind = w->hello.kind;
    plugin->interval_ms = w->hello.interval_ms;
    free(plugin->summary);
    free(plugin->help);
    plugin->summary = w->hello.summary;
    plugin->help = w->hello.help;
    w->hello.summary = w->hello.help = NULL;
    w->call_limit_ns = plugin->settings.call_limit_ns != 0 ? plugin->settings.call_limit_ns : plugin->plugins->set.call_limit_ns;
    plugin->last_call_ns = 0;
    plugin->totals_count = 0;
    plugin->good_since_ns = loop_now();
    set_state(plugin, PLUGIN_RUNNING);
    if ((plugin->kind & PLUGIN_KINDS_UPDATED) != 0)
        plugin->events |= 1u << COLLET_PLUGIN_TICK;
    plugin_finish(plugin, 0, NULL);
    plugin_next(plugin);
    plugin_admissions_step(plugin->plugins);
}

static void configured(struct plugin *plugin, struct plugin_worker *w, int rc)
{
    char *why;

    if (rc == 0) {
        plugin_set_error(plugin, NULL);
        candidate_take_over(plugin);
        return;
    }
    if (w->errors != NULL)
        why = strdup(w->errors);
    else if (asprintf(&why, "configure answered %d (%s) and did not say why", rc, strerror(rc < 0 ? -rc : rc)) < 0)
        why = NULL;
    plugin->candidate = NULL;
    plugin_worker_free(w);
    plugin_refused(plugin, rc < 0 ? rc : -EINVAL, why != NULL ? why : "no memory");
    free(why);
}

static void worker_answered(void *arg, struct plugin_worker *w, enum plugin_message call, int rc)
{
    struct plugin *plugin = arg;

    if (call == PLUGIN_MESSAGE_CONFIGURE)
        configured(plugin, w, rc);
    else if (call == PLUGIN_MESSAGE_ADMIT)
        plugin_admitted(plugin, w, rc);
    else
        plugin_updated(plugin, w, rc);
    if (plugin->worker == w)
        plugin_next(plugin);
}

static const struct plugin_worker_ops worker_ops = {.hello = worker_hello, .answered = worker_answered, .said = worker_said, .lost = worker_lost};

void plugin_candidate_start(struct plugin *plugin)
{
    struct plugins *plugins = plugin->plugins;

    if (plugin->worker == NULL)
        set_state(plugin, PLUGIN_STARTING);
    plugin->candidate = plugin_worker_start(&plugins->set, plugin->path, plugin->name, plugins->set.call_limit_ns, &worker_ops, plugin);
    if (plugin->candidate == NULL) {
        char why[160];

        snprintf(why, sizeof(why), "%s: %s", plugins->set.worker, strerror(errno));
        candidate_failed(plugin, false, why);
    }
}
