/* SPDX-License-Identifier: MIT */
/*
 * For the tests of the data path (vif.c, tx.c, rx.c, nic.c, switch.c, turn.c, cut.c): a machine whose clock, timers and softirqs are variables, netfronts with rings and pages of their own, a card that keeps, sends or
 * refuses what it is given, and a rule that is a function. Each thread plays a CPU.
 */
#pragma once

#include "vif-internal.h"

#include "alloc.h"
#include "changes.h"
#include "cpu.h"
#include "time.h"
#include "vcpu.h"

#include <check.h>
#include <hv/errno.h>
#include <vfr/antispoof.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGES    16384u /* of all guests; a grant's reference is a page's number */
#define GUESTS   128u
#define RX_PAGES 64u
#define TX_PAGES 64u
#define WIRE     64u
#define FRAME    (NET_FRAME_MAX + 64u)

static uint8_t *memory;
static uint32_t pages_used;
static uint32_t holds[PAGES], writes[PAGES]; /* pins of a page; those that may write */
static domid_t page_owner[PAGES];
static bool withdrawn[PAGES];
static struct domain domains[GUESTS + 1];
struct domain *domain0 = &domains[0];
static struct vcpu *idle;
static uint64_t now_ns = 1000000, hold_cost_ns; /* each pin of a page takes so long */
static uint32_t broken; /* changes that told of a broken VIF */

/* ---- Memory and grants ---- */

void *maddr_to_virt(uint64_t maddr)
{
    return (void *)maddr;
}
uint64_t virt_to_maddr(const void *va)
{
    return (uint64_t)va;
}
void *mfn_to_virt(mfn_t mfn)
{
    return (void *)mfn_to_maddr(mfn);
}
mfn_t virt_to_mfn(const void *va)
{
    return maddr_to_mfn((uint64_t)va);
}

int grant_hold(struct domain *d, grant_ref_t ref, domid_t by, bool write, mfn_t *mfn)
{
    __atomic_fetch_add(&now_ns, hold_cost_ns, __ATOMIC_RELAXED);
    if (by != DOMID_XEN || ref >= PAGES || page_owner[ref] != d->id || withdrawn[ref])
        return -1;
    __atomic_fetch_add(&holds[ref], 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&writes[ref], write, __ATOMIC_SEQ_CST);
    *mfn = virt_to_mfn(memory + ref * PAGE_SIZE);
    return 0;
}

void grant_release(struct domain *d, grant_ref_t ref, bool write, mfn_t mfn)
{
    ck_assert_uint_lt(ref, PAGES);
    ck_assert_uint_eq(page_owner[ref], d->id);
    ck_assert_uint_eq(mfn.n, virt_to_mfn(memory + ref * PAGE_SIZE).n);
    ck_assert_uint_gt(__atomic_fetch_sub(&holds[ref], 1, __ATOMIC_SEQ_CST), 0);
    if (write)
        ck_assert_uint_gt(__atomic_fetch_sub(&writes[ref], 1, __ATOMIC_SEQ_CST), 0);
}

/* All pins there are; a connected VIF has two. */
static inline uint32_t pinned(void)
{
    uint32_t all = 0;

    for (uint32_t i = 0; i < pages_used; i++)
        all += __atomic_load_n(&holds[i], __ATOMIC_SEQ_CST);
    return all;
}

static inline uint32_t pages_take(domid_t owner, uint32_t count)
{
    uint32_t first = pages_used;

    ck_assert_uint_le(first + count, PAGES);
    for (uint32_t i = 0; i < count; i++)
        page_owner[first + i] = owner;
    pages_used += count;
    return first;
}

/* ---- Domains, and what is told of them ---- */

struct domain *domain_find(domid_t id)
{
    if (id > GUESTS)
        return NULL;
    domain_get(&domains[id]);
    return &domains[id];
}
void domain_get(struct domain *d)
{
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_SEQ_CST);
}
void domain_put(struct domain *d)
{
    ck_assert_uint_gt(__atomic_fetch_sub(&d->refs, 1, __ATOMIC_SEQ_CST), 0);
}
void log_guest(struct domain *d, enum log_level level, const char *fmt, ...)
{
    (void)d, (void)level, (void)fmt;
}
void change_record(enum collet_change_kind kind, const struct domain *d, uint64_t value, const char *text)
{
    (void)d, (void)value, (void)text;
    broken += kind == COLLET_CHANGE_VIF_BROKEN;
}
/* Debian 12's libc has none. */
size_t strlcpy(char *to, const char *from, size_t size)
{
    snprintf(to, size, "%s", from);
    return strlen(from);
}

