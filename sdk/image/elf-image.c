// SPDX-License-Identifier: MIT
/*
 * Understanding a 64-bit Xen PV kernel image.
 *
 * The bytes come from whoever supplies kernels, so nothing in them is believed: each offset is checked against the size before it is used, and additions
 * that could wrap are checked first. Kernels describe themselves by ELF notes of owner "Xen", in a note segment or (older tools) only in note
 * sections; the oldest by a string in a section __xen_guest. Segments are loaded by physical address: p_paddr - PADDR_OFFSET + VIRT_BASE.
 * Shared by the hypervisor and libcollet. Contract: <image/elf-image.h>.  Tests: test-elf-image.c (every refusal, and random damage).
 */
#include <image/elf-image.h>

#include <elf.h>
#include <string.h>
#include <xen/elfnote.h>
#include <xen/features.h>
#include <xen/xen.h>

#define PAGE_BYTES 4096ull
#define HOLE_START 0xffff800000000000ull /* the hypervisor's, __HYPERVISOR_VIRT_START */
#define HOLE_END 0xffff880000000000ull
#define LOWER_END 0x0000800000000000ull
#define NOTES_MAX 1024   /* in all; more are not a kernel's */
#define BZIMAGE_MAGIC 0x202 /* offset of "HdrS" in a Linux bzImage */

struct parse {
    const uint8_t *bytes;
    uint64_t size;
    struct elf_image *image;
    Elf64_Ehdr header;
    bool found;       /* any Xen note, or the section */
    bool found_pv;    /* one that says more than "enter me as a PVH guest" */
    bool has_entry, has_virt_base, has_paddr_offset;
    uint64_t paddr_offset;
    uint64_t hypercall_page_number; /* legacy form */
    bool has_hypercall_page_number;
    unsigned int notes;
};

static bool range_in_file(const struct parse *p, uint64_t offset, uint64_t bytes)
{
    return offset <= p->size && bytes <= p->size - offset;
}

static bool guest_address(uint64_t va)
{
    return va < LOWER_END || va >= HOLE_END;
}

/* Copies text that may lack its terminator. */
static void text_take(char *to, const uint8_t *from, uint64_t bytes)
{
    size_t n = 0;

    while (n < bytes && n < ELF_IMAGE_TEXT_MAX - 1 && from[n] >= 0x20 && from[n] < 0x7f) {
        to[n] = (char)from[n];
        n++;
    }
    to[n] = '\0';
}

static bool text_is(const uint8_t *text, uint64_t bytes, const char *word)
{
    size_t n = strlen(word);

    return bytes >= n && memcmp(text, word, n) == 0 && (bytes == n || text[n] == '\0');
}

/* Names of features.h that a kernel can list, with their bits; `provided`: a PV guest of ours has it, so it may be required. */
static const struct {
    const char *name;
    uint8_t bit;
    bool provided;
} feature_names[] = {
    /* Kernels that must have their page-table writes checked ask for the first two; both are done by emulation or by hypercall. */
    {"writable_page_tables", XENFEAT_writable_page_tables, true},
    {"writable_descriptor_tables", XENFEAT_writable_descriptor_tables, true},
    {"auto_translated_physmap", XENFEAT_auto_translated_physmap, false},
    {"supervisor_mode_kernel", XENFEAT_supervisor_mode_kernel, false},
    {"pae_pgdir_above_4gb", XENFEAT_pae_pgdir_above_4gb, true},
    {"mmu_pt_update_preserve_ad", XENFEAT_mmu_pt_update_preserve_ad, true},
    {"highmem_assist", XENFEAT_highmem_assist, true},
    {"gnttab_map_avail_bits", XENFEAT_gnttab_map_avail_bits, true},
    {"hvm_callback_vector", XENFEAT_hvm_callback_vector, false},
    {"hvm_safe_pvclock", XENFEAT_hvm_safe_pvclock, false},
    {"hvm_pirqs", XENFEAT_hvm_pirqs, false},
    {"dom0", XENFEAT_dom0, true},
};

