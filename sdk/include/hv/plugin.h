/* SPDX-License-Identifier: MIT */
/*
 * The contract between colletd and a policy plugin: a shared object with one exported symbol, `collet_plugin`.
 *
 * A plugin computes; it does nothing else. It is told its settings, what domains there are and how they fare, and it answers with the parameters that it wants to be in force. The daemon checks them,
 * applies them as one change, shows what changed and why, and keeps the last good set. A plugin calls no hypervisor function, needs no privilege, and runs in a worker process of its own (without rights,
 * with limits on time and memory): if it crashes, hangs or asks for nonsense, it is stopped, reported, and started again later, and its last good parameters stay.
 *
 * Stability: this is an ABI. Structures begin with their size; fields are only ever appended, and a plugin looks at the size before it reads one that a later header added; enumerators are never reused.
 * Structures that come in arrays (settings, domains, parameters) do not change at all: what is to be added about a domain comes as one more array at the end of the world. A plugin built against any released version of this
 * header loads in every later daemon (tests/plugins/first-release.c). Guide: docs/write-a-plugin.md.  Copy: sdk/templates/plugin/.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define COLLET_PLUGIN_API 1
#define COLLET_PLUGIN_RULES_MAX (1u << 20)

enum collet_plugin_kind {
    COLLET_PLUGIN_SCHED = 1,     /* answers scheduler parameters */
    COLLET_PLUGIN_ADMISSION = 2, /* is asked before a domain is created */
    COLLET_PLUGIN_DISK = 4,      /* answers parameters of disk modules (host->set_disk), and is told of changes there */
    COLLET_PLUGIN_NET = 8,       /* answers a part of the network rules (host->rules) */
};

/* One `key = value` of the plugin's INI file, with its place for messages. Sections: "" before the first header, else as written: "domain web". */
struct collet_plugin_setting {
    const char *section, *key, *value;
    const char *file;
    uint32_t line;
};

/* How a domain has fared. Counters are totals since its creation; `interval` counters are since the last call. Times in nanoseconds. */
struct collet_plugin_domain {
    uint32_t domid;
    uint32_t vcpus;
    const char *name;
    uint64_t frames, frames_max;
    uint64_t run_ns, runnable_ns, blocked_ns; /* sums over its vCPUs */
    uint64_t wakes, dispatches, waited_max_ns;
    uint64_t interval_run_ns, interval_runnable_ns, interval_blocked_ns, interval_wakes, interval_dispatches;
    uint64_t latency[24];  /* dispatch latency histogram: bucket i counts waits below 2^i microseconds */
    uint64_t interval_latency[24];
    const struct collet_plugin_setting *settings; /* its definition, as written by its owner (section "" and others) */
    uint32_t setting_count;
    uint32_t pad;
};

struct collet_plugin_parameter {
    const char *name;
    uint32_t type;   /* 0 number, 1 nanoseconds, 2 yes or no */
    uint32_t scopes; /* 1 module, 2 domain, 4 vCPU */
    uint64_t minimum, maximum, initial;
};

/* A disk, and the module that orders its requests. Scopes of its parameters: 1 disk, 2 VBD. */
struct collet_plugin_disk {
    uint32_t disk;
    uint32_t parameter_count;
    const char *name, *module;
    const struct collet_plugin_parameter *parameters;
    uint64_t sectors;
};

/* What a virtual block device has of one disk: one entry for each disk that it lies on. Counters are of the whole VBD, since it was made. */
struct collet_plugin_vbd {
    uint32_t vbd, domid, disk;
    uint32_t flags; /* 1 read-only, 2 shared, 16 Domain0's view of the raw disk */
    const char *name;
    uint64_t sectors; /* on this disk */
    uint64_t reads, writes, read_sectors, write_sectors;
};

/* What the plugin sees at a call. Pointers are good until the call returns. */
struct collet_plugin_world {
    size_t size;              /* of this structure, as the daemon knows it */
    uint64_t now_ns;          /* system time */
    uint64_t interval_ns;     /* since the last call; 0 at the first */
    uint32_t cpus;
    uint32_t domain_count;
    const struct collet_plugin_domain *domains; /* ascending domid; Domain0 first */
    const char *sched;        /* the active scheduler module, and its parameters */
    const struct collet_plugin_parameter *parameters;
    uint32_t parameter_count;
    uint32_t pad;
    uint64_t frames_total, frames_free;
    /* Since the second release. */
    uint32_t disk_count, vbd_count;
    const struct collet_plugin_disk *disks;
    const struct collet_plugin_vbd *vbds; /* ascending, and so the disks of one */
};

