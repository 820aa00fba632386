// SPDX-License-Identifier: MIT
/*
 * The rule language: what is understood, what is not and how that is told, ids, sets, files, long texts. That a set means what it says is held to nftables by tests/rules/nft-compare.c.
 */
#include "rules.h"

#include <vfr/ruleset.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct rules_compiled set;

static int compile(const char *text)
{
    struct rules_input input = { .path = "t", .text = text, .text_bytes = strlen(text) };

    rules_compiled_free(&set);
    return rules_compile(&input, 1, NULL, &set);
}

static void teardown(void)
{
    rules_compiled_free(&set);
}

/* Rule i of the set as it stands in the binary form: rules are found from the sizes of the sections before them. */
static struct vfr_set_rule rule(uint32_t i)
{
    struct vfr_set_header h;
    struct vfr_set_rule r;
    size_t at = sizeof(h);

    memcpy(&h, set.bytes, sizeof(h));
    at += ((size_t)h.count[VFR_SET_NAMES] + h.count[VFR_SET_KINDS]) * sizeof(struct vfr_set_name);
    at += (h.count[VFR_SET_ADDRESS_SETS] * sizeof(struct vfr_set_addresses) + 7) & ~7ull;
    at += h.count[VFR_SET_RANGES4] * sizeof(struct vfr_set_range4) + h.count[VFR_SET_RANGES6] * sizeof(struct vfr_set_range6);
    at += (h.count[VFR_SET_PORT_SETS] * sizeof(struct vfr_set_ports) + 7) & ~7ull;
    at += (h.count[VFR_SET_PORT_RANGES] * sizeof(struct vfr_set_port_range) + 7) & ~7ull;
    ck_assert_uint_lt(i, h.count[VFR_SET_RULES]);
    memcpy(&r, set.bytes + at + i * sizeof(r), sizeof(r));
    return r;
}

static uint32_t count(enum vfr_set_section section)
{
    struct vfr_set_header h;

    memcpy(&h, set.bytes, sizeof(h));
    return h.count[section];
}

START_TEST(a_rule_has_the_fields_that_it_says)
{
    struct vfr_set_rule r;

    ck_assert_int_eq(compile("drop in on web from any to 10.0.0.0/8 port 22\n"), 0);
    r = rule(0);
    ck_assert_uint_eq(r.action, 2); /* VFR_DROP */
    ck_assert_uint_eq(r.directions, 2);
    ck_assert_uint_eq(r.fields, VFR_FIELD_IFACE | VFR_FIELD_TARGET | VFR_FIELD_TARGET_PORT);
    ck_assert_uint_eq(r.target_port.low, 22);
    ck_assert_uint_eq(r.target_port.set, VFR_SET_NO_SET);
    ck_assert_uint_eq(r.target.family, 4);
    ck_assert_uint_eq(r.target.bits, 8);
    ck_assert_uint_eq(r.line, 1);
    ck_assert_int_eq(compile("accept out from 10.0.0.1 port 1000-2000 to fec0::/64 flags S/SA vlan 7 fragment later"), 0);
    r = rule(0);
    ck_assert_uint_eq(r.source_port.low, 1000);
    ck_assert_uint_eq(r.source_port.high, 2000);
    ck_assert_uint_eq(r.tcp_flags, 2);
    ck_assert_uint_eq(r.tcp_mask, 0x12);
    ck_assert_uint_eq(r.vlan, 7);
    ck_assert_uint_eq(r.fragment, VFR_FRAGMENT_LATER);
}
END_TEST

START_TEST(a_port_belongs_to_the_address_before_it)
{
    ck_assert_int_eq(compile("drop from any port 5 to any port 6\ndrop port 7 from any\ndrop from any proto tcp port 8\n"), 0);
    ck_assert_uint_eq(rule(0).source_port.low, 5);
    ck_assert_uint_eq(rule(0).target_port.low, 6);
    ck_assert_uint_eq(rule(1).target_port.low, 7);
    ck_assert_uint_eq(rule(2).target_port.low, 8);
}
END_TEST

