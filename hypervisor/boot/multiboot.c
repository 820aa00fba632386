/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader says, for multiboot 1 and 2, copied into boot_info. Contract: boot-info.h.
 * Runs on the boot tables: low memory is at its own addresses. Every length is checked against the structure it lies in.
 */
#include "boot-info.h"

#include "lib/string.h"
#include "log.h"

#define MULTIBOOT1_MAGIC 0x2badb002u
#define MULTIBOOT2_MAGIC 0x36d76289u
#define FLAG_CMDLINE (1u << 2)
#define FLAG_MODULES (1u << 3)
#define FLAG_MMAP (1u << 6)
#define MEMORY_RAM 1u
#define REACH (4ull << 30) /* what the boot tables map */

struct multiboot1_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};
struct multiboot1_module {
    uint32_t start, end, string, reserved;
};
struct multiboot1_memory {
    uint32_t size;
    uint64_t address, length;
    uint32_t type;
} __attribute__((packed));
struct multiboot2_tag {
    uint32_t type, size;
};
struct multiboot2_memory {
    uint64_t address, length;
    uint32_t type, reserved;
};
enum { TAG_END = 0, TAG_CMDLINE = 1, TAG_MODULE = 3, TAG_MEMORY_MAP = 6, TAG_RSDP1 = 14, TAG_RSDP2 = 15 };

struct boot_info boot_info;

/* Skip the image's own name: the options begin after the first blank. */
static void command_line_set(const char *text)
{
    const char *blank = strchr(text, ' ');

    strlcpy(boot_info.command_line, blank != NULL ? blank + 1 : "", sizeof(boot_info.command_line));
}

static void module_add(uint64_t start, uint64_t end, const char *text)
{
    struct boot_module *m;

    if (boot_info.module_count == BOOT_MODULES_MAX || end < start || end > REACH) {
        log_warning("boot module at %#lx-%#lx left out", (unsigned long)start, (unsigned long)end);
        return;
    }
    m = &boot_info.modules[boot_info.module_count++];
    m->start = start;
    m->end = end;
    if (strlcpy(m->string, text, sizeof(m->string)) >= sizeof(m->string))
        log_warning("boot module %u: its command line is cut at %lu bytes", boot_info.module_count, sizeof(m->string) - 1);
}

/* Keep the list ascending; a range that touches the one before is joined to it. */
static void ram_add(uint64_t start, uint64_t length)
{
    uint64_t end = (start + length) & PAGE_MASK;
    uint32_t i = boot_info.ram_count;

    start = ROUND_UP(start, PAGE_SIZE);
    if (end <= start)
        return;
    if (i == BOOT_RAM_MAX) {
        log_warning("more than %u ranges of RAM: %#lx-%#lx left out", BOOT_RAM_MAX, (unsigned long)start, (unsigned long)end);
        return;
    }
    for (; i > 0 && boot_info.ram[i - 1].start > start; i--)
        boot_info.ram[i] = boot_info.ram[i - 1];
    boot_info.ram[i].start = start;
    boot_info.ram[i].end = end;
    boot_info.ram_count++;
}

/* Overlaps would hand a frame out twice. */
static bool ram_check(void)
{
    uint32_t i;

    for (i = 1; i < boot_info.ram_count; i++)
        if (boot_info.ram[i].start < boot_info.ram[i - 1].end)
            boot_info.ram[i].start = min(boot_info.ram[i - 1].end, boot_info.ram[i].end);
    if (boot_info.ram_count == 0)
        log_error("the boot loader names no memory");
    return boot_info.ram_count != 0;
}

static bool multiboot1_read(const struct multiboot1_info *info)
{
    const struct multiboot1_module *mods = (const struct multiboot1_module *)(uint64_t)info->mods_addr;
    uint32_t i, at;

    boot_info.loader = "multiboot";
    if (info->flags & FLAG_CMDLINE)
        command_line_set((const char *)(uint64_t)info->cmdline);
    for (i = 0; (info->flags & FLAG_MODULES) && i < info->mods_count; i++)
        module_add(mods[i].start, mods[i].end, mods[i].string != 0 ? (const char *)(uint64_t)mods[i].string : "");
    for (at = 0; (info->flags & FLAG_MMAP) && at + sizeof(struct multiboot1_memory) <= info->mmap_length;) {
        const struct multiboot1_memory *m = (const struct multiboot1_memory *)((uint64_t)info->mmap_addr + at);

        if (m->type == MEMORY_RAM)
            ram_add(m->address, m->length);
        at += m->size + sizeof(m->size);
    }
    return ram_check();
}

static void multiboot2_memory_map(const struct multiboot2_tag *tag)
{
    const uint32_t *head = (const uint32_t *)tag; /* type, size, entry size, version */
    uint32_t at;

    for (at = 16; head[2] >= sizeof(struct multiboot2_memory) && at + head[2] <= tag->size; at += head[2]) {
        const struct multiboot2_memory *m = (const struct multiboot2_memory *)((const char *)tag + at);

        if (m->type == MEMORY_RAM)
            ram_add(m->address, m->length);
    }
}

static bool multiboot2_read(const char *info)
{
    uint32_t total, at;

    memcpy(&total, info, sizeof(total));
    boot_info.loader = "multiboot2";
    for (at = 8; at + sizeof(struct multiboot2_tag) <= total;) {
        const struct multiboot2_tag *tag = (const struct multiboot2_tag *)(info + at);
        const uint32_t *body = (const uint32_t *)(tag + 1);

        if (tag->type == TAG_END || tag->size < sizeof(*tag) || at + tag->size > total)
            break;
        if (tag->type == TAG_CMDLINE)
            strlcpy(boot_info.command_line, (const char *)body, sizeof(boot_info.command_line)); /* GRUB leaves the name out */
        else if (tag->type == TAG_MODULE && tag->size > 16)
            module_add(body[0], body[1], (const char *)(body + 2));
        else if (tag->type == TAG_MEMORY_MAP)
            multiboot2_memory_map(tag);
        else if (tag->type == TAG_RSDP1 || tag->type == TAG_RSDP2)
            boot_info.acpi_rsdp = (uint64_t)body;
        at += ROUND_UP(tag->size, 8u);
    }
    return ram_check();
}

bool boot_info_read(uint32_t magic, uint64_t info_maddr)
{
    if (magic == MULTIBOOT1_MAGIC)
        return multiboot1_read((const struct multiboot1_info *)info_maddr);
    if (magic == MULTIBOOT2_MAGIC)
        return multiboot2_read((const char *)info_maddr);
    log_error("not started by a multiboot loader (magic %#x)", magic);
    return false;
}
