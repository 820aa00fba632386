// SPDX-License-Identifier: MIT
/* Modules that misbehave are replaced while the guests run on; good ones are not, however bad the machine. This test has a module index of its own. */
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

/* Round robin on the core's own waiting list, until it is told to go wrong. */
static enum wrong { GOOD, IDLES, BLOCKED, FOREIGN, GARBAGE, HUGE_SLICE, FOREVER_SLICE, ZERO_SLICE, STARVES, KEEPS_RUNNING, BAD_CPU, PARKS, PARKS_TOO_LONG, STEALS_GARBAGE, STEALS_RUNNING, STEALS_OWN, STEALS_PINNED, WRONG_COUNT } wrong;
static struct sched_vcpu *victim;
static uint32_t destroyed;

static struct run_queue *rq_of(struct sched_queue *queue)
{
    return container_of(queue, struct run_queue, queue);
}

static uint64_t bad_enqueue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, enum sched_reason reason, uint64_t now_ns)
{
    (void)state, (void)queue, (void)vcpu, (void)reason, (void)now_ns;
    return wrong == KEEPS_RUNNING ? SCHED_KEEP : 1 * MS;
}

static void bad_dequeue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    (void)state, (void)queue, (void)vcpu, (void)now_ns;
}

static struct sched_decision bad_pick_next(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    static char garbage[sizeof(struct sched_vcpu)];
    struct sched_vcpu *s, *first = list_first_entry(&rq_of(queue)->waiting, struct sched_vcpu, wait_link);

    (void)state, (void)now_ns;
    switch (wrong) {
    case IDLES:
        return (struct sched_decision){NULL, 0};
    case PARKS:
        return (struct sched_decision){NULL, 50 * MS};
    case PARKS_TOO_LONG:
        return (struct sched_decision){NULL, 50 * MS + 1};
    case BLOCKED:
        if (victim->place == SCHED_OUT)
            return (struct sched_decision){victim, 1 * MS};
        break;
    case FOREIGN:
        list_for_each_entry(s, &sched_all_vcpus, link)
            if (s->cpu != queue->cpu)
                return (struct sched_decision){s, 1 * MS};
        break;
    case GARBAGE:
        return (struct sched_decision){host_now_ns % 2 ? (struct sched_vcpu *)garbage : (struct sched_vcpu *)0xdead000000000008, 1 * MS};
    case HUGE_SLICE:
        return (struct sched_decision){first, 1ull << 60};
    case FOREVER_SLICE:
        return (struct sched_decision){first, SCHED_UNTIL_BLOCK};
    case ZERO_SLICE:
        return (struct sched_decision){first, 0};
    case STARVES:
        list_for_each_entry(s, &rq_of(queue)->waiting, wait_link)
            if (s != victim)
                return (struct sched_decision){s, 1 * MS};
        break;
    default:
        break;
    }
    return (struct sched_decision){first, queue->waiting > 1 ? 1 * MS : SCHED_UNTIL_BLOCK};
}

static uint32_t bad_pick_cpu(void *state, const struct sched_machine *machine, const struct sched_vcpu *vcpu, uint64_t now_ns)
{
    (void)state, (void)machine, (void)now_ns;
    return wrong == BAD_CPU ? 12345 : vcpu->cpu;
}

static struct sched_vcpu *bad_steal(void *state, struct sched_queue *from, struct sched_queue *to, uint64_t now_ns)
{
    struct sched_vcpu *s;

    (void)state, (void)now_ns;
    switch (wrong) {
    case STEALS_GARBAGE:
        return (struct sched_vcpu *)0xdead000000000008;
    case STEALS_RUNNING:
        return from->running;
    case STEALS_OWN:
        list_for_each_entry(s, &rq_of(to)->waiting, wait_link)
            return s;
        return NULL;
    case STEALS_PINNED:
        list_for_each_entry(s, &rq_of(from)->waiting, wait_link)
            if (!(s->affinity >> to->cpu & 1))
                return s;
        return NULL;
    default:
        return NULL;
    }
}

