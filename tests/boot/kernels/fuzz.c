// SPDX-License-Identifier: MIT
/*
 * Random hypercalls from a seed, on each vCPU at once: count=N calls (a million), seed=N. The same seed on one vCPU makes the same calls.
 *
 * Arguments are biased to what gets far: our own frames in all states, entries of tables that we do not live in, small numbers, structures of such numbers, and every kind of
 * bad pointer. The kernel must survive to go on, so by default what would end it (its own tables, iret) is left out, and always what would let it sleep for ever; with
 * wild=1 its own tables are not spared, and being crashed with a reason is a good end too. What counts is that the hypervisor and its frame counts are unharmed after it.
 */
#include "mini.h"

#include <collet/control.h>

#define ARENA_PAGES 96u
#define SCRATCH_BYTES 4096u
#define PROGRESS 250000ul

struct fuzz {
    uint64_t random;
    uint64_t calls;
    uint8_t *scratch; /* argument structures lie here */
    unsigned long refused, done;
};

static void *arena[ARENA_PAGES];
static uint64_t arena_mfn[ARENA_PAGES]; /* kept: m2p and p2m may change under way */
static struct region playground;
static bool wild;

static uint64_t below(struct fuzz *f, uint64_t n)
{
    return random_next(&f->random) % n;
}

/* Frames that hold this kernel, its tables and its p2m: pages may be cleared and copied onto by frame number. */
static bool kernel_mfn[1 << 18];

static void kernel_mfns_note(void)
{
    uint64_t last = pfn_of((void *)start_info->pt_base) + start_info->nr_pt_frames + 16;

    for (uint64_t pfn = 0; pfn < start_info->nr_pages; pfn++)
        if ((pfn < last || (pfn >= start_info->first_p2m_pfn && pfn < start_info->first_p2m_pfn + start_info->nr_p2m_frames)) &&
            p2m[pfn] < COUNT_OF(kernel_mfn))
            kernel_mfn[p2m[pfn]] = true;
}

static uint64_t any_mfn(struct fuzz *f)
{
    uint64_t mfn;

    switch (below(f, 12)) {
    case 0:
        mfn = below(f, COUNT_OF(kernel_mfn));
        return kernel_mfn[mfn] && !wild ? ~0ul : mfn;
    case 1:
        return random_next(&f->random);
    case 2:
        return wild ? p2m[below(f, start_info->nr_pages)] : ~0ul;
    default:
        return arena_mfn[below(f, ARENA_PAGES)];
    }
}

/* A machine address of an entry that we can spare. */
static uint64_t any_entry(struct fuzz *f)
{
    uint64_t slot = below(f, 512) * 8;

    switch (below(f, 10)) {
    case 0:
        return l1e_maddr(&playground, 0) + slot;
    case 1:
        return maddr_of(playground.l2) + slot;
    case 2:
        return maddr_of(playground.l3) + slot;
    case 3:
        return (any_mfn(f) << PAGE_SHIFT) + below(f, 4096);
    case 4:
        return wild ? pte_maddr((uint64_t)text_start + below(f, 64) * PAGE_SIZE, 1 + (int)below(f, 4)) : slot;
    default:
        return (arena_mfn[below(f, ARENA_PAGES)] << PAGE_SHIFT) + slot;
    }
}

static uint64_t any_pte(struct fuzz *f)
{
    static const uint64_t flags[] = {0, PTE_P, PTE_RO, PTE_PAGE, PTE_PAGE | PTE_NX, PTE_PAGE | PTE_PSE, PTE_PAGE | PTE_G, PTE_RO | PTE_US, PTE_TABLE};

    if (below(f, 8) == 0)
        return below(f, 2) ? 0 : random_next(&f->random);
    return (any_mfn(f) << PAGE_SHIFT) | flags[below(f, COUNT_OF(flags))] | (below(f, 16) == 0 ? random_next(&f->random) & 0x7ff0000000000e00ul : 0);
}

