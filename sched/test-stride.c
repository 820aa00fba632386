// SPDX-License-Identifier: MIT
/* Stride scheduling on the real core in invented time: shares, error of a pair, remain, determinism, arithmetic. */
// needs:
#include "stride.c"

#include "../hypervisor/sched/run-queue.h"
#include "sched-engine.h"

#include <check.h>
#include <hv/errno.h>
#include <stdlib.h>

#define MS NS_PER_MS
#define US NS_PER_US

static struct engine engine;

static struct engine_task *add(const char *name, uint64_t weight, uint64_t run_ns, uint64_t sleep_ns)
{
    struct engine_task *t = engine_add(&engine, name, NULL, run_ns, sleep_ns);

    ck_assert_int_eq(sched_param_set(t->domain, NULL, "weight", weight), 0);
    return t;
}

static struct stride_vcpu *of(const struct engine_task *t)
{
    return t->vcpu->sched.data;
}

static void start(uint32_t cpus_wanted)
{
    host_machine_start(cpus_wanted, "stride");
    ck_assert_str_eq(sched_active_name(), "stride");
}

static void stop(void)
{
    ck_assert_str_eq(sched_active_name(), "stride");
    engine_free(&engine);
    host_machine_stop();
    ck_assert_int_eq(host_heap_live, 0);
}

static void assert_share(const struct engine_task *t, uint64_t since_ns, double share, uint64_t over_ns, double tolerance)
{
    double got = (double)(t->ran_ns - since_ns) / (double)over_ns;

    ck_assert_msg(got > share * (1 - tolerance) && got < share * (1 + tolerance), "%s: share %f, want %f", t->name, got, share);
}

START_TEST(shares_follow_weights_within_one_percent)
{
    static const uint64_t weights[] = {1, 2, 4, 8};
    struct engine_task *tasks[4];

    start(1);
    for (int i = 0; i < 4; i++)
        tasks[i] = add("hog", weights[i] * (_i == 0 ? 1 : 256), ENGINE_FOREVER, 0);
    engine_run(&engine, 30000 * MS);
    for (int i = 0; i < 4; i++)
        assert_share(tasks[i], 0, (double)weights[i] / 15, 30000 * MS, 0.01);
    stop();
}
END_TEST

/* The theorem of the paper: between two clients the error is never more than a quantum, however long they run. */
static void check_pair(struct engine *e, void *arg)
{
    double a = (double)e->tasks[0]->ran_ns, b = (double)e->tasks[1]->ran_ns, all = a + b;
    double error = a - all * 3 / 10;

    (void)arg;
    if (error > (double)STRIDE_QUANTUM_NS || error < -(double)STRIDE_QUANTUM_NS)
        ck_abort_msg("error %f ms at %llu ns", error / 1e6, (unsigned long long)host_now_ns);
}

START_TEST(error_of_a_pair_stays_within_a_quantum)
{
    start(1);
    add("a", 300, ENGINE_FOREVER, 0);
    add("b", 700, ENGINE_FOREVER, 0);
    engine.check = check_pair;
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_gt(engine.steps, 900);
    stop();
}
END_TEST

START_TEST(weights_can_change_while_running)
{
    struct engine_task *a, *b;
    uint64_t ran_a, ran_b;

    start(1);
    a = add("a", 256, ENGINE_FOREVER, 0);
    b = add("b", 256, ENGINE_FOREVER, 0);
    engine_run(&engine, 1000 * MS);
    assert_share(a, 0, 0.5, 1000 * MS, 0.025); /* a quantum more or less */
    ck_assert_int_eq(sched_param_set(a->domain, NULL, "weight", 768), 0);
    ran_a = a->ran_ns;
    ran_b = b->ran_ns;
    engine_run(&engine, 9000 * MS);
    assert_share(a, ran_a, 0.75, 8000 * MS, 0.01);
    assert_share(b, ran_b, 0.25, 8000 * MS, 0.01);
    stop();
}
END_TEST

