/* SPDX-License-Identifier: MIT */
/*
 * Numbers as people write and read them: sizes, times, lists of CPUs. No state; a buffer is the caller's.
 * Tests: test-format.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORMAT_BYTES 48

/* "128M", "1G", "262144K", "512" (MiB, as xl has it) to frames of 4096 bytes. 0, -EINVAL not a size, -ERANGE. */
int parse_frames(const char *text, uint64_t *frames);
/* "10ms", "1.5s", "250us", "40ns", "7" (ns). 0, -EINVAL, -ERANGE. */
int parse_duration_ns(const char *text, uint64_t *ns);
/* "0-3,6", "all" or "none"-less list; cpus: how many there are. 0, -EINVAL not a list, -ERANGE a CPU that is not there. */
int parse_cpus(const char *text, unsigned int cpus, uint64_t *mask);
int parse_u64(const char *text, uint64_t *value);
/* yes/no, on/off, true/false, 1/0 */
int parse_bool(const char *text, uint64_t *value);

/* All return `to`. */
char *format_duration(char to[FORMAT_BYTES], uint64_t ns);         /* exact enough for people: "250us", "10ms", "1.500s" */
char *format_exact_ns(char to[FORMAT_BYTES], uint64_t ns);         /* exact: "10ms", "1500us"; parse_duration_ns() gives it back */
char *format_uptime(char to[FORMAT_BYTES], uint64_t ns);           /* "2d 03:04:05" */
char *format_size(char to[FORMAT_BYTES], uint64_t bytes);          /* "128.0 MiB" */
char *format_cpus(char to[256], uint64_t mask, unsigned int cpus); /* "0-3,6"; "all" if it is all of them */

/* Upper bound, in ns, of the time that `permille` of the counts in a histogram of struct collet_vcpu_info stay below; 0: there are none. The last bucket has no bound: max_ns stands for it. */
uint64_t latency_percentile(const uint64_t *buckets, unsigned int permille, uint64_t max_ns);
