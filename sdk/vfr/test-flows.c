// SPDX-License-Identifier: MIT
/* Connection tracking: states of TCP, UDP, ICMP and fragments; who gets room when there is none; several threads at once. */
// needs: flows.c flows-key.c flows-state.c packet.c
#include "test-frame.h"

#include <check.h>
#include <hv/errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <vfr/flows.h>

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
#define SECOND 1000000000ull
#define WEB 0x0a000210u
#define DB  0x0a000211u

static uint32_t allocated, allocations_left = ~0u;

static void *memory_alloc(size_t bytes)
{
    ck_assert_uint_le(bytes, 2u << 20);
    if (allocations_left-- == 0)
        return NULL;
    allocated++;
    return calloc(1, bytes);
}

static void memory_free(void *ptr)
{
    ck_assert_ptr_nonnull(ptr);
    allocated--;
    free(ptr);
}

static const struct vfr_memory memory = { memory_alloc, memory_free, NULL, 4 };
static struct vfr_flows *flows;
static uint64_t now = 1000 * SECOND;
static struct frame f;

static void open_table(uint32_t flows_max)
{
    ck_assert_int_eq(vfr_flows_create(&flows, flows_max, &memory), 0);
}

static void close_table(void)
{
    vfr_flows_destroy(flows);
    ck_assert_uint_eq(allocated, 0);
}

/* Find, and keep. Returns the state. */
static unsigned int pass(struct vfr_packet *packet, const struct vfr_iface *to)
{
    unsigned int state;

    packet->to = to;
    vfr_flows_find(flows, packet, 0, now);
    state = packet->state;
    vfr_flows_keep(flows, packet, 0, now);
    ck_assert_ptr_null(packet->flow);
    return state;
}

static unsigned int tcp(bool answer, uint32_t number, uint32_t ack, unsigned int flags)
{
    const struct vfr_iface *from = answer ? &frame_peer : &frame_vif, *to = answer ? &frame_vif : &frame_peer;

    return pass(frame_tcp4(&f, from, answer ? DB : WEB, answer ? WEB : DB, answer ? 80 : 1000, answer ? 1000 : 80, number, ack, flags, 0), to);
}

static unsigned int udp(bool answer, unsigned int port)
{
    const struct vfr_iface *from = answer ? &frame_peer : &frame_vif, *to = answer ? &frame_vif : &frame_peer;

    return pass(frame_udp4(&f, from, answer ? DB : WEB, answer ? WEB : DB, answer ? 53 : port, answer ? port : 53), to);
}

static struct vfr_flow_info the_flow(void)
{
    struct vfr_flow_info info[2];
    uint64_t cursor = 0;

    ck_assert_uint_eq(vfr_flows_list(flows, &cursor, ~0u, info, 2, now), 1);
    return info[0];
}

static void connect_tcp(void)
{
    ck_assert_uint_eq(tcp(false, 100, 0, SYN), VFR_STATE_NEW);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_NEW);
    ck_assert_uint_eq(tcp(true, 500, 101, SYN | ACK), VFR_STATE_ESTABLISHED);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_OPENING);
    ck_assert_uint_eq(tcp(false, 101, 501, ACK), VFR_STATE_ESTABLISHED);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_OPEN);
}

START_TEST(tcp_opens_and_closes)
{
    struct vfr_flow_info info;

    open_table(64);
    connect_tcp();
    ck_assert_uint_eq(tcp(false, 101, 501, FIN | ACK), VFR_STATE_ESTABLISHED);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_CLOSING);
    ck_assert_uint_eq(tcp(true, 501, 102, FIN | ACK), VFR_STATE_ESTABLISHED);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_CLOSED);
    ck_assert_uint_eq(tcp(false, 102, 502, ACK), VFR_STATE_ESTABLISHED);
    info = the_flow();
    ck_assert_uint_eq(info.packets[0], 4);
    ck_assert_uint_eq(info.packets[1], 2);
    ck_assert_uint_eq(info.bytes[1], 2 * 54);
    ck_assert_uint_eq(info.domid, 5);
    ck_assert_uint_eq(info.from, 1);
    ck_assert_uint_eq(info.to, 2);
    ck_assert_uint_eq(info.source_port, 1000);
    ck_assert_uint_eq(info.target_port, 80);
    ck_assert_mem_eq(info.source, "\x0a\0\2\x10", 4);
    /* The same ports again: a new connection. */
    ck_assert_uint_eq(tcp(false, 90000, 0, SYN), VFR_STATE_NEW);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_NEW);
    ck_assert_uint_eq(the_flow().packets[0], 1);
    close_table();
}
END_TEST

