/* SPDX-License-Identifier: MIT */
/*
 * The plugin host as the daemon sees it: which policy plugins are loaded, what they are told, what they asked for.
 *
 * Each plugin runs in a worker process (plugin-worker); this side (plugin-*.c) starts it, speaks with it, sets its limits, checks its answers and gives good ones to the daemon, which applies them as one change.
 * Pull, not push: the host asks the daemon for the world when a plugin's turn has come (its own timers in the loop, or an event), so nothing is collected that nobody reads.
 * All of it runs in the loop's thread; nothing here blocks; no callback is called from within the function that was given it, except `apply`, `world` and `log`.
 * Contract with plugins: <hv/plugin.h>.  Tests: test-plugin-host.c.
 */
#pragma once

#include "loop.h"

#include <collet/control.h>
#include <hv/plugin.h>

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct plugins;

/* What the daemon does for the host. All in the loop's thread. */
struct plugins_daemon {
    void *arg;
    /*
     * The world now, in memory of the daemon that is good until the next call. Totals are filled in; every interval_* field is 0, interval_ns too: the host keeps the last totals per plugin and fills in the differences
     * in its copy. `settings` of a domain is its definition: keys of [domain] have section "", others their section as written ("sched", "plugin shares"); `share`, `cap` and `latency` may stand in [domain] and are
     * given as if they stood in the section of their plugin. None for Domain0 and domains that the daemon does not manage.
     * Domains that are being built or dying are left out. 0 or -errno (then this turn is skipped).
     */
    int (*world)(void *arg, const struct collet_plugin_world **world);
    /*
     * Set these as one change, for the scheduler module `module` (that which the plugin was told of). before[i] receives the values that were in force. The host has checked names, scopes, ranges and domains against
     * the world that it gave; it leaves out values that are in force already if it knows so. why[i] may be NULL. 0; -errno: nothing was changed; -ESTALE (another module took over meanwhile) is nobody's fault: the host
     * asks the plugin anew. *failed: index of the entry to blame, or count. `error` receives a sentence.
     * The daemon logs each change with plugin, before, after and why.
     */
    int (*apply)(void *arg, const char *plugin, const char *module, struct collet_sched_value *values, const char *const *why, unsigned int count, uint64_t *before, unsigned int *failed, char *error,
                 size_t error_bytes);
    /* The same for parameters of the module that orders a disk; scopes and VBDs are checked. NULL: there are no disks. */
    int (*apply_disk)(void *arg, const char *plugin, uint32_t disk, const char *module, struct collet_disk_value *values, const char *const *why, unsigned int count, uint64_t *before, unsigned int *failed,
                      char *error, size_t error_bytes);
    /* The part of the network rules that the plugin wants, in the rule language (rule-parts.h); NULL: it has none any more. 0, or -errno with a sentence: the part before stays. NULL: there is no network. */
    int (*apply_rules)(void *arg, const char *plugin, uint32_t order, const char *text, char *error, size_t error_bytes);
    /* How network rules call the domain, where that is not its name (it was renamed); NULL: by its name. Plugins of kind NET are told this one. Optional. */
    const char *(*rules_name)(void *arg, uint32_t domid);
    /* One line for the daemon's log: 0 note, 1 warning, 2 error. */
    void (*log)(void *arg, int level, const char *text);
};

struct plugins_settings {
    struct loop *loop;
    struct plugins_daemon daemon;
    const char *plugin_folder;   /* /usr/lib/collet/plugins: NAME.so */
    const char *settings_folder; /* /etc/collet/plugins: NAME.ini */
    const char *worker;          /* /usr/lib/collet/plugin-worker */
    uint64_t call_limit_ns;      /* a plugin's answer must come within this; 0: 2 s */
    uint64_t memory_limit_bytes; /* of a worker; 0: 64 MiB */
    unsigned int worker_uid;     /* workers run as this user and group; 0: nobody (65534) */
    unsigned int restarts_max;   /* in a row without a good answer between, then the state is `stopped`; 0: 10 */
};

/* Strings are copied. NULL: no memory. */
struct plugins *plugins_create(const struct plugins_settings *settings);
/* Ends all workers (they get a moment for end(), without waiting for it here) and frees all. Parameters stay as they are. Callbacks that were still owed are called with -ECANCELED. */
void plugins_destroy(struct plugins *plugins);

/* The end of something that takes time: rc 0 or -errno, and then `message` says for people what is wrong (several lines are possible). Called once, from the loop, never from within the call that took it. */
typedef void plugins_done(void *arg, int rc, const char *message);

/* file NULL: settings_folder/NAME.ini if it is there, else no settings. -EEXIST through done: it is loaded already. done comes after configure (and with the first update asked for); NULL: nobody waits. */
void plugins_load(struct plugins *plugins, const char *name, const char *file, plugins_done *done, void *arg);
void plugins_unload(struct plugins *plugins, const char *name, plugins_done *done, void *arg);
/* Settings and code anew. If the new ones are refused the old worker goes on, and done tells. */
void plugins_reload(struct plugins *plugins, const char *name, plugins_done *done, void *arg);

/* Something happened: every SCHED plugin is asked for an update soon (several events in a row become one call of each kind). */
void plugins_event(struct plugins *plugins, enum collet_plugin_event event);

/*
 * May this domain be created? Every plugin of kind ADMISSION is asked; all must agree. The request is copied. No such plugin: yes. A plugin that gives no answer in time, or is in back-off, is no reason
 * to let everything in: -EAGAIN with its name, `collet plugin unload` lifts it.
 */
void plugins_admit(struct plugins *plugins, const struct collet_plugin_request *request, plugins_done *done, void *arg);

/* Answers for `plugins` and `plugin-show` of docs/reference/daemon-protocol.md; new references. show: NULL if there is none of that name. */
json_t *plugins_list_json(struct plugins *plugins);
json_t *plugins_show_json(struct plugins *plugins, const char *name);
json_t *plugins_entry_json(struct plugins *plugins, const char *name); /* as an entry of the list */
