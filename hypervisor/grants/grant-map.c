// SPDX-License-Identifier: MIT
/*
 * GNTTABOP_map_grant_ref, unmap_grant_ref, unmap_and_replace.
 *
 * A mapping holds one pin on the entry for as long as its handle lives; the page-table entry holds its own references besides. Unmapping works in two steps
 * over a batch: first all page-table entries are taken away, then translations are flushed once, and only then are the pins returned: nobody
 * can still write through a stale translation when the granter is told that its page is its own again.
 * Contract: <xen/grant_table.h>, ABI.md 8.4.  Tests: test-grant.c, tests/boot/kernels.
 */
#include "grant-internal.h"

#include "cpu.h"
#include "guest-access.h"
#include "mm.h"
#include "tlb.h"
#include "vcpu.h"

#include <hv/errno.h>

#define UNMAP_BATCH 32u
#define PTE_AVAIL_SHIFT 9
/* Kept with the mapping. */
#define MAPPING_FLAGS (GNTMAP_host_map | GNTMAP_device_map | GNTMAP_readonly | GNTMAP_contains_pte)

struct unmap_done {
    uint32_t handle;
    struct grant_mapping *mapping;
};

/* PTE bits for a request. The guest kernel runs in ring 3 too, so every mapping has the user bit: application_map asks for nothing more. */
static uint64_t map_pte_flags(uint32_t flags)
{
    uint64_t bits = PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY;

    if (!(flags & GNTMAP_readonly))
        bits |= PTE_WRITE;
    return bits | (((uint64_t)(flags >> _GNTMAP_guest_avail0) << PTE_AVAIL_SHIFT) & PTE_AVAIL);
}

static bool host_address_ok(uint64_t address, uint32_t flags)
{
    return (flags & GNTMAP_contains_pte) ? (address & 7) == 0 : guest_range_ok(address & PAGE_MASK, PAGE_SIZE);
}

/* The pin is held. Makes the mapping and its handle; GNTST_*. */
static int16_t map_pinned(struct domain *d, struct domain *granter, struct gnttab_map_grant_ref *op, mfn_t mfn)
{
    struct grant_mapping *m;
    uint32_t handle = grant_mapping_get(d, &m);

    if (handle == GRANT_NO_HANDLE)
        return GNTST_no_space;
    if ((op->flags & GNTMAP_host_map) &&
        (!host_address_ok(op->host_addr, op->flags) ||
         pt_grant_map(op->host_addr, op->flags & GNTMAP_contains_pte, mfn, granter, map_pte_flags(op->flags)) != 0)) {
        grant_mapping_put(d, handle);
        return GNTST_bad_virt_addr;
    }
    domain_get(granter); /* the mapping's */
    m->granter = granter;
    m->ref = op->ref;
    m->mfn = (uint32_t)mfn.n;
    m->flags = op->flags & MAPPING_FLAGS;
    grant_mapping_unclaim(d, m);
    op->handle = handle;
    op->dev_bus_addr = (op->flags & GNTMAP_device_map) ? mfn_to_maddr(mfn) : 0;
    return GNTST_okay;
}

static int16_t map_one(struct domain *d, struct gnttab_map_grant_ref *op)
{
    bool write = !(op->flags & GNTMAP_readonly);
    struct domain *granter;
    mfn_t mfn;
    int16_t status;

    if (!(op->flags & (GNTMAP_host_map | GNTMAP_device_map)))
        return GNTST_bad_gntref;
    granter = domain_find(op->dom);
    if (granter == NULL)
        return GNTST_bad_domain;
    status = (int16_t)grant_hold(granter, op->ref, d->id, write, &mfn);
    if (status == GNTST_okay) {
        status = map_pinned(d, granter, op, mfn);
        if (status != GNTST_okay)
            grant_release(granter, op->ref, write, mfn);
    }
    domain_put(granter);
    return status;
}

long grant_op_map(uint64_t uop, unsigned int count)
{
    struct domain *d = current_vcpu()->domain;
    struct gnttab_map_grant_ref op;

    for (unsigned int i = 0; i < count; i++, uop += sizeof(op)) {
        preempt_point();
        if (copy_from_guest(&op, uop, sizeof(op)) != 0)
            return -EFAULT;
        op.status = map_one(d, &op);
        if (copy_to_guest(uop, &op, sizeof(op)) != 0)
            return -EFAULT;
    }
    return 0;
}

/* What an unmap asks for, from either operation. */
struct unmap_request {
    uint64_t host_addr, dev_bus_addr, new_addr;
    uint32_t handle;
    bool replace;
};

