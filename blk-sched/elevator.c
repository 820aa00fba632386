/* SPDX-License-Identifier: MIT */
/*
 * The elevator, C-LOOK: requests are served in the order of their sectors, upwards; at the last one the heads go back to the first. What is contiguous goes as one.
 *
 * One direction only, because then nobody's wait depends on where on the disk his data lies. A guest that writes on and on in front of the heads would keep them there; so the sweep goes to
 * the oldest request when that has waited for wait_max_ns, and on from there, for at least `batch` more requests.
 * A request just behind the heads that continues into the next one in front of them is taken along (front merge): a small step back instead of a whole sweep.
 * Contract: <hv/blk-ops.h>. Tests: test-elevator.c. Page: docs/concepts/elevator.md.
 */
#include <hv/blk-sort.h>
#include <hv/list.h>

#define ELEVATOR_WAIT_NS (1000ull * 1000 * 1000)
#define ELEVATOR_WAIT_MIN_NS (1000ull * 1000)
#define ELEVATOR_WAIT_MAX_NS (60ull * 1000 * 1000 * 1000)
#define ELEVATOR_BATCH 16ull
#define ELEVATOR_BATCH_MAX 1024ull

enum { ELEVATOR_WAIT, ELEVATOR_BATCHES, ELEVATOR_PARAMS };

struct elevator {
    struct blk_sort sorted;
    struct list_node arrivals;
    uint64_t position; /* the sector behind what was issued last */
    uint64_t left;     /* requests before the sweep may be broken off again */
    struct blk_disk disk;
    uint64_t value[ELEVATOR_PARAMS];
};

struct elevator_request {
    struct blk_sort_node sort; /* first: see blk-sort.h */
    struct list_node arrival;
};

static const struct blk_parameter elevator_params[ELEVATOR_PARAMS] = {
    [ELEVATOR_WAIT] = {"wait_max_ns", BLK_PARAM_NS, BLK_SCOPE_DISK, ELEVATOR_WAIT_MIN_NS, ELEVATOR_WAIT_MAX_NS, ELEVATOR_WAIT_NS,
                       "age at which a request is no longer left to the sweep, in ns"},
    [ELEVATOR_BATCHES] = {"batch", BLK_PARAM_UINT, BLK_SCOPE_DISK, 1, ELEVATOR_BATCH_MAX, ELEVATOR_BATCH, "requests in sector order between two that were too old"},
};

static int elevator_create(void *state, const struct blk_disk *disk)
{
    struct elevator *e = state;

    list_init(&e->arrivals);
    e->disk = *disk;
    for (uint32_t i = 0; i < ELEVATOR_PARAMS; i++)
        e->value[i] = elevator_params[i].initial;
    return 0;
}

static void elevator_insert(void *state, struct blk_request *request, uint64_t now_ns)
{
    struct elevator *e = state;
    struct elevator_request *r = request->data;

    (void)now_ns;
    blk_sort_insert(&e->sorted, &r->sort, request);
    list_push_back(&e->arrivals, &r->arrival);
}

static void elevator_remove(void *state, struct blk_request *request, uint64_t now_ns)
{
    struct elevator *e = state;
    struct elevator_request *r = request->data;

    (void)now_ns;
    blk_sort_remove(&e->sorted, &r->sort);
    list_remove(&r->arrival);
}

static struct elevator_request *elevator_next(struct elevator *e, uint64_t now_ns)
{
    struct elevator_request *oldest = list_first_entry(&e->arrivals, struct elevator_request, arrival);

    if (e->left == 0 && now_ns - oldest->sort.request->arrived_ns >= e->value[ELEVATOR_WAIT]) {
        e->left = e->value[ELEVATOR_BATCHES];
        return oldest;
    }
    e->left -= e->left != 0;
    return env_container_of(blk_sort_around(&e->sorted, e->position), struct elevator_request, sort);
}

static struct blk_decision elevator_dispatch(void *state, uint64_t now_ns)
{
    struct elevator *e = state;
    struct blk_chain chain = blk_sort_take(&e->sorted, &elevator_next(e, now_ns)->sort, &e->disk);

    for (struct blk_request *r = chain.first; r != NULL; r = r->merged)
        list_remove(&((struct elevator_request *)r->data)->arrival);
    e->position = chain.last->sector + chain.last->sectors;
    return (struct blk_decision){chain.first, 0};
}

static void elevator_param_set(void *state, struct blk_vbd *vbd, uint32_t index, uint64_t value, uint64_t now_ns)
{
    (void)vbd, (void)now_ns;
    ((struct elevator *)state)->value[index] = value;
}

static uint64_t elevator_param_get(void *state, struct blk_vbd *vbd, uint32_t index)
{
    (void)vbd;
    return ((struct elevator *)state)->value[index];
}

const struct blk_sched_ops blk_elevator = {
    .name = "elevator",
    .summary = "C-LOOK: sector order in one direction, neighbours merged",
    .state_bytes = sizeof(struct elevator),
    .request_bytes = sizeof(struct elevator_request),
    .params = elevator_params,
    .param_count = ELEVATOR_PARAMS,
    .create = elevator_create,
    .insert = elevator_insert,
    .remove = elevator_remove,
    .dispatch = elevator_dispatch,
    .param_set = elevator_param_set,
    .param_get = elevator_param_get,
};
