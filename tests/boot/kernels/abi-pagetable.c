// SPDX-License-Identifier: MIT
/*
 * Page tables by hypercall: mmu_update of every type, update_va_mapping with every flag, pins, roots, TLB and page operations of mmuext_op.
 */
#include "abi.h"
#include "mini.h"

static struct region r;
static uint64_t *page_a, *page_b;

static void updates(void)
{
    struct mmu_update u[3];
    unsigned int done = 99;
    uint64_t a = maddr_of(page_a), b = maddr_of(page_b);

    expect("l1-map", region_map(&r, 0, a | PTE_PAGE), 0);
    *(volatile uint64_t *)r.va = 0x1234;
    check("l1-map-works", page_a[0] == 0x1234);
    check("user-bit-forced-or-kept", *pte_find(r.va, 1) & PTE_US);
    u[0] = (struct mmu_update){l1e_maddr(&r, 1) | MMU_NORMAL_PT_UPDATE, b | PTE_PAGE};
    u[1] = (struct mmu_update){l1e_maddr(&r, 2) | MMU_NORMAL_PT_UPDATE, b | PTE_RO};
    u[2] = (struct mmu_update){l1e_maddr(&r, 3) | MMU_PT_UPDATE_NO_TRANSLATE, b | PTE_RO};
    expect("batch-of-three", mmu_update(u, 3, &done, DOMID_SELF), 0);
    expect("batch-success-count", done, 3);
    u[1].val = (0xfffffffful << PAGE_SHIFT) | PTE_RO;
    done = 99;
    expect_error("batch-bad-in-middle", mmu_update(u, 3, &done, DOMID_SELF));
    expect("batch-success-count-on-error", done, 1);
    expect("batch-of-none", mmu_update(u, 0, &done, DOMID_SELF), 0);
    /* Type 2 keeps the accessed and dirty bits that the entry has by then. */
    region_map(&r, 4, a | PTE_PAGE);
    u[0] = (struct mmu_update){l1e_maddr(&r, 4) | MMU_PT_UPDATE_PRESERVE_AD, a | PTE_P | PTE_US};
    expect("preserve-ad", mmu_update(u, 1, 0, DOMID_SELF), 0);
    check("preserve-ad-kept", (r.l1[4] & (PTE_A | PTE_D | PTE_RW)) == (PTE_A | PTE_D));
    /* Type 1 writes the machine-to-physical table, for own frames. */
    u[0] = (struct mmu_update){a | MMU_MACHPHYS_UPDATE, 0x12345};
    expect("machphys-update", mmu_update(u, 1, 0, DOMID_SELF), 0);
    expect("machphys-updated", m2p[a >> PAGE_SHIFT], 0x12345);
    u[0].val = pfn_of(page_a);
    mmu_update(u, 1, 0, DOMID_SELF);
    /* A frame that is no table is written as memory. */
    expect("plain-memory-write", pte_set(b + 64, 0xdeadbeef), 0);
    check("plain-memory-written", page_b[8] == 0xdeadbeef);
    for (unsigned int i = 0; i < 5; i++)
        region_map(&r, i, 0);
    expect("unmapped-faults", catch_read(r.va, NULL), 14);
}

static void not_present(void)
{
    expect("not-present-any-bits", pte_set(l1e_maddr(&r, 5), 0xabcdef1230), 0);
    check("not-present-kept", r.l1[5] == 0xabcdef1230);
    pte_set(l1e_maddr(&r, 5), 0);
}

