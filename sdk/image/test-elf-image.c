// SPDX-License-Identifier: MIT
/*
 * Kernel images and their layout: the forms that exist, every refusal, and random damage to headers and notes, of an invented image and (where the
 * build has fetched it, or COLLET_VMLINUX names it) of Debian's vmlinux. Under ASan each image lies in a block of exactly its size.
 */
// needs: elf-image.c build-layout.c

#include <image/build-layout.h>
#include <image/elf-image.h>

#include <check.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/elfnote.h>
#include <xen/features.h>
#include <xen/xen.h>

#define BASE 0xffffffff80000000ull
#define MIB (1ull << 20)
#define PAGE 4096ull

/* An image under construction: ELF header, four program headers, notes, then a page of bytes for each of two segments; section headers last if any. */
enum { PH_TEXT, PH_DATA, PH_NOTE, PH_SPARE, PH_COUNT };
#define NOTES_AT 0x200
#define TEXT_AT 0x1000
#define DATA_AT 0x2000
#define IMAGE_BYTES 0x4000

static struct {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[PH_COUNT];
    Elf64_Shdr sh[3];
    uint8_t notes[0x600];
    size_t note_bytes;
    bool sections;
    char guest_string[256]; /* in section 1, if sections */
    size_t cut; /* bytes to leave off at the end */
} k;

static struct elf_image image;
static struct build_layout layout;

static void note(uint32_t type, const void *desc, uint32_t bytes)
{
    Elf64_Nhdr n = {.n_namesz = 4, .n_descsz = bytes, .n_type = type};

    memcpy(k.notes + k.note_bytes, &n, sizeof(n));
    memcpy(k.notes + k.note_bytes + sizeof(n), "Xen", 4);
    memcpy(k.notes + k.note_bytes + sizeof(n) + 4, desc, bytes);
    k.note_bytes += sizeof(n) + 4 + ((bytes + 3) & ~3u);
    k.ph[PH_NOTE].p_filesz = k.note_bytes;
}

static void note_number(uint32_t type, uint64_t value)
{
    note(type, &value, sizeof(value));
}

static void note_text(uint32_t type, const char *text)
{
    note(type, text, (uint32_t)strlen(text) + 1);
}

/* A kernel at 16 MiB of the usual base with 8 KiB of text and data, and no notes. */
static void setup_bare(void)
{
    memset(&k, 0, sizeof(k));
    memcpy(k.eh.e_ident, ELFMAG, SELFMAG);
    k.eh.e_ident[EI_CLASS] = ELFCLASS64;
    k.eh.e_ident[EI_DATA] = ELFDATA2LSB;
    k.eh.e_type = ET_EXEC;
    k.eh.e_machine = EM_X86_64;
    k.eh.e_entry = BASE + 0x1000100;
    k.eh.e_phoff = sizeof(Elf64_Ehdr);
    k.eh.e_phentsize = sizeof(Elf64_Phdr);
    k.eh.e_phnum = PH_COUNT;
    k.ph[PH_TEXT] = (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = TEXT_AT, .p_vaddr = BASE + 0x1000000,
                                 .p_paddr = 0x1000000, .p_filesz = 0x1000, .p_memsz = 0x1000};
    /* As Debian's per-CPU segment: its linked address says nothing of where it goes. */
    k.ph[PH_DATA] = (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = DATA_AT, .p_vaddr = 0,
                                 .p_paddr = 0x1001000, .p_filesz = 0x800, .p_memsz = 0x3000};
    k.ph[PH_NOTE] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = NOTES_AT};
}

