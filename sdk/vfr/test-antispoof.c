// SPDX-License-Identifier: MIT
/* Frames that claim a foreign source, and those that every stack sends before it has an address. */
// needs: antispoof.c packet.c
#include "test-frame.h"

#include <check.h>
#include <vfr/antispoof.h>

#define OWN   0x0a000210u
#define OTHER 0x0a000211u
static const uint8_t own6[16] = { 0xfe, 0xc0, [15] = 0x16 }, other6[16] = { 0xfe, 0xc0, [15] = 0x17 }, none6[16];
static const uint8_t local6[16] = { 0xfe, 0x80, [8] = 2, 0x16, 0x3e, 0xff, 0xfe, 1, 2, 3 }, other_local6[16] = { 0xfe, 0x80, [8] = 2, 0x16, 0x3e, 0xff, 0xfe, 9, 9, 9 };
static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
static struct frame f;
static struct vfr_iface any_address;

static const char *udp4(const struct vfr_iface *from, uint32_t source)
{
    return vfr_spoof_reason(frame_udp4(&f, from, source, 0x0a000202, 1000, 53));
}

START_TEST(own_mac_and_addresses_pass)
{
    ck_assert_ptr_null(udp4(&frame_vif, OWN));
    ck_assert_ptr_null(udp4(&frame_vif, 0x0a000377)); /* in 10.0.3.0/24 */
    ck_assert_ptr_nonnull(udp4(&frame_vif, OTHER));
    ck_assert_ptr_nonnull(udp4(&frame_vif, 0x0a000477));
    ck_assert_ptr_nonnull(udp4(&frame_vif, 0));
}
END_TEST

START_TEST(foreign_mac_is_refused_whatever_the_addresses)
{
    struct vfr_iface other_vif = frame_vif;

    other_vif.mac[5] = 77;
    ck_assert_ptr_null(udp4(&frame_vif, OWN));
    f.packet.from = &other_vif;
    ck_assert_str_eq(vfr_spoof_reason(&f.packet), "another's MAC");
    other_vif.address_count = 0;
    ck_assert_str_eq(vfr_spoof_reason(&f.packet), "another's MAC");
}
END_TEST

START_TEST(no_address_listed_means_any)
{
    ck_assert_ptr_null(udp4(&any_address, OTHER));
    frame_ethernet(&f, frame_mac, 0x88cc);
    frame_zero(&f, 60);
    ck_assert_ptr_null(vfr_spoof_reason(frame_parse(&f, &any_address)));
    ck_assert_ptr_nonnull(vfr_spoof_reason(frame_parse(&f, &frame_vif)));
}
END_TEST

/* A receiver may follow more tags than we, and learn addresses behind them. */
START_TEST(three_tags_hide_nothing)
{
    static const uint16_t outer[2] = {0x8100, 0x88a8};

    for (unsigned int i = 0; i < 2; i++) {
        frame_ethernet(&f, frame_mac, outer[i]);
        frame_put32(&f, 0x8100);
        frame_put32(&f, outer[1 - i]);
        frame_put32(&f, 0x0806);
        frame_zero(&f, 28);
        ck_assert_str_eq(vfr_spoof_reason(frame_parse(&f, &any_address)), "VLAN tags that cannot be followed");
    }
}
END_TEST

static const char *dhcp(uint32_t target, unsigned int from_port, unsigned int to_port, bool more)
{
    frame_ethernet(&f, frame_mac, 0x0800);
    frame_ipv4(&f, 0, target, 17, 8 + 64);
    if (more)
        f.bytes[14 + 6] = 0x20;
    frame_udp(&f, from_port, to_port, 64);
    return vfr_spoof_reason(frame_parse(&f, &frame_vif));
}

START_TEST(dhcp_may_ask_from_nobody)
{
    ck_assert_ptr_null(dhcp(0xffffffff, 68, 67, false));
    ck_assert_ptr_nonnull(dhcp(0x0a000202, 68, 67, false));
    ck_assert_ptr_nonnull(dhcp(0xffffffff, 68, 53, false));
    ck_assert_ptr_nonnull(dhcp(0xffffffff, 67, 68, false));
    ck_assert_ptr_nonnull(dhcp(0xffffffff, 68, 67, true));
}
END_TEST

static const char *arp(const struct vfr_iface *from, const uint8_t *sender_mac, uint32_t sender, uint32_t target)
{
    frame_ethernet(&f, frame_mac, 0x0806);
    frame_put32(&f, 0x00010800);
    frame_put32(&f, 0x06040001);
    frame_put(&f, sender_mac, 6);
    frame_put32(&f, sender);
    frame_zero(&f, 6);
    frame_put32(&f, target);
    return vfr_spoof_reason(frame_parse(&f, from));
}

