/* SPDX-License-Identifier: MIT */
/*
 * Credit: shares by weight over the whole machine, with caps, work-conserving otherwise; after Xen's credit scheduler (Cherkasova, Gupta and Vahdat
 * 2007; Ongaro, Cox and Rixner 2008).
 *
 * A domain has one account for all its vCPUs on all pCPUs: `used`, what it has run divided by its weight. Who has used least runs next. A pCPU that is about to run
 * somebody looks every few milliseconds for one who waits elsewhere and has used less; so shares even out over the machine. A domain is UNDER while it has used less than
 * the average (`fair`), else OVER: one that wakes while UNDER is boosted and comes first for a tick. A domain with a cap is parked
 * when it has used its cap of this 30 ms period.
 *
 * `fair` is the average of `used` over the active domains by weight. Whatever moves one of them moves it accordingly, so credits (weight times fair less used)
 * always add up to nothing, and nobody has to walk over domains.
 * Accounts are shared by all pCPUs: single atomic operations, and a race between two of them is an error of nanoseconds.
 * Contract: <hv/sched-ops.h>. Tests: test-credit.c. Page, with the choices: docs/concepts/credit.md.
 */
#include <hv/env.h>
#include <hv/heap.h>
#include <hv/list.h>
#include <hv/sched-ops.h>

#define CREDIT_WEIGHT_DEFAULT 256ull
#define CREDIT_WEIGHT_MAX 65535ull
#define CREDIT_CAP_MAX 6400ull /* percent of a pCPU */
#define CREDIT_PERIOD_NS (30ull * 1000 * 1000)
#define CREDIT_TICK_NS (10ull * 1000 * 1000)
#define CREDIT_RUN_MIN_NS (100ull * 1000) /* a decision holds so long at least */
#define CREDIT_SLICE_NS (30ull * 1000 * 1000)
#define CREDIT_SLICE_MIN_NS (1000ull * 1000)
#define CREDIT_SLICE_MAX_NS (1000ull * 1000 * 1000)
#define CREDIT_RATELIMIT_NS (1000ull * 1000)
#define CREDIT_SAVED_NS (30ll * 1000 * 1000) /* what one that comes to a queue may have used less than all others there, in time of its own */
#define CREDIT_OWED_NS (10ll * 1000 * 1000)  /* and more */
#define CREDIT_PARK_MAX_NS (1000ull * 1000 * 1000)
#define CREDIT_UNIT 65536ull /* of `used` and `fair`: a nanosecond at weight 1; wraps around, compared by difference */
#define CREDIT_LOOKS 4u

enum { CREDIT_WEIGHT, CREDIT_CAP, CREDIT_SLICE, CREDIT_RATELIMIT, CREDIT_PARAMS };
enum credit_class { CREDIT_NONE, CREDIT_BOOST, CREDIT_SHARE, CREDIT_PARKED };

/* All atomic, except what is said to be a setting: written under the administration lock, read anywhere. */
struct credit {
    uint64_t fair;   /* average of `used` over active domains */
    uint64_t weight; /* sum of the weights of active domains */
    uint64_t initial[CREDIT_PARAMS]; /* settings */
    uint32_t cpu_count;
};

struct credit_domain {
    uint64_t used;          /* run time by weight */
    uint32_t active;        /* its vCPUs that wait or run, the parked ones not counted */
    uint64_t weight, cap;   /* settings; cap in percent of a pCPU, 0: none */
    uint64_t period;        /* number of the 30 ms period for which the cap was last refilled */
    int64_t allowance_ns;   /* left of the cap */
};

struct credit_queue {
    struct list_node boost;        /* first come, first served */
    struct heap share;             /* by what their domains have used */
    struct heap parked;            /* by when the cap is refilled */
    uint64_t arrivals;             /* a counter: the tie-break */
    uint64_t slice_end_ns;         /* of what runs */
    uint64_t spent_ns;             /* what runs has been taken from its domain's account up to this time */
};

