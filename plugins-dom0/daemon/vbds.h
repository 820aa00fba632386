/* SPDX-License-Identifier: MIT */
/*
 * The virtual block devices of all domains: Domain0's own view of the raw disks, those of definitions, and those that somebody added by hand.
 *
 * The hypervisor is the backend of the ring; here is the rest of one: the nodes in XenStore and the states that blkfront waits for (vbd-xenbus.c). What there is stands in the hypervisor and in XenStore
 * alone; the list in memory is made anew from both by a daemon that starts.
 * Functions that take a call answer it, now or later. All in the loop's thread.
 * Page: docs/operations.md (Disks for guests).  Tests: test-vbds.c.
 */
#pragma once

#include "call.h"
#include "loop.h"
#include "nodes.h"
#include "vbd-backend.h"
#include "volumes.h"

#include <hv/plugin.h>

struct vbds;

struct vbds_settings {
    struct loop *loop;
    const struct vbd_backend *backend;
    const struct nodes *nodes;
    struct volumes *volumes;
    uint64_t close_ns; /* a guest that is asked to let go of a device has this long */
};

/* One that somebody wants. */
struct vbd_order {
    uint32_t domid;
    const char *name, *backing;
    bool read_only, shared;
    uint32_t device; /* 0: the next that is free */
    uint64_t requests_per_s, bytes_per_s;
    const struct definition *definition; /* for parameters of the section [vbd NAME]; or NULL */
};

struct vbds *vbds_create(const struct vbds_settings *settings);
void vbds_destroy(struct vbds *v); /* forgets them: guests go on. Calls that wait are answered ECANCELED */

/*
 * At the start, before domains are taken up: finds those that there are and goes on with each handshake where it stood, removes nodes of those that are gone, and gives Domain0 each disk that it does not have yet.
 * -errno: the hypervisor has no disks at all, or does not answer.
 */
int vbds_take_up(struct vbds *v);
void vbds_store_lost(struct vbds *v); /* the watches are gone */
/* A new xenstored may run: write the nodes that are not there, and watch. After domains have theirs. */
void vbds_store_anew(struct vbds *v);
/* How many raw disks Domain0's blkfront has not taken yet. */
unsigned int vbds_raw_waiting(const struct vbds *v);

/* Can these backings be found and used? Mistakes are told with file and line. */
void vbds_check(struct vbds *v, const struct definition *definition, struct text_mistakes *mistakes);
/* All devices of a definition for a domain that has not begun to run. 0, or -errno and a sentence: then its domain is to be destroyed, and vbds_domain_gone called. */
int vbds_add_defined(struct vbds *v, uint32_t domid, const struct definition *definition, char *error, size_t error_bytes);
/* The domain has been destroyed, its VBDs with it: the rest goes. */
void vbds_domain_gone(struct vbds *v, uint32_t domid);
/* Another module orders disks, perhaps: set the parameters of definitions that the one before did not have. */
void vbds_modules_changed(struct vbds *v, uint32_t domid, const struct definition *definition);
void vbds_modules_noted(struct vbds *v);
/* A VBD was destroyed or broken, perhaps by another program: look. */
void vbds_reconcile(struct vbds *v);

/* For the reading of definitions; for sched_catalog_free(). */
int vbds_modules(struct vbds *v, struct sched_catalog *catalog);

void vbds_op_add(struct vbds *v, struct call *call, const struct vbd_order *order);
void vbds_op_remove(struct vbds *v, struct call *call, uint32_t domid, const char *name, bool force);
/* domid ~0: of all. domain_name gives the name of a domain, or "". */
typedef const char *vbds_domain_name(void *arg, uint32_t domid);
void vbds_op_list(struct vbds *v, struct call *call, uint32_t domid, vbds_domain_name *domain_name, void *arg);
void vbds_op_volumes(struct vbds *v, struct call *call, vbds_domain_name *domain_name, void *arg);

/* For plugins (vbd-world.c): disks and VBDs as they are now, good until it is freed; what they ask for, as one change of one disk's module (contract: plugins.h, apply_disk). */
struct vbds_world {
    struct collet_plugin_disk *disks;
    struct collet_plugin_vbd *vbds;
    uint32_t disk_count, vbd_count;
    struct collet_plugin_parameter *parameters;
    struct collet_disk_info *disk_infos;
    struct collet_vbd_info *vbd_infos;
    struct sched_catalog catalog;
};
int vbds_world(struct vbds *v, struct vbds_world *w);
void vbds_world_free(struct vbds_world *w);
int vbds_apply(struct vbds *v, const char *plugin, uint32_t disk, const char *module, struct collet_disk_value *values, const char *const *why, unsigned int count, uint64_t *before, unsigned int *failed,
               char *error, size_t error_bytes);

/* A watch has fired, on a disk or on something else. */
void vbds_watched(struct vbds *v, const char *token);
