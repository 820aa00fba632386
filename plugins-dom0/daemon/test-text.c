// SPDX-License-Identifier: MIT
/*
 * Sizes, times, CPU lists, near misses, mistakes.
 */
// needs: text.c
#include "text.h"

#include <check.h>
#include <errno.h>
#include <string.h>

START_TEST(sizes_in_frames)
{
    static const struct {
        const char *text;
        int rc;
        uint64_t frames;
    } cases[] = {{"128M", 0, 32768}, {"128", 0, 32768},        {"1G", 0, 262144},   {"262144K", 0, 65536}, {"1.5G", 0, 393216},          {"128 MiB", 0, 32768},
                 {"5000B", 0, 2},    {"12Q", -EINVAL, 0},      {"", -EINVAL, 0},    {"-1M", -EINVAL, 0},  {"99999999999999999999", -ERANGE, 0}, {"99999999T", -ERANGE, 0},
                 {"1T", 0, 1ull << 28}, {"M", -EINVAL, 0}, {"128MM", -EINVAL, 0}};
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t frames = 0;

        ck_assert_msg(text_size_frames(cases[i].text, &frames) == cases[i].rc, "%s", cases[i].text);
        if (cases[i].rc == 0)
            ck_assert_msg(frames == cases[i].frames, "%s: %lu", cases[i].text, (unsigned long)frames);
    }
}
END_TEST

START_TEST(times)
{
    uint64_t ns;

    ck_assert_int_eq(text_duration_ns("5ms", &ns), 0);
    ck_assert_uint_eq(ns, 5000000);
    ck_assert_int_eq(text_duration_ns("1.5 ms", &ns), 0);
    ck_assert_uint_eq(ns, 1500000);
    ck_assert_int_eq(text_duration_ns("17", &ns), 0);
    ck_assert_uint_eq(ns, 17);
    ck_assert_int_eq(text_duration_ns("1min", &ns), 0);
    ck_assert_uint_eq(ns, 60000000000u);
    ck_assert_int_eq(text_duration_ns("5 parsecs", &ns), -EINVAL);
    ck_assert_int_eq(text_duration_ns("99999999999h", &ns), -ERANGE);
}
END_TEST

START_TEST(lists_of_cpus)
{
    static const struct {
        const char *text;
        int rc;
        uint64_t mask;
    } cases[] = {{"0", 0, 1},         {"0-1,3", 0, 11},     {"all", 0, ~0ull},    {"^2", 0, ~4ull},    {"0-7,^3", 0, 0xf7},  {" 1 , 2 ", 0, 6},    {"63", 0, 1ull << 63},
                 {"0-63", 0, ~0ull},  {"64", -EINVAL, 0},   {"", -EINVAL, 0},     {"3-1", -EINVAL, 0}, {"0,", -EINVAL, 0},   {"0;1", -EINVAL, 0},  {"1,^1", -EINVAL, 0},
                 {"all,^0", 0, ~1ull}, {"a", -EINVAL, 0},   {"1-", -EINVAL, 0}};
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t mask = 0;

        ck_assert_msg(text_cpus(cases[i].text, &mask) == cases[i].rc, "%s", cases[i].text);
        if (cases[i].rc == 0)
            ck_assert_msg(mask == cases[i].mask, "%s: %lx", cases[i].text, (unsigned long)mask);
    }
}
END_TEST

START_TEST(words_that_are_near)
{
    static const char *const words[] = {"memory", "maxmem", "vcpus", "cpus", "kernel", NULL};

    ck_assert_str_eq(text_nearest("memroy", words), "memory");
    ck_assert_str_eq(text_nearest("Memory", words), "memory");
    ck_assert_str_eq(text_nearest("vcpu", words), "vcpus");
    ck_assert_str_eq(text_nearest("kernal", words), "kernel");
    ck_assert_ptr_null(text_nearest("xyzzy", words));
}
END_TEST

START_TEST(mistakes_are_collected_and_limited)
{
    struct text_mistakes m = {0};
    char longest[2000];
    unsigned int i;

    text_mistake(&m, "a.ini", 3, "first %d", 1);
    text_mistake(&m, "a.ini", 0, "second");
    ck_assert_str_eq(m.text, "a.ini:3: first 1\na.ini: second");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    for (i = 0; i < 100; i++)
        text_mistake(&m, longest, i, "%s", longest);
    ck_assert_uint_eq(m.count, 102);
    ck_assert_uint_lt(m.length, sizeof(m.text));
    ck_assert_uint_eq(strlen(m.text), m.length);
}
END_TEST

Suite *suite_text(void);
Suite *suite_text(void)
{
    Suite *suite = suite_create("text");
    TCase *tcase = tcase_create("text");

    tcase_add_test(tcase, sizes_in_frames);
    tcase_add_test(tcase, times);
    tcase_add_test(tcase, lists_of_cpus);
    tcase_add_test(tcase, words_that_are_near);
    tcase_add_test(tcase, mistakes_are_collected_and_limited);
    suite_add_tcase(suite, tcase);
    return suite;
}
