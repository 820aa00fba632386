// SPDX-License-Identifier: MIT
/* firewall: sets, groups with the domains that are there, rule files, and what closes a domain; what is refused. */
// needs:
// libs: build/dom0/lib/librules.a -lpcap
#include "firewall.c"

#include "../../rules/judge.h"

#include <check.h>
#include <hv/plugin-test.h>

static struct collet_plugin_domain domains[3];
static struct collet_plugin_world world;
static void *state;

static void setup(void)
{
    static const char *const names[] = {"Domain-0", "web1", "db"};

    plugin_test_clear();
    for (uint32_t i = 0; i < 3; i++)
        domains[i] = (struct collet_plugin_domain){.domid = i, .vcpus = 1, .name = names[i]};
    world = (struct collet_plugin_world){.size = sizeof(world), .domain_count = 3, .domains = domains};
    state = NULL;
}

static void teardown(void)
{
    if (state != NULL)
        collet_plugin.end(state);
}

static int configure(const struct collet_plugin_setting *settings, uint32_t count)
{
    return collet_plugin.configure(&test_host, settings, count, &state);
}

static const char *rules(void)
{
    ck_assert_int_eq(collet_plugin.update(&test_host, state, COLLET_PLUGIN_TICK, &world), 0);
    ck_assert_uint_eq(plugin_test.order, 50);
    return plugin_test.rules;
}

#define CLOSED(name, open)                                                                                                                                                             \
    "accept in on \"" name "\" arp\naccept in on \"" name "\" icmp6-type 130-137\naccept in on \"" name "\" state established related\n" \
    "accept in on \"" name "\" ip proto udp from any port 67 to any port 68\naccept in on \"" name "\" ip6 proto udp from any port 547 to any port 546\n" open "drop in on \"" name "\" label \"firewall " name " closed\"\n"

START_TEST(sets_groups_and_files_in_their_order)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("", "rules", "common.rules", 1),       PLUGIN_TEST_SETTING("group web-servers", "domains", "web*, mail", 3),
                                               PLUGIN_TEST_SETTING("group web-servers", "rules", "web.rules", 4), PLUGIN_TEST_SETTING("set admins", "addresses", "10.0.2.2, fec0::/64", 6),
                                               PLUGIN_TEST_SETTING("set bad", "file", "/etc/bad", 8),      PLUGIN_TEST_SETTING("domain db", "rules", "db.rules db2.rules", 10),
                                               PLUGIN_TEST_SETTING("domain gone", "rules", "gone.rules", 12), PLUGIN_TEST_SETTING("group empty", "domains", "nobody", 14)};

    ck_assert_int_eq(configure(settings, 8), 0);
    ck_assert_str_eq(rules(), "set \"admins\" { 10.0.2.2, fec0::/64 }\nset \"bad\" file \"/etc/bad\"\n"
                              "group \"web-servers\" { \"web1\" }\ngroup \"empty\" { \"no-domain.none\" }\n"
                              "include \"/etc/collet/firewall/common.rules\"\n"
                              "# without \"/etc/collet/firewall/db.rules\": drop on \"db\" label \"firewall db closed: db.rules is wrong\"\n"
                              "# without \"/etc/collet/firewall/db2.rules\": drop on \"db\" label \"firewall db closed: db2.rules is wrong\"\n"
                              "include \"/etc/collet/firewall/db.rules\"\ninclude \"/etc/collet/firewall/db2.rules\"\n"
                              "# without \"/etc/collet/firewall/web.rules\": drop on \"web1\" label \"firewall web1 closed: web.rules is wrong\"\n"
                              "include \"/etc/collet/firewall/web.rules\"\n");
    domains[1].name = "mail";
    ck_assert_ptr_nonnull(strstr(rules(), "group \"web-servers\" { \"mail\" }\n"));
}
END_TEST

START_TEST(elements_of_sets)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("set a", "addresses", "10.0.2.2, fec0::/64 10.0.0.1-10.0.0.9, 1.2.3.0/24", 1), PLUGIN_TEST_SETTING("set web_ports", "addresses", "80, 8000-8080", 2),
                                               PLUGIN_TEST_SETTING("set b", "addresses", "a ::1 fec0::1-fec0::9", 3)};

    ck_assert_int_eq(configure(settings, 3), 0);
    ck_assert_ptr_nonnull(strstr(rules(), "set \"b\" { a ::1 fec0::1-fec0::9 }\n"));
}
END_TEST

