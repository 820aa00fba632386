// SPDX-License-Identifier: MIT
/* A disk on invented time: orders, chains, flushes, errors, room, taking back, time limits, the modelled drive. */
// needs: disk.c disk-ask.c disk-module.c disk-params.c disk-watch.c disk-model-stage.c disk-record.c disk-info.c
#include "test-blkdev.h"

START_TEST(one_request_goes_through)
{
    struct test_request *t;
    struct collet_disk_info info;

    disk_start(4, "");
    stream_start(0);
    t = ask(0, BLK_READ, 1000, 8);
    ck_assert_uint_eq(fake.submits, 0); /* not before disk_run */
    disk_run(disk);
    ck_assert_uint_eq(fake.submits, 1);
    ck_assert_uint_eq(fake.kicks, 1);
    ck_assert_uint_eq(info_now().issued, 1);
    run_ms(1);
    ck_assert_uint_eq(t->told, 1);
    ck_assert_uint_eq(t->r.end_ns - t->r.issue_ns, 100 * US);
    info = info_now();
    ck_assert_str_eq(info.name, "disk0");
    ck_assert_str_eq(info.module, "elevator");
    ck_assert_uint_eq(info.requests[COLLET_BLK_READ], 1);
    ck_assert_uint_eq(info.sectors_done[COLLET_BLK_READ], 8);
    ck_assert_uint_eq(info.device_requests, 1);
    ck_assert_uint_eq(info.busy_ns, 100 * US);
    ck_assert_uint_eq(info.seek_sectors, 1000);
    ck_assert_uint_eq(info.interrupts, 1);
    drain();
    stream_stop(0);
}
END_TEST

static void submit_scrambled(void)
{
    static const uint64_t sectors[] = {5000, 100, 9000, 3000, 7000, 1000};

    for (uint32_t i = 0; i < ARRAY_SIZE(sectors); i++)
        ask(0, BLK_READ, sectors[i], 8);
    drain();
}

START_TEST(elevator_and_fifo_order_differently)
{
    static const uint64_t upwards[] = {100, 1000, 3000, 5000, 7000, 9000}, as_came[] = {5000, 100, 9000, 3000, 7000, 1000};

    disk_start(1, "elevator");
    stream_start(0);
    submit_scrambled();
    ck_assert_mem_eq(told_sectors, upwards, sizeof(upwards));
    ck_assert_int_eq(disk_use(0, "fifo"), 0);
    told_count = asked_count = 0;
    submit_scrambled();
    ck_assert_mem_eq(told_sectors, as_came, sizeof(as_came));
    ck_assert_int_eq(disk_use(0, "arrival"), 0);
    told_count = asked_count = 0;
    submit_scrambled();
    ck_assert_mem_eq(told_sectors, as_came, sizeof(as_came));
}
END_TEST

START_TEST(neighbours_go_as_one_and_share_an_error)
{
    struct collet_disk_info info;

    disk_start(1, "elevator");
    stream_start(0);
    stream_start(1);
    for (uint32_t i = 0; i < 20; i++)
        ask(0, BLK_WRITE, 1000 + 8 * i, 8);
    ask(1, BLK_WRITE, 1160, 8); /* goes on where the others end, but is another's */
    drain();
    info = info_now();
    ck_assert_uint_eq(info.requests[COLLET_BLK_WRITE], 21);
    ck_assert_uint_eq(info.device_requests, 3); /* 128 sectors, the rest, the other's */
    fake.bad_sector = 2005;
    for (uint32_t i = 0; i < 4; i++)
        ask(0, BLK_READ, 2000 + 8 * i, 8);
    ask(1, BLK_READ, 2032, 8);
    drain();
    ck_assert_uint_eq(told_errors, 4);
    info = info_now();
    ck_assert_uint_eq(info.errors, 1);
    ck_assert_uint_eq(info.requests[COLLET_BLK_READ], 5);
    ck_assert_uint_eq(info.sectors_done[COLLET_BLK_READ], 8); /* what failed was not done */
}
END_TEST

START_TEST(flush_passes_the_module_or_ends_at_once)
{
    struct test_request *t;

    disk_start(1, "");
    stream_start(0);
    ask(0, BLK_WRITE, 0, 8);
    disk_run(disk);
    ask(0, BLK_WRITE, 800, 8);
    t = ask(0, BLKDEV_FLUSH, 0, 0);
    drain();
    ck_assert_uint_eq(fake.submits, 3);
    ck_assert_uint_lt(t->r.end_ns, requests[0][1].r.end_ns); /* what waits in the queue has not ended before */
    fake.dev.can_flush = false;
    t = ask(0, BLKDEV_FLUSH, 0, 0);
    ck_assert(t->busy); /* nobody is told inside of submit */
    host_settle();
    ck_assert(!t->busy);
    drain();
    ck_assert_uint_eq(fake.submits, 3);
    ck_assert_uint_eq(told_errors, 0);
    ck_assert_uint_eq(info_now().requests[COLLET_BLK_FLUSH], 2);
}
END_TEST