static void setup(void)
{
    setup_bare();
    note_text(XEN_ELFNOTE_GUEST_OS, "linux");
    note_text(XEN_ELFNOTE_GUEST_VERSION, "2.6");
    note_text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    note_number(XEN_ELFNOTE_VIRT_BASE, BASE);
    note_number(XEN_ELFNOTE_ENTRY, BASE + 0x1000010);
    note_text(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb");
    note_number(XEN_ELFNOTE_PADDR_OFFSET, 0);
}

static void sections_add(void)
{
    static const char names[] = "\0__xen_guest\0.shstrtab";

    k.sections = true;
    k.eh.e_shoff = 0x3000;
    k.eh.e_shentsize = sizeof(Elf64_Shdr);
    k.eh.e_shnum = 3;
    k.eh.e_shstrndx = 2;
    k.sh[1] = (Elf64_Shdr){.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = 0x3200, .sh_size = sizeof(k.guest_string)};
    k.sh[2] = (Elf64_Shdr){.sh_name = 13, .sh_type = SHT_STRTAB, .sh_offset = 0x3400, .sh_size = sizeof(names)};
}

static uint8_t *assemble(size_t *size)
{
    uint8_t *b = calloc(1, IMAGE_BYTES), *exact;

    memcpy(b, &k.eh, sizeof(k.eh));
    memcpy(b + sizeof(k.eh), k.ph, sizeof(k.ph));
    memcpy(b + NOTES_AT, k.notes, k.note_bytes);
    memset(b + TEXT_AT, 0x90, 0x1000);
    if (k.sections) {
        memcpy(b + 0x3000, k.sh, sizeof(k.sh));
        memcpy(b + 0x3200, k.guest_string, sizeof(k.guest_string));
        memcpy(b + 0x3400, "\0__xen_guest\0.shstrtab", 23);
    }
    *size = IMAGE_BYTES - k.cut;
    exact = malloc(*size != 0 ? *size : 1);
    memcpy(exact, b, *size);
    free(b);
    return exact;
}

static const char *parse(void)
{
    size_t size;
    uint8_t *b = assemble(&size);
    const char *why = elf_image_parse(b, size, &image);

    free(b);
    return why;
}

static void refused(const char *part)
{
    const char *why = parse();

    ck_assert_msg(why != NULL, "accepted, though: %s", part);
    ck_assert_msg(strstr(why, part) != NULL, "refused with '%s', not for: %s", why, part);
}

static void accepted(void)
{
    const char *why = parse();

    ck_assert_msg(why == NULL, "refused: %s", why);
}

/* A check that costs nothing when it holds: check's own tell the runner of each. */
#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            ck_abort_msg("%s:%d: %s", __FILE__, __LINE__, #cond);                                                      \
    } while (0)

/* What must hold of every accepted image, whatever its bytes. */
static void check_image(const struct elf_image *im, size_t size)
{
    MUST(im->segment_count >= 1);
    MUST(im->segment_count <= ELF_IMAGE_SEGMENTS_MAX);
    MUST(im->virt_base % PAGE == 0);
    MUST(im->virt_start >= im->virt_base);
    MUST(im->virt_end > im->virt_start);
    for (uint32_t i = 0; i < im->segment_count; i++) {
        const struct elf_segment *s = &im->segments[i];

        MUST(s->file_offset <= size && s->file_bytes <= size - s->file_offset && s->file_bytes <= s->memory_bytes);
        MUST(s->virt >= im->virt_start && s->memory_bytes <= im->virt_end - s->virt);
        MUST(i == 0 || s[-1].virt + s[-1].memory_bytes <= s->virt);
    }
    MUST(im->entry >= im->virt_start && im->entry < im->virt_end);
    MUST(im->virt_end <= 0x800000000000ull || im->virt_base >= 0xffff880000000000ull);
    if (im->has_hypercall_page)
        MUST(im->hypercall_page % PAGE == 0 && im->hypercall_page >= im->virt_base && im->virt_end - im->hypercall_page >= PAGE);
}

static unsigned int apart(uint64_t a, uint64_t an, uint64_t b, uint64_t bn)
{
    return an == 0 || bn == 0 || a + an <= b || b + bn <= a;
}