/* One that leaves just before the end of its quantum and comes back at once is no better off than one that stays. */
START_TEST(leaving_and_joining_gains_nothing)
{
    struct engine_task *hog, *sly;

    start(1);
    hog = add("hog", 256, ENGINE_FOREVER, 0);
    sly = add("sly", 256, 9 * MS, 1 * US);
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_le(sly->ran_ns, hog->ran_ns + 20 * MS);
    stop();
}
END_TEST

START_TEST(remain_is_kept_while_asleep)
{
    struct engine_task *t;
    uint64_t remain;
    int64_t distance;

    start(1);
    add("hog", 256, ENGINE_FOREVER, 0);
    add("hog", 512, ENGINE_FOREVER, 0);
    t = add("t", 256, 3 * MS, 500 * MS);
    engine_run(&engine, 300 * MS);
    ck_assert_int_eq(t->vcpu->sched.place, SCHED_OUT);
    remain = of(t)->remain;
    engine_run(&engine, t->wake_at_ns - 1);
    ck_assert_uint_eq(of(t)->remain, remain);
    engine_run(&engine, t->wake_at_ns);
    /* The global pass went a quarter of the way towards it: that is its part of the weights. */
    distance = (int64_t)(of(t)->pass - ((struct stride_queue *)run_queue_of(0)->queue.data)->pass);
    ck_assert_int_le(distance - (int64_t)remain * 3 / 4, 1);
    ck_assert_int_ge(distance - (int64_t)remain * 3 / 4, -1);
    stop();
}
END_TEST

START_TEST(time_asleep_is_not_saved_up)
{
    struct engine_task *hog, *late;
    uint64_t ran_ns;

    start(1);
    hog = add("hog", 256, ENGINE_FOREVER, 0);
    late = add("late", 256, ENGINE_FOREVER, 0);
    late->start_ns = 5000 * MS;
    engine_run(&engine, 5000 * MS);
    ran_ns = hog->ran_ns;
    ck_assert_uint_eq(ran_ns, 5000 * MS);
    engine_run(&engine, 5500 * MS);
    assert_share(late, 0, 0.5, 500 * MS, 0.05);
    stop();
}
END_TEST

/* With weights that differ by a factor of w, nobody waits longer than the others' quanta before its stride is over. */
START_TEST(nobody_starves)
{
    struct engine_task *light;

    start(1);
    light = add("light", 16, ENGINE_FOREVER, 0);
    for (int i = 0; i < 7; i++)
        add("heavy", 256, ENGINE_FOREVER, 0);
    engine_run(&engine, 20000 * MS);
    ck_assert_uint_le(light->vcpu->sched.waited_max_ns, (7 * 16 + 8) * STRIDE_QUANTUM_NS);
    assert_share(light, 0, 16.0 / (16 + 7 * 256), 20000 * MS, 0.1);
    stop();
}
END_TEST

START_TEST(a_waker_waits_for_the_quantum_and_those_before_it)
{
    struct engine_task *io;

    start(1);
    add("hog", 256, ENGINE_FOREVER, 0);
    io = add("io", 4096, 100 * US, 7 * MS);
    io->start_ns = 100 * MS;
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_gt(io->latencies.count, 500);
    ck_assert_uint_le(engine_latency(io, 100), STRIDE_QUANTUM_NS);
    ck_assert_int_eq(sched_param_set(NULL, NULL, "quantum_ns", 1 * MS), 0);
    io->latencies.count = 0;
    engine_run(&engine, 20000 * MS);
    ck_assert_uint_le(engine_latency(io, 99), 1 * MS);
    stop();
}
END_TEST

