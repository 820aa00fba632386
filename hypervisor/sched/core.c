/* SPDX-License-Identifier: MIT */
/*
 * The scheduler core: which vCPU is in which state, and the one place where a pCPU changes hands (sched_run).
 *
 * A vCPU is OUT (cannot run), WAITING (at its home queue, known to the module) or RUNNING. Who may run next is the module's answer; who
 * may not is decided here. A vCPU whose registers are still in a processor (on_cpu) never changes its home, so no
 * other pCPU can ever pick it too early and nothing has to wait for a switch under way.
 * Contract: sched.h and <hv/sched-ops.h>. Path: docs/paths/schedule.md. Tests: test-core.c.
 */
#include "run-queue.h"

#include "domain.h"
#include "trace.h"

struct run_queue *run_queues;

/* ---- Homes ---- */

struct run_queue *run_queue_lock_home(struct sched_vcpu *s, uint64_t *flags)
{
    for (;;) {
        uint32_t cpu = READ_ONCE(s->cpu);
        struct run_queue *rq = run_queue_of(cpu);

        *flags = spin_lock_irqsave(&rq->lock);
        if (likely(s->cpu == cpu))
            return rq;
        spin_unlock_irqrestore(&rq->lock, *flags); /* it moved while we waited */
    }
}

void run_queue_add_home(struct run_queue *rq, struct sched_vcpu *s)
{
    struct sched_vcpu **bucket = home_bucket(rq, s);

    lock_assert_held(&rq->lock);
    s->home_next = *bucket;
    *bucket = s;
    rq->homed++;
    s->cpu = rq->queue.cpu;
    vcpu_of(s)->cpu = rq->queue.cpu;
}

void run_queue_remove_home(struct run_queue *rq, struct sched_vcpu *s)
{
    struct sched_vcpu **link = home_bucket(rq, s);

    lock_assert_held(&rq->lock);
    while (*link != s)
        link = &(*link)->home_next;
    *link = s->home_next;
    rq->homed--;
}

/* ---- States ---- */

static inline void kick(struct run_queue *rq)
{
    softirq_raise_on(rq->queue.cpu, SOFTIRQ_SCHEDULE);
}

static int runstate_of(uint32_t blockers)
{
    if ((blockers & ~SCHED_MOVING) == 0)
        return RUNSTATE_runnable;
    return (blockers & (SCHED_DOWN | SCHED_PAUSED)) ? RUNSTATE_offline : RUNSTATE_blocked;
}

static inline void set_waiting(struct run_queue *rq, struct sched_vcpu *s, uint64_t now_ns)
{
    s->place = SCHED_WAITING;
    s->waiting_since_ns = now_ns;
    list_push_back(&rq->waiting, &s->wait_link);
    rq->queue.waiting++;
}

static inline void unset_waiting(struct run_queue *rq, struct sched_vcpu *s)
{
    list_remove(&s->wait_link);
    rq->queue.waiting--;
}

/* The slice of what runs here ends so much later than now. */
void run_queue_set_slice(struct run_queue *rq, uint64_t now_ns, uint64_t slice_ns)
{
    rq->slice_end_ns = slice_ns == SCHED_UNTIL_BLOCK ? UINT64_MAX : now_ns + slice_ns;
    /* A timer that fires too early is armed again by its handler: that costs less than moving it at every switch. */
    if (rq->slice_end_ns < rq->slice_timer_ns) {
        rq->slice_timer_ns = rq->slice_end_ns;
        timer_set(&rq->slice_timer, rq->slice_end_ns);
    }
}

void run_queue_charge(struct run_queue *rq, uint64_t now_ns)
{
    struct sched_vcpu *s = rq->queue.running;
    uint64_t ran_ns = now_ns - rq->queue.charged_ns;

    rq->queue.charged_ns = now_ns;
    s->ran_ns += ran_ns;
    rq->busy_ns += ran_ns;
    active.charge(active_state, &rq->queue, s, ran_ns, now_ns);
}

/* s has lost its last blocker and is OUT. Returns the queue it waits at, locked in rq's stead. */
static struct run_queue *make_runnable(struct run_queue *rq, struct sched_vcpu *s)
{
    uint64_t now_ns, run_on_ns;

