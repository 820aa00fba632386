/* SPDX-License-Identifier: MIT */
/*
 * The log, and the ways to stop.
 *
 * Every line goes to the console as "(collet) text" and into a memory ring. `loglvl=` says which levels are shown.
 * Anything a guest can cause repeatedly uses log_guest(), which is limited in rate per domain.
 * Tests of formatting: lib/test-printf.c.
 */
#pragma once

#include "types.h"

#include <stdarg.h>

enum log_level {
    LOG_REPORT = -1, /* the fate of a domain: always shown, and without a word before it */
    LOG_ERROR,
    LOG_WARNING,
    LOG_INFO,
    LOG_DEBUG,
};

/* Lines at or below this level are printed. Set by loglvl=error|warning|info|debug; info unless told. */
extern enum log_level log_threshold;

/* Context: any, interrupts on or off, any lock held but the console's; usable from the first instruction of C. One call is one line: no newline in fmt. */
void log_line(enum log_level level, const char *fmt, ...) printf_like(2, 3);
#define log_report(...) log_line(LOG_REPORT, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

struct domain;
/* As log_line, prefixed "d<id>: ", at most 20 lines in a burst and 5 lines a second per domain; suppressed lines are counted and told later. d may not be NULL. */
void log_guest(struct domain *d, enum log_level level, const char *fmt, ...) printf_like(3, 4);

/*
 * For later readers: copies text from position *from on (counted in bytes since boot; older text than is kept is skipped) and moves *from behind it.
 * Returns how much; 0: nothing new. Context: any.
 */
size_t log_read(uint64_t *from, char *to, size_t bytes);

/* Formatting: the usual subset (%d %i %u %x %X %p %s %c %%, width, 0, -, precision, h hh l ll z), no floats. */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
int snprintf(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);

/* Print registers, a symbolised stack trace and what each CPU does; then reboot, or halt under noreboot. Our own fault only, never a guest's. */
void panic(const char *fmt, ...) noreturn_fn printf_like(1, 2);

/* In all builds, where going on would break isolation. Never for guest input, module answers or firmware tables. */
#define BUG_ON(cond)                                                                                                   \
    do {                                                                                                               \
        if (unlikely(cond))                                                                                            \
            panic("BUG at %s:%d: %s", __FILE__, __LINE__, #cond);                                                      \
    } while (0)
/* Our own logic, debug builds (DEBUG=1) only. */
#ifdef COLLET_DEBUG
#define ASSERT(cond) BUG_ON(!(cond))
#else
#define ASSERT(cond) ((void)sizeof(!(cond)))
#endif
