// SPDX-License-Identifier: MIT
/* autowarp: who is warped and when, that it does not waver, and whom it leaves alone. */
// needs:
#include "autowarp.c"

#include <check.h>
#include <hv/plugin-test.h>

static struct collet_plugin_parameter parameters[] = {
    {"weight", 0, 7, 1, 65535, 256}, {"warp_ns", 1, 7, 0, 60000000000ull, 0}, {"warp_limit_ns", 1, 7, 0, 60000000000ull, 0}, {"unwarp_ns", 1, 7, 0, 60000000000ull, 0},
};
static struct collet_plugin_domain domains[8];
static struct collet_plugin_world world;
static void *state;

static void start(void)
{
    static const char *const names[] = {"Domain-0", "web", "db", "batch", "d4", "d5", "d6", "d7"};

    plugin_test_clear();
    for (uint32_t i = 0; i < 8; i++)
        domains[i] = (struct collet_plugin_domain){.domid = i, .vcpus = 1, .name = names[i]};
    world = (struct collet_plugin_world){.size = sizeof(world), .interval_ns = 1000000000, .cpus = 1, .domain_count = 8, .domains = domains, .sched = "bvt", .parameters = parameters, .parameter_count = 4};
    state = NULL;
}

static void stop(void)
{
    if (state != NULL)
        collet_plugin.end(state);
}

static int configure(const struct collet_plugin_setting *settings, uint32_t count)
{
    return collet_plugin.configure(&test_host, settings, count, &state);
}

/* So many intervals in which `domid` wakes so often and runs so long each time. */
static void live(uint32_t domid, uint64_t wakes, uint64_t run_ns, int intervals)
{
    domains[domid].interval_wakes = wakes;
    domains[domid].interval_run_ns = wakes * run_ns;
    for (int i = 0; i < intervals; i++) {
        plugin_test.sets = 0;
        ck_assert_int_eq(collet_plugin.update(&test_host, state, COLLET_PLUGIN_TICK, &world), 0);
    }
}

static double warp(uint32_t domid)
{
    return plugin_test_value(domid, PLUGIN_ALL, "warp_ns");
}

START_TEST(who_wakes_often_and_runs_briefly_is_warped_after_a_while)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    live(1, 100, 200000, 2);
    ck_assert(warp(1) == -1);
    live(1, 100, 200000, 1);
    ck_assert(warp(1) == 20e6);
    ck_assert(plugin_test_value(1, PLUGIN_ALL, "warp_limit_ns") == 2e6 && plugin_test_value(1, PLUGIN_ALL, "unwarp_ns") == 10e6);
    ck_assert_str_eq(plugin_test_why(1, PLUGIN_ALL, "warp_ns"), "wakes at least 20 times a second and runs at most 1 ms for each: borrows 20 ms");
    ck_assert_uint_eq(plugin_test.sets, 3);
}
END_TEST

START_TEST(hogs_sleepers_and_long_runners_are_not)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    domains[2].interval_run_ns = 1000000000; /* never sleeps */
    live(1, 5, 1000, 10);
    live(3, 100, 5000000, 10);
    ck_assert_uint_eq(plugin_test.sets, 0);
}
END_TEST

START_TEST(a_warped_domain_stays_so_in_between_and_is_unwarped_when_it_changes)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    live(1, 100, 200000, 3);
    live(1, 15, 1500000, 50); /* neither: less than 20, but not half; more than 1 ms, but not twice */
    ck_assert(warp(1) == 20e6);
    live(1, 100, 3000000, 4);
    live(1, 100, 200000, 1); /* as before for once: counting begins anew */
    live(1, 100, 3000000, 4);
    ck_assert(warp(1) == 20e6);
    live(1, 100, 3000000, 1);
    ck_assert(warp(1) == 0);
    live(1, 100, 3000000, 3);
    ck_assert_uint_eq(plugin_test.sets, 0); /* and is nobody's business any more */
    live(1, 100, 200000, 3);
    ck_assert(warp(1) == 20e6);
}
END_TEST

START_TEST(who_alternates_is_never_warped)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    for (int i = 0; i < 50; i++) {
        live(1, 100, 200000, 2);
        live(1, 15, 1500000, 1);
    }
    ck_assert_uint_eq(plugin_test.sets, 0);
}
END_TEST

