// SPDX-License-Identifier: MIT
/* What a disk tells about itself. Contract: block-internal.h, <collet/control.h>. Tests: test-disk.c. */
#include "disk-internal.h"

#include "lib/string.h"
#include "log.h"
#include "options.h"

#include <hv/errno.h>

static uint32_t flags_of(const struct disk *disk)
{
    const struct blkdev *dev = disk->dev;

    return (dev->read_only ? COLLET_DISK_READ_ONLY : 0u) | (dev->can_flush ? COLLET_DISK_CAN_FLUSH : 0u) | (dev->can_discard ? COLLET_DISK_CAN_DISCARD : 0u) |
           (dev->can_write_zeroes ? COLLET_DISK_CAN_WRITE_ZEROES : 0u) | (disk->drive != NULL ? COLLET_DISK_MODELLED : 0u) | (disk->failed ? COLLET_DISK_FAILED : 0u) |
           (disk_recorded(disk) ? COLLET_DISK_RECORDED : 0u) | (dev->rotates || disk->drive != NULL ? COLLET_DISK_ROTATES : 0u);
}

static void device_info(const struct disk *disk, struct collet_disk_info *info)
{
    const struct blkdev *dev = disk->dev;

    info->disk = disk->id;
    snprintf(info->name, sizeof(info->name), "disk%u", disk->id);
    strlcpy(info->driver, dev->ops->name, sizeof(info->driver));
    memcpy(info->serial_number, dev->serial_number, sizeof(info->serial_number) - 1);
    info->sectors = READ_ONCE(dev->sectors);
    info->sector_bytes = dev->block_bytes;
    info->queues = dev->queues;
    info->sectors_max = dev->sectors_max;
    info->segments_max = dev->segments_max;
    info->interrupts = READ_ONCE(dev->interrupts);
    for (uint32_t i = 0; i < DISK_FAULT_COUNT; i++)
        strlcpy(info->fault_names[i], disk_fault_names[i], sizeof(info->fault_names[i]));
}

/* Lock held. */
static void module_info(const struct disk *disk, struct collet_disk_info *info)
{
    strlcpy(info->module, disk->ops.name, sizeof(info->module));
    info->since_ns = disk->since_ns;
    info->uses = disk->uses;
    strlcpy(info->dropped, disk->dropped, sizeof(info->dropped));
    strlcpy(info->dropped_why, disk->dropped_why, sizeof(info->dropped_why));
    info->dropped_ns = disk->dropped_ns;
    memcpy(info->faults, disk->faults, sizeof(info->faults));
    info->watchdog_ns = boot_options.watchdog_ms * NS_PER_MS;
}

/* Lock held. */
static void work_info(const struct disk *disk, struct collet_disk_info *info, uint64_t now_ns)
{
    info->flags = flags_of(disk);
    info->depth = disk->depth;
    info->queued = disk->queued_count + disk->flush_count;
    info->issued = disk->issued_pieces;
    memcpy(info->requests, disk->requests, sizeof(info->requests));
    memcpy(info->sectors_done, disk->sectors_done, sizeof(info->sectors_done));
    info->device_requests = disk->device_requests;
    info->errors = disk->errors;
    info->timeouts = disk->timeouts;
    info->resets = disk->resets;
    info->seek_sectors = disk->seek_sectors;
    info->busy_ns = disk->busy_ns + (disk->issued_count != 0 ? now_ns - disk->busy_since_ns : 0);
    if (disk->drive == NULL)
        return;
    strlcpy(info->model, disk_model_name(disk->drive), sizeof(info->model));
    info->model_cylinders = disk->model.distance;
    info->model_busy_ns = disk->model.seek_ns + disk->model.rotate_ns + disk->model.transfer_ns + disk->model.requests * disk->drive->overhead_ns;
}

long disk_info(uint32_t id, struct collet_disk_info *info)
{
    struct disk *disk = disk_find(id);
    uint64_t flags;

    if (disk == NULL)
        return -ENODEV;
    memset(info, 0, sizeof(*info));
    device_info(disk, info);
    spin_lock(&disks_admin_lock);
    flags = spin_lock_irqsave(&disk->lock);
    module_info(disk, info);
    work_info(disk, info, disk_time(disk, clock_now_ns()));
    spin_unlock_irqrestore(&disk->lock, flags);
    spin_unlock(&disks_admin_lock);
    return 0;
}