START_TEST(beyond_the_end_is_an_error)
{
    disk_start(4, "");
    stream_start(0);
    ask(0, BLK_READ, (1u << 20) - 4, 8);
    ask(0, BLK_READ, UINT64_MAX - 4, 8);
    ask(0, BLK_READ, (1u << 20) - 8, 8);
    drain();
    ck_assert_uint_eq(told_errors, 2);
    ck_assert_uint_eq(fake.submits, 1);
}
END_TEST

START_TEST(a_device_without_room_is_tried_again)
{
    disk_start(32, "fifo");
    stream_start(0);
    fake.capacity = 3;
    for (uint32_t i = 0; i < 30; i++)
        ask(0, BLK_READ, 100 * i, 8);
    disk_run(disk);
    ck_assert_uint_eq(fake.submits, 3);
    disk_run(disk);
    ck_assert_uint_eq(disk->issued_count, 4);
    drain();
    ck_assert_uint_eq(fake.submits, 30);
    ck_assert_uint_eq(told_errors, 0);
    for (uint32_t i = 0; i < 30; i++)
        ck_assert_uint_eq(requests[0][i].told, 1);
}
END_TEST

START_TEST(a_batch_is_one_kick)
{
    disk_start(32, "fifo");
    stream_start(0);
    for (uint32_t i = 0; i < 20; i++)
        ask(0, BLK_READ, 100 * i, 8);
    disk_run(disk);
    ck_assert_uint_eq(fake.submits, 20);
    ck_assert_uint_eq(fake.kicks, 1);
    drain();
}
END_TEST

START_TEST(cancel_takes_back_what_waits)
{
    disk_start(2, "elevator");
    stream_start(0);
    stream_start(1);
    for (uint32_t i = 0; i < 10; i++) {
        ask(0, BLK_READ, 1000 * i, 8);
        ask(1, BLK_READ, 1000 * i + 500, 8);
    }
    disk_run(disk);
    ask(0, BLKDEV_FLUSH, 0, 0);
    disk_cancel(&streams[0]);
    ck_assert_uint_eq(told_errors, 10); /* one of its is in the device; and the flush */
    ck_assert_uint_eq(streams[0].in_flight, 1);
    drain();
    ck_assert_uint_eq(told_errors, 10);
    ck_assert_uint_eq(streams[0].in_flight, 0);
    stream_stop(0);
    ask(1, BLK_READ, 0, 8);
    drain();
}
END_TEST

START_TEST(more_than_a_streams_share_is_refused)
{
    struct test_request extra = {.r = {.sched = {.sector = 8, .sectors = 8, .op = BLK_READ}, .done = test_done}, .busy = true};

    disk_start(1, "");
    stream_start(0);
    for (uint32_t i = 0; i < DISK_STREAM_REQUESTS; i++)
        ask(0, BLK_READ, 8 * i, 8);
    disk_submit(&streams[0], &extra.r, host_now_ns);
    asked_count++;
    drain();
    ck_assert_uint_eq(told_errors, 1);
    ck_assert_int_eq(extra.r.status, -EIO);
}
END_TEST

/* ---- Devices that fail ---- */

START_TEST(a_device_that_hangs_is_reset)
{
    disk_start(4, "fifo");
    stream_start(0);
    fake.hangs = true;
    for (uint32_t i = 0; i < 6; i++)
        ask(0, BLK_READ, 1000 * i, 8);
    disk_run(disk);
    run_ms(29990);
    ck_assert_uint_eq(told_count, 0);
    run_ms(20);
    ck_assert_uint_eq(fake.resets, 1);
    drain();
    ck_assert_uint_eq(told_errors, 0); /* what it had was given to it again */
    ck_assert_uint_eq(fake.submits, 10);
    ck_assert_uint_eq(info_now().requests[COLLET_BLK_READ], 6);
    ck_assert_uint_eq(info_now().errors, 0);
    ck_assert_uint_eq(info_now().timeouts, 1);
    ck_assert_uint_eq(info_now().resets, 1);
    ck_assert(!(info_now().flags & COLLET_DISK_FAILED));
}
END_TEST

