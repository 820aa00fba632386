/* SPDX-License-Identifier: MIT */
/*
 * Fair: each VBD gets the share of the disk that its weight says; budget fair queueing with B-WF2Q+, after P. Valente and F. Checconi, High Throughput Disk Scheduling with Fair
 * Bandwidth Distribution, IEEE Transactions on Computers 59(9), 2010 (BFQ).
 *
 * Service is counted in sectors. One VBD is served at a time, in sector order, until it has used its budget, has nothing left, or has held the disk for slice_ns. Who is next: each backlogged VBD
 * has a virtual start S and a virtual finish F = S + budget/weight; among those with S not in the future of virtual time V, the least F. V advances by service/sum of weights, and
 * jumps to the least S if nobody is eligible. After its turn F is corrected to the service received. Budgets follow the need: doubled when used up, cut to the service received when not.
 * A VBD that was slow (its slice ended before its budget did) is charged the largest budget: seeking costs him who seeks. One that reads in a closed loop is waited for, up to idle_ns, on disks that
 * rotate, if it has lately come back as fast: else it would lose the disk after every request.
 * Contract: <hv/blk-ops.h>. Tests: test-fair.c. Page, with the choices: docs/concepts/fair.md.
 */
#include <hv/blk-sort.h>
#include <hv/heap.h>

#define FAIR_WEIGHT_DEFAULT 100ull
#define FAIR_WEIGHT_MAX 10000ull
#define FAIR_BUDGET_DEFAULT 2048ull /* sectors */
#define FAIR_BUDGET_MAX 65536ull
#define FAIR_BUDGET_LEAST 64ull     /* sectors: no budget is cut below */
#define FAIR_SLICE_NS (125ull * 1000 * 1000)
#define FAIR_SLICE_MAX_NS (10ull * 1000 * 1000 * 1000)
#define FAIR_IDLE_NS (4ull * 1000 * 1000)
#define FAIR_IDLE_MAX_NS (50ull * 1000 * 1000)
#define FAIR_UNIT (1ull << 24) /* of virtual time: a sector at weight 1; wraps around, compared by difference */
#define FAIR_THINK_SHIFT 3     /* mean think time: an eighth of each new one */

enum { FAIR_WEIGHT, FAIR_BUDGET, FAIR_SLICE, FAIR_IDLE, FAIR_PARAMS };
enum fair_place { FAIR_OUT, FAIR_ELIGIBLE, FAIR_EARLY, FAIR_SERVED };

struct fair {
    struct heap eligible; /* by F */
    struct heap early;    /* by S, which lies in the future */
    struct fair_vbd *served;
    uint64_t virtual_time;
    uint64_t weights; /* of all that are not OUT */
    uint64_t carry;   /* of virtual_time's last advance */
    struct blk_disk disk;
    uint64_t value[FAIR_PARAMS];
};

struct fair_vbd {
    struct heap_node node;
    struct blk_sort sorted;
    struct blk_vbd *vbd;
    enum fair_place place;
    uint64_t start, finish; /* S and F */
    uint64_t budget, used;  /* sectors; used: of this turn */
    uint64_t position;      /* the sector behind what was issued last */
    uint64_t weight;        /* with which it is backlogged now */
    uint64_t own_weight;    /* its setting; 0: that of the disk */
    uint64_t since_ns;      /* beginning of its turn */
    uint64_t ended_ns;      /* its last completion; or beginning of its turn */
    uint64_t think_ns;      /* mean time from the last completion to the next arrival, of those that came when all had ended */
    uint32_t issued;        /* and not ended */
    bool reads;             /* its last was one */
};

