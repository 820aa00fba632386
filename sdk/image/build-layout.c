// SPDX-License-Identifier: MIT
/*
 * Laying out a new PV domain.
 *
 * From VIRT_BASE up: kernel, ramdisk (if it must be mapped), p2m (if it has no place of its own), start_info, store and console page,
 * page tables, boot stack, and at least 512 KiB of slack to a 4 MiB boundary. Behind that come a ramdisk passed by frame number, and the p2m with the tables
 * that map it at INIT_P2M. Everything is counted in frames from VIRT_BASE, so that nothing wraps at the end of the address space.
 * Shared by the hypervisor and libcollet. Contract: <image/build-layout.h>.  Tests: test-elf-image.c.
 */
#include <image/build-layout.h>

#include <string.h>

#define PAGE_BYTES 4096ull
#define SLACK_FRAMES (512 * 1024 / PAGE_BYTES)
#define ALIGN_BYTES (4ull << 20)
#define P2M_PER_FRAME 512ull
#define FRAMES_MAX (1ull << 32) /* frame numbers fit 32 bits */
#define HOLE_START 0xffff800000000000ull
#define HOLE_END 0xffff880000000000ull
#define LOWER_END 0x0000800000000000ull

static const char too_small[] = "the kernel is too large for the domain's memory";

static uint64_t frames_for(uint64_t bytes)
{
    return bytes / PAGE_BYTES + (bytes % PAGE_BYTES != 0);
}

/* Frames from va to the end of its half of the address space. */
static uint64_t room_above(uint64_t va)
{
    return va < LOWER_END ? (LOWER_END - va) / PAGE_BYTES : (0 - va) / PAGE_BYTES;
}

/* How many tables whose entries span 2^shift bytes a range needs: [first, last] are linear addresses. */
static uint64_t tables_at(unsigned int shift, uint64_t first, uint64_t last)
{
    return (last >> shift) - (first >> shift) + 1;
}

static uint64_t tables_for(uint64_t first, uint64_t last)
{
    return tables_at(39, first, last) + tables_at(30, first, last) + tables_at(21, first, last);
}

/* Tables that map [first, last] and are not there already for [have_first, have_last], which does not overlap it. */
static uint64_t tables_more(uint64_t first, uint64_t last, uint64_t have_first, uint64_t have_last)
{
    static const unsigned int shifts[] = {39, 30, 21};
    uint64_t n = tables_for(first, last);

    for (unsigned int i = 0; i < 3; i++)
        if ((first >> shifts[i]) == (have_last >> shifts[i]) || (last >> shifts[i]) == (have_first >> shifts[i]))
            n--;
    return n;
}

/* First frame past the slack behind `end`, so that it is 4 MiB aligned as an address. */
static uint64_t mapping_end(uint64_t virt_base, uint64_t end)
{
    uint64_t va = virt_base + (end + SLACK_FRAMES) * PAGE_BYTES;
    uint64_t up = (ALIGN_BYTES - va % ALIGN_BYTES) % ALIGN_BYTES;

    return end + SLACK_FRAMES + up / PAGE_BYTES;
}

/* Tables map what they lie in: take more until it fits. */
static const char *tables_place(struct build_layout *l, uint64_t next)
{
    uint64_t room = room_above(l->virt_base), end, last;

    l->table_pfn = next;
    l->table_frames = 4;
    for (;;) {
        end = mapping_end(l->virt_base, next + l->table_frames + 1);
        if (end > room)
            end = room; /* kernels at the top of the address space have less slack */
        if (next + l->table_frames + 1 > end)
            return "the kernel does not fit below the end of the address space";
        last = l->virt_base + end * PAGE_BYTES - 1;
        if (1 + tables_for(l->virt_base, last) <= l->table_frames)
            break;
        l->table_frames = 1 + tables_for(l->virt_base, last);
    }
    l->stack_pfn = next + l->table_frames;
    l->mapped_frames = end;
    return NULL;
}

static const char *p2m_place(struct build_layout *l, uint64_t va, uint64_t *next)
{
    uint64_t last = va + l->p2m_frames * PAGE_BYTES - 1;
    uint64_t mapped_last = l->virt_base + l->mapped_frames * PAGE_BYTES - 1;

    if (l->p2m_frames > room_above(va) || (va < HOLE_END && last >= HOLE_START) || (va <= mapped_last && last >= l->virt_base))
        return "the kernel wants its p2m at an impossible address";
    l->p2m_virt = va;
    l->p2m_pfn = *next;
    l->p2m_table_pfn = l->p2m_pfn + l->p2m_frames;
    l->p2m_table_frames = tables_more(va, last, l->virt_base, mapped_last);
    *next = l->p2m_table_pfn + l->p2m_table_frames;
    return NULL;
}

/* What lies behind the mapping; the mapping itself may end beyond the domain's memory, but then there is nothing behind it. */
static const char *rest_place(struct build_layout *l, const struct elf_image *image)
{
    uint64_t next = l->mapped_frames;
    const char *why;

    if (next > l->frames) {
        /* Not enough for all of the slack: what is needed must fit, the rest is less mapping. */
        next = l->stack_pfn + 1 + SLACK_FRAMES;
        l->mapped_frames = l->frames;
        if (next > l->frames)
            return too_small;
    }
    if (l->ramdisk_frames != 0 && !l->ramdisk_mapped) {
        l->ramdisk_pfn = next;
        next += l->ramdisk_frames;
    }
    if (image->has_init_p2m) {
        why = p2m_place(l, image->init_p2m, &next);
        if (why != NULL)
            return why;
    }
    l->used_frames = next;
    return next > l->frames ? too_small : NULL;
}

const char *build_layout_make(struct build_layout *l, const struct elf_image *image, uint64_t frames, uint64_t ramdisk_bytes, bool rings)
{
    uint64_t next = frames_for(image->virt_end - image->virt_base);
    const char *why;

    memset(l, 0, sizeof(*l));
    if (frames > FRAMES_MAX)
        return "a domain cannot have that much memory";
    l->frames = frames;
    l->virt_base = image->virt_base;
    l->ramdisk_frames = frames_for(ramdisk_bytes);
    l->ramdisk_mapped = l->ramdisk_frames != 0 && !image->unmapped_ramdisk;
    l->p2m_frames = frames / P2M_PER_FRAME + (frames % P2M_PER_FRAME != 0);
    if (next > frames || l->ramdisk_frames > frames)
        return too_small;
    if (l->ramdisk_mapped) {
        l->ramdisk_pfn = next;
        next += l->ramdisk_frames;
    }
    if (!image->has_init_p2m) {
        l->p2m_pfn = next;
        l->p2m_virt = l->virt_base + next * PAGE_BYTES;
        next += l->p2m_frames;
    }
    l->start_info_pfn = next++;
    if (rings) {
        l->store_pfn = next++;
        l->console_pfn = next++;
    }
    why = tables_place(l, next);
    return why != NULL ? why : rest_place(l, image);
}
