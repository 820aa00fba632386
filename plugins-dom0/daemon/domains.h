/* SPDX-License-Identifier: MIT */
/*
 * The domains that the daemon looks after: their creation, what happens when they end, and what must be remembered across a restart of the daemon.
 *
 * A domain goes CREATING -> READY -> RUNNING and then to ENDED, PRESERVED or RESTARTING -> CREATING. Each step is written to a file before the effect that depends on it, so that a daemon that is killed
 * between any two instructions finds out what to finish or to undo.
 * Functions that take a call answer it, now or later. All in the loop's thread.
 * Page: docs/operations.md.  Tests: test-domains.c.
 */
#pragma once

#include "backend.h"
#include "call.h"
#include "loop.h"
#include "plugins.h"
#include "policy.h"
#include "rule-parts.h"
#include "vbds.h"
#include "vifs.h"

struct domains;

struct domains_settings {
    struct loop *loop;
    const struct backend *backend;
    struct plugins *plugins;  /* may be set later, before the first request: domains_set_plugins */
    struct vbds *vbds;        /* taken up already; or NULL: domains have no disks */
    struct vifs *vifs;        /* the same for network interfaces */
    struct rule_parts *rules; /* or NULL */
    const char *state_folder; /* NULL: nothing is remembered */
    struct policy_limits limits;
};

struct domains *domains_create(const struct domains_settings *settings);
void domains_set_plugins(struct domains *d, struct plugins *plugins);
/* Forgets them; guests stay as they are. Calls that wait are answered ECANCELED. */
void domains_destroy(struct domains *d);

/* At the start: read the state, compare it with what there is, finish or undo what was half done. 0 or -errno. */
int domains_take_up(struct domains *d);
/* A new xenstored may run: tell it of domains that live and that it does not know. They get their nodes and consoles back, but do not hear requests any more. */
void domains_store_anew(struct domains *d);
/* A change was reported, or records were lost (kind 0): look. */
void domains_change(struct domains *d, const struct collet_change *change);

void domains_op_create(struct domains *d, struct call *call, const char *file, const char *text, bool paused);
void domains_op_check(struct domains *d, struct call *call, const char *file, const char *text);
void domains_op_destroy(struct domains *d, struct call *call, const char *which);
void domains_op_shutdown(struct domains *d, struct call *call, const char *which, bool reboot, bool wait, uint64_t timeout_ns);
void domains_op_rename(struct domains *d, struct call *call, const char *which, const char *name);
void domains_op_memory(struct domains *d, struct call *call, const char *which, uint64_t frames, uint64_t frames_max); /* frames_max 0: as it is */
void domains_op_definition(struct domains *d, struct call *call, const char *which);
void domains_op_console(struct domains *d, struct call *call, const char *which);
void domains_op_list(struct domains *d, struct call *call);
void domains_op_vbd_add(struct domains *d, struct call *call, const char *which, const struct vbd_order *wanted); /* its domid is found here */
void domains_op_vbd_remove(struct domains *d, struct call *call, const char *which, const char *name, bool force);
void domains_op_vbds(struct domains *d, struct call *call, const char *which); /* NULL: of all */
void domains_op_volumes(struct domains *d, struct call *call);

void domains_op_vif_add(struct domains *d, struct call *call, const char *which, const struct definition_vif *wanted);
void domains_op_vif_remove(struct domains *d, struct call *call, const char *which, const char *name, bool force);
void domains_op_vifs(struct domains *d, struct call *call, const char *which); /* NULL: of all */

/* For the plugin host: struct plugins_daemon's world and apply; arg is the struct domains. */
int domains_world(void *arg, const struct collet_plugin_world **world);
int domains_apply(void *arg, const char *plugin, const char *module, struct collet_sched_value *values, const char *const *why, unsigned int count, uint64_t *before, unsigned int *failed, char *error,
                  size_t error_bytes);
int domains_apply_disk(void *arg, const char *plugin, uint32_t disk, const char *module, struct collet_disk_value *values, const char *const *why, unsigned int count, uint64_t *before, unsigned int *failed,
                       char *error, size_t error_bytes);
int domains_apply_rules(void *arg, const char *plugin, uint32_t order, const char *text, char *error, size_t error_bytes);
/* How its interfaces are called, if not by its name; NULL. */
const char *domains_rules_name(void *arg, uint32_t domid);
/* How many domains are being built or wait for their restart: for tests and for an orderly end. */
unsigned int domains_unsettled(const struct domains *d);
