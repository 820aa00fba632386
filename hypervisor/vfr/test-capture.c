// SPDX-License-Identifier: MIT
/* Captures: who is meant, what is written, that a full ring drops and counts, that what was not given back is never overwritten, and what goes when one is closed. */
// needs: capture.c sdk/vfr/bpf.c
#include "host.h"

#include "alloc.h"
#include "capture.h"
#include "vfr-internal.h"

#include <check.h>
#include <collet/capture.h>
#include <hv/errno.h>

#include <stdlib.h>
#include <string.h>

static uint64_t pages_left, free_count = 1u << 20, pages_given;

void *hypervisor_page_share(void)
{
    void *page;

    if (pages_left == 0)
        return NULL;
    pages_left--;
    pages_given++;
    page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    memset(page, 0, PAGE_SIZE);
    return page;
}

uint64_t frames_free_count(void)
{
    return free_count;
}

static uint8_t header[256], payload[3000];
static struct net_segment segments[3];
static struct net_packet packet;
static struct vfr_port web = {.slot = 3, .iface = {.id = 5, .domid = 1, .name = "web.0", .domain = "web"}};
static struct vfr_port nic = {.slot = PORTS_MAX - 1, .iface = {.id = VFR_IFACE_NIC, .domid = ~0u, .name = "nic0"}};
static struct collet_capture_open op;

/* What maddr_to_virt() makes this pointer of. */
static uint64_t host_maddr(const void *at)
{
    return (uint64_t)at - DIRECTMAP_VIRT;
}

static void setup(void)
{
    host_now_ns = 1000;
    cpu_count = 2;
    cpus[0].id = 0;
    cpus[1].id = 1;
    host_on_cpu(0);
    pages_left = 1000;
    for (unsigned int i = 0; i < sizeof(header); i++)
        header[i] = (uint8_t)i;
    for (unsigned int i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 7);
    packet = (struct net_packet){.view = {.header = header, .header_bytes = 100, .bytes = 100}};
    op = (struct collet_capture_open){.targets = "web", .pages = 1};
}

static void emit(struct vfr_port *port, unsigned int direction, int dropped)
{
    struct vfr_verdict verdict = {.action = dropped < 0 ? VFR_ACCEPT : VFR_DROP, .rule = 4};

    host_now_ns++;
    if (captures_on != 0)
        capture_packet(&packet, port, direction, &verdict, 9, dropped, host_now_ns);
}

static void copy_out(uint32_t capture, uint32_t cpu, uint64_t at, void *to, size_t bytes)
{
    const struct collet_capture_header *h = capture_page(capture, cpu, 0);

    for (size_t i = 0; i < bytes; i++) {
        uint64_t place = (at + i) & (h->bytes - 1);

        ((uint8_t *)to)[i] = ((const uint8_t *)capture_page(capture, cpu, 1 + (uint32_t)(place / PAGE_SIZE)))[place % PAGE_SIZE];
    }
}

static struct collet_capture_record take(uint32_t capture, uint32_t cpu, uint8_t *frame)
{
    const struct collet_capture_header *h = capture_page(capture, cpu, 0);
    struct collet_capture_record r;

    ck_assert_uint_gt(h->head, h->tail);
    copy_out(capture, cpu, h->tail, &r, sizeof(r));
    ck_assert_uint_le(h->tail + r.bytes, h->head);
    ck_assert_uint_le(sizeof(r) + r.captured, r.bytes);
    copy_out(capture, cpu, h->tail + sizeof(r), frame, r.captured);
    ck_assert_int_eq(capture_consume(capture, cpu, h->tail + r.bytes), 0);
    return r;
}

static uint64_t seen(uint32_t capture)
{
    struct collet_capture_info info = {.capture = capture};

    ck_assert_int_eq(capture_info(&info), 0);
    return info.seen;
}

