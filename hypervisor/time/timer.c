// SPDX-License-Identifier: MIT
/*
 * Timers: one heap a pCPU behind its local APIC's one-shot timer.
 *
 * The heap is a pairing heap whose links lie in the timers themselves: arming is a few stores, cannot fail and needs no memory, however many
 * vCPUs there are; taking the first or removing any costs O(log n) amortised.
 * The hardware is set only when a timer becomes earlier than what the hardware already waits for. One that is cancelled or put off leaves the
 * hardware as it is: most are re-armed many times before they fire, and one interrupt too many costs less than setting the hardware each time.
 * Contract: timer.h.  Locks: each queue's own, taken with interrupts off, two in the order of their CPUs; only the APIC's driver and
 * softirq_raise are called with one held.
 * Tests: test-timer.c.  Page: docs/concepts/time.md.
 */
#include "timer.h"

#include "apic.h"
#include "cpu.h"
#include "spinlock.h"
#include "time.h"

/* The hardware gets no shorter delay than this: programming it takes about as long. */
#define TIMER_DELAY_MIN_NS 1000u
#define NOT_SET UINT64_MAX

struct timer_queue {
    struct spinlock lock;
    struct timer *root;    /* the earliest */
    struct timer *running; /* whose handler runs now */
    uint64_t hardware_ns;  /* what the APIC waits for, NOT_SET when it does not; 0 until timer_init_cpu, so that nothing sets it before */
} aligned_to(64);

static struct timer_queue queues[MAX_CPUS];

/* Two heaps in one. Equal deadlines: `a` stays in front. */
static struct timer *heap_meld(struct timer *a, struct timer *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (b->deadline_ns < a->deadline_ns) {
        struct timer *t = a;

        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (b->next != NULL)
        b->next->prev = b;
    a->child = b;
    return a;
}

/* A row of siblings into one heap: in pairs from the left, then those together from the right. */
static struct timer *heap_join(struct timer *first)
{
    struct timer *pairs = NULL, *root = NULL;

    while (first != NULL) {
        struct timer *a = first, *b = a->next;

        first = b != NULL ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b != NULL)
            b->next = b->prev = NULL;
        a = heap_meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs != NULL) {
        struct timer *a = pairs;

        pairs = a->next;
        a->next = a->prev = NULL;
        root = heap_meld(a, root);
    }
    return root;
}

static void queue_remove(struct timer_queue *q, struct timer *timer)
{
    if (timer == q->root) {
        q->root = heap_join(timer->child);
    } else {
        if (timer->prev->child == timer)
            timer->prev->child = timer->next;
        else
            timer->prev->next = timer->next;
        if (timer->next != NULL)
            timer->next->prev = timer->prev;
        if (timer->child != NULL)
            q->root = heap_meld(q->root, heap_join(timer->child));
    }
    timer->child = timer->next = timer->prev = NULL;
    WRITE_ONCE(timer->armed, false);
}

static void queue_insert(struct timer_queue *q, struct timer *timer, uint64_t deadline_ns)
{
    timer->deadline_ns = deadline_ns;
    WRITE_ONCE(timer->armed, true);
    q->root = heap_meld(q->root, timer);
}

/* This CPU's hardware, for the head of q. Lock held, interrupts off. */
static void queue_program(struct timer_queue *q)
{
    uint64_t now, first;

    if (q->root == NULL)
        return;
    first = q->root->deadline_ns;
    if (first >= q->hardware_ns)
        return;
    now = clock_now_ns();
    if (first <= now) {
        softirq_raise(SOFTIRQ_TIMER);
        return;
    }
    q->hardware_ns = first;
    apic_timer_set(max(first - now, (uint64_t)TIMER_DELAY_MIN_NS));
}

/* The head of the queue of `cpu` has become `timer`: have the hardware there set. Lock held, interrupts off. */
static void queue_head_changed(struct timer_queue *q, uint32_t cpu)
{
    if (q->root->deadline_ns >= READ_ONCE(q->hardware_ns))
        return;
    if (cpu == this_cpu_id())
        queue_program(q);
    else
        softirq_raise_on(cpu, SOFTIRQ_TIMER); /* it programs its own */
}

