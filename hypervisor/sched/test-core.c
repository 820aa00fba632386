// SPDX-License-Identifier: MIT
/* The scheduler core on invented time: states, wake-ups, pauses, moves between pCPUs, changes of module under load. */
// needs:
#include "sched-engine.h"

#include "log.h"
#include "options.h"
#include "run-queue.h"

#include <check.h>
#include <hv/errno.h>

#include <stdio.h>
#include <string.h>

#define MS NS_PER_MS

static struct engine engine;
static struct domain *d;
static struct vcpu *a, *b;

static void start(uint32_t cpus_wanted, const char *module)
{
    host_machine_start(cpus_wanted, module);
    d = host_domain_create(1);
    a = host_vcpu_create(d);
    b = host_vcpu_create(d);
}

static void stop(void)
{
    host_domain_destroy(d);
    host_machine_stop();
    ck_assert_int_eq(host_heap_live, 0);
}

static struct vcpu *running_on(uint32_t cpu)
{
    return cpus[cpu].current;
}

START_TEST(new_vcpu_waits_for_unpause_and_up)
{
    start(1, "rr");
    host_settle();
    ck_assert(running_on(0)->is_idle);
    ck_assert(vcpu_is_down(a));
    vcpu_unpause(a);
    host_settle();
    ck_assert(running_on(0)->is_idle);
    vcpu_set_down(a, false);
    host_settle();
    ck_assert_ptr_eq(running_on(0), a);
    ck_assert_int_eq(a->time.runstate.state, RUNSTATE_running);
    stop();
}
END_TEST

static bool no(struct vcpu *v)
{
    ck_assert_uint_eq(v->sched.blockers, SCHED_BLOCKED); /* set before we are asked */
    return false;
}

START_TEST(block_is_undone_when_the_event_is_there)
{
    uint64_t switches;

    start(1, "rr");
    host_vcpu_start(a);
    host_settle();
    switches = run_queue_of(0)->switches;
    vcpu_block(no);
    ck_assert_ptr_eq(running_on(0), a);
    ck_assert_uint_eq(a->sched.blockers, 0);
    ck_assert_uint_eq(run_queue_of(0)->switches, switches);
    stop();
}
END_TEST

static bool wakes_itself(struct vcpu *v)
{
    vcpu_wake(v); /* as an interrupt at the worst moment would */
    return true;
}

START_TEST(wake_between_block_and_switch_is_not_lost)
{
    start(1, "rr");
    host_vcpu_start(a);
    host_settle();
    vcpu_block(wakes_itself);
    host_settle();
    ck_assert_ptr_eq(running_on(0), a);
    stop();
}
END_TEST

START_TEST(block_and_wake)
{
    start(1, "rr");
    host_vcpu_start(a);
    host_settle();
    vcpu_block(NULL);
    ck_assert(running_on(0)->is_idle);
    ck_assert_int_eq(a->time.runstate.state, RUNSTATE_blocked);
    ck_assert(!a->sched.on_cpu);
    host_now_ns += 5 * MS;
    vcpu_wake(a);
    ck_assert_int_eq(a->time.runstate.state, RUNSTATE_runnable);
    vcpu_wake(a); /* again: nothing */
    host_settle();
    ck_assert_ptr_eq(running_on(0), a);
    ck_assert_uint_eq(a->time.runstate.time[RUNSTATE_blocked], 5 * MS);
    ck_assert_uint_eq(a->sched.wakes, 2);
    stop();
}
END_TEST

START_TEST(running_alone_needs_no_switch_and_no_timer)
{
    uint64_t switches;

    start(1, "rr");
    host_vcpu_start(a);
    host_settle();
    switches = run_queue_of(0)->switches;
    softirq_raise(SOFTIRQ_SCHEDULE);
    host_settle();
    ck_assert_uint_eq(run_queue_of(0)->switches, switches);
    ck_assert_uint_eq(host_timer_next(), UINT64_MAX);
    stop();
}
END_TEST

