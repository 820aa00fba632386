// SPDX-License-Identifier: MIT
/* Credit on the real core in invented time: shares over all pCPUs, caps, boost, stealing, accounts that add up. Random tests print their seed; CREDIT_SEED repeats one. */
// needs:
#include "credit.c"

#include "../hypervisor/sched/run-queue.h"
#include "sched-engine.h"

#include <check.h>
#include <hv/errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MS NS_PER_MS
#define US NS_PER_US

static struct engine engine;

static void set(struct engine_task *t, const char *name, uint64_t value)
{
    ck_assert_int_eq(sched_param_set(t->domain, NULL, name, value), 0);
}

static struct engine_task *add(const char *name, uint64_t weight, uint64_t run_ns, uint64_t sleep_ns)
{
    struct engine_task *t = engine_add(&engine, name, NULL, run_ns, sleep_ns);

    set(t, "weight", weight);
    return t;
}

/* One more vCPU of the same domain. */
static struct engine_task *more(const struct engine_task *t)
{
    return engine_add(&engine, t->name, t->domain, t->run_ns, t->sleep_ns);
}

static void start(uint32_t cpus_wanted)
{
    host_machine_start(cpus_wanted, "credit");
    ck_assert_str_eq(sched_active_name(), "credit");
}

static void stop(void)
{
    ck_assert_str_eq(sched_active_name(), "credit");
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

/* What no module with shares for each queue does: three equal hogs on two pCPUs. */
START_TEST(shares_are_of_the_whole_machine)
{
    struct engine_task *t[3];

    start(2);
    for (int i = 0; i < 3; i++)
        t[i] = add("hog", 256, ENGINE_FOREVER, 0);
    engine_run(&engine, 20000 * MS);
    for (int i = 0; i < 3; i++)
        assert_share(t[i], 0, 2.0 / 3, 20000 * MS, 0.01);
    stop();
}
END_TEST

START_TEST(weights_hold_across_pcpus)
{
    static const uint64_t weights[] = {128, 128, 256, 256, 512, 512, 512};
    struct engine_task *t[7];

    start(3);
    for (int i = 0; i < 7; i++)
        t[i] = add("hog", weights[i], ENGINE_FOREVER, 0);
    engine_run(&engine, 30000 * MS);
    for (int i = 0; i < 7; i++)
        assert_share(t[i], 0, 3.0 * (double)weights[i] / 2304, 30000 * MS, 0.01);
    stop();
}
END_TEST

/* One that is entitled to more than a vCPU can have gets a whole pCPU, and the others share the rest by weight. */
START_TEST(what_cannot_be_used_is_shared_by_the_others)
{
    struct engine_task *big, *a, *b;

    start(2);
    big = add("big", 8192, ENGINE_FOREVER, 0);
    a = add("a", 256, ENGINE_FOREVER, 0);
    b = add("b", 768, ENGINE_FOREVER, 0);
    engine_run(&engine, 30000 * MS);
    assert_share(big, 0, 1, 30000 * MS, 0.01);
    assert_share(a, 0, 0.25, 30000 * MS, 0.015);
    assert_share(b, 0, 0.75, 30000 * MS, 0.01);
    stop();
}
END_TEST

/* One that has a pCPU to itself is far ahead of all others: they still share theirs by weight. And when it has to share, it is not made to wait for that. */
START_TEST(weights_hold_among_pinned_ones)
{
    struct engine_task *alone, *t[3];
    uint64_t ran_ns;

    start(2);
    alone = add("alone", 256, ENGINE_FOREVER, 0);
    vcpu_set_affinity(alone->vcpu, 1);
    for (int i = 0; i < 3; i++) {
        t[i] = add("t", 256u << i, ENGINE_FOREVER, 0);
        vcpu_set_affinity(t[i]->vcpu, 2);
    }
    engine_run(&engine, 30000 * MS);
    assert_share(alone, 0, 1, 30000 * MS, 0.01);
    for (int i = 0; i < 3; i++)
        assert_share(t[i], 0, (double)(1 << i) / 7, 30000 * MS, 0.01);
    vcpu_set_affinity(alone->vcpu, 2);
    host_on_cpu(0);
    softirq_raise(SOFTIRQ_SCHEDULE);
    engine_run(&engine, 30500 * MS);
    ran_ns = alone->ran_ns;
    engine_run(&engine, 40500 * MS);
    assert_share(alone, ran_ns, 1.0 / 8, 10000 * MS, 0.15);
    stop();
}
END_TEST

/* Slices that never come to their end, because somebody wakes all the time, do not keep a pCPU from looking for those who have had less. */
START_TEST(shares_even_out_beside_many_wakers)
{
    struct engine_task *t[3];

    start(2);
    engine.seed = 19;
    for (int i = 0; i < 3; i++)
        t[i] = add("hog", 256, ENGINE_FOREVER, 0);
    for (int i = 0; i < 6; i++)
        add("io", 256, 200 * US, 3 * MS)->random = true;
    engine_run(&engine, 20000 * MS);
    for (int i = 1; i < 3; i++)
        assert_share(t[i], 0, (double)t[0]->ran_ns / 20e9, 20000 * MS, 0.05);
    stop();
}
END_TEST

/* The weight is the domain's: four vCPUs have no more than one. */
START_TEST(a_domain_has_one_account_for_all_its_vcpus)
{
    struct engine_task *wide[4], *narrow[2];
    uint64_t ran_ns = 0;

    start(2);
    wide[0] = add("wide", 256, ENGINE_FOREVER, 0);
    for (int i = 1; i < 4; i++)
        wide[i] = more(wide[0]);
    narrow[0] = add("narrow", 256, ENGINE_FOREVER, 0);
    narrow[1] = more(narrow[0]);
    engine_run(&engine, 30000 * MS);
    for (int i = 0; i < 4; i++)
        ran_ns += wide[i]->ran_ns;
    ck_assert_uint_gt(ran_ns, 29700 * MS);
    ck_assert_uint_lt(ran_ns, 30300 * MS);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_gt(wide[i]->ran_ns, 30000 / 8 * MS); /* and none of them is left behind */
    stop();
}
END_TEST

START_TEST(caps_hold)
{
    static const uint64_t caps[] = {1, 10, 50, 95};
    struct engine_task *t;

    start(1);
    t = add("t", 256, ENGINE_FOREVER, 0);
    set(t, "cap", caps[_i]);
    engine_run(&engine, 20000 * MS);
    assert_share(t, 0, (double)caps[_i] / 100, 20000 * MS, 0.01);
    stop();
}
END_TEST

START_TEST(a_cap_is_a_limit_for_all_vcpus_together_and_no_promise)
{
    struct engine_task *t[3], *hog;
    uint64_t ran_ns = 0;

    start(2);
    t[0] = add("capped", 2048, ENGINE_FOREVER, 0);
    t[1] = more(t[0]);
    t[2] = more(t[0]);
    set(t[0], "cap", 70);
    hog = add("hog", 256, ENGINE_FOREVER, 0);
    engine_run(&engine, 20000 * MS);
    for (int i = 0; i < 3; i++) {
        ran_ns += t[i]->ran_ns;
        ck_assert_uint_gt(t[i]->ran_ns, 2000 * MS);
    }
    ck_assert_uint_gt(ran_ns, 13860 * MS);
    ck_assert_uint_lt(ran_ns, 14140 * MS);
    /* The capped one may have both pCPUs at once for a while: its weight says so. */
    ck_assert_uint_gt(hog->ran_ns, 20000 * MS - ran_ns);
    stop();
}
END_TEST

/* A cap above the share changes nothing; taken away while it is parked, it runs at once. */
START_TEST(caps_can_change_while_parked)
{
    struct engine_task *t;
    uint64_t ran_ns;

    start(1);
    t = add("t", 256, ENGINE_FOREVER, 0);
    set(t, "cap", 1);
    engine_run(&engine, 1015 * MS);
    ck_assert_int_eq(t->vcpu->sched.place, SCHED_WAITING);
    ran_ns = t->ran_ns;
    set(t, "cap", 0);
    engine_run(&engine, 2015 * MS);
    ck_assert_uint_ge(t->ran_ns - ran_ns, 999 * MS);
    stop();
}
END_TEST

START_TEST(capped_ones_leave_the_rest_to_others)
{
    struct engine_task *a, *b, *c;

    start(1);
    a = add("a", 1024, ENGINE_FOREVER, 0);
    set(a, "cap", 20);
    b = add("b", 256, ENGINE_FOREVER, 0);
    c = add("c", 768, ENGINE_FOREVER, 0);
    engine_run(&engine, 20000 * MS);
    assert_share(a, 0, 0.2, 20000 * MS, 0.01);
    assert_share(b, 0, 0.2, 20000 * MS, 0.015);
    assert_share(c, 0, 0.6, 20000 * MS, 0.01);
    stop();
}
END_TEST

/* UNDER when it wakes: it preempts whoever is not boosted, after the rate limit. */
START_TEST(a_waker_with_credit_is_boosted)
{
    struct engine_task *io;

    start(1);
    for (int i = 0; i < 6; i++)
        add("hog", 256, ENGINE_FOREVER, 0);
    io = add("io", 256, 200 * US, 0);
    io->period_ns = 7 * MS;
    engine_run(&engine, 500 * MS);
    io->latencies.count = 0;
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_gt(io->latencies.count, 1000);
    ck_assert_uint_le(engine_latency(io, 100), CREDIT_RATELIMIT_NS);
    ck_assert_int_eq(sched_param_set(NULL, NULL, "ratelimit_ns", 0), 0);
    io->latencies.count = 0;
    engine_run(&engine, 20000 * MS);
    ck_assert_uint_eq(engine_latency(io, 100), 0);
    stop();
}
END_TEST

START_TEST(boost_is_no_way_to_get_more)
{
    struct engine_task *hog, *sly;

    start(1);
    hog = add("hog", 256, ENGINE_FOREVER, 0);
    sly = add("sly", 256, 9 * MS, 10 * US); /* wakes all the time, and sleeps before the tick */
    engine_run(&engine, 20000 * MS);
    ck_assert_uint_gt(hog->ran_ns, 9800 * MS);
    ck_assert_uint_gt(sly->ran_ns, 9000 * MS);
    stop();
}
END_TEST

START_TEST(time_asleep_is_saved_up_only_a_little)
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
    engine_run(&engine, 6000 * MS);
    assert_share(late, 0, 0.5, 1000 * MS, 0.1);
    stop();
}
END_TEST

