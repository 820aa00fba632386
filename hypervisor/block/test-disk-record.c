// SPDX-License-Identifier: MIT
/* Recordings of a disk: what blk-sim repeats of them is decided alike, one by one, whatever happened meanwhile. */
// needs: disk.c disk-ask.c disk-module.c disk-params.c disk-watch.c disk-model-stage.c disk-record.c disk-info.c
#include "test-blkdev.h"

#include "blk-input.h"

static char *file;
static size_t file_bytes, file_room;
static uint64_t lost;
static uint32_t kinds_seen[COLLET_DISK_LOST + 1];

static void file_add(const void *bytes, size_t count)
{
    if (file_bytes + count + 1 > file_room) {
        file_room = (file_bytes + count + 1) * 2;
        file = realloc(file, file_room);
    }
    memcpy(file + file_bytes, bytes, count);
    file_bytes += count;
    file[file_bytes] = '\0';
}

static void file_begin(void)
{
    struct collet_disk_info info = info_now();
    struct collet_disk_record_header header = {.magic = COLLET_DISK_RECORD_MAGIC, .version = COLLET_DISK_RECORD_VERSION, .record_bytes = sizeof(struct collet_disk_record),
                                               .sectors = info.sectors, .disk_id = info.disk, .depth = info.depth, .sectors_max = info.sectors_max,
                                               .segments_max = info.segments_max, .rotates = (info.flags & COLLET_DISK_ROTATES) != 0};

    file_bytes = 0;
    memset(kinds_seen, 0, sizeof(kinds_seen));
    file_add(&header, sizeof(header));
}

/* Takes out what there is; false: it is over. */
static bool take(void)
{
    struct collet_disk_record records[64];

    for (;;) {
        struct collet_disk_record_read op = {.disk = 0, .count = 64};
        long rc = disk_record_take(&op, records);

        if (rc == -ENOENT)
            return false;
        ck_assert_int_eq(rc, 0);
        lost = op.lost;
        if (op.count == 0)
            return op.running;
        for (uint32_t i = 0; i < op.count; i++)
            kinds_seen[records[i].kind]++;
        file_add(records, op.count * sizeof(records[0]));
    }
}

static void record_begin(uint32_t records)
{
    ck_assert_int_eq(disk_record(0, records), 0);
    ck_assert(info_now().flags & COLLET_DISK_RECORDED);
    file_begin();
}

static void record_end(void)
{
    ck_assert_int_eq(disk_record(0, 0), 0);
    while (take())
        ;
    ck_assert(!(info_now().flags & COLLET_DISK_RECORDED));
}

static void verify_alike(uint64_t least)
{
    char text[256];
    int rc = blk_verify("it", file, file_bytes, text, sizeof(text));

    if (rc != 0 && getenv("KEEP") != NULL) {
        FILE *f = fopen(getenv("KEEP"), "w");

        fwrite(file, file_bytes, 1, f);
        fclose(f);
    }
    ck_assert_msg(rc == 0, "%s", text);
    ck_assert_msg(strtoull(text + 4, NULL, 10) >= least, "%s", text);
}