/* ---- Event channels: port n of a domain, the guest's end is told by counting ---- */

#define PORTS 8u
static struct event_sink *sinks[GUESTS + 1][PORTS];
static pthread_mutex_t channel_lock[GUESTS + 1];
static uint32_t events[GUESTS + 1];

int event_sink_bind(struct domain *d, evtchn_port_t port, struct event_sink *sink)
{
    int rc = -EINVAL;

    if (port == 0 || port >= PORTS)
        return -EINVAL;
    pthread_mutex_lock(&channel_lock[d->id]);
    if (sinks[d->id][port] == NULL) {
        sinks[d->id][port] = sink;
        rc = 0;
    }
    pthread_mutex_unlock(&channel_lock[d->id]);
    return rc;
}
void event_sink_unbind(struct domain *d, evtchn_port_t port, struct event_sink *sink)
{
    pthread_mutex_lock(&channel_lock[d->id]);
    if (sinks[d->id][port] == sink)
        sinks[d->id][port] = NULL;
    pthread_mutex_unlock(&channel_lock[d->id]);
}
void event_raise(struct domain *d, evtchn_port_t port)
{
    (void)port;
    __atomic_fetch_add(&events[d->id], 1, __ATOMIC_RELAXED);
}
static inline void event_send(struct domain *d, evtchn_port_t port)
{
    pthread_mutex_lock(&channel_lock[d->id]);
    if (sinks[d->id][port] != NULL)
        sinks[d->id][port]->notify(sinks[d->id][port]);
    pthread_mutex_unlock(&channel_lock[d->id]);
}

/* ---- Time ---- */

static pthread_mutex_t timer_lock = PTHREAD_MUTEX_INITIALIZER;
static struct timer *timers; /* those armed, linked by next */
static struct timer *firing[MAX_CPUS];
static void (*cancel_hook)(void); /* once, inside timer_cancel_sync */

uint64_t clock_now_ns(void)
{
    return __atomic_load_n(&now_ns, __ATOMIC_RELAXED);
}
void timer_init(struct timer *timer, void (*handler)(void *), void *arg, uint32_t cpu)
{
    *timer = (struct timer){.handler = handler, .arg = arg, .cpu = cpu};
}
static inline void timer_unlink(struct timer *timer)
{
    struct timer **link = &timers;

    while (*link != NULL && *link != timer)
        link = &(*link)->next;
    if (*link == timer)
        *link = timer->next;
    timer->armed = false;
}
void timer_set(struct timer *timer, uint64_t deadline_ns)
{
    pthread_mutex_lock(&timer_lock);
    timer_unlink(timer);
    timer->deadline_ns = deadline_ns;
    timer->armed = true;
    timer->next = timers;
    timers = timer;
    pthread_mutex_unlock(&timer_lock);
}
void timer_cancel(struct timer *timer)
{
    pthread_mutex_lock(&timer_lock);
    timer_unlink(timer);
    pthread_mutex_unlock(&timer_lock);
}
void timer_cancel_sync(struct timer *timer)
{
    void (*hook)(void) = cancel_hook;

    timer_cancel(timer);
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        while (__atomic_load_n(&firing[cpu], __ATOMIC_SEQ_CST) == timer)
            sched_yield();
    cancel_hook = NULL;
    if (hook != NULL)
        hook();
}
/* One that is due on this CPU. */
static inline bool timer_fire(void)
{
    struct timer *timer;

    pthread_mutex_lock(&timer_lock);
    for (timer = timers; timer != NULL; timer = timer->next)
        if (timer->cpu == fake_cpu_id && timer->deadline_ns <= clock_now_ns())
            break;
    if (timer != NULL) {
        timer_unlink(timer);
        __atomic_store_n(&firing[fake_cpu_id], timer, __ATOMIC_SEQ_CST);
    }
    pthread_mutex_unlock(&timer_lock);
    if (timer == NULL)
        return false;
    timer->handler(timer->arg);
    __atomic_store_n(&firing[fake_cpu_id], NULL, __ATOMIC_SEQ_CST);
    return true;
}

/* ---- Softirqs ---- */

