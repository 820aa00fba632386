// SPDX-License-Identifier: MIT
/* The modelled disk against the figures published for the HP 97560, and its own laws: rotation, skew, reading ahead, repetition. */
// needs:
#include <disk/disk-model.h>

#include <check.h>
#include <math.h>
#include <stdlib.h>

#define MS (1000ull * 1000)
#define TRACK 72ull
#define CYLINDER (19 * TRACK)

static struct disk_model model;

static void assert_ms(uint64_t ns, double ms, double tolerance)
{
    ck_assert_msg(fabs((double)ns / 1e6 - ms) <= tolerance, "%f ms, want %f", (double)ns / 1e6, ms);
}

START_TEST(published_figures)
{
    const struct disk_drive *d = &disk_hp97560;

    assert_ms(d->revolution_ns, 60000.0 / 4002, 0.00001); /* 14.99 ms */
    assert_ms(disk_drive_seek_ns(d, 1), 3.64, 0.00001);
    assert_ms(disk_drive_seek_ns(d, 100), 3.24 + 4.0, 0.00001);
    assert_ms(disk_drive_seek_ns(d, 383), 3.24 + 0.400 * sqrt(383), 0.00001);
    assert_ms(disk_drive_seek_ns(d, 384), 8.00 + 0.008 * 384, 0.00001);
    assert_ms(disk_drive_seek_ns(d, 1961), 23.688, 0.00001);
    ck_assert_uint_eq(disk_drive_seek_ns(d, 0), 0);
    ck_assert_uint_eq(disk_drive_sectors(d), 2684016); /* 1.37e9 bytes */
}
END_TEST

START_TEST(seeks_never_get_shorter_with_distance)
{
    for (uint64_t d = 1; d < 1962; d++) {
        ck_assert_uint_le(disk_drive_seek_ns(&disk_hp97560, d - 1), disk_drive_seek_ns(&disk_hp97560, d));
        if (d <= 383)
            assert_ms(disk_drive_seek_ns(&disk_hp97560, d), 3.24 + 0.400 * sqrt((double)d), 0.00001);
    }
}
END_TEST

START_TEST(a_request_is_the_sum_of_its_parts)
{
    struct disk_parts p;
    uint64_t end_ns;

    disk_model_init(&model, &disk_hp97560, 0);
    end_ns = disk_model_serve(&model, true, 100 * CYLINDER, 8, 5 * MS, &p);
    ck_assert_uint_eq(p.cylinders, 100);
    assert_ms(p.overhead_ns, 2.2, 0);
    assert_ms(p.seek_ns, 7.24, 0.00001);
    ck_assert_uint_lt(p.rotate_ns, disk_hp97560.revolution_ns);
    assert_ms(p.transfer_ns, 14.9925 * 8 / 72, 0.001);
    ck_assert_uint_eq(end_ns, 5 * MS + p.overhead_ns + p.seek_ns + p.rotate_ns + p.transfer_ns);
    /* The next waits for the drive. */
    disk_model_serve(&model, true, 0, 8, 6 * MS, &p);
    ck_assert_uint_eq(p.queue_ns, end_ns - 6 * MS);
}
END_TEST

/* The same sector again and again passes once a revolution. */
START_TEST(rotation)
{
    uint64_t first_ns, end_ns;

    disk_model_init(&model, &disk_hp97560, 0);
    first_ns = end_ns = disk_model_serve(&model, true, 36, 1, 0, NULL);
    for (int i = 1; i <= 10; i++) {
        end_ns = disk_model_serve(&model, true, 36, 1, end_ns, NULL);
        ck_assert_uint_eq(end_ns - first_ns, (uint64_t)i * disk_hp97560.revolution_ns);
    }
}
END_TEST

START_TEST(mean_wait_for_a_sector_is_half_a_revolution)
{
    uint64_t total_ns = 0, now_ns = 0;
    struct disk_parts p;

    disk_model_init(&model, &disk_hp97560, 0);
    srand(5);
    for (int i = 0; i < 20000; i++) {
        now_ns = disk_model_serve(&model, true, (uint64_t)rand() % model.sectors, 1, now_ns, &p);
        total_ns += p.rotate_ns;
    }
    assert_ms(total_ns / 20000, 14.9925 / 2, 0.1);
}
END_TEST

/* Skew covers the switch: a whole cylinder takes 19 revolutions, 18 skews of a track. */
START_TEST(long_transfers_lose_only_the_skew)
{
    struct disk_parts p;

    disk_model_init(&model, &disk_hp97560, 0);
    disk_model_serve(&model, true, 0, CYLINDER, 0, &p);
    disk_model_init(&model, &disk_hp97560, 0);
    assert_ms(p.transfer_ns, 14.9925 * 19, 0.01);
    ck_assert_uint_le(p.rotate_ns, disk_hp97560.revolution_ns * (18 * 8 + 72) / 72);
    /* And over a cylinder's end. */
    disk_model_serve(&model, true, CYLINDER - 8, 16, 0, &p);
    ck_assert_uint_le(p.rotate_ns, disk_hp97560.revolution_ns * (18 + 72) / 72);
}
END_TEST

/* Media rate 72 * 512 bytes in 14.99 ms = 2.46 MB/s, less what the skews take: 2.2 MB/s. */
START_TEST(sequential_reads_run_at_the_media_rate)
{
    uint64_t now_ns = 0, sector = 0;
    double rate;

    disk_model_init(&model, &disk_hp97560, 0);
    for (int i = 0; i < 400; i++, sector += 64)
        now_ns = disk_model_serve(&model, false, sector, 64, now_ns, NULL);
    rate = (double)sector * 512 / ((double)now_ns / 1e9);
    ck_assert_msg(rate > 2.1e6 && rate < 2.46e6, "%f", rate);
    ck_assert_uint_eq(model.seeks, 0);
}
END_TEST

