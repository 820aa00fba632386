// SPDX-License-Identifier: MIT
/* See mini-kernel.h. */
#include "mini-kernel.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <lz4.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/elfnote.h>
#include <zlib.h>
#include <zstd.h>

#define PAGE 4096u
#define TEXT_AT 0x1000u

const struct mini_kernel mini_kernel_usual = {
    .virt_base = 0xffffffff80000000ull,
    .load_at = 1u << 20,
    .text_bytes = 0x5000,
    .data_bytes = 0x2345,
    .bss_bytes = 0x3000,
    .init_p2m = true,
    .unmapped_ramdisk = true,
};

uint8_t mini_kernel_byte(uint64_t i)
{
    return (uint8_t)((i * 131 + (i >> 9)) | 1);
}

static size_t note(uint8_t *at, uint32_t type, const void *desc, uint32_t bytes)
{
    Elf64_Nhdr n = {.n_namesz = 4, .n_descsz = bytes, .n_type = type};

    memcpy(at, &n, sizeof(n));
    memcpy(at + sizeof(n), "Xen", 4);
    memcpy(at + sizeof(n) + 4, desc, bytes);
    return sizeof(n) + 4 + ((bytes + 3) & ~3u);
}

static size_t notes(uint8_t *at, const struct mini_kernel *k)
{
    uint64_t one = 1, entry = k->virt_base + k->load_at + 0x100, page = k->virt_base + k->load_at + PAGE, p2m = 0x8000000000ull;
    size_t n = 0;

    n += note(at + n, XEN_ELFNOTE_XEN_VERSION, "xen-3.0", 8);
    n += note(at + n, XEN_ELFNOTE_GUEST_OS, "mini", 5);
    n += note(at + n, XEN_ELFNOTE_VIRT_BASE, &k->virt_base, 8);
    n += note(at + n, XEN_ELFNOTE_ENTRY, &entry, 8);
    if (k->init_p2m)
        n += note(at + n, XEN_ELFNOTE_INIT_P2M, &p2m, 8);
    if (k->unmapped_ramdisk)
        n += note(at + n, XEN_ELFNOTE_MOD_START_PFN, &one, 8);
    if (k->hypercall_page)
        n += note(at + n, XEN_ELFNOTE_HYPERCALL_PAGE, &page, 8);
    return n;
}

uint8_t *mini_kernel_make(const struct mini_kernel *k, size_t *size)
{
    Elf64_Ehdr eh = {.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_phoff = sizeof(eh), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 3};
    uint64_t data_at = TEXT_AT + k->text_bytes, gap = PAGE; /* a page between the segments that is in neither */
    Elf64_Phdr ph[3] = {
        {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = TEXT_AT, .p_paddr = k->load_at, .p_filesz = k->text_bytes, .p_memsz = k->text_bytes},
        {.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = data_at, .p_paddr = k->load_at + k->text_bytes + gap + 0x40, .p_filesz = k->data_bytes, .p_memsz = k->data_bytes + k->bss_bytes},
        {.p_type = PT_NOTE, .p_flags = PF_R, .p_offset = 0x200},
    };
    uint8_t *file = calloc(1, data_at + k->data_bytes);

    *size = data_at + k->data_bytes;
    memcpy(eh.e_ident, ELFMAG, SELFMAG);
    eh.e_ident[EI_CLASS] = ELFCLASS64;
    eh.e_ident[EI_DATA] = ELFDATA2LSB;
    ph[2].p_filesz = notes(file + 0x200, k);
    memcpy(file, &eh, sizeof(eh));
    memcpy(file + sizeof(eh), ph, sizeof(ph));
    for (uint64_t i = 0; i < k->text_bytes; i++)
        file[TEXT_AT + i] = mini_kernel_byte(i);
    for (uint64_t i = 0; i < k->data_bytes; i++)
        file[data_at + i] = mini_kernel_byte(i);
    return file;
}

static uint8_t *pack_gzip(const uint8_t *bytes, size_t size, size_t *packed)
{
    size_t room = size + 65536;
    uint8_t *to = malloc(room);
    z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)size, .next_out = to, .avail_out = (uInt)room};

    deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    if (deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort();
    deflateEnd(&z);
    *packed = room - z.avail_out;
    return to;
}

static uint8_t *pack_xz(const uint8_t *bytes, size_t size, size_t *packed)
{
    lzma_options_lzma options;
    lzma_filter filters[] = {{LZMA_FILTER_X86, NULL}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
    size_t room = size + 65536;
    uint8_t *to = malloc(room);

    *packed = 0;
    if (lzma_lzma_preset(&options, 1) || lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, bytes, size, to, packed, room) != LZMA_OK)
        abort();
    return to;
}

static uint8_t *pack_zstd(const uint8_t *bytes, size_t size, size_t *packed)
{
    size_t room = ZSTD_compressBound(size);
    uint8_t *to = malloc(room);

    *packed = ZSTD_compress(to, room, bytes, size, 3);
    return to;
}

static uint8_t *pack_lz4(const uint8_t *bytes, size_t size, size_t *packed)
{
    size_t room = (size_t)LZ4_compressBound((int)size) + 65536, n = 4;
    uint8_t *to = malloc(room);

    memcpy(to, "\x02\x21\x4c\x18", 4);
    for (size_t at = 0; at < size;) {
        size_t part = size - at < (8u << 20) ? size - at : 8u << 20;
        uint32_t block = (uint32_t)LZ4_compress_default((const char *)bytes + at, (char *)to + n + 4, (int)part, (int)(room - n - 4));

        memcpy(to + n, &block, 4);
        n += 4 + block;
        at += part;
    }
    *packed = n;
    return to;
}

uint8_t *mini_pack(enum packing how, const uint8_t *bytes, size_t size, size_t *packed_bytes)
{
    uint8_t *copy;

    switch (how) {
    case PACK_GZIP:
        return pack_gzip(bytes, size, packed_bytes);
    case PACK_XZ:
        return pack_xz(bytes, size, packed_bytes);
    case PACK_ZSTD:
        return pack_zstd(bytes, size, packed_bytes);
    case PACK_LZ4:
        return pack_lz4(bytes, size, packed_bytes);
    default:
        copy = malloc(size);
        memcpy(copy, bytes, size);
        *packed_bytes = size;
        return copy;
    }
}

uint8_t *mini_bzimage(enum packing how, const uint8_t *elf, size_t size, size_t *image_bytes)
{
    struct setup_header h = {.setup_sects = 2, .boot_flag = 0xaa55, .header = 0x53726448, .version = 0x20f, .payload_offset = 0x123};
    size_t packed_bytes, at = 3 * 512 + h.payload_offset, extra = how == PACK_GZIP ? 0 : 4;
    uint8_t *packed = mini_pack(how, elf, size, &packed_bytes), *image;
    uint32_t size32 = (uint32_t)size;

    *image_bytes = at + packed_bytes + extra;
    h.payload_length = (uint32_t)(packed_bytes + extra);
    image = calloc(1, *image_bytes);
    memcpy(image + 0x1f1, &h, sizeof(h));
    memcpy(image + at, packed, packed_bytes);
    memcpy(image + at + packed_bytes, &size32, extra);
    free(packed);
    return image;
}

void mini_file(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(bytes, 1, size, f) != size || fclose(f) != 0)
        abort();
}