static void higher_levels(void)
{
    uint64_t *l1 = table_alloc();

    expect("l2-entry-set", pte_set(maddr_of(&r.l2[1]), maddr_of(l1) | PTE_TABLE), 0);
    expect("l1-of-l2-map", pte_set(maddr_of(&l1[0]), maddr_of(page_a) | PTE_PAGE), 0);
    page_a[1] = 0x55;
    check("l2-entry-works", *(volatile uint64_t *)(r.va + 0x200008) == 0x55);
    expect("l2-entry-twice", pte_set(maddr_of(&r.l2[2]), maddr_of(l1) | PTE_TABLE), 0);
    check("l1-shared", *(volatile uint64_t *)(r.va + 0x400008) == 0x55);
    expect("l2-entry-clear", pte_set(maddr_of(&r.l2[1]), 0), 0);
    expect("l2-entry-clear-second", pte_set(maddr_of(&r.l2[2]), 0), 0);
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    expect("l2-entry-gone", catch_read(r.va + 0x200008, NULL), 14);
    expect("table-writable-again", update_va_mapping(l1, maddr_of(l1) | PTE_PAGE, UVMF_INVLPG), 0);
    memset(l1, 0, PAGE_SIZE);
    page_free(l1);
    for (unsigned int i = 0; i < 512; i++) /* one L1 page in as many L2 entries as there are */
        if (i != 0 && pte_set(maddr_of(&r.l2[i]), maddr_of(r.l1) | PTE_TABLE) != 0)
            give_up("l1-in-every-l2-entry %u\n", i);
    check("l1-in-every-l2-entry", true);
    for (unsigned int i = 1; i < 512; i++)
        pte_set(maddr_of(&r.l2[i]), 0);
}

static void va_mapping(void)
{
    static uint64_t cpus = 1;
    uint64_t va = (uint64_t)region_va(&r, 8), a = maddr_of(page_a), b = maddr_of(page_b);
    static const struct {
        const char *name;
        uint64_t flags;
    } kinds[] = {
        {"va-mapping-no-flush", UVMF_NONE},
        {"va-mapping-flush-local", UVMF_TLB_FLUSH | UVMF_LOCAL},
        {"va-mapping-flush-all", UVMF_TLB_FLUSH | UVMF_ALL},
        {"va-mapping-invlpg-local", UVMF_INVLPG | UVMF_LOCAL},
        {"va-mapping-invlpg-all", UVMF_INVLPG | UVMF_ALL},
    };

    page_a[0] = 0xa;
    page_b[0] = 0xb;
    for (unsigned int i = 0; i < COUNT_OF(kinds); i++) {
        expect(kinds[i].name, update_va_mapping(va, (i & 1 ? b : a) | PTE_PAGE, kinds[i].flags), 0);
        if (kinds[i].flags != 0)
            check("va-mapping-takes-effect", *(volatile uint64_t *)va == (i & 1 ? 0xb : 0xa));
    }
    expect("va-mapping-flush-multi", update_va_mapping(va, b | PTE_PAGE, (uint64_t)&cpus | UVMF_TLB_FLUSH), 0);
    expect("va-mapping-invlpg-multi", update_va_mapping(va, a | PTE_PAGE, (uint64_t)&cpus | UVMF_INVLPG), 0);
    check("va-mapping-multi-takes-effect", *(volatile uint64_t *)va == 0xa);
    expect("va-mapping-clear", update_va_mapping(va, 0, UVMF_INVLPG), 0);
    expect("va-mapping-cleared", catch_read(va, NULL), 14);
    expect_error("va-mapping-without-l1", update_va_mapping(r.va + (1ul << 30), a | PTE_PAGE, 0));
}

static void pins(void)
{
    uint64_t *l1 = table_alloc(), *l2 = table_alloc(), *l3 = table_alloc(), *l4 = table_alloc();

    pte_set(maddr_of(&l1[0]), maddr_of(page_a) | PTE_PAGE);
    pte_set(maddr_of(&l2[0]), maddr_of(l1) | PTE_TABLE);
    pte_set(maddr_of(&l3[0]), maddr_of(l2) | PTE_TABLE);
    pte_set(maddr_of(&l4[5]), maddr_of(l3) | PTE_TABLE);
    expect("pin-l1", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(l1), 0), 0);
    expect("pin-l2", mmuext(MMUEXT_PIN_L2_TABLE, mfn_of(l2), 0), 0);
    expect("pin-l3", mmuext(MMUEXT_PIN_L3_TABLE, mfn_of(l3), 0), 0);
    expect("pin-l4", mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l4), 0), 0);
    expect("unpin-l1-while-used", mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l1), 0), 0);
    expect_error("used-l1-not-writable", update_va_mapping(l1, maddr_of(l1) | PTE_PAGE, UVMF_INVLPG));
    expect("unpin-l4", mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l4), 0), 0);
    expect("unpin-l3", mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l3), 0), 0);
    expect("unpin-l2", mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l2), 0), 0);
    expect("unpinned-writable", update_va_mapping(l1, maddr_of(l1) | PTE_PAGE, UVMF_INVLPG), 0);
    make_readonly(l1);
    table_free(l1);
    table_free(l2);
    table_free(l3);
    table_free(l4);
}

