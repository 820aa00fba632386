// SPDX-License-Identifier: MIT
/*
 * What every module of sched/index.c owes, on the real core in invented time: the same inputs give the same decisions, nobody starves, no pCPU idles beside work, and storms of
 * pauses, moves, settings and new vCPUs find no fault. A module that you add is tested here, too. MODULES_SEED repeats the storm.
 */
// needs:
#include "sched-engine.h"

#include "../hypervisor/sched/run-queue.h"

#include <check.h>
#include <hv/errno.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS NS_PER_MS
#define US NS_PER_US

static struct engine engine;

static void start(uint32_t index, uint32_t cpus_wanted)
{
    host_machine_start(cpus_wanted, sched_modules[index]->name);
    ck_assert_str_eq(sched_active_name(), sched_modules[index]->name);
}

static void stop(uint32_t index)
{
    ck_assert_str_eq(sched_active_name(), sched_modules[index]->name);
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        ck_assert_uint_eq(sched_fault_counts[fault], 0);
    engine_free(&engine);
    host_machine_stop();
    ck_assert_int_eq(host_heap_live, 0);
}

static void add_mixed(uint32_t hogs, uint32_t sleepers)
{
    for (uint32_t i = 0; i < hogs + sleepers; i++) {
        struct engine_task *t = i < hogs ? engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0)
                                         : engine_add(&engine, "io", NULL, (100 + engine_random(&engine) % 5000) * US, (1 + engine_random(&engine) % 30) * MS);

        t->random = true;
        t->start_ns = engine_random(&engine) % (50 * MS);
        if (sched_param_set(t->domain, NULL, "weight", 64 + engine_random(&engine) % 1000) == -EAGAIN)
            abort();
    }
}

/* FNV-1a over who runs where when, and over every address-free number that a guest could notice. */
static void note(struct engine *e, void *arg)
{
    uint64_t *hash = arg;
    uint64_t words[3 + 2 * MAX_CPUS] = {host_now_ns};
    uint32_t count = 1;

    (void)e;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        const struct vcpu *v = cpus[cpu].current;

        words[count++] = v->is_idle ? UINT64_MAX : v->domain->id * 64ull + v->id;
        words[count++] = run_queue_of(cpu)->slice_end_ns;
    }
    for (uint32_t i = 0; i < count; i++)
        *hash = (*hash ^ words[i]) * 0x100000001b3ull;
}

START_TEST(same_inputs_same_decisions)
{
    uint64_t hash[2];
    void *holes[2][64] = {0};

    for (int run = 0; run < 2; run++) {
        for (int i = 0; run == 1 && i < 64; i++)
            holes[run][i] = malloc(64 + (size_t)i * 40); /* other addresses than the first time */
        hash[run] = 0xcbf29ce484222325ull;
        start((uint32_t)_i, 3);
        engine.seed = 5;
        add_mixed(5, 12);
        engine.check = note;
        engine.check_arg = &hash[run];
        engine_run(&engine, 3000 * MS);
        stop((uint32_t)_i);
    }
    for (int i = 0; i < 64; i++)
        free(holes[1][i]);
    ck_assert_uint_eq(hash[0], hash[1]);
}
END_TEST

/* Without caps and reservations: a pCPU idles for no longer than a moment while another has more than it runs. */
static void check_idle(struct engine *e, void *arg)
{
    uint64_t *idle_since = arg;
    uint32_t waiting = 0;

    (void)e;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        waiting += run_queue_of(cpu)->queue.waiting;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        if (waiting == 0 || run_queue_of(cpu)->queue.running != NULL)
            idle_since[cpu] = host_now_ns;
        else if (host_now_ns > idle_since[cpu] + 1 * MS)
            ck_abort_msg("pCPU %u idles beside work", cpu);
    }
}

START_TEST(no_pcpu_idles_beside_work)
{
    static uint64_t idle_since[MAX_CPUS];

    memset(idle_since, 0, sizeof(idle_since));
    start((uint32_t)_i, 4);
    engine.seed = 9;
    add_mixed(3, 14);
    engine.check = check_idle;
    engine.check_arg = idle_since;
    engine_run(&engine, 5000 * MS);
    stop((uint32_t)_i);
}
END_TEST

START_TEST(nobody_starves)
{
    start((uint32_t)_i, 2);
    engine.seed = 3;
    add_mixed(8, 12);
    engine_run(&engine, 10000 * MS);
    for (uint32_t i = 0; i < engine.task_count; i++) {
        ck_assert_uint_gt(engine.tasks[i]->ran_ns, 20 * MS);
        ck_assert_uint_lt(engine.tasks[i]->vcpu->sched.waited_max_ns, 2000 * MS);
    }
    stop((uint32_t)_i);
}
END_TEST

