/* SPDX-License-Identifier: MIT */
/*
 * What a module may ask of its surroundings: memory and a line in the log. Lists are <hv/list.h>, heaps <hv/heap.h>, errors <hv/errno.h>.
 *
 * The hypervisor answers with its heap and its log, the host harness (sdk/host/) with libc, so that a module file compiles
 * unchanged three ways. Nothing here tells the time: that comes as an argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define env_container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* Zeroed memory aligned at 16, or NULL. Context: only in ops that may allocate. */
void *env_alloc(size_t bytes) __attribute__((warn_unused_result));
void env_free(void *ptr); /* NULL is allowed */

/* One line, no newline in fmt. Context: any; never once per decision. */
enum env_log_level { ENV_LOG_ERROR, ENV_LOG_WARNING, ENV_LOG_INFO, ENV_LOG_DEBUG };
void env_log(enum env_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