struct credit_vcpu {
    struct list_node link;
    struct heap_node node;
    uint64_t key;      /* in share: used; in parked: time */
    uint64_t arrival;
    uint8_t class;     /* where it is queued */
    bool boosted;      /* woken while UNDER, and has not run for a tick since */
    bool counted;      /* in its domain's `active` */
    bool yielded;
    uint64_t boost_ran_ns;
    struct sched_vcpu *vcpu;
};

/* ---- Accounts ---- */

static inline struct credit_domain *credit_domain_of(const struct credit_vcpu *v)
{
    return v->vcpu->domain->data;
}

static inline uint64_t credit_load(const uint64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static inline void credit_add(uint64_t *value, uint64_t by)
{
    __atomic_fetch_add(value, by, __ATOMIC_RELAXED);
}

/* amount / weight, to the nearest; amount is signed. */
static inline uint64_t credit_divide(int64_t amount, uint64_t weight)
{
    int64_t half = (int64_t)(weight / 2);

    return weight == 0 ? 0 : (uint64_t)((amount >= 0 ? amount + half : amount - half) / (int64_t)weight);
}

static inline bool credit_is_under(const struct credit *credit, const struct credit_domain *d)
{
    return (int64_t)(credit_load(&credit->fair) - credit_load(&d->used)) >= 0;
}

/* How much more b has used than a, in time of a. */
static inline int64_t credit_lead(const struct credit_domain *a, const struct credit_domain *b)
{
    return (int64_t)(credit_load(&b->used) - credit_load(&a->used)) / (int64_t)CREDIT_UNIT * (int64_t)credit_load(&a->weight);
}

static void credit_spend(struct credit *credit, struct credit_domain *d, uint64_t ran_ns)
{
    credit_add(&d->used, credit_divide((int64_t)(ran_ns * CREDIT_UNIT), credit_load(&d->weight)));
    credit_add(&credit->fair, credit_divide((int64_t)(ran_ns * CREDIT_UNIT), credit_load(&credit->weight)));
}

/* `used` of d, as near to `origin` as one may be who comes there: what was saved or owed beyond that is forgotten. */
static uint64_t credit_near(const struct credit_domain *d, uint64_t origin)
{
    int64_t weight = (int64_t)credit_load(&d->weight), ahead = (int64_t)(credit_load(&d->used) - origin);
    int64_t most = CREDIT_OWED_NS * (int64_t)CREDIT_UNIT / weight, least = -CREDIT_SAVED_NS * (int64_t)CREDIT_UNIT / weight;

    return origin + (uint64_t)(ahead > most ? most : ahead < least ? least : ahead);
}

/* The domain counts among the active from now on, near to `origin`. While it did not, the others went on: so it has credit. */
static void credit_domain_join(struct credit *credit, struct credit_domain *d, uint64_t origin)
{
    uint64_t weight = credit_load(&d->weight), used = credit_near(d, origin), total;
    int64_t behind = (int64_t)(credit_load(&credit->fair) - used);

    __atomic_store_n(&d->used, used, __ATOMIC_RELAXED);
    total = __atomic_add_fetch(&credit->weight, weight, __ATOMIC_RELAXED);
    credit_add(&credit->fair, -credit_divide(behind * (int64_t)weight, total));
}

static void credit_domain_leave(struct credit *credit, struct credit_domain *d)
{
    uint64_t weight = credit_load(&d->weight);
    int64_t behind = (int64_t)(credit_load(&credit->fair) - credit_load(&d->used));
    uint64_t total = __atomic_sub_fetch(&credit->weight, weight, __ATOMIC_RELAXED);

    credit_add(&credit->fair, credit_divide(behind * (int64_t)weight, total));
}

/* One of the active comes near to `origin`. */
static void credit_domain_approach(struct credit *credit, struct credit_domain *d, uint64_t origin)
{
    uint64_t weight = credit_load(&d->weight);
    int64_t moves = (int64_t)(credit_near(d, origin) - credit_load(&d->used));

    if (moves == 0)
        return;
    credit_add(&d->used, (uint64_t)moves);
    credit_add(&credit->fair, credit_divide(moves * (int64_t)weight, credit_load(&credit->weight)));
}

static void credit_join(struct credit *credit, struct credit_vcpu *v, uint64_t origin)
{
    struct credit_domain *d = credit_domain_of(v);

    if (v->counted)
        return;
    v->counted = true;
    if (__atomic_fetch_add(&d->active, 1, __ATOMIC_RELAXED) == 0)
        credit_domain_join(credit, d, origin);
    else
        credit_domain_approach(credit, d, origin);
}

static void credit_leave(struct credit *credit, struct credit_vcpu *v)
{
    struct credit_domain *d = credit_domain_of(v);

    if (!v->counted)
        return;
    v->counted = false;
    if (__atomic_sub_fetch(&d->active, 1, __ATOMIC_RELAXED) == 0)
        credit_domain_leave(credit, d);
}

/* ---- Caps ---- */

static inline int64_t credit_cap_ns(const struct credit_domain *d)
{
    return (int64_t)(credit_load(&d->cap) * CREDIT_PERIOD_NS / 100);
}

/* What is left of the cap, after a refill for each period that has begun. Whoever comes first refills. */
static int64_t credit_allowance(struct credit_domain *d, uint64_t now_ns)
{
    uint64_t period = now_ns / CREDIT_PERIOD_NS, last = credit_load(&d->period);

    if (period > last && __atomic_compare_exchange_n(&d->period, &last, period, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        int64_t cap_ns = credit_cap_ns(d), left_ns = __atomic_load_n(&d->allowance_ns, __ATOMIC_RELAXED);
        uint64_t periods = period - last < 64 ? period - last : 64;
        int64_t refill_ns = (int64_t)periods * cap_ns;

        if (left_ns + refill_ns > cap_ns)
            refill_ns = cap_ns - left_ns; /* what was not used is not saved up */
        __atomic_fetch_add(&d->allowance_ns, refill_ns, __ATOMIC_RELAXED);
    }
    return __atomic_load_n(&d->allowance_ns, __ATOMIC_RELAXED);
}

/* When a domain that has used its cap may run again: if it ran too long, not at the next refill but a later one. */
static uint64_t credit_refill_ns(const struct credit_domain *d, int64_t allowance_ns, uint64_t now_ns)
{
    int64_t cap_ns = credit_cap_ns(d);
    uint64_t periods = 1 + (uint64_t)(-allowance_ns / (cap_ns > 0 ? cap_ns : 1));
    uint64_t at_ns = (now_ns / CREDIT_PERIOD_NS + periods) * CREDIT_PERIOD_NS;

    return at_ns < now_ns + CREDIT_PARK_MAX_NS ? at_ns : now_ns + CREDIT_PARK_MAX_NS;
}

/* ---- Queues ---- */

static inline struct credit_vcpu *credit_of_node(const struct heap_node *node)
{
    return env_container_of(node, struct credit_vcpu, node);
}

static bool credit_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct credit_vcpu *va = credit_of_node(a), *vb = credit_of_node(b);

    return va->key != vb->key ? (int64_t)(va->key - vb->key) < 0 : va->arrival < vb->arrival;
}

static const struct heap_ops credit_heap = {credit_before, NULL};

/* Where one that comes here begins: by the least used of those that are here, or the average if nobody is. */
static uint64_t credit_origin(const struct credit *credit, const struct sched_queue *queue)
{
    const struct credit_queue *rq = queue->data;
    const struct credit_domain *d = NULL;

    if (rq->share.root != NULL)
        d = credit_domain_of(credit_of_node(rq->share.root));
    if (queue->running != NULL) {
        const struct credit_domain *running = queue->running->domain->data;

        if (d == NULL || (int64_t)(credit_load(&running->used) - credit_load(&d->used)) < 0)
            d = running;
    }
    return credit_load(d != NULL ? &d->used : &credit->fair);
}

/* Queue v where it belongs at this moment. Its turn among equals is by v->arrival. */
static void credit_place(struct credit *credit, struct sched_queue *queue, struct credit_vcpu *v, uint64_t now_ns)
{
    struct credit_queue *rq = queue->data;
    struct credit_domain *d = credit_domain_of(v);
    int64_t allowance_ns = credit_load(&d->cap) != 0 ? credit_allowance(d, now_ns) : 1;

    if (allowance_ns <= 0) {
        credit_leave(credit, v);
        v->class = CREDIT_PARKED;
        v->key = credit_refill_ns(d, allowance_ns, now_ns);
        heap_insert(&rq->parked, &v->node, &credit_heap);
        return;
    }
    credit_join(credit, v, credit_origin(credit, queue));
    if (v->boosted) {
        v->class = CREDIT_BOOST;
        list_push_back(&rq->boost, &v->link);
    } else {
        v->class = CREDIT_SHARE;
        v->key = credit_load(&d->used);
        heap_insert(&rq->share, &v->node, &credit_heap);
    }
}

static void credit_insert(struct credit *credit, struct sched_queue *queue, struct credit_vcpu *v, uint64_t now_ns)
{
    v->arrival = ((struct credit_queue *)queue->data)->arrivals++;
    credit_place(credit, queue, v, now_ns);
}

static void credit_remove(struct credit_queue *rq, struct credit_vcpu *v)
{
    if (v->class == CREDIT_SHARE)
        heap_remove(&rq->share, &v->node, &credit_heap);
    else if (v->class == CREDIT_PARKED)
        heap_remove(&rq->parked, &v->node, &credit_heap);
    else
        list_remove(&v->link);
    v->class = CREDIT_NONE;
}

/* To another class; it does not lose its turn. */
static inline void credit_requeue(struct credit *credit, struct sched_queue *queue, struct credit_vcpu *v, uint64_t now_ns)
{
    credit_remove(queue->data, v);
    credit_place(credit, queue, v, now_ns);
}

/* Who may run next, after putting right those at the front whose account has changed while they waited. NULL: all are parked. */
static struct credit_vcpu *credit_first(struct credit *credit, struct sched_queue *queue, uint64_t now_ns)
{
    struct credit_queue *rq = queue->data;

    while (rq->parked.root != NULL && credit_of_node(rq->parked.root)->key <= now_ns)
        credit_requeue(credit, queue, credit_of_node(rq->parked.root), now_ns);
    for (;;) {
        struct credit_vcpu *v;
        struct credit_domain *d;

        if (!list_empty(&rq->boost))
            v = list_first_entry(&rq->boost, struct credit_vcpu, link);
        else if (rq->share.root != NULL)
            v = credit_of_node(rq->share.root);
        else
            return NULL;
        d = credit_domain_of(v);
        if (credit_load(&d->cap) != 0 && credit_allowance(d, now_ns) <= 0) {
            credit_requeue(credit, queue, v, now_ns);
        } else if (v->class == CREDIT_SHARE && v->key != credit_load(&d->used)) {
            v->key = credit_load(&d->used); /* it has run elsewhere meanwhile */
            heap_changed(&rq->share, &v->node, &credit_heap);
        } else {
            return v;
        }
    }
}

/* ---- Ops ---- */

/* Take what runs here from its domain's account up to now: also before another domain becomes active, which has no part in the time until then. */
static void credit_settle(struct credit *credit, struct sched_queue *queue, uint64_t now_ns)
{
    struct credit_queue *rq = queue->data;
    struct credit_domain *d;

    if (queue->running != NULL) {
        d = credit_domain_of(queue->running->data);
        credit_spend(credit, d, now_ns - rq->spent_ns);
    }
    rq->spent_ns = now_ns;
}

/* How long the running one is safe from boosted ones: until the rate limit, or the end of its own boost. */
static uint64_t credit_safe_ns(const struct credit *credit, const struct credit_vcpu *running, uint64_t ran_ns)
{
    uint64_t limit_ns = credit_load(&credit->initial[CREDIT_RATELIMIT]);
    uint64_t safe_ns = ran_ns < limit_ns ? limit_ns - ran_ns : 0, boost_ns = running->boost_ran_ns + ran_ns;

    if (running->boosted && boost_ns < CREDIT_TICK_NS && CREDIT_TICK_NS - boost_ns > safe_ns)
        safe_ns = CREDIT_TICK_NS - boost_ns;
    return safe_ns;
}

/* v has just been queued: how long may the running one go on? */
static uint64_t credit_run_on(const struct credit *credit, struct sched_queue *queue, const struct credit_vcpu *v, uint64_t now_ns)
{
    struct credit_queue *rq = queue->data;
    uint64_t ran_ns = now_ns - queue->charged_ns, end_ns = rq->slice_end_ns;
    const struct credit_vcpu *running;

    if (queue->running == NULL)
        return SCHED_KEEP;
    running = queue->running->data;
    if (v->class == CREDIT_PARKED) {
        if (v->key < end_ns)
            end_ns = v->key;
    } else if (v->class == CREDIT_BOOST) {
        end_ns = now_ns + credit_safe_ns(credit, running, ran_ns);
    } else if (rq->share.root == &v->node) {
        int64_t lead_ns = credit_lead(credit_domain_of(running), credit_domain_of(v));

        end_ns = now_ns + (lead_ns > 0 ? (uint64_t)lead_ns : 0) + CREDIT_TICK_NS;
    }
    if (end_ns >= rq->slice_end_ns)
        return SCHED_KEEP;
    rq->slice_end_ns = end_ns;
    return end_ns > now_ns ? end_ns - now_ns : 0;
}

/* On waking: it comes first if it has credit, or has had less than whoever runs here. */
static bool credit_boost(const struct credit *credit, const struct sched_queue *queue, const struct credit_domain *d)
{
    if (credit_is_under(credit, d))
        return true;
    return queue->running != NULL && credit_lead(d, queue->running->domain->data) > 0;
}

static uint64_t credit_enqueue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, enum sched_reason reason,
                               uint64_t now_ns)
{
    struct credit *credit = state;
    struct credit_vcpu *v = vcpu->data;

    if (reason != SCHED_AGAIN) {
        credit_settle(credit, queue, now_ns);
        credit_join(credit, v, credit_origin(credit, queue));
    }
    if (reason == SCHED_WAKE) {
        v->boosted = credit_boost(credit, queue, credit_domain_of(v));
        v->boost_ran_ns = 0;
    }
    credit_insert(credit, queue, v, now_ns);
    return credit_run_on(credit, queue, v, now_ns);
}

