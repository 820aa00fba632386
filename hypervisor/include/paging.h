/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own page tables: L4 slots HV_L4_FIRST..HV_L4_END-1, built once at boot by boot/x86-paging.c and shared by every page
 * table in the machine. After boot only single 4 KiB pages of the CPU areas, the stacks and the fixmap come and go.
 *
 * Rights: text is read+execute, constants and tables read-only, everything else writable and never executable; only the M2P can be read
 * by guests. The direct map shows all RAM, the image's text and constants read-only there too.
 */
#pragma once

#include "types.h"
#include "x86/layout.h"

/* Rights for paging_map; always present, supervisor, accessed and dirty already set. */
#define PAGING_RX 0x061ull
#define PAGING_RO 0x8000000000000061ull
#define PAGING_RW 0x8000000000000063ull
#define PAGING_UNCACHED 0x018ull /* or-ed to one of them */

/* Copied into every L4 that guests use, at HV_L4_FIRST. Fixed after paging_init. */
extern uint64_t paging_hv_l4_entries[HV_L4_END - HV_L4_FIRST];
/* A page table of the hypervisor's slots alone: for idle CPUs. */
extern uint64_t paging_idle_cr3;
/* One entry for a frame of zeros, read-only: for unused pages of GDT and LDT windows. */
extern uint64_t paging_zero_pte;

/* Boot CPU, once, after boot_info and options: builds everything above, switches to it, and hands free RAM to frames_init_add. */
void paging_init(void);
/* mm/frame-alloc.c: these frames [start, end) are free from now on. */
void frames_init_add(uint64_t start_mfn, uint64_t end_mfn);
/* RAM the hypervisor keeps for itself at boot (image, tables), in bytes. */
extern uint64_t paging_own_bytes;
/* Frames of RAM that exist, module memory and the hypervisor's own included. */
extern uint64_t paging_ram_frames;

/* Machine-to-physical table as the hypervisor writes it. Only entries of frames that are RAM may be written. */
#define m2p_writable ((uint64_t *)M2P_WRITABLE_VIRT)

/*
 * One page of a CPU area, of the stacks or of the fixmap. flags: PAGING_*. 0 or -ENOMEM; -EEXIST when something is mapped there.
 * Context: interrupts enabled, no lock held.
 */
int must_check paging_map(uint64_t va, mfn_t mfn, uint64_t flags);
/* Every CPU has forgotten it on return. The frame is the caller's. */
void paging_unmap(uint64_t va);
/* The L1 entry of an address in those regions, or NULL while its table does not exist. CPU areas: always there after cpu_area_init. */
uint64_t *paging_pte(uint64_t va);

/* A hypervisor stack: 12 KiB mapped above a guard page, zeroed, aligned as cpu.h needs. The lowest mapped address, or NULL. Context: as paging_map. */
void *must_check stack_alloc(void);
void stack_free(void *lowest); /* not the one we run on */
/* Its struct stack_info, at the very top: from the lowest mapped address of a stack. */
static inline struct stack_info *stack_info_of(void *lowest)
{
    return (struct stack_info *)(((uint64_t)lowest & ~(STACK_SIZE - 1ul)) + STACK_SIZE - 16);
}

/* Map device registers or firmware tables uncached (or cached), for good; NULL if the fixmap is full. Boot only. */
void *must_check fixmap_map(uint64_t maddr, size_t bytes, bool cached);

/* The direct map of all RAM. */
static inline void *maddr_to_virt(uint64_t maddr)
{
    return (void *)(DIRECTMAP_VIRT + maddr);
}
static inline void *mfn_to_virt(mfn_t mfn)
{
    return (void *)(DIRECTMAP_VIRT + mfn_to_maddr(mfn));
}
/* Of a direct-map or image address. */
static inline uint64_t virt_to_maddr(const void *va)
{
    uint64_t address = (uint64_t)va;

    return address >= DIRECTMAP_VIRT ? address - DIRECTMAP_VIRT : address - IMAGE_VIRT;
}
static inline mfn_t virt_to_mfn(const void *va)
{
    return maddr_to_mfn(virt_to_maddr(va));
}
