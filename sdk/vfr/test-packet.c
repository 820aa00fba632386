// SPDX-License-Identifier: MIT
/* Reading headers: what is told of right packets, and which fault of wrong ones. Sums of RFC 1071. */
// needs: packet.c
#include <vfr/packet.h>

#include <check.h>
#include <stdio.h>
#include <string.h>

static uint8_t frame[VFR_HEADER_MAX];
static struct vfr_packet p;

/* Hex digits, spaces between. */
static uint32_t put(uint32_t at, const char *hex)
{
    for (; *hex != '\0'; hex++) {
        unsigned int v;

        if (*hex == ' ')
            continue;
        ck_assert_int_eq(sscanf(hex, "%2x", &v), 1);
        frame[at++] = (uint8_t)v;
        hex++;
    }
    return at;
}

static void parse_of(uint32_t header_bytes, uint32_t bytes)
{
    memset(&p, 0xff, sizeof(p));
    p.header = frame;
    p.header_bytes = header_bytes;
    p.bytes = bytes;
    p.segment_bytes = 0;
    vfr_parse(&p);
}

static void parse(const char *ethertype, const char *rest)
{
    uint32_t bytes;

    memset(frame, 0, sizeof(frame));
    bytes = put(put(put(0, "02 00 00 00 00 01  02 00 00 00 00 02"), ethertype), rest);
    parse_of(bytes, bytes);
}

#define IP4(total, fragment, protocol) "45 00 " total " 00 01 " fragment " 40 " protocol " 00 00  0a 00 02 0f  0a 00 02 02 "
#define IP6(payload, next) "60 00 00 00 " payload " " next " 40  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01  20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 02 "
#define TCP_SYN "04 d2 00 50 00 00 00 01 00 00 00 00 50 02 ff ff 00 00 00 00 "
#define UDP(bytes) "04 d2 00 35 " bytes " 00 00 "

START_TEST(tcp_over_ipv4)
{
    parse("08 00", IP4("00 28", "40 00", "06") TCP_SYN);
    ck_assert_uint_eq(p.faults, 0);
    ck_assert_uint_eq(p.family, 4);
    ck_assert_uint_eq(p.protocol, 6);
    ck_assert_uint_eq(p.ethertype, 0x0800);
    ck_assert_uint_eq(p.vlan, 0xffff);
    ck_assert_uint_eq(p.l3, 14);
    ck_assert_uint_eq(p.l4, 34);
    ck_assert_uint_eq(p.payload, 54);
    ck_assert_uint_eq(p.source_port, 1234);
    ck_assert_uint_eq(p.target_port, 80);
    ck_assert_uint_eq(p.tcp_flags, 2);
    ck_assert_mem_eq(p.source, "\x0a\x00\x02\x0f", 4);
    ck_assert_mem_eq(p.target, "\x0a\x00\x02\x02", 4);
}
END_TEST

START_TEST(udp_over_ipv6_behind_two_tags_and_options)
{
    parse("88 a8 00 07 81 00 00 08 86 dd", IP6("00 10", "3c") "11 00 01 04 00 00 00 00 " UDP("00 08"));
    ck_assert_uint_eq(p.faults, 0);
    ck_assert_uint_eq(p.vlan, 7);
    ck_assert_uint_eq(p.family, 6);
    ck_assert_uint_eq(p.protocol, 17);
    ck_assert_uint_eq(p.l3, 22);
    ck_assert_uint_eq(p.l4, 70);
    ck_assert_uint_eq(p.target_port, 53);
}
END_TEST

START_TEST(more_tags_than_are_followed_are_a_fault)
{
    parse("81 00 00 00 81 00 00 00 81 00 00 00 08 00", IP4("00 1c", "00 00", "01") "08 01 00 00 00 01 00 02");
    ck_assert_uint_eq(p.family, 0);
    ck_assert_uint_eq(p.ethertype, 0x8100);
    ck_assert_uint_eq(p.faults, VFR_FAULT_OPTIONS);
}
END_TEST

START_TEST(icmp_and_arp)
{
    parse("08 00", IP4("00 1c", "00 00", "01") "08 01 00 00 00 01 00 02");
    ck_assert_uint_eq(p.faults, 0);
    ck_assert_uint_eq(p.icmp_type, 8);
    ck_assert_uint_eq(p.icmp_code, 1);
    ck_assert_uint_eq(p.source_port, 0);
    parse("08 06", "00 01 08 00 06 04 00 01 02 00 00 00 00 02 0a 00 02 10 00 00 00 00 00 00 0a 00 02 02");
    ck_assert_uint_eq(p.faults, 0);
    ck_assert_uint_eq(p.family, 0);
    ck_assert_mem_eq(p.source, "\x0a\x00\x02\x10", 4);
    ck_assert_mem_eq(p.target, "\x0a\x00\x02\x02", 4);
    parse("08 06", "00 01 08 00 06 06 00 01 02 00 00 00 00 02 0a 00 02 10 00 00 00 00 00 00 0a 00 02 02");
    ck_assert_uint_eq(p.faults, VFR_FAULT_LENGTH);
}
END_TEST

