/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's map of virtual memory, for C and assembly.
 *
 * A PV guest leaves L4 slots 256..271 (0xffff800000000000-0xffff87ffffffffff, ABI.md 1.3) to the hypervisor. These
 * slots are the same in every page table, so that entering the hypervisor needs no switch of it:
 *
 *   slot 256  M2P          machine-to-physical table, read-only for guests (the same frames are written via DIRECTMAP)
 *   slot 261  IMAGE        the image, at IMAGE_VIRT + its physical address; text RX, rodata R, data RW+NX
 *             CPU AREAS    per pCPU: syscall trampoline, IST stacks, guest GDT and LDT windows (x86/cpu-area.h)
 *             STACKS       one stack a vCPU, guard page below each
 *             FIXMAP       device registers (local APIC, IO-APIC), ACPI tables while read
 *   slot 262  FRAME TABLE  struct frame for each machine frame (frame.h)
 *   slot 264..271 DIRECTMAP  all RAM, RW+NX
 */
#pragma once

#ifdef __ASSEMBLER__
#define LAYOUT_UL(x) x
#else
#define LAYOUT_UL(x) x##ul
#endif

#define HV_L4_FIRST 256
#define HV_L4_END 272 /* exclusive */
#define HV_VIRT_START LAYOUT_UL(0xffff800000000000)
#define HV_VIRT_END LAYOUT_UL(0xffff880000000000) /* exclusive */

#define M2P_VIRT LAYOUT_UL(0xffff800000000000)
#define M2P_VIRT_SIZE LAYOUT_UL(0x4000000000) /* 256 GiB window, as ABI.md 1.3 */
#define IMAGE_VIRT LAYOUT_UL(0xffff828000000000)
#define IMAGE_LOAD_PHYS 0x100000 /* 1 MiB: where the multiboot loader puts the image */
#define CPU_AREA_VIRT LAYOUT_UL(0xffff828040000000) /* IMAGE_VIRT + 1 GiB: in reach of rip-relative code */
#define CPU_AREA_SIZE LAYOUT_UL(0x40000)            /* 256 KiB a pCPU */
#define STACK_VIRT LAYOUT_UL(0xffff828050000000)
#define STACK_VIRT_SIZE LAYOUT_UL(0x10000000) /* 256 MiB: 16384 stacks */
#define FIXMAP_VIRT LAYOUT_UL(0xffff828070000000)
#define FIXMAP_SIZE LAYOUT_UL(0x8000000) /* 128 MiB */
#define FRAME_TABLE_VIRT LAYOUT_UL(0xffff830000000000)
#define DIRECTMAP_VIRT LAYOUT_UL(0xffff840000000000)
#define DIRECTMAP_SIZE LAYOUT_UL(0x40000000000) /* 4 TiB */

/* A hypervisor stack: 16 KiB aligned at 16 KiB, the lowest page unmapped as a guard. */
#define TRAMPOLINE_PHYS 0x8000 /* start-up page of other pCPUs, below 1 MiB */

#define STACK_SIZE 16384

/* Within a CPU area. Pages not named are unmapped. */
#define CPU_AREA_TRAMPOLINE 0x0000  /* RX: the 64-bit and compat SYSCALL entry stubs of this pCPU */
#define CPU_AREA_DATA 0x1000        /* RW: struct cpu_entry_data, which the stubs reach rip-relative */
#define CPU_AREA_IST 0x8000         /* four IST stacks of 8 KiB mapped in 16 KiB slots: NMI, #DF, #MC, #DB */
#define CPU_AREA_GDT 0x20000        /* 16 pages: 14 guest frames, then our own page of descriptors */
#define CPU_AREA_LDT 0x30000        /* 16 pages: the running vCPU's LDT */

/* Our descriptors start at entry 7168 of each GDT (selector 0xe000, FIRST_RESERVED_GDT_ENTRY of the ABI). */
#define HV_CS64 0xe008
#define HV_DS 0xe010
#define HV_TSS 0xe040 /* two entries */
#define HV_LDT 0xe050 /* two entries */
