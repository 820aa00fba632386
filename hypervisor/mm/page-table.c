/* SPDX-License-Identifier: MIT */
/*
 * Guest page tables: which entries a guest may have, and the references that each one holds.
 *
 * An L1 entry holds a reference to its frame, and with the W bit one as FRAME_WRITABLE. An L2..L4 entry holds one as a table of the next
 * level down. There is one kind of page and no large ones. Entries change by compare-and-swap, and whoever succeeds settles the references of the entry
 * that was there: so updates from several vCPUs at once, or from the processor's accessed and dirty bits, cannot lose one.
 * Slots 256..271 of an L4 are the hypervisor's and are written here. Contract: page-table.h. Page: docs/paths/page-table-update.md.
 */
#include "page-table.h"

#include "alloc.h"
#include "cpu.h"
#include "domain.h"
#include "log.h"
#include "paging.h"
#include "x86/layout.h"

#include <hv/errno.h>

#define ENTRIES 512u
/* Cache attributes are the hypervisor's: RAM is always write-back. In an L1 entry bit 7 is the PAT bit. */
#define L1_STRIP (PTE_PWT | PTE_PCD | PTE_PSE)
#define UPPER_STRIP (PTE_PWT | PTE_PCD)

static inline bool entry_is_hypervisors(enum frame_type level, unsigned int index)
{
    return level == FRAME_L4 && index >= HV_L4_FIRST && index < HV_L4_END;
}

