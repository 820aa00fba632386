/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's page tables, built once at boot out of RAM that nobody uses yet. Contract: paging.h.
 *
 * Until the frame allocator exists, pages come from a bump allocator over boot_info.ram that steps around the image, the modules and the first MiB, and
 * stays below 4 GiB, where the boot tables reach. What it took is known by its ranges; the rest goes to the frame allocator.
 */
#include "paging.h"

#include "alloc.h"
#include "boot-info.h"
#include "frame.h"
#include "lib/string.h"
#include "log.h"
#include "mm.h"
#include "options.h"
#include "spinlock.h"
#include "tlb.h"
#include "x86/cpu-asm.h"
#include "x86/layout.h"

#include <hv/errno.h>

#define LARGE_PAGE (2ul << 20)
#define BOOT_REACH (4ul << 30)
#define LOW_MEMORY (1ul << 20) /* kept: BIOS, start-up page */
#define TAKEN_MAX 64
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED)
#define DATA_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_ACCESSED | PTE_DIRTY)

extern char __image_start[], __text_end[], __rodata_end[], __data_end[], __image_end[];
extern char boot_stack[];
extern uint64_t boot_l4[];

struct smap_site {
    int32_t at; /* relative to this field */
    uint32_t stac;
};
extern const struct smap_site __smap_sites_start[], __smap_sites_end[];

uint64_t paging_hv_l4_entries[HV_L4_END - HV_L4_FIRST];
uint64_t paging_idle_cr3;
uint64_t *m2p_writable;

static uint64_t *idle_l4;

/* Ranges that are in use, ascending, disjoint; what is not in one is free. */
static struct {
    uint64_t start, end;
} taken[TAKEN_MAX];
static unsigned int taken_count;
static bool bump_closed;
static struct spinlock paging_lock; /* protects making tables in the mapped regions */

static void range_take(uint64_t start, uint64_t end)
{
    unsigned int i = taken_count;

    if (taken_count == TAKEN_MAX)
        panic("more than %u memory ranges in use at boot", TAKEN_MAX);
    while (i > 0 && taken[i - 1].start > start) {
        taken[i] = taken[i - 1];
        i--;
    }
    taken[i].start = start & PAGE_MASK;
    taken[i].end = ROUND_UP(end, PAGE_SIZE);
    taken_count++;
}

/* The first free run of `bytes` at or after `from` within [from, limit); 0 if none. */
static uint64_t gap_find(uint64_t from, uint64_t limit, uint64_t bytes, uint64_t align)
{
    unsigned int i;

    from = ROUND_UP(from, align);
    for (i = 0; i < taken_count; i++) {
        if (taken[i].end <= from)
            continue;
        if (taken[i].start >= from + bytes)
            break;
        from = ROUND_UP(taken[i].end, align);
    }
    return from + bytes <= limit ? from : 0;
}

static uint64_t bump_alloc(uint64_t bytes, uint64_t align, uint64_t reach)
{
    unsigned int i, j;
    uint64_t at = 0;

    for (i = 0; at == 0 && i < boot_info.ram_count; i++)
        at = gap_find(max(boot_info.ram[i].start, LOW_MEMORY), min(boot_info.ram[i].end, reach), bytes, align);
    if (at == 0)
        panic("no %lu KiB of memory for the hypervisor's own tables", (unsigned long)(bytes >> 10));
    /* Grow a range that ends here rather than making another one. */
    for (j = 0; j < taken_count; j++) {
        if (taken[j].end == at) {
            taken[j].end = at + bytes;
            return at;
        }
    }
    range_take(at, at + bytes);
    return at;
}

/* At boot the low 4 GiB are mapped at their own addresses; later everything is in the direct map. */
static void *boot_virt(uint64_t maddr)
{
    return bump_closed ? maddr_to_virt(maddr) : (void *)maddr;
}