/* Without a buffer each request of a sequential load misses a revolution. */
START_TEST(without_reading_ahead_a_revolution_is_lost)
{
    struct disk_drive bare = disk_hp97560;
    uint64_t now_ns = 0;

    bare.buffer_sectors = 0;
    disk_model_init(&model, &bare, 0);
    for (uint64_t i = 0; i < 100; i++)
        now_ns = disk_model_serve(&model, false, i * 8, 8, now_ns, NULL);
    ck_assert_uint_gt(now_ns, 99ull * bare.revolution_ns);
}
END_TEST

START_TEST(what_was_read_ahead_comes_from_the_buffer)
{
    struct disk_parts p;
    uint64_t now_ns;

    disk_model_init(&model, &disk_hp97560, 0);
    now_ns = disk_model_serve(&model, false, 1000, 8, 0, &p);
    ck_assert(!p.buffered);
    now_ns += 200 * MS; /* time to fill the buffer */
    ck_assert_uint_eq(disk_model_serve(&model, false, 1008, 100, now_ns, &p), now_ns + disk_hp97560.overhead_ns + 100 * disk_hp97560.bus_sector_ns);
    ck_assert(p.buffered);
    now_ns += 400 * MS;
    disk_model_serve(&model, true, 1200, 8, now_ns, &p); /* writing makes what is held there out of date */
    disk_model_serve(&model, false, 1200, 8, now_ns + 100 * MS, &p);
    ck_assert(!p.buffered);
}
END_TEST

START_TEST(nothing_is_faster_than_the_media)
{
    uint64_t now_ns = 0;

    disk_model_init(&model, &disk_hp97560, 0);
    srand(9);
    for (int i = 0; i < 20000; i++) {
        bool write = rand() % 3 == 0;
        uint64_t sector = rand() % 2 ? (uint64_t)rand() % 20000 : (uint64_t)rand() % model.sectors;
        uint32_t sectors = 1 + (uint32_t)rand() % 500;
        struct disk_parts p;
        uint64_t end_ns = disk_model_serve(&model, write, sector, sectors, now_ns, &p);
        uint64_t most = sectors < model.sectors - sector ? sectors : model.sectors - sector;

        ck_assert_uint_ge(end_ns, now_ns + p.overhead_ns);
        if (!p.buffered && end_ns - now_ns < disk_hp97560.overhead_ns + (most > 256 ? most - 256 : 0) * disk_hp97560.revolution_ns / 72)
            ck_abort_msg("request %d too fast", i);
        if (write && end_ns - now_ns < most * disk_hp97560.revolution_ns / 72)
            ck_abort_msg("write %d too fast", i);
        now_ns = end_ns + (uint64_t)rand() % (rand() % 2 ? 100 * MS : 1000);
        ck_assert_uint_le(model.held_to - model.held_from, 256);
        ck_assert_uint_le(model.held_from, model.held_to);
        ck_assert_uint_le(model.ahead_to, model.sectors);
    }
}
END_TEST

/* Small or large: end to end is the full stroke. */
START_TEST(other_sizes_are_spread_over_the_stroke)
{
    static const uint64_t sizes[] = {131072, 2684016, 41943040, 1ull << 40};
    struct disk_parts p;

    for (int i = 0; i < 4; i++) {
        disk_model_init(&model, &disk_hp97560, sizes[i]);
        disk_model_serve(&model, true, sizes[i] - 1, 1, 0, &p);
        ck_assert_uint_ge(p.cylinders, 1930);
        ck_assert_uint_le(p.cylinders, 1962);
        disk_model_serve(&model, true, UINT64_MAX, 5, 0, &p); /* beyond the end: no harm */
    }
}
END_TEST

START_TEST(the_same_calls_give_the_same_times)
{
    uint64_t sums[2] = {0, 0};

    for (int run = 0; run < 2; run++) {
        uint64_t now_ns = 0;

        disk_model_init(&model, &disk_hp97560, 1 << 22);
        srand(3);
        for (int i = 0; i < 3000; i++) {
            now_ns = disk_model_serve(&model, rand() % 2, (uint64_t)rand() % (1 << 22), 1 + (uint32_t)rand() % 64, now_ns + (uint64_t)rand() % 1000000, NULL);
            sums[run] = sums[run] * 31 + now_ns;
        }
    }
    ck_assert_uint_eq(sums[0], sums[1]);
}
END_TEST

Suite *suite_disk_model(void);
Suite *suite_disk_model(void)
{
    Suite *s = suite_create("disk-model");
    TCase *tc = tcase_create("disk-model");

    tcase_add_test(tc, published_figures);
    tcase_add_test(tc, seeks_never_get_shorter_with_distance);
    tcase_add_test(tc, a_request_is_the_sum_of_its_parts);
    tcase_add_test(tc, rotation);
    tcase_add_test(tc, mean_wait_for_a_sector_is_half_a_revolution);
    tcase_add_test(tc, long_transfers_lose_only_the_skew);
    tcase_add_test(tc, sequential_reads_run_at_the_media_rate);
    tcase_add_test(tc, without_reading_ahead_a_revolution_is_lost);
    tcase_add_test(tc, what_was_read_ahead_comes_from_the_buffer);
    tcase_add_test(tc, nothing_is_faster_than_the_media);
    tcase_add_test(tc, other_sizes_are_spread_over_the_stroke);
    tcase_add_test(tc, the_same_calls_give_the_same_times);
    suite_add_tcase(s, tc);
    return s;
}
