/* SPDX-License-Identifier: MIT */
/*
 * First in, first out: requests go to the device as they came; only those that follow each other directly, in arrival and on the disk, go as one.
 * The measure for all others, right for disks that do not seek and order by themselves; start here to read.
 * Contract: <hv/blk-ops.h>. Tests: test-fifo.c. Page: docs/concepts/fifo.md.
 */
#include <hv/blk-ops.h>
#include <hv/list.h>

struct fifo {
    struct list_node queue;
    struct blk_disk disk;
};

struct fifo_request {
    struct list_node link;
    struct blk_request *request;
};

static int fifo_create(void *state, const struct blk_disk *disk)
{
    struct fifo *fifo = state;

    list_init(&fifo->queue);
    fifo->disk = *disk;
    return 0;
}

static void fifo_insert(void *state, struct blk_request *request, uint64_t now_ns)
{
    struct fifo *fifo = state;
    struct fifo_request *r = request->data;

    (void)now_ns;
    r->request = request;
    list_push_back(&fifo->queue, &r->link);
}

static void fifo_remove(void *state, struct blk_request *request, uint64_t now_ns)
{
    struct fifo_request *r = request->data;

    (void)state, (void)now_ns;
    list_remove(&r->link);
}

static struct blk_decision fifo_dispatch(void *state, uint64_t now_ns)
{
    struct fifo *fifo = state;
    struct fifo_request *r = list_first_entry(&fifo->queue, struct fifo_request, link);
    struct blk_chain chain = blk_chain_start(r->request);

    (void)now_ns;
    list_remove(&r->link);
    while (!list_empty(&fifo->queue)) {
        r = list_first_entry(&fifo->queue, struct fifo_request, link);
        if (!blk_chain_fits(&chain, &fifo->disk, r->request))
            break;
        list_remove(&r->link);
        blk_chain_append(&chain, r->request);
    }
    return (struct blk_decision){chain.first, 0};
}

const struct blk_sched_ops blk_fifo = {
    .name = "fifo",
    .summary = "arrival order",
    .state_bytes = sizeof(struct fifo),
    .request_bytes = sizeof(struct fifo_request),
    .create = fifo_create,
    .insert = fifo_insert,
    .remove = fifo_remove,
    .dispatch = fifo_dispatch,
};
