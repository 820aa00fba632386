// SPDX-License-Identifier: MIT
/* Trace points and the record of changes in the host harness: off, and forgotten, unless a test brings the real ones. Contracts: trace.h, changes.h. */
#include "changes.h"
#include "host.h"
#include "trace.h"

#define weak __attribute__((weak))

weak uint64_t trace_kinds;

weak void trace_record(enum collet_trace_kind kind, uint32_t subject, uint64_t a, uint64_t b)
{
    (void)kind, (void)subject, (void)a, (void)b;
}

weak void change_record(enum collet_change_kind kind, const struct domain *d, uint64_t value, const char *text)
{
    (void)kind, (void)d, (void)value, (void)text;
}
