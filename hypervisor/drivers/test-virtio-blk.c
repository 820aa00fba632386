// SPDX-License-Identifier: MIT
/*
 * The disk driver against a device in memory behind the functions of virtio.h: data and chains arrive, limits and features are told, errors are the request's own, a reset gives everything back once, also while
 * other CPUs submit.
 */
// needs: virtio-blk.c virtio-queue.c tests/unit/fakes-machine.c

#include "virtio-blk.h"

#include "alloc.h"
#include "apic.h"
#include "blkdev.h"
#include "virtio-queue.h"
#include "virtio.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTORS      256u
#define FEATURES_ALL (~0ull)

static struct {
    uint64_t offered;
    uint32_t config[15];
    uint16_t queue_count, queue_size;
    bool ready, sticks, dead, mute; /* sticks: reset never ends; mute: answers nothing */
    uint8_t answer;
    struct virtio_queue *queues[MAX_CPUS];
    uint16_t next[MAX_CPUS];
    uint16_t entries[MAX_CPUS], config_entry;
    uint16_t msix_entries;
    uint32_t requests, flushes, give_ups;
    uint64_t range_sector, range_sectors;
    pthread_mutex_t lock;
    uint16_t notify[MAX_CPUS];
} device;
static uint8_t medium[SECTORS * 512];
static uint64_t now_ns;
static struct blkdev *disk;
static uint32_t disk_count, woken, ends[1024];
static int status_of[1024];
static struct blkdev_request requests[1024];
static struct {
    void (*handler)(void *arg);
    void *arg;
} vectors[4];
static int vector_count;

struct pci_function pci_functions[PCI_FUNCTIONS_MAX];
uint32_t pci_function_count;

/* ---- the device ---- */

static void *device_virt(uint64_t maddr)
{
    return (void *)(maddr + IMAGE_VIRT);
}

static uint8_t device_transfer(const uint64_t head[2], void *data, uint32_t bytes, uint64_t *at)
{
    if ((uint32_t)head[0] == 8) {
        memset(data, 0, bytes);
        memcpy(data, "serial-7\1 not", 13);
        return 0;
    }
    if ((uint32_t)head[0] == 11 || (uint32_t)head[0] == 13) {
        device.range_sector = ((uint64_t *)data)[0];
        device.range_sectors = ((uint64_t *)data)[1];
        return 0;
    }
    if (*at + bytes > sizeof(medium))
        return 1;
    if ((uint32_t)head[0] == 1)
        memcpy(medium + *at, data, bytes);
    else
        memcpy(data, medium + *at, bytes);
    *at += bytes;
    return 0;
}

static void device_do(struct virtio_queue *q, uint16_t head_id)
{
    struct virtio_descriptor *table = q->descriptors, *d = &table[head_id];
    const uint64_t *head;
    uint64_t at;
    uint8_t rc = device.answer;

    if (d->flags & VIRTIO_DESCRIPTOR_INDIRECT)
        d = table = device_virt(d->maddr);
    head = device_virt(d->maddr);
    at = head[1] * 512;
    for (d = &table[d->next]; d->flags & VIRTIO_DESCRIPTOR_NEXT; d = &table[d->next])
        rc |= device_transfer(head, device_virt(d->maddr), d->bytes, &at);
    device.requests++;
    device.flushes += (uint32_t)head[0] == 4;
    *(uint8_t *)device_virt(d->maddr) = rc;
    q->used->ring[q->used->index % q->size].id = head_id;
    __atomic_store_n(&q->used->index, (uint16_t)(q->used->index + 1), __ATOMIC_RELEASE);
}

static void device_run(void)
{
    uint32_t i;

    pthread_mutex_lock(&device.lock);
    for (i = 0; device.ready && !device.mute && i < MAX_CPUS && device.queues[i] != NULL; i++)
        while (device.next[i] != __atomic_load_n(&device.queues[i]->available->index, __ATOMIC_ACQUIRE))
            device_do(device.queues[i], device.queues[i]->available->ring[device.next[i]++ % device.queues[i]->size]);
    pthread_mutex_unlock(&device.lock);
}

