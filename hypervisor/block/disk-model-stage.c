// SPDX-License-Identifier: MIT
/*
 * A disk that seeks, under one that does not: a request goes to the device at once, but has ended only when the device is through and the time has come at which the modelled drive would have ended it.
 *
 * The drive serves one request at a time, so the device gets one at a time; what waits is the ordering module's, which is told of a disk that rotates. Times come from the hypervisor's clock and integer arithmetic
 * alone: the same run gives the same times. Contract: disk-internal.h, <disk/disk-model.h>. Tests: test-disk.c.
 */
#include "disk-internal.h"

#include "cpu.h"
#include "lib/string.h"
#include "log.h"

#include <hv/errno.h>

static const struct {
    const char *name; /* as people write it */
    const struct disk_drive *drive;
} drives[] = {{"hp97560", &disk_hp97560}};

uint64_t disk_model_issue(struct disk *disk, const struct block_request *first, uint64_t now_ns)
{
    uint32_t sectors = 0;

    if (first->sched.op != BLK_READ && first->sched.op != BLK_WRITE)
        return 0;
    for (const struct blk_request *r = &first->sched; r != NULL; r = r->merged)
        sectors += r->sectors;
    return disk_model_serve(&disk->model, first->sched.op == BLK_WRITE, first->sched.sector, sectors, now_ns, NULL);
}

bool disk_model_keeps(struct disk *disk, struct block_request *first, uint64_t now_ns)
{
    if (now_ns >= first->model_ns)
        return false;
    disk->modelled = first;
    timer_follow(&disk->model_timer, this_cpu_id());
    timer_set(&disk->model_timer, first->model_ns);
    return true;
}

void disk_model_fired(void *arg)
{
    struct disk *disk = arg;
    struct disk_ended batch;
    uint64_t flags = spin_lock_irqsave(&disk->lock), now_ns = disk_time(disk, clock_now_ns());
    struct block_request *first = disk->modelled;

    disk_ended_init(&batch);
    if (first != NULL && now_ns >= first->model_ns) {
        disk->modelled = NULL;
        disk_ended_add(&batch, first);
    } else if (first != NULL) {
        timer_set(&disk->model_timer, first->model_ns);
    }
    spin_unlock_irqrestore(&disk->lock, flags);
    if (batch.first != NULL)
        disk_finish(disk, &batch, now_ns);
}

static const struct disk_drive *drive_find(const char *name)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(drives); i++)
        if (strcmp(drives[i].name, name) == 0)
            return drives[i].drive;
    return NULL;
}

const char *disk_model_name(const struct disk_drive *drive)
{
    for (uint32_t i = 0; i < ARRAY_SIZE(drives); i++)
        if (drives[i].drive == drive)
            return drives[i].name;
    return "";
}

/* Lock held. */
static void change_drive(struct disk *disk, const struct disk_drive *drive)
{
    disk->drive = drive;
    disk->depth = drive != NULL ? 1 : max(disk->dev->depth, 1u);
    if (drive != NULL)
        disk_model_init(&disk->model, drive, disk->dev->sectors);
}

/* Administration lock held. To its module it is another disk now, so that begins anew. */
static long replace_drive(struct disk *disk, const struct disk_drive *drive)
{
    uint64_t flags = spin_lock_irqsave(&disk->lock);
    const struct disk_drive *former = disk->drive;
    bool recorded = disk_recorded(disk);
    int rc;

    if (!recorded)
        change_drive(disk, drive);
    spin_unlock_irqrestore(&disk->lock, flags);
    if (recorded)
        return -EBUSY;
    rc = disk_module_renew(disk, NULL);
    if (rc == 0)
        return 0;
    flags = spin_lock_irqsave(&disk->lock);
    change_drive(disk, former);
    spin_unlock_irqrestore(&disk->lock, flags);
    return rc;
}

long disk_model_use(uint32_t id, const char *name)
{
    struct disk *disk = disk_find(id);
    const struct disk_drive *drive = name[0] != '\0' ? drive_find(name) : NULL;
    long rc = 0;

    if (disk == NULL)
        return -ENODEV;
    if (name[0] != '\0' && drive == NULL)
        return -ENOENT;
    spin_lock(&disks_admin_lock);
    if (disk->drive != drive)
        rc = replace_drive(disk, drive);
    spin_unlock(&disks_admin_lock);
    if (rc == 0)
        log_debug("disk%u: %s", id, drive != NULL ? drive->name : "ends requests as the device does");
    disk_run(disk);
    return rc;
}
