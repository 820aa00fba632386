/* SPDX-License-Identifier: MIT */
/*
 * Borrowed virtual time, after Duda and Cheriton (SOSP 1999): weighted fair sharing, and low latency on loan.
 *
 * Each vCPU has an actual virtual time A that advances, while it runs, at a rate inverse to its weight. The one with the least effective
 * virtual time E runs, where E = A, or A - W while it is warped: it borrows W from its own future, so that it is
 * dispatched first when an event wakes it, and pays by waiting later. Its long-term share stays what its weight says.
 * Queued vCPUs are a heap by E in which each node also knows the least A below it, so that scheduler virtual time is exact.
 * Virtual time is in nanoseconds of a vCPU of the default weight; the division's remainder is carried, so nothing drifts. Comparisons are
 * by signed difference and survive wrap-around.
 * Contract: <hv/sched-ops.h>. Tests: test-bvt.c. Page, with the choices where the paper is silent: docs/concepts/bvt.md.
 */
#include <hv/env.h>
#include <hv/heap.h>
#include <hv/sched-ops.h>

#define BVT_WEIGHT_DEFAULT 256ull
#define BVT_WEIGHT_MAX 65535ull
#define BVT_ALLOWANCE_NS (5ull * 1000 * 1000)
#define BVT_ALLOWANCE_MIN_NS (100ull * 1000)
#define BVT_ALLOWANCE_MAX_NS (1000ull * 1000 * 1000)
#define BVT_WARP_MAX_NS (60ull * 1000 * 1000 * 1000)
#define BVT_SLICE_MAX_NS (1000ull * 1000 * 1000)
#define BVT_GIVEN_MAX 4u /* so many times C of what was given away by yielding can be claimed later */

enum { BVT_WEIGHT, BVT_ALLOWANCE, BVT_WARP, BVT_WARP_LIMIT, BVT_UNWARP, BVT_PARAMS };

struct bvt_settings {
    uint64_t value[BVT_PARAMS];
};

struct bvt {
    struct bvt_settings initial; /* of domains created later */
};

struct bvt_domain {
    struct bvt_settings initial; /* of vCPUs created later */
};

struct bvt_queue {
    struct heap heap;
    uint64_t svt; /* scheduler virtual time: the least A among the runnable when last looked at; kept while nobody is */
};

struct bvt_vcpu {
    struct heap_node node;
    uint64_t key;     /* place in the heap: E, or a little more after a yield */
    uint64_t least;   /* least A in its subtree */
    uint64_t avt;     /* A */
    uint64_t carry;   /* remainder of the last advance, below `weight` */
    uint64_t warp;    /* W while warped, else 0 */
    uint64_t warp_used_ns; /* run while warped since the last full unwarp time */
    uint64_t warp_last_ns; /* when it last ran warped */
    uint64_t serial;
    struct sched_vcpu *vcpu;
    struct bvt_settings set;
};

static inline struct bvt_vcpu *bvt_of(const struct heap_node *node)
{
    return env_container_of(node, struct bvt_vcpu, node);
}

/* a is earlier than b in virtual time. */
static inline bool bvt_earlier(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

static bool bvt_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct bvt_vcpu *va = bvt_of(a), *vb = bvt_of(b);

    return va->key != vb->key ? bvt_earlier(va->key, vb->key) : va->serial < vb->serial;
}

static void bvt_update(struct heap_node *node)
{
    struct bvt_vcpu *v = bvt_of(node);

    v->least = v->avt;
    if (node->left != NULL && bvt_earlier(bvt_of(node->left)->least, v->least))
        v->least = bvt_of(node->left)->least;
    if (node->right != NULL && bvt_earlier(bvt_of(node->right)->least, v->least))
        v->least = bvt_of(node->right)->least;
}

static const struct heap_ops bvt_heap = {bvt_before, bvt_update};

/* A after it has run so much longer. */
static inline uint64_t bvt_avt_after(const struct bvt_vcpu *v, uint64_t ran_ns)
{
    return v->avt + (ran_ns * BVT_WEIGHT_DEFAULT + v->carry) / v->set.value[BVT_WEIGHT];
}

/* The running vCPU's A at this moment. */
static inline uint64_t bvt_avt_now(const struct sched_queue *queue, uint64_t now_ns)
{
    return bvt_avt_after(queue->running->data, now_ns - queue->charged_ns);
}

