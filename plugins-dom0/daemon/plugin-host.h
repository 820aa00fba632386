/* SPDX-License-Identifier: MIT */
/*
 * Inside the plugin host: what its files share. The daemon includes plugins.h alone.
 *
 *   plugin-host.c      which plugins there are; the API of plugins.h
 *   plugin-life.c      a plugin's states: load, reload, failure, back-off, end
 *   plugin-update.c    whose turn it is; events, ticks and updates
 *   plugin-admission.c creations that wait for plugins to agree
 *   plugin-tell.c      what people and waiting callers are told
 *   plugin-process.c   one worker: start, limits, messages, death
 *   plugin-answer.c    what a plugin asked for: checked, compared with what others own, applied, remembered
 *   plugin-disk-answer.c   the same of disks: judged, and put in force
 *   plugin-settings.c  NAME.ini
 *   plugin-json.c      what `plugins` and `plugin-show` answer
 *   plugin-wire.c      messages; plugin-worker.c: the other program
 */
#pragma once

#include "plugin-wire.h"
#include "plugins.h"

#include <stdio.h>

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

/* ---- Settings (plugin-settings.c) ---- */

/* The section of NAME.ini that is for the host and not for the plugin. */
#define PLUGIN_HOST_SECTION "host"

struct plugin_settings {
    struct collet_plugin_setting *list; /* strings are owned */
    uint32_t count;
    uint64_t call_limit_ns; /* [host] time_limit; 0: the daemon's */
    bool on_failure_allow;  /* [host] on_failure = allow: an admission plugin that gives no answer does not stop a creation */
};

/* 0; or -errno with a sentence. A file that is not there: -ENOENT. */
int plugin_settings_read(struct plugin_settings *settings, const char *file, char *error, size_t error_bytes);
void plugin_settings_free(struct plugin_settings *settings);

/* ---- Workers (plugin-process.c) ---- */

enum plugin_phase {
    PHASE_LOADING, /* no HELLO yet */
    PHASE_IDLE,
    PHASE_CALL,    /* until DONE */
    PHASE_DEAD,    /* closed; the process may still have to be reaped */
};

/*
 * Where a value belongs: a domain and a vCPU, ~0 as in <hv/plugin.h>; or a disk and a VBD (~0: the disk's own). A disk's number stands where a domain's would, above all that domains can have, so that values of both kinds
 * are kept and compared alike.
 */
#define PLUGIN_DISK_PLACE 0x80000000u
#define PLUGIN_DISKS_MAX 4096u
static inline uint32_t plugin_disk_place(uint32_t disk)
{
    return PLUGIN_DISK_PLACE | (disk < PLUGIN_DISKS_MAX ? disk : PLUGIN_DISKS_MAX);
}
static inline bool plugin_place_is_disk(uint32_t domid)
{
    return domid >= PLUGIN_DISK_PLACE && domid <= (PLUGIN_DISK_PLACE | PLUGIN_DISKS_MAX);
}

struct plugin_ask {
    uint32_t domid, vcpu; /* a place */
    double value;
    char *name, *why;
};

struct plugin_hello {
    uint32_t kind, interval_ms;
    char *summary, *help;
};

struct plugin_worker;

#define PLUGIN_RULES_ORDER_MAX 99u
#define PLUGIN_KINDS_UPDATED (COLLET_PLUGIN_SCHED | COLLET_PLUGIN_DISK | COLLET_PLUGIN_NET) /* those that are asked in turn */
#define PLUGIN_PRINTED_MAX 256u

/* How a worker tells its plugin. From the loop, never from within plugin_worker_call(). */
struct plugin_worker_ops {
    void (*hello)(void *arg, struct plugin_worker *w); /* it is idle now; w->hello is filled in */
    /* The call is over: rc of the plugin's function; w->asks and w->errors are its answer. It is idle. */
    void (*answered)(void *arg, struct plugin_worker *w, enum plugin_message call, int rc);
    void (*said)(void *arg, struct plugin_worker *w, int level, const char *text);
    /* It is gone (dead, killed for overrun, or it spoke nonsense); `refused`: by its own word, no use to try again. The worker is freed after this. */
    void (*lost)(void *arg, struct plugin_worker *w, bool refused, const char *why);
};

struct plugin_worker {
    struct loop *loop;
    const struct plugin_worker_ops *ops;
    void *arg;
    pid_t pid;
    int fd;
    struct loop_watch *watch;
    struct loop_timer *deadline;
    enum plugin_phase phase;
    bool ending;                 /* END was sent: its death is expected */
    bool overrun;
    uint64_t call_limit_ns, memory_limit_bytes;
    uint64_t limit_ns;           /* of what is going on */
    uint64_t call_number;
    enum plugin_message call;
    struct plugin_pack out;      /* the call that is being sent, kept until its answer: the world that the answer is checked against */
    size_t sent;
    char *in;
    size_t in_used;
    int errors_fd;               /* what it writes to its standard error comes out here; the end of that is told when it dies */
    char printed[PLUGIN_PRINTED_MAX];
    struct plugin_hello hello;
    struct plugin_ask *asks;
    uint32_t ask_count;
    uint32_t say_count;
    bool rules_said;             /* its part of the network rules is in the answer: */
    char *rules;                 /* NULL: empty */
    size_t rules_bytes;
    uint32_t rules_order;
    char *errors;                /* level 2 says of this call, one a line; or NULL */
};

