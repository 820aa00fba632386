// SPDX-License-Identifier: MIT
/* admission: sums with numbers worked out by hand, at the limit and one beyond it. */
// needs:
#include "admission.c"

#include <check.h>
#include <hv/plugin-test.h>

#define MIB 256ull

static struct collet_plugin_domain domains[2];
static struct collet_plugin_world world;
static struct collet_plugin_setting own[4];
static struct collet_plugin_request request;
static void *state;

static void start(void)
{
    plugin_test_clear();
    domains[0] = (struct collet_plugin_domain){.domid = 0, .vcpus = 2, .name = "Domain-0", .frames = 256 * MIB, .frames_max = 1000 * MIB};
    domains[1] = (struct collet_plugin_domain){.domid = 1, .vcpus = 1, .name = "web", .frames = 128 * MIB, .frames_max = 256 * MIB};
    world = (struct collet_plugin_world){.size = sizeof(world), .cpus = 2, .domain_count = 2, .domains = domains, .sched = "bvt", .frames_total = 1024 * MIB, .frames_free = 600 * MIB};
    request = (struct collet_plugin_request){.size = sizeof(request), .name = "new", .vcpus = 1, .frames = 64 * MIB, .frames_max = 64 * MIB, .settings = own};
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

static int admit(void)
{
    return collet_plugin.admit(&test_host, state, &request, &world);
}

#define assert_said(part) ck_assert_msg(strstr(plugin_test.said, part) != NULL, "\"%s\" was not said, but: %s", part, plugin_test.said)

START_TEST(memory_up_to_the_reserve_is_promised)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    request.frames_max = 448 * MIB; /* 1024 - 64 - 2 x 256 */
    ck_assert_int_eq(admit(), 0);
    request.frames_max++;
    ck_assert_int_eq(admit(), -ENOMEM);
    request.frames_max = 512 * MIB;
    plugin_test_clear();
    ck_assert_int_eq(admit(), -ENOMEM);
    ck_assert_str_eq(plugin_test.said, "2 memory: new may grow to 512.0 MiB, and 2 domains that are there to 512.0 MiB: together 1024.0 MiB; 960.0 MiB may be promised (100% of 1024.0 MiB without a reserve of 64.0 MiB): "
                                       "448.0 MiB are left\n");
}
END_TEST

START_TEST(overcommit_and_reserve_are_settings)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("", "memory", "150%", 1), PLUGIN_TEST_SETTING("", "reserve", "24M", 2)};

    ck_assert_int_eq(configure(settings, 2), 0);
    request.frames_max = 988 * MIB; /* 1.5 x 1000 - 512 */
    ck_assert_int_eq(admit(), 0);
    request.frames_max++;
    ck_assert_int_eq(admit(), -ENOMEM);
}
END_TEST

START_TEST(promised_time_has_to_fit_the_processors)
{
    struct collet_plugin_setting others[] = {PLUGIN_TEST_SETTING("plugin shares", "share", "50%", 1)}; /* of two: 100% of one */

    ck_assert_int_eq(configure(NULL, 0), 0);
    domains[1].settings = others;
    domains[1].setting_count = 1;
    own[0] = (struct collet_plugin_setting)PLUGIN_TEST_SETTING("sched", "slice_ns", "10ms", 5);
    own[1] = (struct collet_plugin_setting)PLUGIN_TEST_SETTING("sched", "period_ns", "20ms", 6);
    request.setting_count = 2;
    request.vcpus = 2;
    ck_assert_int_eq(admit(), 0); /* 2 x 50% */
    own[0].value = "12ms";
    ck_assert_int_eq(admit(), -ENOSPC);
    assert_said("processor time: new is to be promised 120% of one processor (slices in each period), and the domains that are there have 100%: together 220%; 200% may be promised (100% of 2 processors): 100% are left");
}
END_TEST

START_TEST(the_greatest_promise_counts_and_caps_only_if_asked)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("", "caps", "yes", 1)};

    own[0] = (struct collet_plugin_setting)PLUGIN_TEST_SETTING("plugin admission", "cpu", "150%", 5);
    own[1] = (struct collet_plugin_setting)PLUGIN_TEST_SETTING("plugin shares", "share", "10%", 6);
    own[2] = (struct collet_plugin_setting)PLUGIN_TEST_SETTING("sched", "cap", "250%", 7);
    request.setting_count = 3;
    ck_assert_int_eq(configure(NULL, 0), 0);
    ck_assert_int_eq(admit(), 0);
    collet_plugin.end(state);
    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_int_eq(admit(), -ENOSPC);
    assert_said("250% of one processor (a cap)");
}
END_TEST

START_TEST(what_is_promised_nothing_is_never_refused_for_time)
{
    struct collet_plugin_setting others[] = {PLUGIN_TEST_SETTING("plugin admission", "cpu", "300%", 1)};

    ck_assert_int_eq(configure(NULL, 0), 0);
    domains[1].settings = others;
    domains[1].setting_count = 1;
    ck_assert_int_eq(admit(), 0);
}
END_TEST

START_TEST(unreadable_promises_are_told)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    own[0] = (struct collet_plugin_setting)PLUGIN_TEST_SETTING("plugin admission", "cpu", "half", 5);
    request.setting_count = 1;
    ck_assert_int_eq(admit(), -EINVAL);
    assert_said("test.ini:5: cpu = half: a number was expected");
}
END_TEST

static const char *const wrong[][3] = {{"reserve", "some", "like 64M"}, {"memory", "all", "up to 1000%"}, {"cpu", "2000%", "up to 1000%"}, {"caps", "perhaps", "yes or no"}, {"memroy", "1", "admission knows"}};

START_TEST(mistakes_are_told_with_what_would_be_right)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("", wrong[_i][0], wrong[_i][1], 7)};

    ck_assert_int_eq(configure(settings, 1), -EINVAL);
    assert_said("2 test.ini:7: ");
    assert_said(wrong[_i][2]);
}
END_TEST

Suite *suite_admission(void);
Suite *suite_admission(void)
{
    Suite *s = suite_create("admission");
    TCase *t = tcase_create("admission");

    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, memory_up_to_the_reserve_is_promised);
    tcase_add_test(t, overcommit_and_reserve_are_settings);
    tcase_add_test(t, promised_time_has_to_fit_the_processors);
    tcase_add_test(t, the_greatest_promise_counts_and_caps_only_if_asked);
    tcase_add_test(t, what_is_promised_nothing_is_never_refused_for_time);
    tcase_add_test(t, unreadable_promises_are_told);
    tcase_add_loop_test(t, mistakes_are_told_with_what_would_be_right, 0, sizeof(wrong) / sizeof(wrong[0]));
    suite_add_tcase(s, t);
    return s;
}