static void (*net_handler)(void);
static bool in_round[MAX_CPUS];
static uint64_t rounds[MAX_CPUS];

void softirq_register(enum softirq nr, void (*handler)(void))
{
    ck_assert_int_eq(nr, SOFTIRQ_NET);
    net_handler = handler;
}
void softirq_raise(enum softirq nr)
{
    __atomic_fetch_or(&cpus[fake_cpu_id].softirq_pending, 1u << nr, __ATOMIC_SEQ_CST);
}
/* What this CPU has to do now: one thing. False: nothing. */
static inline bool step(void)
{
    uint32_t bit = 1u << SOFTIRQ_NET;

    if (timer_fire())
        return true;
    if (!(__atomic_fetch_and(&cpus[fake_cpu_id].softirq_pending, ~bit, __ATOMIC_SEQ_CST) & bit))
        return false;
    net_handler();
    return true;
}
/* Until there is nothing to be done at this time: the router must come to rest. */
static inline void settle(void)
{
    uint32_t steps = 0;

    while (step())
        ck_assert_msg(++steps < 10000, "it turns and turns");
}
/* A little later: so that a netfront that is run between any two frames is not taken for one that sends all the time. */
static inline void run(void)
{
    now_ns += 50000;
    settle();
}
static inline void run_for(uint64_t ns)
{
    uint64_t until_ns = now_ns + ns, part = max(ns / 200, (uint64_t)10000);

    for (settle(); now_ns < until_ns; settle())
        now_ns += part;
}

/* ---- Rules: one function for all packets; a target is an interface's id ---- */

static void (*rule)(const struct vfr_port *port, unsigned int direction, const struct net_packet *packet, struct vfr_verdict *verdict); /* NULL: all is accepted */
static uint64_t generation;        /* 0: no rules are in force */
static uint32_t judgements;
static void (*keep_hook)(void);    /* once, when a packet has arrived: between the card's answer and what is made of it */

void rules_init(void)
{
}
struct vfr_generation *rules_enter(void)
{
    __atomic_store_n(&in_round[fake_cpu_id], true, __ATOMIC_SEQ_CST);
    return (struct vfr_generation *)&generation;
}
void rules_leave(void)
{
    __atomic_fetch_add(&rounds[fake_cpu_id], 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&in_round[fake_cpu_id], false, __ATOMIC_SEQ_CST);
}
void rules_wait(void)
{
    smp_mb(); /* what was taken out of sight before is out of sight of rounds that are not under way now */
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        uint64_t before = __atomic_load_n(&rounds[cpu], __ATOMIC_SEQ_CST);

        while (cpu != fake_cpu_id && __atomic_load_n(&in_round[cpu], __ATOMIC_SEQ_CST) && __atomic_load_n(&rounds[cpu], __ATOMIC_SEQ_CST) == before)
            sched_yield();
    }
}
void rules_judge(struct vfr_generation *g, struct net_packet *packet, unsigned int direction, uint64_t at_ns, struct vfr_verdict *verdict)
{
    (void)g, (void)at_ns;
    *verdict = (struct vfr_verdict){.action = VFR_ACCEPT, .rule = VFR_NO_RULE};
    __atomic_fetch_add(&judgements, 1, __ATOMIC_RELAXED);
    if (rule != NULL)
        rule(direction == VFR_TX ? packet->from : packet->to, direction, packet, verdict);
}
bool rules_means(struct vfr_generation *g, uint32_t target, const struct vfr_port *port)
{
    (void)g;
    return port->iface.id == target;
}
void rules_flow_find(struct vfr_generation *g, struct net_packet *packet, uint64_t at_ns)
{
    (void)g, (void)packet, (void)at_ns;
}
void rules_flow_keep(struct vfr_generation *g, struct net_packet *packet, uint64_t at_ns)
{
    void (*hook)(void) = keep_hook;

    (void)g, (void)packet, (void)at_ns;
    if (hook != NULL) {
        keep_hook = NULL;
        hook();
    }
}
void rules_flow_refuse(struct vfr_generation *g, struct net_packet *packet)
{
    (void)g, (void)packet;
}
void rules_port_add(struct vfr_port *port)
{
    (void)port;
}
void rules_port_remove(struct vfr_port *port)
{
    (void)port;
}
void rules_domain_gone(uint32_t domid)
{
    (void)domid;
}
uint64_t rules_generation(const struct vfr_generation *g)
{
    return *(const uint64_t *)g;
}