START_TEST(tcp_strangers_neither_open_nor_close)
{
    open_table(64);
    tcp(false, 100, 0, SYN);
    tcp(true, 0x80000000, 101, SYN | ACK);
    tcp(false, 101, 12345, ACK); /* has not seen the answer */
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_OPENING);
    tcp(false, 101, 0x80000001, ACK);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_OPEN);
    tcp(true, 0x80000001, 101, ACK);
    tcp(true, 0x10000000, 0, RST);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_OPEN);
    tcp(true, 0x80000001, 0, RST);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_CLOSED);
    close_table();
}
END_TEST

START_TEST(tcp_beginnings)
{
    open_table(64);
    ck_assert_uint_eq(tcp(false, 1, 1, RST), VFR_STATE_INVALID);
    ck_assert_uint_eq(tcp(false, 1, 1, FIN | ACK), VFR_STATE_INVALID);
    ck_assert_uint_eq(tcp(false, 1, 1, SYN | ACK), VFR_STATE_INVALID);
    ck_assert_uint_eq(tcp(false, 1, 1, SYN | FIN), VFR_STATE_INVALID);
    ck_assert_uint_eq(tcp(false, 1, 1, 0), VFR_STATE_INVALID);
    ck_assert_uint_eq(tcp(false, 1, 1, ACK), VFR_STATE_NEW); /* it was there before us */
    ck_assert_uint_eq(tcp(true, 1, 1, ACK), VFR_STATE_ESTABLISHED);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_OPEN);
    close_table();
}
END_TEST

START_TEST(udp_is_established_by_its_answer)
{
    open_table(64);
    ck_assert_uint_eq(udp(false, 7), VFR_STATE_NEW);
    ck_assert_uint_eq(udp(false, 7), VFR_STATE_NEW);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_ONE_WAY);
    ck_assert_uint_eq(udp(true, 7), VFR_STATE_ESTABLISHED);
    ck_assert(f.packet.reply);
    ck_assert_uint_eq(udp(false, 7), VFR_STATE_ESTABLISHED);
    ck_assert_uint_eq(the_flow().state, VFR_FLOW_TWO_WAY);
    now += 179 * SECOND;
    ck_assert_uint_eq(udp(false, 7), VFR_STATE_ESTABLISHED);
    now += 181 * SECOND;
    ck_assert_uint_eq(udp(false, 7), VFR_STATE_NEW);
    close_table();
}
END_TEST

START_TEST(refused_packets_leave_no_trace)
{
    struct vfr_flows_stats stats;

    open_table(64);
    frame_udp4(&f, &frame_vif, WEB, DB, 7, 53);
    vfr_flows_find(flows, &f.packet, 0, now);
    vfr_flows_refuse(flows, &f.packet);
    vfr_flows_stats(flows, &stats);
    ck_assert_uint_eq(stats.flows, 0);
    udp(false, 7);
    frame_udp4(&f, &frame_peer, DB, WEB, 53, 7);
    vfr_flows_find(flows, &f.packet, 0, now);
    ck_assert_uint_eq(f.packet.state, VFR_STATE_ESTABLISHED);
    vfr_flows_refuse(flows, &f.packet);
    ck_assert_uint_eq(the_flow().packets[1], 0);
    ck_assert_uint_eq(udp(false, 7), VFR_STATE_NEW); /* a refused answer establishes nothing */
    close_table();
}
END_TEST

START_TEST(segments_are_worlds_of_their_own)
{
    open_table(64);
    udp(false, 7);
    frame_udp4(&f, &frame_peer, DB, WEB, 53, 7);
    vfr_flows_find(flows, &f.packet, 1, now);
    ck_assert_uint_eq(f.packet.state, VFR_STATE_NEW);
    vfr_flows_refuse(flows, &f.packet);
    close_table();
}
END_TEST

static unsigned int icmp(bool answer, unsigned int type, unsigned int id)
{
    frame_ethernet(&f, answer ? frame_other_mac : frame_mac, 0x0800);
    frame_ipv4(&f, answer ? DB : WEB, answer ? WEB : DB, 1, 8);
    frame_put16(&f, type << 8);
    frame_put16(&f, 0);
    frame_put32(&f, id << 16 | 1);
    return pass(frame_parse(&f, answer ? &frame_peer : &frame_vif), answer ? &frame_vif : &frame_peer);
}

