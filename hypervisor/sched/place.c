/* SPDX-License-Identifier: MIT */
/*
 * Moving vCPUs between pCPUs: a waking one to where the module wants it, a waiting one to a pCPU with less to do.
 *
 * Homes change only while both queues are locked and the vCPU's registers are saved. The second lock is only tried: a move is a
 * wish, and the next decision comes soon. Tests: test-core.c.
 */
#include "run-queue.h"

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

static struct sched_vcpu *movable(struct run_queue *from, uint32_t cpu)
{
    struct sched_vcpu *s;

    list_for_each_entry(s, &from->waiting, wait_link)
        if (!READ_ONCE(s->on_cpu) && (s->affinity & cpu_bit(cpu)))
            return s;
    return NULL;
}

/* Take the vCPU that waits longest from the fullest queue that has at least two more than this one. rq locked. Returns the time. */
uint64_t place_pull(struct run_queue *rq, uint64_t now_ns)
{
    struct run_queue *from = NULL;
    uint32_t most = rq->queue.waiting + 1;
    struct sched_vcpu *s;

    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        const struct sched_queue *queue = &run_queue_of(cpu)->queue;
        /* A queue whose pCPU still idles is about to serve its first one itself. */
        uint32_t load = READ_ONCE(queue->running) == NULL ? 0 : READ_ONCE(queue->waiting) + 1;

        if (load > most) {
            most = load;
            from = run_queue_of(cpu);
        }
    }
    if (from == NULL || from == rq || !spin_trylock(&from->lock))
        return now_ns;
    s = movable(from, rq->queue.cpu);
    if (s != NULL) {
        uint64_t since_ns = s->waiting_since_ns;

        now_ns = common_now(from, rq, now_ns);
        active.dequeue(active_state, &from->queue, s, now_ns);
        list_remove(&s->wait_link);
        from->queue.waiting--;
        change_home(from, rq, s, now_ns);
        s->waiting_since_ns = min(since_ns, now_ns); /* it has waited all the while */
        list_push_front(&rq->waiting, &s->wait_link);
        rq->queue.waiting++;
        active.enqueue(active_state, &rq->queue, s, SCHED_TRANSFER, now_ns);
        rq->pulls++;
    }
    spin_unlock(&from->lock);
    return now_ns;
}
