/* SPDX-License-Identifier: MIT */
/*
 * Disk requests sorted by sector, and merged when they leave: what every disk-ordering module with an order by place needs.
 *
 * The module's request data begins with a blk_sort_node, and the module keeps one or more blk_sort's. blk_sort_take takes one request out, with what is contiguous
 * to it before and behind: in this form neighbours need not be found when they arrive, and a merged request can never be torn apart wrongly.
 * Context: that of <hv/blk-ops.h>. All O(log n). Tests: blk-sched/test-tree.c.
 */
#pragma once

#include <hv/blk-ops.h>
#include <hv/env.h>
#include <hv/tree.h>

/* Requests of another kind that lie between two that could be merged: so many are looked past. A bound, or one guest could make the search long. */
#define BLK_SORT_LOOKS 4u

struct blk_sort_node {
    struct tree_node node;
    struct blk_request *request;
};

struct blk_sort {
    struct tree tree;
    uint32_t count;
};

static inline struct blk_request *blk_sort_request(const struct tree_node *node)
{
    return node != NULL ? env_container_of(node, struct blk_sort_node, node)->request : NULL;
}

static inline bool blk_sort_before(const struct tree_node *a, const struct tree_node *b)
{
    const struct blk_request *x = blk_sort_request(a), *y = blk_sort_request(b);

    return x->sector != y->sector ? x->sector < y->sector : x->serial < y->serial;
}

static inline bool blk_sort_before_sector(const struct tree_node *node, uint64_t sector)
{
    return blk_sort_request(node)->sector < sector;
}

static inline void blk_sort_insert(struct blk_sort *sort, struct blk_sort_node *node, struct blk_request *request)
{
    node->request = request;
    tree_insert(&sort->tree, &node->node, blk_sort_before);
    sort->count++;
}

static inline void blk_sort_remove(struct blk_sort *sort, struct blk_sort_node *node)
{
    tree_remove(&sort->tree, &node->node);
    sort->count--;
}

/* The first request at or behind this sector, or NULL. */
static inline struct blk_sort_node *blk_sort_from(const struct blk_sort *sort, uint64_t sector)
{
    struct tree_node *node = tree_find(&sort->tree, sector, blk_sort_before_sector);

    return node != NULL ? env_container_of(node, struct blk_sort_node, node) : NULL;
}

/* That, or from the beginning again (C-LOOK); NULL if there is none at all. */
static inline struct blk_sort_node *blk_sort_around(const struct blk_sort *sort, uint64_t sector)
{
    struct blk_sort_node *node = blk_sort_from(sort, sector);

    if (node == NULL && sort->tree.root != NULL)
        node = env_container_of(tree_first(&sort->tree), struct blk_sort_node, node);
    return node;
}

/* A neighbour in order (in front, or behind) that can be merged with this chain, or NULL. */
static inline struct tree_node *blk_sort_neighbour(struct tree_node *node, const struct blk_chain *chain, const struct blk_disk *disk, bool in_front)
{
    uint64_t end = chain->last->sector + chain->last->sectors;

    for (uint32_t looks = 0; looks < BLK_SORT_LOOKS; looks++) {
        const struct blk_request *r;

        node = in_front ? tree_prev(node) : tree_next(node);
        if (node == NULL)
            return NULL;
        r = blk_sort_request(node);
        if (!in_front && r->sector > end)
            return NULL;
        if (in_front ? blk_chain_fits_in_front(chain, disk, r) : blk_chain_fits(chain, disk, r))
            return node;
    }
    return NULL;
}

/* Take out this request and those contiguous to it: first those behind, then those in front. */
static inline struct blk_chain blk_sort_take(struct blk_sort *sort, struct blk_sort_node *start, const struct blk_disk *disk)
{
    struct blk_chain chain = blk_chain_start(start->request);
    struct tree_node *last = &start->node, *next, *first = &start->node;

    while ((next = blk_sort_neighbour(last, &chain, disk, false)) != NULL) {
        blk_chain_append(&chain, blk_sort_request(next));
        last = next;
    }
    while ((next = blk_sort_neighbour(first, &chain, disk, true)) != NULL) {
        blk_chain_prepend(&chain, blk_sort_request(next));
        first = next;
    }
    for (struct blk_request *r = chain.first; r != NULL; r = r->merged)
        blk_sort_remove(sort, r->data);
    return chain;
}
