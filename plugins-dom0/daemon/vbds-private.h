/* SPDX-License-Identifier: MIT */
/*
 * Shared by vbds.c, vbd-ops.c and vbd-xenbus.c alone: a device as the daemon remembers it.
 */
#pragma once

#include "vbds.h"

#include <xen/xen.h>
#include <xen/io/xenbus.h>

#define STORE_PATH_BYTES 128
#define VBDS_DISKS 64u /* of more, parameters are not followed when another module takes over */
#define STATE_GONE 0u /* a front whose nodes are not there; XenbusStateUnknown is the same number */
#define STATE_LIE 99u /* a front whose state is no state */

struct vbd {
    struct vbd *next; /* in order of their ids */
    struct vbds *vbds;
    uint32_t id, domid, device;
    char name[COLLET_NAME_MAX];
    char backing[BACKING_BYTES];
    bool read_only, shared, raw;
    struct volumes_claim *claim;

    /* ---- The handshake (vbd-xenbus.c) ---- */
    char back[STORE_PATH_BYTES], front[STORE_PATH_BYTES];
    uint32_t back_state, front_state;
    bool watched;
    bool served;              /* the hypervisor has a ring */
    uint32_t ring_ref, port;  /* of that ring, if known (port 0: not) */
    bool closing, forced;     /* it shall go, as soon as the guest lets go; or at once */
    bool ending, destroying;  /* the hypervisor is at it: vbd_ended will be called; destroying: not only disconnected */
    bool gone;                /* its domain is no more: forget it when `ending` is over */
    char why[200];            /* what is wrong with its front, or empty */
    unsigned int steps;       /* in this second */
    uint64_t steps_since_ns;
    struct loop_timer *pause; /* it changes too often: looked at again when this fires */
    struct loop_timer *patience;
    struct call *remover;
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
/* Write the nodes of one that has none, and watch its front. served: the hypervisor serves it already, so both ends say so. */
int vbd_xenbus_begin(struct vbd *vbd, const struct collet_vbd_info *info);
bool vbd_xenbus_whole(const struct vbd *vbd); /* are its nodes there? */
/* The nodes are there: look where it stands, and watch. */
int vbd_xenbus_take_up(struct vbd *vbd);
void vbd_xenbus_look(struct vbd *vbd); /* at its front, and do the next step */
void vbd_xenbus_close(struct vbd *vbd, bool force);
void vbd_xenbus_broken(struct vbd *vbd, const char *why); /* the hypervisor serves its ring no more */
void vbd_xenbus_forget(struct vbd *vbd); /* nodes and watch */
const char *vbd_xenbus_state_name(uint32_t state);
