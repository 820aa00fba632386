// SPDX-License-Identifier: MIT
/*
 * Network cards as ports of the router. A frame of a guest goes out from where it lies: our copy of its header, then the guest's own pages; a card that cannot segment or sum is given pieces that we have cut. Contracts:
 * netdev.h, vif-internal.h.
 */
#include "vif-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "lib/string.h"
#include "log.h"
#include "time.h"

#include <hv/errno.h>
#include <vfr/packet.h>

#define PIECES     128u  /* of one card at a time: cut frames, and copies */
#define PIECE_COPY 2048u
#define STUCK_NS   (5 * NS_PER_S)
#define RESETS_NS  NS_PER_S /* no more often than so, whatever the card wants */
#define VLAN_BYTES 4u
#define ETHERNET   14u

/* A frame that is not a guest's as it is. */
struct nic_piece {
    struct netdev_frame frame;
    struct nic *nic;
    struct net_tx *tx; /* NULL: a copy */
    uint8_t *header;   /* VFR_HEADER_MAX bytes */
    uint8_t *copy;     /* PIECE_COPY bytes */
    struct net_segment segment[NET_SEGMENTS_MAX];
};

struct nic *nics[16];
uint32_t nic_count;

/* ---- Pieces ---- */

static struct nic_piece *piece_take(struct nic *nic)
{
    struct nic_piece *piece = NULL;

    spin_lock(&nic->lock);
    if (nic->free_count > 0)
        piece = &nic->pieces[nic->free[--nic->free_count]];
    spin_unlock(&nic->lock);
    return piece;
}

static void piece_free(struct nic_piece *piece)
{
    struct nic *nic = piece->nic;

    spin_lock(&nic->lock);
    nic->free[nic->free_count++] = (uint16_t)(piece - nic->pieces);
    spin_unlock(&nic->lock);
}

/* VIFs may wait for room in the card, or for pieces. */
static void room_again(struct nic *nic)
{
    if (likely(!READ_ONCE(nic->starving)))
        return;
    WRITE_ONCE(nic->starving, false);
    smp_mb(); /* park() says that it waits, then looks here */
    for (uint32_t slot = 0; slot < vif_slots; slot++) {
        struct vfr_port *port = READ_ONCE(vfr_ports[slot]);

        if (port != NULL && READ_ONCE(port_vif(port)->rings.parked) != NULL)
            turn_want(port_vif(port));
    }
}

static void left(struct nic *nic, int status)
{
    __atomic_fetch_sub(&nic->in_flight, 1, __ATOMIC_SEQ_CST);
    nic->progress++;
    if (status != 0)
        count_drop(&nic->sent, COLLET_NET_DROP_DEVICE);
    room_again(nic);
}

static void frame_sent(struct netdev_frame *frame, int status)
{
    struct net_tx *tx = container_of(frame, struct net_tx, frame);
    struct nic *nic = tx->nic;

    tx_put(tx);
    left(nic, status);
}

static void piece_sent(struct netdev_frame *frame, int status)
{
    struct nic_piece *piece = container_of(frame, struct nic_piece, frame);
    struct nic *nic = piece->nic;
    struct net_tx *tx = piece->tx;

    piece_free(piece);
    if (tx != NULL)
        tx_put(tx);
    left(nic, status);
}

/* ---- Sending ---- */

static int transmit(struct nic *nic, struct netdev_frame *frame)
{
    int rc = nic->dev->ops->transmit(nic->dev, frame);

    if (likely(rc == 0)) {
        /* The time of a watch begins with the first frame: the card was idle before, however long. */
        if (__atomic_fetch_add(&nic->in_flight, 1, __ATOMIC_RELAXED) == 0)
            WRITE_ONCE(nic->watched_ns, 0);
        WRITE_ONCE(nic->kick, true);
    }
    return rc;
}

static int drop(struct nic *nic, unsigned int why)
{
    count_drop(&nic->sent, why);
    return 1 + (int)why;
}

static void count_sent(struct nic *nic, uint32_t bytes, uint32_t segments)
{
    __atomic_fetch_add(&nic->sent.packets, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&nic->sent.bytes, bytes, __ATOMIC_RELAXED);
    __atomic_fetch_add(&nic->sent.segments, segments, __ATOMIC_RELAXED);
}

/* No room: whoever waits is woken by the next frame that leaves; if the last one has just left, by the next round; if the card waits for its reset, by that. */
static int starve(struct nic *nic)
{
    WRITE_ONCE(nic->starving, true);
    smp_mb();
    if (__atomic_load_n(&nic->in_flight, __ATOMIC_RELAXED) == 0 && !(READ_ONCE(nic->dev->wants_reset) && nic->reset_ns != 0))
        softirq_raise(SOFTIRQ_NET);
    return -ENOSPC;
}