static const char *feature_take(struct elf_image *image, const uint8_t *name, uint64_t bytes, bool required)
{
    for (size_t i = 0; i < sizeof(feature_names) / sizeof(feature_names[0]); i++) {
        if (!text_is(name, bytes, feature_names[i].name))
            continue;
        image->features_supported |= 1u << feature_names[i].bit;
        if (!required)
            return NULL;
        image->features_required |= 1u << feature_names[i].bit;
        return feature_names[i].provided ? NULL : "the kernel requires a feature that PV guests here do not have";
    }
    return required ? "the kernel requires a feature that is not known here" : NULL;
}

/* name|!name|... ; '!' marks what the kernel cannot do without. */
static const char *features_take(struct elf_image *image, const uint8_t *text, uint64_t bytes)
{
    const char *why;
    uint64_t i = 0;

    while (i < bytes && text[i] != '\0') {
        uint64_t start = i;
        bool required = text[i] == '!';

        start += required;
        while (i < bytes && text[i] != '\0' && text[i] != '|')
            i++;
        why = i > start ? feature_take(image, text + start, i - start, required) : NULL;
        if (why != NULL)
            return why;
        if (i < bytes && text[i] == '|')
            i++;
    }
    return NULL;
}

static const char *version_check(const uint8_t *text, uint64_t bytes)
{
    return bytes >= 7 && memcmp(text, "xen-3.0", 7) == 0 ? NULL : "the kernel is for another generation of the Xen interface than xen-3.0";
}

static bool number_take(const uint8_t *desc, uint64_t bytes, uint64_t *value)
{
    *value = 0;
    if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8)
        return false;
    memcpy(value, desc, bytes); /* little-endian, as we are */
    return true;
}

static const char *note_number(struct parse *p, uint32_t type, uint64_t value)
{
    struct elf_image *image = p->image;

    switch (type) {
    case XEN_ELFNOTE_ENTRY:
        image->entry = value;
        p->has_entry = true;
        break;
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        image->hypercall_page = value;
        image->has_hypercall_page = true;
        break;
    case XEN_ELFNOTE_VIRT_BASE:
        image->virt_base = value;
        p->has_virt_base = true;
        break;
    case XEN_ELFNOTE_PADDR_OFFSET:
        p->paddr_offset = value;
        p->has_paddr_offset = true;
        break;
    case XEN_ELFNOTE_HV_START_LOW:
        /* The lowest address that the hole may begin at. */
        if (value > HOLE_START)
            return "the kernel uses addresses that belong to the hypervisor (HV_START_LOW)";
        break;
    case XEN_ELFNOTE_INIT_P2M:
        image->init_p2m = value;
        image->has_init_p2m = true;
        break;
    case XEN_ELFNOTE_MOD_START_PFN:
        image->unmapped_ramdisk = value != 0;
        break;
    case XEN_ELFNOTE_SUPPORTED_FEATURES:
        image->features_supported |= (uint32_t)value;
        break;
    }
    return NULL;
}

static const char *note_take(struct parse *p, uint32_t type, const uint8_t *desc, uint64_t bytes)
{
    uint64_t value;

    p->found = true;
    if (type != XEN_ELFNOTE_PHYS32_ENTRY)
        p->found_pv = true;
    switch (type) {
    case XEN_ELFNOTE_XEN_VERSION:
        return version_check(desc, bytes);
    case XEN_ELFNOTE_GUEST_OS:
        text_take(p->image->guest_os, desc, bytes);
        return NULL;
    case XEN_ELFNOTE_GUEST_VERSION:
        text_take(p->image->guest_version, desc, bytes);
        return NULL;
    case XEN_ELFNOTE_LOADER:
        text_take(p->image->loader, desc, bytes);
        return NULL;
    case XEN_ELFNOTE_FEATURES:
        return features_take(p->image, desc, bytes);
    case XEN_ELFNOTE_BSD_SYMTAB:
        p->image->wants_symbols = text_is(desc, bytes, "yes");
        return NULL;
    case XEN_ELFNOTE_ENTRY:
    case XEN_ELFNOTE_HYPERCALL_PAGE:
    case XEN_ELFNOTE_VIRT_BASE:
    case XEN_ELFNOTE_PADDR_OFFSET:
    case XEN_ELFNOTE_HV_START_LOW:
    case XEN_ELFNOTE_INIT_P2M:
    case XEN_ELFNOTE_MOD_START_PFN:
    case XEN_ELFNOTE_SUPPORTED_FEATURES:
        if (!number_take(desc, bytes, &value))
            return "a numeric Xen note of the kernel has an impossible size";
        return note_number(p, type, value);
    default:
        return NULL;
    }
}