START_TEST(fragments)
{
    parse("08 00", IP4("00 24", "20 00", "11") UDP("20 00") "00 00 00 00 00 00 00 00");
    ck_assert_uint_eq(p.faults, 0);
    ck_assert(p.more_fragments && !p.fragment);
    ck_assert_uint_eq(p.target_port, 53);
    parse("08 00", IP4("00 24", "00 08", "11") UDP("20 00") "00 00 00 00 00 00 00 00");
    ck_assert_uint_eq(p.faults, 0);
    ck_assert(p.fragment);
    ck_assert_uint_eq(p.l4, 0);
    ck_assert_uint_eq(p.target_port, 0);
    parse("08 00", IP4("00 24", "00 01", "06") UDP("20 00") "00 00 00 00 00 00 00 00"); /* over the flags of the first */
    ck_assert_uint_eq(p.faults, VFR_FAULT_FRAGMENT);
    parse("08 00", IP4("00 1c", "20 00", "06") "04 d2 00 50 00 00 00 01"); /* too tiny for a TCP header */
    ck_assert_uint_eq(p.faults, VFR_FAULT_FRAGMENT);
    ck_assert_uint_eq(p.l4, 0);
    parse("08 00", IP4("00 24", "1f ff", "11") UDP("20 00") "00 00 00 00 00 00 00 00"); /* ends behind 65535 */
    ck_assert_uint_eq(p.faults, VFR_FAULT_FRAGMENT);
    parse("86 dd", IP6("00 10", "2c") "11 00 00 09 00 00 00 01 00 00 00 00 00 00 00 00"); /* an offset of one piece, more to come */
    ck_assert_uint_eq(p.faults, VFR_FAULT_FRAGMENT);
    ck_assert_uint_eq(p.protocol, 17);
    ck_assert(p.fragment);
    parse("86 dd", IP6("00 18", "2c") "2c 00 00 01 00 00 00 01  11 00 00 01 00 00 00 01 " UDP("00 08")); /* a fragment in a fragment */
    ck_assert_uint_eq(p.faults & VFR_FAULT_OPTIONS, VFR_FAULT_OPTIONS);
}
END_TEST

START_TEST(wrong_lengths)
{
    parse("08 00", IP4("00 29", "00 00", "06") TCP_SYN);
    ck_assert_uint_eq(p.faults, VFR_FAULT_LENGTH);
    parse("08 00", IP4("00 13", "00 00", "06") TCP_SYN);
    ck_assert_uint_eq(p.faults, VFR_FAULT_LENGTH);
    ck_assert_uint_eq(p.l4, 0);
    parse("08 00", IP4("00 27", "00 00", "06") TCP_SYN); /* the TCP header ends behind the datagram */
    ck_assert_uint_eq(p.faults, VFR_FAULT_LENGTH);
    ck_assert_uint_eq(p.l4, 0);
    parse("08 00", IP4("00 1c", "00 00", "11") UDP("00 09"));
    ck_assert_uint_eq(p.faults, VFR_FAULT_LENGTH);
    parse("08 00", "44 00 00 28");
    ck_assert_uint_eq(p.faults, VFR_FAULT_SHORT);
    parse("86 dd", IP6("00 00", "11") UDP("00 08")); /* a jumbogram, it claims */
    ck_assert_uint_eq(p.faults, VFR_FAULT_LENGTH);
    parse("86 dd", "60 00 00 00 00 08 11");
    ck_assert_uint_eq(p.faults, VFR_FAULT_SHORT);
    ck_assert_uint_eq(p.family, 0);
    parse_of(13, 13);
    ck_assert_uint_eq(p.faults, VFR_FAULT_SHORT);
}
END_TEST