static void credit_dequeue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct credit_vcpu *v = vcpu->data;

    credit_settle(state, queue, now_ns);
    credit_remove(queue->data, v);
    credit_leave(state, v);
}

static void credit_sleep(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    (void)queue, (void)now_ns;
    credit_leave(state, vcpu->data);
}

/* pick_next passes over it once. It loses its boost, and what it has given away beyond what it may save. */
static void credit_yield(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct credit_vcpu *v = vcpu->data;

    v->boosted = false;
    v->yielded = true;
    credit_domain_approach(state, credit_domain_of(v), credit_origin(state, queue));
    credit_insert(state, queue, v, now_ns);
}

/* Until it has used a tick more than the next one; what is left of its cap; and until somebody's cap is refilled. */
static uint64_t credit_slice(const struct credit *credit, const struct sched_queue *queue, const struct credit_vcpu *v, uint64_t now_ns)
{
    const struct credit_queue *rq = queue->data;
    struct credit_domain *d = credit_domain_of(v);
    uint64_t slice_ns = credit_load(&credit->initial[CREDIT_SLICE]), left_ns;

    if (queue->waiting == 1 && credit->cpu_count == 1) {
        slice_ns = SCHED_UNTIL_BLOCK;
    } else if (queue->waiting > 1) {
        int64_t lead_ns = rq->share.root != NULL && !v->boosted ? credit_lead(d, credit_domain_of(credit_of_node(rq->share.root))) : 0;
        uint64_t turn_ns = (lead_ns > 0 ? (uint64_t)lead_ns : 0) + CREDIT_TICK_NS;

        slice_ns = turn_ns < slice_ns ? turn_ns : slice_ns;
    }
    if (credit_load(&d->cap) != 0) {
        uint32_t active = __atomic_load_n(&d->active, __ATOMIC_RELAXED);
        int64_t allowance_ns = credit_allowance(d, now_ns); /* another pCPU may have used it up since it was looked at */

        left_ns = (allowance_ns > 0 ? (uint64_t)allowance_ns : 0) / (active != 0 ? active : 1);
        if (left_ns < slice_ns)
            slice_ns = left_ns;
    }
    if (rq->parked.root != NULL && credit_of_node(rq->parked.root)->key - now_ns < slice_ns)
        slice_ns = credit_of_node(rq->parked.root)->key - now_ns;
    return slice_ns < CREDIT_RUN_MIN_NS ? CREDIT_RUN_MIN_NS : slice_ns;
}

