// SPDX-License-Identifier: MIT
/* Captures over plain memory: order among CPUs, records that wrap around the end, places given back, rings that are damaged. */
// needs: capture.c handle.c calls.c transport.c

#include "internal.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CPUS 2u
#define PAGES 2u
#define RING_BYTES (PAGES * PAGE_BYTES)

static struct {
    uint8_t *pages; /* shared with what the library has mapped */
    struct collet_capture_header *header;
    uint64_t number;
} rings[CPUS];
static uint64_t now_ns = 1000000;
static int open_captures, open_rc;
static struct vfr_bpf_insn filter_seen;
static struct collet *c;
static struct collet_capture *capture;

static long fake_info(struct collet_capture_info *info)
{
    if (info->next != 0) {
        if (open_captures == 0 || info->capture > 7)
            return -ENOENT;
        *info = (struct collet_capture_info){.capture = 7, .targets = "web"};
        return 0;
    }
    if (open_captures == 0 || info->capture != 7)
        return -ENOENT;
    for (uint32_t cpu = 0; info->consumed != 0 && cpu < CPUS; cpu++) {
        uint64_t at = ((const uint64_t *)(uintptr_t)info->consumed)[cpu];

        if (at < rings[cpu].header->tail || at > rings[cpu].header->head)
            return -EINVAL;
        rings[cpu].header->tail = at;
    }
    if (info->mfns != 0) {
        for (uint32_t i = 0; i < PAGES + 1; i++)
            ((uint64_t *)(uintptr_t)info->mfns)[i] = 0x100 * (info->cpu + 1) + i;
        info->count = PAGES + 1;
    }
    info->now_ns = now_ns;
    return 0;
}

static long fake_hypercall(void *state, uint64_t op, uint64_t arg, uint64_t bytes, uint64_t version)
{
    struct collet_capture_open *open = (void *)(uintptr_t)arg;

    (void)state;
    (void)bytes;
    (void)version;
    switch (op) {
    case COLLET_OP_VERSION:
        ((struct collet_version *)(uintptr_t)arg)->version = COLLET_CONTROL_VERSION;
        return 0;
    case COLLET_OP_CAPTURE_OPEN:
        if (open_rc != 0) {
            strcpy(open->error_text, "instruction 3 jumps backwards");
            return open_rc;
        }
        if (open->filter_count != 0)
            memcpy(&filter_seen, (const void *)(uintptr_t)open->filter, sizeof(filter_seen));
        open->capture = 7;
        open->cpus = CPUS;
        open_captures++;
        return 0;
    case COLLET_OP_CAPTURE_INFO:
        return fake_info((void *)(uintptr_t)arg);
    case COLLET_OP_CAPTURE_CLOSE:
        if (open_captures == 0)
            return -ENOENT;
        open_captures--;
        return 0;
    default:
        return 0;
    }
}

static void *fake_memory(void *state, size_t bytes)
{
    (void)state;
    return calloc(1, bytes);
}

static void fake_memory_free(void *state, void *memory, size_t bytes)
{
    (void)state;
    (void)bytes;
    free(memory);
}

/* The very pages again, so that both see them. */
static void *fake_map(void *state, uint32_t domid, const uint64_t *mfns, size_t count)
{
    (void)state;
    if (domid != COLLET_TRACE_DOMID || count != PAGES + 1) {
        errno = EINVAL;
        return NULL;
    }
    return mremap(rings[mfns[0] / 0x100 - 1].pages, 0, count * PAGE_BYTES, MREMAP_MAYMOVE);
}

static void fake_close(void *state)
{
    (void)state;
}

static const struct transport transport_fake = {
    .hypercall = fake_hypercall,
    .memory = fake_memory,
    .memory_free = fake_memory_free,
    .map = fake_map,
    .close = fake_close,
};

