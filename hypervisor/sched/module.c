/* SPDX-License-Identifier: MIT */
/*
 * Scheduler modules: choosing one at boot, keeping each vCPU's module data, handing all of them to another module while they run.
 *
 * A change of module has two halves. First everything the new one needs is allocated, with the guests running; that
 * may fail, and then nothing has changed. Then every run queue is locked, all vCPUs are taken over in the order of the core's own records, and that
 * cannot fail. A module that misbehaved is replaced by the fallback, which needs no memory at all.
 * Contract: sched.h. Tests: test-core.c, test-bad-modules.c.
 */
#include "run-queue.h"

#include "alloc.h"
#include "changes.h"
#include "domain.h"
#include "lib/string.h"
#include "log.h"
#include "options.h"
#include "trace.h"

#include <hv/errno.h>

struct spinlock sched_admin_lock = SPINLOCK_INIT;
struct list_node sched_all_vcpus = LIST_HEAD_INIT(sched_all_vcpus);
struct list_node sched_all_domains = LIST_HEAD_INIT(sched_all_domains);
struct sched_machine sched_machine;
struct sched_ops active;
void *active_state;
struct sched_history sched_history;

static uint64_t serials; /* lock: sched_admin_lock */

/* ---- Stubs for what a table may leave out, so that nobody tests for NULL ---- */

static int none_create(void *state, const struct sched_machine *machine)
{
    (void)state, (void)machine;
    return 0;
}
static void none_destroy(void *state)
{
    (void)state;
}
static void none_queue_init(void *state, struct sched_queue *queue, uint64_t now_ns)
{
    (void)state, (void)queue, (void)now_ns;
}
static void none_domain(void *state, struct sched_domain *domain)
{
    (void)state, (void)domain;
}
static void none_vcpu(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    (void)state, (void)queue, (void)vcpu, (void)now_ns;
}
static void yield_as_enqueue(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t now_ns)
{
    active.enqueue(state, queue, vcpu, SCHED_AGAIN, now_ns);
}
static void none_charge(void *state, struct sched_queue *queue, struct sched_vcpu *vcpu, uint64_t ran_ns,
                        uint64_t now_ns)
{
    (void)state, (void)queue, (void)vcpu, (void)ran_ns, (void)now_ns;
}
static void none_move(void *state, struct sched_queue *from, struct sched_queue *to, struct sched_vcpu *vcpu,
                      uint64_t now_ns)
{
    (void)state, (void)from, (void)to, (void)vcpu, (void)now_ns;
}
static uint32_t default_pick_cpu(void *state, const struct sched_machine *machine, const struct sched_vcpu *vcpu,
                                 uint64_t now_ns)
{
    uint64_t idle = machine->idle_mask & vcpu->affinity;

    (void)state, (void)now_ns;
    if (idle == 0 || (idle & cpu_bit(vcpu->cpu)))
        return vcpu->cpu;
    return (uint32_t)__builtin_ctzll(idle);
}

static struct sched_ops with_stubs(const struct sched_ops *ops)
{
    struct sched_ops full = *ops;

#define STUB(op, stub) full.op = full.op != NULL ? full.op : (stub)
    STUB(create, none_create);
    STUB(destroy, none_destroy);
    STUB(queue_init, none_queue_init);
    STUB(domain_insert, none_domain);
    STUB(domain_remove, none_domain);
    STUB(vcpu_insert, none_vcpu);
    STUB(vcpu_remove, none_vcpu);
    STUB(yield, yield_as_enqueue);
    STUB(charge, none_charge);
    STUB(pick_cpu, default_pick_cpu);
    STUB(steal, place_default_steal);
    STUB(move, none_move);
#undef STUB
    return full;
}

