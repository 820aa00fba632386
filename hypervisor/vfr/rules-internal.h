/* SPDX-License-Identifier: MIT */
/*
 * Between the files of the router that deal with rules: rules.c (what a packet meets), rules-load.c (how one set follows another), rules-list.c (what is told of them). Page: docs/concepts/generations.md.
 *
 * What packets look at is one immutable object, a struct vfr_generation, behind one pointer. To change anything - the rules, whether flows are tracked, which table of flows - is to put another object behind the
 * pointer, to wait until no CPU judges by the old one any more, and to free that. Only one at a time changes things (rules_change_begin); readers who are not packets do the same, so that nothing goes away under them. The
 * one exception is the confirm timer, which waits for nobody: it exchanges pointers under rules_lock and leaves the rest to the next who comes by.
 */
#pragma once

#include "vfr-internal.h"

#define RULES_CHUNK_BYTES (64u << 10)

/* A set as it was loaded, and what was made of it. */
struct rule_set {
    uint64_t number; /* its generation */
    uint64_t loaded_ns, bytes;
    uint8_t **chunks; /* the bytes, RULES_CHUNK_BYTES in each */
    uint32_t chunk_count;
    uint32_t rules;
    struct vfr_engine *engine;
};

struct vfr_generation {
    struct rule_set *set;    /* NULL: none is loaded */
    struct vfr_flows *flows; /* NULL: not tracked. `previous`: rules_lock */
    uint32_t place;          /* which of each port's bindings are this one's. There are never three sets at a time: the place that `current` does not have is free while one is loaded */
};

/* Lock: rules_lock for writing; who changes things may read without. */
struct rules_state {
    struct vfr_generation *current;  /* never NULL; packets read it without the lock */
    struct vfr_generation *previous; /* put back unless `current` is confirmed in time; NULL: nothing waits */
    struct vfr_generation *retired;  /* the timer has put another in its place; a CPU may still be in it */
    struct vfr_generation *incoming; /* being made: ports that come meanwhile are bound in it too */
    struct vfr_port *ports[PORTS_MAX];
    uint64_t ports_there[(PORTS_MAX + 63) / 64]; /* bits: which of them are not NULL; cards have the last slots, so that most are */
    uint64_t deadline_ns;
};
extern struct rules_state rules_state;
extern struct spinlock rules_lock;
extern struct vfr_generation rules_none; /* generation 0, as the machine starts */

/* Who changes things, or must not have things change: one at a time. Context: hypercall, no lock held; gives way. Pair: rules_change_end. On return nothing is retired. */
void rules_change_begin(void);
void rules_change_end(void);

/* Owner: who changes things. flows_table: NULL until somebody wants it. */
extern struct vfr_flows *flows_table;
extern uint32_t flows_room;
extern bool flows_asked; /* FLOWS_SET says that they are tracked, whatever the rules want */
extern struct vfr_memory rules_memory;

/* Bytes of the set as it was loaded. 0; -EFAULT: there are not so many. Context: between rules_change_begin and _end. */
int rule_set_read(void *set, uint64_t offset, void *to, size_t bytes);
/* Bind every port there is in the incoming generation; gives way. Context: between rules_change_begin and _end. */
void rules_bind_all(struct vfr_generation *g);
