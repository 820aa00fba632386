/* SPDX-License-Identifier: MIT */
/* The file of plugins loaded by hand. */
// needs: hand-loaded.c
// libs: -ljansson
#include "hand-loaded.h"

#include "log.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64], seen[256];
static unsigned int warnings;

void log_warning(const char *format, ...)
{
    (void)format;
    warnings++;
}

static void see(void *arg, const char *name, const char *file)
{
    (void)arg;
    snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s=%s ", name, file != NULL ? file : "-");
}

static const char *all(void)
{
    seen[0] = '\0';
    hand_loaded_each(path, see, NULL);
    return seen;
}

static void setup(void)
{
    snprintf(path, sizeof(path), "/tmp/hand-loaded.%d", (int)getpid());
    unlink(path);
    warnings = 0;
}

static void teardown(void)
{
    unlink(path);
}

START_TEST(what_is_added_comes_back_and_what_is_removed_does_not)
{
    ck_assert_str_eq(all(), "");
    hand_loaded_add(path, "latency", NULL);
    hand_loaded_add(path, "shares", "/tmp/shares.ini");
    hand_loaded_add(path, "latency", "/tmp/other.ini");
    ck_assert_str_eq(all(), "latency=/tmp/other.ini shares=/tmp/shares.ini ");
    hand_loaded_remove(path, "latency");
    hand_loaded_remove(path, "nobody");
    ck_assert_str_eq(all(), "shares=/tmp/shares.ini ");
    ck_assert_uint_eq(warnings, 0);
}
END_TEST

START_TEST(a_damaged_file_is_no_plugins_and_is_replaced)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs("[1, {\"half", f);
    fclose(f);
    ck_assert_str_eq(all(), "");
    hand_loaded_add(path, "latency", NULL);
    ck_assert_str_eq(all(), "latency=- ");
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_told_once_and_no_more)
{
    hand_loaded_add("/nonexistent/plugins.json", "latency", NULL);
    ck_assert_uint_eq(warnings, 1);
}
END_TEST

Suite *suite_hand_loaded(void)
{
    Suite *s = suite_create("hand-loaded");
    TCase *t = tcase_create("file");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_is_added_comes_back_and_what_is_removed_does_not);
    tcase_add_test(t, a_damaged_file_is_no_plugins_and_is_replaced);
    tcase_add_test(t, a_folder_that_is_not_there_is_told_once_and_no_more);
    suite_add_tcase(s, t);
    return s;
}