START_TEST(bombs_of_options)
{
    char chain[2000] = IP6("00 58", "00") "3c 00 01 04 00 00 00 00 ";

    for (int i = 0; i < 9; i++)
        strcat(chain, "3c 00 01 04 00 00 00 00 ");
    strcat(chain, UDP("00 08"));
    parse("86 dd", chain);
    ck_assert_uint_eq(p.faults, VFR_FAULT_OPTIONS);
    ck_assert_uint_eq(p.l4, 0);
    parse("08 00", "46 00 00 2c 00 01 00 00 40 06 00 00 0a 00 02 0f 0a 00 02 02 07 05 00 00 " TCP_SYN); /* an option longer than all of them */
    ck_assert_uint_eq(p.faults, VFR_FAULT_OPTIONS);
    ck_assert_uint_eq(p.target_port, 80);
    parse("08 00", IP4("00 2c", "00 00", "06") "04 d2 00 50 00 00 00 01 00 00 00 00 60 02 ff ff 00 00 00 00 02 00 00 00"); /* one of no length */
    ck_assert_uint_eq(p.faults, VFR_FAULT_OPTIONS);
}
END_TEST

START_TEST(flags_and_addresses)
{
    static const uint8_t good[] = {0x02, 0x12, 0x10, 0x18, 0x11, 0x19, 0x04, 0x14, 0x30, 0xc2}, bad[] = {0x00, 0x03, 0x06, 0x05, 0x01, 0x29, 0x3f, 0x08};

    parse("08 00", IP4("00 28", "00 00", "06") TCP_SYN);
    for (size_t i = 0; i < sizeof(good); i++) {
        frame[47] = good[i];
        parse_of(54, 54);
        ck_assert_msg(p.faults == 0, "%x", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad); i++) {
        frame[47] = bad[i];
        parse_of(54, 54);
        ck_assert_msg(p.faults == VFR_FAULT_FLAGS, "%x", bad[i]);
    }
    frame[47] = 2;
    frame[26] = 224;
    parse_of(54, 54);
    ck_assert_uint_eq(p.faults, VFR_FAULT_ADDRESS);
    memcpy(frame + 26, frame + 30, 4); /* to itself */
    parse_of(54, 54);
    ck_assert_uint_eq(p.faults, VFR_FAULT_ADDRESS);
}
END_TEST

START_TEST(copied_in_part)
{
    parse("08 00", IP4("05 dc", "00 00", "06") TCP_SYN);
    parse_of(54, 1514);
    ck_assert_uint_eq(p.faults, 0);
    parse_of(50, 1514);
    ck_assert_uint_eq(p.faults, VFR_FAULT_SHORT);
    ck_assert_uint_eq(p.l4, 0);
}
END_TEST

START_TEST(sums)
{
    static const uint8_t rfc[8] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}; /* RFC 1071's example: ddf2 */
    uint8_t bytes[100], stored[2];
    uint16_t end = vfr_sum_end(vfr_sum(rfc, 8, 0));

    memcpy(stored, &end, 2);
    ck_assert_uint_eq(stored[0] << 8 | stored[1], 0xffff & ~0xddf2);
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37 + 200);
    for (uint32_t n = 0; n <= sizeof(bytes); n++) {
        uint32_t slow = 0, whole = vfr_sum(bytes, n, 0);

        for (uint32_t i = 0; i < n; i++)
            slow += (uint32_t)bytes[i] << (i % 2 * 8);
        ck_assert_uint_eq(vfr_sum_end(whole), vfr_sum_end((slow >> 16) + (slow & 0xffff)));
        ck_assert_uint_eq(vfr_sum_end(vfr_sum(bytes + n / 4 * 2, n - n / 4 * 2, vfr_sum(bytes, n / 4 * 2, 0))), vfr_sum_end(whole)); /* in two parts */
    }
    /* A UDP packet whose sum is in place sums up to nothing. */
    parse("08 00", IP4("00 1c", "00 00", "11") UDP("00 08"));
    end = vfr_sum_end(vfr_sum(frame + 34, 8, vfr_sum_pseudo(&p, 8)));
    memcpy(frame + 40, &end, 2);
    ck_assert_uint_eq(vfr_sum_end(vfr_sum(frame + 34, 8, vfr_sum_pseudo(&p, 8))), 0);
    ck_assert_mem_eq(frame + 40, "\xe2\xc6", 2);
}
END_TEST

Suite *suite_packet(void)
{
    Suite *s = suite_create("packet");
    TCase *t = tcase_create("packet");

    tcase_add_test(t, tcp_over_ipv4);
    tcase_add_test(t, udp_over_ipv6_behind_two_tags_and_options);
    tcase_add_test(t, more_tags_than_are_followed_are_a_fault);
    tcase_add_test(t, icmp_and_arp);
    tcase_add_test(t, fragments);
    tcase_add_test(t, wrong_lengths);
    tcase_add_test(t, bombs_of_options);
    tcase_add_test(t, flags_and_addresses);
    tcase_add_test(t, copied_in_part);
    tcase_add_test(t, sums);
    suite_add_tcase(s, t);
    return s;
}
