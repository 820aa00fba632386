// SPDX-License-Identifier: MIT
/*
 * Illegal page-table moves. Each must be refused with an error (or, when made by an instruction, come back as the page fault that it was), and leave
 * everything as it was. Races run on two vCPUs and state what may never be seen.
 */
#include "mini.h"

static struct region r;
static uint64_t *data, *root;

static void never(const char *name, uint64_t entry_maddr, uint64_t value)
{
    uint64_t *entry = va_of_mfn(entry_maddr >> PAGE_SHIFT), before = entry[(entry_maddr & 0xfff) / 8];

    expect_error(name, pte_set(entry_maddr, value));
    if (entry[(entry_maddr & 0xfff) / 8] != before)
        check("refused-entry-unchanged", false);
}

static bool own(uint64_t mfn)
{
    return m2p[mfn] < start_info->nr_pages && p2m[m2p[mfn]] == mfn;
}

static void writable_tables(void)
{
    uint64_t at = l1e_maddr(&r, 0);

    never("l1-maps-itself-writable", at, maddr_of(r.l1) | PTE_PAGE);
    never("l1-maps-l2-writable", at, maddr_of(r.l2) | PTE_PAGE);
    never("l1-maps-l3-writable", at, maddr_of(r.l3) | PTE_PAGE);
    never("l1-maps-root-writable", at, maddr_of(root) | PTE_PAGE);
    expect_error("va-mapping-root-writable", update_va_mapping(root, maddr_of(root) | PTE_PAGE, 0));
    expect_error("va-mapping-l1-writable", update_va_mapping(r.l1, maddr_of(r.l1) | PTE_PAGE, UVMF_INVLPG));
    expect("l1-maps-itself-readonly", pte_set(at, maddr_of(r.l1) | PTE_RO), 0);
    never("l1-made-writable-after", at, maddr_of(r.l1) | PTE_PAGE);
    pte_set(at, 0);
}

static void wrong_levels(void)
{
    uint64_t *spare = table_alloc();
    uint64_t l2e = maddr_of(&r.l2[1]), l3e = maddr_of(&r.l3[1]), l4e = maddr_of(&root[20]);

    never("l2-to-l2", l2e, maddr_of(r.l2) | PTE_TABLE);
    never("l2-to-l3", l2e, maddr_of(r.l3) | PTE_TABLE);
    never("l2-to-root", l2e, maddr_of(root) | PTE_TABLE);
    never("l2-to-writable-page", l2e, maddr_of(data) | PTE_TABLE);
    never("l3-to-l1", l3e, maddr_of(r.l1) | PTE_TABLE);
    never("l3-to-l3", l3e, maddr_of(r.l3) | PTE_TABLE);
    never("l3-to-writable-page", l3e, maddr_of(data) | PTE_TABLE);
    never("l4-to-l1", l4e, maddr_of(r.l1) | PTE_TABLE);
    never("l4-to-l2", l4e, maddr_of(r.l2) | PTE_TABLE);
    never("l4-to-itself-writable", l4e, maddr_of(root) | PTE_TABLE);
    never("l4-to-writable-page", l4e, maddr_of(data) | PTE_TABLE);
    if (pte_set(l4e, maddr_of(root) | PTE_RO) == 0) { /* a read-only view of itself may be allowed */
        expect_error("linear-l4-is-readonly", update_va_mapping(20ul << 39, 0, 0) == 0 ? 0 : -1);
        expect("linear-l4-clear", pte_set(l4e, 0), 0);
    }
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    never("l2-superpage", l2e, (maddr_of(data) & ~0x1ffffful) | PTE_TABLE | PTE_PSE);
    never("l2-pse-on-table", l2e, maddr_of(r.l1) | PTE_TABLE | PTE_PSE);
    never("l3-superpage", l3e, (maddr_of(data) & ~0x3ffffffful) | PTE_TABLE | PTE_PSE);
    never("l3-pse-on-table", l3e, maddr_of(r.l2) | PTE_TABLE | PTE_PSE);
    never("l4-pse", l4e, maddr_of(r.l3) | PTE_TABLE | PTE_PSE);
    /* a page of stale garbage as a table */
    make_writable(spare);
    for (unsigned int i = 0; i < 512; i++)
        spare[i] = 0xdead000000000001ul + i * 0x123456789abul;
    make_readonly(spare);
    never("garbage-as-l1", l2e, maddr_of(spare) | PTE_TABLE);
    never("garbage-as-l2", l3e, maddr_of(spare) | PTE_TABLE);
    never("garbage-as-l3", l4e, maddr_of(spare) | PTE_TABLE);
    expect_error("garbage-pin-l1", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(spare), 0));
    expect_error("garbage-pin-l4", mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(spare), 0));
    expect("garbage-page-still-free", update_va_mapping(spare, maddr_of(spare) | PTE_PAGE, UVMF_INVLPG), 0);
    /* the last of 512 entries bad: everything before must be undone */
    for (unsigned int i = 0; i < 511; i++)
        spare[i] = maddr_of(data) | PTE_PAGE;
    spare[511] = maddr_of(root) | PTE_PAGE;
    make_readonly(spare);
    expect_error("last-entry-bad-pin", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(spare), 0));
    expect("last-entry-bad-page-free", update_va_mapping(spare, maddr_of(spare) | PTE_PAGE, UVMF_INVLPG), 0);
    expect("last-entry-bad-target-unreferenced", update_va_mapping(data, maddr_of(data) | PTE_RO, UVMF_INVLPG), 0);
    expect("last-entry-bad-target-usable-as-table", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(data), 0), 0);
    mmuext(MMUEXT_UNPIN_TABLE, mfn_of(data), 0);
    make_writable(data);
    memset(spare, 0, PAGE_SIZE);
    /* an L1 that maps itself writable */
    spare[3] = maddr_of(spare) | PTE_PAGE;
    make_readonly(spare);
    expect_error("pin-l1-mapping-itself", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(spare), 0));
    make_writable(spare);
    spare[3] = 0;
    page_free(spare);
}