START_TEST(sets_are_joined_and_written_once)
{
    ck_assert_int_eq(compile("set a { 10.0.0.0/25, 10.0.0.128/25, 10.0.0.7 }\nset b { a, fec0::/64, 11.0.0.1-11.0.0.9 }\ndrop from a\ndrop from a to b\ndrop from !b port { ssh, 23, 24-30 }"), 0);
    ck_assert_uint_eq(count(VFR_SET_ADDRESS_SETS), 2);
    ck_assert_uint_eq(count(VFR_SET_RANGES4), 3);
    ck_assert_uint_eq(count(VFR_SET_RANGES6), 1);
    ck_assert_uint_eq(count(VFR_SET_PORT_RANGES), 1);
    ck_assert_uint_eq(rule(2).negated, VFR_FIELD_SOURCE);
}
END_TEST

START_TEST(groups_and_lists_name_interfaces)
{
    ck_assert_int_eq(compile("group g { web, db, 'app*' }\ngroup h { g, nic0 }\ndrop on h\ndrop on { g, web }\ndrop on !g"), 0);
    ck_assert_uint_eq(rule(0).ifaces, 4);
    ck_assert_uint_eq(rule(1).ifaces, 3);
    ck_assert_uint_eq(rule(2).negated, VFR_FIELD_IFACE);
    ck_assert_uint_eq(count(VFR_SET_NAMES), 4);
}
END_TEST

START_TEST(kinds_take_words_by_name_or_type)
{
    ck_assert_int_eq(compile("accept limit 100/s burst 50 log\naccept state { new, established }\naccept limit over 2MB/s\nmirror to mon.0 on web\ndrop match 'tcp[tcpflags] & tcp-syn != 0'\ncount"), 0);
    ck_assert_uint_eq(rule(0).conditions, 1);
    ck_assert_uint_eq(rule(0).actions, 1);
    ck_assert_uint_eq(rule(3).action, 0);
    ck_assert_uint_eq(rule(3).actions, 1);
    ck_assert_uint_gt(count(VFR_SET_DATA), 8);
}
END_TEST

/* Values of the first use of the only rule: behind rules and uses, and there are no names. */
static void rates(const char *text, uint64_t rate, uint64_t seconds)
{
    char line[80];
    struct vfr_set_header h;
    uint64_t values[6];
    size_t at = sizeof(h);

    snprintf(line, sizeof(line), "accept limit %s", text);
    ck_assert_msg(compile(line) == 0, "%s: %s", line, set.error_count != 0 ? set.errors[0].text : "");
    memcpy(&h, set.bytes, sizeof(h));
    ck_assert_uint_eq(h.count[VFR_SET_VALUES], 6);
    at += sizeof(struct vfr_set_name) + sizeof(struct vfr_set_rule) + sizeof(struct vfr_set_use);
    memcpy(values, set.bytes + at, sizeof(values));
    ck_assert_msg(values[0] == rate && values[5] == seconds, "%s: %lu in %lu s", line, (unsigned long)values[0], (unsigned long)values[5]);
}

START_TEST(rates_may_be_slow)
{
    rates("100/s", 100, 1);
    rates("600/min", 10, 1);
    rates("10/m", 10, 60);
    rates("90/minute", 90, 60);
    rates("6/h", 6, 3600);
    rates("120/hour", 2, 60);
    rates("1/day", 1, 86400);
    rates("0.5/s", 30, 60);
    rates("rate 10 per 60", 10, 60);
    rates("1000000/h", 278, 1); /* a thousandth beside it */
}
END_TEST

