/* SPDX-License-Identifier: MIT */
/*
 * The processor's own instructions, one inline function each. With *.S and x86-*.c files, the only place for them.
 * The host harness answers the same names from sdk/host/x86/cpu-asm.h.
 */
#pragma once

#include "../types.h"

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}

static inline uint64_t must_check irq_save(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
    return flags;
}

static inline void irq_restore(uint64_t flags)
{
    if (flags & (1u << 9))
        __asm__ volatile("sti" ::: "memory");
}

static inline void irq_enable(void)
{
    __asm__ volatile("sti" ::: "memory");
}

static inline void irq_disable(void)
{
    __asm__ volatile("cli" ::: "memory");
}

static inline bool irq_enabled(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    return flags & (1u << 9);
}

/* Enable interrupts and halt as one step: an interrupt between the two cannot be lost (SDM vol. 2, STI). */
static inline void irq_enable_and_halt(void)
{
    __asm__ volatile("sti; hlt" ::: "memory");
}

/* Not volatile: the compiler may use one reading twice, since a stack does not change under a function. */
static inline uint64_t read_stack_pointer(void)
{
    uint64_t sp;

    __asm__("mov %%rsp,%0" : "=r"(sp));
    return sp;
}

static inline void cpu_halt(void)
{
    __asm__ volatile("hlt" ::: "memory");
}

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return ((uint64_t)hi << 32) | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return ((uint64_t)hi << 32) | lo;
}

static inline uint64_t read_cr0(void)
{
    uint64_t v;

    __asm__ volatile("mov %%cr0,%0" : "=r"(v)::"memory");
    return v;
}
static inline void write_cr0(uint64_t v)
{
    __asm__ volatile("mov %0,%%cr0" ::"r"(v) : "memory");
}
static inline uint64_t read_cr2(void)
{
    uint64_t v;

    __asm__ volatile("mov %%cr2,%0" : "=r"(v)::"memory");
    return v;
}
static inline uint64_t read_cr3(void)
{
    uint64_t v;

    __asm__ volatile("mov %%cr3,%0" : "=r"(v)::"memory");
    return v;
}
static inline void write_cr3(uint64_t v)
{
    __asm__ volatile("mov %0,%%cr3" ::"r"(v) : "memory");
}
static inline uint64_t read_cr4(void)
{
    uint64_t v;

    __asm__ volatile("mov %%cr4,%0" : "=r"(v)::"memory");
    return v;
}
static inline void write_cr4(uint64_t v)
{
    __asm__ volatile("mov %0,%%cr4" ::"r"(v) : "memory");
}

static inline void invlpg(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0,%1" ::"a"(v), "Nd"(port) : "memory");
}
static inline uint8_t inb(uint16_t port)
{
    uint8_t v;

    __asm__ volatile("inb %1,%0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0,%1" ::"a"(v), "Nd"(port) : "memory");
}
static inline uint16_t inw(uint16_t port)
{
    uint16_t v;

    __asm__ volatile("inw %1,%0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline void outl(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0,%1" ::"a"(v), "Nd"(port) : "memory");
}
static inline uint32_t inl(uint16_t port)
{
    uint32_t v;

    __asm__ volatile("inl %1,%0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}

static inline void swapgs(void)
{
    __asm__ volatile("swapgs" ::: "memory");
}

/* ds, es, fs, gs as they are now. */
static inline void segment_selectors_read(uint64_t selectors[4])
{
    uint16_t ds, es, fs, gs;

    __asm__ volatile("mov %%ds,%0; mov %%es,%1; mov %%fs,%2; mov %%gs,%3" : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
    selectors[0] = ds;
    selectors[1] = es;
    selectors[2] = fs;
    selectors[3] = gs;
}
