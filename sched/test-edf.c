// SPDX-License-Identifier: MIT
/* EDF on the real core in invented time: promises kept, never exceeded without extra time, admission, extra shares, several pCPUs. */
// needs:
#include "edf.c"

#include "../hypervisor/sched/run-queue.h"
#include "log.h"
#include "sched-engine.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MS NS_PER_MS
#define US NS_PER_US

static struct engine engine;

static int promise(struct engine_task *t, uint64_t slice_ns, uint64_t period_ns, uint64_t extra)
{
    struct sched_param_entry entries[] = {
        {.domain = t->domain, .scope = SCHED_SCOPE_DOMAIN, .name = "slice_ns", .value = slice_ns},
        {.domain = t->domain, .scope = SCHED_SCOPE_DOMAIN, .name = "period_ns", .value = period_ns},
        {.domain = t->domain, .scope = SCHED_SCOPE_DOMAIN, .name = "extra", .value = extra},
    };
    uint32_t failed;

    return sched_params_set(NULL, entries, 3, &failed);
}

static struct engine_task *add(const char *name, uint64_t slice_ns, uint64_t period_ns, uint64_t extra, uint64_t run_ns, uint64_t sleep_ns)
{
    struct engine_task *t = engine_add(&engine, name, NULL, run_ns, sleep_ns);

    ck_assert_int_eq(promise(t, slice_ns, period_ns, extra), 0);
    return t;
}

static struct engine_task *hog(uint64_t weight)
{
    struct engine_task *t = engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);

    ck_assert_int_eq(sched_param_set(t->domain, NULL, "weight", weight), 0);
    return t;
}

static void start(uint32_t cpus_wanted)
{
    host_machine_start(cpus_wanted, "edf");
    ck_assert_str_eq(sched_active_name(), "edf");
}

static void stop(void)
{
    ck_assert_str_eq(sched_active_name(), "edf"); /* no fault; the watchdog has not taken a parked one for a starved one */
    engine_free(&engine);
    host_machine_stop();
    ck_assert_int_eq(host_heap_live, 0);
}

static void assert_share(const struct engine_task *t, uint64_t since_ns, double share, uint64_t over_ns, double tolerance)
{
    double got = (double)(t->ran_ns - since_ns) / (double)over_ns;

    ck_assert_msg(got > share * (1 - tolerance) && got < share * (1 + tolerance), "%s: share %f, want %f", t->name, got, share);
}

START_TEST(promises_are_kept_and_not_exceeded)
{
    struct engine_task *a, *b, *c;

    start(1);
    a = add("a", 2 * MS, 10 * MS, 0, ENGINE_FOREVER, 0);
    b = add("b", 10 * MS, 35 * MS, 0, ENGINE_FOREVER, 0);
    c = add("c", 30 * MS, 100 * MS, 0, ENGINE_FOREVER, 0);
    hog(256);
    hog(256);
    engine_run(&engine, 10000 * MS);
    assert_share(a, 0, 0.2, 10000 * MS, 0.01);
    assert_share(b, 0, 10.0 / 35, 10000 * MS, 0.01);
    assert_share(c, 0, 0.3, 10000 * MS, 0.01);
    stop();
}
END_TEST

/* Every period of one that always wants to run, from its first on, has its slice; the set is full up to the limit. */
struct period_watch {
    struct engine_task *task[3];
    uint64_t period_ns[3], slice_ns[3], ran_ns[3], due_ns[3];
    uint32_t periods;
};

static void check_periods(struct engine *e, void *arg)
{
    struct period_watch *w = arg;

    (void)e;
    for (int i = 0; i < 3; i++) {
        const struct edf_vcpu *v = w->task[i]->vcpu->sched.data;

        if (w->due_ns[i] == 0) {
            w->due_ns[i] = v->deadline_ns;
            continue;
        }
        if (host_now_ns < w->due_ns[i])
            continue;
        if (w->task[i]->ran_ns < w->ran_ns[i] + w->slice_ns[i] - EDF_RUN_MIN_NS)
            ck_abort_msg("task %d had %llu ns of %llu in the period that ended at %llu", i, (unsigned long long)(w->task[i]->ran_ns - w->ran_ns[i]),
                         (unsigned long long)w->slice_ns[i], (unsigned long long)w->due_ns[i]);
        w->ran_ns[i] = w->task[i]->ran_ns;
        w->due_ns[i] += w->period_ns[i];
        w->periods++;
    }
}