static void hypervisor_slots(void)
{
    bool refused = true;
    uint64_t *l4 = page_alloc();

    for (unsigned int slot = 256; slot < 272; slot++) {
        refused = refused && pte_set(maddr_of(&root[slot]), maddr_of(r.l3) | PTE_TABLE) < 0;
        refused = refused && pte_set(maddr_of(&root[slot]), root[slot] | PTE_US) < 0;
        refused = refused && pte_set(maddr_of(&root[slot]), 0) < 0;
    }
    check("l4-hypervisor-slots-refused", refused);
    /* In an L4 before it is pinned they are memory; what the guest put there must not survive the pin. */
    for (unsigned int slot = 256; slot < 272; slot++)
        l4[slot] = maddr_of(r.l3) | PTE_TABLE;
    make_readonly(l4);
    if (mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l4), 0) == 0) {
        bool replaced = true;

        for (unsigned int slot = 256; slot < 272; slot++)
            replaced = replaced && (l4[slot] & PTE_ADDR) != (maddr_of(r.l3) & PTE_ADDR);
        check("l4-hypervisor-slots-replaced-at-pin", replaced);
        expect("l4-unpin", mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l4), 0), 0);
    } else {
        check("l4-hypervisor-slots-refused-at-pin", true);
    }
    expect("l4-writable-again", update_va_mapping(l4, maddr_of(l4) | PTE_PAGE, UVMF_INVLPG), 0);
    memset(l4, 0, PAGE_SIZE);
    page_free(l4);
}

/* The first frame of our grant table: the hypervisor's, but ours to map. */
static uint64_t grant_frame(void)
{
    static xen_pfn_t frames[1];
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = 1};

    set_xen_guest_handle(s.frame_list, frames);
    return gnttab_op(GNTTABOP_setup_table, &s, 1) == 0 && s.status == GNTST_okay ? frames[0] : ~0ul;
}