static int send_whole(struct nic *nic, struct net_tx *tx)
{
    struct net_packet *packet = &tx->packet;
    struct netdev_frame *frame = &tx->frame;
    int rc;

    if (packet->view.bytes > nic->dev->mtu + ETHERNET + VLAN_BYTES && packet->offload.segmentation == NET_SEGMENTATION_NONE)
        return drop(nic, COLLET_NET_DROP_TOO_LONG);
    if (packet->offload.sum_wanted && !nic->dev->can_sum) {
        sum_complete(packet, tx->header);
        packet->offload.sum_wanted = false;
    }
    frame->segments = packet->segments;
    frame->segment_count = packet->segment_count;
    frame->bytes = packet->view.bytes;
    frame->offload = packet->offload;
    frame->sent = frame_sent;
    __atomic_fetch_add(&tx->frames, 1, __ATOMIC_RELAXED);
    rc = transmit(nic, frame);
    if (likely(rc == 0))
        return 0;
    __atomic_fetch_sub(&tx->frames, 1, __ATOMIC_RELAXED);
    return rc == -ENOSPC ? starve(nic) : drop(nic, rc == -EMSGSIZE ? COLLET_NET_DROP_TOO_LONG : COLLET_NET_DROP_DEVICE);
}

/* Piece after piece; goes on where it was when there is no room. */
static int send_cut(struct nic *nic, struct net_tx *tx)
{
    const struct net_packet *packet = &tx->packet;
    bool sum = !nic->dev->can_sum;

    for (;;) {
        struct nic_piece *piece = piece_take(nic);
        struct net_cut before = tx->cut;
        int rc;

        if (piece == NULL)
            return starve(nic);
        piece->frame.bytes = cut_next(packet, &tx->cut, sum, piece->header, piece->segment, &piece->frame.segment_count);
        if (piece->frame.bytes == 0) {
            piece_free(piece);
            return 0;
        }
        piece->tx = tx;
        piece->frame.segments = piece->segment;
        piece->frame.offload = packet->offload;
        piece->frame.offload.segmentation = NET_SEGMENTATION_NONE;
        piece->frame.offload.sum_wanted = !sum;
        piece->frame.sent = piece_sent;
        __atomic_fetch_add(&tx->frames, 1, __ATOMIC_RELAXED);
        rc = transmit(nic, &piece->frame);
        if (likely(rc == 0))
            continue;
        __atomic_fetch_sub(&tx->frames, 1, __ATOMIC_RELAXED);
        piece_free(piece);
        if (rc == -ENOSPC) {
            tx->cut = before;
            return starve(nic);
        }
        return drop(nic, COLLET_NET_DROP_DEVICE);
    }
}

static bool segments_itself(const struct nic *nic, uint8_t segmentation)
{
    return segmentation == NET_SEGMENTATION_TCP4 ? nic->dev->can_segment4 : nic->dev->can_segment6;
}

int nic_send(struct nic *nic, struct net_tx *tx)
{
    const struct net_packet *packet = &tx->packet;
    int rc;

    if (packet->offload.segmentation != NET_SEGMENTATION_NONE && packet->offload.header_bytes + packet->offload.segment_bytes > nic->dev->mtu + ETHERNET + VLAN_BYTES)
        return drop(nic, COLLET_NET_DROP_TOO_LONG);
    if (packet->offload.segmentation != NET_SEGMENTATION_NONE && !segments_itself(nic, packet->offload.segmentation))
        rc = send_cut(nic, tx);
    else
        rc = send_whole(nic, tx);
    if (rc == 0)
        count_sent(nic, packet->view.bytes, packet->view.segments);
    return rc;
}

int nic_send_copy(struct nic *nic, const struct net_packet *packet)
{
    struct nic_piece *piece;
    uint32_t at = 0;

    if (packet->view.bytes > PIECE_COPY || packet->view.bytes > nic->dev->mtu + ETHERNET + VLAN_BYTES || packet->offload.segmentation != NET_SEGMENTATION_NONE)
        return drop(nic, COLLET_NET_DROP_TOO_LONG);
    piece = piece_take(nic);
    if (piece == NULL)
        return drop(nic, COLLET_NET_DROP_MEMORY);
    for (uint32_t i = 0; i < packet->segment_count; i++) {
        memcpy(piece->copy + at, maddr_to_virt(packet->segments[i].maddr), packet->segments[i].bytes);
        at += packet->segments[i].bytes;
    }
    piece->tx = NULL;
    piece->segment[0] = (struct net_segment){.maddr = virt_to_maddr(piece->copy), .bytes = at};
    piece->frame = (struct netdev_frame){.segments = piece->segment, .segment_count = 1, .bytes = at, .offload = packet->offload, .sent = piece_sent};
    if (packet->offload.sum_wanted && !nic->dev->can_sum) {
        struct net_packet copy = *packet;

        copy.segments = piece->segment;
        copy.segment_count = 1;
        sum_complete(&copy, piece->copy);
        piece->frame.offload.sum_wanted = false;
    }
    if (transmit(nic, &piece->frame) != 0) {
        piece_free(piece);
        return drop(nic, COLLET_NET_DROP_DEVICE);
    }
    count_sent(nic, at, 1);
    return 0;
}

