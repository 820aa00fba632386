/* SPDX-License-Identifier: MIT */
/*
 * Inside mm/: checking page tables and changing their entries.
 */
#pragma once

#include "frame.h"
#include "mm.h"
#include "types.h"

struct domain;

/*
 * Take every reference that the contents of a page of this type imply; all or none. The caller has made the frame BUSY as `type`. Entries get
 * PTE_USER (guest kernels run in ring 3). May preempt. 0, -EINVAL, -EBUSY.
 */
int must_check pt_validate(struct domain *d, mfn_t mfn, enum frame_type type);
/* Return them. May preempt. */
void pt_drop(mfn_t mfn, enum frame_type type);

/*
 * Replace one entry of a validated table that the caller holds by a type reference. `owner` owns the frame of a new L1 entry (d but for
 * foreign mappings). keep_ad: the accessed and dirty bits of the old entry stay as they are. 0, -EINVAL, -EBUSY. May preempt (level > 1).
 */
int must_check pt_l1_update(struct domain *owner, uint64_t *entry, uint64_t value, bool keep_ad);
int must_check pt_upper_update(struct domain *d, enum frame_type level, uint64_t *entry, uint64_t value, bool keep_ad);
/* L1 only, and only if the entry still is *seen: else -EAGAIN with *seen refreshed. */
int must_check pt_l1_update_if(struct domain *owner, uint64_t *entry, uint64_t *seen, uint64_t value);

/* Whether someone uses the frame as this type now. Taking a type on an unused frame would make it one: where that is not meant, look first. */
static inline bool frame_in_use_as(mfn_t mfn, enum frame_type type)
{
    uint64_t word;

    if (!frame_number_ok(mfn))
        return false;
    word = READ_ONCE(frame_of(mfn)->word);
    return frame_type_of(word) == type && (word & FRAME_TYPE_COUNT_MASK) != 0;
}

/* Put PINNED on / take it off; false if it was so already. The reference that goes with it is the caller's business. */
bool frame_pin(mfn_t mfn);
bool frame_unpin(mfn_t mfn);

/* The last reference has gone: back to the allocator. Context: interrupts enabled, no lock. */
void domain_frame_free(struct frame *f);

/*
 * preempt_point() that lets others see that this vCPU is in the middle of a memory operation, and so holds references or memory of its own. Loops whose length the guest chooses hold nothing
 * between two rounds and use preempt_point() there, or stop when their domain is `ending`.
 */
void mm_preempt_point(void);

/*
 * A contiguous extent of 2^order zeroed frames for d, wholly below 2^address_bits; mfns receives each. M2P is set from pfn on (pfn ~0: left invalid).
 * 0 or -ENOMEM (over the maximum, none left, none that low).
 */
int must_check domain_extent_alloc(struct domain *d, pfn_t pfn, unsigned int order, unsigned int address_bits, uint64_t *mfns);
/* The same without regard to the maximum, for an exchange that is about to give as much back; M2P left invalid. */
int must_check domain_extent_exchange_alloc(struct domain *d, unsigned int order, unsigned int address_bits, uint64_t *mfns);