static void foreign_frames(void)
{
    uint64_t last = (uint64_t)memory_op(XENMEM_maximum_ram_page, 0), tried = 0, mapped = 0, mapped_ro = 0, tables = 0, pinned = 0, machphys = 0;
    uint64_t grant_mfn = grant_frame(), shared_mfn = start_info->shared_info >> PAGE_SHIFT, at = l1e_maddr(&r, 1), l2e = maddr_of(&r.l2[1]);

    for (uint64_t mfn = 0x100; mfn <= last; mfn += 1 + mfn % 5) {
        struct mmu_update u = {.ptr = mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, .val = 1};

        if (own(mfn) || mfn == shared_mfn || mfn == grant_mfn)
            continue;
        if (tried++ > 20000)
            break;
        mapped += pte_set(at, mfn << PAGE_SHIFT | PTE_PAGE) == 0;
        mapped_ro += pte_set(at, mfn << PAGE_SHIFT | PTE_RO) == 0;
        if (tried % 16 == 0) {
            tables += pte_set(l2e, mfn << PAGE_SHIFT | PTE_TABLE) == 0;
            pinned += mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0) == 0 || mmuext(MMUEXT_PIN_L4_TABLE, mfn, 0) == 0;
            pinned += mmuext(MMUEXT_UNPIN_TABLE, mfn, 0) == 0 || mmuext(MMUEXT_CLEAR_PAGE, mfn, 0) == 0;
            machphys += mmu_update(&u, 1, 0, DOMID_SELF) == 0 || pte_set(mfn << PAGE_SHIFT, 0) == 0;
        }
    }
    pte_set(at, 0);
    note("%lu foreign frames tried\n", tried);
    expect("foreign-frame-writable", mapped, 0);
    expect("foreign-frame-readonly", mapped_ro, 0);
    expect("foreign-frame-as-table", tables, 0);
    expect("foreign-frame-pinned-or-cleared", pinned, 0);
    expect("foreign-frame-written-or-renumbered", machphys, 0);
    never("hypervisor-m2p-frame", at, (uint64_t)0x1ffffffful << PAGE_SHIFT | PTE_PAGE);
    never("frame-beyond-all-memory", at, 0x000ffffffffff000ul | PTE_PAGE);
    never("reserved-address-bits", at, maddr_of(data) | 0x000f000000000000ul | PTE_PAGE);
    expect_error("shared-info-as-table", pte_set(l2e, start_info->shared_info | PTE_TABLE));
    expect_error("shared-info-pin", mmuext(MMUEXT_PIN_L1_TABLE, shared_mfn, 0));
    {
        struct mmu_update u = {at, 0};
        struct mmuext_op op = {.cmd = MMUEXT_PIN_L1_TABLE};

        expect_error("foreigndom-absent", mmu_update(&u, 1, 0, 0x1234));
        expect_error("foreigndom-absent-mmuext", mmuext_op(&op, 1, 0, 0x1234));
        expect_error("target-domain-absent", mmu_update(&u, 1, 0, 0x12340000ul));
    }
}