static struct sched_decision credit_pick_next(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    struct credit *credit = state;
    struct credit_queue *rq = queue->data;
    struct credit_vcpu *v = credit_first(credit, queue, now_ns), *polite = NULL;
    uint64_t slice_ns;

    if (v != NULL && v->yielded) {
        polite = v;
        credit_remove(rq, polite);
        v = credit_first(credit, queue, now_ns);
    }
    if (v == NULL) {
        v = polite;
        polite = NULL;
    } else {
        credit_remove(rq, v);
    }
    if (polite != NULL) {
        polite->yielded = false;
        credit_insert(credit, queue, polite, now_ns);
    }
    if (v == NULL)
        return (struct sched_decision){NULL, credit_of_node(rq->parked.root)->key - now_ns};
    v->yielded = false;
    rq->spent_ns = now_ns;
    slice_ns = credit_slice(credit, queue, v, now_ns);
    rq->slice_end_ns = slice_ns == SCHED_UNTIL_BLOCK ? UINT64_MAX : now_ns + slice_ns;
    return (struct sched_decision){v->vcpu, slice_ns};
}

static void credit_charge(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t ran_ns,
                          uint64_t now_ns)
{
    struct credit_vcpu *v = vcpu->data;
    struct credit_domain *d = credit_domain_of(v);

    credit_settle(state, queue, now_ns);
    if (credit_load(&d->cap) != 0) {
        credit_allowance(d, now_ns);
        __atomic_fetch_sub(&d->allowance_ns, (int64_t)ran_ns, __ATOMIC_RELAXED);
    }
    if (v->boosted) {
        v->boost_ran_ns += ran_ns;
        v->boosted = v->boost_ran_ns < CREDIT_TICK_NS;
    }
}

