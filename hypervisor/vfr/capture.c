/* SPDX-License-Identifier: MIT */
/*
 * Captures: copies of frames for Domain0, each with the verdict that was given.
 *
 * Whether a port is meant is worked out once for each port and kept by its slot, because a packet that nobody wants must cost next to nothing: a load when nothing is open, and a few for each open capture. Then the
 * filter runs, over the header that the rules see. Each pCPU writes a ring of its own without a lock; a full one drops the new frame and counts it. Domain0 gives back what it has read.
 * A capture goes away when no pCPU is inside capture_packet any more: each says so by a word of its own. Pages of rings are shared with Domain0 for good, so they wait for the next capture.
 * Contract: capture.h, vfr-internal.h, <collet/capture.h>. Tests: test-capture.c. Page: docs/concepts/capture.md.
 */
#include "capture.h"

#include "alloc.h"
#include "cpu.h"
#include "lib/string.h"
#include "log.h"
#include "mm.h"
#include "time.h"
#include "vfr-internal.h"

#include <collet/capture.h>
#include <hv/errno.h>

#define PAGES_DEFAULT 64u
#define ABANDONED_NS  (600ull * 1000 * 1000 * 1000)
/* What is known of a port: bit 0: it is meant, bit 1: this has been worked out, bits 2 to 7: where its counters are; above: its id, for slots are given again. */
#define KNOWN_MEANT   1u
#define KNOWN         2u
#define KNOWN_PLACE(known) ((known) >> 2 & 63)
#define KNOWN_ID(id)       ((uint64_t)(id) << 8)

_Static_assert(sizeof(struct collet_capture_record) == 128, "part of the interface");
_Static_assert(sizeof(struct collet_capture_header) <= PAGE_SIZE, "one page");
_Static_assert(VFR_NAME_MAX == sizeof(((struct collet_capture_record *)0)->name), "names fit");
_Static_assert((int)COLLET_CAPTURE_OUT == (int)VFR_TX && (int)COLLET_CAPTURE_IN == (int)VFR_RX, "directions are the same");

struct capture_ring {
    struct collet_capture_header *header;
    uint8_t **pages;
};

struct capture {
    uint32_t number;
    uint32_t flags; /* COLLET_CAPTURE_*, with both of each pair if it had none */
    uint32_t snap_bytes;
    uint32_t filter_count;
    uint32_t pages;
    struct vfr_bpf_insn *filter;
    uint64_t opened_ns;
    uint64_t asked_ns; /* atomic */
    char targets[COLLET_CAPTURE_TARGETS];
    struct capture_ring rings[MAX_CPUS];
    uint64_t known[PORTS_MAX]; /* by slot, atomic; KNOWN_* */
    struct spinlock names_lock;
    uint32_t name_count;                               /* names_lock */
    char names[COLLET_CAPTURE_IFACES][VFR_NAME_MAX];   /* names_lock: which counters are whose; an interface that comes back goes on with its own */
};

uint32_t captures_on; /* bit per slot; atomic */
static uint32_t epoch = 1; /* atomic: one more with each that is opened */
static struct capture *captures[COLLET_CAPTURES_MAX]; /* written under capture_lock, read by capture_packet */
static struct spinlock capture_lock = SPINLOCK_INIT;       /* which captures there are; no other lock is taken under it */
static uint32_t numbers_given;                        /* capture_lock */
static bool making;                                   /* atomic: somebody opens one */
static void *spare_pages;                             /* chained by their first words; capture_lock */

/* Set by its CPU while it is inside capture_packet. */
static struct {
    uint32_t busy;
} aligned_to(64) inside[MAX_CPUS];

/* ---- Which ports are meant ---- */

/* Does a name match a pattern of `bytes` characters, in which * stands for any? One star is gone back to at a time, so that it takes at most the product of the lengths. */
static bool name_matches(const char *pattern, size_t bytes, const char *name)
{
    size_t p = 0, star = bytes, back = 0, n = 0;

    while (name[n] != '\0') {
        if (p < bytes && pattern[p] == '*') {
            star = p++;
            back = n;
        } else if (p < bytes && pattern[p] == name[n]) {
            p++;
            n++;
        } else if (star < bytes) {
            p = star + 1;
            n = ++back;
        } else {
            return false;
        }
    }
    while (p < bytes && pattern[p] == '*')
        p++;
    return p == bytes;
}

