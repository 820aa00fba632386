// SPDX-License-Identifier: MIT
/*
 * The plugin host: which plugins there are. What the daemon calls (plugins.h); the rest is in plugin-life.c, plugin-update.c, plugin-admission.c and plugin-tell.c.
 * Contract: plugins.h; the whole: docs/concepts/plugin-host.md.  Tests: test-plugin-host.c.
 */
#include "plugin-host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_MAX 32

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
    plugin_worker_retire(plugins, plugin->worker, waiter);
    plugin_delete(plugin);
    plugin_admissions_step(plugins);
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
    plugin_candidate_start(plugin);
}

void plugins_load(struct plugins *plugins, const char *name, const char *file, plugins_done *done, void *arg)
{
    struct plugin_waiter *waiter = plugin_waiter_new(plugins, done, arg);
    char path[4096], settings[4096], error[4400];
    struct plugin *plugin;

    if (!name_fits(name)) {
        plugin_waiter_finish(waiter, -EINVAL, "a plugin's name is made of lower case letters, digits and '-'");
        return;
    }
    plugin = plugin_find(plugins, name);
    if (plugin != NULL && plugin->state != PLUGIN_REFUSED && plugin->state != PLUGIN_STOPPED) {
        snprintf(error, sizeof(error), "plugin %s is loaded already; `collet plugin reload %s` reads it anew", name, name);
        plugin_waiter_finish(waiter, -EEXIST, error);
        return;
    }
    snprintf(path, sizeof(path), "%s/%s.so", plugins->set.plugin_folder, name);
    if (access(path, R_OK) != 0) {
        int rc = -errno;

        snprintf(error, sizeof(error), "no plugin %s: %s: %s", name, path, strerror(-rc));
        plugin_waiter_finish(waiter, rc, error);
        return;
    }
    if (plugin != NULL)
        plugin_remove(plugin, NULL);
    plugin = plugin_new(plugins, name, path);
    if (plugin == NULL) {
        plugin_waiter_finish(waiter, -ENOMEM, NULL);
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
    struct plugin_waiter *waiter = plugin_waiter_new(plugins, done, arg);
    struct plugin *plugin = plugin_find(plugins, name);
    char error[1024];

    if (plugin == NULL)
        plugin_waiter_finish(waiter, -ENOENT, "no plugin of that name is loaded");
    else {
        if (plugin->kind & COLLET_PLUGIN_NET && plugins->set.daemon.apply_rules != NULL)
            plugins->set.daemon.apply_rules(plugins->set.daemon.arg, name, 0, NULL, error, sizeof(error));
        plugin_remove(plugin, waiter);
    }
}

void plugins_reload(struct plugins *plugins, const char *name, plugins_done *done, void *arg)
{
    struct plugin_waiter *waiter = plugin_waiter_new(plugins, done, arg);
    struct plugin *plugin = plugin_find(plugins, name);
    char settings[4096];

    if (plugin == NULL) {
        plugin_waiter_finish(waiter, -ENOENT, "no plugin of that name is loaded");
        return;
    }
    if (plugin->candidate != NULL && plugin->waiter != NULL) {
        plugin_waiter_finish(waiter, -EBUSY, "it is being loaded at this moment");
        return;
    }
    if (plugin->candidate != NULL) { /* a restart by itself is no reason to be turned away */
        plugin_worker_free(plugin->candidate);
        plugin->candidate = NULL;
    }
    if (plugin->worker == NULL) { /* in back-off, stopped or refused: a new beginning */
        plugin_timer_stop(&plugin->timer);
        plugin->failed_in_row = 0;
        plugin->backoff_ns = 0;
    }
    snprintf(settings, sizeof(settings), "%s/%s.ini", plugins->set.settings_folder, name);
    if (plugin->file == NULL && access(settings, F_OK) == 0)
        plugin->file = strdup(settings);
    plugin->waiter = waiter;
    plugin_begin(plugin);
}

void plugins_event(struct plugins *plugins, enum collet_plugin_event event)
{
    struct plugin *p;

    if (event <= 0 || event >= EVENTS_MAX)
        return;
    for (p = plugins->list; p != NULL; p = p->next)
        if (p->state == PLUGIN_RUNNING && (p->kind & (event == COLLET_PLUGIN_DISK_CHANGED ? COLLET_PLUGIN_DISK : PLUGIN_KINDS_UPDATED)) != 0)
            plugin_event(p, event);
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

void plugins_destroy(struct plugins *plugins)
{
    if (plugins == NULL)
        return;
    while (plugins->list != NULL) {
        struct plugin *plugin = plugins->list;

        plugins->list = plugin->next;
        if (plugin->candidate != NULL)
            plugin_worker_free(plugin->candidate);
        plugin_worker_release(plugins, plugin->worker);
        plugin_delete(plugin);
    }
    plugin_endings_release(plugins);
    plugin_admissions_cancel(plugins);
    plugin_waiters_cancel(plugins);
    free((char *)plugins->set.plugin_folder);
    free((char *)plugins->set.settings_folder);
    free((char *)plugins->set.worker);
    free(plugins);
}
