/* SPDX-License-Identifier: MIT */
/* Tests of `collet disk` and `collet vbd`, run as main() runs them, against fake-block.c. */
#include "block.h"
#include "fake-collet.h"
#include "test-run.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64], line[256];

static void setup(void)
{
    setenv("COLLET_SOCKET", "/nonexistent/colletd.sock", 1);
    snprintf(path, sizeof(path), "/tmp/test-disk-%d.rec", (int)getpid());
    fake_reset();
}

static void teardown(void)
{
    unlink(path);
    run_end();
}

#define said_has(text)      ck_assert_msg(strstr(said, text) != NULL, "%s", said)
#define complained_of(text) ck_assert_msg(strstr(complained, text) != NULL, "%s", complained)

START_TEST(disks_are_listed)
{
    ck_assert_int_eq(run("disk list"), 0);
    ck_assert_str_eq(said, "Name   Driver         Size  Module    Model    Queued  Issued  Requests  Errors  Features\n"
                           "disk0  virtio-blk  1.0 GiB  elevator  -             3       4      1530       0  flush, discard\n"
                           "disk1  virtio-blk  2.0 GiB  fair      hp97560       3       4      1530       0  modelled\n");
    fake.disk_count = 0;
    ck_assert_int_eq(run("disk list"), 0);
    said_has("drives no disk");
    ck_assert_int_eq(run("disk show disk0"), 3);
    complained_of("the hypervisor drives none");
}
END_TEST

START_TEST(a_disk_tells_all_about_itself)
{
    ck_assert_int_eq(run("disk show disk1"), 0);
    said_has("disk1 (1): virtio-blk, 2.0 GiB, serial S1; features: modelled");
    said_has("module fair, for 00:01:39");
    said_has("last dropped: mine, at 00:00:00: it sat on a request");
    said_has("bad answers: bad-request 3");
    said_has("slice_ns");
    said_has("db/data   7  r     10.0 MiB  broken          2  weight=100");
    ck_assert_ptr_null(strstr(said, "web/root"));
    ck_assert_int_eq(run("disk show 0"), 0);
    said_has("disk0 (0)");
    said_has("Domain0/disk0   1  w raw");
}
END_TEST

START_TEST(typing_errors_find_the_nearest)
{
    ck_assert_int_eq(run("disk show dsk1"), 3);
    ck_assert_str_eq(complained, "collet: no disk 'dsk1'; did you mean disk1?\n");
    ck_assert_int_eq(run("disk sched use disk0 elevtor"), 3);
    ck_assert_str_eq(complained, "collet: no disk module 'elevtor'; did you mean elevator?\n");
    ck_assert_int_eq(run("disk set disk1 wieght=3"), 3);
    ck_assert_str_eq(complained, "collet: disk module fair has no parameter 'wieght'; did you mean weight?\n");
    ck_assert_int_eq(run("disk set disk1 weight=3 --vbd db/dat"), 3);
    ck_assert_str_eq(complained, "collet: no VBD 'db/dat'; did you mean db/data?\n");
    ck_assert_int_eq(run("vbd show root"), 3);
    complained_of("it is DOMAIN/NAME");
    ck_assert_int_eq(run("disk model disk0 hp97650"), 3);
    complained_of("did you mean hp97560?");
    ck_assert_int_eq(run("disk sched usee disk0 fifo"), 2);
    ck_assert_str_eq(complained, "collet: no command 'disk sched usee'; did you mean: collet disk sched use?\n");
    ck_assert_int_eq(run("disk lst"), 2);
    complained_of("did you mean: collet disk list?");
    ck_assert_int_eq(run("disk sched"), 2);
    complained_of("Usage: collet disk sched COMMAND");
    ck_assert_int_eq(run("disk --help"), 0);
    said_has("disk sched use DISK MODULE");
    ck_assert_int_eq(fake.disk_set_calls, 0);
}
END_TEST

