// SPDX-License-Identifier: MIT
/* Round robin on the real core in invented time: order, equal slices, no starvation. */
// needs:
#include "sched-engine.h"

#include <check.h>
#include <hv/errno.h>

#define MS NS_PER_MS

static struct engine engine;

static void start(uint32_t cpus_wanted)
{
    host_machine_start(cpus_wanted, "rr");
    ck_assert_str_eq(sched_active_name(), "rr");
}

static void stop(void)
{
    ck_assert_str_eq(sched_active_name(), "rr");
    engine_free(&engine);
    host_machine_stop();
}

START_TEST(everybody_gets_the_same)
{
    start(1);
    for (int i = 0; i < 5; i++)
        engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    engine_run(&engine, 10000 * MS);
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(engine.tasks[i]->ran_ns, 2000 * MS);
    stop();
}
END_TEST

START_TEST(waiting_is_bounded_by_the_others_slices)
{
    struct engine_task *io;

    start(1);
    for (int i = 0; i < 4; i++)
        engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    io = engine_add(&engine, "io", NULL, 1 * MS, 7 * MS);
    engine_run(&engine, 5000 * MS);
    ck_assert_uint_gt(io->latencies.count, 50);
    ck_assert_uint_le(engine_latency(io, 100), 4 * 10 * MS);
    stop();
}
END_TEST

START_TEST(one_that_runs_alone_is_cut_when_another_wakes)
{
    struct engine_task *late;

    start(1);
    engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    late = engine_add(&engine, "late", NULL, ENGINE_FOREVER, 0);
    late->start_ns = 3 * MS;
    engine_run(&engine, 20 * MS);
    ck_assert_uint_eq(engine_latency(late, 100), 7 * MS); /* what was left of ten */
    ck_assert_uint_eq(late->ran_ns, 10 * MS);
    stop();
}
END_TEST

START_TEST(slice_can_change_while_running)
{
    struct engine_task *io;

    start(1);
    engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    io = engine_add(&engine, "io", NULL, 1 * MS, 7 * MS);
    ck_assert_int_eq(sched_param_set(NULL, NULL, "slice_ns", 1 * MS), 0);
    ck_assert_int_eq(sched_param_set(io->domain, NULL, "slice_ns", 1 * MS), -EOPNOTSUPP);
    engine_run(&engine, 1000 * MS);
    ck_assert_uint_le(engine_latency(io, 100), 1 * MS);
    stop();
}
END_TEST

Suite *suite_rr(void);
Suite *suite_rr(void)
{
    Suite *s = suite_create("rr");
    TCase *tc = tcase_create("rr");

    tcase_add_test(tc, everybody_gets_the_same);
    tcase_add_test(tc, waiting_is_bounded_by_the_others_slices);
    tcase_add_test(tc, one_that_runs_alone_is_cut_when_another_wakes);
    tcase_add_test(tc, slice_can_change_while_running);
    suite_add_tcase(s, tc);
    return s;
}
