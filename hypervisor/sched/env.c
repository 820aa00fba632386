/* SPDX-License-Identifier: MIT */
/* What modules may ask of the hypervisor (<hv/env.h>), answered with its heap and its log. */
#include <hv/env.h>

#include "alloc.h"
#include "log.h"

void *env_alloc(size_t bytes)
{
    return heap_alloc(bytes);
}

void env_free(void *ptr)
{
    heap_free(ptr);
}

void env_log(enum env_log_level level, const char *fmt, ...)
{
    static const enum log_level levels[] = {[ENV_LOG_ERROR] = LOG_ERROR,
                                            [ENV_LOG_WARNING] = LOG_WARNING,
                                            [ENV_LOG_INFO] = LOG_INFO,
                                            [ENV_LOG_DEBUG] = LOG_DEBUG};
    char line[160];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    log_line(levels[level], "%s", line);
}
