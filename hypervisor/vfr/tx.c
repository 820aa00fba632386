// SPDX-License-Identifier: MIT
/*
 * What guests send: the hypervisor's end of a netfront's transmit ring (<xen/io/netif.h>).
 *
 * A frame is a chain of slots. Each slot is copied once, the chain checked as a whole, the header copied out of the guest's pages; what lies behind it stays where it is, pinned through its grants, until the last
 * receiver has copied it and the card has sent it. A frame that fits into the header is answered at once. Contract: vif-internal.h.
 */
#include "vif-internal.h"

#include "alloc.h"
#include "lib/string.h"
#include "time.h"

#include <hv/errno.h>
#include <vfr/packet.h>

#define ETHERNET_HEADER 14u
#define PIECES_MAX      256u  /* of a frame that is to be cut */
#define SEGMENT_LEAST   48u   /* bytes of payload in a piece */
#define HOLD_NS         40000u /* a ring that fills quickly is looked at again after so long, and its guest need not tell */
#define HOLD_GAP_NS     25000u
#define HOLD_STREAK     3u
#define HOLD_SLOTS      64u   /* but it is to tell after so many */
#define TCP_PROTOCOL    6
#define UDP_PROTOCOL    17
_Static_assert(sizeof(union netif_tx_sring_entry) == 12 && sizeof(union netif_rx_sring_entry) == 8, "the rings of x86_64");

/* A frame as the ring has it: our copy. */
struct tx_chain {
    struct netif_tx_request slot[TX_CHAIN_MAX];
    uint32_t count;
    uint32_t extras;
    uint8_t segmentation;
    uint16_t segment_bytes;
    bool bad;
};

/* ---- Answers ---- */

/* vif->lock held. Seen by the guest after tx_show. */
static void answer_put(struct vif *vif, uint16_t id, int16_t status)
{
    struct netif_tx_response *to = &vif->rings.tx->ring[vif->rings.answered++ % TX_SLOTS].rsp;

    to->id = id;
    to->status = status;
}

static void entry_answer(struct net_tx *tx, int16_t status)
{
    struct vif *vif = tx->vif;

    for (uint32_t i = 0; i < tx->ids; i++)
        answer_put(vif, tx->id[i], status);
    for (uint32_t i = 0; i < tx->extras; i++)
        answer_put(vif, 0, NETIF_RSP_NULL);
    tx->answered = true;
    turn_show(vif);
}

void tx_show(struct vif *vif)
{
    struct vif_rings *rings = &vif->rings;

    spin_lock(&vif->lock);
    if (rings->tx != NULL && rings->shown != rings->answered) {
        RING_IDX before = rings->shown, now = rings->answered;

        rings->shown = now;
        smp_wmb();
        WRITE_ONCE(rings->tx->rsp_prod, now);
        smp_mb();
        if ((RING_IDX)(now - READ_ONCE(rings->tx->rsp_event)) < (RING_IDX)(now - before)) {
            __atomic_fetch_add(&vif->events, 1, __ATOMIC_RELAXED);
            event_raise(vif->domain, rings->tx_port);
        }
    }
    spin_unlock(&vif->lock);
}

static void entry_release(struct net_tx *tx)
{
    for (uint32_t i = 0; i < tx->held; i++)
        grant_release(tx->vif->domain, tx->grant[i].ref, false, MFN(tx->grant[i].mfn));
    tx->held = 0;
}

