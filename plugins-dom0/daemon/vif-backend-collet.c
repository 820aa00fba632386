// SPDX-License-Identifier: MIT
/*
 * The real backend of network interfaces: libcollet.
 * Contract: vif-backend.h.
 */
#include "vif-backend-collet.h"

static int nics(void *arg, struct collet_nic_info **list)
{
    return device_link_answer(arg, collet_nic_list(device_link_collet(arg), list));
}

static int list(void *arg, struct collet_vif_info **vifs)
{
    return device_link_answer(arg, collet_vif_list(device_link_collet(arg), ~0u, vifs));
}

static int create(void *arg, struct collet_vif_create *create)
{
    return device_link_answer(arg, collet_vif_create(device_link_collet(arg), create));
}

static int connect_rings(void *arg, const struct collet_vif_connect *connect)
{
    return device_link_answer(arg, collet_vif_connect(device_link_collet(arg), connect));
}

static int end(void *arg, uint32_t vif, bool destroy, device_end_done *done, void *done_arg)
{
    return device_link_end(arg, vif, destroy ? collet_vif_destroy : collet_vif_disconnect, done, done_arg);
}

struct vif_backend vif_backend_collet(struct device_link *link)
{
    return (struct vif_backend){.arg = link, .error = device_link_error, .nics = nics, .list = list, .create = create, .connect = connect_rings, .end = end};
}
