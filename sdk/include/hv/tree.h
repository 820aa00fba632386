/* SPDX-License-Identifier: MIT */
/*
 * A balanced binary search tree (AVL) with the links inside the objects: insert, remove and search in O(log n) at worst, neighbours in order, no allocation, no limit.
 *
 * A node knows the height of its subtree; the two sides of any node differ by at most one, so n members are at most 1.44 log2(n) deep. Use it where sorted order with
 * neighbours is wanted; where only the first is wanted, <hv/heap.h> is cheaper.
 * `before` is a strict order: break ties, but not by address. The functions are inline so that a constant `before` costs no indirect calls.
 * Context: any; the caller's lock protects a tree. Tests: blk-sched/test-tree.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_node {
    struct tree_node *parent, *left, *right;
    uint32_t height; /* 1: no children */
};

struct tree {
    struct tree_node *root; /* NULL when empty */
};

typedef bool tree_before(const struct tree_node *a, const struct tree_node *b);
/* Does the node lie before the key? Must be true for a first part of the order and false for the rest. */
typedef bool tree_before_key(const struct tree_node *node, uint64_t key);

static inline uint32_t tree_height(const struct tree_node *node)
{
    return node != NULL ? node->height : 0;
}

static inline void tree_measure(struct tree_node *node)
{
    uint32_t left = tree_height(node->left), right = tree_height(node->right);

    node->height = 1 + (left > right ? left : right);
}

/* Where `from` hangs, `to` (or nothing) hangs from now on. */
static inline void tree_hang(struct tree *tree, struct tree_node *from, struct tree_node *to)
{
    if (from->parent == NULL)
        tree->root = to;
    else if (from->parent->left == from)
        from->parent->left = to;
    else
        from->parent->right = to;
    if (to != NULL)
        to->parent = from->parent;
}

/* The right (left) child comes up, the node goes down to the other side. Returns who stands here now. */
static inline struct tree_node *tree_rotate(struct tree *tree, struct tree_node *node, bool right_up)
{
    struct tree_node *up = right_up ? node->right : node->left;
    struct tree_node *between = right_up ? up->left : up->right;

    tree_hang(tree, node, up);
    *(right_up ? &up->left : &up->right) = node;
    *(right_up ? &node->right : &node->left) = between;
    if (between != NULL)
        between->parent = node;
    node->parent = up;
    tree_measure(node);
    tree_measure(up);
    return up;
}

/* Measure and balance from the lowest node that has changed up to the root. */
static inline void tree_balance(struct tree *tree, struct tree_node *node)
{
    for (; node != NULL; node = node->parent) {
        uint32_t left = tree_height(node->left), right = tree_height(node->right);

        if (left > right + 1) {
            if (tree_height(node->left->right) > tree_height(node->left->left))
                tree_rotate(tree, node->left, true);
            node = tree_rotate(tree, node, false);
        } else if (right > left + 1) {
            if (tree_height(node->right->left) > tree_height(node->right->right))
                tree_rotate(tree, node->right, false);
            node = tree_rotate(tree, node, true);
        } else {
            tree_measure(node);
        }
    }
}

static inline void tree_insert(struct tree *tree, struct tree_node *node, tree_before *before)
{
    struct tree_node **slot = &tree->root;

    node->parent = node->left = node->right = NULL;
    node->height = 1;
    while (*slot != NULL) {
        node->parent = *slot;
        slot = before(node, *slot) ? &(*slot)->left : &(*slot)->right;
    }
    *slot = node;
    tree_balance(tree, node->parent);
}

static inline struct tree_node *tree_first(const struct tree *tree)
{
    struct tree_node *node = tree->root;

    while (node != NULL && node->left != NULL)
        node = node->left;
    return node;
}

static inline struct tree_node *tree_next(const struct tree_node *node)
{
    struct tree_node *up = node->right;

    if (up != NULL) {
        while (up->left != NULL)
            up = up->left;
        return up;
    }
    for (up = node->parent; up != NULL && up->right == node; up = up->parent)
        node = up;
    return up;
}

static inline struct tree_node *tree_prev(const struct tree_node *node)
{
    struct tree_node *up = node->left;

    if (up != NULL) {
        while (up->right != NULL)
            up = up->right;
        return up;
    }
    for (up = node->parent; up != NULL && up->left == node; up = up->parent)
        node = up;
    return up;
}

/* The first member that does not lie before the key, or NULL. */
static inline struct tree_node *tree_find(const struct tree *tree, uint64_t key, tree_before_key *before)
{
    struct tree_node *node = tree->root, *found = NULL;

    while (node != NULL) {
        if (before(node, key)) {
            node = node->right;
        } else {
            found = node;
            node = node->left;
        }
    }
    return found;
}

static inline void tree_remove(struct tree *tree, struct tree_node *node)
{
    struct tree_node *lowest = node->parent;

    if (node->left == NULL || node->right == NULL) {
        tree_hang(tree, node, node->left != NULL ? node->left : node->right);
    } else {
        struct tree_node *heir = tree_next(node); /* has no left child */

        lowest = heir->parent != node ? heir->parent : heir;
        tree_hang(tree, heir, heir->right);
        tree_hang(tree, node, heir);
        heir->left = node->left;
        heir->right = node->right;
        heir->height = node->height;
        heir->left->parent = heir;
        if (heir->right != NULL)
            heir->right->parent = heir;
    }
    tree_balance(tree, lowest);
}