START_TEST(echo_and_its_answer)
{
    open_table(64);
    ck_assert_uint_eq(icmp(true, 0, 9), VFR_STATE_INVALID);
    ck_assert_uint_eq(icmp(false, 8, 9), VFR_STATE_NEW);
    ck_assert_uint_eq(the_flow().source_port, 9);
    ck_assert_uint_eq(icmp(true, 0, 8), VFR_STATE_INVALID);
    ck_assert_uint_eq(icmp(true, 14, 9), VFR_STATE_INVALID);
    ck_assert_uint_eq(icmp(true, 0, 9), VFR_STATE_ESTABLISHED);
    ck_assert_uint_eq(icmp(false, 99, 9), VFR_STATE_INVALID);
    close_table();
}
END_TEST

/* An error from a router in between, about a UDP packet. */
static unsigned int report_to(uint32_t to, uint32_t source, unsigned int port)
{
    frame_ethernet(&f, frame_other_mac, 0x0800);
    frame_ipv4(&f, 0x01020304, to, 1, 8 + 28);
    frame_put32(&f, 0x03010000);
    frame_put32(&f, 0);
    frame_ipv4(&f, source, DB, 17, 8);
    frame_put16(&f, port);
    frame_put32(&f, 53u << 16 | 8);
    frame_put16(&f, 0);
    return pass(frame_parse(&f, &frame_peer), &frame_vif);
}

/* Told to WEB. */
static unsigned int report(uint32_t source, unsigned int port)
{
    return report_to(WEB, source, port);
}

START_TEST(errors_are_related_to_what_they_quote)
{
    open_table(64);
    ck_assert_uint_eq(report(WEB, 7), VFR_STATE_INVALID);
    udp(false, 7);
    ck_assert_uint_eq(report(WEB, 7), VFR_STATE_RELATED);
    ck_assert_uint_eq(report(WEB, 8), VFR_STATE_INVALID);
    ck_assert_uint_eq(report(DB, 7), VFR_STATE_INVALID);
    ck_assert_uint_eq(report_to(WEB + 1, WEB, 7), VFR_STATE_INVALID); /* of a flow, but to another than who sent the packet */
    report(WEB, 7);
    for (uint32_t count = 34; count < 70; count++) {
        f.count = count;
        ck_assert_uint_eq(pass(frame_parse(&f, &frame_peer), &frame_vif), VFR_STATE_INVALID);
    }
    close_table();
}
END_TEST

static unsigned int piece(unsigned int id, unsigned int offset, bool more)
{
    frame_ethernet(&f, frame_mac, 0x0800);
    frame_ipv4(&f, WEB, DB, 17, 8 + 16);
    f.bytes[14 + 5] = (uint8_t)id;
    f.bytes[14 + 6] = more ? 0x20 : 0;
    f.bytes[14 + 7] = (uint8_t)(offset / 8);
    frame_udp(&f, 7, 53, 16);
    return pass(frame_parse(&f, &frame_vif), &frame_peer);
}

START_TEST(later_pieces_are_what_their_first_one_was)
{
    open_table(64);
    ck_assert_uint_eq(piece(1, 24, false), VFR_STATE_INVALID);
    ck_assert_uint_eq(piece(1, 0, true), VFR_STATE_NEW);
    ck_assert_uint_eq(piece(1, 24, false), VFR_STATE_NEW);
    ck_assert_uint_eq(piece(2, 24, false), VFR_STATE_INVALID);
    udp(true, 7);
    ck_assert_uint_eq(piece(2, 0, true), VFR_STATE_ESTABLISHED);
    ck_assert_uint_eq(piece(2, 24, false), VFR_STATE_ESTABLISHED);
    now += 6 * SECOND;
    ck_assert_uint_eq(piece(2, 24, false), VFR_STATE_INVALID);
    close_table();
}
END_TEST

