// SPDX-License-Identifier: MIT
/*
 * Guest time on an invented TSC: the factors, what a guest computes from what is published, wall time, run states, and the timer operations.
 */
// needs: guest-time.c clock.c timer.c tests/unit/fakes-machine.c

#include "apic.h"
#include "clock.h"
#include "cpu.h"
#include "event.h"
#include "guest-area.h"
#include "public/collet-time.h"
#include "time.h"
#include "vcpu.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t tsc = 1000, measured_hz = 2400000000ull;
static struct shared_info shared;
static struct domain dom;
static struct vcpu vcpu;
static uint32_t raised[24];

uint64_t clock_read_tsc(void)
{
    return tsc;
}
uint64_t clock_measure_tsc_hz(const char **source)
{
    *source = "test";
    return measured_hz;
}
bool clock_tscs_agree(void)
{
    return true;
}
uint64_t clock_read_rtc(void)
{
    return 1700000000;
}
void apic_timer_set(uint64_t delay_ns)
{
    (void)delay_ns;
}
static void (*run_timers)(void);
void softirq_register(enum softirq nr, void (*handler)(void))
{
    (void)nr;
    run_timers = handler;
}
void softirq_raise(enum softirq nr)
{
    (void)nr;
}
void softirq_raise_on(uint32_t cpu, enum softirq nr)
{
    (void)cpu;
    (void)nr;
}
void event_raise_virq(struct vcpu *v, uint32_t virq)
{
    ck_assert_ptr_eq(v, &vcpu);
    raised[virq]++;
}
void event_poll_timeout(void *arg)
{
    (void)arg;
}
uint64_t guest_area_enter(const struct vcpu *v)
{
    (void)v;
    return 0;
}
void guest_area_leave(uint64_t token)
{
    (void)token;
}
long hypercall_set_timer_op(uint64_t timeout_ns);

/* As a guest computes it: in 96 bits, and as a careless one does, in 64. */
static uint64_t guest_now(const struct vcpu_time_info *t, bool careless)
{
    uint64_t delta = (tsc - t->tsc_timestamp) << t->tsc_shift;

    ck_assert_uint_eq(t->version & 1, 0);
    if (careless)
        return t->system_time + ((delta * t->tsc_to_system_mul) >> 32);
    return t->system_time + (uint64_t)(((unsigned __int128)delta * t->tsc_to_system_mul) >> 32);
}

static void pass_ns(uint64_t ns)
{
    tsc += (uint64_t)((unsigned __int128)ns * clock_tsc_hz / NS_PER_S) + 1;
    run_timers();
}

static void setup(void)
{
    fake_cpu_id = 0;
    cpu_count = 1;
    measured_hz = 2400000000ull;
    clock_init();
    memset(&shared, 0, sizeof(shared));
    memset(&dom, 0, sizeof(dom));
    memset(&vcpu, 0, sizeof(vcpu));
    memset(raised, 0, sizeof(raised));
    dom.shared = &shared;
    vcpu.domain = &dom;
    vcpu.info = &shared.vcpu_info[0];
    vcpu.in_kernel = true;
    fake_vcpu = &vcpu;
    cpus[0].current = &vcpu;
    timer_init_cpu();
    vcpu_time_init(&vcpu);
    vcpu_time_publish(&vcpu);
    vcpu_runstate_change(&vcpu, RUNSTATE_running, clock_now_ns());
}

START_TEST(factors_are_even_and_exact)
{
    static const uint64_t rates[] = {100000000, 500000001, 999999999, 1000000000, 1000000001, 1193182000, 2399987654, 3579545000, 5000000000};

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        uint32_t mul;
        int8_t shift;
        uint64_t day_ticks = rates[i] * 86400, day_ns;

        clock_factors(rates[i], &mul, &shift);
        ck_assert_uint_eq(mul & 1, 0);
        ck_assert_int_ge(shift, 0);
        day_ns = clock_scale(day_ticks, mul, shift);
        /* better than a part in 10^8 */
        ck_assert_uint_le(day_ns, 86400 * NS_PER_S);
        ck_assert_uint_gt(day_ns, 86400 * NS_PER_S - 864000);
        /* a granule is whole */
        ck_assert_uint_eq(((unsigned __int128)(1ull << 31) * mul) & 0xffffffff, 0);
    }
}
END_TEST