START_TEST(a_frame_comes_out_with_what_was_said)
{
    struct collet_capture_record r;
    uint8_t frame[256];

    ck_assert_uint_eq(captures_on, 0);
    ck_assert_int_eq(capture_open(&op, NULL), 0);
    ck_assert_uint_ne(captures_on, 0);
    packet.offload = (struct net_offload){.sum_wanted = true, .sum_start = 34, .sum_offset = 16, .segmentation = NET_SEGMENTATION_TCP4, .segment_bytes = 1448};
    packet.view.segments = 7;
    emit(&web, VFR_TX, -1);
    r = take(op.capture, 0, frame);
    ck_assert_uint_eq(r.bytes, 128 + 104);
    ck_assert_uint_eq(r.captured, 100);
    ck_assert_uint_eq(r.frame_bytes, 100);
    ck_assert_uint_eq(r.iface, 5);
    ck_assert_uint_eq(r.domid, 1);
    ck_assert_uint_eq(r.time_ns, host_now_ns);
    ck_assert_uint_eq(r.generation, 9);
    ck_assert_uint_eq(r.rule, 4);
    ck_assert_uint_eq(r.action, VFR_ACCEPT);
    ck_assert_uint_eq(r.drop, COLLET_CAPTURED_PASSED);
    ck_assert_uint_eq(r.direction, COLLET_CAPTURE_OUT);
    ck_assert_uint_eq(r.flags, COLLET_CAPTURED_SUM | COLLET_CAPTURED_SEGMENTED);
    ck_assert_uint_eq(r.segment_bytes, 1448);
    ck_assert_uint_eq(r.segments, 7);
    ck_assert_uint_eq(r.number, 1);
    ck_assert_str_eq(r.name, "web.0");
    ck_assert_mem_eq(frame, header, 100);
    ck_assert_int_eq(capture_close(op.capture), 0);
    ck_assert_uint_eq(captures_on, 0);
}
END_TEST

/* The header as the rules saw it, not what the guest has put there since; the rest from where it lies. */
START_TEST(the_payload_comes_from_its_pages)
{
    uint8_t frame[4096];
    struct collet_capture_record r;

    ck_assert_int_eq(capture_open(&op, NULL), 0);
    segments[0] = (struct net_segment){.maddr = host_maddr(payload), .bytes = 60};
    segments[1] = (struct net_segment){.maddr = host_maddr(payload + 60), .bytes = 500};
    segments[2] = (struct net_segment){.maddr = host_maddr(payload + 560), .bytes = 1000};
    packet.segments = segments;
    packet.segment_count = 3;
    packet.view.bytes = 1560;
    emit(&web, VFR_RX, -1);
    r = take(op.capture, 0, frame);
    ck_assert_uint_eq(r.captured, 1560);
    ck_assert_mem_eq(frame, header, 100);
    ck_assert_mem_eq(frame + 100, payload + 100, 1460);
    /* Segments that are shorter than the frame: what there is. */
    packet.segment_count = 2;
    emit(&web, VFR_RX, -1);
    r = take(op.capture, 0, frame);
    ck_assert_uint_eq(r.captured, 560);
    ck_assert_uint_eq(r.frame_bytes, 1560);
    ck_assert_int_eq(capture_close(op.capture), 0);
}
END_TEST

START_TEST(snaplen_directions_and_drops_select)
{
    uint8_t frame[256];

    op.snap_bytes = 30;
    op.flags = COLLET_CAPTURE_OUT | COLLET_CAPTURE_DROPPED;
    ck_assert_int_eq(capture_open(&op, NULL), 0);
    emit(&web, VFR_RX, COLLET_NET_DROP_RULE); /* not that way */
    emit(&web, VFR_TX, -1);                   /* it passes */
    emit(&nic, VFR_TX, COLLET_NET_DROP_RULE); /* not that one */
    emit(&web, VFR_TX, COLLET_NET_DROP_SPOOF);
    ck_assert_uint_eq(seen(op.capture), 2);
    ck_assert_uint_eq(take(op.capture, 0, frame).drop, COLLET_NET_DROP_SPOOF);
    ck_assert_uint_eq(((const struct collet_capture_header *)capture_page(op.capture, 0, 0))->recorded_bytes, 30);
    ck_assert_int_eq(capture_close(op.capture), 0);
}
END_TEST