static void pins(void)
{
    uint64_t *l1 = table_alloc(), *writable = page_alloc();
    uint64_t beyond = 0xffffffffful;

    expect_error("pin-writable-page", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(writable), 0));
    expect_error("pin-beyond-memory", mmuext(MMUEXT_PIN_L1_TABLE, beyond, 0));
    expect_error("pin-all-ones", mmuext(MMUEXT_PIN_L4_TABLE, ~0ul, 0));
    expect_error("unpin-all-ones", mmuext(MMUEXT_UNPIN_TABLE, ~0ul, 0));
    expect_error("pin-used-l1-as-l2", mmuext(MMUEXT_PIN_L2_TABLE, mfn_of(r.l1), 0));
    expect_error("pin-used-l2-as-l1", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(r.l2), 0));
    expect_error("pin-root-as-l3", mmuext(MMUEXT_PIN_L3_TABLE, mfn_of(root), 0));
    expect_error("pin-pinned-root", mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(root), 0));
    expect_error("unpin-unpinned", mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l1), 0));
    expect_error("unpin-in-use-but-unpinned", mmuext(MMUEXT_UNPIN_TABLE, mfn_of(r.l1), 0));
    expect("pin-once", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(l1), 0), 0);
    expect_error("pin-twice", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(l1), 0));
    expect_error("pin-pinned-l1-as-l4", mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l1), 0));
    expect_error("pinned-page-writable", update_va_mapping(l1, maddr_of(l1) | PTE_PAGE, 0));
    expect_error("clear-page-of-table", mmuext(MMUEXT_CLEAR_PAGE, mfn_of(l1), 0));
    {
        struct mmuext_op copy = {.cmd = MMUEXT_COPY_PAGE};

        copy.arg1.mfn = mfn_of(l1);
        copy.arg2.src_mfn = mfn_of(writable);
        expect_error("copy-page-onto-table", mmuext_op(&copy, 1, 0, DOMID_SELF));
        copy.arg1.mfn = mfn_of(writable);
        copy.arg2.src_mfn = beyond;
        expect_error("copy-page-from-beyond", mmuext_op(&copy, 1, 0, DOMID_SELF));
    }
    expect("unpin-once", mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l1), 0), 0);
    expect_error("unpin-twice", mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l1), 0));
    table_free(l1);
    page_free(writable);
}

static void bases(void)
{
    expect_error("base-is-l1", mmuext(MMUEXT_NEW_BASEPTR, mfn_of(r.l1), 0));
    expect_error("base-is-l3", mmuext(MMUEXT_NEW_BASEPTR, mfn_of(r.l3), 0));
    expect_error("base-is-data", mmuext(MMUEXT_NEW_BASEPTR, mfn_of(data), 0));
    expect_error("base-beyond-memory", mmuext(MMUEXT_NEW_BASEPTR, 0xffffffffful, 0));
    expect_error("base-all-ones", mmuext(MMUEXT_NEW_BASEPTR, ~0ul, 0));
    expect_error("user-base-is-l2", mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(r.l2), 0));
    expect_error("user-base-is-data", mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(data), 0));
    expect_error("user-base-all-ones", mmuext(MMUEXT_NEW_USER_BASEPTR, ~0ul, 0));
}

static void arguments(void)
{
    struct mmu_update u = {.ptr = l1e_maddr(&r, 0), .val = 0};
    unsigned int done;

    expect_error("mmu-update-requests-unmapped", mmu_update(0x123456789000, 1, 0, DOMID_SELF));
    expect_error("mmu-update-requests-hypervisor", mmu_update(HYPERVISOR_VIRT_START + 0x28000000000, 1, 0, DOMID_SELF));
    expect_error("mmu-update-requests-non-canonical", mmu_update(0x8000000000000000, 1, 0, DOMID_SELF));
    expect_error("mmu-update-count-huge", mmu_update(0x123456789000, 0x7fffffff, 0, DOMID_SELF));
    mmu_update(&u, 1, HYPERVISOR_VIRT_START + 0x28000000000, DOMID_SELF); /* the count cannot be written: the rest is the hypervisor's choice */
    mmu_update(&u, 1, 0x8000000000000000, DOMID_SELF);
    check("mmu-update-done-pointer-bad-survives", true);
    expect_error("mmuext-ops-hypervisor", mmuext_op(HYPERVISOR_VIRT_START + 0x28000000000, 1, &done, DOMID_SELF));
    expect_error("mmuext-count-huge", mmuext_op(0x123456789000, 0x7fffffff, 0, DOMID_SELF));
    expect_error("entry-in-beyond-frame", pte_set(0x000ffffffffff000ul, 0));
    expect_error("entry-in-hypervisor-frame", pte_set(0x100000, 0));
    expect_error("va-mapping-hypervisor", update_va_mapping(HYPERVISOR_VIRT_START, maddr_of(data) | PTE_PAGE, 0));
    expect_error("va-mapping-hypervisor-high", update_va_mapping(HYPERVISOR_VIRT_END - PAGE_SIZE, 0, 0));
    expect_error("va-mapping-non-canonical", update_va_mapping(0x8000000000000000, maddr_of(data) | PTE_PAGE, 0));
    expect_error("va-mapping-other-domain-absent",
                 hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, region_va(&r, 0), maddr_of(data) | PTE_PAGE, 0, 0x1234));
    update_va_mapping(region_va(&r, 2), 0, UVMF_TLB_FLUSH | (HYPERVISOR_VIRT_START + 0x28000000000));
    update_va_mapping(region_va(&r, 2), 0, UVMF_INVLPG | 0x8000000000000000);
    update_va_mapping(region_va(&r, 2), 0, 3);
    check("va-mapping-bad-flush-pointer-survives", true);
    mmuext(MMUEXT_INVLPG_LOCAL, 0x8000000000000000, 0);
    mmuext(MMUEXT_INVLPG_ALL, HYPERVISOR_VIRT_START, 0);
    mmuext(MMUEXT_INVLPG_MULTI, ~0ul, HYPERVISOR_VIRT_START + 0x28000000000);
    check("invlpg-bad-address-survives", true);
}

