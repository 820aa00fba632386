/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader handed over, in one form for multiboot 1 and 2. Filled by boot/multiboot.c before memory is set up.
 * Everything is copied: the loader's own structures may be reused after boot_info is filled, the modules' contents not.
 */
#pragma once

#include "types.h"

#define BOOT_MODULES_MAX 16
#define BOOT_RAM_MAX 64

struct boot_module {
    uint64_t start; /* machine address of the first byte */
    uint64_t end;   /* one past the last */
    char string[1024]; /* the loader's text for it: file name, then its command line */
};

struct boot_ram {
    uint64_t start, end; /* machine addresses of usable RAM, page-aligned inwards, ascending, disjoint */
};

struct boot_info {
    char command_line[1024]; /* without the image's own name */
    uint32_t module_count;
    struct boot_module modules[BOOT_MODULES_MAX];
    uint32_t ram_count;
    struct boot_ram ram[BOOT_RAM_MAX];
    uint64_t acpi_rsdp; /* machine address from multiboot 2, 0: search the BIOS area */
    const char *loader; /* "multiboot" or "multiboot2" */
};
extern struct boot_info boot_info;

/* magic in eax, info pointer in ebx as the loader left them. Returns false, with a line logged, if they make no sense. */
bool boot_info_read(uint32_t magic, uint64_t info_maddr);
