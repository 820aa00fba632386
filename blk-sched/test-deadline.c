// SPDX-License-Identifier: MIT
/* Deadline: batches, reads before writes, writes not starved, expiry, merging inside a direction. */
// needs:
#include "test-order.h"

#include "deadline.c"

static void set(const char *name, uint64_t value)
{
    ck_assert_int_eq(blk_host_param_set(&order_host, NULL, name, value), 0);
}

START_TEST(reads_before_writes_each_in_sector_order)
{
    order_open(&blk_deadline);
    order_submit(BLK_WRITE, 50, 8);
    order_submit(BLK_READ, 900, 8);
    order_submit(BLK_WRITE, 10, 8);
    order_submit(BLK_READ, 300, 8);
    order_expect((uint64_t[]){300, 900, 10, 50}, 4);
    order_close();
}
END_TEST

START_TEST(writes_are_passed_over_so_many_times)
{
    order_open(&blk_deadline);
    set("fifo_batch", 1);
    for (uint64_t i = 0; i < 8; i++)
        order_submit(BLK_READ, 1000 + 100 * i, 8);
    order_submit(BLK_WRITE, 10, 8);
    order_submit(BLK_WRITE, 30, 8);
    /* two batches of reads, one of writes, two, one, the rest */
    order_expect((uint64_t[]){1000, 1100, 10, 1200, 1300, 30, 1400, 1500, 1600, 1700}, 10);
    order_close();
}
END_TEST

START_TEST(a_batch_is_not_broken_off)
{
    order_open(&blk_deadline);
    set("fifo_batch", 4);
    set("writes_starved", 0);
    for (uint64_t i = 0; i < 6; i++)
        order_submit(BLK_WRITE, 1000 + 100 * i, 8);
    order_expect((uint64_t[]){1000}, 1);
    order_submit(BLK_READ, 5, 8);
    order_expect((uint64_t[]){1100, 1200, 1300}, 3); /* the batch of four */
    set("writes_starved", 1);
    order_expect((uint64_t[]){5, 1400, 1500}, 3);
    order_close();
}
END_TEST

START_TEST(the_expired_one_begins_the_next_batch)
{
    order_open(&blk_deadline);
    set("fifo_batch", 2);
    order_submit(BLK_READ, 5000, 8);
    order_expect((uint64_t[]){5000}, 1); /* position 5008 */
    order_submit(BLK_READ, 100, 8);      /* behind it */
    order_now_ns += DEADLINE_READ_NS - 1;
    for (uint64_t i = 0; i < 6; i++)
        order_submit(BLK_READ, 6000 + 100 * i, 8);
    order_expect((uint64_t[]){6000, 6100}, 2); /* rest of a batch, then a new one goes on ahead */
    order_now_ns += 1;
    order_expect((uint64_t[]){6200}, 1); /* that batch is finished first */
    order_expect((uint64_t[]){100, 6300, 6400, 6500}, 4);
    order_close();
}
END_TEST

/* Reads arrive for ever; a write waits for at most writes_starved batches from the moment it is there, whatever its deadline. And no read waits longer than deadline, batches and queue. */
START_TEST(expiry_holds_under_load)
{
    uint64_t worst_ns[2] = {0, 0};
    const uint64_t service_ns = 5000 * 1000;

    order_open(&blk_deadline);
    order_seed = 11;
    for (int i = 0; i < 5000; i++) {
        struct blk_host_request *first;

        while (order_host.queued_count < 40)
            order_submit(order_random() % 4 == 0 ? BLK_WRITE : BLK_READ, order_random() % (i % 1000 < 500 ? 100000 : 1000000) * 16, 8);
        first = order_next();
        for (struct blk_request *r = &first->r; r != NULL; r = r->merged)
            if (order_now_ns - r->arrived_ns > worst_ns[r->op])
                worst_ns[r->op] = order_now_ns - r->arrived_ns;
        order_complete(first);
        order_now_ns += service_ns;
    }
    /* Each batch that a direction gets after expiry serves its oldest: at most 40 queued, so 40 batches of both directions, three to one. */
    ck_assert_uint_le(worst_ns[BLK_READ], DEADLINE_READ_NS + 2 * 40 * DEADLINE_BATCH * service_ns);
    ck_assert_uint_le(worst_ns[BLK_WRITE], DEADLINE_WRITE_NS + 3 * 40 * DEADLINE_BATCH * service_ns);
    while (order_host.queued_count != 0)
        order_complete(order_next());
    order_close();
}
END_TEST

START_TEST(merges_within_a_direction)
{
    order_open(&blk_deadline);
    order_submit(BLK_READ, 1008, 8);
    order_submit(BLK_READ, 1000, 8);
    order_submit(BLK_WRITE, 1016, 8);
    order_submit(BLK_DISCARD, 1024, 8); /* not a read, and yet not a write */
    order_expect_chain((uint64_t[]){1000, 1008}, 2);
    order_expect_chain((uint64_t[]){1016}, 1);
    order_expect_chain((uint64_t[]){1024}, 1);
    order_close();
}
END_TEST

START_TEST(comparisons_grow_with_the_logarithm)
{
    ck_assert_uint_le(order_cost(&blk_deadline, 4096), order_cost(&blk_deadline, 64) * 5 / 2);
}
END_TEST

ORDER_SUITE(deadline, reads_before_writes_each_in_sector_order, writes_are_passed_over_so_many_times, a_batch_is_not_broken_off, the_expired_one_begins_the_next_batch,
            expiry_holds_under_load, merges_within_a_direction, comparisons_grow_with_the_logarithm)