START_TEST(every_deadline_is_met)
{
    struct period_watch w = {.period_ns = {10 * MS, 14 * MS, 100 * MS}, .slice_ns = {4 * MS, 4 * MS, 21 * MS}};

    start(1);
    for (int i = 0; i < 3; i++)
        w.task[i] = add("t", w.slice_ns[i], w.period_ns[i], (uint64_t)_i, ENGINE_FOREVER, 0);
    hog(65535);
    engine.check = check_periods;
    engine.check_arg = &w;
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_gt(w.periods, 1700);
    stop();
}
END_TEST

START_TEST(a_set_that_would_overcommit_is_refused)
{
    struct engine_task *a, *b, *c;
    uint64_t value;

    start(1);
    a = add("a", 5 * MS, 10 * MS, 1, ENGINE_FOREVER, 0);
    b = add("b", 40 * MS, 100 * MS, 1, ENGINE_FOREVER, 0);
    c = hog(256);
    ck_assert_int_eq(promise(c, 1 * MS, 100 * MS, 1), -ENOSPC);
    ck_assert_int_eq(sched_param_get(c->domain, c->vcpu, "slice_ns", &value), 0);
    ck_assert_uint_eq(value, 0);
    ck_assert_int_eq(sched_param_set(a->domain, NULL, "period_ns", 9 * MS), -ENOSPC);
    ck_assert_int_eq(promise(b, 30 * MS, 100 * MS, 1), 0); /* less */
    ck_assert_int_eq(promise(c, 10 * MS, 100 * MS, 1), 0);
    ck_assert_int_eq(promise(b, 4 * MS, 10 * MS, 1), -ENOSPC);
    ck_assert_int_eq(promise(b, 3 * MS, 10 * MS, 1), 0); /* slice and period together: neither order one by one would be admitted and sensible */
    engine_run(&engine, 1000 * MS);
    stop();
}
END_TEST

START_TEST(several_domains_are_admitted_together)
{
    struct engine_task *a, *b;
    uint32_t failed;

    start(1);
    a = add("a", 8 * MS, 10 * MS, 1, ENGINE_FOREVER, 0);
    b = add("b", 1 * MS, 10 * MS, 1, ENGINE_FOREVER, 0);
    for (uint64_t step = 0; step < 2; step++) {
        struct sched_param_entry entries[] = {
            {.domain = a->domain, .scope = SCHED_SCOPE_DOMAIN, .name = "slice_ns", .value = 1 * MS},
            {.domain = b->domain, .scope = SCHED_SCOPE_DOMAIN, .name = "slice_ns", .value = 9 * MS - step * 2 * MS},
        };

        ck_assert_int_eq(sched_params_set(NULL, entries, 2, &failed), step == 0 ? -ENOSPC : 0);
        ck_assert_uint_eq(failed, 2);
    }
    stop();
}
END_TEST

START_TEST(settings_that_make_no_sense_are_refused)
{
    struct engine_task *t;

    start(1);
    t = hog(256);
    ck_assert_int_eq(promise(t, 20 * MS, 10 * MS, 1), -EINVAL);
    ck_assert_int_eq(promise(t, 0, 10 * MS, 0), -EINVAL); /* it could never run */
    ck_assert_int_eq(promise(t, 50 * US, 10 * MS, 0), -EINVAL);
    ck_assert_int_eq(sched_param_set(t->domain, NULL, "extra", 0), -EINVAL);
    ck_assert_int_eq(promise(t, 1 * MS, 10 * MS, 0), 0);
    stop();
}
END_TEST