static uint64_t count_tables(uint64_t first, uint64_t last)
{
    return ((last >> 39) - (first >> 39) + 1) + ((last >> 30) - (first >> 30) + 1) + ((last >> 21) - (first >> 21) + 1);
}

static void check_layout(const struct build_layout *l, const struct elf_image *im)
{
    struct {
        uint64_t pfn, frames;
    } part[] = {
        {0, (im->virt_end - im->virt_base + PAGE - 1) / PAGE},
        {l->ramdisk_pfn, l->ramdisk_frames},
        {l->p2m_pfn, l->p2m_frames},
        {l->p2m_table_pfn, l->p2m_table_frames},
        {l->start_info_pfn, 1},
        {l->store_pfn, l->store_pfn != 0},
        {l->console_pfn, l->console_pfn != 0},
        {l->table_pfn, l->table_frames},
        {l->stack_pfn, 1},
    };
    uint64_t last = l->virt_base + l->mapped_frames * PAGE - 1;

    for (unsigned int i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
        MUST(part[i].pfn + part[i].frames <= l->used_frames);
        for (unsigned int j = 0; j < i; j++)
            MUST(apart(part[i].pfn, part[i].frames, part[j].pfn, part[j].frames));
    }
    MUST(l->used_frames <= l->frames);
    MUST(l->mapped_frames <= l->frames);
    MUST(l->stack_pfn < l->mapped_frames);
    MUST(last >= l->virt_base);
    MUST(l->table_frames >= 1 + count_tables(l->virt_base, last));
    MUST(l->p2m_frames * 512 >= l->frames);
}

START_TEST(plain_kernel_is_understood)
{
    accepted();
    check_image(&image, IMAGE_BYTES);
    ck_assert_uint_eq(image.segment_count, 2);
    ck_assert_uint_eq(image.virt_base, BASE);
    ck_assert_uint_eq(image.entry, BASE + 0x1000010);
    ck_assert_uint_eq(image.segments[1].virt, BASE + 0x1001000); /* by physical address */
    ck_assert_uint_eq(image.virt_end, BASE + 0x1004000);
    ck_assert_str_eq(image.guest_os, "linux");
    ck_assert(!image.has_hypercall_page && !image.has_init_p2m && !image.unmapped_ramdisk);
    ck_assert_uint_eq(image.features_required, 1u << XENFEAT_writable_page_tables);
}
END_TEST

START_TEST(entry_defaults_to_the_elf_header)
{
    setup_bare();
    note_text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    note_number(XEN_ELFNOTE_VIRT_BASE, BASE);
    accepted();
    ck_assert_uint_eq(image.entry, BASE + 0x1000100);
}
END_TEST

START_TEST(kernel_at_base_zero)
{
    setup_bare();
    note_text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    k.ph[PH_DATA].p_type = PT_NULL;
    k.ph[PH_TEXT].p_paddr = 0;
    k.eh.e_entry = 0x10;
    note_number(XEN_ELFNOTE_HYPERCALL_PAGE, 0);
    accepted();
    ck_assert_uint_eq(image.virt_base, 0);
    ck_assert(image.has_hypercall_page);
    ck_assert_ptr_null(build_layout_make(&layout, &image, 4096, 0, false));
    check_layout(&layout, &image);
    ck_assert_uint_eq(layout.p2m_virt, layout.p2m_pfn * PAGE);
}
END_TEST

START_TEST(paddr_offset_is_taken_off)
{
    setup_bare();
    note_text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    note_number(XEN_ELFNOTE_VIRT_BASE, BASE);
    note_number(XEN_ELFNOTE_PADDR_OFFSET, BASE);
    k.ph[PH_TEXT].p_paddr += BASE;
    k.ph[PH_DATA].p_paddr += BASE;
    accepted();
    ck_assert_uint_eq(image.virt_start, BASE + 0x1000000);
}
END_TEST

