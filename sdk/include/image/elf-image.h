/* SPDX-License-Identifier: MIT */
/*
 * A 64-bit Xen PV kernel image, understood: where its segments go and what it asks of its builder.
 *
 * Pure: bytes in, checked result out. The hypervisor (building Domain0 and boot-module domains) and libcollet (building all others) compile the same file,
 * sdk/image/elf-image.c. Sources: ELF-64, <xen/elfnote.h>. Tests: sdk/image/test-elf-image.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_IMAGE_SEGMENTS_MAX 32
#define ELF_IMAGE_TEXT_MAX 32

/* One piece of the kernel: file_bytes from file_offset of the image, then zeroes up to memory_bytes. */
struct elf_segment {
    uint64_t virt; /* linear address that it is loaded at: by physical address, not by the one it is linked for */
    uint64_t file_offset, file_bytes, memory_bytes;
};

struct elf_image {
    uint32_t segment_count; /* ascending by address, not overlapping, all bytes within the file */
    struct elf_segment segments[ELF_IMAGE_SEGMENTS_MAX];
    uint64_t virt_base; /* linear address of pfn 0; a page boundary */
    uint64_t virt_start, virt_end; /* first byte and one past the last of all segments */
    uint64_t entry;
    uint64_t hypercall_page; /* linear address, if has_hypercall_page: a page within the kernel */
    uint64_t init_p2m;       /* where the p2m is wanted, if has_init_p2m */
    bool has_hypercall_page, has_init_p2m;
    bool unmapped_ramdisk; /* takes the ramdisk by frame number (MOD_START_PFN) */
    bool wants_symbols;    /* BSD_SYMTAB=yes; symbols are not loaded */
    bool legacy;           /* described by a __xen_guest section instead of notes */
    uint32_t features_required;  /* bits XENFEAT_* of submap 0 */
    uint32_t features_supported;
    char guest_os[ELF_IMAGE_TEXT_MAX], guest_version[ELF_IMAGE_TEXT_MAX], loader[ELF_IMAGE_TEXT_MAX];
};

/* NULL when all is well; else one clear sentence why this is no kernel to start, to be shown to a person. */
const char *elf_image_parse(const void *bytes, size_t size, struct elf_image *image);

/* The 128 entry points of a hypercall page: 4096 bytes at `page`. */
void elf_image_fill_hypercall_page(void *page);