/* vCPUs that are made after their domain has asked for too much. */
START_TEST(a_new_vcpu_without_room_gets_extra_time)
{
    struct domain *d;
    struct vcpu *v[3];
    uint64_t value;

    start(1);
    d = host_domain_create(7);
    ck_assert_int_eq(sched_param_set(d, NULL, "slice_ns", 40 * MS), 0);
    for (int i = 0; i < 3; i++)
        v[i] = host_vcpu_create(d);
    ck_assert_int_eq(sched_param_get(d, v[1], "slice_ns", &value), 0);
    ck_assert_uint_eq(value, 40 * MS);
    ck_assert_int_eq(sched_param_get(d, v[2], "slice_ns", &value), 0);
    ck_assert_uint_eq(value, 0);
    ck_assert_ptr_nonnull(strstr(host_log_text(), "extra time only"));
    host_domain_destroy(d);
    stop();
}
END_TEST

START_TEST(a_promise_that_ends_can_be_made_to_another)
{
    struct engine_task *a, *b;

    start(1);
    a = add("a", 8 * MS, 10 * MS, 1, ENGINE_FOREVER, 0);
    b = hog(256);
    ck_assert_int_eq(promise(b, 5 * MS, 10 * MS, 1), -ENOSPC);
    ck_assert_int_eq(promise(a, 0, 10 * MS, 1), 0);
    ck_assert_int_eq(promise(b, 5 * MS, 10 * MS, 1), 0);
    host_vcpu_destroy(b->vcpu);
    ck_assert_int_eq(promise(a, 8 * MS, 10 * MS, 1), 0);
    engine.tasks[1]->vcpu = NULL;
    engine.task_count = 2;
    host_domain_destroy(b->domain);
    engine.task_count = 1;
    free(b);
    stop();
}
END_TEST

START_TEST(extra_time_is_shared_by_weight)
{
    struct engine_task *a, *b, *c;

    start(1);
    a = hog(256);
    b = hog(512);
    c = add("c", 4 * MS, 10 * MS, 0, ENGINE_FOREVER, 0);
    engine_run(&engine, 20000 * MS);
    assert_share(c, 0, 0.4, 20000 * MS, 0.01);
    assert_share(a, 0, 0.2, 20000 * MS, 0.01);
    assert_share(b, 0, 0.4, 20000 * MS, 0.01);
    stop();
}
END_TEST

START_TEST(one_with_extra_time_has_its_slice_and_a_share_of_the_rest)
{
    struct engine_task *a, *b;

    start(1);
    a = add("a", 5 * MS, 10 * MS, 1, ENGINE_FOREVER, 0);
    b = hog(256);
    engine_run(&engine, 20000 * MS);
    assert_share(a, 0, 0.75, 20000 * MS, 0.01);
    assert_share(b, 0, 0.25, 20000 * MS, 0.01);
    stop();
}
END_TEST

/* A pCPU stands idle although somebody is runnable: its slice is used up, and no extra time was allowed. */
START_TEST(without_extra_time_the_slice_is_a_cap)
{
    struct engine_task *t;

    start(1);
    t = add("t", 100 * MS, 1000 * MS, 0, ENGINE_FOREVER, 0);
    engine_run(&engine, 20000 * MS);
    assert_share(t, 0, 0.1, 20000 * MS, 0.001);
    stop();
}
END_TEST

START_TEST(one_that_wakes_preempts_extra_time)
{
    struct engine_task *io;

    start(1);
    for (int i = 0; i < 6; i++)
        hog(256);
    io = add("io", 1 * MS, 5 * MS, 0, 200 * US, 0);
    io->period_ns = 7 * MS;
    engine_run(&engine, 5000 * MS);
    ck_assert_uint_gt(io->latencies.count, 700);
    ck_assert_uint_eq(engine_latency(io, 100), 0);
    stop();
}
END_TEST

/* Sleeping at the right moment must not give more than the promise: two sly ones and one that meets its deadlines all the same. */
START_TEST(sleeping_gains_nothing)
{
    struct engine_task *sly, *honest;

    start(1);
    sly = add("sly", 4 * MS, 10 * MS, 0, 3900 * US, 100 * US);
    honest = add("honest", 5 * MS, 10 * MS, 0, ENGINE_FOREVER, 0);
    hog(256);
    engine_run(&engine, 10000 * MS);
    ck_assert_uint_le(sly->ran_ns, 4000 * MS + 4 * MS);
    assert_share(honest, 0, 0.5, 10000 * MS, 0.01);
    stop();
}
END_TEST

