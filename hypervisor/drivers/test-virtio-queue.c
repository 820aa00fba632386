// SPDX-License-Identifier: MIT
/*
 * A split virtqueue against a device in memory, which is honest, slow, out of order, or lies: every request comes back once, and none that was not in it.
 */
// needs: virtio-queue.c tests/unit/fakes-machine.c

#include "virtio-queue.h"

#include "alloc.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct virtio_queue q;
static volatile uint16_t notified;
static uint16_t device_next; /* of the available ring */
static int owners[VIRTIO_SLOTS_MAX * 4];

static void *device_virt(uint64_t maddr)
{
    return (void *)(maddr + IMAGE_VIRT); /* virt_to_maddr of what is not in the direct map, backwards */
}

static void begin(uint16_t size, bool indirect, bool event_index)
{
    memset(&q, 0, sizeof(q));
    ck_assert_int_eq(virtio_queue_create(&q, size, indirect, event_index), 0);
    virtio_queue_open(&q);
    q.notify = &notified;
    q.index = 7;
    notified = 0xffff;
    device_next = 0;
}

static void end(void)
{
    virtio_queue_destroy(&q);
}

static void put(uint32_t pages, void *owner)
{
    uint32_t slot, base, i;
    struct virtio_descriptor *table;

    ck_assert_uint_gt(q.free_count, 0);
    slot = virtio_slot_take(&q);
    table = virtio_slot_table(&q, slot, &base);
    q.memory[slot].head[0] = 1;
    q.memory[slot].head[1] = (uint64_t)((int *)owner - owners);
    for (i = 0; i < pages; i++)
        virtio_slot_page(table, base, i, 0x1000 * (i + 1), 512 * (i + 1), VIRTIO_DESCRIPTOR_WRITE);
    virtio_slot_push(&q, slot, pages, owner);
}

/* The device walks a chain as it is written in 2.7.5; returns the number in the head, pages in *pages, the place for its answer in *answer. */
static uint64_t device_walk(uint16_t head, uint32_t *pages, uint8_t **answer)
{
    struct virtio_descriptor *table = q.descriptors, *d = &table[head];
    uint32_t limit = q.size, seen = 0;
    uint64_t number;

    ck_assert_uint_lt(head, q.size);
    if (d->flags & VIRTIO_DESCRIPTOR_INDIRECT) {
        ck_assert_uint_eq(d->flags & VIRTIO_DESCRIPTOR_NEXT, 0);
        ck_assert_uint_eq(d->bytes % sizeof(*d), 0);
        limit = d->bytes / sizeof(*d);
        table = device_virt(d->maddr);
        d = table;
    }
    ck_assert_uint_eq(d->flags, VIRTIO_DESCRIPTOR_NEXT);
    ck_assert_uint_eq(d->bytes, 16);
    number = ((uint64_t *)device_virt(d->maddr))[1];
    for (*pages = 0;; ++*pages) {
        ck_assert_uint_lt(d->next, q.indirect ? limit : q.size);
        ck_assert_uint_lt(++seen, limit + 1);
        d = &table[d->next];
        if (!(d->flags & VIRTIO_DESCRIPTOR_NEXT))
            break;
        ck_assert_uint_eq(d->maddr, 0x1000 * (*pages + 1));
        ck_assert_uint_eq(d->bytes, 512 * (*pages + 1));
    }
    ck_assert_uint_eq(d->flags, VIRTIO_DESCRIPTOR_WRITE);
    ck_assert_uint_eq(d->bytes, 1);
    *answer = device_virt(d->maddr);
    return number;
}

static void device_say(uint32_t id)
{
    q.used->ring[q.used->index % q.size].id = id;
    q.used->ring[q.used->index % q.size].bytes = 0xdeadbeef;
    __atomic_store_n(&q.used->index, (uint16_t)(q.used->index + 1), __ATOMIC_RELEASE);
}

/* The device does one request, with this answer. Returns its number, or -1 if there is none. */
static int device_do(uint8_t with, uint32_t *pages)
{
    uint16_t head;
    uint8_t *answer;
    uint64_t number;

    if (device_next == q.available->index)
        return -1;
    head = q.available->ring[device_next++ % q.size];
    number = device_walk(head, pages, &answer);
    ck_assert_uint_eq(*answer, 0xff);
    *answer = with;
    device_say(head);
    return (int)number;
}

static uint32_t take_all(struct virtio_ended *ended, uint32_t most)
{
    uint32_t n;

    virtio_queue_take(&q, ended, most, &n);
    return n;
}