static inline bool entry_cas(uint64_t *entry, uint64_t *seen, uint64_t value)
{
    return __atomic_compare_exchange_n(entry, seen, value, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* What is written for a present L1 entry that a guest asks for. */
static inline uint64_t l1_adjust(uint64_t value)
{
    return (value & ~L1_STRIP) | PTE_USER;
}

static inline int l1_entry_get(const struct domain *owner, uint64_t value)
{
    if (value & PTE_WRITE)
        return frame_get_type(pte_mfn(value), owner, FRAME_WRITABLE);
    return frame_get(pte_mfn(value), owner) ? 0 : -EINVAL;
}

static inline void l1_entry_put(uint64_t value)
{
    if (value & PTE_WRITE)
        frame_put_type(pte_mfn(value));
    else
        frame_put(pte_mfn(value));
}

static int upper_entry_get(const struct domain *d, enum frame_type level, uint64_t value)
{
    if (value & PTE_PSE)
        return -EINVAL;
    return frame_get_type(pte_mfn(value), d, (enum frame_type)(level - 1));
}

static int l1_validate(struct domain *d, uint64_t *table)
{
    unsigned int i;

    for (i = 0; i < ENTRIES; i++) {
        uint64_t value = table[i];
        int rc;

        if (!(value & PTE_PRESENT))
            continue;
        rc = l1_entry_get(d, value);
        if (unlikely(rc != 0)) {
            while (i-- > 0)
                if (table[i] & PTE_PRESENT)
                    l1_entry_put(table[i]);
            return rc;
        }
        if (l1_adjust(value) != value)
            table[i] = l1_adjust(value);
    }
    return 0;
}

static int upper_validate(struct domain *d, enum frame_type level, uint64_t *table)
{
    unsigned int i;

    for (i = 0; i < ENTRIES; i++) {
        uint64_t value = table[i];
        int rc;

        if (entry_is_hypervisors(level, i) || !(value & PTE_PRESENT))
            continue;
        rc = upper_entry_get(d, level, value);
        if (unlikely(rc != 0)) {
            while (i-- > 0)
                if ((table[i] & PTE_PRESENT) && !entry_is_hypervisors(level, i))
                    frame_put_type(pte_mfn(table[i]));
            return rc;
        }
        table[i] = (value & ~UPPER_STRIP) | PTE_USER;
        mm_preempt_point();
    }
    if (level == FRAME_L4)
        for (i = HV_L4_FIRST; i < HV_L4_END; i++)
            table[i] = paging_hv_l4_entries[i - HV_L4_FIRST];
    return 0;
}

/* Descriptor pages are checked in descriptor.c. */
int descriptor_page_validate(uint64_t *page);

int pt_validate(struct domain *d, mfn_t mfn, enum frame_type type)
{
    uint64_t *table = mfn_to_virt(mfn);

    switch (type) {
    case FRAME_L1:
        return l1_validate(d, table);
    case FRAME_L2:
    case FRAME_L3:
    case FRAME_L4:
        return upper_validate(d, type, table);
    case FRAME_DESCRIPTOR:
        return descriptor_page_validate(table);
    default:
        return -EINVAL;
    }
}

void pt_drop(mfn_t mfn, enum frame_type type)
{
    uint64_t *table = mfn_to_virt(mfn);
    unsigned int i;

    if (type == FRAME_DESCRIPTOR)
        return;
    for (i = 0; i < ENTRIES; i++) {
        uint64_t value = table[i];

        if (!(value & PTE_PRESENT) || entry_is_hypervisors(type, i))
            continue;
        if (type == FRAME_L1) {
            l1_entry_put(value);
        } else {
            frame_put_type(pte_mfn(value));
            mm_preempt_point();
        }
    }
}

int pt_l1_update(struct domain *owner, uint64_t *entry, uint64_t value, bool keep_ad)
{
    uint64_t old = READ_ONCE(*entry), now;
    bool held = false;
    int rc;

    if (value & PTE_PRESENT)
        value = l1_adjust(value);
    do {
        /* Same frame, same right to write: the entry's references stay what they are. */
        if ((value & PTE_PRESENT) && !held && !((old & PTE_PRESENT) && ((old ^ value) & (PTE_ADDRESS | PTE_WRITE)) == 0)) {
            rc = l1_entry_get(owner, value);
            if (unlikely(rc != 0))
                return rc;
            held = true;
        }
        now = value;
        if (keep_ad && (old & PTE_PRESENT))
            now = (value & ~(PTE_ACCESSED | PTE_DIRTY)) | (old & (PTE_ACCESSED | PTE_DIRTY));
    } while (unlikely(!entry_cas(entry, &old, now)));
    if ((old & PTE_PRESENT) && (held || !(value & PTE_PRESENT)))
        l1_entry_put(old);
    return 0;
}

int pt_l1_update_if(struct domain *owner, uint64_t *entry, uint64_t *seen, uint64_t value)
{
    uint64_t old = *seen;
    bool held = false;
    int rc;

    if (value & PTE_PRESENT) {
        value = l1_adjust(value);
        if (!(old & PTE_PRESENT) || ((old ^ value) & (PTE_ADDRESS | PTE_WRITE))) {
            rc = l1_entry_get(owner, value);
            if (unlikely(rc != 0))
                return rc;
            held = true;
        }
    }
    if (unlikely(!entry_cas(entry, seen, value))) {
        if (held)
            l1_entry_put(value);
        return -EAGAIN;
    }
    if ((old & PTE_PRESENT) && (held || !(value & PTE_PRESENT)))
        l1_entry_put(old);
    return 0;
}

int pt_upper_update(struct domain *d, enum frame_type level, uint64_t *entry, uint64_t value, bool keep_ad)
{
    unsigned int index = (unsigned int)(((uint64_t)entry & (PAGE_SIZE - 1)) / sizeof(*entry));
    uint64_t old, now;
    int rc;

    if (entry_is_hypervisors(level, index))
        return -EINVAL;
    if (value & PTE_PRESENT) {
        rc = upper_entry_get(d, level, value);
        if (unlikely(rc != 0))
            return rc;
        value = (value & ~UPPER_STRIP) | PTE_USER;
    }
    old = READ_ONCE(*entry);
    do {
        now = value;
        if (keep_ad && (old & PTE_PRESENT))
            now = (value & ~(PTE_ACCESSED | PTE_DIRTY)) | (old & (PTE_ACCESSED | PTE_DIRTY));
    } while (!entry_cas(entry, &old, now));
    if (old & PTE_PRESENT)
        frame_put_type(pte_mfn(old));
    return 0;
}

int pt_adopt_initial(struct domain *d, mfn_t l4)
{
    int rc = frame_get_type(l4, d, FRAME_L4);

    if (rc != 0) {
        log_error("d%u: its initial page tables were refused (L4 frame %#lx): %d", d->id, (unsigned long)l4.n, rc);
        return rc;
    }
    if (!frame_pin(l4)) {
        frame_put_type(l4);
        return -EINVAL;
    }
    return 0;
}