START_TEST(ipv6_and_what_is_not_tracked)
{
    static const uint8_t a[16] = { 0xfe, 0xc0, [15] = 1 }, b[16] = { 0xfe, 0xc0, [15] = 2 };

    open_table(64);
    frame_ethernet(&f, frame_mac, 0x86dd);
    frame_ipv6(&f, a, b, 17, 8);
    frame_udp(&f, 7, 53, 0);
    ck_assert_uint_eq(pass(frame_parse(&f, &frame_vif), &frame_peer), VFR_STATE_NEW);
    frame_ethernet(&f, frame_other_mac, 0x86dd);
    frame_ipv6(&f, b, a, 17, 8);
    frame_udp(&f, 53, 7, 0);
    ck_assert_uint_eq(pass(frame_parse(&f, &frame_peer), &frame_vif), VFR_STATE_ESTABLISHED);
    ck_assert_uint_eq(the_flow().family, 6);
    ck_assert_mem_eq(the_flow().source, a, 16);
    frame_ethernet(&f, frame_mac, 0x86dd);
    frame_ipv6(&f, a, b, 58, 24);
    frame_put32(&f, 135u << 24);
    frame_zero(&f, 20);
    ck_assert_uint_eq(pass(frame_parse(&f, &frame_vif), &frame_peer), VFR_STATE_NONE);
    frame_ethernet(&f, frame_mac, 0x0806);
    frame_zero(&f, 28);
    ck_assert_uint_eq(pass(frame_parse(&f, &frame_vif), &frame_peer), VFR_STATE_NONE);
    close_table();
}
END_TEST

static uint32_t flows_of(uint32_t domid)
{
    static struct vfr_flow_info info[512];
    uint64_t cursor = 0;
    uint32_t count = 0;

    while (cursor != ~0ull)
        count += vfr_flows_list(flows, &cursor, domid, info, 512, now);
    return count;
}

START_TEST(a_flood_takes_only_its_own_share)
{
    struct vfr_flows_stats stats;

    open_table(1000);
    /* Domain 5 has 300 open flows; domain 6 floods. */
    for (unsigned int port = 1; port <= 300; port++) {
        udp(false, port);
        udp(true, port);
    }
    for (unsigned int n = 0; n < 100000; n++)
        pass(frame_udp4(&f, &frame_peer, DB + n % 7, 0x01020304, n & 0xffff, n >> 8), &frame_nic);
    ck_assert_uint_eq(flows_of(5), 300);
    ck_assert_uint_eq(flows_of(6), 700);
    /* Domain 5 gets what it asks, up to its half, and no established flow of its own is lost to its own flood. */
    for (unsigned int port = 1001; port <= 1200; port++)
        ck_assert_uint_eq(udp(false, port), VFR_STATE_NEW);
    ck_assert_uint_eq(flows_of(5), 500);
    for (unsigned int n = 0; n < 20000; n++)
        pass(frame_udp4(&f, &frame_vif, WEB, 0x01020304, n & 0xffff, n >> 8), &frame_nic);
    for (unsigned int port = 1; port <= 300; port++)
        ck_assert_uint_eq(udp(false, port), VFR_STATE_ESTABLISHED);
    ck_assert_uint_le(flows_of(5), 510);
    vfr_flows_stats(flows, &stats);
    ck_assert_uint_eq(stats.flows, 1000);
    ck_assert_uint_eq(stats.begun - stats.ended, 1000);
    close_table();
}
END_TEST

START_TEST(a_flood_from_the_wire_is_charged_to_whom_it_enters)
{
    open_table(500);
    connect_tcp();
    for (unsigned int n = 0; n < 50000; n++)
        pass(frame_tcp4(&f, &frame_nic, 0x01000000 + n, WEB, n & 0xffff, 80, n, 0, SYN, 0), &frame_vif);
    ck_assert_uint_eq(tcp(true, 501, 101, ACK), VFR_STATE_ESTABLISHED); /* domain 5's own connection is still there */
    ck_assert_uint_eq(flows_of(5), 500);
    ck_assert_uint_eq(pass(frame_udp4(&f, &frame_peer, DB, 0x01020304, 1, 1), &frame_nic), VFR_STATE_NEW);
    ck_assert_uint_eq(flows_of(6), 1);
    close_table();
}
END_TEST

START_TEST(what_is_over_gives_room)
{
    struct vfr_flows_stats stats;

    open_table(100);
    for (unsigned int port = 1; port <= 100; port++)
        udp(false, port);
    now += 31 * SECOND;
    for (unsigned int port = 1001; port <= 1100; port++)
        udp(false, port);
    ck_assert_uint_eq(flows_of(5), 100);
    vfr_flows_stats(flows, &stats);
    ck_assert_uint_eq(stats.expired, 100);
    ck_assert_uint_eq(stats.refused_full + stats.evicted, 0);
    close_table();
}
END_TEST

