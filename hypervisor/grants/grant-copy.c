// SPDX-License-Identifier: MIT
/*
 * GNTTABOP_copy: the hypervisor copies bytes between two frames, each named by a grant or, the caller's own, by its number. Nothing is
 * mapped, so it is both safer and cheaper than a mapping for anything below a few pages. And GNTTABOP_transfer.
 * Contract: <xen/grant_table.h>.  Tests: test-grant.c.
 */
#include "grant-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "guest-access.h"
#include "lib/string.h"
#include "vcpu.h"

#include <hv/errno.h>

/* One side of a copy, held. */
struct copy_side {
    struct domain *granter; /* NULL: a frame of the caller's own */
    grant_ref_t ref;
    bool write;
    mfn_t mfn;
};

static int16_t side_hold(struct domain *d, const struct gnttab_copy_ptr *ptr, bool by_ref, bool write, struct copy_side *side)
{
    int16_t status;

    *side = (struct copy_side){.write = write};
    if (!by_ref) {
        if (ptr->domid != DOMID_SELF)
            return GNTST_permission_denied; /* others' frames only by grant */
        side->mfn = MFN(ptr->u.gmfn);
        if (write ? frame_get_writable(side->mfn, d) != 0 : !frame_get(side->mfn, d))
            return GNTST_bad_page;
        return GNTST_okay;
    }
    side->granter = domain_find(ptr->domid);
    if (side->granter == NULL)
        return GNTST_bad_domain;
    side->ref = ptr->u.ref;
    status = (int16_t)grant_hold(side->granter, side->ref, d->id, write, &side->mfn);
    if (status != GNTST_okay)
        domain_put(side->granter);
    return status;
}

static void side_release(const struct copy_side *side)
{
    if (side->granter != NULL) {
        grant_release(side->granter, side->ref, side->write, side->mfn);
        domain_put(side->granter);
    } else if (side->write) {
        frame_put_type(side->mfn);
    } else {
        frame_put(side->mfn);
    }
}

static int16_t copy_one(struct domain *d, const struct gnttab_copy *op)
{
    struct copy_side source, dest;
    int16_t status;

    if (op->source.offset + (size_t)op->len > PAGE_SIZE || op->dest.offset + (size_t)op->len > PAGE_SIZE)
        return GNTST_bad_copy_arg;
    status = side_hold(d, &op->source, op->flags & GNTCOPY_source_gref, false, &source);
    if (status != GNTST_okay)
        return status;
    status = side_hold(d, &op->dest, op->flags & GNTCOPY_dest_gref, true, &dest);
    if (status == GNTST_okay) {
        /* Both may be the same frame. */
        memmove((char *)mfn_to_virt(dest.mfn) + op->dest.offset, (char *)mfn_to_virt(source.mfn) + op->source.offset, op->len);
        side_release(&dest);
    }
    side_release(&source);
    return status;
}

long grant_op_copy(uint64_t uop, unsigned int count)
{
    struct domain *d = current_vcpu()->domain;
    struct gnttab_copy op;

    for (unsigned int i = 0; i < count; i++, uop += sizeof(op)) {
        preempt_point();
        if (copy_from_guest(&op, uop, sizeof(op)) != 0)
            return -EFAULT;
        op.status = copy_one(d, &op);
        if (copy_to_guest(uop + offsetof(struct gnttab_copy, status), &op.status, sizeof(op.status)) != 0)
            return -EFAULT;
    }
    return 0;
}

/* `to` has said that it takes a frame from `from` at ref: give it this one. GNTST_*. */
static int16_t transfer_accept(struct domain *to, grant_ref_t ref, domid_t from, mfn_t mfn)
{
    int16_t status = GNTST_bad_gntref;
    uint64_t *entry, word;

    spin_lock(&to->grants.lock);
    entry = grant_entry(to, ref);
    if (entry != NULL && !to->grants.closing) {
        word = READ_ONCE(*entry);
        if ((ENTRY_FLAGS(word) & (GTF_type_mask | GTF_transfer_committed | GTF_transfer_completed)) == GTF_accept_transfer &&
            ENTRY_DOMID(word) == from &&
            __atomic_compare_exchange_n(entry, &word, word | GTF_transfer_committed, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
            WRITE_ONCE(((grant_entry_v1_t *)entry)->frame, (uint32_t)mfn.n);
            __atomic_fetch_or(&((grant_entry_v1_t *)entry)->flags, GTF_transfer_completed, __ATOMIC_SEQ_CST);
            status = GNTST_okay;
        }
    }
    spin_unlock(&to->grants.lock);
    return status;
}

/*
 * The receiver gets a new frame with the contents of the one given up. To both it looks as if the frame had moved; and the old one, to which the giver may
 * still have mappings, is freed in its own time.
 */
static int16_t transfer_one(struct domain *d, const struct gnttab_transfer *op)
{
    mfn_t old = MFN(op->mfn), new;
    struct domain *to;
    int16_t status = GNTST_bad_domain;

    if (!frame_get(old, d))
        return GNTST_bad_page;
    if (domain_frame_release(d, old) != 0) {
        frame_put(old);
        return GNTST_bad_page;
    }
    /* From here on the frame is gone for the giver, also on error, as the ABI has it. */
    to = domain_find(op->domid);
    if (to != NULL) {
        status = GNTST_general_error;
        if (domain_frame_alloc(to, INVALID_PFN, &new) == 0) {
            memcpy(mfn_to_virt(new), mfn_to_virt(old), PAGE_SIZE);
            status = transfer_accept(to, op->ref, d->id, new);
            if (status != GNTST_okay)
                (void)!domain_frame_release(to, new);
        }
        domain_put(to);
    }
    frame_put(old);
    return status;
}

long grant_op_transfer(uint64_t uop, unsigned int count)
{
    struct domain *d = current_vcpu()->domain;
    struct gnttab_transfer op;

    for (unsigned int i = 0; i < count; i++, uop += sizeof(op)) {
        preempt_point();
        if (copy_from_guest(&op, uop, sizeof(op)) != 0)
            return -EFAULT;
        op.status = transfer_one(d, &op);
        if (copy_to_guest(uop + offsetof(struct gnttab_transfer, status), &op.status, sizeof(op.status)) != 0)
            return -EFAULT;
    }
    return 0;
}