/* The core refuses an incomplete table by name, so that no op has to be looked for later. */
static const char *table_flaw(const struct sched_ops *ops)
{
    if (ops->name == NULL || strnlen(ops->name, 32) == 32)
        return "has no usable name";
    if (ops->enqueue == NULL)
        return "has no enqueue";
    if (ops->dequeue == NULL)
        return "has no dequeue";
    if (ops->pick_next == NULL)
        return "has no pick_next";
    if (ops->param_count != 0 && (ops->params == NULL || ops->param_set == NULL || ops->param_get == NULL))
        return "declares parameters but lacks params, param_set or param_get";
    return NULL;
}

const struct sched_ops *sched_module_at(uint32_t index)
{
    uint32_t i = 0;

    while (sched_modules[i] != NULL && i < index)
        i++;
    if (sched_modules[i] != NULL)
        return sched_modules[i];
    return i == index ? &sched_fallback : NULL;
}

const struct sched_ops *sched_module_find(const char *name)
{
    if (name == NULL || name[0] == '\0')
        name = active.name;
    for (const struct sched_ops *const *ops = sched_modules; *ops != NULL; ops++)
        if (strcmp((*ops)->name, name) == 0)
            return *ops;
    return strcmp(name, sched_fallback.name) == 0 ? &sched_fallback : NULL;
}

/* ---- Module data ---- */

/* NULL is right for 0 bytes. */
static int data_alloc(void **data, size_t bytes)
{
    *data = bytes != 0 ? heap_alloc(bytes) : NULL;
    return bytes != 0 && *data == NULL ? -ENOMEM : 0;
}

static void next_data_free(void)
{
    struct sched_vcpu *s;
    struct sched_domain *d;

    list_for_each_entry(s, &sched_all_vcpus, link) {
        heap_free(s->data_next);
        s->data_next = NULL;
    }
    list_for_each_entry(d, &sched_all_domains, link) {
        heap_free(d->data_next);
        d->data_next = NULL;
    }
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        heap_free(run_queue_of(cpu)->data_next);
        run_queue_of(cpu)->data_next = NULL;
    }
}

static int next_data_alloc(const struct sched_ops *ops)
{
    struct sched_vcpu *s;
    struct sched_domain *d;

    list_for_each_entry(s, &sched_all_vcpus, link)
        if (data_alloc(&s->data_next, ops->vcpu_bytes) != 0)
            goto none;
    list_for_each_entry(d, &sched_all_domains, link)
        if (data_alloc(&d->data_next, ops->domain_bytes) != 0)
            goto none;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        if (data_alloc(&run_queue_of(cpu)->data_next, ops->queue_bytes) != 0)
            goto none;
    return 0;
none:
    next_data_free();
    return -ENOMEM;
}

/* After this data is the next module's and data_next the former one's. */
static void swap_data(void)
{
    struct sched_vcpu *s;
    struct sched_domain *d;
    void *former;

    list_for_each_entry(s, &sched_all_vcpus, link) {
        former = s->data;
        s->data = s->data_next;
        s->data_next = former;
    }
    list_for_each_entry(d, &sched_all_domains, link) {
        former = d->data;
        d->data = d->data_next;
        d->data_next = former;
    }
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        struct run_queue *rq = run_queue_of(cpu);

        former = rq->queue.data;
        rq->queue.data = rq->data_next;
        rq->data_next = former;
    }
}

/* ---- Changing the module ---- */

/* Take every vCPU out of the active module. All queues locked. */
static void withdraw_all(uint64_t now_ns)
{
    struct sched_vcpu *s;
    struct sched_domain *d;

    list_for_each_entry(s, &sched_all_vcpus, link) {
        struct run_queue *rq = run_queue_of(s->cpu);

        if (s->place == SCHED_WAITING)
            active.dequeue(active_state, &rq->queue, s, now_ns);
        else if (s->place == SCHED_RUNNING)
            run_queue_charge(rq, now_ns);
        active.vcpu_remove(active_state, &rq->queue, s, now_ns);
    }
    list_for_each_entry(d, &sched_all_domains, link)
        active.domain_remove(active_state, d);
}

