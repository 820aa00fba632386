// SPDX-License-Identifier: MIT
/*
 * The sections [vbd NAME] of a domain's definition: what each key means, parameters of the modules that order disks, and which devices the disks become.
 * Contract: definition.h.  Tests: test-definition.c.
 */
#include "backing.h"
#include "definition.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define wrong(r, key, value, line, format, ...) text_mistake((r)->mistakes, (r)->file, line, "%s = %.80s: " format, key, value __VA_OPT__(, ) __VA_ARGS__)
#define NAMES_MAX 128

typedef void take_fn(struct definition_reading *r, struct definition_vbd *vbd, const char *key, const char *value, unsigned int line);

static void take_backing(struct definition_reading *r, struct definition_vbd *vbd, const char *key, const char *value, unsigned int line)
{
    struct backing backing;
    char expected[200];

    vbd->backing_line = line;
    if (backing_parse(value, &backing, expected, sizeof(expected)) != 0)
        wrong(r, key, value, line, "%s", expected);
    free(vbd->backing);
    vbd->backing = strdup(value);
}

static void take_mode(struct definition_reading *r, struct definition_vbd *vbd, const char *key, const char *value, unsigned int line)
{
    if (strcmp(value, "r") != 0 && strcmp(value, "w") != 0)
        wrong(r, key, value, line, "r (read only) or w (read and write) was expected");
    vbd->read_only = *value == 'r';
}

static void take_device(struct definition_reading *r, struct definition_vbd *vbd, const char *key, const char *value, unsigned int line)
{
    vbd->device_line = line;
    if (device_parse(value, &vbd->device) == 0)
        return;
    wrong(r, key, value, line, "%s", value[0] == '/' ? "the name alone was expected, like xvda" : "a name like xvda, or xvda1 for a disk that is to look like a partition, was expected");
}

static void take_shared(struct definition_reading *r, struct definition_vbd *vbd, const char *key, const char *value, unsigned int line)
{
    if (text_bool(value, &vbd->shared) != 0)
        wrong(r, key, value, line, "yes or no was expected");
}

static void take_iops(struct definition_reading *r, struct definition_vbd *vbd, const char *key, const char *value, unsigned int line)
{
    if (text_number(value, &vbd->requests_per_s) != 0)
        wrong(r, key, value, line, "a number of requests a second was expected, like 500; 0 is no limit");
}

static void take_bytes(struct definition_reading *r, struct definition_vbd *vbd, const char *key, const char *value, unsigned int line)
{
    if (text_size_bytes(value, &vbd->bytes_per_s) != 0)
        wrong(r, key, value, line, "a size was expected, like 10M (a plain number is bytes); 0 is no limit");
}

static const struct {
    const char *name;
    take_fn *take;
} keys[] = {{"backing", take_backing}, {"mode", take_mode}, {"device", take_device}, {"shared", take_shared}, {"iops", take_iops}, {"bytes_per_s", take_bytes}};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* ---- Parameters of modules ---- */

static const struct collet_sched_param *param_anywhere(const struct sched_catalog *disks, const char *name, const struct sched_catalog_module **module)
{
    const struct collet_sched_param *param = NULL, *other = NULL;
    unsigned int i;

    /* A module that has it for VBDs before one that has it for disks. */
    for (i = 0; i < disks->count; i++) {
        param = sched_catalog_param(&disks->modules[i], name);
        if (param == NULL || (other != NULL && !(param->scopes & COLLET_DISK_SCOPE_VBD)))
            continue;
        *module = &disks->modules[i];
        other = param;
        if (param->scopes & COLLET_DISK_SCOPE_VBD)
            break;
    }
    return other;
}

static void unknown(struct definition_reading *r, const char *key, unsigned int line)
{
    const char *names[NAMES_MAX + 1], *near;
    unsigned int count = 0, i, j;

    for (i = 0; i < KEYS; i++)
        names[count++] = keys[i].name;
    for (i = 0; i < r->disks->count; i++)
        for (j = 0; j < r->disks->modules[i].param_count && count < NAMES_MAX; j++)
            if (r->disks->modules[i].params[j].scopes & COLLET_DISK_SCOPE_VBD)
                names[count++] = r->disks->modules[i].params[j].name;
    names[count] = NULL;
    near = text_nearest(key, names);
    if (near != NULL)
        text_mistake(r->mistakes, r->file, line, "%s: there is no such key in a section [vbd NAME]; is %s meant?", key, near);
    else
        text_mistake(r->mistakes, r->file, line, "%s: there is no such key in a section [vbd NAME]; there are backing, mode, device, shared, iops, bytes_per_s and parameters of disk modules (`collet disk sched`)", key);
}