START_TEST(a_short_recording_tells_all)
{
    struct collet_disk_record r[8];

    disk_start(1, "fair");
    stream_start(0);
    record_begin(64);
    ck_assert_int_eq(disk_record(0, 64), -EBUSY);
    ck_assert_int_eq(disk_record(0, 48), -EINVAL);
    ck_assert_int_eq(disk_record(0, 1u << 17), -EINVAL);
    ck_assert_int_eq(disk_record(1, 64), -ENODEV);
    ck_assert_int_eq(disk_model_use(0, "hp97560"), -EBUSY);
    ask(0, BLK_WRITE, 64, 8);
    drain();
    host_run_until(host_now_ns + 5 * MS);
    ask(0, BLK_READ, 72, 16);
    drain();
    record_end();
    ck_assert_uint_eq(file_bytes, sizeof(struct collet_disk_record_header) + 8 * sizeof(r[0]));
    memcpy(r, file + sizeof(struct collet_disk_record_header), sizeof(r));
    ck_assert_int_eq(r[0].kind, COLLET_DISK_USE);
    ck_assert_str_eq(r[0].name, "fair");
    ck_assert_int_eq(r[1].kind, COLLET_DISK_VBD);
    ck_assert_uint_eq(r[1].vbd, 100);
    ck_assert_uint_eq(r[1].domid, 1);
    ck_assert_int_eq(r[2].kind, COLLET_DISK_ARRIVE);
    ck_assert_int_eq(r[2].op, BLK_WRITE);
    ck_assert_uint_eq(r[2].sector, 64);
    ck_assert_int_eq(r[3].kind, COLLET_DISK_DECIDE);
    ck_assert_int_eq(r[4].kind, COLLET_DISK_COMPLETE);
    ck_assert_uint_eq(r[4].value, 100 * US);
    ck_assert_int_eq(r[5].kind, COLLET_DISK_ARRIVE);
    ck_assert_uint_eq(r[5].after, 1);
    ck_assert_uint_eq(r[5].value, r[5].time_ns - r[4].time_ns);
    ck_assert_uint_ge(r[5].value, 5 * MS);
    verify_alike(2);
}
END_TEST

static void set_some(void)
{
    struct collet_disk_values op = {.count = 1, .disk = 0};
    struct collet_disk_value v = {.name = "weight", .scope = COLLET_DISK_SCOPE_VBD, .vbd = 100 + (uint32_t)fake_random(4), .value = 1 + fake_random(999)};

    if (fake_random(3) == 0)
        v = (struct collet_disk_value){.name = "idle_ns", .scope = COLLET_DISK_SCOPE_DISK, .value = fake_random(8 * MS)};
    (void)!disk_set(&op, &v);
}

/* As much as can happen to a disk, for so many steps. */
static void live(uint32_t steps, bool take_on, bool swap)
{
    static const char *const names[] = {"elevator", "fifo", "deadline", "fair", "fair", "arrival"};

    for (uint32_t i = 0; i < steps; i++) {
        uint32_t n = (uint32_t)fake_random(4), op = (uint32_t)fake_random(60);

        if (op == 0 && swap)
            ck_assert_int_eq(disk_use(0, names[fake_random(ARRAY_SIZE(names))]), 0);
        else if (op == 1)
            disk_cancel(&streams[n]);
        else if (op == 2)
            set_some();
        else if (op == 3)
            ask(n, BLKDEV_FLUSH, 0, 0);
        else if (op == 4 && streams[n].in_flight == 0)
            stream_stop(n), stream_start(n);
        else
            ask(n, op < 40 ? BLK_READ : op < 58 ? BLK_WRITE : BLK_DISCARD, fake_random(2000) * 8, 8 * (uint32_t)(1 + fake_random(4)));
        if (op % 3 != 2)
            disk_run(disk);
        host_run_until(host_now_ns + fake_random(i % 100 < 50 ? 300 * US : 3 * MS));
        if (take_on && i % 16 == 0)
            ck_assert(take());
    }
}

/* From the midst of a life, with requests queued and issued, a module with a past, and values set. */
START_TEST(what_is_repeated_is_decided_alike)
{
    static const char *const names[] = {"elevator", "fifo", "deadline", "fair"};

    disk_start(_i & 4 ? 4 : 1, names[_i & 3]);
    fake.random = 7 + (uint64_t)_i;
    fake.service_ns = 400 * US;
    fake.spread_ns = 800 * US;
    if (_i & 8)
        ck_assert_int_eq(disk_model_use(0, "hp97560"), 0);
    for (uint32_t i = 0; i < 4; i++)
        stream_start(i);
    live(500, false, false);
    record_begin(1024);
    live(6000, true, _i & 16);
    record_end();
    ck_assert_uint_eq(lost, 0);
    verify_alike(200);
    ck_assert_uint_ne(kinds_seen[COLLET_DISK_CANCEL], 0);
    ck_assert(kinds_seen[COLLET_DISK_VBD_GONE] != 0 || (_i & 8)); /* under a model, somebody always waits */
    ck_assert(kinds_seen[COLLET_DISK_SET] != 0 || (_i & 3) != 3);
    ck_assert(kinds_seen[COLLET_DISK_HOLD] != 0 || (_i & 19) != 3 || !(_i & 8));
    drain();
}
END_TEST