/* Scheduler virtual time, brought up to date: the least of what is queued and of `avt`. It never goes back. */
static inline void bvt_raise_svt(struct bvt_queue *rq, uint64_t avt)
{
    if (rq->heap.root != NULL && bvt_earlier(bvt_of(rq->heap.root)->least, avt))
        avt = bvt_of(rq->heap.root)->least;
    if (bvt_earlier(rq->svt, avt))
        rq->svt = avt;
}

static uint64_t bvt_svt(struct sched_queue *queue, uint64_t now_ns)
{
    struct bvt_queue *rq = queue->data;

    if (queue->running != NULL)
        bvt_raise_svt(rq, bvt_avt_now(queue, now_ns));
    else if (rq->heap.root != NULL)
        bvt_raise_svt(rq, bvt_of(rq->heap.root)->least);
    return rq->svt;
}

/*
 * How long v, whose E is now evt, may run on: until it is C ahead of the first in the heap, or its warp time is used up.
 * C shields it from an equal claim only; against a warped one it counts for nothing.
 */
static uint64_t bvt_slice(const struct bvt_queue *rq, const struct bvt_vcpu *v, uint64_t evt, uint64_t warped_ns)
{
    const struct bvt_vcpu *first;
    uint64_t weight = v->set.value[BVT_WEIGHT], limit_ns = v->set.value[BVT_WARP_LIMIT];
    uint64_t slice_ns = 0, rival;

    if (rq->heap.root == NULL)
        return SCHED_UNTIL_BLOCK;
    first = bvt_of(rq->heap.root);
    rival = first->avt - first->warp; /* not its key: what one that has yielded may claim again after this */
    if (bvt_earlier(evt, rival)) {
        uint64_t lead = rival - evt, most = BVT_SLICE_MAX_NS * BVT_WEIGHT_DEFAULT / weight;

        slice_ns = ((lead < most ? lead : most) * weight + BVT_WEIGHT_DEFAULT - 1) / BVT_WEIGHT_DEFAULT;
        if (first->warp == 0)
            slice_ns += v->set.value[BVT_ALLOWANCE];
    } else if (first->warp == 0) {
        uint64_t over_ns = (evt - rival) * weight / BVT_WEIGHT_DEFAULT;

        if (over_ns < v->set.value[BVT_ALLOWANCE])
            slice_ns = v->set.value[BVT_ALLOWANCE] - over_ns;
    }
    if (v->warp != 0 && limit_ns != 0) {
        uint64_t left_ns = limit_ns > warped_ns ? limit_ns - warped_ns : 0;

        if (left_ns < slice_ns)
            slice_ns = left_ns;
    }
    return slice_ns < BVT_SLICE_MAX_NS ? slice_ns : BVT_SLICE_MAX_NS;
}

/* On waking: may it borrow? */
static uint64_t bvt_warp_on_wake(struct bvt_vcpu *v, uint64_t now_ns)
{
    uint64_t limit_ns = v->set.value[BVT_WARP_LIMIT];

    if (v->set.value[BVT_WARP] == 0)
        return 0;
    if (now_ns - v->warp_last_ns >= v->set.value[BVT_UNWARP])
        v->warp_used_ns = 0;
    return limit_ns == 0 || v->warp_used_ns < limit_ns ? v->set.value[BVT_WARP] : 0;
}

static uint64_t bvt_enqueue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, enum sched_reason reason,
                            uint64_t now_ns)
{
    struct bvt_queue *rq = queue->data;
    struct bvt_vcpu *v = vcpu->data;
    const struct bvt_vcpu *running;

    (void)state;
    if (reason == SCHED_WAKE) {
        uint64_t svt = bvt_svt(queue, now_ns);

        /* Time asleep is not saved up. */
        if (bvt_earlier(v->avt, svt))
            v->avt = svt;
        v->warp = bvt_warp_on_wake(v, now_ns);
    }
    v->key = v->avt - v->warp;
    heap_insert(&rq->heap, &v->node, &bvt_heap);
    if (queue->running == NULL || rq->heap.root != &v->node)
        return SCHED_KEEP;
    running = queue->running->data;
    return bvt_slice(rq, running, bvt_avt_now(queue, now_ns) - running->warp,
                     running->warp_used_ns + (now_ns - queue->charged_ns));
}

