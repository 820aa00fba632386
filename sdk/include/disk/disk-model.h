/* SPDX-License-Identifier: MIT */
/*
 * A modelled disk: how long a drive with heads and platters takes for a request, in virtual time.
 *
 * Emulated disks do not seek, so the order of requests makes no difference on them; here it does. The model has the arm's seek curve, head switches, rotation with track and cylinder skew,
 * transfer over the media and the bus, the controller's overhead, and a buffer that reads ahead. It serves one request at a time in the order given. Integer arithmetic only, no libc, no clock:
 * the same calls give the same times anywhere, in the hypervisor (under the block core, as a stage that delays completions) as in blk-sim.
 *
 * Drive: HP 97560 (1.3 GB, 5.25 inch, SCSI-II), as measured and published in
 *   C. Ruemmler and J. Wilkes, An Introduction to Disk Drive Modeling, IEEE Computer 27(3), March 1994, pages 17-28, and
 *   D. Kotz, S. B. Toh, S. Radhakrishnan, A Detailed Simulation Model of the HP 97560 Disk Drive, Dartmouth PCS-TR94-220, 1994:
 *   1962 cylinders, 19 tracks each, 72 sectors of 512 bytes each (no zones), 4002 rpm, track switch 1.6 ms, track skew 8 sectors, cylinder skew 18 sectors,
 *   seek over d cylinders: 3.24 + 0.400 sqrt(d) ms up to 383, 8.00 + 0.008 d ms beyond; controller overhead 2.2 ms; buffer 128 KiB; bus 10 MB/s.
 * Left out: spare sectors, bus contention, immediate reporting of writes, the read fence, thermal recalibration.
 * A disk of another size is spread over the whole stroke: distances are scaled, tracks keep their length.
 * Contract of all functions: any context; the caller's lock protects a model. Tests: sdk/disk/test-disk-model.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct disk_drive {
    const char *name;
    uint32_t cylinders, heads, track_sectors;
    uint32_t revolution_ns;
    uint32_t switch_ns;                       /* to another head of the cylinder */
    uint32_t track_skew, cylinder_skew;       /* in sectors */
    uint32_t short_ns, short_root_ns;         /* seek over d cylinders: short_ns + short_root_ns * sqrt(d), for d up to ... */
    uint32_t short_cylinders;
    uint32_t long_ns, long_each_ns;           /* ... and long_ns + long_each_ns * d beyond */
    uint32_t overhead_ns;                     /* of the controller, each request */
    uint32_t bus_sector_ns;
    uint32_t buffer_sectors;                  /* read ahead; 0: none */
};

extern const struct disk_drive disk_hp97560;

/* What a request's time went into. */
struct disk_parts {
    uint64_t queue_ns; /* until the drive was free */
    uint64_t overhead_ns, seek_ns, rotate_ns, transfer_ns;
    uint32_t cylinders; /* that the arm moved, of the drive */
    bool buffered;      /* nothing of it came from the media after it was asked for */
};

struct disk_model {
    const struct disk_drive *drive;
    uint64_t sectors;   /* of the disk */
    uint64_t cylinders; /* that it would take: distances are scaled from these to the drive's */
    uint64_t busy_ns;   /* free from then on */
    uint64_t arm;       /* the sector under the heads last */
    /* The buffer holds [held_from, held_to); from ahead_ns on the drive goes on reading at held_to, up to ahead_to. */
    uint64_t held_from, held_to, ahead_to, ahead_ns;
    /* Since init. */
    uint64_t requests, seeks, distance; /* distance: cylinders of the drive */
    uint64_t seek_ns, rotate_ns, transfer_ns;
};

/* sectors 0: as many as the drive has. */
void disk_model_init(struct disk_model *model, const struct disk_drive *drive, uint64_t sectors);
/* A request is given to the drive at now_ns, which does not decrease. Returns when it ends. parts may be NULL. What lies beyond the end is taken as the last sector. */
uint64_t disk_model_serve(struct disk_model *model, bool write, uint64_t sector, uint32_t sectors, uint64_t now_ns, struct disk_parts *parts);

uint64_t disk_drive_sectors(const struct disk_drive *drive);
uint64_t disk_drive_seek_ns(const struct disk_drive *drive, uint64_t cylinders);