START_TEST(the_load_can_be_replayed)
{
    const struct blk_input_options options = {.loop = BLK_LOOP_AUTO};
    struct blk_load load = {0};
    char error[256] = "";
    uint64_t items = 0;

    disk_start(4, "elevator");
    for (uint32_t i = 0; i < 4; i++)
        stream_start(i);
    record_begin(65536);
    live(1000, false, false);
    drain();
    record_end();
    ck_assert_msg(blk_input_parse(&load, "it", file, file_bytes, &options, error, sizeof(error)), "%s", error);
    for (uint32_t i = 0; i < load.count; i++)
        items += load.streams[i].count;
    ck_assert_uint_gt(items, 500);
    ck_assert_uint_le(items, kinds_seen[COLLET_DISK_ARRIVE]);
    ck_assert_uint_ge(items, kinds_seen[COLLET_DISK_DECIDE]);
    blk_load_free(&load);
}
END_TEST

START_TEST(a_second_recording_begins_anew)
{
    disk_start(4, "elevator");
    fake.random = 3;
    for (uint32_t i = 0; i < 4; i++)
        stream_start(i);
    record_begin(65536);
    live(300, false, true);
    ck_assert_int_eq(disk_record(0, 0), 0);
    live(300, false, true);
    record_begin(65536); /* what was left is dropped */
    live(3000, false, true);
    record_end();
    verify_alike(200);
    drain();
    for (uint32_t i = 0; i < 4; i++)
        stream_stop(i);
}
END_TEST

START_TEST(what_is_lost_is_told)
{
    struct collet_disk_record *r;
    uint32_t count;
    uint64_t missing = 0;
    char text[256];

    disk_start(4, "elevator");
    for (uint32_t i = 0; i < 4; i++)
        stream_start(i);
    record_begin(64);
    live(200, false, false);
    take();
    live(200, true, false);
    record_end();
    ck_assert_uint_ne(lost, 0);
    ck_assert_int_eq(blk_verify("it", file, file_bytes, text, sizeof(text)), 2);
    ck_assert_ptr_nonnull(strstr(text, "lost"));
    r = (void *)(file + sizeof(struct collet_disk_record_header));
    count = (uint32_t)((file_bytes - sizeof(struct collet_disk_record_header)) / sizeof(*r));
    for (uint32_t i = 0; i < count; i++)
        missing += r[i].kind == COLLET_DISK_LOST ? r[i].value : 0;
    ck_assert_uint_eq(missing, lost);
    drain();
}
END_TEST

START_TEST(memory_is_given_back)
{
    struct collet_disk_record records[4];
    struct collet_disk_record_read op = {.count = 4};
    int64_t before;

    disk_start(4, "elevator");
    stream_start(0);
    before = host_heap_live;
    ck_assert_int_eq(disk_record_take(&op, records), -ENOENT);
    for (uint64_t budget = 0;; budget++) {
        host_heap_budget = budget;
        if (disk_record(0, 65536) == 0)
            break;
        host_heap_budget = UINT64_MAX;
        ck_assert_int_eq(host_heap_live, before);
        ck_assert_uint_lt(budget, 100);
    }
    host_heap_budget = UINT64_MAX;
    file_begin();
    record_end();
    ck_assert_int_eq(host_heap_live, before);
}
END_TEST

Suite *suite_disk_record(void)
{
    Suite *s = suite_create("disk-record");
    TCase *c = tcase_create("disk-record");

    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_short_recording_tells_all);
    tcase_add_loop_test(c, what_is_repeated_is_decided_alike, 0, 32);
    tcase_add_test(c, the_load_can_be_replayed);
    tcase_add_test(c, a_second_recording_begins_anew);
    tcase_add_test(c, what_is_lost_is_told);
    tcase_add_test(c, memory_is_given_back);
    suite_add_tcase(s, c);
    return s;
}
