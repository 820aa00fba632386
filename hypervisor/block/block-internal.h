/* SPDX-License-Identifier: MIT */
/*
 * Inside the block core.
 *
 *     guest ring --ring.c--> struct block_io --(extents, vbd.c)--> struct block_request --disk.c--> ordering module --> struct blkdev
 *                            one request of a guest                one piece of it on one disk      (disk-module.c)     or the modelled drive first (disk-model-stage.c)
 *
 * A request of a guest that lies on two extents is served piece after piece: there is one block_request in a block_io. Locks, in this order: vbd->lock, disk->lock. Neither is held across a call of the
 * other side's: disk_submit may be called with vbd->lock held, `done` is called with no lock held.
 */
#pragma once

#include "blkdev.h"
#include "block.h"
#include "spinlock.h"
#include "timer.h"

#include <collet/control.h>
#include <collet/disk-record.h>
#include <disk/disk-model.h>
#include <hv/blk-ops.h>
#include <hv/list.h>

#define DISKS_MAX 16u

struct disk;
struct vbd;

/* ---- disk.c: one queue, one module, one device ---- */

enum block_place { BLOCK_NOWHERE, BLOCK_QUEUED, BLOCK_ISSUED };

/* A piece on one disk. The submitter fills sched.vbd, .sector, .sectors, .segments, .op (for a flush: BLKDEV_FLUSH, past the module) and dev.op, .sector, .sectors, .segments, .segment_count; ring_ns; done. */
struct block_request {
    struct blk_request sched;   /* the module's view; its link: all that are queued on the disk, by serial */
    struct blkdev_request dev;
    uint64_t ring_ns;           /* when its guest was seen to ask for it */
    void (*done)(struct block_request *r, int status); /* 0 or -EIO. Context: SOFTIRQ_BLOCK or SOFTIRQ_TIMER, no lock held. May submit it again as another piece */
    uint64_t generation;        /* of the module that issued it */
    uint64_t issue_ns, end_ns;  /* times of the phases, set by the disk: end_ns is when the device (or model) was through */
    struct block_request *done_next;
    /* The disk's. */
    struct block_request *bucket_next;
    uint64_t model_ns;          /* when the modelled drive will have ended it; 0: no model */
    uint64_t room_ns, decisions; /* of the disk, when it came */
    uint32_t slot;              /* place of its module data in the stream's */
    int status;
    bool again;                  /* a reset of the device took it once: not a second time */
};

#define DISK_STREAM_REQUESTS 32u /* of one stream at a time: one more ends with -EIO at once */

/* One VBD's presence on one disk: a stream of requests for the module. In every struct vbd, one for each disk it has extents on. */
struct disk_stream {
    struct blk_vbd sched; /* id: the VBD's; domid */
    struct disk *disk;
    uint32_t in_flight;   /* queued or issued; disk->lock */
    uint64_t completions, last_completion_ns; /* for think times */
    void *slots, *slots_next; /* module data of its requests */
    uint32_t slots_free;      /* bit set: free */
};

struct disk *disk_find(uint32_t id); /* or NULL; never goes away */
extern uint32_t disk_count;
struct blkdev *disk_device(struct disk *disk);
void disks_init(void); /* boot CPU, before the first blkdev_register */

/* A stream comes and goes. 0 or -ENOMEM. Close: none of it is queued or issued. Context: hypercall, no lock held. */
int must_check disk_stream_open(struct disk_stream *s, struct disk *disk, uint32_t vbd, uint32_t domid);
void disk_stream_close(struct disk_stream *s);

/* Queue it; it is issued by the disk_run that follows. Cannot fail: bad ends are told by done. Context: any but done's own locks; `now_ns` does not go back on one disk (the disk takes the later). */
void disk_submit(struct disk_stream *s, struct block_request *r, uint64_t now_ns);
/* Ask the module and issue, as long as there is room, then kick the device. Context: no lock held but the caller's VBD's; bounded by the depth. */
void disk_run(struct disk *disk);
/* Take back what is queued and not issued of a stream: each of them ends with done(-EIO) before this returns. Context: no lock held. */
void disk_cancel(struct disk_stream *s);
/* SOFTIRQ_BLOCK calls this first: devices with interrupts on this CPU are polled and what ended is told by done; then disks with room are run. */
void disks_poll(void);
/* For intake to be fair: how many more requests the disk wants now (0: later; SOFTIRQ_BLOCK is raised on completion). */
uint32_t disk_room(const struct disk *disk);
/* Are requests queued that the device has no room for? Then their order matters. Without a lock. */
bool disk_waiting(const struct disk *disk);

/* Control operations (control/block-ops.c calls these; each as <collet/control.h> has it; arguments are copied in and names end). */
long disk_info(uint32_t id, struct collet_disk_info *info);
long disk_use(uint32_t id, const char *module);
long disk_get(struct collet_disk_values *op, struct collet_disk_value *values); /* sets op->failed */
long disk_set(struct collet_disk_values *op, const struct collet_disk_value *values);
long disk_model_use(uint32_t id, const char *drive);
long disk_record(uint32_t id, uint32_t records);
/* Copies at most op->count (<= 64) out of the ring into to[]. */
long disk_record_take(struct collet_disk_record_read *op, struct collet_disk_record *to);

/* ---- vbd.c, ring.c ---- */

long vbd_create(struct collet_vbd_create *op, const struct collet_extent *extents);
long vbd_destroy(uint32_t id); /* 0, -ENOENT, or -EINTR: a part is done, to be called again */
long vbd_connect(const struct collet_vbd_connect *op);
long vbd_disconnect(uint32_t id); /* as vbd_destroy */
long vbd_limits(const struct collet_vbd_limits *op);
/* The first with this id or a higher one, of the domain (~0: any): 0 or -ENOENT. */
long vbd_info(uint32_t from, uint32_t domid, struct collet_vbd_info *info);
/* Up to `count` extents from `first` on: the number, or -ENOENT. */
long vbd_extents_get(uint32_t id, uint32_t first, uint32_t count, struct collet_extent *to);
