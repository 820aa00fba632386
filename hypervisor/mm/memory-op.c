/* SPDX-License-Identifier: MIT */
/*
 * memory_op: reservations, balloon, exchange, and what a guest asks about its memory (xen/memory.h).
 *
 * Extents are handled one at a time with a preemption point between, so a list of any length stalls nobody; as the ABI has it, the list operations answer the
 * number of extents done.
 */
#include "alloc.h"
#include "cpu.h"
#include "domain.h"
#include "guest-access.h"
#include "hypercall.h"
#include "lib/string.h"
#include "page-table.h"
#include "paging.h"
#include "vcpu.h"

#include <hv/errno.h>
#include <xen/memory.h>

#define EXTENT_ORDER_MAX 9u

/* The domain an operation is for, NULL if there is none or the caller may not. Another than the caller's own stays alive until target_release. */
static struct domain *target_find(domid_t id)
{
    struct domain *self = current_vcpu()->domain, *d;

    if (id == DOMID_SELF || id == self->id)
        return self;
    d = self->privileged ? domain_find(id) : NULL;
    if (d != NULL && !domain_memory_enter(d)) {
        domain_put(d);
        d = NULL;
    }
    return d;
}

static void target_release(struct domain *d)
{
    if (d == current_vcpu()->domain)
        return;
    domain_memory_leave(d);
    domain_put(d);
}

static int reservation_copy(struct xen_memory_reservation *r, uint64_t arg, struct domain **d)
{
    if (copy_from_guest(r, arg, sizeof(*r)) != 0)
        return -EFAULT;
    if (r->extent_order > EXTENT_ORDER_MAX || r->nr_extents > (1ul << 40))
        return -EINVAL;
    *d = target_find(r->domid);
    return *d != NULL ? 0 : -ESRCH;
}

static uint64_t extent_address(const struct xen_memory_reservation *r, uint64_t i)
{
    return (uint64_t)r->extent_start.p + i * sizeof(xen_pfn_t);
}

/* Give up one extent; false at the first frame that is not d's to give. */
static bool extent_release(struct domain *d, uint64_t mfn, unsigned int order)
{
    uint64_t i;

    for (i = 0; i < 1ull << order; i++)
        if (domain_frame_release(d, MFN(mfn + i)) != 0)
            return false;
    return true;
}

static long op_decrease(uint64_t arg)
{
    struct xen_memory_reservation r;
    struct domain *d;
    xen_pfn_t mfn;
    uint64_t i;
    int rc = reservation_copy(&r, arg, &d);

    if (rc != 0)
        return rc;
    for (i = 0; i < r.nr_extents && !READ_ONCE(current_vcpu()->domain->ending); i++) {
        if (copy_from_guest(&mfn, extent_address(&r, i), sizeof(mfn)) != 0 || !extent_release(d, mfn, r.extent_order))
            break;
        preempt_point();
    }
    target_release(d);
    return (long)i;
}

/* increase: the caller does not say pfns; populate: it does, and M2P is set. */
static long op_increase(uint64_t arg, bool populate)
{
    struct xen_memory_reservation r;
    struct domain *d;
    uint64_t i, *mfns;
    int rc = reservation_copy(&r, arg, &d);

    if (rc != 0)
        return rc;
    mfns = page_alloc(); /* the numbers of one extent: too much for a stack */
    for (i = 0; mfns != NULL && i < r.nr_extents && !READ_ONCE(current_vcpu()->domain->ending); i++) {
        xen_pfn_t pfn = ~0ul;
        bool wants_result = populate || r.extent_start.p != NULL;

        if (populate && copy_from_guest(&pfn, extent_address(&r, i), sizeof(pfn)) != 0)
            break;
        if (domain_extent_alloc(d, PFN(pfn), r.extent_order, 64, mfns) != 0)
            break;
        if (wants_result && copy_to_guest(extent_address(&r, i), &mfns[0], sizeof(mfns[0])) != 0) {
            extent_release(d, mfns[0], r.extent_order);
            break;
        }
        mm_preempt_point();
    }
    if (mfns != NULL)
        page_free(mfns);
    target_release(d);
    return (long)i;
}