uint32_t captures_on;
static uint32_t captured[COLLET_NET_DROPS]; /* frames that a capture showed as dropped, by the reason */
void capture_packet(const struct net_packet *packet, struct vfr_port *port, unsigned int direction, const struct vfr_verdict *verdict, uint64_t of_generation, int dropped, uint64_t at_ns)
{
    (void)packet, (void)port, (void)direction, (void)verdict, (void)of_generation, (void)at_ns;
    if (dropped >= 0)
        captured[dropped]++;
}

extern const struct vfr_sched_ops vfr_round_robin;
const struct vfr_sched_ops *const vfr_schedulers[] = {&vfr_round_robin, NULL};

/* ---- The card ---- */

struct wire_frame {
    uint32_t bytes;
    struct net_offload offload;
    uint8_t data[FRAME];
};
struct incoming {
    const struct net_segment *segments;
    uint32_t count, bytes;
    struct net_offload offload;
};

#define CARD_RING 256u
static struct {
    struct netdev dev;
    pthread_mutex_t lock;
    struct netdev_frame *ring[CARD_RING];
    uint32_t put, shown, told; /* given to it; with a kick; told sent */
    uint32_t room;             /* frames that it takes at a time */
    bool holds;                /* it sends nothing */
    bool deaf;                 /* a reset does not help: it wants another one */
    int refuses;               /* what transmit answers; 0 */
    uint32_t resets;
    uint64_t frames, segments; /* that it was given; what they are on the wire */
    struct wire_frame *wire[WIRE]; /* the first ones */
    void (*full_hook)(void);   /* once, inside transmit, which will answer that there is no room */
    struct incoming incoming[WIRE];
    uint32_t incoming_put, incoming_taken;
} card;

static inline void wire_note(const struct netdev_frame *frame)
{
    struct wire_frame *to;
    uint32_t at = 0;

    card.segments += frame->offload.segmentation != NET_SEGMENTATION_NONE ? (frame->bytes - frame->offload.header_bytes + frame->offload.segment_bytes - 1) / frame->offload.segment_bytes : 1;
    if (card.frames++ >= WIRE)
        return;
    to = card.wire[card.frames - 1] = malloc(sizeof(*to));
    ck_assert_uint_le(frame->bytes, sizeof(to->data));
    for (uint32_t i = 0; i < frame->segment_count; at += frame->segments[i++].bytes) {
        ck_assert_uint_gt(frame->segments[i].bytes, 0);
        ck_assert_uint_le(at + frame->segments[i].bytes, frame->bytes);
        ck_assert_uint_le(frame->segments[i].maddr % PAGE_SIZE + frame->segments[i].bytes, PAGE_SIZE);
        memcpy(to->data + at, maddr_to_virt(frame->segments[i].maddr), frame->segments[i].bytes);
    }
    ck_assert_uint_eq(at, frame->bytes);
    to->bytes = at;
    to->offload = frame->offload;
}

static int card_transmit(struct netdev *dev, struct netdev_frame *frame)
{
    void (*hook)(void) = NULL;
    int rc = card.refuses;

    (void)dev;
    pthread_mutex_lock(&card.lock);
    if (rc == 0 && (card.put - card.told >= card.room || dev->wants_reset)) {
        rc = -ENOSPC;
        hook = card.full_hook;
        card.full_hook = NULL;
    }
    if (rc == 0) {
        wire_note(frame);
        card.ring[card.put++ % CARD_RING] = frame;
    }
    pthread_mutex_unlock(&card.lock);
    if (hook != NULL)
        hook();
    return rc;
}

static void card_kick(struct netdev *dev)
{
    (void)dev;
    pthread_mutex_lock(&card.lock);
    card.shown = card.put;
    pthread_mutex_unlock(&card.lock);
}

/* Tells of so many frames at most. */
static inline void card_tell(uint32_t most, int status)
{
    while (most-- > 0) {
        struct netdev_frame *frame = NULL;

        pthread_mutex_lock(&card.lock);
        if (card.told != card.shown)
            frame = card.ring[card.told++ % CARD_RING];
        pthread_mutex_unlock(&card.lock);
        if (frame == NULL)
            break;
        frame->sent(frame, status);
    }
}

