// SPDX-License-Identifier: MIT
/*
 * The log: formats a line, keeps it in a ring in memory, and writes it to the console if its level is shown.
 * A line is made on the caller's stack, so that no lock is held while formatting. Contract: log.h.
 */
#include "log.h"

#include "console.h"
#include "domain.h"
#include "lib/string.h"
#include "spinlock.h"
#include "time.h"

#define LOG_LINE_MAX 256
#define LOG_RING_BYTES 32768u /* the newest lines, whatever their level */

#define GUEST_BURST_LINES 20u
#define GUEST_LINES_PER_S 5u

enum log_level log_threshold = LOG_INFO;

static struct spinlock log_ring_lock; /* protects the two below; innermost but for the console's */
static char log_ring[LOG_RING_BYTES];
static uint32_t log_ring_at; /* free-running */

static const char *const level_prefix[] = {
    [LOG_ERROR] = "(collet) error: ",
    [LOG_WARNING] = "(collet) warning: ",
    [LOG_INFO] = "(collet) ",
    [LOG_DEBUG] = "(collet) ",
};

static void ring_append(const char *text, size_t length)
{
    uint64_t flags = spin_lock_irqsave(&log_ring_lock);

    for (size_t i = 0; i < length; i++)
        log_ring[log_ring_at++ % LOG_RING_BYTES] = text[i];
    spin_unlock_irqrestore(&log_ring_lock, flags);
}

static void log_text(enum log_level level, const char *prefix, const char *fmt, va_list args)
{
    char line[LOG_LINE_MAX];
    size_t length = strlcpy(line, level_prefix[level], sizeof(line));
    int more = snprintf(line + length, sizeof(line) - length, "%s", prefix);

    length = min(length + (size_t)more, sizeof(line) - 2);
    more = vsnprintf(line + length, sizeof(line) - 1 - length, fmt, args);
    length = min(length + (size_t)more, sizeof(line) - 2);
    line[length++] = '\n';
    ring_append(line, length);
    if (level <= log_threshold)
        console_write(line, length);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    log_text(level, "", fmt, args);
    va_end(args);
}

/* Whether d may log one more line now. Races between its vCPUs cost at most a line too many. */
static bool guest_may_log(struct domain *d)
{
    uint64_t now = clock_now_ns();
    uint64_t earned = (now - d->log_window_ns) / (NS_PER_S / GUEST_LINES_PER_S);

    if (earned > 0) {
        d->log_lines = d->log_lines > earned ? d->log_lines - (uint32_t)earned : 0;
        d->log_window_ns = now;
    }
    if (d->log_lines >= GUEST_BURST_LINES) {
        d->log_suppressed++;
        return false;
    }
    d->log_lines++;
    return true;
}

void log_guest(struct domain *d, enum log_level level, const char *fmt, ...)
{
    char prefix[48];
    va_list args;

    if (level > log_threshold || !guest_may_log(d))
        return;
    if (d->log_suppressed != 0)
        snprintf(prefix, sizeof(prefix), "d%u: (%u lines suppressed) ", d->id, d->log_suppressed);
    else
        snprintf(prefix, sizeof(prefix), "d%u: ", d->id);
    d->log_suppressed = 0;
    va_start(args, fmt);
    log_text(level, prefix, fmt, args);
    va_end(args);
}