/* ---- by instruction ---- */

static void w8(void *arg)
{
    uint64_t *p = arg;
    __asm__ volatile("movq %1, (%0)" : : "r"(p[0]), "r"(p[1]) : "memory");
}
static void w4(void *arg)
{
    uint64_t *p = arg;
    __asm__ volatile("movl %k1, (%0)" : : "r"(p[0]), "r"(p[1]) : "memory");
}
static void w2(void *arg)
{
    uint64_t *p = arg;
    __asm__ volatile("movw %w1, (%0)" : : "r"(p[0]), "r"(p[1]) : "memory");
}
static void wx(void *arg)
{
    uint64_t *p = arg;
    __asm__ volatile("xchgq %1, (%0)" : : "r"(p[0]), "r"(p[1]) : "memory");
}
static void wstos(void *arg)
{
    uint64_t *p = arg;
    __asm__ volatile("rep stosq" : : "D"(p[0]), "a"(p[1]), "c"(4) : "memory");
}
static void wbts(void *arg)
{
    uint64_t *p = arg;
    __asm__ volatile("lock btsq %1, (%0)" : : "r"(p[0]), "r"(p[1]) : "memory", "cc"); /* register form: the bit number reaches elsewhere */
}
static void wsse(void *arg)
{
    uint64_t *p = arg;
    __asm__ volatile("movups %%xmm0, (%0)" : : "r"(p[0]) : "memory");
}
static void wcx16(void *arg)
{
    uint64_t *p = arg;
    __asm__ volatile("lock cmpxchg16b (%0)" : : "r"(p[0]), "a"(0), "d"(0), "b"(p[1]), "c"(p[1]) : "memory", "cc");
}