static int16_t unmap_host(struct grant_mapping *m, const struct unmap_request *r)
{
    bool at_pte = m->flags & GNTMAP_contains_pte, write = !(m->flags & GNTMAP_readonly);
    int rc;

    if (!host_address_ok(r->host_addr, m->flags))
        return GNTST_bad_virt_addr;
    if (r->replace) {
        if (at_pte || (r->new_addr != 0 && !guest_range_ok(r->new_addr & PAGE_MASK, PAGE_SIZE)))
            return GNTST_general_error;
        rc = r->new_addr != 0 ? pt_grant_replace(r->host_addr, MFN(m->mfn), write, r->new_addr)
                              : pt_grant_unmap(r->host_addr, false, MFN(m->mfn), write);
    } else {
        rc = pt_grant_unmap(r->host_addr, at_pte, MFN(m->mfn), write);
    }
    if (rc != 0)
        return GNTST_general_error;
    m->flags &= ~(uint32_t)GNTMAP_host_map;
    return GNTST_okay;
}

/* Step one. GNTST_*; *gone: nothing of the mapping is left, and it stays claimed for step two. */
static int16_t unmap_one(struct domain *d, const struct unmap_request *r, struct unmap_done *done, bool *gone)
{
    struct grant_mapping *m = grant_mapping_claim(d, r->handle);
    int16_t status = GNTST_okay;

    *gone = false;
    if (m == NULL)
        return GNTST_bad_handle;
    if (r->dev_bus_addr != 0 && (m->flags & GNTMAP_device_map)) {
        if (r->dev_bus_addr == mfn_to_maddr(MFN(m->mfn)))
            m->flags &= ~(uint32_t)GNTMAP_device_map;
        else
            status = GNTST_bad_dev_addr;
    }
    if (status == GNTST_okay && r->host_addr != 0 && (m->flags & GNTMAP_host_map))
        status = unmap_host(m, r);
    if (m->flags & (GNTMAP_host_map | GNTMAP_device_map)) {
        grant_mapping_unclaim(d, m);
    } else {
        *done = (struct unmap_done){r->handle, m};
        *gone = true;
    }
    return status;
}

/* Step two, for the whole batch. */
static void unmap_finish(struct domain *d, const struct unmap_done *done, unsigned int count)
{
    if (count == 0)
        return;
    tlb_flush_mask(READ_ONCE(d->dirty_cpus));
    for (unsigned int i = 0; i < count; i++) {
        struct grant_mapping m = *done[i].mapping;

        grant_mapping_put(d, done[i].handle);
        grant_release(m.granter, m.ref, !(m.flags & GNTMAP_readonly), MFN(m.mfn));
        domain_put(m.granter);
    }
}

static long unmap_fetch(uint64_t uop, bool replace, struct unmap_request *r)
{
    if (replace) {
        struct gnttab_unmap_and_replace op;

        if (copy_from_guest(&op, uop, sizeof(op)) != 0)
            return -EFAULT;
        *r = (struct unmap_request){.host_addr = op.host_addr, .new_addr = op.new_addr, .handle = op.handle, .replace = true};
    } else {
        struct gnttab_unmap_grant_ref op;

        if (copy_from_guest(&op, uop, sizeof(op)) != 0)
            return -EFAULT;
        *r = (struct unmap_request){.host_addr = op.host_addr, .dev_bus_addr = op.dev_bus_addr, .handle = op.handle};
    }
    return 0;
}

static long unmap_all(uint64_t uop, unsigned int count, bool replace)
{
    size_t size = replace ? sizeof(struct gnttab_unmap_and_replace) : sizeof(struct gnttab_unmap_grant_ref);
    size_t status_at = replace ? offsetof(struct gnttab_unmap_and_replace, status) : offsetof(struct gnttab_unmap_grant_ref, status);
    struct domain *d = current_vcpu()->domain;
    struct unmap_done done[UNMAP_BATCH];
    unsigned int pending = 0;
    long rc = 0;

    for (unsigned int i = 0; i < count && rc == 0; i++, uop += size) {
        struct unmap_request r;
        int16_t status;
        bool gone;

        rc = unmap_fetch(uop, replace, &r);
        if (rc != 0)
            break;
        status = unmap_one(d, &r, &done[pending], &gone);
        pending += gone;
        rc = copy_to_guest(uop + status_at, &status, sizeof(status));
        if (pending == UNMAP_BATCH) {
            unmap_finish(d, done, pending);
            pending = 0;
            preempt_point();
        }
    }
    unmap_finish(d, done, pending);
    return rc;
}

long grant_op_unmap(uint64_t uop, unsigned int count)
{
    return unmap_all(uop, count, false);
}

long grant_op_unmap_and_replace(uint64_t uop, unsigned int count)
{
    return unmap_all(uop, count, true);
}
