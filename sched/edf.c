/* SPDX-License-Identifier: MIT */
/*
 * Earliest deadline first with reservations: each vCPU may be promised a slice of time in every period of its own.
 *
 * Liu and Layland (1973): what is promised is kept as long as the promises on a pCPU add up to no more than all of it; so a setting that would promise more
 * is refused. In the manner of Atropos (Nemesis, 1996) and Xen's SEDF a vCPU that has used up its slice waits for its next period, or, if it may have extra
 * time, shares what nobody is promised by weight. One that wakes keeps its old deadline only if what is left of its slice fits
 * (Abeni and Buttazzo 1998): sleeping gains nobody more than its promise.
 * Three heaps a pCPU: ready by deadline, parked by the beginning of their next period, extra by virtual time.
 * Contract: <hv/sched-ops.h>. Tests: test-edf.c. Page, with the choices: docs/concepts/edf.md.
 */
#include <hv/env.h>
#include <hv/errno.h>
#include <hv/heap.h>
#include <hv/sched-ops.h>

#define EDF_PERIOD_NS (100ull * 1000 * 1000)
#define EDF_PERIOD_MIN_NS (1000ull * 1000)
#define EDF_PERIOD_MAX_NS (1000ull * 1000 * 1000)
#define EDF_SLICE_MIN_NS (100ull * 1000) /* a promised slice is 0 or at least this */
#define EDF_RUN_MIN_NS (20ull * 1000)    /* a decision holds so long at least */
#define EDF_EXTRA_NS (5ull * 1000 * 1000) /* a turn of extra time */
#define EDF_ALONE_NS (100ull * 1000 * 1000) /* the same while nobody else is runnable here: other pCPUs may have somebody */
#define EDF_YIELD_NS (200ull * 1000)
#define EDF_GIVEN_NS (20ull * 1000 * 1000) /* of extra time that was given away by yielding so much, at the default weight, can be claimed later */
#define EDF_WEIGHT_DEFAULT 256ull
#define EDF_WEIGHT_MAX 65535ull
#define EDF_PPM 1000000ull
#define EDF_LIMIT_PPM 900000ull /* of each pCPU: the rest is for those without a promise, who must not starve */
#define EDF_LOOKS 8u

enum { EDF_PERIOD, EDF_SLICE, EDF_EXTRA, EDF_WEIGHT, EDF_PARAMS };

struct edf_settings {
    uint64_t value[EDF_PARAMS];
};

/* Lock: administration, all of it. */
struct edf {
    struct edf_settings initial; /* of domains created later */
    uint32_t cpu_count;
    struct list_node vcpus;      /* by edf_vcpu.link */
    uint64_t promised_ppm[64];   /* by pCPU */
};

struct edf_domain {
    struct edf_settings initial; /* of vCPUs created later */
    struct edf_settings planned;
};

struct edf_queue {
    struct heap ready, parked, extra;
    struct list_node away; /* queued here, promised elsewhere: by edf_vcpu.away */
    uint64_t extra_time;   /* virtual time of the extra class: the least among its members when last looked at */
    uint64_t slice_end_ns; /* of what runs */
    bool give_way;         /* the only ready one has yielded: the extra class may run for a moment */
};

struct edf_vcpu {
    struct heap_node node;       /* in ready or parked */
    struct heap_node extra_node;
    struct list_node away;
    bool in_ready, in_parked, in_extra;
    bool on_extra;               /* was picked for extra time */
    int64_t budget_ns;           /* left of the slice; below 0: overrun, taken from the next */
    uint64_t deadline_ns;        /* end of this period, beginning of the next */
    uint64_t key;                /* in ready: deadline_ns, or a little more after a yield */
    uint64_t extra_time, extra_key, carry;
    uint64_t serial;
    struct sched_vcpu *vcpu;
    struct edf_settings set;

    /* Lock: administration; set is read under it, too. */
    struct list_node link;
    struct edf_settings planned;
    uint32_t promised_cpu, planned_cpu;
    uint64_t promised_ppm;
};

