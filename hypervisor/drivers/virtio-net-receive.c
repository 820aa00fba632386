// SPDX-License-Identifier: MIT
/*
 * Frames from a virtio network card. The device has a page per descriptor, always the same ones, so that to give a page back is to write its number; a frame takes one, or several where the device merges buffers.
 * Contract: netdev.h, virtio-net-card.h. Tests: test-virtio-net.c.
 *
 * Order within a queue is the order of the wire: one CPU at a time takes frames from a queue, whoever comes meanwhile leaves a mark and goes. What the device writes is copied once and checked: the number of the
 * buffer, lengths, the header before the frame. A frame that makes no sense is dropped and counted.
 */
#include "virtio-net-card.h"

#include "alloc.h"
#include "lib/string.h"

#include <hv/errno.h>

#define SHOW_EVERY   16u  /* buffers are given back so often within a poll */
#define FIRST_BYTES  256u /* netdev_receive: the first piece has so many, if the frame has */
#define HEADER_BYTES ((uint32_t)sizeof(struct virtio_net_header))

/* A frame while it is put together. */
struct arrival {
    struct net_segment pieces[NET_SEGMENTS_MAX];
    uint16_t ids[NET_SEGMENTS_MAX];
    uint32_t count, bytes;
    bool bad;
};

int net_receive_create(struct net_receive *r, uint16_t size, bool event_index)
{
    int rc = virtio_queue_create_rings(&r->ring, size, event_index);
    uint32_t i;

    for (i = 0; rc == 0 && i < r->ring.size; i++) {
        r->pages[i] = page_alloc();
        if (r->pages[i] == NULL)
            rc = -ENOMEM;
    }
    return rc;
}

void net_receive_destroy(struct net_receive *r)
{
    uint32_t i;

    for (i = 0; i < QUEUE_FRAMES_MAX && r->pages[i] != NULL; i++)
        page_free(r->pages[i]);
    virtio_queue_destroy(&r->ring);
}

static inline void buffer_give(struct net_receive *r, uint16_t id)
{
    r->with_device[id] = true;
    virtio_queue_push(&r->ring, id);
}

void net_receive_open(struct net_receive *r)
{
    uint16_t i;

    for (i = 0; i < r->ring.size; i++) {
        r->ring.descriptors[i] = (struct virtio_descriptor){ virt_to_maddr(r->pages[i]), PAGE_SIZE, VIRTIO_DESCRIPTOR_WRITE, 0 };
        buffer_give(r, i);
    }
    virtio_queue_open(&r->ring);
    virtio_queue_show(&r->ring);
}

/* One entry of the used ring becomes the next piece; `skip` bytes of it are no part of the frame. */
static inline void piece_take(struct net_receive *r, struct arrival *a, uint32_t skip)
{
    uint32_t bytes, id = virtio_queue_next(&r->ring, &bytes);

    if (unlikely(id >= r->ring.size || !r->with_device[id])) {
        a->bad = true; /* not ours to give back */
        return;
    }
    r->with_device[id] = false;
    a->bad |= bytes <= skip || bytes > PAGE_SIZE;
    a->ids[a->count] = (uint16_t)id;
    a->pieces[a->count++] = (struct net_segment){ .maddr = virt_to_maddr(r->pages[id]) + skip, .bytes = bytes - skip };
    a->bytes += bytes - skip;
}

/* False: the device lies about the frame. */
static inline bool offload_read(const struct net_card *card, const struct virtio_net_header *header, uint32_t bytes, struct net_offload *offload)
{
    uint8_t segmentation = header->segmentation & (uint8_t)~NET_HEADER_ECN;

    *offload = (struct net_offload){ 0 };
    if (likely((header->flags | segmentation) == 0))
        return true;
    if (!net_has(card, FEATURE_GUEST_CSUM))
        return segmentation == 0;
    if (header->flags & NET_HEADER_SUM_WANTED) {
        offload->sum_wanted = true;
        offload->sum_start = header->sum_start;
        offload->sum_offset = header->sum_offset;
        if ((uint32_t)header->sum_start + header->sum_offset + 2 > bytes)
            return false;
    } else {
        offload->sum_good = header->flags & NET_HEADER_SUM_GOOD;
    }
    if (segmentation == 0)
        return true;
    offload->segmentation = segmentation == NET_HEADER_TCP4 ? NET_SEGMENTATION_TCP4 : NET_SEGMENTATION_TCP6;
    offload->segment_bytes = header->segment_bytes;
    offload->header_bytes = header->header_bytes < bytes ? header->header_bytes : 0;
    return offload->sum_wanted && header->segment_bytes != 0 &&
           ((segmentation == NET_HEADER_TCP4 && net_has(card, FEATURE_GUEST_TSO4)) || (segmentation == NET_HEADER_TCP6 && net_has(card, FEATURE_GUEST_TSO6)));
}