static void bad_destroy(void *state)
{
    (void)state;
    destroyed++;
}

static const struct sched_ops sched_bad = {
    .name = "bad",
    .summary = "a module under test",
    .state_bytes = 8,
    .queue_bytes = 8,
    .domain_bytes = 8,
    .vcpu_bytes = 8,
    .destroy = bad_destroy,
    .enqueue = bad_enqueue,
    .dequeue = bad_dequeue,
    .pick_next = bad_pick_next,
    .pick_cpu = bad_pick_cpu,
    .steal = bad_steal,
};
/* The same with leave to park. */
static const struct sched_ops sched_parking = {
    .name = "parking",
    .park_max_ns = 50 * MS,
    .enqueue = bad_enqueue,
    .dequeue = bad_dequeue,
    .pick_next = bad_pick_next,
};
static const struct sched_ops sched_incomplete = {.name = "incomplete", .enqueue = bad_enqueue, .dequeue = bad_dequeue};
extern const struct sched_ops sched_rr;
const struct sched_ops *const sched_modules[] = {&sched_bad, &sched_parking, &sched_incomplete, &sched_rr, NULL};

static struct engine engine;

static void load(uint32_t cpus_wanted)
{
    wrong = GOOD;
    destroyed = 0;
    host_machine_start(cpus_wanted, "bad");
    ck_assert_str_eq(sched_active_name(), "bad");
    engine.seed = 17;
    for (int i = 0; i < 4; i++)
        engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    for (int i = 0; i < 4; i++)
        engine_add(&engine, "io", NULL, 500000, 3 * MS)->random = true;
    victim = &engine.tasks[0]->vcpu->sched;
    engine_run(&engine, 1000 * MS);
    ck_assert_str_eq(sched_active_name(), "bad"); /* good so far */
    ck_assert_uint_eq(destroyed, 0);
}

static void unload(void)
{
    engine_free(&engine);
    host_machine_stop();
    ck_assert_int_eq(host_heap_live, 0);
}

static const struct {
    enum wrong wrong;
    enum sched_fault fault;
} faults[] = {
    {IDLES, FAULT_IDLE_WHILE_RUNNABLE}, {BLOCKED, FAULT_NOT_QUEUED}, {FOREIGN, FAULT_UNKNOWN_VCPU}, {GARBAGE, FAULT_UNKNOWN_VCPU},
    {HUGE_SLICE, FAULT_SLICE},          {FOREVER_SLICE, FAULT_SLICE}, {ZERO_SLICE, FAULT_SLICE},     {STARVES, FAULT_STARVED},
    {KEEPS_RUNNING, FAULT_COUNT},
};

START_TEST(bad_module_is_replaced_and_nobody_notices)
{
    uint32_t cpus_wanted = 1 + (uint32_t)_i % 2;
    uint64_t ran[8], before_ns = 0, after_ns = 0;
    enum sched_fault fault = faults[_i / 2].fault;

    if (faults[_i / 2].wrong == FOREIGN && cpus_wanted == 1)
        return;
    load(cpus_wanted);
    for (int i = 0; i < 8; i++) {
        ran[i] = engine.tasks[i]->ran_ns;
        before_ns += ran[i];
    }
    if (faults[_i / 2].wrong == BLOCKED)
        victim = &engine.tasks[5]->vcpu->sched;
    wrong = faults[_i / 2].wrong;
    engine_run(&engine, 20000 * MS);
    for (int i = 0; i < 8; i++) {
        ck_assert_uint_gt(engine.tasks[i]->ran_ns, ran[i] + 100 * MS);
        after_ns += engine.tasks[i]->ran_ns;
    }
    ck_assert_uint_eq(after_ns - before_ns, cpus_wanted * 19000 * MS); /* no pCPU ever stood still */
    if (fault != FAULT_COUNT) {
        ck_assert_str_eq(sched_active_name(), "fallback");
        ck_assert_uint_ge(sched_fault_counts[fault], 1);
        ck_assert_ptr_nonnull(strstr(host_log_text(), sched_fault_names[fault]));
        ck_assert_uint_eq(destroyed, 1);
    }
    ck_assert_int_eq(sched_use("rr"), 0); /* and a good one can follow */
    engine_run(&engine, 21000 * MS);
    ck_assert_str_eq(sched_active_name(), "rr");
    unload();
}
END_TEST

