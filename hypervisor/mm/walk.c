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

int pt_read(uint64_t linear, struct pt_place *place, uint64_t *value)
{
    mfn_t l1;
    uint64_t *mapping = pt_walk_l1e(linear, &l1), entry;

    if (mapping == NULL)
        return -EFAULT;
    entry = READ_ONCE(*mapping);
    place->table = pte_mfn(entry);
    if (!(entry & PTE_PRESENT) || !frame_in_use_as(place->table, FRAME_L1))
        return -EINVAL;
    place->entry = (uint64_t *)mfn_to_virt(place->table) + (linear & (PAGE_SIZE - 1)) / sizeof(uint64_t);
    *value = READ_ONCE(*place->entry);
    return 0;
}

int pt_write_cmpxchg(struct vcpu *v, const struct pt_place *place, uint64_t *old_seen, uint64_t new_value)
{
    int rc;

    if (!frame_in_use_as(place->table, FRAME_L1))
        return -EINVAL;
    rc = frame_get_type(place->table, v->domain, FRAME_L1);
    if (rc != 0)
        return rc;
    rc = pt_l1_update_if(v->domain, place->entry, old_seen, new_value);
    frame_put_type(place->table);
    return rc;
}