/* NULL: errno. */
struct plugin_worker *plugin_worker_start(const struct plugins_settings *settings, const char *path, const char *name, uint64_t call_limit_ns, const struct plugin_worker_ops *ops, void *arg);
/* It must be idle. The body is what `fill` packs. 0 or -errno. */
int plugin_worker_call(struct plugin_worker *w, enum plugin_message call, void (*fill)(struct plugin_pack *p, void *arg), void *arg);
/* Ask it to end; ops->lost comes when it has, or when it was killed for not doing so. If it is in a call it is killed. */
void plugin_worker_end(struct plugin_worker *w);
/* Kill it and forget it; no more calls of ops. */
void plugin_worker_free(struct plugin_worker *w);
/* The world of the call that has just been answered. Free u afterwards. False: no memory. */
bool plugin_worker_world(const struct plugin_worker *w, struct plugin_unpack *u, struct collet_plugin_world *world);

/* ---- Values (plugin-answer.c) ---- */

/* A value that a plugin has put in force. */
struct plugin_value {
    uint32_t domid, vcpu;
    char name[COLLET_NAME_MAX];
    char module[COLLET_NAME_MAX]; /* of a disk: for which the value is; else empty */
    uint64_t value, before, at_ns;
    char *why;
};

struct plugin;

/*
 * Judge the answer and bring it into force: 0 or a count of values set; -EINVAL nonsense (`error` says what: the whole answer is refused); -ESTALE ask again; other: apply failed.
 * What others own is left out and said.
 */
int plugin_answer(struct plugins *plugins, struct plugin *plugin, const struct plugin_worker *w, const struct collet_plugin_world *world, char *error, size_t error_bytes);
/* The values are not known to be in force any more (another module; a domain went): ask for them anew. */
void plugin_values_forget(struct plugin *plugin, bool all, const struct collet_plugin_world *world);
void plugin_values_free(struct plugin *plugin);
/* "-5 is negative": is this a value for that parameter? */
int plugin_check_number(const struct collet_plugin_parameter *p, double asked, uint64_t *value, char *what, size_t bytes);

/* ---- Values of disks (plugin-disk-answer.c); places are as in struct plugin_ask ---- */

const struct collet_plugin_disk *plugin_world_disk(const struct collet_plugin_world *world, uint32_t place); /* NULL: there is none */
/* "weight of VBD 3 (root) on disk0" */
void plugin_disk_place_text(const struct collet_plugin_world *world, uint32_t place, uint32_t vbd, const char *name, char *text, size_t bytes);
int plugin_disk_check(const struct collet_plugin_world *world, const struct plugin_ask *ask, uint64_t *value, char *what, size_t bytes);
/* Is that disk there, with that module, and the VBD on it? Else a value that was set is not in force any more. */
bool plugin_disk_value_holds(const struct collet_plugin_world *world, const struct plugin_value *value);
/* Values of disks that are to be set, in the order of the answer; brought into force disk by disk. 0 or -errno with `error`. */
struct plugin_disk_change {
    uint32_t place;
    struct collet_disk_value value;
    const char *why;
    uint64_t before;
};
int plugin_disk_apply(const struct plugins_daemon *daemon, const char *plugin, const struct collet_plugin_world *world, struct plugin_disk_change *changes, unsigned int count, char *error, size_t error_bytes);

/* ---- Plugins (plugin-host.c) ---- */

enum plugin_state { PLUGIN_STARTING, PLUGIN_RUNNING, PLUGIN_BACKOFF, PLUGIN_STOPPED, PLUGIN_REFUSED, PLUGIN_STATES };

struct plugin_line {
    uint64_t at_ns;
    uint32_t times;
    int level;
    char *text;
};
#define PLUGIN_LINES 32

/* Totals of a domain at the last call, for the interval counters. */
struct plugin_totals {
    uint32_t domid;
    uint64_t run_ns, runnable_ns, blocked_ns, wakes, dispatches;
    uint64_t latency[COLLET_LATENCY_BUCKETS];
};