static const struct blk_parameter fair_params[FAIR_PARAMS] = {
    [FAIR_WEIGHT] = {"weight", BLK_PARAM_UINT, BLK_SCOPE_DISK | BLK_SCOPE_VBD, 1, FAIR_WEIGHT_MAX, FAIR_WEIGHT_DEFAULT, "share relative to other VBDs"},
    [FAIR_BUDGET] = {"budget_max", BLK_PARAM_UINT, BLK_SCOPE_DISK, FAIR_BUDGET_LEAST, FAIR_BUDGET_MAX, FAIR_BUDGET_DEFAULT, "largest budget of a turn, in sectors"},
    [FAIR_SLICE] = {"slice_ns", BLK_PARAM_NS, BLK_SCOPE_DISK, 1000 * 1000, FAIR_SLICE_MAX_NS, FAIR_SLICE_NS, "longest turn, in ns"},
    [FAIR_IDLE] = {"idle_ns", BLK_PARAM_NS, BLK_SCOPE_DISK, 0, FAIR_IDLE_MAX_NS, FAIR_IDLE_NS, "longest wait for the next read of the VBD that is served, in ns; 0: never"},
};

static inline struct fair_vbd *fair_of(const struct heap_node *node)
{
    return env_container_of(node, struct fair_vbd, node);
}

