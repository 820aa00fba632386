// SPDX-License-Identifier: MIT
/*
 * The command line: each option, words that are wrong (reported once, and the rest of the line still taken), and random lines.
 */
// needs:

/* What it would log is counted here instead. */
#define log_line options_log_line
#define log_threshold options_log_threshold
#include "options.c"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

enum log_level options_log_threshold;
static unsigned int warnings;
static char last_warning[512];
static struct boot_options defaults;
static bool defaults_known;

void options_log_line(enum log_level level, const char *fmt, ...)
{
    va_list args;

    ck_assert_int_eq(level, LOG_WARNING);
    warnings++;
    va_start(args, fmt);
    vsnprintf(last_warning, sizeof(last_warning), fmt, args);
    va_end(args);
}

/* Not every libc has it. */
size_t strlcpy(char *to, const char *from, size_t size)
{
    snprintf(to, size, "%s", from);
    return strlen(from);
}

static void parse(const char *line)
{
    if (!defaults_known)
        defaults = boot_options;
    defaults_known = true;
    boot_options = defaults;
    options_log_threshold = LOG_INFO;
    warnings = 0;
    options_parse(line);
}

START_TEST(empty_line_leaves_defaults)
{
    parse(" \t ");
    ck_assert_uint_eq(warnings, 0);
    ck_assert(boot_options.console_com1);
    ck_assert(boot_options.smap);
    ck_assert(!boot_options.noreboot);
    ck_assert_uint_eq(boot_options.watchdog_ms, 5000);
    ck_assert_uint_eq(boot_options.dom0_mem_bytes, 0);
    ck_assert_uint_eq(boot_options.dom0_max_vcpus, 0);
    ck_assert_str_eq(boot_options.sched, "");
}
END_TEST

START_TEST(all_options_in_one_line)
{
    parse("console=none dom0_mem=512M\tdom0_max_vcpus=4  sched=rr sched_params=slice:5,a:b loglvl=debug noreboot=exit nosmap watchdog=0 maxcpus=2 audit ");
    ck_assert_uint_eq(warnings, 0);
    ck_assert(!boot_options.console_com1);
    ck_assert_uint_eq(boot_options.dom0_mem_bytes, 512ull << 20);
    ck_assert_uint_eq(boot_options.dom0_max_vcpus, 4);
    ck_assert_str_eq(boot_options.sched, "rr");
    ck_assert_str_eq(boot_options.sched_params, "slice:5,a:b");
    ck_assert_int_eq(options_log_threshold, LOG_DEBUG);
    ck_assert(boot_options.noreboot && boot_options.noreboot_exit);
    ck_assert(!boot_options.smap);
    ck_assert_uint_eq(boot_options.watchdog_ms, 0);
    ck_assert_uint_eq(boot_options.maxcpus, 2);
    ck_assert(boot_options.audit);
}
END_TEST

START_TEST(sizes_have_suffixes)
{
    static const struct {
        const char *line;
        uint64_t bytes;
    } good[] = {{"dom0_mem=65536", 65536ull << 10}, {"dom0_mem=65536K", 65536ull << 10}, {"dom0_mem=64m", 64ull << 20},
                {"dom0_mem=3G", 3ull << 30}};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        parse(good[i].line);
        ck_assert_uint_eq(warnings, 0);
        ck_assert_uint_eq(boot_options.dom0_mem_bytes, good[i].bytes);
    }
}
END_TEST

START_TEST(later_word_wins)
{
    parse("sched=rr sched=bvt noreboot=exit noreboot");
    ck_assert_str_eq(boot_options.sched, "bvt");
    ck_assert(boot_options.noreboot && !boot_options.noreboot_exit);
}
END_TEST

