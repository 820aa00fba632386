// SPDX-License-Identifier: MIT
/*
 * Timers, on invented time and two CPUs: order, cancelling, moving, what reaches the hardware, and a long random run against a plain array.
 */
// needs: timer.c tests/unit/fakes-machine.c

#include "apic.h"
#include "cpu.h"
#include "time.h"
#include "timer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t now_ns;
static uint64_t hardware_ns[2]; /* when each CPU's APIC will fire; 0 not */
static uint32_t hardware_writes, remote_kicks;
static uint32_t softirqs[2];
static void (*run_timers)(void);

uint64_t clock_now_ns(void)
{
    return now_ns;
}

void apic_timer_set(uint64_t delay_ns)
{
    hardware_writes++;
    hardware_ns[fake_cpu_id] = delay_ns == 0 ? 0 : now_ns + delay_ns;
}

void softirq_register(enum softirq nr, void (*handler)(void))
{
    ck_assert_int_eq(nr, SOFTIRQ_TIMER);
    run_timers = handler;
}

void softirq_raise(enum softirq nr)
{
    softirqs[fake_cpu_id] |= 1u << nr;
}

void softirq_raise_on(uint32_t cpu, enum softirq nr)
{
    remote_kicks++;
    softirqs[cpu] |= 1u << nr;
}

/* Softirqs of both CPUs until none is left. */
static void settle(void)
{
    while (softirqs[0] | softirqs[1]) {
        fake_cpu_id = softirqs[0] ? 0 : 1;
        softirqs[fake_cpu_id] = 0;
        run_timers();
    }
    fake_cpu_id = 0;
}

/* Let time pass until `end_ns`, with the interrupts that the hardware would give. */
static void pass(uint64_t end_ns)
{
    for (;;) {
        uint32_t cpu = hardware_ns[0] && (!hardware_ns[1] || hardware_ns[0] <= hardware_ns[1]) ? 0 : 1;

        settle();
        if (hardware_ns[cpu] == 0 || hardware_ns[cpu] > end_ns) {
            cpu ^= 1;
            if (hardware_ns[cpu] == 0 || hardware_ns[cpu] > end_ns)
                break;
        }
        if (hardware_ns[cpu] > now_ns)
            now_ns = hardware_ns[cpu];
        hardware_ns[cpu] = 0;
        fake_cpu_id = cpu;
        timer_interrupt();
        settle();
    }
    now_ns = end_ns;
}

struct probe {
    struct timer timer;
    uint64_t fired_ns;
    uint32_t fired, fired_cpu;
};

static void probe_fired(void *arg)
{
    struct probe *p = arg;

    p->fired++;
    p->fired_ns = now_ns;
    p->fired_cpu = fake_cpu_id;
    ck_assert(!timer_armed(&p->timer));
}

static void setup(void)
{
    cpu_count = 2;
    for (fake_cpu_id = 2; fake_cpu_id-- > 0;)
        timer_init_cpu();
    fake_cpu_id = 0;
    settle();
}

START_TEST(fires_once_at_its_time_on_its_cpu)
{
    struct probe a = {0}, b = {0};

    timer_init(&a.timer, probe_fired, &a, 0);
    timer_init(&b.timer, probe_fired, &b, 1);
    timer_set(&a.timer, now_ns + 50000);
    timer_set(&b.timer, now_ns + 20000);
    pass(now_ns + 19000);
    ck_assert_uint_eq(a.fired + b.fired, 0);
    pass(now_ns + 100000);
    ck_assert_uint_eq(a.fired, 1);
    ck_assert_uint_eq(b.fired, 1);
    ck_assert_uint_eq(a.fired_cpu, 0);
    ck_assert_uint_eq(b.fired_cpu, 1);
    ck_assert_uint_lt(b.fired_ns, a.fired_ns);
}
END_TEST

START_TEST(deadline_in_the_past_fires_without_hardware)
{
    struct probe a = {0};
    uint32_t writes = hardware_writes;

    now_ns += 1000000;
    timer_init(&a.timer, probe_fired, &a, 0);
    timer_set(&a.timer, 5);
    settle();
    ck_assert_uint_eq(a.fired, 1);
    ck_assert_uint_eq(hardware_writes, writes);
}
END_TEST

START_TEST(later_rearming_leaves_hardware_alone)
{
    struct probe a = {0};
    uint32_t writes;

    timer_init(&a.timer, probe_fired, &a, 0);
    timer_set(&a.timer, now_ns + 10000);
    writes = hardware_writes;
    for (int i = 0; i < 100; i++)
        timer_set(&a.timer, now_ns + 20000 + (uint64_t)i);
    timer_cancel(&a.timer);
    timer_set(&a.timer, now_ns + 30000);
    ck_assert_uint_eq(hardware_writes, writes);
    pass(now_ns + 29000);
    ck_assert_uint_eq(a.fired, 0);
    pass(now_ns + 2000);
    ck_assert_uint_eq(a.fired, 1);
}
END_TEST

