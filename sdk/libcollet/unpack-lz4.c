// SPDX-License-Identifier: MIT
/*
 * LZ4, as Linux packs kernels with it (`lz4 -l`): a magic number, then blocks of up to 8 MiB, each with its packed size before it. Debian's cloud kernels are packed so.
 *
 * The format is small enough to be decoded here rather than to need another library. A block is a run of sequences: a byte with two lengths, literals, and how far back to copy from;
 * the last one has literals only. There is no checksum, so damage may go unnoticed until the ELF file within is looked at; it never leads outside of the two buffers.
 * Contract: internal.h (unpack).  Tests: test-unpack.c.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_BYTES 4u
#define SIZE_BYTES 4u
#define BLOCK_BYTES (8u << 20)
#define MATCH_MIN 4u

struct block {
    const uint8_t *in, *in_end;
    uint8_t *out; /* BLOCK_BYTES */
    size_t done;
};

/* The rest of a length that did not fit into four bits. False: the block ends within it. */
static bool length_rest(struct block *b, size_t *length)
{
    uint8_t more;

    do {
        if (b->in == b->in_end)
            return false;
        more = *b->in++;
        *length += more;
    } while (more == 255);
    return true;
}

static bool literals(struct block *b, size_t length)
{
    if (length == 15 && !length_rest(b, &length))
        return false;
    if (length > (size_t)(b->in_end - b->in) || length > BLOCK_BYTES - b->done)
        return false;
    memcpy(b->out + b->done, b->in, length);
    b->in += length;
    b->done += length;
    return true;
}

/* Source and destination may overlap: then what was copied is copied again. */
static bool match(struct block *b, size_t length)
{
    size_t back;

    if (b->in_end - b->in < 2)
        return false;
    back = (size_t)(b->in[0] | b->in[1] << 8);
    b->in += 2;
    if (length == 15 && !length_rest(b, &length))
        return false;
    length += MATCH_MIN;
    if (back == 0 || back > b->done || length > BLOCK_BYTES - b->done)
        return false;
    for (; length > 0; length -= back < length ? back : length) {
        size_t n = back < length ? back : length;

        memcpy(b->out + b->done, b->out + b->done - back, n);
        b->done += n;
    }
    return true;
}

static bool block_unpack(struct block *b)
{
    while (b->in < b->in_end) {
        uint8_t token = *b->in++;

        if (!literals(b, token >> 4))
            return false;
        if (b->in == b->in_end)
            return true;
        if (!match(b, token & 15))
            return false;
    }
    return false; /* a match is never the last */
}

static uint32_t size_at(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Behind the last block is nothing, or, in a bzImage, the unpacked size. */
int unpack_lz4(const uint8_t *bytes, size_t size, struct unpack_sink *sink, uint8_t *piece, const char **why)
{
    const uint8_t *at = bytes + MAGIC_BYTES, *end = bytes + size;
    struct block b = {.out = malloc(BLOCK_BYTES)};
    int rc = b.out != NULL ? 0 : -ENOMEM;

    (void)piece;
    while (rc == 0 && end - at > (ptrdiff_t)SIZE_BYTES) {
        uint32_t packed = size_at(at);

        at += SIZE_BYTES;
        b.in = at;
        b.done = 0;
        rc = -ENOEXEC;
        *why = unpack_damaged;
        if (packed > (size_t)(end - at))
            break;
        b.in_end = at += packed;
        if (block_unpack(&b))
            rc = unpack_give(sink, b.out, b.done, why);
    }
    free(b.out);
    /* The rest is whole, and tells the truth. */
    if (rc == 0 && (end - at == (ptrdiff_t)SIZE_BYTES ? size_at(at) != (uint32_t)sink->total : at != end)) {
        *why = unpack_damaged;
        rc = -ENOEXEC;
    }
    return rc == 0 && sink->total == 0 ? -ENOEXEC : rc;
}
