// SPDX-License-Identifier: MIT
/*
 * Parts of the network rules: one set of all, in order; mistakes leave what is in force; files that change; rules that somebody loaded by hand; a daemon that starts anew.
 */
// needs: rule-parts.c rule-compile.c log.c loop.c
// libs: build/dom0/lib/librules.a -lpcap
#include "rule-parts.h"
#include "../rules/rules.h"
#include "log.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    uint64_t generation, set_bytes;
    unsigned int loads, fail, fail_times; /* fail_times 0: until it is changed */
    unsigned int calls;
    struct rules_list rules; /* in force */
    bool have;
} fake;

static char folder[64], parts_folder[80], file[80], list[80];
static struct loop *loop;
static struct rule_parts *parts;
static char error[1000];
static unsigned int compile_s;

static const char *fake_error(void *arg)
{
    (void)arg;
    return "so it was arranged";
}

static int fake_info(void *arg, struct collet_rules_info *info)
{
    (void)arg;
    *info = (struct collet_rules_info){.generation = fake.generation, .bytes = fake.set_bytes};
    return 0;
}

static int fake_load(void *arg, const void *set, size_t bytes, struct collet_rules_load *load)
{
    int fail = (int)fake.fail;

    (void)arg;
    fake.calls++;
    if (fake.fail_times != 0 && --fake.fail_times == 0)
        fake.fail = 0;
    if (fail != 0) {
        load->error_line = 7;
        strcpy(load->error_text, "of no use");
        return -fail;
    }
    ck_assert_uint_eq(load->expect, fake.generation);
    if (fake.have)
        rules_list_free(&fake.rules);
    fake.have = bytes != 0;
    if (bytes != 0)
        ck_assert_int_eq(rules_read(set, bytes, &fake.rules), 0);
    fake.loads++;
    fake.set_bytes = bytes;
    load->generation = ++fake.generation;
    return 0;
}

static void write_file(const char *path, const char *text)
{
    static unsigned int times;
    struct timespec when[2] = {{.tv_sec = 1000 + ++times}, {.tv_sec = 1000 + times}};
    FILE *out = fopen(path, "w");

    fputs(text, out);
    fclose(out);
    utimensat(AT_FDCWD, path, when, 0); /* another time than before, however fast this goes */
}

static void start(void)
{
    struct rule_parts_settings settings = {.loop = loop, .compile_s = compile_s, .backend = {.error = fake_error, .info = fake_info, .load = fake_load}, .folder = parts_folder, .file = file, .look_ns = 2000000};

    parts = rule_parts_create(&settings);
    rule_parts_begin(parts);
}

