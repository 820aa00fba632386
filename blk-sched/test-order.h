/* SPDX-License-Identifier: MIT */
/*
 * For the tests of modules: one disk, two VBDs, requests by sector, answers by sector; and comparisons counted. Include it before the module's .c file: it counts by
 * wrapping what that calls.
 */
#pragma once

#include "../sdk/sim/blk-host.h"

#include <hv/env.h>
#include <hv/heap.h>
#include <hv/tree.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Comparisons ---- */

static uint64_t order_compares;
static tree_before *order_real;
static tree_before_key *order_real_key;
static const struct heap_ops *order_real_heap;

static inline bool order_counted(const struct tree_node *a, const struct tree_node *b)
{
    order_compares++;
    return order_real(a, b);
}
static inline bool order_counted_key(const struct tree_node *node, uint64_t key)
{
    order_compares++;
    return order_real_key(node, key);
}
static inline bool order_counted_heap(const struct heap_node *a, const struct heap_node *b)
{
    order_compares++;
    return order_real_heap->before(a, b);
}
static const struct heap_ops order_heap = {order_counted_heap, NULL};

#define tree_insert(tree, node, before) (order_real = (before), tree_insert(tree, node, order_counted))
#define tree_find(tree, key, before) (order_real_key = (before), tree_find(tree, key, order_counted_key))
#define heap_insert(heap, node, ops) (order_real_heap = (ops), heap_insert(heap, node, &order_heap))
#define heap_remove(heap, node, ops) (order_real_heap = (ops), heap_remove(heap, node, &order_heap))

/* ---- One disk ---- */

static struct blk_host order_host;
static struct blk_vbd *order_vbds[2];
static uint64_t order_now_ns, order_seed = 1;

static inline uint64_t order_random(void)
{
    order_seed ^= order_seed << 13;
    order_seed ^= order_seed >> 7;
    order_seed ^= order_seed << 17;
    return order_seed;
}

static inline void order_open(const struct blk_sched_ops *ops)
{
    static const struct blk_disk disk = {.id = 1, .depth = 4, .sectors = 1ull << 32, .sectors_max = 2048, .segments_max = 128, .rotates = true};

    order_now_ns = 1000;
    blk_host_open(&order_host, ops, &disk);
    for (uint32_t i = 0; i < 2; i++)
        order_vbds[i] = blk_host_vbd_add(&order_host, i + 1, i + 1);
}

/* All that was submitted has come out, and no answer was wrong. */
static inline void order_close(void)
{
    ck_assert_msg(order_host.fault == NULL, "%s", order_host.fault);
    ck_assert_uint_eq(order_host.queued_count, 0);
    ck_assert_uint_eq(order_host.issued_count, 0);
    blk_host_close(&order_host);
}

/* Returns its serial. */
static inline uint64_t order_submit_of(uint32_t vbd, enum blk_op op, uint64_t sector, uint32_t sectors, uint32_t segments)
{
    return blk_host_submit(&order_host, order_vbds[vbd], op, sector, sectors, segments, order_now_ns)->r.serial;
}
static inline uint64_t order_submit(enum blk_op op, uint64_t sector, uint32_t sectors)
{
    return order_submit_of(0, op, sector, sectors, 1);
}

static inline struct blk_host_request *order_next(void)
{
    uint64_t hold_ns;
    struct blk_host_request *first;

    while ((first = blk_host_next(&order_host, order_now_ns, &hold_ns)) == NULL && hold_ns != 0)
        order_now_ns += hold_ns;
    ck_assert_msg(order_host.fault == NULL, "%s", order_host.fault);
    ck_assert_ptr_nonnull(first);
    return first;
}

/* A whole chain ends. Returns how many it had. */
static inline uint32_t order_complete(struct blk_host_request *first)
{
    uint32_t count = 0;

    for (struct blk_request *r = &first->r, *next; r != NULL; r = next, count++) {
        next = r->merged;
        blk_host_complete(&order_host, blk_host_of(r), order_now_ns);
    }
    return count;
}

static inline uint32_t order_next_length(void)
{
    return order_complete(order_next());
}

/* The next answers begin at these sectors. */
static inline void order_expect(const uint64_t *sectors, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct blk_host_request *first = order_next();

        ck_assert_uint_eq(first->r.sector, sectors[i]);
        order_complete(first);
    }
}

/* The next answer is this chain. */
static inline void order_expect_chain(const uint64_t *sectors, uint32_t count)
{
    struct blk_host_request *first = order_next();
    struct blk_request *r = &first->r;

    for (uint32_t i = 0; i < count; i++, r = r->merged) {
        ck_assert_ptr_nonnull(r);
        ck_assert_uint_eq(r->sector, sectors[i]);
    }
    ck_assert_ptr_null(r);
    order_complete(first);
}

/* Most comparisons that one request took (insert and dispatch) with so many queued, at random places. */
static inline uint64_t order_cost(const struct blk_sched_ops *ops, uint32_t queued)
{
    uint64_t worst = 0;

    order_open(ops);
    order_seed = 3;
    for (uint32_t i = 0; i < queued + 2000; i++) {
        order_compares = 0;
        order_submit_of(i % 2, i % 3 == 0 ? BLK_WRITE : BLK_READ, order_random() % (1u << 28) * 16, 8, 1);
        if (i >= queued) {
            order_now_ns += 1000;
            order_complete(order_next());
            worst = order_compares > worst ? order_compares : worst;
        }
    }
    while (order_host.queued_count != 0)
        order_complete(order_next());
    order_close();
    return worst;
}

#define ORDER_SUITE(name, ...)                                                                                         \
    Suite *suite_##name(void);                                                                                         \
    Suite *suite_##name(void)                                                                                          \
    {                                                                                                                  \
        const TTest *tests[] = {__VA_ARGS__};                                                                          \
        Suite *s = suite_create(#name);                                                                                \
        TCase *tc = tcase_create(#name);                                                                               \
                                                                                                                       \
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)                                                  \
            tcase_add_test(tc, tests[i]);                                                                              \
        suite_add_tcase(s, tc);                                                                                        \
        return s;                                                                                                      \
    }