static size_t target_bytes(const char *target)
{
    size_t n = 0;

    while (target[n] != '\0' && target[n] != ',')
        n++;
    return n;
}

static bool targets_mean(const char *targets, const struct vfr_iface *iface)
{
    for (const char *t = targets;; t++) {
        size_t n = target_bytes(t);

        if (name_matches(t, n, iface->name) || (iface->domain[0] != '\0' && name_matches(t, n, iface->domain)))
            return true;
        t += n;
        if (*t == '\0')
            return false;
    }
}

/* Which counters are those of that name: the last ones are everybody's for whom there are no others. */
static uint32_t name_place(struct capture *c, const char *name)
{
    uint32_t place = 0;

    spin_lock(&c->names_lock);
    while (place < c->name_count && strcmp(c->names[place], name) != 0)
        place++;
    if (place == c->name_count && place < COLLET_CAPTURE_IFACES - 1) {
        memcpy(c->names[place], name, VFR_NAME_MAX);
        c->name_count++;
    }
    spin_unlock(&c->names_lock);
    return place;
}

/* Two CPUs may do it at once: they find the same. */
static uint64_t port_work_out(struct capture *c, const struct vfr_port *port)
{
    uint64_t known = KNOWN_ID(port->iface.id) | KNOWN;

    if (targets_mean(c->targets, &port->iface))
        known |= KNOWN_MEANT | name_place(c, port->iface.name) << 2;
    __atomic_store_n(&c->known[port->slot], known, __ATOMIC_RELAXED);
    return known;
}

static uint64_t port_known(struct capture *c, const struct vfr_port *port)
{
    uint64_t known = READ_ONCE(c->known[port->slot]);

    if (likely((known & (~0ull << 8 | KNOWN)) == (KNOWN_ID(port->iface.id) | KNOWN)))
        return known;
    return port_work_out(c, port);
}

/* ---- Writing ---- */

static void ring_copy(const struct capture_ring *ring, uint64_t at, const void *from, size_t bytes)
{
    uint64_t mask = ring->header->bytes - 1;

    while (bytes > 0) {
        uint64_t place = at & mask, offset = place % PAGE_SIZE;
        size_t n = min(bytes, (size_t)(PAGE_SIZE - offset));

        memcpy(ring->pages[place / PAGE_SIZE] + offset, from, n);
        at += n;
        from = (const char *)from + n;
        bytes -= n;
    }
}

/* The first `wanted` bytes of a frame, its header as the rules saw it; answers how many there were. */
static uint32_t frame_copy(const struct capture_ring *ring, uint64_t at, const struct net_packet *packet, uint32_t wanted)
{
    uint32_t done = min(wanted, packet->view.header_bytes), skip = done;

    ring_copy(ring, at, packet->view.header, done);
    for (uint32_t i = 0; i < packet->segment_count && done < wanted; i++) {
        const struct net_segment *s = &packet->segments[i];
        uint32_t passed = min(skip, s->bytes), n = min(s->bytes - passed, wanted - done);

        skip -= passed;
        ring_copy(ring, at + done, (const char *)maddr_to_virt(s->maddr) + passed, n);
        done += n;
    }
    return done;
}

struct said {
    const struct vfr_port *port;
    unsigned int direction;
    const struct vfr_verdict *verdict;
    uint64_t generation;
    int dropped;
    uint64_t now_ns;
};

