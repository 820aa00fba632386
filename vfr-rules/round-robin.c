/* SPDX-License-Identifier: MIT */
/*
 * Packet scheduler: every interface with something to send gets the same number of bytes a round, whatever the size of its packets.
 *
 * Deficit round robin (Shreedhar and Varghese, SIGCOMM 1995), with debts in place of deficits: the size of the next packet is not known before it is taken, so the last one of a turn may go over. What it went over is
 * missing in the next turn, or rounds are left out. Rounds are lists in a ring, so that leaving some out costs nothing. Small packets cost a wire and a processor more than their bytes: each is charged some on top.
 *
 * Contract: <hv/vfr-ops.h>. Tests: test-schedulers.c. Page: docs/concepts/packet-schedulers.md.
 */
#include <hv/list.h>
#include <hv/vfr-ops.h>

#define QUANTUM_BYTES 16384u /* a round */
#define PACKET_BYTES  24u    /* charged on top of each packet: preamble, checksum and gap of Ethernet */
#define TURN_PACKETS  64u    /* without asking again, so that nobody waits long */
#define ROUNDS        16u    /* more than the longest packet (65,549 bytes) is worth */

struct round_robin {
    struct list_node rounds[ROUNDS]; /* senders that wait, by the round of their next turn modulo ROUNDS */
    uint64_t round;                  /* the one that is served */
    uint32_t waiting;
};

struct round_robin_sender {
    struct list_node link;
    struct vfr_sender *sender;
    uint64_t round;  /* of its next turn, or of the last one if that is past */
    uint32_t credit; /* bytes left in that round */
};

static void round_robin_create(void *state)
{
    struct round_robin *rr = state;

    for (uint32_t i = 0; i < ROUNDS; i++)
        list_init(&rr->rounds[i]);
    rr->round = 0;
    rr->waiting = 0;
}

static void round_robin_insert(void *state, struct vfr_sender *sender)
{
    struct round_robin_sender *s = sender->data;

    (void)state;
    list_init(&s->link);
    s->sender = sender;
}

static void round_robin_remove(void *state, struct vfr_sender *sender)
{
    (void)state, (void)sender;
}

/* Where it waits for its next turn. */
static void round_robin_place(struct round_robin *rr, struct round_robin_sender *s)
{
    /* What was not used of rounds gone by is lost; what was used ahead is not forgotten. */
    if (s->round < rr->round || s->credit == 0) {
        s->round = s->round < rr->round ? rr->round : s->round + 1;
        s->credit = QUANTUM_BYTES;
    }
    if (s->round >= rr->round + ROUNDS)
        s->round = rr->round + ROUNDS - 1;
    list_push_back(&rr->rounds[s->round % ROUNDS], &s->link);
}

static void round_robin_ready(void *state, struct vfr_sender *sender, uint64_t now_ns)
{
    struct round_robin *rr = state;

    (void)now_ns;
    round_robin_place(rr, sender->data);
    rr->waiting++;
}

static void round_robin_unready(void *state, struct vfr_sender *sender)
{
    struct round_robin *rr = state;
    struct round_robin_sender *s = sender->data;

    list_remove(&s->link);
    rr->waiting--;
}

static struct vfr_turn round_robin_next(void *state, uint64_t now_ns)
{
    struct round_robin *rr = state;
    struct round_robin_sender *s;

    (void)now_ns;
    if (rr->waiting == 0)
        return (struct vfr_turn){ NULL, 0, 0 };
    while (list_empty(&rr->rounds[rr->round % ROUNDS]))
        rr->round++;
    s = list_first_entry(&rr->rounds[rr->round % ROUNDS], struct round_robin_sender, link);
    list_remove(&s->link);
    rr->waiting--;
    return (struct vfr_turn){ s->sender, TURN_PACKETS, s->credit };
}

static void round_robin_charge(struct round_robin_sender *s, uint64_t used)
{
    uint64_t over;

    if (used < s->credit) {
        s->credit -= used;
        return;
    }
    over = used - s->credit;
    /* A core that takes more than a packet too many is not paid back beyond what the ring of rounds can say. */
    if (over >= (ROUNDS - 2) * QUANTUM_BYTES)
        over = (ROUNDS - 2) * QUANTUM_BYTES - 1;
    s->round += 1 + over / QUANTUM_BYTES;
    s->credit = QUANTUM_BYTES - over % QUANTUM_BYTES;
}

static void round_robin_sent(void *state, struct vfr_sender *sender, uint32_t packets, uint32_t bytes, uint64_t now_ns)
{
    struct round_robin *rr = state;
    struct round_robin_sender *s = sender->data;
    bool waits = !list_empty(&s->link); /* another CPU has seen more of it already: its place is a later one now */

    (void)now_ns;
    if (waits)
        list_remove(&s->link);
    round_robin_charge(s, bytes + (uint64_t)packets * PACKET_BYTES);
    if (waits)
        round_robin_place(rr, s);
}

const struct vfr_sched_ops vfr_round_robin = {
    .name = "round-robin",
    .summary = "the same number of bytes for every interface that sends",
    .state_bytes = sizeof(struct round_robin),
    .sender_bytes = sizeof(struct round_robin_sender),
    .create = round_robin_create,
    .insert = round_robin_insert,
    .remove = round_robin_remove,
    .ready = round_robin_ready,
    .unready = round_robin_unready,
    .next = round_robin_next,
    .sent = round_robin_sent,
};
