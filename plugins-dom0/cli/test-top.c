/* SPDX-License-Identifier: MIT */
/* Tests of the numbers of `collet top`: rates between two looks, orders, domains that come and go. */
#include "fake-collet.h"
#include "top.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct collet *handle;
static struct top_sample before, after;

static void setup(void)
{
    fake_reset();
    ck_assert_int_eq(collet_open(&handle), 0);
    ck_assert_int_eq(top_take(handle, &before), 0);
}

static void teardown(void)
{
    top_free(&before);
    top_free(&after);
    collet_close(handle);
}

static const struct top_row *find(const struct top_row *rows, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    ck_abort_msg("no row %s", name);
    return NULL;
}

START_TEST(rates_are_of_the_interval)
{
    struct top_row *rows;
    const struct top_row *web;
    int count;

    ck_assert_int_eq(top_take(handle, &after), 0);
    rows = top_rows(&before, &after, TOP_BY_CPU, false, &count);
    ck_assert_int_eq(count, 4);
    ck_assert_str_eq(rows[0].name, "web"); /* the only one that ran */
    web = &rows[0];
    ck_assert_double_eq_tol(web->cpu_percent, 40, 1e-6);
    ck_assert_double_eq_tol(web->wait_percent, 10, 1e-6);
    ck_assert_double_eq_tol(web->wakes, 50, 1e-6);
    ck_assert_uint_eq(web->p99_ns, 16000);
    ck_assert_uint_eq(find(rows, count, "db")->p99_ns, 0);
    ck_assert_double_eq_tol(top_busy_percent(&before, &after), 40, 1e-6);
    free(rows);
}
END_TEST

START_TEST(vcpus_have_lines_of_their_own)
{
    struct top_row *rows;
    int count;

    ck_assert_int_eq(top_take(handle, &after), 0);
    rows = top_rows(&before, &after, TOP_BY_ID, true, &count);
    ck_assert_int_eq(count, 6);
    ck_assert_str_eq(rows[2].name, "web/0");
    ck_assert_str_eq(rows[3].name, "web/1");
    ck_assert_double_eq_tol(rows[2].cpu_percent, 0, 1e-6);
    ck_assert_double_eq_tol(rows[3].cpu_percent, 40, 1e-6);
    ck_assert_str_eq(rows[3].state, "running");
    free(rows);
}
END_TEST

START_TEST(orders)
{
    struct top_row *rows;
    int count;

    fake.domains[2].frames = 99999999;
    ck_assert_int_eq(top_take(handle, &after), 0);
    rows = top_rows(&before, &after, TOP_BY_MEMORY, false, &count);
    ck_assert_str_eq(rows[0].name, "db");
    ck_assert_uint_eq(rows[1].domid, 0); /* the same: by number */
    free(rows);
    rows = top_rows(&before, &after, TOP_BY_NAME, false, &count);
    ck_assert_str_eq(rows[0].name, "Domain0");
    ck_assert_str_eq(rows[3].name, "web");
    free(rows);
    rows = top_rows(&before, &after, TOP_BY_LATENCY, false, &count);
    ck_assert_str_eq(rows[0].name, "web");
    free(rows);
}
END_TEST

START_TEST(a_number_that_came_again_is_another_domain)
{
    struct top_row *rows;
    int count;

    /* Restarted: smaller counters, the same number. Nothing may seem to run backwards. */
    fake.domains[1].created_ns += 5;
    fake.vcpus[1][1].time_ns[0] = 10000000;
    fake.vcpus[1][1].wakes = 1;
    ck_assert_int_eq(top_take(handle, &after), 0);
    rows = top_rows(&before, &after, TOP_BY_CPU, false, &count);
    ck_assert_double_ge(find(rows, count, "web")->cpu_percent, 0);
    ck_assert_double_le(find(rows, count, "web")->wakes, 1e6);
    free(rows);
}
END_TEST

Suite *suite_top(void);
Suite *suite_top(void)
{
    Suite *s = suite_create("top");
    TCase *t = tcase_create("top");

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, rates_are_of_the_interval);
    tcase_add_test(t, vcpus_have_lines_of_their_own);
    tcase_add_test(t, orders);
    tcase_add_test(t, a_number_that_came_again_is_another_domain);
    return s;
}
