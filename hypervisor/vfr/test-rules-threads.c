// SPDX-License-Identifier: MIT
/*
 * Rules under real concurrency: some threads are CPUs that judge, one replaces the set as fast as it can (with and without confirmation, also by none), one is the timer, one changes how flows are tracked and adds and removes ports.
 * No packet is judged by two generations, none is used after it was freed (the sanitizer looks), and what was counted is exact to the packet in the end. RULES_SECONDS=n: longer than the usual 2.
 */
// needs: rules.c rules-load.c rules-list.c sdk/vfr/engine.c sdk/vfr/classifier.c sdk/vfr/classifier-build.c sdk/vfr/cache.c sdk/vfr/linear.c sdk/vfr/ruleset.c sdk/vfr/store.c sdk/vfr/packet.c sdk/vfr/bpf.c sdk/vfr/antispoof.c sdk/vfr/flows.c sdk/vfr/flows-key.c sdk/vfr/flows-state.c sdk/rules/ruleset-write.c vfr-rules/index.c vfr-rules/antispoof.c vfr-rules/count.c vfr-rules/fifo.c vfr-rules/limit-source.c vfr-rules/limit.c vfr-rules/log.c vfr-rules/malformed.c vfr-rules/match.c vfr-rules/mirror.c vfr-rules/portscan.c vfr-rules/round-robin.c vfr-rules/sample.c vfr-rules/size.c vfr-rules/state.c vfr-rules/weighted.c tests/unit/fakes-machine.c
#include "test-rules.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { JUDGES = 3 };

static bool stop;
static void *sets[2], *stateful;
static size_t set_bytes[2], stateful_bytes;
static uint64_t judged[JUDGES]; /* by a generation with a set: each of those has rule 7 */
static uint64_t mixed, loads, unjudged;

static bool stopped(void)
{
    return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* One packet at both crossings, as the router does it. */
static void judge_one(uint32_t cpu, uint16_t port)
{
    struct vfr_generation *g;
    struct vfr_verdict out, in;
    struct test_packet p;

    packet_make(&p, &web, &db, port);
    g = rules_enter();
    rules_flow_find(g, &p.packet, clock_now_ns());
    rules_judge(g, &p.packet, VFR_TX, clock_now_ns(), &out);
    if (port % 16 == 0)
        sched_yield(); /* room for the others in the middle of it */
    rules_judge(g, &p.packet, VFR_RX, clock_now_ns(), &in);
    if (out.action == VFR_ACCEPT && in.action == VFR_ACCEPT)
        rules_flow_keep(g, &p.packet, clock_now_ns());
    else
        rules_flow_refuse(g, &p.packet);
    if (rules_generation(g) != 0)
        judged[cpu] += 2;
    else
        __atomic_fetch_add(&unjudged, 1, __ATOMIC_RELAXED);
    rules_leave();
    if (out.action != in.action)
        __atomic_fetch_add(&mixed, 1, __ATOMIC_RELAXED);
}

static void *judge_thread(void *arg)
{
    uint16_t port = 1;

    fake_cpu_id = (uint32_t)(uintptr_t)arg;
    while (!stopped())
        judge_one(fake_cpu_id, port++);
    return NULL;
}

static void *timer_thread(void *arg)
{
    fake_cpu_id = JUDGES;
    while (!stopped()) {
        __atomic_fetch_add(&fake_now_ns, 100000, __ATOMIC_RELAXED);
        fake_timer_run();
        usleep(50);
    }
    return arg;
}

static void *changer_thread(void *arg)
{
    struct vfr_port other = {.slot = 20, .iface = {.id = 99, .domid = 9, .name = "web.0", .domain = "web"}};

    fake_cpu_id = JUDGES + 1;
    for (uint32_t i = 0; !stopped(); i++) {
        rules_port_add(&other);
        if (flows_set(&(struct collet_flows_set){.on = i % 3 != 0, .flows_max = i % 8 == 0 ? 1024 + i % 5 * 64 : 0}) != 0)
            abort();
        rules_domain_gone(1);
        rules_port_remove(&other);
        usleep(300);
    }
    return arg;
}

/* What the policies and the other rules count goes with them; rule 7 is in all but the empty one, which is only ever confirmed by nobody, so that the counts come back. */
static void load_one(uint32_t i)
{
    struct collet_rules_info info;
    uint64_t generation;
    long rc;

    if (i % 7 == 0)
        rc = load_set(stateful, stateful_bytes, 0, &generation);
    else
        rc = load_set(i % 11 == 0 ? NULL : sets[i % 2], i % 11 == 0 ? 0 : set_bytes[i % 2], i % 11 == 0 || i % 3 == 0 ? 1 : 0, &generation);
    if (rc != 0 && rc != -EBUSY)
        abort();
    loads += rc == 0;
    if (rc == 0 && i % 9 == 0 && generation != 0)
        (void)rules_confirm(&(struct collet_rules_confirm){.generation = generation, .keep = i % 2});
    if (i % 5 == 0)
        (void)rules_info(&info);
}

START_TEST(replaced_as_fast_as_can_be)
{
    const char *seconds = getenv("RULES_SECONDS");
    time_t until = time(NULL) + (seconds != NULL ? atoi(seconds) : 2);
    pthread_t threads[JUDGES + 2];
    uint64_t all = 0;

    cpu_count = JUDGES + 3;
    rules_init();
    for (unsigned int i = 0; i < 2; i++)
        sets[i] = make_set(i == 1, i, false, &set_bytes[i]);
    stateful = make_set(false, 0, true, &stateful_bytes);
    fake_cpu_id = JUDGES + 2;
    rules_port_add(&web);
    rules_port_add(&db);
    ck_assert_int_eq(load_set(sets[0], set_bytes[0], 0, NULL), 0);
    for (uintptr_t i = 0; i < JUDGES; i++)
        pthread_create(&threads[i], NULL, judge_thread, (void *)i);
    pthread_create(&threads[JUDGES], NULL, timer_thread, NULL);
    pthread_create(&threads[JUDGES + 1], NULL, changer_thread, NULL);
    for (uint32_t i = 1; time(NULL) < until || (loads <= 100 && time(NULL) < until + 200); i++)
        load_one(i);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (unsigned int i = 0; i < JUDGES + 2; i++)
        pthread_join(threads[i], NULL);
    fake_now_ns += 1000 * NS_PER_MS;
    fake_timer_run();
    for (unsigned int i = 0; i < JUDGES; i++)
        all += judged[i];
    fprintf(stderr, "%llu sets in turn, %llu judgements (and %llu packets without a set)\n", (unsigned long long)loads, (unsigned long long)all, (unsigned long long)unjudged);
    ck_assert_uint_eq(mixed, 0);
    ck_assert_uint_gt(loads, 100);
    ck_assert_uint_eq(counted(RULE_ALL), all);
    ck_assert_int_eq(load_set(NULL, 0, 0, NULL), 0);
    for (unsigned int i = 0; i < 2; i++)
        free(sets[i]);
    free(stateful);
}
END_TEST

Suite *suite_rules_threads(void);
Suite *suite_rules_threads(void)
{
    Suite *s = suite_create("rules-threads");
    TCase *t = tcase_create("threads");

    tcase_set_timeout(t, 300);
    tcase_add_test(t, replaced_as_fast_as_can_be);
    suite_add_tcase(s, t);
    return s;
}
