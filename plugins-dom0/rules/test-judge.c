// SPDX-License-Identifier: MIT
/*
 * Packets in words, and judging by a set on this machine: both evaluators agree, time and connections go on from packet to packet.
 */
#include "judge.h"

#include <check.h>
#include <string.h>

static struct rules_compiled set;
static struct rules_judge *judge;

static void load(const char *text)
{
    struct rules_input input = { .path = "t", .text = text, .text_bytes = strlen(text) };
    char error[256];

    rules_judge_destroy(judge);
    judge = NULL;
    rules_compiled_free(&set);
    ck_assert_int_eq(rules_compile(&input, 1, NULL, &set), 0);
    ck_assert_int_eq(rules_judge_create(&judge, set.bytes, set.size, error), 0);
}

static void teardown(void)
{
    rules_judge_destroy(judge);
    judge = NULL;
    rules_compiled_free(&set);
}

/* Which rule decides: its index, -1 the policy. */
static int decides(const char *words)
{
    struct rules_worded w;
    struct rules_answer fast, slow;

    ck_assert_msg(rules_packet_in_words(words, &w) == 0, "%s: %s", words, w.error);
    rules_judge_frame(judge, &w.frame, &fast);
    w.frame.linear = true;
    rules_judge_frame(judge, &w.frame, &slow);
    ck_assert_uint_eq(fast.steps[0].verdict.rule, slow.steps[0].verdict.rule);
    return fast.steps[0].verdict.rule == VFR_NO_RULE ? -1 : (int)fast.steps[0].verdict.rule;
}

START_TEST(words_become_packets)
{
    static const struct {
        const char *words, *back;
    } cases[] = {
        { "tcp from 10.0.2.16 port 4000 to 10.0.2.17 port ssh flags SA in on web.0", "tcp 10.0.2.16.4000 > 10.0.2.17.22 flags SA" },
        { "udp from fec0::16 to fec0::3 port dns out on web", "udp fec0::16.40000 > fec0::3.53" },
        { "icmp from 10.0.2.16 type echo-reply", "icmp 10.0.2.16 > 198.51.100.1 type 0 code 0" },
        { "icmp6 type 135", "icmp6 2001:db8::1 > 2001:db8::2 type 135 code 0" },
        { "arp from 10.0.2.16 to 10.0.2.2 out on web.0", "arp 10.0.2.16 > 10.0.2.2" },
        { "tcp fragment to 10.0.2.17", "tcp 192.0.2.1 > 10.0.2.17 fragment" },
        { "udp fragment ip6", "udp 2001:db8::1 > 2001:db8::2 fragment" },
        { "gre to 10.0.2.17 vlan 5", "gre 192.0.2.1 > 10.0.2.17" },
    };

    load("accept");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rules_worded w;
        struct rules_answer a;
        char back[256];

        ck_assert_msg(rules_packet_in_words(cases[i].words, &w) == 0, "%s", w.error);
        rules_judge_frame(judge, &w.frame, &a);
        ck_assert_str_eq(rules_packet_to_words(&a.packet, back, sizeof(back)), cases[i].back);
        ck_assert_uint_eq(a.packet.faults, 0);
    }
}
END_TEST

START_TEST(wrong_words_are_told)
{
    static const char *const wrong[][2] = { { "tpc from 10.0.2.16", "tcp" }, { "tcp from 10.0.2", "address" }, { "tcp port", "a value" }, { "tcp port 70000", "port" }, { "tcp state newish", "new" }, { "tcp from 10.0.0.1 to fec0::1", "IPv4 and IPv6" } };
    struct rules_worded w;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_int_ne(rules_packet_in_words(wrong[i][0], &w), 0);
        ck_assert_msg(strstr(w.error, wrong[i][1]) != NULL, "%s: %s", wrong[i][0], w.error);
    }
}
END_TEST

START_TEST(rules_decide_in_their_order)
{
    load("group dmz { web, db }\nset inside { 10.0.2.0/24, fec0::/64 }\n"
         "drop in on dmz proto tcp port 22 from !inside\n"  /* 0 */
         "accept in on web proto tcp port { 80, 443 }\n"    /* 1 */
         "accept state established\n"                        /* 2 */
         "reject out on 'db*' to !inside\n"                  /* 3 */
         "drop match 'udp and dst port 53'\n"                /* 4 */
         "accept arp from 10.0.2.16\n"                       /* 5 */
         "policy in drop\n");
    ck_assert_int_eq(decides("tcp from 1.2.3.4 to 10.0.2.16 port 22 in on web.0"), 0);
    ck_assert_int_eq(decides("tcp from 2001:db8::5 to fec0::16 port 22 in on web.0"), 0);
    ck_assert_int_eq(decides("tcp from 10.0.2.17 to 10.0.2.16 port 22 in on web.0"), -1);
    ck_assert_int_eq(decides("tcp from 1.2.3.4 to 10.0.2.16 port 443 in on web.1"), 1);
    ck_assert_int_eq(decides("tcp from 1.2.3.4 to 10.0.2.16 port 443 in on webster.0"), -1);
    ck_assert_int_eq(decides("tcp to 10.0.2.16 port 9 state established in on db.0"), 2);
    ck_assert_int_eq(decides("tcp from 10.0.2.17 to 1.1.1.1 port 9 out on db.0"), 3);
    ck_assert_int_eq(decides("udp from 10.0.2.17 to 10.0.2.3 port 53 out on db.0"), 4);
    ck_assert_int_eq(decides("arp from 10.0.2.16 to 10.0.2.2 out on web.0"), 5);
    ck_assert_int_eq(decides("arp from 10.0.2.15 to 10.0.2.2 out on web.0"), -1);
}
END_TEST

