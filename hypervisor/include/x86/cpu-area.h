/* SPDX-License-Identifier: MIT */
/*
 * What each pCPU has at a fixed place of its own: descriptor windows, TSS, IST stacks, SYSCALL stubs (x86/layout.h has the map).
 * cpu/x86-cpu-area.c. Context of all: boot, or this pCPU with interrupts off.
 */
#pragma once

#include "../cpu.h"
#include "layout.h"

/* What the SYSCALL stubs reach rip-relative; syscall-stubs.S knows the order. */
struct cpu_entry_data {
    uint64_t stack_top; /* struct stack_info of the running vCPU */
    uint64_t scratch;   /* the guest's rsp for two instructions */
    uint64_t entry64;   /* syscall_entry */
    uint64_t entry32;   /* syscall32_entry */
};

/* SDM vol. 3, figure 8-11. */
struct tss64 {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
} __attribute__((packed));
#define CPU_AREA_TSS_OFFSET 256 /* within the page CPU_AREA_DATA */

static inline uint64_t cpu_area(uint32_t cpu)
{
    return CPU_AREA_VIRT + cpu * CPU_AREA_SIZE;
}

static inline struct cpu_entry_data *cpu_area_entry_data(uint32_t cpu)
{
    return (struct cpu_entry_data *)(cpu_area(cpu) + CPU_AREA_DATA);
}

/* Where this pCPU enters from ring 3: the struct stack_info of the vCPU that runs. */
static inline void cpu_area_set_stack(uint64_t stack_top)
{
    uint64_t area = cpu_area(this_cpu_id());

    ((struct cpu_entry_data *)(area + CPU_AREA_DATA))->stack_top = stack_top;
    ((struct tss64 *)(area + CPU_AREA_DATA + CPU_AREA_TSS_OFFSET))->rsp[0] = stack_top;
}

/* Allocate and fill the area of a pCPU that is to start; -ENOMEM. Boot CPU, boot. */
int must_check cpu_area_init(uint32_t cpu);
/* Make it this pCPU's: GDT, IDT, TSS, control registers, SYSCALL. */
void cpu_area_load(uint32_t cpu);

/* The L1 entries of this pCPU's windows. Whoever changes one flushes its address (cpu_area_gdt_va). */
uint64_t *cpu_area_gdt_pte(uint32_t cpu, unsigned int index);
uint64_t *cpu_area_ldt_pte(uint32_t cpu, unsigned int index);
static inline uint64_t cpu_area_gdt_va(uint32_t cpu, unsigned int index)
{
    return cpu_area(cpu) + CPU_AREA_GDT + index * PAGE_SIZE;
}
static inline uint64_t cpu_area_ldt_va(uint32_t cpu, unsigned int index)
{
    return cpu_area(cpu) + CPU_AREA_LDT + index * PAGE_SIZE;
}
/* This pCPU's LDT: as many entries of its window; 0 none. */
void cpu_area_set_ldt(unsigned int entries);