/* ---- Heaps ---- */

static inline struct edf_vcpu *edf_of(const struct heap_node *node)
{
    return env_container_of(node, struct edf_vcpu, node);
}

static inline struct edf_vcpu *edf_of_extra(const struct heap_node *node)
{
    return env_container_of(node, struct edf_vcpu, extra_node);
}

static inline bool edf_earlier(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

static bool edf_ready_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct edf_vcpu *va = edf_of(a), *vb = edf_of(b);

    return va->key != vb->key ? va->key < vb->key : va->serial < vb->serial;
}

static bool edf_parked_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct edf_vcpu *va = edf_of(a), *vb = edf_of(b);

    return va->deadline_ns != vb->deadline_ns ? va->deadline_ns < vb->deadline_ns : va->serial < vb->serial;
}

static bool edf_extra_before(const struct heap_node *a, const struct heap_node *b)
{
    const struct edf_vcpu *va = edf_of_extra(a), *vb = edf_of_extra(b);

    return va->extra_key != vb->extra_key ? edf_earlier(va->extra_key, vb->extra_key) : va->serial < vb->serial;
}

static const struct heap_ops edf_ready = {edf_ready_before, NULL};
static const struct heap_ops edf_parked = {edf_parked_before, NULL};
static const struct heap_ops edf_extra = {edf_extra_before, NULL};

static inline bool edf_promised(const struct edf_vcpu *v)
{
    return v->set.value[EDF_SLICE] != 0;
}

/* v is runnable: ready while it has some of its slice left; else parked, or in the extra class, or both. */
static void edf_insert(struct sched_queue *queue, struct edf_vcpu *v)
{
    struct edf_queue *rq = queue->data;

    if (edf_promised(v) && v->promised_cpu != queue->cpu)
        list_push_back(&rq->away, &v->away);
    if (edf_promised(v) && v->budget_ns > 0) {
        v->in_ready = true;
        heap_insert(&rq->ready, &v->node, &edf_ready);
        return;
    }
    if (edf_promised(v)) {
        v->in_parked = true;
        heap_insert(&rq->parked, &v->node, &edf_parked);
    }
    if (v->set.value[EDF_EXTRA] != 0 || !v->in_parked) {
        v->in_extra = true;
        heap_insert(&rq->extra, &v->extra_node, &edf_extra);
    }
}

static void edf_remove(struct sched_queue *queue, struct edf_vcpu *v)
{
    struct edf_queue *rq = queue->data;

    list_remove(&v->away);
    if (v->in_ready)
        heap_remove(&rq->ready, &v->node, &edf_ready);
    if (v->in_parked)
        heap_remove(&rq->parked, &v->node, &edf_parked);
    if (v->in_extra)
        heap_remove(&rq->extra, &v->extra_node, &edf_extra);
    v->in_ready = false;
    v->in_parked = false;
    v->in_extra = false;
}

/* ---- Periods ---- */

/* A period begins, at `from`. What the last one ran too long is taken off. */
static void edf_begin_period(struct edf_vcpu *v, uint64_t from_ns)
{
    v->deadline_ns = from_ns + v->set.value[EDF_PERIOD];
    v->budget_ns = (v->budget_ns < 0 ? v->budget_ns : 0) + (int64_t)v->set.value[EDF_SLICE];
    v->key = v->deadline_ns;
}

/* The period has ended: the next one begins there, or now if that would be over as well. */
static void edf_next_period(struct edf_vcpu *v, uint64_t now_ns)
{
    edf_begin_period(v, v->deadline_ns + v->set.value[EDF_PERIOD] > now_ns ? v->deadline_ns : now_ns);
}

