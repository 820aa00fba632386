/* SPDX-License-Identifier: MIT */
/*
 * Per-pCPU areas: descriptor tables, TSS, IST stacks, SYSCALL stubs, and the control registers that go with them.
 *
 * The GDT is a window of 15 pages: the running vCPU's up to 14 frames, then our own page, whose entries the ABI places at selector 0xe000. Guest pages
 * that are not there read as zero descriptors. Contract: x86/cpu-area.h.
 */
#include "x86/cpu-area.h"

#include "alloc.h"
#include "lib/string.h"
#include "log.h"
#include "mm.h"
#include "options.h"
#include "paging.h"
#include "vcpu.h"
#include "x86/cpu-asm.h"

#include <hv/errno.h>
#include <xen/xen.h>

#define GDT_OWN_PAGE 14 /* FIRST_RESERVED_GDT_PAGE */
#define DESC_CODE64_RING0 0x00af9b000000ffffull
#define DESC_DATA_RING0 0x00cf93000000ffffull
#define DESC_CODE32_RING3 0x00cffb000000ffffull
#define DESC_DATA_RING3 0x00cff3000000ffffull
#define DESC_CODE64_RING3 0x00affb000000ffffull
#define DESC_TSS 0x89ull
#define DESC_LDT 0x82ull
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SFMASK 0xc0000084
#define EFER_SCE 1u
#define EFER_NXE (1u << 11)
#define SFMASK_BITS (RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC)
#define CR4_PAE (1u << 5)
#define CR4_MCE (1u << 6)
#define CR4_OSFXSR (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_FSGSBASE (1u << 16)
#define CR4_OSXSAVE (1u << 18)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define CR0_WANTED 0x80010033ull /* PG WP NE ET MP PE */

enum { IST_NMI = 1, IST_DF, IST_MC, IST_DB };

struct idt_gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

extern const uint64_t trap_entry_table[256];
extern const char syscall_stubs[], syscall_stub64[], syscall_stub32[], syscall_stubs_end[];
void syscall_entry(void);
void syscall32_entry(void);

static struct idt_gate idt[256] aligned_to(16); /* one for all; filled once */
static uint64_t zero_page[512] aligned_to(4096); /* stands for guest descriptor pages that are not there */

static uint8_t gate_ist(unsigned int vector)
{
    switch (vector) {
    case 2:
        return IST_NMI;
    case 8:
        return IST_DF;
    case 18:
        return IST_MC;
    case 1:
        return IST_DB;
    default:
        return 0;
    }
}

static void idt_fill(void)
{
    unsigned int i;

    for (i = 0; i < 256; i++) {
        uint64_t to = trap_entry_table[i];
        bool open = i == 3 || i == 4 || i == 0x80; /* guest programs may INT3, INTO and INT 0x80 */

        idt[i] = (struct idt_gate){
            .offset_low = (uint16_t)to,
            .selector = HV_CS64,
            .ist = gate_ist(i),
            .type = (uint8_t)(0x8e | (open ? 3 << 5 : 0)),
            .offset_middle = (uint16_t)(to >> 16),
            .offset_high = (uint32_t)(to >> 32),
        };
    }
}

