/* SPDX-License-Identifier: MIT */
/* Tests of what turns words into numbers and back: format.c, table.c, nearest.c, definition.c. */
#include "cli.h"
#include "definition.h"
#include "format.h"
#include "table.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

START_TEST(sizes_have_units_and_are_whole)
{
    uint64_t frames = 0;

    ck_assert_int_eq(parse_frames("128M", &frames), 0);
    ck_assert_uint_eq(frames, 32768);
    ck_assert_int_eq(parse_frames("1.5g", &frames), 0);
    ck_assert_uint_eq(frames, 393216);
    ck_assert_int_eq(parse_frames("64", &frames), 0);
    ck_assert_uint_eq(frames, 16384);
    ck_assert_int_eq(parse_frames("8KiB", &frames), 0);
    ck_assert_uint_eq(frames, 2);
    ck_assert_int_eq(parse_frames("12Q", &frames), -EINVAL);
    ck_assert_int_eq(parse_frames("", &frames), -EINVAL);
    ck_assert_int_eq(parse_frames("-1M", &frames), -EINVAL);
    ck_assert_int_eq(parse_frames("1..5M", &frames), -EINVAL);
    ck_assert_int_eq(parse_frames(".", &frames), -EINVAL);
    ck_assert_int_eq(parse_frames("1k", &frames), -ERANGE);
    ck_assert_int_eq(parse_frames("99999999999999999999M", &frames), -ERANGE);
    ck_assert_int_eq(parse_frames("18446744073709551615G", &frames), -ERANGE);
}
END_TEST

START_TEST(times_have_units)
{
    uint64_t ns = 0;
    char text[FORMAT_BYTES];

    ck_assert_int_eq(parse_duration_ns("10ms", &ns), 0);
    ck_assert_uint_eq(ns, 10000000);
    ck_assert_int_eq(parse_duration_ns("1.25us", &ns), 0);
    ck_assert_uint_eq(ns, 1250);
    ck_assert_int_eq(parse_duration_ns("7", &ns), 0);
    ck_assert_uint_eq(ns, 7);
    ck_assert_int_eq(parse_duration_ns("2 s", &ns), -EINVAL);
    ck_assert_int_eq(parse_duration_ns("ms", &ns), -EINVAL);
    ck_assert_str_eq(format_exact_ns(text, 1500000), "1500us");
    ck_assert_str_eq(format_exact_ns(text, 0), "0");
    ck_assert_str_eq(format_duration(text, 64000), "64us");
    ck_assert_str_eq(format_uptime(text, 90061000000000ull), "1d 01:01:01");
}
END_TEST

START_TEST(exact_times_are_understood_again)
{
    char text[FORMAT_BYTES];
    uint64_t ns, again = 0;

    for (ns = 1; ns < 1ull << 60; ns = ns * 3 + 1) {
        ck_assert_int_eq(parse_duration_ns(format_exact_ns(text, ns), &again), 0);
        ck_assert_uint_eq(again, ns);
    }
}
END_TEST

START_TEST(lists_of_cpus)
{
    uint64_t mask = 0;
    char text[256];

    ck_assert_int_eq(parse_cpus("0-2,5", 8, &mask), 0);
    ck_assert_uint_eq(mask, 0x27);
    ck_assert_str_eq(format_cpus(text, mask, 8), "0-2,5");
    ck_assert_int_eq(parse_cpus("all", 8, &mask), 0);
    ck_assert_str_eq(format_cpus(text, mask, 8), "all");
    ck_assert_str_eq(format_cpus(text, 0, 8), "none");
    ck_assert_int_eq(parse_cpus("8", 8, &mask), -ERANGE);
    ck_assert_int_eq(parse_cpus("3-1", 8, &mask), -EINVAL);
    ck_assert_int_eq(parse_cpus("1,", 8, &mask), -EINVAL);
    ck_assert_int_eq(parse_cpus("", 8, &mask), -EINVAL);
    ck_assert_int_eq(parse_cpus("x", 8, &mask), -EINVAL);
    ck_assert_int_eq(parse_cpus("0-63", 64, &mask), 0);
    ck_assert_str_eq(format_cpus(text, 0x5555555555555555ull, 64),
                     "0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32,34,36,38,40,42,44,46,48,50,52,54,56,58,60,62");
}
END_TEST

START_TEST(percentiles_are_upper_bounds)
{
    uint64_t buckets[COLLET_LATENCY_BUCKETS] = { 0 };

    ck_assert_uint_eq(latency_percentile(buckets, 990, 5), 0);
    buckets[0] = 1;
    ck_assert_uint_eq(latency_percentile(buckets, 500, 5), 1000);
    buckets[0] = 0;
    buckets[3] = 90;
    buckets[6] = 9;
    buckets[COLLET_LATENCY_BUCKETS - 1] = 1;
    ck_assert_uint_eq(latency_percentile(buckets, 500, 7), 8000);
    ck_assert_uint_eq(latency_percentile(buckets, 900, 7), 8000);
    ck_assert_uint_eq(latency_percentile(buckets, 990, 7), 64000);
    ck_assert_uint_eq(latency_percentile(buckets, 1000, 777), 777);
}
END_TEST

START_TEST(tables_are_as_wide_as_they_must)
{
    struct table *t = table_new("Name<|ID>|Last<");
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    table_cell(t, "%s", "a-very-long-name-of-a-domain");
    table_cell(t, "%d", 3);
    table_cell(t, "%s", "x");
    table_cell(t, "%s", "b\033[2J");
    table_end(t, out, NULL);
    fclose(out);
    ck_assert_str_eq(text, "Name                          ID  Last\na-very-long-name-of-a-domain   3  x\nb?[2J                             \n");
    free(text);
}
END_TEST

