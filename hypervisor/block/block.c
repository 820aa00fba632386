// SPDX-License-Identifier: MIT
/*
 * Whose turn it is: domains with something in their rings wait in one line, and each in its turn gives a small batch of one VBD to the disks below; its VBDs take turns at that, so that more of them are not more
 * turns. Responses are shown once a round, so that a burst of completions costs its guest one event. After "Xen and the Art of Virtualization" (SOSP 2003), section 3.3.5.
 * Contract: block.h, vbd-internal.h. Tests: test-block.c.
 */
#include "vbd-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "time.h"
#include "vcpu.h"

#define BATCH 8u          /* requests in one turn */
#define TURNS_MAX 16u     /* in one run of the softirq: then guests get the CPU for a moment */
#define PAUSE_NS 50000u
#define RUNS_MAX 8u           /* of the softirq without a break, while somebody else wants the CPU: then they get it for as long as that took */
#define REST_MAX_NS NS_PER_MS

static struct spinlock turn_lock = SPINLOCK_INIT; /* a leaf */
static struct list_node lines = LIST_HEAD_INIT(lines), answers = LIST_HEAD_INIT(answers);
static struct timer pause_timer[MAX_CPUS];
static bool running[MAX_CPUS]; /* the softirq is at work on this CPU, and will look at both lists before it ends */

static struct {
    uint64_t since_ns;
    uint32_t runs;
    bool rests; /* until pause_timer fires: what is to be done waits */
} breaks[MAX_CPUS];

/* turn_lock held. */
static void line_enter(struct vbd *vbd)
{
    struct block_line *line = &vbd->domain->block_line;

    if (unlikely(line->vbds.next == NULL))
        list_init(&line->vbds);
    if (list_empty(&line->vbds))
        list_push_back(&lines, &line->link);
    list_push_back(&line->vbds, &vbd->turn);
}

/* turn_lock held. */
static void line_leave(struct vbd *vbd)
{
    struct block_line *line = &vbd->domain->block_line;

    list_remove(&vbd->turn);
    if (list_empty(&line->vbds))
        list_remove(&line->link);
}

/* On one of the lists, as whose user it counts. */
static inline void want(struct vbd *vbd, bool *in, bool turn)
{
    bool added = false;

    if (READ_ONCE(*in))
        return; /* whoever takes it off the list looks at the ring afterwards */
    spin_lock(&turn_lock);
    if (!*in) {
        *in = true;
        if (turn)
            line_enter(vbd);
        else
            list_push_back(&answers, &vbd->answers);
        __atomic_fetch_add(&vbd->users, 1, __ATOMIC_RELAXED);
        added = true;
    }
    spin_unlock(&turn_lock);
    if (added && !running[this_cpu_id()])
        softirq_raise(SOFTIRQ_BLOCK);
}

void block_want_turn(struct vbd *vbd)
{
    want(vbd, &vbd->in_turn, true);
}

void block_want_answer(struct vbd *vbd)
{
    want(vbd, &vbd->in_answers, false);
}

void block_forget(struct vbd *vbd)
{
    spin_lock(&turn_lock);
    if (vbd->in_turn) {
        vbd->in_turn = false;
        line_leave(vbd);
        __atomic_fetch_sub(&vbd->users, 1, __ATOMIC_RELEASE);
    }
    if (vbd->in_answers) {
        vbd->in_answers = false;
        list_remove(&vbd->answers);
        __atomic_fetch_sub(&vbd->users, 1, __ATOMIC_RELEASE);
    }
    spin_unlock(&turn_lock);
}

/* The first VBD of the first domain, which goes to the end if it has more. It stays in use: pair: users - 1. */
static struct vbd *next_turn(void)
{
    struct block_line *line;
    struct vbd *vbd = NULL;

    if (list_empty(&lines))
        return NULL;
    spin_lock(&turn_lock);
    if (!list_empty(&lines)) {
        line = list_first_entry(&lines, struct block_line, link);
        vbd = list_first_entry(&line->vbds, struct vbd, turn);
        list_remove(&vbd->turn);
        list_remove(&line->link);
        if (!list_empty(&line->vbds))
            list_push_back(&lines, &line->link);
        WRITE_ONCE(vbd->in_turn, false);
    }
    spin_unlock(&turn_lock);
    return vbd;
}

static struct vbd *next_answer(void)
{
    struct vbd *vbd = NULL;

    if (list_empty(&answers))
        return NULL;
    spin_lock(&turn_lock);
    if (!list_empty(&answers)) {
        vbd = list_first_entry(&answers, struct vbd, answers);
        list_remove(&vbd->answers);
        WRITE_ONCE(vbd->in_answers, false);
    }
    spin_unlock(&turn_lock);
    return vbd;
}

static void answer_all(void)
{
    struct vbd *vbd;

    while ((vbd = next_answer()) != NULL) {
        ring_answer(vbd);
        __atomic_fetch_sub(&vbd->users, 1, __ATOMIC_RELEASE);
    }
}

/* false: there were more turns to take than is fair to whoever runs here. */
static bool take_turns(void)
{
    for (unsigned int i = 0; i < TURNS_MAX; i++) {
        struct vbd *vbd = next_turn();
        enum ring_state state;

        if (vbd == NULL)
            return true;
        state = ring_take(vbd, BATCH);
        if (state == RING_MORE)
            block_want_turn(vbd);
        for (uint32_t s = 0; s < vbd->stream_count; s++)
            disk_run(vbd->streams[s].disk);
        __atomic_fetch_sub(&vbd->users, 1, __ATOMIC_RELEASE);
    }
    return list_empty(&lines);
}

/* A device that ends requests as fast as they are given to it, and a guest on another CPU that never lacks any, would have this CPU for themselves. */
static void break_take(uint32_t cpu)
{
    uint32_t pending = READ_ONCE(this_cpu()->softirq_pending);
    uint64_t now_ns;

    if (!(pending & 1u << SOFTIRQ_BLOCK)) {
        breaks[cpu].runs = 0;
        return;
    }
    if (breaks[cpu].runs++ == 0)
        breaks[cpu].since_ns = clock_now_ns();
    if (breaks[cpu].runs < RUNS_MAX || (current_vcpu()->is_idle && !(pending & 1u << SOFTIRQ_SCHEDULE)))
        return;
    now_ns = clock_now_ns();
    breaks[cpu].runs = 0;
    breaks[cpu].rests = true;
    timer_set(&pause_timer[cpu], now_ns + max((uint64_t)PAUSE_NS, min(now_ns - breaks[cpu].since_ns, (uint64_t)REST_MAX_NS)));
}

static void block_softirq(void)
{
    uint32_t cpu = this_cpu_id();

    if (unlikely(breaks[cpu].rests))
        return;
    running[cpu] = true;
    compiler_barrier();
    disks_poll();
    if (!take_turns())
        timer_set(&pause_timer[cpu], clock_now_ns() + PAUSE_NS);
    answer_all();
    running[cpu] = false;
    compiler_barrier();
    /* What came onto the lists from another CPU has raised the softirq there; what came from here after the last look is rare. */
    if (!list_empty(&answers))
        softirq_raise(SOFTIRQ_BLOCK);
    break_take(cpu);
}

static void pause_over(void *arg)
{
    (void)arg;
    breaks[this_cpu_id()].rests = false;
    softirq_raise(SOFTIRQ_BLOCK);
}

void block_init(void)
{
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        timer_init(&pause_timer[cpu], pause_over, NULL, cpu);
    softirq_register(SOFTIRQ_BLOCK, block_softirq);
}
