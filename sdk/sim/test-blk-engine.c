// SPDX-License-Identifier: MIT
/* The engine of blk-sim: what is sent comes back once, runs repeat, closed loops keep their window, what it records repeats decision by decision, and the modules differ as they should. */
// needs:
#include "blk-engine.h"
#include "blk-input.h"

#include <check.h>
#include <collet/disk-record.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MS (1000ull * 1000)

static struct blk_load load;

static struct blk_run run_of(const char *module, uint32_t depth, uint64_t time_ns)
{
    return (struct blk_run){.ops = blk_module(module), .drive = &disk_hp97560, .time_ns = time_ns, .seed = 7,
                            .disk = {.id = 1, .depth = depth, .sectors = 2097152, .sectors_max = 1024, .segments_max = 128, .rotates = true}};
}

static void parse(const char *text)
{
    static const struct blk_input_options options = {.window = 1};
    char *copy = strdup(text), error[256] = "";

    ck_assert_msg(blk_input_parse(&load, "test", copy, strlen(copy), &options, error, sizeof(error)), "%s", error);
    free(copy);
}

static const char mixed[] = "size 1G\n"
                            "load hammer random read=0 window=16 range=0%-40%\n"
                            "load person random think=10ms range=40%-70%\n"
                            "load copier sequential size=64k window=2 range=70%-100%\n";