int virtio_map(struct virtio_device *v, const struct pci_function *f)
{
    v->pci = f;
    v->msix.entries = device.msix_entries;
    return 0;
}
int virtio_stop(struct virtio_device *v)
{
    (void)v;
    pthread_mutex_lock(&device.lock);
    device.ready = false;
    memset(device.queues, 0, sizeof(device.queues));
    memset(device.next, 0, sizeof(device.next));
    pthread_mutex_unlock(&device.lock);
    return device.sticks ? -EIO : 0;
}
int virtio_begin(struct virtio_device *v, uint64_t wanted)
{
    if (virtio_stop(v) != 0)
        return -EIO;
    v->features = device.offered & wanted;
    return device.dead ? -EIO : 0;
}
void virtio_ready(struct virtio_device *v)
{
    (void)v;
    pthread_mutex_lock(&device.lock);
    device.ready = true;
    pthread_mutex_unlock(&device.lock);
}
void virtio_give_up(struct virtio_device *v)
{
    (void)v;
    device.give_ups++;
}
bool virtio_wants_reset(struct virtio_device *v)
{
    (void)v;
    return false;
}
uint16_t virtio_queue_count(struct virtio_device *v)
{
    (void)v;
    return device.queue_count;
}
uint16_t virtio_queue_size(struct virtio_device *v, uint16_t index)
{
    (void)v;
    return index < device.queue_count ? device.queue_size : 0;
}
int virtio_queue_start(struct virtio_device *v, uint16_t index, struct virtio_queue *q, uint16_t entry)
{
    (void)v;
    q->notify = &device.notify[index];
    q->index = index;
    device.queues[index] = q;
    device.entries[index] = entry;
    return 0;
}
int virtio_config_vector(struct virtio_device *v, uint16_t entry)
{
    (void)v;
    device.config_entry = entry;
    return 0;
}
uint16_t virtio_config16(struct virtio_device *v, uint32_t offset)
{
    (void)v;
    return *(uint16_t *)((char *)device.config + offset);
}
uint32_t virtio_config32(struct virtio_device *v, uint32_t offset)
{
    (void)v;
    return device.config[offset / 4];
}
uint64_t virtio_config64(struct virtio_device *v, uint32_t offset)
{
    return virtio_config32(v, offset) | (uint64_t)virtio_config32(v, offset + 4) << 32;
}
void pci_enable(const struct pci_function *f)
{
    (void)f;
}
void pci_msix_route(struct pci_msix *msix, uint32_t entry, uint32_t cpu, uint8_t vector)
{
    ck_assert_uint_lt(entry, msix->entries);
    ck_assert_uint_lt(cpu, cpu_count);
    ck_assert_uint_lt(vector, vector_count);
}
int irq_vector_alloc(void (*handler)(void *arg), void *arg)
{
    ck_assert_int_lt(vector_count, 4);
    vectors[vector_count].handler = handler;
    vectors[vector_count].arg = arg;
    return vector_count++;
}
uint64_t clock_now_ns(void)
{
    device_run(); /* while somebody waits, the device works */
    return now_ns += 1000000;
}

/* ---- the core ---- */

int blkdev_register(struct blkdev *dev)
{
    disk = dev;
    dev->core = &disk;
    disk_count++;
    return 0;
}
void blkdev_done(struct blkdev *dev, struct blkdev_request *r, int status)
{
    ck_assert_ptr_eq(dev, disk);
    status_of[r - requests] = status;
    __atomic_fetch_add(&ends[r - requests], 1, __ATOMIC_SEQ_CST);
}
void blkdev_interrupt(struct blkdev *dev)
{
    ck_assert_ptr_eq(dev, disk);
    woken++;
}

