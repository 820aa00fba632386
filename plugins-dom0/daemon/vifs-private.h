/* SPDX-License-Identifier: MIT */
/*
 * Shared by vifs.c, vif-ops.c and vif-xenbus.c alone: an interface as the daemon remembers it.
 */
#pragma once

#include "vifs.h"
#include "xenbus-device.h"

struct vif {
    struct xenbus_device x; /* first: see vif_of */
    struct vif *next;       /* in order of their ids */
    struct vifs *vifs;
    char whole[COLLET_VIF_NAME_MAX];  /* "web.0" */
    char domain[COLLET_VIF_NAME_MAX]; /* "web" */
    char network[COLLET_NAME_MAX];
    uint8_t mac[6];
    bool own;                          /* Domain0's, on a card */
    struct collet_vif_connect offered; /* what its front offered last */
};

struct vifs {
    struct vifs_settings s;
    struct vif *first;
};

/* vifs.c */
void vif_forget(struct vif *vif); /* its memory; a remover is told that it is done */
struct vif *vif_by_place(const struct vifs *v, uint32_t domid, uint32_t device);
struct vif *vif_by_name(const struct vifs *v, uint32_t domid, const char *name); /* "0", or "web.0" */
/* Make one: the VIF and its nodes. 0 with *made; or -errno and a sentence, and nothing is left. */
int vif_make(struct vifs *v, const struct vif_order *order, struct vif **made, char *error, size_t error_bytes);

/* vif-xenbus.c */
extern const struct xenbus_kind vif_xenbus_kind;
struct vif *vif_of(struct xenbus_device *dev);
