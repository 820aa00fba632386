/* SPDX-License-Identifier: MIT */
/*
 * Deadline: batches in sector order, reads before writes, and nobody waits much longer than his deadline; after the policy that Linux documents for its deadline scheduler
 * (Documentation/block/deadline-iosched.rst). Own code.
 *
 * Reads and writes (all that is not a read) each have a sorted queue and one by arrival. A batch is up to fifo_batch requests of one direction in sector order. Then a new one begins: of
 * reads, unless writes wait and have been passed over writes_starved times; at the oldest request if that has expired or nothing lies ahead, else where this direction's last batch ended.
 * A deadline is when a request is preferred, not when it is done: on a busy disk the wait is bounded by the queue, not by the clock.
 * Contract: <hv/blk-ops.h>. Tests: test-deadline.c. Page: docs/concepts/deadline.md.
 */
#include <hv/blk-sort.h>
#include <hv/list.h>

#define DEADLINE_READ_NS (500ull * 1000 * 1000)
#define DEADLINE_WRITE_NS (5000ull * 1000 * 1000)
#define DEADLINE_NS_MAX (600ull * 1000 * 1000 * 1000)
#define DEADLINE_STARVED 2ull
#define DEADLINE_BATCH 16ull
#define DEADLINE_COUNT_MAX 1024ull

enum { DEADLINE_READ, DEADLINE_WRITE, DEADLINE_DIRECTIONS };
enum { DEADLINE_READ_EXPIRE, DEADLINE_WRITE_EXPIRE, DEADLINE_WRITES_STARVED, DEADLINE_FIFO_BATCH, DEADLINE_PARAMS };

struct deadline_direction {
    struct blk_sort sorted;
    struct list_node arrivals;
    uint64_t position; /* the sector behind what was issued last */
};

struct deadline {
    struct deadline_direction directions[DEADLINE_DIRECTIONS];
    uint32_t direction; /* of the batch */
    uint64_t batched;   /* requests of the batch that have been issued */
    uint64_t passed;    /* batches of reads since writes were first passed over */
    struct blk_disk disk;
    uint64_t value[DEADLINE_PARAMS];
};

struct deadline_request {
    struct blk_sort_node sort; /* first: see blk-sort.h */
    struct list_node arrival;
};

static const struct blk_parameter deadline_params[DEADLINE_PARAMS] = {
    [DEADLINE_READ_EXPIRE] = {"read_expire_ns", BLK_PARAM_NS, BLK_SCOPE_DISK, 0, DEADLINE_NS_MAX, DEADLINE_READ_NS, "age at which a read is preferred, in ns"},
    [DEADLINE_WRITE_EXPIRE] = {"write_expire_ns", BLK_PARAM_NS, BLK_SCOPE_DISK, 0, DEADLINE_NS_MAX, DEADLINE_WRITE_NS, "age at which a write is preferred, in ns"},
    [DEADLINE_WRITES_STARVED] = {"writes_starved", BLK_PARAM_UINT, BLK_SCOPE_DISK, 0, DEADLINE_COUNT_MAX, DEADLINE_STARVED, "batches of reads that may go before waiting writes"},
    [DEADLINE_FIFO_BATCH] = {"fifo_batch", BLK_PARAM_UINT, BLK_SCOPE_DISK, 1, DEADLINE_COUNT_MAX, DEADLINE_BATCH, "requests of a batch"},
};

static int deadline_create(void *state, const struct blk_disk *disk)
{
    struct deadline *d = state;

    for (uint32_t i = 0; i < DEADLINE_DIRECTIONS; i++)
        list_init(&d->directions[i].arrivals);
    d->disk = *disk;
    d->batched = DEADLINE_COUNT_MAX; /* none has begun */
    for (uint32_t i = 0; i < DEADLINE_PARAMS; i++)
        d->value[i] = deadline_params[i].initial;
    return 0;
}

static struct deadline_direction *deadline_of(struct deadline *d, const struct blk_request *request)
{
    return &d->directions[request->op == BLK_READ ? DEADLINE_READ : DEADLINE_WRITE];
}