/* Addresses: spare ones in the tame run, all kinds of bad ones always. */
static uint64_t any_va(struct fuzz *f)
{
    switch (below(f, 12)) {
    case 0:
        return 0xffff800000000000ul + random_next(&f->random) % 0x80000000000ul;
    case 1:
        return random_next(&f->random);
    case 2:
        return 0x0000800000000000ul - below(f, 64);
    case 3:
        return 0xfffffffffffffffful - below(f, 64);
    case 4:
        return below(f, 4096);
    case 5:
        return 0xffff880000000000ul - below(f, 64);
    case 6:
        return wild ? (uint64_t)text_start + below(f, 1 << 20) : 0xffff828000100000ul + below(f, 1 << 20);
    default:
        return (uint64_t)region_va(&playground, (unsigned int)below(f, 512)) + (below(f, 4) == 0 ? below(f, 4096) : 0);
    }
}

static uint64_t any_number(struct fuzz *f)
{
    switch (below(f, 10)) {
    case 0:
        return random_next(&f->random);
    case 1:
        return 1ul << below(f, 64);
    case 2:
        return ~0ul - below(f, 3);
    case 3:
        return any_mfn(f);
    case 4:
        return any_va(f);
    case 5:
        return below(f, 5000);
    case 6:
        return DOMID_SELF + below(f, 6);
    default:
        return below(f, 24);
    }
}

static void scratch_fill(struct fuzz *f)
{
    uint64_t *word = (uint64_t *)f->scratch;

    for (unsigned int i = 0; i < 40; i++) {
        if (below(f, 3) == 0)
            word[i] = (below(f, 32) << 32) | (any_number(f) & 0xffffffff);
        else
            word[i] = any_number(f);
    }
}

/* Where the arguments are: nearly always readable memory of ours. */
static uint64_t scratch_pointer(struct fuzz *f)
{
    return below(f, 20) == 0 ? any_va(f) : (uint64_t)f->scratch + (below(f, 8) == 0 ? below(f, SCRATCH_BYTES) : 0);
}

static void mmu_requests(struct fuzz *f, unsigned int count)
{
    struct mmu_update *req = (struct mmu_update *)f->scratch;

    for (unsigned int i = 0; i < count; i++) {
        req[i].ptr = any_entry(f) | below(f, 4);
        req[i].val = (req[i].ptr & 3) == MMU_MACHPHYS_UPDATE ? below(f, 1 << 20) : any_pte(f);
    }
}

static void mmuext_requests(struct fuzz *f, unsigned int count)
{
    struct mmuext_op *op = (struct mmuext_op *)f->scratch;

    for (unsigned int i = 0; i < count; i++) {
        op[i].cmd = (unsigned int)below(f, 24);
        if (!wild && op[i].cmd == MMUEXT_NEW_BASEPTR)
            op[i].cmd = MMUEXT_UNPIN_TABLE;
        op[i].arg1.mfn = below(f, 3) == 0 ? any_va(f) : any_mfn(f);
        op[i].arg2.src_mfn = below(f, 2) ? any_mfn(f) : (uint64_t)f->scratch;
    }
}

static long call_memory_op(struct fuzz *f)
{
    static const unsigned int commands[] = {XENMEM_increase_reservation, XENMEM_decrease_reservation, XENMEM_populate_physmap,
                                            XENMEM_current_reservation, XENMEM_maximum_reservation, XENMEM_maximum_ram_page,
                                            XENMEM_machphys_mapping, XENMEM_machphys_mfn_list, XENMEM_memory_map, XENMEM_exchange};
    struct xen_memory_reservation *r = (struct xen_memory_reservation *)f->scratch;
    uint64_t *list = (uint64_t *)(f->scratch + 512);

    for (unsigned int i = 0; i < 8; i++)
        list[i] = any_mfn(f);
    set_xen_guest_handle(r->extent_start, (xen_pfn_t *)(below(f, 12) == 0 ? any_va(f) : (uint64_t)list));
    r->nr_extents = below(f, 10) == 0 ? random_next(&f->random) : below(f, 8);
    r->extent_order = below(f, 6) == 0 ? (unsigned int)below(f, 64) : 0;
    r->mem_flags = below(f, 4) == 0 ? (unsigned int)random_next(&f->random) : 0;
    r->domid = (domid_t)(below(f, 6) == 0 ? below(f, 65536) : DOMID_SELF);
    if (below(f, 6) == 0)
        return memory_op(below(f, 40), scratch_pointer(f));
    return memory_op(commands[below(f, COUNT_OF(commands))], scratch_pointer(f));
}