void nics_kick(void)
{
    for (uint32_t i = 0; i < nic_count; i++) {
        /* Locked: a store that came late would undo what another CPU says after it. */
        if (!READ_ONCE(nics[i]->kick) || !__atomic_exchange_n(&nics[i]->kick, false, __ATOMIC_SEQ_CST))
            continue;
        nics[i]->dev->ops->kick(nics[i]->dev);
    }
}

/* ---- Receiving ---- */

/* How a frame of segments that a card has put together is to be cut again, if it must be. False: it is not such a frame. */
static bool received_segmentation(struct net_packet *packet)
{
    struct net_offload *offload = &packet->offload;
    uint32_t header = cut_header_bytes(&packet->view);

    if (offload->segmentation == NET_SEGMENTATION_NONE)
        return true;
    if (offload->segment_bytes == 0 || header == 0 || header > packet->view.header_bytes || packet->view.family != (offload->segmentation == NET_SEGMENTATION_TCP4 ? 4 : 6))
        return false;
    offload->header_bytes = (uint16_t)header;
    offload->sum_start = packet->view.l4;
    offload->sum_offset = 16;
    packet->view.segment_bytes = offload->segment_bytes;
    packet->view.segments = (uint16_t)((packet->view.bytes - header + offload->segment_bytes - 1) / offload->segment_bytes);
    return true;
}

void netdev_receive(struct netdev *dev, const struct net_segment *pieces, uint32_t count, uint32_t bytes, const struct net_offload *offload)
{
    static uint8_t headers[MAX_CPUS][VFR_HEADER_MAX] aligned_to(VFR_HEADER_MAX); /* the device may write into its page again */
    struct nic *nic = dev->core;
    uint8_t *header = headers[this_cpu_id()];
    struct net_segment segments[NET_SEGMENTS_MAX]; /* the header, what is behind it in the first piece; and one is left for a header of its own when it is cut (cut.c) */
    struct net_packet packet = {.from = &nic->port, .segments = segments, .offload = *offload};
    uint32_t first = min(bytes, VFR_HEADER_MAX);

    if (bytes < ETHERNET || count == 0 || pieces[0].bytes < first || count + 2 > NET_SEGMENTS_MAX) {
        count_drop(&nic->received, COLLET_NET_DROP_MALFORMED);
        return;
    }
    memcpy(header, maddr_to_virt(pieces[0].maddr), first);
    segments[packet.segment_count++] = (struct net_segment){.maddr = virt_to_maddr(header), .bytes = first};
    if (pieces[0].bytes > first)
        segments[packet.segment_count++] = (struct net_segment){.maddr = pieces[0].maddr + first, .bytes = pieces[0].bytes - first};
    for (uint32_t i = 1; i < count; i++)
        segments[packet.segment_count++] = pieces[i];
    packet.view = (struct vfr_packet){.header = header, .header_bytes = first, .bytes = bytes, .from = &nic->port.iface, .segments = 1};
    vfr_parse(&packet.view);
    if (!received_segmentation(&packet)) {
        count_drop(&nic->received, COLLET_NET_DROP_MALFORMED);
        return;
    }
    switch_packet(&packet, NULL);
}

void netdev_interrupt(struct netdev *dev)
{
    (void)dev;
    softirq_raise(SOFTIRQ_NET);
}

void netdev_room(struct netdev *dev)
{
    room_again(dev->core);
}

static void start_anew(struct nic *nic, const char *why)
{
    nic->resets++;
    log_warning("%s: %s; reset", nic->name, why);
    nic->failed = nic->dev->ops->reset(nic->dev) != 0;
    if (nic->failed)
        log_error("%s: does not come up again; it is used no more", nic->name);
}

static void reset_timer_fires(void *arg)
{
    (void)arg;
    softirq_raise(SOFTIRQ_NET);
}

/* The driver says that the card can only be helped by a reset. At once, but for one that wants it all the time. */
static void reset_wanted(struct nic *nic, uint64_t now_ns)
{
    if (nic->failed)
        return;
    if (nic->reset_ns != 0 && now_ns < nic->reset_ns + RESETS_NS) {
        timer_set(&nic->reset_timer, nic->reset_ns + RESETS_NS);
        return;
    }
    nic->reset_ns = now_ns;
    start_anew(nic, "it, or a ring of it, cannot be followed any more");
}

