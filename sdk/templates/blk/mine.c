// SPDX-License-Identifier: MIT
/*
 * Reads first: in arrival order, and after four of them a write that waits. A disk policy to copy; docs/write-a-disk-policy.md goes through it.
 * Contract: <hv/blk-ops.h>. Tests: test-mine.c.
 */
#include <hv/blk-ops.h>

#define MINE_READS 4 /* that may pass a waiting write */

struct mine {
    struct list_node reads, others;
    uint32_t passed;
};
struct mine_request {
    struct list_node link;
    struct blk_request *request;
};

static int mine_create(void *state, const struct blk_disk *disk)
{
    struct mine *mine = state;

    (void)disk;
    list_init(&mine->reads);
    list_init(&mine->others);
    return 0;
}
static void mine_insert(void *state, struct blk_request *request, uint64_t now_ns)
{
    struct mine *mine = state;
    struct mine_request *r = request->data;

    (void)now_ns;
    r->request = request;
    list_push_back(request->op == BLK_READ ? &mine->reads : &mine->others, &r->link);
}
static void mine_remove(void *state, struct blk_request *request, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    list_remove(&((struct mine_request *)request->data)->link);
}
static struct blk_decision mine_dispatch(void *state, uint64_t now_ns)
{
    struct mine *mine = state;
    bool read = !list_empty(&mine->reads) && (list_empty(&mine->others) || mine->passed < MINE_READS);
    struct list_node *queue = read ? &mine->reads : &mine->others;
    struct mine_request *r = list_first_entry(queue, struct mine_request, link);

    (void)now_ns;
    mine->passed = read ? mine->passed + 1 : 0;
    list_remove(&r->link);
    return (struct blk_decision){r->request, 0};
}

const struct blk_sched_ops blk_mine = {
    .name = "mine",
    .summary = "reads first",
    .state_bytes = sizeof(struct mine),
    .request_bytes = sizeof(struct mine_request),
    .create = mine_create,
    .insert = mine_insert,
    .remove = mine_remove,
    .dispatch = mine_dispatch,
};