START_TEST(ids_are_of_the_words)
{
    struct rules_list first, second;

    ck_assert_int_eq(compile("drop from 10.0.0.1\ndrop from 10.0.0.1\naccept\n"), 0);
    ck_assert_int_eq(rules_read(set.bytes, set.size, &first), 0);
    ck_assert_int_eq(compile("# moved\n\naccept\ndrop   from 10.0.0.1 # the same\ncount\ndrop from \\\n  10.0.0.1"), 0);
    ck_assert_int_eq(rules_read(set.bytes, set.size, &second), 0);
    ck_assert(first.rules[0].id != first.rules[1].id);
    ck_assert(first.rules[0].id == second.rules[1].id);
    ck_assert(first.rules[1].id == second.rules[3].id);
    ck_assert(first.rules[2].id == second.rules[0].id);
    ck_assert_str_eq(second.rules[1].text, "drop from 10.0.0.1");
    ck_assert_str_eq(second.rules[1].file, "t");
    ck_assert_uint_eq(second.rules[1].line, 4);
    rules_list_free(&first);
    rules_list_free(&second);
}
END_TEST

START_TEST(names_and_policies_are_read_back)
{
    struct rules_list list;

    ck_assert_int_eq(compile("policy in drop\npolicy tx reject\ndrop label 'no: ssh' port 22\n"), 0);
    ck_assert_int_eq(rules_read(set.bytes, set.size, &list), 0);
    ck_assert_str_eq(list.policy[0], "reject");
    ck_assert_str_eq(list.policy[1], "drop");
    ck_assert_str_eq(list.rules[0].name, "no: ssh");
    rules_list_free(&list);
    for (size_t cut = 0; cut < set.size; cut += 7)
        ck_assert_int_eq(rules_read(set.bytes, cut, &list), -22);
}
END_TEST

static const struct {
    const char *text;
    unsigned int line, column;
    const char *what, *hint;
} wrong[] = {
    { "drop in on web prto tcp", 1, 16, "prto", "proto" },
    { "drpo in", 1, 1, "drpo", "drop" },
    { "\n\naccept from 10.0.0.300", 3, 13, "10.0.0.300", "0 to 255" },
    { "accept from 10.0.0.0/33", 1, 13, "/33", "/32" },
    { "accept port 70000", 1, 13, "70000", "65535" },
    { "accept port shs", 1, 13, "shs", "ssh" },
    { "set trusted { 10.0.0.1 }\naccept from trustd", 2, 13, "trustd", "trusted" },
    { "accept proto tpc", 1, 14, "tpc", "tcp" },
    { "accept in in", 1, 11, "second time", "" },
    { "accept on", 1, 10, "too early", "" },
    { "accept flags SX/A", 1, 14, "SX/A", "FSRPAUEW" },
    { "accept flags S/A", 1, 14, "never match", "" },
    { "accept limit 100/s brst 5", 1, 20, "brst", "burst" },
    { "accept limit", 1, 8, "limit", "" },
    { "drop limit 100B/hour", 1, 12, "100B/hour", "10/min" },
    { "drop limit 0.5/day", 1, 12, "less than one a day", "" },
    { "drop limit 5/week", 1, 12, "5/week", "/min" },
    { "drop log 100000/s", 1, 10, "out of range", "10000" },
    { "accept state newest", 1, 14, "newest", "new" },
    { "drop match 'tcp prot 5'", 1, 12, "pattern", "pcap-filter" },
    { "reject with rest", 1, 13, "rest", "reset" },
    { "accept from \"x", 1, 13, "quotation", "" },
    { "forward to web*", 1, 12, "web*", "web.0" },
    { "accept from { 10.0.0.1\ndrop in\n", 2, 1, "drop", "'{'" },
    { "accept from {", 1, 14, "'{' is open", "" },
    { "accept from { }", 1, 8, "empty", "" },
    { "set a { b }\nset a { 10.0.0.1 }", 1, 9, "b", "before" },
    { "set a { 10.0.0.9-10.0.0.1 }", 1, 9, "ends before", "" },
    { "set a { 10.0.0.9-fec0::1 }", 1, 9, "IPv4 to IPv6", "" },
    { "set a { 10.0.0.9 }\nset a { 10.0.0.1 }", 2, 5, "line 1", "once" },
    { "group g { 10.0.0.1 }", 1, 11, "group", "web" },
    { "include 'no such file'", 1, 9, "no such file", "" },
    { "mirror on web", 1, 1, "mirror", "" },
    { "accept icmp-type { 3 4 }", 1, 22, "list", "several rules" },
    { "accept code 4", 1, 13, "type", "" },
    { "policy forward", 1, 8, "forward", "" },
    { "accept ~", 1, 8, "~", "" },
    { "accept ether 0x10000", 1, 14, "ether", "65535" },
    { "drop icmp-type unreachable code !4", 1, 34, "negated", "code 0-3" },
    { "drop icmp-type 3 code 4 code 1", 1, 25, "second time", "" },
    { "drop port 80,443", 1, 13, ",", "{ 80, 443 }" },
    { "drop tcp port 80", 1, 6, "tcp", "proto tcp" },
    { "drop port 8000:8080", 1, 15, "':'", "8000-8080" },
    { "drop on w\xc3\xa9" "b", 1, 10, "\xc3\xa9", "quotes" },
    { "drop label 'a\x1b[31m'", 1, 12, "control character", "" },
    { "drop on \"a b\"", 1, 9, "a b", "blanks" },
    { "group g { 'w\xc3\xa9' }\ndrop on g", 1, 11, "interface", "ASCII" },
    { "drop on web[12]", 1, 9, "web[12]", "* and ?" },
    { "mirror to 'mon 0' on web", 1, 1, "mon 0", "blanks" },
};

