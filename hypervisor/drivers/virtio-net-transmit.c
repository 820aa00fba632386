// SPDX-License-Identifier: MIT
/*
 * Frames to a virtio network card. A frame takes a slot: header and table of descriptors, prepared once; so a frame of one piece writes some ten words. Contract: netdev.h, virtio-net-card.h.
 *
 * Nobody needs to be interrupted for each frame that was sent: entries are reclaimed by the next poll, or by the next transmit that finds no room. An interrupt is asked for only after three quarters of what is
 * under way, a quarter of the queue at least (half, when somebody waits for room); what ends without one is found by the timer in virtio-net.c. Tests: test-virtio-net.c.
 */
#include "virtio-net-card.h"

#include "alloc.h"
#include "lib/string.h"

#include <hv/errno.h>

#define DIRECT_SLOT_SHIFT 5u /* without indirect descriptors: 32 of the queue's own a frame */
_Static_assert(1 + NET_SEGMENTS_MAX <= 1u << DIRECT_SLOT_SHIFT, "a frame fits");
#define RECLAIM_MOST 32u

static void link_set(struct netdev_frame *frame, struct netdev_frame *next)
{
    memcpy(frame->driver, &next, sizeof(next));
}

static struct netdev_frame *link_get(const struct netdev_frame *frame)
{
    struct netdev_frame *next;

    memcpy(&next, frame->driver, sizeof(next));
    return next;
}

/* Where the slot's descriptors are, and the number of the first in the table that the device counts in. */
static inline struct virtio_descriptor *slot_table(struct net_transmit *t, uint32_t slot, uint32_t *base)
{
    *base = t->indirect ? 0 : slot << t->slot_shift;
    return t->indirect ? t->memory[slot].table : t->ring.descriptors + *base;
}

static uint32_t under_way(const struct net_transmit *t)
{
    return (uint32_t)t->slots - t->free_count;
}

static bool arm(struct net_transmit *t)
{
    uint32_t way = under_way(t);

    return virtio_queue_arm(&t->ring, t->starved ? way / 2 : max(way * 3 / 4, (uint32_t)t->slots / 4), way);
}

void net_transmit_restart(struct net_transmit *t)
{
    uint32_t slot, base;

    virtio_queue_restart(&t->ring);
    for (slot = 0; slot < t->slots; slot++) {
        struct transmit_slot *memory = &t->memory[slot];
        struct virtio_descriptor *table = slot_table(t, slot, &base);

        table[0] = (struct virtio_descriptor){ virt_to_maddr(&memory->header), sizeof(memory->header), VIRTIO_DESCRIPTOR_NEXT, (uint16_t)(base + 1) };
        if (t->indirect)
            t->ring.descriptors[slot] = (struct virtio_descriptor){ virt_to_maddr(memory->table), 0, VIRTIO_DESCRIPTOR_INDIRECT, 0 };
        t->owner[slot] = NULL;
        t->free[t->slots - 1 - slot] = (uint16_t)slot; /* low slots first: they stay in the cache */
    }
    t->free_count = t->slots;
    if (arm(t))
        t->ring.lies++; /* nothing was given to it */
}

int net_transmit_create(struct net_transmit *t, uint16_t size, bool indirect, bool event_index)
{
    int rc = virtio_queue_create_rings(&t->ring, size, event_index);

    if (rc != 0)
        return rc;
    /* 2.7.5.3.1: no chain longer than the queue, even an indirect one. */
    if (t->ring.size < 1u << DIRECT_SLOT_SHIFT)
        return -ENODEV;
    t->indirect = indirect;
    t->slot_shift = indirect ? 0 : DIRECT_SLOT_SHIFT;
    t->slots = (uint16_t)(t->ring.size >> t->slot_shift);
    t->memory = heap_alloc(max(t->slots * sizeof(struct transmit_slot), PAGE_SIZE));
    if (t->memory == NULL)
        return -ENOMEM;
    net_transmit_restart(t);
    return 0;
}

void net_transmit_destroy(struct net_transmit *t)
{
    heap_free(t->memory);
    t->memory = NULL;
    virtio_queue_destroy(&t->ring);
}

/* ---- back from the device ---- */

static inline void entry_take(struct net_transmit *t, uint32_t id)
{
    uint32_t slot = id >> t->slot_shift;
    struct netdev_frame *frame;

    if (unlikely(slot >= t->slots || slot << t->slot_shift != id || t->owner[slot] == NULL)) {
        t->ring.lies++;
        return;
    }
    frame = t->owner[slot];
    t->owner[slot] = NULL;
    t->free[t->free_count++] = (uint16_t)slot;
    link_set(frame, NULL);
    if (t->ended == NULL)
        t->ended = frame;
    else
        link_set(t->ended_last, frame);
    t->ended_last = frame;
}

/* At most `most` entries of the used ring. True: one at least was there. */
static bool reclaim(struct net_transmit *t, uint32_t most)
{
    uint32_t waiting = min(virtio_queue_waiting(&t->ring), most), i, bytes;

    for (i = 0; i < waiting; i++)
        entry_take(t, virtio_queue_next(&t->ring, &bytes));
    return waiting != 0;
}

