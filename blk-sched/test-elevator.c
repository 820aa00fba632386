// SPDX-License-Identifier: MIT
/* The elevator: order of the sweep, merging on both sides and its limits, the bound on waiting, and that a decision among many requests takes few comparisons. */
// needs:
#include "test-order.h"

#include "elevator.c"

START_TEST(sectors_upwards_then_from_the_first_again)
{
    order_open(&blk_elevator);
    order_submit(BLK_READ, 500, 8);
    order_expect((uint64_t[]){500}, 1); /* the sweep is at 508 now */
    order_submit(BLK_READ, 100, 8);
    order_submit(BLK_WRITE, 900, 8);
    order_submit(BLK_READ, 700, 8);
    order_submit(BLK_READ, 300, 8);
    order_expect((uint64_t[]){700, 900, 100, 300}, 4);
    order_close();
}
END_TEST

START_TEST(what_arrives_ahead_of_the_sweep_is_taken_along)
{
    order_open(&blk_elevator);
    order_submit(BLK_READ, 100, 8);
    order_submit(BLK_READ, 900, 8);
    order_expect((uint64_t[]){100}, 1);
    order_submit(BLK_READ, 50, 8);
    order_submit(BLK_READ, 400, 8);
    order_expect((uint64_t[]){400, 900, 50}, 3);
    order_close();
}
END_TEST

START_TEST(contiguous_requests_go_as_one)
{
    order_open(&blk_elevator);
    order_submit(BLK_READ, 1000, 8);
    order_submit(BLK_READ, 1016, 8);
    order_submit(BLK_READ, 1008, 8);
    order_submit(BLK_READ, 1025, 8); /* a sector is missing */
    order_expect_chain((uint64_t[]){1000, 1008, 1016}, 3);
    order_expect_chain((uint64_t[]){1025}, 1);
    order_close();
}
END_TEST

START_TEST(a_request_behind_the_heads_that_leads_into_the_next_goes_along)
{
    order_open(&blk_elevator);
    order_submit(BLK_READ, 992, 8);
    order_expect((uint64_t[]){992}, 1); /* at 1000 */
    order_submit(BLK_READ, 2000, 8);
    order_submit(BLK_READ, 1000, 8);
    order_submit(BLK_READ, 984, 16);
    order_expect_chain((uint64_t[]){984, 1000}, 2);
    order_expect_chain((uint64_t[]){2000}, 1);
    order_close();
}
END_TEST

START_TEST(merging_stops_at_another_kind_vbd_and_at_the_limits)
{
    order_open(&blk_elevator);
    order_submit(BLK_READ, 1000, 8);
    order_submit(BLK_WRITE, 1008, 8);
    order_submit_of(1, BLK_WRITE, 1016, 8, 1);
    order_expect_chain((uint64_t[]){1000}, 1);
    order_expect_chain((uint64_t[]){1008}, 1);
    order_expect_chain((uint64_t[]){1016}, 1);
    /* 2048 sectors at most */
    for (uint64_t i = 0; i < 20; i++)
        order_submit(BLK_READ, 10000 + i * 128, 128);
    ck_assert_uint_eq(order_next_length(), 16);
    ck_assert_uint_eq(order_next_length(), 4);
    /* 128 segments at most */
    for (uint64_t i = 0; i < 20; i++)
        order_submit_of(0, BLK_READ, 90000 + i * 8, 8, 10);
    ck_assert_uint_eq(order_next_length(), 12);
    ck_assert_uint_eq(order_next_length(), 8);
    order_close();
}
END_TEST

START_TEST(the_same_sector_twice_is_two_requests)
{
    order_open(&blk_elevator);
    order_submit(BLK_READ, 64, 8);
    order_submit(BLK_WRITE, 64, 8);
    order_submit(BLK_READ, 72, 8); /* continues the first, past the second */
    order_expect_chain((uint64_t[]){64, 72}, 2);
    order_expect_chain((uint64_t[]){64}, 1);
    order_close();
}
END_TEST

START_TEST(a_stream_ahead_of_the_heads_starves_nobody)
{
    uint64_t far, sector = 1000, waited_ns = 0;

    order_open(&blk_elevator);
    order_submit(BLK_WRITE, sector, 8);
    order_expect((uint64_t[]){sector}, 1);
    far = order_submit(BLK_READ, 10, 8);
    order_submit(BLK_WRITE, sector += 16, 8);
    for (;;) {
        struct blk_host_request *first = order_next();
        bool found = first->r.serial == far;

        order_complete(first);
        if (found)
            break;
        order_now_ns += 1000 * 1000;
        waited_ns += 1000 * 1000;
        sector += 16; /* never contiguous */
        order_submit(BLK_WRITE, sector, 8);
        ck_assert_uint_le(waited_ns, ELEVATOR_WAIT_NS + 1000 * 1000);
    }
    ck_assert_uint_ge(waited_ns, ELEVATOR_WAIT_NS);
    while (order_host.queued_count != 0)
        order_complete(order_next());
    order_close();
}
END_TEST

/* When all are too old, the sweep is still a sweep: one jump in `batch` requests. */
START_TEST(old_requests_do_not_undo_the_order)
{
    uint64_t last = 0, jumps = 0;

    order_open(&blk_elevator);
    order_seed = 7;
    for (int i = 0; i < 340; i++)
        order_submit(BLK_READ, order_random() % 1000000 * 16, 8);
    order_now_ns += 2 * ELEVATOR_WAIT_NS;
    for (int i = 0; i < 340; i++) {
        struct blk_host_request *first = order_next();

        jumps += first->r.sector < last;
        last = first->r.sector;
        order_complete(first);
    }
    ck_assert_uint_le(jumps, 2 * 340 / 17);
    order_close();
}
END_TEST

START_TEST(comparisons_grow_with_the_logarithm)
{
    uint64_t few = order_cost(&blk_elevator, 64), many = order_cost(&blk_elevator, 4096);

    ck_assert_uint_gt(few, 0);
    ck_assert_uint_le(many, few * 5 / 2); /* log 4096 = 2 log 64 */
}
END_TEST

ORDER_SUITE(elevator, sectors_upwards_then_from_the_first_again, what_arrives_ahead_of_the_sweep_is_taken_along, contiguous_requests_go_as_one,
            a_request_behind_the_heads_that_leads_into_the_next_goes_along, merging_stops_at_another_kind_vbd_and_at_the_limits, the_same_sector_twice_is_two_requests,
            a_stream_ahead_of_the_heads_starves_nobody, old_requests_do_not_undo_the_order, comparisons_grow_with_the_logarithm)
