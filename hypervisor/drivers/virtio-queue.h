/* SPDX-License-Identifier: MIT */
/*
 * A split virtqueue (VIRTIO 1.2, section 2.7) of requests that have a head for the device, pages, and an answer of one byte.
 *
 * A driver whose buffers are something else takes the rings alone (virtio_queue_create_rings), and describes them itself.
 *
 * A request lives in a slot with memory of its own, prepared once: its head, its answer and its table of descriptors (indirect, 2.7.5.3; or a part of the queue's own table where the device does not offer
 * these). Whose a slot is stands in memory that the device cannot reach; of what the device writes, only a number is looked at, and checked. drivers/virtio-queue.c. Tests: test-virtio-queue.c.
 */
#pragma once

#include "spinlock.h"
#include "types.h"

#define VIRTIO_SLOTS_MAX      128u
#define VIRTIO_QUEUE_SIZE_MAX 256u

#define VIRTIO_DESCRIPTOR_NEXT     1u
#define VIRTIO_DESCRIPTOR_WRITE    2u /* by the device */
#define VIRTIO_DESCRIPTOR_INDIRECT 4u

struct virtio_descriptor {
    uint64_t maddr;
    uint32_t bytes;
    uint16_t flags;
    uint16_t next;
};

struct virtio_available {
    uint16_t flags, index;
    uint16_t ring[]; /* and behind it: the used index at which we want an interrupt */
};

struct virtio_used {
    uint16_t flags, index;
    struct {
        uint32_t id, bytes;
    } ring[]; /* and behind it: the available index at which the device wants to be told */
};

/* In each table: the head, then the answer, then pages. The order in a table is free; so the first two never change. */
enum { VIRTIO_TABLE_HEAD, VIRTIO_TABLE_ANSWER, VIRTIO_TABLE_PAGES };
#define VIRTIO_TABLE_SIZE 125u
#define VIRTIO_PAGES_MAX  (VIRTIO_TABLE_SIZE - VIRTIO_TABLE_PAGES)

/* Memory of a slot: half a page, so that none of it crosses one. */
struct virtio_slot {
    struct virtio_descriptor table[VIRTIO_TABLE_SIZE];
    uint64_t head[2];
    uint64_t range[2]; /* of a request that has no pages but a range */
    uint8_t answer;
    uint8_t pad[15];
};
_Static_assert(sizeof(struct virtio_slot) == 2048, "two slots a page");

struct virtio_queue {
    struct spinlock lock; /* protects all below; taken with interrupts on or off, by no interrupt handler */
    uint16_t index, size;
    uint16_t slots;
    uint16_t slot_shift; /* slot n begins with descriptor n << slot_shift of the queue */
    uint16_t pages_max;  /* of a request */
    uint16_t free_count;
    uint16_t available_next; /* where the next one goes */
    uint16_t available_told; /* what the device has been shown */
    uint16_t used_next;
    bool indirect, event_index;
    bool stopped; /* nothing goes in or comes out until open */
    volatile uint16_t *notify;
    struct virtio_descriptor *descriptors;
    struct virtio_available *available;
    struct virtio_used *used;
    struct virtio_slot *memory;
    uint64_t lies; /* the device's answers that made no sense */
    uint8_t free[VIRTIO_SLOTS_MAX];
    void *owner[VIRTIO_SLOTS_MAX]; /* NULL: the slot is free */
};

/* One that has ended. */
struct virtio_ended {
    void *owner;
    uint8_t answer;
};

/* `size` as the device offers (a power of two); memory for it and its slots. 0, -ENODEV (too small a queue), -ENOMEM. Boot only: queues stay. */
int must_check virtio_queue_create(struct virtio_queue *q, uint16_t size, bool indirect, bool event_index);
/* The rings alone, without slots: what is put in, and whose it is, is the driver's; descriptors are to be written after each restart. Else as virtio_queue_create. */
int must_check virtio_queue_create_rings(struct virtio_queue *q, uint16_t size, bool event_index);
void virtio_queue_destroy(struct virtio_queue *q);
/* All slots free, indexes from 0, as a device after reset has them, still stopped. The device does not use it. */
void virtio_queue_restart(struct virtio_queue *q);
/* The device may be told of requests: it has been made ready. */
void virtio_queue_open(struct virtio_queue *q);

/*
 * To put a request in, under q->lock: take a slot, which must be free (free_count); fill its head and its pages by virtio_slot_page(), in order; push it. The device sees it after the next show.
 */
