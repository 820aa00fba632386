/* SPDX-License-Identifier: MIT */
/*
 * Instructions for per-vCPU processor state: segment bases, debug registers, extended state. Continues x86/cpu-asm.h; used by cpu/x86-*.c alone.
 */
#pragma once

#include "../types.h"
#include "cpu-asm.h"

#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u
#define CR0_TS (1ul << 3)

/* Need CR4.FSGSBASE. */
static inline uint64_t rdfsbase(void)
{
    uint64_t v;

    __asm__ volatile("rdfsbase %0" : "=r"(v));
    return v;
}
static inline void wrfsbase(uint64_t v)
{
    __asm__ volatile("wrfsbase %0" ::"r"(v) : "memory");
}
static inline uint64_t rdgsbase(void)
{
    uint64_t v;

    __asm__ volatile("rdgsbase %0" : "=r"(v));
    return v;
}
static inline void wrgsbase(uint64_t v)
{
    __asm__ volatile("wrgsbase %0" ::"r"(v) : "memory");
}

static inline void clear_ts(void)
{
    __asm__ volatile("clts" ::: "memory");
}
static inline void set_ts(void)
{
    write_cr0(read_cr0() | CR0_TS);
}

static inline void xsetbv(uint32_t index, uint64_t value)
{
    __asm__ volatile("xsetbv" ::"c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t read_dr6(void)
{
    uint64_t v;

    __asm__ volatile("mov %%dr6,%0" : "=r"(v));
    return v;
}
static inline void write_dr6(uint64_t v)
{
    __asm__ volatile("mov %0,%%dr6" ::"r"(v));
}
static inline void write_dr7(uint64_t v)
{
    __asm__ volatile("mov %0,%%dr7" ::"r"(v));
}
static inline void write_dr(unsigned int n, uint64_t v)
{
    switch (n) {
    case 0:
        __asm__ volatile("mov %0,%%dr0" ::"r"(v));
        break;
    case 1:
        __asm__ volatile("mov %0,%%dr1" ::"r"(v));
        break;
    case 2:
        __asm__ volatile("mov %0,%%dr2" ::"r"(v));
        break;
    default:
        __asm__ volatile("mov %0,%%dr3" ::"r"(v));
        break;
    }
}

/* cpu/x86-switch-stack.S: load a data segment register; false if the selector is bad: then it holds null. */
bool segment_load_ds(uint16_t selector);
bool segment_load_es(uint16_t selector);
bool segment_load_fs(uint16_t selector);
bool segment_load_gs(uint16_t selector);