/* One of the first few that may go there, after those that are boosted; of the others those that have used less than `limit`, if given. */
static struct sched_vcpu *credit_movable(const struct credit_queue *rq, uint32_t cpu, const uint64_t *limit)
{
    struct heap_node *root = rq->share.root;
    struct heap_node *looked[3] = {root, root != NULL ? root->left : NULL, root != NULL ? root->right : NULL};
    struct credit_vcpu *v;
    uint32_t looks = CREDIT_LOOKS;

    list_for_each_entry(v, &rq->boost, link) {
        if (sched_can_move(v->vcpu, cpu))
            return v->vcpu;
        if (--looks == 0)
            break;
    }
    for (uint32_t i = 0; i < 3; i++) {
        v = looked[i] != NULL ? credit_of_node(looked[i]) : NULL;
        if (v != NULL && sched_can_move(v->vcpu, cpu) && (limit == NULL || (int64_t)(credit_load(&credit_domain_of(v)->used) - *limit) < 0))
            return v->vcpu;
    }
    return NULL;
}

/* For a pCPU that would idle anybody; else who has used less by a tick than the one that would run there, and is not of the same domain. */
static struct sched_vcpu *credit_steal(void *state, struct sched_queue *from, struct sched_queue *to, uint64_t now_ns)
{
    struct credit *credit = state;
    const struct credit_vcpu *own = credit_first(credit, to, now_ns);
    const struct credit_domain *d;
    uint64_t limit;

