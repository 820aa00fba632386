/* SPDX-License-Identifier: MIT */
/*
 * What virtual block devices need of the hypervisor and of XenStore: one narrow table, as backend.h is for domains. vbd-backend-collet.c is the real one; test-vbds.c has a made-up one.
 *
 * Functions answer 0 or -errno; after a failure `error` gives one sentence, until the next call. All but `end` answer at once. Paths in XenStore are whole ones.
 */
#pragma once

#include "definition.h"

#include <collet/control.h>

#include <stdbool.h>
#include <stdint.h>

/* From the loop, once. */
typedef void vbd_end_done(void *arg, int rc, const char *message);

struct vbd_backend {
    void *arg;
    const char *(*error)(void *arg);

    /* ---- The hypervisor ---- */
    int (*disks)(void *arg, struct collet_disk_info **disks); /* a new array; the number */
    int (*modules)(void *arg, struct sched_catalog *catalog); /* of ordering modules; active: it orders at least one disk. For sched_catalog_free() */
    int (*disk_get)(void *arg, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed);
    int (*disk_set)(void *arg, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed);
    int (*list)(void *arg, struct collet_vbd_info **vbds); /* of all domains */
    int (*extents)(void *arg, uint32_t vbd, struct collet_extent **extents);
    int (*create)(void *arg, struct collet_vbd_create *create, const struct collet_extent *extents);
    int (*connect)(void *arg, uint32_t vbd, uint32_t ring_ref, uint32_t port);
    int (*limits)(void *arg, uint32_t vbd, uint64_t requests_per_s, uint64_t bytes_per_s);
    /* Disconnect, or destroy too. It lasts until requests in the device have ended, so it is done beside the loop; the answer comes later. -errno: it could not even begin. */
    int (*end)(void *arg, uint32_t vbd, bool destroy, vbd_end_done *done, void *done_arg);

    /* ---- XenStore ---- */
    char *(*read)(void *arg, const char *path); /* a new string, or NULL with the reason in errno */
    int (*write)(void *arg, const char *path, const char *value);
    int (*make)(void *arg, const char *path, uint32_t owner, uint32_t reader); /* a node; what is written below it has the same rights. owner and reader may be the same */
    void (*remove)(void *arg, const char *path);                               /* never fails: what is not there is not removed */
    char *(*children)(void *arg, const char *path);                            /* a new string, one name a line; NULL: none */
    int (*watch)(void *arg, const char *path, const char *token);              /* vbds_watched(token) follows, at once and at each change */
    void (*unwatch)(void *arg, const char *path, const char *token);
};