static struct blkdev_segment segments[1024];
static uint8_t pages[1024][4096];

static void begin(uint64_t without, uint16_t queues, uint16_t entries)
{
    memset(&device, 0, sizeof(device));
    pthread_mutex_init(&device.lock, NULL);
    device.offered = FEATURES_ALL & ~without;
    device.queue_count = queues;
    device.queue_size = 128;
    device.msix_entries = entries;
    device.config[0] = SECTORS;
    device.config[2] = 65536;        /* bytes of a segment */
    device.config[3] = 254;          /* segments */
    device.config[5] = 4096;         /* logical block */
    device.config[8] = queues << 16; /* queues */
    device.config[9] = 1000;         /* discard */
    device.config[12] = 2000;        /* write zeroes */
    memset(ends, 0, sizeof(ends));
    memset(requests, 0, sizeof(requests));
    pci_functions[0] = (struct pci_function){ .vendor = 0x1af4, .device = 0x1042 };
    pci_function_count = 1;
    disk = NULL;
    disk_count = woken = 0;
    vector_count = 0;
    now_ns = 0;
    cpu_count = 4;
    fake_cpu_id = 0;
}

static struct blkdev_request *request(uint32_t n, uint8_t op, uint64_t sector, uint32_t sectors)
{
    segments[n] = (struct blkdev_segment){ .maddr = virt_to_maddr(pages[n]), .bytes = sectors * 512 };
    requests[n] = (struct blkdev_request){
        .op = op, .sector = sector, .sectors = sectors, .segments = &segments[n], .segment_count = op == BLKDEV_FLUSH || op > BLK_WRITE ? 0 : 1
    };
    return &requests[n];
}

/* Gives it, lets the device work and polls: how it ended. */
static int do_request(struct blkdev_request *r)
{
    uint32_t before = ends[r - requests];
    int rc = disk->ops->submit(disk, r);

    if (rc != 0)
        return rc;
    disk->ops->kick(disk);
    device_run();
    ck_assert(!disk->ops->poll(disk, 32));
    ck_assert_uint_eq(ends[r - requests], before + 1);
    return status_of[r - requests];
}

START_TEST(a_disk_tells_what_it_is)
{
    begin(0, 8, 64);
    virtio_blk_init();
    ck_assert_uint_eq(disk_count, 1);
    ck_assert_str_eq(disk->serial_number, "serial-7");
    ck_assert_uint_eq(disk->sectors, SECTORS);
    ck_assert_uint_eq(disk->block_bytes, 4096);
    ck_assert_uint_eq(disk->queues, 4); /* as many as CPUs */
    ck_assert_uint_eq(disk->depth, 4 * 128);
    ck_assert_uint_eq(disk->segments_max, VIRTIO_PAGES_MAX);
    ck_assert_uint_eq(disk->sectors_max, 8 * VIRTIO_PAGES_MAX);
    ck_assert(disk->read_only && disk->can_flush && !disk->can_discard);
    ck_assert_uint_eq(device.entries[3], 3);
    ck_assert_uint_eq(device.config_entry, 4);
}
END_TEST

START_TEST(a_poor_disk_is_used_as_it_is)
{
    begin(FEATURES_ALL & ~VIRTIO_FEATURE_VERSION_1, 1, 1);
    virtio_blk_init();
    ck_assert_uint_eq(disk_count, 1);
    ck_assert_uint_eq(disk->queues, 1);
    ck_assert_uint_eq(disk->segments_max, 1);
    ck_assert_uint_eq(disk->block_bytes, 512);
    ck_assert(!disk->read_only && !disk->can_flush && !disk->can_discard && !disk->can_write_zeroes);
    fake_cpu_id = 3; /* every CPU uses the one queue */
    medium[512] = 77;
    ck_assert_int_eq(do_request(request(0, BLK_READ, 1, 8)), 0);
    ck_assert_uint_eq(pages[0][0], 77);
    vectors[0].handler(vectors[0].arg);
    ck_assert_uint_eq(woken, 1);
}
END_TEST

