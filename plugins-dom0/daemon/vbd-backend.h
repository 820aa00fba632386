/* SPDX-License-Identifier: MIT */
/*
 * What virtual block devices need of the hypervisor: one narrow table, as backend.h is for domains. vbd-backend-collet.c is the real one; test-vbds.c has a made-up one.
 *
 * Functions answer 0 or -errno; after a failure `error` gives one sentence, until the next call. All but `end` answer at once. XenStore: nodes.h.
 */
#pragma once

#include "definition.h"
#include "xenbus-device.h"

#include <collet/control.h>

#include <stdbool.h>
#include <stdint.h>

struct vbd_backend {
    void *arg;
    const char *(*error)(void *arg);

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
    int (*end)(void *arg, uint32_t vbd, bool destroy, device_end_done *done, void *done_arg);
};
