// SPDX-License-Identifier: MIT
/* latency: the arithmetic with numbers worked out by hand, and what is refused. That the scheduler keeps the bound: tests/unit/test-latency-bvt.c. */
// needs:
#include "latency.c"

#include <check.h>
#include <hv/plugin-test.h>

static struct collet_plugin_parameter parameters[] = {
    {"weight", 0, 7, 1, 65535, 256}, {"allowance_ns", 1, 7, 100000, 1000000000, 5000000}, {"warp_ns", 1, 7, 0, 60000000000ull, 0}, {"warp_limit_ns", 1, 7, 0, 60000000000ull, 0},
    {"unwarp_ns", 1, 7, 0, 60000000000ull, 0},
};
static struct collet_plugin_domain domains[4];
static struct collet_plugin_world world;
static void *state;

static void start(void)
{
    static const char *const names[] = {"Domain-0", "web", "db", "sound"};

    plugin_test_clear();
    for (uint32_t i = 0; i < 4; i++)
        domains[i] = (struct collet_plugin_domain){.domid = i, .vcpus = 1, .name = names[i]};
    world = (struct collet_plugin_world){.size = sizeof(world), .cpus = 1, .domain_count = 4, .domains = domains, .sched = "bvt", .parameters = parameters, .parameter_count = 5};
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

static int update(void)
{
    plugin_test.sets = 0;
    return collet_plugin.update(&test_host, state, COLLET_PLUGIN_TICK, &world);
}

static double value(uint32_t domid, const char *parameter)
{
    return plugin_test_value(domid, PLUGIN_ALL, parameter);
}

#define assert_said(part) ck_assert_msg(strstr(plugin_test.said, part) != NULL, "\"%s\" was not said, but: %s", part, plugin_test.said)

START_TEST(one_target_gives_the_three_parameters)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "latency", "5ms", 2), PLUGIN_TEST_SETTING("domain web", "burst", "2ms", 3), PLUGIN_TEST_SETTING("domain web", "cpu", "20%", 4)};

    ck_assert_int_eq(configure(settings, 3), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert_uint_eq(plugin_test.sets, 3);
    ck_assert(value(1, "warp_ns") == (2e6 + 5e6) * 16);
    ck_assert(value(1, "warp_limit_ns") == 2e6);
    ck_assert(value(1, "unwarp_ns") == 8e6);
    ck_assert_str_eq(plugin_test_why(1, PLUGIN_ALL, "unwarp_ns"), "latency 5 ms: U = L x (1/cpu - 1) = 2 ms x (1 vCPU / 20% - 1)");
    ck_assert_str_eq(plugin_test_why(1, PLUGIN_ALL, "warp_ns"), "latency 5 ms: W = 1 x (longest burst + C 5 ms) x 256/16, place 1 of 1 by target; waits at most 0.2 ms = 0.2 switch and least slice");
}
END_TEST

START_TEST(tighter_targets_go_first_and_the_others_wait_for_their_bursts)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "latency", "5ms", 2), PLUGIN_TEST_SETTING("domain sound", "latency", "1ms", 4), PLUGIN_TEST_SETTING("domain sound", "burst", "500us", 5)};

    ck_assert_int_eq(configure(settings, 3), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert(value(3, "warp_ns") == 2 * value(1, "warp_ns"));
    /* web: 0.2 + one burst of sound, 0.5 + 0.1 */
    ck_assert_ptr_nonnull(strstr(plugin_test_why(1, PLUGIN_ALL, "warp_ns"), "waits at most 0.8 ms = 0.2 switch and least slice + sound 1 x 0.6"));
    ck_assert_ptr_nonnull(strstr(plugin_test_why(3, PLUGIN_ALL, "warp_ns"), "place 1 of 2"));
}
END_TEST

START_TEST(vcpus_wait_for_each_other_and_share_the_part)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "latency", "10ms", 2)};

    domains[1].vcpus = 4;
    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert(value(1, "unwarp_ns") == 39e6); /* 1 ms x (4 / 10% - 1) */
    ck_assert_ptr_nonnull(strstr(plugin_test_why(1, PLUGIN_ALL, "warp_ns"), "waits at most 3.5 ms = 0.2 switch and least slice + web 3 x 1.1"));
}
END_TEST