/* Frame numbers of one chunk: too many for a stack. */
struct exchange_chunk {
    uint64_t mfns[1u << EXTENT_ORDER_MAX];
    xen_pfn_t in[1u << EXTENT_ORDER_MAX], pfn[1u << EXTENT_ORDER_MAX];
};

/* One chunk of an exchange: `in` frames leave, one extent of the same size comes. True when done. */
static bool chunk_exchange(struct domain *d, const struct xen_memory_exchange *x, uint64_t chunk, unsigned int order,
                           struct exchange_chunk *c)
{
    uint64_t *mfns = c->mfns, count = 1ull << order, i;
    unsigned int in_each = 1u << x->in.extent_order, out_each = 1u << x->out.extent_order;
    unsigned int bits = XENMEMF_get_address_bits(x->out.mem_flags);
    xen_pfn_t *in = c->in, *pfn = c->pfn;

    if (copy_from_guest(in, extent_address(&x->in, chunk * (count / in_each)), count / in_each * sizeof(*in)) != 0 ||
        copy_from_guest(pfn, extent_address(&x->out, chunk * (count / out_each)), count / out_each * sizeof(*pfn)) != 0)
        return false;
    /* New memory first, over the maximum for a moment: then nothing is lost if there is none. */
    if (domain_extent_exchange_alloc(d, order, bits == 0 ? 64 : bits, mfns) != 0)
        return false;
    for (i = 0; i < count / in_each; i++)
        if (!extent_release(d, in[i], x->in.extent_order))
            break;
    if (i < count / in_each) {
        extent_release(d, mfns[0], order);
        return false;
    }
    for (i = 0; i < count; i++)
        m2p_set(MFN(mfns[i]), PFN(pfn[i / out_each] + i % out_each));
    for (i = 0; i < count / out_each; i++)
        if (copy_to_guest(extent_address(&x->out, chunk * (count / out_each) + i), &mfns[i * out_each], sizeof(mfns[0])) != 0)
            return false;
    return true;
}

static long op_exchange(uint64_t arg)
{
    struct xen_memory_exchange x;
    struct exchange_chunk *scratch;
    struct domain *d;
    unsigned int order;
    uint64_t chunk = 0, chunks;
    long rc = -ENOMEM;

    if (copy_from_guest(&x, arg, sizeof(x)) != 0)
        return -EFAULT;
    if (x.in.extent_order > EXTENT_ORDER_MAX || x.out.extent_order > EXTENT_ORDER_MAX || x.in.domid != x.out.domid ||
        x.in.nr_extents > (1ul << 40) || x.out.nr_extents > (1ul << 40) ||
        x.in.nr_extents << x.in.extent_order != x.out.nr_extents << x.out.extent_order || x.nr_exchanged > x.in.nr_extents)
        return -EINVAL;
    order = max(x.in.extent_order, x.out.extent_order);
    if ((x.in.nr_extents << x.in.extent_order) & ((1ul << order) - 1))
        return -EINVAL;
    d = target_find(x.in.domid);
    if (d == NULL)
        return -ESRCH;
    chunks = (x.in.nr_extents << x.in.extent_order) >> order;
    chunk = (x.nr_exchanged << x.in.extent_order) >> order;
    scratch = heap_alloc(sizeof(*scratch));
    while (scratch != NULL && chunk < chunks && !READ_ONCE(current_vcpu()->domain->ending) && chunk_exchange(d, &x, chunk, order, scratch)) {
        chunk++;
        mm_preempt_point();
    }
    heap_free(scratch);
    if (chunk == chunks)
        rc = 0;
    x.nr_exchanged = (chunk << order) >> x.in.extent_order;
    target_release(d);
    if (copy_to_guest(arg + offsetof(struct xen_memory_exchange, nr_exchanged), &x.nr_exchanged, sizeof(x.nr_exchanged)) != 0)
        return -EFAULT;
    return rc;
}

