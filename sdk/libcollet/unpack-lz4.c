// SPDX-License-Identifier: MIT
/*
 * LZ4, as Linux packs kernels with it (`lz4 -l`): a magic number, then blocks of up to 8 MiB, each with its packed size before it. Debian's cloud kernels are packed so.
 *
 * That form has no decoder of its own in liblz4, but its blocks are plain ones. There is no checksum, so damage may go unnoticed until the ELF file within is looked at.
 * Contract: internal.h (unpack).  Tests: test-unpack.c.
 */
#include "internal.h"

#include <errno.h>
#include <limits.h>
#include <lz4.h>
#include <stdlib.h>

#define MAGIC_BYTES 4u
#define SIZE_BYTES 4u
#define BLOCK_BYTES (8u << 20)
static uint32_t size_at(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Behind the last block is nothing, or, in a bzImage, the unpacked size. */
int unpack_lz4(const uint8_t *bytes, size_t size, struct unpack_sink *sink, uint8_t *piece, const char **why)
{
    const uint8_t *at = bytes + MAGIC_BYTES, *end = bytes + size;
    char *block = malloc(BLOCK_BYTES);
    int rc = block != NULL ? 0 : -ENOMEM, n;

    (void)piece;
    while (rc == 0 && end - at > (ptrdiff_t)SIZE_BYTES) {
        uint32_t packed = size_at(at);

        at += SIZE_BYTES;
        rc = -ENOEXEC;
        *why = unpack_damaged;
        if (packed > (size_t)(end - at) || packed > INT_MAX)
            break;
        n = LZ4_decompress_safe((const char *)at, block, (int)packed, BLOCK_BYTES);
        at += packed;
        if (n > 0)
            rc = unpack_give(sink, block, (size_t)n, why);
    }
    free(block);
    /* The rest is whole, and tells the truth. */
    if (rc == 0 && (end - at == (ptrdiff_t)SIZE_BYTES ? size_at(at) != (uint32_t)sink->total : at != end)) {
        *why = unpack_damaged;
        rc = -ENOEXEC;
    }
    return rc == 0 && sink->total == 0 ? -ENOEXEC : rc;
}