START_TEST(notes_may_be_in_sections_only)
{
    sections_add();
    k.ph[PH_NOTE].p_type = PT_NULL;
    k.sh[0] = (Elf64_Shdr){.sh_type = SHT_NOTE, .sh_offset = NOTES_AT, .sh_size = k.note_bytes};
    accepted();
    ck_assert_uint_eq(image.virt_base, BASE);
}
END_TEST

START_TEST(short_numbers_are_taken)
{
    uint32_t one = 1;

    note(XEN_ELFNOTE_MOD_START_PFN, &one, sizeof(one));
    accepted();
    ck_assert(image.unmapped_ramdisk);
}
END_TEST

START_TEST(last_note_may_lack_padding)
{
    note(XEN_ELFNOTE_LOADER, "generic", 7); /* 7 bytes, padded to 8 */
    k.ph[PH_NOTE].p_filesz--;
    accepted();
    ck_assert_str_eq(image.loader, "generic");
}
END_TEST

START_TEST(legacy_section_is_understood)
{
    setup_bare();
    sections_add();
    strcpy(k.guest_string, "GUEST_OS=linux,GUEST_VER=2.6,XEN_VER=xen-3.0,HYPERCALL_PAGE=0x1001,VIRT_BASE=0xffffffff80000000,"
                           "ELF_PADDR_OFFSET=0,FEATURES=writable_page_tables,LOADER=generic,BSD_SYMTAB");
    accepted();
    check_image(&image, IMAGE_BYTES);
    ck_assert(image.legacy && image.wants_symbols && image.has_hypercall_page);
    ck_assert_uint_eq(image.hypercall_page, BASE + 0x1001000);
    ck_assert_uint_eq(image.virt_start, BASE + 0x1000000);
}
END_TEST

START_TEST(legacy_offset_defaults_to_the_base)
{
    setup_bare();
    sections_add();
    strcpy(k.guest_string, "XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000");
    k.ph[PH_TEXT].p_paddr += BASE;
    k.ph[PH_DATA].p_paddr += BASE;
    accepted();
    ck_assert_uint_eq(image.virt_start, BASE + 0x1000000);
}
END_TEST

START_TEST(unknown_notes_and_features_are_passed_over)
{
    note_number(0x4711, 1);
    note_text(XEN_ELFNOTE_FEATURES, "tomorrows_feature|dom0|");
    accepted();
    ck_assert_uint_ne(image.features_supported & (1u << XENFEAT_dom0), 0);
}
END_TEST

START_TEST(wrong_files_are_refused)
{
    size_t size;
    uint8_t *b;

    k.cut = IMAGE_BYTES;
    refused("not an ELF");
    k.cut = IMAGE_BYTES - 40;
    refused("truncated");
    k.cut = IMAGE_BYTES - 100;
    refused("truncated");
    k.cut = 0;
    k.eh.e_ident[0] = 'X';
    refused("not an ELF");
    k.eh.e_ident[0] = 0x7f;
    k.eh.e_ident[EI_CLASS] = ELFCLASS32;
    refused("32-bit");
    k.eh.e_ident[EI_CLASS] = ELFCLASS64;
    k.eh.e_machine = EM_AARCH64;
    refused("x86-64");
    k.eh.e_machine = EM_X86_64;
    k.eh.e_type = ET_REL;
    refused("executable");
    k.eh.e_type = ET_EXEC;
    k.eh.e_phnum = 0;
    refused("program headers");
    k.eh.e_phnum = PH_COUNT;
    k.eh.e_phoff = ~0ull - 10;
    refused("truncated");
    k.eh.e_phoff = sizeof(Elf64_Ehdr);
    b = assemble(&size);
    memcpy(b, "MZ", 2);
    memcpy(b + 0x202, "HdrS", 4);
    ck_assert_ptr_nonnull(strstr(elf_image_parse(b, size, &image), "extract vmlinux"));
    memcpy(b, "\x1f\x8b\x08", 3);
    ck_assert_ptr_nonnull(strstr(elf_image_parse(b, size, &image), "compressed"));
    memcpy(b, "\xfd" "7zXZ", 6);
    ck_assert_ptr_nonnull(strstr(elf_image_parse(b, size, &image), "compressed"));
    free(b);
}
END_TEST

