/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own page tables. boot/x86-paging.c; the map is in x86/layout.h.
 */
#pragma once

#include "types.h"
#include "x86/layout.h"

/* What every L4 has in slots HV_L4_FIRST..HV_L4_END-1; fixed after paging_init(). */
extern uint64_t paging_hv_l4_entries[HV_L4_END - HV_L4_FIRST];
/* A table with nothing but the hypervisor's slots: for pCPUs without a guest. */
extern uint64_t paging_idle_cr3;
/* The machine-to-physical table as the hypervisor writes it; guests see it read-only at M2P_VIRT. */
extern uint64_t *m2p_writable;

/* Boot CPU, once: build and load the final tables out of boot_info.ram; the frame table and the M2P lie in them. */
void paging_init(void);
/* Hand every frame that is not in use (image, tables, modules) to the frame allocator. After paging_init(). */
void paging_release_memory(void);
/* Guard page under the boot CPU's stack, rights of the image as they shall stay. Last step of start-up on the boot CPU. */
void paging_seal(void);

/*
 * Map, unmap one page in the regions CPU AREAS, STACKS, FIXMAP; flags are PTE bits. 0, -ENOMEM (no page for a table). Unmapping flushes this pCPU only.
 * Context: no interrupt handler, lock-free callers one at a time per address.
 */
int must_check paging_map(uint64_t va, mfn_t mfn, uint64_t flags);
void paging_unmap(uint64_t va);
/* The L1 entry of an address in these regions; NULL if it has no table. */
uint64_t *paging_pte(uint64_t va);