START_TEST(guest_and_hypervisor_agree_to_the_nanosecond)
{
    static const uint64_t rates[] = {300000000, 1000000000, 2399987654, 4700000000};
    uint64_t last;

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        measured_hz = rates[i];
        clock_init();
        vcpu_time_publish(&vcpu);
        last = 0;
        for (int step = 0; step < 20000; step++) {
            uint64_t g;

            tsc += (uint64_t)(rand() % 2000000) * 3;
            if (step % 50 == 0) {
                vcpu_runstate_change(&vcpu, RUNSTATE_blocked, clock_now_ns());
                vcpu_runstate_change(&vcpu, RUNSTATE_running, clock_now_ns());
                vcpu_time_switched_in(&vcpu);
            }
            g = guest_now(&vcpu.info->time, false);
            ck_assert_uint_eq(g, clock_now_ns());
            ck_assert_uint_eq(g, guest_now(&vcpu.info->time, true));
            ck_assert_uint_ge(g, last);
            last = g;
        }
    }
}
END_TEST

START_TEST(stamp_is_not_rewritten_within_a_granule)
{
    uint32_t version = vcpu.info->time.version;

    for (int i = 0; i < 1000; i++) {
        tsc += 1000;
        vcpu_time_switched_in(&vcpu);
    }
    ck_assert_uint_eq(vcpu.info->time.version, version);
}
END_TEST

START_TEST(stamp_still_right_after_a_century)
{
    tsc += 100ull * 365 * 86400 * 2400000000ull;
    ck_assert_uint_eq(guest_now(&vcpu.info->time, false), clock_now_ns());
    vcpu_time_publish(&vcpu);
    ck_assert_uint_eq(guest_now(&vcpu.info->time, false), clock_now_ns());
}
END_TEST

START_TEST(dates)
{
    ck_assert_uint_eq(clock_seconds_from_date(1970, 1, 1, 0, 0, 0), 0);
    ck_assert_uint_eq(clock_seconds_from_date(2000, 2, 29, 12, 0, 0), 951825600);
    ck_assert_uint_eq(clock_seconds_from_date(2026, 11, 21, 4, 37, 46), 1795235866);
    ck_assert_uint_eq(clock_seconds_from_date(2038, 1, 19, 3, 14, 8), 2147483648ull);
    ck_assert_uint_eq(clock_seconds_from_date(2100, 3, 1, 0, 0, 0), 4107542400ull);
}
END_TEST

START_TEST(wall_clock)
{
    domain_wallclock_publish(&dom);
    ck_assert_uint_eq(shared.wc_version & 1, 0);
    ck_assert_uint_le(shared.wc_sec, 1700000000);
    ck_assert_uint_ge(shared.wc_sec, 1699999999);
    clock_set_wall(5000000000ull, 7, 0);
    domain_wallclock_publish(&dom);
    ck_assert_uint_eq(shared.wc_sec, (uint32_t)5000000000ull);
    ck_assert_uint_eq(shared.wc_sec_hi, 1);
    ck_assert_uint_eq(shared.wc_nsec, 7);
}
END_TEST

START_TEST(runstates_sum_up)
{
    struct vcpu_runstate_info info;
    uint64_t start = vcpu.time.runstate.state_entry_time - vcpu.time.runstate.time[RUNSTATE_offline], sum = 0;

    pass_ns(1000000);
    vcpu_runstate_change(&vcpu, RUNSTATE_blocked, clock_now_ns());
    pass_ns(2000000);
    vcpu_runstate_change(&vcpu, RUNSTATE_runnable, clock_now_ns());
    pass_ns(3000000);
    vcpu_runstate_change(&vcpu, RUNSTATE_running, clock_now_ns());
    pass_ns(4000000);
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_get_runstate_info, (uint64_t)&info), 0);
    for (int i = 0; i < 4; i++)
        sum += info.time[i];
    ck_assert_uint_eq(sum, clock_now_ns() - start);
    ck_assert_uint_ge(info.time[RUNSTATE_running], 5000000);
    ck_assert_uint_lt(info.time[RUNSTATE_running], 5000100);
    ck_assert_uint_ge(info.time[RUNSTATE_blocked], 2000000);
    ck_assert_uint_ge(info.time[RUNSTATE_runnable], 3000000);
    ck_assert_uint_eq(vcpu_virtual_now_ns(&vcpu), info.time[RUNSTATE_running]);
}
END_TEST

