// SPDX-License-Identifier: MIT
/* The guest's own descriptors: a GDT frame, update_descriptor, an LDT; selectors of both in use. */
#include "abi.h"
#include "mini.h"

#define DESC_CODE64 0x00af9b000000fffful /* DPL 0: to be made 3 */
#define DESC_DATA 0x00cf93000000fffful

static uint64_t data_at(uint32_t base)
{
    return 0x00cff3000000fffful | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(base >> 24) << 56;
}

static void load_ds(void *selector)
{
    __asm__ volatile("mov %w0, %%ds" : : "r"(selector));
}

static void load_fs_read(void *pair)
{
    uint64_t *p = pair;

    __asm__ volatile("mov %w1, %%fs; mov %%fs:0, %0" : "=r"(p[1]) : "r"(p[0]));
}

static uint32_t limit_of(uint32_t selector)
{
    uint32_t limit = 0;

    __asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"(selector) : "cc");
    return limit;
}

static void gdt(void)
{
    static uint64_t frames[1];
    uint64_t *page = page_alloc();

    page[2] = DESC_CODE64;
    page[3] = DESC_DATA;
    page[15] = 0x0040f50000000000ul | 0x37; /* the vCPU-number trick: a limit to be read by lsl */
    make_readonly(page);
    frames[0] = mfn_of(page);
    expect("gdt-set", set_gdt(frames, 512), 0);
    check("gdt-dpl-made-3", ((page[2] >> 45) & 3) == 3 && ((page[3] >> 45) & 3) == 3);
    expect("gdt-load-data", catch(load_ds, (void *)(3 * 8 + 3)), -1);
    expect("gdt-lsl", limit_of(15 * 8 + 3), 0x37);
    expect("gdt-load-absent-is-gp", catch(load_ds, (void *)(9 * 8 + 3)), 13);
    check("gdt-load-absent-error", vcpus[0].last.error == 9 * 8);
    expect_error("gdt-frame-not-writable", update_va_mapping(page, maddr_of(page) | PTE_PAGE, UVMF_INVLPG));
    expect("descriptor-update", update_descriptor(maddr_of(&page[9]), DESC_DATA), 0);
    check("descriptor-dpl-made-3", ((page[9] >> 45) & 3) == 3);
    expect("descriptor-updated-loads", catch(load_ds, (void *)(9 * 8 + 3)), -1);
    load_ds(0); /* before it goes: a switch of vCPUs that finds it bad enters the failsafe callback */
    expect("descriptor-clear", update_descriptor(maddr_of(&page[9]), 0), 0);
    expect("gdt-drop", set_gdt(frames, 0), 0);
    expect("gdt-frame-writable-again", update_va_mapping(page, maddr_of(page) | PTE_PAGE, UVMF_INVLPG), 0);
    memset(page, 0, PAGE_SIZE);
    page_free(page);
}

static void ldt(void)
{
    uint64_t *page = page_alloc();

    page[0] = data_at(0);
    make_readonly(page);
    expect("ldt-set", mmuext(MMUEXT_SET_LDT, (uint64_t)page, 512), 0);
    expect("ldt-load", catch(load_ds, (void *)7), -1);
    load_ds(0);
    expect("ldt-drop", mmuext(MMUEXT_SET_LDT, 0, 0), 0);
    expect("ldt-gone", catch(load_ds, (void *)7), 13);
    expect("ldt-writable-again", update_va_mapping(page, maddr_of(page) | PTE_PAGE, UVMF_INVLPG), 0);
    page_free(page);
}

/* A 32-bit base from an LDT descriptor, seen through fs: needs something mapped below 4 GiB, which kernels at base 0 have. */
static void ldt_base(void)
{
    static uint64_t here = 0x600d;
    uint64_t *page, pair[2] = {7, 0};

    if ((uint64_t)text_start >> 32 != 0) {
        skip("ldt-base", "nothing mapped below 4 GiB");
        return;
    }
    page = page_alloc();
    page[0] = data_at((uint32_t)(uint64_t)&here);
    make_readonly(page);
    mmuext(MMUEXT_SET_LDT, (uint64_t)page, 1);
    expect("ldt-base", catch(load_fs_read, pair), -1);
    check("ldt-base-read", pair[1] == 0x600d);
    sched_op(SCHEDOP_yield, 0);
    __asm__ volatile("mov %0, %%fs" : : "r"(0));
    mmuext(MMUEXT_SET_LDT, 0, 0);
    make_writable(page);
    page_free(page);
}

void abi_descriptor(void)
{
    gdt();
    ldt();
    ldt_base();
}
