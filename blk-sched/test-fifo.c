// SPDX-License-Identifier: MIT
/* Arrival order, and merging of those that follow each other directly, only. */
// needs:
#include "test-order.h"

#include "fifo.c"

START_TEST(arrival_order)
{
    order_open(&blk_fifo);
    order_submit(BLK_READ, 500, 8);
    order_submit_of(1, BLK_WRITE, 100, 8, 1);
    order_submit(BLK_READ, 900, 8);
    order_submit(BLK_READ, 300, 8);
    order_expect((uint64_t[]){500, 100, 900, 300}, 4);
    order_close();
}
END_TEST

START_TEST(direct_followers_go_as_one)
{
    order_open(&blk_fifo);
    order_submit(BLK_WRITE, 1000, 8);
    order_submit(BLK_WRITE, 1008, 8);
    order_submit(BLK_WRITE, 1016, 8);
    order_submit(BLK_WRITE, 5000, 8);
    order_submit(BLK_WRITE, 1024, 8); /* continues, but somebody was in between */
    order_submit(BLK_WRITE, 4992, 8); /* lies in front: not in fifo */
    order_expect_chain((uint64_t[]){1000, 1008, 1016}, 3);
    order_expect_chain((uint64_t[]){5000}, 1);
    order_expect_chain((uint64_t[]){1024}, 1);
    order_expect_chain((uint64_t[]){4992}, 1);
    order_close();
}
END_TEST

START_TEST(limits_of_merging)
{
    order_open(&blk_fifo);
    for (uint64_t i = 0; i < 20; i++)
        order_submit(BLK_READ, 10000 + i * 128, 128);
    ck_assert_uint_eq(order_next_length(), 16);
    ck_assert_uint_eq(order_next_length(), 4);
    order_submit(BLK_READ, 8, 8);
    order_submit_of(1, BLK_READ, 16, 8, 1); /* another VBD's */
    ck_assert_uint_eq(order_next_length(), 1);
    ck_assert_uint_eq(order_next_length(), 1);
    order_close();
}
END_TEST

ORDER_SUITE(fifo, arrival_order, direct_followers_go_as_one, limits_of_merging)
