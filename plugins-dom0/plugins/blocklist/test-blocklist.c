// SPDX-License-Identifier: MIT
/* blocklist: lists become sets and rules; what is refused, and where that is said. */
// needs:
#include "blocklist.c"

#include <check.h>
#include <hv/plugin-test.h>

static void *state;

static int configure(const struct collet_plugin_setting *settings, uint32_t count)
{
    plugin_test_clear();
    state = NULL;
    return collet_plugin.configure(&test_host, settings, count, &state);
}

static const char *rules(void)
{
    static const struct collet_plugin_world world = {.size = sizeof(world)};

    ck_assert_int_eq(collet_plugin.update(&test_host, state, COLLET_PLUGIN_TICK, &world), 0);
    ck_assert_uint_eq(plugin_test.order, 10);
    collet_plugin.end(state);
    return plugin_test.rules;
}

static void refused(const char *section, const char *key, const char *value, const char *why)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING(section, key, value, 7)};

    ck_assert_int_ne(configure(settings, 1), 0);
    ck_assert_msg(strstr(plugin_test.said, why) != NULL, "%s", plugin_test.said);
}

START_TEST(a_list_is_a_set_and_two_rules)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("list bad-hosts", "file", "/etc/collet/bad-hosts", 2)};

    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_str_eq(rules(), "set blocklist-bad-hosts file \"/etc/collet/bad-hosts\"\ndrop in from blocklist-bad-hosts label \"blocklist bad-hosts\"\ndrop out to blocklist-bad-hosts label \"blocklist bad-hosts\"\n");
}
END_TEST

START_TEST(all_that_can_be_said)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("list a", "file", "/a", 2),         PLUGIN_TEST_SETTING("list a", "direction", "in", 3), PLUGIN_TEST_SETTING("list a", "on", "web*", 4),
                                               PLUGIN_TEST_SETTING("list a", "action", "reject", 5),   PLUGIN_TEST_SETTING("list a", "log", "yes", 6),      PLUGIN_TEST_SETTING("list b", "file", "/b", 8),
                                               PLUGIN_TEST_SETTING("list b", "direction", "out", 9)};

    ck_assert_int_eq(configure(settings, 7), 0);
    ck_assert_str_eq(rules(), "set blocklist-a file \"/a\"\nreject in on \"web*\" from blocklist-a log 5/s label \"blocklist a\"\nset blocklist-b file \"/b\"\ndrop out to blocklist-b label \"blocklist b\"\n");
}
END_TEST

START_TEST(no_list_is_no_rule)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    ck_assert_str_eq(rules(), "");
    ck_assert_uint_eq(plugin_test.rules_answers, 1);
}
END_TEST

START_TEST(mistakes_are_told_with_their_lines)
{
    refused("", "file", "/a", "test.ini:7: file = /a: a section [list NAME]");
    refused("list a b", "file", "/a", "a section [list NAME]");
    refused("list a", "file", "a", "a path from the root");
    refused("list a", "file", "/a\"\ndrop in", "a path from the root");
    refused("list a", "on", "web port 22", "one name was expected");
    refused("list a", "direction", "up", "in, out or both");
    refused("list a", "action", "eat", "drop or reject");
    refused("list a", "log", "loud", "yes or no");
    refused("list a", "flie", "/a", "blocklist knows file");
    refused("list a", "log", "yes", "[list a]: a line `file = /etc/collet/a` is missing");
}
END_TEST

Suite *suite_blocklist(void)
{
    Suite *suite = suite_create("blocklist");
    TCase *t = tcase_create("blocklist");

    tcase_add_test(t, a_list_is_a_set_and_two_rules);
    tcase_add_test(t, all_that_can_be_said);
    tcase_add_test(t, no_list_is_no_rule);
    tcase_add_test(t, mistakes_are_told_with_their_lines);
    suite_add_tcase(suite, t);
    return suite;
}
