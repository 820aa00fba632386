// SPDX-License-Identifier: MIT
/* Reading trace rings: over plain memory, with a writer that laps the reader, and one that writes at the same time. */
// needs: trace.c handle.c calls.c transport.c fake-hypervisor.c

#include "fake-hypervisor.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PAGES 2u
#define RECORDS (PAGES * PAGE_BYTES / sizeof(struct collet_trace_record))

static uint8_t memory[(1 + PAGES) * PAGE_BYTES] __attribute__((aligned(4096)));
static struct collet_trace_header *header = (void *)memory;
static struct collet_trace_record *records = (void *)(memory + PAGE_BYTES);
static struct collet_trace_ring *ring;
static struct collet_trace_record got[RECORDS];

/* RECORDS need not be a power of two; the ring's number is. */
static uint64_t ring_records(void)
{
    uint64_t n = 1;

    while (n * 2 <= RECORDS)
        n *= 2;
    return n;
}

static void setup(void)
{
    const char *why;

    memset(memory, 0, sizeof(memory));
    header->magic = COLLET_TRACE_MAGIC;
    header->record_bytes = sizeof(struct collet_trace_record);
    header->records = ring_records();
    ring = trace_ring_make(memory, sizeof(memory), &why);
    ck_assert_ptr_nonnull(ring);
}

static void teardown(void)
{
    collet_trace_close(ring);
}

static void write_records(unsigned int count)
{
    while (count-- > 0) {
        uint64_t head = header->head;
        struct collet_trace_record *r = &records[head & (header->records - 1)];

        /* Each field tells the record's number, so that a torn one shows. */
        __atomic_store_n(&r->time_ns, head, __ATOMIC_RELAXED);
        __atomic_store_n(&r->a, head, __ATOMIC_RELAXED);
        __atomic_store_n(&r->b, head, __ATOMIC_RELAXED);
        __atomic_store_n(&header->head, head + 1, __ATOMIC_RELEASE);
    }
}

static void check_run(size_t n, uint64_t first)
{
    for (size_t i = 0; i < n; i++)
        if (got[i].time_ns != first + i || got[i].a != first + i || got[i].b != first + i)
            ck_abort_msg("record %zu of %zu from %llu on", i, n, (unsigned long long)first);
}