START_TEST(mistakes_are_told_with_place_and_suggestion)
{
    ck_assert_int_eq(compile(wrong[_i].text), -22);
    ck_assert_ptr_null(set.bytes);
    ck_assert_uint_ge(set.error_count, 1);
    ck_assert_str_eq(set.errors[0].file, "t");
    ck_assert_msg(set.errors[0].line == wrong[_i].line && set.errors[0].column == wrong[_i].column, "%s: told at %u:%u (%s)", wrong[_i].text, set.errors[0].line, set.errors[0].column, set.errors[0].text);
    ck_assert_msg(strstr(set.errors[0].text, wrong[_i].what) != NULL, "%s: %s", wrong[_i].text, set.errors[0].text);
    ck_assert_msg(strstr(set.errors[0].hint, wrong[_i].hint) != NULL, "%s: %s (%s)", wrong[_i].text, set.errors[0].text, set.errors[0].hint);
}
END_TEST

START_TEST(a_name_may_be_that_of_what_is_in_it)
{
    ck_assert_int_eq(compile("group web { web, db }\nset http { http, 8080 }\nset ssh { https }\nset https { ssh }\ndrop on web port http\ndrop port https\n"), 0);
    ck_assert_uint_eq(rule(0).ifaces, 2);
    ck_assert_uint_eq(rule(1).target_port.low, 443);
}
END_TEST

START_TEST(a_name_in_quotes_is_no_group)
{
    ck_assert_int_eq(compile("group web { a1, b }\ngroup all { \"web\", c }\ndrop on web\ndrop on \"web\"\ndrop on all\nset s { 10.0.0.1 }\ndrop from \"s\""), 0);
    ck_assert_uint_eq(rule(0).ifaces, 2);
    ck_assert_uint_eq(rule(1).ifaces, 1);
    ck_assert_uint_eq(rule(2).ifaces, 2);
    ck_assert_uint_eq(count(VFR_SET_NAMES), 4);
}
END_TEST

START_TEST(too_many_names_are_told_with_their_place)
{
    char *text = malloc(5000 * 32), *at = text;

    for (int i = 0; i < 70; i++)
        at += sprintf(at, "drop on w%d*\ndrop on w%d*\n", i, i);
    ck_assert_int_eq(compile(text), -22);
    ck_assert_uint_eq(set.error_count, 1);
    ck_assert_uint_eq(set.errors[0].line, 121);
    ck_assert_ptr_nonnull(strstr(set.errors[0].text, "'w60*' is one too many"));
    at = text;
    for (int i = 0; i < 5000; i++)
        at += sprintf(at, "drop on w%d\n", i);
    ck_assert_int_eq(compile(text), -22);
    ck_assert_uint_eq(set.errors[0].line, 4097);
    free(text);
}
END_TEST

