// SPDX-License-Identifier: MIT
/* ratelimit: limits become rules; who may say what about whom. */
// needs:
// libs: -lm
#include "ratelimit.c"

#include <check.h>
#include <hv/plugin-test.h>

static struct collet_plugin_domain domains[3];
static struct collet_plugin_world world;
static void *state;

static void setup(void)
{
    static const char *const names[] = {"Domain-0", "web", "db"};

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
    ck_assert_uint_eq(plugin_test.order, 20);
    return plugin_test.rules;
}

START_TEST(each_limit_is_a_rule)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "out", "5000/s", 2),         PLUGIN_TEST_SETTING("domain web", "in", "1K/s", 3),
                                               PLUGIN_TEST_SETTING("domain web", "out_bytes", "10M/s", 4),    PLUGIN_TEST_SETTING("domain web", "in_bytes", "2000", 5),
                                               PLUGIN_TEST_SETTING("domain web", "connections", "50/s", 6),   PLUGIN_TEST_SETTING("domain web", "per_source", "70/s", 7)};

    ck_assert_int_eq(configure(settings, 6), 0);
    ck_assert_str_eq(rules(), "drop out on \"web\" limit rate 5000/s over label \"ratelimit web out\"\n"
                              "drop in on \"web\" limit rate 1000/s over label \"ratelimit web in\"\n"
                              "drop out on \"web\" limit bytes 10485760/s over label \"ratelimit web out_bytes\"\n"
                              "drop in on \"web\" limit bytes 2000/s over label \"ratelimit web in_bytes\"\n"
                              "drop in on \"web\" proto tcp flags S/SA limit rate 50/s over label \"ratelimit web connections\"\n"
                              "drop in on \"web\" limit-source rate 70/s over label \"ratelimit web per_source\"\n");
}
END_TEST

START_TEST(an_owner_may_be_stricter_with_himself)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("default", "in", "100/s", 2)};
    struct collet_plugin_setting web = PLUGIN_TEST_SETTING("plugin ratelimit", "in", "10/s", 9), db = PLUGIN_TEST_SETTING("plugin ratelimit", "in", "0", 8);

    domains[1].settings = &web;
    domains[2].settings = &db;
    domains[1].setting_count = domains[2].setting_count = 1;
    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_str_eq(rules(), "drop in on \"web\" limit rate 10/s over label \"ratelimit web in\"\ndrop in on \"db\" limit rate 100/s over label \"ratelimit db in\"\n");
}
END_TEST

START_TEST(a_name_goes_before_default_and_owner)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("default", "in", "100/s", 2), PLUGIN_TEST_SETTING("domain web", "in", "0", 4), PLUGIN_TEST_SETTING("domain Domain-0", "out", "7/s", 6)};
    struct collet_plugin_setting web = PLUGIN_TEST_SETTING("plugin ratelimit", "in", "10/s", 9);

    domains[1].settings = &web;
    domains[1].setting_count = 1;
    ck_assert_int_eq(configure(settings, 3), 0);
    ck_assert_str_eq(rules(), "drop out on \"Domain-0\" limit rate 7/s over label \"ratelimit Domain-0 out\"\ndrop in on \"Domain-0\" limit rate 100/s over label \"ratelimit Domain-0 in\"\n"
                              "drop in on \"db\" limit rate 100/s over label \"ratelimit db in\"\n");
}
END_TEST

START_TEST(mistakes_are_told_with_their_lines)
{
    static const struct {
        const char *section, *key, *value, *why;
    } cases[] = {{"", "in", "1/s", "a section [domain NAME] or [default]"}, {"domain web", "in", "fast", "test.ini:5: in = fast: a number a second"},   {"domain web", "in", "5/min", "a number a second"},
                 {"domain web", "in_bytes", "-1", "like 10M/s"},           {"domain web", "in", "0.5/s", "a number a second"},                        {"domain web", "speed", "1", "ratelimit knows"},
                 {"domain web", "per_source", "20M/s", "at most 10000000;"},
                 {"domain a b", "in", "1/s", "a section"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct collet_plugin_setting s = PLUGIN_TEST_SETTING(cases[i].section, cases[i].key, cases[i].value, 5);

        plugin_test_clear();
        ck_assert_int_ne(configure(&s, 1), 0);
        ck_assert_msg(strstr(plugin_test.said, cases[i].why) != NULL, "%s", plugin_test.said);
    }
}
END_TEST

START_TEST(a_definition_that_makes_no_sense_is_told)
{
    struct collet_plugin_setting web = PLUGIN_TEST_SETTING("plugin ratelimit", "in", "1/s\ndrop in", 9);

    domains[1].settings = &web;
    domains[1].setting_count = 1;
    ck_assert_int_eq(configure(NULL, 0), 0);
    ck_assert_str_eq(rules(), "");
    ck_assert_ptr_nonnull(strstr(plugin_test.said, "test.ini:9"));
}
END_TEST

Suite *suite_ratelimit(void)
{
    Suite *suite = suite_create("ratelimit");
    TCase *t = tcase_create("ratelimit");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, each_limit_is_a_rule);
    tcase_add_test(t, an_owner_may_be_stricter_with_himself);
    tcase_add_test(t, a_name_goes_before_default_and_owner);
    tcase_add_test(t, mistakes_are_told_with_their_lines);
    tcase_add_test(t, a_definition_that_makes_no_sense_is_told);
    suite_add_tcase(suite, t);
    return suite;
}