START_TEST(yield_lets_somebody_else_run)
{
    struct engine_task *polite, *other;

    start(1);
    polite = add("polite", 8 * MS, 10 * MS, 1, 100 * US, 0);
    polite->yields = true;
    other = hog(256);
    engine_run(&engine, 1000 * MS);
    ck_assert_uint_ge(other->ran_ns, 400 * MS);
    ck_assert_uint_ge(polite->ran_ns, 200 * MS);
    stop();
}
END_TEST

START_TEST(promises_are_spread_over_pcpus)
{
    struct engine_task *t[4], *rest[3];
    uint64_t ran_ns[4];

    start(2);
    for (int i = 0; i < 3; i++)
        rest[i] = hog(256);
    for (int i = 0; i < 4; i++)
        t[i] = add("t", 4 * MS, 10 * MS, 0, ENGINE_FOREVER, 0); /* two on each: three would not fit */
    engine_run(&engine, 1000 * MS);
    for (int i = 0; i < 4; i++)
        ran_ns[i] = t[i]->ran_ns;
    engine_run(&engine, 11000 * MS);
    for (int i = 0; i < 4; i++)
        assert_share(t[i], ran_ns[i], 0.4, 10000 * MS, 0.01);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_gt(rest[i]->ran_ns, 300 * MS);
    stop();
}
END_TEST

START_TEST(promises_outlive_another_module)
{
    struct engine_task *t;
    uint64_t ran_ns;

    start(1);
    t = add("t", 3 * MS, 10 * MS, 0, ENGINE_FOREVER, 0);
    hog(256);
    engine_run(&engine, 500 * MS);
    ck_assert_int_eq(sched_use("rr"), 0);
    engine_run(&engine, 1000 * MS);
    ck_assert_int_eq(sched_use("edf"), 0);
    ran_ns = t->ran_ns;
    engine_run(&engine, 11000 * MS);
    assert_share(t, ran_ns, 0.3, 10000 * MS, 0.01);
    ck_assert_int_eq(promise(engine.tasks[1], 7 * MS, 10 * MS, 1), -ENOSPC);
    stop();
}
END_TEST

START_TEST(changing_a_promise_takes_effect_at_once)
{
    struct engine_task *t;
    uint64_t ran_ns;

    start(1);
    t = add("t", 2 * MS, 10 * MS, 0, ENGINE_FOREVER, 0);
    hog(256);
    engine_run(&engine, 1000 * MS);
    ran_ns = t->ran_ns;
    ck_assert_int_eq(promise(t, 6 * MS, 20 * MS, 0), 0);
    engine_run(&engine, 11000 * MS);
    assert_share(t, ran_ns, 0.3, 10000 * MS, 0.01);
    stop();
}
END_TEST

Suite *suite_edf(void);
Suite *suite_edf(void)
{
    Suite *s = suite_create("edf");
    TCase *tc = tcase_create("edf");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, promises_are_kept_and_not_exceeded);
    tcase_add_loop_test(tc, every_deadline_is_met, 0, 2);
    tcase_add_test(tc, a_set_that_would_overcommit_is_refused);
    tcase_add_test(tc, several_domains_are_admitted_together);
    tcase_add_test(tc, settings_that_make_no_sense_are_refused);
    tcase_add_test(tc, a_new_vcpu_without_room_gets_extra_time);
    tcase_add_test(tc, a_promise_that_ends_can_be_made_to_another);
    tcase_add_test(tc, extra_time_is_shared_by_weight);
    tcase_add_test(tc, one_with_extra_time_has_its_slice_and_a_share_of_the_rest);
    tcase_add_test(tc, without_extra_time_the_slice_is_a_cap);
    tcase_add_test(tc, one_that_wakes_preempts_extra_time);
    tcase_add_test(tc, sleeping_gains_nothing);
    tcase_add_test(tc, yield_lets_somebody_else_run);
    tcase_add_test(tc, promises_are_spread_over_pcpus);
    tcase_add_test(tc, changing_a_promise_takes_effect_at_once);
    tcase_add_test(tc, promises_outlive_another_module);
    suite_add_tcase(s, tc);
    return s;
}