START_TEST(runstate_area_follows)
{
    struct vcpu_runstate_info area = {0};
    struct vcpu_register_runstate_memory_area reg;

    reg.addr.p = (uint64_t)&area;
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_register_runstate_memory_area, (uint64_t)&reg), 0);
    ck_assert_int_eq(area.state, RUNSTATE_running);
    dom.vm_assist = 1u << VMASST_TYPE_runstate_update_flag;
    vcpu_runstate_change(&vcpu, RUNSTATE_runnable, clock_now_ns());
    pass_ns(1000);
    vcpu_runstate_change(&vcpu, RUNSTATE_running, clock_now_ns());
    vcpu_time_switched_in(&vcpu);
    ck_assert_uint_eq(area.state_entry_time, vcpu.time.runstate.state_entry_time);
    ck_assert_uint_ge(area.time[RUNSTATE_runnable], 1000);
    reg.addr.p = 0xffff800000000000;
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_register_runstate_memory_area, (uint64_t)&reg), -EFAULT);
    reg.addr.p = 16; /* a bad address of the guest's: accepted, never written, nothing breaks */
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_register_runstate_memory_area, (uint64_t)&reg), 0);
    vcpu_time_switched_in(&vcpu);
    reg.addr.p = 0;
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_register_runstate_memory_area, (uint64_t)&reg), 0);
    ck_assert_uint_eq(vcpu.time.runstate_area, 0);
}
END_TEST

START_TEST(time_area_is_a_copy)
{
    struct vcpu_time_info area = {0};
    struct vcpu_register_time_memory_area reg;

    reg.addr.p = (uint64_t)&area;
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_register_vcpu_time_memory_area, (uint64_t)&reg), 0);
    ck_assert_mem_eq(&area, &vcpu.info->time, sizeof(area));
    pass_ns(5 * NS_PER_S);
    vcpu_runstate_change(&vcpu, RUNSTATE_running, clock_now_ns());
    vcpu_time_switched_in(&vcpu);
    ck_assert_mem_eq(&area, &vcpu.info->time, sizeof(area));
    ck_assert_uint_eq(guest_now(&area, true), clock_now_ns());
}
END_TEST

START_TEST(singleshot)
{
    struct vcpu_set_singleshot_timer set = {.timeout_abs_ns = clock_now_ns() + 1000000};

    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_set_singleshot_timer, (uint64_t)&set), 0);
    pass_ns(900000);
    ck_assert_uint_eq(raised[VIRQ_TIMER], 0);
    pass_ns(200000);
    ck_assert_uint_eq(raised[VIRQ_TIMER], 1);
    pass_ns(10000000);
    ck_assert_uint_eq(raised[VIRQ_TIMER], 1);
    /* in the past: at once, or refused if that was asked for */
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_set_singleshot_timer, (uint64_t)&set), 0);
    run_timers();
    ck_assert_uint_eq(raised[VIRQ_TIMER], 2);
    set.flags = VCPU_SSHOTTMR_future;
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_set_singleshot_timer, (uint64_t)&set), -ETIME);
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_set_singleshot_timer, 8), -EFAULT);
    ck_assert_int_eq(hypercall_set_timer_op(clock_now_ns() + 5000), 0);
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_stop_singleshot_timer, 0), 0);
    pass_ns(10000);
    ck_assert_uint_eq(raised[VIRQ_TIMER], 2);
    /* nonsense is looked at soon */
    ck_assert_int_eq(hypercall_set_timer_op((uint64_t)-5), 0);
    pass_ns(150000000);
    ck_assert_uint_eq(raised[VIRQ_TIMER], 3);
    ck_assert_int_eq(hypercall_set_timer_op(0), 0);
}
END_TEST