static long call_event_op(struct fuzz *f)
{
    uint32_t *word = (uint32_t *)f->scratch;

    for (unsigned int i = 0; i < 6; i++)
        word[i] = (uint32_t)(below(f, 3) ? below(f, 200) : below(f, 2) ? (uint32_t)any_number(f) : (DOMID_SELF | (uint32_t)below(f, 4) << 16));
    return evtchn_op(below(f, 16), scratch_pointer(f));
}

static long call_grant_op(struct fuzz *f)
{
    uint64_t *word = (uint64_t *)f->scratch;

    scratch_fill(f);
    /* Host addresses first, as map and unmap have them; a domain number and a reference where copy has them. */
    word[0] = below(f, 3) ? any_va(f) & PAGE_MASK : any_entry(f);
    if (below(f, 2))
        word[1] = below(f, 64) | below(f, 600) << 32;
    if (below(f, 2))
        word[2] = DOMID_SELF;
    return gnttab_op(below(f, 14), scratch_pointer(f), below(f, 50) == 0 ? below(f, 1000) : 1 + below(f, 3));
}

static long call_vcpu_op(struct fuzz *f)
{
    unsigned int cmd = (unsigned int)below(f, 16);

    scratch_fill(f);
    if (cmd == VCPUOP_down || (!wild && (cmd == VCPUOP_send_nmi || cmd == VCPUOP_initialise || cmd == VCPUOP_up)))
        cmd = VCPUOP_is_up;
    if (cmd == VCPUOP_register_vcpu_info && !wild) {
        /* Were it taken, the library would look for events in the old place, and be called for ever: over the page's end it is not. */
        ((struct vcpu_register_vcpu_info *)f->scratch)->offset |= PAGE_SIZE - 8;
        return vcpu_op(cmd, this_vcpu()->id, f->scratch);
    }
    return vcpu_op(cmd, below(f, 4) == 0 ? any_number(f) : below(f, vcpu_count), scratch_pointer(f));
}

static long call_sched_op(struct fuzz *f)
{
    unsigned int cmd = (unsigned int)below(f, 10);
    struct sched_poll *poll = (struct sched_poll *)f->scratch;

    scratch_fill(f);
    if (cmd == SCHEDOP_shutdown || cmd == SCHEDOP_shutdown_code || cmd == SCHEDOP_watchdog || cmd == SCHEDOP_remote_shutdown ||
        cmd == SCHEDOP_block)
        cmd = SCHEDOP_yield;
    if (cmd == SCHEDOP_poll) {
        set_xen_guest_handle(poll->ports, (evtchn_port_t *)(f->scratch + 256));
        poll->nr_ports = (unsigned int)below(f, 6);
        poll->timeout = now_ns() + below(f, 20000);
        return sched_op(cmd, (uint64_t)f->scratch); /* a time limit that we know, or nobody would wake us */
    }
    return sched_op(cmd, scratch_pointer(f));
}

static long call_one(struct fuzz *f);