static void deadline_insert(void *state, struct blk_request *request, uint64_t now_ns)
{
    struct deadline_direction *dir = deadline_of(state, request);
    struct deadline_request *r = request->data;

    (void)now_ns;
    blk_sort_insert(&dir->sorted, &r->sort, request);
    list_push_back(&dir->arrivals, &r->arrival);
}

static void deadline_remove(void *state, struct blk_request *request, uint64_t now_ns)
{
    struct deadline_direction *dir = deadline_of(state, request);
    struct deadline_request *r = request->data;

    (void)now_ns;
    blk_sort_remove(&dir->sorted, &r->sort);
    list_remove(&r->arrival);
}

static uint32_t deadline_choose_direction(struct deadline *d)
{
    bool reads = d->directions[DEADLINE_READ].sorted.count != 0, writes = d->directions[DEADLINE_WRITE].sorted.count != 0;

    if (reads && (!writes || d->passed++ < d->value[DEADLINE_WRITES_STARVED]))
        return DEADLINE_READ;
    d->passed = 0;
    return DEADLINE_WRITE;
}

/* Where a new batch of this direction begins. */
static struct blk_sort_node *deadline_begin(struct deadline *d, struct deadline_direction *dir, uint64_t now_ns)
{
    struct deadline_request *oldest = list_first_entry(&dir->arrivals, struct deadline_request, arrival);
    uint64_t expire_ns = d->value[d->direction == DEADLINE_READ ? DEADLINE_READ_EXPIRE : DEADLINE_WRITE_EXPIRE];
    struct blk_sort_node *ahead = blk_sort_from(&dir->sorted, dir->position);

    if (ahead == NULL || now_ns - oldest->sort.request->arrived_ns >= expire_ns)
        return &oldest->sort;
    return ahead;
}

static struct blk_sort_node *deadline_next(struct deadline *d, uint64_t now_ns)
{
    struct deadline_direction *dir = &d->directions[d->direction];

    if (d->batched < d->value[DEADLINE_FIFO_BATCH]) {
        struct blk_sort_node *ahead = blk_sort_from(&dir->sorted, dir->position);

        if (ahead != NULL)
            return ahead;
    }
    d->batched = 0;
    d->direction = deadline_choose_direction(d);
    return deadline_begin(d, &d->directions[d->direction], now_ns);
}

static struct blk_decision deadline_dispatch(void *state, uint64_t now_ns)
{
    struct deadline *d = state;
    struct blk_sort_node *start = deadline_next(d, now_ns);
    struct deadline_direction *dir = &d->directions[d->direction];
    struct blk_chain chain = blk_sort_take(&dir->sorted, start, &d->disk);

    for (struct blk_request *r = chain.first; r != NULL; r = r->merged)
        list_remove(&((struct deadline_request *)r->data)->arrival);
    dir->position = chain.last->sector + chain.last->sectors;
    d->batched++;
    return (struct blk_decision){chain.first, 0};
}

static void deadline_param_set(void *state, struct blk_vbd *vbd, uint32_t index, uint64_t value, uint64_t now_ns)
{
    (void)vbd, (void)now_ns;
    ((struct deadline *)state)->value[index] = value;
}

static uint64_t deadline_param_get(void *state, struct blk_vbd *vbd, uint32_t index)
{
    (void)vbd;
    return ((struct deadline *)state)->value[index];
}

const struct blk_sched_ops blk_deadline = {
    .name = "deadline",
    .summary = "batches in sector order, reads first, with expiry",
    .state_bytes = sizeof(struct deadline),
    .request_bytes = sizeof(struct deadline_request),
    .params = deadline_params,
    .param_count = DEADLINE_PARAMS,
    .create = deadline_create,
    .insert = deadline_insert,
    .remove = deadline_remove,
    .dispatch = deadline_dispatch,
    .param_set = deadline_param_set,
    .param_get = deadline_param_get,
};
