/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: what the other concepts ask of mm/. Frames and their types are in frame.h.
 */
#pragma once

#include "frame.h"
#include "types.h"

struct domain;
struct vcpu;

/* x86-64 page-table entry bits (SDM vol. 3, 4.5). */
#define PTE_PRESENT 0x001ull
#define PTE_WRITE 0x002ull
#define PTE_USER 0x004ull
#define PTE_PWT 0x008ull
#define PTE_PCD 0x010ull
#define PTE_ACCESSED 0x020ull
#define PTE_DIRTY 0x040ull
#define PTE_PSE 0x080ull /* L2, L3: large page; L1: PAT */
#define PTE_GLOBAL 0x100ull
#define PTE_AVAIL 0xe00ull /* software */
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define pte_mfn(pte) MFN(((pte) & PTE_ADDRESS) >> PAGE_SHIFT)

/* Hand a range of RAM to the frame allocator. Boot only. */
void frames_init_add(uint64_t start_mfn, uint64_t end_mfn);

/*
 * Take over the page tables that a domain builder wrote through the direct map: validate l4 and all below it by the ordinary rules (so page-table
 * pages must be mapped read-only in them) and pin it. 0 or -EINVAL, logged with the place. The caller then installs it with vcpu_set_base.
 */
int must_check pt_adopt_initial(struct domain *d, mfn_t l4);

/* Give d `count` zeroed frames for the pfns from first_pfn on; mfns[i] receives each. All or nothing: -ENOMEM. Builders only. */
int must_check domain_frames_populate(struct domain *d, uint64_t first_pfn, uint64_t count, uint64_t *mfns);
/* The same, and the frames hold what the RAM happened to: only for Domain0 at boot, when no other domain has owned any yet. Zeroing all RAM would be most of the boot. */
int must_check domain_frames_populate_unzeroed(struct domain *d, uint64_t first_pfn, uint64_t count, uint64_t *mfns);

/*
 * Drop pins and page tables, then every frame of d, until it is `until_ns`, but some in any case: true when all is done, so that one may go on later. Its vCPUs do not run any more and hold
 * no base (vcpu_drop_bases). May preempt.
 */
bool domain_memory_destroy(struct domain *d, uint64_t until_ns);

/* Show every frame of d, with its word at that moment (frame.h; one reference in it is the walk's own). Others may change it meanwhile. May preempt; d may not go away: domain_memory_enter. */
void domain_frames_each(struct domain *d, void (*each)(void *arg, mfn_t mfn, uint64_t word), void *arg);

/* A zeroed page of the hypervisor's that privileged domains may map read-only, as a frame of DOMID_XEN; never given back. NULL: no memory. */
void *must_check hypervisor_page_share(void);
/* The owner of such pages; not on the list of domains. */
extern struct domain *domain_hypervisor;

/* The vCPU's page tables: takes a type reference of its own on an L4 of v's domain. user: the table for user mode (mfn 0 clears it). v not running, or current. 0, -EINVAL, -EBUSY. */
int must_check vcpu_set_base(struct vcpu *v, mfn_t l4, bool user);
void vcpu_drop_bases(struct vcpu *v); /* v does not run */

/* Segment descriptor tables; mm/descriptor.c. v is current, or does not run. */
int must_check vcpu_set_gdt(struct vcpu *v, const uint64_t *mfns, unsigned int frames, unsigned int entries);
int must_check vcpu_set_ldt(struct vcpu *v, uint64_t base, unsigned int entries);
void vcpu_descriptors_drop(struct vcpu *v);
/* Write v's GDT and LDT frames into this pCPU's windows; v is becoming or is current. Interrupts off. Given by cpu/x86-switch.c. */
void vcpu_descriptors_load(struct vcpu *v);

/*
 * For the emulator of page-table writes: the 8-byte entry at a linear address of the current page table.
 * pt_write_cmpxchg checks new_value like mmu_update does and replaces the entry if it still is *old_seen. 0; -EAGAIN with *old_seen refreshed;
 * other -errno: not a page-table entry of v's domain, or refused.
 */
struct pt_place {
    uint64_t *entry; /* through the direct map */
    mfn_t table;     /* the frame it lies in; no reference is held between the two calls, so the second one looks again */
};
int must_check pt_read(uint64_t linear, struct pt_place *place, uint64_t *value);
int must_check pt_write_cmpxchg(struct vcpu *v, const struct pt_place *place, uint64_t *old_seen, uint64_t new_value);

/* The L1 entry that maps a linear address in the current page table, through the direct map; NULL if there is none. No reference is taken: only for the
 * current vCPU, whose tables its own references keep in place, and to be re-checked by the type of the frame. */
uint64_t *pt_walk_l1e(uint64_t linear, mfn_t *l1);
