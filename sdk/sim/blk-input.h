/* SPDX-License-Identifier: MIT */
/*
 * Loads for blk-sim out of files: fio iologs (versions 2 and 3), blkparse text, our recordings (<collet/disk-record.h>), and workloads that describe made-up loads. The kind is told
 * by the contents. Tests: sdk/sim/test-blk-input.c. Page, with the forms: docs/reference/blk-sim.md.
 */
#pragma once

#include "blk-engine.h"

enum blk_input_loop { BLK_LOOP_AUTO, BLK_LOOP_OPEN, BLK_LOOP_CLOSED };
enum blk_input_by { BLK_BY_PROCESS, BLK_BY_COMMAND, BLK_BY_DEVICE };

struct blk_input_options {
    enum blk_input_loop loop; /* auto: closed if the file says what waited for what, else open; a version 2 iolog has no times, so closed */
    uint32_t window;          /* closed loop of files that do not say: so many outstanding; 0 is 1 */
    uint64_t think_ns;        /* and so long from an end to the next */
    enum blk_input_by by;     /* blkparse: what is a stream */
};

/* Adds the file's streams to the load; "-" is standard input. False: error says what is wrong, with file and line. */
bool blk_input_read(struct blk_load *load, const char *path, const struct blk_input_options *options, char *error, size_t error_bytes);
/* The same out of memory; path is for messages. The bytes are followed by a zero, and are changed. */
bool blk_input_parse(struct blk_load *load, const char *path, char *bytes, size_t count, const struct blk_input_options *options, char *error, size_t error_bytes);
/* The file's bytes, followed by a zero, to free; NULL: error says why. */
char *blk_input_bytes(const char *path, size_t *count, char *error, size_t error_bytes);

/* A number with k, M, G (1024 each) behind it; a time with ns, us, ms, s. False: it is not one. */
bool blk_parse_size(const char *text, uint64_t *value);
bool blk_parse_time(const char *text, uint64_t *ns);

/*
 * Repeats a recording call by call under its own modules, and compares every answer. Returns 0: all alike; 1: an answer differs; 2: it cannot be repeated. text says which record, or how
 * many decisions were compared.
 */
int blk_verify(const char *path, const char *bytes, size_t count, char *text, size_t text_bytes);