START_TEST(an_empty_table_may_say_so)
{
    struct table *t = table_new("Name<");
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);

    table_end(t, out, "nothing");
    fclose(out);
    ck_assert_str_eq(text, "nothing\n");
    free(text);
}
END_TEST

START_TEST(near_names_are_found_and_far_ones_not)
{
    static const char *const names[] = { "list", "destroy", "shutdown", "sched use" };

    ck_assert_str_eq(cli_nearest("lsit", names, 4), "list");
    ck_assert_str_eq(cli_nearest("destory", names, 4), "destroy");
    ck_assert_str_eq(cli_nearest("shut", names, 4), "shutdown");
    ck_assert_str_eq(cli_nearest("sched ues", names, 4), "sched use");
    ck_assert_ptr_null(cli_nearest("zebra", names, 4));
    ck_assert_ptr_null(cli_nearest("", names, 4));
    ck_assert_ptr_null(cli_nearest("x", names, 4));
}
END_TEST

static const char *overridden(const char *text, const char *setting)
{
    static char kept[512];
    char *copy = strdup(text);
    int rc = definition_override(&copy, setting);

    snprintf(kept, sizeof(kept), "%s", rc == 0 ? copy : "refused");
    free(copy);
    return kept;
}

START_TEST(settings_are_replaced_in_their_line)
{
    static const char text[] = "# web\n[domain]\nname = web\nmemory=128M ; much\n[sched]\nweight = 1\nmemory = 3\n";

    ck_assert_str_eq(overridden(text, "memory=1G"), "# web\n[domain]\nname = web\nmemory = 1G\n[sched]\nweight = 1\nmemory = 3\n");
    ck_assert_str_eq(overridden(text, "sched.memory=9"), "# web\n[domain]\nname = web\nmemory=128M ; much\n[sched]\nweight = 1\nmemory = 9\n");
    ck_assert_str_eq(overridden("[domain]\nname = a", "vcpus=2"), "[domain]\nname = a\n[domain]\nvcpus = 2\n");
    ck_assert_str_eq(overridden("", "x.y=z=q"), "[x]\ny = z=q\n");
    ck_assert_str_eq(overridden("memory = 1M\n[sched]\n", "memory=2M"), "memory = 2M\n[sched]\n");
    ck_assert_str_eq(overridden("[domain]\ncmdline = a\n  b\n\tc\nname = x\n", "cmdline=z"), "[domain]\ncmdline = z\n#\n#\nname = x\n");
    ck_assert_str_eq(overridden("[domain]\ncmdline = a\n name = b\n", "name=z"), "[domain]\ncmdline = a\n name = b\n[domain]\nname = z\n");
    ck_assert_str_eq(overridden("[domain]\nname = a", "name=b"), "[domain]\nname = b\n");
    ck_assert_str_eq(overridden(text, "memory"), "refused");
    ck_assert_str_eq(overridden(text, "=1"), "refused");
    ck_assert_str_eq(overridden(text, ".a=1"), "refused");
    ck_assert_str_eq(overridden(text, "a.=1"), "refused");
    ck_assert_str_eq(overridden(text, "a]b=1"), "refused");
    ck_assert_str_eq(overridden(text, "x]y.b=1"), "refused");
    ck_assert_str_eq(overridden("[plugin  shares]\n", "plugin shares.share=5%"), "[plugin  shares]\n[plugin shares]\nshare = 5%\n");
    ck_assert_str_eq(overridden(text, "a=1\n[x]"), "refused");
}
END_TEST

START_TEST(any_text_and_setting_are_survived)
{
    static const char letters[] = "[]=.: \t\n;#ab";
    unsigned int seed = 31;

    for (int round = 0; round < 20000; round++) {
        char setting[12] = "", *text = calloc(1, 40);
        uint64_t number;

        for (int i = 0; i < 30; i++)
            text[i] = letters[(unsigned int)rand_r(&seed) % (sizeof(letters) - 1)];
        for (int i = 0; i < 10; i++)
            setting[i] = letters[(unsigned int)rand_r(&seed) % (sizeof(letters) - 1)];
        definition_override(&text, setting);
        for (int i = 0; i < 6; i++)
            setting[i] = "0123456789.-,kMGns"[(unsigned int)rand_r(&seed) % 18];
        setting[6] = 0;
        parse_frames(setting, &number);
        parse_duration_ns(setting, &number);
        parse_cpus(setting, 64, &number);
        parse_u64(setting, &number);
        free(text);
    }
}
END_TEST

Suite *suite_format(void);
Suite *suite_format(void)
{
    Suite *s = suite_create("format");
    TCase *t = tcase_create("format");

    suite_add_tcase(s, t);
    tcase_add_test(t, sizes_have_units_and_are_whole);
    tcase_add_test(t, times_have_units);
    tcase_add_test(t, exact_times_are_understood_again);
    tcase_add_test(t, lists_of_cpus);
    tcase_add_test(t, percentiles_are_upper_bounds);
    tcase_add_test(t, tables_are_as_wide_as_they_must);
    tcase_add_test(t, an_empty_table_may_say_so);
    tcase_add_test(t, near_names_are_found_and_far_ones_not);
    tcase_add_test(t, settings_are_replaced_in_their_line);
    tcase_add_test(t, any_text_and_setting_are_survived);
    return s;
}
