/* SPDX-License-Identifier: MIT */
/*
 * Control operations on disks and virtual block devices: what there is and how it fares, which module orders a disk, its parameters, its model and its recording; VBDs made, served, limited and ended.
 * Contract: <collet/control.h>. The work is the block core's (block/block-internal.h); here arguments are copied and checked. Arrays of the caller are copied whole before anything is done with them; what
 * goes out goes entry by entry, for a stack is small.
 */
#include "control-internal.h"

#include "../block/block-internal.h"
#include "alloc.h"
#include "cpu.h"
#include "guest-access.h"
#include "lib/string.h"
#include "time.h"

#include <hv/errno.h>

#define RECORDS_AT_ONCE 512u /* one call gives at most so many out */
#define RECORDS_CHUNK   64u  /* of disk_record_take */
#define EXTENTS_CHUNK   128u
#define END_PART_NS     (200u * 1000) /* about a fast device's time for a request; longer than that the caller sleeps */
#define VBD_FLAGS_IN    (COLLET_VBD_READ_ONLY | COLLET_VBD_SHARED | COLLET_VBD_RAW)

_Static_assert((int)COLLET_PARAM_UINT == BLK_PARAM_UINT && (int)COLLET_PARAM_NS == BLK_PARAM_NS && (int)COLLET_PARAM_BOOL == BLK_PARAM_BOOL,
               "types of parameters are the modules'");
_Static_assert((int)COLLET_DISK_SCOPE_DISK == BLK_SCOPE_DISK && (int)COLLET_DISK_SCOPE_VBD == BLK_SCOPE_VBD, "scopes are the modules'");

static bool ends(const char *text, size_t room)
{
    return strnlen(text, room) < room;
}

/* ---- Disks ---- */

long control_disk_list(uint64_t arg, size_t bytes)
{
    struct collet_disk_info *info;
    struct collet_disk_list a;
    uint32_t room;
    long rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (!control_entry_size_ok(a.entry_bytes) || a.pad != 0)
        return -EINVAL;
    info = heap_alloc(sizeof(*info));
    if (info == NULL)
        return -ENOMEM;
    room = a.count;
    a.count = 0;
    for (uint32_t id = a.first; id < disk_count && a.count < room && rc == 0; id++) {
        memset(info, 0, sizeof(*info));
        if (disk_info(id, info) != 0)
            continue;
        rc = control_entry_copy_out(a.buffer + (uint64_t)a.count * a.entry_bytes, a.entry_bytes, info, sizeof(*info));
        a.count++;
        preempt_point();
    }
    heap_free(info);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &a, sizeof(a));
}

/* How many disks it orders now. */
static uint32_t disks_ordered_by(const char *module, struct collet_disk_info *scratch)
{
    uint32_t n = 0;

    for (uint32_t id = 0; id < disk_count; id++)
        n += disk_info(id, scratch) == 0 && strcmp(scratch->module, module) == 0;
    return n;
}

static const struct blk_sched_ops *module_at(uint32_t index)
{
    for (uint32_t i = 0; blk_sched_modules[i] != NULL; i++)
        if (i == index)
            return blk_sched_modules[i];
    return NULL;
}

static int module_copy_out(uint64_t to, const struct blk_sched_ops *ops, struct collet_disk_info *scratch)
{
    struct collet_sched_module m;

    memset(&m, 0, sizeof(m));
    strlcpy(m.name, ops->name, sizeof(m.name));
    if (ops->summary != NULL)
        strlcpy(m.summary, ops->summary, sizeof(m.summary));
    m.params = ops->param_count;
    m.active = disks_ordered_by(ops->name, scratch);
    return copy_to_guest(to, &m, sizeof(m));
}

long control_disk_module_list(uint64_t arg, size_t bytes)
{
    struct collet_disk_info *scratch;
    const struct blk_sched_ops *ops;
    struct collet_sched_list op;
    uint32_t written = 0;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    scratch = heap_alloc(sizeof(*scratch));
    if (scratch == NULL)
        return -ENOMEM;
    while (rc == 0 && written < op.count && op.first + written >= op.first && (ops = module_at(op.first + written)) != NULL) {
        rc = module_copy_out(op.buffer + written * sizeof(struct collet_sched_module), ops, scratch);
        written++;
    }
    heap_free(scratch);
    op.count = written;
    return rc != 0 ? rc : control_copy_out(arg, bytes, &op, sizeof(op));
}

static int param_copy_out(uint64_t to, const struct blk_parameter *from)
{
    struct collet_sched_param p;

    memset(&p, 0, sizeof(p));
    strlcpy(p.name, from->name, sizeof(p.name));
    if (from->help != NULL)
        strlcpy(p.help, from->help, sizeof(p.help));
    p.type = (uint32_t)from->type;
    p.scopes = from->scopes;
    p.minimum = from->minimum;
    p.maximum = from->maximum;
    p.initial = from->initial;
    return copy_to_guest(to, &p, sizeof(p));
}

