// SPDX-License-Identifier: MIT
/* Trace rings: nothing is written when off, the newest records stay, a reader can tell what it has lost. */
// needs: trace.c
#include "host.h"

#include "trace.h"

#include <check.h>
#include <hv/errno.h>

#include <stdlib.h>
#include <string.h>

static uint64_t pages_left, frames_free = 1u << 20;
static uint64_t pages_given;
static void *given[8192];

void *hypervisor_page_share(void)
{
    void *page;

    if (pages_left == 0)
        return NULL;
    pages_left--;
    page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    memset(page, 0, PAGE_SIZE);
    given[pages_given++] = page;
    return page;
}

uint64_t frames_free_count(void)
{
    return frames_free;
}

static void start(uint64_t pages)
{
    host_now_ns = 1000;
    cpu_count = 2;
    cpus[0].id = 0;
    cpus[1].id = 1;
    host_on_cpu(0);
    pages_left = pages;
}

/* What a reader does (<collet/trace.h>): everything from index `from` on, oldest first. Returns how many; *lost: overwritten before or meanwhile. */
static uint64_t read_ring(uint32_t cpu, uint64_t from, struct collet_trace_record *to, uint64_t *lost, void (*meanwhile)(void))
{
    const struct collet_trace_header *h = trace_page(cpu, 0);
    uint64_t head = __atomic_load_n(&h->head, __ATOMIC_ACQUIRE), first = from, safe;

    if (head > h->records && first < head - h->records)
        first = head - h->records;
    for (uint64_t i = first; i < head; i++) {
        const struct collet_trace_record *page = trace_page(cpu, 1 + (uint32_t)(i % h->records / 128));

        to[i - first] = page[i % 128];
    }
    if (meanwhile != NULL)
        meanwhile();
    safe = __atomic_load_n(&h->head, __ATOMIC_ACQUIRE);
    safe = safe + 1 > h->records ? safe + 1 - h->records : 0;
    if (safe > first && meanwhile != NULL) {
        memmove(to, to + (safe - first), (head - safe) * sizeof(*to));
        first = safe;
    }
    *lost = first - from;
    return head - first;
}

START_TEST(off_writes_nothing)
{
    start(100);
    trace(COLLET_TRACE_WAKE, 1, 2, 3);
    ck_assert_int_eq(trace_rings_make(1), 0);
    trace(COLLET_TRACE_WAKE, 1, 2, 3);
    trace_enable(1ull << COLLET_TRACE_BLOCK);
    trace(COLLET_TRACE_WAKE, 1, 2, 3);
    ck_assert_uint_eq(((const struct collet_trace_header *)trace_page(0, 0))->head, 0);
    trace(COLLET_TRACE_BLOCK, 1, 2, 3);
    ck_assert_uint_eq(((const struct collet_trace_header *)trace_page(0, 0))->head, 1);
    trace_enable(0);
    trace(COLLET_TRACE_BLOCK, 1, 2, 3);
    ck_assert_uint_eq(((const struct collet_trace_header *)trace_page(0, 0))->head, 1);
}
END_TEST

START_TEST(without_rings_a_record_is_dropped)
{
    start(0);
    trace_enable(1ull << COLLET_TRACE_BLOCK);
    trace(COLLET_TRACE_BLOCK, 1, 2, 3);
    ck_assert_uint_eq(trace_pages(), 0);
    ck_assert_ptr_null(trace_page(0, 0));
}
END_TEST

START_TEST(record_says_who_when_and_where)
{
    const struct collet_trace_header *h;
    const struct collet_trace_record *r;

    start(100);
    ck_assert_int_eq(trace_rings_make(2), 0);
    trace_enable(~0ull);
    host_on_cpu(1);
    trace(COLLET_TRACE_MIGRATE, COLLET_TRACE_SUBJECT(3, 1), 0, 1);
    h = trace_page(1, 0);
    ck_assert_uint_eq(h->magic, COLLET_TRACE_MAGIC);
    ck_assert_uint_eq(h->cpu, 1);
    ck_assert_uint_eq(h->record_bytes, sizeof(*r));
    ck_assert_uint_eq(h->records, 256);
    ck_assert_uint_eq(h->head, 1);
    r = trace_page(1, 1);
    ck_assert_uint_eq(r->time_ns, 1000);
    ck_assert_uint_eq(r->kind, COLLET_TRACE_MIGRATE);
    ck_assert_uint_eq(r->cpu, 1);
    ck_assert_uint_eq(r->subject, 0x30001);
    ck_assert_uint_eq(r->a, 0);
    ck_assert_uint_eq(r->b, 1);
    ck_assert_uint_eq(((const struct collet_trace_header *)trace_page(0, 0))->head, 0);
    ck_assert_ptr_null(trace_page(2, 0));
    ck_assert_ptr_null(trace_page(0, 3));
    ck_assert(host_irq_on);
}
END_TEST