START_TEST(disks_that_cannot_be_used_are_left_out)
{
    begin(1u << 5, 4, 5);
    device.dead = true;
    virtio_blk_init();
    begin(1u << 5, 4, 5);
    device.config[2] = 512; /* its segments are smaller than a page */
    virtio_blk_init();
    begin(1u << 5, 4, 5);
    device.queue_size = 0;
    virtio_blk_init();
    begin(1u << 5, 4, 5);
    device.mute = true;
    virtio_blk_init();
    begin(1u << 5, 4, 5);
    pci_functions[0].device = 0x1041; /* a network card */
    virtio_blk_init();
    ck_assert_ptr_null(disk);
}
END_TEST

START_TEST(data_go_both_ways_alone_and_in_chains)
{
    uint32_t i;

    begin(1u << 5, 2, 3);
    virtio_blk_init();
    ck_assert_uint_eq(disk->queues, 2);
    for (i = 0; i < 8; i++) {
        memset(pages[i], (int)(i + 1), 4096);
        request(i, BLK_WRITE, 8 * (i + 2), 8);
        if (i > 0)
            requests[i - 1].more = &requests[i];
    }
    device.requests = 0;
    ck_assert_int_eq(do_request(&requests[0]), 0);
    ck_assert_uint_eq(device.requests, 1);
    for (i = 0; i < 8; i++)
        ck_assert_uint_eq(medium[(i + 2) * 4096 + 4095], i + 1);
    fake_cpu_id = 1;
    ck_assert_int_eq(do_request(request(9, BLK_READ, 24, 8)), 0);
    ck_assert_uint_eq(pages[9][0], 2);
    ck_assert_int_eq(do_request(request(9, BLKDEV_FLUSH, 0, 0)), 0);
    ck_assert_uint_eq(device.flushes, 1);
    request(10, BLK_DISCARD, 16, 8);
    requests[10].more = request(11, BLK_DISCARD, 24, 16);
    ck_assert_int_eq(do_request(&requests[10]), 0);
    ck_assert_uint_eq(device.range_sector, 16);
    ck_assert_uint_eq(device.range_sectors, 24);
    ck_assert_int_eq(do_request(request(9, BLK_WRITE_ZEROES, 40, 1)), 0);
    ck_assert_uint_eq(device.range_sector, 40);
}
END_TEST

START_TEST(errors_are_the_requests_own)
{
    begin(1u << 5, 1, 2);
    virtio_blk_init();
    ck_assert_int_eq(do_request(request(0, BLK_READ, SECTORS, 8)), -EIO);
    device.answer = 2; /* not supported */
    ck_assert_int_eq(do_request(request(0, BLK_DISCARD, 0, 8)), -EIO);
    device.answer = 0;
    ck_assert_int_eq(do_request(request(0, BLK_READ, 0, 8)), 0);
    request(0, 200, 0, 8);
    ck_assert_int_eq(disk->ops->submit(disk, &requests[0]), -EIO);
    request(0, BLK_READ, 0, 8)->segment_count = disk->segments_max + 1;
    ck_assert_int_eq(disk->ops->submit(disk, &requests[0]), -EIO);
}
END_TEST

START_TEST(a_full_disk_says_so_and_a_reset_gives_all_back_once)
{
    uint32_t i;

    begin(1u << 5, 1, 2);
    virtio_blk_init();
    device.mute = true;
    for (i = 0; i < 128; i++)
        ck_assert_int_eq(disk->ops->submit(disk, request(i, BLK_READ, 0, 8)), 0);
    ck_assert_int_eq(disk->ops->submit(disk, request(i, BLK_READ, 0, 8)), -ENOSPC);
    disk->ops->kick(disk);
    ck_assert(!disk->ops->poll(disk, 32));
    ck_assert_int_eq(disk->ops->reset(disk), 0);
    for (i = 0; i < 128; i++) {
        ck_assert_uint_eq(ends[i], 1);
        ck_assert_int_eq(status_of[i], -EAGAIN);
    }
    ck_assert_uint_eq(ends[128], 0);
    device.mute = false;
    ck_assert_int_eq(do_request(request(1, BLK_READ, 0, 8)), 0);
}
END_TEST

