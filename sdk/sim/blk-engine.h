/* SPDX-License-Identifier: MIT */
/*
 * The engine of blk-sim: loads (recorded or made up) through a real disk-ordering module on the modelled disk, in virtual time. The same input gives the same run, to the nanosecond.
 *
 * A stream is what one VBD sends. Its requests come at their times (open loop), or each so long after an earlier one of the stream has ended (closed loop): then a slow disk slows
 * the load down, as it does a program. Memory is libc's and running out of it ends the program. Page: docs/reference/blk-sim.md. Tests: sdk/sim/test-blk-engine.c.
 */
#pragma once

#include "blk-host.h"

#include <disk/disk-model.h>

#include <stdio.h>

#define ENGINE_NAME 32

struct blk_item {
    uint64_t at_ns;    /* open loop: when it comes */
    uint64_t think_ns; /* closed loop: so long ... */
    uint32_t after;    /* ... after completion number `after` of the stream (0: after the start) */
    uint32_t sectors;
    uint64_t sector;
    uint16_t segments;
    uint8_t op; /* enum blk_op */
};

/* A load that is made up as it runs. */
struct blk_pattern {
    bool random;
    uint32_t reads; /* percent */
    uint32_t sectors;
    uint32_t window;       /* closed loop: so many outstanding; 0: open, with ... */
    double rate;           /* ... so many per second, at random */
    uint64_t think_ns;
    uint64_t from, to;     /* sectors; to 0: the disk's end */
    uint64_t start_ns, stop_ns;
    uint64_t requests;     /* at most; 0: no end */
};

struct blk_stream {
    char name[ENGINE_NAME];
    uint32_t domid;
    uint64_t weight;
    bool closed;
    bool is_file; /* sectors count from the beginning of something of its own */
    struct blk_item *items; /* recorded, or NULL: then the pattern */
    uint32_t count;
    struct blk_pattern pattern;

    /* Of a run. */
    struct blk_vbd *vbd;
    struct blk_item next;
    bool has_next;
    uint64_t sent, random, position, last_ns;
    uint64_t *ended_ns; /* when completion number n + 1 came */
    uint64_t *latency_ns;
    uint32_t ended, ended_room;
    uint64_t sectors, disk_ns, wait_ns;
};

struct blk_load {
    struct blk_stream *streams;
    uint32_t count;
    uint64_t sectors; /* of the disk; 0: not said */
    uint64_t time_ns; /* how long; 0: until all is done */
    uint64_t seed;
    uint32_t depth;   /* 0: not said */
    uint64_t flushes; /* passed over */
};

struct blk_setting {
    char stream[ENGINE_NAME]; /* empty: the disk */
    char name[ENGINE_NAME];
    uint64_t value;
};

struct blk_run {
    /* What to do. */
    const struct blk_sched_ops *ops;
    struct blk_disk disk;
    const struct disk_drive *drive;
    uint64_t time_ns, seed;
    const struct blk_setting *settings;
    uint32_t setting_count;
    FILE *record;    /* write a recording there, or NULL */
    FILE *decisions; /* a line for each request issued, or NULL */
    /* What it has come to. */
    struct disk_model model;
    uint64_t now_ns, busy_ns;
    uint64_t device_requests, requests, merged;
    uint64_t sector_distance; /* sum of |begin - end of the one before| */
    uint64_t held;
    const char *fault;
    uint64_t fault_serial;
    uint64_t hash; /* of the decisions */
};

/* A domain's part of a run: all its streams. */
struct blk_result {
    char name[ENGINE_NAME];
    uint32_t domid;
    uint64_t weight;
    uint64_t requests, sectors, disk_ns, wait_ns;
    uint64_t *latency_ns; /* sorted */
};

struct blk_stream *blk_load_add(struct blk_load *load, const char *name);
struct blk_item *blk_stream_add(struct blk_stream *stream);
void blk_load_free(struct blk_load *load);

/* Returns NULL, or what is wrong with the settings. Run after run of one load is allowed. */
const char *blk_engine_run(struct blk_run *run, struct blk_load *load);

/* By domain, in order of first appearance. Ends with one whose name is empty: all together. */
struct blk_result *blk_results(const struct blk_load *load, uint32_t *count);
void blk_results_free(struct blk_result *results, uint32_t count);
uint64_t blk_percentile(const struct blk_result *result, double percent); /* the least latency that so many percent do not exceed */
/* Jain's index over the disk's time by weight, of domains that had any: 1 is even. */
double blk_fairness(const struct blk_result *results, uint32_t count);

/* The module called so in blk_sched_modules, or NULL. */
const struct blk_sched_ops *blk_module(const char *name);
