// SPDX-License-Identifier: MIT
/*
 * The event loop: order of timers, watches that go from within callbacks, children.
 */
// needs: loop.c
#include "loop.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loop *loop;
static char seen[32];

static void note(void *arg)
{
    strcat(seen, arg);
}

START_TEST(timers_in_order)
{
    struct loop_timer *gone;

    loop = loop_create();
    seen[0] = '\0';
    loop_timer(loop, 2000000, note, "c");
    loop_timer(loop, 0, note, "a");
    gone = loop_timer(loop, 500000, note, "x");
    loop_timer(loop, 1000000, note, "b");
    loop_timer_cancel(gone);
    loop_timer_cancel(NULL);
    while (strlen(seen) < 3)
        loop_step(loop, 1000);
    ck_assert_str_eq(seen, "abc");
    loop_destroy(loop);
}
END_TEST

static struct loop_watch *watches[2];
static int called;

static void end_both(void *arg, uint32_t events)
{
    (void)arg;
    (void)events;
    called++;
    loop_unwatch(watches[0]);
    loop_unwatch(watches[1]);
    watches[0] = watches[1] = NULL;
}

START_TEST(a_watch_may_end_others)
{
    int a[2], b[2];

    loop = loop_create();
    called = 0;
    ck_assert(pipe(a) == 0 && pipe(b) == 0);
    watches[0] = loop_watch(loop, a[0], EPOLLIN, end_both, NULL);
    watches[1] = loop_watch(loop, b[0], EPOLLIN, end_both, NULL);
    ck_assert(write(a[1], "x", 1) == 1 && write(b[1], "x", 1) == 1);
    loop_step(loop, 1000);
    loop_step(loop, 0);
    ck_assert_int_eq(called, 1);
    loop_destroy(loop);
}
END_TEST

static void child_ended(void *arg, pid_t pid, int status)
{
    (void)pid;
    *(int *)arg = WEXITSTATUS(status);
}

START_TEST(children_are_reaped)
{
    int first = -1, second = -1;
    pid_t pid;

    loop = loop_create();
    pid = fork();
    if (pid == 0)
        _exit(7);
    loop_child(loop, pid, child_ended, &first);
    while (first < 0)
        loop_step(loop, 1000);
    ck_assert_int_eq(first, 7);
    /* One that has ended before anybody asked. */
    pid = fork();
    if (pid == 0)
        _exit(9);
    usleep(20000);
    loop_step(loop, 0);
    loop_child(loop, pid, child_ended, &second);
    while (second < 0)
        loop_step(loop, 1000);
    ck_assert_int_eq(second, 9);
    loop_destroy(loop);
}
END_TEST

Suite *suite_loop(void);
Suite *suite_loop(void)
{
    Suite *suite = suite_create("loop");
    TCase *tcase = tcase_create("loop");

    tcase_add_test(tcase, timers_in_order);
    tcase_add_test(tcase, a_watch_may_end_others);
    tcase_add_test(tcase, children_are_reaped);
    suite_add_tcase(suite, tcase);
    return suite;
}