START_TEST(malformed_values_are_reported_and_left_out)
{
    static const char *const bad[] = {"dom0_mem=", "dom0_mem", "dom0_mem=12Q", "dom0_mem=1GG", "dom0_mem=-1", "dom0_mem=M",
                                      "dom0_mem=99999999999999999999G", "dom0_mem=1099511627776G", "dom0_max_vcpus=0",
                                      "dom0_max_vcpus=65", "dom0_max_vcpus=4x", "dom0_max_vcpus=18446744073709551617",
                                      "sched=", "sched", "loglvl=loud", "loglvl", "noreboot=yes", "watchdog=1s", "watchdog=",
                                      "maxcpus=0", "maxcpus=65", "console=vga", "console"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char line[128];

        snprintf(line, sizeof(line), "%s audit", bad[i]);
        parse(line);
        ck_assert_msg(warnings == 1, "%s: %u warnings", bad[i], warnings);
        ck_assert_msg(strstr(last_warning, bad[i]) != NULL, "%s: said '%s'", bad[i], last_warning);
        ck_assert(boot_options.audit); /* what follows is still taken */
        ck_assert_uint_eq(boot_options.dom0_mem_bytes, 0);
        ck_assert_uint_eq(boot_options.dom0_max_vcpus, 0);
        ck_assert_uint_eq(boot_options.maxcpus, defaults.maxcpus);
        ck_assert_uint_eq(boot_options.watchdog_ms, 5000);
        ck_assert(!boot_options.noreboot);
        ck_assert(boot_options.console_com1);
        ck_assert_int_eq(options_log_threshold, LOG_INFO);
    }
}
END_TEST

START_TEST(unknown_words_are_reported_with_the_known)
{
    parse("schedule=rr sche=rr dom0_memory=1G maxcpus=3");
    ck_assert_uint_eq(warnings, 4); /* one each, then the list */
    ck_assert(strstr(last_warning, "dom0_mem") != NULL && strstr(last_warning, "watchdog") != NULL);
    ck_assert_str_eq(boot_options.sched, "");
    ck_assert_uint_eq(boot_options.maxcpus, 3);
}
END_TEST

START_TEST(overlong_word_is_reported)
{
    char line[1024];

    memset(line, 'x', 900);
    strcpy(line + 900, " audit");
    parse(line);
    ck_assert_uint_eq(warnings, 1);
    ck_assert(boot_options.audit);
}
END_TEST

START_TEST(random_lines_do_no_harm)
{
    static const char *const pieces[] = {"dom0_mem", "=", "sched", " ", "9", "G", "noreboot", "exit", "\t", "\x80", "%s", "watchdog", ",", "console", "com1"};
    unsigned int seed = 4711;

    printf("seed %u\n", seed);
    srandom(seed);
    for (int i = 0; i < 5000; i++) {
        char line[1024] = "";
        int count = (int)(random() % 60);

        for (int n = 0; n < count; n++)
            strcat(line, pieces[(size_t)random() % ARRAY_SIZE(pieces)]);
        parse(line);
        ck_assert_uint_le(boot_options.dom0_max_vcpus, 64);
        ck_assert_uint_le(boot_options.watchdog_ms, 3600000);
        ck_assert(memchr(boot_options.sched, 0, sizeof(boot_options.sched)) != NULL);
        ck_assert(memchr(boot_options.sched_params, 0, sizeof(boot_options.sched_params)) != NULL);
    }
}
END_TEST

Suite *suite_options(void);
Suite *suite_options(void)
{
    Suite *s = suite_create("options");
    TCase *c = tcase_create("options");

    tcase_add_test(c, empty_line_leaves_defaults);
    tcase_add_test(c, all_options_in_one_line);
    tcase_add_test(c, sizes_have_suffixes);
    tcase_add_test(c, later_word_wins);
    tcase_add_test(c, malformed_values_are_reported_and_left_out);
    tcase_add_test(c, unknown_words_are_reported_with_the_known);
    tcase_add_test(c, overlong_word_is_reported);
    tcase_add_test(c, random_lines_do_no_harm);
    suite_add_tcase(s, c);
    return s;
}