START_TEST(periodic_keeps_its_beat)
{
    struct vcpu_set_periodic_timer set = {.period_ns = 10 * NS_PER_MS};

    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_set_periodic_timer, (uint64_t)&set), 0);
    for (int i = 0; i < 1001; i++)
        pass_ns(NS_PER_MS);
    ck_assert_uint_eq(raised[VIRQ_TIMER], 100);
    pass_ns(95 * NS_PER_MS); /* late: one tick, then the beat goes on */
    ck_assert_uint_eq(raised[VIRQ_TIMER], 101);
    for (int i = 0; i < 100; i++)
        pass_ns(NS_PER_MS);
    ck_assert_uint_eq(raised[VIRQ_TIMER], 111);
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_stop_periodic_timer, 0), 0);
    pass_ns(NS_PER_S);
    ck_assert_uint_eq(raised[VIRQ_TIMER], 111);
    set.period_ns = 999999;
    ck_assert_int_eq(vcpu_op_time(&vcpu, VCPUOP_set_periodic_timer, (uint64_t)&set), -EINVAL);
    ck_assert_int_eq(vcpu_op_time(&vcpu, 77, 0), -ENOSYS);
}
END_TEST

START_TEST(virtual_alarm_rings_in_virtual_time)
{
    struct collet_virtual_time t;
    struct collet_virtual_alarm alarm;

    ck_assert_int_eq(vcpu_op_time(&vcpu, COLLET_VCPUOP_get_virtual_time, (uint64_t)&t), 0);
    alarm.virtual_ns = t.virtual_ns + 10 * NS_PER_MS;
    ck_assert_int_eq(vcpu_op_time(&vcpu, COLLET_VCPUOP_set_virtual_alarm, (uint64_t)&alarm), 0);
    pass_ns(6 * NS_PER_MS);
    vcpu_time_switched_out(&vcpu);
    vcpu_runstate_change(&vcpu, RUNSTATE_runnable, clock_now_ns());
    pass_ns(500 * NS_PER_MS);
    ck_assert_uint_eq(raised[COLLET_VIRQ_VIRTUAL_ALARM], 0);
    vcpu_runstate_change(&vcpu, RUNSTATE_running, clock_now_ns());
    vcpu_time_switched_in(&vcpu);
    pass_ns(3900000);
    ck_assert_uint_eq(raised[COLLET_VIRQ_VIRTUAL_ALARM], 0);
    pass_ns(200000);
    ck_assert_uint_eq(raised[COLLET_VIRQ_VIRTUAL_ALARM], 1);
    ck_assert_int_eq(vcpu_op_time(&vcpu, COLLET_VCPUOP_get_virtual_time, (uint64_t)&t), 0);
    ck_assert_uint_eq(t.alarm_ns, 0);
}
END_TEST

Suite *suite_guest_time(void);
Suite *suite_guest_time(void)
{
    Suite *s = suite_create("guest-time");
    TCase *c = tcase_create("guest-time");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, factors_are_even_and_exact);
    tcase_add_test(c, guest_and_hypervisor_agree_to_the_nanosecond);
    tcase_add_test(c, stamp_is_not_rewritten_within_a_granule);
    tcase_add_test(c, stamp_still_right_after_a_century);
    tcase_add_test(c, dates);
    tcase_add_test(c, wall_clock);
    tcase_add_test(c, runstates_sum_up);
    tcase_add_test(c, runstate_area_follows);
    tcase_add_test(c, time_area_is_a_copy);
    tcase_add_test(c, singleshot);
    tcase_add_test(c, periodic_keeps_its_beat);
    tcase_add_test(c, virtual_alarm_rings_in_virtual_time);
    suite_add_tcase(s, c);
    return s;
}
