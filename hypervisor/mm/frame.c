/* SPDX-License-Identifier: MIT */
/*
 * Frame references and types: the compare-and-swap protocol of frame.h.
 *
 * One word holds both counts, so each step is one locked instruction and no lock is ever held. Contents of page tables are
 * checked by pt_validate when the first reference as that type is taken and released by pt_drop when the last one goes; both run with BUSY
 * set, may take long and may preempt. Waiting for BUSY cannot deadlock: work on a table waits only for tables of lower levels.
 * Tests: the audit (audit.c) after every boot test; tests/boot/kernels/attack-mm.
 */
#include "page-table.h"

#include "cpu.h"
#include "domain.h"
#include "frame.h"
#include "mm.h"
#include "tlb.h"
#include "vcpu.h"

#include <hv/errno.h>

uint64_t frame_table_end;

static inline bool word_cas(struct frame *f, uint64_t *seen, uint64_t value)
{
    return __atomic_compare_exchange_n(&f->word, seen, value, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* Types whose contents are checked before use. */
static inline bool type_is_checked(enum frame_type type)
{
    return type >= FRAME_L1 && type <= FRAME_DESCRIPTOR;
}

/* The current vCPU waits for another, or has much to do: others may run meanwhile, and see that it holds references. */
static void mm_give_way(void)
{
    struct vcpu *v = current_vcpu();

    if (likely(!softirq_any_pending()))
        return;
    v->preempted_in_mm = true;
    /* Not the console's keys and the ends of domains: they wait for vCPUs to leave just here. */
    softirq_run_only(1u << SOFTIRQ_TIMER | 1u << SOFTIRQ_SCHEDULE);
    v->preempted_in_mm = false;
}

void mm_preempt_point(void)
{
    const struct vcpu *v = current_vcpu();

    if (likely(!softirq_any_pending()))
        return;
    /* Whoever waits for the end of a domain waits for this operation: one bounded round, and it is over. */
    if (likely(v->domain == NULL || !READ_ONCE(v->domain->ending)))
        mm_give_way();
}

bool frame_get(mfn_t mfn, const struct domain *owner)
{
    struct frame *f;
    uint64_t w;

    if (unlikely(!frame_number_ok(mfn)))
        return false;
    f = frame_of(mfn);
    if (unlikely(f->owner != owner))
        return false;
    w = READ_ONCE(f->word);
    do {
        if (unlikely((w & FRAME_REF_MASK) == 0 || (w & FRAME_REF_MASK) == FRAME_REF_MASK))
            return false;
    } while (unlikely(!word_cas(f, &w, w + FRAME_REF_ONE)));
    /* Only now is the owner stable: the frame may have changed hands between the first look and the reference. */
    if (unlikely(READ_ONCE(f->owner) != owner)) {
        frame_put(mfn);
        return false;
    }
    return true;
}

void frame_put(mfn_t mfn)
{
    struct frame *f = frame_of(mfn);
    uint64_t w = __atomic_sub_fetch(&f->word, FRAME_REF_ONE, __ATOMIC_SEQ_CST);

    ASSERT((w & FRAME_REF_MASK) != FRAME_REF_MASK);
    if (unlikely((w & FRAME_REF_MASK) == 0))
        domain_frame_free(f);
}

/* Undo a reference as a type on a frame that turned out not to be the owner's, or whose contents were refused. */
static void type_abandon(struct frame *f)
{
    uint64_t w = READ_ONCE(f->word);

    f->stamp = READ_ONCE(tlb_flush_clock);
    while (!word_cas(f, &w, (w & ~FRAME_BUSY) - FRAME_TYPE_ONE - FRAME_REF_ONE))
        ;
    if (((w - FRAME_REF_ONE) & FRAME_REF_MASK) == 0)
        domain_frame_free(f);
}

/* The CPUs that may hold translations to frames of a domain: those that have run it, or any if another domain has mapped some. */
static inline cpumask_t viewers(const struct domain *owner)
{
    return unlikely(READ_ONCE(owner->foreign_seen)) ? cpu_online_mask : READ_ONCE(owner->dirty_cpus);
}

/* First reference as `type` is ours and BUSY is set: flush what may still see the frame as it was, check it, publish. */
static int type_settle(mfn_t mfn, struct domain *owner, enum frame_type type, uint64_t was)
{
    struct frame *f = frame_of(mfn);
    int rc = 0;

    if (frame_type_of(was) != FRAME_NONE && frame_type_of(was) != type)
        tlb_flush_since(viewers(owner), f->stamp);
    if (type_is_checked(type))
        rc = pt_validate(owner, mfn, type);
    if (rc != 0) {
        type_abandon(f);
        return rc;
    }
    if (type_is_checked(type))
        __atomic_or_fetch(&f->word, FRAME_VALIDATED, __ATOMIC_SEQ_CST);
    __atomic_and_fetch(&f->word, ~FRAME_BUSY, __ATOMIC_SEQ_CST);
    return 0;
}

/* Whether some CPU may still hold translations from before the type count went to zero. */
static bool stale_anywhere(const struct domain *owner, uint64_t stamp)
{
    return tlb_any_stale(viewers(owner), stamp);
}

int frame_get_type(mfn_t mfn, const struct domain *owner, enum frame_type type)
{
    struct frame *f;
    uint64_t w, now;
    bool first;

    if (unlikely(!frame_number_ok(mfn)))
        return -EINVAL;
    f = frame_of(mfn);
    w = READ_ONCE(f->word);
    for (;;) {
        if (unlikely(READ_ONCE(f->owner) != owner))
            return -EINVAL;
        if (unlikely((w & FRAME_REF_MASK) == 0))
            return -EINVAL;
        if (unlikely((w & FRAME_REF_MASK) == FRAME_REF_MASK || (w & FRAME_TYPE_COUNT_MASK) == FRAME_TYPE_COUNT_MASK))
            return -EBUSY;
        first = (w & FRAME_TYPE_COUNT_MASK) == 0;
        if (unlikely(first && frame_type_of(w) == FRAME_SHARED))
            return -EINVAL; /* its owner is giving it back */
        if (!first) {
            if (unlikely(frame_type_of(w) != type) && !(type == FRAME_WRITABLE && frame_type_of(w) == FRAME_SHARED))
                return -EINVAL;
            if (unlikely(w & FRAME_BUSY)) {
                if (current_vcpu()->domain != owner)
                    return -EBUSY; /* never wait for another domain's progress */
                /* Even at its end: the one that it waits for may need this pCPU. Not for plain memory: there it is a flush, over in a moment, and our caller may hold locks (grant_hold, also in softirqs). */
                if (type_is_checked(type) && irq_enabled())
                    mm_give_way();
                cpu_relax();
                w = READ_ONCE(f->word);
                continue;
            }
            now = w + FRAME_REF_ONE + FRAME_TYPE_ONE;
        } else {
            now = (w & ~(FRAME_TYPE_MASK | FRAME_VALIDATED)) + FRAME_REF_ONE + FRAME_TYPE_ONE;
            now |= (uint64_t)type << FRAME_TYPE_SHIFT;
            if (type_is_checked(type) ||
                (frame_type_of(w) != type && frame_type_of(w) != FRAME_NONE && stale_anywhere(owner, f->stamp)))
                now |= FRAME_BUSY;
        }
        if (likely(word_cas(f, &w, now)))
            break;
    }
    if (unlikely(READ_ONCE(f->owner) != owner)) {
        /* The frame changed hands before the swap. A first reference is wholly ours to undo; another one is counted like any. */
        if (first)
            type_abandon(f);
        else
            frame_put_type(mfn);
        return -EINVAL;
    }
    if (unlikely(now & FRAME_BUSY))
        return type_settle(mfn, f->owner, type, w);
    /* Looked at again now that the type is ours: it may have been another type, and dropped again, between look and swap. */
    if (unlikely(first && frame_type_of(w) != type && frame_type_of(w) != FRAME_NONE))
        tlb_flush_since(viewers(owner), f->stamp);
    return 0;
}

void frame_put_type(mfn_t mfn)
{
    struct frame *f = frame_of(mfn);
    uint64_t w = READ_ONCE(f->word);
    bool drop;

    for (;;) {
        uint64_t now;

        ASSERT((w & FRAME_TYPE_COUNT_MASK) != 0);
        drop = false;
        now = w - FRAME_TYPE_ONE - FRAME_REF_ONE;
        if ((w & FRAME_TYPE_COUNT_MASK) == FRAME_TYPE_ONE) {
            drop = (w & FRAME_VALIDATED) != 0;
            if (drop)
                now = (w & ~FRAME_VALIDATED) | FRAME_BUSY;
            else
                f->stamp = READ_ONCE(tlb_flush_clock); /* before the count is zero: whoever sees zero sees the stamp */
        }
        if (likely(word_cas(f, &w, now))) {
            w = now;
            break;
        }
    }
    if (drop) {
        pt_drop(mfn, frame_type_of(w));
        type_abandon(f);
        return;
    }
    if (unlikely((w & FRAME_REF_MASK) == 0))
        domain_frame_free(f);
}

bool frame_pin(mfn_t mfn)
{
    struct frame *f = frame_of(mfn);
    uint64_t w = READ_ONCE(f->word);

    do {
        if (w & FRAME_PINNED)
            return false;
    } while (!word_cas(f, &w, w | FRAME_PINNED));
    return true;
}

bool frame_unpin(mfn_t mfn)
{
    struct frame *f = frame_of(mfn);
    uint64_t w = READ_ONCE(f->word);

    do {
        if (!(w & FRAME_PINNED))
            return false;
    } while (!word_cas(f, &w, w & ~FRAME_PINNED));
    return true;
}