START_TEST(kernels_without_xen_are_refused)
{
    setup_bare();
    refused("no Xen kernel");
    note_number(XEN_ELFNOTE_PHYS32_ENTRY, 0x1000000);
    refused("PVH");
    setup();
    note_text(XEN_ELFNOTE_XEN_VERSION, "xen-4.0");
    refused("generation");
}
END_TEST

START_TEST(damaged_notes_are_refused)
{
    uint32_t size = 0x10000;

    memcpy(k.notes + k.note_bytes - 12 - 4 - 8 + 4, &size, 4); /* n_descsz of the last */
    refused("damaged");
    setup();
    k.ph[PH_NOTE].p_offset = IMAGE_BYTES - 4;
    refused("truncated");
    setup();
    note(XEN_ELFNOTE_ENTRY, "abc", 3);
    refused("impossible size");
}
END_TEST

START_TEST(required_features_are_checked)
{
    note_text(XEN_ELFNOTE_FEATURES, "!auto_translated_physmap");
    refused("do not have");
    setup();
    note_text(XEN_ELFNOTE_FEATURES, "pae_pgdir_above_4gb|!tomorrows_feature");
    refused("not known");
    setup();
    note_text(XEN_ELFNOTE_FEATURES, "!supervisor_mode_kernel");
    refused("do not have");
}
END_TEST

START_TEST(bad_segments_are_refused)
{
    k.ph[PH_DATA].p_offset = IMAGE_BYTES - 0x400;
    refused("truncated");
    setup();
    k.ph[PH_DATA].p_offset = ~0ull;
    refused("truncated");
    setup();
    k.ph[PH_DATA].p_filesz = 0x3001;
    refused("larger in the file");
    setup();
    k.ph[PH_DATA].p_paddr = 0x1000fff;
    refused("overlap");
    setup();
    k.ph[PH_DATA].p_paddr = 0x7fffffff;
    refused("beyond the end");
    setup();
    k.ph[PH_DATA].p_memsz = ~0ull;
    refused("beyond the end");
    setup();
    k.ph[PH_TEXT].p_type = k.ph[PH_DATA].p_type = PT_NULL;
    refused("nothing to load");
    setup();
    k.ph[PH_DATA].p_memsz = 0; /* is passed over */
    k.ph[PH_DATA].p_filesz = ~0ull;
    accepted();
}
END_TEST

START_TEST(bad_addresses_are_refused)
{
    note_number(XEN_ELFNOTE_ENTRY, BASE);
    refused("entry point");
    setup();
    note_number(XEN_ELFNOTE_VIRT_BASE, BASE + 0x123);
    refused("page boundary");
    setup();
    note_number(XEN_ELFNOTE_VIRT_BASE, 0xffff800000000000ull);
    refused("belong to the hypervisor");
    setup();
    note_number(XEN_ELFNOTE_VIRT_BASE, 0x7fffff000000ull);
    refused("belong to the hypervisor");
    setup();
    note_number(XEN_ELFNOTE_HYPERCALL_PAGE, BASE + 0x1000800);
    refused("hypercall page");
    setup();
    note_number(XEN_ELFNOTE_HYPERCALL_PAGE, BASE + 0x1004000);
    refused("hypercall page");
    setup();
    note_number(XEN_ELFNOTE_HV_START_LOW, 0xffff880000000000ull);
    refused("HV_START_LOW");
    setup();
    note_number(XEN_ELFNOTE_INIT_P2M, 0xffff810000000000ull);
    refused("p2m");
    setup();
    note_number(XEN_ELFNOTE_INIT_P2M, BASE + 0x1001000);
    refused("p2m");
    setup_bare();
    note_number(XEN_ELFNOTE_PADDR_OFFSET, 0x1000);
    refused("no VIRT_BASE");
    setup();
    note_number(XEN_ELFNOTE_PADDR_OFFSET, 0x1001000);
    refused("below PADDR_OFFSET");
}
END_TEST

