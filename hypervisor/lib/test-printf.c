// SPDX-License-Identifier: MIT
/*
 * Formatting against libc's own, conversion by conversion and in a random run, and its bounds in blocks of exactly the size told (ASan looks).
 */
// needs:

/* Under names of their own: libc and check go on with theirs. */
#define vsnprintf collet_vsnprintf
#define snprintf collet_snprintf
#include "printf.c"
#undef vsnprintf
#undef snprintf

#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The same text and the same length as libc's. */
#define SAME(...)                                                                                                      \
    do {                                                                                                               \
        char ours[256], theirs[256];                                                                                   \
        int length = collet_snprintf(ours, sizeof(ours), __VA_ARGS__);                                                 \
                                                                                                                       \
        ck_assert_int_eq(length, snprintf(theirs, sizeof(theirs), __VA_ARGS__));                                       \
        ck_assert_str_eq(ours, theirs);                                                                                \
    } while (0)

START_TEST(plain_text_and_percent)
{
    SAME("plain");
    SAME("100%% of %s", "it");
    SAME("%c%c", 'a', 'z');
}
END_TEST

START_TEST(numbers_of_every_size)
{
    SAME("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
    SAME("%u %x %X", UINT_MAX, 0xdeadbeefu, 0xabcu);
    SAME("%ld %ld %lu", LONG_MAX, LONG_MIN, ULONG_MAX);
    SAME("%lld %llu %llx", LLONG_MIN, ULLONG_MAX, 0x123456789abcdefull);
    SAME("%hd %hu %hhd %hhu", (short)-2, (unsigned short)65535, (signed char)-3, (unsigned char)255);
    SAME("%zu %zx", (size_t)12345, (size_t)-1);
    SAME("%p", (void *)0xffff828000100000ul);
}
END_TEST

START_TEST(width_precision_and_flags)
{
    SAME("[%5d] [%-5d] [%05d] [%05d]", 42, 42, 42, -42);
    SAME("[%8x] [%08x] [%-8x] [%#x] [%#010x]", 0xbeef, 0xbeef, 0xbeef, 0xbeef, 0xbeef);
    SAME("[%.3d] [%6.3d] [%-6.3d]", 7, 7, -7);
    SAME("[%016lx]", 0x1234ul);
    SAME("[%*d] [%-*d] [%.*s]", 6, 1, 6, 1, 2, "abcdef");
    SAME("[%3d]", 123456);
}
END_TEST

START_TEST(strings_are_padded_and_cut)
{
    SAME("[%s] [%8s] [%-8s] [%.2s] [%8.2s]", "abc", "abc", "abc", "abc", "abc");
    SAME("[%s]", "");
}
END_TEST

START_TEST(null_string_is_named)
{
    char out[16];
    const char *volatile nothing = NULL;

    collet_snprintf(out, sizeof(out), "%s", nothing);
    ck_assert_str_eq(out, "(null)");
}
END_TEST

START_TEST(unknown_conversion_is_shown)
{
    char out[32];
    const char *volatile unknown = "a %y b", *volatile cut_off = "end %";

    collet_snprintf(out, sizeof(out), unknown);
    ck_assert_str_eq(out, "a %y b");
    collet_snprintf(out, sizeof(out), cut_off);
    ck_assert_str_eq(out, "end %");
}
END_TEST

START_TEST(never_writes_beyond_the_size)
{
    for (size_t size = 0; size < 24; size++) {
        char *block = malloc(size > 0 ? size : 1);

        block[0] = '#';
        ck_assert_int_eq(collet_snprintf(block, size, "%s-%08x-%d", "frame", 0xabcd, -17), 18);
        if (size == 0)
            ck_assert_int_eq(block[0], '#');
        else
            ck_assert_uint_eq(strlen(block), size - 1 < 18 ? size - 1 : 18);
        free(block);
    }
}
END_TEST

START_TEST(agrees_with_libc_in_a_random_run)
{
    static const char *const forms[] = {"%lx", "%lu", "%ld", "%20lx", "%-20lu", "%020ld", "%.12lx", "%22.12ld", "%#lx"};
    unsigned int seed = 20260;

    printf("seed %u\n", seed);
    srandom(seed);
    for (int i = 0; i < 20000; i++) {
        const char *volatile form = forms[(size_t)random() % (sizeof(forms) / sizeof(forms[0]))];
        unsigned long value = ((unsigned long)random() << 33 ^ (unsigned long)random()) >> (random() % 63);
        char ours[64], theirs[64];

        value += value == 0; /* "%#lx" of 0 has no 0x in libc */
        collet_snprintf(ours, sizeof(ours), form, value);
        snprintf(theirs, sizeof(theirs), form, value);
        ck_assert_str_eq(ours, theirs);
    }
}
END_TEST

Suite *suite_printf(void);
Suite *suite_printf(void)
{
    Suite *s = suite_create("printf");
    TCase *c = tcase_create("printf");

    tcase_add_test(c, plain_text_and_percent);
    tcase_add_test(c, numbers_of_every_size);
    tcase_add_test(c, width_precision_and_flags);
    tcase_add_test(c, strings_are_padded_and_cut);
    tcase_add_test(c, null_string_is_named);
    tcase_add_test(c, unknown_conversion_is_shown);
    tcase_add_test(c, never_writes_beyond_the_size);
    tcase_add_test(c, agrees_with_libc_in_a_random_run);
    suite_add_tcase(s, c);
    return s;
}
