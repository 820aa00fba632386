// SPDX-License-Identifier: MIT
/*
 * A disk under real concurrency: each thread is a pCPU with a VBD of its own that asks, polls and takes back, while the first one changes modules (a bad one among them), values, the model and recordings.
 * A request that is told twice, or never, fails. THREADS_SEED repeats the random choices (not the interleaving).
 */
// needs: disk.c disk-ask.c disk-module.c disk-params.c disk-watch.c disk-model-stage.c disk-record.c disk-info.c
#include "disk-internal.h"
#include "host.h"
#include "options.h"

#include <check.h>
#include <hv/errno.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CPUS = 4, DEPTH = 8, ENOUGH = 10000, LONGEST_S = 200 };

struct thread_request {
    struct block_request r;
    uint32_t busy; /* atomic */
};

static struct thread_request requests[CPUS][DISK_STREAM_REQUESTS];
static struct disk_stream streams[CPUS];
static uint64_t asked[CPUS], told, errors;
static bool stop;
static struct disk *disk;
static uint64_t seed;

static void die(const char *what)
{
    fprintf(stderr, "%s (THREADS_SEED=%llu)\n", what, (unsigned long long)seed);
    abort();
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 8;
}

/* ---- A device that ends what it likes ---- */

static struct spinlock device_lock = SPINLOCK_INIT;
static struct blkdev_request *inside[DEPTH];
static uint32_t inside_count;
static uint64_t device_random = 5;

static int device_submit(struct blkdev *dev, struct blkdev_request *request)
{
    int rc = -ENOSPC;

    (void)dev;
    spin_lock(&device_lock);
    if (inside_count < DEPTH - 2) {
        inside[inside_count++] = request;
        rc = 0;
    }
    spin_unlock(&device_lock);
    return rc;
}

static void device_kick(struct blkdev *dev)
{
    (void)dev;
}

static bool device_poll(struct blkdev *dev, uint32_t most)
{
    struct blkdev_request *ended[DEPTH];
    uint32_t count = 0;

    spin_lock(&device_lock);
    while (inside_count != 0 && most-- != 0 && next_random(&device_random) % 4 != 0) {
        uint32_t at = (uint32_t)(next_random(&device_random) % inside_count);

        ended[count++] = inside[at];
        inside[at] = inside[--inside_count];
    }
    spin_unlock(&device_lock);
    for (uint32_t i = 0; i < count; i++)
        blkdev_done(dev, ended[i], 0);
    return false;
}

static int device_reset(struct blkdev *dev)
{
    struct blkdev_request *ended[DEPTH];
    uint32_t count = 0;

    spin_lock(&device_lock);
    while (inside_count != 0)
        ended[count++] = inside[--inside_count];
    spin_unlock(&device_lock);
    for (uint32_t i = 0; i < count; i++)
        blkdev_done(dev, ended[i], -EAGAIN);
    return 0;
}

static const struct blkdev_ops device_ops = {"threads", device_submit, device_kick, device_poll, device_reset};
static struct blkdev device = {.ops = &device_ops, .sectors = 1u << 20, .block_bytes = 512, .depth = DEPTH, .queues = 1, .sectors_max = 128, .segments_max = 32, .can_flush = true};

/* ---- A module that answers wrongly now and then: under the disk's lock ---- */

static struct blk_request *bad_queue[CPUS * DISK_STREAM_REQUESTS];
static uint32_t bad_count;
static uint64_t bad_random = 77;

static int bad_create(void *state, const struct blk_disk *d)
{
    (void)d;
    *(uint64_t *)state = 1;
    return 0;
}

static void bad_insert(void *state, struct blk_request *r, uint64_t now_ns)
{
    (void)now_ns;
    if (*(uint64_t *)state == 1) { /* a new instance begins with nothing */
        *(uint64_t *)state = 2;
        bad_count = 0;
    }
    *(uint64_t *)r->data = r->serial;
    bad_queue[bad_count++] = r;
}

static void bad_remove(void *state, struct blk_request *r, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    for (uint32_t i = 0; i < bad_count; i++)
        if (bad_queue[i] == r)
            bad_queue[i] = bad_queue[--bad_count];
}

static struct blk_decision bad_dispatch(void *state, uint64_t now_ns)
{
    uint64_t dice = next_random(&bad_random) % 300;
    struct blk_request *r = bad_queue[bad_count - 1];

    if (dice == 0)
        return (struct blk_decision){NULL, 0};
    if (dice == 1)
        return (struct blk_decision){(struct blk_request *)&bad_random, 0};
    bad_remove(state, r, now_ns);
    r->merged = dice == 2 && bad_count != 0 ? bad_queue[0] : NULL;
    return (struct blk_decision){r, 0};
}

static void bad_complete(void *state, struct blk_request *r, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    if (*(uint64_t *)r->data != r->serial)
        die("module data of another request");
}

static const struct blk_sched_ops blk_bad = {.name = "bad", .state_bytes = 8, .request_bytes = 8, .create = bad_create, .insert = bad_insert, .remove = bad_remove,
                                             .dispatch = bad_dispatch, .complete = bad_complete};
extern const struct blk_sched_ops blk_elevator, blk_fifo, blk_deadline, blk_fair;
const struct blk_sched_ops *const blk_sched_modules[] = {&blk_elevator, &blk_fifo, &blk_deadline, &blk_fair, &blk_bad, NULL};

/* ---- Threads ---- */