/* A copy of the root: install it, run on it, come back. */
static void roots(void)
{
    uint64_t *l4 = page_alloc(), *old = (uint64_t *)start_info->pt_base;
    struct mmuext_op pair[2] = {{.cmd = MMUEXT_NEW_BASEPTR}, {.cmd = MMUEXT_NEW_USER_BASEPTR}};

    for (unsigned int i = 0; i < 512; i++)
        if (i < 256 || i >= 272)
            l4[i] = old[i];
    make_readonly(l4);
    expect("root-copy-pin", mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l4), 0), 0);
    expect("root-switch", mmuext(MMUEXT_NEW_BASEPTR, mfn_of(l4), 0), 0);
    start_info->pt_base = (uint64_t)l4;
    expect("root-copy-works", catch_read(0x123456789000, NULL), 14);
    pair[0].arg1.mfn = mfn_of(old);
    pair[1].arg1.mfn = user_l4 != NULL ? mfn_of(user_l4) : 0;
    expect("root-pair-switch", mmuext_op(pair, 2, 0, DOMID_SELF), 0);
    start_info->pt_base = (uint64_t)old;
    expect("root-switch-to-itself", mmuext(MMUEXT_NEW_BASEPTR, mfn_of(old), 0), 0);
    expect("root-copy-unpin", mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l4), 0), 0);
    expect("root-copy-writable-again", update_va_mapping(l4, maddr_of(l4) | PTE_PAGE, UVMF_INVLPG), 0);
    page_free(l4);
}

static void other_operations(void)
{
    static uint64_t cpus = 1;
    unsigned int done = 99;
    struct mmuext_op two[2] = {{.cmd = MMUEXT_TLB_FLUSH_LOCAL}, {.cmd = 9999}};

    expect("flush-local", mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
    expect("flush-all", mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
    expect("flush-multi", mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, (uint64_t)&cpus), 0);
    expect("invlpg-local", mmuext(MMUEXT_INVLPG_LOCAL, r.va, 0), 0);
    expect("invlpg-all", mmuext(MMUEXT_INVLPG_ALL, r.va, 0), 0);
    expect("invlpg-multi", mmuext(MMUEXT_INVLPG_MULTI, r.va, (uint64_t)&cpus), 0);
    expect_error("flush-multi-bad-pointer", mmuext(MMUEXT_TLB_FLUSH_MULTI, 0, 0x123456789000));
    page_a[7] = 0x77;
    page_b[7] = 0;
    {
        struct mmuext_op copy = {.cmd = MMUEXT_COPY_PAGE};

        copy.arg1.mfn = mfn_of(page_b);
        copy.arg2.src_mfn = mfn_of(page_a);
        expect("copy-page", mmuext_op(&copy, 1, 0, DOMID_SELF), 0);
    }
    check("copy-page-copied", page_b[7] == 0x77);
    expect("clear-page", mmuext(MMUEXT_CLEAR_PAGE, mfn_of(page_b), 0), 0);
    check("clear-page-cleared", page_b[7] == 0);
    expect_error("mmuext-unknown", mmuext_op(two, 2, &done, DOMID_SELF));
    expect("mmuext-success-count", done, 1);
}

void abi_pagetable(void)
{
    region_build(&r, 8);
    page_a = page_alloc();
    page_b = page_alloc();
    updates();
    not_present();
    higher_levels();
    va_mapping();
    pins();
    roots();
    other_operations();
}
