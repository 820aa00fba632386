// SPDX-License-Identifier: MIT
/*
 * The plugin host: which plugins there are, in which state, whose turn it is, and what happens when one fails.
 *
 * A plugin has at most two workers: the one in charge, and a candidate that is being loaded and configured (at load, reload and restart). Only a candidate that was configured replaces what was there, so a
 * bad reload costs nothing. A worker makes one call at a time: admissions first, then events, then ticks. A worker that fails is replaced after a back-off that doubles; what the plugin
 * had put in force stays, and stays its own.
 * Contract: plugins.h; the other files: plugin-host.h.  Tests: test-plugin-host.c.
 */
#include "plugin-host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOON_NS (5 * NS_PER_MS) /* events that come within this become one call of each kind */
#define SCHED_SETTLES_NS (50 * NS_PER_MS)
#define SAY_AGAIN_NS (600 * NS_PER_S)
#define LOG_LINES_A_MINUTE 60u
#define INTERVAL_MIN_MS 100u
#define INTERVAL_MAX_MS 3600000u
#define EVENTS_MAX 32

const char *const plugin_state_names[PLUGIN_STATES] = {"starting", "running", "backoff", "stopped", "refused"};

struct plugin_waiter {
    struct plugin_waiter *next;
    struct plugins *plugins;
    plugins_done *done;
    void *arg;
    struct loop_timer *timer;
    int rc;
    char *message;
};

struct plugin_ending {
    struct plugin_ending *next;
    struct plugins *plugins;
    struct plugin_worker *worker;
    struct plugin_waiter *waiter; /* or NULL */
};

struct plugin_admission {
    struct plugin_admission *next;
    struct plugins *plugins;
    struct plugin_pack packed; /* the request, kept */
    uint64_t asked;            /* sequence of the last plugin that has agreed */
    struct loop_timer *timer;
    struct plugin_waiter *waiter;
};

static void plugin_next(struct plugin *plugin);
static void admissions_step(struct plugins *plugins);
static void events_ripe(void *arg);

uint64_t plugin_now_ns(const struct plugins *plugins)
{
    return loop_now() + plugins->system_ahead_ns;
}

struct plugin *plugin_find(struct plugins *plugins, const char *name)
{
    struct plugin *p = plugins->list;

    while (p != NULL && strcmp(p->name, name) != 0)
        p = p->next;
    return p;
}

/* ---- Words for people ---- */

static void line_add(struct plugin *plugin, int level, char *text)
{
    if (plugin->line_count == PLUGIN_LINES) {
        free(plugin->lines[0].text);
        memmove(&plugin->lines[0], &plugin->lines[1], (PLUGIN_LINES - 1) * sizeof(plugin->lines[0]));
        plugin->line_count--;
    }
    plugin->lines[plugin->line_count++] = (struct plugin_line){.at_ns = plugin_now_ns(plugin->plugins), .times = 1, .level = level, .text = text};
}

/* The daemon's log is everybody's: so many lines a minute from each. */
static bool log_room(struct plugin *plugin)
{
    const struct plugins_daemon *daemon = &plugin->plugins->set.daemon;
    uint64_t now_ns = loop_now();
    char line[160];

    if (now_ns - plugin->log_since_ns >= 60 * NS_PER_S) {
        plugin->log_since_ns = now_ns;
        plugin->log_lines = 0;
    }
    if (++plugin->log_lines == LOG_LINES_A_MINUTE && daemon->log != NULL) {
        snprintf(line, sizeof(line), "plugin %s: says too much; for the rest of this minute `collet plugin show %s` alone has it", plugin->name, plugin->name);
        daemon->log(daemon->arg, 1, line);
    }
    return plugin->log_lines < LOG_LINES_A_MINUTE;
}

void plugin_say(struct plugin *plugin, int level, const char *format, ...)
{
    struct plugins *plugins = plugin->plugins;
    uint64_t now_ns = plugin_now_ns(plugins);
    char *text, *line;
    va_list list;
    bool fresh = true;

    va_start(list, format);
    if (vasprintf(&text, format, list) < 0)
        text = NULL;
    va_end(list);
    if (text == NULL)
        return;
    /* What a plugin says every second is told once. */
    for (uint32_t i = 0; i < plugin->line_count; i++) {
        struct plugin_line *old = &plugin->lines[i];

        if (old->level == level && strcmp(old->text, text) == 0) {
            fresh = false;
            if (now_ns - old->at_ns < SAY_AGAIN_NS && old->times++ > 0) {
                old->at_ns = now_ns;
                free(text);
                return;
            }
            old->at_ns = now_ns;
        }
    }
    if (log_room(plugin) && plugins->set.daemon.log != NULL && asprintf(&line, "plugin %s: %s", plugin->name, text) >= 0) {
        plugins->set.daemon.log(plugins->set.daemon.arg, level, line);
        free(line);
    }
    if (fresh)
        line_add(plugin, level, text);
    else
        free(text);
}

