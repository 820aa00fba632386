// SPDX-License-Identifier: MIT
/* Log, options and console keys of the host harness. Contract: host.h, log.h. */
#include "log.h"

#include "console.h"
#include "host.h"
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define weak __attribute__((weak))

weak enum log_level log_threshold = LOG_INFO;
weak struct boot_options boot_options = {.watchdog_ms = 1000};
weak bool host_log_echo;

static char text[16384];
static size_t used;
static struct spinlock text_lock = SPINLOCK_INIT;

weak void log_line(enum log_level level, const char *fmt, ...)
{
    char line[512];
    va_list args;
    size_t bytes;
    uint64_t flags;

    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    bytes = strlen(line);
    if (host_log_echo && level <= log_threshold)
        fprintf(stderr, "(collet) %s\n", line);
    flags = spin_lock_irqsave(&text_lock);
    if (used + bytes + 2 > sizeof(text))
        used = 0;
    memcpy(text + used, line, bytes);
    used += bytes;
    text[used++] = '\n';
    text[used] = '\0';
    spin_unlock_irqrestore(&text_lock, flags);
}

weak const char *host_log_text(void)
{
    return text;
}

weak void host_log_clear(void)
{
    used = 0;
    text[0] = '\0';
}

weak void panic(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    fprintf(stderr, "panic: ");
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

weak void console_register_key(char key, void (*handler)(char key), const char *help)
{
    (void)key, (void)handler, (void)help;
}
