// SPDX-License-Identifier: MIT
/*
 * libcollet's operations on disks and virtual block devices. Each is one operation of <collet/control.h>, or one list read to its end.
 *
 * Contract: <collet/collet.h>.  Tests: test-calls-block.c.  Page: docs/reference/libcollet.md.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_AT_ONCE 512u /* as <collet/control.h> has it */

static_assert(RECORDS_AT_ONCE * sizeof(struct collet_disk_record) <= DATA_BYTES, "what is read at once fits");
static_assert(COLLET_SCHED_VALUES_MAX * sizeof(struct collet_disk_value) <= DATA_BYTES, "a whole set fits");

/* ---- Disks ---- */

static uint32_t next_disk(const void *last, uint32_t first, uint32_t count)
{
    (void)first;
    (void)count;
    return ((const struct collet_disk_info *)last)->disk + 1;
}

int collet_disk_list(struct collet *c, struct collet_disk_info **disks)
{
    struct collet_disk_list arg = {.buffer = data_address(c), .entry_bytes = sizeof(**disks)};
    struct list l = {COLLET_OP_DISK_LIST, &arg, sizeof(arg), &arg.first, &arg.count, sizeof(**disks), next_disk};

    return list_read(c, &l, (void **)disks);
}

int collet_disk_info(struct collet *c, uint32_t disk, struct collet_disk_info *info)
{
    struct collet_disk_list arg = {.first = disk, .count = 1, .buffer = data_address(c), .entry_bytes = sizeof(*info)};
    int rc = collet_control(c, COLLET_OP_DISK_LIST, &arg, sizeof(arg));

    if (rc < 0)
        return rc;
    memcpy(info, c->data, sizeof(*info));
    if (arg.count == 0 || info->disk != disk)
        return collet_fail(c, -ENODEV, "there is no disk %u", disk);
    return 0;
}

int collet_disk_find(struct collet *c, const char *name_or_number, struct collet_disk_info *info)
{
    const struct collet_disk_info *found = NULL;
    struct collet_disk_info *all;
    int n = collet_disk_list(c, &all);
    uint32_t number = 0;
    bool is_number = number_parse(name_or_number, &number);

    if (n < 0)
        return n;
    for (int i = 0; i < n && found == NULL; i++)
        if (strncmp(all[i].name, name_or_number, sizeof(all[i].name)) == 0 || (is_number && all[i].disk == number))
            found = &all[i];
    if (found != NULL)
        *info = *found;
    free(all);
    return found != NULL ? 0 : collet_fail(c, -ENODEV, "there is no disk \"%.64s\"", name_or_number);
}

/* ---- Modules ---- */

int collet_disk_module_list(struct collet *c, struct collet_sched_module **modules)
{
    struct collet_sched_list arg = {.buffer = data_address(c)};
    struct list l = {COLLET_OP_DISK_MODULE_LIST, &arg, sizeof(arg), &arg.first, &arg.count, sizeof(**modules), list_next_by_index};

    return list_read(c, &l, (void **)modules);
}

static int module_unknown(struct collet *c, const char *module)
{
    return collet_fail(c, -ENOENT, "there is no disk module \"%.64s\"", module);
}

int collet_disk_param_list(struct collet *c, const char *module, struct collet_sched_param **params)
{
    struct collet_sched_param_list arg = {.buffer = data_address(c)};
    struct list l = {COLLET_OP_DISK_PARAM_LIST, &arg, sizeof(arg), &arg.first, &arg.count, sizeof(**params), list_next_by_index};

    *params = NULL;
    if (!name_set(arg.module, module))
        return module_unknown(c, module);
    return list_read(c, &l, (void **)params);
}

int collet_disk_use(struct collet *c, uint32_t disk, const char *module)
{
    struct collet_disk_use arg = {.disk = disk};
    int rc;

    if (!name_set(arg.module, module))
        return module_unknown(c, module);
    rc = collet_control(c, COLLET_OP_DISK_USE, &arg, sizeof(arg));
    return rc == -ENOENT ? module_unknown(c, module) : rc;
}

static int disk_values(struct collet *c, enum collet_op op, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed)
{
    struct collet_disk_values arg = {.buffer = data_address(c), .count = count, .failed = count, .disk = disk};
    int rc;

    if (failed != NULL)
        *failed = count;
    if (count > COLLET_SCHED_VALUES_MAX)
        return collet_fail(c, -EINVAL, "at most %u disk parameters at a time", COLLET_SCHED_VALUES_MAX);
    if (module != NULL && !name_set(arg.module, module))
        return module_unknown(c, module);
    memcpy(c->data, values, count * sizeof(*values));
    rc = collet_control(c, op, &arg, sizeof(arg));
    if (rc < 0 && arg.failed < count) {
        if (failed != NULL)
            *failed = arg.failed;
        collet_fail(c, rc, "%.31s: %s", values[arg.failed].name, collet_reason(rc == -EINVAL ? COLLET_OP_DISK_GET : op, rc)); /* -EINVAL: its scope, of one entry; their sense, of all */
    }
    if (rc >= 0 && op == COLLET_OP_DISK_GET)
        memcpy(values, c->data, count * sizeof(*values));
    return rc;
}

int collet_disk_get(struct collet *c, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed)
{
    return disk_values(c, COLLET_OP_DISK_GET, disk, module, values, count, failed);
}

int collet_disk_set(struct collet *c, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed)
{
    return disk_values(c, COLLET_OP_DISK_SET, disk, module, values, count, failed);
}

/* ---- Model and recording ---- */