static bool card_poll(struct netdev *dev, uint32_t most)
{
    for (uint32_t i = 0; i < most; i++) {
        struct incoming *in = NULL;

        pthread_mutex_lock(&card.lock);
        if (card.incoming_taken != card.incoming_put)
            in = &card.incoming[card.incoming_taken++ % WIRE];
        pthread_mutex_unlock(&card.lock);
        if (in == NULL)
            break;
        netdev_receive(dev, in->segments, in->count, in->bytes, &in->offload);
    }
    if (!READ_ONCE(card.holds) && !READ_ONCE(dev->wants_reset))
        card_tell(most, 0);
    return card.incoming_taken != card.incoming_put || (!READ_ONCE(card.holds) && READ_ONCE(card.told) != READ_ONCE(card.shown));
}

static int card_reset(struct netdev *dev)
{
    card.resets++;
    card.shown = card.put;
    card_tell(CARD_RING, -EIO);
    dev->wants_reset = card.deaf;
    if (!card.deaf)
        netdev_room(dev);
    return 0;
}

static const struct netdev_ops card_ops = {.name = "invented", .transmit = card_transmit, .kick = card_kick, .poll = card_poll, .reset = card_reset};

/* A frame from the wire. The segments stay as they are until it was polled. */
static inline void card_receive(const struct net_segment *segments, uint32_t count, const struct net_offload *offload)
{
    struct incoming *in = &card.incoming[card.incoming_put++ % WIRE];

    *in = (struct incoming){.segments = segments, .count = count, .offload = *offload};
    for (uint32_t i = 0; i < count; i++)
        in->bytes += segments[i].bytes;
    netdev_interrupt(&card.dev);
}

/* ---- Netfronts ---- */

struct guest {
    struct domain *domain;
    uint32_t vif, features;
    uint8_t mac[6];
    evtchn_port_t port;
    uint32_t first; /* of its pages: rings, buffers */
    netif_tx_sring_t *tx;
    netif_rx_sring_t *rx;
    RING_IDX put, seen;   /* requests written, answers read */
    RING_IDX posted, got;
    bool waits[TX_SLOTS]; /* slots, by their ids, that have no answer */
    uint32_t extras;
    uint64_t okays, errors, rx_errors;
};
static struct guest guests[GUESTS];
static uint32_t guest_count;

/* A frame as a netfront puts it together. */
struct got {
    uint32_t bytes, buffers;
    uint16_t flags; /* of the first buffer */
    uint8_t gso_type;
    uint16_t gso_size;
    uint8_t data[FRAME];
};

static inline void guest_post(struct guest *g, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++, g->posted++)
        g->rx->ring[g->posted % RX_SLOTS].req = (netif_rx_request_t){.id = (uint16_t)(g->posted % RX_PAGES), .gref = g->first + 2 + g->posted % RX_PAGES};
    smp_wmb();
    WRITE_ONCE(g->rx->req_prod, g->posted);
}

static inline void guest_rings_reset(struct guest *g)
{
    memset(g->tx, 0, PAGE_SIZE);
    memset(g->rx, 0, PAGE_SIZE);
    g->tx->req_event = g->tx->rsp_event = g->rx->req_event = g->rx->rsp_event = 1;
    g->put = g->seen = g->posted = g->got = 0;
    g->extras = 0;
    memset(g->waits, 0, sizeof(g->waits));
}

static inline long guest_connect(struct guest *g)
{
    struct collet_vif_connect op = {.vif = g->vif, .features = g->features, .tx_ref = g->first, .rx_ref = g->first + 1, .tx_port = g->port, .rx_port = g->port};

    return vif_connect(&op);
}

/* Each its own domain; its addresses are 02:00:00:00:hi:lo and 10.0.hi.lo, by its number from 1 on. Not connected yet. */
static inline struct guest *guest_make(uint32_t segment)
{
    struct guest *g = &guests[guest_count++];
    uint32_t number = guest_count;
    struct collet_vif_create op = {.domid = number, .mac = {2, 0, 0, 0, (uint8_t)(number >> 8), (uint8_t)number}, .settings = {.segment = segment}};

    ck_assert_uint_le(number, GUESTS);
    snprintf(op.domain, sizeof(op.domain), "g%u", number);
    snprintf(op.name, sizeof(op.name), "g%u.0", number);
    ck_assert_int_eq(vif_create(&op), 0);
    memcpy(g->mac, op.mac, 6);
    g->vif = op.vif;
    g->domain = &domains[number];
    g->port = 1 + number % (PORTS - 1);
    g->first = pages_take((domid_t)number, 2 + RX_PAGES + TX_PAGES);
    g->tx = (netif_tx_sring_t *)(memory + g->first * PAGE_SIZE);
    g->rx = (netif_rx_sring_t *)(memory + (g->first + 1) * PAGE_SIZE);
    guest_rings_reset(g);
    return g;
}

