// SPDX-License-Identifier: MIT
/* shares: percentages to weights, what is refused, and where that is said. Also the readers of <hv/plugin-tools.h>. */
// needs:
#include "shares.c"

#include <check.h>
#include <hv/plugin-test.h>

static struct collet_plugin_parameter parameters[2];
static struct collet_plugin_domain domains[4];
static struct collet_plugin_world world;
static void *state;

static void start(void)
{
    static const char *const names[] = {"Domain-0", "web", "db", "batch"};

    plugin_test_clear();
    parameters[0] = (struct collet_plugin_parameter){"weight", 0, 7, 1, 65535, 256};
    parameters[1] = (struct collet_plugin_parameter){"cap", 0, 3, 0, 6400, 0};
    for (uint32_t i = 0; i < 4; i++)
        domains[i] = (struct collet_plugin_domain){.domid = i, .vcpus = 1, .name = names[i]};
    world = (struct collet_plugin_world){.size = sizeof(world), .cpus = 2, .domain_count = 4, .domains = domains, .sched = "bvt", .parameters = parameters, .parameter_count = 1};
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
    return collet_plugin.update(&test_host, state, COLLET_PLUGIN_TICK, &world);
}

static double weight(uint32_t domid)
{
    return plugin_test_value(domid, PLUGIN_ALL, "weight");
}

#define assert_said(part) ck_assert_msg(strstr(plugin_test.said, part) != NULL, "\"%s\" was not said, but: %s", part, plugin_test.said)

START_TEST(shares_become_weights_and_the_others_divide_the_rest)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "share", "40%", 2), PLUGIN_TEST_SETTING("domain db", "share", "20", 4)};

    domains[2].vcpus = 4;
    ck_assert_int_eq(configure(settings, 2), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert(weight(1) == 4000);
    ck_assert(weight(2) == 500); /* 20% over four vCPUs */
    ck_assert(weight(0) == 2000 && weight(3) == 2000);
    ck_assert_str_eq(plugin_test_why(2, PLUGIN_ALL, "weight"), "share 20%: 20% x 100 / 4 vCPUs = 500");
    ck_assert_str_eq(plugin_test_why(3, PLUGIN_ALL, "weight"), "the rest, (100% - 60%) / 2 = share 20%: 20% x 100 = 2000");
    ck_assert_str_eq(plugin_test.said, "");
}
END_TEST

START_TEST(weights_of_whole_domains_are_not_divided)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain db", "share", "20%", 4)};

    domains[2].vcpus = 4;
    parameters[0].scopes = 3;
    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert(weight(2) == 2000);
}
END_TEST

START_TEST(a_domains_own_definition_counts_and_ours_goes_before_it)
{
    struct collet_plugin_setting own[] = {PLUGIN_TEST_SETTING("plugin shares", "share", "50%", 9), PLUGIN_TEST_SETTING("plugin other", "share", "no", 11)};
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain db", "share", "10%", 4)};

    domains[1].settings = domains[2].settings = own;
    domains[1].setting_count = 2;
    domains[2].setting_count = 1;
    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert(weight(1) == 5000 && weight(2) == 1000 && weight(3) == 2000);
}
END_TEST

START_TEST(more_than_all_is_refused_with_file_and_line)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "share", "60%", 2), PLUGIN_TEST_SETTING("domain db", "share", "30%", 4), PLUGIN_TEST_SETTING("domain x", "share", "11%", 6)};

    ck_assert_int_eq(configure(settings, 3), -EINVAL);
    assert_said("2 test.ini:6: share = 11%: with this one the shares add up to 101%; 100% is all there is");
    settings[2].value = "10%";
    ck_assert_int_eq(configure(settings, 3), 0);
    ck_assert_int_eq(update(), 0); /* x is not there */
    ck_assert(weight(0) == 500 && weight(3) == 500);
}
END_TEST

START_TEST(nothing_left_is_the_least_weight_and_a_warning)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "share", "60%", 2), PLUGIN_TEST_SETTING("domain db", "share", "40%", 4)};

    ck_assert_int_eq(configure(settings, 2), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert(weight(0) == 1 && weight(3) == 1);
    assert_said("1 the shares add up to 100%");
}
END_TEST

static const char *const wrong[][3] = {
    {"share", "0", "above 0 and up to 100"}, {"share", "140%", "above 0 and up to 100"}, {"share", "-3", "above 0"}, {"share", "forty", "like 40%"}, {"share", "nan", "like 40%"},
    {"share", "", "like 40%"},               {"cap", "9999", "of one processor"},         {"cap", "x", "like 50%"},   {"shaer", "3%", "knows `share` and `cap`"},
};

START_TEST(mistakes_are_told_with_what_would_be_right)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", wrong[_i][0], wrong[_i][1], 7)};

    ck_assert_int_eq(configure(settings, 1), -EINVAL);
    assert_said("2 test.ini:7: ");
    assert_said(wrong[_i][2]);
}
END_TEST

START_TEST(settings_belong_below_a_domain)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("", "share", "10%", 1)};

    ck_assert_int_eq(configure(settings, 1), -EINVAL);
    assert_said("a section [domain NAME] was expected");
}
END_TEST