START_TEST(pause_counts_and_stops_wherever_it_is)
{
    start(1, "rr");
    host_vcpu_start(a);
    host_vcpu_start(b);
    host_settle();
    ck_assert_ptr_eq(running_on(0), a);
    vcpu_pause(b); /* waiting */
    ck_assert_int_eq(b->sched.place, SCHED_OUT);
    ck_assert_int_eq(b->time.runstate.state, RUNSTATE_offline);
    vcpu_pause(b);
    vcpu_unpause(b);
    ck_assert_int_eq(b->sched.place, SCHED_OUT);
    vcpu_pause(a); /* running: it leaves at the next softirq */
    ck_assert_ptr_eq(running_on(0), a);
    host_settle();
    ck_assert(running_on(0)->is_idle);
    vcpu_unpause(b);
    host_settle();
    ck_assert_ptr_eq(running_on(0), b);
    vcpu_block(NULL);
    vcpu_pause(b); /* blocked */
    vcpu_wake(b);
    host_settle();
    ck_assert(running_on(0)->is_idle);
    vcpu_unpause(b);
    host_settle();
    ck_assert_ptr_eq(running_on(0), b);
    vcpu_unpause(a);
    stop();
}
END_TEST

START_TEST(down_is_no_block)
{
    start(1, "rr");
    host_vcpu_start(a);
    host_settle();
    vcpu_set_down(a, true);
    host_settle();
    ck_assert(running_on(0)->is_idle);
    vcpu_wake(a);
    host_settle();
    ck_assert(running_on(0)->is_idle);
    vcpu_set_down(a, false);
    host_settle();
    ck_assert_ptr_eq(running_on(0), a);
    stop();
}
END_TEST

START_TEST(waker_goes_to_an_idle_pcpu)
{
    start(2, _i == 0 ? "rr" : "bvt");
    vcpu_set_affinity(a, 1);
    vcpu_set_affinity(b, 1);
    host_vcpu_start(a);
    host_vcpu_start(b);
    host_settle();
    vcpu_set_affinity(b, 3);
    if (running_on(0) == b) {
        host_on_cpu(0);
        vcpu_block(NULL);
        vcpu_wake(b);
    }
    host_settle();
    host_run_until(50 * MS);
    ck_assert_ptr_eq(running_on(0), a);
    ck_assert_ptr_eq(running_on(1), b);
    host_on_cpu(0);
    stop();
}
END_TEST

START_TEST(idle_pcpu_takes_from_a_full_one)
{
    struct vcpu *c;

    start(2, _i == 0 ? "rr" : "bvt");
    c = host_vcpu_create(d);
    host_vcpu_start(a);
    host_vcpu_start(b);
    host_vcpu_start(c);
    host_settle();
    host_run_until(100 * MS);
    for (int i = 0; i < 3; i++) {
        struct vcpu *gone = running_on(1);

        if (gone->is_idle)
            break;
        host_on_cpu(1);
        vcpu_block(NULL);
        host_settle();
        ck_assert(!running_on(0)->is_idle);
        if (i < 1)
            ck_assert(!running_on(1)->is_idle);
    }
    ck_assert_uint_gt(run_queue_of(0)->pulls + run_queue_of(1)->pulls, 0);
    host_on_cpu(0);
    stop();
}
END_TEST

START_TEST(other_pcpu_is_preempted)
{
    uint32_t home;

    start(2, "bvt");
    ck_assert_int_eq(sched_param_set(d, b, "warp_ns", 50 * MS), 0);
    vcpu_set_affinity(a, 2);
    vcpu_set_affinity(b, 2);
    host_vcpu_start(a);
    host_settle();
    host_run_until(1 * MS);
    host_vcpu_start(b);
    host_settle();
    home = b->cpu;
    host_run_until(2 * MS);
    if (running_on(home) == b) {
        host_on_cpu(home);
        vcpu_block(NULL);
        host_settle();
        host_run_until(20 * MS);
        host_on_cpu(0);
        vcpu_wake(b);
        ck_assert(cpus[home].softirq_pending & (1u << SOFTIRQ_SCHEDULE));
        host_settle();
        ck_assert_ptr_eq(running_on(home), b);
    }
    stop();
}
END_TEST

/* ---- Changing the module ---- */

static uint64_t total_ran(void)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < engine.task_count; i++)
        total += engine.tasks[i]->ran_ns;
    return total;
}