static void check_round(uint16_t size, bool indirect, bool event_index)
{
    struct virtio_ended ended[4];
    uint32_t pages;

    begin(size, indirect, event_index);
    put(q.pages_max, &owners[3]);
    ck_assert_int_eq(device_do(0, &pages), -1); /* not shown yet */
    virtio_queue_show(&q);
    ck_assert_uint_eq(notified, 7);
    ck_assert_int_eq(device_do(0, &pages), 3);
    ck_assert_uint_eq(pages, q.pages_max);
    ck_assert_uint_eq(take_all(ended, 4), 1);
    ck_assert_ptr_eq(ended[0].owner, &owners[3]);
    ck_assert_uint_eq(ended[0].answer, 0);
    put(0, &owners[4]);
    virtio_queue_show(&q);
    ck_assert_int_eq(device_do(1, &pages), 4);
    ck_assert_uint_eq(pages, 0);
    ck_assert_uint_eq(take_all(ended, 4), 1);
    ck_assert_uint_eq(ended[0].answer, 1);
    ck_assert_uint_eq(take_all(ended, 4), 0);
    ck_assert_uint_eq(q.lies, 0);
    end();
}

START_TEST(a_request_goes_round_in_queues_of_every_shape)
{
    uint16_t size;
    int shape;

    for (size = 4; size <= 1024; size *= 2)
        for (shape = 0; shape < 4; shape++)
            check_round(size, shape & 1, shape & 2);
}
END_TEST

START_TEST(queues_that_cannot_be_are_refused)
{
    ck_assert_int_eq(virtio_queue_create(&q, 0, true, true), -ENODEV);
    ck_assert_int_eq(virtio_queue_create(&q, 2, true, true), -ENODEV);
    ck_assert_int_eq(virtio_queue_create(&q, 100, true, true), -ENODEV);
}
END_TEST

START_TEST(a_full_queue_has_no_slot_and_takes_again_after_one_has_ended)
{
    struct virtio_ended ended[VIRTIO_SLOTS_MAX];
    uint32_t i, pages;
    int direct;

    for (direct = 0; direct < 2; direct++) {
        begin(256, !direct, true);
        for (i = 0; i < q.slots; i++)
            put(1, &owners[i]);
        ck_assert_uint_eq(q.free_count, 0);
        virtio_queue_show(&q);
        ck_assert_int_eq(device_do(0, &pages), 0);
        ck_assert_uint_eq(take_all(ended, VIRTIO_SLOTS_MAX), 1);
        ck_assert_uint_eq(q.free_count, 1);
        put(1, &owners[q.slots]);
        virtio_queue_show(&q);
        for (i = 1; i <= q.slots; i++)
            ck_assert_int_eq(device_do(0, &pages), (int)i);
        ck_assert_uint_eq(take_all(ended, VIRTIO_SLOTS_MAX), q.slots);
        for (i = 0; i < q.slots; i++)
            ck_assert_ptr_eq(ended[i].owner, &owners[i + 1]);
        end();
    }
}
END_TEST

START_TEST(indexes_wrap_at_16_bits)
{
    struct virtio_ended ended[8];
    uint32_t i, n, pages;

    begin(64, true, true);
    for (i = 0; i < 3 * 65536 / 5; i++) {
        for (n = 0; n < 5; n++)
            put(n, &owners[n]);
        virtio_queue_show(&q);
        for (n = 0; n < 5; n++)
            ck_assert_int_eq(device_do(0, &pages), (int)n);
        ck_assert_uint_eq(take_all(ended, 8), 5);
        for (n = 0; n < 5; n++)
            ck_assert_ptr_eq(ended[n].owner, &owners[n]);
    }
    ck_assert_uint_eq(q.lies, 0);
    ck_assert_uint_eq(q.free_count, q.slots);
    end();
}
END_TEST

START_TEST(the_device_is_told_only_when_it_wants_to_be)
{
    uint32_t pages;

    begin(64, true, true);
    put(1, &owners[0]);
    virtio_queue_show(&q);
    ck_assert_uint_eq(notified, 7);
    notified = 0;
    put(1, &owners[1]);
    virtio_queue_show(&q); /* its event index is still 0: it is awake */
    ck_assert_uint_eq(notified, 0);
    device_do(0, &pages);
    device_do(0, &pages);
    *(volatile uint16_t *)&q.used->ring[q.size] = 3; /* not before the fourth */
    put(1, &owners[2]);
    virtio_queue_show(&q);
    ck_assert_uint_eq(notified, 0);
    put(1, &owners[3]);
    put(1, &owners[4]);
    virtio_queue_show(&q);
    ck_assert_uint_eq(notified, 7);
    notified = 0;
    virtio_queue_show(&q); /* nothing new */
    ck_assert_uint_eq(notified, 0);
    end();
    begin(64, true, false);
    q.used->flags = 1;
    put(1, &owners[0]);
    virtio_queue_show(&q);
    ck_assert_uint_eq(notified, 0xffff);
    q.used->flags = 0;
    put(1, &owners[0]);
    virtio_queue_show(&q);
    ck_assert_uint_eq(notified, 7);
    end();
}
END_TEST

