// SPDX-License-Identifier: MIT
/*
 * colletd.ini.
 */
// needs: settings.c ini-lines.c text.c
// libs: -linih
#include "settings.h"

#include <check.h>
#include <string.h>

START_TEST(without_a_file)
{
    struct text_mistakes m = {0};
    struct settings *s = settings_parse("x", NULL, &m);

    ck_assert_uint_eq(m.count, 0);
    ck_assert_str_eq(s->run_folder, "/run/collet");
    ck_assert_uint_eq(s->console_bytes, 1u << 20);
    ck_assert_uint_eq(s->restart_limit, 5);
    ck_assert_str_eq(s->plugins, "");
    settings_free(s);
}
END_TEST

START_TEST(what_is_said_counts)
{
    struct text_mistakes m = {0};
    struct settings *s = settings_parse("x", "[console]\nsize = 64K\nkeep=2\n[plugins]\nload = shares, latency\n[paths]\nxenstored =\n[restart]\nwithin = 10s\n", &m);

    ck_assert_msg(m.count == 0, "%s", m.text);
    ck_assert_uint_eq(s->console_bytes, 65536);
    ck_assert_uint_eq(s->console_keep, 2);
    ck_assert_str_eq(s->plugins, "shares, latency");
    ck_assert_str_eq(s->xenstored, "");
    ck_assert_uint_eq(s->restart_within_ns, 10000000000u);
    settings_free(s);
}
END_TEST

START_TEST(mistakes)
{
    struct text_mistakes m = {0};
    struct settings *s = settings_parse("x", "[console]\nsize = big\nkep = 3\n[paths]\nrun = here\n[log]\nkeep = 100000\n", &m);

    ck_assert_uint_eq(m.count, 4);
    ck_assert_ptr_nonnull(strstr(m.text, "x:2: size = big: a size like 1M was expected"));
    ck_assert_ptr_nonnull(strstr(m.text, "x:3: kep: there is no such setting in [console]; is keep meant?"));
    ck_assert_ptr_nonnull(strstr(m.text, "x:5: run = here: a path from the root"));
    ck_assert_uint_eq(s->console_bytes, 1u << 20);
    settings_free(s);
    memset(&m, 0, sizeof(m));
    settings_free(settings_parse("x", "size = 1\n[consle]\nsize = 4\n", &m));
    ck_assert_str_eq(m.text, "x:1: size: there is no such setting in []\nx:2: [consle]: there is no such section; is [console] meant?");
}
END_TEST

Suite *suite_settings(void);
Suite *suite_settings(void)
{
    Suite *suite = suite_create("settings");
    TCase *tcase = tcase_create("settings");

    tcase_add_test(tcase, without_a_file);
    tcase_add_test(tcase, what_is_said_counts);
    tcase_add_test(tcase, mistakes);
    suite_add_tcase(suite, tcase);
    return suite;
}
