// SPDX-License-Identifier: MIT
/*
 * Writes to a read-only mapped L1 page by ordinary instructions: the hypervisor carries them out, as if by mmu_update, and the guest sees no fault.
 */
#include "abi.h"
#include "mini.h"

/* The hypervisor may set the user bit, and use the global bit for itself. */
#define COMPARED (~(PTE_US | PTE_G))

static struct region r;
static uint64_t *page_a, *page_b;

struct write {
    volatile uint64_t *at;
    uint64_t value, old;
    bool flag;
};

static void w_mov8(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("movq %1, (%0)" : : "r"(w->at), "r"(w->value) : "memory");
}
static void w_mov8_imm0(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("movq $0, (%0)" : : "r"(w->at) : "memory");
}
static void w_mov8_sib(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("movq %1, -0x200(%0, %2, 8)" : : "r"(w->at), "r"(w->value), "r"(64ul) : "memory");
}
static void w_mov4(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("movl %k1, (%0)" : : "r"(w->at), "r"(w->value) : "memory");
}
static void w_mov1(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("movb %b1, (%0)" : : "r"(w->at), "r"(w->value) : "memory");
}
static void w_xchg(void *arg)
{
    struct write *w = arg;
    w->old = w->value;
    __asm__ volatile("xchgq %0, (%1)" : "+r"(w->old) : "r"(w->at) : "memory");
}
static void w_cmpxchg(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("lock cmpxchgq %3, (%2); sete %1" : "+a"(w->old), "=q"(w->flag) : "r"(w->at), "r"(w->value) : "memory", "cc");
}
static void w_and(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("lock andq %1, (%0)" : : "r"(w->at), "r"(w->value) : "memory", "cc");
}
static void w_andb(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("lock andb $0xfd, (%0)" : : "r"(w->at) : "memory", "cc");
}
static void w_or(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("lock orq %1, (%0)" : : "r"(w->at), "r"(w->value) : "memory", "cc");
}
static void w_btr(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("lock btrq %2, (%1); setc %0" : "=q"(w->flag) : "r"(w->at), "i"(5) : "memory", "cc");
}
static void w_btr_reg(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("btrq %2, (%1); setc %0" : "=q"(w->flag) : "r"(w->at), "r"(w->value) : "memory", "cc");
}
static void w_bts(void *arg)
{
    struct write *w = arg;
    __asm__ volatile("lock btsq %2, (%1); setc %0" : "=q"(w->flag) : "r"(w->at), "i"(5) : "memory", "cc");
}

static void one(const char *name, void (*fn)(void *), struct write *w, uint64_t before, uint64_t after)
{
    unsigned int index = 16;

    if (region_map(&r, index, before) != 0)
        give_up("emulation: prepare %s\n", name);
    w->at = &r.l1[index];
    expect(name, catch(fn, w), -1);
    if ((r.l1[index] & COMPARED) != (after & COMPARED)) {
        note("%s: entry is %lx\n", name, r.l1[index]);
        check("emulated-entry-as-expected", false);
    }
    mmuext(MMUEXT_INVLPG_LOCAL, (uint64_t)region_va(&r, index), 0);
}

void abi_emulation(void)
{
    uint64_t a, b;
    struct write w = {0};

    region_build(&r, 9);
    page_a = page_alloc();
    page_b = page_alloc();
    a = maddr_of(page_a) | PTE_PAGE;
    b = maddr_of(page_b) | PTE_PAGE;
    w.value = b;
    one("emulate-mov-8", w_mov8, &w, a, b);
    page_b[0] = 0xb;
    check("emulated-mapping-works", *(volatile uint64_t *)region_va(&r, 16) == 0xb);
    one("emulate-mov-8-from-absent", w_mov8, &w, 0, b);
    one("emulate-mov-8-scaled-index", w_mov8_sib, &w, a, b);
    one("emulate-mov-8-immediate", w_mov8_imm0, &w, a, 0);
    w.value = 0x3330;
    one("emulate-mov-8-absent-bits", w_mov8, &w, a, 0x3330);
    w.value = a & ~PTE_RW;
    one("emulate-mov-4", w_mov4, &w, a, a & ~PTE_RW);
    one("emulate-mov-1", w_mov1, &w, a, a & ~PTE_RW);
    w.value = 0;
    one("emulate-xchg", w_xchg, &w, a, 0);
    check("emulate-xchg-old", (w.old & COMPARED) == (a & COMPARED));
    w.value = a;
    one("emulate-xchg-in", w_xchg, &w, 0, a);
    w.value = b;
    region_map(&r, 16, a);
    w.old = r.l1[16]; /* as the hypervisor stores it */
    one("emulate-cmpxchg", w_cmpxchg, &w, a, b);
    check("emulate-cmpxchg-success", w.flag);
    w.old = 0x42;
    one("emulate-cmpxchg-mismatch", w_cmpxchg, &w, a, a);
    check("emulate-cmpxchg-mismatch-old", !w.flag && (w.old & COMPARED) == (a & COMPARED));
    w.value = ~PTE_RW;
    one("emulate-lock-and", w_and, &w, a, a & ~PTE_RW);
    one("emulate-lock-andb", w_andb, &w, a, a & ~PTE_RW);
    w.value = PTE_RW;
    one("emulate-lock-or", w_or, &w, a & ~PTE_RW, a);
    one("emulate-lock-btr", w_btr, &w, a, a & ~PTE_A);
    check("emulate-lock-btr-carry", w.flag);
    one("emulate-lock-btr-clear", w_btr, &w, a & ~PTE_A, a & ~PTE_A);
    check("emulate-lock-btr-no-carry", !w.flag);
    one("emulate-lock-bts", w_bts, &w, a & ~PTE_A, a);
    check("emulate-lock-bts-no-carry", !w.flag);
    w.value = 1;
    one("emulate-btr-register", w_btr_reg, &w, a, a & ~PTE_RW);
    region_map(&r, 16, 0);
    /* The next instruction sees the right registers and flags: nothing but the destination changed. */
    for (unsigned int i = 0; i < 200; i++) {
        w.at = &r.l1[17];
        w.value = i & 1 ? a : 0;
        w_mov8(&w);
    }
    check("emulate-two-hundred", true);
    region_map(&r, 17, 0);
}