static uint64_t table_new(void)
{
    uint64_t table;

    if (bump_closed) {
        void *page = page_alloc();

        return page != NULL ? virt_to_maddr(page) : 0;
    }
    table = bump_alloc(PAGE_SIZE, PAGE_SIZE, BOOT_REACH);
    memset(boot_virt(table), 0, PAGE_SIZE);
    return table;
}

/* The entry for `va` at `level` (1: 4 KiB, 2: 2 MiB), tables made on the way with these extra flags; NULL if there is no memory for one. */
static uint64_t *entry_make(uint64_t *l4, uint64_t va, int level, uint64_t extra)
{
    uint64_t *table = l4;
    int at;

    for (at = 4; at > level; at--) {
        uint64_t *entry = &table[(va >> (12 + 9 * (at - 1))) & 511];

        if (!(*entry & PTE_PRESENT)) {
            uint64_t fresh = table_new();

            if (fresh == 0)
                return NULL;
            WRITE_ONCE(*entry, fresh | TABLE_FLAGS | extra);
        }
        table = boot_virt(*entry & PTE_ADDRESS);
    }
    return &table[(va >> (12 + 9 * (level - 1))) & 511];
}

static void map_small(uint64_t va, uint64_t maddr, uint64_t bytes, uint64_t flags)
{
    uint64_t at;

    for (at = 0; at < bytes; at += PAGE_SIZE)
        *entry_make(idle_l4, va + at, 1, 0) = (maddr + at) | flags;
}

static void map_large(uint64_t va, uint64_t maddr, uint64_t bytes, uint64_t flags, uint64_t extra)
{
    uint64_t at;

    for (at = 0; at < bytes; at += LARGE_PAGE)
        *entry_make(idle_l4, va + at, 2, extra) = (maddr + at) | flags | PTE_PSE;
}

static uint64_t ram_top(void)
{
    return boot_info.ram[boot_info.ram_count - 1].end;
}

static uint64_t image_maddr(const char *va)
{
    return (uint64_t)va - IMAGE_VIRT;
}

static void map_image(void)
{
    uint64_t text = (uint64_t)(__text_end - __image_start), rodata = (uint64_t)(__rodata_end - __text_end);

    map_small((uint64_t)__image_start, image_maddr(__image_start), text, PTE_PRESENT | PTE_ACCESSED);
    map_small((uint64_t)__text_end, image_maddr(__text_end), rodata, PTE_PRESENT | PTE_NX | PTE_ACCESSED);
    map_small((uint64_t)__rodata_end, image_maddr(__rodata_end), (uint64_t)(__image_end - __rodata_end), DATA_FLAGS);
}

/* All RAM; a 2 MiB page that the image's code and constants share is split, so that they are read-only here too. */
static void map_direct(uint64_t top)
{
    uint64_t at, first = image_maddr(__image_start) & ~(LARGE_PAGE - 1), last = ROUND_UP(image_maddr(__rodata_end), LARGE_PAGE);

    map_large(DIRECTMAP_VIRT, 0, first, DATA_FLAGS, 0);
    map_large(DIRECTMAP_VIRT + last, last, top - last, DATA_FLAGS, 0);
    for (at = first; at < last; at += PAGE_SIZE) {
        bool constant = at >= image_maddr(__image_start) && at < image_maddr(__rodata_end);

        *entry_make(idle_l4, DIRECTMAP_VIRT + at, 1, 0) = at | (constant ? DATA_FLAGS & ~(PTE_WRITE | PTE_DIRTY) : DATA_FLAGS);
    }
}