START_TEST(zeros_before_a_number_change_nothing)
{
    ck_assert_int_eq(compile("drop port 022\ndrop port 0x16"), 0);
    ck_assert_uint_eq(rule(0).target_port.low, 22);
    ck_assert_uint_eq(rule(1).target_port.low, 22);
}
END_TEST

START_TEST(what_never_matches_is_doubted)
{
    static const char *const never[] = { "ip icmp6-type 135", "arp from fec0::1", "arp proto tcp", "fragment later proto tcp port 22", "proto tcp icmp-type 8", "ether ip6 ip", "proto icmp6 icmp-type 8", "from 10.0.0.1 to fec0::1",
        "ip6 to 10.0.0.1", "arp port 22", "ether lldp ip", "proto udp flags S", "from fec0::1 icmp-type 8" };
    static const char *const may[] = { "ip icmp-type 8", "arp from 10.0.0.1", "fragment proto tcp port 22", "proto { tcp, icmp } icmp-type 8", "ether ip6 ip6 from fec0::1", "from !10.0.0.1 to fec0::1", "proto !icmp port 22", "not fragment port 5",
        "ether lldp", "icmp6-type 133-136" };
    char line[80];

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        snprintf(line, sizeof(line), "drop %s", never[i]);
        ck_assert_int_eq(compile(line), 0);
        ck_assert_msg(set.error_count == 1 && strstr(set.errors[0].text, "never matches") != NULL, "%s: %zu", line, set.error_count);
    }
    for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++) {
        snprintf(line, sizeof(line), "drop %s", may[i]);
        ck_assert_int_eq(compile(line), 0);
        ck_assert_msg(set.error_count == 0, "%s: %s", line, set.error_count != 0 ? set.errors[0].text : "");
    }
}
END_TEST

START_TEST(sets_of_sets_of_sets_do_not_fill_the_machine)
{
    char text[8192] = "set a0 { 10.0.0.1, 10.0.0.3, 10.0.0.5, 10.0.0.7, 10.0.0.9, 10.0.0.11, 10.0.0.13, 10.0.0.15 }\n", *at = text + strlen(text);

    for (int i = 1; i < 12; i++)
        at += sprintf(at, "set a%d { a%d, a%d, a%d, a%d, a%d, a%d, a%d, a%d }\n", i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    sprintf(at, "drop from a11\n");
    ck_assert_int_eq(compile(text), -22);
    ck_assert_uint_eq(set.error_count, 1);
    ck_assert_ptr_nonnull(strstr(set.errors[0].text, "16777216 elements"));
    at = text + sprintf(text, "group g0 { web }\n");
    for (int i = 1; i < 20; i++)
        at += sprintf(at, "group g%d { g%d }\n", i, i - 1);
    ck_assert_int_eq(compile(text), -22);
    ck_assert_uint_eq(set.errors[0].line, 17);
    ck_assert_ptr_nonnull(strstr(set.errors[0].text, "16 deep"));
}
END_TEST

START_TEST(words_of_a_rule_are_that_rule_again)
{
    static const char *const texts[] = { "drop on web- port 22", "accept out label \"-\" on !web", "drop from !{ 10.0.0.1 10.0.0.2-10.0.0.9 }", "count label 'say \"x\"'" };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct rules_list list;

        ck_assert_int_eq(compile(texts[i]), 0);
        ck_assert_int_eq(rules_read(set.bytes, set.size, &list), 0);
        ck_assert_str_eq(list.rules[0].text, texts[i]);
        rules_list_free(&list);
    }
}
END_TEST

