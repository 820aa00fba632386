// SPDX-License-Identifier: MIT
/*
 * System time and wall time.
 *
 * System time is the TSC times a constant that is measured once. Guests are given the same constant, and time stamps that are whole multiples of
 * it, so guests, hypervisor and modules agree to the nanosecond without ever being synchronised again.
 * Contract: time.h.  Context: any; everything is constant after clock_init.  Tests: test-guest-time.c.
 */
#include "clock.h"

#include "log.h"
#include "time.h"

#define TSC_HZ_MIN 10000000ull   /* 10 MHz: below, a measurement went wrong */
#define TSC_HZ_MAX 100000000000ull
#define TSC_HZ_GUESS 1000000000ull

uint32_t clock_tsc_mul = 1u << 31;
int8_t clock_tsc_shift = 1;
uint64_t clock_tsc_base;
uint64_t clock_tsc_hz = TSC_HZ_GUESS;

static uint64_t wall_base_ns; /* wall time at system time 0 */

void clock_factors(uint64_t hz, uint32_t *mul, int8_t *shift)
{
    uint64_t factor;
    int8_t s = 0;

    /* ns = (ticks << s) * factor >> 32, with factor as large as 32 bits hold: that is the most exact. */
    while ((factor = (uint64_t)((((unsigned __int128)NS_PER_S << 32) >> s) / hz)) > UINT32_MAX)
        s++;
    *mul = (uint32_t)factor & ~1u; /* even: half of it is a whole number of nanoseconds (guest-time.c) */
    *shift = s;
}

uint64_t clock_ns_from_tsc(uint64_t tsc)
{
    return clock_scale(tsc - clock_tsc_base, clock_tsc_mul, clock_tsc_shift);
}

uint64_t clock_now_ns(void)
{
    return clock_ns_from_tsc(clock_read_tsc());
}

uint64_t clock_wall_base_ns(void)
{
    return READ_ONCE(wall_base_ns);
}

void clock_set_wall(uint64_t sec, uint32_t nsec, uint64_t system_time_ns)
{
    WRITE_ONCE(wall_base_ns, sec * NS_PER_S + nsec - system_time_ns);
}

uint64_t clock_seconds_from_date(uint32_t year, uint32_t month, uint32_t day, uint32_t hour, uint32_t minute, uint32_t second)
{
    /* The year that begins in March has its leap day at the end, so the days before a month are a straight line. */
    uint32_t y = month <= 2 ? year - 1 : year;
    uint32_t m = month <= 2 ? month + 9 : month - 3;
    uint64_t days = 365ull * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;

    return (days - 719468) * 86400 + hour * 3600ull + minute * 60ull + second; /* 719468 days from 0000-03-01 to 1970 */
}

void clock_init(void)
{
    const char *source = "nothing";
    uint64_t hz = clock_measure_tsc_hz(&source);
    uint64_t rtc;

    if (hz < TSC_HZ_MIN || hz > TSC_HZ_MAX) {
        log_warning("no clock to measure the TSC with: taking it for %llu MHz", TSC_HZ_GUESS / 1000000);
        hz = TSC_HZ_GUESS;
    }
    clock_tsc_hz = hz;
    clock_factors(hz, &clock_tsc_mul, &clock_tsc_shift);
    clock_tsc_base = clock_read_tsc();
    rtc = clock_read_rtc();
    if (rtc == 0)
        log_warning("the real-time clock gives no date: wall time starts at 1970");
    clock_set_wall(rtc, 0, clock_now_ns());
    log_info("TSC %llu.%03llu MHz by %s, wall time %llu s", (unsigned long long)(hz / 1000000), (unsigned long long)(hz / 1000 % 1000), source,
             (unsigned long long)rtc);
}