/* Offset and size lie within the file. */
static const char *notes_take(struct parse *p, uint64_t offset, uint64_t bytes)
{
    const uint8_t *at = p->bytes + offset;
    const char *why;

    while (bytes >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr n;
        uint64_t name_bytes, desc_bytes;

        memcpy(&n, at, sizeof(n));
        at += sizeof(n);
        bytes -= sizeof(n);
        name_bytes = ((uint64_t)n.n_namesz + 3) & ~3ull;
        desc_bytes = ((uint64_t)n.n_descsz + 3) & ~3ull;
        /* The last one may lack its padding. */
        if (name_bytes > bytes || n.n_descsz > bytes - name_bytes || ++p->notes > NOTES_MAX)
            return "the kernel's ELF notes are damaged";
        if (n.n_namesz == 4 && memcmp(at, "Xen", 4) == 0) {
            why = note_take(p, n.n_type, at + name_bytes, n.n_descsz);
            if (why != NULL)
                return why;
        }
        if (desc_bytes > bytes - name_bytes)
            return NULL;
        at += name_bytes + desc_bytes;
        bytes -= name_bytes + desc_bytes;
    }
    return NULL;
}

static const char *header_check(struct parse *p)
{
    const Elf64_Ehdr *h = &p->header;

    if (p->size >= 6 && (memcmp(p->bytes, "\x1f\x8b", 2) == 0 || memcmp(p->bytes, "\xfd" "7zXZ", 5) == 0))
        return "it is compressed: unpack it first, an ELF file (vmlinux) is needed";
    if (p->size >= BZIMAGE_MAGIC + 4 && memcmp(p->bytes + BZIMAGE_MAGIC, "HdrS", 4) == 0)
        return "it is a Linux bzImage: extract vmlinux from it first (scripts/extract-vmlinux)";
    if (p->size < SELFMAG || memcmp(p->bytes, ELFMAG, SELFMAG) != 0)
        return "it is not an ELF file";
    if (p->size > EI_CLASS && p->bytes[EI_CLASS] == ELFCLASS32)
        return "it is a 32-bit ELF file, a 64-bit kernel is needed";
    if (p->size < sizeof(*h))
        return "the ELF file is truncated";
    memcpy(&p->header, p->bytes, sizeof(p->header));
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB || h->e_machine != EM_X86_64)
        return "the ELF file is not for x86-64";
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
        return "the ELF file is no executable";
    if (h->e_phnum == 0 || h->e_phnum == PN_XNUM || h->e_phentsize != sizeof(Elf64_Phdr))
        return "the ELF file has no usable program headers";
    if (!range_in_file(p, h->e_phoff, (uint64_t)h->e_phnum * sizeof(Elf64_Phdr)))
        return "the ELF file is truncated: its program headers lie outside";
    return NULL;
}

static void phdr_get(const struct parse *p, unsigned int i, Elf64_Phdr *ph)
{
    memcpy(ph, p->bytes + p->header.e_phoff + (uint64_t)i * sizeof(*ph), sizeof(*ph));
}

static const char *note_segments_take(struct parse *p)
{
    const char *why;
    Elf64_Phdr ph;

    for (unsigned int i = 0; i < p->header.e_phnum; i++) {
        phdr_get(p, i, &ph);
        if (ph.p_type != PT_NOTE)
            continue;
        if (!range_in_file(p, ph.p_offset, ph.p_filesz))
            return "the ELF file is truncated: its notes lie outside";
        why = notes_take(p, ph.p_offset, ph.p_filesz);
        if (why != NULL)
            return why;
    }
    return NULL;
}