START_TEST(a_reset_tells_what_had_ended_before_it)
{
    uint32_t i;

    begin(1u << 5, 1, 2);
    virtio_blk_init();
    for (i = 0; i < 40; i++)
        ck_assert_int_eq(disk->ops->submit(disk, request(i, BLK_READ, i == 7 ? SECTORS : 0, 8)), 0);
    disk->ops->kick(disk);
    device_run();
    device.mute = true;
    for (; i < 60; i++)
        ck_assert_int_eq(disk->ops->submit(disk, request(i, BLK_READ, 0, 8)), 0);
    disk->ops->kick(disk);
    ck_assert_int_eq(disk->ops->reset(disk), 0); /* nobody has polled */
    for (i = 0; i < 60; i++) {
        ck_assert_uint_eq(ends[i], 1);
        ck_assert_int_eq(status_of[i], i == 7 ? -EIO : i < 40 ? 0 : -EAGAIN);
    }
    device.mute = false;
    ck_assert_int_eq(do_request(request(1, BLK_READ, 0, 8)), 0);
}
END_TEST

START_TEST(a_disk_that_does_not_come_back_stays_down)
{
    begin(1u << 5, 1, 2);
    virtio_blk_init();
    device.mute = device.sticks = true;
    ck_assert_int_eq(disk->ops->submit(disk, request(0, BLK_READ, 0, 8)), 0);
    ck_assert_int_eq(disk->ops->reset(disk), -EIO);
    ck_assert_uint_eq(ends[0], 1);
    ck_assert_int_eq(disk->ops->submit(disk, request(0, BLK_READ, 0, 8)), -EIO);
    device.mute = device.sticks = false;
    ck_assert_int_eq(disk->ops->reset(disk), 0); /* it may be tried again */
    ck_assert_int_eq(do_request(request(0, BLK_READ, 0, 8)), 0);
    device.offered &= ~VIRTIO_FEATURE_INDIRECT; /* another device than before */
    ck_assert_int_eq(disk->ops->reset(disk), -EIO);
    ck_assert_int_eq(disk->ops->submit(disk, request(0, BLK_READ, 0, 8)), -EIO);
}
END_TEST

START_TEST(a_lying_disk_is_counted_and_can_be_reset)
{
    struct virtio_queue *q;

    begin(1u << 5, 1, 2);
    virtio_blk_init();
    q = device.queues[0];
    device.mute = true;
    ck_assert_int_eq(disk->ops->submit(disk, request(0, BLK_READ, 0, 8)), 0);
    disk->ops->kick(disk);
    q->used->ring[q->used->index++ % q->size].id = 99999;
    ck_assert(!disk->ops->poll(disk, 32));
    ck_assert_uint_eq(disk->lies, 1);
    q->used->index += 30000;
    ck_assert(!disk->ops->poll(disk, 32));
    ck_assert_uint_eq(disk->lies, 2);
    ck_assert_int_eq(disk->ops->submit(disk, request(1, BLK_READ, 0, 8)), -ENOSPC);
    ck_assert_uint_eq(ends[0], 0);
    device.mute = false;
    ck_assert_int_eq(disk->ops->reset(disk), 0);
    ck_assert_uint_eq(ends[0], 1);
    ck_assert_int_eq(do_request(request(1, BLK_READ, 0, 8)), 0);
}
END_TEST

