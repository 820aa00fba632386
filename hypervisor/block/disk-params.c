// SPDX-License-Identifier: MIT
/*
 * Parameters of the module at work: found by name, checked against what it declares, read and set, one or many at once.
 *
 * What somebody has set is kept by name, for the disk and for each stream, and made again in each module that has a parameter of this name, type and scope and allows the value: so weights are there again after
 * a visit of a module that has none. Contract: block-internal.h. Tests: test-disk-modules.c.
 */
#include "disk-internal.h"

#include "alloc.h"
#include "lib/string.h"

#include <hv/errno.h>

_Static_assert((int)COLLET_DISK_SCOPE_DISK == BLK_SCOPE_DISK && (int)COLLET_DISK_SCOPE_VBD == BLK_SCOPE_VBD, "scopes are the modules'");
_Static_assert((int)COLLET_PARAM_UINT == BLK_PARAM_UINT && (int)COLLET_PARAM_NS == BLK_PARAM_NS && (int)COLLET_PARAM_BOOL == BLK_PARAM_BOOL, "types of parameters are the modules'");

/* An entry, understood. */
struct target {
    struct disk_stream *stream; /* NULL: the disk */
    uint32_t index;
    enum blk_param_type type;
};

static struct blk_vbd *vbd_of(const struct target *t)
{
    return t->stream != NULL ? &t->stream->sched : NULL;
}

static bool in_range(const struct blk_parameter *p, uint64_t value)
{
    return value >= p->minimum && value <= p->maximum && (p->type != BLK_PARAM_BOOL || value <= 1);
}

static int param_find(const struct disk *disk, const char *name, uint32_t scope, uint32_t *index)
{
    for (uint32_t i = 0; i < disk->ops.param_count; i++) {
        if (strcmp(disk->ops.params[i].name, name) != 0)
            continue;
        *index = i;
        return disk->ops.params[i].scopes & scope ? 0 : -EOPNOTSUPP;
    }
    return -ENOENT;
}

/* Both locks held: a module that fails takes its parameters with it. */
static int target_find(struct disk *disk, const struct collet_disk_value *e, struct target *t)
{
    int rc;

    *t = (struct target){0};
    if (strnlen(e->name, sizeof(e->name)) == sizeof(e->name) || (e->scope != BLK_SCOPE_DISK && e->scope != BLK_SCOPE_VBD))
        return -EINVAL;
    if (e->scope == BLK_SCOPE_VBD) {
        t->stream = disk_stream_find(disk, e->vbd);
        if (t->stream == NULL)
            return -ESRCH;
    }
    rc = param_find(disk, e->name, e->scope, &t->index);
    if (rc == 0)
        t->type = disk->ops.params[t->index].type;
    return rc;
}

static bool module_is_active(const struct disk *disk, const char *name)
{
    return name[0] == '\0' || strcmp(name, disk->ops.name) == 0;
}

/* ---- What was set ---- */

static struct disk_setting *setting_find(struct disk *disk, uint32_t vbd, const char *name)
{
    struct disk_setting *s;