/* On waking: may it keep its deadline? Not if the rest of its slice until then were more than its promise. */
static void edf_wake(struct edf_queue *rq, struct edf_vcpu *v, uint64_t now_ns)
{
    if (edf_earlier(v->extra_time, rq->extra_time))
        v->extra_time = rq->extra_time; /* time asleep is not saved up */
    if (!edf_promised(v))
        return;
    if (now_ns >= v->deadline_ns || (v->budget_ns > 0 && (uint64_t)v->budget_ns * v->set.value[EDF_PERIOD] >
                                                             (v->deadline_ns - now_ns) * v->set.value[EDF_SLICE]))
        edf_begin_period(v, now_ns);
}

/* ---- Decisions ---- */

/* v has just been queued: how long may the running one go on? */
static uint64_t edf_run_on(const struct sched_queue *queue, const struct edf_vcpu *v, uint64_t now_ns)
{
    struct edf_queue *rq = queue->data;
    const struct edf_vcpu *running;
    uint64_t end_ns = rq->slice_end_ns;

    if (queue->running == NULL)
        return SCHED_KEEP;
    running = queue->running->data;
    if (v->in_ready)
        return running->on_extra || v->deadline_ns < running->deadline_ns ? 0 : SCHED_KEEP;
    if (v->in_parked && v->deadline_ns < end_ns)
        end_ns = v->deadline_ns;
    if (v->in_extra && running->on_extra && now_ns + EDF_EXTRA_NS < end_ns)
        end_ns = now_ns + EDF_EXTRA_NS;
    if (end_ns >= rq->slice_end_ns)
        return SCHED_KEEP;
    rq->slice_end_ns = end_ns;
    return end_ns > now_ns ? end_ns - now_ns : 0;
}

static uint64_t edf_enqueue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, enum sched_reason reason,
                            uint64_t now_ns)
{
    struct edf_vcpu *v = vcpu->data;

    (void)state;
    if (reason == SCHED_WAKE)
        edf_wake(queue->data, v, now_ns);
    else if (edf_promised(v) && now_ns >= v->deadline_ns)
        edf_next_period(v, now_ns);
    v->key = v->deadline_ns;
    v->extra_key = v->extra_time;
    edf_insert(queue, v);
    return edf_run_on(queue, v, now_ns);
}

static void edf_dequeue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    edf_remove(queue, vcpu->data);
}

/* Behind the first of its class, for once; if it is alone in the ready class, the extra class may run for a moment. */
static void edf_yield(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct edf_queue *rq = queue->data;
    struct edf_vcpu *v = vcpu->data;

    (void)state;
    if (edf_promised(v) && now_ns >= v->deadline_ns)
        edf_next_period(v, now_ns);
    v->key = v->deadline_ns;
    if (rq->ready.root != NULL && edf_of(rq->ready.root)->key >= v->key)
        v->key = edf_of(rq->ready.root)->key + 1;
    if (rq->extra.root != NULL && edf_earlier(v->extra_time, edf_of_extra(rq->extra.root)->extra_time - EDF_GIVEN_NS))
        v->extra_time = edf_of_extra(rq->extra.root)->extra_time - EDF_GIVEN_NS;
    v->extra_key = v->extra_time;
    if (rq->extra.root != NULL && !edf_earlier(edf_of_extra(rq->extra.root)->extra_key, v->extra_key))
        v->extra_key = edf_of_extra(rq->extra.root)->extra_key + 1;
    rq->give_way = rq->ready.root == NULL;
    edf_insert(queue, v);
}

/* Those whose next period has begun are ready. */
static void edf_release(struct sched_queue *queue, uint64_t now_ns)
{
    struct edf_queue *rq = queue->data;

    while (rq->parked.root != NULL && edf_of(rq->parked.root)->deadline_ns <= now_ns) {
        struct edf_vcpu *v = edf_of(rq->parked.root);

        edf_remove(queue, v);
        edf_next_period(v, now_ns);
        edf_insert(queue, v);
    }
}

