/* SPDX-License-Identifier: MIT */
/*
 * How the image lies in memory: code, constants, data, each from a page of its own, since boot/x86-paging.c gives each its own
 * rights. Linked at IMAGE_VIRT plus the physical address it is loaded at. Run through the C preprocessor.
 */
#include "x86/layout.h"

OUTPUT_FORMAT(elf64-x86-64)
OUTPUT_ARCH(i386:x86-64)
ENTRY(boot_entry)

PHDRS
{
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
}

SECTIONS
{
    . = IMAGE_VIRT + IMAGE_LOAD_PHYS;
    __image_start = .;
    .text : {
        *(.text.head)
        *(.text .text.*)
        *(.init.text)
        . = ALIGN(4096);
    } :text
    __text_end = .;
    .rodata : {
        *(.rodata .rodata.*)
        *(.data.rel.ro .data.rel.ro.*)
        *(.got .got.plt .igot .igot.plt)
        . = ALIGN(8);
        __ex_table_start = .;
        KEEP(*(.ex_table))
        __ex_table_end = .;
        __smap_sites_start = .;
        KEEP(*(.smap_sites))
        __smap_sites_end = .;
        . = ALIGN(8);
        *(.symbols)
        . = ALIGN(4096);
    } :rodata
    __rodata_end = .;
    .data : {
        *(.data .data.*)
        *(.init.data)
        . = ALIGN(4096);
    } :data
    __data_end = .;
    .bss (NOLOAD) : {
        *(.bss.page_aligned)
        *(.bss .bss.*)
        *(COMMON)
        . = ALIGN(4096);
    } :data
    __image_end = .;
    __image_bytes = ABSOLUTE(__image_end - __image_start);

    /DISCARD/ : { *(.comment) *(.note .note.*) *(.eh_frame) *(.rela.*) *(.plt .iplt .plt.got) }
    .debug_info 0 : { *(.debug_info) }
    .debug_abbrev 0 : { *(.debug_abbrev) }
    .debug_line 0 : { *(.debug_line) }
    .debug_line_str 0 : { *(.debug_line_str) }
    .debug_str 0 : { *(.debug_str) }
    .debug_str_offsets 0 : { *(.debug_str_offsets) }
    .debug_addr 0 : { *(.debug_addr) }
    .debug_loc 0 : { *(.debug_loc) }
    .debug_loclists 0 : { *(.debug_loclists) }
    .debug_ranges 0 : { *(.debug_ranges) }
    .debug_rnglists 0 : { *(.debug_rnglists) }
    .debug_aranges 0 : { *(.debug_aranges) }
    .debug_frame 0 : { *(.debug_frame) }
    .symtab 0 : { *(.symtab) }
    .strtab 0 : { *(.strtab) }
    .shstrtab 0 : { *(.shstrtab) }
    .llvm_addrsig 0 : { *(.llvm_addrsig) }
}
