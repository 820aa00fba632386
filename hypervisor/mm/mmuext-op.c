/* SPDX-License-Identifier: MIT */
/*
 * mmuext_op: pins, base pointers, flushes (xen/xen.h).
 *
 * NEW_BASEPTR and NEW_USER_BASEPTR come in pairs at every switch of address space in the guest: with the table validated before, each is two
 * locked instructions and, for the kernel's, one CR3 load.
 */
#include "alloc.h"
#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "hypercall.h"
#include "lib/string.h"
#include "page-table.h"
#include "tlb.h"
#include "vcpu.h"

#include <hv/errno.h>

int vcpu_bitmap_to_cpus(struct domain *d, uint64_t bitmap, cpumask_t *mask);

int vcpu_set_base(struct vcpu *v, mfn_t l4, bool user)
{
    uint64_t *base = user ? &v->user_cr3 : &v->kernel_cr3;
    uint64_t old = *base;
    int rc;

    if (old == mfn_to_maddr(l4))
        return 0;
    if (l4.n != 0) {
        rc = frame_get_type(l4, v->domain, FRAME_L4);
        if (unlikely(rc != 0))
            return rc;
    } else if (!user) {
        return -EINVAL;
    }
    *base = mfn_to_maddr(l4);
    if (v == current_vcpu() && user != v->in_kernel && l4.n != 0)
        tlb_load_cr3(*base);
    if (old != 0)
        frame_put_type(maddr_to_mfn(old));
    return 0;
}

void vcpu_drop_bases(struct vcpu *v)
{
    if (v->user_cr3 != 0)
        frame_put_type(maddr_to_mfn(v->user_cr3));
    if (v->kernel_cr3 != 0)
        frame_put_type(maddr_to_mfn(v->kernel_cr3));
    v->user_cr3 = v->kernel_cr3 = 0;
}

static int op_pin(struct domain *d, mfn_t mfn, enum frame_type type)
{
    int rc = frame_get_type(mfn, d, type);

    if (rc != 0)
        return rc;
    if (!frame_pin(mfn)) {
        frame_put_type(mfn);
        return -EINVAL;
    }
    return 0;
}

static int op_unpin(struct domain *d, mfn_t mfn)
{
    int rc = -EINVAL;

    if (!frame_get(mfn, d))
        return -EINVAL;
    if (frame_unpin(mfn)) {
        frame_put_type(mfn);
        rc = 0;
    }
    frame_put(mfn);
    return rc;
}

/* COPY_PAGE, CLEAR_PAGE: src NULL clears. */
static int op_fill(struct domain *d, mfn_t to, const mfn_t *from)
{
    int rc;

    if (from != NULL && !frame_get(*from, d))
        return -EINVAL;
    rc = frame_get_type(to, d, FRAME_WRITABLE);
    if (rc == 0) {
        if (from != NULL)
            memcpy(mfn_to_virt(to), mfn_to_virt(*from), PAGE_SIZE);
        else
            memset(mfn_to_virt(to), 0, PAGE_SIZE);
        frame_put_type(to);
    }
    if (from != NULL)
        frame_put(*from);
    return rc;
}

static int op_flush_cpus(struct domain *d, const struct mmuext_op *op)
{
    cpumask_t mask = READ_ONCE(d->dirty_cpus);
    bool one = op->cmd == MMUEXT_INVLPG_MULTI || op->cmd == MMUEXT_INVLPG_ALL;

    if ((op->cmd == MMUEXT_TLB_FLUSH_MULTI || op->cmd == MMUEXT_INVLPG_MULTI) &&
        vcpu_bitmap_to_cpus(d, (uint64_t)op->arg2.vcpumask.p, &mask) != 0)
        return -EFAULT;
    if (!one)
        tlb_flush_mask(mask);
    else if (guest_range_ok(op->arg1.linear_addr, 1))
        tlb_flush_va_mask(mask, op->arg1.linear_addr);
    return 0;
}

static int op_apply(struct vcpu *v, const struct mmuext_op *op)
{
    struct domain *d = v->domain;
    mfn_t mfn = MFN(op->arg1.mfn), from;

    switch (op->cmd) {
    case MMUEXT_NEW_BASEPTR:
        return vcpu_set_base(v, mfn, false);
    case MMUEXT_NEW_USER_BASEPTR:
        return vcpu_set_base(v, mfn, true);
    case MMUEXT_INVLPG_LOCAL:
        if (guest_range_ok(op->arg1.linear_addr, 1))
            invlpg(op->arg1.linear_addr);
        return 0;
    case MMUEXT_TLB_FLUSH_LOCAL:
        tlb_flush_local();
        return 0;
    case MMUEXT_PIN_L1_TABLE:
        return op_pin(d, mfn, FRAME_L1);
    case MMUEXT_PIN_L2_TABLE:
        return op_pin(d, mfn, FRAME_L2);
    case MMUEXT_PIN_L3_TABLE:
        return op_pin(d, mfn, FRAME_L3);
    case MMUEXT_PIN_L4_TABLE:
        return op_pin(d, mfn, FRAME_L4);
    case MMUEXT_UNPIN_TABLE:
        return op_unpin(d, mfn);
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
    case MMUEXT_TLB_FLUSH_ALL:
    case MMUEXT_INVLPG_ALL:
        return op_flush_cpus(d, op);
    case MMUEXT_SET_LDT:
        return vcpu_set_ldt(v, op->arg1.linear_addr, op->arg2.nr_ents);
    case MMUEXT_CLEAR_PAGE:
        return op_fill(d, mfn, NULL);
    case MMUEXT_COPY_PAGE:
        from = MFN(op->arg2.src_mfn);
        return op_fill(d, mfn, &from);
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        return d->privileged ? 0 : -EACCES; /* no memory of ours is uncached */
    default:
        return -ENOSYS;
    }
}

long hypercall_mmuext_op(uint64_t uops, unsigned int count, uint64_t pdone, unsigned int foreigndom)
{
    struct vcpu *v = current_vcpu();
    struct mmuext_op op;
    unsigned int done;
    int rc = 0;

    if (unlikely(foreigndom != DOMID_SELF && foreigndom != v->domain->id))
        return -EPERM;
    for (done = 0; done < count && !READ_ONCE(v->domain->ending); done++) {
        rc = copy_from_guest(&op, uops + done * sizeof(op), sizeof(op));
        if (likely(rc == 0))
            rc = op_apply(v, &op);
        if (unlikely(rc != 0))
            break;
        preempt_point();
    }
    if (pdone != 0 && copy_to_guest(pdone, &done, sizeof(done)) != 0)
        rc = -EFAULT;
    return rc;
}
