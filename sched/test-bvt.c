// SPDX-License-Identifier: MIT
/* Borrowed virtual time on the real core in invented time: shares, warp, limits, lag, arithmetic. Random tests print their seed; BVT_SEED repeats one. */
// needs:
#include "bvt.c"

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

static struct bvt_vcpu *of(const struct engine_task *t)
{
    return t->vcpu->sched.data;
}

static void start(uint32_t cpus_wanted)
{
    host_machine_start(cpus_wanted, "bvt");
    ck_assert_str_eq(sched_active_name(), "bvt");
}

static void stop(void)
{
    ck_assert_str_eq(sched_active_name(), "bvt"); /* the core found no fault */
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
    engine_run(&engine, 10000 * MS);
    for (int i = 0; i < 4; i++)
        assert_share(tasks[i], 0, (double)weights[i] / 15, 10000 * MS, 0.01);
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
    assert_share(a, 0, 0.5, 1000 * MS, 0.01);
    set(a, "weight", 768);
    ran_a = a->ran_ns;
    ran_b = b->ran_ns;
    engine_run(&engine, 5000 * MS);
    assert_share(a, ran_a, 0.75, 4000 * MS, 0.01);
    assert_share(b, ran_b, 0.25, 4000 * MS, 0.01);
    stop();
}
END_TEST

START_TEST(sleepers_keep_their_share_when_they_want_it)
{
    struct engine_task *io;

    start(1);
    add("hog", 256, ENGINE_FOREVER, 0);
    add("hog", 256, ENGINE_FOREVER, 0);
    io = add("io", 256, 1 * MS, 9 * MS);
    engine_run(&engine, 2000 * MS);
    /* It asks for up to a tenth, its share would be a third: what it loses is only waiting for C. */
    ck_assert_uint_gt(io->ran_ns, 2000 * MS / 20);
    ck_assert_uint_le(engine_latency(io, 100), 2 * BVT_ALLOWANCE_NS);
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
    engine_run(&engine, 5100 * MS);
    assert_share(late, 0, 0.5, 100 * MS, 0.1);
    stop();
}
END_TEST

/*
 * W is more than anybody's lead can be, so the woken one is first at once: the bound is no time at all against unwarped vCPUs. Without warp the bound is C
 * of the running one.
 */
START_TEST(warped_waker_is_dispatched_within_the_bound)
{
    struct engine_task *io;
    bool warped = _i == 1;

    start(1);
    for (int i = 0; i < 6; i++)
        add("hog", 64u << i, ENGINE_FOREVER, 0);
    io = add("io", 256, 200 * US, 0);
    io->period_ns = 7 * MS;
    io->start_ns = 3 * MS;
    if (warped)
        set(io, "warp_ns", 100 * MS);
    engine_run(&engine, 5000 * MS);
    ck_assert_uint_gt(io->latencies.count, 100);
    if (warped)
        ck_assert_uint_eq(engine_latency(io, 100), 0);
    else
        ck_assert_uint_gt(engine_latency(io, 50), 1 * MS);
    stop();
}
END_TEST

/* Several warped ones wait for each other, but each no longer than the bursts and allowances of the other warped ones. */
START_TEST(warped_wakers_wait_only_for_each_other)
{
    enum { WARPED = 4 };
    struct engine_task *io[WARPED];

    start(1);
    engine.seed = 7;
    for (int i = 0; i < 4; i++)
        add("hog", 256, ENGINE_FOREVER, 0);
    for (int i = 0; i < WARPED; i++) {
        io[i] = add("io", 256, 300 * US, 30 * MS);
        io[i]->random = true;
        set(io[i], "warp_ns", 50 * MS);
        set(io[i], "warp_limit_ns", 2 * MS);
        set(io[i], "unwarp_ns", 1 * MS);
    }
    engine_run(&engine, 10000 * MS);
    for (int i = 0; i < WARPED; i++) /* L each, with the least slice for one that had almost used it up */
        ck_assert_uint_le(engine_latency(io[i], 100), (WARPED - 1) * (2 * MS + BVT_ALLOWANCE_MIN_NS));
    stop();
}
END_TEST

START_TEST(warp_is_borrowed_not_given)
{
    struct engine_task *hog, *greedy;

    start(1);
    hog = add("hog", 256, ENGINE_FOREVER, 0);
    greedy = add("greedy", 256, 20 * MS, 1 * US); /* runs nearly always, and wakes warped each time */
    set(greedy, "warp_ns", 50 * MS);
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_le(greedy->ran_ns, hog->ran_ns + 50 * MS + 2 * BVT_ALLOWANCE_NS + 20 * MS);
    stop();
}
END_TEST