/* How long v, chosen for extra time, may have it. */
static uint64_t edf_extra_slice(const struct edf *edf, const struct sched_queue *queue, const struct edf_vcpu *v, uint64_t now_ns)
{
    const struct edf_queue *rq = queue->data;

    if (edf_promised(v)) {
        uint64_t left_ns = v->deadline_ns - now_ns;

        return left_ns < EDF_EXTRA_NS ? left_ns : EDF_EXTRA_NS;
    }
    if (rq->extra.root != NULL || rq->ready.root != NULL)
        return rq->give_way ? EDF_YIELD_NS : EDF_EXTRA_NS;
    return queue->waiting == 1 && edf->cpu_count == 1 ? SCHED_UNTIL_BLOCK : EDF_ALONE_NS;
}

static struct sched_decision edf_pick_next(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    struct edf_queue *rq = queue->data;
    struct edf_vcpu *v = NULL;
    uint64_t slice_ns = EDF_PERIOD_MAX_NS, release_ns = UINT64_MAX;

    edf_release(queue, now_ns);
    if (rq->ready.root != NULL && !(rq->give_way && rq->extra.root != NULL)) {
        v = edf_of(rq->ready.root);
        edf_remove(queue, v);
        v->on_extra = false;
        slice_ns = (uint64_t)v->budget_ns;
    } else if (rq->extra.root != NULL) {
        v = edf_of_extra(rq->extra.root);
        edf_remove(queue, v);
        v->on_extra = true;
        slice_ns = edf_extra_slice(state, queue, v, now_ns);
    }
    rq->give_way = false;
    if (rq->parked.root != NULL)
        release_ns = edf_of(rq->parked.root)->deadline_ns - now_ns;
    if (release_ns < slice_ns)
        slice_ns = release_ns;
    if (slice_ns < EDF_RUN_MIN_NS)
        slice_ns = EDF_RUN_MIN_NS;
    rq->slice_end_ns = slice_ns == SCHED_UNTIL_BLOCK ? UINT64_MAX : now_ns + slice_ns;
    return (struct sched_decision){v != NULL ? v->vcpu : NULL, slice_ns};
}

static void edf_charge(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t ran_ns,
                       uint64_t now_ns)
{
    struct edf_queue *rq = queue->data;
    struct edf_vcpu *v = vcpu->data;
    uint64_t total, least;

    (void)state, (void)now_ns;
    if (!v->on_extra) {
        v->budget_ns -= (int64_t)ran_ns;
        if (v->budget_ns < -(int64_t)v->set.value[EDF_SLICE])
            v->budget_ns = -(int64_t)v->set.value[EDF_SLICE]; /* the machine stood still: one period pays for it */
        return;
    }
    total = ran_ns * EDF_WEIGHT_DEFAULT + v->carry;
    v->extra_time += total / v->set.value[EDF_WEIGHT];
    v->carry = total % v->set.value[EDF_WEIGHT];
    least = v->extra_time;
    if (rq->extra.root != NULL && edf_earlier(edf_of_extra(rq->extra.root)->extra_time, least))
        least = edf_of_extra(rq->extra.root)->extra_time;
    if (edf_earlier(rq->extra_time, least))
        rq->extra_time = least;
}

/* ---- Several pCPUs ---- */

/* Where it is promised to be; without a promise: its home if that idles, else an idle one, else its home. */
static uint32_t edf_pick_cpu(void *state, const struct sched_machine *machine, const struct sched_vcpu *vcpu, uint64_t now_ns)
{
    const struct edf_vcpu *v = vcpu->data;
    uint64_t idle = machine->idle_mask & vcpu->affinity;

    (void)state, (void)now_ns;
    if (edf_promised(v))
        return (vcpu->affinity >> v->promised_cpu & 1) ? v->promised_cpu : vcpu->cpu;
    if (idle == 0 || (idle >> vcpu->cpu & 1))
        return vcpu->cpu;
    return (uint32_t)__builtin_ctzll(idle);
}

/* Who is promised there; then, to even out numbers, somebody of the extra class who is promised nothing. */
static struct sched_vcpu *edf_steal(void *state, struct sched_queue *from, struct sched_queue *to, uint64_t now_ns)
{
    struct edf_queue *source = from->data, *target = to->data;
    struct heap_node *root = source->extra.root;
    struct heap_node *looked[3] = {root, root != NULL ? root->left : NULL, root != NULL ? root->right : NULL};
    struct edf_vcpu *v;
    uint32_t looks = EDF_LOOKS, members = source->extra.count;