START_TEST(an_interrupt_is_asked_for_only_when_nothing_is_left)
{
    volatile uint16_t *wanted;
    struct virtio_ended ended[8];
    uint32_t i, n, pages;

    begin(64, true, true);
    wanted = &q.available->ring[q.size];
    for (i = 0; i < 6; i++)
        put(1, &owners[i]);
    virtio_queue_show(&q);
    for (i = 0; i < 6; i++)
        device_do(0, &pages);
    ck_assert(virtio_queue_take(&q, ended, 4, &n));
    ck_assert_uint_eq(n, 4);
    ck_assert_uint_eq(*wanted, 0);
    ck_assert(!virtio_queue_take(&q, ended, 4, &n));
    ck_assert_uint_eq(n, 2);
    ck_assert_uint_eq(*wanted, 6);
    /* While many are under way, one for some of them. */
    for (i = 0; i < 33; i++)
        put(1, &owners[i % 6]);
    virtio_queue_show(&q);
    device_do(0, &pages);
    ck_assert(!virtio_queue_take(&q, ended, 4, &n));
    ck_assert_uint_eq(*wanted, 7 + 4);
    for (i = 0; i < 31; i++) {
        device_do(0, &pages);
        ck_assert(!virtio_queue_take(&q, ended, 4, &n));
    }
    ck_assert_uint_eq(*wanted, 38); /* the last one is told at once */
    device_do(0, &pages);
    ck_assert(!virtio_queue_take(&q, ended, 4, &n));
    end();
}
END_TEST

START_TEST(answers_that_name_nothing_are_counted_and_harm_nothing)
{
    static const uint32_t bad[] = { 64, 0xffffffff, 0x10000, 1 /* in the middle of a slot */, 32 /* a slot that is free */ };
    struct virtio_ended ended[16];
    uint32_t pages, n, i;

    begin(64, false, false); /* two slots of 32 */
    put(1, &owners[0]);
    virtio_queue_show(&q);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        device_say(bad[i]);
        virtio_queue_take(&q, ended, 16, &n);
        ck_assert_uint_eq(n, 0);
        ck_assert_uint_eq(q.lies, i + 1);
    }
    ck_assert_int_eq(device_do(0, &pages), 0);
    ck_assert_uint_eq(take_all(ended, 16), 1);
    end();

    begin(64, true, true);
    put(1, &owners[0]);
    put(1, &owners[1]);
    virtio_queue_show(&q);
    device_say(64);
    device_say(0x10000);
    device_say(40); /* free */
    ck_assert_int_eq(device_do(0, &pages), 0);
    device_say(q.available->ring[0]); /* twice */
    ck_assert_int_eq(device_do(0, &pages), 1);
    virtio_queue_take(&q, ended, 16, &n);
    ck_assert_uint_eq(n, 2);
    ck_assert_ptr_eq(ended[0].owner, &owners[0]);
    ck_assert_ptr_eq(ended[1].owner, &owners[1]);
    ck_assert_uint_eq(q.lies, 4);
    ck_assert_uint_eq(q.free_count, q.slots);
    end();
}
END_TEST

START_TEST(a_device_that_says_nothing_for_ever_does_not_keep_us)
{
    struct virtio_ended ended[16];
    uint32_t i, n;

    begin(64, true, true);
    put(1, &owners[0]);
    virtio_queue_show(&q);
    for (i = 0; i < 40; i++)
        device_say(99);
    ck_assert(virtio_queue_take(&q, ended, 16, &n));
    ck_assert_uint_eq(n, 0);
    ck_assert_uint_eq(q.lies, 16);
    end();
}
END_TEST

START_TEST(a_used_index_far_ahead_stops_the_queue_until_it_is_reset)
{
    struct virtio_ended ended[16];
    uint32_t n, pages;

    begin(64, true, true);
    put(1, &owners[0]);
    put(1, &owners[1]);
    virtio_queue_show(&q);
    q.used->index = 5000;
    ck_assert(!virtio_queue_take(&q, ended, 16, &n));
    ck_assert_uint_eq(n, 0);
    ck_assert(q.stopped);
    ck_assert_uint_eq(q.lies, 1);
    ck_assert_uint_eq(virtio_queue_abandon(&q, ended, 16), 2);
    virtio_queue_restart(&q);
    virtio_queue_open(&q);
    device_next = 0;
    put(2, &owners[2]);
    virtio_queue_show(&q);
    ck_assert_int_eq(device_do(0, &pages), 2);
    ck_assert_uint_eq(take_all(ended, 16), 1);
    end();
}
END_TEST

