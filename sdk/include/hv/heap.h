/* SPDX-License-Identifier: MIT */
/*
 * A binary heap with the links inside the objects: the first in O(1), insert and remove of any member in O(log n), no allocation, no limit.
 *
 * It is a complete binary tree: member number n (from 1) is reached from the root by the bits of n below the highest.
 * `update`, if given, recomputes what a node says about its whole subtree (a minimum, a sum) from itself and its two children;
 * it is called from the lowest changed node up to the root. The functions are inline so that constant ops cost no indirect calls.
 * Context: any; the caller's lock protects a heap. Tests: sched/test-heap.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    struct heap_node *parent, *left, *right;
};

struct heap {
    struct heap_node *root; /* the first; NULL when empty */
    uint32_t count;
};

struct heap_ops {
    bool (*before)(const struct heap_node *a, const struct heap_node *b); /* a strict order; break ties, but not by address */
    void (*update)(struct heap_node *node);                               /* or NULL */
};

/* Where the pointer to member number n is, and whose child it is. */
static inline struct heap_node **heap_slot(struct heap *heap, uint32_t n, struct heap_node **parent)
{
    struct heap_node **slot = &heap->root;

    *parent = NULL;
    if (n > 1) {
        for (uint32_t bit = 1u << (30 - __builtin_clz(n)); bit != 0; bit >>= 1) {
            *parent = *slot;
            slot = (n & bit) ? &(*slot)->right : &(*slot)->left;
        }
    }
    return slot;
}

/* Let `to` stand where `from` stands, children and all. */
static inline void heap_replace(struct heap *heap, struct heap_node *from, struct heap_node *to)
{
    *to = *from;
    if (from->parent == NULL)
        heap->root = to;
    else if (from->parent->left == from)
        from->parent->left = to;
    else
        from->parent->right = to;
    if (to->left != NULL)
        to->left->parent = to;
    if (to->right != NULL)
        to->right->parent = to;
}

/* Exchange a node with its child. */
static inline void heap_swap(struct heap *heap, struct heap_node *parent, struct heap_node *child)
{
    struct heap_node below = *child;
    struct heap_node *above = parent->parent;
    struct heap_node *sibling;

    heap_replace(heap, parent, child); /* child's links now point at itself in its own old place, and back */
    child->parent = above;
    if (child->left == child) {
        child->left = parent;
        sibling = child->right;
    } else {
        child->right = parent;
        sibling = child->left;
    }
    if (sibling != NULL)
        sibling->parent = child;
    parent->parent = child;
    parent->left = below.left;
    parent->right = below.right;
    if (parent->left != NULL)
        parent->left->parent = parent;
    if (parent->right != NULL)
        parent->right->parent = parent;
}

/* Put a node that may stand wrongly where it belongs, and renew the sums on its way to the root. */
static inline void heap_settle(struct heap *heap, struct heap_node *node, const struct heap_ops *ops)
{
    struct heap_node *lowest = node;

    if (node->parent != NULL && ops->before(node, node->parent)) {
        lowest = node->parent; /* after the exchanges this one is the deepest that changed */
        while (node->parent != NULL && ops->before(node, node->parent))
            heap_swap(heap, node->parent, node);
    } else {
        for (;;) {
            struct heap_node *first = node->left;

            if (first == NULL)
                break;
            if (node->right != NULL && ops->before(node->right, first))
                first = node->right;
            if (!ops->before(first, node))
                break;
            heap_swap(heap, node, first);
        }
    }
    if (ops->update != NULL)
        for (; lowest != NULL; lowest = lowest->parent)
            ops->update(lowest);
}

static inline void heap_insert(struct heap *heap, struct heap_node *node, const struct heap_ops *ops)
{
    struct heap_node **slot;

    node->left = NULL;
    node->right = NULL;
    slot = heap_slot(heap, ++heap->count, &node->parent);
    *slot = node;
    heap_settle(heap, node, ops);
}

static inline void heap_remove(struct heap *heap, struct heap_node *node, const struct heap_ops *ops)
{
    struct heap_node *parent;
    struct heap_node **slot = heap_slot(heap, heap->count--, &parent);
    struct heap_node *last = *slot;

    *slot = NULL;
    if (ops->update != NULL && parent != NULL && parent != node)
        for (struct heap_node *up = parent; up != NULL; up = up->parent)
            ops->update(up);
    if (last == node)
        return;
    heap_replace(heap, node, last);
    heap_settle(heap, last, ops);
}

/* The key of a member has changed. */
static inline void heap_changed(struct heap *heap, struct heap_node *node, const struct heap_ops *ops)
{
    heap_settle(heap, node, ops);
}
