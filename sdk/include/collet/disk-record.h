/* SPDX-License-Identifier: MIT */
/*
 * A disk recording: what came to one disk's block core, what its ordering module was told, and what it decided. Little endian, fixed size.
 *
 * A file is one header and then records, in the order in which they happened under the disk's lock; time never decreases. From ARRIVE, COMPLETE, CANCEL, VBD and SET records the
 * calls of a module can be repeated one by one, and its answers compared with the DECIDE and HOLD records (blk-sim --verify). From ARRIVE records alone a load can be replayed under any module,
 * at its times or in a closed loop: request n of a VBD comes `think` after completion number `after` of that VBD.
 * If records were lost, LOST stands in their place; from there on decisions cannot be compared, but loads can be replayed.
 * Append only: new kinds may come, a reader passes over those that it does not know. Tests: sdk/sim/test-blk-input.c.
 */
#pragma once

#include <stdint.h>

#define COLLET_DISK_RECORD_MAGIC 0x6b73694474734c43ull /* "CLstDisk" */
#define COLLET_DISK_RECORD_VERSION 1u
#define COLLET_DISK_NO_VBD UINT32_MAX

struct collet_disk_record_header {
    uint64_t magic;
    uint32_t version;
    uint32_t record_bytes; /* sizeof(struct collet_disk_record) */
    uint64_t records;      /* that follow; 0: up to the end of the file */
    uint64_t sectors;      /* of the disk; this and what follows as in struct blk_disk */
    uint32_t disk_id;
    uint32_t depth;
    uint32_t sectors_max;
    uint32_t segments_max;
    uint32_t rotates;
    uint32_t reserved[3];
};

enum collet_disk_record_kind {
    COLLET_DISK_USE = 1,      /* name: this module takes over; what is queued is given to it by serial. Stands first, and at each change. */
    COLLET_DISK_VBD = 2,      /* vbd, domid: begins to send requests */
    COLLET_DISK_VBD_GONE = 3, /* vbd */
    COLLET_DISK_SET = 4,      /* name: a parameter, of `vbd` or COLLET_DISK_NO_VBD; value */
    COLLET_DISK_ARRIVE = 5,   /* serial, vbd, op, sector, sectors, segments; value: think time, ns since the VBD's last completion; after: completions of the VBD so far */
    COLLET_DISK_DECIDE = 6,   /* serial: goes to the device; flags COLLET_DISK_MERGED: as part of the request of the DECIDE before */
    COLLET_DISK_HOLD = 7,     /* the module has answered nobody; value: for how long, in ns */
    COLLET_DISK_COMPLETE = 8, /* serial, vbd; value: ns since it was issued */
    COLLET_DISK_CANCEL = 9,   /* serial: left without having been issued */
    COLLET_DISK_LOST = 10,    /* value: so many records are missing here */
};

/* op of ARRIVE: enum blk_op, or one that is not shown to modules. */
#define COLLET_DISK_FLUSH 4

#define COLLET_DISK_MERGED 1u

struct collet_disk_record {
    uint64_t time_ns; /* now_ns of the call */
    uint64_t serial;
    uint64_t value;
    uint32_t vbd;
    uint16_t domid;
    uint8_t kind; /* enum collet_disk_record_kind */
    uint8_t op;
    union {
        struct {
            uint64_t sector; /* of the disk */
            uint32_t sectors;
            uint32_t after;
            uint16_t segments;
            uint16_t flags;
            uint32_t reserved[3];
        };
        char name[32]; /* ends with a zero */
    };
};

_Static_assert(sizeof(struct collet_disk_record_header) == 64, "a file format");
_Static_assert(sizeof(struct collet_disk_record) == 64, "a file format");
