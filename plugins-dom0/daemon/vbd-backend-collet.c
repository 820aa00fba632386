// SPDX-License-Identifier: MIT
/*
 * The real backend of virtual block devices: libcollet.
 * Contract: vbd-backend.h.
 */
#include "vbd-backend-collet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int disks(void *arg, struct collet_disk_info **list)
{
    struct device_link *b = arg;

    return device_link_answer(b, collet_disk_list(device_link_collet(b), list));
}

static int modules(void *arg, struct sched_catalog *catalog)
{
    struct device_link *b = arg;
    struct collet_sched_module *list = NULL;
    int i, count = device_link_answer(b, collet_disk_module_list(device_link_collet(b), &list)), params = 0;

    *catalog = (struct sched_catalog){0};
    if (count < 0)
        return count;
    catalog->modules = calloc((size_t)count + 1, sizeof(*catalog->modules));
    for (i = 0; catalog->modules != NULL && params >= 0 && i < count; i++) {
        struct sched_catalog_module *m = &catalog->modules[catalog->count++];

        memcpy(m->name, list[i].name, sizeof(m->name));
        m->active = list[i].active != 0;
        params = device_link_answer(b, collet_disk_param_list(device_link_collet(b), m->name, &m->params));
        m->param_count = params > 0 ? (unsigned int)params : 0;
    }
    free(list);
    if (params < 0)
        sched_catalog_free(catalog);
    return params < 0 ? params : catalog->modules != NULL ? 0 : -ENOMEM;
}

static int disk_get(void *arg, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed)
{
    struct device_link *b = arg;

    return device_link_answer(b, collet_disk_get(device_link_collet(b), disk, module, values, count, failed));
}

static int disk_set(void *arg, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed)
{
    struct device_link *b = arg;

    return device_link_answer(b, collet_disk_set(device_link_collet(b), disk, module, values, count, failed));
}

static int list(void *arg, struct collet_vbd_info **vbds)
{
    struct device_link *b = arg;

    return device_link_answer(b, collet_vbd_list(device_link_collet(b), ~0u, vbds));
}

static int extents(void *arg, uint32_t vbd, struct collet_extent **list)
{
    struct device_link *b = arg;

    return device_link_answer(b, collet_vbd_extents(device_link_collet(b), vbd, list));
}

static int create(void *arg, struct collet_vbd_create *create, const struct collet_extent *list)
{
    struct device_link *b = arg;

    return device_link_answer(b, collet_vbd_create(device_link_collet(b), create, list));
}

static int connect_ring(void *arg, uint32_t vbd, uint32_t ring_ref, uint32_t port)
{
    struct device_link *b = arg;

    return device_link_answer(b, collet_vbd_connect(device_link_collet(b), vbd, ring_ref, port));
}

static int limits(void *arg, uint32_t vbd, uint64_t requests_per_s, uint64_t bytes_per_s)
{
    struct device_link *b = arg;

    return device_link_answer(b, collet_vbd_limits(device_link_collet(b), vbd, requests_per_s, bytes_per_s));
}

static int end(void *arg, uint32_t vbd, bool destroy, device_end_done *done, void *done_arg)
{
    return device_link_end(arg, vbd, destroy ? collet_vbd_destroy : collet_vbd_disconnect, done, done_arg);
}

struct vbd_backend vbd_backend_collet(struct device_link *link)
{
    return (struct vbd_backend){.arg = link,
                                .error = device_link_error,
                                .disks = disks,
                                .modules = modules,
                                .disk_get = disk_get,
                                .disk_set = disk_set,
                                .list = list,
                                .extents = extents,
                                .create = create,
                                .connect = connect_ring,
                                .limits = limits,
                                .end = end};
}