START_TEST(nobody_starves)
{
    struct engine_task *light;

    start(1);
    light = add("light", 16, ENGINE_FOREVER, 0);
    for (int i = 0; i < 7; i++)
        add("heavy", 256, ENGINE_FOREVER, 0);
    for (int i = 0; i < 8; i++)
        add("io", 256, 1 * MS, 20 * MS)->random = true;
    engine_run(&engine, 20000 * MS);
    ck_assert_uint_gt(light->ran_ns, 50 * MS);
    ck_assert_uint_le(light->vcpu->sched.waited_max_ns, 4000 * MS);
    stop();
}
END_TEST

/* A pCPU never idles while somebody who may run there waits elsewhere for longer than a slice. */
static void check_no_idle(struct engine *e, void *arg)
{
    uint64_t *idle_since = arg;
    uint64_t waiting = 0;

    (void)e;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        waiting += run_queue_of(cpu)->queue.waiting;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        if (waiting == 0 || run_queue_of(cpu)->queue.running != NULL)
            idle_since[cpu] = host_now_ns;
        else if (host_now_ns - idle_since[cpu] > 30 * MS)
            ck_abort_msg("pCPU %u idles", cpu);
    }
}

START_TEST(it_is_work_conserving)
{
    static uint64_t idle_since[64];

    start(4);
    engine.seed = 21;
    for (int i = 0; i < 12; i++) {
        struct engine_task *t = add("t", 64u << (i % 5), (1 + engine_random(&engine) % 40) * MS, (1 + engine_random(&engine) % 60) * MS);

        t->random = true;
    }
    for (int i = 0; i < 3; i++)
        add("hog", 256, ENGINE_FOREVER, 0);
    engine.check = check_no_idle;
    engine.check_arg = idle_since;
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_gt(run_queue_of(0)->pulls + run_queue_of(1)->pulls, 10);
    stop();
}
END_TEST

