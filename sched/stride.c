/* SPDX-License-Identifier: MIT */
/*
 * Stride scheduling, after Waldspurger and Weihl (MIT/LCS/TM-528, 1995): deterministic proportional shares.
 *
 * Each vCPU has a weight (its tickets) and a pass. The one with the least pass runs for a quantum; then its pass has advanced by its
 * stride, which is inverse to its weight. A global pass advances at the rate of all weights together: it is where a vCPU of average luck would be.
 * Who leaves remembers how far it was ahead of the global pass or behind it, and joins again at the same distance: so
 * time asleep is neither saved up nor lost. A waker preempts nobody before its quantum is over.
 * Pass is in nanoseconds of a vCPU of the default weight; remainders of the divisions are carried, so nothing drifts. Comparisons are by
 * signed difference and survive wrap-around.
 * Contract: <hv/sched-ops.h>. Tests: test-stride.c. Page, with the choices where the paper is silent: docs/concepts/stride.md.
 */
#include <hv/env.h>
#include <hv/heap.h>
#include <hv/sched-ops.h>

#define STRIDE_WEIGHT_DEFAULT 256ull
#define STRIDE_WEIGHT_MAX 65535ull
#define STRIDE_QUANTUM_NS (10ull * 1000 * 1000)
#define STRIDE_QUANTUM_MIN_NS (100ull * 1000)
#define STRIDE_QUANTUM_MAX_NS (1000ull * 1000 * 1000)
#define STRIDE_GIVEN_MAX 2u /* so many quanta of what was given away by yielding can be claimed later */

enum { STRIDE_WEIGHT, STRIDE_QUANTUM, STRIDE_PARAMS };

struct stride {
    uint64_t weight;     /* of domains created later */
    uint64_t quantum_ns; /* atomic: all pCPUs read it */
};

struct stride_domain {
    uint64_t weight; /* of vCPUs created later */
};

struct stride_queue {
    struct heap heap;
    uint64_t pass;       /* the global pass */
    uint64_t carry;      /* remainder of its last advance */
    uint64_t updated_ns; /* it stands where it should be at this time */
    uint64_t weights;    /* sum of the weights of those in the heap */
};

struct stride_vcpu {
    struct heap_node node;
    uint64_t key;    /* place in the heap: pass, or a little more after a yield */
    uint64_t pass;
    uint64_t carry;  /* remainder of its last advance, below `weight` */
    uint64_t remain; /* pass less the global pass when it was last charged or left: signed */
    uint64_t weight;
    uint64_t serial;
    bool queued;
    struct sched_vcpu *vcpu;
};

static inline struct stride_vcpu *stride_of(const struct heap_node *node)
{
    return env_container_of(node, struct stride_vcpu, node);
}

static inline bool stride_earlier(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

static bool stride_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct stride_vcpu *va = stride_of(a), *vb = stride_of(b);

    return va->key != vb->key ? stride_earlier(va->key, vb->key) : va->serial < vb->serial;
}

static const struct heap_ops stride_heap = {stride_before, NULL};

static inline uint64_t stride_quantum(const void *state)
{
    return __atomic_load_n(&((const struct stride *)state)->quantum_ns, __ATOMIC_RELAXED);
}

/*
 * v joins with a pass that is `remain` from the global one (sign 1), or leaves (-1): the global pass follows, so that it stays the average by weight of those that are
 * here. Else each would take a little of the balance along, and after many moves nobody would be near it.
 */
static inline void stride_balance(struct sched_queue *queue, const struct stride_vcpu *v, int64_t sign)
{
    struct stride_queue *rq = queue->data;
    int64_t amount = sign * (int64_t)v->remain * (int64_t)v->weight, half;
    uint64_t total = rq->weights;

    if (queue->running != NULL)
        total += ((const struct stride_vcpu *)queue->running->data)->weight;
    if (total == 0)
        return;
    half = (int64_t)(total / 2);
    rq->pass += (uint64_t)((amount >= 0 ? amount + half : amount - half) / (int64_t)total);
}

/* Let a pass advance by ran_ns of so much weight. */
static inline void stride_advance(uint64_t *pass, uint64_t *carry, uint64_t ran_ns, uint64_t weight)
{
    uint64_t total = ran_ns * STRIDE_WEIGHT_DEFAULT + *carry;

    *pass += total / weight;
    *carry = total % weight;
}