static void bvt_dequeue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct bvt_queue *rq = queue->data;
    struct bvt_vcpu *v = vcpu->data;

    (void)state;
    bvt_svt(queue, now_ns); /* so that it is not forgotten if this was the last */
    heap_remove(&rq->heap, &v->node, &bvt_heap);
}

/* What v has given away by yielding lapses, but for the last: else it could save up a claim without bound, and one day leave the pCPU to nobody. */
static void bvt_lapse(const struct bvt_vcpu *first, struct bvt_vcpu *v)
{
    uint64_t c = v->set.value[BVT_ALLOWANCE], weight = v->set.value[BVT_WEIGHT], oldest;

    /* C of the one that counts most in virtual time; a smaller claim would not count against the other's C. */
    if (first->set.value[BVT_ALLOWANCE] > c)
        c = first->set.value[BVT_ALLOWANCE];
    if (first->set.value[BVT_WEIGHT] < weight)
        weight = first->set.value[BVT_WEIGHT];
    oldest = first->least - BVT_GIVEN_MAX * c * BVT_WEIGHT_DEFAULT / weight;
    if (bvt_earlier(v->avt, oldest))
        v->avt = oldest;
}

/* Just behind whoever is first, for once; the claim that A gives stays for a while. */
static void bvt_yield(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct bvt_queue *rq = queue->data;
    struct bvt_vcpu *v = vcpu->data;

    (void)state, (void)now_ns;
    if (rq->heap.root != NULL)
        bvt_lapse(bvt_of(rq->heap.root), v);
    v->key = v->avt - v->warp;
    if (rq->heap.root != NULL && !bvt_earlier(bvt_of(rq->heap.root)->key, v->key))
        v->key = bvt_of(rq->heap.root)->key + 1;
    heap_insert(&rq->heap, &v->node, &bvt_heap);
}

static struct sched_decision bvt_pick_next(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    struct bvt_queue *rq = queue->data;
    struct bvt_vcpu *v = bvt_of(rq->heap.root);
    uint64_t slice_ns;

    (void)state, (void)now_ns;
    heap_remove(&rq->heap, &v->node, &bvt_heap);
    slice_ns = bvt_slice(rq, v, v->avt - v->warp, v->warp_used_ns);
    if (slice_ns < BVT_ALLOWANCE_MIN_NS)
        slice_ns = BVT_ALLOWANCE_MIN_NS; /* a switch must be worth its cost, whoever else is warped */
    return (struct sched_decision){v->vcpu, slice_ns};
}

static void bvt_charge(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t ran_ns,
                       uint64_t now_ns)
{
    struct bvt_queue *rq = queue->data;
    struct bvt_vcpu *v = vcpu->data;
    uint64_t weight = v->set.value[BVT_WEIGHT];
    uint64_t total = ran_ns * BVT_WEIGHT_DEFAULT + v->carry;

    (void)state;
    v->avt += total / weight;
    v->carry = total % weight;
    if (v->warp != 0) {
        v->warp_used_ns += ran_ns;
        v->warp_last_ns = now_ns;
        if (v->set.value[BVT_WARP_LIMIT] != 0 && v->warp_used_ns >= v->set.value[BVT_WARP_LIMIT])
            v->warp = 0;
    }
    /* Now, while it still counts: if it blocks, and nobody else is runnable, this is where virtual time stands. */
    bvt_raise_svt(rq, v->avt);
}

/* Virtual time is each queue's own: keep the lead over it. One that was behind all others is first here, too. */
static void bvt_move(void *state, struct sched_queue *from, struct sched_queue *to, struct sched_vcpu *vcpu,
                     uint64_t now_ns)
{
    struct bvt_vcpu *v = vcpu->data;
    uint64_t svt = bvt_svt(from, now_ns);

    (void)state;
    v->avt = bvt_svt(to, now_ns) + (bvt_earlier(v->avt, svt) ? 0 : v->avt - svt);
}

