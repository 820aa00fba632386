/* SPDX-License-Identifier: MIT */
/*
 * mmu_update and update_va_mapping: a guest asks for changes to its page tables (xen/xen.h). Page: docs/paths/page-table-update.md.
 *
 * The references on the table that a run of requests changes are taken once for the run: Linux sends batches into one table.
 */
#include "alloc.h"
#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "hypercall.h"
#include "page-table.h"
#include "tlb.h"
#include "vcpu.h"

#include <hv/errno.h>

#define BATCH 16u

/* A table that requests go to, held by one reference as `type`. */
struct table {
    mfn_t mfn; /* INVALID_MFN: none held */
    enum frame_type type;
};

static void table_release(struct table *t)
{
    if (mfn_valid_number(t->mfn))
        frame_put_type(t->mfn);
    t->mfn = INVALID_MFN;
}

/* Hold the frame as the page table it is; as plain writable memory if it is none. */
static int table_hold(struct table *t, const struct domain *d, mfn_t mfn)
{
    uint64_t w;
    int rc;

    if (likely(mfn_equal(t->mfn, mfn)))
        return 0;
    table_release(t);
    if (unlikely(!frame_number_ok(mfn)))
        return -EINVAL;
    w = READ_ONCE(frame_of(mfn)->word);
    t->type = FRAME_WRITABLE;
    if ((w & FRAME_TYPE_COUNT_MASK) && frame_type_of(w) >= FRAME_L1 && frame_type_of(w) <= FRAME_L4)
        t->type = frame_type_of(w);
    rc = frame_get_type(mfn, d, t->type);
    if (likely(rc == 0))
        t->mfn = mfn;
    return rc;
}

static int request_apply(struct domain *d, struct domain *owner, const struct mmu_update *req, struct table *t)
{
    unsigned int cmd = req->ptr & 3;
    uint64_t *entry;
    int rc;

    if (unlikely(cmd == MMU_MACHPHYS_UPDATE)) {
        mfn_t mfn = maddr_to_mfn(req->ptr);

        if (owner != d)
            return -EPERM;
        if (!frame_get(mfn, owner))
            return -EINVAL;
        if (frame_type_of(READ_ONCE(frame_of(mfn)->word)) == FRAME_SHARED)
            rc = -EINVAL;
        else
            rc = 0, m2p_set(mfn, PFN(req->val));
        frame_put(mfn);
        return rc;
    }
    if (unlikely(req->ptr & 4))
        return -EINVAL;
    rc = table_hold(t, d, maddr_to_mfn(req->ptr));
    if (unlikely(rc != 0))
        return rc;
    entry = (uint64_t *)mfn_to_virt(t->mfn) + (req->ptr & (PAGE_SIZE - 1)) / sizeof(*entry);
    switch (t->type) {
    case FRAME_L1:
        return pt_l1_update(owner, entry, req->val, cmd == MMU_PT_UPDATE_PRESERVE_AD);
    case FRAME_L2:
    case FRAME_L3:
    case FRAME_L4:
        return owner == d ? pt_upper_update(d, t->type, entry, req->val, cmd == MMU_PT_UPDATE_PRESERVE_AD) : -EPERM;
    default:
        WRITE_ONCE(*entry, req->val);
        return 0;
    }
}

/* The domain whose frames may be mapped. With a reference unless it is d itself. */
static int owner_find(struct domain *d, unsigned int foreigndom, struct domain **owner)
{
    domid_t id = (domid_t)(foreigndom & 0xffff);

    *owner = d;
    if (foreigndom >> 16)
        return -EPERM; /* another domain's tables: not offered */
    if (id == DOMID_SELF || id == d->id)
        return 0;
    if (!d->privileged)
        return -EPERM;
    if (id == DOMID_XEN) {
        *owner = domain_hypervisor;
        return 0;
    }
    *owner = domain_find(id);
    if (*owner == NULL)
        return -ESRCH;
    if (READ_ONCE((*owner)->dying)) {
        domain_put(*owner);
        return -ESRCH;
    }
    WRITE_ONCE((*owner)->foreign_seen, true); /* before the first entry */
    return 0;
}

static void owner_put(struct domain *d, struct domain *owner)
{
    if (owner != d && owner != domain_hypervisor)
        domain_put(owner);
}

