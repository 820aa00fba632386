// SPDX-License-Identifier: MIT
/* <hv/heap.h>: order, removal of any member, and the sums over subtrees, against a plain array in random runs. */
// needs:
#include <hv/env.h>
#include <hv/heap.h>

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* check's own assertions write a file each time; there are millions here. */
#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            ck_abort_msg("line %d: %s", __LINE__, #cond);                                                              \
    } while (0)

struct item {
    struct heap_node node;
    uint64_t key, least;
    bool in;
};

static struct item *item_of(const struct heap_node *node)
{
    return env_container_of(node, struct item, node);
}
static bool before(const struct heap_node *a, const struct heap_node *b)
{
    return item_of(a)->key < item_of(b)->key;
}
static void update(struct heap_node *node)
{
    struct item *i = item_of(node);

    i->least = i->key ^ 0x55; /* something in another order than the key */
    if (node->left != NULL && item_of(node->left)->least < i->least)
        i->least = item_of(node->left)->least;
    if (node->right != NULL && item_of(node->right)->least < i->least)
        i->least = item_of(node->right)->least;
}
static const struct heap_ops ops = {before, update};

static uint32_t verify(const struct heap_node *node, const struct heap_node *parent)
{
    struct item *i = item_of(node);
    uint64_t least;

    CHECK(node->parent == parent);
    if (parent != NULL)
        CHECK(!before(node, parent));
    least = i->least;
    update((struct heap_node *)(uintptr_t)node);
    CHECK((i->least) == least);
    return 1 + (node->left ? verify(node->left, node) : 0) + (node->right ? verify(node->right, node) : 0);
}

START_TEST(heap_agrees_with_an_array)
{
    enum { ITEMS = 67 };
    static struct item items[ITEMS];
    struct heap heap = {NULL, 0};
    uint32_t in = 0;

    srand(42);
    for (int step = 0; step < 20000; step++) {
        struct item *i = &items[rand() % ITEMS];
        struct item *first = NULL;

        if (!i->in) {
            i->key = (uint64_t)rand() % 1000;
            heap_insert(&heap, &i->node, &ops);
            i->in = true;
            in++;
        } else if (rand() % 3 == 0) {
            i->key = (uint64_t)rand() % 1000;
            heap_changed(&heap, &i->node, &ops);
        } else {
            heap_remove(&heap, &i->node, &ops);
            i->in = false;
            in--;
        }
        CHECK((heap.count) == in);
        CHECK((heap.root != NULL ? verify(heap.root, NULL) : 0) == in);
        for (int n = 0; n < ITEMS; n++)
            if (items[n].in && (first == NULL || items[n].key < first->key))
                first = &items[n];
        if (first != NULL)
            CHECK((item_of(heap.root)->key) == first->key);
    }
}
END_TEST

Suite *suite_heap(void);
Suite *suite_heap(void)
{
    Suite *s = suite_create("heap");
    TCase *tc = tcase_create("heap");

    tcase_add_test(tc, heap_agrees_with_an_array);
    suite_add_tcase(s, tc);
    return s;
}
