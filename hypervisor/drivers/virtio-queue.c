/* SPDX-License-Identifier: MIT */
/*
 * A split virtqueue: its memory, showing requests to the device, taking what has ended. Contract: virtio-queue.h. Tests: test-virtio-queue.c.
 *
 * With event indexes (VIRTIO 1.2, 2.7.7.2, 2.7.10) neither side is told of more than it asked for: we name the index at which we want the next interrupt only when nothing is left to take, so a burst costs
 * one. Without them the device interrupts each time, and asks not to be told by a flag.
 */
#include "virtio-queue.h"

#include "alloc.h"
#include "lib/string.h"
#include "x86/cpu-asm.h"

#include <hv/errno.h>

#define USED_NO_NOTIFY         1u
#define AVAILABLE_NO_INTERRUPT 1u
#define PATIENCE_MAX           4u
#define DIRECT_SLOT_SHIFT_MAX  5u /* 32 descriptors a request, 30 pages */

static size_t available_bytes(uint32_t size)
{
    return 2 * (3 + size);
}

static size_t used_bytes(uint32_t size)
{
    return 6 + 8 * size;
}

static size_t used_offset(uint32_t size)
{
    return ROUND_UP(sizeof(struct virtio_descriptor) * size + available_bytes(size), 64ul);
}

/* The device's index at which we are to interrupt it, and ours: each behind the other's ring. */
static volatile uint16_t *available_event(const struct virtio_queue *q)
{
    return (volatile uint16_t *)&q->used->ring[q->size];
}

static volatile uint16_t *used_event(const struct virtio_queue *q)
{
    return (volatile uint16_t *)&q->available->ring[q->size];
}

static void shape(struct virtio_queue *q)
{
    q->slot_shift = 0;
    q->pages_max = (uint16_t)min(VIRTIO_PAGES_MAX, (uint32_t)q->size - VIRTIO_TABLE_PAGES); /* 2.7.5.3.1: no chain longer than the queue */
    if (!q->indirect) {
        /* Long enough for most, and as many slots as that leaves. */
        q->slot_shift = (uint16_t)min(DIRECT_SLOT_SHIFT_MAX, (uint32_t)__builtin_ctz(q->size));
        q->pages_max = (uint16_t)((1u << q->slot_shift) - VIRTIO_TABLE_PAGES);
    }
    q->slots = (uint16_t)min((uint32_t)q->size >> q->slot_shift, VIRTIO_SLOTS_MAX);
}

int virtio_queue_create_rings(struct virtio_queue *q, uint16_t size, bool event_index)
{
    char *rings;

    if (size < 4 || (size & (size - 1)) != 0)
        return -ENODEV;
    q->lock = SPINLOCK_INIT;
    q->size = min(size, (uint16_t)VIRTIO_QUEUE_SIZE_MAX);
    q->event_index = event_index;
    q->lies = 0;
    rings = heap_alloc(max(used_offset(q->size) + used_bytes(q->size), PAGE_SIZE));
    if (rings == NULL)
        return -ENOMEM;
    q->descriptors = (struct virtio_descriptor *)rings;
    q->available = (struct virtio_available *)(rings + sizeof(struct virtio_descriptor) * q->size);
    q->used = (struct virtio_used *)(rings + used_offset(q->size));
    virtio_queue_restart(q);
    return 0;
}

int virtio_queue_create(struct virtio_queue *q, uint16_t size, bool indirect, bool event_index)
{
    int rc = virtio_queue_create_rings(q, size, event_index);

    if (rc != 0)
        return rc;
    q->indirect = indirect;
    shape(q);
    q->memory = heap_alloc(max(q->slots * sizeof(struct virtio_slot), PAGE_SIZE));
    if (q->memory == NULL) {
        virtio_queue_destroy(q);
        return -ENOMEM;
    }
    virtio_queue_restart(q);
    return 0;
}

void virtio_queue_destroy(struct virtio_queue *q)
{
    heap_free(q->descriptors);
    heap_free(q->memory);
    q->descriptors = NULL;
    q->memory = NULL;
}

static void slot_prepare(struct virtio_queue *q, uint32_t slot)
{
    struct virtio_slot *memory = &q->memory[slot];
    uint32_t base;
    struct virtio_descriptor *table = virtio_slot_table(q, slot, &base);

    table[VIRTIO_TABLE_HEAD] = (struct virtio_descriptor){ virt_to_maddr(memory->head), sizeof(memory->head), VIRTIO_DESCRIPTOR_NEXT, 0 };
    table[VIRTIO_TABLE_ANSWER] = (struct virtio_descriptor){ virt_to_maddr(&memory->answer), 1, VIRTIO_DESCRIPTOR_WRITE, 0 };
    if (q->indirect)
        q->descriptors[slot] = (struct virtio_descriptor){ virt_to_maddr(memory->table), 0, VIRTIO_DESCRIPTOR_INDIRECT, 0 };
    q->owner[slot] = NULL;
    q->free[q->slots - 1 - slot] = (uint8_t)slot; /* low slots first: they stay in the cache */
}

void virtio_queue_restart(struct virtio_queue *q)
{
    uint32_t slot;

    spin_lock(&q->lock);
    memset(q->descriptors, 0, used_offset(q->size) + used_bytes(q->size));
    for (slot = 0; slot < q->slots; slot++)
        slot_prepare(q, slot);
    q->free_count = q->slots;
    q->available_next = q->available_told = q->used_next = 0;
    q->stopped = true;
    spin_unlock(&q->lock);
}

