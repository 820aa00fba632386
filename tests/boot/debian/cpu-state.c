// SPDX-License-Identifier: MIT
/*
 * Proof that the processor state of a guest program stays its own: cpu-state SECONDS.
 *
 * For each CPU two processes, pinned there, hold patterns of their own in every YMM register (XMM where there is no AVX), the x87 stack, MXCSR, the GS base and (by
 * their thread's data) the FS base, through spinning, yielding and sleeping, and compare. What RDTSCP says about the CPU must not change either (the stock
 * kernel leaves it 0 on all CPUs but the first when it is a PV guest, on any hypervisor). With more vCPUs than CPUs each of them is switched in and out by the hypervisor all the time. Prints "cpu-state: ok, ..." or what was lost; exit status 1 then.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE 2
#endif
#define REGISTERS 16
#define SPIN "mov $200000, %%ecx; 1: dec %%ecx; jnz 1b;"
#define LIST(x) x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13) x(14) x(15)
#define LOAD_Y(n) "vmovdqu 32*" #n "(%[in]), %%ymm" #n ";"
#define STORE_Y(n) "vmovdqu %%ymm" #n ", 32*" #n "(%[out]);"
#define LOAD_X(n) "movdqu 32*" #n "(%[in]), %%xmm" #n ";"
#define STORE_X(n) "movdqu %%xmm" #n ", 32*" #n "(%[out]);"

struct vector_state {
    uint8_t bytes[REGISTERS][32];
};
static __thread uint64_t own; /* through the FS base */
static int avx, fsgsbase, rdtscp_present;

/* Hold the state over a spin, or over a system call (its number; -1: none) and a spin. */
static void hold(const struct vector_state *in, struct vector_state *out, double x, double *x_out, long call, void *argument)
{
    long result;

    __asm__ volatile("fldl %0; fldl %0" ::"m"(x));
    if (avx)
        __asm__ volatile(LIST(LOAD_Y) "test %%rax, %%rax; js 2f; syscall; 2:" SPIN LIST(STORE_Y)
                         : "=a"(result)
                         : [in] "r"(in), [out] "r"(out), "a"(call), "D"(argument), "S"(0L)
                         : "rcx", "r11", "rdx", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    else
        __asm__ volatile(LIST(LOAD_X) "test %%rax, %%rax; js 2f; syscall; 2:" SPIN LIST(STORE_X)
                         : "=a"(result)
                         : [in] "r"(in), [out] "r"(out), "a"(call), "D"(argument), "S"(0L)
                         : "rcx", "r11", "rdx", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    __asm__ volatile("fstpl %0; fstpl %1" : "=m"(x_out[0]), "=m"(x_out[1]));
}

static uint32_t aux_first;

static const char *round_of(uint64_t seed, unsigned int round)
{
    struct vector_state in, out;
    struct timespec nap = {0, 200000};
    double x = (double)(seed * 1000 + round), x_out[2];
    uint32_t mxcsr = 0x1f80 | (uint32_t)(seed & 3) << 13, mxcsr_now, aux;
    uint64_t base = 0x100000000000 + seed * 4096 + round, base_now = base;
    size_t used = avx ? 32 : 16;

    for (unsigned int i = 0; i < REGISTERS; i++)
        for (unsigned int j = 0; j < 32; j++)
            in.bytes[i][j] = (uint8_t)(seed * 31 + round * 7 + i * 32 + j);
    memset(&out, 0, sizeof(out));
    own = base;
    __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
    if (fsgsbase)
        __asm__ volatile("wrgsbase %0" ::"r"(base));
    hold(&in, &out, x, x_out, round % 3 == 0 ? -1 : round % 3 == 1 ? 24 /* sched_yield */ : 35 /* nanosleep */, &nap);
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr_now));
    if (fsgsbase)
        __asm__ volatile("rdgsbase %0" : "=r"(base_now));
    for (unsigned int i = 0; i < REGISTERS; i++)
        if (memcmp(in.bytes[i], out.bytes[i], used) != 0)
            return avx ? "a YMM register" : "an XMM register";
    if (x_out[0] != x || x_out[1] != x)
        return "the x87 stack";
    if ((mxcsr_now & 0x6000) != (mxcsr & 0x6000))
        return "MXCSR";
    if (base_now != base)
        return "the GS base";
    if (own != base)
        return "the FS base";
    if (rdtscp_present) {
        __asm__ volatile("rdtscp" : "=c"(aux)::"rax", "rdx");
        if (round == 0)
            aux_first = aux;
        if (aux != aux_first)
            return "TSC_AUX";
    }
    return NULL;
}

static int hold_for(unsigned int cpu, uint64_t seed, unsigned int seconds)
{
    time_t end = time(NULL) + (time_t)seconds;
    cpu_set_t set;
    const char *lost;
    unsigned int round = 0;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        return 2;
    do {
        lost = round_of(seed, round++);
        if (lost != NULL) {
            printf("cpu-state: process %lu on CPU %u lost %s in round %u\n", (unsigned long)seed, cpu, lost, round);
            return 1;
        }
    } while (time(NULL) < end);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned int seconds = argc > 1 ? (unsigned int)atoi(argv[1]) : 5, a, b, c, d, failed = 0, count = 0;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int status;

    __builtin_cpu_init();
    avx = __builtin_cpu_supports("avx");
    fsgsbase = (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) != 0;
    rdtscp_present = __get_cpuid(0x80000001, &a, &b, &c, &d) && (d >> 27 & 1);
    for (long cpu = 0; cpu < cpus; cpu++)
        for (int n = 0; n < 2; n++, count++)
            if (fork() == 0)
                exit(hold_for((unsigned int)cpu, count + 1, seconds));
    while (wait(&status) > 0)
        failed += status != 0;
    if (failed == 0)
        printf("cpu-state: ok, %u processes on %ld CPUs, avx %d, fsgsbase %d, rdtscp %d\n", count, cpus, avx, fsgsbase, rdtscp_present);
    return failed != 0;
}
