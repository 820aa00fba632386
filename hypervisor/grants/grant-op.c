// SPDX-License-Identifier: MIT
/*
 * HYPERVISOR_grant_table_op: the dispatcher, and the operations on a table as a whole. The array operations are in grant-map.c and grant-copy.c.
 * Refused: version 2 of the table (guests then stay with version 1), dump_table, cache_flush (x86 caches are coherent: there is nothing to do).
 * Contract: hypercall.h; <xen/grant_table.h>.
 */
#include "grant-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "guest-access.h"
#include "hypercall.h"
#include "vcpu.h"

#include <hv/errno.h>

struct domain *grant_domain_named(domid_t id, int16_t *status)
{
    struct domain *self = current_vcpu()->domain, *d;

    *status = GNTST_permission_denied;
    if (id != DOMID_SELF && id != self->id && !self->privileged)
        return NULL;
    *status = GNTST_bad_domain;
    d = domain_find(id);
    if (d != NULL)
        *status = GNTST_okay;
    return d;
}

static int16_t setup_table(struct domain *d, const struct gnttab_setup_table *op)
{
    uint64_t list = (uint64_t)op->frame_list.p;

    if (op->nr_frames > GRANT_FRAMES_MAX || grant_table_grow(d, op->nr_frames) != 0)
        return GNTST_general_error;
    for (uint32_t i = 0; i < op->nr_frames; i++) {
        xen_pfn_t mfn;
        void *frame;

        spin_lock(&d->grants.lock);
        frame = d->grants.frames[i]; /* NULL if the domain has gone meanwhile */
        spin_unlock(&d->grants.lock);
        if (frame == NULL)
            return GNTST_bad_domain;
        mfn = virt_to_mfn(frame).n;
        if (copy_to_guest(list + i * sizeof(mfn), &mfn, sizeof(mfn)) != 0)
            return GNTST_bad_virt_addr;
    }
    return GNTST_okay;
}

static long op_setup_table(uint64_t uop)
{
    struct gnttab_setup_table op;
    struct domain *d;

    if (copy_from_guest(&op, uop, sizeof(op)) != 0)
        return -EFAULT;
    d = grant_domain_named(op.dom, &op.status);
    if (d != NULL) {
        op.status = setup_table(d, &op);
        domain_put(d);
    }
    return copy_to_guest(uop + offsetof(struct gnttab_setup_table, status), &op.status, sizeof(op.status));
}

static long op_query_size(uint64_t uop)
{
    struct gnttab_query_size op;
    struct domain *d;

    if (copy_from_guest(&op, uop, sizeof(op)) != 0)
        return -EFAULT;
    d = grant_domain_named(op.dom, &op.status);
    if (d != NULL) {
        op.nr_frames = READ_ONCE(d->grants.frame_count);
        op.max_nr_frames = GRANT_FRAMES_MAX;
        domain_put(d);
    }
    return copy_to_guest(uop, &op, sizeof(op));
}

static long op_set_version(uint64_t uop)
{
    struct gnttab_set_version op;

    if (copy_from_guest(&op, uop, sizeof(op)) != 0)
        return -EFAULT;
    if (op.version == 2)
        return -ENOSYS; /* known, not offered */
    if (op.version != 1)
        return -EINVAL;
    return copy_to_guest(uop, &op, sizeof(op)); /* what it is already */
}

static long op_get_version(uint64_t uop)
{
    struct gnttab_get_version op;
    struct domain *d;
    int16_t status;

    if (copy_from_guest(&op, uop, sizeof(op)) != 0)
        return -EFAULT;
    d = grant_domain_named(op.dom, &status);
    if (d == NULL)
        return status == GNTST_permission_denied ? -EPERM : -ESRCH;
    domain_put(d);
    op.version = 1;
    return copy_to_guest(uop, &op, sizeof(op));
}

static int16_t swap_refs(struct domain *d, grant_ref_t a, grant_ref_t b)
{
    struct grant_ref_state *sa, *sb;
    int16_t status = GNTST_okay;

    spin_lock(&d->grants.lock);
    sa = grant_state(d, a);
    sb = grant_state(d, b);
    if (sa == NULL || sb == NULL) {
        status = GNTST_bad_gntref;
    } else if (sa->readers + sa->writers + sb->readers + sb->writers != 0) {
        status = GNTST_eagain;
    } else if (sa != sb) {
        uint64_t *ea = grant_entry(d, a), *eb = grant_entry(d, b), word = READ_ONCE(*ea);

        WRITE_ONCE(*ea, READ_ONCE(*eb));
        WRITE_ONCE(*eb, word);
    }
    spin_unlock(&d->grants.lock);
    return status;
}

static long op_swap(uint64_t uop, unsigned int count)
{
    struct gnttab_swap_grant_ref op;

    for (unsigned int i = 0; i < count; i++, uop += sizeof(op)) {
        preempt_point();
        if (copy_from_guest(&op, uop, sizeof(op)) != 0)
            return -EFAULT;
        op.status = swap_refs(current_vcpu()->domain, op.ref_a, op.ref_b);
        if (copy_to_guest(uop + offsetof(struct gnttab_swap_grant_ref, status), &op.status, sizeof(op.status)) != 0)
            return -EFAULT;
    }
    return 0;
}

long hypercall_grant_table_op(unsigned int cmd, uint64_t uop, unsigned int count)
{
    if ((int)count < 0)
        return -EINVAL;
    switch (cmd) {
    case GNTTABOP_map_grant_ref: return grant_op_map(uop, count);
    case GNTTABOP_unmap_grant_ref: return grant_op_unmap(uop, count);
    case GNTTABOP_unmap_and_replace: return grant_op_unmap_and_replace(uop, count);
    case GNTTABOP_copy: return grant_op_copy(uop, count);
    case GNTTABOP_transfer: return grant_op_transfer(uop, count);
    case GNTTABOP_swap_grant_ref: return op_swap(uop, count);
    case GNTTABOP_setup_table: return count == 1 ? op_setup_table(uop) : -EINVAL;
    case GNTTABOP_query_size: return count == 1 ? op_query_size(uop) : -EINVAL;
    case GNTTABOP_set_version: return op_set_version(uop);
    case GNTTABOP_get_version: return op_get_version(uop);
    case GNTTABOP_cache_flush: return count == 0 ? 0 : -EOPNOTSUPP;
    default: return -ENOSYS;
    }
}