/* Everybody waits behind one that runs until it blocks, which it never does; and pick_next is never even called. */
START_TEST(module_that_never_preempts_is_found_by_the_watchdog)
{
    wrong = KEEPS_RUNNING;
    host_machine_start(1, "bad");
    engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    engine_add(&engine, "late", NULL, ENGINE_FOREVER, 0)->start_ns = 10 * MS;
    engine_run(&engine, 900 * MS);
    ck_assert_str_eq(sched_active_name(), "bad");
    ck_assert_uint_eq(engine.tasks[1]->ran_ns, 0);
    engine_run(&engine, 1100 * MS);
    ck_assert_str_eq(sched_active_name(), "fallback");
    ck_assert_uint_gt(engine.tasks[1]->ran_ns, 0);
    ck_assert_uint_eq(sched_fault_counts[FAULT_STARVED], 1);
    ck_assert_ptr_nonnull(strstr(host_log_text(), "d2 v0 for 1000 ms"));
    unload();
}
END_TEST

START_TEST(watchdog_can_be_off)
{
    boot_options.watchdog_ms = 0;
    load(1);
    wrong = STARVES;
    engine_run(&engine, 30000 * MS);
    ck_assert_str_eq(sched_active_name(), "bad");
    unload();
    boot_options.watchdog_ms = 1000;
}
END_TEST

/* All park: the pCPU idles, is asked again each 50 ms, and the module keeps its place until the watchdog's bound, for one who waits alone and the park time, is over. */
START_TEST(parking_has_an_end)
{
    wrong = PARKS;
    host_machine_start(1 + (uint32_t)_i, "parking");
    engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    engine_run(&engine, 1000 * MS);
    ck_assert_str_eq(sched_active_name(), "parking");
    ck_assert_uint_eq(engine.tasks[0]->ran_ns, 0);
    ck_assert_uint_ge(run_queue_of(engine.tasks[0]->vcpu->cpu)->runs, 20);
    engine_run(&engine, 1100 * MS);
    ck_assert_str_eq(sched_active_name(), "fallback");
    ck_assert_uint_eq(sched_fault_counts[FAULT_STARVED], 1);
    ck_assert_uint_gt(engine.tasks[0]->ran_ns, 40 * MS);
    unload();
}
END_TEST

START_TEST(parked_ones_run_when_the_module_says_so)
{
    wrong = PARKS;
    host_machine_start(1, "parking");
    engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    for (uint64_t ms = 500; ms <= 20000; ms += 500) {
        engine_run(&engine, ms * MS);
        wrong = wrong == PARKS ? GOOD : PARKS;
        softirq_raise(SOFTIRQ_SCHEDULE);
    }
    ck_assert_str_eq(sched_active_name(), "parking");
    ck_assert_uint_ge(engine.tasks[0]->ran_ns, 9000 * MS);
    ck_assert_uint_le(engine.tasks[0]->ran_ns, 11000 * MS);
    unload();
}
END_TEST

START_TEST(parking_longer_than_declared_is_a_fault)
{
    wrong = PARKS_TOO_LONG;
    host_machine_start(1, "parking");
    engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    engine_run(&engine, 100 * MS);
    ck_assert_str_eq(sched_active_name(), "fallback");
    ck_assert_uint_eq(sched_fault_counts[FAULT_IDLE_WHILE_RUNNABLE], 1);
    ck_assert_uint_eq(engine.tasks[0]->ran_ns, 100 * MS);
    unload();
}
END_TEST