static void by_instruction(void)
{
    uint64_t bad = maddr_of(root) | PTE_PAGE, good = maddr_of(data) | PTE_PAGE, arg[2];
    static const struct {
        const char *name;
        void (*fn)(void *);
    } kinds[] = {{"write-bad-mov", w8}, {"write-bad-xchg", wx}, {"write-bad-stos", wstos}};

    for (unsigned int i = 0; i < COUNT_OF(kinds); i++) {
        region_map(&r, 32, 0);
        arg[0] = (uint64_t)&r.l1[32];
        arg[1] = bad;
        expect(kinds[i].name, catch(kinds[i].fn, arg), 14);
        check("write-bad-is-a-write-fault", (vcpus[0].last.error & 7) == 3 && vcpus[0].cr2 == arg[0]);
        check("write-bad-changed-nothing", r.l1[32] == 0);
    }
    arg[1] = 1ul << 60 | (0xfffffffful << PAGE_SHIFT) | PTE_P;
    expect("write-absent-frame", catch(w8, arg), 14);
    /* half of an entry turned into something illegal */
    region_map(&r, 32, (good & ~0xffffffffful) | PTE_RO);
    region_map(&r, 32, maddr_of(r.l1) | PTE_RO);
    arg[1] = maddr_of(r.l1) | PTE_PAGE;
    expect("write-low-half-bad", catch(w4, arg), 14);
    arg[1] = 1; /* bit 1: RW */
    expect("write-bts-bad", catch(wbts, arg), 14);
    arg[0] = (uint64_t)&r.l1[30];
    arg[1] = 128 + 1; /* the same bit, two entries on */
    expect("write-bts-far-bad", catch(wbts, arg), 14);
    check("write-half-changed-nothing", (r.l1[32] & PTE_RW) == 0);
    region_map(&r, 32, 0);
    arg[0] = (uint64_t)&r.l1[33] - 4;
    arg[1] = good;
    expect("write-unaligned", catch(w8, arg), 14);
    check("write-unaligned-changed-nothing", r.l1[32] == 0 && r.l1[33] == 0);
    arg[0] = (uint64_t)&r.l2[5];
    arg[1] = maddr_of(r.l1) | PTE_TABLE;
    expect("write-l2", catch(w8, arg), 14);
    arg[0] = (uint64_t)&root[260];
    arg[1] = 0;
    expect("write-l4-hypervisor-slot", catch(w8, arg), 14);
    /* 2-byte, 16-byte and vector writes: either carried out properly or a fault; never a bad entry. */
    region_map(&r, 32, maddr_of(r.l1) | PTE_RO);
    arg[0] = (uint64_t)&r.l1[32];
    arg[1] = (maddr_of(r.l1) | PTE_PAGE) & 0xffff;
    catch(w2, arg);
    catch(wcx16, arg);
    catch(wsse, arg);
    check("write-odd-sizes-not-writable", !((r.l1[32] & (PTE_P | PTE_RW)) == (PTE_P | PTE_RW) && (r.l1[32] & PTE_ADDR) == (maddr_of(r.l1) & PTE_ADDR)));
    region_map(&r, 32, 0);
    region_map(&r, 33, 0);
}

/* ---- frames given away while in use ---- */

static long give_back(void *page)
{
    xen_pfn_t frame = mfn_of(page);
    struct xen_memory_reservation x = {.nr_extents = 1, .domid = DOMID_SELF};

    set_xen_guest_handle(x.extent_start, &frame);
    return memory_op(XENMEM_decrease_reservation, &x);
}

static void freed_in_use(void)
{
    uint64_t *l1 = table_alloc(), *l4 = table_alloc(), *page = page_alloc(), value;

    pte_set(maddr_of(&l1[0]), maddr_of(data) | PTE_PAGE);
    pte_set(maddr_of(&r.l2[3]), maddr_of(l1) | PTE_TABLE);
    data[0] = 0x77;
    note("decrease of a table in use: %ld\n", give_back(l1));
    /* Refused, or gone from the reservation: then still a table as long as it is referenced. */
    check("freed-table-still-maps", catch_read(r.va + 3 * 0x200000, &value) == -1 && value == 0x77);
    expect_error("freed-table-not-writable", pte_set(l1e_maddr(&r, 40), maddr_of(l1) | PTE_PAGE));
    pte_set(maddr_of(&r.l2[3]), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l4), 0);
    note("decrease of a pinned table: %ld\n", give_back(l4));
    mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l4), 0);
    /* a page that is mapped: it may not come to anybody else while the mapping stands */
    page[0] = 0x4242;
    note("decrease of a mapped page: %ld\n", give_back(page));
    check("freed-mapped-page-keeps-contents", page[0] == 0x4242);
    update_va_mapping(page, 0, UVMF_INVLPG | UVMF_ALL);
    note("decrease of the current root: %ld\n", give_back(root));
    check("root-given-back-survives", catch_read(0x123456789000, NULL) == 14);
}

/* ---- two vCPUs ---- */

static volatile bool stop, pinned, writable, violated;
static uint64_t *victim, *victim2;
static uint64_t counts[4];

static void pinner(void *unused)
{
    (void)unused;
    while (!stop) {
        if (mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(victim), 0) == 0) {
            __atomic_store_n(&pinned, true, __ATOMIC_SEQ_CST);
            if (__atomic_load_n(&writable, __ATOMIC_SEQ_CST))
                violated = true;
            counts[0]++;
            __atomic_store_n(&pinned, false, __ATOMIC_SEQ_CST);
            if (mmuext(MMUEXT_UNPIN_TABLE, mfn_of(victim), 0) != 0)
                violated = true;
        }
    }
}