START_TEST(cancelled_does_not_fire)
{
    struct probe a = {0}, b = {0};

    timer_init(&a.timer, probe_fired, &a, 0);
    timer_init(&b.timer, probe_fired, &b, 0);
    timer_cancel(&a.timer); /* never armed */
    timer_set(&a.timer, now_ns + 10000);
    timer_set(&b.timer, now_ns + 20000);
    timer_cancel_sync(&a.timer);
    ck_assert(!timer_armed(&a.timer));
    pass(now_ns + 30000);
    ck_assert_uint_eq(a.fired, 0);
    ck_assert_uint_eq(b.fired, 1);
}
END_TEST

START_TEST(migrated_fires_on_the_other_cpu)
{
    struct probe a = {0};
    uint32_t kicks = remote_kicks;

    timer_init(&a.timer, probe_fired, &a, 0);
    timer_set(&a.timer, now_ns + 10000);
    timer_migrate(&a.timer, 1);
    ck_assert_uint_eq(remote_kicks, kicks + 1);
    timer_follow(&a.timer, 1); /* there already: nothing */
    pass(now_ns + 20000);
    ck_assert_uint_eq(a.fired, 1);
    ck_assert_uint_eq(a.fired_cpu, 1);
    timer_follow(&a.timer, 0);
    ck_assert_uint_eq(a.timer.cpu, 0);
    ck_assert(!timer_armed(&a.timer));
}
END_TEST

static struct probe again;

static void rearm(void *arg)
{
    struct probe *p = arg;

    if (++p->fired < 5)
        timer_set(&p->timer, now_ns + 10000);
}

START_TEST(handler_may_rearm_itself)
{
    again = (struct probe){0};
    timer_init(&again.timer, rearm, &again, 0);
    timer_set(&again.timer, now_ns + 10000);
    pass(now_ns + 1000000);
    ck_assert_uint_eq(again.fired, 5);
}
END_TEST

#define RANDOM_TIMERS 200
#define RANDOM_STEPS 200000

START_TEST(random_run_agrees_with_an_array)
{
    static struct probe probes[RANDOM_TIMERS];
    static uint64_t due[RANDOM_TIMERS]; /* 0: not armed */
    unsigned int seed = 20031019;

    printf("test-timer: seed %u\n", seed);
    for (int i = 0; i < RANDOM_TIMERS; i++) {
        probes[i] = (struct probe){0};
        due[i] = 0;
        timer_init(&probes[i].timer, probe_fired, &probes[i], (uint32_t)i & 1);
    }
    for (int step = 0; step < RANDOM_STEPS; step++) {
        int i = rand_r(&seed) % RANDOM_TIMERS, what = rand_r(&seed) % 16;
        uint64_t end;

        if (what < 10) {
            due[i] = now_ns + (uint64_t)(rand_r(&seed) % 400000);
            timer_set(&probes[i].timer, due[i]);
        } else if (what < 12) {
            due[i] = 0;
            timer_cancel(&probes[i].timer);
        } else if (what < 14) {
            timer_migrate(&probes[i].timer, (uint32_t)rand_r(&seed) & 1);
        } else {
            end = now_ns + (uint64_t)(rand_r(&seed) % 20000);
            pass(end);
            for (int t = 0; t < RANDOM_TIMERS; t++) {
                /* The hardware may be a microsecond late, never early. */
                if (probes[t].fired) {
                    ck_assert_uint_ne(due[t], 0);
                    ck_assert_uint_le(due[t], probes[t].fired_ns);
                    probes[t].fired = 0;
                    due[t] = 0;
                } else if (due[t] != 0) {
                    ck_assert_uint_gt(due[t] + 1001, end);
                }
                ck_assert_int_eq(timer_armed(&probes[t].timer), due[t] != 0);
            }
        }
    }
}
END_TEST

Suite *suite_timer(void);
Suite *suite_timer(void)
{
    Suite *s = suite_create("timer");
    TCase *c = tcase_create("timer");

    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, fires_once_at_its_time_on_its_cpu);
    tcase_add_test(c, deadline_in_the_past_fires_without_hardware);
    tcase_add_test(c, later_rearming_leaves_hardware_alone);
    tcase_add_test(c, cancelled_does_not_fire);
    tcase_add_test(c, migrated_fires_on_the_other_cpu);
    tcase_add_test(c, handler_may_rearm_itself);
    tcase_add_test(c, random_run_agrees_with_an_array);
    suite_add_tcase(s, c);
    return s;
}
