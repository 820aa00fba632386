// SPDX-License-Identifier: MIT
/*
 * Recordings: what comes to a disk, what its module is told and what it decides, in the order in which it happens under the disk's lock, for a reader in Domain0. A recording begins with a fresh instance of the
 * module at work, which is told of VBDs, settings and queued requests in the very order of the records: so the host repeats it from the first record. Requests that were issued before do not appear.
 *
 * A ring with no overwriting: what has no room is counted, and LOST stands in its place. Contract: block-internal.h, <collet/disk-record.h>. Tests: test-disk-record.c.
 */
#include "disk-internal.h"

#include "alloc.h"
#include "lib/string.h"

#include <hv/errno.h>

static struct collet_disk_record *record_at(struct disk_recording *rec, uint64_t number)
{
    uint32_t index = (uint32_t)number & (rec->records - 1);

    return &rec->chunk[index / DISK_RECORD_CHUNK][index % DISK_RECORD_CHUNK];
}

/* ---- Writing ---- */

void disk_record_put(struct disk *disk, const struct collet_disk_record *record)
{
    struct disk_recording *rec = disk->recording;
    uint64_t room = rec->records - (rec->head - rec->tail);

    if (room < (rec->gap != 0 ? 2u : 1u)) {
        rec->gap++;
        rec->lost++;
        return;
    }
    if (rec->gap != 0) {
        *record_at(rec, rec->head++) = (struct collet_disk_record){.kind = COLLET_DISK_LOST, .time_ns = record->time_ns, .value = rec->gap, .vbd = COLLET_DISK_NO_VBD};
        rec->gap = 0;
    }
    *record_at(rec, rec->head++) = *record;
}

void disk_record_use(struct disk *disk, uint64_t now_ns)
{
    struct collet_disk_record r = {.kind = COLLET_DISK_USE, .time_ns = now_ns, .vbd = COLLET_DISK_NO_VBD};

    strlcpy(r.name, disk->ops.name, sizeof(r.name));
    disk_record_put(disk, &r);
}

void disk_record_vbd(struct disk *disk, const struct disk_stream *s, bool gone, uint64_t now_ns)
{
    const struct collet_disk_record r = {.kind = gone ? COLLET_DISK_VBD_GONE : COLLET_DISK_VBD, .time_ns = now_ns, .vbd = s->sched.id, .domid = (uint16_t)s->sched.domid};

    disk_record_put(disk, &r);
}

void disk_record_set(struct disk *disk, uint32_t vbd, const char *name, uint64_t value, uint64_t now_ns)
{
    struct collet_disk_record r = {.kind = COLLET_DISK_SET, .time_ns = now_ns, .vbd = vbd, .value = value};

    strlcpy(r.name, name, sizeof(r.name));
    disk_record_put(disk, &r);
}

void disk_record_arrive(struct disk *disk, const struct block_request *r, uint64_t now_ns)
{
    const struct disk_stream *s = disk_stream_of(r);
    const struct collet_disk_record record = {
        .kind = COLLET_DISK_ARRIVE,
        .op = r->sched.op,
        .time_ns = now_ns,
        .serial = r->sched.serial,
        .vbd = s->sched.id,
        .domid = (uint16_t)s->sched.domid,
        .value = s->completions != 0 && now_ns > s->last_completion_ns ? now_ns - s->last_completion_ns : 0,
        .sector = r->sched.sector,
        .sectors = r->sched.sectors,
        .segments = (uint16_t)r->sched.segments,
        .after = (uint32_t)s->completions,
    };

    disk_record_put(disk, &record);
}

void disk_record_piece(struct disk *disk, uint8_t kind, const struct block_request *r, uint16_t flags, uint64_t now_ns)
{
    const struct collet_disk_record record = {
        .kind = kind,
        .op = r->sched.op,
        .time_ns = now_ns,
        .serial = r->sched.serial,
        .vbd = r->sched.vbd->id,
        .domid = (uint16_t)r->sched.vbd->domid,
        .value = kind == COLLET_DISK_COMPLETE ? now_ns - r->issue_ns : 0,
        .flags = flags,
    };

    disk_record_put(disk, &record);
}