static int done_report(uint64_t pdone, unsigned int done)
{
    return pdone == 0 ? 0 : copy_to_guest(pdone, &done, sizeof(done));
}

long hypercall_mmu_update(uint64_t ureqs, unsigned int count, uint64_t pdone, unsigned int foreigndom)
{
    struct domain *d = current_vcpu()->domain, *owner;
    struct mmu_update reqs[BATCH];
    struct table table = {INVALID_MFN, FRAME_NONE};
    unsigned int done = 0, i;
    int rc = owner_find(d, foreigndom, &owner);

    if (unlikely(rc != 0))
        return rc;
    /* A list of any length ends with its domain: nobody reads the answer any more. */
    while (done < count && rc == 0 && !READ_ONCE(d->ending)) {
        unsigned int n = min(count - done, BATCH);

        rc = copy_from_guest(reqs, ureqs + done * sizeof(reqs[0]), n * sizeof(reqs[0]));
        for (i = 0; i < n && rc == 0; i++) {
            rc = request_apply(d, owner, &reqs[i], &table);
            done += rc == 0;
        }
        if (unlikely(softirq_any_pending())) {
            table_release(&table);
            preempt_point();
        }
    }
    table_release(&table);
    owner_put(d, owner);
    if (done_report(pdone, done) != 0)
        rc = -EFAULT;
    return rc;
}

/* The pCPUs on which the vCPUs in a guest's bitmap last ran. 0 or -EFAULT. */
int vcpu_bitmap_to_cpus(struct domain *d, uint64_t bitmap, cpumask_t *mask)
{
    uint64_t ids;
    unsigned int bytes = (d->vcpu_max + 7) / 8;

    ids = 0;
    if (copy_from_guest(&ids, bitmap, bytes) != 0)
        return -EFAULT;
    *mask = 0;
    while (ids != 0) {
        unsigned int id = (unsigned int)__builtin_ctzll(ids);

        if (id < d->vcpu_max && d->vcpus[id] != NULL)
            *mask |= cpu_bit(READ_ONCE(d->vcpus[id]->cpu));
        ids &= ids - 1;
    }
    *mask &= READ_ONCE(d->dirty_cpus);
    return 0;
}

static int flush_as_asked(struct domain *d, uint64_t va, uint64_t flags)
{
    uint64_t how = flags & UVMF_FLUSHTYPE_MASK, whom = flags & ~UVMF_FLUSHTYPE_MASK;
    cpumask_t mask = cpu_bit(this_cpu_id());

    if (how == UVMF_NONE)
        return 0;
    if (whom == UVMF_ALL)
        mask = READ_ONCE(d->dirty_cpus);
    else if (whom != UVMF_LOCAL && vcpu_bitmap_to_cpus(d, whom, &mask) != 0)
        return -EFAULT;
    if (how == UVMF_TLB_FLUSH)
        tlb_flush_mask(mask);
    else if (how == UVMF_INVLPG)
        tlb_flush_va_mask(mask, va);
    else
        return -EINVAL;
    return 0;
}

static long va_mapping_update(struct domain *owner, uint64_t va, uint64_t val, uint64_t flags)
{
    struct domain *d = current_vcpu()->domain;
    mfn_t l1;
    uint64_t *entry = pt_walk_l1e(va, &l1);
    int rc;

    if (unlikely(entry == NULL))
        return -EINVAL;
    /* Another vCPU may take the table out of use at any moment: what counts is that it is an L1 of ours while we write. */
    rc = frame_get_type(l1, d, FRAME_L1);
    if (unlikely(rc != 0))
        return rc;
    rc = pt_l1_update(owner, entry, val, false);
    frame_put_type(l1);
    return rc != 0 || flags == 0 ? rc : flush_as_asked(d, va, flags);
}

long hypercall_update_va_mapping(uint64_t va, uint64_t val, uint64_t flags)
{
    return va_mapping_update(current_vcpu()->domain, va, val, flags);
}

long hypercall_update_va_mapping_otherdomain(uint64_t va, uint64_t val, uint64_t flags, uint16_t domid)
{
    struct domain *d = current_vcpu()->domain, *owner;
    long rc = owner_find(d, domid, &owner);

    if (rc != 0)
        return rc;
    rc = va_mapping_update(owner, va, val, flags);
    owner_put(d, owner);
    return rc;
}
