/* SPDX-License-Identifier: MIT */
/*
 * The pages at a fixed address for each pCPU: SYSCALL stubs with their data, TSS, interrupt stacks, the windows through which the processor sees GDT
 * and LDT. Layout: x86/layout.h; made by cpu/x86-cpu-area.c.
 */
#pragma once

#include "../cpu.h"
#include "../paging.h"
#include "../types.h"

/* What the SYSCALL stubs reach rip-relative. */
struct cpu_entry_data {
    uint64_t stack_top; /* of the running vCPU: where the frame is pushed */
    uint64_t scratch;   /* the guest's rsp for a moment */
    uint64_t entry64, entry32;
};

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7]; /* ist[0] is IST 1 */
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t iomap_base;
} __attribute__((packed));

/* The page at CPU_AREA_DATA. */
struct cpu_area_data {
    struct cpu_entry_data entry;
    uint64_t pad[3];
    uint32_t tss_pad; /* so that the 64-bit fields of the TSS are aligned */
    struct tss tss;
};

enum { IST_NMI = 1, IST_DF, IST_MC, IST_DB };
#define IST_SLOT_BYTES 0x4000 /* 8 KiB mapped at the top of each */
#define HV_GDT_LIMIT 0xefff

static inline uint64_t cpu_area(uint32_t cpu)
{
    return CPU_AREA_VIRT + cpu * CPU_AREA_SIZE;
}
static inline struct cpu_area_data *cpu_area_data(uint32_t cpu)
{
    return (struct cpu_area_data *)(cpu_area(cpu) + CPU_AREA_DATA);
}

/* On each pCPU, once: its area, GDT, IDT, TSS, SYSCALL registers, CR0 and CR4. The boot CPU calls it first. */
void cpu_area_init(uint32_t cpu);
/* Before cpu_area_init(cpu) runs on that CPU: allocate its pages. 0 or -ENOMEM. Context: the boot CPU. */
int must_check cpu_area_create(uint32_t cpu);

/* Where this CPU puts the frame of the next entry from a guest: the address of the struct stack_info of the vCPU's stack. */
static inline void cpu_area_set_stack(uint64_t stack_top)
{
    struct cpu_area_data *data = cpu_area_data(this_cpu_id());

    data->entry.stack_top = stack_top;
    data->tss.rsp[0] = stack_top;
}

/* The L1 entries behind the GDT window (index 0-13 are the guest's frames) and the LDT window (0-15) of a CPU; 16 in a row. An unused one is paging_zero_pte. */
uint64_t *cpu_area_gdt_pte(uint32_t cpu, uint32_t index);
uint64_t *cpu_area_ldt_pte(uint32_t cpu, uint32_t index);
/* Load LDTR on this CPU for a table of that many entries in its window; 0: none. */
void cpu_area_set_ldt(uint32_t entries);

/* CR4 as the hypervisor runs with it, the same on every CPU. Fixed after the boot CPU's cpu_area_init. */
extern uint64_t cpu_cr4;