static inline struct guest *guest_on(uint32_t segment, uint32_t features)
{
    struct guest *g = guest_make(segment);

    g->features = features;
    guest_post(g, RX_PAGES);
    ck_assert_int_eq(guest_connect(g), 0);
    return g;
}

static inline struct collet_vif_info guest_info(const struct guest *g)
{
    struct collet_vif_info info;

    ck_assert_int_eq(vif_info(g->vif, g->domain->id, &info), 0);
    return info;
}

static inline void guest_set(const struct guest *g, const struct collet_vif_settings *settings)
{
    struct collet_vif_set op = {.vif = g->vif, .settings = *settings};

    ck_assert_int_eq(vif_set(&op), 0);
}

static inline uint8_t *tx_page(const struct guest *g, uint32_t n)
{
    return memory + (g->first + 2 + RX_PAGES + n % TX_PAGES) * PAGE_SIZE;
}

/* One slot, as it is. */
static inline void guest_slot(struct guest *g, uint16_t flags, uint32_t ref, uint16_t offset, uint16_t size)
{
    uint16_t id = (uint16_t)(g->put % TX_SLOTS);

    ck_assert(!g->waits[id]);
    g->waits[id] = true;
    g->tx->ring[g->put++ % TX_SLOTS].req = (netif_tx_request_t){.gref = ref, .offset = offset, .flags = flags, .id = id, .size = size};
}

static inline void guest_extra(struct guest *g, uint8_t type, uint8_t flags, uint8_t gso_type, uint16_t gso_size)
{
    struct netif_extra_info extra = {.type = type, .flags = flags, .u.gso = {.size = gso_size, .type = gso_type}};

    memcpy(&g->tx->ring[g->put++ % TX_SLOTS], &extra, sizeof(extra));
    g->extras++;
}

/* Shows what was put, and tells of it if that was asked for. */
static inline void guest_push(struct guest *g)
{
    RING_IDX before = g->tx->req_prod;

    smp_wmb();
    WRITE_ONCE(g->tx->req_prod, g->put);
    smp_mb();
    if ((RING_IDX)(g->put - READ_ONCE(g->tx->req_event)) < (RING_IDX)(g->put - before))
        event_send(g->domain, g->port);
}

/* A frame in pieces of at most `part` bytes at `offset` in their pages; gso_size 0: not to be cut. */
static inline void guest_put(struct guest *g, const uint8_t *frame, uint32_t bytes, uint16_t flags, uint16_t gso_size, uint32_t part, uint16_t offset)
{
    uint8_t gso_type = frame[12] == 0x86 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4;

    for (uint32_t at = 0, size; at < bytes; at += size) {
        uint32_t n = g->put % TX_PAGES;
        bool first = at == 0;

        size = min(part, bytes - at);
        memcpy(tx_page(g, n) + offset, frame + at, size);
        guest_slot(g, (uint16_t)((first ? flags | (gso_size != 0 ? NETTXF_extra_info : 0) : 0) | (at + size < bytes ? NETTXF_more_data : 0)), g->first + 2 + RX_PAGES + n, offset,
                   (uint16_t)(first ? bytes : size));
        if (first && gso_size != 0)
            guest_extra(g, XEN_NETIF_EXTRA_TYPE_GSO, 0, gso_type, gso_size);
    }
}

static inline void guest_send(struct guest *g, const uint8_t *frame, uint32_t bytes, uint16_t flags, uint16_t gso_size)
{
    guest_put(g, frame, bytes, flags, gso_size, PAGE_SIZE, 0);
    guest_push(g);
}