/* The next frame of `waiting` entries: how many it took. */
static uint32_t frame_take(struct net_card *card, struct net_receive *r, uint32_t waiting)
{
    struct virtio_net_header header;
    struct net_offload offload;
    struct arrival a;
    uint32_t buffers = 1, i;

    a.count = a.bytes = 0;
    a.bad = false;
    piece_take(r, &a, HEADER_BYTES);
    if (likely(!a.bad)) {
        memcpy(&header, r->pages[a.ids[0]], sizeof(header));
        if (net_has(card, FEATURE_MRG_RXBUF))
            buffers = header.buffers;
        /* All buffers of a frame are shown at once. */
        a.bad = buffers == 0 || buffers > min(waiting, NET_SEGMENTS_MAX);
        for (i = 1; i < buffers && !a.bad; i++)
            piece_take(r, &a, 0);
        a.bad |= a.bytes < ETHERNET_BYTES || a.bytes > NET_FRAME_MAX || a.pieces[0].bytes < min(a.bytes, FIRST_BYTES) ||
                 !offload_read(card, &header, a.bytes, &offload);
        buffers = max(i, 1u);
    }
    if (likely(!a.bad)) {
        netdev_receive(&card->dev, a.pieces, a.count, a.bytes, &offload);
    } else {
        card->lies++;
        card->dev.receive_dropped++;
    }
    for (i = 0; i < a.count; i++)
        buffer_give(r, a.ids[i]);
    return buffers;
}

/* At most `most` frames; true: there may be more. */
static bool frames_take(struct net_card *card, struct net_receive *r, uint32_t most)
{
    uint32_t waiting = 0, taken = 0;

    for (;;) {
        if (waiting == 0)
            waiting = virtio_queue_waiting(&r->ring);
        if (waiting == 0 && (r->ring.stopped || !virtio_queue_arm(&r->ring, 0, r->ring.size)))
            break;
        if (taken == most)
            break;
        if (waiting == 0)
            continue; /* one came while we armed: it is seen now */
        waiting -= frame_take(card, r, waiting);
        if (++taken % SHOW_EVERY == 0)
            virtio_queue_show(&r->ring);
    }
    if (taken != 0)
        virtio_queue_show(&r->ring);
    return taken == most && !r->ring.stopped;
}

bool net_receive_poll(struct net_card *card, struct net_receive *r, uint32_t most)
{
    bool more;

    if (unlikely(__atomic_exchange_n(&r->busy, true, __ATOMIC_SEQ_CST))) {
        /* He may have looked for the last time already, so look whether he is gone after the mark is set. */
        __atomic_store_n(&r->again, true, __ATOMIC_SEQ_CST);
        if (__atomic_exchange_n(&r->busy, true, __ATOMIC_SEQ_CST))
            return false;
    }
    more = frames_take(card, r, most);
    __atomic_store_n(&r->busy, false, __ATOMIC_SEQ_CST);
    return more | (READ_ONCE(r->again) && __atomic_exchange_n(&r->again, false, __ATOMIC_SEQ_CST));
}

void net_receive_hold(struct net_receive *r)
{
    while (__atomic_exchange_n(&r->busy, true, __ATOMIC_SEQ_CST))
        cpu_relax();
}

void net_receive_release(struct net_receive *r)
{
    __atomic_store_n(&r->busy, false, __ATOMIC_SEQ_CST);
}