START_TEST(bursts_that_come_again_meanwhile_are_counted)
{
    /* sound: 1.1 ms in every 2 ms. db: R = 0.2 + 1.1 x ceil(R / 2): 0.2, 1.3: kept. With batch's burst of 3.1 as well: 0.2, 4.4, 6.6, 7.7, 7.7 */
    struct latency_plan plans[3] = {
        {.wish = {.name = "sound", .target_ns = 1e6, .burst_ns = 1e6, .cpu_percent = 50}, .domid = 1, .vcpus = 1},
        {.wish = {.name = "batch", .target_ns = 20e6, .burst_ns = 3e6, .cpu_percent = 10}, .domid = 3, .vcpus = 1},
        {.wish = {.name = "db", .target_ns = 20e6, .burst_ns = 1e6, .cpu_percent = 10}, .domid = 4, .vcpus = 1},
    };

    latency_plan_all(plans, 3, 5e6);
    ck_assert(fabs(plans[0].worst_ns - 0.2e6) < 1);
    ck_assert_msg(fabs(plans[2].worst_ns - 7.7e6) < 1, "%f", plans[2].worst_ns);
}
END_TEST

START_TEST(a_target_that_cannot_be_kept_is_refused_with_numbers)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "latency", "2ms", 2), PLUGIN_TEST_SETTING("domain sound", "latency", "1ms", 4), PLUGIN_TEST_SETTING("domain sound", "burst", "3ms", 5)};

    ck_assert_int_eq(configure(settings, 3), -ERANGE);
    assert_said("2 test.ini:2: latency = 2 ms of web cannot be kept: it may wait 3.3 ms = 0.2 switch and least slice + sound 1 x 3.1 (bursts of those that go first)");
    settings[0].value = "3300us";
    ck_assert_int_eq(configure(settings, 3), 0);
}
END_TEST

START_TEST(more_than_the_processors_have_is_refused)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "latency", "900ms", 2), PLUGIN_TEST_SETTING("domain web", "cpu", "60%", 2), PLUGIN_TEST_SETTING("domain db", "latency", "950ms", 4),
                                               PLUGIN_TEST_SETTING("domain db", "cpu", "50%", 4)};

    ck_assert_int_eq(configure(settings, 4), 0); /* on how many processors is not known yet */
    ck_assert_int_eq(update(), 0);
    assert_said("latency of db: the bursts of the domains with targets up to this one take 110% of a processor (its own: 50% on 1 vCPUs); there are 1 x 100%; it is left out");
    ck_assert(value(1, "warp_ns") > 0 && value(2, "warp_ns") == -1);
    world.cpus = 2;
    ck_assert_int_eq(update(), 0);
    ck_assert(value(2, "warp_ns") > 0);
}
END_TEST

START_TEST(an_unwarp_time_beyond_the_parameter_is_refused)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "latency", "5s", 2), PLUGIN_TEST_SETTING("domain web", "burst", "1s", 3), PLUGIN_TEST_SETTING("domain web", "cpu", "1%", 4)};

    ck_assert_int_eq(configure(settings, 3), -ERANGE);
    assert_said("needs an unwarp time of 99 s; the scheduler's greatest is 60 s");
}
END_TEST

START_TEST(parameters_stay_in_range_with_many_long_bursts)
{
    struct latency_plan plans[60];

    for (uint32_t i = 0; i < 60; i++)
        plans[i] = (struct latency_plan){.wish = {.target_ns = 10e9, .burst_ns = 1e9, .cpu_percent = 10}, .domid = i, .vcpus = 1};
    latency_plan_all(plans, 60, 5e6);
    for (uint32_t i = 0; i < 60; i++)
        ck_assert(plans[i].warp_ns > 0 && plans[i].warp_ns <= 60e9 && plans[i].warp_ns == floor(plans[i].warp_ns));
}
END_TEST