START_TEST(records_come_in_order_and_once)
{
    uint64_t position = 0, lost = 0;

    ck_assert_uint_eq(collet_trace_read(ring, &position, got, RECORDS, &lost), 0);
    write_records(10);
    ck_assert_uint_eq(collet_trace_read(ring, &position, got, 4, &lost), 4);
    check_run(4, 0);
    ck_assert_uint_eq(collet_trace_read(ring, &position, got, 100, &lost), 6);
    check_run(6, 4);
    ck_assert_uint_eq(collet_trace_read(ring, &position, got, 100, NULL), 0);
    ck_assert_uint_eq(collet_trace_read(ring, &position, got, 0, NULL), 0);
    ck_assert_uint_eq(position, 10);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(reading_goes_round_the_end)
{
    uint64_t position = 0, lost = 0, n = header->records;

    write_records((unsigned int)n - 3);
    ck_assert_uint_eq(collet_trace_read(ring, &position, got, RECORDS, &lost), n - 3);
    write_records(10);
    ck_assert_uint_eq(collet_trace_read(ring, &position, got, RECORDS, &lost), 10);
    check_run(10, n - 3);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(what_was_overwritten_is_counted)
{
    uint64_t position = 0, lost = 0, n = header->records;

    write_records(5);
    ck_assert_uint_eq(collet_trace_read(ring, &position, got, RECORDS, &lost), 5);
    write_records((unsigned int)(3 * n));
    ck_assert_uint_eq(collet_trace_read(ring, &position, got, RECORDS, &lost), n - 1);
    check_run(n - 1, 5 + 2 * n + 1);
    ck_assert_uint_eq(lost, 2 * n + 1);
    ck_assert_uint_eq(position, 5 + 3 * n);
}
END_TEST

START_TEST(the_first_look_loses_nothing)
{
    uint64_t position = 0, lost = 0, n = header->records;

    write_records((unsigned int)(4 * n));
    ck_assert_uint_eq(collet_trace_read(ring, &position, got, RECORDS, &lost), n - 1);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(damaged_headers_are_refused)
{
    const char *why;

    header->records = 3;
    ck_assert_ptr_null(trace_ring_make(memory, sizeof(memory), &why));
    header->records = 2 * ring_records();
    ck_assert_ptr_null(trace_ring_make(memory, sizeof(memory), &why));
    header->records = 0;
    ck_assert_ptr_null(trace_ring_make(memory, sizeof(memory), &why));
    header->records = ring_records();
    header->record_bytes++;
    ck_assert_ptr_null(trace_ring_make(memory, sizeof(memory), &why));
    header->magic++;
    ck_assert_ptr_null(trace_ring_make(memory, sizeof(memory), &why));
    header->magic--;
    header->record_bytes--;
    /* Later damage does no harm: the geometry was taken once. */
    header->records = 1ull << 60;
    uint64_t position = ring_records() - 1, lost = 0;
    header->head = position + 2;
    ck_assert_uint_eq(collet_trace_read(ring, &position, got, RECORDS, &lost), 2);
}
END_TEST

static volatile bool stop;

static void *writer(void *arg)
{
    (void)arg;
    while (!stop)
        write_records(7);
    return NULL;
}

START_TEST(a_fast_writer_tears_no_record)
{
    uint64_t position = 0, lost = 0, seen = 0;
    pthread_t thread;

    stop = false;
    ck_assert_int_eq(pthread_create(&thread, NULL, writer, NULL), 0);
    while (seen < 50000) {
        uint64_t before = position, lost_before = lost;
        size_t n = collet_trace_read(ring, &position, got, 64, &lost);

        if (n != 0)
            check_run(n, position - n);
        if (before != 0)
            ck_assert_uint_eq(position - before, n + lost - lost_before);
        seen += n;
    }
    stop = true;
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(rings_are_opened_through_the_hypervisor)
{
    struct collet_trace_ring *opened;
    uint64_t position = 0;
    struct fake *f;
    struct collet *c = fake_open(&f);

    ck_assert_int_eq(collet_trace_start(c, COLLET_TRACE_DEFAULT, PAGES), 0);
    ck_assert_int_eq(collet_trace_open(c, 0, &opened), -ENXIO);
    ck_assert_str_eq(collet_error(c), "there are no trace rings yet: start the trace first");
    f->ring = memory;
    f->ring_pages = 1 + PAGES;
    ck_assert_int_eq(collet_trace_open(c, 1, &opened), -ENXIO);
    write_records(3);
    ck_assert_int_eq(collet_trace_open(c, 0, &opened), 0);
    ck_assert_uint_eq(collet_trace_read(opened, &position, got, RECORDS, NULL), 3);
    collet_trace_close(opened);
    header->magic = 0;
    ck_assert_int_eq(collet_trace_open(c, 0, &opened), -EPROTO);
    ck_assert_int_eq(collet_trace_stop(c), 0);
    collet_trace_close(NULL);
    collet_close(c);
}
END_TEST

Suite *suite_trace(void);
Suite *suite_trace(void)
{
    Suite *s = suite_create("trace");
    TCase *t = tcase_create("trace");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, records_come_in_order_and_once);
    tcase_add_test(t, reading_goes_round_the_end);
    tcase_add_test(t, what_was_overwritten_is_counted);
    tcase_add_test(t, the_first_look_loses_nothing);
    tcase_add_test(t, damaged_headers_are_refused);
    tcase_add_test(t, a_fast_writer_tears_no_record);
    tcase_add_test(t, rings_are_opened_through_the_hypervisor);
    suite_add_tcase(s, t);
    return s;
}
