// SPDX-License-Identifier: MIT
/* Answers to rejected packets: numbers, sums, and when there is none. */
// needs: reject.c packet.c
#include "test-frame.h"

#include <check.h>

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
#define US   0x0a000210u
#define THEM 0x0a000202u
static const uint8_t us6[16] = { 0xfe, 0xc0, [15] = 0x16 }, them6[16] = { 0xfe, 0xc0, [15] = 2 };
static struct frame f, answer;

static uint32_t reject(enum vfr_reject kind)
{
    memset(&answer, 0, sizeof(answer));
    answer.count = vfr_reject_make(&f.packet, kind, answer.bytes);
    if (answer.count != 0)
        frame_parse(&answer, &frame_peer);
    return answer.count;
}

/* The sum over what has been summed is zero. */
static bool sums_right(void)
{
    const struct vfr_packet *p = &answer.packet;
    uint32_t l4_bytes = answer.count - p->l4, sum = 0;

    if (p->family == 4 && vfr_sum_end(vfr_sum(answer.bytes + p->l3, 20, 0)) != 0)
        return false;
    if (p->protocol != 1)
        sum = vfr_sum_pseudo(p, l4_bytes);
    return vfr_sum_end(vfr_sum(answer.bytes + p->l4, l4_bytes, sum)) == 0 && p->faults == 0;
}

static uint32_t word(uint32_t offset)
{
    uint32_t v;

    memcpy(&v, answer.bytes + answer.packet.l4 + offset, 4);
    return __builtin_bswap32(v);
}

START_TEST(syn_is_reset_with_its_number)
{
    frame_tcp4(&f, &frame_vif, US, THEM, 1000, 80, 0xfffffff0, 0, SYN, 40);
    ck_assert_uint_eq(reject(VFR_REJECT_AUTO), 54);
    ck_assert(sums_right());
    ck_assert_uint_eq(answer.packet.tcp_flags, RST | ACK);
    ck_assert_uint_eq(word(4), 0);
    ck_assert_uint_eq(word(8), 0xfffffff0 + 41);
    ck_assert_uint_eq(answer.packet.source_port, 80);
    ck_assert_uint_eq(answer.packet.target_port, 1000);
    ck_assert_mem_eq(answer.bytes, frame_mac, 6);
    ck_assert_mem_eq(answer.bytes + 6, frame_other_mac, 6);
    ck_assert_mem_eq(answer.packet.source, f.packet.target, 4);
}
END_TEST

START_TEST(ack_is_reset_with_what_it_acknowledges)
{
    frame_tcp4(&f, &frame_vif, US, THEM, 1000, 80, 5, 0x12345678, ACK, 1);
    ck_assert_uint_eq(reject(VFR_REJECT_RESET), 54);
    ck_assert(sums_right());
    ck_assert_uint_eq(answer.packet.tcp_flags, RST);
    ck_assert_uint_eq(word(4), 0x12345678);
    frame_tcp4(&f, &frame_vif, US, THEM, 1000, 80, 5, 0, RST, 0);
    ck_assert_uint_eq(reject(VFR_REJECT_AUTO), 0);
}
END_TEST

START_TEST(udp_is_unreachable)
{
    static const uint8_t codes[] = { [VFR_REJECT_AUTO] = 3, [VFR_REJECT_RESET] = 3, [VFR_REJECT_PORT] = 3, [VFR_REJECT_HOST] = 1, [VFR_REJECT_ADMIN] = 13 };

    frame_udp4(&f, &frame_vif, US, THEM, 1000, 53);
    for (unsigned int kind = VFR_REJECT_AUTO; kind <= VFR_REJECT_ADMIN; kind++) {
        ck_assert_uint_eq(reject(kind), 14 + 20 + 8 + 38);
        ck_assert(sums_right());
        ck_assert_uint_eq(answer.packet.icmp_type, 3);
        ck_assert_uint_eq(answer.packet.icmp_code, codes[kind]);
        ck_assert_mem_eq(answer.bytes + 42, f.bytes + 14, 38);
    }
}
END_TEST

START_TEST(ipv6_has_its_own_numbers)
{
    static const uint8_t codes[] = { [VFR_REJECT_AUTO] = 4, [VFR_REJECT_RESET] = 4, [VFR_REJECT_PORT] = 4, [VFR_REJECT_HOST] = 3, [VFR_REJECT_ADMIN] = 1 };

    frame_ethernet(&f, frame_mac, 0x8100);
    frame_put16(&f, 7);
    frame_put16(&f, 0x86dd);
    frame_ipv6(&f, us6, them6, 17, 8 + 400);
    frame_udp(&f, 1000, 53, 400);
    frame_parse(&f, &frame_vif);
    for (unsigned int kind = VFR_REJECT_AUTO; kind <= VFR_REJECT_ADMIN; kind++) {
        ck_assert_uint_eq(reject(kind), 18 + 40 + 8 + (256 - 18)); /* what was seen of it */
        ck_assert(sums_right());
        ck_assert_uint_eq(answer.packet.vlan, 7);
        ck_assert_uint_eq(answer.packet.icmp_type, 1);
        ck_assert_uint_eq(answer.packet.icmp_code, codes[kind]);
    }
    frame_ethernet(&f, frame_mac, 0x86dd);
    frame_ipv6(&f, us6, them6, 6, 20);
    frame_tcp(&f, 1000, 80, 77, 0, SYN, 0);
    frame_parse(&f, &frame_vif);
    ck_assert_uint_eq(reject(VFR_REJECT_AUTO), 14 + 40 + 20);
    ck_assert(sums_right());
    ck_assert_uint_eq(word(8), 78);
}
END_TEST

