/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor in this process, for libcollet's tests: takes the private hypercall where the transport would hand it to Linux, with the rules of <collet/control.h> that matter to a
 * builder. Frames have scrambled numbers; page tables are checked as the real one does when the domain gets its start state.
 */
#pragma once

#include "internal.h"

#define FAKE_FRAMES 24576u /* 96 MiB, of which only what is written to exists */
#define FAKE_MFN_FIRST 0x1000u
#define FAKE_DOMAINS 600u

struct fake_frame {
    uint32_t owner; /* 0: free */
    uint64_t pfn;
    uint8_t *bytes; /* NULL: all zero */
};

struct fake_domain {
    struct collet_domain_info info; /* domid 0 in all but the first: there is none */
    uint64_t shared_info_maddr;
    struct collet_domain_start_state start;
    uint64_t shared_mfn[8];
    uint32_t shared_port[8];
    uint32_t next_port;
};

struct fake {
    long (*more)(struct fake *f, uint64_t op, void *arg); /* a test's own operations, or NULL */
    struct fake_frame frames[FAKE_FRAMES];
    uint32_t next_frame;
    struct fake_domain domains[FAKE_DOMAINS];
    uint32_t next_domid;
    unsigned int calls[COLLET_OP_VBD_EXTENTS + 1]; /* how often each operation was asked for */
    unsigned int calls_all;
    uint64_t bytes_written;
    /* Trouble to be made: operation number fail_at (counted from 1 over all; 0: none) answers fail_rc, for fail_times calls. */
    unsigned int fail_at, fail_times;
    int fail_rc;
    unsigned int write_faults; /* so many writes from elsewhere than collet_memory() find their source absent */
    unsigned int destroy_pieces;
    uint32_t version;
    size_t memory_bytes; /* handed out by collet_memory() and not given back */
    struct { uint8_t *at; size_t bytes; } memory[64];
    struct collet_change changes[8];
    unsigned int change_count;
    int virq_peer; /* the other end of what collet_changes_fd() gave */
    void *ring; /* of CPU 0 */
    uint32_t ring_pages; /* with the header */
};

/* A handle over a new fake; collet_close() ends both. */
struct collet *fake_open(struct fake **fake);
struct fake_domain *fake_domain(struct fake *f, uint32_t domid);
unsigned int fake_domain_count(const struct fake *f);
struct fake_frame *fake_frame(struct fake *f, uint64_t mfn);
/* Frames that some domain owns. */
unsigned int fake_frames_used(const struct fake *f);
/* What a linear address of the started domain leads to: the entry of the L1, or 0. */
uint64_t fake_walk(struct fake *f, const struct fake_domain *d, uint64_t va);
/* Copies from linear addresses; false: something is not mapped. */
bool fake_read(struct fake *f, const struct fake_domain *d, uint64_t va, void *to, size_t bytes);
