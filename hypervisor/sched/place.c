/* SPDX-License-Identifier: MIT */
/*
 * Moving vCPUs between pCPUs: a waking one to where the module wants it, a waiting one to a pCPU with less to do.
 *
 * Homes change only while both queues are locked and the vCPU's registers are saved. The second lock is only tried: a move is a
 * wish, and the next decision comes soon. Tests: test-core.c.
 */
#include "run-queue.h"

#define MOVE_LOOKS 16u
#define PULL_TRIES 4u
#define PULL_EVERY_NS (5 * NS_PER_MS) /* a busy pCPU looks around so often at most; an idle one at once */

/* One time for two queues: the later of both. */
static uint64_t common_now(struct run_queue *a, struct run_queue *b, uint64_t now_ns)
{
    now_ns = max(now_ns, max(a->now_ns, b->now_ns));
    a->now_ns = now_ns;
    b->now_ns = now_ns;
    return now_ns;
}

/* Both locked; s is OUT of any queue. */
static void change_home(struct run_queue *from, struct run_queue *to, struct sched_vcpu *s, uint64_t now_ns)
{
    active.move(active_state, &from->queue, &to->queue, s, now_ns);
    run_queue_remove_home(from, s);
    run_queue_add_home(to, s);
}

/* An idle pCPU of its affinity, or the one with the fewest waiting. */
static uint32_t allowed_cpu(const struct sched_vcpu *s)
{
    uint64_t mask = s->affinity & cpu_online_mask, idle = mask & READ_ONCE(sched_machine.idle_mask);
    uint32_t best = s->cpu, least = UINT32_MAX;

    if (idle != 0)
        return (uint32_t)__builtin_ctzll(idle);
    for (; mask != 0; mask &= mask - 1) {
        uint32_t cpu = (uint32_t)__builtin_ctzll(mask);

        if (READ_ONCE(run_queue_of(cpu)->queue.waiting) < least) {
            least = READ_ONCE(run_queue_of(cpu)->queue.waiting);
            best = cpu;
        }
    }
    return best;
}

/* Both, rq being locked; in the order of CPUs. While rq is not locked, s stays where it is: nobody makes it runnable, or frees it. */
static void lock_second(struct run_queue *rq, struct run_queue *to, struct sched_vcpu *s)
{
    if (to->queue.cpu > rq->queue.cpu) {
        spin_lock(&to->lock);
        return;
    }
    if (spin_trylock(&to->lock))
        return;
    __atomic_fetch_or(&s->blockers, SCHED_MOVING, __ATOMIC_RELAXED);
    s->on_cpu = true; /* as if: that is what a destroyer waits for */
    spin_unlock(&rq->lock);
    spin_lock(&to->lock);
    spin_lock(&rq->lock);
    __atomic_store_n(&s->on_cpu, false, __ATOMIC_RELEASE);
    __atomic_and_fetch(&s->blockers, ~SCHED_MOVING, __ATOMIC_RELAXED);
}

/* s, OUT with its registers saved, may not run where it is at home: find it another one. Returns that queue, locked in rq's stead. It may have gained a blocker meanwhile. */
struct run_queue *place_allowed(struct run_queue *rq, struct sched_vcpu *s)
{
    while (misplaced(s) && s->blockers == 0) {
        struct run_queue *to = run_queue_of(allowed_cpu(s));

        if (to == rq)
            break; /* no such pCPU: vcpu_set_affinity refuses that */
        lock_second(rq, to, s);
        if (s->blockers == 0 && (s->affinity & cpu_bit(to->queue.cpu))) {
            change_home(rq, to, s, common_now(rq, to, run_queue_now(rq)));
            spin_unlock(&rq->lock);
            return to;
        }
        spin_unlock(&to->lock);
    }
    return rq;
}

