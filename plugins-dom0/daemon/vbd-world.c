// SPDX-License-Identifier: MIT
/*
 * What plugins see of disks and virtual block devices, and what they ask for, put in force.
 * Contract: vbds.h, plugins.h.  Tests: test-vbds.c, test-plugin-disks.c.
 */
#include "log.h"
#include "vbds-private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void vbds_world_free(struct vbds_world *w)
{
    free(w->disk_infos);
    free(w->vbd_infos);
    free(w->disks);
    free(w->vbds);
    free(w->parameters);
    sched_catalog_free(&w->catalog);
    memset(w, 0, sizeof(*w));
}

/* Parameters of all modules, one behind the other; the first of a module is where `disk` looks. */
static int gather_parameters(struct vbds_world *w)
{
    size_t count = 0;

    for (unsigned int i = 0; i < w->catalog.count; i++)
        count += w->catalog.modules[i].param_count;
    w->parameters = calloc(count + 1, sizeof(*w->parameters));
    if (w->parameters == NULL)
        return -ENOMEM;
    count = 0;
    for (unsigned int i = 0; i < w->catalog.count; i++)
        for (unsigned int j = 0; j < w->catalog.modules[i].param_count; j++) {
            const struct collet_sched_param *p = &w->catalog.modules[i].params[j];

            w->parameters[count++] = (struct collet_plugin_parameter){.name = p->name, .type = p->type, .scopes = p->scopes, .minimum = p->minimum, .maximum = p->maximum, .initial = p->initial};
        }
    return 0;
}

static void add_disk(struct vbds_world *w, const struct collet_disk_info *info)
{
    struct collet_plugin_disk *disk = &w->disks[w->disk_count++];
    const struct collet_plugin_parameter *p = w->parameters;

    *disk = (struct collet_plugin_disk){.disk = info->disk, .name = info->name, .module = info->module, .sectors = info->sectors};
    for (unsigned int i = 0; i < w->catalog.count; p += w->catalog.modules[i++].param_count)
        if (strcmp(w->catalog.modules[i].name, info->module) == 0) {
            disk->parameters = p;
            disk->parameter_count = w->catalog.modules[i].param_count;
        }
}

/* One entry for each disk that it lies on. */
static int add_vbd(struct vbds *v, struct vbds_world *w, const struct collet_vbd_info *info)
{
    struct collet_extent *extents = NULL;
    int count = v->s.backend->extents(v->s.backend->arg, info->vbd, &extents);

    for (uint32_t disk = 0; count > 0 && disk < w->disk_count; disk++) {
        struct collet_plugin_vbd entry = {.vbd = info->vbd, .domid = info->domid, .disk = w->disks[disk].disk, .flags = info->flags, .name = info->name};

        for (int i = 0; i < count; i++)
            entry.sectors += extents[i].disk == entry.disk ? extents[i].sectors : 0;
        entry.flags &= COLLET_VBD_READ_ONLY | COLLET_VBD_SHARED | COLLET_VBD_RAW;
        entry.reads = info->requests[COLLET_BLK_READ];
        entry.writes = info->requests[COLLET_BLK_WRITE];
        entry.read_sectors = info->sectors_done[COLLET_BLK_READ];
        entry.write_sectors = info->sectors_done[COLLET_BLK_WRITE];
        if (entry.sectors != 0)
            w->vbds[w->vbd_count++] = entry;
    }
    free(extents);
    return count < 0 && count != -ENOENT ? count : 0;
}

int vbds_world(struct vbds *v, struct vbds_world *w)
{
    const struct vbd_backend *b = v->s.backend;
    int rc, disks, vbds;

    memset(w, 0, sizeof(*w));
    disks = b->disks(b->arg, &w->disk_infos);
    vbds = disks < 0 ? disks : b->list(b->arg, &w->vbd_infos);
    rc = vbds < 0 ? vbds : b->modules(b->arg, &w->catalog);
    if (rc == 0)
        rc = gather_parameters(w);
    if (rc == 0) {
        w->disks = calloc((size_t)disks + 1, sizeof(*w->disks));
        w->vbds = calloc((size_t)disks * (size_t)vbds + 1, sizeof(*w->vbds));
        rc = w->disks != NULL && w->vbds != NULL ? 0 : -ENOMEM;
    }
    for (int i = 0; rc == 0 && i < disks; i++)
        add_disk(w, &w->disk_infos[i]);
    for (int i = 0; rc == 0 && i < vbds; i++)
        rc = add_vbd(v, w, &w->vbd_infos[i]);
    if (rc != 0)
        vbds_world_free(w);
    return rc;
}

static void log_applied(struct vbds *v, const char *plugin, uint32_t disk, const struct collet_disk_value *value, uint64_t before, const char *why)
{
    struct collet_vbd_info info;
    char whose[96];

    if (before == value->value)
        return;
    if (value->scope == COLLET_DISK_SCOPE_DISK)
        snprintf(whose, sizeof(whose), "disk %u", disk);
    else if (vbd_info(v, value->vbd, &info))
        snprintf(whose, sizeof(whose), "VBD %u (%.*s of domain %u)", value->vbd, COLLET_NAME_MAX, info.name, info.domid);
    else
        snprintf(whose, sizeof(whose), "VBD %u", value->vbd);
    log_note("plugin %s: %s of %s: %" PRIu64 " -> %" PRIu64 "%s%s", plugin, value->name, whose, before, value->value, why != NULL ? ": " : "", why != NULL ? why : "");
}

int vbds_apply(struct vbds *v, const char *plugin, uint32_t disk, const char *module, struct collet_disk_value *values, const char *const *why, unsigned int count, uint64_t *before, unsigned int *failed,
               char *error, size_t error_bytes)
{
    const struct vbd_backend *b = v->s.backend;
    struct collet_disk_value *old = calloc((size_t)count + 1, sizeof(*old));
    int rc = -ENOMEM;

    *failed = count;
    if (old != NULL) {
        memcpy(old, values, count * sizeof(*old));
        rc = b->disk_get(b->arg, disk, module, old, count, failed);
    }
    if (rc == 0)
        rc = b->disk_set(b->arg, disk, module, values, count, failed);
    if (rc != 0)
        snprintf(error, error_bytes, "%s", old != NULL ? b->error(b->arg) : "no memory");
    for (unsigned int i = 0; rc == 0 && i < count; i++) {
        before[i] = old[i].value;
        log_applied(v, plugin, disk, &values[i], before[i], why != NULL ? why[i] : NULL);
    }
    free(old);
    return rc;
}