    (void)state, (void)now_ns;
    list_for_each_entry(v, &source->away, away) {
        if (v->promised_cpu == to->cpu && sched_can_move(v->vcpu, to->cpu))
            return v->vcpu;
        if (--looks == 0)
            break;
    }
    if (from->running != NULL && ((const struct edf_vcpu *)from->running->data)->on_extra)
        members++;
    if (members < target->extra.count + 2)
        return NULL; /* one less there would be one more here: it would only go to and fro, and perhaps never run */
    for (uint32_t i = 0; i < 3; i++) {
        v = looked[i] != NULL ? edf_of_extra(looked[i]) : NULL;
        if (v != NULL && !edf_promised(v) && sched_can_move(v->vcpu, to->cpu))
            return v->vcpu;
    }
    return NULL;
}

/* Time is the same everywhere, but each queue's extra time is its own: keep the lead over it. */
static void edf_move(void *state, struct sched_queue *from, struct sched_queue *to, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    const struct edf_queue *source = from->data, *target = to->data;
    struct edf_vcpu *v = vcpu->data;
    uint64_t lead = edf_earlier(v->extra_time, source->extra_time) ? 0 : v->extra_time - source->extra_time;

    (void)state, (void)now_ns;
    v->extra_time = target->extra_time + lead;
}

/* ---- Admission ---- */

static bool edf_sensible(const struct edf_settings *set)
{
    uint64_t slice_ns = set->value[EDF_SLICE];

    if (slice_ns == 0)
        return set->value[EDF_EXTRA] != 0; /* else it could never run */
    return slice_ns >= EDF_SLICE_MIN_NS && slice_ns <= set->value[EDF_PERIOD];
}

/* The part of a pCPU that is promised by these settings, rounded up. */
static uint64_t edf_ppm(const struct edf_settings *set)
{
    return (set->value[EDF_SLICE] * EDF_PPM + set->value[EDF_PERIOD] - 1) / set->value[EDF_PERIOD];
}

/* A pCPU that can promise so much more: `wanted` if it can, else the one with the most left. Returns cpu_count if none can. */
static uint32_t edf_find_cpu(const struct edf *edf, const uint64_t promised_ppm[], uint32_t wanted, uint64_t affinity, uint64_t ppm)
{
    uint32_t best = edf->cpu_count;

    if (promised_ppm[wanted] + ppm <= EDF_LIMIT_PPM)
        return wanted;
    for (uint32_t cpu = 0; cpu < edf->cpu_count; cpu++)
        if ((affinity >> cpu & 1) && promised_ppm[cpu] + ppm <= EDF_LIMIT_PPM &&
            (best == edf->cpu_count || promised_ppm[cpu] < promised_ppm[best]))
            best = cpu;
    return best;
}

static void edf_plan_one(struct edf *edf, const struct sched_setting *setting)
{
    struct sched_domain *domain = setting->target.domain;
    struct edf_vcpu *v;

    if (domain == NULL)
        return;
    if (setting->target.vcpu == NULL)
        ((struct edf_domain *)domain->data)->planned.value[setting->index] = setting->value;
    list_for_each_entry(v, &edf->vcpus, link)
        if (v->vcpu->domain == domain && (setting->target.vcpu == NULL || setting->target.vcpu == v->vcpu))
            v->planned.value[setting->index] = setting->value;
}

