// SPDX-License-Identifier: MIT
/*
 * What happens to domains that end, and the brake on those that end again and again.
 */
// needs: policy.c
#include "policy.h"

#include <check.h>
#include <xen/xen.h>
#include <xen/sched.h>

#define SECOND 1000000000ull

static const struct policy_limits limits = {.restarts = 4, .within_ns = 60 * SECOND};

START_TEST(each_reason_has_its_action)
{
    struct definition d = {.on_poweroff = ACTION_DESTROY, .on_reboot = ACTION_RESTART, .on_crash = ACTION_PRESERVE};
    struct policy_history h = {0};

    ck_assert_int_eq(policy_decide(&d, SHUTDOWN_poweroff, &h, &limits, SECOND).action, ACTION_DESTROY);
    ck_assert_int_eq(policy_decide(&d, SHUTDOWN_crash, &h, &limits, SECOND).action, ACTION_PRESERVE);
    ck_assert_int_eq(policy_decide(&d, SHUTDOWN_watchdog, &h, &limits, SECOND).action, ACTION_PRESERVE);
    ck_assert_int_eq(policy_decide(&d, 77, &h, &limits, SECOND).action, ACTION_PRESERVE);
    ck_assert_int_eq(policy_decide(&d, SHUTDOWN_suspend, &h, &limits, SECOND).action, ACTION_DESTROY);
    ck_assert_uint_eq(h.count, 0);
    ck_assert_int_eq(policy_decide(&d, SHUTDOWN_reboot, &h, &limits, SECOND).action, ACTION_RESTART);
    ck_assert_uint_eq(h.count, 1);
}
END_TEST

START_TEST(restarts_get_slower_and_stop)
{
    struct definition d = {.on_crash = ACTION_RESTART};
    struct policy_history h = {0};
    uint64_t now = 100 * SECOND, delays[] = {0, 1, 2, 4};
    struct policy_answer answer;
    unsigned int i;

    for (i = 0; i < 4; i++) {
        answer = policy_decide(&d, SHUTDOWN_crash, &h, &limits, now += SECOND);
        ck_assert_int_eq(answer.action, ACTION_RESTART);
        ck_assert_uint_eq(answer.delay_ns, delays[i] * SECOND);
    }
    answer = policy_decide(&d, SHUTDOWN_crash, &h, &limits, now += SECOND);
    ck_assert(answer.gave_up);
    ck_assert_int_eq(answer.action, ACTION_PRESERVE);
    /* Long after that it is as new. */
    answer = policy_decide(&d, SHUTDOWN_crash, &h, &limits, now + 61 * SECOND);
    ck_assert_int_eq(answer.action, ACTION_RESTART);
    ck_assert_uint_eq(answer.delay_ns, 0);
}
END_TEST

START_TEST(reboots_too_often_leave_nothing_behind)
{
    struct definition d = {.on_reboot = ACTION_RESTART};
    struct policy_limits none = {.restarts = 0, .within_ns = SECOND}, many = {.restarts = 1000, .within_ns = 3600 * SECOND};
    struct policy_history h = {0};
    unsigned int i;

    ck_assert_int_eq(policy_decide(&d, SHUTDOWN_reboot, &h, &none, SECOND).action, ACTION_DESTROY);
    for (i = 0; i < 100; i++)
        policy_decide(&d, SHUTDOWN_reboot, &h, &many, i * SECOND);
    ck_assert_uint_le(h.count, POLICY_HISTORY);
}
END_TEST

START_TEST(ends_in_words)
{
    char text[100];

    policy_exit_text(SHUTDOWN_crash, "it wrote to its own page table", text, sizeof(text));
    ck_assert_str_eq(text, "crashed: it wrote to its own page table");
    policy_exit_text(SHUTDOWN_crash, "", text, sizeof(text));
    ck_assert_str_eq(text, "crashed");
    policy_exit_text(SHUTDOWN_poweroff, "", text, sizeof(text));
    ck_assert_str_eq(text, "powered off");
    policy_exit_text(99, "", text, sizeof(text));
    ck_assert_str_eq(text, "ended for reason 99");
}
END_TEST

Suite *suite_policy(void);
Suite *suite_policy(void)
{
    Suite *suite = suite_create("policy");
    TCase *tcase = tcase_create("policy");

    tcase_add_test(tcase, each_reason_has_its_action);
    tcase_add_test(tcase, restarts_get_slower_and_stop);
    tcase_add_test(tcase, reboots_too_often_leave_nothing_behind);
    tcase_add_test(tcase, ends_in_words);
    suite_add_tcase(suite, tcase);
    return suite;
}
