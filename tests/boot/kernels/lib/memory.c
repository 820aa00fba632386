// SPDX-License-Identifier: MIT
/*
 * Frames and page tables of a tiny kernel: a page heap inside the image, walks of the current tables through the M2P, and regions: private table
 * pages under an L4 slot of their own, which tests may ill-treat without losing the ground they stand on.
 */
#include "mini.h"

#define HEAP_PAGES 1024

static uint8_t heap[HEAP_PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned int heap_used;
static void *heap_free_list;
const uint64_t *m2p = (const uint64_t *)MACH2PHYS_VIRT_START;

uint64_t heap_first_pfn(void)
{
    return pfn_of(heap);
}

uint64_t heap_pages(void)
{
    return HEAP_PAGES;
}

void *page_alloc(void)
{
    void *page = heap_free_list;

    if (page != NULL) {
        heap_free_list = *(void **)page;
    } else {
        if (heap_used == HEAP_PAGES)
            give_up("out of pages\n");
        page = heap[heap_used++];
    }
    return memset(page, 0, PAGE_SIZE);
}

void page_free(void *page)
{
    *(void **)page = heap_free_list;
    heap_free_list = page;
}

uint64_t *pte_find(uint64_t va, int level)
{
    uint64_t *table = (uint64_t *)start_info->pt_base;

    for (int at = 4;; at--) {
        uint64_t *entry = &table[(va >> (12 + 9 * (at - 1))) & 511];

        if (at == level)
            return entry;
        if (!(*entry & PTE_P))
            return NULL;
        table = va_of_mfn((*entry & PTE_ADDR) >> PAGE_SHIFT);
    }
}

uint64_t pte_maddr(uint64_t va, int level)
{
    uint64_t *entry = pte_find(va, level);

    return entry == NULL ? 0 : maddr_of(entry);
}

long pte_set(uint64_t entry_maddr, uint64_t value)
{
    struct mmu_update u = {.ptr = entry_maddr | MMU_NORMAL_PT_UPDATE, .val = value};

    return mmu_update(&u, 1, 0, DOMID_SELF);
}

long mmuext(unsigned int cmd, uint64_t arg1, uint64_t arg2)
{
    struct mmuext_op op = {.cmd = cmd};

    op.arg1.mfn = arg1;
    op.arg2.vcpumask.p = (void *)arg2;
    return mmuext_op(&op, 1, 0, DOMID_SELF);
}

void make_readonly(const void *page)
{
    long rc = update_va_mapping(page, (maddr_of(page) & PAGE_MASK) | PTE_RO, UVMF_INVLPG | UVMF_ALL);

    if (rc != 0)
        give_up("make_readonly(%p): %ld\n", page, rc);
}

void make_writable(const void *page)
{
    long rc = update_va_mapping(page, (maddr_of(page) & PAGE_MASK) | PTE_PAGE, UVMF_INVLPG | UVMF_ALL);

    if (rc != 0)
        give_up("make_writable(%p): %ld\n", page, rc);
}

void *table_alloc(void)
{
    void *page = page_alloc();

    make_readonly(page);
    return page;
}

void table_free(void *page)
{
    make_writable(page);
    page_free(page);
}

void region_build(struct region *r, unsigned int l4_slot)
{
    uint64_t *l4 = (uint64_t *)start_info->pt_base;

    r->va = (uint64_t)l4_slot << 39;
    r->l3 = table_alloc();
    r->l2 = table_alloc();
    r->l1 = table_alloc();
    /* Bottom up and before the top is attached: plain memory is written through mmu_update all the same. */
    if (pte_set(maddr_of(&r->l2[0]), maddr_of(r->l1) | PTE_TABLE) != 0 || pte_set(maddr_of(&r->l3[0]), maddr_of(r->l2) | PTE_TABLE) != 0 ||
        pte_set(maddr_of(&l4[l4_slot]), maddr_of(r->l3) | PTE_TABLE) != 0)
        give_up("region_build: slot %u\n", l4_slot);
}

long region_map(struct region *r, unsigned int index, uint64_t pte)
{
    long rc = pte_set(l1e_maddr(r, index), pte);

    mmuext(MMUEXT_INVLPG_LOCAL, (uint64_t)region_va(r, index), 0);
    return rc;
}
