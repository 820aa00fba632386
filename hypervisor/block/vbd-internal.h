/* SPDX-License-Identifier: MIT */
/*
 * Between vbd.c (what a VBD is), ring.c (its guest's requests) and block.c (whose turn it is).
 */
#pragma once

#include "block-internal.h"
#include "domain.h"
#include "event.h"
#include "grant.h"

#include <xen/io/blkif.h>

#define RING_SLOTS 32u  /* of one page, for x86_64 */
#define SEGMENTS_MAX 32u /* COLLET_VBD_INDIRECT_MAX */

struct vbd_extent {
    uint64_t start; /* where it begins in the VBD */
    uint64_t sector, sectors;
    struct disk_stream *stream;
};

/* What a request does next, once its piece has ended. */
enum io_stage {
    IO_FLUSH_BEFORE, /* a barrier, or a flush that is nothing else: stream after stream */
    IO_DATA,
    IO_FLUSH_AFTER,
};

/* A request that was taken from the ring and not answered yet. vbd->lock, but what `done` writes into the block_request. */
struct block_io {
    struct block_request piece;
    struct vbd *vbd;
    uint64_t id;
    uint64_t sector, left;   /* of the VBD: what is still to be done */
    uint64_t took_ns;        /* into the queue */
    uint64_t issue_ns;       /* of the first piece */
    uint32_t sectors;        /* of its data */
    uint8_t operation;       /* as the ring had it */
    uint8_t op;              /* enum blk_op, or BLKDEV_FLUSH */
    uint8_t stage;           /* enum io_stage */
    bool barrier, failed, write_grants;
    uint16_t stream;         /* flush: the next one */
    uint16_t segments, at;   /* segments; the first that is not done */
    uint32_t held;           /* grants */
    struct blkdev_segment segment[SEGMENTS_MAX];
    struct blkdev_segment rest; /* of the segment within which the piece ends; bytes 0: it ends with one */
    struct {
        grant_ref_t ref;
        uint32_t mfn;
    } grant[SEGMENTS_MAX];
};
_Static_assert(SEGMENTS_MAX == COLLET_VBD_INDIRECT_MAX, "one limit");

struct vbd_ring {
    blkif_sring_t *shared;
    grant_ref_t ref;
    evtchn_port_t port;
    mfn_t mfn;
    RING_IDX taken, answered, shown; /* req_cons, rsp_prod_pvt, rsp_prod */
    struct block_io *io;      /* RING_SLOTS of them */
    uint32_t free;            /* bit set: io[] is free */
    struct block_io *barrier; /* taken, and waiting until it is alone, or at work: nothing more is taken */
};

struct vbd {
    struct list_node link;     /* all, by id; vbds_lock */
    struct list_node turn;     /* block.c: its turn will come, among its domain's; turn_lock */
    struct list_node answers;  /* block.c: responses to be shown; turn_lock */
    bool in_turn, in_answers;  /* turn_lock */
    uint32_t users;            /* atomic: somebody has a pointer to it without a lock */
    uint32_t id, device, flags;
    char name[COLLET_NAME_MAX];
    struct domain *domain;     /* with a reference */
    uint64_t created_ns, connected_ns;
    uint64_t sectors;
    uint32_t block_sectors;    /* largest logical block of its disks, in sectors */
    uint32_t disk_flags;       /* COLLET_DISK_CAN_* of all of them */
    uint32_t extent_count, stream_count;
    struct vbd_extent *extents;
    struct disk_stream *streams;

    struct spinlock lock;      /* all below */
    bool closing;              /* nothing more is taken */
    bool ending;               /* and it goes away: one caller at a time sees to it */
    struct event_sink sink;
    struct vbd_ring ring;
    uint32_t in_flight;
    uint64_t seen_ns;          /* since when what is in the ring before seen_until is known to be there; 0: nothing known */
    RING_IDX seen_until;
    struct timer limit_timer;
    uint64_t requests_per_s, bytes_per_s;
    int64_t requests_left, bytes_left; /* of the limits, scaled by NS_PER_S; may go below 0 once */
    uint64_t filled_ns, throttled_ns, throttled_since_ns, throttled;
    uint64_t requests[COLLET_BLK_KINDS], sectors_done[COLLET_BLK_KINDS];
    uint64_t refused, errors, notifies, events;
    char broken_why[COLLET_TEXT_MAX];
    uint64_t latency[2][COLLET_PHASES][COLLET_LATENCY_BUCKETS];
};

/* The clocks of two CPUs may differ a little: then none has passed. */
static inline uint64_t vbd_elapsed_ns(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? to_ns - from_ns : 0;
}

extern struct spinlock vbds_lock;
extern struct list_node vbds;

/* ---- block.c ---- */

/* There is something in its ring, or may be: it gets its turn. Context: any but interrupt handlers; vbd->lock may be held. */
void block_want_turn(struct vbd *vbd);
/* Responses are in the ring that its guest has not been shown. Context: as above. */
void block_want_answer(struct vbd *vbd);
/* It leaves both. */
void block_forget(struct vbd *vbd);

/* ---- ring.c ---- */

enum ring_state { RING_EMPTY, RING_MORE, RING_WAITS };
/* Take at most `most` requests. MORE: there may be more; WAITS: something else will give it its turn again. Context: softirq, no lock held. */
enum ring_state ring_take(struct vbd *vbd, uint32_t most);
/* Show the responses, and tell the guest if it wants to know. */
void ring_answer(struct vbd *vbd);
void ring_notified(struct event_sink *sink);
void ring_limit_passed(void *arg);
