/* SPDX-License-Identifier: MIT */
/*
 * SMAP (SDM vol. 3, 4.6.1): where the hypervisor means to touch guest memory, and where it comes from a guest. The sites are three-byte no-ops until boot finds SMAP and
 * writes STAC or CLAC over them (smap_patch in boot/x86-paging.c). For assembly files.
 */
#pragma once

#define SMAP_SITE(kind)                                                                                                \
    771:                                                                                                               \
    .byte 0x0f, 0x1f, 0x00;                                                                                            \
    .pushsection .smap_sites, "a";                                                                                     \
    .long 771b - .;                                                                                                    \
    .long kind;                                                                                                        \
    .popsection
#define ASM_STAC SMAP_SITE(1)
#define ASM_CLAC SMAP_SITE(0)