/* The queue that the timer belongs to, locked. Interrupts are off. */
static struct timer_queue *queue_lock(struct timer *timer)
{
    for (;;) {
        uint32_t cpu = READ_ONCE(timer->cpu);
        struct timer_queue *q = &queues[cpu];

        spin_lock(&q->lock);
        if (likely(READ_ONCE(timer->cpu) == cpu))
            return q;
        spin_unlock(&q->lock);
    }
}

void timer_init(struct timer *timer, void (*handler)(void *), void *arg, uint32_t cpu)
{
    *timer = (struct timer){.handler = handler, .arg = arg, .cpu = cpu};
}

void timer_set(struct timer *timer, uint64_t deadline_ns)
{
    uint64_t flags = irq_save();
    struct timer_queue *q = queue_lock(timer);

    if (timer->armed)
        queue_remove(q, timer);
    queue_insert(q, timer, deadline_ns);
    if (q->root == timer)
        queue_head_changed(q, timer->cpu);
    spin_unlock(&q->lock);
    irq_restore(flags);
}

void timer_cancel(struct timer *timer)
{
    uint64_t flags;
    struct timer_queue *q;

    /* Without the lock: whoever arms it at this moment might as well do so after us. */
    if (!timer_armed(timer))
        return;
    flags = irq_save();
    q = queue_lock(timer);
    if (timer->armed)
        queue_remove(q, timer);
    spin_unlock(&q->lock);
    irq_restore(flags);
}

void timer_cancel_sync(struct timer *timer)
{
    uint32_t here = this_cpu_id();

    timer_cancel(timer);
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        if (cpu == here) /* handlers are not preempted: one under way here is our caller */
            continue;
        while (__atomic_load_n(&queues[cpu].running, __ATOMIC_ACQUIRE) == timer)
            cpu_relax();
    }
    timer_cancel(timer); /* that handler may have re-armed it */
}

bool timer_armed(const struct timer *timer)
{
    return READ_ONCE(timer->armed);
}

void timer_migrate(struct timer *timer, uint32_t cpu)
{
    uint64_t flags = irq_save();
    struct timer_queue *from, *to = &queues[cpu];

    for (;;) {
        from = &queues[READ_ONCE(timer->cpu)];
        if (from == to)
            goto out;
        /* Both, the lower CPU's first, so that nobody sees it in neither. */
        spin_lock(from < to ? &from->lock : &to->lock);
        spin_lock(from < to ? &to->lock : &from->lock);
        if (likely(from == &queues[READ_ONCE(timer->cpu)]))
            break;
        spin_unlock(&from->lock);
        spin_unlock(&to->lock);
    }
    if (timer->armed) {
        queue_remove(from, timer);
        WRITE_ONCE(timer->cpu, cpu);
        queue_insert(to, timer, timer->deadline_ns);
        if (to->root == timer)
            queue_head_changed(to, cpu);
    } else {
        WRITE_ONCE(timer->cpu, cpu);
    }
    spin_unlock(&from->lock);
    spin_unlock(&to->lock);
out:
    irq_restore(flags);
}

/* SOFTIRQ_TIMER: run what is due here, then set the hardware for the next. */
static void timer_run(void)
{
    struct timer_queue *q = &queues[this_cpu_id()];
    uint64_t flags = spin_lock_irqsave(&q->lock);

    while (q->root != NULL && q->root->deadline_ns <= clock_now_ns()) {
        struct timer *timer = q->root;
        void (*handler)(void *) = timer->handler;
        void *arg = timer->arg;

        queue_remove(q, timer);
        q->running = timer;
        spin_unlock_irqrestore(&q->lock, flags);
        handler(arg);
        flags = spin_lock_irqsave(&q->lock);
        __atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE);
    }
    queue_program(q);
    spin_unlock_irqrestore(&q->lock, flags);
}

void timer_init_cpu(void)
{
    struct timer_queue *q = &queues[this_cpu_id()];

    softirq_register(SOFTIRQ_TIMER, timer_run);
    WRITE_ONCE(q->hardware_ns, NOT_SET);
    softirq_raise(SOFTIRQ_TIMER); /* for those armed before */
}

void timer_interrupt(void)
{
    /* Without the lock: who compares with the old value meanwhile is seen by the softirq below. */
    WRITE_ONCE(queues[this_cpu_id()].hardware_ns, NOT_SET);
    softirq_raise(SOFTIRQ_TIMER);
}