static void record_fill(struct collet_capture_record *r, const struct net_packet *packet, const struct said *said)
{
    const struct vfr_packet *view = &packet->view;
    const struct vfr_iface *iface = &said->port->iface;

    *r = (struct collet_capture_record){
        .frame_bytes = view->bytes,
        .iface = iface->id,
        .domid = iface->domid,
        .time_ns = said->now_ns,
        .generation = said->generation,
        .rule = said->verdict != NULL ? said->verdict->rule : VFR_NO_RULE,
        .action = said->verdict != NULL ? said->verdict->action : VFR_ACCEPT,
        .cpu = this_cpu_id(),
        .direction = (uint8_t)said->direction,
        .drop = said->dropped < 0 ? COLLET_CAPTURED_PASSED : (uint8_t)said->dropped,
        .flags = packet->offload.sum_wanted ? COLLET_CAPTURED_SUM : 0,
        .sum_start = packet->offload.sum_start,
        .sum_offset = packet->offload.sum_offset,
    };
    if (packet->offload.segmentation != NET_SEGMENTATION_NONE) {
        r->flags |= COLLET_CAPTURED_SEGMENTED;
        r->segment_bytes = packet->offload.segment_bytes;
        r->segments = view->segments;
    }
    memcpy(r->name, iface->name, sizeof(r->name));
}

static void ring_write(const struct capture_ring *ring, struct collet_capture_iface *counters, const struct net_packet *packet, const struct said *said, uint32_t snap)
{
    struct collet_capture_header *h = ring->header;
    struct collet_capture_record r;
    uint32_t wanted = min(snap, packet->view.bytes);

    if (h->head - __atomic_load_n(&h->tail, __ATOMIC_ACQUIRE) + sizeof(r) + wanted + 7 > h->bytes) {
        h->dropped++;
        counters->dropped++;
        h->dropped_bytes += wanted;
        return;
    }
    record_fill(&r, packet, said);
    r.number = h->recorded + h->dropped + 1;
    r.captured = frame_copy(ring, h->head + sizeof(r), packet, wanted);
    r.bytes = (uint32_t)(sizeof(r) + r.captured + 7) & ~7u;
    ring_copy(ring, h->head, &r, sizeof(r));
    h->recorded++;
    counters->recorded++;
    h->recorded_bytes += r.captured;
    __atomic_store_n(&h->head, h->head + r.bytes, __ATOMIC_RELEASE);
}

/* This pCPU's counters of a port. */
static struct collet_capture_iface *counters_of(const struct capture_ring *ring, const struct vfr_port *port, uint64_t known)
{
    struct collet_capture_iface *counters = &ring->header->iface[KNOWN_PLACE(known)];

    if (unlikely(counters->name[0] == '\0')) {
        if (KNOWN_PLACE(known) == COLLET_CAPTURE_IFACES - 1)
            strlcpy(counters->name, "others", sizeof(counters->name));
        else
            memcpy(counters->name, port->iface.name, sizeof(counters->name));
    }
    return counters;
}

/* What is wanted least often is asked first: most frames are of other ports. False: it is one of them. */
static bool capture_one(struct capture *c, const struct net_packet *packet, const struct said *said)
{
    uint64_t known = port_known(c, said->port);
    struct collet_capture_iface *counters;
    const struct capture_ring *ring;
    uint32_t snap = c->snap_bytes;

    if ((known & KNOWN_MEANT) == 0)
        return false;
    if ((c->flags & said->direction) == 0)
        return true;
    ring = &c->rings[this_cpu_id()];
    counters = counters_of(ring, said->port, known);
    ring->header->seen++;
    counters->seen++;
    if ((c->flags & (said->dropped < 0 ? COLLET_CAPTURE_PASSED : COLLET_CAPTURE_DROPPED)) == 0)
        return true;
    if (c->filter_count != 0)
        snap = min(snap, vfr_bpf_run(c->filter, packet->view.header, packet->view.header_bytes, packet->view.bytes));
    if (snap != 0)
        ring_write(ring, counters, packet, said, snap);
    return true;
}

static bool abandoned(const struct capture *c, uint64_t now_ns)
{
    return (int64_t)(now_ns - READ_ONCE(c->asked_ns)) > (int64_t)ABANDONED_NS;
}