/* Find a pCPU for each whose promise would be another than it is. */
static int edf_plan_cpus(struct edf *edf)
{
    uint64_t promised_ppm[64];
    struct edf_vcpu *v;

    for (uint32_t cpu = 0; cpu < 64; cpu++)
        promised_ppm[cpu] = edf->promised_ppm[cpu];
    list_for_each_entry(v, &edf->vcpus, link) {
        if (!edf_sensible(&v->planned))
            return -EINVAL;
        if (edf_ppm(&v->planned) != v->promised_ppm)
            promised_ppm[v->promised_cpu] -= v->promised_ppm;
    }
    list_for_each_entry(v, &edf->vcpus, link) {
        uint64_t ppm = edf_ppm(&v->planned);

        if (ppm == v->promised_ppm)
            continue;
        v->planned_cpu = edf_find_cpu(edf, promised_ppm, v->promised_cpu, v->vcpu->affinity, ppm);
        if (v->planned_cpu == edf->cpu_count)
            return -ENOSPC;
        promised_ppm[v->planned_cpu] += ppm;
    }
    return 0;
}

static int edf_param_check(void *state, const struct sched_setting *settings, uint32_t count)
{
    struct edf *edf = state;
    struct edf_vcpu *v;

    list_for_each_entry(v, &edf->vcpus, link) {
        v->planned = v->set;
        v->planned_cpu = v->promised_cpu;
    }
    for (uint32_t i = 0; i < count; i++)
        if (settings[i].target.domain != NULL)
            ((struct edf_domain *)settings[i].target.domain->data)->planned = ((struct edf_domain *)settings[i].target.domain->data)->initial;
    for (uint32_t i = 0; i < count; i++)
        edf_plan_one(edf, &settings[i]);
    for (uint32_t i = 0; i < count; i++)
        if (settings[i].target.domain != NULL && !edf_sensible(&((struct edf_domain *)settings[i].target.domain->data)->planned))
            return -EINVAL;
    return edf_plan_cpus(edf);
}

/* The promise on v->promised_cpu is what v's settings say from now on, on `cpu`. */
static void edf_promise(struct edf *edf, struct edf_vcpu *v, uint32_t cpu)
{
    edf->promised_ppm[v->promised_cpu] -= v->promised_ppm;
    v->promised_ppm = edf_ppm(&v->set);
    v->promised_cpu = cpu;
    edf->promised_ppm[cpu] += v->promised_ppm;
}

/* ---- Life and parameters ---- */

static const struct sched_parameter edf_params[EDF_PARAMS] = {
    [EDF_PERIOD] = {"period_ns", SCHED_PARAM_NS, SCHED_SCOPE_DOMAIN | SCHED_SCOPE_VCPU, EDF_PERIOD_MIN_NS, EDF_PERIOD_MAX_NS, EDF_PERIOD_NS,
                    "how often the slice is promised, in ns"},
    [EDF_SLICE] = {"slice_ns", SCHED_PARAM_NS, SCHED_SCOPE_DOMAIN | SCHED_SCOPE_VCPU, 0, EDF_PERIOD_MAX_NS, 0,
                   "time promised to each vCPU in each period, in ns: 0, or 0.1 ms up to the period; admission is checked"},
    [EDF_EXTRA] = {"extra", SCHED_PARAM_BOOL, SCHED_SCOPE_DOMAIN | SCHED_SCOPE_VCPU, 0, 1, 1, "1: it may have time that nobody is promised; 0: never more than its slice"},
    [EDF_WEIGHT] = {"weight", SCHED_PARAM_UINT, 7, 1, EDF_WEIGHT_MAX, EDF_WEIGHT_DEFAULT, "share of the extra time relative to others"},
};

static int edf_create(void *state, const struct sched_machine *machine)
{
    struct edf *edf = state;

    for (uint32_t i = 0; i < EDF_PARAMS; i++)
        edf->initial.value[i] = edf_params[i].initial;
    edf->cpu_count = machine->cpu_count;
    list_init(&edf->vcpus);
    return 0;
}

static void edf_queue_init(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    list_init(&((struct edf_queue *)queue->data)->away);
}

static void edf_domain_insert(void *state, struct sched_domain *domain)
{
    ((struct edf_domain *)domain->data)->initial = ((const struct edf *)state)->initial;
}

