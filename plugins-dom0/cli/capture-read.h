/* SPDX-License-Identifier: MIT */
/*
 * Frames out of a file, with what it says of where they were seen: pcapng names interfaces and tells directions, as `collet capture` writes them; pcap does neither.
 * Tests: test-rules-cli.c.
 */
#pragma once

#include <stdint.h>

#define CAPTURE_READ_ERROR 320

/* As a file has it: seen from the interface. */
enum capture_read_direction { CAPTURE_READ_UNKNOWN, CAPTURE_READ_IN, CAPTURE_READ_OUT };
struct capture_read {
    const uint8_t *bytes; /* until the next one */
    uint32_t captured, length;
    uint64_t ns; /* UTC since 1970 */
    const char *interface; /* NULL: unknown; until the next one */
    enum capture_read_direction direction;
};

struct capture_reader;
/* path "-": standard input. NULL, and the error says why; the same buffer is written by what goes wrong later. */
struct capture_reader *capture_read_open(const char *path, char error[CAPTURE_READ_ERROR]);
/* 1: a frame; 0: the end; -1: the error says what. */
int capture_read_next(struct capture_reader *reader, struct capture_read *to);
void capture_read_close(struct capture_reader *reader);