void capture_packet(const struct net_packet *packet, struct vfr_port *port, unsigned int direction, const struct vfr_verdict *verdict, uint64_t generation, int dropped, uint64_t now_ns)
{
    struct said said = {port, direction, verdict, generation, dropped, now_ns};
    uint64_t now = (uint64_t)__atomic_load_n(&epoch, __ATOMIC_ACQUIRE) << 32 | port->iface.id;
    uint32_t *busy = &inside[this_cpu_id()].busy;
    bool meant = false;

    if (READ_ONCE(port->uncaptured) == now || unlikely(port->slot >= PORTS_MAX))
        return;
    WRITE_ONCE(*busy, 1);
    smp_mb(); /* before looking: whoever takes one away looks at us afterwards */
    for (uint32_t on = READ_ONCE(captures_on); on != 0; on &= on - 1) {
        struct capture *c = captures[__builtin_ctz(on)];

        if (unlikely(abandoned(c, now_ns)))
            __atomic_and_fetch(&captures_on, ~(on & -on), __ATOMIC_RELAXED); /* nobody reads it; the next one that is opened takes its place */
        else
            meant |= capture_one(c, packet, &said);
    }
    if (!meant)
        WRITE_ONCE(port->uncaptured, now); /* of those that were there when the epoch was read */
    __atomic_store_n(busy, 0, __ATOMIC_RELEASE);
}

/* ---- Rings ---- */

static void *page_take(void)
{
    void *page;

    spin_lock(&capture_lock);
    page = spare_pages;
    if (page != NULL)
        spare_pages = *(void **)page;
    spin_unlock(&capture_lock);
    if (page == NULL)
        return hypervisor_page_share();
    *(void **)page = NULL;
    return page;
}

static void page_keep(void *page)
{
    if (page == NULL)
        return;
    spin_lock(&capture_lock);
    *(void **)page = spare_pages;
    spare_pages = page;
    spin_unlock(&capture_lock);
}

static void ring_unmake(struct capture_ring *ring, uint32_t pages)
{
    if (ring->pages != NULL)
        for (uint32_t i = 0; i < pages; i++)
            page_keep(ring->pages[i]);
    if (ring->header != NULL)
        *ring->header = (struct collet_capture_header){0};
    page_keep(ring->header);
    heap_free(ring->pages);
}

static int ring_make(struct capture_ring *ring, uint32_t pages)
{
    ring->pages = heap_alloc(pages * sizeof(ring->pages[0]));
    ring->header = page_take();
    if (ring->pages == NULL || ring->header == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < pages; i++) {
        ring->pages[i] = page_take();
        if (ring->pages[i] == NULL)
            return -ENOMEM;
        preempt_point();
    }
    return 0;
}

static void capture_free(struct capture *c)
{
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        ring_unmake(&c->rings[cpu], c->pages);
    heap_free(c->filter);
    heap_free(c);
}

/* Nobody can see it yet. NULL: no memory. */
static struct capture *capture_make(const struct collet_capture_open *op)
{
    struct capture *c;
    uint32_t pages = op->pages != 0 ? op->pages : PAGES_DEFAULT;

    /* Half of what is free stays free: captures must not take the guests' last memory. */
    if ((pages + 1ull) * cpu_count > frames_free_count() / 2)
        return NULL;
    c = heap_alloc(sizeof(*c));
    if (c == NULL)
        return NULL;
    c->pages = pages;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        if (ring_make(&c->rings[cpu], pages) != 0) {
            capture_free(c);
            return NULL;
        }
    c->flags = op->flags;
    if ((c->flags & (COLLET_CAPTURE_OUT | COLLET_CAPTURE_IN)) == 0)
        c->flags |= COLLET_CAPTURE_OUT | COLLET_CAPTURE_IN;
    if ((c->flags & (COLLET_CAPTURE_DROPPED | COLLET_CAPTURE_PASSED)) == 0)
        c->flags |= COLLET_CAPTURE_DROPPED | COLLET_CAPTURE_PASSED;
    c->snap_bytes = op->snap_bytes != 0 ? op->snap_bytes : ~0u;
    memcpy(c->targets, op->targets, sizeof(c->targets));
    c->opened_ns = c->asked_ns = clock_now_ns();
    return c;
}

