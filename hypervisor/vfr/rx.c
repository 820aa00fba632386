// SPDX-License-Identifier: MIT
/*
 * What guests are given: the hypervisor's end of a netfront's receive ring (<xen/io/netif.h>). A frame is copied once, from where it lies into pages that the receiver has posted and granted; the answers are in the order
 * of the requests. Who has posted too few loses the frame: nobody waits for a receiver. Contract: vif-internal.h.
 */
#include "vif-internal.h"

#include "alloc.h"
#include "changes.h"
#include "cpu.h"
#include "lib/string.h"
#include "log.h"

#define BUFFERS_MAX 18u /* of a frame, extra information not counted: what netfront puts together */

/* Pages of the receiver that are held for one frame. */
struct rx_buffers {
    uint32_t count;
    uint16_t id[BUFFERS_MAX];
    grant_ref_t ref[BUFFERS_MAX];
    mfn_t mfn[BUFFERS_MAX];
};

/* Reading along the segments of a frame. */
struct reader {
    const struct net_segment *segment;
    uint32_t offset;
};

static void copy_on(struct reader *from, uint8_t *to, uint32_t bytes)
{
    while (bytes > 0) {
        uint32_t part = min(from->segment->bytes - from->offset, bytes);

        memcpy(to, (const uint8_t *)maddr_to_virt(from->segment->maddr) + from->offset, part);
        to += part;
        bytes -= part;
        from->offset += part;
        if (from->offset == from->segment->bytes) {
            from->segment++;
            from->offset = 0;
        }
    }
}

/* The answer to the next request: the slot of one is the slot of the other. */
static void answer_put(struct vif *vif, uint16_t id, uint16_t flags, int16_t status)
{
    struct netif_rx_response *to = &vif->rings.rx->ring[vif->rings.given++ % RX_SLOTS].rsp;

    to->id = id;
    to->offset = 0;
    to->flags = flags;
    to->status = status;
}

static void extra_put(struct vif *vif, const struct net_offload *offload)
{
    struct netif_extra_info extra = {.type = XEN_NETIF_EXTRA_TYPE_GSO, .u.gso = {.size = offload->segment_bytes}};

    extra.u.gso.type = offload->segmentation == NET_SEGMENTATION_TCP4 ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6;
    memcpy(&vif->rings.rx->ring[vif->rings.given++ % RX_SLOTS], &extra, sizeof(extra));
}

static void buffers_release(struct vif *vif, const struct rx_buffers *b)
{
    for (uint32_t i = 0; i < b->count; i++)
        grant_release(vif->domain, b->ref[i], true, b->mfn[i]);
}

/* Hold the next `count` buffers, the second of which may be where extra information goes. False: one of them was not granted; the requests up to it are answered with an error. */
static bool buffers_hold(struct vif *vif, struct rx_buffers *b, uint32_t count, bool extra)
{
    RING_IDX at = vif->rings.given;

    b->count = 0;
    while (b->count < count) {
        struct netif_rx_request request;

        memcpy(&request, &vif->rings.rx->ring[at++ % RX_SLOTS].req, sizeof(request));
        compiler_barrier();
        b->id[b->count] = request.id;
        b->ref[b->count] = request.gref;
        if (unlikely(grant_hold(vif->domain, request.gref, DOMID_XEN, true, &b->mfn[b->count]) != 0)) {
            buffers_release(vif, b);
            for (uint32_t i = 0; i <= b->count; i++) {
                answer_put(vif, b->id[i], 0, NETIF_RSP_ERROR);
                if (i == 0 && extra && b->count > 0)
                    answer_put(vif, (uint16_t)(vif->rings.given % RX_SLOTS), 0, NETIF_RSP_ERROR);
            }
            return false;
        }
        b->count++;
        if (b->count == 1 && extra)
            at++;
    }
    return true;
}

static uint16_t flags_of(const struct net_offload *offload)
{
    if (offload->sum_wanted)
        return NETRXF_csum_blank | NETRXF_data_validated;
    return offload->sum_good ? NETRXF_data_validated : 0;
}

static void buffers_fill(struct vif *vif, const struct net_packet *packet, struct rx_buffers *b)
{
    const struct net_offload *offload = &packet->offload;
    struct reader from = {.segment = packet->segments};
    uint32_t left = packet->view.bytes;
    bool extra = offload->segmentation != NET_SEGMENTATION_NONE;

    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t part = min(left, (uint32_t)PAGE_SIZE);
        uint16_t flags = i == 0 ? flags_of(offload) : 0;

        copy_on(&from, mfn_to_virt(b->mfn[i]), part);
        left -= part;
        if (left != 0)
            flags |= NETRXF_more_data;
        compiler_barrier();
        grant_release(vif->domain, b->ref[i], true, b->mfn[i]);
        answer_put(vif, b->id[i], i == 0 && extra ? flags | NETRXF_extra_info : flags, (int16_t)part);
        if (i == 0 && extra)
            extra_put(vif, offload);
    }
}

