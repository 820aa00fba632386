// SPDX-License-Identifier: MIT
/* Loads out of files: iologs, blkparse text, workloads, recordings; errors name file and line; no bytes do harm (INPUT_SEED repeats the random ones). */
// needs:
#include "blk-input.h"

#include <check.h>
#include <collet/disk-record.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct blk_load load;
static struct blk_input_options options = {.window = 1};
static char error[256];

static bool parse_bytes(const void *bytes, size_t count)
{
    char *copy = malloc(count + 1);
    bool fine;

    memcpy(copy, bytes, count);
    copy[count] = '\0';
    error[0] = '\0';
    fine = blk_input_parse(&load, "f", copy, count, &options, error, sizeof(error));
    free(copy);
    return fine;
}

static void parse(const char *text)
{
    ck_assert_msg(parse_bytes(text, strlen(text)), "%s", error);
}

START_TEST(iolog_of_version_3)
{
    parse("fio version 3 iolog\n2 /dev/sda add\n872 /dev/sda open\n878 /dev/sda write 0 16384\n900 /dev/sda read 4096 4096\n901 /dev/sda sync 0 0\n"
          "950 /dev/sda trim 1048576 65536\n1000 /dev/sda close\n");
    ck_assert_uint_eq(load.count, 1);
    ck_assert_uint_eq(load.streams[0].count, 3);
    ck_assert(!load.streams[0].closed);
    ck_assert_uint_eq(load.streams[0].items[0].at_ns, 878000);
    ck_assert_uint_eq(load.streams[0].items[0].sectors, 32);
    ck_assert_uint_eq(load.streams[0].items[0].op, BLK_WRITE);
    ck_assert_uint_eq(load.streams[0].items[1].sector, 8);
    ck_assert_uint_eq(load.streams[0].items[2].op, BLK_DISCARD);
    ck_assert_uint_eq(load.flushes, 1);
    blk_load_free(&load);
}
END_TEST

START_TEST(iolog_of_version_2)
{
    parse("fio version 2 iolog\n/a add\n/b add\n/a open\n/a read 0 4096\n/a wait 500 0\n/b write 512 512\n/a read 8192 4096\n");
    ck_assert_uint_eq(load.count, 2);
    ck_assert(load.streams[0].closed);
    ck_assert_uint_eq(load.streams[0].count, 2);
    ck_assert_uint_eq(load.streams[0].items[1].after, 1);
    ck_assert_uint_eq(load.streams[1].items[0].think_ns, 500000);
    ck_assert_uint_eq(load.streams[1].items[0].sector, 1);
    blk_load_free(&load);
}
END_TEST

START_TEST(blkparse_text)
{
    static const char text[] = "  8,0    3        1     0.000000000   697  G   W 223490 + 8 [kjournald]\n"
                               "  8,0    3        2     0.000001829   697  Q   W 223490 + 8 [kjournald]\n"
                               "  8,0    1        3     0.500000000   700  Q  RA 1000 + 256 [cat]\n"
                               "  8,0    1        4     0.600000000   700  Q FWS [cat]\n"
                               "  8,0    1        5     0.700000000   700  C  RA 1000 + 256 [0]\n"
                               "CPU0 (8,0):\n Reads Queued:           1,        4KiB\n";

    parse(text);
    ck_assert_uint_eq(load.count, 2);
    ck_assert_str_eq(load.streams[1].name, "700[cat]");
    ck_assert_uint_eq(load.streams[0].items[0].at_ns, 1829);
    ck_assert_uint_eq(load.streams[1].items[0].sectors, 256);
    ck_assert_uint_eq(load.streams[1].items[0].op, BLK_READ);
    ck_assert_uint_eq(load.flushes, 1);
    blk_load_free(&load);
    options.by = BLK_BY_DEVICE;
    parse(text);
    ck_assert_uint_eq(load.count, 1);
    ck_assert_uint_eq(load.streams[0].count, 2);
    blk_load_free(&load);
    options.by = BLK_BY_PROCESS;
}
END_TEST

START_TEST(workload)
{
    parse("# a comment\nsize 1G\n\nload a random read=30 size=8k window=4 think=2ms range=10%-20% weight=300 domain=5 start=1s stop=2s # end\nload b sequential rate=100 requests=7\ntime 5s\nseed 3\n");
    ck_assert_uint_eq(load.count, 2);
    ck_assert_uint_eq(load.streams[0].pattern.reads, 30);
    ck_assert_uint_eq(load.streams[0].pattern.sectors, 16);
    ck_assert_uint_eq(load.streams[0].pattern.think_ns, 2000000);
    ck_assert_uint_eq(load.streams[0].pattern.from, 2097152 / 100 * 10);
    ck_assert_uint_eq(load.streams[0].weight, 300);
    ck_assert_uint_eq(load.streams[0].domid, 5);
    ck_assert(load.streams[0].closed && !load.streams[1].closed);
    ck_assert_uint_eq(load.time_ns, 5000000000ull);
    ck_assert_uint_eq(load.seed, 3);
    blk_load_free(&load);
}
END_TEST