void net_frames_tell(struct netdev_frame *list, int status)
{
    struct netdev_frame *next;

    for (; list != NULL; list = next) {
        next = link_get(list); /* it is its owner's as soon as he is told */
        list->sent(list, status);
    }
}

bool net_transmit_poll(struct net_card *card, struct net_transmit *t, uint32_t most, bool *remain)
{
    struct netdev_frame *list;
    bool more, room;

    spin_lock(&t->ring.lock);
    reclaim(t, most);
    more = virtio_queue_waiting(&t->ring) != 0 || (!t->ring.stopped && arm(t));
    list = t->ended; /* those that transmit has reclaimed, too: the queue's size at most */
    t->ended = NULL;
    room = t->starved && t->free_count != 0 && !t->ring.stopped;
    if (room)
        t->starved = false;
    *remain = under_way(t) != 0;
    spin_unlock(&t->ring.lock);
    net_frames_tell(list, 0);
    if (unlikely(room))
        netdev_room(&card->dev);
    return more;
}

struct netdev_frame *net_transmit_abandon(struct net_transmit *t)
{
    struct netdev_frame *list = NULL;
    uint32_t slot;

    spin_lock(&t->ring.lock);
    for (slot = 0; slot < t->slots; slot++) {
        if (t->owner[slot] == NULL)
            continue;
        link_set(t->owner[slot], list);
        list = t->owner[slot];
        t->owner[slot] = NULL;
    }
    spin_unlock(&t->ring.lock);
    return list;
}

/* ---- to the device ---- */

static inline void header_put(struct virtio_net_header *header, const struct net_offload *offload)
{
    *header = (struct virtio_net_header){ 0 };
    if (likely(!offload->sum_wanted))
        return;
    header->flags = NET_HEADER_SUM_WANTED;
    header->sum_start = offload->sum_start;
    header->sum_offset = offload->sum_offset;
    if (offload->segmentation == NET_SEGMENTATION_NONE)
        return;
    header->segmentation = offload->segmentation == NET_SEGMENTATION_TCP4 ? NET_HEADER_TCP4 : NET_HEADER_TCP6;
    header->header_bytes = offload->header_bytes;
    header->segment_bytes = offload->segment_bytes;
}

/* Under the lock, a slot is free. */
static inline void frame_put(struct net_transmit *t, struct netdev_frame *frame)
{
    uint32_t slot = t->free[--t->free_count], base, i;
    struct virtio_descriptor *table = slot_table(t, slot, &base);

    header_put(&t->memory[slot].header, &frame->offload);
    for (i = 0; i < frame->segment_count; i++)
        table[1 + i] = (struct virtio_descriptor){ frame->segments[i].maddr, frame->segments[i].bytes, VIRTIO_DESCRIPTOR_NEXT, (uint16_t)(base + i + 2) };
    table[i].flags = 0;
    if (likely(t->indirect))
        t->ring.descriptors[slot].bytes = (1 + i) * (uint32_t)sizeof(struct virtio_descriptor);
    t->owner[slot] = frame;
    virtio_queue_push(&t->ring, (uint16_t)(slot << t->slot_shift));
}

/* No slot is free: what has been sent meanwhile makes room; if nothing, an interrupt comes when half of it is out. */
static bool room_make(struct net_transmit *t)
{
    if (reclaim(t, RECLAIM_MOST))
        return t->free_count != 0;
    t->starved = true;
    return arm(t) && reclaim(t, RECLAIM_MOST) && t->free_count != 0;
}

/* What the card was not asked whether it can: the core's mistake, and no frame to send. */
static bool can_send(const struct net_card *card, const struct netdev_frame *frame)
{
    const struct net_offload *offload = &frame->offload;

    if (frame->segment_count == 0 || frame->segment_count > NET_SEGMENTS_MAX || frame->bytes > NET_FRAME_MAX)
        return false;
    if (likely(!offload->sum_wanted))
        return offload->segmentation == NET_SEGMENTATION_NONE;
    if (!card->dev.can_sum)
        return false;
    return offload->segmentation == NET_SEGMENTATION_NONE || (offload->segmentation == NET_SEGMENTATION_TCP4 ? card->dev.can_segment4 : card->dev.can_segment6);
}

int net_transmit_put(struct net_card *card, struct net_transmit *t, struct netdev_frame *frame)
{
    int rc = 0;

    if (unlikely(!can_send(card, frame)))
        return -EMSGSIZE;
    spin_lock(&t->ring.lock);
    if (unlikely(t->ring.stopped)) {
        t->starved = true;
        rc = card->dead ? -EIO : -ENOSPC;
    } else if (unlikely(t->free_count == 0) && !room_make(t)) {
        rc = -ENOSPC;
    } else {
        frame_put(t, frame);
    }
    spin_unlock(&t->ring.lock);
    return rc;
}