START_TEST(a_domain_is_forgotten)
{
    uint64_t cursor = 0;

    open_table(5000);
    for (unsigned int port = 1; port <= 2000; port++) {
        udp(false, port);
        pass(frame_udp4(&f, &frame_peer, DB, 0x01020304, port, 1), &frame_nic);
    }
    while (!vfr_flows_forget(flows, 5, &cursor))
        ;
    ck_assert_uint_eq(flows_of(5), 0);
    ck_assert_uint_eq(flows_of(6), 2000);
    close_table();
}
END_TEST

START_TEST(lack_of_memory_loses_nothing)
{
    for (uint32_t n = 0; n < 20; n++) {
        allocations_left = n;
        if (vfr_flows_create(&flows, 20000, &memory) == 0)
            vfr_flows_destroy(flows);
        ck_assert_uint_eq(allocated, 0);
    }
    allocations_left = ~0u;
    ck_assert_int_eq(vfr_flows_create(&flows, 0, &memory), -EINVAL);
}
END_TEST

static void *worker(void *arg)
{
    struct frame *frame = calloc(1, sizeof(*frame));
    uint32_t x = (uint32_t)(uintptr_t)arg * 7919 + 1;

    for (uint32_t n = 0; n < 60000; n++) {
        bool answer;
        unsigned int port;

        x = x * 1664525 + 1013904223;
        port = x >> 20;
        answer = (x >> 8 & 3) == 0;
        frame_udp4(frame, answer ? &frame_peer : &frame_vif, answer ? DB : WEB, answer ? WEB : DB, answer ? 53 : port, answer ? port : 53);
        frame->packet.to = answer ? &frame_vif : &frame_peer;
        vfr_flows_find(flows, &frame->packet, 0, now + n);
        if ((x >> 12 & 7) == 0)
            vfr_flows_refuse(flows, &frame->packet);
        else
            vfr_flows_keep(flows, &frame->packet, 0, now + n);
    }
    free(frame);
    return NULL;
}

START_TEST(several_threads_leave_it_whole)
{
    struct vfr_flows_stats stats;
    pthread_t threads[4];
    uint64_t cursor = 0;

    open_table(700);
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, worker, (void *)i);
    for (uint32_t n = 0; n < 50; n++) {
        flows_of(5);
        cursor = 0;
        vfr_flows_forget(flows, 6, &cursor);
    }
    for (uintptr_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    vfr_flows_stats(flows, &stats);
    ck_assert_uint_eq(stats.begun - stats.ended, stats.flows);
    ck_assert_uint_eq(flows_of(~0u), stats.flows);
    for (uint32_t domid = 5; domid <= 6; domid++) {
        cursor = 0;
        while (!vfr_flows_forget(flows, domid, &cursor))
            ;
    }
    vfr_flows_stats(flows, &stats);
    ck_assert_uint_eq(stats.flows, 0);
    close_table();
}
END_TEST

Suite *suite_flows(void);
Suite *suite_flows(void)
{
    Suite *suite = suite_create("flows");
    TCase *tests = tcase_create("flows");

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, tcp_opens_and_closes);
    tcase_add_test(tests, tcp_strangers_neither_open_nor_close);
    tcase_add_test(tests, tcp_beginnings);
    tcase_add_test(tests, udp_is_established_by_its_answer);
    tcase_add_test(tests, refused_packets_leave_no_trace);
    tcase_add_test(tests, segments_are_worlds_of_their_own);
    tcase_add_test(tests, echo_and_its_answer);
    tcase_add_test(tests, errors_are_related_to_what_they_quote);
    tcase_add_test(tests, later_pieces_are_what_their_first_one_was);
    tcase_add_test(tests, ipv6_and_what_is_not_tracked);
    tcase_add_test(tests, a_flood_takes_only_its_own_share);
    tcase_add_test(tests, a_flood_from_the_wire_is_charged_to_whom_it_enters);
    tcase_add_test(tests, what_is_over_gives_room);
    tcase_add_test(tests, a_domain_is_forgotten);
    tcase_add_test(tests, lack_of_memory_loses_nothing);
    tcase_add_test(tests, several_threads_leave_it_whole);
    return suite;
}