START_TEST(layout_follows_the_abi)
{
    note_number(XEN_ELFNOTE_INIT_P2M, 0x8000000000ull);
    note_number(XEN_ELFNOTE_MOD_START_PFN, 1);
    k.ph[PH_DATA].p_memsz = 0x3a00000 - 0x1000;
    accepted();
    ck_assert_ptr_null(build_layout_make(&layout, &image, 384 * MIB / PAGE, 5 * MIB + 1, true));
    check_layout(&layout, &image);
    /* The 384 MB example that was measured: ABI.md 1.2. */
    ck_assert_uint_eq(layout.start_info_pfn, 0x4a00);
    ck_assert_uint_eq(layout.store_pfn, 0x4a01);
    ck_assert_uint_eq(layout.console_pfn, 0x4a02);
    ck_assert_uint_eq(layout.table_pfn, 0x4a03);
    ck_assert_uint_eq(layout.table_frames, 0x29);
    ck_assert_uint_eq(layout.stack_pfn, 0x4a2c);
    ck_assert_uint_eq(layout.mapped_frames, 0x4c00);
    ck_assert_uint_eq(layout.ramdisk_pfn, 0x4c00);
    ck_assert_uint_eq(layout.ramdisk_frames, 1281);
    ck_assert_uint_eq(layout.p2m_pfn, 0x4c00 + 1281);
    ck_assert_uint_eq(layout.p2m_frames, 192);
    ck_assert_uint_eq(layout.p2m_table_frames, 3);
    ck_assert_uint_eq(layout.p2m_virt, 0x8000000000ull);
}
END_TEST

START_TEST(layout_maps_a_ramdisk_that_must_be)
{
    accepted();
    ck_assert_ptr_null(build_layout_make(&layout, &image, 64 * MIB / PAGE, MIB, false));
    check_layout(&layout, &image);
    ck_assert(layout.ramdisk_mapped);
    ck_assert_uint_eq(layout.ramdisk_pfn, 0x1004);
    ck_assert_uint_eq(layout.p2m_pfn, 0x1004 + 256);
    ck_assert_uint_eq(layout.start_info_pfn, 0x1004 + 256 + 32);
    ck_assert_uint_eq(layout.store_pfn, 0);
}
END_TEST

START_TEST(layout_refuses_what_does_not_fit)
{
    const char *why;

    accepted();
    why = build_layout_make(&layout, &image, 16 * MIB / PAGE, 0, false);
    ck_assert_ptr_nonnull(strstr(why, "too large"));
    why = build_layout_make(&layout, &image, 0, 0, false);
    ck_assert_ptr_nonnull(strstr(why, "too large"));
    why = build_layout_make(&layout, &image, 64 * MIB / PAGE, 64 * MIB, false);
    ck_assert_ptr_nonnull(strstr(why, "too large"));
    why = build_layout_make(&layout, &image, 64 * MIB / PAGE, ~0ull, false);
    ck_assert_ptr_nonnull(strstr(why, "too large"));
    why = build_layout_make(&layout, &image, ~0ull, 0, false);
    ck_assert_ptr_nonnull(why);
    note_number(XEN_ELFNOTE_INIT_P2M, BASE + 0x1100000); /* within the mapping */
    accepted();
    why = build_layout_make(&layout, &image, 64 * MIB / PAGE, 0, false);
    ck_assert_ptr_nonnull(strstr(why, "p2m"));
}
END_TEST