static void race(const char *name, void (*there)(void *), void (*here)(unsigned int), unsigned int rounds)
{
    stop = violated = false;
    memset(counts, 0, sizeof(counts));
    vcpu_do(1, there, NULL);
    for (unsigned int i = 0; i < rounds; i++)
        here(i);
    stop = true;
    check(name, vcpu_wait(1, 5000000000) && !violated);
    note("%s: %lu there, %lu here\n", name, counts[0], counts[1]);
}

static void writer(unsigned int i)
{
    (void)i;
    if (pte_set(l1e_maddr(&r, 50), maddr_of(victim) | PTE_PAGE) == 0) {
        __atomic_store_n(&writable, true, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&pinned, __ATOMIC_SEQ_CST))
            violated = true;
        *(volatile uint64_t *)region_va(&r, 50) = 0x1230;
        counts[1]++;
        __atomic_store_n(&writable, false, __ATOMIC_SEQ_CST);
        region_map(&r, 50, 0);
    }
}

static void l2_there(void *unused)
{
    (void)unused;
    while (!stop) {
        counts[0]++;
        pte_set(maddr_of(&r.l2[7]), maddr_of(victim) | PTE_TABLE);
        pte_set(maddr_of(&r.l2[7]), 0);
    }
}

static void l2_here(unsigned int i)
{
    counts[1]++;
    pte_set(maddr_of(&r.l2[7]), maddr_of(i & 1 ? victim2 : victim) | PTE_TABLE);
    if (i & 2)
        pte_set(maddr_of(&r.l2[7]), 0);
}

static void level_there(void *unused)
{
    (void)unused;
    while (!stop)
        if (mmuext(MMUEXT_PIN_L2_TABLE, mfn_of(victim), 0) == 0) {
            counts[0]++;
            __atomic_store_n(&pinned, true, __ATOMIC_SEQ_CST);
            if (__atomic_load_n(&writable, __ATOMIC_SEQ_CST))
                violated = true;
            __atomic_store_n(&pinned, false, __ATOMIC_SEQ_CST);
            if (mmuext(MMUEXT_UNPIN_TABLE, mfn_of(victim), 0) != 0)
                violated = true;
        }
}

static void level_here(unsigned int i)
{
    (void)i;
    if (mmuext(MMUEXT_PIN_L3_TABLE, mfn_of(victim), 0) == 0) {
        counts[1]++;
        __atomic_store_n(&writable, true, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&pinned, __ATOMIC_SEQ_CST))
            violated = true;
        __atomic_store_n(&writable, false, __ATOMIC_SEQ_CST);
        if (mmuext(MMUEXT_UNPIN_TABLE, mfn_of(victim), 0) != 0)
            violated = true;
    }
}

static void emulated_there(void *unused)
{
    uint64_t value;

    (void)unused;
    while (!stop) {
        counts[0]++;
        value = maddr_of(victim2) | PTE_PAGE;
        __asm__ volatile("xchgq %0, (%1)" : "+r"(value) : "r"(&r.l1[60]) : "memory");
        value = 0;
        __asm__ volatile("xchgq %0, (%1)" : "+r"(value) : "r"(&r.l1[60]) : "memory");
    }
}

static void emulated_here(unsigned int i)
{
    counts[1]++;
    pte_set(l1e_maddr(&r, 60), i & 1 ? 0 : maddr_of(victim2) | PTE_RO);
}

static void base_there(void *unused)
{
    (void)unused;
    while (!stop) {
        counts[0]++;
        mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(victim2), 0);
        mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    }
}

static void base_here(unsigned int i)
{
    (void)i;
    if (mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(victim2), 0) == 0) {
        counts[1]++;
        if (mmuext(MMUEXT_UNPIN_TABLE, mfn_of(victim2), 0) != 0)
            violated = true;
    }
}

