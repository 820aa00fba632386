/* SPDX-License-Identifier: MIT */
/*
 * Packet scheduler: interfaces that send share by their weights.
 *
 * Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996), by turns in place of packets: each turn begins, on a clock that counts bytes by weight, where the sender's last one ended, or now if that is past; the
 * earliest goes next. Equal ones: in the order in which they became ready.
 *
 * Contract: <hv/vfr-ops.h>. Tests: test-schedulers.c. Page: docs/concepts/packet-schedulers.md.
 */
#include <hv/list.h>
#include <hv/tree.h>
#include <hv/vfr-ops.h>

#define TURN_BYTES   16384u
#define TURN_PACKETS 64u
#define PACKET_BYTES 24u    /* charged on top of each packet, as in round-robin.c */
#define SCALE        1000u  /* the clock counts thousandths of bytes at weight 1 */

struct weighted {
    struct tree waiting; /* by start, then order */
    uint64_t clock, order;
};

struct weighted_sender {
    struct tree_node node;
    struct vfr_sender *sender;
    uint64_t start, end, order;
    bool waits;
};

static bool weighted_before(const struct tree_node *a, const struct tree_node *b)
{
    const struct weighted_sender *x = list_entry(a, const struct weighted_sender, node), *y = list_entry(b, const struct weighted_sender, node);

    return x->start != y->start ? x->start < y->start : x->order < y->order;
}

static void weighted_create(void *state)
{
    struct weighted *w = state;

    *w = (struct weighted){ { NULL }, 0, 0 };
}

static void weighted_insert(void *state, struct vfr_sender *sender)
{
    struct weighted_sender *s = sender->data;

    (void)state;
    s->sender = sender;
}

static void weighted_remove(void *state, struct vfr_sender *sender)
{
    (void)state, (void)sender;
}

static void weighted_enter(struct weighted *w, struct weighted_sender *s)
{
    s->start = s->end > w->clock ? s->end : w->clock;
    s->order = w->order++;
    s->waits = true;
    tree_insert(&w->waiting, &s->node, weighted_before);
}

static void weighted_leave(struct weighted *w, struct weighted_sender *s)
{
    s->waits = false;
    tree_remove(&w->waiting, &s->node);
}

static void weighted_ready(void *state, struct vfr_sender *sender, uint64_t now_ns)
{
    (void)now_ns;
    weighted_enter(state, sender->data);
}

static void weighted_unready(void *state, struct vfr_sender *sender)
{
    weighted_leave(state, sender->data);
}

static struct vfr_turn weighted_next(void *state, uint64_t now_ns)
{
    struct weighted *w = state;
    struct tree_node *first = tree_first(&w->waiting);
    struct weighted_sender *s;

    (void)now_ns;
    if (first == NULL)
        return (struct vfr_turn){ NULL, 0, 0 };
    s = list_entry(first, struct weighted_sender, node);
    weighted_leave(w, s);
    if (s->start > w->clock)
        w->clock = s->start;
    return (struct vfr_turn){ s->sender, TURN_PACKETS, TURN_BYTES };
}

static void weighted_sent(void *state, struct vfr_sender *sender, uint32_t packets, uint32_t bytes, uint64_t now_ns)
{
    struct weighted_sender *s = sender->data;
    struct weighted *w = state;
    uint32_t weight = sender->weight != 0 ? sender->weight : 1;
    bool waits = s->waits; /* another CPU has seen more of it already: its place is a later one now */

    (void)now_ns;
    if (waits)
        weighted_leave(w, s);
    s->end = s->start + (bytes + (uint64_t)packets * PACKET_BYTES) * SCALE / weight;
    if (waits)
        weighted_enter(w, s);
}

const struct vfr_sched_ops vfr_weighted = {
    .name = "weighted",
    .summary = "by weight: an interface of 200 sends twice the bytes of one of 100",
    .state_bytes = sizeof(struct weighted),
    .sender_bytes = sizeof(struct weighted_sender),
    .create = weighted_create,
    .insert = weighted_insert,
    .remove = weighted_remove,
    .ready = weighted_ready,
    .unready = weighted_unready,
    .next = weighted_next,
    .sent = weighted_sent,
};