    if (own != NULL && own->class == CREDIT_BOOST)
        return NULL;
    if (credit_first(credit, from, now_ns) == NULL)
        return NULL;
    if (own == NULL)
        return credit_movable(from->data, to->cpu, NULL);
    d = credit_domain_of(own);
    limit = credit_load(&d->used) - CREDIT_TICK_NS * CREDIT_UNIT / credit_load(&d->weight);
    return credit_movable(from->data, to->cpu, &limit);
}

/* ---- Life and parameters ---- */

static const struct sched_parameter credit_params[CREDIT_PARAMS] = {
    [CREDIT_WEIGHT] = {"weight", SCHED_PARAM_UINT, SCHED_SCOPE_MODULE | SCHED_SCOPE_DOMAIN, 1, CREDIT_WEIGHT_MAX, CREDIT_WEIGHT_DEFAULT,
                       "share of the whole domain relative to other domains"},
    [CREDIT_CAP] = {"cap", SCHED_PARAM_UINT, SCHED_SCOPE_MODULE | SCHED_SCOPE_DOMAIN, 0, CREDIT_CAP_MAX, 0,
                    "the most that the whole domain may have, in percent of one pCPU; 0: no limit"},
    [CREDIT_SLICE] = {"slice_ns", SCHED_PARAM_NS, SCHED_SCOPE_MODULE, CREDIT_SLICE_MIN_NS, CREDIT_SLICE_MAX_NS, CREDIT_SLICE_NS,
                      "how long one runs at most while others wait, in ns"},
    [CREDIT_RATELIMIT] = {"ratelimit_ns", SCHED_PARAM_NS, SCHED_SCOPE_MODULE, 0, CREDIT_SLICE_MAX_NS, CREDIT_RATELIMIT_NS,
                          "how long one may run before a woken one preempts it, in ns"},
};