    now_ns = run_queue_now(rq);
    if (unlikely(misplaced(s))) {
        while (__atomic_load_n(&s->on_cpu, __ATOMIC_ACQUIRE))
            cpu_relax(); /* another pCPU is between its decision and sched_switched: it takes no lock there */
        rq = place_allowed(rq, s);
        now_ns = run_queue_now(rq);
        if (s->blockers != 0) {
            vcpu_runstate_change(vcpu_of(s), runstate_of(s->blockers), now_ns);
            return rq;
        }
    } else if (rq->queue.running != NULL && cpu_count > 1 && !READ_ONCE(s->on_cpu)) {
        rq = place_waking(rq, s, now_ns);
        now_ns = rq->now_ns;
    }
    vcpu_runstate_change(vcpu_of(s), RUNSTATE_runnable, now_ns);
    s->wakes++;
    s->woken = true;
    trace_vcpu(COLLET_TRACE_WAKE, vcpu_of(s), rq->queue.cpu, 0);
    set_waiting(rq, s, now_ns);
    run_on_ns = active.enqueue(active_state, &rq->queue, s, SCHED_WAKE, now_ns);
    if (rq->queue.running == NULL) {
        kick(rq);
        return rq;
    }
    if (run_on_ns == 0) {
        rq->preemptions++;
        kick(rq);
    } else if (run_on_ns != SCHED_KEEP && run_on_ns <= SCHED_SLICE_MAX_NS) {
        run_queue_set_slice(rq, now_ns, run_on_ns);
    }
    watchdog_watch(rq, now_ns);
    return rq;
}

/* s has gained a blocker from outside. */
static void stop(struct run_queue *rq, struct sched_vcpu *s)
{
    uint64_t now_ns;

    if (s->place == SCHED_RUNNING) {
        kick(rq);
        return;
    }
    now_ns = run_queue_now(rq);
    if (s->place == SCHED_WAITING) {
        active.dequeue(active_state, &rq->queue, s, now_ns);
        unset_waiting(rq, s);
        s->place = SCHED_OUT;
        trace_vcpu(COLLET_TRACE_BLOCK, vcpu_of(s), (uint64_t)runstate_of(s->blockers), 0);
    }
    vcpu_runstate_change(vcpu_of(s), runstate_of(s->blockers), now_ns);
}

/* A blocker was taken away: perhaps it can run. Unlocks. */
static void go_and_unlock(struct run_queue *rq, struct sched_vcpu *s, uint64_t flags)
{
    if (s->place == SCHED_OUT) {
        if (s->blockers == 0)
            rq = make_runnable(rq, s);
        else
            vcpu_runstate_change(vcpu_of(s), runstate_of(s->blockers), run_queue_now(rq));
    }
    spin_unlock_irqrestore(&rq->lock, flags);
}

void vcpu_wake(struct vcpu *v)
{
    struct sched_vcpu *s = &v->sched;
    struct run_queue *rq;
    uint64_t flags;

    /* The event was made visible before this; vcpu_block sets BLOCKED before it looks at events. One of us sees the other. */
    smp_mb();
    if (!(READ_ONCE(s->blockers) & SCHED_BLOCKED))
        return;
    rq = run_queue_lock_home(s, &flags);
    __atomic_and_fetch(&s->blockers, ~SCHED_BLOCKED, __ATOMIC_RELAXED);
    go_and_unlock(rq, s, flags);
}

void vcpu_block(bool (*still_wanted)(struct vcpu *v))
{
    struct vcpu *v = current_vcpu();

    __atomic_fetch_or(&v->sched.blockers, SCHED_BLOCKED, __ATOMIC_SEQ_CST);
    if (still_wanted != NULL && !still_wanted(v)) {
        __atomic_and_fetch(&v->sched.blockers, ~SCHED_BLOCKED, __ATOMIC_RELAXED);
        return;
    }
    sched_run();
}

void vcpu_yield(void)
{
    struct vcpu *v = current_vcpu();

    if (READ_ONCE(run_queue_of(this_cpu_id())->queue.waiting) == 0)
        return;
    v->sched.yielding = true;
    sched_run();
}

