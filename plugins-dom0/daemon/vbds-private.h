/* SPDX-License-Identifier: MIT */
/*
 * Shared by vbds.c, vbd-ops.c, vbd-world.c and vbd-xenbus.c alone: a device as the daemon remembers it.
 */
#pragma once

#include "vbds.h"
#include "xenbus-device.h"

#define VBDS_DISKS 64u /* of more, parameters are not followed when another module takes over */

struct vbd {
    struct xenbus_device x; /* first: see vbd_of */
    struct vbd *next;       /* in order of their ids */
    struct vbds *vbds;
    char backing[BACKING_BYTES];
    bool read_only, shared, raw;
    struct volumes_claim *claim;
    struct collet_vbd_info info; /* as it was when its nodes were written last */
    uint32_t ring_ref, port;     /* that its front offered last */
};

struct vbds {
    struct vbds_settings s;
    struct vbd *first;
    /* As it was when it was looked last: the modules, and which one ordered each disk. */
    struct sched_catalog before;
    char before_of[VBDS_DISKS][COLLET_NAME_MAX];
};

/* vbds.c */
struct vbd *vbd_add(struct vbds *v, const struct collet_vbd_info *info, const char *backing);
void vbd_forget(struct vbd *vbd); /* its memory, its claim; a remover is told that it is done */
struct vbd *vbd_by_place(const struct vbds *v, uint32_t domid, uint32_t device);
struct vbd *vbd_by_name(const struct vbds *v, uint32_t domid, const char *name);
bool vbd_info(const struct vbds *v, uint32_t id, struct collet_vbd_info *info);
/* Make one: the VBD, its limits and parameters, its nodes. 0 with *made; or -errno and a sentence, and nothing is left. */
int vbd_make(struct vbds *v, const struct vbd_order *order, struct vbd **made, char *error, size_t error_bytes);

/* vbd-xenbus.c */
extern const struct xenbus_kind vbd_xenbus_kind;
struct vbd *vbd_of(struct xenbus_device *dev);
