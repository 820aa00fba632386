/* SPDX-License-Identifier: MIT */
/*
 * Inside connection tracking: the table (flows.c: places, look-up, who may have how many), what packets belong to (flows-key.c), and what they mean to a flow (flows-state.c).
 *
 * Locks: one for each set of places with the same hash, and one for the table: who has how many, and the free places. Never two at once. They are held for a few instructions, never by an interrupt.
 */
#pragma once

#include <vfr/flows.h>

#define FLOW_NO_SET   0xffffffffu
#define FLOW_NO_STATE 0xffu

struct flow_end {
    uint64_t high, low; /* the address; of IPv4: low */
    uint32_t port;
};
/* ends[0]: who sent the packet. */
struct flow_key {
    struct flow_end ends[2];
    uint32_t segment;
    uint8_t family, protocol;
};

struct flow {
    struct flow *next;   /* in its set, or of the free places */
    struct flow_key key; /* of the first packet */
    uint32_t set;        /* FLOW_NO_SET: free. Changes under the lock of the set that it names, or while it is free */
    /* All below: under its set's lock. */
    uint8_t state;       /* enum vfr_flow_state */
    bool answered;
    uint8_t fins;        /* bit 0: of the first one's side, bit 1: of the other */
    uint16_t account;    /* whose place it is; the table's lock */
    uint16_t busy;       /* packets between find and keep */
    uint32_t domid;
    uint32_t from, to;   /* ids of interfaces */
    uint32_t ack[2];     /* TCP: what each side acknowledged last */
    uint32_t begin;      /* TCP: what must be acknowledged of the answering side's beginning */
    uint64_t packets[2], bytes[2], begun_ns, seen_ns, ends_ns;
};

/* flows-key.c. How a packet may be tracked. */
enum flow_kind { FLOW_UNTRACKED, FLOW_INVALID, FLOW_LATER_FRAGMENT, FLOW_ERROR, FLOW_PLAIN };
/* PLAIN: *key is filled, *may_begin: whether it may be the first of a flow. ERROR: *key is that of the packet it quotes. */
enum flow_kind flow_key_make(const struct vfr_packet *packet, uint32_t segment, struct flow_key *key, bool *may_begin);
/* The same for both directions. */
uint64_t flow_key_hash(const struct flow_key *key, const uint64_t seed[2]);
/* -1 another's; 0 the same way, 1 the other way. */
int flow_key_compare(const struct flow_key *key, const struct flow_key *packet);
uint64_t flow_mix(uint64_t a, uint64_t b);

/* flows-state.c. A packet begins a flow: its state. */
void flow_begin(struct flow *flow, const struct vfr_packet *packet, uint64_t now_ns);
/* A packet of a flow, direction 0 or 1, was let through. */
void flow_advance(struct flow *flow, const struct vfr_packet *packet, unsigned int direction, uint64_t now_ns);
/* Has it ended, so that this packet begins another one of the same addresses and ports? */
bool flow_begins_anew(const struct flow *flow, const struct vfr_packet *packet);
/* Not answered yet, or over: the first to go when there is no room. */
static inline bool flow_is_cheap(const struct flow *flow)
{
    return flow->state == VFR_FLOW_NEW || flow->state == VFR_FLOW_OPENING || flow->state == VFR_FLOW_ONE_WAY || flow->state == VFR_FLOW_CLOSED;
}

/* What a set's and the table's lock are: a word. */
static inline void flow_lock(uint32_t *lock)
{
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0)
        while (__atomic_load_n(lock, __ATOMIC_RELAXED) != 0)
            __builtin_ia32_pause();
}

static inline void flow_unlock(uint32_t *lock)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}
