// SPDX-License-Identifier: MIT
/*
 * What a plugin asked for of disks: is there such a disk, VBD, parameter; and a change of several disks, brought into force disk by disk, since each has a module of its own.
 * Contract: plugin-host.h.  Tests: test-plugin-disks.c.
 */
#include "plugin-host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALL 0xffffffffu

const struct collet_plugin_disk *plugin_world_disk(const struct collet_plugin_world *world, uint32_t place)
{
    for (uint32_t i = 0; i < world->disk_count; i++)
        if (plugin_disk_place(world->disks[i].disk) == place)
            return &world->disks[i];
    return NULL;
}

static const struct collet_plugin_vbd *world_vbd(const struct collet_plugin_world *world, uint32_t place, uint32_t vbd)
{
    for (uint32_t i = 0; i < world->vbd_count; i++)
        if (world->vbds[i].vbd == vbd && plugin_disk_place(world->vbds[i].disk) == place)
            return &world->vbds[i];
    return NULL;
}

static const struct collet_plugin_parameter *disk_parameter(const struct collet_plugin_disk *disk, const char *name)
{
    for (uint32_t i = 0; i < disk->parameter_count; i++)
        if (strcmp(disk->parameters[i].name, name) == 0)
            return &disk->parameters[i];
    return NULL;
}

void plugin_disk_place_text(const struct collet_plugin_world *world, uint32_t place, uint32_t vbd, const char *name, char *text, size_t bytes)
{
    const struct collet_plugin_disk *disk = plugin_world_disk(world, place);
    const struct collet_plugin_vbd *v = world_vbd(world, place, vbd);

    if (vbd == ALL)
        snprintf(text, bytes, "%.40s of disk %u (%.32s)", name, place & ~PLUGIN_DISK_PLACE, disk != NULL ? disk->name : "?");
    else
        snprintf(text, bytes, "%.40s of VBD %u (%.32s) on disk %u (%.32s)", name, vbd, v != NULL ? v->name : "?", place & ~PLUGIN_DISK_PLACE, disk != NULL ? disk->name : "?");
}

int plugin_disk_check(const struct collet_plugin_world *world, const struct plugin_ask *ask, uint64_t *value, char *what, size_t bytes)
{
    const struct collet_plugin_disk *disk = plugin_world_disk(world, ask->domid);
    const struct collet_plugin_parameter *p = disk != NULL ? disk_parameter(disk, ask->name) : NULL;
    uint32_t scope = ask->vcpu == ALL ? COLLET_DISK_SCOPE_DISK : COLLET_DISK_SCOPE_VBD;

    if (disk == NULL)
        snprintf(what, bytes, "there is no such disk");
    else if (p == NULL)
        snprintf(what, bytes, "the module %s has no parameter of that name", disk->module);
    else if (scope == COLLET_DISK_SCOPE_VBD && world_vbd(world, ask->domid, ask->vcpu) == NULL)
        snprintf(what, bytes, "there is no such VBD on that disk");
    else if ((p->scopes & scope) == 0)
        snprintf(what, bytes, "it cannot be set for a %s", scope == COLLET_DISK_SCOPE_DISK ? "disk" : "VBD");
    else
        return plugin_check_number(p, ask->value, value, what, bytes);
    return -EINVAL;
}

bool plugin_disk_value_holds(const struct collet_plugin_world *world, const struct plugin_value *value)
{
    const struct collet_plugin_disk *disk = plugin_world_disk(world, value->domid);

    return disk != NULL && strcmp(disk->module, value->module) == 0 && (value->vcpu == ALL || world_vbd(world, value->domid, value->vcpu) != NULL);
}

/* ---- Applying ---- */

struct one_disk {
    struct collet_disk_value values[PLUGIN_VALUES_MAX];
    const char *why[PLUGIN_VALUES_MAX];
    uint64_t before[PLUGIN_VALUES_MAX];
    unsigned int from[PLUGIN_VALUES_MAX]; /* index in the change */
    unsigned int count;
};

static void collect_disk(struct one_disk *one, uint32_t place, const struct plugin_disk_change *changes, unsigned int count)
{
    one->count = 0;
    for (unsigned int i = 0; i < count; i++) {
        if (changes[i].place != place)
            continue;
        one->values[one->count] = changes[i].value;
        one->why[one->count] = changes[i].why;
        one->from[one->count++] = i;
    }
}

static int apply_disk(const struct plugins_daemon *daemon, const char *plugin, const struct collet_plugin_world *world, struct one_disk *one, struct plugin_disk_change *changes, uint32_t place, char *error,
                      size_t error_bytes)
{
    const struct collet_plugin_disk *disk = plugin_world_disk(world, place);
    char text[200] = "a disk", said[512] = "";
    unsigned int failed = one->count;
    int rc = daemon->apply_disk(daemon->arg, plugin, disk->disk, disk->module, one->values, one->why, one->count, one->before, &failed, said, sizeof(said));

    for (unsigned int i = 0; rc == 0 && i < one->count; i++)
        changes[one->from[i]].before = one->before[i];
    if (rc == 0)
        return 0;
    if (failed < one->count)
        plugin_disk_place_text(world, place, one->values[failed].scope == COLLET_DISK_SCOPE_DISK ? ALL : one->values[failed].vbd, one->values[failed].name, text, sizeof(text));
    else
        snprintf(text, sizeof(text), "disk %u (%.64s)", disk->disk, disk->name);
    snprintf(error, error_bytes, "not applied: %s: %s", text, said[0] != '\0' ? said : strerror(-rc));
    return rc;
}

int plugin_disk_apply(const struct plugins_daemon *daemon, const char *plugin, const struct collet_plugin_world *world, struct plugin_disk_change *changes, unsigned int count, char *error, size_t error_bytes)
{
    struct one_disk *one;
    int rc = 0;

    if (count == 0)
        return 0;
    if (daemon->apply_disk == NULL) {
        snprintf(error, error_bytes, "not applied: no disks here");
        return -ENODEV;
    }
    one = calloc(1, sizeof(*one));
    if (one == NULL)
        return -ENOMEM;
    for (unsigned int i = 0; i < count && rc == 0; i++) {
        bool first = true;

        for (unsigned int j = 0; j < i; j++)
            first = first && changes[j].place != changes[i].place;
        if (!first)
            continue;
        collect_disk(one, changes[i].place, changes, count);
        rc = apply_disk(daemon, plugin, world, one, changes, changes[i].place, error, error_bytes);
    }
    free(one);
    return rc;
}
