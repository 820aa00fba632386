/* SPDX-License-Identifier: MIT */
/*
 * A domain's frames: given, returned, and torn down with it.
 *
 * Each frame is on its owner's list while it has any reference. While a domain owns frames (even a dead one whose frames others still
 * map) the frames together hold one reference to its struct domain. Contracts: frame.h, mm.h.
 */
#include "alloc.h"
#include "domain.h"
#include "lib/string.h"
#include "mm.h"
#include "page-table.h"
#include "paging.h"
#include "time.h"
#include "tlb.h"
#include "vcpu.h"

#include <hv/errno.h>

#define CLOCK_EACH 64u /* frames between two looks at the clock */
#define PASS_MAX 256u  /* frames passed over with the lock held */

void m2p_set(mfn_t mfn, pfn_t pfn)
{
    if (frame_number_ok(mfn))
        m2p_writable[mfn.n] = pfn.n;
}

/* Under d->memory_lock. True if the domain owned nothing before: the caller takes the frames' reference. */
static void frame_link(struct domain *d, struct frame *f)
{
    uint32_t n = (uint32_t)frame_mfn(f).n;

    f->prev = FRAME_LIST_END;
    f->next = d->frame_list;
    if (f->next != FRAME_LIST_END)
        frame_table[f->next].prev = n;
    d->frame_list = n;
}

static void frame_unlink(struct domain *d, struct frame *f)
{
    if (f->prev == FRAME_LIST_END)
        d->frame_list = f->next;
    else
        frame_table[f->prev].next = f->next;
    if (f->next != FRAME_LIST_END)
        frame_table[f->next].prev = f->prev;
}

static void frame_become_owned(struct domain *d, mfn_t mfn, uint64_t word)
{
    struct frame *f = frame_of(mfn);

    f->owner = d;
    __atomic_store_n(&f->word, word, __ATOMIC_RELEASE); /* last: from here on it can be referenced */
}

int domain_frame_alloc(struct domain *d, pfn_t pfn, mfn_t *mfn)
{
    uint64_t m;

    return domain_frames_populate(d, pfn.n, 1, &m) == 0 ? (*mfn = MFN(m), 0) : -ENOMEM;
}

/* Reserve `count` in d's reservation; false when over its maximum. */
static bool reservation_grow(struct domain *d, uint64_t count, bool over_maximum)
{
    bool ok;

    spin_lock(&d->memory_lock);
    ok = !d->dying && (over_maximum || (count <= d->frame_max && d->frame_count <= d->frame_max - count));
    if (ok) {
        if (d->frame_count + d->shared_frames == 0)
            domain_get(d);
        d->frame_count += count;
    }
    spin_unlock(&d->memory_lock);
    return ok;
}

static void reservation_shrink(struct domain *d, uint64_t count, uint64_t shared)
{
    bool last;

    spin_lock(&d->memory_lock);
    d->frame_count -= count;
    d->shared_frames -= shared;
    last = d->frame_count + d->shared_frames == 0;
    spin_unlock(&d->memory_lock);
    if (last)
        domain_put(d);
}

/* The frames' contents are seen to by the caller. */
static void frames_give(struct domain *d, mfn_t first, uint64_t pfn, uint64_t count, uint64_t *mfns)
{
    uint64_t i;

    spin_lock(&d->memory_lock);
    for (i = 0; i < count; i++) {
        mfn_t mfn = MFN(first.n + i);

        frame_link(d, frame_of(mfn));
        m2p_writable[mfn.n] = pfn == ~0ull ? ~0ull : pfn + i;
        frame_become_owned(d, mfn, FRAME_ALLOCATED | FRAME_REF_ONE);
        mfns[i] = mfn.n;
    }
    spin_unlock(&d->memory_lock);
}