START_TEST(domain0_is_not_closed_by_a_mistake)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("group all", "domains", "*", 1), PLUGIN_TEST_SETTING("group all", "rules", "all.rules", 2), PLUGIN_TEST_SETTING("domain Domain-0", "rules", "own.rules", 3)};

    ck_assert_int_eq(configure(settings, 3), 0);
    ck_assert_ptr_null(strstr(rules(), "drop on \"Domain-0\""));
    ck_assert_ptr_nonnull(strstr(rules(), "# without \"/etc/collet/firewall/all.rules\": drop on \"web1\" label"));
    ck_assert_ptr_nonnull(strstr(rules(), "# without \"/etc/collet/firewall/all.rules\": drop on \"db\" label"));
}
END_TEST

START_TEST(what_is_open_closes_the_rest)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain db", "open", "nothing", 2), PLUGIN_TEST_SETTING("domain web1", "open", "tcp/80, udp/5000-6000 icmp", 4)};

    ck_assert_int_eq(configure(settings, 2), 0);
    ck_assert_str_eq(rules(), CLOSED("web1", "accept in on \"web1\" proto tcp to any port 80\naccept in on \"web1\" proto udp to any port 5000-6000\n"
                                             "accept in on \"web1\" icmp-type 8\naccept in on \"web1\" icmp6-type 128\n") CLOSED("db", ""));
}
END_TEST

START_TEST(a_domains_word_goes_before_its_groups)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("group all", "domains", "web1 db", 2), PLUGIN_TEST_SETTING("group all", "open", "tcp/22", 3), PLUGIN_TEST_SETTING("domain db", "open", "tcp/5432", 5)};

    ck_assert_int_eq(configure(settings, 3), 0);
    ck_assert_str_eq(rules(), "group \"all\" { \"web1\", \"db\" }\n" CLOSED("db", "accept in on \"db\" proto tcp to any port 5432\n") CLOSED("web1", "accept in on \"web1\" proto tcp to any port 22\n"));
}
END_TEST

START_TEST(owners_say_groups_and_open)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("group web-servers", "open", "tcp/80", 2), PLUGIN_TEST_SETTING("domain db", "open", "nothing", 4)};
    struct collet_plugin_setting web[] = {PLUGIN_TEST_SETTING("plugin firewall", "groups", "web-servers, others", 9)};
    struct collet_plugin_setting db[] = {PLUGIN_TEST_SETTING("plugin firewall", "open", "tcp/1-65535", 9), PLUGIN_TEST_SETTING("plugin firewall", "rules", "../../x", 10)};

    domains[1].settings = web;
    domains[1].setting_count = 1;
    domains[2].settings = db;
    domains[2].setting_count = 2;
    ck_assert_int_eq(configure(settings, 2), 0);
    ck_assert_str_eq(rules(), "group \"web-servers\" { \"web1\" }\n" CLOSED("db", "") CLOSED("web1", "accept in on \"web1\" proto tcp to any port 80\n"));
    ck_assert_ptr_nonnull(strstr(plugin_test.said, "web1: there is no group others"));
    ck_assert_ptr_nonnull(strstr(plugin_test.said, "test.ini:10: rules = ../../x: in a definition, firewall knows groups and open"));
}
END_TEST

/* Would this packet come in, if the plugin's rules alone were in force? */
static bool comes_in(const char *words)
{
    struct rules_input input = {.path = "firewall", .text = rules(), .text_bytes = strlen(rules())};
    struct rules_judge *judge;
    struct rules_compiled set;
    struct rules_worded w;
    struct rules_answer answer;
    char error[256];

    ck_assert_int_eq(rules_compile(&input, 1, NULL, &set), 0);
    ck_assert_int_eq(rules_judge_create(&judge, set.bytes, set.size, error), 0);
    ck_assert_msg(rules_packet_in_words(words, &w) == 0, "%s: %s", words, w.error);
    rules_judge_frame(judge, &w.frame, &answer);
    rules_judge_destroy(judge);
    rules_compiled_free(&set);
    return answer.accepted;
}

START_TEST(a_closed_domain_gets_its_addresses)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain db", "open", "nothing", 2)};

    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert(comes_in("udp from 10.0.2.2 port 67 to 255.255.255.255 port 68 in on db.0"));
    ck_assert(comes_in("udp from 10.0.2.2 port 67 to 10.0.2.15 port 68 in on db.0"));
    ck_assert(comes_in("udp from fe80::2 port 547 to fe80::15 port 546 in on db.0"));
    ck_assert(comes_in("icmp6 from fe80::2 type 134 in on db.0"));
    ck_assert(comes_in("icmp6 from fe80::2 type 135 in on db.0"));
    ck_assert(comes_in("icmp6 from fe80::2 type 130 in on db.0"));
    ck_assert(comes_in("arp from 10.0.2.2 to 10.0.2.15 in on db.0"));
    ck_assert(!comes_in("udp from 10.0.2.2 port 67 to 10.0.2.15 port 53 in on db.0"));
    ck_assert(!comes_in("udp from 10.0.2.2 port 53 to 10.0.2.15 port 68 in on db.0"));
    ck_assert(!comes_in("udp from 10.0.2.2 port 547 to 10.0.2.15 port 546 in on db.0"));
    ck_assert(!comes_in("icmp6 from fe80::2 type 128 in on db.0"));
    ck_assert(!comes_in("tcp from 10.0.2.2 to 10.0.2.15 port 22 flags S in on db.0"));
    ck_assert(comes_in("tcp from 10.0.2.2 to 10.0.2.16 port 22 flags S in on web1.0"));
}
END_TEST