static inline uint32_t virtio_slot_take(struct virtio_queue *q)
{
    return q->free[--q->free_count];
}

/* Where the slot's descriptors are, and the number of the first in the table that the device counts in. */
static inline struct virtio_descriptor *virtio_slot_table(struct virtio_queue *q, uint32_t slot, uint32_t *base)
{
    *base = q->indirect ? 0 : slot << q->slot_shift;
    return q->indirect ? q->memory[slot].table : q->descriptors + *base;
}

static inline void virtio_slot_page(struct virtio_descriptor *table, uint32_t base, uint32_t n, uint64_t maddr, uint32_t bytes, uint16_t flags)
{
    struct virtio_descriptor *d = &table[VIRTIO_TABLE_PAGES + n];

    d->maddr = maddr;
    d->bytes = bytes;
    d->flags = flags | VIRTIO_DESCRIPTOR_NEXT;
    d->next = (uint16_t)(base + VIRTIO_TABLE_PAGES + n + 1);
}

static inline void virtio_slot_push(struct virtio_queue *q, uint32_t slot, uint32_t pages, void *owner)
{
    uint32_t base;
    struct virtio_descriptor *table = virtio_slot_table(q, slot, &base);
    uint16_t answer = (uint16_t)(base + VIRTIO_TABLE_ANSWER);

    if (pages != 0) {
        table[VIRTIO_TABLE_HEAD].next = (uint16_t)(base + VIRTIO_TABLE_PAGES);
        table[VIRTIO_TABLE_PAGES + pages - 1].next = answer;
    } else {
        table[VIRTIO_TABLE_HEAD].next = answer;
    }
    if (q->indirect)
        q->descriptors[slot].bytes = (pages + VIRTIO_TABLE_PAGES) * (uint32_t)sizeof(struct virtio_descriptor);
    q->memory[slot].answer = 0xff; /* of a device that forgets to answer */
    q->owner[slot] = owner;
    q->available->ring[q->available_next++ & (q->size - 1)] = (uint16_t)(slot << q->slot_shift);
}

/* Show the device all that was pushed, and tell it if it wants to be told. Takes q->lock. */
void virtio_queue_show(struct virtio_queue *q);
/*
 * At most `most` that have ended, their number in *count. False: there are no more now, and the next one interrupts. Takes q->lock. An answer that names nothing is counted, and counts towards `most`; after
 * one that cannot be followed at all the queue is stopped until it is reset.
 */
bool virtio_queue_take(struct virtio_queue *q, struct virtio_ended *ended, uint32_t most, uint32_t *count);
/* Nothing goes in or out any more, on any CPU, when this returns. */
void virtio_queue_stop(struct virtio_queue *q);
/* Of a queue that is stopped and whose device is reset: as virtio_queue_take, what the device had ended before, nobody has taken. Before virtio_queue_abandon. */
bool must_check virtio_queue_drain(struct virtio_queue *q, struct virtio_ended *ended, uint32_t most, uint32_t *count);
/* Of a queue that is stopped and whose device is reset: at most `most` owners of what was in it; fewer: that was all. */
uint32_t virtio_queue_abandon(struct virtio_queue *q, struct virtio_ended *ended, uint32_t most);

/*
 * Of rings alone, under q->lock, or by whoever sees to it that he is the only one at this queue.
 */
static inline void virtio_queue_push(struct virtio_queue *q, uint16_t descriptor)
{
    q->available->ring[q->available_next++ & (q->size - 1)] = descriptor;
}

/* How many entries of the used ring are waiting; 0 of a stopped queue. An index that cannot be is counted as a lie and stops the queue until it is reset. */
uint32_t must_check virtio_queue_waiting(struct virtio_queue *q);

/* The next entry of the used ring, of those waiting: the descriptor that the device names (to be checked), and how much it says to have written. */
static inline uint32_t virtio_queue_next(struct virtio_queue *q, uint32_t *bytes)
{
    uint16_t at = q->used_next++ & (q->size - 1);

    *bytes = READ_ONCE(q->used->ring[at].bytes);
    return READ_ONCE(q->used->ring[at].id);
}

/*
 * Interrupt when the one `ahead` of the next has ended (0: the next). under_way: how many the device has; it is not asked to interrupt for more than these where it has no event index.
 * True: something has ended meanwhile, for which there may be no interrupt.
 */
bool must_check virtio_queue_arm(struct virtio_queue *q, uint32_t ahead, uint32_t under_way);
