// SPDX-License-Identifier: MIT
/*
 * What the host tells: people, through the daemon's log and plugin-show; and those who wait for something that takes time.
 * Contract: plugin-host.h; the whole: docs/concepts/plugin-host.md.  Tests: test-plugin-host.c.
 */
#include "plugin-host.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>

#define SAY_AGAIN_NS (600 * NS_PER_S)
#define LOG_LINES_A_MINUTE 60u

struct plugin_waiter {
    struct plugin_waiter *next;
    struct plugins *plugins;
    plugins_done *done;
    void *arg;
    struct loop_timer *timer;
    int rc;
    char *message;
};

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

void plugin_set_error(struct plugin *plugin, const char *text)
{
    free(plugin->last_error);
    plugin->last_error = text != NULL ? strdup(text) : NULL;
}

/* ---- Those who wait ---- */

struct plugin_waiter *plugin_waiter_new(struct plugins *plugins, plugins_done *done, void *arg)
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
void plugin_waiter_finish(struct plugin_waiter *w, int rc, const char *message)
{
    if (w == NULL)
        return;
    w->rc = rc;
    w->message = message != NULL ? strdup(message) : NULL;
    w->timer = loop_timer(w->plugins->set.loop, 0, waiter_tell, w);
}

void plugin_finish(struct plugin *plugin, int rc, const char *message)
{
    struct plugin_waiter *w = plugin->waiter;

    plugin->waiter = NULL;
    plugin_waiter_finish(w, rc, message);
}

void plugin_waiters_cancel(struct plugins *plugins)
{
    while (plugins->waiters != NULL) {
        loop_timer_cancel(plugins->waiters->timer);
        waiter_tell(plugins->waiters);
    }
}