struct plugin {
    struct plugin *next;
    struct plugins *plugins;
    char name[COLLET_NAME_MAX];
    char *path, *file;               /* .so; settings, or NULL */
    uint64_t sequence;               /* order of loading: who owns a value that two ask for */
    enum plugin_state state;
    uint64_t since_ns;               /* system time */
    uint32_t kind, interval_ms;
    char *summary, *help;
    struct plugin_settings settings; /* in force */
    struct plugin_worker *worker;    /* in charge, or NULL */
    struct plugin_worker *candidate; /* being loaded and configured */
    struct plugin_settings next_settings; /* the candidate's, if fresh; else it gets those in force */
    bool fresh;
    struct plugin_waiter *waiter;    /* who waits for load or reload */
    struct loop_timer *timer;        /* next tick, or end of back-off */
    struct loop_timer *soon;         /* events wait */
    uint32_t events;                 /* bits 1 << enum collet_plugin_event */
    struct plugin_admission *admitting; /* its worker is asked about this one now */
    uint64_t last_call_ns;           /* the world's now_ns then; 0: never */
    struct plugin_totals *totals;
    uint32_t totals_count;
    char sched[COLLET_NAME_MAX];     /* module that `values` are for */
    struct plugin_value *values;
    uint32_t value_count;
    uint64_t updates, failures, values_set, restarts, conflicts;
    uint32_t failed_in_row;
    uint64_t backoff_ns, good_since_ns; /* monotonic */
    char *last_error;
    struct plugin_line lines[PLUGIN_LINES];
    uint32_t line_count;
    uint64_t log_since_ns; /* beginning of this minute, and lines in the daemon's log since */
    uint32_t log_lines;
};

struct plugins {
    struct plugins_settings set;
    struct plugin *list; /* in the order of loading */
    uint64_t sequence;
    struct plugin_waiter *waiters;       /* everyone who is owed a call of done */
    struct plugin_admission *admissions; /* in order */
    struct plugin_ending *endings;       /* workers that have been asked to end */
    uint64_t system_ahead_ns; /* of loop_now(), when the world was seen last; modulo 2^64 */
    /* Tests make these shorter. */
    uint64_t backoff_first_ns, backoff_max_ns, quiet_ns;
};

struct plugin *plugin_find(struct plugins *plugins, const char *name);
/* System time, as well as the daemon has told it. */
uint64_t plugin_now_ns(const struct plugins *plugins);

/* ---- Telling (plugin-tell.c) ---- */

struct plugin_waiter;

/* Something for people: kept for plugin-show; logged if it is new. */
void plugin_say(struct plugin *plugin, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The last error; NULL: none. */
void plugin_set_error(struct plugin *plugin, const char *text);
/* done NULL, or no memory: NULL, which the others take for "nobody waits". */
struct plugin_waiter *plugin_waiter_new(struct plugins *plugins, plugins_done *done, void *arg);
/* From the loop, later: never from within the call that it waits for. message NULL: errno's words. */
void plugin_waiter_finish(struct plugin_waiter *w, int rc, const char *message);
/* Who waits for the plugin's load or reload. */
void plugin_finish(struct plugin *plugin, int rc, const char *message);
/* Call all that are left, now. */
void plugin_waiters_cancel(struct plugins *plugins);

/* ---- Life (plugin-life.c) ---- */

extern const char *const plugin_state_names[PLUGIN_STATES];

/* A new worker, to be configured with next_settings (if fresh) or those in force. */
void plugin_candidate_start(struct plugin *plugin);
/* It has failed and has no worker: back-off, or the end. */
void plugin_failed(struct plugin *plugin, const char *why);
/* What was to be loaded is no good; an old worker goes on. */
void plugin_refused(struct plugin *plugin, int rc, const char *why);
/* Ask w (or NULL) to end; `waiter` is told when it has. */
void plugin_worker_retire(struct plugins *plugins, struct plugin_worker *w, struct plugin_waiter *waiter);
/* Give it the word to end, and let it go. */
void plugin_worker_release(struct plugins *plugins, struct plugin_worker *w);
void plugin_endings_release(struct plugins *plugins);
void plugin_timer_stop(struct loop_timer **timer);

/* ---- Turns (plugin-update.c) ---- */

/* If its worker is free, give it what waits; if nothing does, set the clock. */
void plugin_next(struct plugin *plugin);
/* Something happened, which it is told soon. */
void plugin_event(struct plugin *plugin, enum collet_plugin_event event);
/* Its worker has answered an update. It may have no worker afterwards. */
void plugin_updated(struct plugin *plugin, struct plugin_worker *w, int rc);
int plugin_world_now(struct plugins *plugins, const struct collet_plugin_world **world);

/* ---- Admissions (plugin-admission.c) ---- */

/* Look at all that wait: a worker is free, or a plugin's state has changed. */
void plugin_admissions_step(struct plugins *plugins);
/* Its worker has answered. */
void plugin_admitted(struct plugin *plugin, struct plugin_worker *w, int rc);
void plugin_admissions_cancel(struct plugins *plugins);
