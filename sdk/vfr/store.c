// SPDX-License-Identifier: MIT
/*
 * Memory of an engine. Nobody gives us more than 2 MiB in one piece, and sets have 100,000 rules: an arena of pieces for what is small and freed all at once, and arrays in pieces of 2^shift entries.
 * Contract: engine-internal.h. Tests: test-engine.c.
 */
#include "engine-internal.h"

#include <hv/errno.h>

#include <string.h>

enum { PIECE_BYTES = 256 << 10, PIECE_FIRST_BYTES = 4 << 10, PIECE_HEAD = 96 }; /* all of a piece is a power of two: who gives it counts in pages so */

void *vfr_arena_get(struct vfr_arena *arena, size_t bytes)
{
    struct vfr_chunk *c = arena->chunks;
    uint64_t align = bytes % 32 == 0 ? 32 : 8, start;

    if (bytes > VFR_ARENA_MAX)
        return NULL;
    if (c != NULL) {
        start = ((uintptr_t)c + c->used + align - 1) / align * align - (uintptr_t)c; /* the piece's own address may be odd */
        if (start + bytes <= c->room) {
            c->used = start + bytes;
            return (uint8_t *)c + start;
        }
    }
    /* Small at first, and doubled: a set of ten rules takes little, and all of it is to be cleared. */
    uint64_t room = arena->last == 0 ? PIECE_FIRST_BYTES : arena->last < PIECE_BYTES ? arena->last * 2 : PIECE_BYTES;

    arena->last = room;
    if (room < bytes + PIECE_HEAD)
        room = bytes + PIECE_HEAD;
    c = arena->memory->alloc(room);
    if (c == NULL)
        return NULL;
    c->next = arena->chunks;
    c->room = room;
    start = 64 - ((uintptr_t)c & 31);
    c->used = start + bytes;
    arena->chunks = c;
    arena->bytes += room;
    return (uint8_t *)c + start;
}

void vfr_arena_free(struct vfr_arena *arena)
{
    while (arena->chunks != NULL) {
        struct vfr_chunk *c = arena->chunks;

        arena->chunks = c->next;
        arena->memory->free(c);
        if (arena->memory->pause != NULL)
            arena->memory->pause();
    }
}

int vfr_vector_make(struct vfr_vector *vector, const struct vfr_memory *memory, uint32_t entry_bytes, uint32_t shift, uint32_t count)
{
    vector->entry_bytes = entry_bytes;
    vector->shift = shift;
    if (count == 0)
        return 0;
    if ((count - 1) >> shift >= VFR_VECTOR_CHUNKS)
        return -ENOMEM;
    for (uint32_t i = 0; i <= (count - 1) >> shift; i++) {
        uint32_t left = count - (i << shift), here = left < 1u << shift ? left : 1u << shift;

        if (vector->chunks[i] != NULL)
            continue;
        vector->chunks[i] = memory->alloc((uint64_t)here * entry_bytes);
        if (vector->chunks[i] == NULL)
            return -ENOMEM;
        vector->bytes += (uint64_t)here * entry_bytes;
        if (memory->pause != NULL)
            memory->pause();
    }
    return 0;
}

void vfr_vector_free(struct vfr_vector *vector, const struct vfr_memory *memory)
{
    for (uint32_t i = 0; i < VFR_VECTOR_CHUNKS; i++) {
        if (vector->chunks[i] == NULL)
            break; /* they come in order */
        memory->free(vector->chunks[i]);
        vector->chunks[i] = NULL;
    }
    vector->bytes = 0;
}

uint64_t vfr_vector_bytes(const struct vfr_vector *vector)
{
    return vector->bytes;
}