START_TEST(errors_name_file_and_line)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "f: empty"},
        {"hello\n", "f:1: neither"},
        {"fio version 3 iolog\n5 a read 0 4096\nx a read 0 4096\n", "f:3: a line of a version 3 iolog begins with its time"},
        {"fio version 3 iolog\n5 a wait 0 0\n", "f:2: a version 3 iolog has no wait"},
        {"fio version 2 iolog\na read 0\n", "f:2: FILE ACTION"},
        {"fio version 2 iolog\na eat 0 1\n", "f:2: action 'eat'"},
        {"fio version 2 iolog\na read 0 0\n", "f:2: a request of 0 sectors"},
        {"fio version 2 iolog\na read 0 -1\n", "f:2: offset and length"},
        {"fio version 2 iolog\na add\n", "f: no request in it"},
        {"8,0 3 2 x 697 Q W 223490 + 8 [k]\n", "f:1: the fourth word"},
        {"8,0 3 2 0.1 697 Q W 2a + 8 [k]\n", "f:1: SECTOR + SECTORS"},
        {"load a\n", "f:1: load NAME"},
        {"time 5s\nload a random size=100\n", "f:2: size is"},
        {"load a random colour=red\n", "f:1: no 'colour'"},
        {"load a random\nload a random\n", "f:2: two loads"},
        {"load a random range=50%-20%\n", "f:1: range is"},
        {"load a random range=-\n", "f:1: range is"},
        {"load a random\ntime soon\n", "f:2: time is"},
        {"load a random\ndepth 9999\n", "f:2: 'depth 9999'"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert(!parse_bytes(cases[i].text, strlen(cases[i].text)));
        ck_assert_msg(strncmp(error, cases[i].error, strlen(cases[i].error)) == 0, "case %zu: %s", i, error);
        blk_load_free(&load);
    }
}
END_TEST

START_TEST(cut_off_recordings_are_refused)
{
    struct collet_disk_record_header h = {.magic = COLLET_DISK_RECORD_MAGIC, .version = 1, .record_bytes = sizeof(struct collet_disk_record), .records = 5, .sectors = 1000};

    ck_assert(!parse_bytes(&h, sizeof(h)));
    ck_assert_ptr_nonnull(strstr(error, "cut off"));
    ck_assert(!parse_bytes(&h, 20));
    h.version = 2;
    ck_assert(!parse_bytes(&h, sizeof(h)));
    ck_assert_ptr_nonnull(strstr(error, "version 2"));
    blk_load_free(&load);
}
END_TEST

/* Bytes that are almost a recording, an iolog or a workload: an error or a load, and a verdict; nothing else. */
START_TEST(no_bytes_do_harm)
{
    static const char *const texts[] = {"fio version 3 iolog\n5 a read 0 4096\n9 a write 99 1\n", "fio version 2 iolog\na read 0 4096\na wait 5 0\n",
                                        "8,0 3 2 0.1 697 Q W 2234 + 8 [k]\n", "size 1G\nload a random range=1%-20% size=4k rate=9\ntime 5s\n"};
    const char *given = getenv("INPUT_SEED");
    unsigned int seed = given != NULL ? (unsigned int)strtoul(given, NULL, 0) : (unsigned int)time(NULL);
    struct {
        struct collet_disk_record_header header;
        struct collet_disk_record records[40];
    } rec;
    char verdict[256];

    printf("bytes: INPUT_SEED=%u\n", seed);
    srand(seed);
    for (int i = 0; i < 20000; i++) {
        char text[128];

        snprintf(text, sizeof(text), "%s", texts[i % 4]);
        for (int n = rand() % 4; n >= 0; n--)
            text[(size_t)rand() % strlen(texts[i % 4])] = (char)(rand() % 3 ? "0123456789 -%=.\nkMG"[rand() % 19] : rand());
        parse_bytes(text, strlen(texts[i % 4]));
        blk_load_free(&load);
    }
    for (int i = 0; i < 5000; i++) {
        memset(&rec, 0, sizeof(rec));
        rec.header = (struct collet_disk_record_header){.magic = COLLET_DISK_RECORD_MAGIC, .version = 1, .record_bytes = sizeof(rec.records[0]), .sectors = 1000, .depth = 2,
                                                        .sectors_max = 64, .segments_max = 8};
        for (int n = 0; n < 40; n++) {
            struct collet_disk_record *r = &rec.records[n];

            *r = (struct collet_disk_record){.time_ns = (uint64_t)n, .kind = (uint8_t)(n < 3 ? (n == 0 ? COLLET_DISK_USE : COLLET_DISK_VBD) : rand() % 12), .vbd = (uint32_t)(n < 3 ? n : rand() % 4),
                                             .serial = (uint64_t)(rand() % 50), .op = (uint8_t)(rand() % 6), .value = (uint64_t)rand()};
            if (r->kind == COLLET_DISK_USE)
                snprintf(r->name, sizeof(r->name), "%s", blk_sched_modules[rand() % 4]->name);
            else if (r->kind == COLLET_DISK_SET)
                snprintf(r->name, sizeof(r->name), "weight");
            else {
                r->sector = (uint64_t)rand() % 100;
                r->sectors = 1 + (uint32_t)rand() % 9;
                r->flags = rand() % 4 == 0;
            }
        }
        blk_verify("f", (const char *)&rec, sizeof(rec), verdict, sizeof(verdict));
        parse_bytes(&rec, sizeof(rec));
        blk_load_free(&load);
    }
}
END_TEST

Suite *suite_blk_input(void);
Suite *suite_blk_input(void)
{
    Suite *s = suite_create("blk-input");
    TCase *tc = tcase_create("blk-input");

    tcase_add_test(tc, iolog_of_version_3);
    tcase_add_test(tc, iolog_of_version_2);
    tcase_add_test(tc, blkparse_text);
    tcase_add_test(tc, workload);
    tcase_add_test(tc, errors_name_file_and_line);
    tcase_add_test(tc, cut_off_recordings_are_refused);
    tcase_add_test(tc, no_bytes_do_harm);
    suite_add_tcase(s, tc);
    return s;
}