/* rx_lock held. 0 or 1 + COLLET_NET_DROP_*. */
static int frame_put(struct vif *vif, const struct net_packet *packet)
{
    uint32_t count = (packet->view.bytes + PAGE_SIZE - 1) / PAGE_SIZE;
    bool extra = packet->offload.segmentation != NET_SEGMENTATION_NONE;
    struct rx_buffers b;
    RING_IDX there;

    if (!vif->rx_served)
        return 1 + COLLET_NET_DROP_NOT_CONNECTED;
    if (count > BUFFERS_MAX || (count > 1 && !(vif->features & COLLET_VIF_RX_SG)))
        return 1 + COLLET_NET_DROP_TOO_LONG;
    there = READ_ONCE(vif->rings.rx->req_prod) - vif->rings.given;
    smp_rmb();
    if (unlikely(there > RX_SLOTS)) { /* nothing of such a ring can be believed */
        vif->rx_served = false;
        vif->rx_broken = true;
        log_guest(vif->domain, LOG_WARNING, "vif %u (%s): its producer index is beyond the receive ring; it is given nothing any more", vif->port.iface.id, vif->port.iface.name);
        change_record(COLLET_CHANGE_VIF_BROKEN, vif->domain, vif->port.iface.id, "its producer index is beyond the receive ring");
        return 1 + COLLET_NET_DROP_NOT_CONNECTED;
    }
    if (there < count + extra)
        return 1 + COLLET_NET_DROP_NO_BUFFER;
    turn_show(vif);
    if (!buffers_hold(vif, &b, count, extra))
        return 1 + COLLET_NET_DROP_GRANT;
    buffers_fill(vif, packet, &b);
    vif->received.packets++;
    vif->received.bytes += packet->view.bytes;
    vif->received.segments += packet->view.segments;
    return 0;
}

/* ---- What the receiver does not take as it is ---- */

static uint8_t headers[MAX_CPUS][VFR_HEADER_MAX] aligned_to(VFR_HEADER_MAX); /* of this CPU's round: a header that is changed for one receiver */

static bool takes_segmented(const struct vif *vif, uint8_t segmentation)
{
    return (vif->features & COLLET_VIF_RX_SG) && (vif->features & (segmentation == NET_SEGMENTATION_TCP4 ? COLLET_VIF_RX_TSO4 : COLLET_VIF_RX_TSO6));
}

static bool takes_without_sum(const struct vif *vif, uint8_t family)
{
    return family == 6 ? vif->features & COLLET_VIF_RX_SUM6 : !(vif->features & COLLET_VIF_RX_NO_SUM4);
}

/* A copy of the header, in which the checksum is filled in. */
static int frame_put_summed(struct vif *vif, const struct net_packet *packet)
{
    uint8_t *header = headers[this_cpu_id()];
    struct net_segment segments[NET_SEGMENTS_MAX];
    struct net_packet summed = *packet;

    memcpy(segments, packet->segments, packet->segment_count * sizeof(*segments));
    if (segments[0].bytes > VFR_HEADER_MAX || packet->offload.sum_start + packet->offload.sum_offset + 2u > segments[0].bytes)
        return 1 + COLLET_NET_DROP_MALFORMED;
    memcpy(header, maddr_to_virt(segments[0].maddr), segments[0].bytes);
    segments[0].maddr = virt_to_maddr(header);
    summed.segments = segments;
    sum_complete(&summed, header);
    summed.offload.sum_wanted = false;
    summed.offload.sum_good = true;
    return frame_put(vif, &summed);
}

static int frame_put_cut(struct vif *vif, const struct net_packet *packet)
{
    uint8_t *header = headers[this_cpu_id()];
    struct net_segment segments[NET_SEGMENTS_MAX];
    struct net_cut cut = {0};
    struct net_packet piece = *packet;
    bool sum = !takes_without_sum(vif, packet->view.family);
    uint32_t bytes;
    int rc = 0;

    piece.segments = segments;
    piece.offload.segmentation = NET_SEGMENTATION_NONE;
    piece.offload.sum_wanted = !sum;
    piece.offload.sum_good = sum;
    piece.view.segments = 1;
    while ((bytes = cut_next(packet, &cut, sum, header, segments, &piece.segment_count)) != 0) {
        piece.view.bytes = bytes;
        rc = frame_put(vif, &piece);
        if (rc != 0)
            break;
    }
    return rc;
}

int rx_deliver(struct vif *to, const struct net_packet *packet)
{
    int rc;

    spin_lock(&to->rx_lock);
    if (packet->offload.segmentation != NET_SEGMENTATION_NONE && !takes_segmented(to, packet->offload.segmentation))
        rc = packet->offload.header_bytes != 0 ? frame_put_cut(to, packet) : 1 + COLLET_NET_DROP_TOO_LONG;
    else if (packet->offload.sum_wanted && !takes_without_sum(to, packet->view.family))
        rc = frame_put_summed(to, packet);
    else
        rc = frame_put(to, packet);
    if (rc != 0)
        to->received.dropped[rc - 1]++;
    spin_unlock(&to->rx_lock);
    return rc;
}

void rx_show(struct vif *vif)
{
    struct vif_rings *rings = &vif->rings;

    spin_lock(&vif->rx_lock);
    if (vif->rx_served && rings->given_shown != rings->given) {
        RING_IDX before = rings->given_shown, now = rings->given;

        rings->given_shown = now;
        smp_wmb();
        WRITE_ONCE(rings->rx->rsp_prod, now);
        smp_mb();
        if ((RING_IDX)(now - READ_ONCE(rings->rx->rsp_event)) < (RING_IDX)(now - before)) {
            __atomic_fetch_add(&vif->events, 1, __ATOMIC_RELAXED);
            event_raise(vif->domain, rings->rx_port);
        }
    }
    spin_unlock(&vif->rx_lock);
}

/* Buffers have been posted: nobody waits for that. */
void rx_notified(struct event_sink *sink)
{
    container_of(sink, struct vif, rx_sink)->notifies++;
}