/* s, OUT, is about to wait. Returns the queue for it, locked; rq stays locked only if it is that. */
struct run_queue *place_waking(struct run_queue *rq, struct sched_vcpu *s, uint64_t now_ns)
{
    uint32_t cpu = checked_pick_cpu(rq, s, now_ns);
    struct run_queue *to = run_queue_of(cpu);

    if (to == rq || !spin_trylock(&to->lock))
        return rq;
    change_home(rq, to, s, common_now(rq, to, now_ns));
    spin_unlock(&rq->lock);
    return to;
}

/* The steal of modules that have none. Among those that wait longest; no more than a few are looked at, so that a queue full of pinned vCPUs costs no more than another. */
struct sched_vcpu *place_default_steal(void *state, struct sched_queue *from, struct sched_queue *to, uint64_t now_ns)
{
    struct run_queue *rq = container_of(from, struct run_queue, queue);
    uint32_t looks = MOVE_LOOKS;
    struct sched_vcpu *s;

    (void)state, (void)now_ns;
    if (from->waiting <= to->waiting)
        return NULL;
    list_for_each_entry(s, &rq->waiting, wait_link) {
        if (sched_can_move(s, to->cpu))
            return s;
        if (--looks == 0)
            break;
    }
    return NULL;
}

/* The queue with the most waiting, more than `least`, of those not in `asked`. A queue whose pCPU idles serves its own. */
static struct run_queue *fullest(uint64_t asked, uint32_t least)
{
    struct run_queue *best = NULL;

    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        struct run_queue *rq = run_queue_of(cpu);
        uint32_t waiting = READ_ONCE(rq->queue.waiting);

        if (waiting <= least || READ_ONCE(rq->queue.running) == NULL || (asked & cpu_bit(cpu)))
            continue;
        least = waiting;
        best = rq;
    }
    return best;
}

/* s, waiting at `from`, waits at `to` from now on. Both locked. */
static void transfer(struct run_queue *from, struct run_queue *to, struct sched_vcpu *s, uint64_t now_ns)
{
    uint64_t since_ns = s->waiting_since_ns;

    active.dequeue(active_state, &from->queue, s, now_ns);
    list_remove(&s->wait_link);
    from->queue.waiting--;
    change_home(from, to, s, now_ns);
    s->waiting_since_ns = min(since_ns, now_ns); /* it has waited all the while */
    list_push_front(&to->waiting, &s->wait_link);
    to->queue.waiting++;
    active.enqueue(active_state, &to->queue, s, SCHED_TRANSFER, now_ns);
    to->pulls++;
}

/* Let the module say whom this pCPU takes over from a fuller queue, if anybody. rq locked. Returns the time. */
uint64_t place_pull(struct run_queue *rq, uint64_t now_ns)
{
    uint32_t least = active.steal == place_default_steal ? rq->queue.waiting : 0;
    uint64_t asked = cpu_bit(rq->queue.cpu);

    rq->pull_due_ns = now_ns + PULL_EVERY_NS;
    for (uint32_t tries = 0; tries < PULL_TRIES; tries++) {
        struct run_queue *from = fullest(asked, least);
        struct sched_vcpu *s;

        if (from == NULL)
            break;
        asked |= cpu_bit(from->queue.cpu);
        if (!spin_trylock(&from->lock))
            continue;
        now_ns = common_now(from, rq, now_ns);
        s = checked_steal(from, rq, now_ns);
        if (s != NULL)
            transfer(from, rq, s, now_ns);
        spin_unlock(&from->lock);
        if (s != NULL)
            break;
    }
    return now_ns;
}

/* One of the idle pCPUs, on which the one that waits longest may run, is to look for work. rq locked. */
void place_wake_idle(struct run_queue *rq, uint64_t idle)
{
    const struct sched_vcpu *s = list_first_entry(&rq->waiting, struct sched_vcpu, wait_link);

    idle &= s->affinity;
    if (idle != 0)
        softirq_raise_on((uint32_t)__builtin_ctzll(idle), SOFTIRQ_SCHEDULE);
}