static const char *const wrong[][3] = {
    {"latency", "soon", "like 5ms, or `none`"}, {"latency", "-1ms", "like 5ms"},  {"latency", "100us", "100 us is less than a switch takes: 100 us, and 100 us"}, {"latency", "11s", "up to 10s"}, {"latency", "nan", "like 5ms"},
    {"burst", "1us", "from 100us to 1s"},       {"cpu", "0%", "like 10%"},        {"cpu", "much", "like 10%"},                                                     {"latnecy", "5ms", "knows `latency`, `burst` and `cpu`"},
};

START_TEST(mistakes_are_told_with_what_would_be_right)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", wrong[_i][0], wrong[_i][1], 7)};

    ck_assert_int_eq(configure(settings, 1), -EINVAL);
    assert_said("2 test.ini:7: ");
    assert_said(wrong[_i][2]);
}
END_TEST

START_TEST(none_takes_the_warp_away)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "latency", "none", 2)};

    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert_uint_eq(plugin_test.sets, 1);
    ck_assert(value(1, "warp_ns") == 0);
}
END_TEST

START_TEST(definitions_count_and_are_asked_about_before_creation)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "latency", "2ms", 2)};
    struct collet_plugin_setting own[] = {PLUGIN_TEST_SETTING("plugin latency", "latency", "1ms", 9), PLUGIN_TEST_SETTING("plugin latency", "burst", "4ms", 10)};
    struct collet_plugin_request request = {.size = sizeof(request), .name = "new", .vcpus = 1, .settings = own, .setting_count = 2};

    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_int_eq(collet_plugin.admit(&test_host, state, &request, &world), -ERANGE);
    assert_said("2 test.ini:9: latency = 2 ms of web cannot be kept: it may wait 4.3 ms"); /* the newcomer's line: it breaks web's */
    own[1].value = "1ms";
    ck_assert_int_eq(collet_plugin.admit(&test_host, state, &request, &world), 0);
    own[1].value = "1 moment";
    ck_assert_int_eq(collet_plugin.admit(&test_host, state, &request, &world), -EINVAL);
    request.setting_count = 0;
    ck_assert_int_eq(collet_plugin.admit(&test_host, state, &request, &world), 0);
}
END_TEST

START_TEST(waits_beyond_the_target_are_told)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "latency", "5ms", 2)};

    ck_assert_int_eq(configure(settings, 1), 0);
    domains[1].interval_latency[13] = 3; /* 4 to 8 ms: perhaps below the target */
    ck_assert_int_eq(update(), 0);
    ck_assert_str_eq(plugin_test.said, "");
    domains[1].interval_latency[14] = 1;
    ck_assert_int_eq(update(), 0);
    assert_said("1 web has waited longer than its target of 5 ms");
}
END_TEST

START_TEST(a_scheduler_without_warp_is_told_once)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "latency", "2ms", 2)};

    ck_assert_int_eq(configure(settings, 1), 0);
    world.parameter_count = 1;
    world.sched = "stride";
    ck_assert_int_eq(update(), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert_uint_eq(plugin_test.sets, 0);
    ck_assert_str_eq(plugin_test.said, "1 the scheduler stride has no warp: latency targets have no effect until one that has it (bvt) is used\n");
}
END_TEST

Suite *suite_latency(void);
Suite *suite_latency(void)
{
    Suite *s = suite_create("latency");
    TCase *t = tcase_create("latency");

    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, one_target_gives_the_three_parameters);
    tcase_add_test(t, tighter_targets_go_first_and_the_others_wait_for_their_bursts);
    tcase_add_test(t, vcpus_wait_for_each_other_and_share_the_part);
    tcase_add_test(t, bursts_that_come_again_meanwhile_are_counted);
    tcase_add_test(t, a_target_that_cannot_be_kept_is_refused_with_numbers);
    tcase_add_test(t, more_than_the_processors_have_is_refused);
    tcase_add_test(t, an_unwarp_time_beyond_the_parameter_is_refused);
    tcase_add_test(t, parameters_stay_in_range_with_many_long_bursts);
    tcase_add_loop_test(t, mistakes_are_told_with_what_would_be_right, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(t, none_takes_the_warp_away);
    tcase_add_test(t, definitions_count_and_are_asked_about_before_creation);
    tcase_add_test(t, waits_beyond_the_target_are_told);
    tcase_add_test(t, a_scheduler_without_warp_is_told_once);
    suite_add_tcase(s, t);
    return s;
}
