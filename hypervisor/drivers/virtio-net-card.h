/* SPDX-License-Identifier: MIT */
/*
 * Inside the driver of virtio network cards (VIRTIO 1.2, section 5.1): its card and its two kinds of queues. virtio-net.c: the card, features, control queue, start, reset, interrupts; virtio-net-transmit.c and
 * virtio-net-receive.c: frames.
 */
#pragma once

#include "netdev.h"
#include "spinlock.h"
#include "timer.h"
#include "virtio-queue.h"
#include "virtio.h"

/* Features (5.1.3). */
#define FEATURE_CSUM       (1ull << 0)
#define FEATURE_GUEST_CSUM (1ull << 1)
#define FEATURE_MTU        (1ull << 3)
#define FEATURE_MAC        (1ull << 5)
#define FEATURE_GUEST_TSO4 (1ull << 7)
#define FEATURE_GUEST_TSO6 (1ull << 8)
#define FEATURE_HOST_TSO4  (1ull << 11)
#define FEATURE_HOST_TSO6  (1ull << 12)
#define FEATURE_MRG_RXBUF  (1ull << 15)
#define FEATURE_STATUS     (1ull << 16)
#define FEATURE_CTRL_VQ    (1ull << 17)
#define FEATURE_CTRL_RX    (1ull << 18)
#define FEATURE_MQ         (1ull << 22)

/* What stands before each frame (5.1.6). */
struct virtio_net_header {
    uint8_t flags, segmentation;
    uint16_t header_bytes, segment_bytes, sum_start, sum_offset, buffers;
};
_Static_assert(sizeof(struct virtio_net_header) == 12, "5.1.6");
enum { NET_HEADER_SUM_WANTED = 1, NET_HEADER_SUM_GOOD = 2 };
enum { NET_HEADER_TCP4 = 1, NET_HEADER_TCP6 = 4, NET_HEADER_ECN = 0x80 };

#define QUEUE_FRAMES_MAX VIRTIO_QUEUE_SIZE_MAX
#define ETHERNET_BYTES   14u

/* Memory of a frame on its way out: its header, and its table of descriptors where the device takes indirect ones. */
struct transmit_slot {
    struct virtio_descriptor table[1 + NET_SEGMENTS_MAX];
    struct virtio_net_header header;
    uint8_t pad[36];
};
_Static_assert(sizeof(struct transmit_slot) == 384, "whole cache lines");

struct net_transmit {
    struct virtio_queue ring; /* its lock protects all below */
    struct transmit_slot *memory;
    struct netdev_frame *ended, *ended_last; /* sent, and not yet told: a list by the frames' driver[] */
    uint16_t slots, slot_shift, free_count;
    bool indirect;
    bool starved; /* somebody was told that there is no room */
    uint16_t free[QUEUE_FRAMES_MAX];
    struct netdev_frame *owner[QUEUE_FRAMES_MAX]; /* NULL: the slot is free. The device cannot reach it */
};

struct net_receive {
    struct virtio_queue ring;
    bool busy, again; /* atomic: who has set `busy` is the only one at this queue; `again`: somebody came meanwhile */
    bool with_device[QUEUE_FRAMES_MAX];
    uint8_t *pages[QUEUE_FRAMES_MAX]; /* buffer n is what descriptor n says, for ever */
};

/* Per pCPU: the next look at what its pair has sent, if no interrupt comes before. */
struct net_wait {
    struct timer timer;
    struct net_card *card;
    bool armed; /* a hint, without a lock */
};

struct net_card {
    struct netdev dev;
    struct virtio_device virtio;
    uint64_t features; /* agreed on at boot; every reset must give the same */
    uint32_t pairs, device_pairs;
    struct net_transmit *transmit[MAX_CPUS]; /* pair n interrupts pCPU n; CPUs share where there are fewer pairs */
    struct net_receive *receive[MAX_CPUS];
    struct net_wait *wait; /* cpu_count of them */
    struct virtio_queue control;
    struct {
        uint8_t class, command, data[2], answer;
    } order;        /* of the control queue; start and reset only */
    bool one_entry; /* the device has a single interrupt, for everything */
    bool routed;    /* vectors lead here */
    bool registered;
    bool resetting; /* atomic: one at a time */
    bool dead;      /* the last reset failed */
    uint32_t notices;
    uint64_t lies; /* in frames received; those of queues are counted there */
};

static inline struct net_card *card_of(struct netdev *dev)
{
    return container_of(dev, struct net_card, dev);
}

static inline bool net_has(const struct net_card *card, uint64_t feature)
{
    return card->features & feature;
}

/* ---- virtio-net-transmit.c ---- */

int must_check net_transmit_create(struct net_transmit *t, uint16_t size, bool indirect, bool event_index);
void net_transmit_destroy(struct net_transmit *t);
/* All free again, as after a reset; still stopped. */
void net_transmit_restart(struct net_transmit *t);
int must_check net_transmit_put(struct net_card *card, struct net_transmit *t, struct netdev_frame *frame);
/* Tell what was sent. True: there may be more. *under_way: the device has some still. Context: softirq, no lock. */
bool net_transmit_poll(struct net_card *card, struct net_transmit *t, uint32_t most, bool *under_way);
/* Of a stopped queue whose device is reset: all that it had, for net_frames_tell. */
struct netdev_frame *must_check net_transmit_abandon(struct net_transmit *t);
void net_frames_tell(struct netdev_frame *list, int status);

/* ---- virtio-net-receive.c ---- */

int must_check net_receive_create(struct net_receive *r, uint16_t size, bool event_index);
void net_receive_destroy(struct net_receive *r);
/* Give the device all buffers, and open the queue. It is ours, or not in use yet. */
void net_receive_open(struct net_receive *r);
bool net_receive_poll(struct net_card *card, struct net_receive *r, uint32_t most);
/* Nobody takes frames from r between these two. Context: softirq; waits for another CPU's poll. */
void net_receive_hold(struct net_receive *r);
void net_receive_release(struct net_receive *r);