START_TEST(arp_tells_only_its_own)
{
    ck_assert_ptr_null(arp(&frame_vif, frame_mac, OWN, OTHER));
    ck_assert_ptr_null(arp(&frame_vif, frame_mac, 0, OWN)); /* a probe (RFC 5227) */
    ck_assert_ptr_nonnull(arp(&frame_vif, frame_mac, OTHER, OWN));
    ck_assert_ptr_nonnull(arp(&frame_vif, frame_other_mac, OWN, OTHER));
    ck_assert_ptr_null(arp(&any_address, frame_mac, OTHER, OWN));
    ck_assert_ptr_nonnull(arp(&any_address, frame_other_mac, OTHER, OWN));
    arp(&frame_vif, frame_mac, OWN, OTHER);
    f.bytes[14 + 4] = 8; /* hardware addresses of another length: the fields lie elsewhere */
    ck_assert_ptr_nonnull(vfr_spoof_reason(frame_parse(&f, &frame_vif)));
    arp(&frame_vif, frame_mac, OWN, OTHER);
    f.count = 30;
    ck_assert_ptr_nonnull(vfr_spoof_reason(frame_parse(&f, &frame_vif)));
}
END_TEST

/* An ICMPv6 message: its header, eight bytes more than the target if there is an option. */
static const char *icmp6(const struct vfr_iface *from, const uint8_t *source, unsigned int type, const uint8_t *target, unsigned int option, const uint8_t *option_mac)
{
    uint32_t carried = 8 + (target != NULL ? 16 : 0) + (option != 0 ? 8 : 0);

    frame_ethernet(&f, frame_mac, 0x86dd);
    frame_ipv6(&f, source, all_nodes, 58, carried);
    frame_put8(&f, type);
    frame_zero(&f, 7);
    if (target != NULL)
        frame_put(&f, target, 16);
    if (option != 0) {
        frame_put8(&f, option);
        frame_put8(&f, 1);
        frame_put(&f, option_mac, 6);
    }
    return vfr_spoof_reason(frame_parse(&f, from));
}

START_TEST(ipv6_sources)
{
    ck_assert_ptr_null(icmp6(&frame_vif, own6, 128, NULL, 0, NULL));
    ck_assert_ptr_null(icmp6(&frame_vif, local6, 128, NULL, 0, NULL));
    ck_assert_ptr_nonnull(icmp6(&frame_vif, other6, 128, NULL, 0, NULL));
    ck_assert_ptr_nonnull(icmp6(&frame_vif, other_local6, 128, NULL, 0, NULL));
    ck_assert_ptr_nonnull(icmp6(&frame_vif, none6, 128, NULL, 0, NULL));
    ck_assert_ptr_null(icmp6(&frame_vif, none6, 143, NULL, 0, NULL));
    ck_assert_ptr_null(icmp6(&any_address, other6, 128, NULL, 0, NULL));
}
END_TEST

START_TEST(prefixes_of_every_length)
{
    uint8_t source[16];

    for (unsigned int bits = 0; bits <= 128; bits++) {
        struct vfr_iface vif = frame_vif;

        vif.addresses[2].bits = (uint8_t)bits;
        for (unsigned int turned = 0; turned < 128; turned++) {
            memcpy(source, own6, 16);
            source[turned / 8] ^= 0x80 >> turned % 8;
            ck_assert_int_eq(icmp6(&vif, source, 128, NULL, 0, NULL) == NULL, turned >= bits);
        }
        if (bits > 32)
            continue;
        vif.addresses[0].bits = (uint8_t)bits;
        vif.addresses[1].bits = 32;
        for (unsigned int turned = 0; turned < 32; turned++)
            ck_assert_int_eq(udp4(&vif, OWN ^ 0x80000000u >> turned) == NULL, turned >= bits);
    }
}
END_TEST

