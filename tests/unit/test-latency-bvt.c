// SPDX-License-Identifier: MIT
/* What the plugin `latency` promises, measured on the real scheduler in invented time: domains that keep to their burst and part never wait longer than the worst wait that the plugin works out, among hogs of any weight;
 * provided that their weight grants them that part: time that is borrowed must be paid back. */
// needs:
#include "../../plugins-dom0/plugins/latency/latency.c"

#include "sched-engine.h"

#include <check.h>

#define MS 1000000ull
#define FORESEEN 4

static struct engine engine;

static void set(const struct engine_task *t, const char *name, double value)
{
    ck_assert_int_eq(sched_param_set(t->domain, NULL, name, (uint64_t)value), 0);
}

static void add_hogs(void)
{
    static const uint64_t weights[] = {16, 256, 256, 4000};

    for (int i = 0; i < 4; i++)
        set(engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0), "weight", (double)weights[i]);
}

/* Bursts and periods that fit the plans; seed by seed other ones. */
static void plan_some(struct latency_plan *plans)
{
    for (uint32_t i = 0; i < FORESEEN; i++) {
        double burst_ns = 100e3 + (double)(engine_random(&engine) % 1900000), percent = 2 + (double)(engine_random(&engine) % 15);

        plans[i] = (struct latency_plan){.wish = {.target_ns = 1e6 * (i + 1), .burst_ns = burst_ns, .cpu_percent = percent}, .domid = i, .vcpus = 1};
    }
    latency_plan_all(plans, FORESEEN, 5e6);
}

START_TEST(nobody_waits_longer_than_was_worked_out)
{
    struct latency_plan plans[FORESEEN];
    struct engine_task *tasks[FORESEEN];
    uint64_t served = 0;

    host_machine_start(1, "bvt");
    engine = (struct engine){.seed = 0x1234567 + (uint64_t)_i * 7919};
    plan_some(plans);
    add_hogs();
    for (uint32_t i = 0; i < FORESEEN; i++) {
        /* It runs no longer than its burst, and sleeps through its unwarp time whatever its wait was. */
        tasks[i] = engine_add(&engine, "foreseen", NULL, (uint64_t)plans[i].limit_ns - 50000, (uint64_t)plans[i].unwarp_ns + engine_random(&engine) % MS);
        set(tasks[i], "weight", 4000); /* of 20528 in all: 19% */
        set(tasks[i], "warp_ns", plans[i].warp_ns);
        set(tasks[i], "warp_limit_ns", plans[i].limit_ns);
        set(tasks[i], "unwarp_ns", plans[i].unwarp_ns);
    }
    engine_run(&engine, 20000 * MS);
    for (uint32_t i = 0; i < FORESEEN; i++) {
        double worst_ns = (double)engine_latency(tasks[i], 100);

        ck_assert_msg(worst_ns <= plans[i].worst_ns, "seed %d, place %u: waited %f ms, foreseen %f ms", _i, i, worst_ns / 1e6, plans[i].worst_ns / 1e6);
        served += tasks[i]->latencies.count;
    }
    ck_assert_uint_gt(served, 100);
    engine_free(&engine);
    host_machine_stop();
}
END_TEST

START_TEST(who_takes_more_than_its_weight_grants_waits)
{
    struct latency_plan plan = {.wish = {.target_ns = 5e6, .burst_ns = 1e6, .cpu_percent = 30}, .vcpus = 1};
    struct engine_task *t;

    host_machine_start(1, "bvt");
    engine = (struct engine){.seed = 7};
    latency_plan_all(&plan, 1, 5e6);
    add_hogs();
    t = engine_add(&engine, "greedy", NULL, (uint64_t)plan.limit_ns, (uint64_t)plan.unwarp_ns); /* weight 256: 5% */
    set(t, "warp_ns", plan.warp_ns);
    set(t, "warp_limit_ns", plan.limit_ns);
    set(t, "unwarp_ns", plan.unwarp_ns);
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_gt(engine_latency(t, 99), 5 * MS);
    ck_assert_uint_lt(t->ran_ns, 10000 * MS * 8 / 100); /* and gets what its weight says */
    engine_free(&engine);
    host_machine_stop();
}
END_TEST

START_TEST(without_warp_they_would)
{
    struct engine_task *t;

    host_machine_start(1, "bvt");
    engine = (struct engine){.seed = 99};
    add_hogs();
    t = engine_add(&engine, "plain", NULL, 1 * MS, 9 * MS);
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_gt(engine_latency(t, 99), 5 * MS);
    engine_free(&engine);
    host_machine_stop();
}
END_TEST

Suite *suite_latency_bvt(void);
Suite *suite_latency_bvt(void)
{
    Suite *s = suite_create("latency-bvt");
    TCase *t = tcase_create("latency-bvt");

    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, nobody_waits_longer_than_was_worked_out, 0, 20);
    tcase_add_test(t, who_takes_more_than_its_weight_grants_waits);
    tcase_add_test(t, without_warp_they_would);
    suite_add_tcase(s, t);
    return s;
}
