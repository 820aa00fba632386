// SPDX-License-Identifier: MIT
/*
 * Grant tables, version 1: the table itself, and the pins through its entries.
 *
 * The table is memory that the guest writes at any moment, so an entry is read as one 64-bit word, checked, and marked GTF_reading or GTF_writing by
 * compare-and-swap on that same word. From then on the hypervisor's own copy (struct grant_ref_state) says what was granted. A pin
 * holds a reference to the frame (as writable memory, if for writing), so the frame cannot be freed or become a page table meanwhile.
 * Contract: grant.h; <xen/grant_table.h>, ABI.md 7.5.  Locks: docs/locking.md.  Tests: test-grant.c.  Page: docs/concepts/grants.md.
 */
#include "grant-internal.h"

#include "alloc.h"
#include "log.h"

#include <hv/errno.h>

#define CLAIM_TRIES 64 /* against a guest that keeps changing its entry */

uint64_t *grant_entry(struct domain *d, grant_ref_t ref)
{
    struct domain_grants *g = &d->grants;

    lock_assert_held(&g->lock);
    if (ref / GRANT_ENTRIES_PER_FRAME >= g->frame_count)
        return NULL;
    return (uint64_t *)g->frames[ref / GRANT_ENTRIES_PER_FRAME] + ref % GRANT_ENTRIES_PER_FRAME;
}

struct grant_ref_state *grant_state(struct domain *d, grant_ref_t ref)
{
    struct domain_grants *g = &d->grants;

    lock_assert_held(&g->lock);
    if (ref / GRANT_ENTRIES_PER_FRAME >= g->frame_count)
        return NULL;
    return &g->state[ref / GRANT_ENTRIES_PER_FRAME][ref % GRANT_ENTRIES_PER_FRAME];
}