START_TEST(layout_shares_tables_with_a_near_p2m)
{
    note_number(XEN_ELFNOTE_INIT_P2M, BASE + 64 * MIB);
    accepted();
    ck_assert_ptr_null(build_layout_make(&layout, &image, 64 * MIB / PAGE, 0, false));
    check_layout(&layout, &image);
    ck_assert_uint_eq(layout.p2m_table_frames, 1); /* one L1; L3 and L2 are there */
}
END_TEST

START_TEST(layout_holds_in_a_random_run)
{
    uint32_t seed = 20;

    setup();
    accepted();
    for (int i = 0; i < 20000; i++) {
        struct elf_image im = image;
        uint64_t frames = (uint64_t)rand_r(&seed) % (1u << (10 + rand_r(&seed) % 14));

        im.virt_base = (uint64_t)(rand_r(&seed) % 4 ? BASE : 0) + (uint64_t)(rand_r(&seed) % 1000) * PAGE;
        im.virt_start = im.virt_base;
        im.virt_end = im.virt_base + 1 + (uint64_t)rand_r(&seed) % (32 * MIB);
        im.has_init_p2m = rand_r(&seed) % 2;
        im.init_p2m = rand_r(&seed) % 2 ? 0x8000000000ull : im.virt_base + (uint64_t)(rand_r(&seed) % 100) * MIB;
        im.unmapped_ramdisk = rand_r(&seed) % 2;
        if (build_layout_make(&layout, &im, frames, (uint64_t)rand_r(&seed) % (8 * MIB), rand_r(&seed) % 2) == NULL)
            check_layout(&layout, &im);
    }
}
END_TEST

START_TEST(hypercall_page_is_code)
{
    uint8_t page[4096];
    static const uint8_t third[] = {0x51, 0x41, 0x53, 0xb8, 3, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3, 0xcc};
    static const uint8_t iret[] = {0x51, 0x41, 0x53, 0x50, 0xb8, 23, 0, 0, 0, 0x0f, 0x05, 0xcc};

    elf_image_fill_hypercall_page(page);
    ck_assert_mem_eq(page + 3 * 32, third, sizeof(third));
    ck_assert_mem_eq(page + __HYPERVISOR_iret * 32, iret, sizeof(iret));
}
END_TEST

/* Change a few bytes of `areas`, look, change them back. */
struct area {
    size_t at, bytes;
};

static void damage(uint8_t *b, size_t size, const struct area *areas, unsigned int area_count, int rounds, uint32_t seed)
{
    unsigned int taken = 0;

    printf("seed %u\n", seed);
    for (int r = 0; r < rounds; r++) {
        size_t at[6];
        uint8_t was[6];
        int n = 1 + rand_r(&seed) % 6;

        for (int i = 0; i < n; i++) {
            const struct area *a = &areas[(unsigned int)rand_r(&seed) % area_count];

            at[i] = a->at + (size_t)rand_r(&seed) % a->bytes;
            was[i] = b[at[i]];
            b[at[i]] = rand_r(&seed) % 3 == 0 ? (rand_r(&seed) % 2 ? 0xff : 0) : (uint8_t)rand_r(&seed);
        }
        if (elf_image_parse(b, size, &image) == NULL) {
            taken++;
            check_image(&image, size);
            if (build_layout_make(&layout, &image, 1u << 17, MIB, true) == NULL)
                check_layout(&layout, &image);
        }
        while (n-- > 0)
            b[at[n]] = was[n];
    }
    ck_assert_uint_gt(taken, 0);
    ck_assert_ptr_null(elf_image_parse(b, size, &image));
}