START_TEST(filters_run_here)
{
    struct vfr_bpf_insn *filter = heap_alloc(4 * sizeof(*filter));
    static const struct vfr_bpf_insn code[] = {{0x30, 0, 0, 20}, {0x15, 0, 1, 20}, {0x06, 0, 0, 50}, {0x06, 0, 0, 0}}; /* byte 20 is 20: 50 bytes of it */
    uint8_t frame[256];

    memcpy(filter, code, sizeof(code));
    op.filter_count = 4;
    ck_assert_int_eq(capture_open(&op, filter), 0);
    emit(&web, VFR_TX, -1);
    ck_assert_uint_eq(take(op.capture, 0, frame).captured, 50);
    header[20] = 21;
    emit(&web, VFR_TX, -1);
    ck_assert_uint_eq(seen(op.capture), 2);
    ck_assert_uint_eq(((const struct collet_capture_header *)capture_page(op.capture, 0, 0))->recorded, 1);
    ck_assert_int_eq(capture_close(op.capture), 0);

    filter = heap_alloc(sizeof(*filter));
    filter[0] = (struct vfr_bpf_insn){0x05, 0, 0, 1000}; /* jumps out of itself */
    op.filter_count = 1;
    ck_assert_int_eq(capture_open(&op, filter), -EINVAL);
    ck_assert_str_ne(op.error_text, "");
    heap_free(filter);
}
END_TEST

START_TEST(names_are_matched)
{
    static const struct {
        const char *targets;
        bool web, nic;
    } cases[] = {
        {"web.0", true, false}, {"web", true, false}, {"web.1", false, false}, {"nic0", false, true}, {"*", true, true}, {"w*0", true, false},
        {"db,nic*", false, true}, {"db,x,web", true, false}, {"we", false, false}, {"*b", true, false}, {"**i**0*", false, true}, {"webs", false, false},
    };

    for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        op = (struct collet_capture_open){.pages = 1};
        strcpy(op.targets, cases[i].targets);
        ck_assert_int_eq(capture_open(&op, NULL), 0);
        for (int again = 1; again <= 2; again++) {
            emit(&web, VFR_TX, -1);
            emit(&nic, VFR_RX, -1);
            ck_assert_msg(seen(op.capture) == (uint64_t)(cases[i].web + cases[i].nic) * (unsigned int)again, "%s", cases[i].targets);
        }
        ck_assert_int_eq(capture_close(op.capture), 0);
    }
}
END_TEST

/* Slots are given again: the domain that comes back is captured under its old counters, and another one in its slot is not. */
START_TEST(a_name_that_comes_back_is_captured_again)
{
    struct vfr_port again = web, other = web;
    const struct collet_capture_header *h;

    ck_assert_int_eq(capture_open(&op, NULL), 0);
    emit(&web, VFR_TX, -1);
    other.iface.id = 6;
    strcpy(other.iface.name, "db.0");
    strcpy(other.iface.domain, "db");
    emit(&other, VFR_TX, -1);
    again.iface.id = 7;
    again.slot = 9;
    emit(&again, VFR_TX, -1);
    h = capture_page(op.capture, 0, 0);
    ck_assert_uint_eq(h->seen, 2);
    ck_assert_str_eq(h->iface[0].name, "web.0");
    ck_assert_uint_eq(h->iface[0].seen, 2);
    ck_assert_uint_eq(h->iface[0].recorded, 2);
    ck_assert_int_eq(capture_close(op.capture), 0);
}
END_TEST

START_TEST(more_interfaces_than_counters_share_the_last)
{
    struct vfr_port many = web;
    const struct collet_capture_header *h;

    strcpy(op.targets, "*");
    ck_assert_int_eq(capture_open(&op, NULL), 0);
    for (uint32_t i = 0; i < 100; i++) {
        many.slot = i;
        many.iface.id = 1000 + i;
        snprintf(many.iface.name, sizeof(many.iface.name), "d%u.0", i);
        emit(&many, VFR_TX, -1);
    }
    h = capture_page(op.capture, 0, 0);
    ck_assert_str_eq(h->iface[COLLET_CAPTURE_IFACES - 1].name, "others");
    ck_assert_uint_eq(h->iface[COLLET_CAPTURE_IFACES - 1].seen, 100 - (COLLET_CAPTURE_IFACES - 1));
    ck_assert_int_eq(capture_close(op.capture), 0);
}
END_TEST