static long op_reservation_size(uint64_t arg, bool maximum)
{
    struct domain *d;
    domid_t id;
    long pages;

    if (copy_from_guest(&id, arg, sizeof(id)) != 0)
        return -EFAULT;
    d = target_find(id);
    if (d == NULL)
        return -ESRCH;
    pages = (long)(maximum ? READ_ONCE(d->frame_max) : READ_ONCE(d->frame_count));
    target_release(d);
    return pages;
}

/* An E820 entry as the PC firmware and the ABI pack it. */
struct e820_entry {
    uint64_t address, size;
    uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct e820_entry) == 20, "E820 entries are 20 bytes");
#define E820_RAM 1u

/* One RAM entry [0, ram_frames): so the kernel has no hole to map and no memory to move (ABI.md 4.10). */
static long op_memory_map(uint64_t arg)
{
    struct xen_memory_map map;
    struct e820_entry entry = {0, current_vcpu()->domain->ram_frames << PAGE_SHIFT, E820_RAM};

    if (copy_from_guest(&map, arg, sizeof(map)) != 0)
        return -EFAULT;
    if (map.nr_entries < 1)
        return -EINVAL;
    map.nr_entries = 1;
    if (copy_to_guest((uint64_t)map.buffer.p, &entry, sizeof(entry)) != 0 || copy_to_guest(arg, &map, sizeof(map)) != 0)
        return -EFAULT;
    return 0;
}

static long op_machphys_mapping(uint64_t arg)
{
    struct xen_machphys_mapping mapping = {
        .v_start = M2P_VIRT,
        .v_end = M2P_VIRT + M2P_VIRT_SIZE,
        .max_mfn = frame_table_end - 1,
    };

    return copy_to_guest(arg, &mapping, sizeof(mapping));
}

static long op_machphys_mfn_list(uint64_t arg)
{
    struct xen_machphys_mfn_list list;

    if (copy_from_guest(&list, arg, sizeof(list)) != 0)
        return -EFAULT;
    list.nr_extents = 0; /* the table is in the caller's own page tables already, and may not be mapped again */
    return copy_to_guest(arg, &list, sizeof(list));
}

long hypercall_memory_op(unsigned int cmd, uint64_t arg)
{
    switch (cmd) {
    case XENMEM_increase_reservation:
        return op_increase(arg, false);
    case XENMEM_populate_physmap:
        return op_increase(arg, true);
    case XENMEM_decrease_reservation:
        return op_decrease(arg);
    case XENMEM_exchange:
        return op_exchange(arg);
    case XENMEM_maximum_ram_page:
        return (long)frame_table_end - 1;
    case XENMEM_current_reservation:
        return op_reservation_size(arg, false);
    case XENMEM_maximum_reservation:
        return op_reservation_size(arg, true);
    case XENMEM_memory_map:
        return op_memory_map(arg);
    case XENMEM_machine_memory_map:
        return current_vcpu()->domain->privileged ? op_memory_map(arg) : -EPERM;
    case XENMEM_machphys_mapping:
        return op_machphys_mapping(arg);
    case XENMEM_machphys_mfn_list:
        return op_machphys_mfn_list(arg);
    default:
        return -ENOSYS;
    }
}

long hypercall_vm_assist(unsigned int cmd, unsigned int type)
{
    const uint32_t offered = (1u << VMASST_TYPE_4gb_segments) | (1u << VMASST_TYPE_4gb_segments_notify) |
                             (1u << VMASST_TYPE_pae_extended_cr3) | (1u << VMASST_TYPE_runstate_update_flag);
    struct domain *d = current_vcpu()->domain;

    if (type >= 32 || !(offered & (1u << type)))
        return -EINVAL; /* writable page tables among them: writes are emulated, never let through */
    if (cmd == VMASST_CMD_enable)
        __atomic_or_fetch(&d->vm_assist, 1u << type, __ATOMIC_RELAXED);
    else if (cmd == VMASST_CMD_disable)
        __atomic_and_fetch(&d->vm_assist, ~(1u << type), __ATOMIC_RELAXED);
    else
        return -ENOSYS;
    return 0;
}