static void param_entry(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    const struct sched_catalog_module *module = NULL;
    const struct collet_sched_param *param = param_anywhere(r->disks, key, &module);
    char expected[120];
    uint64_t number;

    if (param == NULL)
        unknown(r, key, line);
    else if (!(param->scopes & COLLET_DISK_SCOPE_VBD))
        text_mistake(r->mistakes, r->file, line, "%s: that is set for a whole disk, not for a VBD: collet disk set DISK %s=...", key, key);
    else if (sched_param_parse(param, value, &number, expected, sizeof(expected)) != 0)
        wrong(r, key, value, line, "%s (parameter of disk module %s)", expected, module->name);
}

/* ---- Sections ---- */

void definition_vbd_begin(struct definition_reading *r, const char *name, unsigned int line)
{
    struct definition *d = r->d;
    const char *bad;
    uint32_t i;

    while (isspace((unsigned char)*name))
        name++;
    bad = *name == '\0' ? "the disk's name is missing, as in [vbd root]" : definition_name_wrong(name);
    if (bad == NULL && d->vbd_count == COLLET_VBDS_MAX)
        bad = "a domain may have 64 disks";
    if (bad != NULL) {
        text_mistake(r->mistakes, r->file, line, "[vbd %.40s]: %s", name, bad);
        r->sections_unknown = true;
        return;
    }
    for (i = 0; i < d->vbd_count; i++)
        if (strcmp(d->vbds[i].name, name) == 0) {
            text_mistake(r->mistakes, r->file, line, "[vbd %s]: given twice, first in line %u", name, d->vbds[i].line);
            r->sections_unknown = true;
            return;
        }
    d->vbds[d->vbd_count] = (struct definition_vbd){.line = line};
    strcpy(d->vbds[d->vbd_count++].name, name);
}

void definition_vbd_entry(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    size_t i;

    for (i = 0; i < KEYS; i++)
        if (strcmp(keys[i].name, key) == 0) {
            keys[i].take(r, &r->d->vbds[r->d->vbd_count - 1], key, value, line);
            return;
        }
    if (r->disks != NULL)
        param_entry(r, key, value, line);
}

static const struct definition_vbd *device_holder(const struct definition *d, uint32_t device, uint32_t but)
{
    uint32_t i;

    for (i = 0; i < d->vbd_count; i++)
        if (i != but && d->vbds[i].device == device)
            return &d->vbds[i];
    return NULL;
}

/* The first whole device of which no other disk has any part. */
static uint32_t device_next(const struct definition *d)
{
    unsigned int index;
    uint32_t i;

    for (index = 0;; index++) {
        for (i = 0; i < d->vbd_count && (d->vbds[i].device == 0 || device_index(d->vbds[i].device) != index); i++)
            ;
        if (i == d->vbd_count)
            return device_number(index);
    }
}

/* Those that say their device get it; the others the next ones that are free, in order of the text. */
void definition_vbds_check(struct definition_reading *r)
{
    struct definition *d = r->d;
    const struct definition_vbd *other;
    uint32_t i;

    for (i = 0; i < d->vbd_count; i++) {
        struct definition_vbd *vbd = &d->vbds[i];

        if (vbd->backing == NULL)
            text_mistake(r->mistakes, r->file, vbd->line, "[vbd %s]: backing is missing: a line like `backing = lvm:vg0/%s`", vbd->name, vbd->name);
        other = vbd->device != 0 ? device_holder(d, vbd->device, i) : NULL;
        if (other != NULL && other < vbd)
            text_mistake(r->mistakes, r->file, vbd->device_line, "[vbd %s]: [vbd %s] has this device already (line %u)", vbd->name, other->name, other->device_line);
    }
    for (i = 0; i < d->vbd_count; i++)
        if (d->vbds[i].device == 0)
            d->vbds[i].device = device_next(d);
}

/* ---- Against the modules ---- */

/* "vbd root" with any blanks between. */
static bool section_of(const char *section, const char *name)
{
    if (strncmp(section, "vbd", 3) != 0 || !isspace((unsigned char)section[3]))
        return false;
    for (section += 3; isspace((unsigned char)*section);)
        section++;
    return strcmp(section, name) == 0;
}

unsigned int definition_vbd_values(const struct definition *d, const char *name, const struct sched_catalog_module *module, const struct sched_catalog_module *except, uint32_t vbd,
                                   struct collet_disk_value *values, unsigned int room)
{
    const struct collet_sched_param *param;
    unsigned int count = 0;
    char expected[120];
    uint64_t number;
    uint32_t i;

    for (i = 0; i < d->setting_count && count < room; i++) {
        if (!section_of(d->settings[i].section, name))
            continue;
        param = sched_catalog_param(module, d->settings[i].key);
        if (param == NULL || !(param->scopes & COLLET_DISK_SCOPE_VBD) || sched_catalog_param(except, d->settings[i].key) != NULL ||
            sched_param_parse(param, d->settings[i].value, &number, expected, sizeof(expected)) != 0)
            continue;
        values[count] = (struct collet_disk_value){.scope = COLLET_DISK_SCOPE_VBD, .vbd = vbd, .value = number};
        memcpy(values[count++].name, param->name, sizeof(values[0].name));
    }
    return count;
}
