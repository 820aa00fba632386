// SPDX-License-Identifier: MIT
/*
 * Admissions: a domain is to be created, and every admission plugin is asked, one after the other, in the order of loading. One that cannot be asked is a "no", unless its settings say otherwise.
 * Contract: plugin-host.h; the whole: docs/concepts/plugin-host.md.  Tests: test-plugin-host.c.
 */
#include "plugin-host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct plugin_admission {
    struct plugin_admission *next;
    struct plugins *plugins;
    struct plugin_pack packed; /* the request, kept */
    uint64_t asked;            /* sequence of the last plugin that has agreed */
    struct loop_timer *timer;
    struct plugin_waiter *waiter;
};

static void admission_finish(struct plugin_admission *a, int rc, const char *message)
{
    struct plugin_admission **at;

    for (at = &a->plugins->admissions; *at != a; at = &(*at)->next)
        ;
    *at = a->next;
    plugin_waiter_finish(a->waiter, rc, message);
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
    int rc = plugin_world_now(plugin->plugins, &admit.world);

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

void plugin_admissions_step(struct plugins *plugins)
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

void plugin_admitted(struct plugin *plugin, struct plugin_worker *w, int rc)
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

void plugins_admit(struct plugins *plugins, const struct collet_plugin_request *request, plugins_done *done, void *arg)
{
    struct plugin_admission *a = calloc(1, sizeof(*a)), **at = &plugins->admissions;
    struct plugin_waiter *waiter = plugin_waiter_new(plugins, done, arg);

    if (a != NULL)
        plugin_pack_request(&a->packed, request);
    if (a == NULL || a->packed.failed) {
        plugin_waiter_finish(waiter, -ENOMEM, NULL);
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

void plugin_admissions_cancel(struct plugins *plugins)
{
    while (plugins->admissions != NULL)
        admission_finish(plugins->admissions, -ECANCELED, NULL);
}