START_TEST(modules_are_listed_and_changed)
{
    ck_assert_int_eq(run("disk sched list"), 0);
    said_has("elevator      1           0  C-LOOK with merging");
    ck_assert_int_eq(run("disk sched use disk0 fifo"), 0);
    ck_assert_str_eq(said, "disk0: fifo (before: elevator)\n");
    ck_assert_int_eq(run("disk model disk1 none"), 0);
    ck_assert_str_eq(said, "disk1: none (before: hp97560)\n");
    ck_assert_str_eq(fake.disks[1].model, "");
}
END_TEST

START_TEST(values_of_disks_and_vbds)
{
    ck_assert_int_eq(run("disk get disk1"), 0);
    ck_assert_str_eq(said, "weight=100\nslice_ns=100ms\n");
    ck_assert_int_eq(run("disk set disk1 slice=20ms weight=7"), 0);
    ck_assert_int_eq(fake.disk_set_calls, 1);
    ck_assert_int_eq(run("disk get disk1 slice"), 0);
    ck_assert_str_eq(said, "slice_ns=20ms\n");
    ck_assert_int_eq(run("disk set disk1 weight=300 --vbd db/data"), 0);
    ck_assert_uint_eq(fake.disk_values[2].vbd, 7);
    ck_assert_uint_eq(fake.disk_values[2].scope, COLLET_DISK_SCOPE_VBD);
    ck_assert_int_eq(run("disk get disk1 --vbd 7"), 0);
    ck_assert_str_eq(said, "weight=300\n");
    ck_assert_int_eq(run("disk get disk1 --vbd 4/data"), 0);
    ck_assert_str_eq(said, "weight=300\n");
    strcpy(fake.disks[1].module, "arrival"); /* the core's own order has no parameters */
    ck_assert_int_eq(run("disk get disk1"), 0);
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(bad_values_set_nothing)
{
    ck_assert_int_eq(run("disk set disk1 slice=20ms weight=0"), 1);
    complained_of("from 1 to 1000");
    ck_assert_int_eq(run("disk set disk1 slice=fast"), 2);
    complained_of("'fast' is not a time");
    ck_assert_int_eq(run("disk set disk1 slice=20ms --vbd db/data"), 1);
    complained_of("slice_ns is of a disk");
    ck_assert_int_eq(run("disk set disk1 weight=3 --vbd web/root"), 3);
    complained_of("VBD web/root does not lie on disk1");
    ck_assert_int_eq(run("disk set disk1 weight"), 2);
    ck_assert_int_eq(fake.disk_set_calls, 0);
    fake.disk_set_rc = -ESTALE;
    ck_assert_int_eq(run("disk set disk1 weight=3"), 1);
    complained_of("nothing was set");
}
END_TEST

START_TEST(stats_tell_percentiles_by_vbd_and_phase)
{
    json_t *document, *vbd;

    ck_assert_int_eq(run("disk stats"), 0);
    said_has("since boot");
    said_has("disk1  fair on hp97560");
    said_has("web/root       read  ring         100  <16us  <16us  <1024us  >4.2s");
    ck_assert_int_eq(run("disk stats disk1 --json"), 0);
    document = said_json();
    ck_assert_uint_eq(json_array_size(json_object_get(document, "disks")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(document, "vbds")), 1);
    vbd = json_array_get(json_object_get(document, "vbds"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(vbd, "name")), "data");
    ck_assert_uint_eq(json_array_size(json_object_get(vbd, "latency")), 6);
    ck_assert(json_is_null(json_object_get(document, "interval_ns")));
    json_decref(document);
}
END_TEST

START_TEST(stats_of_intervals_are_differences)
{
    json_t *document, *vbd;

    ck_assert_int_eq(run("disk stats --interval 0.01 --count 2"), 0);
    said_has("over 0.10 s");
    said_has("web/root       read  device        10  <64us  <64us  <64us  <64us\n");
    ck_assert_ptr_null(strstr(said, "ring"));
    ck_assert_int_eq(run("disk stats -i 0.01 -n 1 disk0 --json"), 0);
    document = said_json();
    vbd = json_array_get(json_object_get(document, "vbds"), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(vbd, "requests"), "read")), 10);
    ck_assert(json_real_value(json_object_get(json_object_get(vbd, "requests_per_s"), "read")) > 99.9);
    json_decref(document);
    ck_assert_int_eq(run("disk stats --count 2"), 2);
}
END_TEST