START_TEST(never_more_than_the_most_and_the_busiest_first)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("", "most", "2", 1)};
    int warped = 0;

    ck_assert_int_eq(configure(settings, 1), 0);
    for (uint32_t i = 1; i < 7; i++) {
        domains[i].interval_wakes = 100 * i;
        domains[i].interval_run_ns = 100 * i * 100000;
    }
    live(7, 1000, 100000, 3);
    for (uint32_t i = 0; i < 8; i++)
        warped += warp(i) > 0;
    ck_assert_int_eq(warped, 2);
    ck_assert(warp(7) > 0 && warp(6) > 0);
}
END_TEST

START_TEST(some_are_left_alone)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("", "never", "web, db", 1)};
    struct collet_plugin_setting latency[] = {PLUGIN_TEST_SETTING("plugin latency", "latency", "5ms", 3)}, never[] = {PLUGIN_TEST_SETTING("plugin autowarp", "never", "yes", 3)};

    ck_assert_int_eq(configure(settings, 1), 0);
    domains[3].settings = latency;
    domains[4].settings = never;
    domains[3].setting_count = domains[4].setting_count = 1;
    for (uint32_t i = 0; i < 5; i++)
        live(i, 100, 200000, 10);
    ck_assert_uint_eq(plugin_test.sets, 0);
    live(5, 100, 200000, 10);
    ck_assert(warp(5) > 0);
}
END_TEST

START_TEST(domain0_only_if_asked)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("", "domain0", "yes", 1)};

    ck_assert_int_eq(configure(settings, 1), 0);
    live(0, 100, 200000, 3);
    ck_assert(warp(0) > 0);
}
END_TEST

START_TEST(domains_that_go_are_forgotten)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    live(7, 100, 200000, 3);
    ck_assert(warp(7) > 0);
    world.domain_count = 7;
    live(1, 0, 0, 1);
    ck_assert_uint_eq(plugin_test.sets, 0);
    world.domain_count = 8;
    live(1, 0, 0, 2); /* a new one of that number has to show itself first */
    ck_assert_uint_eq(plugin_test.sets, 0);
}
END_TEST

START_TEST(events_between_do_not_count_as_intervals)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    world.interval_ns = 1000000;
    live(1, 100, 200000, 10);
    world.interval_ns = 1000000000;
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(collet_plugin.update(&test_host, state, COLLET_PLUGIN_DOMAIN_CAME, &world), 0);
    ck_assert_uint_eq(plugin_test.sets, 0);
}
END_TEST

static const char *const wrong[][3] = {
    {"wakes", "often", "a whole number"}, {"wakes", "0", "from 1 to 1e+06"}, {"run", "5", "from 0.001 to 1000 ms"}, {"limit", "1 while", "a time was expected"},
    {"domain0", "maybe", "yes or no"},    {"mots", "3", "autowarp knows"},
};

START_TEST(mistakes_are_told_with_what_would_be_right)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("", wrong[_i][0], wrong[_i][1], 7)};

    ck_assert_int_eq(configure(settings, 1), -EINVAL);
    ck_assert_msg(strstr(plugin_test.said, "2 test.ini:7: ") != NULL && strstr(plugin_test.said, wrong[_i][2]) != NULL, "%s", plugin_test.said);
}
END_TEST

Suite *suite_autowarp(void);
Suite *suite_autowarp(void)
{
    Suite *s = suite_create("autowarp");
    TCase *t = tcase_create("autowarp");

    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, who_wakes_often_and_runs_briefly_is_warped_after_a_while);
    tcase_add_test(t, hogs_sleepers_and_long_runners_are_not);
    tcase_add_test(t, a_warped_domain_stays_so_in_between_and_is_unwarped_when_it_changes);
    tcase_add_test(t, who_alternates_is_never_warped);
    tcase_add_test(t, never_more_than_the_most_and_the_busiest_first);
    tcase_add_test(t, some_are_left_alone);
    tcase_add_test(t, domain0_only_if_asked);
    tcase_add_test(t, domains_that_go_are_forgotten);
    tcase_add_test(t, events_between_do_not_count_as_intervals);
    tcase_add_loop_test(t, mistakes_are_told_with_what_would_be_right, 0, sizeof(wrong) / sizeof(wrong[0]));
    suite_add_tcase(s, t);
    return s;
}