/* Sum of weight times distance from the global pass: nothing is made or lost. */
START_TEST(the_global_pass_is_the_weighted_average)
{
    int64_t sum = 0;

    start(1);
    for (int i = 1; i <= 6; i++)
        add("hog", 64u * (unsigned int)i, ENGINE_FOREVER, 0);
    engine_run(&engine, 10 * MS);
    for (int round = 0; round < 2; round++) {
        const struct stride_queue *rq = run_queue_of(0)->queue.data;
        int64_t now = 0;

        /* Read when a quantum has just ended. */
        engine_run(&engine, (round == 0 ? 1000 : 10000) * MS);
        for (int i = 0; i < 6; i++)
            now += (int64_t)of(engine.tasks[i])->weight * (int64_t)(of(engine.tasks[i])->pass - rq->pass) / 256;
        if (round == 0)
            sum = now;
        ck_assert_int_le(now - sum, 100 * US);
        ck_assert_int_ge(now - sum, -(int64_t)(100 * US));
    }
    stop();
}
END_TEST

START_TEST(accounting_does_not_drift)
{
    struct engine_task *t;
    uint64_t pass = 0, carry = 0, total = 0;

    start(1);
    srand(3);
    t = add("t", 7, ENGINE_FOREVER, 0);
    for (int i = 0; i < 1000000; i++) {
        uint64_t ran_ns = (uint64_t)rand() % 10000;

        total += ran_ns;
        stride_advance(&pass, &carry, ran_ns, of(t)->weight);
    }
    ck_assert_uint_eq(pass, total * 256 / 7);
    stop();
}
END_TEST

START_TEST(pass_survives_wrap_around)
{
    struct engine_task *a, *b;

    start(1);
    ((struct stride_queue *)run_queue_of(0)->queue.data)->pass = UINT64_MAX - 500 * MS;
    a = add("a", 256, ENGINE_FOREVER, 0);
    b = add("b", 768, ENGINE_FOREVER, 0);
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_lt(of(a)->pass, UINT64_MAX / 2);
    assert_share(a, 0, 0.25, 10000 * MS, 0.01);
    assert_share(b, 0, 0.75, 10000 * MS, 0.01);
    stop();
}
END_TEST

START_TEST(yield_lets_somebody_else_run_next)
{
    struct engine_task *hog, *polite;

    start(1);
    hog = add("hog", 256, ENGINE_FOREVER, 0);
    polite = add("polite", 65535, 100 * US, 0);
    polite->yields = true;
    engine_run(&engine, 1000 * MS);
    ck_assert_uint_ge(hog->ran_ns, 900 * MS); /* a quantum after each burst */
    ck_assert_uint_ge(polite->vcpu->sched.dispatches, 90);
    stop();
}
END_TEST

START_TEST(two_pcpus_share_by_weight_each)
{
    struct engine_task *t[4];

    start(2);
    for (int i = 0; i < 4; i++)
        t[i] = add("t", i < 2 ? 256 : 768, ENGINE_FOREVER, 0);
    engine_run(&engine, 10000 * MS);
    for (int i = 0; i < 4; i++)
        assert_share(t[i], 0, i < 2 ? 0.25 : 0.75, 10000 * MS, 0.01);
    stop();
}
END_TEST

Suite *suite_stride(void);
Suite *suite_stride(void)
{
    Suite *s = suite_create("stride");
    TCase *tc = tcase_create("stride");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, shares_follow_weights_within_one_percent, 0, 2);
    tcase_add_test(tc, error_of_a_pair_stays_within_a_quantum);
    tcase_add_test(tc, weights_can_change_while_running);
    tcase_add_test(tc, leaving_and_joining_gains_nothing);
    tcase_add_test(tc, remain_is_kept_while_asleep);
    tcase_add_test(tc, time_asleep_is_not_saved_up);
    tcase_add_test(tc, nobody_starves);
    tcase_add_test(tc, a_waker_waits_for_the_quantum_and_those_before_it);
    tcase_add_test(tc, the_global_pass_is_the_weighted_average);
    tcase_add_test(tc, accounting_does_not_drift);
    tcase_add_test(tc, pass_survives_wrap_around);
    tcase_add_test(tc, yield_lets_somebody_else_run_next);
    tcase_add_test(tc, two_pcpus_share_by_weight_each);
    suite_add_tcase(s, tc);
    return s;
}