START_TEST(texts_from_elsewhere_are_read)
{
    struct rules_list list;

    ck_assert_int_eq(compile("\xef\xbb\xbf" "drop on web\r\n\tdrop\tin \\\r\n port 22\tlabel 'a\tb'\r\n# \xc3\xa9\r\n"), 0);
    ck_assert_int_eq(rules_read(set.bytes, set.size, &list), 0);
    ck_assert_uint_eq(list.count, 2);
    ck_assert_str_eq(list.rules[1].name, "a b");
    ck_assert_str_eq(list.rules[1].text, "drop in port 22 label \"a b\"");
    rules_list_free(&list);
    ck_assert_int_eq(compile(""), 0);
    ck_assert_uint_eq(set.rules, 0);
}
END_TEST

START_TEST(mistakes_are_one_line_of_printable_letters)
{
    char text[1024];

    ck_assert_int_eq(compile("drop on '\x1b[2J'\ndrop \x07\naccept 'a\rb"), -22);
    for (size_t i = 0; i < set.error_count; i++) {
        rules_error_text(&set.errors[i], text, sizeof(text));
        for (const char *c = text; *c != 0; c++)
            ck_assert_int_ge((unsigned char)*c, ' ');
    }
}
END_TEST

START_TEST(warnings_do_not_spoil_a_set)
{
    ck_assert_int_eq(compile("accept from 10.0.0.5/24\naccept proto icmp port 5\naccept ip6 to 10.0.0.1\naccept in\ndrop in on web"), 0);
    ck_assert_uint_eq(set.error_count, 4);
    for (int i = 0; i < 4; i++)
        ck_assert(set.errors[i].warning);
    ck_assert_ptr_nonnull(strstr(set.errors[3].text, "never reached"));
}
END_TEST

START_TEST(all_mistakes_are_told_at_once_up_to_a_bound)
{
    char *text = malloc(64 * 200 + 1), *at = text;

    ck_assert_int_eq(compile("accept port x1\naccept frm y\naccept port x2\n"), -22);
    ck_assert_uint_eq(set.error_count, 3);
    for (int i = 0; i < 200; i++)
        at += sprintf(at, "nonsense %d\n", i);
    ck_assert_int_eq(compile(text), -22);
    ck_assert_uint_eq(set.error_count, RULES_ERRORS_MAX);
    free(text);
}
END_TEST

START_TEST(garbage_is_refused)
{
    unsigned int seed = 1;

    for (int round = 0; round < 300; round++) {
        static const char *const words[] = { "drop", "accept", "{", "}", "from", "10.0.0.1", "\n", "set", "x", "port", "22", "-", "!", "'a'", "limit", "100/s", ",", "on", "state", "new", "flags", "S/SA", "\\", "#", ";", "\"" };
        char text[1024] = "";

        for (int i = 0; i < 40; i++) {
            seed = seed * 1103515245 + 12345;
            strcat(text, words[(seed >> 16) % (sizeof(words) / sizeof(words[0]))]);
            strcat(text, " ");
        }
        compile(text);
        for (int i = 0; i < 200; i++) {
            seed = seed * 1103515245 + 12345;
            text[i] = (char)(seed >> 16);
        }
        text[200] = 0;
        compile(text);
    }
}
END_TEST