START_TEST(a_full_ring_drops_the_new_and_counts_it)
{
    struct collet_capture_info info;
    struct collet_capture_record r;
    const struct collet_capture_header *h;
    uint8_t frame[256];
    unsigned int written = 0, lost = 0;

    ck_assert_int_eq(capture_open(&op, NULL), 0);
    h = capture_page(op.capture, 0, 0);
    srandom(5);
    for (int i = 0; i < 5000; i++) {
        if (random() % 3 != 0) {
            uint64_t dropped = h->dropped;

            packet.view.bytes = packet.view.header_bytes = 20 + (uint32_t)(random() % 200);
            header[0] = (uint8_t)written;
            emit(&web, VFR_TX, -1);
            if (h->dropped == dropped)
                written++;
            else
                lost++;
            ck_assert_uint_le(h->head - h->tail, h->bytes);
        } else if (h->head != h->tail) {
            uint64_t first = h->tail;

            r = take(op.capture, 0, frame);
            ck_assert_uint_eq(h->tail, first + r.bytes);
        }
    }
    ck_assert_uint_gt(lost, 0);
    for (; h->head != h->tail; lost += 0)
        r = take(op.capture, 0, frame);
    ck_assert_uint_eq(frame[0], (uint8_t)(written - 1));
    info = (struct collet_capture_info){.capture = op.capture};
    ck_assert_int_eq(capture_info(&info), 0);
    ck_assert_uint_eq(info.recorded, written);
    ck_assert_uint_eq(info.dropped, lost);
    ck_assert_uint_eq(h->iface[0].dropped, lost);
    ck_assert_uint_eq(info.seen, written + lost);
    ck_assert_int_eq(capture_close(op.capture), 0);
}
END_TEST

START_TEST(nothing_is_given_back_that_was_not_written)
{
    const struct collet_capture_header *h;

    ck_assert_int_eq(capture_open(&op, NULL), 0);
    emit(&web, VFR_TX, -1);
    h = capture_page(op.capture, 0, 0);
    ck_assert_int_eq(capture_consume(op.capture, 0, h->head + 8), -EINVAL);
    ck_assert_int_eq(capture_consume(op.capture, 0, h->head), 0);
    ck_assert_int_eq(capture_consume(op.capture, 0, 0), -EINVAL);
    ck_assert_int_eq(capture_consume(op.capture, 1, 0), 0);
    ck_assert_int_eq(capture_consume(op.capture, 2, 0), -ENOENT);
    ck_assert_int_eq(capture_consume(op.capture + 1, 0, 0), -ENOENT);
    ck_assert_ptr_null(capture_page(op.capture, 0, 2));
    ck_assert_ptr_null(capture_page(op.capture, 2, 0));
    ck_assert_int_eq(capture_close(op.capture), 0);
    ck_assert_int_eq(capture_close(op.capture), -ENOENT);
    ck_assert_ptr_null(capture_page(op.capture, 0, 0));
}
END_TEST

START_TEST(bad_requests_are_refused)
{
    static const char *const bad[] = {"", "a,,b", "a,", ",a", "a b", "w/b"};

    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        op = (struct collet_capture_open){.pages = 1};
        strcpy(op.targets, bad[i]);
        ck_assert_msg(capture_open(&op, NULL) == -EINVAL, "%s", bad[i]);
    }
    memset(op.targets, 'a', sizeof(op.targets)); /* has no end */
    ck_assert_int_eq(capture_open(&op, NULL), -EINVAL);
    op = (struct collet_capture_open){.targets = "web", .pages = 3};
    ck_assert_int_eq(capture_open(&op, NULL), -EINVAL);
    op.pages = 2048;
    ck_assert_int_eq(capture_open(&op, NULL), -EINVAL);
    op.pages = 1;
    op.flags = 0x80;
    ck_assert_int_eq(capture_open(&op, NULL), -EINVAL);
    ck_assert_uint_eq(captures_on, 0);
}
END_TEST

