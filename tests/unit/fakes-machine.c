// SPDX-License-Identifier: MIT
/*
 * What fakes-machine.h promises, and the few functions that any file asks of its surroundings: memory, the log, copies from "guests" (plain memory).
 * Weak, so that a test may have its own.
 */
#include "alloc.h"
#include "cpu.h"
#include "guest-access.h"
#include "log.h"
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define weak __attribute__((weak))

struct cpu cpus[MAX_CPUS];
weak uint32_t cpu_count = 1;
_Thread_local uint32_t fake_cpu_id;
_Thread_local struct vcpu *fake_vcpu;

weak void log_line(enum log_level level, const char *fmt, ...)
{
    (void)level;
    (void)fmt;
}

weak void panic(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    abort();
}

weak void *page_alloc(void)
{
    void *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);

    if (page != NULL)
        memset(page, 0, PAGE_SIZE);
    return page;
}

weak void page_free(void *page)
{
    free(page);
}

weak void *heap_alloc(size_t bytes)
{
    return calloc(1, bytes);
}

weak void heap_free(void *ptr)
{
    free(ptr);
}

weak void *maddr_to_virt(uint64_t maddr)
{
    return machine_maddr_to_virt(maddr);
}

weak uint64_t virt_to_maddr(const void *va)
{
    return machine_virt_to_maddr(va);
}

/* Nothing is traced. */
weak uint64_t trace_kinds;

weak void trace_record(enum collet_trace_kind kind, uint32_t subject, uint64_t a, uint64_t b)
{
    (void)kind, (void)subject, (void)a, (void)b;
}

/* A pointer below the first page is a guest's bad pointer. */
weak size_t guest_copy_raw(void *to, const void *from, size_t bytes)
{
    if ((uintptr_t)to < PAGE_SIZE || (uintptr_t)from < PAGE_SIZE)
        return bytes;
    memcpy(to, from, bytes);
    return 0;
}
