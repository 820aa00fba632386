/* SPDX-License-Identifier: MIT */
/*
 * The log: lines "(collet) text" to the console, and each into a ring of the last 64 KiB for later readers. Contract: log.h.
 */
#include "log.h"

#include "console.h"
#include "domain.h"
#include "lib/string.h"
#include "spinlock.h"
#include "time.h"

#define PREFIX "(collet) "
#define LINE_MAX 256
#define RING_BYTES 65536u
#define GUEST_LINES_BURST 20u
#define GUEST_LINES_A_SECOND 5u

enum log_level log_threshold = LOG_INFO;

static struct spinlock log_lock; /* protects the ring; any context */
static char ring[RING_BYTES];
static uint64_t ring_end; /* total bytes ever written */

static void ring_add(const char *text, size_t bytes)
{
    uint64_t flags = spin_lock_irqsave(&log_lock);
    size_t i;

    for (i = 0; i < bytes; i++)
        ring[(ring_end + i) % RING_BYTES] = text[i];
    ring_end += bytes;
    spin_unlock_irqrestore(&log_lock, flags);
}

size_t log_read(uint64_t *from, char *to, size_t bytes)
{
    uint64_t flags = spin_lock_irqsave(&log_lock);
    uint64_t oldest = ring_end > RING_BYTES ? ring_end - RING_BYTES : 0;
    uint64_t at = max(min(*from, ring_end), oldest);
    size_t n = (size_t)min(ring_end - at, (uint64_t)bytes);

    for (size_t i = 0; i < n; i++)
        to[i] = ring[(at + i) % RING_BYTES];
    *from = at + n;
    spin_unlock_irqrestore(&log_lock, flags);
    return n;
}

static void line_out(enum log_level level, const char *fmt, va_list args)
{
    char line[LINE_MAX];
    int at = sizeof(PREFIX) - 1, n;

    if (level > log_threshold)
        return;
    memcpy(line, PREFIX, sizeof(PREFIX));
    if (level == LOG_ERROR || level == LOG_WARNING)
        at += snprintf(line + at, sizeof(line) - (size_t)at, level == LOG_ERROR ? "error: " : "warning: ");
    n = vsnprintf(line + at, sizeof(line) - (size_t)at - 1, fmt, args);
    at = min(at + n, LINE_MAX - 2);
    line[at++] = '\n';
    ring_add(line, (size_t)at);
    console_write(line, (size_t)at);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    line_out(level, fmt, args);
    va_end(args);
}

/* A token bucket: the burst refills at the steady rate. True if this line may be printed. */
static bool guest_budget(struct domain *d, uint32_t *told)
{
    uint64_t now = clock_now_ns(), refill;

    *told = 0;
    refill = (now - d->log_window_ns) / (NS_PER_S / GUEST_LINES_A_SECOND);
    if (refill > 0) {
        d->log_lines = refill >= d->log_lines ? 0 : d->log_lines - (uint32_t)refill;
        d->log_window_ns = now;
    }
    if (d->log_lines >= GUEST_LINES_BURST) {
        d->log_suppressed++;
        return false;
    }
    d->log_lines++;
    *told = d->log_suppressed;
    d->log_suppressed = 0;
    return true;
}

void log_guest(struct domain *d, enum log_level level, const char *fmt, ...)
{
    char text[LINE_MAX - 32];
    uint32_t suppressed;
    va_list args;

    if (level > log_threshold || !guest_budget(d, &suppressed))
        return;
    if (suppressed != 0)
        log_line(level, "d%u: %u lines left out", d->id, suppressed);
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    log_line(level, "d%u: %s", d->id, text);
}