static int credit_create(void *state, const struct sched_machine *machine)
{
    struct credit *credit = state;

    for (uint32_t i = 0; i < CREDIT_PARAMS; i++)
        credit->initial[i] = credit_params[i].initial;
    credit->cpu_count = machine->cpu_count;
    return 0;
}

static void credit_queue_init(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    struct credit_queue *rq = queue->data;

    (void)state;
    rq->spent_ns = now_ns;
    list_init(&rq->boost);
}

static void credit_domain_insert(void *state, struct sched_domain *domain)
{
    const struct credit *credit = state;
    struct credit_domain *d = domain->data;

    d->weight = credit->initial[CREDIT_WEIGHT];
    d->cap = credit->initial[CREDIT_CAP];
    d->used = credit_load(&credit->fair);
    d->allowance_ns = credit_cap_ns(d);
}

static void credit_vcpu_insert(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct credit_vcpu *v = vcpu->data;

    (void)queue, (void)now_ns;
    v->vcpu = vcpu;
    if (vcpu->place == SCHED_RUNNING)
        credit_join(state, v, credit_load(&((const struct credit *)state)->fair)); /* it was chosen by the module before this one */
}

static void credit_vcpu_remove(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    (void)queue, (void)now_ns;
    credit_leave(state, vcpu->data);
}