/* Who yields gives time away; it may have a little of it back later, but not so that the others starve. */
START_TEST(yielding_saves_up_little)
{
    struct engine_task *hog, *polite;

    start((uint32_t)_i, 1);
    hog = engine_add(&engine, "hog", NULL, ENGINE_FOREVER, 0);
    polite = engine_add(&engine, "polite", NULL, 20 * US, 0);
    polite->yields = true;
    engine_run(&engine, 10000 * MS);
    polite->yields = false;
    polite->run_ns = polite->left_ns = ENGINE_FOREVER;
    hog->vcpu->sched.waited_max_ns = 0;
    engine_run(&engine, 12000 * MS);
    ck_assert_uint_le(hog->vcpu->sched.waited_max_ns, 100 * MS);
    stop((uint32_t)_i);
}
END_TEST

static void storm_step(uint32_t *paused)
{
    static const char *const names[] = {"weight", "cap", "warp_ns", "warp_limit_ns", "slice_ns", "period_ns", "extra", "allowance_ns", "quantum_ns"};
    uint32_t id = (uint32_t)(engine_random(&engine) % engine.task_count);
    struct engine_task *t = engine.tasks[id];
    uint64_t value = 1 + engine_random(&engine) % 60;
    int rc = 0;

    switch (engine_random(&engine) % 4) {
    case 0:
        if (paused[id] == 0)
            vcpu_pause(t->vcpu);
        else
            vcpu_unpause(t->vcpu);
        paused[id] ^= 1;
        break;
    case 1:
        vcpu_set_affinity(t->vcpu, 1 + engine_random(&engine) % 7);
        break;
    case 2:
        rc = sched_param_set(engine_random(&engine) % 4 ? t->domain : NULL, NULL, names[engine_random(&engine) % ARRAY_SIZE(names)], value);
        break;
    default:
        rc = sched_param_set(t->domain, engine_random(&engine) % 2 ? t->vcpu : NULL, names[engine_random(&engine) % ARRAY_SIZE(names)], value * MS);
    }
    ck_assert_int_le(rc, 0); /* refused or not, nothing breaks */
}

START_TEST(storms_find_no_fault)
{
    const char *given = getenv("MODULES_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + (uint64_t)_i;
    uint32_t paused[24] = {0};

    printf("storms: MODULES_SEED=%llu module %s\n", (unsigned long long)seed, sched_modules[_i]->name);
    start((uint32_t)_i, 3);
    engine.seed = seed | 1;
    add_mixed(6, 18);
    for (uint64_t ms = 1; ms <= 4000; ms++) {
        engine_run(&engine, ms * MS);
        host_on_cpu((uint32_t)(ms % 3));
        storm_step(paused);
        host_settle();
        for (uint32_t i = 0; i < engine.task_count; i++) {
            const struct sched_vcpu *s = &engine.tasks[i]->vcpu->sched;

            if (engine.tasks[i]->started && (s->blockers == 0) != (s->place != SCHED_OUT))
                ck_abort_msg("a vCPU was lost");
        }
    }
    for (uint32_t i = 0; i < engine.task_count; i++)
        if (paused[i])
            vcpu_unpause(engine.tasks[i]->vcpu);
    engine_run(&engine, 5000 * MS);
    stop((uint32_t)_i);
}
END_TEST

/* Domains come and go while others run: ids, accounts and promises are given back. */
START_TEST(domains_come_and_go)
{
    start((uint32_t)_i, 2);
    engine.seed = 13;
    add_mixed(3, 5);
    for (uint64_t round = 1; round <= 200; round++) {
        struct domain *d = host_domain_create((domid_t)(100 + round));
        struct vcpu *v[3];

        if (sched_param_set(d, NULL, "weight", 1 + engine_random(&engine) % 500) == -EAGAIN)
            abort();
        for (int i = 0; i < 3; i++)
            v[i] = host_vcpu_create(d);
        for (int i = 0; i < 2; i++)
            host_vcpu_start(v[i]);
        engine_run(&engine, round * 7 * MS);
        host_on_cpu(0);
        host_domain_destroy(d);
    }
    stop((uint32_t)_i);
}
END_TEST

Suite *suite_modules(void);
Suite *suite_modules(void)
{
    Suite *s = suite_create("modules");
    TCase *tc = tcase_create("modules");
    int modules = 0;

    while (sched_modules[modules] != NULL)
        modules++;
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, same_inputs_same_decisions, 0, modules);
    tcase_add_loop_test(tc, no_pcpu_idles_beside_work, 0, modules);
    tcase_add_loop_test(tc, nobody_starves, 0, modules);
    tcase_add_loop_test(tc, yielding_saves_up_little, 0, modules);
    tcase_add_loop_test(tc, storms_find_no_fault, 0, modules);
    tcase_add_loop_test(tc, domains_come_and_go, 0, modules);
    suite_add_tcase(s, tc);
    return s;
}
