/* SPDX-License-Identifier: MIT */
/*
 * The debug walk: recompute every frame's counts from what refers to it, and compare.
 *
 * All domains are stopped outside of memory operations, and then the other pCPUs between two softirqs: devices go on, but nobody hears of it, so what the block core and the router hold for them stays held. References
 * come from: ownership and pins (the frame's own flags), page-table entries, vCPU base pointers, descriptor tables, registered vcpu_info pages, mappings of grants, and what these two hold (rings, data of requests and
 * frames under way). Numbers are collected for a window of frames at a time, so memory need is fixed; every table is walked once a window.
 */
#include "alloc.h"
#include "block.h"
#include "cpu.h"
#include "domain.h"
#include "frame-alloc.h"
#include "lib/string.h"
#include "log.h"
#include "page-table.h"
#include "time.h"
#include "vcpu.h"
#include "vfr.h"
#include "x86/layout.h"

#define WINDOW_ORDER 9u /* 2 MiB of counters for 262144 frames; fewer at a time, and more walks, if there is no such piece */
#define QUIESCE_TRIES 1000
#define QUIESCE_RUN_NS (200ull * 1000) /* between two tries, so that who is inside gets on */
#define REPORT_MAX 10
#define PARK_NS    (5 * NS_PER_S) /* for the other pCPUs to end what they are at */
#define PARK_LOOKS 5000000u       /* and so many looks: a machine that stood still as a whole for long gives them time, too */

struct counts {
    uint32_t refs, types;
};

struct walk {
    struct counts *window;
    uint64_t first; /* frame number of window[0] */
    uint64_t frames; /* that window counts */
    uint64_t held;   /* by backends, for rings and devices */
    unsigned int differences;
};

static bool park;            /* atomic */
static uint32_t parked_count; /* atomic */

static void count(struct walk *w, uint64_t mfn, bool typed)
{
    if (mfn - w->first >= w->frames)
        return;
    w->window[mfn - w->first].refs++;
    w->window[mfn - w->first].types += typed;
}

static void count_table(struct walk *w, mfn_t mfn, enum frame_type type)
{
    const uint64_t *table = mfn_to_virt(mfn);
    unsigned int i;

    for (i = 0; i < 512; i++) {
        if (!(table[i] & PTE_PRESENT) || (type == FRAME_L4 && i >= HV_L4_FIRST && i < HV_L4_END))
            continue;
        count(w, pte_mfn(table[i]).n, type != FRAME_L1 || (table[i] & PTE_WRITE));
    }
}

static void count_vcpu(struct walk *w, const struct vcpu *v)
{
    unsigned int i;

    if (v->kernel_cr3 != 0)
        count(w, v->kernel_cr3 >> PAGE_SHIFT, true);
    if (v->user_cr3 != 0)
        count(w, v->user_cr3 >> PAGE_SHIFT, true);
    for (i = 0; i < v->gdt_frame_count; i++)
        count(w, v->gdt_frames[i], true);
    for (i = 0; i < v->ldt_frame_count; i++)
        count(w, v->ldt_frames[i], true);
    if (mfn_valid_number(v->info_mfn))
        count(w, v->info_mfn.n, true);
}

static void count_mapping(void *w, mfn_t mfn, bool write)
{
    count(w, mfn.n, write);
}

static void count_hold(void *arg, mfn_t mfn, bool write)
{
    struct walk *w = arg;

    w->held += w->first == 0;
    count(w, mfn.n, write);
}

static void count_domain(struct walk *w, struct domain *d)
{
    struct vcpu *v;
    uint32_t n;

    for_each_vcpu(d, v)
        count_vcpu(w, v);
    domain_grants_each_hold(d, count_mapping, w);
    block_each_hold(d, count_hold, w);
    vfr_each_hold(d, count_hold, w);
    for (n = d->frame_list; n != FRAME_LIST_END; n = frame_table[n].next) {
        uint64_t word = frame_table[n].word;
        enum frame_type type = frame_type_of(word);

        if ((word & FRAME_VALIDATED) && type >= FRAME_L1 && type <= FRAME_L4)
            count_table(w, MFN(n), type);
    }
}

static void compare(struct walk *w, uint64_t n)
{
    const struct frame *f = &frame_table[n];
    struct counts want = w->window[n - w->first];
    uint64_t refs = f->word & FRAME_REF_MASK, types = (f->word & FRAME_TYPE_COUNT_MASK) / FRAME_TYPE_ONE;

    want.refs += (f->word & FRAME_ALLOCATED) != 0;
    want.refs += (f->word & FRAME_PINNED) != 0;
    want.types += (f->word & FRAME_PINNED) != 0;
    want.types += frame_type_of(f->word) == FRAME_SHARED || f->owner == domain_hypervisor;
    if (refs == want.refs && types == want.types)
        return;
    if (w->differences++ < REPORT_MAX)
        log_error("audit: frame %#lx of d%d type %u: %lu references, %lu as its type; found %u and %u", (unsigned long)n,
                  f->owner != NULL ? f->owner->id : -1, frame_type_of(f->word), (unsigned long)refs, (unsigned long)types,
                  want.refs, want.types);
}

static uint64_t owned_on_list(const struct domain *d)
{
    uint64_t owned = 0;
    uint32_t n;

    for (n = d->frame_list; n != FRAME_LIST_END; n = frame_table[n].next)
        owned += frame_table[n].owner == d;
    return owned;
}