/* A few entries of simple kinds; entries for which call_one has care are left to it. */
static long call_multicall(struct fuzz *f)
{
    static const unsigned char ops[] = {__HYPERVISOR_mmu_update, __HYPERVISOR_update_va_mapping, __HYPERVISOR_xen_version, __HYPERVISOR_set_gdt,
                                        __HYPERVISOR_multicall, __HYPERVISOR_stack_switch, __HYPERVISOR_update_descriptor, 63};
    struct multicall_entry *call = (struct multicall_entry *)(f->scratch + 1024);
    unsigned int count = (unsigned int)below(f, 6);

    mmu_requests(f, 8);
    for (unsigned int i = 0; i < count; i++) {
        call[i].op = ops[below(f, COUNT_OF(ops))];
        for (unsigned int k = 0; k < 5; k++)
            call[i].args[k] = any_number(f);
        if (call[i].op == __HYPERVISOR_mmu_update) {
            call[i].args[0] = (uint64_t)f->scratch;
            call[i].args[1] = below(f, 8);
            call[i].args[2] = 0;
            call[i].args[3] = DOMID_SELF;
        } else if (call[i].op == __HYPERVISOR_update_va_mapping) {
            call[i].args[0] = any_va(f);
            call[i].args[1] = any_pte(f);
            call[i].args[2] = below(f, 8);
        } else if (call[i].op == __HYPERVISOR_update_descriptor) {
            call[i].args[0] = any_entry(f);
        }
    }
    /* An absurd count only with a bad pointer: behind our entries lies who knows what, a block or a shutdown for instance. */
    if (below(f, 16) == 0)
        return multicall(any_va(f) | 1ul << 47, random_next(&f->random) & 0xffffffff);
    return multicall(call, count);
}

/* The control interface and domctl. As Domain0 it makes domains until memory is gone, and destroys some; it does not start one. */
static long call_control(struct fuzz *f)
{
    uint64_t op = below(f, 68);
    uint32_t *word = (uint32_t *)f->scratch;

    scratch_fill(f);
    if (below(f, 4) == 0) {
        word[0] = (uint32_t)below(f, 100);
        word[1] = (uint32_t)below(f, 0x20);
        word[2] = (uint32_t)below(f, 10);
        return hypercall1(__HYPERVISOR_domctl, scratch_pointer(f));
    }
    if (op == COLLET_OP_DOMAIN_CREATE) {
        memset(f->scratch, 0, 512);
        snprintf((char *)f->scratch, COLLET_NAME_MAX, "fuzz%lu", (unsigned long)below(f, 100000));
        word[8] = (uint32_t)below(f, 6);
        word[10] = (uint32_t)below(f, 1000);
    } else if (below(f, 4) != 0) {
        word[0] = (uint32_t)below(f, below(f, 2) ? 10 : 1000);
        word[1] = below(f, 2) ? 0 : (uint32_t)below(f, 100);
    }
    return hypercall4(COLLET_HYPERCALL, op, scratch_pointer(f), below(f, 3) ? below(f, 300) : any_number(f),
                      below(f, 20) == 0 ? any_number(f) : COLLET_CONTROL_VERSION);
}

static long call_plain(struct fuzz *f)
{
    static const unsigned char safe[] = {__HYPERVISOR_set_gdt, __HYPERVISOR_stack_switch, __HYPERVISOR_fpu_taskswitch, __HYPERVISOR_platform_op,
                                         __HYPERVISOR_get_debugreg, __HYPERVISOR_set_timer_op, __HYPERVISOR_xen_version, __HYPERVISOR_vm_assist,
                                         __HYPERVISOR_update_va_mapping_otherdomain, __HYPERVISOR_set_segment_base, __HYPERVISOR_xsm_op,
                                         __HYPERVISOR_physdev_op, __HYPERVISOR_hvm_op, __HYPERVISOR_sysctl, __HYPERVISOR_domctl, 9, 11, 16, 19, 31, 40, 48, 63};
    uint64_t nr = safe[below(f, COUNT_OF(safe))];

    if (below(f, 16) == 0)
        nr = below(f, 2) ? 64 + below(f, 100) : random_next(&f->random) | 0x100;
    if (wild && below(f, 4) == 0)
        nr = below(f, 64);
    scratch_fill(f);
    return hypercall5(nr, below(f, 3) ? below(f, 12) : any_number(f), below(f, 2) ? scratch_pointer(f) : any_number(f), any_number(f), any_number(f),
                      any_number(f));
}

