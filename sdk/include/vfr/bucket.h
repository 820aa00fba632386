/* SPDX-License-Identifier: MIT */
/*
 * Token buckets in one word, for kinds of rules that limit: the word is the time until which what was taken is paid for (the virtual scheduling algorithm of ITU-T I.371). Any number of CPUs at once, no lock; may be
 * copied at any moment. Time is counted in 64ths of a nanosecond, so that 100 GB/s can be told from none; it lasts nine years.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define VFR_BUCKET_TICKS 64u /* per ns */
#define VFR_BUCKET_TRIES 16u /* against other CPUs */
#define VFR_BUCKET_DEEPEST (1ull << 60) /* ticks: 208 days */

/* What so many of something cost, at so many a second (not 0). In ticks. Below 2^28 of something. */
static inline uint64_t vfr_bucket_cost(uint64_t amount, uint64_t per_s)
{
    return amount * (VFR_BUCKET_TICKS * 1000000000ull) / per_s;
}

/* The same, of so many in `seconds` seconds, up to a day; what costs more than the deepest bucket costs that. */
static inline uint64_t vfr_bucket_cost_in(uint64_t amount, uint64_t count, uint64_t seconds)
{
    uint64_t each;

    if (seconds == 1)
        return vfr_bucket_cost(amount, count);
    each = seconds * VFR_BUCKET_TICKS * 1000000000ull / count + 1;
    return amount > VFR_BUCKET_DEEPEST / each ? VFR_BUCKET_DEEPEST : amount * each;
}

/* Is there enough in the bucket, `depth` ticks deep? Then it is taken. What costs more than a full bucket goes when the bucket is full, and is paid for afterwards. */
static inline bool vfr_bucket_take(uint64_t *paid, uint64_t cost, uint64_t depth, uint64_t now_ns)
{
    uint64_t now = now_ns * VFR_BUCKET_TICKS, seen = __atomic_load_n(paid, __ATOMIC_RELAXED), needed = cost < depth ? cost : depth;

    for (uint32_t tries = 0; tries < VFR_BUCKET_TRIES; tries++) {
        uint64_t from = seen > now ? seen : now;

        if (from + needed > now + depth)
            return false;
        if (__atomic_compare_exchange_n(paid, &seen, from + cost, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

/* It was not used after all. */
static inline void vfr_bucket_give_back(uint64_t *paid, uint64_t cost)
{
    __atomic_sub_fetch(paid, cost, __ATOMIC_RELAXED);
}