/* A card that has frames and sends none is started anew. */
static void watch(struct nic *nic, uint64_t now_ns)
{
    if (likely(READ_ONCE(nic->in_flight) == 0 || nic->watched_ns == 0 || nic->progress != nic->watched_progress)) {
        nic->watched_progress = nic->progress;
        nic->watched_ns = now_ns;
        return;
    }
    /* Another CPU may have looked with a later clock than this round's. */
    if (now_ns < nic->watched_ns + STUCK_NS || nic->failed)
        return;
    nic->watched_ns = now_ns;
    start_anew(nic, "sends nothing");
}

void nics_poll(uint32_t most)
{
    for (uint32_t i = 0; i < nic_count; i++) {
        struct nic *nic = nics[i];

        if (nic->dev->ops->poll(nic->dev, most))
            softirq_raise(SOFTIRQ_NET);
        if (unlikely(READ_ONCE(nic->dev->wants_reset)))
            reset_wanted(nic, round_now_ns());
        if (unlikely(READ_ONCE(nic->in_flight) != 0))
            watch(nic, round_now_ns());
        else if (likely(!READ_ONCE(nic->dev->wants_reset)))
            room_again(nic);
    }
}

/* ---- Coming up ---- */

static bool pieces_make(struct nic *nic)
{
    nic->pieces = heap_alloc(PIECES * sizeof(*nic->pieces));
    nic->free = heap_alloc(PIECES * sizeof(*nic->free));
    uint8_t *headers = heap_alloc(PIECES * VFR_HEADER_MAX), *copies = heap_alloc(PIECES * PIECE_COPY);

    if (nic->pieces == NULL || nic->free == NULL || headers == NULL || copies == NULL)
        return false; /* at boot: what was allocated is not worth giving back */
    for (uint32_t i = 0; i < PIECES; i++) {
        nic->pieces[i].nic = nic;
        nic->pieces[i].header = headers + i * VFR_HEADER_MAX;
        nic->pieces[i].copy = copies + i * PIECE_COPY;
        nic->free[nic->free_count++] = (uint16_t)i;
    }
    return true;
}

int netdev_register(struct netdev *dev)
{
    struct nic *nic = nic_count < ARRAY_SIZE(nics) ? heap_alloc(sizeof(*nic)) : NULL;

    if (nic == NULL || !pieces_make(nic))
        return -ENOMEM;
    nic->dev = dev;
    timer_init(&nic->reset_timer, reset_timer_fires, NULL, 0);
    dev->id = nic_count;
    dev->core = nic;
    snprintf(nic->name, sizeof(nic->name), "nic%u", nic_count);
    nic->port.slot = COLLET_VIFS_ALL_MAX + nic_count;
    nic->port.segment = nic_count;
    nic->port.iface.id = VFR_IFACE_NIC + nic_count;
    nic->port.iface.domid = ~0u;
    memcpy(nic->port.iface.mac, dev->mac, sizeof(dev->mac));
    strlcpy(nic->port.iface.name, nic->name, sizeof(nic->port.iface.name));
    rules_port_add(&nic->port);
    nics[nic_count] = nic;
    vfr_ports[nic->port.slot] = &nic->port;
    nic_count++;
    return 0;
}

long nic_info(uint32_t number, struct collet_nic_info *info)
{
    const struct nic *nic;

    if (number >= nic_count)
        return -ENOENT;
    nic = nics[number];
    memset(info, 0, sizeof(*info));
    info->nic = number;
    info->flags = (nic->dev->link ? COLLET_NIC_LINK : 0) | (nic->dev->can_sum ? COLLET_NIC_CAN_SUM : 0) | (nic->dev->can_segment4 ? COLLET_NIC_CAN_SEGMENT4 : 0) |
                  (nic->dev->can_segment6 ? COLLET_NIC_CAN_SEGMENT6 : 0) | (nic->failed ? COLLET_NIC_FAILED : 0);
    strlcpy(info->name, nic->name, sizeof(info->name));
    strlcpy(info->driver, nic->dev->ops->name, sizeof(info->driver));
    memcpy(info->mac, nic->dev->mac, sizeof(info->mac));
    info->mtu = nic->dev->mtu;
    info->queues = nic->dev->queues;
    info->depth = nic->dev->depth;
    info->in_flight = nic->in_flight;
    info->interrupts = nic->dev->interrupts;
    info->resets = nic->resets;
    info->lies = nic->dev->lies;
    info->tx = nic->sent;
    info->rx = nic->received;
    return 0;
}