START_TEST(counting_rules_are_passed)
{
    struct rules_worded w;
    struct rules_answer a;

    load("count on web\ncount on db\nlog in on web\ndrop port 22\n");
    ck_assert_int_eq(rules_packet_in_words("tcp to 10.0.2.16 port 22 in on web.0", &w), 0);
    rules_judge_frame(judge, &w.frame, &a);
    ck_assert(!a.accepted);
    ck_assert_uint_eq(a.steps[0].verdict.rule, 3);
    ck_assert(a.steps[0].verdict.log);
    ck_assert_uint_eq(a.steps[0].passed_count, 2);
    ck_assert_uint_eq(a.steps[0].passed[1], 2);
    ck_assert_uint_eq(rules_judge_count(judge, 0).packets, 1);
    ck_assert_uint_eq(rules_judge_count(judge, 1).packets, 0);
    ck_assert_uint_eq(rules_judge_count(judge, VFR_NO_RULE).packets, 0);
}
END_TEST

START_TEST(time_is_the_packets)
{
    struct rules_worded w;
    struct rules_answer a;
    unsigned int accepted = 0;

    load("accept limit 10/s burst 5\ndrop\n");
    ck_assert_int_eq(rules_packet_in_words("udp to 10.0.2.16 port 9 in on web.0", &w), 0);
    for (unsigned int i = 0; i < 200; i++) {
        w.frame.ns = 1000000000ull + i * 10000000ull; /* 100 a second */
        rules_judge_frame(judge, &w.frame, &a);
        accepted += a.accepted;
    }
    ck_assert_uint_ge(accepted, 20);
    ck_assert_uint_le(accepted, 26);
}
END_TEST

START_TEST(answers_belong_to_the_connection)
{
    struct rules_worded out, back, other;
    struct rules_answer a;

    load("accept out on web state new\naccept state established\npolicy drop\n");
    ck_assert_int_eq(rules_packet_in_words("udp from 10.0.2.16 port 5000 to 1.1.1.1 port 53 out on web.0", &out), 0);
    ck_assert_int_eq(rules_packet_in_words("udp from 1.1.1.1 port 53 to 10.0.2.16 port 5000 in on web.0", &back), 0);
    ck_assert_int_eq(rules_packet_in_words("udp from 1.1.1.2 port 53 to 10.0.2.16 port 5000 in on web.0", &other), 0);
    rules_judge_frame(judge, &back.frame, &a);
    ck_assert(!a.accepted);
    rules_judge_frame(judge, &out.frame, &a);
    ck_assert(a.accepted);
    rules_judge_frame(judge, &back.frame, &a);
    ck_assert(a.accepted);
    ck_assert_uint_eq(a.state, VFR_STATE_ESTABLISHED);
    rules_judge_frame(judge, &other.frame, &a);
    ck_assert(!a.accepted);
}
END_TEST

START_TEST(who_is_not_it_is_told)
{
    struct rules_worded w;
    struct rules_answer a;
    struct vfr_iface web;

    load("accept");
    ck_assert_int_eq(rules_judge_iface(&web, "web.0", "10.0.2.16, 00:16:3e:00:00:01"), 0);
    web.flags = 0;
    ck_assert_int_eq(rules_packet_in_words("udp from 10.0.2.17 to 1.1.1.1 out on web.0", &w), 0);
    w.frame.from = &web;
    rules_judge_frame(judge, &w.frame, &a);
    ck_assert_ptr_nonnull(a.spoofed);
    ck_assert(!a.accepted);
    ck_assert_int_eq(rules_packet_in_words("udp from 10.0.2.16 to 1.1.1.1 out on web.0", &w), 0);
    w.frame.from = &web;
    rules_judge_frame(judge, &w.frame, &a);
    ck_assert_ptr_null(a.spoofed);
    ck_assert(a.accepted);
    ck_assert_int_ne(rules_judge_iface(&web, "web.0", "10.0.2.300"), 0);
}
END_TEST

Suite *suite_judge(void)
{
    Suite *suite = suite_create("judge");
    TCase *c = tcase_create("judge");

    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_add_test(c, words_become_packets);
    tcase_add_test(c, wrong_words_are_told);
    tcase_add_test(c, rules_decide_in_their_order);
    tcase_add_test(c, counting_rules_are_passed);
    tcase_add_test(c, time_is_the_packets);
    tcase_add_test(c, answers_belong_to_the_connection);
    tcase_add_test(c, who_is_not_it_is_told);
    suite_add_tcase(suite, c);
    return suite;
}