static void rings_begin(struct capture *c)
{
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        *c->rings[cpu].header = (struct collet_capture_header){
            .magic = COLLET_CAPTURE_MAGIC,
            .capture = c->number,
            .cpu = cpu,
            .record_bytes = sizeof(struct collet_capture_record),
            .bytes = c->pages * PAGE_SIZE,
        };
}

/* ---- Opening and closing ---- */

static struct capture *capture_find(uint32_t number, bool or_next)
{
    struct capture *found = NULL;

    lock_assert_held(&capture_lock);
    for (uint32_t i = 0; i < COLLET_CAPTURES_MAX; i++) {
        struct capture *c = captures[i];

        if (c != NULL && (READ_ONCE(captures_on) & 1u << i) != 0 && (or_next ? c->number >= number && (found == NULL || c->number < found->number) : c->number == number))
            found = c;
    }
    return found;
}

/* Take away what is at a place; answers it, to be freed without the lock. No packet finds it afterwards. */
static struct capture *slot_clear(uint32_t slot)
{
    struct capture *c = captures[slot];

    lock_assert_held(&capture_lock);
    __atomic_and_fetch(&captures_on, ~(1u << slot), __ATOMIC_SEQ_CST);
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        while (__atomic_load_n(&inside[cpu].busy, __ATOMIC_SEQ_CST) != 0) /* a part of a packet's way: it gives nothing away */
            cpu_relax();
    captures[slot] = NULL;
    return c;
}

/* A place for one more; those that nobody asked about make room. -1: none. *gone: to be freed. */
static int slot_take(struct capture **gone)
{
    lock_assert_held(&capture_lock);
    *gone = NULL;
    for (int i = 0; i < (int)COLLET_CAPTURES_MAX; i++)
        if (captures[i] == NULL)
            return i;
    for (int i = 0; i < (int)COLLET_CAPTURES_MAX; i++)
        if ((READ_ONCE(captures_on) & 1u << i) == 0 || abandoned(captures[i], clock_now_ns())) {
            *gone = slot_clear((uint32_t)i);
            return i;
        }
    return -1;
}

static int capture_publish(struct capture *c)
{
    struct capture *gone;
    int slot;

    spin_lock(&capture_lock);
    slot = slot_take(&gone);
    if (slot >= 0) {
        c->number = ++numbers_given;
        rings_begin(c);
        captures[slot] = c;
        __atomic_or_fetch(&captures_on, 1u << slot, __ATOMIC_RELEASE);
        __atomic_add_fetch(&epoch, 1, __ATOMIC_RELEASE); /* after all that capture_packet reads of it */
    }
    spin_unlock(&capture_lock);
    if (gone != NULL)
        capture_free(gone);
    return slot >= 0 ? 0 : -EBUSY;
}

static const char *targets_wrong(const char *targets)
{
    size_t name = 0;

    for (size_t i = 0; i < COLLET_CAPTURE_TARGETS; i++) {
        char c = targets[i];

        if (c == '\0' || c == ',') {
            if (name == 0)
                return "an empty name";
            if (c == '\0')
                return NULL;
            name = 0;
            continue;
        }
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' || c == '+' || c == '*'))
            return "a character that is not in names";
        if (++name >= COLLET_VIF_NAME_MAX)
            return "a name is too long";
    }
    return "the names are too long";
}

static const char *open_wrong(const struct collet_capture_open *op, const struct vfr_bpf_insn *filter)
{
    if (op->pages > COLLET_CAPTURE_PAGES_MAX || (op->pages & (op->pages - 1)) != 0)
        return "pages is no power of two, or too much";
    if ((op->flags & ~(uint32_t)(COLLET_CAPTURE_OUT | COLLET_CAPTURE_IN | COLLET_CAPTURE_DROPPED | COLLET_CAPTURE_PASSED)) != 0)
        return "unknown flags";
    if (op->filter_count != 0) {
        const char *why = vfr_bpf_check(filter, op->filter_count, NULL);

        if (why != NULL)
            return why;
    }
    return targets_wrong(op->targets);
}

