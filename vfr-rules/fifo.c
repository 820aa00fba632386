/* SPDX-License-Identifier: MIT */
/*
 * Packet scheduler: who asked first sends first, as much as fits in a turn. Unfair to those that send small packets; the measure for the others, start here to read.
 * Contract: <hv/vfr-ops.h>. Tests: test-schedulers.c. Page: docs/concepts/packet-schedulers.md.
 */
#include <hv/list.h>
#include <hv/vfr-ops.h>

#define TURN_PACKETS 64u
#define TURN_BYTES   65536u

struct fifo {
    struct list_node queue;
};

struct fifo_sender {
    struct list_node link;
    struct vfr_sender *sender;
};

static void fifo_create(void *state)
{
    struct fifo *fifo = state;

    list_init(&fifo->queue);
}

static void fifo_insert(void *state, struct vfr_sender *sender)
{
    struct fifo_sender *s = sender->data;

    (void)state;
    list_init(&s->link);
    s->sender = sender;
}

static void fifo_remove(void *state, struct vfr_sender *sender)
{
    (void)state, (void)sender;
}

static void fifo_ready(void *state, struct vfr_sender *sender, uint64_t now_ns)
{
    struct fifo *fifo = state;
    struct fifo_sender *s = sender->data;

    (void)now_ns;
    list_push_back(&fifo->queue, &s->link);
}

static void fifo_unready(void *state, struct vfr_sender *sender)
{
    struct fifo_sender *s = sender->data;

    (void)state;
    list_remove(&s->link);
}

static struct vfr_turn fifo_next(void *state, uint64_t now_ns)
{
    struct fifo *fifo = state;
    struct fifo_sender *s = list_first_entry(&fifo->queue, struct fifo_sender, link);

    (void)now_ns;
    if (list_empty(&fifo->queue))
        return (struct vfr_turn){ NULL, 0, 0 };
    list_remove(&s->link);
    return (struct vfr_turn){ s->sender, TURN_PACKETS, TURN_BYTES };
}

static void fifo_sent(void *state, struct vfr_sender *sender, uint32_t packets, uint32_t bytes, uint64_t now_ns)
{
    (void)state, (void)sender, (void)packets, (void)bytes, (void)now_ns;
}

const struct vfr_sched_ops vfr_fifo = {
    .name = "fifo",
    .summary = "who asked first",
    .state_bytes = sizeof(struct fifo),
    .sender_bytes = sizeof(struct fifo_sender),
    .create = fifo_create,
    .insert = fifo_insert,
    .remove = fifo_remove,
    .ready = fifo_ready,
    .unready = fifo_unready,
    .next = fifo_next,
    .sent = fifo_sent,
};
