/* SPDX-License-Identifier: MIT */
/*
 * Trace rings: one per pCPU, written by that pCPU alone without a lock, oldest records overwritten, mapped read-only by Domain0.
 *
 * A ring is a header page followed by pages of records. The writer fills record[head % records], then publishes head + 1 (release order). A reader copies
 * what it wants from tail to head, then reads head again: records with an index below the new head - records + 1 may have been overwritten meanwhile and are dropped,
 * and counted as lost. Nobody ever waits for anybody.
 * Costs where a record would be made: one load and one branch when its kind is off.
 */
#pragma once

#include <stdint.h>

#define COLLET_TRACE_MAGIC 0x65636172544c4f43ull /* "COLTrace" */

struct collet_trace_header {
    uint64_t magic;
    uint32_t cpu;
    uint32_t record_bytes; /* sizeof(struct collet_trace_record) */
    uint64_t records;      /* in the ring: a power of two */
    uint64_t head;         /* records written since the rings were made */
};

/* Kinds: their bits, for TRACE_START, are 1 << kind. */
enum collet_trace_kind {
    COLLET_TRACE_SWITCH = 0,    /* subject: who runs from now on (COLLET_TRACE_IDLE: nobody); a: who ran before (subject form; itself in the record that a start makes on each pCPU); b: slice in ns, ~0 none */
    COLLET_TRACE_WAKE = 1,      /* subject became runnable; a: pCPU that it waits at */
    COLLET_TRACE_BLOCK = 2,     /* subject cannot run any more; a: enum collet_vcpu_state */
    COLLET_TRACE_MIGRATE = 3,   /* subject; a: from pCPU; b: to pCPU */
    COLLET_TRACE_HYPERCALL = 4, /* subject; a: number; b: result. Made when it ends */
    COLLET_TRACE_HYPERCALL_ENTER = 5, /* subject; a: number */
    COLLET_TRACE_FAULT = 6,     /* subject; a: vector | error code << 32; b: cr2 for a page fault, else rip */
    COLLET_TRACE_EVENT = 7,     /* subject: to whom; a: port */
    COLLET_TRACE_SCHED_USE = 8, /* subject none; a, b: first 16 bytes of the module's name */
    COLLET_TRACE_PACKET = 9,    /* reserved for the VFR: verdicts */
    /* A request of a virtual block device, piece by piece. subject: domid << 16 | VBD; a: serial on the disk << 8 | disk */
    COLLET_TRACE_DISK_QUEUE = 10,    /* given to the disk's module; b: first sector | op << 60 (enum blk_op; 4: flush) */
    COLLET_TRACE_DISK_ISSUE = 11,    /* to the device; b: ns since it was queued */
    COLLET_TRACE_DISK_COMPLETE = 12, /* ended; b: ns since it was issued (0: never was) | 1 << 63 if with an error */
    COLLET_TRACE_KINDS = 13,
};
#define COLLET_TRACE_DEFAULT ((1ull << COLLET_TRACE_SWITCH) | (1ull << COLLET_TRACE_WAKE) | (1ull << COLLET_TRACE_BLOCK) | (1ull << COLLET_TRACE_MIGRATE) | (1ull << COLLET_TRACE_SCHED_USE))

#define COLLET_TRACE_IDLE 0xffffffffu
#define COLLET_TRACE_SUBJECT(domid, vcpu) (((uint32_t)(domid) << 16) | (uint32_t)(vcpu))

struct collet_trace_record {
    uint64_t time_ns; /* system time */
    uint16_t kind;    /* enum collet_trace_kind */
    uint16_t cpu;
    uint32_t subject; /* COLLET_TRACE_SUBJECT, or COLLET_TRACE_IDLE */
    uint64_t a, b;
};
