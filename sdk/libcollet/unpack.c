// SPDX-License-Identifier: MIT
/*
 * Unpacking kernels: the payload of a Linux bzImage, and the packings that kernels of today use.
 *
 * The bytes may be anybody's: every offset is checked against the size, the decoders are bounded in memory, and the result in bytes. Output goes to a sink in pieces, so that 66 MB
 * of kernel never lie in this program's memory.
 * Contract: internal.h.  Tests: test-unpack.c (cut and damaged images).
 */
#include "internal.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define PIECE_BYTES (256u << 10)
#define DECODER_BYTES_MAX (192ull << 20) /* xz -9 needs 65 MiB, zstd --ultra -22 128 MiB */
#define SETUP_HEADER_AT 0x1f1
#define SETUP_MAGIC 0x53726448 /* "HdrS" */
#define PAYLOAD_SINCE 0x208    /* boot protocol that tells where the payload is */
#define SECTOR_BYTES 512u

const char unpack_damaged[] = "its packed part is damaged or cut short";
static const char too_large[] = "it unpacks to far more than a kernel is";
static const char no_memory[] = "there is not enough memory to unpack it";

int bzimage_payload(const uint8_t *bytes, size_t size, const uint8_t **payload, size_t *payload_bytes, const char **why)
{
    struct setup_header h;
    uint64_t start;

    if (size < SETUP_HEADER_AT + sizeof(h))
        return -ENOENT;
    memcpy(&h, bytes + SETUP_HEADER_AT, sizeof(h));
    if (h.boot_flag != 0xaa55 || h.header != SETUP_MAGIC)
        return -ENOENT;
    *why = "it is a bzImage of a time before 2.6.24, which does not tell where its payload is";
    if (h.version < PAYLOAD_SINCE)
        return -ENOEXEC;
    start = ((h.setup_sects != 0 ? h.setup_sects : 4) + 1ull) * SECTOR_BYTES + h.payload_offset;
    *why = "it is a bzImage that is cut short";
    if (start > size || h.payload_length > size - start || h.payload_length == 0)
        return -ENOEXEC;
    *payload = bytes + start;
    *payload_bytes = h.payload_length;
    return 0;
}

int unpack_give(struct unpack_sink *sink, const void *bytes, size_t count, const char **why)
{
    sink->total += count;
    if (sink->total > sink->limit) {
        *why = too_large;
        return -EFBIG;
    }
    return count != 0 ? sink->take(sink, bytes, count) : 0;
}

static int unpack_gzip(const uint8_t *bytes, size_t size, struct unpack_sink *sink, uint8_t *piece, const char **why)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)size};
    int rc, state;

    *why = no_memory;
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return -ENOMEM;
    do {
        z.next_out = piece;
        z.avail_out = PIECE_BYTES;
        state = inflate(&z, Z_NO_FLUSH);
        *why = unpack_damaged;
        rc = state == Z_OK || state == Z_STREAM_END ? unpack_give(sink, piece, PIECE_BYTES - z.avail_out, why) : -ENOEXEC;
    } while (rc == 0 && state != Z_STREAM_END);
    inflateEnd(&z);
    return rc;
}

/* One stream; Linux adds the unpacked size as four bytes, which nobody needs here. */
static int unpack_xz(const uint8_t *bytes, size_t size, struct unpack_sink *sink, uint8_t *piece, const char **why)
{
    lzma_stream x = LZMA_STREAM_INIT;
    lzma_ret state;
    int rc;

    *why = no_memory;
    if (lzma_stream_decoder(&x, DECODER_BYTES_MAX, 0) != LZMA_OK)
        return -ENOMEM;
    x.next_in = bytes;
    x.avail_in = size;
    do {
        x.next_out = piece;
        x.avail_out = PIECE_BYTES;
        state = lzma_code(&x, LZMA_RUN);
        *why = state == LZMA_MEM_ERROR || state == LZMA_MEMLIMIT_ERROR ? no_memory : unpack_damaged;
        rc = state == LZMA_OK || state == LZMA_STREAM_END ? unpack_give(sink, piece, PIECE_BYTES - x.avail_out, why) : -ENOEXEC;
        /* No progress with all input given: it is cut. */
        if (rc == 0 && state == LZMA_OK && x.avail_in == 0 && x.avail_out != 0)
            rc = -ENOEXEC;
    } while (rc == 0 && state != LZMA_STREAM_END);
    lzma_end(&x);
    return rc;
}

static int unpack_zstd(const uint8_t *bytes, size_t size, struct unpack_sink *sink, uint8_t *piece, const char **why)
{
    ZSTD_inBuffer in = {.src = bytes, .size = size};
    ZSTD_DStream *z = ZSTD_createDStream();
    size_t state;
    int rc;

    *why = no_memory;
    if (z == NULL)
        return -ENOMEM;
    do {
        ZSTD_outBuffer out = {.dst = piece, .size = PIECE_BYTES};

        state = ZSTD_decompressStream(z, &out, &in);
        *why = unpack_damaged;
        rc = ZSTD_isError(state) ? -ENOEXEC : unpack_give(sink, piece, out.pos, why);
        if (rc == 0 && state != 0 && in.pos == in.size && out.pos < out.size)
            rc = -ENOEXEC;
    } while (rc == 0 && state != 0);
    ZSTD_freeDStream(z);
    return rc;
}

typedef int (*unpack_fn)(const uint8_t *bytes, size_t size, struct unpack_sink *sink, uint8_t *piece, const char **why);

static const struct form {
    const char *name;
    uint8_t magic[6];
    uint8_t magic_bytes;
    unpack_fn unpack; /* NULL: known only by name */
    const char *why;
} forms[] = {
    {"gzip", {0x1f, 0x8b}, 2, unpack_gzip, NULL},
    {"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, unpack_xz, NULL},
    {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, unpack_zstd, NULL},
    {"lz4", {0x02, 0x21, 0x4c, 0x18}, 4, unpack_lz4, NULL},
    {"lzo", {0x89, 'L', 'Z', 'O'}, 4, NULL, "it is packed with lzo; gzip, xz, zstd and lz4 can be unpacked, or give the unpacked vmlinux"},
    {"bzip2", {'B', 'Z', 'h'}, 3, NULL, "it is packed with bzip2; gzip, xz, zstd and lz4 can be unpacked, or give the unpacked vmlinux"},
    {"lzma", {0x5d, 0, 0}, 3, NULL, "it is packed with lzma; gzip, xz, zstd and lz4 can be unpacked, or give the unpacked vmlinux"},
};

static const struct form *form_of(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (size >= forms[i].magic_bytes && memcmp(bytes, forms[i].magic, forms[i].magic_bytes) == 0)
            return &forms[i];
    return NULL;
}

const char *unpack_form(const uint8_t *bytes, size_t size)
{
    const struct form *f = form_of(bytes, size);

    return f != NULL ? f->name : NULL;
}

int unpack(const uint8_t *bytes, size_t size, struct unpack_sink *sink, const char **why)
{
    const struct form *f = form_of(bytes, size);
    uint8_t *piece;
    int rc;

    sink->total = 0;
    *why = "its packed part is of a form that is not known: gzip, xz, zstd and lz4 can be unpacked, or give the unpacked vmlinux";
    if (f == NULL || size > PACKED_BYTES_MAX)
        return -ENOEXEC;
    *why = f->why;
    if (f->unpack == NULL)
        return -ENOEXEC;
    *why = no_memory;
    piece = malloc(PIECE_BYTES);
    if (piece == NULL)
        return -ENOMEM;
    rc = f->unpack(bytes, size, sink, piece, why);
    free(piece);
    return rc;
}
