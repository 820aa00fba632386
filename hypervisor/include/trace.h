/* SPDX-License-Identifier: MIT */
/*
 * Trace points. One that is off costs a load and a branch; one that is on writes a record of 32 bytes into this pCPU's ring, without a lock.
 * Kinds and what they carry: <collet/trace.h>. Rings: trace/trace.c. Page: docs/concepts/trace.md.
 */
#pragma once

#include "types.h"
#include "vcpu.h"

#include <collet/trace.h>

extern uint64_t trace_kinds; /* bit per enum collet_trace_kind: recorded now. Atomic; written by trace_enable alone */

/* Out of line. Context: any but NMI and machine check; interrupts on or off, any lock held. */
void trace_record(enum collet_trace_kind kind, uint32_t subject, uint64_t a, uint64_t b);

static inline bool trace_on(enum collet_trace_kind kind)
{
    return unlikely((READ_ONCE(trace_kinds) & (1ull << kind)) != 0);
}

static inline void trace(enum collet_trace_kind kind, uint32_t subject, uint64_t a, uint64_t b)
{
    if (trace_on(kind))
        trace_record(kind, subject, a, b);
}

/* A vCPU as a subject; the idle one is COLLET_TRACE_IDLE. */
static inline uint32_t trace_subject(const struct vcpu *v)
{
    return v->is_idle ? COLLET_TRACE_IDLE : COLLET_TRACE_SUBJECT(v->domain->id, v->id);
}

/* A trace point about a vCPU: what it costs to name it is only spent when the kind is on. */
static inline void trace_vcpu(enum collet_trace_kind kind, const struct vcpu *v, uint64_t a, uint64_t b)
{
    if (trace_on(kind))
        trace_record(kind, trace_subject(v), a, b);
}

/*
 * Make the rings, `pages` pages of records for each pCPU (a power of two, at most TRACE_PAGES_MAX), unless they exist: then pages must be theirs, or 0.
 * 0; -EINVAL; -EBUSY other rings exist, or somebody makes them now; -ENOMEM. They stay for good. Context: hypercall, no lock held; may preempt.
 */
#define TRACE_PAGES_MAX 1024u
#define TRACE_PAGES_DEFAULT 64u
int must_check trace_rings_make(uint32_t pages);
/* Record these kinds and no others from now on; 0: nothing. Without rings only 0 is right. */
void trace_enable(uint64_t kinds);
uint32_t trace_pages(void); /* of records, per pCPU; 0: no rings */
/* A page of a pCPU's ring: 0 is the header, 1 the first page of records. NULL: there is no such page. */
const void *trace_page(uint32_t cpu, uint32_t index);