/* A domain that somebody wants to create. */
struct collet_plugin_request {
    size_t size;
    const char *name;
    uint32_t vcpus;
    uint32_t pad;
    uint64_t frames, frames_max;
    const struct collet_plugin_setting *settings; /* its definition */
    uint32_t setting_count;
    uint32_t pad2;
};

enum collet_plugin_event { COLLET_PLUGIN_DOMAIN_CAME = 1, COLLET_PLUGIN_DOMAIN_WENT = 2, COLLET_PLUGIN_SCHED_CHANGED = 3, COLLET_PLUGIN_TICK = 4,
                           COLLET_PLUGIN_DISK_CHANGED = 5 /* a VBD came or went, or another module orders a disk: for kind DISK alone */ };

/*
 * What the plugin may call, given to every function. `host` is passed back as it came.
 * All are about the answer to the call that is going on.
 */
struct collet_plugin_host {
    size_t size;
    void *daemon;
    /* Ask for a parameter of the active scheduler: domid ~0u is the module's own; vcpu ~0u is all of the domain. `value` is a double so that a computation gone wrong is seen as such: not finite, negative or not in
     * the parameter's range refuses the whole answer. `why`: one sentence with the arithmetic, shown to people. */
    void (*set)(const struct collet_plugin_host *host, uint32_t domid, uint32_t vcpu, const char *parameter, double value, const char *why);
    /* Something people should know: 0 note, 1 warning, 2 error. */
    void (*say)(const struct collet_plugin_host *host, int level, const char *text);
    /* Since the second release (see `size`), for kind DISK. Ask for a parameter of the module that orders `disk`: vbd ~0u is the disk's own. A bad value refuses the whole answer, of the scheduler's parameters too. */
    void (*set_disk)(const struct collet_plugin_host *host, uint32_t disk, uint32_t vbd, const char *parameter, double value, const char *why);
    /*
     * Since the third release, for kind NET. This plugin's part of the network rules, in the rule language (docs/reference/rule-language.md), whole; not called: as it is; "": nothing any more. The parts of all plugins
     * make one set, lower `order` first (0 to 99; the first rule that decides counts), and behind them the administrator's own file. A part that does not compile is told with its line, and the one before stays in force.
     * A part may name files (include, set NAME file): the daemon reads them, and again when they change; one with a mistake is taken as it was before. A plugin of this kind is told of a domain by the name that its
     * interfaces have: until its next start a renamed one keeps the old name for rules. Write it in quotes. At most COLLET_PLUGIN_RULES_MAX bytes.
     */
    void (*rules)(const struct collet_plugin_host *host, uint32_t order, const char *text);
};

struct collet_plugin {
    uint32_t api;       /* COLLET_PLUGIN_API */
    uint32_t size;      /* sizeof(struct collet_plugin) */
    uint32_t kind;      /* enum collet_plugin_kind; bits may be or'ed */
    uint32_t interval_ms; /* how often tick is wanted; 0: 1000 */
    const char *name;   /* as the file: lower case letters, digits, '-' */
    const char *summary;
    const char *help;   /* its settings, for `collet plugin show` */

    /* Settings, checked: 0, or a negative errno with what is wrong said through host->say (with file and line, and what would be right). *state is the plugin's own. Required. */
    int (*configure)(const struct collet_plugin_host *host, const struct collet_plugin_setting *settings, uint32_t count, void **state);
    /* Something happened, or time has passed: answer with the whole set of parameters that should be in force (through host->set); those not named keep what they have. 0, or a negative errno: nothing is applied. Required for SCHED, DISK and NET. */
    int (*update)(const struct collet_plugin_host *host, void *state, enum collet_plugin_event event, const struct collet_plugin_world *world);
    /* May this domain be created? 0 yes; a negative errno no, and host->say(…, 2, …) tells why. Required for ADMISSION. */
    int (*admit)(const struct collet_plugin_host *host, void *state, const struct collet_plugin_request *request, const struct collet_plugin_world *world);
    void (*end)(void *state); /* optional */
};

/* The one symbol that a plugin exports (also when it is compiled with -fvisibility=hidden). */
extern const struct collet_plugin collet_plugin __attribute__((visibility("default")));
