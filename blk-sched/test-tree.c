// SPDX-License-Identifier: MIT
/* <hv/tree.h>: order, neighbours, balance and removal of any member against a plain array in random runs (TREE_SEED repeats one), and the number of comparisons. */
// needs:
#include <hv/env.h>
#include <hv/tree.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* check's own assertions write a file each time; there are millions here. */
#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            ck_abort_msg("line %d: %s", __LINE__, #cond);                                                              \
    } while (0)
#define ITEMS 200

struct item {
    struct tree_node node;
    uint64_t key;
    uint32_t serial;
    bool in;
};

static uint64_t compares;

static struct item *item_of(const struct tree_node *node)
{
    return env_container_of(node, struct item, node);
}

static bool before(const struct tree_node *a, const struct tree_node *b)
{
    compares++;
    return item_of(a)->key != item_of(b)->key ? item_of(a)->key < item_of(b)->key : item_of(a)->serial < item_of(b)->serial;
}

static bool before_key(const struct tree_node *node, uint64_t key)
{
    compares++;
    return item_of(node)->key < key;
}

static uint32_t verify(const struct tree_node *node, const struct tree_node *parent)
{
    uint32_t left, right;

    if (node == NULL)
        return 0;
    CHECK(node->parent == parent);
    CHECK(node->left == NULL || before(node->left, node));
    CHECK(node->right == NULL || before(node, node->right));
    left = verify(node->left, node);
    right = verify(node->right, node);
    CHECK(left <= right + 1 && right <= left + 1);
    CHECK(node->height == 1 + (left > right ? left : right));
    return node->height;
}

static uint32_t rank_of(const struct item *items, const struct item *item)
{
    uint32_t rank = 0;

    for (uint32_t i = 0; i < ITEMS; i++)
        rank += items[i].in && before(&items[i].node, &item->node);
    return rank;
}

/* Forwards and backwards, every member once, in order. */
static void verify_walk(const struct tree *tree, uint32_t count)
{
    const struct tree_node *last = NULL;
    uint32_t seen = 0;

    for (const struct tree_node *n = tree_first(tree); n != NULL; last = n, n = tree_next(n)) {
        CHECK(tree_prev(n) == last);
        CHECK(last == NULL || before(last, n));
        seen++;
    }
    CHECK(seen == count);
}

START_TEST(tree_agrees_with_an_array)
{
    const char *given = getenv("TREE_SEED");
    unsigned int seed = given != NULL ? (unsigned int)strtoul(given, NULL, 0) : (unsigned int)time(NULL);
    static struct item items[ITEMS];
    struct tree tree = {NULL};
    uint32_t count = 0;

    printf("tree: TREE_SEED=%u\n", seed);
    srand(seed);
    for (uint32_t round = 0; round < 20000; round++) {
        struct item *it = &items[rand() % ITEMS];
        struct tree_node *found;
        uint64_t key = (uint64_t)rand() % 60;

        if (it->in) {
            tree_remove(&tree, &it->node);
            it->in = false;
            count--;
        } else {
            it->key = (uint64_t)rand() % 50; /* many alike */
            it->serial = round;
            tree_insert(&tree, &it->node, before);
            it->in = true;
            count++;
        }
        found = tree_find(&tree, key, before_key);
        CHECK(found == NULL || item_of(found)->key >= key);
        if (round % 16 == 0) {
            verify(tree.root, NULL);
            verify_walk(&tree, count);
            for (uint32_t i = 0; i < ITEMS; i++)
                CHECK(!items[i].in || items[i].key < key || (found != NULL && rank_of(items, item_of(found)) <= rank_of(items, &items[i])));
        }
    }
}
END_TEST

/* In the worst order for a tree without balance: 1.44 log2(n) comparisons at most for each insert and search. */
START_TEST(comparisons_grow_with_the_logarithm)
{
    enum { MANY = 1 << 14 };
    struct item *items = calloc(MANY, sizeof(*items));
    struct tree tree = {NULL};
    uint64_t worst = 0;

    ck_assert_ptr_nonnull(items);
    for (uint32_t i = 0; i < MANY; i++) {
        items[i].key = _i == 0 ? i : MANY - i;
        compares = 0;
        tree_insert(&tree, &items[i].node, before);
        worst = compares > worst ? compares : worst;
    }
    for (uint32_t i = 0; i < MANY; i++) {
        compares = 0;
        tree_find(&tree, i, before_key);
        worst = compares > worst ? compares : worst;
    }
    ck_assert_uint_le(worst, 21); /* 1.44 * 14 = 20.2 */
    ck_assert_uint_le(tree.root->height, 21);
    while (tree.root != NULL)
        tree_remove(&tree, tree.root);
    free(items);
}
END_TEST

Suite *suite_tree(void);
Suite *suite_tree(void)
{
    Suite *s = suite_create("tree");
    TCase *tc = tcase_create("tree");

    tcase_add_test(tc, tree_agrees_with_an_array);
    tcase_add_loop_test(tc, comparisons_grow_with_the_logarithm, 0, 2);
    suite_add_tcase(s, tc);
    return s;
}