static void setup(void)
{
    memset(&fake, 0, sizeof(fake));
    compile_s = 0;
    strcpy(folder, "/tmp/test-rule-parts-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(parts_folder, sizeof(parts_folder), "%s/rules.d", folder);
    snprintf(file, sizeof(file), "%s/rules", folder);
    snprintf(list, sizeof(list), "%s/list", folder);
    loop = loop_create();
    start();
}

static void teardown(void)
{
    char command[100];

    rule_parts_destroy(parts);
    loop_destroy(loop);
    if (fake.have)
        rules_list_free(&fake.rules);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void settle(void)
{
    for (unsigned int i = 0; i < 10; i++)
        loop_step(loop, 2);
}

static int set(const char *name, uint32_t order, const char *text)
{
    error[0] = '\0';
    return rule_parts_set(parts, name, order, text, error, sizeof(error));
}

/* The texts of the rules in force, one behind the other. */
static const char *rules(void)
{
    static char text[2000];

    text[0] = '\0';
    for (size_t i = 0; fake.have && i < fake.rules.count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i != 0 ? "; " : "", fake.rules.rules[i].text);
    return text;
}

START_TEST(parts_are_one_set_in_their_order)
{
    ck_assert_uint_eq(fake.loads, 0);
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 22\n"), 0);
    ck_assert_int_eq(set("blocklist", 10, "drop in from 10.9.0.0/16\n"), 0);
    ck_assert_str_eq(rules(), "drop in from 10.9.0.0/16; drop in on web port 22");
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 22\n"), 0);
    ck_assert_uint_eq(fake.loads, 2); /* nothing new */
    ck_assert_int_eq(set("firewall", 5, "drop in on web port 23\n"), 0);
    ck_assert_str_eq(rules(), "drop in on web port 23; drop in from 10.9.0.0/16");
    ck_assert_int_eq(set("blocklist", 10, NULL), 0);
    ck_assert_str_eq(rules(), "drop in on web port 23");
    ck_assert_int_eq(set("firewall", 5, NULL), 0);
    ck_assert(!fake.have);
    ck_assert_int_eq(set("firewall", 5, NULL), 0);
}
END_TEST

START_TEST(mistakes_leave_what_is_in_force)
{
    unsigned int loads;

    ck_assert_int_eq(set("firewall", 50, "drop in on web port 22\n"), 0);
    loads = fake.loads;
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 22\ndorp in\n"), -EINVAL);
    ck_assert_msg(strstr(error, "plugin firewall:2:1: ") != NULL, "%s", error);
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 22\ndorp in\n"), -EINVAL);
    ck_assert_msg(strstr(error, "plugin firewall:2:1: ") != NULL, "%s", error);
    ck_assert_int_eq(set("limits", 20, "nonsense\n"), -EINVAL);
    ck_assert_uint_eq(fake.loads, loads);
    fake.fail = EINVAL;
    ck_assert_int_eq(set("limits", 20, "drop in on db\n"), -EINVAL);
    ck_assert_str_eq(error, "the hypervisor refuses the rules: line 7: of no use");
    fake.fail = 0;
    ck_assert_int_eq(set("blocklist", 10, "drop in from 10.9.0.0/16\n"), 0);
    ck_assert_str_eq(rules(), "drop in from 10.9.0.0/16; drop in on web port 22");
}
END_TEST

START_TEST(files_that_change)
{
    char text[300];

    write_file(list, "10.1.0.0/16\n");
    snprintf(text, sizeof(text), "set bad file \"%s\"\ndrop in from bad\n", list);
    ck_assert_int_eq(set("blocklist", 10, text), 0);
    ck_assert_uint_eq(fake.loads, 1);
    settle();
    ck_assert_uint_eq(fake.loads, 1);
    write_file(list, "10.1.0.0/16\n10.2.0.0/16\n");
    settle();
    ck_assert_uint_eq(fake.loads, 2);
    write_file(file, "accept in on web\n"); /* the administrator's comes */
    settle();
    ck_assert_uint_eq(fake.loads, 3);
    ck_assert_ptr_nonnull(strstr(rules(), "; accept in on web"));
    write_file(file, "acept in on web\n");
    settle();
    ck_assert_ptr_nonnull(strstr(rules(), "; accept in on web"));
    write_file(file, "drop in on web\n");
    settle();
    ck_assert_ptr_nonnull(strstr(rules(), "; drop in on web"));
    unlink(file);
    settle();
    ck_assert_ptr_null(strstr(rules(), "on web"));
}
END_TEST

START_TEST(a_file_that_is_not_there_comes_later)
{
    char text[300];

    snprintf(text, sizeof(text), "set bad file \"%s\"\ndrop in from bad\n", list);
    ck_assert_int_eq(set("blocklist", 10, text), -EIO);
    ck_assert_ptr_nonnull(strstr(error, list));
    ck_assert_str_eq(rules(), "drop in from bad");
    ck_assert_int_eq(set("blocklist", 10, text), -EIO); /* told at each of its turns */
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 22\n"), 0);
    write_file(list, "10.1.0.0/16\n");
    settle();
    ck_assert_int_eq(set("blocklist", 10, text), 0);
}
END_TEST

/* As plugin firewall writes it. */
static const char *closing(const char *domain)
{
    static char text[500];

    snprintf(text, sizeof(text), "# without \"%s\": drop on \"web\" label \"web.rules is wrong\"\n# without \"%s.other\": drop\ninclude \"%s\"\ndrop in on \"%s\"\n", list, list, list, domain);
    return text;
}

START_TEST(a_file_with_a_mistake_does_not_hold_up_the_rest)
{
    write_file(list, "accept in on web port 22\n");
    ck_assert_int_eq(set("firewall", 50, closing("db")), 0);
    write_file(list, "accept in on web port 22\n\nacept in on web port 23\nagain\n");
    settle();
    ck_assert_str_eq(rules(), "accept in on web port 22; drop in on \"db\"");
    /* A domain comes: it is closed all the same; and the plugin is told where the mistake is. */
    ck_assert_int_eq(set("firewall", 50, closing("mail")), -EIO);
    ck_assert_msg(strstr(error, "/list:3:1: ") != NULL && strstr(error, "its last text without a mistake holds") != NULL, "%s", error);
    ck_assert_str_eq(rules(), "accept in on web port 22; drop in on \"mail\"");
    ck_assert_int_eq(set("ratelimit", 20, "drop in on new limit rate 5/s over\n"), 0);
    ck_assert_str_eq(rules(), "drop in on new limit rate 5/s over; accept in on web port 22; drop in on \"mail\"");
    /* The daemon starts anew: it knows the good text. */
    rule_parts_destroy(parts);
    start();
    ck_assert_str_eq(rules(), "drop in on new limit rate 5/s over; accept in on web port 22; drop in on \"mail\"");
    unlink(list);
    settle();
    ck_assert_int_eq(set("firewall", 50, closing("mail")), -EIO);
    ck_assert_ptr_nonnull(strstr(error, "/list: No such file or directory; its last text"));
    write_file(list, "accept in on web port 24\n");
    settle();
    ck_assert_int_eq(set("firewall", 50, closing("mail")), 0);
    ck_assert_ptr_nonnull(strstr(rules(), "accept in on web port 24"));
}
END_TEST

START_TEST(a_file_that_never_was_right_closes_what_it_is_for)
{
    write_file(list, "acept in on web port 22\n");
    ck_assert_int_eq(set("firewall", 50, closing("db")), -EIO);
    ck_assert_msg(strstr(error, "/list:1:1: ") != NULL && strstr(error, "it is left out") != NULL, "%s", error);
    ck_assert_str_eq(rules(), "drop on \"web\" label \"web.rules is wrong\"; drop in on \"db\"");
    write_file(file, "dorp\n"); /* the administrator's own: nothing stands for it */
    settle();
    ck_assert_str_eq(rules(), "drop on \"web\" label \"web.rules is wrong\"; drop in on \"db\"");
    ck_assert_int_eq(set("ratelimit", 20, "drop in on new limit rate 5/s over\n"), 0);
    write_file(list, "accept in on web port 22\n");
    write_file(file, "drop\n");
    settle();
    ck_assert_str_eq(rules(), "drop in on new limit rate 5/s over; accept in on web port 22; drop in on \"db\"; drop");
}
END_TEST

START_TEST(what_one_file_has_not_defined_is_no_mistake_of_another)
{
    char text[400], other[100];

    snprintf(other, sizeof(other), "%s/other", folder);
    snprintf(text, sizeof(text), "include \"%s\"\ninclude \"%s\"\n", list, other);
    write_file(list, "set admins { 10.0.0.1 }\n");
    write_file(other, "accept in on web from admins\n");
    ck_assert_int_eq(set("firewall", 50, text), 0);
    write_file(list, "set admins { 10.0.0.300 }\n");
    write_file(other, "accept in on web from admins port 22\n");
    settle();
    ck_assert_str_eq(rules(), "accept in on web from admins port 22");
    ck_assert_int_eq(set("firewall", 50, text), -EIO);
    ck_assert_ptr_nonnull(strstr(error, "/list:1:"));
    ck_assert_ptr_null(strstr(error, "/other:"));
}
END_TEST

/* Right, and a minute's work. */
static void much(FILE *out)
{
    for (int rule = 0; rule < 200; rule++) {
        fprintf(out, "drop in match \"host 10.0.0.%d", rule);
        for (int i = 0; i < 300; i++)
            fprintf(out, " or host 10.%d.%d.1", i >> 8, i & 255);
        fputs("\"\n", out);
    }
}

START_TEST(no_file_can_end_or_stop_the_daemon)
{
    char text[700], fifo[100], *long_text = NULL;
    unsigned int loads;
    size_t bytes;
    FILE *out;

    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    snprintf(text, sizeof(text), "include \"%s\"\nset a file \"/dev/zero\"\ninclude \"%s\"\ndrop in from a\n", fifo, folder);
    ck_assert_int_eq(set("x", 50, text), -EIO);
    ck_assert_ptr_nonnull(strstr(error, "/fifo: no plain file"));
    ck_assert_ptr_nonnull(strstr(error, "/dev/zero: no plain file"));
    /* Names of themselves, a file within itself, a set of 8^12 elements, half a million rules. */
    ck_assert_int_eq(set("x", 50, "group \"web\" { \"web\" }\ndrop in on \"web\"\n"), 0);
    ck_assert_int_eq(set("x", 50, "group a { b }\ngroup b { a }\nset c { c }\ndrop on a from c\n"), -EINVAL);
    snprintf(text, sizeof(text), "include \"%s\"\ndrop\n", list);
    write_file(list, text);
    ck_assert_int_eq(set("x", 50, text), -EIO);
    ck_assert_str_eq(rules(), "drop");
    out = fopen(list, "w");
    fputs("set a0 { 10.0.0.1, 10.0.0.3, 10.0.0.5, 10.0.0.7 }\n", out);
    for (int i = 1; i < 60; i++)
        fprintf(out, "set a%d { a%d, a%d, a%d, a%d }\n", i, i - 1, i - 1, i - 1, i - 1);
    fputs("drop from a11\ndrop from a59\n", out);
    fclose(out);
    settle();
    ck_assert_str_eq(rules(), "drop");
    ck_assert_int_eq(set("x", 50, text), -EIO);
    /* More time than it has. */
    compile_s = 1;
    rule_parts_destroy(parts);
    start();
    out = fopen(list, "w");
    much(out);
    fclose(out);
    settle();
    ck_assert_str_eq(rules(), "drop");
    ck_assert_int_eq(set("x", 50, text), -EIO);
    ck_assert_ptr_nonnull(strstr(error, "/list: with it, or with another that is new, compiling the rules takes too long"));
    ck_assert_int_eq(set("y", 60, "drop in\n"), 0);
    ck_assert_str_eq(rules(), "drop; drop in");
    write_file(list, "accept\n");
    settle();
    ck_assert_str_eq(rules(), "accept; drop; drop in");
    ck_assert_int_eq(set("x", 50, text), 0);
    out = open_memstream(&long_text, &bytes);
    much(out);
    fclose(out);
    write_file(list, "accept in\n");
    ck_assert_int_eq(set("z", 70, long_text), -ETIME);
    ck_assert_str_eq(error, "compiling the rules took more than 1 seconds");
    settle(); /* the file's change without it */
    ck_assert_str_eq(rules(), "accept in; drop; drop in");
    loads = fake.loads;
    ck_assert_int_eq(set("z", 70, long_text), -EINVAL); /* from memory */
    settle();
    ck_assert_uint_eq(fake.loads, loads);
    free(long_text);
}
END_TEST

START_TEST(what_passes_is_tried_again)
{
    fake.fail = ESTALE;
    fake.fail_times = 2;
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 22\n"), 0); /* at once */
    ck_assert_uint_eq(fake.loads, 1);
    fake.fail = ENOMEM;
    fake.fail_times = 0;
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 23\n"), -ENOMEM);
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 23\n"), -EIO);
    ck_assert_str_eq(error, "so it was arranged");
    fake.calls = 0;
    for (unsigned int i = 0; i < 20; i++) /* 40 ms and more: after 2, 4, 8, 16 */
        loop_step(loop, 2);
    ck_assert_uint_ge(fake.calls, 2);
    ck_assert_uint_le(fake.calls, 8);
    fake.fail = 0;
    for (unsigned int i = 0; i < 200 && fake.loads == 1; i++)
        loop_step(loop, 2);
    ck_assert_str_eq(rules(), "drop in on web port 23");
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 23\n"), 0);
    fake.fail = EINVAL; /* lasts: not asked again */
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 24\n"), -EINVAL);
    fake.calls = 0;
    settle();
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 24\n"), -EINVAL);
    ck_assert_uint_eq(fake.calls, 0);
}
END_TEST

START_TEST(rules_by_hand_are_left)
{
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 22\n"), 0);
    fake.generation = 17;
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 23\n"), -EBUSY);
    ck_assert_ptr_nonnull(strstr(error, "generation 17 were loaded by hand"));
    ck_assert_int_ne(set("firewall", 50, "drop in on web port 23\n"), 0);
    settle();
    ck_assert_uint_eq(fake.loads, 1);
    fake.generation = 18; /* flushed */
    fake.set_bytes = 0;
    settle();
    ck_assert_uint_eq(fake.loads, 2);
    ck_assert_str_eq(rules(), "drop in on web port 23");
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 23\n"), 0);
}
END_TEST

START_TEST(a_new_daemon_has_all_parts_at_once)
{
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 22\n"), 0);
    ck_assert_int_eq(set("blocklist", 10, "drop in from 10.9.0.0/16\n"), 0);
    rule_parts_destroy(parts);
    start();
    ck_assert_str_eq(rules(), "drop in from 10.9.0.0/16; drop in on web port 22");
    ck_assert_int_eq(set("blocklist", 10, "drop in from 10.9.0.0/16\n"), 0);
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 24\n"), 0);
    ck_assert_str_eq(rules(), "drop in from 10.9.0.0/16; drop in on web port 24");
    fake.generation++; /* while no daemon was there */
    rule_parts_destroy(parts);
    start();
    ck_assert_int_eq(set("firewall", 50, "drop in on web port 25\n"), -EBUSY);
}
END_TEST

Suite *suite_rule_parts(void)
{
    Suite *suite = suite_create("rule-parts");
    TCase *t = tcase_create("rule-parts");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, parts_are_one_set_in_their_order);
    tcase_add_test(t, mistakes_leave_what_is_in_force);
    tcase_add_test(t, files_that_change);
    tcase_add_test(t, a_file_that_is_not_there_comes_later);
    tcase_add_test(t, a_file_with_a_mistake_does_not_hold_up_the_rest);
    tcase_add_test(t, a_file_that_never_was_right_closes_what_it_is_for);
    tcase_add_test(t, what_one_file_has_not_defined_is_no_mistake_of_another);
    tcase_add_test(t, no_file_can_end_or_stop_the_daemon);
    tcase_add_test(t, what_passes_is_tried_again);
    tcase_add_test(t, rules_by_hand_are_left);
    tcase_add_test(t, a_new_daemon_has_all_parts_at_once);
    suite_add_tcase(suite, t);
    return suite;
}
