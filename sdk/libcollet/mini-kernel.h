/* SPDX-License-Identifier: MIT */
/* Small kernels for libcollet's tests: files that look like what Linux's build makes, with recognisable bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mini_kernel {
    uint64_t virt_base;
    uint64_t load_at; /* from the base */
    uint64_t text_bytes, data_bytes, bss_bytes;
    bool init_p2m, unmapped_ramdisk, hypercall_page;
};

/* What every test starts from: 1 MiB above the usual base. */
extern const struct mini_kernel mini_kernel_usual;
/* The ELF file, for free(). Byte i of a segment is mini_kernel_byte(i). */
uint8_t *mini_kernel_make(const struct mini_kernel *k, size_t *size);
uint8_t mini_kernel_byte(uint64_t i);

enum packing { PACK_NONE, PACK_GZIP, PACK_XZ, PACK_ZSTD, PACK_LZ4 };
/* Packed bytes, as Linux packs (xz: x86 filter, CRC32), for free(). */
uint8_t *mini_pack(enum packing how, const uint8_t *bytes, size_t size, size_t *packed_bytes);
/* A bzImage around them, with the unpacked size behind the payload where Linux puts it. */
uint8_t *mini_bzimage(enum packing how, const uint8_t *elf, size_t size, size_t *image_bytes);
/* Writes a file whole; a failure ends the test. */
void mini_file(const char *path, const uint8_t *bytes, size_t size);