long control_disk_param_list(uint64_t arg, size_t bytes)
{
    const struct blk_sched_ops *ops = NULL;
    struct collet_sched_param_list op;
    uint32_t count;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (!ends(op.module, sizeof(op.module)))
        return -EINVAL;
    for (uint32_t i = 0; ops == NULL && blk_sched_modules[i] != NULL; i++)
        if (strcmp(blk_sched_modules[i]->name, op.module) == 0)
            ops = blk_sched_modules[i];
    if (ops == NULL)
        return -ENOENT;
    count = op.first < ops->param_count ? min(op.count, ops->param_count - op.first) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (param_copy_out(op.buffer + i * sizeof(struct collet_sched_param), &ops->params[op.first + i]) != 0)
            return -EFAULT;
    op.count = count;
    return control_copy_out(arg, bytes, &op, sizeof(op));
}

long control_disk_use(uint64_t arg, size_t bytes)
{
    struct collet_disk_use op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (!ends(op.module, sizeof(op.module)) || op.module[0] == '\0' || op.pad != 0)
        return -EINVAL;
    return disk_use(op.disk, op.module);
}

/* The caller's values in memory of ours, for heap_free; each one's form is checked. On an error op->failed tells which one it was, and there is nothing to free. */
static int values_copy_in(struct collet_disk_values *op, struct collet_disk_value **values)
{
    size_t bytes = op->count * sizeof(**values);
    int rc = 0;

    *values = NULL;
    op->failed = op->count;
    if (!ends(op->module, sizeof(op->module)) || op->count > COLLET_SCHED_VALUES_MAX || op->pad != 0)
        return -EINVAL;
    if (op->count == 0)
        return 0;
    *values = heap_alloc(bytes);
    if (*values == NULL)
        return -ENOMEM;
    if (copy_from_guest(*values, op->buffer, bytes) != 0)
        rc = -EFAULT;
    for (uint32_t i = 0; rc == 0 && i < op->count; i++)
        if (!ends((*values)[i].name, sizeof((*values)[i].name))) {
            op->failed = i;
            rc = -EINVAL;
        }
    if (rc != 0)
        heap_free(*values);
    return rc;
}

static long values_act(uint64_t arg, size_t bytes, bool set)
{
    struct collet_disk_value *values;
    struct collet_disk_values op;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);
    int copied;

    if (rc != 0)
        return rc;
    rc = values_copy_in(&op, &values);
    if (rc == 0) {
        rc = set ? disk_set(&op, values) : disk_get(&op, values);
        if (rc == 0 && !set && op.count != 0 && copy_to_guest(op.buffer, values, op.count * sizeof(*values)) != 0)
            rc = -EFAULT;
        heap_free(values);
    }
    copied = control_copy_out(arg, bytes, &op, sizeof(op)); /* `failed` is told on failure too */
    return rc != 0 ? rc : copied;
}

long control_disk_get(uint64_t arg, size_t bytes)
{
    return values_act(arg, bytes, false);
}

long control_disk_set(uint64_t arg, size_t bytes)
{
    return values_act(arg, bytes, true);
}

long control_disk_model(uint64_t arg, size_t bytes)
{
    struct collet_disk_model op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (!ends(op.drive, sizeof(op.drive)) || op.pad != 0)
        return -EINVAL;
    return disk_model_use(op.disk, op.drive);
}

long control_disk_record(uint64_t arg, size_t bytes)
{
    struct collet_disk_recording op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    return rc != 0 ? rc : disk_record(op.disk, op.records);
}

/* Some at a time, until the room is full or there are no more. What was taken out and could not be written is lost: an address that is not there is the caller's mistake. */
static long records_copy_out(struct collet_disk_record_read *op, struct collet_disk_record *chunk)
{
    uint32_t room = min(op->count, RECORDS_AT_ONCE), done = 0;
    long rc;

    do {
        op->count = min(room - done, RECORDS_CHUNK);
        rc = disk_record_take(op, chunk);
        if (rc == -ENOENT && done != 0) { /* those were the last */
            op->running = 0;
            rc = op->count = 0;
        }
        if (rc == 0 && op->count != 0 && copy_to_guest(op->buffer + done * sizeof(*chunk), chunk, op->count * sizeof(*chunk)) != 0)
            rc = -EFAULT;
        done += op->count;
        preempt_point();
    } while (rc == 0 && op->count != 0 && done < room);
    op->count = done;
    return rc;
}

long control_disk_record_read(uint64_t arg, size_t bytes)
{
    struct collet_disk_record_read op;
    struct collet_disk_record *chunk;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (op.pad != 0)
        return -EINVAL;
    chunk = heap_alloc(RECORDS_CHUNK * sizeof(*chunk));
    if (chunk == NULL)
        return -ENOMEM;
    rc = records_copy_out(&op, chunk);
    heap_free(chunk);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &op, sizeof(op));
}

/* ---- Virtual block devices ---- */

/* Wait for the end, but not for ever: 0, -ENOENT, or -EINTR after a while. */
static long vbd_end(long (*end)(uint32_t id), uint32_t id)
{
    uint64_t until_ns = clock_now_ns() + END_PART_NS;
    long rc;

    while ((rc = end(id)) == -EINTR && clock_now_ns() < until_ns)
        preempt_point();
    return rc;
}

