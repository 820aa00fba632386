// SPDX-License-Identifier: MIT
/*
 * Work for a quick guest: work spin | faults | latency NAME.
 *
 * Linked without any library, since it is loaded into every guest: 12 KiB instead of 800. `latency` sleeps until absolute times five milliseconds apart and notes how
 * late it woke; each 400 sleeps it prints percentiles of that, in microseconds, as seen by the guest's clock:
 *     domU: NAME latency us p50=12 p90=30 p99=410 max=2210 of 400
 */
#include <stdint.h>
#include <linux/time.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PERIOD_NS 5000000ll
#define SAMPLES 400
#define FAULT_BYTES (4ul << 20)
#define NS_PER_S 1000000000ll

static uint32_t late_us[SAMPLES];

static long call6(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return result;
}

static int64_t now_ns(void)
{
    struct timespec t;

    call6(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&t, 0, 0, 0, 0);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    struct timespec t = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

    call6(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&t, 0, 0, 0);
}

static char *put_text(char *at, const char *text)
{
    while (*text != '\0')
        *at++ = *text++;
    return at;
}

static char *put_number(char *at, uint64_t value)
{
    char digits[24];
    int count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

/* Shell sort: small, and in place. */
static void sort(uint32_t *values, int count)
{
    for (int gap = count / 2; gap > 0; gap /= 2)
        for (int i = gap; i < count; i++) {
            uint32_t value = values[i];
            int j = i;

            for (; j >= gap && values[j - gap] > value; j -= gap)
                values[j] = values[j - gap];
            values[j] = value;
        }
}

static void report(const char *name)
{
    static const struct {
        const char *text;
        int index;
    } shown[] = { { " p50=", SAMPLES / 2 }, { " p90=", SAMPLES * 9 / 10 }, { " p99=", SAMPLES * 99 / 100 }, { " max=", SAMPLES - 1 } };
    char line[256], *at = line;

    sort(late_us, SAMPLES);
    at = put_text(put_text(put_text(at, "domU: "), name), " latency us");
    for (unsigned int i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        at = put_number(put_text(at, shown[i].text), late_us[shown[i].index]);
    at = put_text(put_number(put_text(at, " of "), SAMPLES), "\n");
    call6(SYS_write, 1, (long)line, at - line, 0, 0, 0);
}

static void latency(const char *name)
{
    for (int64_t next = now_ns();;) {
        for (int i = 0; i < SAMPLES; i++) {
            int64_t woke;

            next += PERIOD_NS;
            sleep_until(next);
            woke = now_ns();
            late_us[i] = woke > next ? (uint32_t)((woke - next) / 1000) : 0;
            /* After a long wait go on from now: the missed sleeps were not slept, so they say nothing. */
            if (woke > next + PERIOD_NS)
                next = woke;
        }
        report(name);
    }
}

static void faults(void)
{
    for (;;) {
        long at = call6(SYS_mmap, 0, FAULT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        for (unsigned long i = 0; i < FAULT_BYTES; i += 4096)
            *(volatile char *)(at + (long)i) = 1;
        call6(SYS_munmap, at, FAULT_BYTES, 0, 0, 0, 0);
    }
}

__attribute__((used)) void work_main(long *stack)
{
    long count = stack[0];
    const char *job = count > 1 ? (const char *)stack[2] : "", *name = count > 2 ? (const char *)stack[3] : "guest";

    if (job[0] == 'l')
        latency(name);
    if (job[0] == 'f')
        faults();
    if (job[0] == 's')
        for (;;)
            __asm__ volatile("");
    call6(SYS_exit_group, 2, 0, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi; and $-16, %rsp; call work_main\n");