static void set_error(struct plugin *plugin, const char *text)
{
    free(plugin->last_error);
    plugin->last_error = text != NULL ? strdup(text) : NULL;
}

static void set_state(struct plugin *plugin, enum plugin_state state)
{
    plugin->state = state;
    plugin->since_ns = plugin_now_ns(plugin->plugins);
}

/* ---- Those who wait ---- */

static struct plugin_waiter *waiter_new(struct plugins *plugins, plugins_done *done, void *arg)
{
    struct plugin_waiter *w;

    if (done == NULL)
        return NULL;
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    *w = (struct plugin_waiter){.next = plugins->waiters, .plugins = plugins, .done = done, .arg = arg, .rc = -ECANCELED};
    plugins->waiters = w;
    return w;
}

static void waiter_tell(void *arg)
{
    struct plugin_waiter *w = arg, **at;

    for (at = &w->plugins->waiters; *at != w; at = &(*at)->next)
        ;
    *at = w->next;
    w->done(w->arg, w->rc, w->message != NULL ? w->message : w->rc != 0 ? strerror(-w->rc) : "");
    free(w->message);
    free(w);
}

/* From the loop, later: never from within the call that it waits for. NULL: nobody waits. */
static void waiter_finish(struct plugin_waiter *w, int rc, const char *message)
{
    if (w == NULL)
        return;
    w->rc = rc;
    w->message = message != NULL ? strdup(message) : NULL;
    w->timer = loop_timer(w->plugins->set.loop, 0, waiter_tell, w);
}

static void plugin_finish(struct plugin *plugin, int rc, const char *message)
{
    struct plugin_waiter *w = plugin->waiter;

    plugin->waiter = NULL;
    waiter_finish(w, rc, message);
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
    waiter_finish(e->waiter, 0, NULL);
    free(e);
}

static const struct plugin_worker_ops ending_ops = {.said = ending_said, .lost = ending_lost};

static void worker_end(struct plugins *plugins, struct plugin_worker *w, struct plugin_waiter *waiter)
{
    struct plugin_ending *e = w != NULL ? calloc(1, sizeof(*e)) : NULL;

    if (e == NULL) {
        if (w != NULL)
            plugin_worker_free(w);
        waiter_finish(waiter, 0, NULL);
        return;
    }
    *e = (struct plugin_ending){.next = plugins->endings, .plugins = plugins, .worker = w, .waiter = waiter};
    plugins->endings = e;
    w->ops = &ending_ops;
    w->arg = e;
    plugin_worker_end(w);
}

/* ---- Starting, and what follows a failure ---- */

static void candidate_start(struct plugin *plugin);

static void timer_stop(struct loop_timer **timer)
{
    loop_timer_cancel(*timer);
    *timer = NULL;
}

static void backoff_over(void *arg)
{
    struct plugin *plugin = arg;

    plugin->timer = NULL;
    plugin->restarts++;
    candidate_start(plugin);
}

/* It has failed and has no worker. */
static void plugin_failed(struct plugin *plugin, const char *why)
{
    struct plugins *plugins = plugin->plugins;
    uint64_t now_ns = loop_now();

    plugin->failures++;
    set_error(plugin, why);
    timer_stop(&plugin->timer);
    timer_stop(&plugin->soon);
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
    admissions_step(plugins);
}

static void plugin_refused(struct plugin *plugin, int rc, const char *why)
{
    plugin_settings_free(&plugin->next_settings);
    plugin->fresh = false;
    if (plugin->worker == NULL) {
        set_state(plugin, PLUGIN_REFUSED);
        set_error(plugin, why);
        plugin_say(plugin, 2, "refused: %s", why);
    } else {
        plugin_say(plugin, 2, "reload refused, the old one goes on: %s", why);
    }
    plugin_finish(plugin, rc, why);
    admissions_step(plugin->plugins);
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
        worker_end(plugin->plugins, plugin->worker, NULL);
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
    if ((plugin->kind & COLLET_PLUGIN_SCHED) != 0)
        plugin->events |= 1u << COLLET_PLUGIN_TICK;
    plugin_finish(plugin, 0, NULL);
    plugin_next(plugin);
    admissions_step(plugin->plugins);
}

