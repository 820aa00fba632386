/* SPDX-License-Identifier: MIT */
/*
 * Frames: who owns each one, what it is used as, and how often.
 *
 * A frame's state is one 64-bit word, changed only by compare-and-swap, so that taking "a reference as writable
 * memory" is one atomic step. A frame has at most one type at a time; the type may change only when its count is zero. A page-table
 * type is *validated* by whoever takes its first reference and *dropped* by whoever returns the last; meanwhile BUSY is set and
 * others wait. (The scheme is that of "Xen and the Art of Virtualization", SOSP 2003, section 3.3.3.)
 *
 * Owner and list links are stable while the reference count is not zero.
 */
#pragma once

#include "types.h"
#include "x86/layout.h"

struct domain;

/* word: type in bits 63..60 | flags 59..56 | type count 55..28 | reference count 27..0 */
#define FRAME_REF_ONE 1ull
#define FRAME_REF_MASK 0x000000000fffffffull
#define FRAME_TYPE_ONE (1ull << 28)
#define FRAME_TYPE_COUNT_MASK 0x00fffffff0000000ull
#define FRAME_ALLOCATED (1ull << 56) /* owned by a domain: accounts for one of the references */
#define FRAME_PINNED (1ull << 57)    /* held as its type by MMUEXT_PIN: accounts for one type count and one reference */
#define FRAME_VALIDATED (1ull << 58) /* its contents have been checked for its type */
#define FRAME_BUSY (1ull << 59)      /* being validated or dropped */
#define FRAME_TYPE_SHIFT 60
#define FRAME_TYPE_MASK (0xfull << FRAME_TYPE_SHIFT)

enum frame_type {
    FRAME_NONE = 0,     /* no use that matters: may become anything */
    FRAME_L1 = 1,       /* page table, level 1 (PTEs) */
    FRAME_L2 = 2,
    FRAME_L3 = 3,
    FRAME_L4 = 4,
    FRAME_DESCRIPTOR = 5, /* segment descriptors (GDT, LDT) */
    FRAME_WRITABLE = 6, /* mapped writable */
    FRAME_SHARED = 7,   /* hypervisor's page that its owner may map writable (shared_info, grant table): never changes type */
};

struct frame {
    uint64_t word;
    uint64_t stamp;  /* flush clock when last a type count or the last reference went away (tlb.h) */
    struct domain *owner; /* NULL: the hypervisor's own, or free */
    uint32_t next, prev; /* list links as frame numbers: a domain's frames, or a free list; protected by that list's lock */
};

#define frame_table ((struct frame *)FRAME_TABLE_VIRT)
extern uint64_t frame_table_end; /* one past the highest frame number that has an entry */
#define m2p_table_guest ((const uint64_t *)M2P_VIRT)
#define FRAME_LIST_END 0xffffffffu

static inline bool frame_number_ok(mfn_t mfn)
{
    return mfn.n < frame_table_end;
}
static inline struct frame *frame_of(mfn_t mfn)
{
    return &frame_table[mfn.n];
}
static inline mfn_t frame_mfn(const struct frame *frame)
{
    return MFN(frame - frame_table);
}
static inline enum frame_type frame_type_of(uint64_t word)
{
    return (enum frame_type)(word >> FRAME_TYPE_SHIFT);
}

/*
 * Take a reference to a frame that `owner` owns; false if there is no such frame, it is another's, or its count is saturated.
 * Context: any. Pair: frame_put.
 */
bool must_check frame_get(mfn_t mfn, const struct domain *owner);
void frame_put(mfn_t mfn); /* may free the frame: not from interrupt handlers */

/*
 * The same plus a reference as `type`. FRAME_WRITABLE and FRAME_SHARED never wait; a page-table or descriptor type may validate the contents, which
 * takes long and may preempt: no lock held.
 * 0, -EINVAL (not the owner's, wrong type in use, contents refused), -EBUSY (saturated).
 */
int must_check frame_get_type(mfn_t mfn, const struct domain *owner, enum frame_type type);
void frame_put_type(mfn_t mfn); /* of the type it has; may drop a whole subtree, which may preempt */

/* Writable access for the hypervisor's own use of a guest frame (a shared page, a ring, a grant copy). Never waits; a frame of any page-table type is refused. */
static inline int must_check frame_get_writable(mfn_t mfn, const struct domain *owner)
{
    return frame_get_type(mfn, owner, FRAME_WRITABLE);
}

/* Domain memory, mm/domain-memory.c. Context: no lock held; interrupts enabled. */
/* A zeroed frame that becomes d's, counted in its reservation; -ENOMEM when d is at its maximum or no frame is left. M2P is set to pfn. */
int must_check domain_frame_alloc(struct domain *d, pfn_t pfn, mfn_t *mfn);
/* A zeroed hypervisor page that d may map (shared_info, grant frames): FRAME_SHARED, not counted, M2P invalid. NULL when there is no memory. */
void *must_check domain_shared_page_alloc(struct domain *d);
void domain_shared_page_free(void *page);
/* Give up d's ownership of one of its frames (balloon, transfer). 0, or -EINVAL if it is not d's, or is used as anything that must stay. It is freed when the last reference goes. */
int must_check domain_frame_release(struct domain *d, mfn_t mfn);

/* Machine-to-physical: pfn for each mfn, ~0 where none. */
void m2p_set(mfn_t mfn, pfn_t pfn);

/* The debug walk: recompute every count from scratch and compare. Stops all guests meanwhile. Returns the number of differences, each logged. mm/audit.c. */
unsigned int frames_audit(void);

/*
 * Map or unmap a frame at a linear address, or in a PTE, of the current domain, on behalf of grants (the granted frame is the other domain's).
 * `pte_flags` are x86 PTE bits (present, write, user, available). A reference as mapped (and as writable with the W bit) is taken and kept by the
 * entry. at_pte: `where` is the machine address of the PTE in an L1 of the current domain; else a linear address whose L1 exists.
 * 0, -EINVAL, -EBUSY. Unmap: the entry must hold exactly this frame, else -EINVAL; replace_pte 0 or a new PTE (linear form: linear address whose entry is moved here).
 */
int must_check pt_grant_map(uint64_t where, bool at_pte, mfn_t mfn, struct domain *owner, uint64_t pte_flags);
int must_check pt_grant_unmap(uint64_t where, bool at_pte, mfn_t mfn, bool writable);
int must_check pt_grant_replace(uint64_t where, mfn_t mfn, bool writable, uint64_t new_linear);