/* Reads the answers: each slot has one. Returns how many. */
static inline uint32_t guest_answers(struct guest *g)
{
    RING_IDX there = READ_ONCE(g->tx->rsp_prod);
    uint32_t count = 0;

    smp_rmb();
    for (; g->seen != there; g->seen++, count++) {
        netif_tx_response_t rsp = g->tx->ring[g->seen % TX_SLOTS].rsp;

        ck_assert_int_gt((int32_t)(g->put - g->seen), 0);
        if (rsp.status == NETIF_RSP_NULL) {
            ck_assert_uint_gt(g->extras--, 0);
            continue;
        }
        ck_assert_msg(g->waits[rsp.id % TX_SLOTS], "slot %u is answered twice", rsp.id);
        g->waits[rsp.id % TX_SLOTS] = false;
        g->okays += rsp.status == NETIF_RSP_OKAY;
        g->errors += rsp.status == NETIF_RSP_ERROR;
    }
    WRITE_ONCE(g->tx->rsp_event, g->seen + 1);
    return count;
}

static inline uint32_t guest_unanswered(struct guest *g)
{
    guest_answers(g);
    return g->put - g->seen;
}

/* The next frame that it was given; its buffers are posted again. False: there is none. */
static inline bool guest_receive(struct guest *g, struct got *got)
{
    RING_IDX there = READ_ONCE(g->rx->rsp_prod), before = g->got;
    bool more = true;

    smp_rmb();
    got->bytes = got->buffers = got->gso_size = 0;
    while (more && g->got != there) {
        netif_rx_response_t rsp = g->rx->ring[g->got++ % RX_SLOTS].rsp;
        struct netif_extra_info extra;

        if (rsp.status < 0) {
            g->rx_errors++;
            continue;
        }
        if (got->buffers++ == 0)
            got->flags = rsp.flags;
        ck_assert_uint_lt(rsp.id, RX_PAGES);
        ck_assert_uint_le(rsp.offset + (uint32_t)rsp.status, PAGE_SIZE);
        ck_assert_uint_le(got->bytes + (uint32_t)rsp.status, sizeof(got->data));
        memcpy(got->data + got->bytes, memory + (g->first + 2 + rsp.id) * PAGE_SIZE + rsp.offset, (size_t)rsp.status);
        got->bytes += (uint32_t)rsp.status;
        more = rsp.flags & NETRXF_more_data;
        if (rsp.flags & NETRXF_extra_info) {
            ck_assert_uint_ne(g->got, there);
            memcpy(&extra, &g->rx->ring[g->got++ % RX_SLOTS], sizeof(extra));
            ck_assert_uint_eq(extra.type, XEN_NETIF_EXTRA_TYPE_GSO);
            ck_assert_uint_eq(extra.flags, 0);
            got->gso_type = extra.u.gso.type;
            got->gso_size = extra.u.gso.size;
        }
    }
    ck_assert_msg(got->buffers == 0 || !more, "a frame without its end");
    WRITE_ONCE(g->rx->rsp_event, g->got + 1);
    guest_post(g, g->got - before);
    return got->buffers != 0;
}

/* ---- Frames ---- */

static inline void put_be16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}
static inline uint32_t be16(const uint8_t *from)
{
    return (uint32_t)from[0] << 8 | from[1];
}
static inline uint32_t be32(const uint8_t *from)
{
    return be16(from) << 16 | be16(from + 2);
}
/* RFC 1071, the slow way. */
static inline uint32_t sum16(const uint8_t *bytes, uint32_t count, uint32_t sum)
{
    for (uint32_t i = 0; i < count; i++)
        sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}
static inline uint32_t pseudo16(const uint8_t *frame, uint32_t bytes)
{
    bool six = frame[12] == 0x86;

    return sum16(six ? frame + 22 : frame + 26, six ? 32 : 8, 6 + bytes - (six ? 54 : 34));
}
/* Whether the sum of a TCP frame is right, all of it; and that of its IPv4 header. */
static inline bool sums_right(const uint8_t *frame, uint32_t bytes)
{
    uint32_t l4 = frame[12] == 0x86 ? 54 : 34;

    return (l4 == 54 || sum16(frame + 14, 20, 0) == 0xffff) && sum16(frame + l4, bytes - l4, pseudo16(frame, bytes)) == 0xffff;
}

static const uint8_t outside[6] = {2, 0xee, 0, 0, 0, 1}; /* on the wire */