void vcpu_pause(struct vcpu *v)
{
    struct sched_vcpu *s = &v->sched;
    uint64_t flags;
    struct run_queue *rq = run_queue_lock_home(s, &flags);

    if (s->pause_count++ == 0 || v->drained != 0) {
        __atomic_fetch_or(&s->blockers, SCHED_PAUSED, __ATOMIC_RELAXED);
        stop(rq, s);
    }
    spin_unlock_irqrestore(&rq->lock, flags);
}

void vcpu_pause_sync(struct vcpu *v)
{
    vcpu_pause(v);
    /* preempt_point, because v may at this moment wait for us to stop. */
    while (READ_ONCE(v->sched.place) == SCHED_RUNNING || __atomic_load_n(&v->sched.on_cpu, __ATOMIC_ACQUIRE)) {
        preempt_point();
        cpu_relax();
    }
}

void vcpu_unpause(struct vcpu *v)
{
    struct sched_vcpu *s = &v->sched;
    uint64_t flags;
    struct run_queue *rq = run_queue_lock_home(s, &flags);

    ASSERT(s->pause_count > 0);
    if (s->pause_count > 0 && --s->pause_count == 0)
        __atomic_and_fetch(&s->blockers, ~SCHED_PAUSED, __ATOMIC_RELAXED);
    go_and_unlock(rq, s, flags);
}

void vcpu_drain_begin(struct vcpu *v)
{
    struct sched_vcpu *s = &v->sched;
    uint64_t flags;
    struct run_queue *rq = run_queue_lock_home(s, &flags);

    v->drained |= s->blockers & (SCHED_PAUSED | SCHED_DOWN);
    __atomic_and_fetch(&s->blockers, ~(SCHED_PAUSED | SCHED_DOWN), __ATOMIC_RELAXED);
    go_and_unlock(rq, s, flags);
}

void vcpu_drain_end(struct vcpu *v)
{
    struct sched_vcpu *s = &v->sched;
    uint64_t flags;
    struct run_queue *rq = run_queue_lock_home(s, &flags);
    uint32_t back = v->drained != 0 && s->pause_count > 0 ? SCHED_PAUSED : 0;

    back |= v->drained & SCHED_DOWN;
    v->drained = 0;
    if (back != 0) {
        __atomic_fetch_or(&s->blockers, back, __ATOMIC_RELAXED);
        stop(rq, s);
    }
    spin_unlock_irqrestore(&rq->lock, flags);
}

void vcpu_set_down(struct vcpu *v, bool down)
{
    struct sched_vcpu *s = &v->sched;
    uint64_t flags;
    struct run_queue *rq = run_queue_lock_home(s, &flags);

    if (down) {
        __atomic_fetch_or(&s->blockers, SCHED_DOWN, __ATOMIC_RELAXED);
        stop(rq, s);
        spin_unlock_irqrestore(&rq->lock, flags);
    } else {
        __atomic_and_fetch(&s->blockers, ~SCHED_DOWN, __ATOMIC_RELAXED);
        go_and_unlock(rq, s, flags);
    }
}

bool vcpu_is_down(const struct vcpu *v)
{
    return (READ_ONCE(v->sched.blockers) & SCHED_DOWN) != 0;
}

void vcpu_set_affinity(struct vcpu *v, cpumask_t mask)
{
    struct sched_vcpu *s = &v->sched;
    uint64_t flags;
    struct run_queue *rq = run_queue_lock_home(s, &flags);

    if ((mask & cpu_online_mask) != 0)
        s->affinity = mask;
    if (s->place == SCHED_RUNNING) {
        if (misplaced(s)) {
            __atomic_fetch_or(&s->blockers, SCHED_MOVING, __ATOMIC_RELAXED);
            kick(rq); /* put_running takes it out, sched_switched brings it on its way */
        } else {
            __atomic_and_fetch(&s->blockers, ~SCHED_MOVING, __ATOMIC_RELAXED);
        }
    } else if (s->place == SCHED_WAITING && misplaced(s)) {
        active.dequeue(active_state, &rq->queue, s, run_queue_now(rq));
        unset_waiting(rq, s);
        s->place = SCHED_OUT;
        rq = make_runnable(rq, s);
    }
    spin_unlock_irqrestore(&rq->lock, flags);
}