void virtio_queue_open(struct virtio_queue *q)
{
    spin_lock(&q->lock);
    q->stopped = false;
    spin_unlock(&q->lock);
}

/* Whether the device wants to be told of what lies between two indexes. */
static bool wants_notify(const struct virtio_queue *q, uint16_t from, uint16_t to)
{
    if (!q->event_index)
        return !(READ_ONCE(q->used->flags) & USED_NO_NOTIFY);
    return (uint16_t)(to - *available_event(q) - 1) < (uint16_t)(to - from);
}

void virtio_queue_show(struct virtio_queue *q)
{
    uint16_t from, to;

    spin_lock(&q->lock);
    from = q->available_told;
    to = q->available_next;
    if (from != to && !q->stopped) {
        q->available_told = to;
        /* After the ring's entries and all they lead to; and before the device's wish is read, or both sides may sleep. */
        __atomic_store_n(&q->available->index, to, __ATOMIC_RELEASE);
        smp_mb();
        if (wants_notify(q, from, to))
            *q->notify = q->index;
    }
    spin_unlock(&q->lock);
}

static inline uint16_t used_index(const struct virtio_queue *q)
{
    return __atomic_load_n(&q->used->index, __ATOMIC_ACQUIRE);
}

/* What one entry of the used ring says: true if it is a request of ours that has ended. */
static inline bool entry_take(struct virtio_queue *q, uint32_t id, struct virtio_ended *ended)
{
    uint32_t slot = id >> q->slot_shift;

    if (unlikely(slot >= q->slots || slot << q->slot_shift != id || q->owner[slot] == NULL)) {
        q->lies++;
        return false;
    }
    ended->owner = q->owner[slot];
    ended->answer = READ_ONCE(q->memory[slot].answer);
    q->owner[slot] = NULL;
    q->free[q->free_count++] = (uint8_t)slot;
    return true;
}

/* How many may end beyond the next one before we are interrupted: an eighth of what is under way at most, so that nobody waits much longer than he would anyway. None while little is under way. */
static inline uint16_t patience(const struct virtio_queue *q)
{
    return (uint16_t)min((uint32_t)(q->slots - q->free_count) / 8, PATIENCE_MAX);
}

/* Interrupt at the next one, or soon. True: one has come meanwhile, for which there may be no interrupt. */
static inline bool arm(struct virtio_queue *q)
{
    if (!q->event_index)
        return false;
    *used_event(q) = (uint16_t)(q->used_next + patience(q));
    smp_mb();
    return used_index(q) != q->used_next;
}

static bool take_locked(struct virtio_queue *q, struct virtio_ended *ended, uint32_t most, uint32_t *count)
{
    uint32_t n = 0, looked = 0;
    bool more = false;
    uint16_t end;

    do {
        end = used_index(q);
        if (unlikely((uint16_t)(end - q->used_next) > q->slots)) {
            q->lies++;
            q->stopped = true;
            break;
        }
        for (; q->used_next != end && looked < most; looked++) {
            uint32_t id = READ_ONCE(q->used->ring[q->used_next++ & (q->size - 1)].id);

            if (entry_take(q, id, &ended[n]))
                n++;
        }
        more = q->used_next != end || arm(q);
    } while (more && looked < most);
    *count = n;
    return more;
}

bool virtio_queue_take(struct virtio_queue *q, struct virtio_ended *ended, uint32_t most, uint32_t *count)
{
    bool more = false;

    *count = 0;
    spin_lock(&q->lock);
    if (!q->stopped)
        more = take_locked(q, ended, most, count);
    spin_unlock(&q->lock);
    return more;
}

void virtio_queue_stop(struct virtio_queue *q)
{
    spin_lock(&q->lock);
    q->stopped = true;
    spin_unlock(&q->lock);
}

bool virtio_queue_drain(struct virtio_queue *q, struct virtio_ended *ended, uint32_t most, uint32_t *count)
{
    bool more;

    spin_lock(&q->lock);
    more = take_locked(q, ended, most, count);
    spin_unlock(&q->lock);
    return more;
}

uint32_t virtio_queue_abandon(struct virtio_queue *q, struct virtio_ended *ended, uint32_t most)
{
    uint32_t slot, n = 0;

    spin_lock(&q->lock);
    for (slot = 0; slot < q->slots && n < most; slot++) {
        if (q->owner[slot] == NULL)
            continue;
        ended[n].owner = q->owner[slot];
        ended[n++].answer = 0xff;
        q->owner[slot] = NULL;
    }
    spin_unlock(&q->lock);
    return n;
}

/* ---- rings alone ---- */

uint32_t virtio_queue_waiting(struct virtio_queue *q)
{
    uint16_t waiting = (uint16_t)(used_index(q) - q->used_next);

    if (unlikely(q->stopped))
        return 0;
    if (unlikely(waiting > q->size)) {
        q->lies++;
        q->stopped = true;
        return 0;
    }
    return waiting;
}

bool virtio_queue_arm(struct virtio_queue *q, uint32_t ahead, uint32_t under_way)
{
    if (q->event_index)
        *used_event(q) = (uint16_t)(q->used_next + ahead);
    else
        WRITE_ONCE(q->available->flags, ahead >= under_way ? AVAILABLE_NO_INTERRUPT : 0);
    /* The device reads the wish after it has shown an entry, we look for entries after the wish: one of both sees the other's. */
    smp_mb();
    return used_index(q) != q->used_next && virtio_queue_waiting(q) > ahead;
}