START_TEST(change_under_load_loses_nobody)
{
    static const char *const names[] = {"rr", "bvt", "fallback"};

    host_machine_start(3, "bvt");
    engine.seed = 11;
    for (int i = 0; i < 24; i++) {
        struct engine_task *t =
            i < 6 ? engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0) : engine_add(&engine, "io", NULL, 500000, 2 * MS);

        t->random = true;
    }
    for (uint64_t ms = 1; ms <= 2000; ms++) {
        engine_run(&engine, ms * MS);
        if (engine_random(&engine) % 3 == 0) {
            const char *name = names[engine_random(&engine) % 3];

            ck_assert_int_eq(sched_use(name), 0);
            ck_assert_str_eq(sched_active_name(), name);
            for (uint32_t i = 0; i < engine.task_count; i++) {
                struct vcpu *v = engine.tasks[i]->vcpu;

                if (!engine.tasks[i]->started)
                    continue;
                if ((v->sched.blockers == 0) != (v->sched.place != SCHED_OUT))
                    ck_abort_msg("a vCPU was lost");
            }
        }
    }
    for (uint32_t i = 0; i < engine.task_count; i++)
        ck_assert_uint_gt(engine.tasks[i]->ran_ns, 20 * MS);
    ck_assert_uint_eq(total_ran(), 3 * 2000 * MS); /* three pCPUs, never idle while six want to run */
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        ck_assert_uint_eq(sched_fault_counts[fault], 0);
    engine_free(&engine);
    host_machine_stop();
    ck_assert_int_eq(host_heap_live, 0);
}
END_TEST

/* Each change ends every slice and begins all accounts anew: nobody may be last each time. */
START_TEST(thousand_changes_in_a_row_starve_nobody)
{
    const struct sched_ops *one, *other;

    for (uint32_t i = 0; (one = sched_module_at(i)) != NULL; i++) {
        for (uint32_t j = i + 1; (other = sched_module_at(j)) != NULL; j++) {
            host_machine_start(1, one->name);
            engine.seed = 11;
            for (int n = 0; n < 4; n++)
                engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
            engine_add(&engine, "io", NULL, 500000, 2 * MS);
            for (uint64_t n = 0; n < 1000; n++) {
                engine_run(&engine, (n + 1) * MS);
                ck_assert_int_eq(sched_use(n % 2 ? one->name : other->name), 0);
            }
            for (uint32_t n = 0; n < engine.task_count; n++) {
                ck_assert_msg(engine.tasks[n]->vcpu->sched.waited_max_ns < 60 * MS, "%s and %s", one->name, other->name);
                ck_assert_msg(n == 4 || engine.tasks[n]->ran_ns > 200 * MS, "%s and %s", one->name, other->name);
            }
            engine_free(&engine);
            host_machine_stop();
        }
    }
}
END_TEST

static const char *any_module(void)
{
    uint32_t modules = 0;

    while (sched_modules[modules] != NULL)
        modules++;
    modules = (uint32_t)(engine_random(&engine) % (modules + 1));
    return sched_modules[modules] != NULL ? sched_modules[modules]->name : "fallback";
}

static void assert_nobody_lost(void)
{
    for (uint32_t i = 0; i < engine.task_count; i++) {
        const struct sched_vcpu *s = &engine.tasks[i]->vcpu->sched;

        if (engine.tasks[i]->started && (s->blockers == 0) != (s->place != SCHED_OUT))
            ck_abort_msg("a vCPU was lost");
    }
}

/*
 * A thousand changes among all modules and the fallback. With two that always want to run on each pCPU nobody waits longer than the longest slice of any module
 * (credit's 30 ms); with many that come and go, not longer than that for each.
 */
START_TEST(a_thousand_changes_stall_nobody)
{
    const uint64_t slice_ns = 30 * MS;
    uint64_t now_ns = 0;
    bool crowd = _i == 1;

    host_machine_start(3, "bvt");
    engine.seed = 31;
    for (int i = 0; i < (crowd ? 24 : 6); i++) {
        struct engine_task *t = crowd && i >= 6 ? engine_add(&engine, "io", NULL, 500000, 4 * MS) : engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);

        t->random = true;
    }
    for (int change = 0; change < 1000; change++) {
        now_ns += (1 + engine_random(&engine) % 40) * MS / (crowd ? 4 : 1);
        engine_run(&engine, now_ns);
        ck_assert_int_eq(sched_use(any_module()), 0);
        assert_nobody_lost();
    }
    for (uint32_t i = 0; i < engine.task_count; i++) {
        ck_assert_uint_le(engine.tasks[i]->vcpu->sched.waited_max_ns, crowd ? 7 * slice_ns : slice_ns);
        if (!crowd) {
            ck_assert_uint_gt(engine.tasks[i]->ran_ns, now_ns / 100 * 45);
            ck_assert_uint_lt(engine.tasks[i]->ran_ns, now_ns / 100 * 55);
        }
    }
    ck_assert_uint_eq(total_ran(), 3 * now_ns);
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        ck_assert_uint_eq(sched_fault_counts[fault], 0);
    engine_free(&engine);
    host_machine_stop();
    ck_assert_int_eq(host_heap_live, 0);
}
END_TEST

