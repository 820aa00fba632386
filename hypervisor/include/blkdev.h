/* SPDX-License-Identifier: MIT */
/*
 * A disk as the block core sees it: the narrow side of a driver (drivers/virtio-blk.c). One driver, one struct blkdev per disk; registered at boot, there until the machine ends.
 *
 * The core gives requests to submit, a batch ends with kick. The device raises SOFTIRQ_BLOCK on some CPU by its interrupt; the core then calls poll, and the driver hands each request that has ended to
 * blkdev_done. Memory: a request and its segments are the core's and stay as they are until blkdev_done; the frames are pinned for it. The driver owns what the device itself reads and writes
 * (descriptors, headers, status), and reads nothing back from it that it trusts: a device may lie too, and a completion that names no request is counted and dropped.
 */
#pragma once

#include "types.h"

#include <hv/blk-ops.h>

#define BLKDEV_FLUSH 4 /* op beside those of enum blk_op: what was completed before is on stable storage afterwards */

struct blkdev_segment {
    uint64_t maddr;
    uint32_t bytes; /* a multiple of 512, within one page */
    uint32_t pad;
};

struct blkdev_request {
    uint8_t op;         /* enum blk_op or BLKDEV_FLUSH */
    uint64_t sector;    /* units of 512 bytes, always */
    uint32_t sectors;   /* of this part */
    uint32_t segment_count;
    const struct blkdev_segment *segments;
    struct blkdev_request *more; /* goes on where this one ends, as one device request: its op and sector are not looked at. NULL: that is all */
};

struct blkdev;

struct blkdev_ops {
    const char *name; /* "virtio-blk" */
    /*
     * Give one to the device (and what hangs on it by `more`); it may begin at once or at the kick. 0; -ENOSPC: no room now (the core tries again after a completion); -EIO: the device is gone.
     * Context: any lock of the core held, interrupts off or on; several CPUs at once. Bounded by the segments.
     */
    int (*submit)(struct blkdev *dev, struct blkdev_request *request);
    /* All submitted on this CPU so far: the device is told. */
    void (*kick)(struct blkdev *dev);
    /* In SOFTIRQ_BLOCK on the CPU where the interrupt came: calls blkdev_done for what has ended; at most `most`; true: there may be more. No lock of the core held. Safe on several CPUs at once. */
    bool (*poll)(struct blkdev *dev, uint32_t most);
    /*
     * The device has not answered for long: stop it so that it touches no memory any more, call blkdev_done for all that it had, and bring it up again: with its own status for what it had ended before and
     * poll has not seen, with -EAGAIN for the rest. 0, or -EIO: it stays down, submit fails from now on. Context: softirq, no lock; takes bounded time (at most some 100 ms).
     */
    int (*reset)(struct blkdev *dev);
};

struct blkdev {
    /* The driver's, fixed after registration. */
    const struct blkdev_ops *ops;
    char serial_number[32];
    uint64_t sectors;      /* of 512 bytes; may be changed by the driver when the device grows (atomic) */
    uint32_t block_bytes;  /* logical block: 512..4096 */
    uint32_t depth;        /* requests at a time, over all queues */
    uint32_t queues;
    uint32_t sectors_max;  /* of one request */
    uint32_t segments_max;
    uint32_t discard_sectors_max, zeroes_sectors_max;
    bool read_only, can_flush, can_discard, can_write_zeroes, rotates;
    uint64_t interrupts;   /* statistics, without a lock */
    uint64_t lies;         /* completions that named nothing */
    /* The core's. */
    uint32_t id;
    void *core;
};

/* Drivers: at boot, boot CPU, once per disk. 0 or -ENOMEM. The core may submit from then on. */
int must_check blkdev_register(struct blkdev *dev);
/* A request has ended: 0 or -EIO; or a reset took it, -EAGAIN: whether it was done nobody knows. Context: poll or reset, or inside submit's caller never. */
void blkdev_done(struct blkdev *dev, struct blkdev_request *request, int status);
/* The interrupt of a device has fired on this CPU: poll is wanted. Context: interrupt handler. */
void blkdev_interrupt(struct blkdev *dev);