static inline bool fair_earlier(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

static bool fair_before_finish(const struct heap_node *a, const struct heap_node *b)
{
    const struct fair_vbd *x = fair_of(a), *y = fair_of(b);

    return x->finish != y->finish ? fair_earlier(x->finish, y->finish) : x->vbd->id < y->vbd->id;
}

static bool fair_before_start(const struct heap_node *a, const struct heap_node *b)
{
    const struct fair_vbd *x = fair_of(a), *y = fair_of(b);

    return x->start != y->start ? fair_earlier(x->start, y->start) : x->vbd->id < y->vbd->id;
}

static const struct heap_ops fair_eligible = {fair_before_finish, NULL};
static const struct heap_ops fair_early = {fair_before_start, NULL};

static uint64_t fair_weight(const struct fair *fair, const struct fair_vbd *v)
{
    return v->own_weight != 0 ? v->own_weight : fair->value[FAIR_WEIGHT];
}

static int fair_create(void *state, const struct blk_disk *disk)
{
    struct fair *fair = state;

    fair->disk = *disk;
    for (uint32_t i = 0; i < FAIR_PARAMS; i++)
        fair->value[i] = fair_params[i].initial;
    return 0;
}

static void fair_vbd_insert(void *state, struct blk_vbd *vbd)
{
    struct fair *fair = state;
    struct fair_vbd *v = vbd->data;

    v->vbd = vbd;
    v->start = v->finish = fair->virtual_time;
    v->budget = fair->value[FAIR_BUDGET];
}

/* ---- Order between VBDs ---- */

/* Queue it with a start and a budget. It counts with its weight already. */
static void fair_enqueue(struct fair *fair, struct fair_vbd *v, uint64_t start)
{
    v->start = start;
    v->finish = start + v->budget * FAIR_UNIT / v->weight;
    if (fair_earlier(fair->virtual_time, start)) {
        v->place = FAIR_EARLY;
        heap_insert(&fair->early, &v->node, &fair_early);
    } else {
        v->place = FAIR_ELIGIBLE;
        heap_insert(&fair->eligible, &v->node, &fair_eligible);
    }
}

/* It had nothing, and now has. Time without demand is not saved up. */
static void fair_activate(struct fair *fair, struct fair_vbd *v)
{
    v->weight = fair_weight(fair, v);
    fair->weights += v->weight;
    fair_enqueue(fair, v, fair_earlier(v->finish, fair->virtual_time) ? fair->virtual_time : v->finish);
}

/* It has nothing any more, and is in no heap. */
static void fair_deactivate(struct fair *fair, struct fair_vbd *v)
{
    v->place = FAIR_OUT;
    fair->weights -= v->weight;
    if (fair->weights == 0)
        fair->carry = 0;
}

static void fair_advance(struct fair *fair, uint64_t sectors)
{
    uint64_t total = sectors * FAIR_UNIT + fair->carry;

    fair->virtual_time += total / fair->weights;
    fair->carry = total % fair->weights;
}

/* The budget of its next turn. */
static void fair_adapt_budget(const struct fair *fair, struct fair_vbd *v, bool slow)
{
    uint64_t wanted = v->budget;

    if (v->used >= v->budget)
        wanted = v->budget * 2;
    else if (!slow)
        wanted = v->used;
    if (wanted < FAIR_BUDGET_LEAST)
        wanted = FAIR_BUDGET_LEAST;
    v->budget = wanted < fair->value[FAIR_BUDGET] ? wanted : fair->value[FAIR_BUDGET];
}

/* The turn of the served one ends. */
static void fair_expire(struct fair *fair, bool slow)
{
    struct fair_vbd *v = fair->served;

    fair_adapt_budget(fair, v, slow);
    if (slow && v->used < fair->value[FAIR_BUDGET]) {
        fair_advance(fair, fair->value[FAIR_BUDGET] - v->used);
        v->used = fair->value[FAIR_BUDGET];
    }
    v->finish = v->start + v->used * FAIR_UNIT / v->weight;
    fair->served = NULL;
    fair_deactivate(fair, v);
    if (v->sorted.count == 0)
        return;
    v->weight = fair_weight(fair, v); /* a new one counts from here */
    fair->weights += v->weight;
    fair_enqueue(fair, v, v->finish);
}

/* Somebody is queued: begin his turn. */
static void fair_select(struct fair *fair, uint64_t now_ns)
{
    struct fair_vbd *v;

    if (fair->eligible.root == NULL && fair_earlier(fair->virtual_time, fair_of(fair->early.root)->start))
        fair->virtual_time = fair_of(fair->early.root)->start;
    while (fair->early.root != NULL && !fair_earlier(fair->virtual_time, fair_of(fair->early.root)->start)) {
        v = fair_of(fair->early.root);
        heap_remove(&fair->early, &v->node, &fair_early);
        v->place = FAIR_ELIGIBLE;
        heap_insert(&fair->eligible, &v->node, &fair_eligible);
    }
    v = fair_of(fair->eligible.root);
    heap_remove(&fair->eligible, &v->node, &fair_eligible);
    v->place = FAIR_SERVED;
    v->used = 0;
    v->since_ns = now_ns;
    v->ended_ns = now_ns;
    fair->served = v;
}

/* ---- Requests ---- */

/* How long the disk should stay with the served one, which has nothing queued; 0: not. */
static uint64_t fair_idle(const struct fair *fair, const struct fair_vbd *v, uint64_t now_ns)
{
    uint64_t idle_ns = fair->value[FAIR_IDLE], waited_ns = v->issued != 0 ? 0 : now_ns - v->ended_ns;

    if (!fair->disk.rotates || !v->reads || v->think_ns > idle_ns)
        return 0;
    return waited_ns < idle_ns ? idle_ns - waited_ns : 0;
}

/* Has it held the disk for too long? Time after its last completion is not its fault. */
static bool fair_overdue(const struct fair *fair, const struct fair_vbd *v, uint64_t now_ns)
{
    uint64_t until_ns = v->sorted.count != 0 || v->issued != 0 ? now_ns : v->ended_ns;

    return until_ns - v->since_ns >= fair->value[FAIR_SLICE];
}

/* A first one after nothing was queued or issued: how quickly has it come? Only whether it is worth waiting matters, so one long pause does not count for more than a doubtful one. */
static void fair_learn_think(const struct fair *fair, struct fair_vbd *v, uint64_t now_ns)
{
    uint64_t think_ns = now_ns - v->ended_ns, most_ns = 2 * fair->value[FAIR_IDLE];

    if (think_ns > most_ns)
        think_ns = most_ns;
    v->think_ns += (think_ns >> FAIR_THINK_SHIFT) - (v->think_ns >> FAIR_THINK_SHIFT);
}

static void fair_insert(void *state, struct blk_request *request, uint64_t now_ns)
{
    struct fair *fair = state;
    struct fair_vbd *v = request->vbd->data;

    if (v->sorted.count == 0 && v->issued == 0) {
        /* Its turn has ended when it was not waited for any longer, though nobody was there to take over. */
        if (v->place == FAIR_SERVED && fair_idle(fair, v, now_ns) == 0)
            fair_expire(fair, fair_overdue(fair, v, now_ns) && v->used < v->budget);
        fair_learn_think(fair, v, now_ns);
    }
    blk_sort_insert(&v->sorted, request->data, request);
    if (v->place == FAIR_OUT)
        fair_activate(fair, v);
}

static void fair_remove(void *state, struct blk_request *request, uint64_t now_ns)
{
    struct fair *fair = state;
    struct fair_vbd *v = request->vbd->data;

    (void)now_ns;
    blk_sort_remove(&v->sorted, request->data);
    if (v->sorted.count != 0 || v->place == FAIR_SERVED)
        return;
    if (v->place == FAIR_EARLY)
        heap_remove(&fair->early, &v->node, &fair_early);
    else
        heap_remove(&fair->eligible, &v->node, &fair_eligible);
    v->finish = v->start; /* it has had no service */
    fair_deactivate(fair, v);
}

/* What is asked of the disk. Discarding is not paid by length: little moves. */
static uint64_t fair_cost(const struct blk_chain *chain)
{
    bool moves = chain->first->op == BLK_READ || chain->first->op == BLK_WRITE;

    return moves || chain->sectors < FAIR_BUDGET_LEAST ? chain->sectors : FAIR_BUDGET_LEAST;
}

static struct blk_decision fair_dispatch(void *state, uint64_t now_ns)
{
    struct fair *fair = state;
    struct fair_vbd *v = fair->served;
    struct blk_chain chain;

    if (v != NULL) {
        bool overdue = fair_overdue(fair, v, now_ns), over = overdue || v->used >= v->budget;
        uint64_t hold_ns = over || v->sorted.count != 0 ? 0 : fair_idle(fair, v, now_ns);

        if (hold_ns != 0)
            return (struct blk_decision){NULL, hold_ns};
        if (over || v->sorted.count == 0)
            fair_expire(fair, overdue && v->used < v->budget);
    }
    if (fair->served == NULL)
        fair_select(fair, now_ns);
    v = fair->served;
    chain = blk_sort_take(&v->sorted, blk_sort_around(&v->sorted, v->position), &fair->disk);
    for (struct blk_request *r = chain.first; r != NULL; r = r->merged)
        v->issued++;
    v->position = chain.last->sector + chain.last->sectors;
    v->reads = chain.first->op == BLK_READ;
    v->used += fair_cost(&chain);
    fair_advance(fair, fair_cost(&chain));
    return (struct blk_decision){chain.first, 0};
}

static void fair_complete(void *state, struct blk_request *request, uint64_t now_ns)
{
    struct fair_vbd *v = request->vbd->data;

    (void)state;
    v->issued--;
    v->ended_ns = now_ns;
}

static void fair_vbd_remove(void *state, struct blk_vbd *vbd)
{
    struct fair *fair = state;

    if (fair->served == vbd->data)
        fair_expire(fair, false);
}

static void fair_param_set(void *state, struct blk_vbd *vbd, uint32_t index, uint64_t value, uint64_t now_ns)
{
    struct fair *fair = state;

    (void)now_ns;
    if (vbd != NULL)
        ((struct fair_vbd *)vbd->data)->own_weight = value; /* counts from its next turn on */
    else
        fair->value[index] = value;
}

static uint64_t fair_param_get(void *state, struct blk_vbd *vbd, uint32_t index)
{
    const struct fair *fair = state;

    return vbd != NULL ? fair_weight(fair, vbd->data) : fair->value[index];
}

const struct blk_sched_ops blk_fair = {
    .name = "fair",
    .summary = "shares by weight: budget fair queueing (B-WF2Q+)",
    .state_bytes = sizeof(struct fair),
    .vbd_bytes = sizeof(struct fair_vbd),
    .request_bytes = sizeof(struct blk_sort_node),
    .params = fair_params,
    .param_count = FAIR_PARAMS,
    .hold_max_ns = FAIR_IDLE_MAX_NS,
    .create = fair_create,
    .vbd_insert = fair_vbd_insert,
    .vbd_remove = fair_vbd_remove,
    .insert = fair_insert,
    .remove = fair_remove,
    .dispatch = fair_dispatch,
    .complete = fair_complete,
    .param_set = fair_param_set,
    .param_get = fair_param_get,
};