START_TEST(everything_sent_comes_back)
{
    struct blk_run run = run_of(blk_sched_modules[_i]->name, 4, 0);
    uint32_t count;
    struct blk_result *results;

    parse("load a random read=50 window=8 requests=500\nload b sequential size=16k window=4 requests=700\nload c random rate=20 requests=300\n");
    ck_assert_ptr_null(blk_engine_run(&run, &load));
    ck_assert_msg(run.fault == NULL, "%s", run.fault);
    ck_assert_uint_eq(run.requests, 1500);
    ck_assert_uint_eq(run.device_requests + run.merged, 1500);
    results = blk_results(&load, &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(results[0].requests, 500);
    ck_assert_uint_eq(results[1].sectors, 700 * 32);
    ck_assert_uint_eq(results[3].requests, 1500);
    ck_assert_uint_le(blk_percentile(&results[0], 50), blk_percentile(&results[0], 99));
    ck_assert_uint_le(blk_percentile(&results[3], 99.9), blk_percentile(&results[3], 100));
    blk_results_free(results, count);
    blk_load_free(&load);
}
END_TEST

START_TEST(runs_repeat)
{
    uint64_t hashes[3];

    parse(mixed);
    for (int i = 0; i < 3; i++) {
        struct blk_run run = run_of(blk_sched_modules[_i]->name, 1, 20000 * MS);

        run.seed = i == 2 ? 8 : 7;
        ck_assert_ptr_null(blk_engine_run(&run, &load));
        hashes[i] = run.hash ^ run.now_ns ^ run.model.distance << 20;
    }
    ck_assert_uint_eq(hashes[0], hashes[1]);
    ck_assert_uint_ne(hashes[0], hashes[2]);
    blk_load_free(&load);
}
END_TEST

/* What a recording says was decided is what its calls, repeated, decide; and one changed word is found. */
START_TEST(recordings_repeat_decision_by_decision)
{
    struct blk_run run = run_of(blk_sched_modules[_i]->name, 2, 20000 * MS);
    struct blk_setting setting = {.stream = "person", .name = "weight", .value = 300};
    struct collet_disk_record r;
    char *bytes, text[256];
    size_t count;

    parse(mixed);
    if (strcmp(run.ops->name, "fair") == 0) {
        run.settings = &setting;
        run.setting_count = 1;
    }
    run.record = open_memstream(&bytes, &count);
    ck_assert_ptr_null(blk_engine_run(&run, &load));
    ck_assert_ptr_nonnull(run.record);
    fclose(run.record);
    ck_assert_msg(blk_verify("test", bytes, count, text, sizeof(text)) == 0, "%s", text);
    for (size_t at = count - 100 * sizeof(r); at < count; at += sizeof(r)) {
        at -= (at - sizeof(struct collet_disk_record_header)) % sizeof(r);
        memcpy(&r, bytes + at, sizeof(r));
        if (r.kind != COLLET_DISK_DECIDE)
            continue;
        r.serial -= 3;
        memcpy(bytes + at, &r, sizeof(r));
        ck_assert_int_eq(blk_verify("test", bytes, count, text, sizeof(text)), 1);
        break;
    }
    free(bytes);
    blk_load_free(&load);
}
END_TEST

/* The load of a recording, under the module it was made with, is the same run again: think times and dependencies are kept. */
START_TEST(replaying_a_recording_repeats_the_run)
{
    static const struct blk_input_options options = {.window = 1};
    struct blk_run first = run_of("fifo", 1, 10000 * MS), second = run_of("fifo", 1, 10000 * MS);
    char *bytes, error[256] = "";
    size_t count;

    parse(mixed);
    first.record = open_memstream(&bytes, &count);
    ck_assert_ptr_null(blk_engine_run(&first, &load));
    fclose(first.record);
    blk_load_free(&load);
    ck_assert_msg(blk_input_parse(&load, "test", bytes, count, &options, error, sizeof(error)), "%s", error);
    ck_assert_uint_eq(load.count, 3);
    ck_assert_ptr_null(blk_engine_run(&second, &load));
    ck_assert_uint_eq(second.requests, first.requests);
    ck_assert_uint_eq(second.device_requests, first.device_requests);
    ck_assert_uint_eq(second.model.distance, first.model.distance);
    free(bytes);
    blk_load_free(&load);
}
END_TEST

START_TEST(modules_differ_as_they_should)
{
    uint64_t distance[2], person[2];
    double fairness[2];
    static const char *const names[] = {"fifo", "elevator", "fair"};

    parse(mixed);
    for (int i = 0; i < 3; i++) {
        struct blk_run run = run_of(names[i], 1, 60000 * MS);
        uint32_t count;
        struct blk_result *results;

        ck_assert_ptr_null(blk_engine_run(&run, &load));
        results = blk_results(&load, &count);
        if (i < 2)
            distance[i] = run.model.distance;
        if (i != 1) {
            fairness[i / 2] = blk_fairness(results, count);
            person[i / 2] = blk_percentile(&results[1], 99);
        }
        blk_results_free(results, count);
    }
    ck_assert_uint_lt(distance[1] * 3, distance[0]); /* the elevator moves the arm less */
    ck_assert_uint_lt(person[1] * 2, person[0]);     /* who asks for little waits less under fair */
    ck_assert(fairness[1] > fairness[0]);
    blk_load_free(&load);
}
END_TEST

/* One outstanding, no think time: the drive is never idle and never has two. */
START_TEST(a_closed_loop_keeps_its_window)
{
    struct blk_run run = run_of("fifo", 8, 10000 * MS);
    uint32_t count;
    struct blk_result *results;

    parse("load a random window=1\n");
    ck_assert_ptr_null(blk_engine_run(&run, &load));
    results = blk_results(&load, &count);
    ck_assert_uint_eq(results[0].wait_ns, 0);
    ck_assert_uint_ge(run.busy_ns, 9900 * MS);
    ck_assert(fabs(blk_fairness(results, count) - 1) < 1e-9);
    blk_results_free(results, count);
    blk_load_free(&load);
}
END_TEST

START_TEST(settings_are_checked)
{
    struct blk_setting settings[] = {{.name = "no_such", .value = 1}, {.stream = "nobody", .name = "weight", .value = 1}, {.name = "weight", .value = 1u << 30}, {.stream = "a", .name = "idle_ns"}};

    for (int i = 0; i < 4; i++) {
        struct blk_run run = run_of("fair", 1, 1000 * MS);

        parse("load a random\n");
        run.settings = &settings[i];
        run.setting_count = 1;
        ck_assert_ptr_nonnull(blk_engine_run(&run, &load));
        blk_load_free(&load);
    }
}
END_TEST

Suite *suite_blk_engine(void);
Suite *suite_blk_engine(void)
{
    Suite *s = suite_create("blk-engine");
    TCase *tc = tcase_create("blk-engine");
    int modules = 0;

    while (blk_sched_modules[modules] != NULL)
        modules++;
    tcase_add_loop_test(tc, everything_sent_comes_back, 0, modules);
    tcase_add_loop_test(tc, runs_repeat, 0, modules);
    tcase_add_loop_test(tc, recordings_repeat_decision_by_decision, 0, modules);
    tcase_add_test(tc, replaying_a_recording_repeats_the_run);
    tcase_add_test(tc, modules_differ_as_they_should);
    tcase_add_test(tc, a_closed_loop_keeps_its_window);
    tcase_add_test(tc, settings_are_checked);
    suite_add_tcase(s, tc);
    return s;
}