/*
 * To the new module all are equal, and it goes by their serials: so that those who wait longest come first, and the running ones last. Else a series of changes would begin with the
 * same vCPU each time, and the others would never run. All queues locked.
 */
static void renumber(void)
{
    struct sched_vcpu *s;

    serials = 0;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        list_for_each_entry(s, &run_queue_of(cpu)->waiting, wait_link)
            s->serial = ++serials;
    list_for_each_entry(s, &sched_all_vcpus, link)
        if (s->place == SCHED_OUT)
            s->serial = ++serials;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        if ((s = run_queue_of(cpu)->queue.running) != NULL)
            s->serial = ++serials;
}

/* Give every vCPU to the active module, the waiting ones in the order in which they wait. All queues locked. */
static void hand_over_all(uint64_t now_ns)
{
    struct sched_domain *d;
    struct sched_vcpu *s;

    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        active.queue_init(active_state, &run_queue_of(cpu)->queue, now_ns);
    list_for_each_entry(d, &sched_all_domains, link)
        active.domain_insert(active_state, d);
    list_for_each_entry(s, &sched_all_vcpus, link)
        active.vcpu_insert(active_state, &run_queue_of(s->cpu)->queue, s, now_ns);
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        struct run_queue *rq = run_queue_of(cpu);

        if (rq->queue.running != NULL)
            rq->queue.charged_ns = now_ns;
        list_for_each_entry(s, &rq->waiting, wait_link)
            active.enqueue(active_state, &rq->queue, s, SCHED_TRANSFER, now_ns);
    }
}

/* The latest of all queues' times, told to all: a moment for everybody. All queues locked. */
static uint64_t common_now(void)
{
    uint64_t now_ns = clock_now_ns();

    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        now_ns = max(now_ns, run_queue_of(cpu)->now_ns);
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        run_queue_of(cpu)->now_ns = now_ns;
    return now_ns;
}

static void note_use(const struct sched_ops *ops, uint64_t now_ns)
{
    uint64_t name[2] = {0, 0};

    sched_history.since_ns = now_ns;
    sched_history.uses++;
    memcpy(name, ops->name, min(strlen(ops->name), sizeof(name)));
    trace(COLLET_TRACE_SCHED_USE, COLLET_TRACE_IDLE, name[0], name[1]);
}

/* Administration lock held. `orderly`: the old module is asked to let go of everything; one that failed is not trusted to. */
static int change_module(const struct sched_ops *ops, bool orderly)
{
    struct sched_ops full = with_stubs(ops);
    struct sched_ops former;
    struct sched_kept kept = {0};
    void *state, *former_state;
    uint64_t flags, now_ns;
    int rc = data_alloc(&state, ops->state_bytes);

    if (rc != 0)
        return rc;
    rc = next_data_alloc(ops);
    if (rc != 0)
        goto free_state;
    rc = orderly ? sched_kept_collect(&kept, ops) : 0;
    if (rc != 0)
        goto free_data;
    rc = full.create(state, &sched_machine);
    if (rc != 0)
        goto free_kept;

    run_queue_lock_all(&flags);
    now_ns = common_now();
    if (orderly)
        withdraw_all(now_ns);
    former = active;
    former_state = active_state;
    swap_data();
    active = full;
    active_state = state;
    renumber();
    hand_over_all(now_ns);
    run_queue_unlock_all(flags);

    if (orderly)
        sched_kept_give(&kept);
    note_use(ops, now_ns);
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        softirq_raise_on(cpu, SOFTIRQ_SCHEDULE);
    former.destroy(former_state);
    state = former_state;
free_kept:
    sched_kept_free(&kept);
free_data:
    next_data_free();
free_state:
    heap_free(state);
    return rc;
}