int collet_disk_model(struct collet *c, uint32_t disk, const char *drive)
{
    struct collet_disk_model arg = {.disk = disk};
    int rc = name_set(arg.drive, drive != NULL ? drive : "") ? collet_control(c, COLLET_OP_DISK_MODEL, &arg, sizeof(arg)) : -ENOENT;

    return rc == -ENOENT ? collet_fail(c, rc, "there is no model of a drive \"%.64s\"", drive != NULL ? drive : "") : rc;
}

int collet_disk_record(struct collet *c, uint32_t disk, unsigned int records)
{
    struct collet_disk_recording arg = {.disk = disk, .records = records};

    return collet_control(c, COLLET_OP_DISK_RECORD, &arg, sizeof(arg));
}

int collet_disk_record_read(struct collet *c, uint32_t disk, struct collet_disk_record *records, unsigned int room, uint64_t *lost, bool *running)
{
    uint32_t n = room < RECORDS_AT_ONCE ? room : RECORDS_AT_ONCE;
    struct collet_disk_record_read arg = {.disk = disk, .count = n, .buffer = data_address(c)};
    int rc = collet_control(c, COLLET_OP_DISK_RECORD_READ, &arg, sizeof(arg));

    if (rc < 0)
        return rc;
    if (arg.count > n)
        return collet_fail(c, -EPROTO, "the hypervisor answered with more records than there was room for");
    memcpy(records, c->data, arg.count * sizeof(*records));
    if (lost != NULL)
        *lost = arg.lost;
    if (running != NULL)
        *running = arg.running != 0;
    return (int)arg.count;
}

/* ---- Virtual block devices ---- */

int collet_vbd_create(struct collet *c, struct collet_vbd_create *create, const struct collet_extent *extents)
{
    size_t bytes = create->extents * sizeof(*extents);
    void *memory;
    int rc;

    if (create->extents == 0)
        return collet_fail(c, -EINVAL, "a VBD has at least one extent");
    if (create->extents > COLLET_EXTENTS_MAX)
        return collet_explain(c, COLLET_OP_VBD_CREATE, -E2BIG);
    memory = collet_memory(c, bytes);
    if (memory == NULL)
        return collet_fail(c, -ENOMEM, "out of memory for a VBD's extents");
    memcpy(memory, extents, bytes);
    create->buffer = (uintptr_t)memory;
    rc = collet_control(c, COLLET_OP_VBD_CREATE, create, sizeof(*create));
    create->buffer = 0;
    collet_memory_free(c, memory, bytes);
    return rc;
}

/* A guest's or a device's last requests are waited for. */
static int vbd_end(struct collet *c, enum collet_op op, uint32_t vbd)
{
    struct collet_vbd_ref arg = {.vbd = vbd};
    struct patience p;
    int rc;

    patience_begin(&p, END_LIMIT_MS);
    do
        rc = collet_control(c, op, &arg, sizeof(arg));
    while (patience_again(&p, rc));
    return rc == -EINTR ? collet_fail(c, -ETIMEDOUT, "VBD %u: a disk still has requests of it after %u s; call again", vbd, END_LIMIT_MS / 1000) : rc;
}

int collet_vbd_destroy(struct collet *c, uint32_t vbd)
{
    return vbd_end(c, COLLET_OP_VBD_DESTROY, vbd);
}

int collet_vbd_connect(struct collet *c, uint32_t vbd, uint32_t ring_ref, uint32_t port)
{
    struct collet_vbd_connect arg = {.vbd = vbd, .ring_ref = ring_ref, .port = port};

    return collet_control(c, COLLET_OP_VBD_CONNECT, &arg, sizeof(arg));
}

int collet_vbd_disconnect(struct collet *c, uint32_t vbd)
{
    return vbd_end(c, COLLET_OP_VBD_DISCONNECT, vbd);
}

int collet_vbd_limits(struct collet *c, uint32_t vbd, uint64_t requests_per_s, uint64_t bytes_per_s)
{
    struct collet_vbd_limits arg = {.vbd = vbd, .requests_per_s = requests_per_s, .bytes_per_s = bytes_per_s};

    return collet_control(c, COLLET_OP_VBD_LIMITS, &arg, sizeof(arg));
}

static uint32_t next_vbd(const void *last, uint32_t first, uint32_t count)
{
    (void)first;
    (void)count;
    return ((const struct collet_vbd_info *)last)->vbd + 1;
}

int collet_vbd_list(struct collet *c, uint32_t domid, struct collet_vbd_info **vbds)
{
    struct collet_vbd_list arg = {.buffer = data_address(c), .entry_bytes = sizeof(**vbds), .domid = domid};
    struct list l = {COLLET_OP_VBD_LIST, &arg, sizeof(arg), &arg.first_vbd, &arg.count, sizeof(**vbds), next_vbd};

    return list_read(c, &l, (void **)vbds);
}

int collet_vbd_info(struct collet *c, uint32_t vbd, struct collet_vbd_info *info)
{
    struct collet_vbd_list arg = {.first_vbd = vbd, .count = 1, .buffer = data_address(c), .entry_bytes = sizeof(*info), .domid = COLLET_VBDS_ALL};
    int rc = collet_control(c, COLLET_OP_VBD_LIST, &arg, sizeof(arg));

    if (rc < 0)
        return rc;
    memcpy(info, c->data, sizeof(*info));
    if (arg.count == 0 || info->vbd != vbd)
        return collet_fail(c, -ENOENT, "there is no VBD %u", vbd);
    return 0;
}

int collet_vbd_extents(struct collet *c, uint32_t vbd, struct collet_extent **extents)
{
    struct collet_vbd_extents arg = {.vbd = vbd, .buffer = data_address(c)};
    struct list l = {COLLET_OP_VBD_EXTENTS, &arg, sizeof(arg), &arg.first, &arg.count, sizeof(**extents), list_next_by_index};

    return list_read(c, &l, (void **)extents);
}