static void edf_vcpu_insert(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    const struct edf_queue *rq = queue->data;
    struct edf *edf = state;
    struct edf_vcpu *v = vcpu->data;
    uint32_t cpu;

    v->vcpu = vcpu;
    v->serial = vcpu->serial;
    v->set = ((const struct edf_domain *)vcpu->domain->data)->initial;
    v->extra_time = rq->extra_time;
    v->on_extra = true; /* until it is picked: perhaps it runs already, chosen by another module */
    list_init(&v->away);
    list_push_back(&edf->vcpus, &v->link);
    cpu = edf_find_cpu(edf, edf->promised_ppm, vcpu->cpu, vcpu->affinity, edf_ppm(&v->set));
    if (cpu == edf->cpu_count) {
        env_log(ENV_LOG_WARNING, "edf: no pCPU can promise what d%u asks for each vCPU; v%u has extra time only", vcpu->domain->id, vcpu->id);
        v->set.value[EDF_SLICE] = 0;
        v->set.value[EDF_EXTRA] = 1;
        cpu = vcpu->cpu;
    }
    edf_promise(edf, v, cpu);
    v->planned_cpu = cpu;
    edf_begin_period(v, now_ns);
}

static void edf_vcpu_remove(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    struct edf_vcpu *v = vcpu->data;

    (void)queue, (void)now_ns;
    ((struct edf *)state)->promised_ppm[v->promised_cpu] -= v->promised_ppm;
    list_remove(&v->link);
}

static void edf_set_vcpu(struct edf *edf, struct sched_queue *queue, struct edf_vcpu *v, uint32_t index, uint64_t value, uint64_t now_ns)
{
    bool queued = v->in_ready || v->in_parked || v->in_extra;

    if (queued)
        edf_remove(queue, v);
    v->set.value[index] = value;
    if (index == EDF_PERIOD || index == EDF_SLICE) {
        edf_promise(edf, v, v->planned_cpu);
        v->budget_ns = 0;
        edf_begin_period(v, now_ns);
    } else if (index == EDF_WEIGHT) {
        v->carry = 0;
    }
    if (queued)
        edf_insert(queue, v);
}

static void edf_param_set(void *state, const struct sched_target *target, uint32_t index, uint64_t value, uint64_t now_ns)
{
    struct edf *edf = state;

    if (target->vcpu != NULL)
        edf_set_vcpu(edf, target->queue, target->vcpu->data, index, value, now_ns);
    else if (target->domain != NULL)
        ((struct edf_domain *)target->domain->data)->initial.value[index] = value;
    else
        edf->initial.value[index] = value;
}

static uint64_t edf_param_get(void *state, const struct sched_target *target, uint32_t index)
{
    if (target->vcpu != NULL)
        return ((const struct edf_vcpu *)target->vcpu->data)->set.value[index];
    if (target->domain != NULL)
        return ((const struct edf_domain *)target->domain->data)->initial.value[index];
    return ((const struct edf *)state)->initial.value[index];
}

const struct sched_ops sched_edf = {
    .name = "edf",
    .summary = "earliest deadline first: promised slices, admission, extra time",
    .state_bytes = sizeof(struct edf),
    .queue_bytes = sizeof(struct edf_queue),
    .domain_bytes = sizeof(struct edf_domain),
    .vcpu_bytes = sizeof(struct edf_vcpu),
    .params = edf_params,
    .param_count = EDF_PARAMS,
    .park_max_ns = EDF_PERIOD_MAX_NS,
    .create = edf_create,
    .queue_init = edf_queue_init,
    .domain_insert = edf_domain_insert,
    .vcpu_insert = edf_vcpu_insert,
    .vcpu_remove = edf_vcpu_remove,
    .enqueue = edf_enqueue,
    .dequeue = edf_dequeue,
    .yield = edf_yield,
    .pick_next = edf_pick_next,
    .charge = edf_charge,
    .pick_cpu = edf_pick_cpu,
    .move = edf_move,
    .steal = edf_steal,
    .param_check = edf_param_check,
    .param_set = edf_param_set,
    .param_get = edf_param_get,
};