/*
 * What it has used more or less than the average, in time, stays as it is. It is held active meanwhile: else another pCPU on which the last of its vCPUs falls asleep, or the first one wakes,
 * would take its weight from the sum a second time, or leave it there for good.
 */
static void credit_set_weight(struct credit *credit, struct credit_domain *d, uint64_t weight)
{
    uint64_t former = credit_load(&d->weight), origin;
    bool was_active, is_active;

    if (former == weight)
        return;
    was_active = __atomic_fetch_add(&d->active, 1, __ATOMIC_RELAXED) != 0;
    if (was_active)
        credit_domain_leave(credit, d);
    origin = credit_load(&credit->fair);
    __atomic_store_n(&d->used, origin + (uint64_t)((int64_t)(credit_near(d, origin) - origin) * (int64_t)former / (int64_t)weight), __ATOMIC_RELAXED);
    __atomic_store_n(&d->weight, weight, __ATOMIC_RELAXED);
    is_active = __atomic_sub_fetch(&d->active, 1, __ATOMIC_RELAXED) != 0;
    if (is_active)
        credit_domain_join(credit, d, origin);
}

static void credit_param_set(void *state, const struct sched_target *target, uint32_t index, uint64_t value,
                             uint64_t now_ns)
{
    struct credit *credit = state;
    struct credit_domain *d = target->domain != NULL ? target->domain->data : NULL;

    if (d == NULL) {
        __atomic_store_n(&credit->initial[index], value, __ATOMIC_RELAXED);
    } else if (index == CREDIT_WEIGHT) {
        credit_set_weight(credit, d, value);
    } else if (credit_load(&d->cap) != value) {
        __atomic_store_n(&d->cap, value, __ATOMIC_RELAXED);
        __atomic_store_n(&d->period, now_ns / CREDIT_PERIOD_NS, __ATOMIC_RELAXED);
        __atomic_store_n(&d->allowance_ns, credit_cap_ns(d), __ATOMIC_RELAXED);
    }
    /* Called for each of its vCPUs, too: the parked ones may go. */
    if (index == CREDIT_CAP && target->vcpu != NULL && ((struct credit_vcpu *)target->vcpu->data)->class == CREDIT_PARKED)
        credit_requeue(credit, target->queue, target->vcpu->data, now_ns);
}

static uint64_t credit_param_get(void *state, const struct sched_target *target, uint32_t index)
{
    const struct credit *credit = state;
    const struct credit_domain *d = target->domain != NULL ? target->domain->data : NULL;

    if (d == NULL)
        return credit_load(&credit->initial[index]);
    return index == CREDIT_WEIGHT ? d->weight : d->cap;
}

const struct sched_ops sched_credit = {
    .name = "credit",
    .summary = "shares by weight over all pCPUs, caps, boosted wake-ups",
    .state_bytes = sizeof(struct credit),
    .queue_bytes = sizeof(struct credit_queue),
    .domain_bytes = sizeof(struct credit_domain),
    .vcpu_bytes = sizeof(struct credit_vcpu),
    .params = credit_params,
    .param_count = CREDIT_PARAMS,
    .park_max_ns = CREDIT_PARK_MAX_NS,
    .create = credit_create,
    .queue_init = credit_queue_init,
    .domain_insert = credit_domain_insert,
    .vcpu_insert = credit_vcpu_insert,
    .vcpu_remove = credit_vcpu_remove,
    .enqueue = credit_enqueue,
    .dequeue = credit_dequeue,
    .yield = credit_yield,
    .pick_next = credit_pick_next,
    .charge = credit_charge,
    .sleep = credit_sleep,
    .steal = credit_steal,
    .param_set = credit_param_set,
    .param_get = credit_param_get,
};