static void write_some(uint64_t count)
{
    static uint64_t n;

    for (uint64_t i = 0; i < count; i++)
        trace(COLLET_TRACE_WAKE, 7, n++, 0);
}

static void write_thirty(void)
{
    write_some(30);
}

START_TEST(oldest_are_overwritten_and_counted)
{
    static struct collet_trace_record records[512];
    uint64_t lost, n;

    start(100);
    ck_assert_int_eq(trace_rings_make(2), 0);
    trace_enable(~0ull);
    write_some(200);
    n = read_ring(0, 0, records, &lost, NULL);
    ck_assert_uint_eq(n, 200);
    ck_assert_uint_eq(lost, 0);
    write_some(400); /* 600 in all, 256 kept */
    n = read_ring(0, 200, records, &lost, NULL);
    ck_assert_uint_eq(n, 256);
    ck_assert_uint_eq(lost, 144);
    for (uint64_t i = 0; i < n; i++)
        ck_assert_uint_eq(records[i].a, 344 + i);
    /* The writer goes on while we copy: what it may have touched is dropped. */
    n = read_ring(0, 344, records, &lost, write_thirty);
    ck_assert_uint_eq(n, 256 - 31);
    ck_assert_uint_eq(lost, 31);
    for (uint64_t i = 0; i < n; i++)
        ck_assert_uint_eq(records[i].a, 344 + 31 + i);
}
END_TEST

START_TEST(size_is_checked_and_fixed)
{
    start(10000);
    ck_assert_int_eq(trace_rings_make(3), -EINVAL);
    ck_assert_int_eq(trace_rings_make(2 * TRACE_PAGES_MAX), -EINVAL);
    ck_assert_int_eq(trace_rings_make(0), 0);
    ck_assert_uint_eq(trace_pages(), TRACE_PAGES_DEFAULT);
    ck_assert_int_eq(trace_rings_make(0), 0);
    ck_assert_int_eq(trace_rings_make(TRACE_PAGES_DEFAULT), 0);
    ck_assert_int_eq(trace_rings_make(2 * TRACE_PAGES_DEFAULT), -EBUSY);
    ck_assert_uint_eq(pages_given, 2 * (TRACE_PAGES_DEFAULT + 1));
}
END_TEST

START_TEST(failed_attempt_keeps_its_pages_for_the_next)
{
    start(_i);
    ck_assert_int_eq(trace_rings_make(4), -ENOMEM);
    ck_assert_uint_eq(trace_pages(), 0);
    ck_assert_ptr_null(trace_page(0, 0));
    pages_left = 10 - (uint64_t)_i;
    ck_assert_int_eq(trace_rings_make(4), 0);
    ck_assert_uint_eq(pages_given, 10);
    for (uint32_t cpu = 0; cpu < 2; cpu++)
        for (uint32_t page = 1; page <= 4; page++)
            for (uint32_t i = 0; i < PAGE_SIZE; i++)
                ck_assert_uint_eq(((const uint8_t *)trace_page(cpu, page))[i], 0);
}
END_TEST

START_TEST(little_memory_is_left_to_guests)
{
    start(10000);
    frames_free = 100;
    ck_assert_int_eq(trace_rings_make(32), -ENOMEM);
    ck_assert_uint_eq(pages_given, 0);
    ck_assert_int_eq(trace_rings_make(16), 0);
}
END_TEST

static void free_pages(void)
{
    trace_enable(0);
    while (pages_given > 0)
        free(given[--pages_given]);
}

Suite *suite_trace(void);
Suite *suite_trace(void)
{
    Suite *s = suite_create("trace");
    TCase *tc = tcase_create("trace");

    tcase_add_checked_fixture(tc, NULL, free_pages);
    tcase_add_test(tc, off_writes_nothing);
    tcase_add_test(tc, without_rings_a_record_is_dropped);
    tcase_add_test(tc, record_says_who_when_and_where);
    tcase_add_test(tc, oldest_are_overwritten_and_counted);
    tcase_add_test(tc, size_is_checked_and_fixed);
    tcase_add_loop_test(tc, failed_attempt_keeps_its_pages_for_the_next, 0, 10);
    tcase_add_test(tc, little_memory_is_left_to_guests);
    suite_add_tcase(s, tc);
    return s;
}