struct warp_watch {
    struct engine_task *task;
    uint64_t unwarped_ns; /* when its warp time was used up */
    uint64_t limit_ns, unwarp_ns;
    uint32_t times;
    bool was_warped;
};

static void check_warp(struct engine *e, void *arg)
{
    struct warp_watch *w = arg;
    const struct bvt_vcpu *v = of(w->task);
    bool warped = v->warp != 0;

    (void)e;
    ck_assert_uint_le(v->warp_used_ns, w->limit_ns + BVT_ALLOWANCE_MIN_NS);
    if (w->was_warped && !warped && v->warp_used_ns >= w->limit_ns) {
        w->unwarped_ns = host_now_ns;
        w->times++;
    }
    if (!w->was_warped && warped && w->unwarped_ns != 0)
        ck_assert_uint_ge(host_now_ns, w->unwarped_ns + w->unwarp_ns);
    w->was_warped = warped;
}

START_TEST(warp_ends_at_its_limit_and_returns_after_unwarp_time)
{
    struct warp_watch watch = {.limit_ns = 2 * MS, .unwarp_ns = 50 * MS};

    start(1);
    add("hog", 256, ENGINE_FOREVER, 0);
    watch.task = add("io", 256, 5 * MS, 3 * MS);
    set(watch.task, "warp_ns", 100 * MS);
    set(watch.task, "warp_limit_ns", watch.limit_ns);
    set(watch.task, "unwarp_ns", watch.unwarp_ns);
    engine.check = check_warp;
    engine.check_arg = &watch;
    engine_run(&engine, 5000 * MS);
    ck_assert_uint_gt(watch.times, 50);
    stop();
}
END_TEST

/*
 * The theory: whoever is chosen has the least E of all, and runs until it leads the next by C in real time. So at every moment, on each queue,
 * A of a runnable vCPU exceeds the least A by no more than its W plus C at its own rate (C at least the shortest slice). Two such bounds give every pair's lag.
 * (Who yields lets others go further ahead of its own free will.)
 */
static void check_lag(struct engine *e, void *arg)
{
    (void)arg;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        uint64_t least = 0;
        bool any = false;

        for (int pass = 0; pass < 2; pass++) {
            for (uint32_t i = 0; i < e->task_count; i++) {
                struct engine_task *t = e->tasks[i];
                const struct bvt_vcpu *v = of(t);
                uint64_t avt = v->avt, bound, c;

                if (t->vcpu->sched.place == SCHED_OUT || t->vcpu->cpu != cpu)
                    continue;
                if (t->vcpu->sched.place == SCHED_RUNNING)
                    avt = bvt_avt_now(&run_queues[cpu].queue, host_now_ns);
                if (pass == 0) {
                    if (!any || bvt_earlier(avt, least))
                        least = avt;
                    any = true;
                    continue;
                }
                c = v->set.value[BVT_ALLOWANCE];
                bound = v->set.value[BVT_WARP] + (c * BVT_WEIGHT_DEFAULT + v->set.value[BVT_WEIGHT] - 1) / v->set.value[BVT_WEIGHT] + 2 * BVT_WEIGHT_DEFAULT;
                if ((int64_t)(avt - least) > (int64_t)bound) /* check's own assertions write a file each time */
                    ck_abort_msg("%s leads by %lld of %llu at %llu ns", t->name,
                              (long long)(avt - least), (unsigned long long)bound, (unsigned long long)host_now_ns);
            }
        }
    }
}

