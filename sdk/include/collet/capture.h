/* SPDX-License-Identifier: MIT */
/*
 * Rings of a capture: one per pCPU, written by that pCPU alone without a lock, mapped read-only by Domain0 through COLLET_TRACE_DOMID as the trace's are. What is full drops the new frame and counts it: what was
 * written and not given back is never overwritten.
 *
 * A ring is a header page followed by `bytes` bytes, a power of two. Position p lies at byte p % bytes. The writer fills a record at head and then publishes the new head (release order); the reader reads from tail to head
 * (acquire) and gives the place back by COLLET_OP_CAPTURE_INFO, whenever it likes. A record may begin near the end of the ring and go on at its beginning; it is a multiple of 8 bytes.
 */
#pragma once

#include <stdint.h>

#define COLLET_CAPTURE_MAGIC 0x727574706143544cull /* "LTCaptur" */

/* Frames of one interface; the last entry is that of all for which there was no other. */
#define COLLET_CAPTURE_IFACES 44u
struct collet_capture_iface {
    char name[64];
    uint64_t seen, recorded, dropped; /* as below */
};

struct collet_capture_header {
    uint64_t magic;
    uint32_t capture; /* whose ring it is now; it changes when another capture gets these pages */
    uint32_t cpu;
    uint32_t record_bytes; /* sizeof(struct collet_capture_record) */
    uint32_t pad;
    uint64_t bytes; /* of the ring */
    uint64_t head;  /* written since it was opened */
    uint64_t tail;  /* given back */
    uint64_t seen;  /* frames of its interfaces, in its directions */
    uint64_t recorded, recorded_bytes;
    uint64_t dropped, dropped_bytes; /* should have been recorded, but there was no room */
    struct collet_capture_iface iface[COLLET_CAPTURE_IFACES]; /* without a name: none of its frames was seen by this pCPU */
};

enum {
    COLLET_CAPTURED_SUM = 1u << 0,       /* its checksum is left to the card: the field holds that of the pseudo header */
    COLLET_CAPTURED_SEGMENTED = 1u << 1, /* it is to be cut into `segments` */
};
#define COLLET_CAPTURED_PASSED 0xffu

struct collet_capture_record {
    uint32_t bytes;       /* of the record: this header, the frame, and up to 7 more */
    uint32_t captured;    /* bytes of the frame that follow */
    uint32_t frame_bytes; /* that it has */
    uint32_t iface;       /* VIF's id, or COLLET_IFACE_NIC + n */
    uint64_t time_ns;     /* system time */
    uint64_t generation;  /* of the rules that judged it */
    uint64_t number;      /* of it among the frames of this ring that were wanted, dropped ones included: from 1 */
    uint32_t domid;       /* the interface's; ~0: a card's */
    uint32_t rule;        /* index in the set; ~0: the policy */
    uint8_t direction;    /* COLLET_CAPTURE_OUT or _IN */
    uint8_t action;       /* enum vfr_action */
    uint8_t drop;         /* COLLET_NET_DROP_*, or COLLET_CAPTURED_PASSED */
    uint8_t flags;        /* COLLET_CAPTURED_* */
    uint16_t sum_start, sum_offset;
    uint16_t segment_bytes, segments;
    uint32_t cpu;         /* whose ring it was in */
    char name[64];        /* the interface's */
};