START_TEST(vbds_are_listed_and_shown)
{
    ck_assert_int_eq(run("vbd list"), 0);
    ck_assert_str_eq(said, "VBD            ID  Device  Mode       Size  State      Requests  In flight  Failed\n"
                           "Domain0/disk0   1  xvda    w raw  10.0 MiB  connected       155          2       0\n"
                           "web/root        2  xvda    w      10.0 MiB  connected       155          2       0\n"
                           "db/data         7  xvdb    r      10.0 MiB  broken          155          2       0\n");
    ck_assert_int_eq(run("vbd list db"), 0);
    ck_assert_ptr_null(strstr(said, "web"));
    ck_assert_int_eq(run("vbd list nobody"), 3);
    ck_assert_int_eq(run("vbd show db/data"), 0);
    said_has("broken: producer index out of range");
    said_has("limits: 100 requests/s 10.0 MiB/s; held back 0 times");
    said_has("   1          2048    20480");
}
END_TEST

START_TEST(device_numbers_have_names)
{
    static const struct {
        uint32_t device;
        const char *name;
    } cases[] = {
        { 51712, "xvda" }, { 51713, "xvda1" }, { 51728, "xvdb" }, { 51952, "xvdp" }, { (1u << 28) | 16 << 8, "xvdq" }, { (1u << 28) | 26 << 8 | 3, "xvdaa3" },
        { 2049, "2049" }
    };
    char text[FORMAT_BYTES];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        ck_assert_str_eq(vbd_device_name(text, cases[i].device), cases[i].name);
}
END_TEST

/* ---- Recordings ---- */

/* Every third record is a request. */
static void records_make(int count)
{
    fake.disk_record_count = count;
    for (int i = 0; i < count; i++)
        fake.disk_records[i] =
            (struct collet_disk_record){ .time_ns = (uint64_t)i, .serial = (uint64_t)i, .kind = i % 3 == 0 ? COLLET_DISK_ARRIVE : COLLET_DISK_DECIDE };
}

/* The file is whole: so many records as the header says, in order. */
static void file_expect(uint64_t records)
{
    struct collet_disk_record_header header;
    struct collet_disk_record record;
    FILE *file = fopen(path, "r");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(&header, sizeof(header), 1, file), 1);
    ck_assert_uint_eq(header.magic, COLLET_DISK_RECORD_MAGIC);
    ck_assert_uint_eq(header.record_bytes, 64);
    ck_assert_uint_eq(header.sectors, 2097152);
    ck_assert_uint_eq(header.depth, 32);
    ck_assert_uint_eq(header.records, records);
    for (uint64_t i = 0; i < records; i++) {
        ck_assert_uint_eq(fread(&record, sizeof(record), 1, file), 1);
        ck_assert_uint_eq(record.serial, i);
    }
    ck_assert_int_eq(fgetc(file), EOF);
    fclose(file);
    ck_assert_uint_eq(fake.recording, 0);
    ck_assert_int_eq(fake.record_begins, fake.record_ends);
    ck_assert_int_eq(fake.disk_records_read, fake.disk_record_count); /* nothing stays in the hypervisor */
}

