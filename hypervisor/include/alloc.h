/* SPDX-License-Identifier: MIT */
/*
 * Memory: frames by power of two, and small objects for the hypervisor itself.
 *
 * Nothing here waits. Small objects come out of size classes carved from single frames; none of it is on a hot path.
 * Context of all: no interrupt handler (locks are taken with interrupts enabled).
 */
#pragma once

#include "types.h"
#include "x86/layout.h"

/* 2^order frames, contiguous and naturally aligned, for the hypervisor, not zeroed. INVALID_MFN when there are none. */
mfn_t must_check frames_alloc(unsigned int order);
void frames_free(mfn_t mfn, unsigned int order);
/* The same, for frames that no guest could map since they were taken: who takes them next has no TLB to flush. */
void frames_free_unmapped(mfn_t mfn, unsigned int order);

/* One zeroed frame in the direct map, or NULL. */
void *must_check page_alloc(void);
void page_free(void *page);

/* Zeroed memory aligned at 16 (at its size, up to a page, for powers of two), at most 2 MiB; NULL when there is none. */
void *must_check heap_alloc(size_t bytes);
void heap_free(void *ptr); /* NULL is allowed */

uint64_t frames_free_count(void); /* in frames */
uint64_t frames_total_count(void);

/* The direct map of all RAM. virt_to_*: of a direct-map or image address. */
static inline void *maddr_to_virt(uint64_t maddr)
{
    return (void *)(DIRECTMAP_VIRT + maddr);
}

static inline uint64_t virt_to_maddr(const void *va)
{
    uint64_t address = (uint64_t)va;

    return address >= DIRECTMAP_VIRT ? address - DIRECTMAP_VIRT : address - IMAGE_VIRT;
}

static inline void *mfn_to_virt(mfn_t mfn)
{
    return maddr_to_virt(mfn_to_maddr(mfn));
}

static inline mfn_t virt_to_mfn(const void *va)
{
    return maddr_to_mfn(virt_to_maddr(va));
}

/* Map device registers or tables uncached (or cached), for good; NULL if the fixmap is full. Boot only. */
void *fixmap_map(uint64_t maddr, size_t bytes, bool cached);