/* A table with one element a frame, in whole large pages; only where there is RAM. Returns nothing: it lies at va. */
static void map_array(uint64_t va, uint64_t element, uint64_t guest_va)
{
    unsigned int i;
    uint64_t chunk, done = 0;

    for (i = 0; i < boot_info.ram_count; i++) {
        uint64_t first = (boot_info.ram[i].start >> PAGE_SHIFT) * element & ~(LARGE_PAGE - 1);
        uint64_t last = ROUND_UP((boot_info.ram[i].end >> PAGE_SHIFT) * element, LARGE_PAGE);

        for (chunk = max(first, done); chunk < last; chunk += LARGE_PAGE) {
            uint64_t maddr = bump_alloc(LARGE_PAGE, LARGE_PAGE, BOOT_REACH);

            memset((void *)maddr, guest_va != 0 ? 0xff : 0, LARGE_PAGE);
            map_large(va + chunk, maddr, LARGE_PAGE, DATA_FLAGS, 0);
            if (guest_va != 0)
                map_large(guest_va + chunk, maddr, LARGE_PAGE, PTE_PRESENT | PTE_USER | PTE_NX | PTE_ACCESSED, PTE_USER);
        }
        done = max(done, last);
    }
}

/*
 * Where there is no RAM below the highest, the frame table reads as zeroes, out of one page for all: frames that nobody owns and nobody can take. A guest may
 * name any number.
 */
static void map_frame_table_holes(uint64_t frames)
{
    uint64_t zeroes = 0, at;

    for (at = 0; at < frames * sizeof(struct frame); at += LARGE_PAGE) {
        uint64_t *entry = entry_make(idle_l4, FRAME_TABLE_VIRT + at, 2, 0);

        if (*entry & PTE_PRESENT)
            continue;
        if (zeroes == 0) {
            zeroes = bump_alloc(LARGE_PAGE, LARGE_PAGE, BOOT_REACH);
            memset((void *)zeroes, 0, LARGE_PAGE);
        }
        *entry = zeroes | PTE_PRESENT | PTE_PSE | PTE_NX | PTE_ACCESSED;
    }
}

#define M2P_WRITABLE_VIRT (FRAME_TABLE_VIRT + (1ul << 38)) /* upper half of slot 262 */

/*
 * QEMU's emulation (7.2) reads IRETQ's frame with the supervisor's rights even in ring 3, so under SMAP a PV guest's own IRETQ faults. No processor does that. Seen: the
 * stock kernel dies at the first sync_core(); Debian's Xen with SMAP dies at the same instruction.
 */
static bool emulated_by_tcg(void)
{
    struct cpuid_regs r;

    if (!(cpuid(1, 0).ecx & (1u << 31)))
        return false;
    r = cpuid(0x40000000, 0);
    return r.ebx == 0x54474354 && r.ecx == 0x43544743 && r.edx == 0x47435447; /* "TCGTCGTCGTCG" */
}

static void smap_patch(void)
{
    static const uint8_t stac[3] = {0x0f, 0x01, 0xcb}, clac[3] = {0x0f, 0x01, 0xca};
    const struct smap_site *site;

    if (cpuid(0, 0).eax < 7 || !(cpuid(7, 0).ebx & (1u << 20)))
        boot_options.smap = false;
    if (boot_options.smap && !boot_options.smap_asked && emulated_by_tcg()) {
        log_info("SMAP stays off: this emulator applies it to IRETQ in ring 3 (`smap` insists)");
        boot_options.smap = false;
    }
    if (!boot_options.smap)
        return;
    /* Through the low identity mapping of the boot tables, which is writable. */
    for (site = __smap_sites_start; site < __smap_sites_end; site++)
        memcpy((void *)((uint64_t)&site->at + (uint64_t)(int64_t)site->at - IMAGE_VIRT), site->stac ? stac : clac, 3);
}

