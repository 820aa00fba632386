// SPDX-License-Identifier: MIT
/*
 * The PC's clocks: the TSC, measured by the ACPI PM timer (3.579545 MHz) or else the PIT (1.193182 MHz), and the CMOS real-time clock.
 *
 * A measurement is two readings of the known clock, each bracketed by TSC readings. Under emulation the host may take the CPU away at any
 * instruction; so each reading is repeated and the one with the narrowest bracket counts. Every wait is bounded by TSC ticks and by a
 * count of reads: a clock that stands still is given up, not waited for.
 * SDM vol. 3 ch. 17 (TSC); ACPI 4.8.3.3 (PM timer); Intel 8254; MC146818.
 */
#include "acpi.h"
#include "clock.h"
#include "cpu.h"
#include "x86/cpu-asm.h"

#define PM_TIMER_HZ 3579545ull
#define PIT_HZ 1193182ull
#define WINDOW_MS 20u
#define READINGS 8u
#define READS_MAX 4000000u /* of a port: many times the window on any machine */

#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PIT_LATCH_CHANNEL2 0x80
#define PIT_CHANNEL2_MODE0 0xb0 /* both bytes, count down once */
#define PIT_GATE 0x61           /* bit 0: gate of channel 2; bit 1: speaker; bit 5: its output */

#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define RTC_CENTURY 0x32
#define RTC_STATUS_A 0x0a
#define RTC_STATUS_B 0x0b
#define RTC_UPDATING 0x80
#define RTC_24_HOURS 0x02
#define RTC_BINARY 0x04

/* A clock of known rate that counts up, modulo a power of two. */
struct reference {
    const char *name;
    uint64_t hz;
    uint32_t mask;
    uint32_t (*read)(void);
};

struct reading {
    uint64_t tsc;
    uint32_t count;
};

uint64_t clock_read_tsc(void)
{
    return rdtsc();
}

static void tsc_to(void *to)
{
    *(volatile uint64_t *)to = rdtsc();
}

bool clock_tscs_agree(void)
{
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        for (uint32_t i = 0; cpu != this_cpu_id() && i < READINGS; i++) {
            uint64_t before = rdtsc(), there = 0;

            cpu_call(cpu_bit(cpu), tsc_to, &there);
            if (there < before || there > rdtsc())
                return false;
        }
    }
    return true;
}

static uint32_t pm_timer_read(void)
{
    return inl(acpi_info.pm_timer_port);
}

static uint32_t pit_read(void)
{
    uint32_t low;

    outb(PIT_COMMAND, PIT_LATCH_CHANNEL2);
    low = inb(PIT_CHANNEL2);
    return ~(low | (uint32_t)inb(PIT_CHANNEL2) << 8); /* it counts down */
}

static void pit_start(void)
{
    outb(PIT_GATE, (inb(PIT_GATE) & ~2u) | 1u);
    outb(PIT_COMMAND, PIT_CHANNEL2_MODE0);
    outb(PIT_CHANNEL2, 0xff);
    outb(PIT_CHANNEL2, 0xff);
}

/* The moment of the reference's next tick, as exactly as it can be caught. */
static bool reading_take(const struct reference *ref, struct reading *best)
{
    uint64_t narrowest = UINT64_MAX;
    uint32_t reads = 0;

    for (uint32_t i = 0; i < READINGS; i++) {
        uint32_t before = ref->read() & ref->mask, count;
        uint64_t start, end;

        do {
            start = rdtsc();
            count = ref->read() & ref->mask;
            end = rdtsc();
            if (++reads > READS_MAX)
                return false;
        } while (count == before);
        if (end - start < narrowest) {
            narrowest = end - start;
            best->tsc = start + (end - start) / 2;
            best->count = count;
        }
    }
    return true;
}

static uint64_t measure(const struct reference *ref)
{
    struct reading first, last;
    uint32_t window = (uint32_t)(ref->hz * WINDOW_MS / 1000), reads = 0;
    uint64_t ticks;

    if (!reading_take(ref, &first))
        return 0;
    while (((ref->read() - first.count) & ref->mask) < window)
        if (++reads > READS_MAX)
            return 0;
    if (!reading_take(ref, &last) || last.tsc <= first.tsc)
        return 0;
    ticks = (last.count - first.count) & ref->mask;
    return (uint64_t)((unsigned __int128)(last.tsc - first.tsc) * ref->hz / ticks);
}

uint64_t clock_measure_tsc_hz(const char **source)
{
    const struct reference pm = {"ACPI PM timer", PM_TIMER_HZ, 0xffffff, pm_timer_read};
    const struct reference pit = {"PIT", PIT_HZ, 0xffff, pit_read};
    uint64_t hz = 0;

    if (acpi_info.pm_timer_port != 0) {
        hz = measure(&pm);
        *source = pm.name;
    }
    if (hz == 0) {
        pit_start();
        hz = measure(&pit);
        *source = pit.name;
    }
    return hz;
}

static uint8_t rtc_register(uint8_t index)
{
    outb(RTC_INDEX, index);
    return inb(RTC_DATA);
}

struct rtc_fields {
    uint8_t second, minute, hour, day, month, year, century;
};

static bool rtc_read_fields(struct rtc_fields *f)
{
    uint32_t reads = 0;

    while (rtc_register(RTC_STATUS_A) & RTC_UPDATING)
        if (++reads > READS_MAX)
            return false;
    *f = (struct rtc_fields){rtc_register(0), rtc_register(2), rtc_register(4), rtc_register(7), rtc_register(8), rtc_register(9),
                             rtc_register(RTC_CENTURY)};
    return true;
}

static uint32_t rtc_number(uint8_t value, uint8_t status_b)
{
    return (status_b & RTC_BINARY) ? value : (value >> 4) * 10u + (value & 0xf);
}

uint64_t clock_read_rtc(void)
{
    struct rtc_fields a, b;
    uint8_t status_b = rtc_register(RTC_STATUS_B);
    uint32_t hour, year, century, month, day;

    /* Twice the same: no update fell between the registers. */
    for (int attempt = 0;; attempt++) {
        if (attempt == 8 || !rtc_read_fields(&a) || !rtc_read_fields(&b))
            return 0;
        if (a.second == b.second && a.minute == b.minute && a.hour == b.hour && a.day == b.day && a.month == b.month && a.year == b.year)
            break;
    }
    hour = rtc_number(a.hour & 0x7f, status_b);
    if (!(status_b & RTC_24_HOURS))
        hour = hour % 12 + ((a.hour & 0x80) ? 12 : 0);
    century = rtc_number(a.century, status_b);
    year = rtc_number(a.year, status_b) + 100 * (century >= 19 && century <= 21 ? century : 20);
    month = rtc_number(a.month, status_b);
    day = rtc_number(a.day, status_b);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23)
        return 0;
    return clock_seconds_from_date(year, month, day, hour, rtc_number(a.minute, status_b), rtc_number(a.second, status_b));
}