START_TEST(what_is_in_a_stopped_queue_comes_back_once)
{
    struct virtio_ended ended[16];
    uint32_t i, n, sum = 0, count = 0;

    begin(128, true, true);
    for (i = 0; i < 40; i++)
        put(1, &owners[i]);
    virtio_queue_show(&q);
    put(1, &owners[40]); /* pushed, not shown */
    virtio_queue_stop(&q);
    device_say(0); /* too late */
    ck_assert(!virtio_queue_take(&q, ended, 16, &n));
    ck_assert_uint_eq(n, 0);
    notified = 0;
    virtio_queue_show(&q);
    ck_assert_uint_eq(notified, 0);
    do {
        n = virtio_queue_abandon(&q, ended, 16);
        for (i = 0; i < n; i++, count++)
            sum += (uint32_t)((int *)ended[i].owner - owners);
    } while (n == 16);
    ck_assert_uint_eq(count, 41);
    ck_assert_uint_eq(sum, 41 * 40 / 2);
    ck_assert_uint_eq(virtio_queue_abandon(&q, ended, 16), 0);
    end();
}
END_TEST

/* A device that ends requests in any order and lies now and then; the driver's view must stay a set in which each owner is at most once. */
START_TEST(random_orders_and_lies_lose_and_repeat_nothing)
{
    static uint16_t heads[VIRTIO_SLOTS_MAX];
    static bool in[VIRTIO_SLOTS_MAX];
    struct virtio_ended ended[16];
    uint32_t held = 0, step, n, i, seed = (uint32_t)getpid(), lies = 0;

    printf("seed %u\n", seed);
    srand(seed);
    memset(in, 0, sizeof(in));
    begin(256, true, true);
    for (step = 0; step < 400000; step++) {
        switch (rand() % 4) {
        case 0:
            for (i = 0; i < q.slots && in[i]; i++)
                ;
            if (i < q.slots && q.free_count > 0) {
                in[i] = true;
                put((uint32_t)rand() % (q.pages_max + 1u), &owners[i]);
            }
            if (rand() % 2)
                virtio_queue_show(&q);
            break;
        case 1:
            while (device_next != q.available->index)
                heads[held++] = q.available->ring[device_next++ % q.size];
            break;
        case 2:
            if (held > 0 && (uint16_t)(q.used->index - q.used_next) < 100) {
                i = (uint32_t)rand() % held;
                q.memory[heads[i]].answer = (uint8_t)(heads[i] & 1);
                device_say(heads[i]);
                heads[i] = heads[--held];
                if (rand() % 50 == 0 && (uint16_t)(q.used->index - q.used_next) < 100) {
                    device_say(200 + (uint32_t)rand() % 100000);
                    lies++;
                }
            }
            break;
        default:
            virtio_queue_take(&q, ended, 1 + (uint32_t)rand() % 16, &n);
            for (i = 0; i < n; i++) {
                ck_assert(in[(int *)ended[i].owner - owners]);
                in[(int *)ended[i].owner - owners] = false;
                ck_assert_uint_lt(ended[i].answer, 2);
            }
        }
    }
    while (virtio_queue_take(&q, ended, 16, &n))
        ;
    ck_assert_uint_eq(q.lies, lies);
    end();
}
END_TEST

Suite *suite_virtio_queue(void);
Suite *suite_virtio_queue(void)
{
    Suite *s = suite_create("virtio-queue");
    TCase *t = tcase_create("queue");

    tcase_set_timeout(t, 300);
    tcase_add_test(t, a_request_goes_round_in_queues_of_every_shape);
    tcase_add_test(t, queues_that_cannot_be_are_refused);
    tcase_add_test(t, a_full_queue_has_no_slot_and_takes_again_after_one_has_ended);
    tcase_add_test(t, indexes_wrap_at_16_bits);
    tcase_add_test(t, the_device_is_told_only_when_it_wants_to_be);
    tcase_add_test(t, an_interrupt_is_asked_for_only_when_nothing_is_left);
    tcase_add_test(t, answers_that_name_nothing_are_counted_and_harm_nothing);
    tcase_add_test(t, a_device_that_says_nothing_for_ever_does_not_keep_us);
    tcase_add_test(t, a_used_index_far_ahead_stops_the_queue_until_it_is_reset);
    tcase_add_test(t, what_is_in_a_stopped_queue_comes_back_once);
    tcase_add_test(t, random_orders_and_lies_lose_and_repeat_nothing);
    suite_add_tcase(s, t);
    return s;
}