START_TEST(change_without_memory_changes_nothing)
{
    int64_t live;

    start(2, "bvt");
    host_vcpu_start(a);
    host_vcpu_start(b);
    host_settle();
    live = host_heap_live;
    for (uint64_t budget = 0;; budget++) {
        int rc;

        host_heap_budget = budget;
        rc = sched_use("rr");
        host_heap_budget = UINT64_MAX;
        if (rc == 0)
            break;
        ck_assert_int_eq(rc, -ENOMEM);
        ck_assert_str_eq(sched_active_name(), "bvt");
        ck_assert_int_eq(host_heap_live, live);
        ck_assert_uint_lt(budget, 100);
    }
    ck_assert_str_eq(sched_active_name(), "rr");
    ck_assert_int_eq(sched_use("nonsense"), -ENOENT);
    stop();
}
END_TEST

START_TEST(unknown_name_at_boot_uses_the_first)
{
    start(1, "nonsense");
    ck_assert_str_eq(sched_active_name(), sched_modules[0]->name);
    ck_assert_ptr_nonnull(strstr(host_log_text(), "nonsense"));
    stop();
}
END_TEST

START_TEST(options_set_parameters)
{
    uint64_t value;

    strcpy(boot_options.sched_params, "weight:77,allowance_ns:3000000,bogus:1,weight:x");
    start(1, "bvt");
    ck_assert_int_eq(sched_param_get(NULL, NULL, "weight", &value), 0);
    ck_assert_uint_eq(value, 77);
    ck_assert_int_eq(sched_param_get(d, a, "allowance_ns", &value), 0);
    ck_assert_uint_eq(value, 3 * MS);
    ck_assert_ptr_nonnull(strstr(host_log_text(), "bogus"));
    ck_assert_ptr_nonnull(strstr(host_log_text(), "wants a number"));
    boot_options.sched_params[0] = '\0';
    stop();
}
END_TEST

START_TEST(runstates_add_up)
{
    host_machine_start(2, "bvt");
    engine.seed = 5;
    for (int i = 0; i < 8; i++)
        engine_add(&engine, "t", NULL, 2 * MS, 3 * MS)->random = true;
    engine_run(&engine, 3000 * MS);
    for (uint32_t i = 0; i < 8; i++) {
        struct engine_task *t = engine.tasks[i];
        struct vcpu_runstate_info *info = &t->vcpu->time.runstate;
        uint64_t sum = 0;

        vcpu_runstate_change(t->vcpu, info->state, host_now_ns);
        for (int state = 0; state < 4; state++)
            sum += info->time[state];
        ck_assert_uint_eq(sum, 3000 * MS);
        ck_assert_uint_eq(info->time[RUNSTATE_running], t->ran_ns);
        ck_assert_uint_eq(info->time[RUNSTATE_running] + info->time[RUNSTATE_runnable], t->runnable_ns);
    }
    engine_free(&engine);
    host_machine_stop();
}
END_TEST

Suite *suite_core(void);
Suite *suite_core(void)
{
    Suite *s = suite_create("core");
    TCase *tc = tcase_create("core");

    tcase_add_test(tc, new_vcpu_waits_for_unpause_and_up);
    tcase_add_test(tc, block_is_undone_when_the_event_is_there);
    tcase_add_test(tc, wake_between_block_and_switch_is_not_lost);
    tcase_add_test(tc, block_and_wake);
    tcase_add_test(tc, running_alone_needs_no_switch_and_no_timer);
    tcase_add_test(tc, pause_counts_and_stops_wherever_it_is);
    tcase_add_test(tc, down_is_no_block);
    tcase_add_loop_test(tc, waker_goes_to_an_idle_pcpu, 0, 2);
    tcase_add_loop_test(tc, idle_pcpu_takes_from_a_full_one, 0, 2);
    tcase_add_test(tc, other_pcpu_is_preempted);
    tcase_add_test(tc, change_under_load_loses_nobody);
    tcase_add_test(tc, thousand_changes_in_a_row_starve_nobody);
    tcase_add_loop_test(tc, a_thousand_changes_stall_nobody, 0, 2);
    tcase_add_test(tc, change_without_memory_changes_nothing);
    tcase_add_test(tc, unknown_name_at_boot_uses_the_first);
    tcase_add_test(tc, options_set_parameters);
    tcase_add_test(tc, runstates_add_up);
    suite_add_tcase(s, tc);
    return s;
}
