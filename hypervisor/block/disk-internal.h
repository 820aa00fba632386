/* SPDX-License-Identifier: MIT */
/*
 * Between disk.c (requests), disk-ask.c (the module's answers), disk-module.c (which module), disk-params.c, disk-watch.c (timers), disk-model-stage.c and disk-record.c.
 *
 * Locks, in this order: disks_admin_lock (which module, its parameters, streams, recordings: slow things, memory), disk->lock (requests, the module's ops). Timers' own lock is below both.
 */
#pragma once

#include "block-internal.h"

#include "time.h"

#define DISK_QUEUED_MAX 1024u
#define DISK_BUCKETS 256u
#define DISK_BUCKET_BITS 8

/* What a module did wrong. */
enum disk_fault {
    DISK_FAULT_NOBODY,   /* answered nobody without leave to */
    DISK_FAULT_REQUEST,  /* answered what is not queued */
    DISK_FAULT_CHAIN,    /* merged what is not queued, or does not continue */
    DISK_FAULT_TOO_MUCH, /* merged more than the device takes */
    DISK_FAULT_HOLD,     /* held longer than it may */
    DISK_FAULT_SAT,      /* sat on a request */
    DISK_FAULT_COUNT
};
_Static_assert(DISK_FAULT_COUNT == COLLET_DISK_FAULTS, "kinds of faults are part of the ABI");
extern const char *const disk_fault_names[DISK_FAULT_COUNT]; /* what the module did, for a sentence */

/* Requests that have ended and are not told yet, in order. */
struct disk_ended {
    struct block_request *first, **last;
};

/* A module that failed: it is asked nothing any more, and its memory waits for disk_module_settle. */
struct disk_retired {
    const char *name; /* NULL: nobody */
    void (*destroy)(void *state);
    void *state;
    enum disk_fault fault;
    char detail[64];
};

/* A value that somebody has set: made again in each module that has such a parameter. Administration lock. */
struct disk_setting {
    struct list_node link;
    uint32_t vbd; /* or COLLET_DISK_NO_VBD */
    enum blk_param_type type;
    bool fresh; /* no value yet */
    uint64_t value;
    char name[COLLET_NAME_MAX];
};

#define DISK_RECORD_CHUNK 16384u /* records in one piece of memory: 1 MiB */
#define DISK_RECORD_MAX 65536u

/* Lock: disk->lock; begun, ended and freed under the administration lock too. */
struct disk_recording {
    struct collet_disk_record *chunk[DISK_RECORD_MAX / DISK_RECORD_CHUNK];
    uint32_t records; /* a power of two */
    uint64_t head, tail;
    uint64_t lost, gap; /* since it began; since the last that was written */
    uint64_t generation; /* of the module with which it began: what was issued earlier is not told about */
    bool running;
};

struct disk {
    struct spinlock lock; /* protects all of this but what is said to be otherwise */
    struct blkdev *dev;   /* fixed */
    uint32_t id;
    uint32_t depth;       /* in effect: 1 under a model */
    bool held;            /* the module wants to wait; until something is inserted or has ended, or hold_timer */
    bool blocked;         /* the device had no room: until something has ended */
    bool watching, timing; /* watch_timer, timeout_timer are armed */
    bool resetting, failed;

    struct blk_sched_ops ops; /* the module at work */
    void *state;
    uint32_t slot_bytes;      /* of a request's module data, rounded up */
    uint64_t generation;      /* counts modules */
    uint64_t serial, now_ns;  /* the last one; the latest time told */

    struct list_node queued, flushes; /* by serial, sched.link */
    struct list_node issued;          /* device requests, the oldest first; the first piece's sched.link */
    uint32_t queued_count, flush_count, issued_count, issued_pieces;
    struct disk_ended returned;       /* of `issued`, first pieces: the device had no room for it, or a reset took them; it gets these before anything else */
    uint32_t returned_count;
    struct disk_ended ended;          /* outside of poll; told by disks_poll */
    struct list_node streams;         /* struct disk_stream, sched.link; administration lock too */
    struct list_node settings;        /* struct disk_setting; administration lock */

    uint64_t decisions, room_ns, hold_since_ns; /* room_ns: time for which the module has held; 0: it does not now */
    uint64_t watch_due_ns;
    struct timer hold_timer, watch_timer, timeout_timer, model_timer;

    const struct disk_drive *drive; /* the model, or NULL */
    struct disk_model model;
    struct block_request *modelled; /* the device is through with it, the model not yet */

    struct disk_recording *recording;
    struct disk_retired retired;

    /* Statistics. */
    uint64_t since_ns, uses, dropped_ns;
    char dropped[COLLET_NAME_MAX], dropped_why[COLLET_TEXT_MAX];
    uint64_t faults[DISK_FAULT_COUNT];
    uint64_t requests[COLLET_BLK_KINDS], sectors_done[COLLET_BLK_KINDS];
    uint64_t device_requests, errors, timeouts, resets, repeats, reset_ns, seek_sectors, position, busy_ns, busy_since_ns;

    struct block_request *bucket[DISK_BUCKETS]; /* what is queued, by address: so that a pointer from a module can be checked unread */
};

extern struct spinlock disks_admin_lock;

static inline struct block_request *disk_request_of(struct blk_request *r)
{
    return container_of(r, struct block_request, sched);
}