START_TEST(a_change_of_capacity_is_seen)
{
    begin(1u << 5, 1, 2);
    virtio_blk_init();
    device.config[0] = 7;
    device.config[1] = 1;
    vectors[1].handler(vectors[1].arg);
    ck_assert_uint_eq(disk->sectors, 0x100000007);
    ck_assert_uint_eq(woken, 0);
}
END_TEST

/* ---- several CPUs ---- */

static bool threads_end;
static uint64_t given, refused;

static void *play_device(void *arg)
{
    while (!__atomic_load_n(&threads_end, __ATOMIC_SEQ_CST)) {
        device_run();
        sched_yield();
    }
    return arg;
}

/* Each has requests of its own; one is given anew when it has ended. */
static void *play_cpu(void *arg)
{
    uint32_t cpu = (uint32_t)(uintptr_t)arg, round, i, mine[16] = { 0 };

    fake_cpu_id = cpu;
    for (round = 0; round < 3000 || (round < 10000000 && __atomic_load_n(&given, __ATOMIC_SEQ_CST) <= 1000); round++) {
        for (i = 0; i < 16; i++) {
            uint32_t n = cpu * 16 + i;
            int rc;

            if (__atomic_load_n(&ends[n], __ATOMIC_SEQ_CST) != mine[i])
                continue;
            rc = disk->ops->submit(disk, request(n, BLK_READ, n, 1));
            ck_assert(rc == 0 || rc == -ENOSPC);
            mine[i] += rc == 0;
            __atomic_fetch_add(rc == 0 ? &given : &refused, 1, __ATOMIC_SEQ_CST);
        }
        disk->ops->kick(disk);
        sched_yield();
        disk->ops->poll(disk, 8);
    }
    return arg;
}

START_TEST(resets_while_others_submit_lose_and_repeat_nothing)
{
    pthread_t threads[5];
    uint64_t ended = 0;
    uint32_t i;

    begin(1u << 5, 2, 3); /* two queues for four CPUs */
    virtio_blk_init();
    threads_end = false;
    pthread_create(&threads[4], NULL, play_device, NULL);
    for (i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, play_cpu, (void *)(uintptr_t)i);
    for (i = 0; i < 50; i++) {
        usleep(2000);
        ck_assert_int_eq(disk->ops->reset(disk), 0);
    }
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    __atomic_store_n(&threads_end, true, __ATOMIC_SEQ_CST);
    pthread_join(threads[4], NULL);
    ck_assert_int_eq(disk->ops->reset(disk), 0);
    for (i = 0; i < 64; i++)
        ended += ends[i];
    ck_assert_uint_eq(ended, given);
    ck_assert_uint_gt(given, 1000);
    ck_assert_uint_eq(disk->lies, 0);
}
END_TEST

Suite *suite_virtio_blk(void);
Suite *suite_virtio_blk(void)
{
    Suite *s = suite_create("virtio-blk");
    TCase *t = tcase_create("disk");

    tcase_set_timeout(t, 300);
    tcase_add_test(t, a_disk_tells_what_it_is);
    tcase_add_test(t, a_poor_disk_is_used_as_it_is);
    tcase_add_test(t, disks_that_cannot_be_used_are_left_out);
    tcase_add_test(t, data_go_both_ways_alone_and_in_chains);
    tcase_add_test(t, errors_are_the_requests_own);
    tcase_add_test(t, a_full_disk_says_so_and_a_reset_gives_all_back_once);
    tcase_add_test(t, a_reset_tells_what_had_ended_before_it);
    tcase_add_test(t, a_disk_that_does_not_come_back_stays_down);
    tcase_add_test(t, a_lying_disk_is_counted_and_can_be_reset);
    tcase_add_test(t, a_change_of_capacity_is_seen);
    tcase_add_test(t, resets_while_others_submit_lose_and_repeat_nothing);
    suite_add_tcase(s, t);
    return s;
}
