/* SPDX-License-Identifier: MIT */
/*
 * Linker script of the tiny kernels, run through the preprocessor. BASE is the virtual base (Xen's VIRT_BASE); physical addresses are virtual
 * ones minus BASE. SINGLE makes one read-write-execute load segment starting at BASE itself, as the smallest PV kernels have it.
 */
OUTPUT_FORMAT(elf64-x86-64)
ENTRY(_start)
PHDRS
{
#ifdef SINGLE
    all PT_LOAD FLAGS(7);
#else
    text PT_LOAD FLAGS(5);
    data PT_LOAD FLAGS(6);
#endif
    note PT_NOTE FLAGS(4);
}
SECTIONS
{
    virt_base = BASE;
#ifdef SINGLE
    . = BASE;
#define TEXT :all
#define DATA :all
#else
    . = BASE + 0x100000;
#define TEXT :text
#define DATA :data
#endif
    .text : AT(ADDR(.text) - BASE) { text_start = .; *(.text.start) *(.text .text.*) . = ALIGN(64); child_text_start = .; *(.child) child_text_end = .; } TEXT
    .rodata : AT(ADDR(.rodata) - BASE) { *(.rodata .rodata.*) . = ALIGN(16); } TEXT
    .note.xen : AT(ADDR(.note.xen) - BASE) { KEEP(*(.note.xen)) } TEXT :note
    . = ALIGN(4096);
    text_end = .;
    .data : AT(ADDR(.data) - BASE) { *(.data .data.* .got .got.plt) . = ALIGN(16); } DATA
    .bss : AT(ADDR(.bss) - BASE) { *(.bss.aligned) *(.bss .bss.* COMMON) . = ALIGN(4096); } DATA
    image_end = .;
    /DISCARD/ : { *(.comment) *(.eh_frame) *(.note.GNU-stack) *(.note.gnu.property) }
}