/* One less works on it; the last one ends it. vif->lock held. */
static void entry_put(struct net_tx *tx, int16_t status)
{
    struct vif *vif = tx->vif;
    struct vif_rings *rings = &vif->rings;

    if (__atomic_sub_fetch(&tx->frames, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    entry_release(tx);
    if (!tx->answered)
        entry_answer(tx, status);
    rings->free[rings->free_count++] = (uint16_t)(tx - rings->entries);
    vif->in_flight--;
    if (rings->free_count == 1)
        turn_want(vif); /* it may have waited for just that */
}

void tx_put(struct net_tx *tx)
{
    struct vif *vif = tx->vif;

    if (__atomic_load_n(&tx->frames, __ATOMIC_ACQUIRE) > 1) { /* one of many pieces: not the last */
        uint32_t frames = __atomic_load_n(&tx->frames, __ATOMIC_ACQUIRE);

        while (frames > 1)
            if (__atomic_compare_exchange_n(&tx->frames, &frames, frames - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                return;
    }
    spin_lock(&vif->lock);
    entry_put(tx, NETIF_RSP_OKAY);
    spin_unlock(&vif->lock);
}

/* ---- From the ring ---- */

void tx_notified(struct event_sink *sink)
{
    struct vif *vif = container_of(sink, struct vif, tx_sink);

    vif->notifies++;
    turn_want(vif);
}

static bool rings_served(const struct vif *vif)
{
    return vif->rings.tx != NULL && !vif->closing && !(vif->flags & COLLET_VIF_BROKEN);
}

/* What follows the first slot of a frame: a list of kinds that each say whether another one comes. False: it does not end within what is there. */
static bool extras_copy(struct vif *vif, uint32_t *there, struct tx_chain *chain)
{
    struct netif_extra_info extra;

    do {
        if (*there == 0)
            return false;
        memcpy(&extra, &vif->rings.tx->ring[vif->rings.taken++ % TX_SLOTS].req, sizeof(extra));
        compiler_barrier();
        --*there;
        chain->extras++;
        if (extra.type == XEN_NETIF_EXTRA_TYPE_GSO && extra.u.gso.size != 0 && chain->segmentation == NET_SEGMENTATION_NONE &&
            (extra.u.gso.type == XEN_NETIF_GSO_TYPE_TCPV4 || extra.u.gso.type == XEN_NETIF_GSO_TYPE_TCPV6)) {
            chain->segmentation = extra.u.gso.type == XEN_NETIF_GSO_TYPE_TCPV4 ? NET_SEGMENTATION_TCP4 : NET_SEGMENTATION_TCP6;
            chain->segment_bytes = extra.u.gso.size;
        } else {
            chain->bad = true;
        }
    } while (extra.flags & XEN_NETIF_EXTRA_FLAG_MORE);
    return true;
}

/* One frame's slots. False: it does not end within what is there: such a ring cannot be followed. Slots beyond the most that a frame may have are answered here. */
static bool chain_copy(struct vif *vif, uint32_t there, struct tx_chain *chain)
{
    struct netif_tx_request slot;

    chain->count = 0;
    chain->extras = 0;
    chain->segmentation = NET_SEGMENTATION_NONE;
    chain->segment_bytes = 0;
    chain->bad = false;
    do {
        if (there == 0)
            return false;
        memcpy(&slot, &vif->rings.tx->ring[vif->rings.taken++ % TX_SLOTS].req, sizeof(slot));
        compiler_barrier();
        there--;
        if (likely(chain->count < TX_CHAIN_MAX)) {
            chain->slot[chain->count++] = slot;
        } else {
            chain->bad = true;
            answer_put(vif, slot.id, NETIF_RSP_ERROR);
        }
        if (slot.flags & NETTXF_extra_info) {
            if (chain->count != 1)
                chain->bad = true;
            if (!extras_copy(vif, &there, chain))
                return false;
        }
    } while (slot.flags & NETTXF_more_data);
    return true;
}

/* The sizes: that of the first slot counts the whole frame. On return it counts its own part. */
static bool chain_sizes(struct tx_chain *chain, uint32_t *bytes)
{
    uint32_t rest = 0;

    *bytes = chain->slot[0].size;
    for (uint32_t i = 1; i < chain->count; i++) {
        if (chain->slot[i].size == 0 || (uint32_t)chain->slot[i].offset + chain->slot[i].size > PAGE_SIZE)
            return false;
        rest += chain->slot[i].size;
    }
    if (*bytes < ETHERNET_HEADER || rest >= *bytes || chain->slot[0].offset + (*bytes - rest) > PAGE_SIZE)
        return false;
    chain->slot[0].size = (uint16_t)(*bytes - rest);
    return true;
}

/* The header into our memory; pages that have more stay pinned. False: a page that was not granted. */
static bool chain_pin(struct net_tx *tx, const struct tx_chain *chain, uint32_t bytes)
{
    uint32_t header = min(bytes, VFR_HEADER_MAX), copied = 0;

    tx->packet.segment_count = 1;
    tx->segment[0] = (struct net_segment){.maddr = virt_to_maddr(tx->header), .bytes = header};
    for (uint32_t i = 0; i < chain->count; i++) {
        const struct netif_tx_request *slot = &chain->slot[i];
        uint32_t part = min((uint32_t)slot->size, header - copied);
        uint64_t maddr;
        mfn_t mfn;

        if (grant_hold(tx->vif->domain, slot->gref, DOMID_XEN, false, &mfn) != 0)
            return false;
        maddr = mfn_to_maddr(mfn) + slot->offset;
        memcpy(tx->header + copied, maddr_to_virt(maddr), part);
        copied += part;
        if (part == slot->size) {
            compiler_barrier();
            grant_release(tx->vif->domain, slot->gref, false, mfn);
            continue;
        }
        tx->grant[tx->held].ref = slot->gref;
        tx->grant[tx->held++].mfn = (uint32_t)mfn.n;
        tx->segment[tx->packet.segment_count++] = (struct net_segment){.maddr = maddr + part, .bytes = slot->size - part};
    }
    return true;
}

/* Where the checksum goes that the guest has left open. False: there is none in such a frame. */
static bool sum_place(struct net_packet *packet)
{
    const struct vfr_packet *view = &packet->view;

    if (view->l4 == 0 || view->fragment || (view->protocol != TCP_PROTOCOL && view->protocol != UDP_PROTOCOL))
        return false;
    packet->offload.sum_wanted = true;
    packet->offload.sum_start = view->l4;
    packet->offload.sum_offset = view->protocol == TCP_PROTOCOL ? 16 : 6;
    return view->l4 + packet->offload.sum_offset + 2u <= view->header_bytes;
}

static bool segmentation_set(struct net_packet *packet, const struct tx_chain *chain)
{
    struct vfr_packet *view = &packet->view;
    uint32_t header = cut_header_bytes(view), payload;

    if (header == 0 || header > view->header_bytes || view->family != (chain->segmentation == NET_SEGMENTATION_TCP4 ? 4 : 6) || !packet->offload.sum_wanted)
        return false;
    payload = view->bytes - header;
    view->segments = (uint16_t)max((payload + chain->segment_bytes - 1) / chain->segment_bytes, 1u);
    if (view->segments <= 1)
        return true; /* it fits into one */
    if (chain->segment_bytes < SEGMENT_LEAST || view->segments > PIECES_MAX)
        return false;
    view->segment_bytes = chain->segment_bytes;
    packet->offload.segmentation = chain->segmentation;
    packet->offload.segment_bytes = chain->segment_bytes;
    packet->offload.header_bytes = (uint16_t)header;
    return true;
}

/* What the guest says about the frame, held against the frame. 0 or COLLET_NET_DROP_* + 1. */
static int packet_make(struct net_tx *tx, const struct tx_chain *chain, uint32_t bytes)
{
    struct net_packet *packet = &tx->packet;
    struct vfr_packet *view = &packet->view;

    packet->from = &tx->vif->port;
    packet->to = NULL;
    packet->segments = tx->segment;
    packet->offload = (struct net_offload){0};
    view->header = tx->header;
    view->header_bytes = tx->segment[0].bytes;
    view->bytes = bytes;
    view->from = &tx->vif->port.iface;
    view->to = NULL;
    view->state = VFR_STATE_NONE;
    view->reply = false;
    view->flow = NULL;
    view->segment_bytes = 0;
    view->segments = 1;
    vfr_parse(view);
    if (chain->slot[0].flags & NETTXF_csum_blank) {
        if (!sum_place(packet))
            return 1 + COLLET_NET_DROP_MALFORMED;
    } else {
        packet->offload.sum_good = chain->slot[0].flags & NETTXF_data_validated;
    }
    if (chain->segmentation != NET_SEGMENTATION_NONE && !segmentation_set(packet, chain))
        return 1 + COLLET_NET_DROP_MALFORMED;
    return 0;
}

static struct net_tx *entry_take(struct vif *vif, const struct tx_chain *chain)
{
    struct vif_rings *rings = &vif->rings;
    uint32_t index = rings->free[--rings->free_count];
    struct net_tx *tx = &rings->entries[index];

    tx->vif = vif;
    tx->header = rings->headers + index * VFR_HEADER_MAX;
    tx->held = 0;
    tx->ids = (uint8_t)chain->count;
    tx->extras = (uint8_t)min(chain->extras, 255u);
    tx->answered = false;
    tx->frames = 1;
    tx->receivers = 0;
    tx->nic = NULL;
    tx->cut = (struct net_cut){0};
    for (uint32_t i = 0; i < chain->count; i++)
        tx->id[i] = chain->slot[i].id;
    vif->in_flight++;
    return tx;
}

static void refuse(struct net_tx *tx, unsigned int why)
{
    count_drop(&tx->vif->sent, why);
    entry_put(tx, NETIF_RSP_ERROR);
}

/* Its card has no room. Whoever finds room there looks for what is parked, after it has said that there is: one of us sees the other. */
static void park(struct vif *vif, struct net_tx *tx)
{
    WRITE_ONCE(vif->rings.parked, tx);
    smp_mb();
    if (!READ_ONCE(tx->nic->starving))
        turn_want(vif);
}

static void limits_charge(struct vif *vif, uint32_t bytes, uint32_t packets)
{
    if (vif->settings.packets_per_s != 0)
        vif->packets_left -= (int64_t)packets * (int64_t)NS_PER_S;
    if (vif->settings.bytes_per_s != 0)
        vif->bytes_left -= (int64_t)bytes * (int64_t)NS_PER_S;
}

/* One frame that has been taken off the ring. Returns its bytes, once for each receiver. vif->lock held. */
static uint32_t frame_send(struct vif *vif, struct tx_chain *chain)
{
    struct net_tx *tx = entry_take(vif, chain);
    uint32_t bytes = 0;
    int why;

    if (chain->bad || !chain_sizes(chain, &bytes)) {
        limits_charge(vif, bytes, 1);
        refuse(tx, COLLET_NET_DROP_MALFORMED);
        return bytes;
    }
    if (!chain_pin(tx, chain, bytes)) {
        limits_charge(vif, bytes, 1);
        refuse(tx, COLLET_NET_DROP_GRANT);
        return bytes;
    }
    if (tx->held == 0)
        entry_answer(tx, NETIF_RSP_OKAY); /* all of it is ours by now */
    why = packet_make(tx, chain, bytes);
    limits_charge(vif, bytes, tx->packet.view.segments);
    if (why != 0) {
        refuse(tx, (unsigned int)why - 1);
        return bytes;
    }
    if (switch_packet(&tx->packet, tx) == -ENOSPC) {
        park(vif, tx);
        return bytes;
    }
    bytes *= max((uint32_t)tx->receivers, 1u); /* who sends to all takes as much of its turn as all of them cost */
    entry_put(tx, NETIF_RSP_OKAY);
    return bytes;
}

/* ---- Limits ---- */

/* What is left of a limit after so much time: at most a tenth of a second's worth, and never less than one of `least`. Scaled by NS_PER_S. */
static int64_t limit_refill(int64_t left, uint64_t per_s, uint64_t passed_ns, uint64_t least)
{
    int64_t most = (int64_t)(min(max(per_s / 10, least), (uint64_t)INT64_MAX / 2 / NS_PER_S) * NS_PER_S);
    unsigned __int128 more = (unsigned __int128)passed_ns * per_s;

    return left >= most || more >= (uint64_t)most - (uint64_t)left ? most : left + (int64_t)more;
}

static uint64_t limit_until(struct vif *vif, uint64_t now_ns)
{
    const struct collet_vif_settings *s = &vif->settings;
    uint64_t passed, wait = 0;

    now_ns = max(now_ns, vif->filled_ns); /* another CPU's round may have begun later than this one */
    passed = now_ns - vif->filled_ns;
    vif->filled_ns = now_ns;
    vif->packets_left = limit_refill(vif->packets_left, s->packets_per_s, passed, 1);
    vif->bytes_left = limit_refill(vif->bytes_left, s->bytes_per_s, passed, 1514);
    if (s->packets_per_s != 0 && vif->packets_left <= 0)
        wait = (uint64_t)-vif->packets_left / s->packets_per_s + 1;
    if (s->bytes_per_s != 0 && vif->bytes_left <= 0)
        wait = max(wait, (uint64_t)-vif->bytes_left / s->bytes_per_s + 1);
    return wait == 0 ? 0 : now_ns + wait;
}

void tx_limit_passed(void *arg)
{
    struct vif *vif = arg;

    spin_lock(&vif->lock);
    if (vif->throttled_since_ns != 0)
        vif->throttled_ns += clock_now_ns() - vif->throttled_since_ns;
    vif->throttled_since_ns = 0;
    spin_unlock(&vif->lock);
    turn_want(vif);
}

/* Whether a limit holds it back; then the timer gives it its turn. */
static bool limited(struct vif *vif, uint64_t now_ns)
{
    uint64_t until_ns;

    if (likely(vif->settings.packets_per_s == 0 && vif->settings.bytes_per_s == 0))
        return false;
    until_ns = limit_until(vif, now_ns);
    if (until_ns == 0)
        return false;
    if (vif->throttled_since_ns == 0) {
        vif->throttled++;
        vif->throttled_since_ns = now_ns;
    }
    timer_set(&vif->limit_timer, until_ns);
    return true;
}

/* ---- Its turn ---- */

void tx_hold_over(void *arg)
{
    struct vif *vif = arg;

    vif->holds = false;
    smp_mb(); /* a turn that is under way elsewhere sees it, or has not begun, and is then asked for here */
    turn_want(vif);
}

/*
 * The ring is empty: when does its guest have to tell us again? Usually with the next frame. One that has filled it again and again in short order is looked at by a timer instead, and need not tell of each: a hypercall for
 * each frame is a good part of what a small one costs. If the timer finds but one frame, its guest may well wait for the answer to it: then it tells again.
 */
static RING_IDX tell_after(struct vif *vif, uint32_t taken, uint64_t now_ns)
{
    uint64_t passed = now_ns - vif->busy_ns;
    bool again = vif->streak < HOLD_STREAK ? passed < HOLD_GAP_NS : taken > 1 && passed < HOLD_NS + HOLD_GAP_NS;

    vif->streak = again ? vif->streak + 1 : 0;
    vif->busy_ns = now_ns;
    if (vif->streak < HOLD_STREAK)
        return 1;
    if (!vif->holds) {
        vif->holds = true;
        timer_set(&vif->hold_timer, now_ns + HOLD_NS);
    }
    return HOLD_SLOTS;
}

/* How many slots there are that were not taken; asks for an event when there are none. `taken`: frames of this turn. */
static uint32_t ring_waiting(struct vif *vif, uint32_t taken, uint64_t now_ns)
{
    struct vif_rings *rings = &vif->rings;
    RING_IDX there = READ_ONCE(rings->tx->req_prod) - rings->taken;

    if (there == 0) {
        WRITE_ONCE(rings->tx->req_event, rings->taken + (taken != 0 ? tell_after(vif, taken, now_ns) : vif->holds ? HOLD_SLOTS : 1));
        smp_mb();
        there = READ_ONCE(rings->tx->req_prod) - rings->taken;
    }
    smp_rmb();
    return there;
}

/* What waited for its card. True: it waits on. */
static bool parked_try(struct vif *vif)
{
    struct net_tx *tx = vif->rings.parked;
    int rc;

    if (likely(tx == NULL))
        return false;
    rc = nic_send(tx->nic, tx);
    if (rc == -ENOSPC)
        return true;
    vif->rings.parked = NULL;
    if (rc != 0)
        count_drop(&vif->sent, (unsigned int)rc - 1);
    entry_put(tx, NETIF_RSP_OKAY);
    return false;
}

static enum tx_state take_locked(struct vif *vif, uint32_t packets, uint32_t bytes, uint32_t *packets_taken, uint32_t *bytes_taken)
{
    uint64_t now_ns = round_now_ns();
    struct tx_chain chain;
    uint32_t there;

    if (vif->throttled_since_ns != 0 || parked_try(vif))
        return TX_WAITS;
    for (;;) {
        if (vif->rings.free_count == 0)
            return TX_WAITS;
        there = ring_waiting(vif, *packets_taken, now_ns);
        if (there == 0)
            return TX_EMPTY;
        if (there > TX_SLOTS || (RING_IDX)(vif->rings.taken + there - vif->rings.answered) > TX_SLOTS) {
            vif_break(vif, "its producer index is beyond the transmit ring");
            return TX_WAITS;
        }
        if (*packets_taken >= packets || *bytes_taken >= bytes)
            return TX_MORE;
        if (limited(vif, now_ns))
            return TX_WAITS;
        if (!chain_copy(vif, there, &chain)) {
            vif_break(vif, "a frame in the transmit ring does not end");
            return TX_WAITS;
        }
        ++*packets_taken;
        *bytes_taken += frame_send(vif, &chain);
        if (vif->rings.parked != NULL)
            return TX_WAITS;
    }
}

enum tx_state tx_take(struct vif *vif, uint32_t packets, uint32_t bytes, uint32_t *packets_taken, uint32_t *bytes_taken)
{
    enum tx_state state = TX_EMPTY;

    *packets_taken = 0;
    *bytes_taken = 0;
    spin_lock(&vif->lock);
    if (rings_served(vif))
        state = take_locked(vif, packets, bytes, packets_taken, bytes_taken);
    spin_unlock(&vif->lock);
    return state;
}
