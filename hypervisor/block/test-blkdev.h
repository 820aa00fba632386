/* SPDX-License-Identifier: MIT */
/*
 * For tests of disks: a device that does what it is told to on invented time, VBDs that ask of it, and accounts of who was told what. The device checks what it is given: segments that continue, limits, and
 * that nothing comes twice.
 */
#pragma once

#include "disk-internal.h"
#include "host.h"
#include "options.h"

#include <check.h>
#include <hv/errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define US NS_PER_US
#define MS NS_PER_MS
#define FAKE_INSIDE_MAX 64u
#define TEST_STREAMS_MAX 8u

struct fake_device {
    struct blkdev dev;
    struct blkdev_request *inside[FAKE_INSIDE_MAX];
    uint64_t due_ns[FAKE_INSIDE_MAX];
    uint32_t count, capacity; /* capacity: beyond it, -ENOSPC */
    uint64_t service_ns, spread_ns;
    uint64_t bad_sector;      /* a request with it ends with an error */
    bool hangs, gone, stays; /* stays: a reset does not help */
    bool tells;              /* what is due is told by a reset */
    int reset_rc;
    uint64_t submits, kicks, resets, kicks_pending;
    struct timer interrupt;
    uint64_t random;
};

static struct fake_device fake;
static struct disk *disk;

/* A request as a VBD would have it. */
struct test_request {
    struct block_request r;
    struct blkdev_segment segments[2];
    uint64_t told;  /* times */
    bool busy;
};

static struct disk_stream streams[TEST_STREAMS_MAX];
static bool stream_is_open[TEST_STREAMS_MAX];
static struct test_request requests[TEST_STREAMS_MAX][DISK_STREAM_REQUESTS];
static uint64_t told_count, told_errors, asked_count;
static uint64_t told_sectors[4096]; /* in the order in which they were told */
static uint32_t told_held;          /* a lock was held */

static inline uint64_t fake_random(uint64_t below)
{
    fake.random = fake.random * 6364136223846793005ull + 1442695040888963407ull;
    return (fake.random >> 33) % below;
}

/* ---- The device ---- */

static void fake_arm(void)
{
    uint64_t first = UINT64_MAX;

    for (uint32_t i = 0; i < fake.count; i++)
        first = min(first, fake.due_ns[i]);
    if (first != UINT64_MAX && !fake.hangs)
        timer_set(&fake.interrupt, max(first, host_now_ns));
}

static int fake_submit(struct blkdev *dev, struct blkdev_request *request)
{
    uint64_t sectors = 0, next = request->sector;

    if (fake.gone)
        return -EIO;
    if (fake.count == fake.capacity)
        return -ENOSPC;
    for (struct blkdev_request *r = request; r != NULL; r = r->more) {
        ck_assert_uint_eq(r->op, request->op);
        if (r->op != BLKDEV_FLUSH)
            ck_assert_uint_eq(r->sector, next);
        next = r->sector + r->sectors;
        sectors += r->sectors;
        for (uint32_t i = 0; i < fake.count; i++)
            ck_assert_ptr_ne(fake.inside[i], r);
    }
    ck_assert_uint_le(sectors, dev->sectors_max);
    fake.due_ns[fake.count] = host_now_ns + fake.service_ns + (fake.spread_ns != 0 ? fake_random(fake.spread_ns) : 0);
    fake.inside[fake.count++] = request;
    fake.submits++;
    fake.kicks_pending++;
    return 0;
}

static void fake_kick(struct blkdev *dev)
{
    (void)dev;
    ck_assert_uint_ne(fake.kicks_pending, 0);
    fake.kicks_pending = 0;
    fake.kicks++;
    fake_arm();
}

static void fake_end(uint32_t at, int status)
{
    struct blkdev_request *request = fake.inside[at];

    fake.inside[at] = fake.inside[--fake.count];
    fake.due_ns[at] = fake.due_ns[fake.count];
    for (struct blkdev_request *r = request; r != NULL && status == 0; r = r->more)
        if (fake.bad_sector >= r->sector && fake.bad_sector - r->sector < r->sectors)
            status = -EIO;
    blkdev_done(&fake.dev, request, status);
}

static bool fake_poll(struct blkdev *dev, uint32_t most)
{
    uint32_t i = 0;

    (void)dev;
    while (!fake.hangs && i < fake.count && most != 0) {
        if (fake.due_ns[i] > host_now_ns) {
            i++;
            continue;
        }
        fake_end(i, 0);
        most--;
    }
    fake_arm();
    return most == 0;
}