START_TEST(caps_go_where_the_scheduler_has_them)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "cap", "50%", 2)};

    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert_str_eq(plugin_test.said, "1 cap = 50% of web has no effect: the scheduler bvt has no caps\n"); /* once */
    world.parameter_count = 2;
    world.sched = "credit";
    ck_assert_int_eq(update(), 0);
    ck_assert(plugin_test_value(1, PLUGIN_ALL, "cap") == 50);
}
END_TEST

START_TEST(a_scheduler_without_weights_is_told)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    world.parameter_count = 0;
    world.sched = "rr";
    ck_assert_int_eq(update(), 0);
    ck_assert_uint_eq(plugin_test.sets, 0);
    assert_said("1 the scheduler rr has no weights");
}
END_TEST

START_TEST(a_creation_that_does_not_fit_is_refused)
{
    struct collet_plugin_setting own[] = {PLUGIN_TEST_SETTING("plugin shares", "share", "50%", 9)}, new[] = {PLUGIN_TEST_SETTING("plugin shares", "share", "60%", 3)};
    struct collet_plugin_request request = {.size = sizeof(request), .name = "new", .vcpus = 1, .settings = new, .setting_count = 1};

    domains[1].settings = own;
    domains[1].setting_count = 1;
    ck_assert_int_eq(configure(NULL, 0), 0);
    ck_assert_int_eq(collet_plugin.admit(&test_host, state, &request, &world), -ERANGE);
    assert_said("test.ini:3: share = 60%: the domains that are there have 50% already; 50% is left");
    new[0].value = "50%";
    ck_assert_int_eq(collet_plugin.admit(&test_host, state, &request, &world), 0);
    new[0].value = "half";
    ck_assert_int_eq(collet_plugin.admit(&test_host, state, &request, &world), -EINVAL);
    request.setting_count = 0;
    ck_assert_int_eq(collet_plugin.admit(&test_host, state, &request, &world), 0);
}
END_TEST

START_TEST(definitions_that_have_come_to_exceed_all_change_nothing)
{
    struct collet_plugin_setting own[] = {PLUGIN_TEST_SETTING("plugin shares", "share", "60%", 9)};

    domains[1].settings = domains[2].settings = own;
    domains[1].setting_count = domains[2].setting_count = 1;
    ck_assert_int_eq(configure(NULL, 0), 0);
    ck_assert_int_eq(update(), -ERANGE);
    ck_assert_uint_eq(plugin_test.sets, 0);
    assert_said("test.ini:9: with this one");
}
END_TEST

START_TEST(words_are_read)
{
    double n;
    bool yes;

    ck_assert(plugin_read_time("5ms", &n) && n == 5e6);
    ck_assert(plugin_read_time("1.5 s", &n) && n == 1.5e9);
    ck_assert(plugin_read_time("250us", &n) && n == 250e3);
    ck_assert(plugin_read_time("7", &n) && n == 7);
    ck_assert(!plugin_read_time("5 parsecs", &n) && !plugin_read_time("-5ms", &n) && !plugin_read_time("inf", &n) && !plugin_read_time("", &n));
    ck_assert(plugin_read_frames("1M", &n) && n == 256);
    ck_assert(plugin_read_frames("5K", &n) && n == 2);
    ck_assert(plugin_read_frames("2", &n) && n == 512);
    ck_assert(plugin_read_frames("1G", &n) && n == 262144);
    ck_assert(!plugin_read_frames("1Q", &n) && !plugin_read_frames("1MM", &n) && !plugin_read_frames("-1M", &n));
    ck_assert(plugin_read_count("12", &n) && n == 12 && !plugin_read_count("1.5", &n) && !plugin_read_count("-1", &n));
    ck_assert(plugin_read_bool("yes", &yes) && yes && plugin_read_bool("off", &yes) && !yes && !plugin_read_bool("perhaps", &yes));
    ck_assert_str_eq(plugin_section_domain("domain web"), "web");
    ck_assert_ptr_null(plugin_section_domain("domain "));
    ck_assert_ptr_null(plugin_section_domain("domains"));
}
END_TEST

Suite *suite_shares(void);
Suite *suite_shares(void)
{
    Suite *s = suite_create("shares");
    TCase *t = tcase_create("shares");

    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, shares_become_weights_and_the_others_divide_the_rest);
    tcase_add_test(t, weights_of_whole_domains_are_not_divided);
    tcase_add_test(t, a_domains_own_definition_counts_and_ours_goes_before_it);
    tcase_add_test(t, more_than_all_is_refused_with_file_and_line);
    tcase_add_test(t, nothing_left_is_the_least_weight_and_a_warning);
    tcase_add_loop_test(t, mistakes_are_told_with_what_would_be_right, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(t, settings_belong_below_a_domain);
    tcase_add_test(t, caps_go_where_the_scheduler_has_them);
    tcase_add_test(t, a_scheduler_without_weights_is_told);
    tcase_add_test(t, a_creation_that_does_not_fit_is_refused);
    tcase_add_test(t, definitions_that_have_come_to_exceed_all_change_nothing);
    tcase_add_test(t, words_are_read);
    suite_add_tcase(s, t);
    return s;
}
