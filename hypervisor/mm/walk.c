/* SPDX-License-Identifier: MIT */
/*
 * Finding the entry that maps a linear address in the running vCPU's own tables, through the direct map.
 */
#include "alloc.h"
#include "cpu.h"
#include "guest-access.h"
#include "page-table.h"
#include "vcpu.h"

#include <hv/errno.h>

uint64_t *pt_walk_l1e(uint64_t linear, mfn_t *l1)
{
    const struct vcpu *v = current_vcpu();
    uint64_t entry = v->in_kernel ? v->kernel_cr3 : v->user_cr3;
    unsigned int shift;

    /* Not the hypervisor's own slots, whose tables have large pages. */
    if (unlikely(!guest_range_ok(linear, 1)))
        return NULL;
    for (shift = 39; shift > 12; shift -= 9) {
        const uint64_t *table = maddr_to_virt(entry & PTE_ADDRESS);

        entry = READ_ONCE(table[(linear >> shift) & 511]);
        if (unlikely(!(entry & PTE_PRESENT)))
            return NULL;
    }
    *l1 = pte_mfn(entry);
    return (uint64_t *)maddr_to_virt(entry & PTE_ADDRESS) + ((linear >> 12) & 511);
}

int pt_read(struct vcpu *v unused_arg, uint64_t linear, uint64_t *value)
{
    mfn_t l1;
    uint64_t *mapping = pt_walk_l1e(linear, &l1), entry;

    if (mapping == NULL)
        return -EFAULT;
    entry = READ_ONCE(*mapping);
    if (!(entry & PTE_PRESENT) || !frame_number_ok(pte_mfn(entry)))
        return -EFAULT;
    if (frame_type_of(READ_ONCE(frame_of(pte_mfn(entry))->word)) != FRAME_L1)
        return -EINVAL;
    *value = READ_ONCE(((uint64_t *)mfn_to_virt(pte_mfn(entry)))[(linear & (PAGE_SIZE - 1)) / 8]);
    return 0;
}

int pt_write_cmpxchg(struct vcpu *v, uint64_t linear, uint64_t *old_seen, uint64_t new_value)
{
    mfn_t l1, table;
    uint64_t *mapping = pt_walk_l1e(linear, &l1), entry;
    int rc;

    if (mapping == NULL)
        return -EFAULT;
    entry = READ_ONCE(*mapping);
    table = pte_mfn(entry);
    if (!(entry & PTE_PRESENT) || !frame_number_ok(table))
        return -EFAULT;
    if (!frame_in_use_as(table, FRAME_L1))
        return -EINVAL;
    rc = frame_get_type(table, v->domain, FRAME_L1);
    if (rc != 0)
        return rc;
    rc = pt_l1_update_if(v->domain, (uint64_t *)mfn_to_virt(table) + (linear & (PAGE_SIZE - 1)) / 8, old_seen, new_value);
    frame_put_type(table);
    return rc;
}