/* extents: copied. An id that the caller cannot be told of is no good: then the VBD goes again. */
static long vbd_make(struct collet_vbd_create *op, const struct collet_extent *extents, uint64_t arg, size_t bytes)
{
    long rc = vbd_create(op, extents);
    int copied = rc == 0 || rc == -EBUSY ? control_copy_out(arg, bytes, op, sizeof(*op)) : 0;

    if (rc != 0 || copied == 0)
        return rc;
    while (vbd_end(vbd_destroy, op->vbd) == -EINTR)
        preempt_point();
    return copied;
}

long control_vbd_create(uint64_t arg, size_t bytes)
{
    struct collet_extent *extents;
    struct collet_vbd_create op;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (!control_name_ok(op.name, sizeof(op.name)) || (op.flags & ~VBD_FLAGS_IN) != 0 || op.extents == 0)
        return -EINVAL;
    if (op.extents > COLLET_EXTENTS_MAX)
        return -E2BIG;
    op.vbd = op.holder = 0;
    extents = heap_alloc(op.extents * sizeof(*extents));
    if (extents == NULL)
        return -ENOMEM;
    if (copy_from_guest(extents, op.buffer, op.extents * sizeof(*extents)) != 0)
        rc = -EFAULT;
    for (uint32_t i = 0; rc == 0 && i < op.extents; i++)
        rc = extents[i].pad == 0 ? 0 : -EINVAL;
    if (rc == 0)
        rc = vbd_make(&op, extents, arg, bytes);
    heap_free(extents);
    return rc;
}

static long ref_end(uint64_t arg, size_t bytes, long (*end)(uint32_t id))
{
    struct collet_vbd_ref op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    return op.pad != 0 ? -EINVAL : vbd_end(end, op.vbd);
}

long control_vbd_destroy(uint64_t arg, size_t bytes)
{
    return ref_end(arg, bytes, vbd_destroy);
}

long control_vbd_disconnect(uint64_t arg, size_t bytes)
{
    return ref_end(arg, bytes, vbd_disconnect);
}

long control_vbd_connect(uint64_t arg, size_t bytes)
{
    struct collet_vbd_connect op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    return op.pad != 0 ? -EINVAL : vbd_connect(&op);
}

long control_vbd_limits(uint64_t arg, size_t bytes)
{
    struct collet_vbd_limits op;
    int rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    return op.pad != 0 ? -EINVAL : vbd_limits(&op);
}

static long vbds_copy_out(struct collet_vbd_list *a, struct collet_vbd_info *info)
{
    uint32_t room = a->count, from = a->first_vbd;
    long rc = 0;

    for (a->count = 0; a->count < room && rc == 0; a->count++) {
        memset(info, 0, sizeof(*info));
        if (vbd_info(from, a->domid, info) != 0)
            break;
        rc = control_entry_copy_out(a->buffer + (uint64_t)a->count * a->entry_bytes, a->entry_bytes, info, sizeof(*info));
        from = info->vbd + 1;
        preempt_point();
    }
    return rc;
}

long control_vbd_list(uint64_t arg, size_t bytes)
{
    struct collet_vbd_info *info;
    struct collet_vbd_list a;
    long rc = control_copy_in(&a, sizeof(a), arg, bytes);

    if (rc != 0)
        return rc;
    if (!control_entry_size_ok(a.entry_bytes))
        return -EINVAL;
    info = heap_alloc(sizeof(*info));
    if (info == NULL)
        return -ENOMEM;
    rc = vbds_copy_out(&a, info);
    heap_free(info);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &a, sizeof(a));
}

static long extents_copy_out(struct collet_vbd_extents *op, struct collet_extent *chunk)
{
    uint32_t room = op->count, done = 0;
    long n;

    do {
        n = vbd_extents_get(op->vbd, op->first + done, min(room - done, EXTENTS_CHUNK), chunk);
        if (n < 0)
            return n;
        if (n != 0 && copy_to_guest(op->buffer + done * sizeof(*chunk), chunk, (size_t)n * sizeof(*chunk)) != 0)
            return -EFAULT;
        done += (uint32_t)n;
        preempt_point();
    } while (n != 0 && done < room);
    op->count = done;
    return 0;
}

long control_vbd_extents(uint64_t arg, size_t bytes)
{
    struct collet_vbd_extents op;
    struct collet_extent *chunk;
    long rc = control_copy_in(&op, sizeof(op), arg, bytes);

    if (rc != 0)
        return rc;
    if (op.pad != 0 || op.first > COLLET_EXTENTS_MAX)
        return -EINVAL;
    chunk = heap_alloc(EXTENTS_CHUNK * sizeof(*chunk));
    if (chunk == NULL)
        return -ENOMEM;
    rc = extents_copy_out(&op, chunk);
    heap_free(chunk);
    return rc != 0 ? rc : control_copy_out(arg, bytes, &op, sizeof(op));
}