static inline struct disk_stream *disk_stream_of(const struct block_request *r)
{
    return container_of(r->sched.vbd, struct disk_stream, sched);
}

static inline struct block_request **disk_bucket(struct disk *disk, const void *r)
{
    return &disk->bucket[((uint64_t)(uintptr_t)r * 0x9e3779b97f4a7c15ull) >> (64 - DISK_BUCKET_BITS)];
}

/* Now, for this disk: never earlier than what its module has heard. Lock held. */
static inline uint64_t disk_time(struct disk *disk, uint64_t now_ns)
{
    if (unlikely(now_ns < disk->now_ns))
        return disk->now_ns;
    disk->now_ns = now_ns;
    return now_ns;
}

/* For how long the module has held the device in all, so far. Lock held. */
static inline uint64_t disk_room_ns(const struct disk *disk, uint64_t now_ns)
{
    return disk->room_ns + (disk->hold_since_ns != 0 ? now_ns - disk->hold_since_ns : 0);
}

static inline void disk_ended_init(struct disk_ended *ended)
{
    ended->first = NULL;
    ended->last = &ended->first;
}

static inline void disk_ended_add(struct disk_ended *ended, struct block_request *r)
{
    r->done_next = NULL;
    *ended->last = r;
    ended->last = &r->done_next;
}

/* ---- disk.c ---- */

/* Lock held: r is out of the lists, it ends with r->status; told by disks_poll. */
void disk_end_later(struct disk *disk, struct block_request *r);
/* Lock held: disks_poll is wanted on this CPU. */
void disk_want_poll(struct disk *disk);
/* What the device has had, the first pieces of device requests; they end, what is queued is issued, and all is told. Context: softirq, no lock held. */
void disk_finish(struct disk *disk, struct disk_ended *batch, uint64_t now_ns);
/* Requests that the driver has handed to blkdev_done on this CPU. */
void disk_finish_done(struct disk *disk);
/* Lock held: it is not queued any more, and has not been issued. */
void disk_unqueue(struct disk *disk, struct block_request *r);
/* Lock held: everything queued ends with -EIO. */
void disk_fail_queued(struct disk *disk, uint64_t now_ns);

/* ---- disk-ask.c: the module's answer, checked. Lock held, something is queued. NULL: it wants to wait ---- */

struct block_request *disk_ask(struct disk *disk, uint64_t now_ns);

/* ---- disk-module.c ---- */

extern const struct blk_sched_ops disk_arrival; /* the core's own order; its state is the disk */
void disk_describe(const struct disk *disk, struct blk_disk *to);
/* At registration: the first module. */
int must_check disk_module_begin(struct disk *disk);
/* The module has failed: from now on the core's own order is at work. Lock held. `serial`: about whom, 0 nobody. */
void disk_module_drop(struct disk *disk, enum disk_fault fault, const struct block_request *about, uint64_t now_ns);
/* Say so and give back its memory. Context: softirq, no lock held. */
void disk_module_settle(struct disk *disk);
/* A new instance of the module at work, with which a recording (or a model) begins. Administration lock held. 0, -ENOMEM or what create says. */
int must_check disk_module_renew(struct disk *disk, struct disk_recording *start);
struct disk_stream *disk_stream_find(struct disk *disk, uint32_t vbd); /* administration lock held */
const struct blk_sched_ops *disk_module_find(const char *name); /* or NULL */

/* ---- disk-params.c ---- */

/* Make what was set in the module that is at work now. Administration lock and lock held. */
void disk_settings_make(struct disk *disk, uint64_t now_ns);
void disk_settings_forget(struct disk *disk, uint32_t vbd); /* administration lock held */

/* ---- disk-watch.c ---- */

void disk_watch_init(struct disk *disk);
void disk_watch_arm(struct disk *disk, uint64_t now_ns);
void disk_timeout_arm(struct disk *disk, uint64_t now_ns);
void disk_hold_arm(struct disk *disk, uint64_t hold_ns, uint64_t now_ns);

/* ---- disk-model-stage.c. Lock held ---- */

/* A device request is given to the device: when does the modelled drive end it? 0: no model. */
uint64_t disk_model_issue(struct disk *disk, const struct block_request *first, uint64_t now_ns);
/* The device is through with it. True: the model is not, it will end later. */
bool disk_model_keeps(struct disk *disk, struct block_request *first, uint64_t now_ns);
void disk_model_fired(void *disk);
const char *disk_model_name(const struct disk_drive *drive); /* as COLLET_OP_DISK_MODEL has it */

/* ---- disk-record.c. Lock held ---- */

void disk_record_put(struct disk *disk, const struct collet_disk_record *record);
void disk_record_use(struct disk *disk, uint64_t now_ns);
void disk_record_vbd(struct disk *disk, const struct disk_stream *s, bool gone, uint64_t now_ns);
void disk_record_set(struct disk *disk, uint32_t vbd, const char *name, uint64_t value, uint64_t now_ns);
void disk_record_arrive(struct disk *disk, const struct block_request *r, uint64_t now_ns);
void disk_record_piece(struct disk *disk, uint8_t kind, const struct block_request *r, uint16_t flags, uint64_t now_ns); /* DECIDE, COMPLETE, CANCEL */
void disk_record_hold(struct disk *disk, uint64_t hold_ns, uint64_t now_ns);

static inline bool disk_recorded(const struct disk *disk)
{
    return unlikely(disk->recording != NULL) && disk->recording->running;
}
