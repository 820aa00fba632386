/* SPDX-License-Identifier: MIT */
/*
 * Page-table entries that hold granted frames: put there, taken away and moved on behalf of grants/ (frame.h). The granted frame is another domain's; the
 * entry holds the same references as any.
 */
#include "alloc.h"
#include "cpu.h"
#include "domain.h"
#include "page-table.h"
#include "vcpu.h"

#include <hv/errno.h>

/* Find the entry, and hold its table as an L1 of d. Pair: frame_put_type(*l1). */
static int entry_hold(struct domain *d, uint64_t where, bool at_pte, mfn_t *l1, uint64_t **entry)
{
    if (at_pte) {
        *l1 = maddr_to_mfn(where);
        if ((where & 7) || !frame_in_use_as(*l1, FRAME_L1))
            return -EINVAL;
        *entry = (uint64_t *)mfn_to_virt(*l1) + (where & (PAGE_SIZE - 1)) / sizeof(**entry);
    } else {
        *entry = pt_walk_l1e(where, l1);
        if (*entry == NULL)
            return -EINVAL;
    }
    return frame_get_type(*l1, d, FRAME_L1);
}

int pt_grant_map(uint64_t where, bool at_pte, mfn_t mfn, struct domain *owner, uint64_t pte_flags)
{
    struct domain *d = current_vcpu()->domain;
    mfn_t l1;
    uint64_t *entry, value = mfn_to_maddr(mfn) | pte_flags;
    int rc;

    rc = entry_hold(d, where, at_pte, &l1, &entry);
    if (rc != 0)
        return rc;
    if (owner != d)
        WRITE_ONCE(owner->foreign_seen, true); /* before the entry: who sees a translation sees this */
    rc = pt_l1_update(owner, entry, value, false);
    frame_put_type(l1);
    return rc;
}

/* Replace the entry by `value` if it maps exactly (mfn, writable). */
static int grant_entry_replace(uint64_t *entry, mfn_t mfn, bool writable, uint64_t value)
{
    uint64_t old = READ_ONCE(*entry);

    for (;;) {
        if (!(old & PTE_PRESENT) || !mfn_equal(pte_mfn(old), mfn) || !!(old & PTE_WRITE) != writable)
            return -EINVAL;
        if (__atomic_compare_exchange_n(entry, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            break;
    }
    if (writable)
        frame_put_type(mfn);
    else
        frame_put(mfn);
    return 0;
}

int pt_grant_unmap(uint64_t where, bool at_pte, mfn_t mfn, bool writable)
{
    struct domain *d = current_vcpu()->domain;
    mfn_t l1;
    uint64_t *entry;
    int rc;

    rc = entry_hold(d, where, at_pte, &l1, &entry);
    if (rc != 0)
        return rc;
    rc = grant_entry_replace(entry, mfn, writable, 0);
    frame_put_type(l1);
    return rc;
}

int pt_grant_replace(uint64_t where, mfn_t mfn, bool writable, uint64_t new_linear)
{
    struct domain *d = current_vcpu()->domain;
    mfn_t l1, source_l1;
    uint64_t *source = pt_walk_l1e(new_linear, &source_l1), *entry = pt_walk_l1e(where, &l1), value;
    int rc;

    if (source == NULL || entry == NULL || source == entry)
        return -EINVAL;
    rc = frame_get_type(source_l1, d, FRAME_L1);
    if (rc != 0)
        return rc;
    rc = frame_get_type(l1, d, FRAME_L1);
    if (rc == 0) {
        /* The source entry's references move with its value. */
        value = __atomic_exchange_n(source, 0, __ATOMIC_SEQ_CST);
        rc = grant_entry_replace(entry, mfn, writable, value);
        if (rc != 0) {
            uint64_t empty = 0;

            if (!__atomic_compare_exchange_n(source, &empty, value, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED) &&
                (value & PTE_PRESENT)) {
                if (value & PTE_WRITE)
                    frame_put_type(pte_mfn(value));
                else
                    frame_put(pte_mfn(value));
            }
        }
        frame_put_type(l1);
    }
    frame_put_type(source_l1);
    return rc;
}