START_TEST(pairwise_lag_stays_bounded_in_every_step)
{
    const char *given = getenv("BVT_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + (uint64_t)_i;

    printf("pairwise_lag: BVT_SEED=%llu case %d\n", (unsigned long long)seed, _i);
    start(_i == 2 ? 3 : 1);
    engine.seed = seed | 1;
    for (int i = 0; i < 16; i++) {
        struct engine_task *t;
        char name[16];

        snprintf(name, sizeof(name), "t%d", i);
        if (engine_random(&engine) % 2)
            t = add(name, 1 + engine_random(&engine) % 1000, ENGINE_FOREVER, 0);
        else
            t = add(name, 1 + engine_random(&engine) % 1000, (1 + engine_random(&engine) % 20000) * US, (1 + engine_random(&engine) % 20000) * US);
        t->random = true;
        t->start_ns = engine_random(&engine) % (500 * MS);
        set(t, "allowance_ns", (500 + engine_random(&engine) % 9500) * US);
        if (_i >= 1 && engine_random(&engine) % 2) {
            set(t, "warp_ns", engine_random(&engine) % (100 * MS));
            set(t, "warp_limit_ns", engine_random(&engine) % (5 * MS));
            set(t, "unwarp_ns", engine_random(&engine) % (50 * MS));
        }
    }
    engine.check = check_lag;
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_gt(engine.steps, 2000);
    stop();
}
END_TEST

START_TEST(accounting_does_not_drift)
{
    struct engine_task *t;
    uint64_t total = 0, begin;
    struct run_queue *rq;

    start(1);
    srand(3);
    t = add("t", 7, ENGINE_FOREVER, 0);
    rq = run_queue_of(0);
    begin = of(t)->avt;
    for (int i = 0; i < 1000000; i++) {
        uint64_t ran_ns = (uint64_t)rand() % 10000;

        total += ran_ns;
        bvt_charge(active_state, &rq->queue, &t->vcpu->sched, ran_ns, 0);
    }
    ck_assert_uint_eq(of(t)->avt - begin, total * 256 / 7);
    stop();
}
END_TEST

START_TEST(virtual_time_survives_wrap_around)
{
    struct engine_task *a, *b;

    start(1);
    ((struct bvt_queue *)run_queue_of(0)->queue.data)->svt = UINT64_MAX - 500 * MS;
    a = add("a", 256, ENGINE_FOREVER, 0);
    b = add("b", 768, ENGINE_FOREVER, 0);
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_lt(of(a)->avt, UINT64_MAX / 2);
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
    polite = add("polite", 65535, 100 * US, 0); /* would have the pCPU nearly all the time */
    polite->yields = true;
    engine_run(&engine, 1000 * MS);
    ck_assert_uint_ge(hog->ran_ns, 490 * MS); /* one least slice after each burst */
    ck_assert_uint_ge(polite->ran_ns, 490 * MS);
    stop();
}
END_TEST

/* Ten seconds given away do not make five of monopoly. */
START_TEST(yielding_saves_up_little)
{
    struct engine_task *hog, *polite;

    start(1);
    hog = add("hog", 256, ENGINE_FOREVER, 0);
    polite = add("polite", 256, 20 * US, 0);
    polite->yields = true;
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_ge(hog->ran_ns, 7000 * MS);
    polite->yields = false;
    polite->run_ns = polite->left_ns = ENGINE_FOREVER;
    hog->vcpu->sched.waited_max_ns = 0;
    engine_run(&engine, 12000 * MS);
    ck_assert_uint_le(hog->vcpu->sched.waited_max_ns, 30 * MS);
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

START_TEST(parameters_are_checked_and_read_back)
{
    struct engine_task *t;
    uint64_t value;

    start(1);
    t = add("t", 512, ENGINE_FOREVER, 0);
    ck_assert_int_eq(sched_param_get(t->domain, t->vcpu, "weight", &value), 0);
    ck_assert_uint_eq(value, 512);
    ck_assert_int_eq(sched_param_set(t->domain, t->vcpu, "weight", 0), -ERANGE);
    ck_assert_int_eq(sched_param_set(t->domain, t->vcpu, "wieght", 5), -ENOENT);
    ck_assert_int_eq(sched_param_set(t->domain, t->vcpu, "warp_ns", 5 * MS), 0);
    ck_assert_int_eq(sched_param_get(t->domain, NULL, "warp_ns", &value), 0);
    ck_assert_uint_eq(value, 0); /* a vCPU's own setting is not its domain's */
    ck_assert_int_eq(sched_param_set(NULL, NULL, "weight", 100), 0);
    ck_assert_int_eq(sched_param_get(NULL, NULL, "weight", &value), 0);
    ck_assert_uint_eq(value, 100);
    stop();
}
END_TEST

Suite *suite_bvt(void);
Suite *suite_bvt(void)
{
    Suite *s = suite_create("bvt");
    TCase *tc = tcase_create("bvt");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, shares_follow_weights_within_one_percent, 0, 2);
    tcase_add_test(tc, weights_can_change_while_running);
    tcase_add_test(tc, sleepers_keep_their_share_when_they_want_it);
    tcase_add_test(tc, time_asleep_is_not_saved_up);
    tcase_add_loop_test(tc, warped_waker_is_dispatched_within_the_bound, 0, 2);
    tcase_add_test(tc, warped_wakers_wait_only_for_each_other);
    tcase_add_test(tc, warp_is_borrowed_not_given);
    tcase_add_test(tc, warp_ends_at_its_limit_and_returns_after_unwarp_time);
    tcase_add_loop_test(tc, pairwise_lag_stays_bounded_in_every_step, 0, 3);
    tcase_add_test(tc, accounting_does_not_drift);
    tcase_add_test(tc, virtual_time_survives_wrap_around);
    tcase_add_test(tc, yield_lets_somebody_else_run_next);
    tcase_add_test(tc, yielding_saves_up_little);
    tcase_add_test(tc, two_pcpus_share_by_weight_each);
    tcase_add_test(tc, parameters_are_checked_and_read_back);
    suite_add_tcase(s, tc);
    return s;
}