static long call_one(struct fuzz *f)
{
    unsigned int done, count;

    switch (below(f, 17)) {
    case 0 ... 3:
        count = (unsigned int)below(f, 12);
        mmu_requests(f, count);
        return mmu_update(below(f, 16) == 0 ? any_va(f) : (uint64_t)f->scratch, below(f, 30) == 0 ? below(f, 5000) : count,
                          below(f, 8) == 0 ? any_va(f) : below(f, 2) ? (uint64_t)&done : 0,
                          below(f, 8) == 0 ? any_number(f) : DOMID_SELF);
    case 4:
    case 5:
        count = (unsigned int)below(f, 5);
        mmuext_requests(f, count);
        return mmuext_op(below(f, 16) == 0 ? any_va(f) : (uint64_t)f->scratch, count, 0, below(f, 8) == 0 ? any_number(f) : DOMID_SELF);
    case 6:
    case 7:
        return update_va_mapping(any_va(f), any_pte(f), below(f, 4) == 0 ? any_number(f) : below(f, 8));
    case 8:
        return call_memory_op(f);
    case 9:
        return call_event_op(f);
    case 10:
        return call_grant_op(f);
    case 11:
        return call_vcpu_op(f);
    case 12:
        return call_sched_op(f);
    case 13:
        return call_multicall(f);
    case 14:
        return below(f, 2) ? update_descriptor(any_entry(f), random_next(&f->random)) : set_debugreg(below(f, 7), any_va(f));
    case 15:
        return call_control(f);
    default:
        return call_plain(f);
    }
}

/* What later calls and the console need, whatever was registered meanwhile. */
static void state_restore(void)
{
    events_mask();
    standard_traps();
    standard_callbacks();
    hypercall1(__HYPERVISOR_fpu_taskswitch, 0);
}

static void fuzz_run(void *arg)
{
    struct fuzz *f = arg;

    for (uint64_t i = 0; i < f->calls; i++) {
        long rc = call_one(f);

        if (rc < 0)
            f->refused++;
        else
            f->done++;
        if (i % 64 == 0 && !wild)
            state_restore();
        if (i % PROGRESS == PROGRESS - 1)
            note("vcpu %u: %lu calls\n", this_vcpu()->id, (unsigned long)i + 1);
    }
    state_restore();
}

static void arena_build(void)
{
    for (unsigned int i = 0; i < ARENA_PAGES; i++) {
        /* A third stays mapped writable; the others can become tables. */
        arena[i] = i % 3 == 0 ? page_alloc() : table_alloc();
        arena_mfn[i] = mfn_of(arena[i]);
    }
    region_build(&playground, 5);
    for (unsigned int i = 0; i < 16; i++)
        region_map(&playground, i, arena_mfn[i] << PAGE_SHIFT | PTE_RO);
}

void kernel_main(void)
{
    static struct fuzz f[2];
    uint64_t seed = arg_number("seed", 1), count = arg_number("count", 1000000);
    bool two = vcpu_count > 1 && vcpu_start(1) == 0;

    wild = arg_number("wild", 0) != 0;
    print("[t] attack fuzz seed=%lu count=%lu vcpus=%u%s\n", (unsigned long)seed, (unsigned long)count, two ? 2 : 1, wild ? " wild" : "");
    kernel_mfns_note();
    arena_build();
    for (unsigned int i = 0; i < 2; i++) {
        f[i].random = seed * 0x9e3779b97f4a7c15ul + i + 1;
        f[i].calls = two ? count / 2 : count;
        f[i].scratch = page_alloc();
        page_alloc(); /* structures may run over its end */
    }
    if (two)
        vcpu_do(1, fuzz_run, &f[1]);
    fuzz_run(&f[0]);
    if (two)
        check("fuzz-other-vcpu-came-through", vcpu_wait(1, 600000000000ul));
    note("%lu calls accepted, %lu refused\n", f[0].done + f[1].done, f[0].refused + f[1].refused);
    check("fuzz-some-accepted", f[0].done > f[0].calls / 50);
    check("fuzz-some-refused", f[0].refused > f[0].calls / 50);
}