static const struct sched_parameter bvt_params[BVT_PARAMS] = {
    [BVT_WEIGHT] = {"weight", SCHED_PARAM_UINT, 7, 1, BVT_WEIGHT_MAX, BVT_WEIGHT_DEFAULT, "share relative to others"},
    [BVT_ALLOWANCE] = {"allowance_ns", SCHED_PARAM_NS, 7, BVT_ALLOWANCE_MIN_NS, BVT_ALLOWANCE_MAX_NS, BVT_ALLOWANCE_NS,
                       "C: how far it may run ahead of an equal claim, in ns of real time"},
    [BVT_WARP] = {"warp_ns", SCHED_PARAM_NS, 7, 0, BVT_WARP_MAX_NS, 0,
                  "W: what it borrows on waking, in ns of virtual time; 0: never warps"},
    [BVT_WARP_LIMIT] = {"warp_limit_ns", SCHED_PARAM_NS, 7, 0, BVT_WARP_MAX_NS, 0,
                        "L: how long it may run warped, in ns of real time; 0: no limit"},
    [BVT_UNWARP] = {"unwarp_ns", SCHED_PARAM_NS, 7, 0, BVT_WARP_MAX_NS, 0,
                    "U: how long it must not have run warped before L begins anew, in ns"},
};

static int bvt_create(void *state, const struct sched_machine *machine)
{
    struct bvt *bvt = state;

    (void)machine;
    for (uint32_t i = 0; i < BVT_PARAMS; i++)
        bvt->initial.value[i] = bvt_params[i].initial;
    return 0;
}

static void bvt_domain_insert(void *state, struct sched_domain *domain)
{
    const struct bvt *bvt = state;
    struct bvt_domain *d = domain->data;

    d->initial = bvt->initial;
}

static void bvt_vcpu_insert(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    const struct bvt_queue *rq = queue->data;
    const struct bvt_domain *d = vcpu->domain->data;
    struct bvt_vcpu *v = vcpu->data;

    (void)state;
    v->vcpu = vcpu;
    v->serial = vcpu->serial;
    v->set = d->initial;
    v->avt = rq->svt;
    v->warp_last_ns = now_ns - v->set.value[BVT_UNWARP];
}

static struct bvt_settings *bvt_settings_of(void *state, const struct sched_target *target)
{
    if (target->vcpu != NULL)
        return &((struct bvt_vcpu *)target->vcpu->data)->set;
    if (target->domain != NULL)
        return &((struct bvt_domain *)target->domain->data)->initial;
    return &((struct bvt *)state)->initial;
}

static void bvt_param_set(void *state, const struct sched_target *target, uint32_t index, uint64_t value,
                          uint64_t now_ns)
{
    bvt_settings_of(state, target)->value[index] = value;
    (void)now_ns;
    if (target->vcpu == NULL)
        return;
    if (index == BVT_WEIGHT) {
        ((struct bvt_vcpu *)target->vcpu->data)->carry = 0;
    } else if (index == BVT_WARP) {
        struct bvt_vcpu *v = target->vcpu->data;
        struct bvt_queue *rq = target->queue->data;

        if (v->warp == 0)
            return; /* from its next wake on */
        v->warp = value;
        if (target->vcpu->place == SCHED_WAITING) {
            v->key = v->avt - v->warp;
            heap_changed(&rq->heap, &v->node, &bvt_heap);
        }
    }
}

static uint64_t bvt_param_get(void *state, const struct sched_target *target, uint32_t index)
{
    return bvt_settings_of(state, target)->value[index];
}

const struct sched_ops sched_bvt = {
    .name = "bvt",
    .summary = "borrowed virtual time: weighted shares, warped wake-ups",
    .state_bytes = sizeof(struct bvt),
    .queue_bytes = sizeof(struct bvt_queue),
    .domain_bytes = sizeof(struct bvt_domain),
    .vcpu_bytes = sizeof(struct bvt_vcpu),
    .params = bvt_params,
    .param_count = BVT_PARAMS,
    .create = bvt_create,
    .domain_insert = bvt_domain_insert,
    .vcpu_insert = bvt_vcpu_insert,
    .enqueue = bvt_enqueue,
    .dequeue = bvt_dequeue,
    .yield = bvt_yield,
    .pick_next = bvt_pick_next,
    .charge = bvt_charge,
    .move = bvt_move,
    .param_set = bvt_param_set,
    .param_get = bvt_param_get,
};