void disk_record_hold(struct disk *disk, uint64_t hold_ns, uint64_t now_ns)
{
    const struct collet_disk_record record = {.kind = COLLET_DISK_HOLD, .time_ns = now_ns, .value = hold_ns, .vbd = COLLET_DISK_NO_VBD};

    disk_record_put(disk, &record);
}

/* ---- Beginning and end ---- */

static void recording_free(struct disk_recording *rec)
{
    if (rec == NULL)
        return;
    for (uint32_t i = 0; i < ARRAY_SIZE(rec->chunk); i++)
        heap_free(rec->chunk[i]);
    heap_free(rec);
}

static struct disk_recording *recording_make(uint32_t records)
{
    struct disk_recording *rec = heap_alloc(sizeof(*rec));
    uint32_t left = records;

    if (rec == NULL)
        return NULL;
    rec->records = records;
    for (uint32_t i = 0; left != 0; i++) {
        uint32_t part = min(left, DISK_RECORD_CHUNK);

        rec->chunk[i] = heap_alloc(part * sizeof(*rec->chunk[i]));
        if (rec->chunk[i] == NULL) {
            recording_free(rec);
            return NULL;
        }
        left -= part;
    }
    return rec;
}

/* Takes it away from the disk; administration lock held. */
static struct disk_recording *recording_detach(struct disk *disk)
{
    uint64_t flags = spin_lock_irqsave(&disk->lock);
    struct disk_recording *rec = disk->recording;

    disk->recording = NULL;
    spin_unlock_irqrestore(&disk->lock, flags);
    return rec;
}

static long recording_begin(struct disk *disk, uint32_t records)
{
    struct disk_recording *rec;
    int rc;

    if (disk->recording != NULL && disk->recording->running)
        return -EBUSY;
    recording_free(recording_detach(disk));
    rec = recording_make(records);
    if (rec == NULL)
        return -ENOMEM;
    rc = disk_module_renew(disk, rec);
    if (rc != 0)
        recording_free(rec);
    return rc;
}

/* What is left can still be read. */
static void recording_end(struct disk *disk)
{
    uint64_t flags = spin_lock_irqsave(&disk->lock);

    if (disk->recording != NULL)
        disk->recording->running = false;
    spin_unlock_irqrestore(&disk->lock, flags);
}

long disk_record(uint32_t id, uint32_t records)
{
    struct disk *disk = disk_find(id);
    long rc = 0;

    if (disk == NULL)
        return -ENODEV;
    if (records > DISK_RECORD_MAX || (records & (records - 1)) != 0)
        return -EINVAL;
    spin_lock(&disks_admin_lock);
    if (records != 0)
        rc = recording_begin(disk, records);
    else
        recording_end(disk);
    spin_unlock(&disks_admin_lock);
    return rc;
}

/* ---- Reading ---- */

long disk_record_take(struct collet_disk_record_read *op, struct collet_disk_record *to)
{
    struct disk *disk = disk_find(op->disk);
    struct disk_recording *rec, *over = NULL;
    uint32_t count = 0;
    uint64_t flags;

    if (disk == NULL)
        return -ENODEV;
    spin_lock(&disks_admin_lock);
    flags = spin_lock_irqsave(&disk->lock);
    rec = disk->recording;
    if (rec != NULL) {
        for (; count < op->count && rec->tail != rec->head; count++)
            to[count] = *record_at(rec, rec->tail++);
        op->lost = rec->lost;
        op->running = rec->running;
        if (count == 0 && !rec->running) {
            over = rec;
            disk->recording = NULL;
        }
    }
    spin_unlock_irqrestore(&disk->lock, flags);
    spin_unlock(&disks_admin_lock);
    op->count = count;
    recording_free(over);
    return rec == NULL || over != NULL ? -ENOENT : 0;
}