START_TEST(bad_placement_is_counted_only)
{
    static const enum wrong wrongs[] = {BAD_CPU, STEALS_GARBAGE, STEALS_RUNNING, STEALS_OWN, STEALS_PINNED};

    load(2);
    for (uint32_t i = 0; i < engine.task_count; i++)
        if (wrongs[_i] == STEALS_PINNED && i % 2 == 0)
            vcpu_set_affinity(engine.tasks[i]->vcpu, cpu_bit(engine.tasks[i]->vcpu->cpu));
    wrong = wrongs[_i];
    engine_run(&engine, 3000 * MS);
    ck_assert_str_eq(sched_active_name(), "bad");
    ck_assert_uint_gt(sched_fault_counts[FAULT_PLACEMENT], 0);
    unload();
}
END_TEST

START_TEST(machine_that_stood_still_is_no_fault)
{
    load(2);
    for (int i = 1; i <= 5; i++) {
        host_clock_skip(30000 * MS);
        engine_run(&engine, host_now_ns + 500 * MS);
        ck_assert_str_eq(sched_active_name(), "bad");
    }
    unload();
}
END_TEST

/* The one of least weight runs while the machine stands still; by its weight it then waits for longer than the bound. */
START_TEST(debt_from_a_stall_is_no_fault)
{
    struct vcpu *light;

    host_machine_start(1, "bad");
    wrong = GOOD;
    for (int i = 0; i < 3; i++)
        engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    engine_run(&engine, 100 * MS);
    light = cpus[0].current;
    victim = &light->sched;
    wrong = STARVES; /* what a debt looks like from outside */
    host_clock_skip(400 * MS);
    engine_run(&engine, host_now_ns + 7500 * MS);
    ck_assert_str_eq(sched_active_name(), "bad");
    ck_assert_uint_gt(host_now_ns - victim->waiting_since_ns, 7000 * MS);
    host_clock_skip(400 * MS); /* again, and again for as long as you like */
    engine_run(&engine, host_now_ns + 2000 * MS);
    host_clock_skip(400 * MS);
    engine_run(&engine, host_now_ns + 2500 * MS); /* but that is more than any weights would explain */
    ck_assert_str_eq(sched_active_name(), "fallback");
    unload();
}
END_TEST

START_TEST(incomplete_table_is_refused_by_name)
{
    load(1);
    ck_assert_int_eq(sched_use("incomplete"), -EINVAL);
    ck_assert_str_eq(sched_active_name(), "bad");
    ck_assert_ptr_nonnull(strstr(host_log_text(), "incomplete has no pick_next"));
    unload();
}
END_TEST

Suite *suite_bad_modules(void);
Suite *suite_bad_modules(void)
{
    Suite *s = suite_create("bad-modules");
    TCase *tc = tcase_create("bad-modules");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, bad_module_is_replaced_and_nobody_notices, 0, 2 * (int)ARRAY_SIZE(faults));
    tcase_add_test(tc, module_that_never_preempts_is_found_by_the_watchdog);
    tcase_add_test(tc, watchdog_can_be_off);
    tcase_add_loop_test(tc, parking_has_an_end, 0, 2);
    tcase_add_test(tc, parked_ones_run_when_the_module_says_so);
    tcase_add_test(tc, parking_longer_than_declared_is_a_fault);
    tcase_add_loop_test(tc, bad_placement_is_counted_only, 0, 5);
    tcase_add_test(tc, machine_that_stood_still_is_no_fault);
    tcase_add_test(tc, debt_from_a_stall_is_no_fault);
    tcase_add_test(tc, incomplete_table_is_refused_by_name);
    suite_add_tcase(s, tc);
    return s;
}