#define TCP4 54u /* bytes of headers */
#define TCP6 74u
/* A TCP frame with a payload that tells its place; the sum is that of the pseudo header. Returns its length. */
static inline uint32_t frame_make(uint8_t *frame, bool six, const uint8_t *to, const uint8_t *from, uint32_t payload)
{
    uint32_t l4 = six ? 54 : 34, header = l4 + 20, bytes = header + payload;

    memset(frame, 0, header);
    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    put_be16(frame + 12, six ? 0x86dd : 0x0800);
    if (six) {
        frame[14] = 0x60;
        put_be16(frame + 18, min(bytes - 54, 0xffffu));
        frame[20] = 6;
        frame[21] = 64;
        memcpy(frame + 22, "\xfd\0\0\0\0\0\0\0\0\0", 10);
        memcpy(frame + 32, from, 6);
        memcpy(frame + 38, "\xfd\0\0\0\0\0\0\0\0\0", 10);
        memcpy(frame + 48, to, 6);
    } else {
        frame[14] = 0x45;
        put_be16(frame + 16, min(bytes - 14, 0xffffu));
        put_be16(frame + 18, 0x1234);
        frame[22] = 64;
        frame[23] = 6;
        frame[26] = 10;
        memcpy(frame + 28, from + 4, 2);
        frame[30] = 10;
        memcpy(frame + 32, to + 4, 2);
        put_be16(frame + 24, ~sum16(frame + 14, 20, 0));
    }
    put_be16(frame + l4, 40000);
    put_be16(frame + l4 + 2, 80);
    memcpy(frame + l4 + 4, "\xff\xff\xf0\x00", 4); /* it goes round within the frame */
    frame[l4 + 12] = 0x50;
    frame[l4 + 13] = 0x99; /* CWR, ACK, PSH, FIN */
    put_be16(frame + l4 + 14, 500);
    for (uint32_t i = 0; i < payload; i++)
        frame[header + i] = (uint8_t)(i * 7 + i / 251);
    put_be16(frame + l4 + 16, pseudo16(frame, bytes));
    return bytes;
}
static inline void frame_sum(uint8_t *frame, uint32_t bytes)
{
    uint32_t l4 = frame[12] == 0x86 ? 54 : 34;

    put_be16(frame + l4 + 16, 0);
    put_be16(frame + l4 + 16, ~sum16(frame + l4, bytes - l4, pseudo16(frame, bytes)));
}

/* ---- Begin and end ---- */

static inline uint64_t all_drops(struct collet_net_counters c)
{
    uint64_t all = 0;

    for (uint32_t i = 0; i < COLLET_NET_DROPS; i++)
        all += c.dropped[i];
    return all;
}

static inline struct collet_nic_info card_info(void)
{
    struct collet_nic_info info;

    ck_assert_int_eq(nic_info(0, &info), 0);
    return info;
}

static inline void world_begin(uint32_t cpus_wanted)
{
    /* Low, so that a frame's number fits where the router keeps it. */
    memory = mmap(NULL, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_32BIT, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    cpu_count = cpus_wanted;
    idle = calloc(1, sizeof(*idle));
    idle->is_idle = true;
    fake_vcpu = idle;
    for (uint32_t i = 0; i <= GUESTS; i++) {
        domains[i].id = (domid_t)i;
        pthread_mutex_init(&channel_lock[i], NULL);
    }
    pages_take(0, 1); /* no grant has number 0 */
    vfr_init();
    card.dev = (struct netdev){.ops = &card_ops, .mac = {2, 0xee, 0, 0, 0, 9}, .mtu = 1500, .depth = CARD_RING, .queues = 1, .can_sum = true, .can_segment4 = true, .can_segment6 = true, .link = true};
    pthread_mutex_init(&card.lock, NULL);
    card.room = CARD_RING;
    ck_assert_int_eq(netdev_register(&card.dev), 0);
}

/* Every VIF goes; nothing is left pinned, referred to, bound or armed. */
static inline void world_end(void)
{
    struct collet_vif_info info;

    card.holds = false;
    while (vif_info(0, ~0u, &info) == 0) {
        long rc;

        while ((rc = vif_destroy(info.vif)) == -EINTR)
            run();
        ck_assert_int_eq(rc, 0);
    }
    ck_assert_uint_eq(pinned(), 0);
    for (uint32_t i = 0; i <= GUESTS; i++) {
        ck_assert_uint_eq(domains[i].refs, 0);
        for (uint32_t port = 0; port < PORTS; port++)
            ck_assert_ptr_null(sinks[i][port]);
    }
    ck_assert_uint_eq(nics[0]->in_flight, 0);
    ck_assert_uint_eq(nics[0]->free_count, 128); /* pieces */
    for (uint32_t i = 0; i < WIRE; i++)
        free(card.wire[i]);
    free(idle);
}