int sched_use(const char *name)
{
    const struct sched_ops *ops = sched_module_find(name);
    const char *flaw;
    bool changes = false;
    int rc = 0;

    if (ops == NULL)
        return -ENOENT;
    flaw = table_flaw(ops);
    if (flaw != NULL) {
        log_error("scheduler module %s %s: refused", name, flaw);
        return -EINVAL;
    }
    spin_lock(&sched_admin_lock);
    if (ops->name != active.name) {
        rc = change_module(ops, true);
        changes = rc == 0;
    }
    if (changes)
        change_record(COLLET_CHANGE_SCHED_USED, NULL, 0, ops->name);
    spin_unlock(&sched_admin_lock);
    if (changes)
        log_info("scheduler: %s (%s)", ops->name, ops->summary != NULL ? ops->summary : "");
    else if (rc != 0)
        log_warning("scheduler: cannot change to %s: error %d; %s goes on", name, -rc, active.name);
    return rc;
}

/* Administration lock held. */
static void note_dropped(enum sched_fault fault, const char *module, const char *detail)
{
    struct sched_history *h = &sched_history;
    char text[sizeof(h->dropped) + sizeof(h->dropped_why) + 2]; /* change_record cuts it */

    h->dropped_ns = h->since_ns;
    snprintf(h->dropped, sizeof(h->dropped), "%s", module);
    snprintf(h->dropped_why, sizeof(h->dropped_why), "%s (%s)", sched_fault_names[fault], detail);
    snprintf(text, sizeof(text), "%s: %s", module, h->dropped_why);
    change_record(COLLET_CHANGE_SCHED_FAULT, NULL, fault, text);
    change_record(COLLET_CHANGE_SCHED_USED, NULL, 1, active.name);
}

void sched_replace_failed(enum sched_fault fault, const char *module, const char *detail)
{
    bool replaced = false;

    __atomic_fetch_add(&sched_fault_counts[fault], 1, __ATOMIC_RELAXED);
    spin_lock(&sched_admin_lock);
    if (active.name == module && module != sched_fallback.name) {
        int rc = change_module(&sched_fallback, false);

        BUG_ON(rc != 0); /* it allocates nothing */
        note_dropped(fault, module, detail);
        replaced = true;
    }
    spin_unlock(&sched_admin_lock);
    if (replaced)
        log_error("scheduler: module %s %s (%s); replaced by the built-in round robin", module,
                  sched_fault_names[fault], detail);
}

const char *sched_active_name(void)
{
    return active.name;
}

/* ---- Lifetime ---- */

void sched_init(void)
{
    const char *wanted = boot_options.sched;
    const char *first = sched_modules[0] != NULL ? sched_modules[0]->name : sched_fallback.name;

    run_queues = heap_alloc(cpu_count * sizeof(*run_queues));
    if (run_queues == NULL)
        panic("no memory for run queues");
    sched_machine.cpu_count = cpu_count;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        struct run_queue *rq = run_queue_of(cpu);

        rq->queue.cpu = cpu;
        rq->slice_end_ns = UINT64_MAX;
        rq->slice_timer_ns = UINT64_MAX;
        list_init(&rq->waiting);
        timer_init(&rq->slice_timer, slice_timer_fired, rq, cpu);
        timer_init(&rq->watchdog_timer, watchdog_fired, rq, cpu);
        sched_machine.queues[cpu] = &rq->queue;
    }
    active = with_stubs(&sched_fallback);
    if (wanted[0] != '\0' && sched_module_find(wanted) == NULL) {
        log_warning("sched=%s: no such module; using %s", wanted, first);
        wanted = first;
    }
    if (sched_use(wanted[0] != '\0' ? wanted : first) != 0)
        log_warning("scheduler: the built-in round robin is in charge");
    sched_params_from_options();
    softirq_register(SOFTIRQ_SCHEDULE, sched_run);
    sched_keys_init();
}