/* Credits of the active domains add up to nothing, whatever comes and goes. */
static void check_sum(struct engine *e, void *arg)
{
    const struct credit *credit = active_state;
    double sum = 0;
    uint64_t weight = 0;

    (void)arg;
    for (uint32_t i = 0; i < e->task_count; i++) {
        const struct credit_domain *d = e->tasks[i]->domain->sched.data;

        if (d->active == 0)
            continue;
        sum += (double)(int64_t)(credit->fair - d->used) * (double)d->weight / (double)CREDIT_UNIT;
        weight += d->weight;
    }
    if (weight != credit->weight)
        ck_abort_msg("weights add up to %llu, not %llu", (unsigned long long)weight, (unsigned long long)credit->weight);
    if (sum > 1e6 || sum < -1e6)
        ck_abort_msg("credits add up to %f ms at %llu", sum / 1e6, (unsigned long long)host_now_ns);
}

START_TEST(credits_add_up_in_every_step)
{
    const char *given = getenv("CREDIT_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + (uint64_t)_i;

    printf("credits_add_up: CREDIT_SEED=%llu case %d\n", (unsigned long long)seed, _i);
    start(_i == 0 ? 1 : 3);
    engine.seed = seed | 1;
    for (int i = 0; i < 16; i++) {
        bool forever = engine_random(&engine) % 3 == 0;
        struct engine_task *t = add("t", 1 + engine_random(&engine) % 1000, forever ? ENGINE_FOREVER : (1 + engine_random(&engine) % 20000) * US,
                                    (1 + engine_random(&engine) % 20000) * US);

        t->random = true;
        t->start_ns = engine_random(&engine) % (500 * MS);
        if (engine_random(&engine) % 4 == 0)
            set(t, "cap", 5 + engine_random(&engine) % 100);
    }
    engine.check = check_sum;
    for (uint64_t ms = 500; ms <= 10000; ms += 500) {
        engine_run(&engine, ms * MS);
        set(engine.tasks[engine_random(&engine) % 16], "weight", 1 + engine_random(&engine) % 1000);
    }
    ck_assert_uint_gt(engine.steps, 2000);
    stop();
}
END_TEST

START_TEST(accounts_survive_wrap_around)
{
    struct engine_task *a, *b;

    start(1);
    ((struct credit *)active_state)->fair = UINT64_MAX - 1000 * MS * CREDIT_UNIT / 256;
    a = add("a", 256, ENGINE_FOREVER, 0);
    b = add("b", 768, ENGINE_FOREVER, 0);
    engine_run(&engine, 20000 * MS);
    ck_assert_uint_lt(((struct credit *)active_state)->fair, UINT64_MAX / 2);
    assert_share(a, 0, 0.25, 20000 * MS, 0.01);
    assert_share(b, 0, 0.75, 20000 * MS, 0.01);
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
    ck_assert_uint_ge(hog->ran_ns, 900 * MS);
    ck_assert_uint_ge(polite->vcpu->sched.dispatches, 60);
    stop();
}
END_TEST

START_TEST(pinned_ones_stay)
{
    struct engine_task *a, *b, *c;

    start(2);
    a = add("a", 256, ENGINE_FOREVER, 0);
    b = add("b", 256, ENGINE_FOREVER, 0);
    c = add("c", 256, ENGINE_FOREVER, 0);
    vcpu_set_affinity(a->vcpu, 1u << a->vcpu->cpu);
    vcpu_set_affinity(b->vcpu, 1u << a->vcpu->cpu);
    vcpu_set_affinity(c->vcpu, 2u >> a->vcpu->cpu);
    engine_run(&engine, 1000 * MS);
    ck_assert_uint_eq(a->vcpu->cpu, b->vcpu->cpu);
    ck_assert_uint_ne(a->vcpu->cpu, c->vcpu->cpu);
    assert_share(c, 0, 1, 1000 * MS, 0.05);
    stop();
}
END_TEST

Suite *suite_credit(void);
Suite *suite_credit(void)
{
    Suite *s = suite_create("credit");
    TCase *tc = tcase_create("credit");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, shares_follow_weights_within_one_percent, 0, 2);
    tcase_add_test(tc, shares_are_of_the_whole_machine);
    tcase_add_test(tc, weights_hold_across_pcpus);
    tcase_add_test(tc, what_cannot_be_used_is_shared_by_the_others);
    tcase_add_test(tc, weights_hold_among_pinned_ones);
    tcase_add_test(tc, shares_even_out_beside_many_wakers);
    tcase_add_test(tc, a_domain_has_one_account_for_all_its_vcpus);
    tcase_add_loop_test(tc, caps_hold, 0, 4);
    tcase_add_test(tc, a_cap_is_a_limit_for_all_vcpus_together_and_no_promise);
    tcase_add_test(tc, caps_can_change_while_parked);
    tcase_add_test(tc, capped_ones_leave_the_rest_to_others);
    tcase_add_test(tc, a_waker_with_credit_is_boosted);
    tcase_add_test(tc, boost_is_no_way_to_get_more);
    tcase_add_test(tc, time_asleep_is_saved_up_only_a_little);
    tcase_add_test(tc, nobody_starves);
    tcase_add_test(tc, it_is_work_conserving);
    tcase_add_loop_test(tc, credits_add_up_in_every_step, 0, 2);
    tcase_add_test(tc, accounts_survive_wrap_around);
    tcase_add_test(tc, yield_lets_somebody_else_run_next);
    tcase_add_test(tc, pinned_ones_stay);
    suite_add_tcase(s, tc);
    return s;
}
