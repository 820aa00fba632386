// SPDX-License-Identifier: MIT
/* diskshares: percentages to weights of VBDs, disk by disk; what is refused, and where that is said. */
// needs:
#include "diskshares.c"

#include <check.h>
#include <hv/plugin-test.h>

static struct collet_plugin_parameter parameters[2];
static struct collet_plugin_domain domains[3];
static struct collet_plugin_disk disks[2];
static struct collet_plugin_vbd vbds[5];
static struct collet_plugin_world world;
static void *state;

static void start(void)
{
    static const char *const names[] = {"Domain-0", "web", "db"};

    plugin_test_clear();
    parameters[0] = (struct collet_plugin_parameter){"slice_ns", 1, 1, 0, 1000000000, 0};
    parameters[1] = (struct collet_plugin_parameter){"weight", 0, 3, 1, 10000, 100};
    for (uint32_t i = 0; i < 3; i++)
        domains[i] = (struct collet_plugin_domain){.domid = i, .vcpus = 1, .name = names[i]};
    for (uint32_t i = 0; i < 2; i++)
        disks[i] = (struct collet_plugin_disk){.disk = i, .parameter_count = 2, .name = i == 0 ? "disk0" : "disk1", .module = "fair", .parameters = parameters};
    vbds[0] = (struct collet_plugin_vbd){.vbd = 1, .domid = 0, .disk = 0, .name = "raw0"};
    vbds[1] = (struct collet_plugin_vbd){.vbd = 2, .domid = 1, .disk = 0, .name = "root"};
    vbds[2] = (struct collet_plugin_vbd){.vbd = 3, .domid = 1, .disk = 0, .name = "data"};
    vbds[3] = (struct collet_plugin_vbd){.vbd = 3, .domid = 1, .disk = 1, .name = "data"};
    vbds[4] = (struct collet_plugin_vbd){.vbd = 4, .domid = 2, .disk = 0, .name = "root"};
    world = (struct collet_plugin_world){.size = sizeof(world), .cpus = 1, .domain_count = 3, .domains = domains, .sched = "bvt", .disk_count = 2, .disks = disks, .vbd_count = 5, .vbds = vbds};
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

static double weight(uint32_t disk, uint32_t vbd)
{
    return plugin_test_disk_value(disk, vbd, "weight");
}

#define assert_said(part) ck_assert_msg(strstr(plugin_test.said, part) != NULL, "\"%s\" was not said, but: %s", part, plugin_test.said)

START_TEST(a_share_is_divided_over_a_domains_vbds_on_that_disk)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "share", "60%", 2)};

    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert(weight(0, 2) == 3000 && weight(0, 3) == 3000);
    ck_assert(weight(1, 3) == 6000); /* alone there */
    ck_assert(weight(0, 1) == 2000 && weight(0, 4) == 2000); /* the rest */
    ck_assert_int_eq((int)plugin_test.sets, 5);
    ck_assert_ptr_nonnull(strstr(plugin_test.set[plugin_test_find_disk(0, 2, "weight")].why, "60% x 100 / 2 VBDs = 3000"));
}
END_TEST

START_TEST(a_domains_own_definition_counts_and_ours_goes_before_it)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "share", "10%", 2)};
    struct collet_plugin_setting web = PLUGIN_TEST_SETTING("plugin diskshares", "share", "90%", 9), db = PLUGIN_TEST_SETTING("plugin diskshares", "share", "30%", 8);

    domains[1].settings = &web;
    domains[2].settings = &db;
    domains[1].setting_count = domains[2].setting_count = 1;
    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert(weight(0, 2) == 500 && weight(0, 4) == 3000 && weight(0, 1) == 6000);
}
END_TEST

START_TEST(more_than_all_is_refused_with_its_place)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "share", "60%", 2), PLUGIN_TEST_SETTING("domain db", "share", "50%", 4)};
    struct collet_plugin_setting own = PLUGIN_TEST_SETTING("plugin diskshares", "share", "50%", 7);

    ck_assert_int_eq(configure(settings, 2), -EINVAL);
    assert_said("test.ini:4: share = 50%: with this one the shares add up to 110%");
    ck_assert_int_eq(configure(settings, 1), 0);
    domains[2].settings = &own;
    domains[2].setting_count = 1;
    ck_assert_int_eq(update(), -ERANGE);
    assert_said("test.ini:7: the shares of the domains on disk0 add up to 110%");
}
END_TEST

START_TEST(a_module_without_weights_is_told_once)
{
    struct collet_plugin_setting settings[] = {PLUGIN_TEST_SETTING("domain web", "share", "60%", 2)};

    disks[0].module = disks[1].module = "elevator";
    disks[0].parameter_count = disks[1].parameter_count = 1;
    ck_assert_int_eq(configure(settings, 1), 0);
    ck_assert_int_eq(update(), 0);
    assert_said("disk0: the module elevator has no weights");
    ck_assert_int_eq((int)plugin_test.sets, 0);
    plugin_test_clear();
    ck_assert_int_eq(update(), 0);
    ck_assert_str_eq(plugin_test.said, "");
}
END_TEST

START_TEST(without_shares_weights_stay)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    ck_assert_int_eq(update(), 0);
    ck_assert_int_eq((int)plugin_test.sets, 0);
}
END_TEST

START_TEST(mistakes_are_told)
{
    static const char *const values[] = {"lots", "0%", "101%", "-4%"};
    struct collet_plugin_setting section = PLUGIN_TEST_SETTING("", "share", "10%", 1), key = PLUGIN_TEST_SETTING("domain web", "weight", "10", 3);

    for (int i = 0; i < 4; i++) {
        struct collet_plugin_setting wrong = PLUGIN_TEST_SETTING("domain web", "share", values[i], 2);

        ck_assert_int_eq(configure(&wrong, 1), -EINVAL);
        assert_said("test.ini:2: share = ");
    }
    ck_assert_int_eq(configure(&section, 1), -EINVAL);
    assert_said("a section [domain NAME] was expected");
    ck_assert_int_eq(configure(&key, 1), -EINVAL);
    assert_said("diskshares knows `share`");
}
END_TEST

START_TEST(a_daemon_of_the_first_release_is_told)
{
    ck_assert_int_eq(configure(NULL, 0), 0);
    world.size = offsetof(struct collet_plugin_world, disk_count);
    ck_assert_int_eq(update(), -ENOTSUP);
}
END_TEST

Suite *suite_diskshares(void);
Suite *suite_diskshares(void)
{
    Suite *s = suite_create("diskshares");
    TCase *t = tcase_create("diskshares");

    tcase_add_checked_fixture(t, start, stop);
    tcase_add_test(t, a_share_is_divided_over_a_domains_vbds_on_that_disk);
    tcase_add_test(t, a_domains_own_definition_counts_and_ours_goes_before_it);
    tcase_add_test(t, more_than_all_is_refused_with_its_place);
    tcase_add_test(t, a_module_without_weights_is_told_once);
    tcase_add_test(t, without_shares_weights_stay);
    tcase_add_test(t, mistakes_are_told);
    tcase_add_test(t, a_daemon_of_the_first_release_is_told);
    suite_add_tcase(s, t);
    return s;
}
