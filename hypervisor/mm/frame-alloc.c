/* SPDX-License-Identifier: MIT */
/*
 * The frame allocator: a binary buddy system over all RAM, with its links in struct frame.
 *
 * A free block's first frame carries a word of type FREE_HEAD with the order where the type count would be, so a free frame
 * can never be referenced (its reference count is zero). Blocks that a domain has used are marked and zeroed before they go to anyone else; before any block is
 * reused, CPUs that may still hold translations to it flush. Contract: alloc.h. Tests: tests/unit through the simulators; audit.c.
 */
#include "alloc.h"
#include "cpu.h"
#include "frame-alloc.h"
#include "log.h"
#include "spinlock.h"
#include "tlb.h"

#define ORDER_MAX 10
#define FREE_HEAD 15ull
#define FREE_WORD(order) ((FREE_HEAD << FRAME_TYPE_SHIFT) | ((uint64_t)(order) << 28))

static struct spinlock alloc_lock; /* protects the free lists, free_frames */
static uint32_t free_list[ORDER_MAX + 1] = {[0 ... ORDER_MAX] = FRAME_LIST_END};
static uint64_t free_frames, total_frames;

static void list_push(unsigned int order, uint64_t n)
{
    struct frame *f = &frame_table[n];

    f->word = FREE_WORD(order);
    f->prev = FRAME_LIST_END;
    f->next = free_list[order];
    if (f->next != FRAME_LIST_END)
        frame_table[f->next].prev = (uint32_t)n;
    free_list[order] = (uint32_t)n;
}

static void list_take(unsigned int order, uint64_t n)
{
    struct frame *f = &frame_table[n];

    if (f->prev == FRAME_LIST_END)
        free_list[order] = f->next;
    else
        frame_table[f->prev].next = f->next;
    if (f->next != FRAME_LIST_END)
        frame_table[f->next].prev = f->prev;
    f->word = 0;
}

static void block_free(uint64_t n, unsigned int order)
{
    while (order < ORDER_MAX) {
        uint64_t buddy = n ^ (1ull << order);

        if (buddy >= frame_table_end || frame_table[buddy].word != FREE_WORD(order))
            break;
        list_take(order, buddy);
        /* The merged block is as stale, and as dirty, as its worse half. */
        if (frame_table[buddy].stamp > frame_table[n].stamp)
            frame_table[n].stamp = frame_table[buddy].stamp;
        else
            frame_table[buddy].stamp = frame_table[n].stamp;
        n &= ~(1ull << order);
        order++;
    }
    list_push(order, n);
}

void frames_init_add(uint64_t start_mfn, uint64_t end_mfn)
{
    spin_lock(&alloc_lock);
    total_frames += end_mfn - start_mfn;
    free_frames += end_mfn - start_mfn;
    while (start_mfn < end_mfn) {
        unsigned int order = start_mfn == 0 ? ORDER_MAX : (unsigned int)__builtin_ctzll(start_mfn);

        if (order > ORDER_MAX)
            order = ORDER_MAX;
        while (start_mfn + (1ull << order) > end_mfn)
            order--;
        block_free(start_mfn, order);
        start_mfn += 1ull << order;
    }
    spin_unlock(&alloc_lock);
}

mfn_t frames_alloc(unsigned int order)
{
    unsigned int from = order;
    uint64_t n, stamp;

    if (order > ORDER_MAX)
        return INVALID_MFN;
    spin_lock(&alloc_lock);
    while (from <= ORDER_MAX && free_list[from] == FRAME_LIST_END)
        from++;
    if (from > ORDER_MAX) {
        spin_unlock(&alloc_lock);
        return INVALID_MFN;
    }
    n = free_list[from];
    list_take(from, n);
    stamp = frame_table[n].stamp;
    while (from > order) {
        from--;
        frame_table[n + (1ull << from)].stamp = stamp;
        list_push(from, n + (1ull << from));
    }
    free_frames -= 1ull << order;
    spin_unlock(&alloc_lock);
    tlb_flush_since(cpu_online_mask, stamp);
    return MFN(n);
}

/* stamp: CPUs that have flushed later than that know nothing of these frames. */
static void give_back(mfn_t mfn, unsigned int order, uint64_t stamp)
{
    uint64_t i;

    for (i = 0; i < 1ull << order; i++) {
        frame_table[mfn.n + i].owner = NULL;
        frame_table[mfn.n + i].word = 0;
        frame_table[mfn.n + i].stamp = stamp;
    }
    spin_lock(&alloc_lock);
    free_frames += 1ull << order;
    block_free(mfn.n, order);
    spin_unlock(&alloc_lock);
}

void frames_free(mfn_t mfn, unsigned int order)
{
    give_back(mfn, order, READ_ONCE(tlb_flush_clock));
}

void frames_free_unmapped(mfn_t mfn, unsigned int order)
{
    give_back(mfn, order, 0);
}

uint64_t frames_free_count(void)
{
    return READ_ONCE(free_frames);
}

uint64_t frames_total_count(void)
{
    return READ_ONCE(total_frames);
}

uint64_t frames_free_audit(void)
{
    uint64_t counted = 0;
    unsigned int order;

    spin_lock(&alloc_lock);
    for (order = 0; order <= ORDER_MAX; order++) {
        uint32_t n;

        for (n = free_list[order]; n != FRAME_LIST_END; n = frame_table[n].next)
            counted += frame_table[n].word == FREE_WORD(order) ? 1ull << order : 0;
    }
    counted = counted > free_frames ? counted - free_frames : free_frames - counted;
    spin_unlock(&alloc_lock);
    return counted;
}