/* False at the end, or when there are no usable section headers. */
static bool section_get(const struct parse *p, unsigned int i, Elf64_Shdr *sh)
{
    const Elf64_Ehdr *h = &p->header;

    if (i >= h->e_shnum || h->e_shentsize != sizeof(*sh) || !range_in_file(p, h->e_shoff, (uint64_t)h->e_shnum * sizeof(*sh)))
        return false;
    memcpy(sh, p->bytes + h->e_shoff + (uint64_t)i * sizeof(*sh), sizeof(*sh));
    return true;
}

static const char *note_sections_take(struct parse *p)
{
    const char *why;
    Elf64_Shdr sh;

    for (unsigned int i = 0; section_get(p, i, &sh); i++) {
        if (sh.sh_type != SHT_NOTE || !range_in_file(p, sh.sh_offset, sh.sh_size))
            continue;
        why = notes_take(p, sh.sh_offset, sh.sh_size);
        if (why != NULL)
            return why;
    }
    return NULL;
}

/* Decimal, or hexadecimal after 0x. */
static bool legacy_number(const uint8_t *text, uint64_t bytes, uint64_t *value)
{
    uint64_t base = 10, v = 0, i = 0;

    if (bytes > 2 && text[0] == '0' && (text[1] | 0x20) == 'x') {
        base = 16;
        i = 2;
    }
    if (i == bytes)
        return false;
    for (; i < bytes; i++) {
        uint8_t c = text[i] | 0x20, digit;

        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (base == 16 && c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else
            return false;
        if (v > (~0ull - digit) / base)
            return false;
        v = v * base + digit;
    }
    *value = v;
    return true;
}

/* Words of the section that are a number, and the note that replaced each. */
static const struct {
    const char *name;
    uint32_t note;
} legacy_numbers[] = {
    {"VIRT_ENTRY", XEN_ELFNOTE_ENTRY},
    {"VIRT_BASE", XEN_ELFNOTE_VIRT_BASE},
    {"ELF_PADDR_OFFSET", XEN_ELFNOTE_PADDR_OFFSET},
    {"HYPERCALL_PAGE", XEN_ELFNOTE_HYPERCALL_PAGE},
    {"HV_START_LOW", XEN_ELFNOTE_HV_START_LOW},
    {"INIT_P2M", XEN_ELFNOTE_INIT_P2M},
};

static const struct {
    const char *name;
    uint32_t note;
} legacy_texts[] = {
    {"XEN_VER", XEN_ELFNOTE_XEN_VERSION}, {"GUEST_OS", XEN_ELFNOTE_GUEST_OS}, {"GUEST_VER", XEN_ELFNOTE_GUEST_VERSION},
    {"LOADER", XEN_ELFNOTE_LOADER},       {"FEATURES", XEN_ELFNOTE_FEATURES},
};

static const char *legacy_word(struct parse *p, const uint8_t *name, uint64_t name_bytes, const uint8_t *value, uint64_t value_bytes)
{
    uint64_t number;

    if (text_is(name, name_bytes, "BSD_SYMTAB"))
        p->image->wants_symbols = true;
    for (size_t i = 0; i < sizeof(legacy_texts) / sizeof(legacy_texts[0]); i++)
        if (text_is(name, name_bytes, legacy_texts[i].name))
            return note_take(p, legacy_texts[i].note, value, value_bytes);
    for (size_t i = 0; i < sizeof(legacy_numbers) / sizeof(legacy_numbers[0]); i++) {
        if (!text_is(name, name_bytes, legacy_numbers[i].name))
            continue;
        if (!legacy_number(value, value_bytes, &number))
            return "a number in the kernel's __xen_guest section is malformed";
        if (legacy_numbers[i].note != XEN_ELFNOTE_HYPERCALL_PAGE)
            return note_number(p, legacy_numbers[i].note, number);
        p->hypercall_page_number = number; /* a frame number here; VIRT_BASE may follow later */
        p->has_hypercall_page_number = true;
    }
    return NULL;
}

/* NAME=VALUE,NAME=VALUE,NAME ... */
static const char *legacy_take(struct parse *p, const uint8_t *text, uint64_t bytes)
{
    const char *why;
    uint64_t i = 0;

    p->found = true;
    p->found_pv = true;
    p->image->legacy = true;
    while (i < bytes && text[i] != '\0') {
        uint64_t name = i, name_end, value, value_end;

        while (i < bytes && text[i] != '\0' && text[i] != ',' && text[i] != '=')
            i++;
        name_end = i;
        value = i < bytes && text[i] == '=' ? ++i : i;
        while (i < bytes && text[i] != '\0' && text[i] != ',')
            i++;
        value_end = i;
        why = legacy_word(p, text + name, name_end - name, text + value, value_end - value);
        if (why != NULL)
            return why;
        if (i < bytes && text[i] == ',')
            i++;
    }
    return NULL;
}

static const char *legacy_section_take(struct parse *p)
{
    Elf64_Shdr names, sh;

    if (!section_get(p, p->header.e_shstrndx, &names) || !range_in_file(p, names.sh_offset, names.sh_size))
        return NULL;
    for (unsigned int i = 0; section_get(p, i, &sh); i++) {
        if (sh.sh_name >= names.sh_size || sh.sh_type == SHT_NOBITS || !range_in_file(p, sh.sh_offset, sh.sh_size))
            continue;
        if (text_is(p->bytes + names.sh_offset + sh.sh_name, names.sh_size - sh.sh_name, "__xen_guest"))
            return legacy_take(p, p->bytes + sh.sh_offset, sh.sh_size);
    }
    return NULL;
}

static void segment_insert(struct elf_image *image, const struct elf_segment *s)
{
    uint32_t i = image->segment_count++;

    for (; i > 0 && image->segments[i - 1].virt > s->virt; i--)
        image->segments[i] = image->segments[i - 1];
    image->segments[i] = *s;
}

static const char *segment_take(struct parse *p, const Elf64_Phdr *ph)
{
    struct elf_image *image = p->image;
    struct elf_segment s = {.file_offset = ph->p_offset, .file_bytes = ph->p_filesz, .memory_bytes = ph->p_memsz};

    if (image->segment_count == ELF_IMAGE_SEGMENTS_MAX)
        return "the kernel has too many segments";
    if (ph->p_filesz > ph->p_memsz)
        return "a segment of the kernel is larger in the file than in memory";
    if (!range_in_file(p, ph->p_offset, ph->p_filesz))
        return "the ELF file is truncated: a segment lies outside";
    if (ph->p_paddr < p->paddr_offset)
        return "a segment of the kernel lies below PADDR_OFFSET";
    s.virt = ph->p_paddr - p->paddr_offset;
    if (s.virt > ~0ull - image->virt_base || s.memory_bytes > ~0ull - image->virt_base - s.virt)
        return "a segment of the kernel lies beyond the end of the address space";
    s.virt += image->virt_base;
    segment_insert(image, &s);
    return NULL;
}

static const char *segments_take(struct parse *p)
{
    struct elf_image *image = p->image;
    const char *why;
    Elf64_Phdr ph;

    for (unsigned int i = 0; i < p->header.e_phnum; i++) {
        phdr_get(p, i, &ph);
        if (ph.p_type != PT_LOAD || ph.p_memsz == 0 || (ph.p_flags & (PF_R | PF_W | PF_X)) == 0)
            continue;
        why = segment_take(p, &ph);
        if (why != NULL)
            return why;
    }
    if (image->segment_count == 0)
        return "the kernel has nothing to load";
    for (uint32_t i = 1; i < image->segment_count; i++)
        if (image->segments[i - 1].virt + image->segments[i - 1].memory_bytes > image->segments[i].virt)
            return "segments of the kernel overlap";
    image->virt_start = image->segments[0].virt;
    image->virt_end = image->segments[image->segment_count - 1].virt + image->segments[image->segment_count - 1].memory_bytes;
    return NULL;
}

static const char *addresses_check(struct parse *p)
{
    struct elf_image *image = p->image;

    if (!guest_address(image->virt_base) || !guest_address(image->virt_end - 1) ||
        (image->virt_base < LOWER_END) != (image->virt_end - 1 < LOWER_END))
        return "the kernel lies at addresses that belong to the hypervisor";
    if (!p->has_entry)
        image->entry = p->header.e_entry;
    if (image->entry < image->virt_start || image->entry >= image->virt_end)
        return "the kernel's entry point lies outside of it";
    if (p->has_hypercall_page_number) {
        image->hypercall_page = image->virt_base + p->hypercall_page_number * PAGE_BYTES;
        image->has_hypercall_page = true;
    }
    if (image->has_hypercall_page &&
        (image->hypercall_page % PAGE_BYTES != 0 || image->hypercall_page < image->virt_base ||
         image->hypercall_page > image->virt_end - 1 || image->virt_end - image->hypercall_page < PAGE_BYTES))
        return "the kernel's hypercall page is not a page within it";
    if (image->has_init_p2m &&
        (image->init_p2m % PAGE_BYTES != 0 || !guest_address(image->init_p2m) ||
         (image->init_p2m >= image->virt_base && image->init_p2m < image->virt_end)))
        return "the kernel wants its p2m at an impossible address";
    return NULL;
}

static const char *bases_settle(struct parse *p)
{
    if (p->has_paddr_offset && !p->has_virt_base)
        return "the kernel has a PADDR_OFFSET note but no VIRT_BASE";
    if (p->image->virt_base % PAGE_BYTES != 0)
        return "the kernel's VIRT_BASE is not a page boundary";
    /* The two generations differ in what an absent offset means (xen/elfnote.h). */
    if (!p->has_paddr_offset)
        p->paddr_offset = p->image->legacy ? p->image->virt_base : 0;
    return NULL;
}

const char *elf_image_parse(const void *bytes, size_t size, struct elf_image *image)
{
    struct parse p = {.bytes = bytes, .size = size, .image = image};
    const char *why;

    memset(image, 0, sizeof(*image));
    why = header_check(&p);
    if (why == NULL)
        why = note_segments_take(&p);
    if (why == NULL && !p.found)
        why = note_sections_take(&p);
    if (why == NULL && !p.found)
        why = legacy_section_take(&p);
    if (why == NULL && !p.found)
        why = "it is no Xen kernel: it has neither Xen notes nor a __xen_guest section";
    if (why == NULL && !p.found_pv)
        why = "it is a kernel for PVH guests only";
    if (why == NULL)
        why = bases_settle(&p);
    if (why == NULL)
        why = segments_take(&p);
    if (why == NULL)
        why = addresses_check(&p);
    return why;
}

/*
 * Entry n, 32 bytes from n * 32, is called like a function. SYSCALL destroys rcx and r11, which a caller expects to keep; iret
 * is entered by a jump with the rest of struct iret_context already on the stack, and adds rcx, r11 and rax to it.
 */
void elf_image_fill_hypercall_page(void *page)
{
    static const uint8_t call[] = {0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3};
    static const uint8_t iret[] = {0x51, 0x41, 0x53, 0x50, 0xb8, 0, 0, 0, 0, 0x0f, 0x05};

    memset(page, 0xcc, PAGE_BYTES); /* int3 between the entries */
    for (uint32_t nr = 0; nr < PAGE_BYTES / 32; nr++) {
        uint8_t *at = (uint8_t *)page + nr * 32;

        if (nr == __HYPERVISOR_iret) {
            memcpy(at, iret, sizeof(iret));
            memcpy(at + 5, &nr, sizeof(nr));
        } else {
            memcpy(at, call, sizeof(call));
            memcpy(at + 4, &nr, sizeof(nr));
        }
    }
}