/* Bring the global pass up to now. It moves only while somebody runs. */
static inline void stride_update(struct sched_queue *queue, uint64_t now_ns)
{
    struct stride_queue *rq = queue->data;

    if (queue->running != NULL) {
        const struct stride_vcpu *running = queue->running->data;

        stride_advance(&rq->pass, &rq->carry, now_ns - rq->updated_ns, rq->weights + running->weight);
    }
    rq->updated_ns = now_ns;
}

static inline void stride_insert(struct stride_queue *rq, struct stride_vcpu *v)
{
    v->queued = true;
    rq->weights += v->weight;
    heap_insert(&rq->heap, &v->node, &stride_heap);
}

static inline void stride_remove(struct stride_queue *rq, struct stride_vcpu *v)
{
    v->queued = false;
    rq->weights -= v->weight;
    heap_remove(&rq->heap, &v->node, &stride_heap);
}

static uint64_t stride_enqueue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, enum sched_reason reason,
                               uint64_t now_ns)
{
    struct stride_queue *rq = queue->data;
    struct stride_vcpu *v = vcpu->data;
    uint64_t ran_ns, quantum_ns;

    stride_update(queue, now_ns);
    if (reason != SCHED_AGAIN)
        v->pass = rq->pass + v->remain;
    v->key = v->pass;
    stride_insert(rq, v);
    if (reason != SCHED_AGAIN)
        stride_balance(queue, v, 1);
    if (rq->heap.count > 1)
        return SCHED_KEEP; /* the running one has its quantum already */
    quantum_ns = stride_quantum(state);
    ran_ns = now_ns - queue->charged_ns;
    return ran_ns < quantum_ns ? quantum_ns - ran_ns : 0;
}

static void stride_dequeue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct stride_queue *rq = queue->data;
    struct stride_vcpu *v = vcpu->data;

    (void)state;
    stride_update(queue, now_ns);
    stride_remove(rq, v);
    v->remain = v->pass - rq->pass;
    stride_balance(queue, v, -1);
}

static void stride_sleep(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    stride_balance(queue, vcpu->data, -1);
}

/* Just behind whoever is first, for once. Its pass stays, so it may have the time back; but a great claim lapses, or it could keep the pCPU for itself one day. */
static void stride_yield(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct stride_queue *rq = queue->data;
    struct stride_vcpu *v = vcpu->data;
    const struct stride_vcpu *first = rq->heap.root != NULL ? stride_of(rq->heap.root) : v;
    uint64_t least = first->pass - STRIDE_GIVEN_MAX * stride_quantum(state) * STRIDE_WEIGHT_DEFAULT / v->weight;

    (void)now_ns;
    v->remain = stride_earlier(v->pass, least) ? least - v->pass : 0;
    v->pass += v->remain;
    v->key = v->pass;
    if (first != v && !stride_earlier(first->key, v->key))
        v->key = first->key + 1;
    stride_insert(rq, v);
    stride_balance(queue, v, 1);
}

static struct sched_decision stride_pick_next(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    struct stride_queue *rq = queue->data;
    struct stride_vcpu *v = stride_of(rq->heap.root);

    rq->updated_ns = now_ns; /* while the pCPU stood idle, nothing has moved */
    stride_remove(rq, v);
    return (struct sched_decision){v->vcpu, rq->heap.root == NULL ? SCHED_UNTIL_BLOCK : stride_quantum(state)};
}

static void stride_charge(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t ran_ns,
                          uint64_t now_ns)
{
    struct stride_queue *rq = queue->data;
    struct stride_vcpu *v = vcpu->data;

    (void)state;
    stride_update(queue, now_ns);
    stride_advance(&v->pass, &v->carry, ran_ns, v->weight);
    v->remain = v->pass - rq->pass; /* should it leave now */
}

static const struct sched_parameter stride_params[STRIDE_PARAMS] = {
    [STRIDE_WEIGHT] = {"weight", SCHED_PARAM_UINT, 7, 1, STRIDE_WEIGHT_MAX, STRIDE_WEIGHT_DEFAULT, "tickets: share relative to others"},
    [STRIDE_QUANTUM] = {"quantum_ns", SCHED_PARAM_NS, SCHED_SCOPE_MODULE, STRIDE_QUANTUM_MIN_NS, STRIDE_QUANTUM_MAX_NS,
                        STRIDE_QUANTUM_NS, "how long each runs while others wait, in ns"},
};

