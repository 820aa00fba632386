/* SPDX-License-Identifier: MIT */
/*
 * Something for each source address, in a table of fixed size, for kinds of rules: sets of four places, the one that was idle longest is given up. Any number of CPUs at once, no lock; may be copied at any moment. What
 * races cost is that a source is forgotten, or that two share a place for a packet.
 */
#pragma once

#include <hv/vfr-ops.h>

#define VFR_SOURCES_SETS 64u /* power of two */
#define VFR_SOURCES_WAYS 4u

struct vfr_source_place {
    uint64_t key;   /* hash of the address, never 0; 0: free */
    uint64_t until; /* of the user: the smallest goes first */
    uint64_t data;
};
struct vfr_sources {
    struct vfr_source_place place[VFR_SOURCES_SETS][VFR_SOURCES_WAYS];
};

/* Who sent it: of IP the source address, else the source MAC. Not 0. */
static inline uint64_t vfr_source_key(const struct vfr_packet *packet)
{
    const uint8_t *bytes = packet->family != 0 ? packet->source : packet->header + 6;
    uint32_t count = packet->family == 4 ? 4 : packet->family == 6 ? 16 : packet->header_bytes >= 12 ? 6 : 0;
    uint64_t hash = 0x9e3779b97f4a7c15ull + packet->family;

    for (uint32_t i = 0; i < count; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3ull;
    hash ^= hash >> 29;
    hash *= 0xbf58476d1ce4e5b9ull;
    hash ^= hash >> 32;
    return hash != 0 ? hash : 1;
}

/* Its place; a new one is zeroed but for its key. */
static inline struct vfr_source_place *vfr_source_find(struct vfr_sources *sources, uint64_t key)
{
    struct vfr_source_place *set = sources->place[key % VFR_SOURCES_SETS], *oldest = &set[0];

    for (uint32_t i = 0; i < VFR_SOURCES_WAYS; i++) {
        uint64_t there = __atomic_load_n(&set[i].key, __ATOMIC_RELAXED);

        if (there == key)
            return &set[i];
        if (there == 0 || __atomic_load_n(&set[i].until, __ATOMIC_RELAXED) < __atomic_load_n(&oldest->until, __ATOMIC_RELAXED))
            oldest = &set[i];
    }
    __atomic_store_n(&oldest->until, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&oldest->data, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&oldest->key, key, __ATOMIC_RELAXED);
    return oldest;
}