START_TEST(a_second_reset_is_an_error)
{
    disk_start(4, "fifo");
    stream_start(0);
    fake.hangs = fake.stays = true;
    for (uint32_t i = 0; i < 6; i++)
        ask(0, i == 2 ? BLKDEV_FLUSH : BLK_WRITE, 1000 * i, 8);
    disk_run(disk);
    run_ms(30010);
    ck_assert_uint_eq(fake.resets, 1);
    ck_assert_uint_eq(told_count, 0);
    run_ms(29980);
    ck_assert_uint_eq(fake.resets, 1); /* as long again */
    fake.stays = false;
    run_ms(20);
    ck_assert_uint_eq(fake.resets, 2);
    drain();
    ck_assert_uint_eq(told_errors, 4); /* those that waited went well */
    ck_assert_uint_eq(info_now().resets, 2);
    stream_stop(0);
}
END_TEST

START_TEST(what_had_ended_before_the_reset_has_ended_so)
{
    disk_start(4, "fifo");
    stream_start(0);
    fake.hangs = fake.tells = true;
    fake.bad_sector = 1004;
    for (uint32_t i = 0; i < 4; i++)
        ask(0, BLK_READ, 1000 * i, 8);
    disk_run(disk);
    fake.due_ns[3] = UINT64_MAX; /* not this one */
    run_ms(30010);
    ck_assert_uint_eq(told_count, 4);
    ck_assert_uint_eq(told_errors, 1); /* its own */
    ck_assert_uint_eq(fake.submits, 5);
    drain();
}
END_TEST

/* A reset took more than the device has room for afterwards. */
START_TEST(what_a_reset_took_comes_back_as_there_is_room)
{
    disk_start(16, "elevator");
    stream_start(0);
    fake.hangs = true;
    for (uint32_t i = 0; i < 20; i++)
        ask(0, BLK_WRITE, 1000 * i, 8);
    disk_run(disk);
    ck_assert_uint_eq(fake.count, 16);
    fake.capacity = 3;
    run_ms(30000);
    ck_assert_uint_eq(fake.resets, 1);
    ck_assert_uint_le(fake.count, 3);
    drain();
    ck_assert_uint_eq(told_errors, 0);
    ck_assert_uint_eq(fake.submits, 36);
    for (uint32_t i = 0; i < 20; i++)
        ck_assert_uint_eq(requests[0][i].told, 1);
}
END_TEST

START_TEST(a_device_that_stays_down_fails_all)
{
    disk_start(4, "fifo");
    stream_start(0);
    fake.hangs = true;
    fake.reset_rc = -EIO;
    fake.capacity = 2; /* one is refused, too */
    for (uint32_t i = 0; i < 6; i++)
        ask(0, BLK_READ, 1000 * i, 8);
    ask(0, BLKDEV_FLUSH, 0, 0);
    disk_run(disk);
    run_ms(30010);
    ck_assert_uint_eq(told_errors, 7);
    ck_assert(info_now().flags & COLLET_DISK_FAILED);
    ask(0, BLK_READ, 0, 8);
    ask(0, BLKDEV_FLUSH, 0, 0);
    drain();
    ck_assert_uint_eq(told_errors, 9);
    stream_stop(0);
}
END_TEST

/* It hangs now and then, has too little room, makes errors, and in the end stays down: each request is told once. */
START_TEST(a_device_in_all_its_moods)
{
    disk_start(8, _i & 1 ? "fair" : "elevator");
    boot_options.disk_timeout_ms = 50;
    fake.random = 5 + (uint64_t)_i;
    fake.spread_ns = 500 * US;
    for (uint32_t i = 0; i < 3; i++)
        stream_start(i);
    for (uint32_t i = 0; i < 6000; i++) {
        uint32_t dice = (uint32_t)fake_random(200), n = (uint32_t)fake_random(3);

        if (dice == 0)
            fake.hangs = true;
        else if (dice == 1)
            fake.capacity = 1 + (uint32_t)fake_random(8);
        else if (dice == 2)
            fake.bad_sector = fake_random(8000);
        else if (dice == 3)
            disk_cancel(&streams[n]);
        else if (dice == 4)
            ck_assert_int_eq(disk_model_use(0, fake_random(3) == 0 ? "hp97560" : ""), 0);
        else if (dice == 5 && i > 5000)
            fake.reset_rc = -EIO;
        else
            ask(n, dice < 20 ? BLKDEV_FLUSH : dice < 100 ? BLK_READ : BLK_WRITE, 8 * fake_random(1000), 8);
        disk_run(disk);
        host_run_until(host_now_ns + fake_random(300 * US));
    }
    drain();
    ck_assert_uint_gt(fake.resets, 3);
    ck_assert_uint_gt(info_now().errors, 0);
    ck_assert_uint_gt(disk->repeats, 3);
    for (uint32_t i = 0; i < 3; i++)
        stream_stop(i);
}
END_TEST