static void configured(struct plugin *plugin, struct plugin_worker *w, int rc)
{
    char *why;

    if (rc == 0) {
        set_error(plugin, NULL);
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

/* ---- Updates ---- */

static void tick(void *arg)
{
    struct plugin *plugin = arg;

    plugin->timer = NULL;
    plugin->events |= 1u << COLLET_PLUGIN_TICK;
    plugin_next(plugin);
}

static void updated(struct plugin *plugin, struct plugin_worker *w, int rc)
{
    struct plugin_unpack u;
    struct collet_plugin_world world;
    char error[1024] = "no memory";

    plugin->updates++;
    if (rc != 0) {
        snprintf(error, sizeof(error), "update answered %d (%s)%s%.800s; nothing is changed", rc, strerror(rc < 0 ? -rc : rc), w->errors != NULL ? ": " : "", w->errors != NULL ? w->errors : "");
        set_error(plugin, error);
        plugin_say(plugin, 1, "%s", error);
        return;
    }
    rc = plugin_worker_world(w, &u, &world) ? plugin_answer(plugin->plugins, plugin, w, &world, error, sizeof(error)) : -ENOMEM;
    plugin_unpack_free(&u);
    if (rc == -EINVAL) {
        plugin->worker = NULL;
        plugin_worker_free(w);
        plugin_failed(plugin, error);
    } else if (rc == -ESTALE) {
        plugin->events |= 1u << COLLET_PLUGIN_SCHED_CHANGED;
        if (plugin->soon == NULL) /* a little later, when the daemon knows the new module */
            plugin->soon = loop_timer(plugin->plugins->set.loop, SCHED_SETTLES_NS, events_ripe, plugin);
    } else if (rc < 0) {
        set_error(plugin, error);
        plugin_say(plugin, 1, "%s", error);
    } else {
        plugin->failed_in_row = 0;
        set_error(plugin, NULL);
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

static int world_now(struct plugins *plugins, const struct collet_plugin_world **world)
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
    if (world_now(plugin->plugins, &world) != 0)
        return;
    if (event == COLLET_PLUGIN_SCHED_CHANGED || strcmp(plugin->sched, world->sched) != 0)
        plugin_values_forget(plugin, true, world);
    snprintf(plugin->sched, sizeof(plugin->sched), "%s", world->sched);
    plugin_values_forget(plugin, false, world);
    update_call(plugin, event, world);
}

/* ---- Admissions ---- */

static void admission_finish(struct plugin_admission *a, int rc, const char *message)
{
    struct plugin_admission **at;

    for (at = &a->plugins->admissions; *at != a; at = &(*at)->next)
        ;
    *at = a->next;
    waiter_finish(a->waiter, rc, message);
    loop_timer_cancel(a->timer);
    plugin_pack_free(&a->packed);
    free(a);
}

/* The next plugin that has to agree; NULL: all have. One that is starting may turn out to be of the kind. */
static struct plugin *admission_plugin(const struct plugin_admission *a)
{
    struct plugin *p = a->plugins->list;

    while (p != NULL && (p->sequence <= a->asked || ((p->kind & COLLET_PLUGIN_ADMISSION) == 0 && p->state != PLUGIN_STARTING)))
        p = p->next;
    return p;
}

struct admit {
    const struct plugin_admission *admission;
    const struct collet_plugin_world *world;
};

static void fill_admit(struct plugin_pack *p, void *arg)
{
    const struct admit *admit = arg;
    struct plugin_unpack u = {.at = admit->admission->packed.data, .end = admit->admission->packed.data + admit->admission->packed.used};
    struct collet_plugin_request request;

    plugin_unpack_request(&u, &request);
    if (u.failed)
        p->failed = true;
    plugin_pack_request(p, &request);
    plugin_pack_world(p, admit->world);
    plugin_unpack_free(&u);
}

static int admit_call(struct plugin *plugin, struct plugin_admission *a)
{
    struct admit admit = {.admission = a};
    int rc = world_now(plugin->plugins, &admit.world);

    if (rc == 0)
        rc = plugin_worker_call(plugin->worker, PLUGIN_MESSAGE_ADMIT, fill_admit, &admit);
    if (rc == 0)
        plugin->admitting = a;
    return rc;
}

/* No answer from this plugin: what then is a setting. True: go on with the next one. */
static bool admission_unanswered(struct plugin_admission *a, struct plugin *plugin, const char *why)
{
    char text[512];

    if (plugin->settings.on_failure_allow) {
        plugin_say(plugin, 1, "cannot be asked (%s): a creation goes on without it, as `on_failure = allow` says", why);
        a->asked = plugin->sequence;
        return true;
    }
    snprintf(text, sizeof(text), "plugin %s, which has to agree to a creation, cannot be asked (%s); try again, or `collet plugin unload %s`", plugin->name, why, plugin->name);
    admission_finish(a, -EAGAIN, text);
    return false;
}

/* False: it is finished. */
static bool admission_step(struct plugin_admission *a)
{
    struct plugin *plugin;

    while ((plugin = admission_plugin(a)) != NULL) {
        if (plugin->admitting == a || plugin->state == PLUGIN_STARTING)
            return true;
        if (plugin->state != PLUGIN_RUNNING) {
            if (!admission_unanswered(a, plugin, plugin->last_error != NULL ? plugin->last_error : plugin_state_names[plugin->state]))
                return false;
            continue;
        }
        if (plugin->worker->phase != PHASE_IDLE)
            return true;
        if (admit_call(plugin, a) == 0)
            return true;
        if (!admission_unanswered(a, plugin, "no memory"))
            return false;
    }
    admission_finish(a, 0, NULL);
    return false;
}

static void admissions_step(struct plugins *plugins)
{
    struct plugin_admission *a, *next;

    for (a = plugins->admissions; a != NULL; a = next) {
        next = a->next;
        if (a->timer == NULL)
            admission_step(a);
    }
}

static void admission_begin(void *arg)
{
    struct plugin_admission *a = arg;

    a->timer = NULL;
    admission_step(a);
}

static void admitted(struct plugin *plugin, struct plugin_worker *w, int rc)
{
    struct plugin_admission *a = plugin->admitting;
    char *text = NULL;

    plugin->admitting = NULL;
    plugin->updates++;
    if (a == NULL)
        return;
    if (rc == 0) {
        a->asked = plugin->sequence;
        admission_step(a);
        return;
    }
    if (w->errors == NULL || asprintf(&text, "%s (plugin %s)", w->errors, plugin->name) < 0)
        if (asprintf(&text, "plugin %s refuses it: %s", plugin->name, strerror(rc < 0 ? -rc : rc)) < 0)
            text = NULL;
    admission_finish(a, rc < 0 ? rc : -EPERM, text);
    free(text);
}

/* ---- A plugin's turn ---- */

static void worker_answered(void *arg, struct plugin_worker *w, enum plugin_message call, int rc)
{
    struct plugin *plugin = arg;

    if (call == PLUGIN_MESSAGE_CONFIGURE)
        configured(plugin, w, rc);
    else if (call == PLUGIN_MESSAGE_ADMIT)
        admitted(plugin, w, rc);
    else
        updated(plugin, w, rc);
    if (plugin->worker == w)
        plugin_next(plugin);
}

static const struct plugin_worker_ops worker_ops = {.hello = worker_hello, .answered = worker_answered, .said = worker_said, .lost = worker_lost};

/* If its worker is free, give it what waits; if nothing does, set the clock. */
static void plugin_next(struct plugin *plugin)
{
    if (plugin->state != PLUGIN_RUNNING || plugin->worker->phase != PHASE_IDLE)
        return;
    admissions_step(plugin->plugins);
    if (plugin->state != PLUGIN_RUNNING || plugin->worker->phase != PHASE_IDLE || (plugin->kind & COLLET_PLUGIN_SCHED) == 0)
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

void plugins_event(struct plugins *plugins, enum collet_plugin_event event)
{
    struct plugin *p;

    if (event <= 0 || event >= EVENTS_MAX)
        return;
    for (p = plugins->list; p != NULL; p = p->next) {
        if (p->state != PLUGIN_RUNNING || (p->kind & COLLET_PLUGIN_SCHED) == 0)
            continue;
        p->events |= 1u << event;
        if (p->soon == NULL)
            p->soon = loop_timer(plugins->set.loop, SOON_NS, events_ripe, p);
    }
}

/* ---- The API ---- */

static void candidate_start(struct plugin *plugin)
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

static bool name_fits(const char *name)
{
    return name[0] != '\0' && strlen(name) < COLLET_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static void plugin_delete(struct plugin *plugin)
{
    loop_timer_cancel(plugin->timer);
    loop_timer_cancel(plugin->soon);
    plugin_settings_free(&plugin->settings);
    plugin_settings_free(&plugin->next_settings);
    plugin_values_free(plugin);
    for (uint32_t i = 0; i < plugin->line_count; i++)
        free(plugin->lines[i].text);
    free(plugin->path);
    free(plugin->file);
    free(plugin->summary);
    free(plugin->help);
    free(plugin->totals);
    free(plugin->last_error);
    free(plugin);
}

/* Off the list, workers and all; `waiter` is told when it has ended. */
static void plugin_remove(struct plugin *plugin, struct plugin_waiter *waiter)
{
    struct plugins *plugins = plugin->plugins;
    struct plugin **at;

    for (at = &plugins->list; *at != plugin; at = &(*at)->next)
        ;
    *at = plugin->next;
    plugin_finish(plugin, -ECANCELED, "it was unloaded meanwhile");
    if (plugin->candidate != NULL)
        plugin_worker_free(plugin->candidate);
    worker_end(plugins, plugin->worker, waiter);
    plugin_delete(plugin);
    admissions_step(plugins);
}

/* NULL: no memory. It is on the list, last. */
static struct plugin *plugin_new(struct plugins *plugins, const char *name, const char *path)
{
    struct plugin *plugin = calloc(1, sizeof(*plugin)), **at = &plugins->list;

    if (plugin == NULL || (plugin->path = strdup(path)) == NULL) {
        free(plugin);
        return NULL;
    }
    plugin->plugins = plugins;
    snprintf(plugin->name, sizeof(plugin->name), "%s", name);
    plugin->sequence = ++plugins->sequence;
    while (*at != NULL)
        at = &(*at)->next;
    *at = plugin;
    return plugin;
}

/* Its settings file, read. What is wrong with it refuses the plugin. */
static void plugin_begin(struct plugin *plugin)
{
    char error[8192];
    int rc;

    plugin_settings_free(&plugin->next_settings);
    if (plugin->file != NULL) {
        rc = plugin_settings_read(&plugin->next_settings, plugin->file, error, sizeof(error));
        if (rc != 0) {
            plugin_refused(plugin, rc, error);
            return;
        }
    }
    plugin->fresh = true;
    candidate_start(plugin);
}

void plugins_load(struct plugins *plugins, const char *name, const char *file, plugins_done *done, void *arg)
{
    struct plugin_waiter *waiter = waiter_new(plugins, done, arg);
    char path[4096], settings[4096], error[4400];
    struct plugin *plugin;

    if (!name_fits(name)) {
        waiter_finish(waiter, -EINVAL, "a plugin's name is made of lower case letters, digits and '-'");
        return;
    }
    plugin = plugin_find(plugins, name);
    if (plugin != NULL && plugin->state != PLUGIN_REFUSED && plugin->state != PLUGIN_STOPPED) {
        snprintf(error, sizeof(error), "plugin %s is loaded already; `collet plugin reload %s` reads it anew", name, name);
        waiter_finish(waiter, -EEXIST, error);
        return;
    }
    snprintf(path, sizeof(path), "%s/%s.so", plugins->set.plugin_folder, name);
    if (access(path, R_OK) != 0) {
        int rc = -errno;

        snprintf(error, sizeof(error), "no plugin %s: %s: %s", name, path, strerror(-rc));
        waiter_finish(waiter, rc, error);
        return;
    }
    if (plugin != NULL)
        plugin_remove(plugin, NULL);
    plugin = plugin_new(plugins, name, path);
    if (plugin == NULL) {
        waiter_finish(waiter, -ENOMEM, NULL);
        return;
    }
    snprintf(settings, sizeof(settings), "%s/%s.ini", plugins->set.settings_folder, name);
    if (file != NULL || access(settings, F_OK) == 0)
        plugin->file = strdup(file != NULL ? file : settings);
    plugin->waiter = waiter;
    plugin_begin(plugin);
}

void plugins_unload(struct plugins *plugins, const char *name, plugins_done *done, void *arg)
{
    struct plugin_waiter *waiter = waiter_new(plugins, done, arg);
    struct plugin *plugin = plugin_find(plugins, name);

    if (plugin == NULL)
        waiter_finish(waiter, -ENOENT, "no plugin of that name is loaded");
    else
        plugin_remove(plugin, waiter);
}

void plugins_reload(struct plugins *plugins, const char *name, plugins_done *done, void *arg)
{
    struct plugin_waiter *waiter = waiter_new(plugins, done, arg);
    struct plugin *plugin = plugin_find(plugins, name);
    char settings[4096];

    if (plugin == NULL) {
        waiter_finish(waiter, -ENOENT, "no plugin of that name is loaded");
        return;
    }
    if (plugin->candidate != NULL && plugin->waiter != NULL) {
        waiter_finish(waiter, -EBUSY, "it is being loaded at this moment");
        return;
    }
    if (plugin->candidate != NULL) { /* a restart by itself is no reason to be turned away */
        plugin_worker_free(plugin->candidate);
        plugin->candidate = NULL;
    }
    if (plugin->worker == NULL) { /* in back-off, stopped or refused: a new beginning */
        timer_stop(&plugin->timer);
        plugin->failed_in_row = 0;
        plugin->backoff_ns = 0;
    }
    snprintf(settings, sizeof(settings), "%s/%s.ini", plugins->set.settings_folder, name);
    if (plugin->file == NULL && access(settings, F_OK) == 0)
        plugin->file = strdup(settings);
    plugin->waiter = waiter;
    plugin_begin(plugin);
}

void plugins_admit(struct plugins *plugins, const struct collet_plugin_request *request, plugins_done *done, void *arg)
{
    struct plugin_admission *a = calloc(1, sizeof(*a)), **at = &plugins->admissions;
    struct plugin_waiter *waiter = waiter_new(plugins, done, arg);

    if (a != NULL)
        plugin_pack_request(&a->packed, request);
    if (a == NULL || a->packed.failed) {
        waiter_finish(waiter, -ENOMEM, NULL);
        free(a);
        return;
    }
    a->plugins = plugins;
    a->waiter = waiter;
    a->timer = loop_timer(plugins->set.loop, 0, admission_begin, a);
    while (*at != NULL)
        at = &(*at)->next;
    *at = a;
}

static void settings_default(struct plugins_settings *s)
{
    if (s->call_limit_ns == 0)
        s->call_limit_ns = 2 * NS_PER_S;
    if (s->memory_limit_bytes == 0)
        s->memory_limit_bytes = 64u << 20;
    if (s->worker_uid == 0)
        s->worker_uid = 65534;
    if (s->restarts_max == 0)
        s->restarts_max = 10;
}

struct plugins *plugins_create(const struct plugins_settings *settings)
{
    struct plugins *plugins = calloc(1, sizeof(*plugins));

    if (plugins == NULL)
        return NULL;
    plugins->set = *settings;
    settings_default(&plugins->set);
    plugins->set.plugin_folder = strdup(settings->plugin_folder);
    plugins->set.settings_folder = strdup(settings->settings_folder);
    plugins->set.worker = strdup(settings->worker);
    plugins->backoff_first_ns = NS_PER_S;
    plugins->backoff_max_ns = 60 * NS_PER_S;
    plugins->quiet_ns = 60 * NS_PER_S;
    return plugins;
}

/* Give it the word to end, and let it go. */
static void worker_release(struct plugins *plugins, struct plugin_worker *w)
{
    if (w == NULL)
        return;
    if (w->pid != 0 && (w->ending || plugin_worker_call(w, PLUGIN_MESSAGE_END, NULL, NULL) == 0)) {
        loop_child(plugins->set.loop, w->pid, NULL, NULL);
        w->pid = 0;
    }
    plugin_worker_free(w);
}

void plugins_destroy(struct plugins *plugins)
{
    if (plugins == NULL)
        return;
    while (plugins->list != NULL) {
        struct plugin *plugin = plugins->list;

        plugins->list = plugin->next;
        if (plugin->candidate != NULL)
            plugin_worker_free(plugin->candidate);
        worker_release(plugins, plugin->worker);
        plugin_delete(plugin);
    }
    while (plugins->endings != NULL) {
        struct plugin_ending *e = plugins->endings;

        plugins->endings = e->next;
        worker_release(plugins, e->worker);
        free(e);
    }
    while (plugins->admissions != NULL)
        admission_finish(plugins->admissions, -ECANCELED, NULL);
    while (plugins->waiters != NULL) {
        loop_timer_cancel(plugins->waiters->timer);
        waiter_tell(plugins->waiters);
    }
    free((char *)plugins->set.plugin_folder);
    free((char *)plugins->set.settings_folder);
    free((char *)plugins->set.worker);
    free(plugins);
}
