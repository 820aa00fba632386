// SPDX-License-Identifier: MIT
/* The record of changes: order, overwriting, what is lost, and the virtual IRQ that comes by a softirq. */
// needs: changes.c
#include "host.h"

#include "changes.h"
#include "control-internal.h"

#include <check.h>
#include <hv/errno.h>

#include <string.h>

static uint32_t raised;
static uint64_t guest_bytes_left; /* the guest's memory ends so much further on */

void event_raise_global_virq(uint32_t virq)
{
    ck_assert_uint_eq(virq, COLLET_VIRQ_CHANGES);
    raised++;
}

size_t guest_copy_raw(void *to, const void *from, size_t bytes)
{
    if (bytes > guest_bytes_left)
        return bytes;
    guest_bytes_left -= bytes;
    memcpy(to, from, bytes);
    return 0;
}

int control_copy_in(void *to, size_t known, uint64_t arg, size_t bytes)
{
    ck_assert_uint_eq(known, bytes);
    memcpy(to, (const void *)arg, known);
    return 0;
}

int control_copy_out(uint64_t arg, size_t bytes, const void *from, size_t known)
{
    ck_assert_uint_eq(known, bytes);
    memcpy((void *)arg, from, known);
    return 0;
}

static struct collet_change got[512];

static long read_changes(struct collet_changes *op, uint64_t after, uint32_t room)
{
    *op = (struct collet_changes){.after = after, .buffer = (uint64_t)got, .count = room, .lost = 77, .last = 77};
    memset(got, 0xee, sizeof(got));
    return control_changes((uint64_t)op, sizeof(*op));
}

static void start(void)
{
    cpu_count = 1;
    host_on_cpu(0);
    guest_bytes_left = ~0ull;
    changes_init();
}

START_TEST(nothing_yet)
{
    struct collet_changes op;

    start();
    ck_assert_int_eq(read_changes(&op, 0, 10), 0);
    ck_assert_uint_eq(op.count, 0);
    ck_assert_uint_eq(op.lost, 0);
    ck_assert_uint_eq(op.last, 0);
}
END_TEST

START_TEST(record_tells_what_whose_when)
{
    struct domain d = {.id = 5, .name = "web"};
    struct collet_changes op;

    start();
    host_now_ns = 42;
    change_record(COLLET_CHANGE_MEMORY_MAX, &d, 99, NULL);
    change_record(COLLET_CHANGE_SCHED_USED, NULL, 1, "rr");
    ck_assert_int_eq(read_changes(&op, 0, 10), 0);
    ck_assert_uint_eq(op.count, 2);
    ck_assert_uint_eq(op.last, 2);
    ck_assert_uint_eq(got[0].number, 1);
    ck_assert_uint_eq(got[0].time_ns, 42);
    ck_assert_uint_eq(got[0].kind, COLLET_CHANGE_MEMORY_MAX);
    ck_assert_uint_eq(got[0].domid, 5);
    ck_assert_uint_eq(got[0].value, 99);
    ck_assert_str_eq(got[0].text, "web");
    ck_assert_uint_eq(got[1].domid, ~0u);
    ck_assert_str_eq(got[1].text, "rr");
    ck_assert_int_eq(read_changes(&op, 1, 10), 0);
    ck_assert_uint_eq(op.count, 1);
    ck_assert_uint_eq(got[0].number, 2);
    ck_assert_int_eq(read_changes(&op, 2, 10), 0);
    ck_assert_uint_eq(op.count, 0);
    ck_assert_int_eq(read_changes(&op, ~0ull, 10), 0);
    ck_assert_uint_eq(op.count, 0);
    ck_assert_uint_eq(op.lost, 0);
    ck_assert_uint_eq(op.last, 2);
    ck_assert_int_eq(read_changes(&op, 1000, 10), 0); /* from another boot, perhaps */
    ck_assert_uint_eq(op.count, 0);
}
END_TEST

START_TEST(irq_comes_once_for_many_and_not_under_locks)
{
    start();
    host_irq_on = false;
    for (int i = 0; i < 5; i++)
        change_record(COLLET_CHANGE_SCHED_SET, NULL, 1, "x");
    ck_assert(!host_irq_on);
    ck_assert_uint_eq(raised, 0);
    host_irq_on = true;
    host_settle();
    ck_assert_uint_eq(raised, 1);
}
END_TEST

START_TEST(overwritten_ones_are_counted)
{
    struct collet_changes op;
    uint64_t after = 10, n = 0;

    start();
    for (uint64_t i = 1; i <= COLLET_CHANGES_KEPT + 500; i++)
        change_record(COLLET_CHANGE_SCHED_SET, NULL, i, NULL);
    ck_assert_int_eq(read_changes(&op, after, 512), 0);
    ck_assert_uint_eq(op.count, 256);
    ck_assert_uint_eq(op.lost, 490);
    ck_assert_uint_eq(got[0].number, 501);
    do {
        for (uint32_t i = 0; i < op.count; i++, n++) {
            ck_assert_uint_eq(got[i].number, 501 + n);
            ck_assert_uint_eq(got[i].value, 501 + n);
        }
        after = got[op.count - 1].number;
        ck_assert_int_eq(read_changes(&op, after, 100), 0);
        ck_assert_uint_eq(op.lost, 0);
    } while (op.count > 0);
    ck_assert_uint_eq(n, COLLET_CHANGES_KEPT);
}
END_TEST

START_TEST(long_texts_are_cut)
{
    char text[200];
    struct collet_changes op;

    start();
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    change_record(COLLET_CHANGE_SCHED_FAULT, NULL, 0, text);
    ck_assert_int_eq(read_changes(&op, 0, 1), 0);
    ck_assert_uint_eq(strlen(got[0].text), COLLET_TEXT_MAX - 1);
}
END_TEST

START_TEST(bad_buffer_is_told)
{
    struct collet_changes op;

    start();
    change_record(COLLET_CHANGE_SCHED_SET, NULL, 1, NULL);
    change_record(COLLET_CHANGE_SCHED_SET, NULL, 1, NULL);
    guest_bytes_left = sizeof(struct collet_change);
    ck_assert_int_eq(read_changes(&op, 0, 2), -EFAULT);
    guest_bytes_left = ~0ull;
    op = (struct collet_changes){.pad = 1};
    ck_assert_int_eq(control_changes((uint64_t)&op, sizeof(op)), -EINVAL);
}
END_TEST

Suite *suite_changes(void);
Suite *suite_changes(void)
{
    Suite *s = suite_create("changes");
    TCase *tc = tcase_create("changes");

    tcase_add_test(tc, nothing_yet);
    tcase_add_test(tc, record_tells_what_whose_when);
    tcase_add_test(tc, irq_comes_once_for_many_and_not_under_locks);
    tcase_add_test(tc, overwritten_ones_are_counted);
    tcase_add_test(tc, long_texts_are_cut);
    tcase_add_test(tc, bad_buffer_is_told);
    suite_add_tcase(s, tc);
    return s;
}
