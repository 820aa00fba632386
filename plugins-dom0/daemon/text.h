/* SPDX-License-Identifier: MIT */
/*
 * What people write: sizes, times, lists of CPUs; the nearest word to a mistyped one; and a collector of mistakes that tells them all at once, with file and line.
 * Functions answer 0, -EINVAL (not of that form) or -ERANGE (too large to be held).
 * Tests: test-text.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_MISTAKES_MAX 20

int text_number(const char *text, uint64_t *number);
/* "128M", "1G", "262144K", "1T"; a plain number is MiB, as xl has it. In frames of 4096 bytes, rounded up. */
int text_size_frames(const char *text, uint64_t *frames);
/* "64K", "1M"; a plain number is bytes. */
int text_size_bytes(const char *text, uint64_t *bytes);
/* "5ms", "1.5 ms", "100us", "2s", "1min"; a plain number is nanoseconds. */
int text_duration_ns(const char *text, uint64_t *ns);
/* "yes", "no", "on", "off", "true", "false", "1", "0". */
int text_bool(const char *text, bool *yes);
/* "0-1,3", "all", "^2" (all but 2), "0-7,^3". CPUs 0 to 63. A list without any CPU: -EINVAL. */
int text_cpus(const char *text, uint64_t *mask);
/* The candidate that is meant, perhaps; NULL if none is near. The list ends with NULL. */
const char *text_nearest(const char *word, const char *const *candidates);

/* Mistakes found in files. */
struct text_mistakes {
    unsigned int count; /* of all, told or not */
    size_t length;
    char text[8192]; /* lines, each "file:line: what", without a final newline */
};
/* line 0: the file as a whole. */
__attribute__((format(printf, 4, 5))) void text_mistake(struct text_mistakes *mistakes, const char *file, unsigned int line, const char *format, ...);
