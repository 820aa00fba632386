/* SPDX-License-Identifier: MIT */
/*
 * The parts of `collet capture`: what is said of a frame (capture-words.c), files of frames (capture-file.c), lines for people (capture-lines.c), and interfaces of Domain0 that frames come out of (capture-tap.c).
 * Tests: test-capture.c.  Pages: docs/capture.md.
 */
#pragma once

#include "cli.h"

#include <collet/capture.h>

/* One frame, as it goes to a file: checksums that were left to the card are there, if the whole frame is. */
struct capture_frame {
    const struct collet_capture_record *record;
    const uint8_t *bytes; /* record->captured */
    uint64_t time_ns;     /* UTC since 1970 */
    uint64_t dropped;     /* that should have been between this one and the one before it on its pCPU */
    const char *comment;  /* what was said of it */
};

/* ---- capture-targets.c ---- */

/* Does each of the names, separated by commas, mean an interface that is there? 0 or an exit code, with the failure said and the nearest name suggested. */
int capture_targets_check(struct cli *cli, const char *targets);

/* ---- capture-words.c ---- */

/* The texts of rules, by generation: what was in force when it was asked for. */
struct capture_rules;
struct capture_rules *capture_rules_new(struct collet *c);
void capture_rules_free(struct capture_rules *rules);
/* "dropped by web.rules:12 of generation 3: drop in on web from any to any port 22". In a buffer of `rules`, until the next call. */
const char *capture_comment(struct capture_rules *rules, const struct collet_capture_record *record);
/* Complete a checksum that was left to the card. */
void capture_sum_complete(const struct collet_capture_record *record, uint8_t *frame);

/* ---- capture-file.c ---- */

enum capture_format { CAPTURE_PCAPNG, CAPTURE_PCAP };
struct capture_file {
    FILE *file;
    enum capture_format format;
    const char *filter; /* text of it, or NULL */
    uint32_t snap_bytes;
    uint64_t begun_ns, ended_ns; /* UTC */
    char names[COLLET_CAPTURE_IFACES * 2][64]; /* interfaces, by their numbers in the file */
    unsigned int name_count;
};
/* Errors are kept by `file`: ferror(). */
void capture_file_begin(struct capture_file *f);
void capture_file_frame(struct capture_file *f, const struct capture_frame *frame);
/* counters: of each interface, summed up; ends the file with them. */
void capture_file_end(struct capture_file *f, const struct collet_capture_iface *counters, unsigned int count);

/* ---- capture-lines.c ---- */

void capture_line(struct cli *cli, const struct capture_frame *frame);
json_t *capture_frame_json(const struct capture_frame *frame);

/* ---- capture-tap.c ---- */

/* A TAP device of Domain0 that is up: its descriptor, or -errno with *what that failed. It goes away when that is closed. */
int capture_tap_open(const char *name, const char **what);
/* A frame comes out of it: 0 or -errno. */
int capture_tap_write(int fd, const struct capture_frame *frame);