START_TEST(damaged_images_do_no_harm)
{
    struct area areas[] = {{0, sizeof(k.eh) + sizeof(k.ph)}, {NOTES_AT, 0}, {0x3000, 0x500}};
    size_t size;
    uint8_t *b;

    sections_add();
    note_number(XEN_ELFNOTE_HYPERCALL_PAGE, BASE + 0x1000000);
    note_number(XEN_ELFNOTE_INIT_P2M, 0x8000000000ull);
    areas[1].bytes = k.note_bytes;
    b = assemble(&size);
    damage(b, size, areas, 3, 200000, 1);
    free(b);
    /* The same with the section form. */
    setup_bare();
    sections_add();
    strcpy(k.guest_string, "XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,ELF_PADDR_OFFSET=0,HYPERCALL_PAGE=0x1001,FEATURES=!writable_page_tables");
    b = assemble(&size);
    damage(b, size, areas, 3, 100000, 2);
    free(b);
}
END_TEST

static const char *vmlinux_path(void)
{
    const char *path = getenv("COLLET_VMLINUX");

    return path != NULL ? path : "build/debian/vmlinux";
}

START_TEST(damaged_debian_kernel_does_no_harm)
{
    FILE *f = fopen(vmlinux_path(), "rb");
    struct area areas[2] = {{0, sizeof(Elf64_Ehdr)}, {0, 0}};
    Elf64_Ehdr eh;
    uint8_t *b;
    long size;

    if (f == NULL)
        return; /* not fetched yet */
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    b = malloc((size_t)size);
    ck_assert_uint_eq(fread(b, 1, (size_t)size, f), size);
    fclose(f);
    ck_assert_ptr_null(elf_image_parse(b, (size_t)size, &image));
    ck_assert_str_eq(image.guest_os, "linux");
    ck_assert(image.has_init_p2m && image.unmapped_ramdisk && !image.has_hypercall_page);
    memcpy(&eh, b, sizeof(eh));
    areas[0].bytes += eh.e_phnum * sizeof(Elf64_Phdr);
    for (unsigned int i = 0; i < eh.e_phnum; i++) {
        Elf64_Phdr ph;

        memcpy(&ph, b + eh.e_phoff + i * sizeof(ph), sizeof(ph));
        if (ph.p_type == PT_NOTE)
            areas[1] = (struct area){ph.p_offset, ph.p_filesz};
    }
    damage(b, (size_t)size, areas, 2, 100000, 3);
    free(b);
}
END_TEST

Suite *suite_elf_image(void);
Suite *suite_elf_image(void)
{
    Suite *s = suite_create("elf-image");
    TCase *c = tcase_create("elf-image");

    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, plain_kernel_is_understood);
    tcase_add_test(c, entry_defaults_to_the_elf_header);
    tcase_add_test(c, kernel_at_base_zero);
    tcase_add_test(c, paddr_offset_is_taken_off);
    tcase_add_test(c, notes_may_be_in_sections_only);
    tcase_add_test(c, short_numbers_are_taken);
    tcase_add_test(c, last_note_may_lack_padding);
    tcase_add_test(c, legacy_section_is_understood);
    tcase_add_test(c, legacy_offset_defaults_to_the_base);
    tcase_add_test(c, unknown_notes_and_features_are_passed_over);
    tcase_add_test(c, wrong_files_are_refused);
    tcase_add_test(c, kernels_without_xen_are_refused);
    tcase_add_test(c, damaged_notes_are_refused);
    tcase_add_test(c, required_features_are_checked);
    tcase_add_test(c, bad_segments_are_refused);
    tcase_add_test(c, bad_addresses_are_refused);
    tcase_add_test(c, layout_follows_the_abi);
    tcase_add_test(c, layout_maps_a_ramdisk_that_must_be);
    tcase_add_test(c, layout_refuses_what_does_not_fit);
    tcase_add_test(c, layout_shares_tables_with_a_near_p2m);
    tcase_add_test(c, layout_holds_in_a_random_run);
    tcase_add_test(c, hypercall_page_is_code);
    tcase_add_test(c, damaged_images_do_no_harm);
    tcase_add_test(c, damaged_debian_kernel_does_no_harm);
    suite_add_tcase(s, c);
    return s;
}
