/* SPDX-License-Identifier: MIT */
/*
 * What network interfaces need of the hypervisor: one narrow table. vif-backend-collet.c is the real one; test-vifs.c has a made-up one.
 *
 * Functions answer 0 or -errno; after a failure `error` gives one sentence, until the next call. All but `end` answer at once. XenStore: nodes.h.
 */
#pragma once

#include "xenbus-device.h"

#include <collet/control.h>

struct vif_backend {
    void *arg;
    const char *(*error)(void *arg);
    int (*nics)(void *arg, struct collet_nic_info **nics); /* a new array; the number */
    int (*list)(void *arg, struct collet_vif_info **vifs); /* of all domains */
    int (*create)(void *arg, struct collet_vif_create *create);
    int (*connect)(void *arg, const struct collet_vif_connect *connect);
    /* Disconnect, or destroy too. It lasts until frames in a card have ended, so it is done beside the loop; the answer comes later. -errno: it could not even begin. */
    int (*end)(void *arg, uint32_t vif, bool destroy, device_end_done *done, void *done_arg);
};