static int stride_create(void *state, const struct sched_machine *machine)
{
    struct stride *stride = state;

    (void)machine;
    stride->weight = STRIDE_WEIGHT_DEFAULT;
    stride->quantum_ns = STRIDE_QUANTUM_NS;
    return 0;
}

static void stride_queue_init(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    (void)state;
    ((struct stride_queue *)queue->data)->updated_ns = now_ns;
}

static void stride_domain_insert(void *state, struct sched_domain *domain)
{
    ((struct stride_domain *)domain->data)->weight = ((const struct stride *)state)->weight;
}

/*
 * A new one begins a stride behind the global pass, as in the paper: creating vCPUs is no way to get ahead. One that comes from another module with
 * all the others is no newer than they.
 */
static void stride_vcpu_insert(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    const struct stride_queue *rq = queue->data;
    struct stride_vcpu *v = vcpu->data;

    (void)now_ns;
    v->vcpu = vcpu;
    v->serial = vcpu->serial;
    v->weight = ((const struct stride_domain *)vcpu->domain->data)->weight;
    v->remain = stride_quantum(state) * STRIDE_WEIGHT_DEFAULT / v->weight;
    v->pass = rq->pass;
    if (vcpu->place != SCHED_OUT)
        v->remain = 0;
}

/* How far it is from the global pass is its claim in quanta: that stays, so the distance grows or shrinks with the stride. */
static void stride_set_weight(struct sched_queue *queue, struct stride_vcpu *v, uint64_t weight, uint64_t now_ns)
{
    struct stride_queue *rq = queue->data;
    bool queued = v->queued;
    int64_t remain;

    stride_update(queue, now_ns);
    remain = queued || v->vcpu->place == SCHED_RUNNING ? (int64_t)(v->pass - rq->pass) : (int64_t)v->remain;
    if (queued)
        stride_remove(rq, v);
    v->remain = (uint64_t)(remain * (int64_t)v->weight / (int64_t)weight);
    v->pass = rq->pass + v->remain;
    v->key = v->pass;
    v->weight = weight;
    v->carry = 0;
    if (queued)
        stride_insert(rq, v);
}

static void stride_param_set(void *state, const struct sched_target *target, uint32_t index, uint64_t value,
                             uint64_t now_ns)
{
    struct stride *stride = state;

    if (index == STRIDE_QUANTUM)
        __atomic_store_n(&stride->quantum_ns, value, __ATOMIC_RELAXED);
    else if (target->vcpu != NULL)
        stride_set_weight(target->queue, target->vcpu->data, value, now_ns);
    else if (target->domain != NULL)
        ((struct stride_domain *)target->domain->data)->weight = value;
    else
        stride->weight = value;
}

static uint64_t stride_param_get(void *state, const struct sched_target *target, uint32_t index)
{
    const struct stride *stride = state;

    if (index == STRIDE_QUANTUM)
        return stride->quantum_ns;
    if (target->vcpu != NULL)
        return ((const struct stride_vcpu *)target->vcpu->data)->weight;
    if (target->domain != NULL)
        return ((const struct stride_domain *)target->domain->data)->weight;
    return stride->weight;
}

const struct sched_ops sched_stride = {
    .name = "stride",
    .summary = "stride scheduling: deterministic shares by weight",
    .state_bytes = sizeof(struct stride),
    .queue_bytes = sizeof(struct stride_queue),
    .domain_bytes = sizeof(struct stride_domain),
    .vcpu_bytes = sizeof(struct stride_vcpu),
    .params = stride_params,
    .param_count = STRIDE_PARAMS,
    .create = stride_create,
    .queue_init = stride_queue_init,
    .domain_insert = stride_domain_insert,
    .vcpu_insert = stride_vcpu_insert,
    .enqueue = stride_enqueue,
    .dequeue = stride_dequeue,
    .yield = stride_yield,
    .pick_next = stride_pick_next,
    .charge = stride_charge,
    .sleep = stride_sleep,
    .param_set = stride_param_set,
    .param_get = stride_param_get,
};