void paging_init(void)
{
    unsigned int i;

    for (i = 0; i < boot_info.module_count; i++)
        range_take(boot_info.modules[i].start, boot_info.modules[i].end);
    range_take(image_maddr(__image_start), image_maddr(__image_end));
    smap_patch();

    paging_idle_cr3 = table_new();
    idle_l4 = boot_virt(paging_idle_cr3);
    map_image();
    map_direct(ROUND_UP(max(ram_top(), BOOT_REACH), LARGE_PAGE));
    map_array(FRAME_TABLE_VIRT, sizeof(struct frame), 0);
    map_frame_table_holes(ram_top() >> PAGE_SHIFT);
    map_array(M2P_WRITABLE_VIRT, sizeof(uint64_t), M2P_VIRT);
    /* The regions that grow get their first tables now, so that the slots are complete before any guest copies them. */
    for (i = HV_L4_FIRST; i < HV_L4_END; i++)
        if (!(idle_l4[i] & PTE_PRESENT) && i < 264)
            idle_l4[i] = table_new() | TABLE_FLAGS;
    entry_make(idle_l4, CPU_AREA_VIRT, 2, 0);
    memcpy(paging_hv_l4_entries, &idle_l4[HV_L4_FIRST], sizeof(paging_hv_l4_entries));

    m2p_writable = (uint64_t *)M2P_WRITABLE_VIRT;
    frame_table_end = ram_top() >> PAGE_SHIFT;
    write_cr3(paging_idle_cr3);
    bump_closed = true;
    idle_l4 = maddr_to_virt(paging_idle_cr3);
}

void paging_release_memory(void)
{
    unsigned int i, j;

    for (i = 0; i < boot_info.ram_count; i++) {
        uint64_t at = max(boot_info.ram[i].start, LOW_MEMORY), end = boot_info.ram[i].end;

        for (j = 0; j < taken_count && at < end; j++) {
            if (taken[j].end <= at || taken[j].start >= end)
                continue;
            if (taken[j].start > at)
                frames_init_add(at >> PAGE_SHIFT, taken[j].start >> PAGE_SHIFT);
            at = taken[j].end;
        }
        if (at < end)
            frames_init_add(at >> PAGE_SHIFT, end >> PAGE_SHIFT);
    }
}

void paging_seal(void)
{
    uint64_t *entry = paging_pte((uint64_t)boot_stack);

    if (entry != NULL)
        *entry = 0;
    tlb_flush_local();
}

int paging_map(uint64_t va, mfn_t mfn, uint64_t flags)
{
    uint64_t *entry;

    spin_lock(&paging_lock);
    entry = entry_make(idle_l4, va, 1, 0);
    if (entry != NULL)
        WRITE_ONCE(*entry, mfn_to_maddr(mfn) | flags | PTE_ACCESSED | (flags & PTE_WRITE ? PTE_DIRTY : 0));
    spin_unlock(&paging_lock);
    return entry != NULL ? 0 : -ENOMEM;
}

uint64_t *paging_pte(uint64_t va)
{
    uint64_t *table = idle_l4;
    int at;

    for (at = 4; at > 1; at--) {
        uint64_t entry = table[(va >> (12 + 9 * (at - 1))) & 511];

        if (!(entry & PTE_PRESENT) || (entry & PTE_PSE))
            return NULL;
        table = maddr_to_virt(entry & PTE_ADDRESS);
    }
    return &table[(va >> 12) & 511];
}

void paging_unmap(uint64_t va)
{
    uint64_t *entry = paging_pte(va);

    if (entry == NULL)
        return;
    WRITE_ONCE(*entry, 0);
    invlpg(va);
}

void *fixmap_map(uint64_t maddr, size_t bytes, bool cached)
{
    static uint64_t next = FIXMAP_VIRT;
    uint64_t offset = maddr & (PAGE_SIZE - 1), at = next, i, size = ROUND_UP(offset + bytes, PAGE_SIZE);

    /* RAM is mapped already. */
    if (cached && maddr + bytes <= ROUND_UP(max(ram_top(), BOOT_REACH), LARGE_PAGE))
        return maddr_to_virt(maddr);
    if (next + size > FIXMAP_VIRT + FIXMAP_SIZE)
        return NULL;
    for (i = 0; i < size; i += PAGE_SIZE)
        if (paging_map(at + i, maddr_to_mfn(maddr + i),
                       PTE_PRESENT | PTE_WRITE | PTE_NX | (cached ? 0 : PTE_PCD | PTE_PWT)) != 0)
            return NULL;
    next += size;
    return (void *)(at + offset);
}