/* Both get the same two calls: each pin of a table has one owner, so exactly one of two pins may win. */
static void same_pin_there(void *unused)
{
    (void)unused;
    while (!stop)
        if (mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(victim2), 0) == 0) {
            if (__atomic_exchange_n(&pinned, true, __ATOMIC_SEQ_CST))
                violated = true;
            counts[0]++;
            __atomic_store_n(&pinned, false, __ATOMIC_SEQ_CST);
            if (mmuext(MMUEXT_UNPIN_TABLE, mfn_of(victim2), 0) != 0)
                violated = true;
        }
}

static void same_pin_here(unsigned int i)
{
    (void)i;
    if (mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(victim2), 0) == 0) {
        if (__atomic_exchange_n(&pinned, true, __ATOMIC_SEQ_CST))
            violated = true;
        counts[1]++;
        __atomic_store_n(&pinned, false, __ATOMIC_SEQ_CST);
        if (mmuext(MMUEXT_UNPIN_TABLE, mfn_of(victim2), 0) != 0)
            violated = true;
    }
}

static void balloon_there(void *unused)
{
    (void)unused;
    while (!stop) {
        counts[0]++;
        pte_set(l1e_maddr(&r, 70), mfn_of(victim2) << PAGE_SHIFT | PTE_PAGE);
        pte_set(l1e_maddr(&r, 70), 0);
    }
}

static void balloon_here(unsigned int i)
{
    xen_pfn_t frame = mfn_of(victim2), pfn = pfn_of(victim2);
    struct xen_memory_reservation x = {.nr_extents = 1, .domid = DOMID_SELF};

    (void)i;
    set_xen_guest_handle(x.extent_start, &frame);
    if (memory_op(XENMEM_decrease_reservation, &x) != 1)
        return;
    counts[1]++;
    frame = pfn;
    /* While the other vCPU still maps the old frame it may count against the maximum. */
    for (unsigned int tries = 0; memory_op(XENMEM_populate_physmap, &x) != 1; tries++)
        if (tries == 100000) {
            violated = true;
            return;
        }
    p2m[pfn] = frame;
}

static void races(void)
{
    unsigned int rounds = (unsigned int)arg_number("rounds", 20000);

    if (vcpu_count < 2 || vcpu_start(1) != 0) {
        skip("races", "one vCPU");
        return;
    }
    victim = table_alloc();
    victim2 = table_alloc();
    race("race-pin-against-writable-mapping", pinner, writer, rounds);
    pte_set(l1e_maddr(&r, 50), 0);
    make_writable(victim);
    memset(victim, 0, PAGE_SIZE);
    make_readonly(victim);
    race("race-conflicting-l2-entry", l2_there, l2_here, rounds);
    pte_set(maddr_of(&r.l2[7]), 0);
    race("race-pin-at-two-levels", level_there, level_here, rounds);
    race("race-same-pin", same_pin_there, same_pin_here, rounds);
    race("race-emulated-against-hypercall", emulated_there, emulated_here, rounds);
    pte_set(l1e_maddr(&r, 60), 0);
    race("race-base-against-unpin", base_there, base_here, rounds);
    expect("race-victim-unreferenced", update_va_mapping(victim, maddr_of(victim) | PTE_PAGE, UVMF_INVLPG | UVMF_ALL), 0);
    expect("race-victim2-unreferenced", update_va_mapping(victim2, maddr_of(victim2) | PTE_PAGE, UVMF_INVLPG | UVMF_ALL), 0);
    update_va_mapping(victim2, 0, UVMF_INVLPG | UVMF_ALL);
    race("race-balloon-against-mapping", balloon_there, balloon_here, MIN(rounds, 5000u));
    pte_set(l1e_maddr(&r, 70), 0);
}

void kernel_main(void)
{
    root = (uint64_t *)start_info->pt_base;
    region_build(&r, 12);
    data = page_alloc();
    writable_tables();
    wrong_levels();
    hypervisor_slots();
    pins();
    bases();
    arguments();
    by_instruction();
    foreign_frames();
    races();
    freed_in_use();
}