START_TEST(no_answer_to_what_is_none_of_a_single_question)
{
    frame_udp4(&f, &frame_vif, US, 0xe0000001, 1000, 53);
    ck_assert_uint_eq(reject(VFR_REJECT_AUTO), 0);
    frame_udp4(&f, &frame_vif, US, 0xffffffff, 1000, 53);
    ck_assert_uint_eq(reject(VFR_REJECT_AUTO), 0);
    frame_udp4(&f, &frame_vif, 0, THEM, 1000, 53);
    ck_assert_uint_eq(reject(VFR_REJECT_AUTO), 0);
    frame_udp4(&f, &frame_vif, US, THEM, 1000, 53);
    f.bytes[0] = 0xff;
    ck_assert_uint_eq(reject(VFR_REJECT_AUTO), 0);
    frame_udp4(&f, &frame_vif, US, THEM, 1000, 53);
    f.bytes[14 + 7] = 8; /* a later piece */
    frame_parse(&f, &frame_vif);
    ck_assert_uint_eq(reject(VFR_REJECT_AUTO), 0);
    frame_ethernet(&f, frame_mac, 0x0806);
    frame_zero(&f, 28);
    frame_parse(&f, &frame_vif);
    ck_assert_uint_eq(reject(VFR_REJECT_AUTO), 0);
}
END_TEST

START_TEST(icmp_is_answered_only_if_it_asks)
{
    for (unsigned int type = 0; type < 256; type++) {
        bool asks = type == 8 || type == 13 || type == 15 || type == 17;

        frame_ethernet(&f, frame_mac, 0x0800);
        frame_ipv4(&f, US, THEM, 1, 8);
        frame_put8(&f, type);
        frame_zero(&f, 7);
        frame_parse(&f, &frame_vif);
        ck_assert_int_eq(reject(VFR_REJECT_ADMIN) != 0, asks);
        frame_ethernet(&f, frame_mac, 0x86dd);
        frame_ipv6(&f, us6, them6, 58, 8);
        frame_put8(&f, type);
        frame_zero(&f, 7);
        frame_parse(&f, &frame_vif);
        ck_assert_int_eq(reject(VFR_REJECT_ADMIN) != 0, type == 128);
    }
}
END_TEST

/* Each answer fits, is never answered itself by mistake (a reset, an error), and its own lengths are right, whatever the packet. */
START_TEST(noise_makes_only_right_answers)
{
    uint32_t seed = 12345, made = 0;

    for (uint32_t n = 0; n < 200000; n++) {
        frame_tcp4(&f, &frame_vif, US, THEM, 1000, 80, 5, 6, SYN, n % 100);
        for (uint32_t i = 0; i < 3; i++) {
            seed = seed * 1664525 + 1013904223;
            f.bytes[12 + (seed >> 8) % 50] = (uint8_t)(seed >> 24);
        }
        frame_parse(&f, &frame_vif);
        if (reject(n % 5) == 0)
            continue;
        made++;
        ck_assert_uint_le(answer.count, VFR_REJECT_BYTES);
        if (!sums_right() && (answer.packet.faults & ~VFR_FAULT_ADDRESS) != 0)
            ck_abort_msg("run %u: faults %x", n, answer.packet.faults);
        f = answer;
        f.packet.header = f.bytes;
        f.packet.from = &frame_peer;
        ck_assert_uint_eq(reject(VFR_REJECT_AUTO), 0);
    }
    ck_assert_uint_gt(made, 1000);
}
END_TEST

Suite *suite_reject(void);
Suite *suite_reject(void)
{
    Suite *suite = suite_create("reject");
    TCase *tests = tcase_create("reject");

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, syn_is_reset_with_its_number);
    tcase_add_test(tests, ack_is_reset_with_what_it_acknowledges);
    tcase_add_test(tests, udp_is_unreachable);
    tcase_add_test(tests, ipv6_has_its_own_numbers);
    tcase_add_test(tests, no_answer_to_what_is_none_of_a_single_question);
    tcase_add_test(tests, icmp_is_answered_only_if_it_asks);
    tcase_add_test(tests, noise_makes_only_right_answers);
    return suite;
}
