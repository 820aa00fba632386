/* SPDX-License-Identifier: MIT */
/*
 * A network card as the virtual firewall-router sees it: the narrow side of a driver (drivers/virtio-net.c). One struct netdev per card; registered at boot, there until the machine ends.
 *
 * Transmit: frames are given by transmit, a batch ends with kick; each is told sent once, in poll. Receive: the driver has posted pages of its own, hands each frame to netdev_receive, which has copied what it wants
 * when it returns, and posts the pages again. The device is not trusted: lengths and numbers that it writes are checked by the driver.
 */
#pragma once

#include "types.h"

struct net_segment {
    uint64_t maddr;
    uint32_t bytes; /* within one page */
    uint32_t pad;
};
#define NET_SEGMENTS_MAX 20u
#define NET_FRAME_MAX    65550u /* Ethernet header and 64 KiB */

enum { NET_SEGMENTATION_NONE, NET_SEGMENTATION_TCP4, NET_SEGMENTATION_TCP6 };
/* What is left to be done to a frame, or was done. */
struct net_offload {
    bool sum_wanted;       /* the sum at sum_start + sum_offset is that of the pseudo header: to be completed over all from sum_start on */
    bool sum_good;         /* received: it was checked */
    uint8_t segmentation;  /* NET_SEGMENTATION_* */
    uint16_t sum_start, sum_offset;
    uint16_t segment_bytes;
    uint16_t header_bytes; /* of each segment, Ethernet to TCP */
};

struct netdev_frame {
    const struct net_segment *segments; /* the first holds the headers whole */
    uint32_t segment_count;
    uint32_t bytes;
    struct net_offload offload;
    void (*sent)(struct netdev_frame *frame, int status); /* 0 or -EIO. Context: poll or reset; no lock held */
    uint32_t driver[4]; /* the driver's, from transmit to sent */
};

struct netdev;
struct netdev_ops {
    const char *name; /* "virtio-net" */
    /* 0; -ENOSPC: no room now (the core tries again when something was sent, or netdev_room is called); -EIO: gone; -EMSGSIZE. Frame and segments stay as they are until sent. Any lock of the core held; several CPUs. */
    int (*transmit)(struct netdev *dev, struct netdev_frame *frame);
    void (*kick)(struct netdev *dev);
    /* In SOFTIRQ_NET: calls sent and netdev_receive, at most `most` of each; true: there may be more. Several CPUs at once. */
    bool (*poll)(struct netdev *dev, uint32_t most);
    /* It has not sent anything for long: stop it, tell -EIO for all that it had, bring it up again. 0 or -EIO: it stays down. Softirq, no lock, bounded. */
    int (*reset)(struct netdev *dev);
};

struct netdev {
    /* The driver's, fixed after registration. */
    const struct netdev_ops *ops;
    uint8_t mac[6];
    uint16_t mtu;
    uint32_t depth, queues;
    bool can_sum, can_segment4, can_segment6;   /* transmit */
    bool link;                                  /* atomic: the wire is there */
    bool wants_reset;                           /* atomic: it, or a ring of it, cannot be followed any more; until a reset. Set in poll or interrupt handlers, and then poll is called again */
    uint64_t interrupts, lies, receive_dropped; /* statistics, without a lock */
    /* The core's. */
    uint32_t id;
    void *core;
};

/* Drivers: at boot, boot CPU, once per card. 0 or -ENOMEM. The core may transmit, and frames may come, from then on. */
int must_check netdev_register(struct netdev *dev);
/* A frame from the wire: pieces in the direct map, the first has at least min(bytes, 256) bytes. Context: poll, no lock held. */
void netdev_receive(struct netdev *dev, const struct net_segment *pieces, uint32_t count, uint32_t bytes, const struct net_offload *offload);
/* The interrupt of a device has fired on this CPU: poll is wanted. Context: interrupt handler. */
void netdev_interrupt(struct netdev *dev);
/* There is room again after -ENOSPC. Context: poll. */
void netdev_room(struct netdev *dev);