/* Mark the entry as in use by `by`. 0 and the frame number it held at that moment, or GNTST_*. */
static int entry_claim(uint64_t *entry, domid_t by, bool write, uint32_t *frame)
{
    uint64_t word = READ_ONCE(*entry);

    for (int i = 0; i < CLAIM_TRIES; i++) {
        uint16_t flags = ENTRY_FLAGS(word);

        /* Sub-page grants exist only in version 2. */
        if ((flags & (GTF_type_mask | GTF_sub_page)) != GTF_permit_access || ENTRY_DOMID(word) != by)
            return GNTST_general_error;
        if (write && (flags & GTF_readonly))
            return GNTST_general_error;
        if (__atomic_compare_exchange_n(entry, &word, word | GTF_reading | (write ? GTF_writing : 0), false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
            *frame = ENTRY_FRAME(word);
            return 0;
        }
    }
    return GNTST_general_error;
}

/* Take back the marks that no pin stands for any more. */
static void entry_unclaim(uint64_t *entry, const struct grant_ref_state *st)
{
    uint64_t clear = 0;

    if (st->writers == 0)
        clear |= GTF_writing;
    if (st->writers == 0 && st->readers == 0)
        clear |= GTF_reading;
    if (clear != 0)
        __atomic_fetch_and(entry, ~clear, __ATOMIC_SEQ_CST);
}

static int pin_locked(struct domain *d, grant_ref_t ref, domid_t by, bool write, mfn_t *mfn)
{
    struct grant_ref_state *st = grant_state(d, ref);
    uint64_t *entry = grant_entry(d, ref);
    bool idle;
    int rc;

    if (d->grants.closing)
        return GNTST_bad_domain;
    if (st == NULL)
        return GNTST_bad_gntref;
    idle = st->readers == 0 && st->writers == 0;
    if (!idle && (st->by != by || st->readers == UINT32_MAX || st->writers == UINT32_MAX))
        return GNTST_general_error;
    if (idle || (write && st->writers == 0)) {
        uint32_t frame;

        rc = entry_claim(entry, by, write, &frame);
        if (rc != 0)
            return rc;
        if (idle) {
            st->mfn = frame;
            st->by = by;
        }
    }
    if (write ? frame_get_type(MFN(st->mfn), d, FRAME_WRITABLE) != 0 : !frame_get(MFN(st->mfn), d)) {
        entry_unclaim(entry, st);
        return GNTST_bad_page;
    }
    *(write ? &st->writers : &st->readers) += 1;
    d->grants.in_use++;
    *mfn = MFN(st->mfn);
    return 0;
}

int grant_hold(struct domain *d, grant_ref_t ref, domid_t by, bool write, mfn_t *mfn)
{
    int rc;

    spin_lock(&d->grants.lock);
    rc = pin_locked(d, ref, by, write, mfn);
    spin_unlock(&d->grants.lock);
    return rc;
}

static void table_free(struct domain_grants *g)
{
    for (uint32_t i = 0; i < g->frame_count; i++) {
        domain_shared_page_free(g->frames[i]);
        heap_free(g->state[i]);
        g->frames[i] = NULL;
        g->state[i] = NULL;
    }
    g->frame_count = 0;
}

void grant_release(struct domain *d, grant_ref_t ref, bool write, mfn_t mfn)
{
    struct domain_grants *g = &d->grants;
    struct grant_ref_state *st;
    bool last;

    /* The frame before the entry: once the mark is gone, the guest may make a page table of the frame, and that must not fail because of us. */
    if (write)
        frame_put_type(mfn);
    else
        frame_put(mfn);
    spin_lock(&g->lock);
    st = grant_state(d, ref);
    *(write ? &st->writers : &st->readers) -= 1;
    entry_unclaim(grant_entry(d, ref), st);
    last = --g->in_use == 0 && g->closing;
    spin_unlock(&g->lock);
    if (last)
        table_free(g);
}

uint32_t domain_grants_in_use(struct domain *d)
{
    return READ_ONCE(d->grants.in_use);
}

int grant_table_grow(struct domain *d, uint32_t frames)
{
    struct domain_grants *g = &d->grants;

    if (frames > GRANT_FRAMES_MAX)
        return -EINVAL;
    while (READ_ONCE(g->frame_count) < frames) {
        grant_entry_v1_t *page = domain_shared_page_alloc(d);
        struct grant_ref_state *state = heap_alloc(GRANT_ENTRIES_PER_FRAME * sizeof(*state));
        bool installed = false;

        if (page != NULL && state != NULL) {
            spin_lock(&g->lock);
            if (g->frame_count < frames && !g->closing) { /* another vCPU may have been as quick */
                g->frames[g->frame_count] = page;
                g->state[g->frame_count] = state;
                g->frame_count++;
                installed = true;
            }
            spin_unlock(&g->lock);
        }
        if (installed)
            continue;
        if (page != NULL)
            domain_shared_page_free(page);
        heap_free(state);
        if (page == NULL || state == NULL || g->closing)
            return -ENOMEM;
    }
    return 0;
}

int domain_grants_init(struct domain *d)
{
    d->grants = (struct domain_grants){.lock = SPINLOCK_INIT, .mapping_free = GRANT_NO_HANDLE};
    return grant_table_grow(d, 1); /* the builder writes the console's and xenstore's entries here */
}

void domain_grants_destroy(struct domain *d)
{
    struct domain_grants *g = &d->grants;
    bool unused;

    grant_mappings_destroy(d);
    spin_lock(&g->lock);
    unused = !g->closing && g->in_use == 0;
    g->closing = true;
    spin_unlock(&g->lock);
    if (unused)
        table_free(g);
    else
        log_debug("d%u: %u of its grants are still in use; their frames follow later", d->id, domain_grants_in_use(d));
}

int grant_seed(struct domain *d, grant_ref_t ref, domid_t to, mfn_t mfn)
{
    uint64_t *entry;
    int rc = -EINVAL;

    if (mfn.n > UINT32_MAX || !frame_get(mfn, d))
        return -EINVAL;
    spin_lock(&d->grants.lock);
    entry = grant_entry(d, ref);
    if (entry != NULL && *entry == 0) {
        WRITE_ONCE(*entry, GTF_permit_access | (uint64_t)to << 16 | mfn.n << 32);
        rc = 0;
    }
    spin_unlock(&d->grants.lock);
    frame_put(mfn);
    return rc;
}

uint64_t domain_grants_bytes(const struct domain *d)
{
    const struct domain_grants *g = &d->grants;

    return g->frame_count * GRANT_ENTRIES_PER_FRAME * sizeof(struct grant_ref_state) +
           g->mapping_capacity * (sizeof(struct grant_mapping) + sizeof(void *));
}