START_TEST(a_group_may_have_the_name_of_a_domain)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("group db", "domains", "db*", 1), PLUGIN_TEST_SETTING("group web1", "domains", "db", 2), PLUGIN_TEST_SETTING("domain web1", "open", "nothing", 3)};

    ck_assert_int_eq(configure(settings, 3), 0);
    ck_assert(!comes_in("tcp from 10.0.2.2 to 10.0.2.15 port 22 flags S in on web1.0"));
    ck_assert(comes_in("tcp from 10.0.2.2 to 10.0.2.15 port 22 flags S in on db.0"));
}
END_TEST

START_TEST(patterns)
{
    ck_assert(firewall_glob("web*", "web") && firewall_glob("web*", "web12") && firewall_glob("*", "x") && firewall_glob("w?b", "web") && firewall_glob("*b*", "web"));
    ck_assert(!firewall_glob("web*", "we") && !firewall_glob("web", "web1") && !firewall_glob("w?b", "wb"));
}
END_TEST

START_TEST(mistakes_are_told_with_their_lines)
{
    static const struct {
        const char *section, *key, *value, *why;
    } cases[] = {{"", "foldr", "/a", "test.ini:5: foldr = /a: firewall knows folder"},
                 {"", "folder", "a", "a path from the root"},
                 {"", "rules", "../a", "names of files in the folder"},
                 {"domain web", "rules", "/etc/passwd", "names of files in the folder"},
                 {"domain web", "rules", "..", "names of files in the folder"},
                 {"domain web", "open", "80", "80: tcp/80"},
                 {"domain web", "open", "tcp/0", "tcp/0: tcp/80"},
                 {"domain web", "open", "tcp/90-80", "tcp/90-80: tcp/80"},
                 {"domain web", "open", "tcp/80x", "tcp/80x: tcp/80"},
                 {"domain web", "domains", "a", "a [domain NAME] has groups, rules and open"},
                 {"group web", "groups", "a", "a [group NAME] has domains, rules and open"},
                 {"group a b", "domains", "a", "a section [set NAME]"},
                 {"group web", "domains", "a\"b", "names of domains were expected"},
                 {"set a", "addresses", "10.0.0.1 }\ndrop in", "addresses like 10.0.2.2"},
                 {"set a", "addresses", "10.0.0.300", "10.0.0.300: addresses like"},
                 {"set a", "addresses", "10.0.0.1/33", "10.0.0.1/33: addresses like"},
                 {"set a", "addresses", "10.0.0.1-", "10.0.0.1-: addresses like"},
                 {"set a", "addresses", "fec0::/64 a", "a: addresses like"},
                 {"set a", "addresses", "80 70000", "70000: addresses like"},
                 {"set a", "rules", "x", "a [set NAME] has addresses or file"},
                 {"set a", "file", "x", "a path from the root"},
                 {"set a", "addresses", "", "[set a]: either addresses or file must be there"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct collet_plugin_setting s = PLUGIN_TEST_SETTING(cases[i].section, cases[i].key, cases[i].value, 5);

        plugin_test_clear();
        ck_assert_int_ne(configure(&s, 1), 0);
        ck_assert_msg(strstr(plugin_test.said, cases[i].why) != NULL, "%s", plugin_test.said);
    }
}
END_TEST

Suite *suite_firewall(void)
{
    Suite *suite = suite_create("firewall");
    TCase *t = tcase_create("firewall");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, sets_groups_and_files_in_their_order);
    tcase_add_test(t, elements_of_sets);
    tcase_add_test(t, domain0_is_not_closed_by_a_mistake);
    tcase_add_test(t, what_is_open_closes_the_rest);
    tcase_add_test(t, a_domains_word_goes_before_its_groups);
    tcase_add_test(t, owners_say_groups_and_open);
    tcase_add_test(t, a_closed_domain_gets_its_addresses);
    tcase_add_test(t, a_group_may_have_the_name_of_a_domain);
    tcase_add_test(t, patterns);
    tcase_add_test(t, mistakes_are_told_with_their_lines);
    suite_add_tcase(suite, t);
    return suite;
}