void sched_init_cpu(void)
{
    struct cpu *cpu = this_cpu();

    if (cpu->idle == NULL)
        cpu->idle = vcpu_create_idle(cpu->id);
    if (cpu->idle == NULL)
        panic("no memory for the idle vCPU of pCPU %u", cpu->id);
    cpu->current = cpu->idle;
    __atomic_fetch_or(&sched_machine.idle_mask, cpu_bit(cpu->id), __ATOMIC_RELAXED);
    softirq_raise(SOFTIRQ_SCHEDULE); /* vCPUs may wait already */
}

int sched_domain_init(struct domain *d)
{
    struct sched_domain *s = &d->sched;
    int rc;

    s->id = d->id;
    spin_lock(&sched_admin_lock);
    rc = data_alloc(&s->data, active.domain_bytes);
    list_init(&s->vcpus);
    if (rc == 0) {
        active.domain_insert(active_state, s);
        list_push_back(&sched_all_domains, &s->link);
        s->known = true;
    }
    spin_unlock(&sched_admin_lock);
    return rc;
}

void sched_domain_destroy(struct domain *d)
{
    struct sched_domain *s = &d->sched;

    if (!s->known)
        return;
    spin_lock(&sched_admin_lock);
    active.domain_remove(active_state, s);
    sched_kept_forget(s, NULL);
    list_remove(&s->link);
    s->known = false;
    heap_free(s->data);
    s->data = NULL;
    spin_unlock(&sched_admin_lock);
}

static uint32_t emptiest_cpu(void)
{
    uint32_t best = 0;

    for (uint32_t cpu = 1; cpu < cpu_count; cpu++)
        if (READ_ONCE(run_queue_of(cpu)->homed) < READ_ONCE(run_queue_of(best)->homed))
            best = cpu;
    return best;
}

int sched_vcpu_init(struct vcpu *v)
{
    struct sched_vcpu *s = &v->sched;
    struct run_queue *rq;
    uint64_t flags;
    int rc;

    if (v->is_idle)
        return 0;
    s->domain = &v->domain->sched;
    s->id = v->id;
    s->affinity = ~0ull;
    s->blockers = SCHED_PAUSED | SCHED_DOWN;
    s->pause_count = 1;
    s->place = SCHED_OUT;
    s->ran_cpu = SCHED_NOWHERE;
    list_init(&s->wait_link);

    spin_lock(&sched_admin_lock);
    rc = data_alloc(&s->data, active.vcpu_bytes);
    if (rc == 0) {
        s->serial = ++serials;
        rq = run_queue_of(emptiest_cpu());
        flags = spin_lock_irqsave(&rq->lock);
        run_queue_add_home(rq, s);
        active.vcpu_insert(active_state, &rq->queue, s, run_queue_now(rq));
        spin_unlock_irqrestore(&rq->lock, flags);
        list_push_back(&sched_all_vcpus, &s->link);
        list_push_back(&s->domain->vcpus, &s->domain_link);
    }
    spin_unlock(&sched_admin_lock);
    return rc;
}

void sched_vcpu_destroy(struct vcpu *v)
{
    struct sched_vcpu *s = &v->sched;
    struct run_queue *rq;
    uint64_t flags;

    if (v->is_idle || s->serial == 0)
        return;
    /* Nothing may wake it from here on. */
    if (!s->dead) {
        s->dead = true;
        vcpu_pause_sync(v);
    }
    spin_lock(&sched_admin_lock);
    rq = run_queue_lock_home(s, &flags);
    active.vcpu_remove(active_state, &rq->queue, s, run_queue_now(rq));
    run_queue_remove_home(rq, s);
    spin_unlock_irqrestore(&rq->lock, flags);
    list_remove(&s->link);
    list_remove(&s->domain_link);
    sched_kept_forget(s->domain, s);
    heap_free(s->data);
    s->data = NULL;
    s->serial = 0;
    spin_unlock(&sched_admin_lock);
}