int capture_open(struct collet_capture_open *op, struct vfr_bpf_insn *filter)
{
    const char *wrong = open_wrong(op, filter);
    struct capture *c;
    int rc = -ENOMEM;

    op->error_text[0] = '\0';
    if (wrong != NULL) {
        strlcpy(op->error_text, wrong, sizeof(op->error_text));
        return -EINVAL;
    }
    /* One at a time, so that two do not take all the memory that is free. */
    if (__atomic_exchange_n(&making, true, __ATOMIC_ACQUIRE))
        return -EBUSY;
    c = capture_make(op);
    if (c != NULL) {
        c->filter = filter;
        c->filter_count = op->filter_count;
        rc = capture_publish(c);
        if (rc == 0) {
            op->capture = c->number;
            op->cpus = cpu_count;
        } else {
            c->filter = NULL;
            capture_free(c);
        }
    }
    __atomic_store_n(&making, false, __ATOMIC_RELEASE);
    return rc;
}

int capture_close(uint32_t number)
{
    struct capture *gone = NULL;
    int rc = -ENOENT;

    spin_lock(&capture_lock);
    for (uint32_t i = 0; i < COLLET_CAPTURES_MAX && rc != 0; i++)
        if (captures[i] != NULL && captures[i]->number == number) {
            gone = slot_clear(i);
            rc = 0;
        }
    spin_unlock(&capture_lock);
    if (gone != NULL)
        capture_free(gone);
    return rc;
}

/* ---- Looking ---- */

static void info_fill(struct collet_capture_info *op, const struct capture *c)
{
    op->capture = c->number;
    op->cpus = cpu_count;
    op->pages = c->pages;
    op->now_ns = clock_now_ns();
    op->opened_ns = c->opened_ns;
    op->asked_ns = READ_ONCE(c->asked_ns);
    op->flags = c->flags;
    op->snap_bytes = c->snap_bytes;
    op->filter_count = c->filter_count;
    memcpy(op->targets, c->targets, sizeof(op->targets));
    op->seen = op->recorded = op->recorded_bytes = op->dropped = op->dropped_bytes = 0;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        const struct collet_capture_header *h = c->rings[cpu].header;

        op->seen += READ_ONCE(h->seen);
        op->recorded += READ_ONCE(h->recorded);
        op->recorded_bytes += READ_ONCE(h->recorded_bytes);
        op->dropped += READ_ONCE(h->dropped);
        op->dropped_bytes += READ_ONCE(h->dropped_bytes);
    }
}

int capture_info(struct collet_capture_info *op)
{
    struct capture *c;

    spin_lock(&capture_lock);
    c = capture_find(op->capture, op->next != 0);
    if (c != NULL) {
        info_fill(op, c);
        if (op->next == 0)
            WRITE_ONCE(c->asked_ns, op->now_ns);
    }
    spin_unlock(&capture_lock);
    return c != NULL ? 0 : -ENOENT;
}

int capture_consume(uint32_t number, uint32_t cpu, uint64_t position)
{
    struct capture *c;
    int rc = -ENOENT;

    spin_lock(&capture_lock);
    c = capture_find(number, false);
    if (c != NULL && cpu < cpu_count) {
        struct collet_capture_header *h = c->rings[cpu].header;

        rc = -EINVAL;
        if (position >= h->tail && position <= __atomic_load_n(&h->head, __ATOMIC_ACQUIRE)) {
            __atomic_store_n(&h->tail, position, __ATOMIC_RELEASE);
            rc = 0;
        }
    }
    spin_unlock(&capture_lock);
    return rc;
}

const void *capture_page(uint32_t number, uint32_t cpu, uint32_t index)
{
    const void *page = NULL;
    struct capture *c;

    spin_lock(&capture_lock);
    c = capture_find(number, false);
    if (c != NULL && cpu < cpu_count && index <= c->pages)
        page = index == 0 ? (const void *)c->rings[cpu].header : c->rings[cpu].pages[index - 1];
    spin_unlock(&capture_lock);
    return page;
}
