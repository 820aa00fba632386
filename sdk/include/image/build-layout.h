/* SPDX-License-Identifier: MIT */
/*
 * Where everything of a new PV domain goes: the order that the ABI fixes (ABI: xen/xen.h, "start of day memory layout"), as plain numbers.
 *
 * Pure, like elf-image.h. pfn n is mapped at virt_base + n * 4096 from pfn 0 to mapped_frames. Tests: sdk/image/test-elf-image.c.
 */
#pragma once

#include <image/elf-image.h>

struct build_layout {
    uint64_t frames;        /* the domain's memory */
    uint64_t virt_base;
    uint64_t mapped_frames; /* of the initial mapping; at most frames */
    uint64_t ramdisk_pfn, ramdisk_frames;
    bool ramdisk_mapped;
    uint64_t p2m_pfn, p2m_frames;       /* the list itself, whole pages */
    uint64_t p2m_virt;
    uint64_t p2m_table_pfn, p2m_table_frames; /* page tables of the list when it is outside of the mapping; else 0 */
    uint64_t start_info_pfn;
    uint64_t store_pfn, console_pfn; /* 0: none */
    uint64_t table_pfn, table_frames; /* the first is the L4 */
    uint64_t stack_pfn;
    uint64_t used_frames; /* pfns from here on are plain memory */
};

/* NULL, or one clear sentence why it does not fit. rings: give it a store and a console page. */
const char *build_layout_make(struct build_layout *layout, const struct elf_image *image, uint64_t frames, uint64_t ramdisk_bytes, bool rings);