static int frames_populate(struct domain *d, uint64_t first_pfn, uint64_t count, uint64_t *mfns, bool zeroed)
{
    uint64_t done = 0;
    unsigned int order = 9;

    if (!reservation_grow(d, count, false))
        return -ENOMEM;
    while (done < count) {
        mfn_t first;

        while (order > 0 && (1ull << order) > count - done)
            order--;
        first = frames_alloc(order);
        if (!mfn_valid_number(first)) {
            if (order-- > 0)
                continue;
            reservation_shrink(d, count - done, 0);
            while (done-- > 0)
                if (domain_frame_release(d, MFN(mfns[done])) != 0)
                    log_error("d%u: frame %#lx stays after a failed population", d->id, (unsigned long)mfns[done]);
            return -ENOMEM;
        }
        if (zeroed)
            memset(mfn_to_virt(first), 0, PAGE_SIZE << order);
        frames_give(d, first, first_pfn + done, 1ull << order, mfns + done);
        done += 1ull << order;
        if (zeroed)
            mm_preempt_point();
    }
    return 0;
}

int domain_frames_populate(struct domain *d, uint64_t first_pfn, uint64_t count, uint64_t *mfns)
{
    return frames_populate(d, first_pfn, count, mfns, true);
}

int domain_frames_populate_unzeroed(struct domain *d, uint64_t first_pfn, uint64_t count, uint64_t *mfns)
{
    return frames_populate(d, first_pfn, count, mfns, false);
}

static int extent_alloc(struct domain *d, uint64_t pfn, unsigned int order, unsigned int address_bits, bool exchange,
                        uint64_t *mfns)
{
    mfn_t first;

    if (!reservation_grow(d, 1ull << order, exchange))
        return -ENOMEM;
    first = frames_alloc(order);
    if (mfn_valid_number(first) && address_bits < 52 && ((first.n + (1ull << order) - 1) << PAGE_SHIFT) >> address_bits) {
        frames_free(first, order);
        first = INVALID_MFN;
    }
    if (!mfn_valid_number(first)) {
        reservation_shrink(d, 1ull << order, 0);
        return -ENOMEM;
    }
    memset(mfn_to_virt(first), 0, PAGE_SIZE << order);
    frames_give(d, first, pfn, 1ull << order, mfns);
    return 0;
}

int domain_extent_alloc(struct domain *d, pfn_t pfn, unsigned int order, unsigned int address_bits, uint64_t *mfns)
{
    return extent_alloc(d, pfn.n, order, address_bits, false, mfns);
}

int domain_extent_exchange_alloc(struct domain *d, unsigned int order, unsigned int address_bits, uint64_t *mfns)
{
    return extent_alloc(d, ~0ull, order, address_bits, true, mfns);
}

void domain_frame_free(struct frame *f)
{
    struct domain *d = f->owner;
    bool shared = frame_type_of(f->word) == FRAME_SHARED;
    mfn_t mfn = frame_mfn(f);

    if (!shared) {
        spin_lock(&d->memory_lock);
        frame_unlink(d, f);
        spin_unlock(&d->memory_lock);
    }
    m2p_writable[mfn.n] = ~0ull;
    frames_free(mfn, 0);
    reservation_shrink(d, shared ? 0 : 1, shared ? 1 : 0);
}