uint64_t sched_idle_ns(uint32_t cpu)
{
    struct run_queue *rq = run_queue_of(cpu);
    uint64_t flags = spin_lock_irqsave(&rq->lock), now_ns = run_queue_now(rq), busy_ns = rq->busy_ns;

    if (rq->queue.running != NULL)
        busy_ns += now_ns - rq->queue.charged_ns;
    spin_unlock_irqrestore(&rq->lock, flags);
    return now_ns - busy_ns;
}

/* ---- The decision ---- */

/* What ran until now stops: charge it, and put it where it belongs. */
static inline void put_running(struct run_queue *rq, struct sched_vcpu *s, uint64_t now_ns)
{
    run_queue_charge(rq, now_ns);
    rq->queue.running = NULL;
    if (unlikely(READ_ONCE(s->blockers) != 0)) {
        s->place = SCHED_OUT;
        s->yielding = false;
        rq->leaving_moves = (s->blockers & SCHED_MOVING) != 0;
        if (active.sleep != NULL) /* no stub: this is cheaper for those who do not care */
            active.sleep(active_state, &rq->queue, s, now_ns);
        trace_vcpu(COLLET_TRACE_BLOCK, vcpu_of(s), (uint64_t)runstate_of(s->blockers), 0);
        return;
    }
    set_waiting(rq, s, now_ns);
    if (unlikely(s->yielding)) {
        active.yield(active_state, &rq->queue, s, now_ns);
    } else {
        active.enqueue(active_state, &rq->queue, s, SCHED_AGAIN, now_ns);
    }
}

/* The histogram of wake-up latencies. */
static inline void note_latency(struct sched_vcpu *s, uint64_t waited_ns)
{
    uint64_t us = waited_ns / NS_PER_US;
    unsigned int bucket = us == 0 ? 0 : 64u - (unsigned int)__builtin_clzll(us);

    s->latency[min(bucket, SCHED_LATENCY_BUCKETS - 1u)]++;
}

static void note_migration(struct sched_vcpu *s, uint32_t cpu)
{
    if (s->ran_cpu != SCHED_NOWHERE) {
        s->migrations++;
        trace_vcpu(COLLET_TRACE_MIGRATE, vcpu_of(s), s->ran_cpu, cpu);
    }
    s->ran_cpu = cpu;
}

static inline void take_running(struct run_queue *rq, struct sched_vcpu *s, uint64_t now_ns)
{
    uint64_t waited_ns = now_ns - s->waiting_since_ns;

    unset_waiting(rq, s);
    s->place = SCHED_RUNNING;
    s->on_cpu = true;
    s->waited_ns += waited_ns;
    if (unlikely(waited_ns > s->waited_max_ns))
        s->waited_max_ns = waited_ns;
    s->dispatches++;
    s->yielding = false;
    if (s->woken) {
        s->woken = false;
        note_latency(s, waited_ns);
    }
    if (unlikely(s->ran_cpu != rq->queue.cpu))
        note_migration(s, rq->queue.cpu);
    rq->queue.running = s;
    rq->queue.charged_ns = now_ns;
}

/* prev leaves this pCPU for next (one of them may be the idle vCPU); the queue is unlocked before the stacks change. */
static void switch_and_unlock(struct run_queue *rq, struct vcpu *prev, struct vcpu *next, uint64_t now_ns)
{
    rq->switches++;
    if (prev->is_idle) {
        __atomic_fetch_and(&sched_machine.idle_mask, ~cpu_bit(rq->queue.cpu), __ATOMIC_RELAXED);
    } else {
        rq->leaving = &prev->sched;
        if (prev->sched.place == SCHED_WAITING && !prev->sched.yielding)
            prev->sched.preemptions++;
        vcpu_runstate_change(prev, runstate_of(prev->sched.blockers), now_ns);
    }
    if (next->is_idle)
        __atomic_fetch_or(&sched_machine.idle_mask, cpu_bit(rq->queue.cpu), __ATOMIC_RELAXED);
    else
        vcpu_runstate_change(next, RUNSTATE_running, now_ns);
    spin_unlock(&rq->lock);
    vcpu_switch(prev, next);
    /* Here again on prev's own stack, perhaps much later and on another pCPU. */
    sched_switched();
}