/* Domain0 first: once it stands still, nobody makes or destroys domains, and the list is what it is. */
static void all_pause(void)
{
    struct domain *d;
    struct vcpu *v;

    for (d = domain_list; d != NULL; d = d->next) {
        for_each_vcpu(d, v)
            vcpu_drain_end(v);
        domain_pause_sync(d);
    }
}

/* And last, for the same reason. */
static void all_unpause(void)
{
    struct domain *first = domain_list, *d;

    for (d = first != NULL ? first->next : NULL; d != NULL; d = d->next)
        domain_unpause(d);
    if (first != NULL)
        domain_unpause(first);
}

/* Whether a vCPU stands inside a memory operation. One that another pause keeps there is let run. */
static bool any_in_mm(void)
{
    bool busy = false;
    struct domain *d;
    struct vcpu *v;

    for (d = domain_list; d != NULL; d = d->next)
        for_each_vcpu(d, v) {
            if (!v->preempted_in_mm)
                continue;
            busy = true;
            if (!d->privileged)
                vcpu_drain_begin(v);
        }
    return busy;
}

/* Stop every domain where no vCPU is in the middle of a memory operation. False if that did not come about. */
static bool all_quiesce(void)
{
    for (int tries = 0; tries < QUIESCE_TRIES; tries++) {
        uint64_t until_ns;

        all_pause();
        if (!any_in_mm())
            return true;
        all_unpause();
        softirq_raise(SOFTIRQ_SCHEDULE);
        for (until_ns = clock_now_ns() + QUIESCE_RUN_NS; clock_now_ns() < until_ns;)
            preempt_point();
    }
    return false;
}

/* SOFTIRQ_AUDIT on all pCPUs but the one that walks. */
static void park_here(void)
{
    __atomic_fetch_add(&parked_count, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&park, __ATOMIC_SEQ_CST))
        cpu_relax();
    __atomic_fetch_sub(&parked_count, 1, __ATOMIC_SEQ_CST);
}

/* False: one of them did not come in time, and nothing can be said about frames that are held for devices. */
static bool cpus_park(void)
{
    uint64_t until_ns = clock_now_ns() + PARK_NS;

    softirq_register(SOFTIRQ_AUDIT, park_here);
    while (__atomic_load_n(&parked_count, __ATOMIC_SEQ_CST) != 0) /* of the audit before */
        cpu_relax();
    __atomic_store_n(&park, true, __ATOMIC_SEQ_CST);
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        if (cpu != this_cpu_id())
            softirq_raise_on(cpu, SOFTIRQ_AUDIT);
    for (uint32_t looks = 0; __atomic_load_n(&parked_count, __ATOMIC_SEQ_CST) != cpu_count - 1; looks++)
        if (looks >= PARK_LOOKS && clock_now_ns() > until_ns)
            return false;
    return true;
}

static void cpus_complain(void)
{
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        log_info("audit: pCPU %u: softirqs %x pending", cpu, READ_ONCE(cpus[cpu].softirq_pending));
    log_warning("audit: a pCPU could not be stopped: frames of requests under way may be taken for differences");
}

static void cpus_unpark(void)
{
    __atomic_store_n(&park, false, __ATOMIC_SEQ_CST);
}

static unsigned int walk_windows(struct walk *w, uint64_t *total)
{
    struct domain *d;
    uint64_t n;

    for (w->first = 0; w->first < frame_table_end; w->first += w->frames) {
        memset(w->window, 0, w->frames * sizeof(w->window[0]));
        for (d = domain_list; d != NULL; d = d->next)
            count_domain(w, d);
        for (n = w->first; n < frame_table_end && n < w->first + w->frames; n++) {
            if ((frame_table[n].word & FRAME_REF_MASK) == 0)
                continue;
            compare(w, n);
            ++*total;
        }
    }
    return w->differences;
}

unsigned int frames_audit(void)
{
    unsigned int order = WINDOW_ORDER;
    mfn_t buffer = frames_alloc(order);
    struct walk w = {0};
    struct domain *d;
    uint64_t total = 0;

    while (!mfn_valid_number(buffer) && order > 0)
        buffer = frames_alloc(--order);
    if (!mfn_valid_number(buffer)) {
        log_error("audit: no memory for it");
        return 1;
    }
    w.window = mfn_to_virt(buffer);
    w.frames = (PAGE_SIZE << order) / sizeof(w.window[0]);
    if (!all_quiesce()) {
        frames_free(buffer, order);
        log_error("audit: the guests could not be stopped between memory operations");
        return 1;
    }
    if (!cpus_park())
        cpus_complain();
    walk_windows(&w, &total);
    for (d = domain_list; d != NULL; d = d->next) {
        if (owned_on_list(d) != d->frame_count) {
            log_error("audit: d%u owns %lu frames, its reservation says %lu", d->id, (unsigned long)owned_on_list(d),
                      (unsigned long)d->frame_count);
            w.differences++;
        }
    }
    if (frames_free_audit() != 0) {
        log_error("audit: the free lists and their count differ by %lu frames", (unsigned long)frames_free_audit());
        w.differences++;
    }
    cpus_unpark();
    all_unpause();
    frames_free(buffer, order);
    log_info("audit: %lu frames in use, %lu free, %lu held for rings and devices, %u differences", (unsigned long)total, (unsigned long)frames_free_count(),
             (unsigned long)w.held, w.differences);
    return w.differences;
}
