/* SPDX-License-Identifier: MIT */
/*
 * The daemon's log: a file with times, turned over by size (colletd.log, colletd.log.1, ...), and its last lines for `collet log`.
 * One per process, for any thread. Before log_open, or when the file cannot be written, lines go to standard error.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* too: repeat every line on standard error. 0 or -errno (then standard error alone). */
int log_open(const char *path, uint64_t bytes_max, unsigned int keep, int too);
/* After an outsider moved the file away. */
void log_reopen(void);
void log_close(void);
__attribute__((format(printf, 1, 2))) void log_note(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_warning(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);
/* The last lines, oldest first, in memory for free(). NULL: no memory. */
char *log_tail(unsigned int lines);
/* PATH.(keep - 1) becomes PATH.keep and so on; PATH becomes PATH.1. For console logs too. */
void log_turn_over(const char *path, unsigned int keep);