START_TEST(a_recording_of_some_time)
{
    records_make(1234);
    fake.disk_records_lost = 5;
    snprintf(line, sizeof(line), "disk record disk0 -w %s --seconds 0.2", path);
    ck_assert_int_eq(run(line), 0);
    file_expect(1234);
    complained_of("disk0: 412 requests in 1234 records to ");
    complained_of("5 records were lost");
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(a_recording_of_so_many_requests)
{
    json_t *document;

    records_make(1234);
    snprintf(line, sizeof(line), "disk record disk0 -w %s -n 100 --json", path);
    ck_assert_int_eq(run(line), 0);
    file_expect(298); /* up to the hundredth */
    document = said_json();
    ck_assert_int_eq(json_integer_value(json_object_get(document, "requests")), 100);
    ck_assert(json_is_true(json_object_get(document, "complete")));
    json_decref(document);
}
END_TEST

static void *interrupt(void *arg)
{
    (void)arg;
    usleep(200000);
    kill(getpid(), SIGINT);
    return NULL;
}

START_TEST(interrupt_ends_a_recording_cleanly)
{
    pthread_t thread;

    records_make(50);
    pthread_create(&thread, NULL, interrupt, NULL);
    snprintf(line, sizeof(line), "disk record disk0 -w %s", path);
    ck_assert_int_eq(run(line), 0);
    pthread_join(thread, NULL);
    file_expect(50);
}
END_TEST

START_TEST(a_full_disk_leaves_a_file_that_can_be_read)
{
    struct rlimit limit = { .rlim_cur = 64 + 64 * 333 + 20, .rlim_max = RLIM_INFINITY };

    records_make(1234);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    snprintf(line, sizeof(line), "disk record disk0 -w %s --seconds 5", path);
    ck_assert_int_eq(run(line), 1);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    complained_of("File too large; the recording has ended, and the 333 records that were written can be read");
    file_expect(333);
    ck_assert_int_eq(run("disk record disk0 -w /dev/full --seconds 1"), 1);
    complained_of("/dev/full: No space left on device; nothing is recorded");
    ck_assert_int_eq(run("disk record disk0 -w /nonexistent/x"), 1);
    complained_of("nothing is recorded");
    ck_assert_int_eq(fake.record_begins, 1);
}
END_TEST

START_TEST(a_recording_that_was_left_can_be_ended)
{
    records_make(10);
    fake.recording = 1024;
    snprintf(line, sizeof(line), "disk record disk0 -w %s", path);
    ck_assert_int_eq(run(line), 1);
    complained_of("collet disk record disk0 --stop");
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(run("disk record disk0 --stop"), 0);
    ck_assert_uint_eq(fake.recording, 0);
    ck_assert_int_eq(fake.disk_records_read, 10);
    ck_assert_int_eq(run("disk record disk0 --stop"), 0); /* nothing to do */
    ck_assert_int_eq(run("disk record disk0"), 2);
    complained_of("-w FILE");
    ck_assert_int_eq(run("disk record disk0 -w - --json"), 2);
    ck_assert_int_eq(run("disk record disk0 -w x --room 1000"), 2);
    complained_of("power of two");
}
END_TEST

Suite *suite_disk(void);
Suite *suite_disk(void)
{
    Suite *s = suite_create("disk");
    TCase *t = tcase_create("commands");

    suite_add_tcase(s, t);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, disks_are_listed);
    tcase_add_test(t, a_disk_tells_all_about_itself);
    tcase_add_test(t, typing_errors_find_the_nearest);
    tcase_add_test(t, modules_are_listed_and_changed);
    tcase_add_test(t, values_of_disks_and_vbds);
    tcase_add_test(t, bad_values_set_nothing);
    tcase_add_test(t, stats_tell_percentiles_by_vbd_and_phase);
    tcase_add_test(t, stats_of_intervals_are_differences);
    tcase_add_test(t, vbds_are_listed_and_shown);
    tcase_add_test(t, device_numbers_have_names);
    tcase_add_test(t, a_recording_of_some_time);
    tcase_add_test(t, a_recording_of_so_many_requests);
    tcase_add_test(t, interrupt_ends_a_recording_cleanly);
    tcase_add_test(t, a_full_disk_leaves_a_file_that_can_be_read);
    tcase_add_test(t, a_recording_that_was_left_can_be_ended);
    return s;
}