/* The queue is unlocked and interrupts are on during a repair: prev waits meanwhile, still on this pCPU. */
static void repair(struct run_queue *rq, enum sched_fault fault)
{
    const char *name = active.name;

    spin_unlock(&rq->lock);
    irq_enable();
    sched_replace_failed(fault, name, "chosen for a pCPU");
    irq_disable();
    spin_lock(&rq->lock);
}

static inline void trace_switch(const struct vcpu *next, const struct vcpu *prev, uint64_t slice_ns)
{
    if (trace_on(COLLET_TRACE_SWITCH))
        trace_record(COLLET_TRACE_SWITCH, trace_subject(next), trace_subject(prev), slice_ns);
}

/* Ask the module, and repair it if need be. Returns its choice, or NULL: nobody waits, or nobody may run for slice_ns. */
static inline struct sched_vcpu *choose(struct run_queue *rq, uint64_t *now_ns, uint64_t *slice_ns)
{
    bool pulled = cpu_count == 1;

    while (rq->queue.waiting > 0) {
        enum sched_fault fault;
        struct sched_vcpu *chosen = checked_pick(rq, *now_ns, slice_ns, &fault);

        if (likely(chosen != NULL))
            return chosen;
        if (fault != FAULT_COUNT) {
            repair(rq, fault);
            *now_ns = run_queue_now(rq);
        } else if (pulled) {
            return NULL;
        } else {
            *now_ns = place_pull(rq, *now_ns); /* all here are parked: perhaps somebody else has work */
            pulled = true;
        }
    }
    *slice_ns = SCHED_UNTIL_BLOCK;
    return NULL;
}

void sched_run(void)
{
    struct cpu *cpu = this_cpu();
    struct run_queue *rq = run_queue_of(cpu->id);
    struct vcpu *prev = current_vcpu();
    struct vcpu *next;
    struct sched_vcpu *chosen;
    uint64_t now_ns, slice_ns;

    irq_disable();
    spin_lock(&rq->lock);
    now_ns = run_queue_now(rq);
    rq->runs++;
    if (rq->queue.running != NULL)
        put_running(rq, rq->queue.running, now_ns);
    if (cpu_count > 1 && (rq->queue.waiting == 0 || now_ns >= rq->pull_due_ns))
        now_ns = place_pull(rq, now_ns);

    chosen = choose(rq, &now_ns, &slice_ns);
    next = cpu->idle;
    if (likely(chosen != NULL)) {
        take_running(rq, chosen, now_ns);
        next = vcpu_of(chosen);
    }
    run_queue_set_slice(rq, now_ns, slice_ns);
    if (rq->queue.waiting > 0) {
        watchdog_watch(rq, now_ns);
        if (chosen != NULL)
            place_offer(rq);
    }
    if (next != prev) {
        trace_switch(next, prev, slice_ns);
        switch_and_unlock(rq, prev, next, now_ns);
        return;
    }
    spin_unlock(&rq->lock);
    irq_enable();
}

/* left has been taken out because it may not run here any more. Its queue is locked before its registers are given free: so nobody frees it first. */
static void send_away(struct run_queue *rq, struct sched_vcpu *left)
{
    uint64_t flags = spin_lock_irqsave(&rq->lock);

    rq->leaving_moves = false;
    __atomic_store_n(&left->on_cpu, false, __ATOMIC_RELEASE);
    __atomic_and_fetch(&left->blockers, ~SCHED_MOVING, __ATOMIC_RELAXED);
    go_and_unlock(rq, left, flags);
}

void sched_switched(void)
{
    struct run_queue *rq = run_queue_of(this_cpu_id());
    struct sched_vcpu *left = rq->leaving;

    if (left != NULL) {
        rq->leaving = NULL;
        if (unlikely(rq->leaving_moves))
            send_away(rq, left);
        else
            __atomic_store_n(&left->on_cpu, false, __ATOMIC_RELEASE);
    }
    irq_enable();
}