START_TEST(neighbour_discovery_announces_only_its_own)
{
    ck_assert_ptr_null(icmp6(&frame_vif, own6, 135, other6, 1, frame_mac)); /* who has other6? */
    ck_assert_ptr_nonnull(icmp6(&frame_vif, own6, 135, other6, 1, frame_other_mac));
    ck_assert_ptr_null(icmp6(&frame_vif, own6, 136, own6, 2, frame_mac));
    ck_assert_ptr_null(icmp6(&frame_vif, local6, 136, local6, 2, frame_mac));
    ck_assert_ptr_nonnull(icmp6(&frame_vif, own6, 136, other6, 2, frame_mac));
    ck_assert_ptr_nonnull(icmp6(&frame_vif, own6, 136, own6, 2, frame_other_mac));
    ck_assert_ptr_null(icmp6(&frame_vif, none6, 135, own6, 0, NULL)); /* duplicate address detection */
    ck_assert_ptr_nonnull(icmp6(&frame_vif, none6, 135, other6, 0, NULL));
    ck_assert_ptr_nonnull(icmp6(&frame_vif, none6, 135, own6, 1, frame_mac));
    ck_assert_ptr_nonnull(icmp6(&frame_vif, own6, 134, NULL, 0, NULL)); /* no router */
    ck_assert_ptr_nonnull(icmp6(&frame_vif, own6, 137, own6, 0, NULL));
    ck_assert_ptr_null(icmp6(&any_address, own6, 136, other6, 2, frame_mac));
    ck_assert_ptr_nonnull(icmp6(&any_address, own6, 136, other6, 2, frame_other_mac));
}
END_TEST

START_TEST(neighbour_discovery_must_be_readable)
{
    icmp6(&frame_vif, own6, 136, own6, 2, frame_mac);
    f.bytes[f.count - 7] = 0; /* an option without length */
    ck_assert_ptr_nonnull(vfr_spoof_reason(frame_parse(&f, &frame_vif)));
    icmp6(&frame_vif, own6, 136, own6, 2, frame_mac);
    f.bytes[f.count - 7] = 9;
    ck_assert_ptr_nonnull(vfr_spoof_reason(frame_parse(&f, &frame_vif)));
    /* In pieces (RFC 6980), and with its ICMPv6 header in the second one. */
    frame_ethernet(&f, frame_mac, 0x86dd);
    frame_ipv6(&f, own6, all_nodes, 44, 8 + 24);
    frame_put32(&f, 58u << 24 | 1);
    frame_put32(&f, 7);
    frame_put8(&f, 136);
    frame_zero(&f, 7);
    frame_put(&f, own6, 16);
    ck_assert_ptr_nonnull(vfr_spoof_reason(frame_parse(&f, &frame_vif)));
    f.bytes[14 + 40] = 60;
    f.bytes[14 + 48] = 58;
    f.bytes[14 + 49] = 2;
    ck_assert_ptr_nonnull(vfr_spoof_reason(frame_parse(&f, &frame_vif)));
    f.bytes[14 + 40 + 3] = 8 * 8; /* a later piece may be anything */
    ck_assert_ptr_null(vfr_spoof_reason(frame_parse(&f, &frame_vif)));
    /* Behind hop-by-hop options it is found. */
    frame_ethernet(&f, frame_mac, 0x86dd);
    frame_ipv6(&f, own6, all_nodes, 0, 8 + 24);
    frame_put32(&f, 58u << 24 | 0x0104); /* padding of four bytes */
    frame_put32(&f, 0);
    frame_put8(&f, 136);
    frame_zero(&f, 7);
    frame_put(&f, other6, 16);
    ck_assert_ptr_nonnull(vfr_spoof_reason(frame_parse(&f, &frame_vif)));
}
END_TEST

START_TEST(short_frames_are_refused)
{
    udp4(&frame_vif, OWN);
    for (uint32_t count = 0; count < 34; count++) {
        f.count = count;
        ck_assert_ptr_nonnull(vfr_spoof_reason(frame_parse(&f, &frame_vif)));
    }
}
END_TEST

Suite *suite_antispoof(void);
Suite *suite_antispoof(void)
{
    Suite *suite = suite_create("antispoof");
    TCase *tests = tcase_create("antispoof");

    any_address = frame_vif;
    any_address.address_count = 0;
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, own_mac_and_addresses_pass);
    tcase_add_test(tests, foreign_mac_is_refused_whatever_the_addresses);
    tcase_add_test(tests, no_address_listed_means_any);
    tcase_add_test(tests, three_tags_hide_nothing);
    tcase_add_test(tests, dhcp_may_ask_from_nobody);
    tcase_add_test(tests, arp_tells_only_its_own);
    tcase_add_test(tests, ipv6_sources);
    tcase_add_test(tests, prefixes_of_every_length);
    tcase_add_test(tests, neighbour_discovery_announces_only_its_own);
    tcase_add_test(tests, neighbour_discovery_must_be_readable);
    tcase_add_test(tests, short_frames_are_refused);
    return suite;
}
