// SPDX-License-Identifier: MIT
/*
 * The core under real concurrency: each thread is a pCPU, vCPUs block, wake, pause and yield at random while modules change under them.
 * A vCPU that runs in two places, or sleeps although its event is there, fails. THREADS_SEED repeats the random choices (not the interleaving).
 */
// needs:
#include "host.h"

#include "run-queue.h"

#include <check.h>
#include <hv/errno.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CPUS = 4, VCPUS = 12 };

static struct domain *d;
static struct vcpu *v[VCPUS];
static uint32_t pending[VCPUS]; /* the "event": set before vcpu_wake, taken after the block */
static uint32_t inside[VCPUS];  /* how many threads play this vCPU */
static bool paused[VCPUS];      /* by thread 0 alone */
static bool stop, stop_others; /* the others go on until pCPU 0 has ended: it may be waiting for one of them to switch */
static uint64_t taken, seed;
static pthread_barrier_t barrier;

static bool nothing_pending(struct vcpu *vcpu)
{
    return __atomic_load_n(&pending[vcpu->id], __ATOMIC_SEQ_CST) == 0;
}

static void die(const char *what, uint32_t id)
{
    fprintf(stderr, "vCPU %u: %s\n", id, what);
    abort();
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void wake(uint32_t id)
{
    __atomic_store_n(&pending[id], 1, __ATOMIC_SEQ_CST);
    vcpu_wake(v[id]);
}

/* A moment of a guest's life. */
static void play(struct vcpu *me, uint64_t *random)
{
    uint32_t id = me->id;

    if (__atomic_add_fetch(&inside[id], 1, __ATOMIC_SEQ_CST) != 1)
        die("runs on two pCPUs", id);
    if (__atomic_exchange_n(&pending[id], 0, __ATOMIC_SEQ_CST) != 0)
        __atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++)
        wake((uint32_t)(next_random(random) % VCPUS));
    if (__atomic_sub_fetch(&inside[id], 1, __ATOMIC_SEQ_CST) != 0)
        die("runs on two pCPUs", id);
    switch (next_random(random) % 8) {
    case 0:
        vcpu_yield();
        break;
    case 1:
    case 2:
        softirq_raise(SOFTIRQ_SCHEDULE);
        break;
    default:
        vcpu_block(nothing_pending);
    }
}

static void use_any(uint64_t *random)
{
    uint32_t modules = 0;

    while (sched_modules[modules] != NULL)
        modules++;
    if (sched_use(sched_modules[next_random(random) % modules]->name) != 0)
        die("no change of module", 0);
}

/* Whichever of these the active module has: -ENOENT is right, too. */
static void set_any(uint32_t id, uint64_t *random)
{
    static const char *const names[] = {"weight", "cap", "warp_ns", "slice_ns", "period_ns", "extra"};
    const char *name = names[next_random(random) % ARRAY_SIZE(names)];
    uint64_t value = 1 + next_random(random) % 500;

    if (strstr(name, "_ns") != NULL)
        value *= 20000;
    if (sched_param_set(d, next_random(random) % 2 ? v[id] : NULL, name, value) == -EAGAIN)
        die("impossible", id);
}

static void disturb(uint64_t *random)
{
    uint32_t id = (uint32_t)(next_random(random) % VCPUS);

    __atomic_add_fetch(&host_now_ns, 50000, __ATOMIC_RELAXED);
    switch (next_random(random) % 32) {
    case 0:
        use_any(random);
        break;
    case 1:
    case 2:
        if (paused[id])
            vcpu_unpause(v[id]);
        else
            vcpu_pause(v[id]);
        paused[id] = !paused[id];
        break;
    case 3:
        if (current_vcpu() != v[id] && !current_vcpu()->is_idle) {
            vcpu_pause_sync(v[id]);
            if (v[id]->sched.on_cpu)
                die("still on a pCPU after pause_sync", id);
            vcpu_unpause(v[id]);
        }
        break;
    case 4:
        set_any(id, random);
        break;
    case 5:
    case 6:
        vcpu_set_affinity(v[id], 1 + next_random(random) % ((1u << CPUS) - 1));
        break;
    default:
        break;
    }
}

static void *pcpu(void *arg)
{
    uint32_t cpu = (uint32_t)(uintptr_t)arg;
    uint64_t random = seed + cpu * 7919 + 1;

    host_on_cpu(cpu);
    host_irq_on = true;
    pthread_barrier_wait(&barrier);
    while (!__atomic_load_n(cpu == 0 ? &stop : &stop_others, __ATOMIC_ACQUIRE)) {
        host_timers_expire();
        softirq_run();
        if (cpu == 0)
            disturb(&random);
        if (!current_vcpu()->is_idle)
            play(current_vcpu(), &random);
        else
            host_relax();
    }
    if (cpu == 0)
        __atomic_store_n(&stop_others, true, __ATOMIC_RELEASE);
    return NULL;
}

START_TEST(no_wake_up_is_lost_and_nobody_runs_twice)
{
    pthread_t threads[CPUS];
    struct timespec second = {2, 0}, more = {0, 100000000};
    const char *given = getenv("THREADS_SEED");

    seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("THREADS_SEED=%llu\n", (unsigned long long)seed);
    host_machine_start(CPUS, "bvt");
    d = host_domain_create(1);
    for (int i = 0; i < VCPUS; i++) {
        v[i] = host_vcpu_create(d);
        host_vcpu_start(v[i]);
        pending[i] = 1;
    }
    host_threads = true;
    pthread_barrier_init(&barrier, NULL, CPUS);
    for (uintptr_t i = 0; i < CPUS; i++)
        pthread_create(&threads[i], NULL, pcpu, (void *)i);
    nanosleep(&second, NULL);
    /* How long it takes until enough has been done is the host's affair. */
    for (int i = 0; i < 2000 && __atomic_load_n(&taken, __ATOMIC_RELAXED) <= 1000; i++)
        nanosleep(&more, NULL);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < CPUS; i++)
        pthread_join(threads[i], NULL);
    host_threads = false;
    host_on_cpu(0);
    host_settle();
    ck_assert_uint_gt(taken, 1000);
    for (int i = 0; i < VCPUS; i++) {
        struct sched_vcpu *s = &v[i]->sched;

        if (paused[i])
            vcpu_unpause(v[i]);
        ck_assert_uint_eq(s->blockers & SCHED_PAUSED, 0);
        ck_assert(!(s->blockers == SCHED_BLOCKED && pending[i] != 0)); /* asleep beside its event */
        ck_assert((s->blockers == 0) == (s->place != SCHED_OUT));
        ck_assert(s->place == SCHED_OUT || !misplaced(s));
    }
    for (int fault = 0; fault < FAULT_COUNT; fault++)
        ck_assert_uint_eq(sched_fault_counts[fault], 0);
    host_domain_destroy(d);
    host_machine_stop();
}
END_TEST

Suite *suite_threads(void);
Suite *suite_threads(void)
{
    Suite *s = suite_create("threads");
    TCase *tc = tcase_create("threads");

    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, no_wake_up_is_lost_and_nobody_runs_twice);
    suite_add_tcase(s, tc);
    return s;
}
