// SPDX-License-Identifier: MIT
/* mine: what it asks for, given a world; and what it says about wrong settings. */
// needs:
#include "mine.c"

#include <check.h>
#include <hv/plugin-test.h>

static struct collet_plugin_parameter parameters[] = {{"weight", 0, 7, 1, 65535, 256}};
static struct collet_plugin_domain domains[] = {{.domid = 1, .vcpus = 1, .name = "web"}, {.domid = 2, .vcpus = 1, .name = "db"}};
static struct collet_plugin_world world = {.size = sizeof(world), .cpus = 1, .domain_count = 2, .domains = domains, .sched = "bvt", .parameters = parameters, .parameter_count = 1};

START_TEST(who_waits_gets_more_weight)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("", "most", "2000", 1)};
    void *state;

    ck_assert_int_eq(collet_plugin.configure(&test_host, settings, 1, &state), 0);
    domains[0].interval_run_ns = 100;
    domains[0].interval_runnable_ns = 900;
    domains[1].interval_run_ns = 900;
    domains[1].interval_runnable_ns = 100;
    ck_assert_int_eq(collet_plugin.update(&test_host, state, COLLET_PLUGIN_TICK, &world), 0);
    ck_assert(plugin_test_value(1, PLUGIN_ALL, "weight") == 2000);
    ck_assert(plugin_test_value(2, PLUGIN_ALL, "weight") == 256);
    collet_plugin.end(state);
}
END_TEST

START_TEST(wrong_settings_are_told)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("", "most", "plenty", 3)};
    void *state;

    ck_assert_int_eq(collet_plugin.configure(&test_host, settings, 1, &state), -EINVAL);
    ck_assert_ptr_nonnull(strstr(plugin_test.said, "test.ini:3: most = plenty: a number from 1 was expected"));
}
END_TEST

Suite *suite_mine(void);
Suite *suite_mine(void)
{
    Suite *s = suite_create("mine");
    TCase *t = tcase_create("mine");

    tcase_add_test(t, who_waits_gets_more_weight);
    tcase_add_test(t, wrong_settings_are_told);
    suite_add_tcase(s, t);
    return s;
}
