/* SPDX-License-Identifier: MIT */
/*
 * Places where the hypervisor opens and closes its access to guest pages under SMAP. Each emits three bytes of no-operation, recorded in
 * .smap_sites; when SMAP is switched on, boot turns them into stac and clac (cpu/x86-cpu-area.c: smap_patch). Without SMAP they cost nothing but a nop.
 */
#pragma once

#define SMAP_SITE_STAC 1
#define SMAP_SITE_CLAC 2

#ifdef __ASSEMBLER__
.macro smap_site kind
771:
    .byte 0x0f, 0x1f, 0x00
    .pushsection .smap_sites, "a"
    .balign 4
    .long 771b - ., \kind
    .popsection
.endm
#define ASM_STAC smap_site SMAP_SITE_STAC
#define ASM_CLAC smap_site SMAP_SITE_CLAC
#else
#define SMAP_SITE_TEXT(kind)                                                                                           \
    "771: .byte 0x0f, 0x1f, 0x00\n"                                                                                    \
    ".pushsection .smap_sites, \"a\"\n.balign 4\n.long 771b - ., " #kind "\n.popsection\n"

static inline void smap_open(void)
{
    __asm__ volatile(SMAP_SITE_TEXT(1)::: "memory");
}
static inline void smap_close(void)
{
    __asm__ volatile(SMAP_SITE_TEXT(2)::: "memory");
}

struct smap_site {
    int32_t offset; /* of the instruction, from here */
    uint32_t kind;
};
#endif