    list_for_each_entry(s, &disk->settings, link)
        if (s->vbd == vbd && strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

/* A place for it, whose value is to be filled in. */
static struct disk_setting *setting_make(struct disk *disk, uint32_t vbd, const char *name)
{
    struct disk_setting *s = setting_find(disk, vbd, name);

    if (s != NULL)
        return s;
    s = heap_alloc(sizeof(*s));
    if (s == NULL)
        return NULL;
    s->vbd = vbd;
    s->fresh = true;
    strlcpy(s->name, name, sizeof(s->name));
    list_push_back(&disk->settings, &s->link);
    return s;
}

void disk_settings_forget(struct disk *disk, uint32_t vbd)
{
    struct disk_setting *s, *next;

    list_for_each_entry_safe(s, next, &disk->settings, link) {
        if (s->vbd != vbd)
            continue;
        list_remove(&s->link);
        heap_free(s);
    }
}

static void param_set(struct disk *disk, struct disk_stream *stream, uint32_t index, uint64_t value, uint64_t now_ns)
{
    if (disk_recorded(disk))
        disk_record_set(disk, stream != NULL ? stream->sched.id : COLLET_DISK_NO_VBD, disk->ops.params[index].name, value, now_ns);
    disk->ops.param_set(disk->state, stream != NULL ? &stream->sched : NULL, index, value, now_ns);
}

void disk_settings_make(struct disk *disk, uint64_t now_ns)
{
    struct disk_setting *s;

    list_for_each_entry(s, &disk->settings, link) {
        struct disk_stream *stream = s->vbd != COLLET_DISK_NO_VBD ? disk_stream_find(disk, s->vbd) : NULL;
        uint32_t index;

        if (param_find(disk, s->name, stream != NULL ? BLK_SCOPE_VBD : BLK_SCOPE_DISK, &index) != 0)
            continue;
        if (disk->ops.params[index].type == s->type && in_range(&disk->ops.params[index], s->value))
            param_set(disk, stream, index, s->value, now_ns);
    }
}

/* ---- Setting ---- */

/* Are all of them right, for the module that is at work? */
static int check_all(struct disk *disk, struct collet_disk_values *op, const struct collet_disk_value *values, struct target *targets, const char **module)
{
    uint64_t flags = spin_lock_irqsave(&disk->lock);
    int rc = module_is_active(disk, op->module) ? 0 : -ESTALE;

    *module = disk->ops.name;
    for (uint32_t i = 0; rc == 0 && i < op->count; i++) {
        rc = target_find(disk, &values[i], &targets[i]);
        if (rc == 0 && !in_range(&disk->ops.params[targets[i].index], values[i].value))
            rc = -ERANGE;
        if (rc != 0)
            op->failed = i;
    }
    spin_unlock_irqrestore(&disk->lock, flags);
    return rc;
}

static void forget_fresh(struct disk *disk)
{
    struct disk_setting *s, *next;

    list_for_each_entry_safe(s, next, &disk->settings, link) {
        if (!s->fresh)
            continue;
        list_remove(&s->link);
        heap_free(s);
    }
}

static uint32_t vbd_id(const struct target *t)
{
    return t->stream != NULL ? t->stream->sched.id : COLLET_DISK_NO_VBD;
}

/* Kept before they are made: that may fail, and then nothing has changed. */
static int keep_all(struct disk *disk, const struct collet_disk_values *op, const struct collet_disk_value *values, const struct target *targets)
{
    for (uint32_t i = 0; i < op->count; i++)
        if (setting_make(disk, vbd_id(&targets[i]), values[i].name) == NULL) {
            forget_fresh(disk);
            return -ENOMEM;
        }
    for (uint32_t i = 0; i < op->count; i++) {
        struct disk_setting *s = setting_find(disk, vbd_id(&targets[i]), values[i].name);

        s->fresh = false;
        s->type = targets[i].type;
        s->value = values[i].value;
    }
    return 0;
}

/* Unless the module has failed meanwhile. */
static long set_all(struct disk *disk, const char *module, const struct collet_disk_values *op, const struct collet_disk_value *values,
                    const struct target *targets)
{
    uint64_t flags = spin_lock_irqsave(&disk->lock);
    uint64_t now_ns = disk_time(disk, clock_now_ns());
    bool same = module == disk->ops.name;

    for (uint32_t i = 0; same && i < op->count; i++)
        param_set(disk, targets[i].stream, targets[i].index, values[i].value, now_ns);
    disk->held = false;
    spin_unlock_irqrestore(&disk->lock, flags);
    return same ? 0 : -ESTALE;
}

long disk_set(struct collet_disk_values *op, const struct collet_disk_value *values)
{
    struct disk *disk = disk_find(op->disk);
    struct target *targets;
    const char *module;
    long rc;

    op->failed = op->count;
    if (disk == NULL)
        return -ENODEV;
    targets = op->count != 0 ? heap_alloc(op->count * sizeof(*targets)) : NULL;
    if (op->count != 0 && targets == NULL)
        return -ENOMEM;
    spin_lock(&disks_admin_lock);
    rc = check_all(disk, op, values, targets, &module);
    if (rc == 0)
        rc = keep_all(disk, op, values, targets);
    if (rc == 0)
        rc = set_all(disk, module, op, values, targets);
    spin_unlock(&disks_admin_lock);
    heap_free(targets);
    disk_run(disk);
    return rc;
}

/* ---- Reading ---- */

long disk_get(struct collet_disk_values *op, struct collet_disk_value *values)
{
    struct disk *disk = disk_find(op->disk);
    struct target t;
    uint64_t flags;
    long rc;

    op->failed = op->count;
    if (disk == NULL)
        return -ENODEV;
    spin_lock(&disks_admin_lock);
    flags = spin_lock_irqsave(&disk->lock);
    rc = module_is_active(disk, op->module) ? 0 : -ESTALE;
    for (uint32_t i = 0; rc == 0 && i < op->count; i++) {
        rc = target_find(disk, &values[i], &t);
        if (rc == 0)
            values[i].value = disk->ops.param_get(disk->state, vbd_of(&t), t.index);
        else
            op->failed = i;
    }
    spin_unlock_irqrestore(&disk->lock, flags);
    spin_unlock(&disks_admin_lock);
    return rc;
}
