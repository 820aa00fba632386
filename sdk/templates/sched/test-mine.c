// SPDX-License-Identifier: MIT
/* The copied scheduler on the real core in invented time: equal shares, no starvation, no fault. */
// needs:
#include "mine.c"

#include "sched-engine.h"

#include <check.h>

const struct sched_ops *const sched_modules[] = {&sched_mine, NULL};

static struct engine engine;

START_TEST(everybody_gets_the_same)
{
    host_machine_start(1, "mine");
    for (int i = 0; i < 4; i++)
        engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    engine_add(&engine, "late", NULL, ENGINE_FOREVER, 0)->start_ns = 5 * NS_PER_S;
    engine_run(&engine, 10 * NS_PER_S);
    ck_assert_uint_ge(engine.tasks[4]->ran_ns, 990 * NS_PER_MS);
    ck_assert_uint_le(engine.tasks[4]->ran_ns, 1010 * NS_PER_MS);
    ck_assert_str_eq(sched_active_name(), "mine");
    engine_free(&engine);
    host_machine_stop();
}
END_TEST

Suite *suite_mine(void);
Suite *suite_mine(void)
{
    Suite *s = suite_create("mine");
    TCase *tc = tcase_create("mine");

    tcase_add_test(tc, everybody_gets_the_same);
    suite_add_tcase(s, tc);
    return s;
}