static int fake_reset(struct blkdev *dev)
{
    (void)dev;
    fake.resets++;
    fake.gone = fake.reset_rc != 0;
    fake.hangs = fake.stays;
    while (fake.count != 0)
        fake_end(0, fake.tells && fake.due_ns[0] <= host_now_ns ? 0 : -EAGAIN);
    return fake.reset_rc;
}

static const struct blkdev_ops fake_ops = {"fake", fake_submit, fake_kick, fake_poll, fake_reset};

static void fake_interrupt(void *arg)
{
    (void)arg;
    fake.dev.interrupts++;
    blkdev_interrupt(&fake.dev);
}

/* A machine of one pCPU with one disk of 1 M sectors. */
static inline void disk_start(uint32_t depth, const char *module)
{
    host_on_cpu(0);
    host_now_ns = MS;
    boot_options.watchdog_ms = 5000;
    boot_options.disk_timeout_ms = 30000;
    snprintf(boot_options.disksched, sizeof(boot_options.disksched), "%s", module);
    fake = (struct fake_device){.dev = {.ops = &fake_ops, .serial_number = "FAKE", .sectors = 1u << 20, .block_bytes = 512, .depth = depth, .queues = 1, .sectors_max = 128,
                                        .segments_max = 32, .can_flush = true}, .capacity = FAKE_INSIDE_MAX, .service_ns = 100 * US, .bad_sector = UINT64_MAX, .random = 1};
    timer_init(&fake.interrupt, fake_interrupt, NULL, 0);
    softirq_register(SOFTIRQ_BLOCK, disks_poll);
    ck_assert_int_eq(blkdev_register(&fake.dev), 0);
    disk = disk_find(fake.dev.id);
    ck_assert_ptr_eq(disk_device(disk), &fake.dev);
}

/* ---- VBDs ---- */

static inline void stream_start(uint32_t n)
{
    ck_assert_int_eq(disk_stream_open(&streams[n], disk, 100 + n, n + 1), 0);
    stream_is_open[n] = true;
}

static inline void stream_stop(uint32_t n)
{
    disk_stream_close(&streams[n]);
    stream_is_open[n] = false;
}

static void test_done(struct block_request *r, int status)
{
    struct test_request *t = container_of(r, struct test_request, r);

    ck_assert(t->busy);
    ck_assert_uint_eq(r->sched.place, BLOCK_NOWHERE);
    ck_assert_uint_le(r->issue_ns, r->end_ns);
    ck_assert_uint_le(r->sched.arrived_ns, r->issue_ns);
    told_held += spin_is_locked(&disk->lock) || spin_is_locked(&disks_admin_lock);
    t->busy = false;
    t->told++;
    told_sectors[told_count++ % 4096] = r->sched.sector;
    told_errors += status != 0;
}

/* Asks; NULL: all of the stream's are in flight. */
static inline struct test_request *ask(uint32_t n, uint8_t op, uint64_t sector, uint32_t sectors)
{
    for (uint32_t i = 0; i < DISK_STREAM_REQUESTS; i++) {
        struct test_request *t = &requests[n][i];

        if (t->busy)
            continue;
        memset(&t->r, 0x5a, sizeof(t->r)); /* what a submitter does not fill, the disk may not read */
        t->r.sched.vbd = &streams[n].sched;
        t->r.sched.sector = t->r.dev.sector = sector;
        t->r.sched.sectors = t->r.dev.sectors = sectors;
        t->r.sched.segments = t->r.dev.segment_count = 1;
        t->r.sched.op = t->r.dev.op = op;
        t->segments[0] = (struct blkdev_segment){.maddr = 0x1000, .bytes = 512 * sectors};
        t->r.dev.segments = t->segments;
        t->r.done = test_done;
        t->busy = true;
        asked_count++;
        disk_submit(&streams[n], &t->r, host_now_ns);
        return t;
    }
    return NULL;
}

static inline void run_ms(uint64_t ms)
{
    host_run_until(host_now_ns + ms * MS);
}

/* Until nothing is left. */
static inline void drain(void)
{
    disk_run(disk);
    for (uint32_t i = 0; i < 100000 && told_count != asked_count; i++)
        host_run_until(host_now_ns + MS);
    ck_assert_uint_eq(told_count, asked_count);
    ck_assert_uint_eq(disk->queued_count + disk->flush_count + disk->issued_count + disk->issued_pieces, 0);
    ck_assert_uint_eq(told_held, 0);
}

static inline struct collet_disk_info info_now(void)
{
    struct collet_disk_info info;

    ck_assert_int_eq(disk_info(disk->id, &info), 0);
    return info;
}
