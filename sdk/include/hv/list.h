/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked circular lists with the links inside the objects: insert and remove in constant time, no allocation.
 * A head is a list_node of its own; a node outside any list points at itself after list_init.
 * Context: any; the caller's lock protects a list. Tests: tests/unit/test-list.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next, *prev;
};

#define LIST_HEAD_INIT(name) {&(name), &(name)}

static inline void list_init(struct list_node *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool list_empty(const struct list_node *head)
{
    return head->next == head;
}

static inline void list_insert_between(struct list_node *node, struct list_node *prev, struct list_node *next)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

/* At the front of the list. */
static inline void list_push_front(struct list_node *head, struct list_node *node)
{
    list_insert_between(node, head, head->next);
}

/* At its end; with a member as head: just before that member. */
static inline void list_push_back(struct list_node *head, struct list_node *node)
{
    list_insert_between(node, head->prev, head);
}

/* The node may be removed again: it is left pointing at itself. */
static inline void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#define list_entry(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)

/* The list must not change while walked; use the _safe form to remove the visited node. */
#define list_for_each_entry(pos, head, member)                                                                         \
    for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head);                             \
         pos = list_entry(pos->member.next, __typeof__(*pos), member))
#define list_for_each_entry_safe(pos, following, head, member)                                                         \
    for (pos = list_entry((head)->next, __typeof__(*pos), member),                                                     \
        following = list_entry(pos->member.next, __typeof__(*pos), member);                                            \
         &pos->member != (head); pos = following, following = list_entry(pos->member.next, __typeof__(*pos), member))