static void done(struct block_request *r, int status)
{
    struct thread_request *t = container_of(r, struct thread_request, r);

    if (!irq_enabled())
        die("told with interrupts off");
    __atomic_fetch_add(&told, 1, __ATOMIC_RELAXED);
    if (status != 0)
        __atomic_fetch_add(&errors, 1, __ATOMIC_RELAXED);
    if (__atomic_exchange_n(&t->busy, 0, __ATOMIC_RELEASE) != 1)
        die("told twice");
}

static void ask(uint32_t cpu, uint64_t *random)
{
    struct thread_request *t = &requests[cpu][next_random(random) % DISK_STREAM_REQUESTS];
    struct block_request *r = &t->r;

    if (__atomic_load_n(&t->busy, __ATOMIC_ACQUIRE) != 0)
        return;
    t->busy = 1;
    asked[cpu]++;
    r->sched.sector = r->dev.sector = next_random(random) % 4000 * 8;
    r->sched.sectors = r->dev.sectors = 8;
    r->sched.segments = 1;
    r->sched.op = r->dev.op = next_random(random) % 16 == 0 ? BLKDEV_FLUSH : next_random(random) % 2 ? BLK_READ : BLK_WRITE;
    r->done = done;
    disk_submit(&streams[cpu], r, clock_now_ns());
}

static void record_some(uint64_t *random)
{
    static bool recorded;
    struct collet_disk_record records[64];
    struct collet_disk_record_read op = {.count = 64};

    if (next_random(random) % 4 == 0) {
        long rc = disk_record(0, recorded ? 0 : 256);

        if (rc != 0)
            die("no recording");
        recorded = !recorded;
    }
    (void)disk_record_take(&op, records);
}

static void set_some(uint64_t *random)
{
    struct collet_disk_values op = {.count = 1};
    struct collet_disk_value v = {.name = "weight", .scope = COLLET_DISK_SCOPE_VBD, .vbd = (uint32_t)(next_random(random) % CPUS), .value = 1 + next_random(random) % 500};

    if (next_random(random) % 2)
        (void)disk_set(&op, &v);
    else
        (void)disk_get(&op, &v);
}

static void disturb(uint64_t *random)
{
    struct collet_disk_info info;

    __atomic_add_fetch(&host_now_ns, next_random(random) % 200000, __ATOMIC_RELAXED);
    switch (next_random(random) % 24) {
    case 0:
        if (disk_use(0, blk_sched_modules[next_random(random) % 5]->name) != 0)
            die("no change of module");
        break;
    case 1:
        record_some(random);
        break;
    case 2:
    case 3:
        set_some(random);
        break;
    case 4:
        (void)disk_model_use(0, next_random(random) % 4 == 0 ? "hp97560" : "");
        break;
    case 5:
        if (disk_info(0, &info) != 0)
            die("no information");
        break;
    default:
        break;
    }
}

static void *pcpu(void *arg)
{
    uint32_t cpu = (uint32_t)(uintptr_t)arg;
    uint64_t random = seed * 31 + cpu + 1;

    host_on_cpu(cpu);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (uint64_t n = next_random(&random) % 8; n != 0; n--)
            ask(cpu, &random);
        disk_run(disk);
        if (next_random(&random) % 500 == 0)
            disk_cancel(&streams[cpu]);
        if (next_random(&random) % 2)
            blkdev_interrupt(&device);
        if (cpu == 0)
            disturb(&random);
        host_timers_expire();
        softirq_run();
    }
    return NULL;
}

static uint64_t all_asked(void)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < CPUS; i++)
        sum += asked[i];
    return sum;
}

START_TEST(nothing_is_lost_or_told_twice)
{
    const char *given = getenv("THREADS_SEED");
    const struct timespec some = {.tv_sec = 2}, more = {.tv_nsec = 100000000};
    pthread_t threads[CPUS];

    seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    host_threads = true;
    cpu_count = CPUS;
    host_now_ns = 1;
    for (uint32_t i = 0; i < CPUS; i++)
        cpus[i].id = i;
    host_on_cpu(0);
    softirq_register(SOFTIRQ_BLOCK, disks_poll);
    boot_options.watchdog_ms = 5000;
    boot_options.disk_timeout_ms = 0;
    ck_assert_int_eq(blkdev_register(&device), 0);
    disk = disk_find(0);
    for (uint32_t i = 0; i < CPUS; i++)
        ck_assert_int_eq(disk_stream_open(&streams[i], disk, i, i), 0);
    for (uint32_t i = 0; i < CPUS; i++)
        pthread_create(&threads[i], NULL, pcpu, (void *)(uintptr_t)i);
    nanosleep(&some, NULL);
    // as many requests as it takes: on a busy machine the holder of a lock is often the thread that does not run
    for (uint32_t i = 0; i < LONGEST_S * 10 && __atomic_load_n(&told, __ATOMIC_RELAXED) <= ENOUGH; i++)
        nanosleep(&more, NULL);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < CPUS; i++)
        pthread_join(threads[i], NULL);
    host_threads = false;
    for (uint32_t i = 0; i < 100000 && told != all_asked(); i++) {
        blkdev_interrupt(&device);
        host_run_until(host_now_ns + NS_PER_MS);
        disk_run(disk);
    }
    ck_assert_uint_eq(told, all_asked());
    ck_assert_uint_gt(told, ENOUGH);
    ck_assert_uint_gt(told, errors);
    for (uint32_t i = 0; i < CPUS; i++)
        disk_stream_close(&streams[i]);
}
END_TEST

Suite *suite_disk_threads(void)
{
    Suite *s = suite_create("disk-threads");
    TCase *c = tcase_create("disk-threads");

    tcase_set_timeout(c, 300);
    tcase_add_test(c, nothing_is_lost_or_told_twice);
    suite_add_tcase(s, c);
    return s;
}
