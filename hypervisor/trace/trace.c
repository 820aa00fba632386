/* SPDX-License-Identifier: MIT */
/*
 * Trace rings: one per pCPU, written by that pCPU alone, the oldest records overwritten.
 *
 * A record is filled first and then published by the count in the header; interrupts are off meanwhile, because their handlers write records too. Pages are read-only to Domain0
 * and are never freed: a reader may keep them mapped as long as it likes. Pages that a failed attempt has taken wait for the next attempt.
 * Contract: trace.h, <collet/trace.h>. Tests: test-trace.c. Page: docs/concepts/trace.md.
 */
#include "trace.h"

#include "alloc.h"
#include "cpu.h"
#include "mm.h"
#include "time.h"

#include <hv/errno.h>

#define RECORDS_PER_PAGE (PAGE_SIZE / sizeof(struct collet_trace_record))
_Static_assert(sizeof(struct collet_trace_record) == 32, "four records to two cache lines");

struct trace_ring {
    struct collet_trace_header *header;   /* NULL: no ring */
    struct collet_trace_record **records; /* its pages */
    uint64_t mask;                        /* number of records - 1 */
} aligned_to(64);

uint64_t trace_kinds;
static struct trace_ring rings[MAX_CPUS];
static uint32_t ring_pages; /* 0 until all rings are there */
static bool making;         /* atomic: somebody makes the rings */
static void *spare_pages;   /* of a failed attempt, chained by their first words; whoever is `making` */

void trace_record(enum collet_trace_kind kind, uint32_t subject, uint64_t a, uint64_t b)
{
    uint64_t flags = irq_save();
    uint32_t cpu = this_cpu_id();
    struct trace_ring *ring = &rings[cpu];
    struct collet_trace_record *record;
    uint64_t at;

    if (unlikely(ring->header == NULL))
        goto out;
    at = ring->header->head & ring->mask;
    record = &ring->records[at / RECORDS_PER_PAGE][at % RECORDS_PER_PAGE];
    record->time_ns = clock_now_ns();
    record->kind = (uint16_t)kind;
    record->cpu = (uint16_t)cpu;
    record->subject = subject;
    record->a = a;
    record->b = b;
    __atomic_store_n(&ring->header->head, ring->header->head + 1, __ATOMIC_RELEASE);
out:
    irq_restore(flags);
}

/* ---- Making the rings ---- */

static void *page_take(void)
{
    void *page = spare_pages;

    if (page == NULL)
        return hypervisor_page_share();
    spare_pages = *(void **)page;
    *(void **)page = NULL;
    return page;
}

static void page_keep(void *page)
{
    if (page == NULL)
        return;
    *(void **)page = spare_pages;
    spare_pages = page;
}

static void ring_unmake(struct trace_ring *ring, uint32_t pages)
{
    if (ring->records != NULL)
        for (uint32_t i = 0; i < pages; i++)
            page_keep(ring->records[i]);
    page_keep(ring->header);
    heap_free(ring->records);
    *ring = (struct trace_ring){0};
}

static int ring_make(struct trace_ring *ring, uint32_t cpu, uint32_t pages)
{
    struct trace_ring new = {.mask = pages * RECORDS_PER_PAGE - 1};

    new.records = heap_alloc(pages * sizeof(new.records[0]));
    new.header = page_take();
    if (new.records == NULL || new.header == NULL)
        goto none;
    for (uint32_t i = 0; i < pages; i++) {
        new.records[i] = page_take();
        if (new.records[i] == NULL)
            goto none;
        preempt_point();
    }
    *new.header = (struct collet_trace_header){
        .magic = COLLET_TRACE_MAGIC,
        .cpu = cpu,
        .record_bytes = sizeof(struct collet_trace_record),
        .records = new.mask + 1,
    };
    *ring = new;
    return 0;
none:
    if (new.header != NULL)
        *new.header = (struct collet_trace_header){0};
    ring_unmake(&new, pages);
    return -ENOMEM;
}

/* Nobody writes yet: the kinds are off until the rings are whole. */
static int rings_make_all(uint32_t pages)
{
    /* Half of what is free stays free: tracing must not take the guests' last memory. */
    if ((pages + 1ull) * cpu_count > frames_free_count() / 2)
        return -ENOMEM;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        if (ring_make(&rings[cpu], cpu, pages) == 0)
            continue;
        while (cpu-- > 0) {
            *rings[cpu].header = (struct collet_trace_header){0};
            ring_unmake(&rings[cpu], pages);
        }
        return -ENOMEM;
    }
    __atomic_store_n(&ring_pages, pages, __ATOMIC_RELEASE);
    return 0;
}

int trace_rings_make(uint32_t pages)
{
    uint32_t made;
    int rc;

    if (pages > TRACE_PAGES_MAX || (pages & (pages - 1)) != 0)
        return -EINVAL;
    if (__atomic_exchange_n(&making, true, __ATOMIC_ACQUIRE))
        return -EBUSY;
    made = trace_pages();
    if (made != 0)
        rc = pages == 0 || pages == made ? 0 : -EBUSY;
    else
        rc = rings_make_all(pages != 0 ? pages : TRACE_PAGES_DEFAULT);
    __atomic_store_n(&making, false, __ATOMIC_RELEASE);
    return rc;
}

void trace_enable(uint64_t kinds)
{
    __atomic_store_n(&trace_kinds, kinds, __ATOMIC_RELEASE);
}

uint32_t trace_pages(void)
{
    return __atomic_load_n(&ring_pages, __ATOMIC_ACQUIRE);
}

const void *trace_page(uint32_t cpu, uint32_t index)
{
    if (cpu >= cpu_count || index > trace_pages() || trace_pages() == 0)
        return NULL;
    return index == 0 ? (const void *)rings[cpu].header : rings[cpu].records[index - 1];
}