START_TEST(files_include_others_and_hold_sets)
{
    char folder[] = "/tmp/test-rules-XXXXXX", path[96], command[128];
    struct rules_input input = { .path = path };
    FILE *f;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/prefixes", folder);
    f = fopen(path, "w");
    for (int i = 0; i < 100000; i++)
        fprintf(f, "%d.%d.%d.0/25 # %d\n", 1 + i % 200, i / 200 % 256, i / 51200, i);
    fclose(f);
    snprintf(path, sizeof(path), "%s/common", folder);
    f = fopen(path, "w");
    fprintf(f, "set bad file \"prefixes\"\ndrop from bad label blocklist\n");
    fclose(f);
    snprintf(path, sizeof(path), "%s/main", folder);
    f = fopen(path, "w");
    fprintf(f, "include \"common\"\naccept\n");
    fclose(f);
    ck_assert_int_eq(rules_compile(&input, 1, NULL, &set), 0);
    ck_assert_uint_eq(set.rules, 2);
    ck_assert_uint_eq(set.file_count, 3);
    ck_assert_uint_eq(count(VFR_SET_RANGES4), 100000);
    input.text = "include '/etc/passwd'";
    input.text_bytes = strlen(input.text);
    input.no_files = true;
    rules_compiled_free(&set);
    ck_assert_int_eq(rules_compile(&input, 1, NULL, &set), -22);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(a_hundred_thousand_lines)
{
    char *text = malloc(100000 * 80), *at = text;

    for (unsigned int i = 0; i < 100000; i++)
        at += sprintf(at, "drop in on web.%u proto tcp from 10.%u.%u.%u/%u port %u to any port %u\n", i % 8, i >> 16 & 255, i >> 8 & 255, i & 255, 32, i % 60000, 1 + i % 1000);
    ck_assert_int_eq(compile(text), 0);
    ck_assert_uint_eq(set.rules, 100000);
    /* Too many are told where they are too many, and the rest is not read. */
    for (at = text; at < text + 8 * 200002; at += 7)
        memcpy(at, "accept\n", 7);
    memcpy(at, "nonsense", 9);
    ck_assert_int_eq(compile(text), -22);
    ck_assert_uint_eq(set.error_count, 1);
    ck_assert_uint_eq(set.errors[0].line, 200001);
    free(text);
}
END_TEST

START_TEST(names_mean_interfaces)
{
    ck_assert(rules_name_means("web", "web.0", "web"));
    ck_assert(rules_name_means("web.0", "web.0", "web"));
    ck_assert(rules_name_means("w*", "web.0", "web"));
    ck_assert(!rules_name_means("web", "webster.0", "webster"));
    ck_assert(!rules_name_means("nic1", "nic0", ""));
}
END_TEST

Suite *suite_rules(void)
{
    Suite *suite = suite_create("rules");
    TCase *c = tcase_create("language");

    tcase_add_checked_fixture(c, NULL, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, a_rule_has_the_fields_that_it_says);
    tcase_add_test(c, a_port_belongs_to_the_address_before_it);
    tcase_add_test(c, sets_are_joined_and_written_once);
    tcase_add_test(c, groups_and_lists_name_interfaces);
    tcase_add_test(c, kinds_take_words_by_name_or_type);
    tcase_add_test(c, rates_may_be_slow);
    tcase_add_test(c, ids_are_of_the_words);
    tcase_add_test(c, names_and_policies_are_read_back);
    tcase_add_loop_test(c, mistakes_are_told_with_place_and_suggestion, 0, (int)(sizeof(wrong) / sizeof(wrong[0])));
    tcase_add_test(c, a_name_may_be_that_of_what_is_in_it);
    tcase_add_test(c, a_name_in_quotes_is_no_group);
    tcase_add_test(c, too_many_names_are_told_with_their_place);
    tcase_add_test(c, zeros_before_a_number_change_nothing);
    tcase_add_test(c, what_never_matches_is_doubted);
    tcase_add_test(c, sets_of_sets_of_sets_do_not_fill_the_machine);
    tcase_add_test(c, words_of_a_rule_are_that_rule_again);
    tcase_add_test(c, texts_from_elsewhere_are_read);
    tcase_add_test(c, mistakes_are_one_line_of_printable_letters);
    tcase_add_test(c, warnings_do_not_spoil_a_set);
    tcase_add_test(c, all_mistakes_are_told_at_once_up_to_a_bound);
    tcase_add_test(c, garbage_is_refused);
    tcase_add_test(c, files_include_others_and_hold_sets);
    tcase_add_test(c, a_hundred_thousand_lines);
    tcase_add_test(c, names_mean_interfaces);
    suite_add_tcase(suite, c);
    return suite;
}