static void setup(void)
{
    struct collet_capture_open open = {.targets = "web"};

    for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
        rings[cpu].pages = mmap(NULL, RING_BYTES + PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(rings[cpu].pages, MAP_FAILED);
        rings[cpu].header = (void *)rings[cpu].pages;
        *rings[cpu].header = (struct collet_capture_header){.magic = COLLET_CAPTURE_MAGIC, .record_bytes = sizeof(struct collet_capture_record), .bytes = RING_BYTES};
    }
    c = calloc(1, sizeof(*c));
    c->transport = &transport_fake;
    c->changes_fd = -1;
    ck_assert_int_eq(collet_begin(c), 0);
    ck_assert_int_eq(collet_capture_open(c, &open, NULL, &capture), 0);
    ck_assert_uint_eq(collet_capture_number(capture), 7);
}

static void teardown(void)
{
    collet_capture_close(capture);
    ck_assert_int_eq(open_captures, 0);
    collet_close(c);
    for (uint32_t cpu = 0; cpu < CPUS; cpu++)
        munmap(rings[cpu].pages, RING_BYTES + PAGE_BYTES);
}

static void put(uint32_t cpu, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        rings[cpu].pages[PAGE_BYTES + (rings[cpu].header->head + i) % RING_BYTES] = ((const uint8_t *)from)[i];
}

/* As the hypervisor does; false: no room. */
static bool emit(uint32_t cpu, uint64_t time_ns, uint32_t frame_bytes)
{
    struct collet_capture_header *h = rings[cpu].header;
    struct collet_capture_record r = {.captured = frame_bytes, .frame_bytes = frame_bytes, .time_ns = time_ns, .cpu = cpu, .name = "web.0"};
    uint8_t frame[2048], all[4096];

    r.bytes = (uint32_t)(sizeof(r) + frame_bytes + 7) & ~7u;
    if (h->head - h->tail + r.bytes > h->bytes)
        return false;
    r.number = ++rings[cpu].number;
    memset(frame, (int)r.number, frame_bytes);
    memcpy(all, &r, sizeof(r));
    memcpy(all + sizeof(r), frame, frame_bytes);
    put(cpu, all, sizeof(r) + frame_bytes);
    __atomic_store_n(&h->head, h->head + r.bytes, __ATOMIC_RELEASE);
    return true;
}

START_TEST(frames_come_in_order_of_time)
{
    struct collet_capture_record r;
    struct collet_capture_info info;
    const uint8_t *frame;

    ck_assert(emit(0, 10, 60) && emit(1, 5, 60) && emit(0, 20, 60) && emit(1, 15, 60) && emit(1, 30, 60));
    for (uint64_t want = 5; want <= 20; want += 5) {
        ck_assert_int_eq(collet_capture_next(capture, 25, &r, &frame), 1);
        ck_assert_uint_eq(r.time_ns, want);
        ck_assert_uint_eq(frame[59], (uint8_t)r.number);
    }
    ck_assert_int_eq(collet_capture_next(capture, 25, &r, &frame), 0); /* the last one is younger */
    ck_assert_int_eq(collet_capture_release(capture, &info), 0);
    ck_assert_uint_eq(info.now_ns, now_ns);
    ck_assert_uint_eq(rings[0].header->tail, rings[0].header->head);
    ck_assert_uint_lt(rings[1].header->tail, rings[1].header->head);
}
END_TEST

START_TEST(records_that_wrap_are_whole)
{
    struct collet_capture_record r;
    struct collet_capture_info info;
    uint64_t taken = 0;
    const uint8_t *frame;

    srandom(11);
    for (uint64_t i = 0; i < 20000; i++) {
        if (random() % 2 == 0) {
            (void)emit(0, i, (uint32_t)(random() % 1500));
            continue;
        }
        if (collet_capture_next(capture, UINT64_MAX, &r, &frame) == 1) {
            ck_assert_uint_eq(r.number, ++taken);
            for (uint32_t b = 0; b < r.captured; b++)
                ck_assert_uint_eq(frame[b], (uint8_t)r.number);
        }
        if (random() % 3 == 0)
            ck_assert_int_eq(collet_capture_release(capture, &info), 0);
    }
    ck_assert_uint_gt(taken, 5000);
}
END_TEST