static void system_descriptor(uint64_t *entry, uint64_t type, uint64_t base, uint64_t limit)
{
    entry[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | type << 40 | ((limit >> 16) & 0xf) << 48 | (base >> 24 & 0xff) << 56;
    entry[1] = base >> 32;
}

static uint64_t *own_descriptors(uint32_t cpu, unsigned int selector)
{
    return (uint64_t *)(cpu_area_gdt_va(cpu, 0) + (selector & ~7u));
}

/* A fresh zeroed page at an address of the areas. */
static int page_map_new(uint64_t va, uint64_t flags)
{
    void *page = page_alloc();

    return page != NULL ? paging_map(va, virt_to_mfn(page), flags) : -ENOMEM;
}

static int windows_map(uint32_t cpu)
{
    unsigned int i;
    int rc = 0;

    for (i = 0; rc == 0 && i < 16; i++) {
        mfn_t zero = virt_to_mfn(zero_page);

        if (i != GDT_OWN_PAGE)
            rc = paging_map(cpu_area_gdt_va(cpu, i), zero, PTE_PRESENT | PTE_NX);
        else
            rc = page_map_new(cpu_area_gdt_va(cpu, i), PTE_PRESENT | PTE_WRITE | PTE_NX);
        if (rc == 0)
            rc = paging_map(cpu_area_ldt_va(cpu, i), zero, PTE_PRESENT | PTE_NX);
    }
    return rc;
}

static int stacks_map(uint32_t cpu, struct tss64 *tss)
{
    unsigned int i;
    int rc = 0;

    for (i = 0; rc == 0 && i < 4; i++) {
        uint64_t top = cpu_area(cpu) + CPU_AREA_IST + (i + 1) * STACK_SIZE;
        struct stack_info *info = (struct stack_info *)top - 1;

        rc = page_map_new(top - PAGE_SIZE, PTE_PRESENT | PTE_WRITE | PTE_NX);
        if (rc == 0)
            rc = page_map_new(top - 2 * PAGE_SIZE, PTE_PRESENT | PTE_WRITE | PTE_NX);
        if (rc != 0)
            break;
        info->vcpu = NULL;
        info->cpu = &cpus[cpu];
        tss->ist[i] = (uint64_t)info;
    }
    return rc;
}

int cpu_area_init(uint32_t cpu)
{
    uint64_t area = cpu_area(cpu);
    struct tss64 *tss = (struct tss64 *)(area + CPU_AREA_DATA + CPU_AREA_TSS_OFFSET);
    struct cpu_entry_data *data = cpu_area_entry_data(cpu);
    void *stubs;
    int rc;

    if (cpu == 0)
        idt_fill();
    stubs = page_alloc();
    if (stubs == NULL)
        return -ENOMEM;
    memcpy(stubs, syscall_stubs, (size_t)(syscall_stubs_end - syscall_stubs)); /* through the direct map: its own mapping is not writable */
    rc = paging_map(area + CPU_AREA_TRAMPOLINE, virt_to_mfn(stubs), PTE_PRESENT);
    if (rc == 0)
        rc = page_map_new(area + CPU_AREA_DATA, PTE_PRESENT | PTE_WRITE | PTE_NX);
    if (rc == 0)
        rc = windows_map(cpu);
    if (rc == 0)
        rc = stacks_map(cpu, tss);
    if (rc != 0)
        return rc;
    data->entry64 = (uint64_t)syscall_entry;
    data->entry32 = (uint64_t)syscall32_entry;
    tss->io_map_base = sizeof(*tss);
    *own_descriptors(cpu, HV_CS64) = DESC_CODE64_RING0;
    *own_descriptors(cpu, HV_DS) = DESC_DATA_RING0;
    *own_descriptors(cpu, FLAT_RING3_CS32) = DESC_CODE32_RING3;
    *own_descriptors(cpu, FLAT_RING3_SS32) = DESC_DATA_RING3;
    *own_descriptors(cpu, FLAT_RING3_CS64) = DESC_CODE64_RING3;
    system_descriptor(own_descriptors(cpu, HV_TSS), DESC_TSS, (uint64_t)tss, sizeof(*tss) - 1);
    return 0;
}

static uint64_t cr4_wanted(void)
{
    struct cpuid_regs one = cpuid(1, 0), seven = {0};
    uint64_t cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    if (cpuid(0, 0).eax >= 7)
        seven = cpuid(7, 0);
    if ((one.edx & (1u << 7)) && (one.edx & (1u << 14)))
        cr4 |= CR4_MCE;
    if (one.ecx & (1u << 26))
        cr4 |= CR4_OSXSAVE;
    if (seven.ebx & 1u)
        cr4 |= CR4_FSGSBASE;
    if (seven.ebx & (1u << 7))
        cr4 |= CR4_SMEP;
    if ((seven.ebx & (1u << 20)) && boot_options.smap)
        cr4 |= CR4_SMAP;
    return cr4;
}

static void syscall_enable(uint32_t cpu)
{
    uint64_t stub = cpu_area(cpu) + CPU_AREA_TRAMPOLINE;

    wrmsr(MSR_STAR, (uint64_t)FLAT_RING3_CS32 << 48 | (uint64_t)HV_CS64 << 32);
    wrmsr(MSR_LSTAR, stub + (uint64_t)(syscall_stub64 - syscall_stubs));
    wrmsr(MSR_CSTAR, stub + (uint64_t)(syscall_stub32 - syscall_stubs));
    wrmsr(MSR_SFMASK, SFMASK_BITS);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
}

void cpu_area_load(uint32_t cpu)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdtr = {(GDT_OWN_PAGE + 1) * PAGE_SIZE - 1, cpu_area_gdt_va(cpu, 0)},
                              idtr = {sizeof(idt) - 1, (uint64_t)idt};

    __asm__ volatile("lgdt %0; lidt %1" ::"m"(gdtr), "m"(idtr) : "memory");
    __asm__ volatile("mov %0,%%ss; push %1; lea 1f(%%rip),%%rax; push %%rax; lretq; 1:" ::"r"(HV_DS), "r"((uint64_t)HV_CS64)
                     : "rax", "memory");
    __asm__ volatile("mov %0,%%ds; mov %0,%%es; mov %0,%%fs; mov %0,%%gs" ::"r"(0));
    __asm__ volatile("ltr %w0" ::"r"(HV_TSS));
    cpu_area_set_ldt(0);
    write_cr0(CR0_WANTED);
    write_cr4(cr4_wanted());
    syscall_enable(cpu);
}

uint64_t *cpu_area_gdt_pte(uint32_t cpu, unsigned int index)
{
    return paging_pte(cpu_area_gdt_va(cpu, index));
}

uint64_t *cpu_area_ldt_pte(uint32_t cpu, unsigned int index)
{
    return paging_pte(cpu_area_ldt_va(cpu, index));
}

void cpu_area_set_ldt(unsigned int entries)
{
    uint32_t cpu = this_cpu_id();

    if (entries != 0)
        system_descriptor(own_descriptors(cpu, HV_LDT), DESC_LDT, cpu_area_ldt_va(cpu, 0), entries * 8ull - 1);
    __asm__ volatile("lldt %w0" ::"r"(entries != 0 ? HV_LDT : 0));
}