/* Clear ALLOCATED; the reference that goes with it is the caller's to return. False if it was clear. */
static bool frame_disown(struct frame *f)
{
    uint64_t w = READ_ONCE(f->word);

    do {
        if (!(w & FRAME_ALLOCATED))
            return false;
    } while (!__atomic_compare_exchange_n(&f->word, &w, w & ~FRAME_ALLOCATED, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return true;
}

int domain_frame_release(struct domain *d, mfn_t mfn)
{
    struct frame *f;

    if (!frame_get(mfn, d))
        return -EINVAL;
    f = frame_of(mfn);
    if (frame_type_of(READ_ONCE(f->word)) == FRAME_SHARED || !frame_disown(f)) {
        frame_put(mfn);
        return -EINVAL;
    }
    m2p_writable[mfn.n] = ~0ull;
    frame_put(mfn);
    frame_put(mfn);
    return 0;
}

void *domain_shared_page_alloc(struct domain *d)
{
    void *page = page_alloc();

    if (page == NULL)
        return NULL;
    spin_lock(&d->memory_lock);
    if (d->frame_count + d->shared_frames == 0)
        domain_get(d);
    d->shared_frames++;
    spin_unlock(&d->memory_lock);
    m2p_writable[virt_to_mfn(page).n] = ~0ull;
    /* Its own type reference keeps it FRAME_SHARED for as long as it lives. */
    frame_become_owned(d, virt_to_mfn(page),
                       FRAME_ALLOCATED | FRAME_REF_ONE | FRAME_TYPE_ONE | ((uint64_t)FRAME_SHARED << FRAME_TYPE_SHIFT));
    return page;
}

void domain_shared_page_free(void *page)
{
    mfn_t mfn = virt_to_mfn(page);
    struct frame *f = frame_of(mfn);

    if (!frame_disown(f))
        return;
    __atomic_sub_fetch(&f->word, FRAME_TYPE_ONE, __ATOMIC_SEQ_CST);
    frame_put(mfn);
}

/* Never runs, never ends; not on the list of domains. */
static struct domain hypervisor_domain = {.id = DOMID_XEN, .name = "hypervisor"};
struct domain *domain_hypervisor = &hypervisor_domain;

void *hypervisor_page_share(void)
{
    void *page = page_alloc();

    if (page == NULL)
        return NULL;
    m2p_writable[virt_to_mfn(page).n] = ~0ull;
    /* A type that nobody can write through, held for good: so every mapping of it is read-only. */
    frame_become_owned(domain_hypervisor, virt_to_mfn(page),
                       FRAME_ALLOCATED | FRAME_VALIDATED | FRAME_REF_ONE | FRAME_TYPE_ONE | ((uint64_t)FRAME_DESCRIPTOR << FRAME_TYPE_SHIFT));
    return page;
}

/*
 * The next frame of d's list behind `from` (FRAME_LIST_END: the first), with a reference, so that it stays on the list while the caller works or is preempted: else a foreign mapping
 * that ends at that moment could take it away. The reference on `from` is returned. Frames whose word lacks `wanted` are passed over, but not so many that others wait for the lock.
 */
static uint32_t frame_list_step(struct domain *d, uint32_t from, uint64_t wanted)
{
    uint32_t n, passed = 0;

    spin_lock(&d->memory_lock);
    for (n = from == FRAME_LIST_END ? d->frame_list : frame_table[from].next; n != FRAME_LIST_END; n = frame_table[n].next) {
        if ((READ_ONCE(frame_table[n].word) & wanted) != wanted && ++passed < PASS_MAX)
            continue;
        if (frame_get(MFN(n), d)) /* else no reference is left: it is about to leave the list */
            break;
    }
    spin_unlock(&d->memory_lock);
    if (from != FRAME_LIST_END)
        frame_put(MFN(from));
    return n;
}

/* Undo pins: whatever page tables are left then go with their last users. */
static void domain_unpin_all(struct domain *d)
{
    uint32_t n = FRAME_LIST_END;

    while ((n = frame_list_step(d, n, FRAME_PINNED)) != FRAME_LIST_END) {
        if (frame_unpin(MFN(n)))
            frame_put_type(MFN(n));
        mm_preempt_point();
    }
}

bool domain_memory_destroy(struct domain *d, uint64_t until_ns)
{
    uint32_t n = FRAME_LIST_END, given = 0;

    if (!d->unpinned)
        domain_unpin_all(d);
    d->unpinned = true;
    while ((n = frame_list_step(d, n, 0)) != FRAME_LIST_END) {
        if (frame_disown(frame_of(MFN(n)))) {
            m2p_writable[n] = ~0ull;
            frame_put(MFN(n));
            /* Those that others keep do not count: the next call passes them again, and must get further. */
            if (++given % CLOCK_EACH == 0 && clock_now_ns() >= until_ns) {
                frame_put(MFN(n));
                return false;
            }
        }
        mm_preempt_point();
    }
    return true;
}

void domain_frames_each(struct domain *d, void (*each)(void *arg, mfn_t mfn, uint64_t word), void *arg)
{
    uint32_t n = FRAME_LIST_END;

    while ((n = frame_list_step(d, n, 0)) != FRAME_LIST_END) {
        each(arg, MFN(n), READ_ONCE(frame_table[n].word));
        mm_preempt_point();
    }
}