START_TEST(eight_at_once_and_pages_are_used_again)
{
    uint32_t numbers[COLLET_CAPTURES_MAX];
    uint64_t given = 0;

    for (int round = 0; round < 3; round++) {
        for (unsigned int i = 0; i < COLLET_CAPTURES_MAX; i++) {
            ck_assert_int_eq(capture_open(&op, NULL), 0);
            numbers[i] = op.capture;
        }
        ck_assert_int_eq(capture_open(&op, NULL), -EBUSY);
        emit(&web, VFR_TX, -1);
        for (unsigned int i = 0; i < COLLET_CAPTURES_MAX; i++) {
            ck_assert_uint_eq(seen(numbers[i]), 1);
            ck_assert_int_eq(capture_close(numbers[i]), 0);
        }
        if (round == 1)
            given = pages_given;
    }
    ck_assert_uint_eq(pages_given, given);
}
END_TEST

START_TEST(without_memory_nothing_is_left)
{
    pages_left = 3;
    op.pages = 64;
    ck_assert_int_eq(capture_open(&op, NULL), -ENOMEM);
    ck_assert_uint_eq(captures_on, 0);
    free_count = 10;
    ck_assert_int_eq(capture_open(&op, NULL), -ENOMEM);
    free_count = 1u << 20;
}
END_TEST

/* Its reader was killed: it costs nothing after a while, and makes room. */
START_TEST(one_that_nobody_asks_about_is_given_up)
{
    struct collet_capture_info info;
    uint32_t left;

    ck_assert_int_eq(capture_open(&op, NULL), 0);
    left = op.capture;
    host_now_ns += 599ull * 1000 * 1000 * 1000;
    ck_assert_uint_eq(seen(left), 0); /* this is asking */
    host_now_ns += 599ull * 1000 * 1000 * 1000;
    emit(&web, VFR_TX, -1);
    ck_assert_uint_ne(captures_on, 0);
    info = (struct collet_capture_info){.next = 1};
    ck_assert_int_eq(capture_info(&info), 0); /* and this is not */
    ck_assert_uint_eq(info.capture, left);
    host_now_ns += 2ull * 1000 * 1000 * 1000;
    emit(&web, VFR_TX, -1);
    ck_assert_uint_eq(captures_on, 0);
    ck_assert_int_eq(capture_info(&info), -ENOENT);
    for (unsigned int i = 0; i < COLLET_CAPTURES_MAX; i++)
        ck_assert_int_eq(capture_open(&op, NULL), 0);
    for (unsigned int i = 0; i < COLLET_CAPTURES_MAX; i++)
        ck_assert_int_eq(capture_close(op.capture - i), 0);
    ck_assert_int_eq(capture_close(left), -ENOENT);
}
END_TEST

START_TEST(each_cpu_writes_its_own_ring)
{
    uint8_t frame[256];

    ck_assert_int_eq(capture_open(&op, NULL), 0);
    ck_assert_uint_eq(op.cpus, 2);
    host_on_cpu(1);
    emit(&web, VFR_TX, -1);
    ck_assert_uint_eq(take(op.capture, 1, frame).cpu, 1);
    host_on_cpu(0);
    ck_assert_uint_eq(((const struct collet_capture_header *)capture_page(op.capture, 0, 0))->head, 0);
    ck_assert_int_eq(capture_close(op.capture), 0);
}
END_TEST

Suite *suite_capture(void);
Suite *suite_capture(void)
{
    Suite *s = suite_create("capture");
    TCase *t = tcase_create("rings");

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, a_frame_comes_out_with_what_was_said);
    tcase_add_test(t, the_payload_comes_from_its_pages);
    tcase_add_test(t, snaplen_directions_and_drops_select);
    tcase_add_test(t, filters_run_here);
    tcase_add_test(t, names_are_matched);
    tcase_add_test(t, a_name_that_comes_back_is_captured_again);
    tcase_add_test(t, more_interfaces_than_counters_share_the_last);
    tcase_add_test(t, a_full_ring_drops_the_new_and_counts_it);
    tcase_add_test(t, nothing_is_given_back_that_was_not_written);
    tcase_add_test(t, bad_requests_are_refused);
    tcase_add_test(t, eight_at_once_and_pages_are_used_again);
    tcase_add_test(t, without_memory_nothing_is_left);
    tcase_add_test(t, one_that_nobody_asks_about_is_given_up);
    tcase_add_test(t, each_cpu_writes_its_own_ring);
    return s;
}