START_TEST(a_device_that_is_gone_ends_what_it_is_given)
{
    disk_start(4, "elevator");
    stream_start(0);
    fake.gone = true;
    for (uint32_t i = 0; i < 30; i++)
        ask(0, BLK_READ, 1000 * i, 8);
    drain();
    ck_assert_uint_eq(told_errors, 30);
}
END_TEST

/* ---- The modelled drive ---- */

START_TEST(the_model_makes_seeks_cost)
{
    uint64_t near_ns, far_ns, start_ns;

    disk_start(32, "fifo");
    stream_start(0);
    ck_assert_int_eq(disk_model_use(0, "st506"), -ENOENT);
    ck_assert_int_eq(disk_model_use(7, "hp97560"), -ENODEV);
    ck_assert_int_eq(disk_model_use(0, "hp97560"), 0);
    ck_assert_uint_eq(info_now().depth, 1);
    ck_assert_uint_eq(info_now().flags & (COLLET_DISK_MODELLED | COLLET_DISK_ROTATES), COLLET_DISK_MODELLED | COLLET_DISK_ROTATES);
    start_ns = host_now_ns;
    for (uint32_t i = 0; i < 16; i++)
        ask(0, BLK_WRITE, 100 * i, 8);
    drain();
    near_ns = requests[0][15].r.end_ns - start_ns;
    start_ns = host_now_ns;
    for (uint32_t i = 0; i < 16; i++)
        ask(0, BLK_WRITE, i % 2 ? 1000000 - 100 * i : 100 * i, 8);
    drain();
    far_ns = requests[0][15].r.end_ns - start_ns;
    ck_assert_uint_gt(far_ns, near_ns + 16 * 10 * MS);
    ck_assert_str_eq(info_now().model, "hp97560");
    ck_assert_uint_gt(info_now().model_cylinders, 15 * 1800);
    ck_assert_int_eq(disk_model_use(0, ""), 0);
    ck_assert_uint_eq(info_now().depth, 32);
    ask(0, BLK_READ, 500000, 8);
    start_ns = host_now_ns;
    drain();
    ck_assert_uint_eq(requests[0][0].r.end_ns - start_ns, 100 * US);
}
END_TEST

START_TEST(a_model_comes_and_goes_with_requests_in_flight)
{
    disk_start(8, "elevator");
    stream_start(0);
    for (uint32_t i = 0; i < 300; i++) {
        ask(0, fake_random(5) == 0 ? BLKDEV_FLUSH : BLK_READ, fake_random(1u << 19), 8);
        disk_run(disk);
        if (i % 7 == 0)
            ck_assert_int_eq(disk_model_use(0, i % 2 ? "hp97560" : ""), 0);
        host_run_until(host_now_ns + fake_random(10 * MS));
    }
    drain();
    ck_assert_uint_eq(told_errors, 0);
}
END_TEST

Suite *suite_disk(void)
{
    Suite *s = suite_create("disk");
    TCase *c = tcase_create("disk");

    tcase_add_test(c, one_request_goes_through);
    tcase_add_test(c, elevator_and_fifo_order_differently);
    tcase_add_test(c, neighbours_go_as_one_and_share_an_error);
    tcase_add_test(c, flush_passes_the_module_or_ends_at_once);
    tcase_add_test(c, beyond_the_end_is_an_error);
    tcase_add_test(c, a_device_without_room_is_tried_again);
    tcase_add_test(c, a_batch_is_one_kick);
    tcase_add_test(c, cancel_takes_back_what_waits);
    tcase_add_test(c, more_than_a_streams_share_is_refused);
    tcase_add_test(c, a_device_that_hangs_is_reset);
    tcase_add_test(c, a_second_reset_is_an_error);
    tcase_add_test(c, what_had_ended_before_the_reset_has_ended_so);
    tcase_add_test(c, what_a_reset_took_comes_back_as_there_is_room);
    tcase_add_test(c, a_device_that_stays_down_fails_all);
    tcase_add_loop_test(c, a_device_in_all_its_moods, 0, 8);
    tcase_add_test(c, a_device_that_is_gone_ends_what_it_is_given);
    tcase_add_test(c, the_model_makes_seeks_cost);
    tcase_add_test(c, a_model_comes_and_goes_with_requests_in_flight);
    suite_add_tcase(s, c);
    return s;
}