START_TEST(damaged_rings_are_refused)
{
    struct collet_capture_record r;
    struct collet_capture_header h = *rings[0].header;
    const uint8_t *frame;

    ck_assert_ptr_null(capture_ring_wrong(&h, RING_BYTES + PAGE_BYTES));
    h.bytes = RING_BYTES * 2;
    ck_assert_ptr_nonnull(capture_ring_wrong(&h, RING_BYTES + PAGE_BYTES));
    h.bytes = 5000;
    ck_assert_ptr_nonnull(capture_ring_wrong(&h, RING_BYTES + PAGE_BYTES));
    h = *rings[0].header;
    h.record_bytes++;
    ck_assert_ptr_nonnull(capture_ring_wrong(&h, RING_BYTES + PAGE_BYTES));
    ck_assert(emit(0, 10, 60));
    ((struct collet_capture_record *)(void *)(rings[0].pages + PAGE_BYTES))->captured = 4000;
    ck_assert_int_eq(collet_capture_next(capture, UINT64_MAX, &r, &frame), -EPROTO);
    ((struct collet_capture_record *)(void *)(rings[0].pages + PAGE_BYTES))->bytes = 8;
    ck_assert_int_eq(collet_capture_next(capture, UINT64_MAX, &r, &frame), -EPROTO);
}
END_TEST

START_TEST(counters_are_summed_by_name)
{
    struct collet_capture_iface sums[COLLET_CAPTURE_IFACES];

    strcpy(rings[0].header->iface[0].name, "web.0");
    strcpy(rings[1].header->iface[0].name, "db.0");
    strcpy(rings[1].header->iface[3].name, "web.0");
    rings[0].header->iface[0].seen = 5;
    rings[1].header->iface[3].seen = 7;
    rings[1].header->iface[3].dropped = 2;
    ck_assert_int_eq(collet_capture_counters(capture, sums, COLLET_CAPTURE_IFACES), 2);
    ck_assert_str_eq(sums[0].name, "web.0");
    ck_assert_uint_eq(sums[0].seen, 12);
    ck_assert_uint_eq(sums[0].dropped, 2);
    ck_assert_int_eq(collet_capture_counters(capture, sums, 1), 1);
}
END_TEST

START_TEST(filters_go_along_and_failures_say_why)
{
    struct vfr_bpf_insn filter = {.code = 6, .k = 77};
    struct collet_capture_open open = {.targets = "web", .filter_count = 1};
    struct collet_capture *other;

    ck_assert_int_eq(collet_capture_open(c, &open, &filter, &other), 0);
    ck_assert_uint_eq(filter_seen.k, 77);
    collet_capture_close(other);
    open_rc = -EINVAL;
    ck_assert_int_eq(collet_capture_open(c, &open, &filter, &other), -EINVAL);
    ck_assert_ptr_null(other);
    ck_assert_ptr_nonnull(strstr(collet_error(c), "instruction 3 jumps backwards"));
    open_rc = -EBUSY;
    ck_assert_int_eq(collet_capture_open(c, &open, &filter, &other), -EBUSY);
    ck_assert_ptr_nonnull(strstr(collet_error(c), "eight captures"));
    open_rc = 0;
    open.filter_count = COLLET_CAPTURE_FILTER_MAX + 1;
    ck_assert_int_eq(collet_capture_open(c, &open, &filter, &other), -E2BIG);
}
END_TEST

START_TEST(a_capture_that_was_closed_tells)
{
    struct collet_capture_info info, *all;

    ck_assert_int_eq(collet_capture_list(c, &all), 1);
    ck_assert_str_eq(all[0].targets, "web");
    free(all);
    ck_assert_int_eq(collet_capture_end(c, 7), 0);
    ck_assert_int_eq(collet_capture_release(capture, &info), -ENOENT);
    ck_assert_int_eq(collet_capture_list(c, &all), 0);
    free(all);
}
END_TEST

Suite *suite_capture(void);
Suite *suite_capture(void)
{
    Suite *s = suite_create("capture");
    TCase *t = tcase_create("rings");

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, frames_come_in_order_of_time);
    tcase_add_test(t, records_that_wrap_are_whole);
    tcase_add_test(t, damaged_rings_are_refused);
    tcase_add_test(t, counters_are_summed_by_name);
    tcase_add_test(t, filters_go_along_and_failures_say_why);
    tcase_add_test(t, a_capture_that_was_closed_tells);
    return s;
}
