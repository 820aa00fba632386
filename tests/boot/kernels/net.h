/* SPDX-License-Identifier: MIT */
/*
 * A netfront for tiny kernels, without xenbus: what the kernels that test the router share. Grants, arena and naps are those of blk.h. Domain0 makes the VIFs and connects them, for itself (net_attach) or for a child.
 *
 * One vCPU uses a front at a time. Waiting is SCHEDOP_poll on the ring's port with upcalls masked.
 */
#pragma once

#include "blk.h"

#include <xen/io/netif.h>

#define NET_RING    256u
#define NET_BUFFERS 120u /* posted for frames, of a page each */
#define NET_SEGMENT COLLET_SEGMENT_OWN
#define NET_WAIT_NS 20000000000ul
#define NET_NO_ANSWER (-99)
#define NET_ALL_FEATURES (COLLET_VIF_RX_SG | COLLET_VIF_RX_TSO4 | COLLET_VIF_RX_TSO6 | COLLET_VIF_RX_SUM6)
#define NET_HEADERS4 34u /* Ethernet and IP */
#define NET_HEADERS6 54u

struct net_front {
    uint32_t vif, segment;
    uint8_t mac[6];
    struct netif_tx_sring *tx;
    struct netif_rx_sring *rx;
    uint32_t tx_ref, rx_ref;
    int tx_port, rx_port;
    uint32_t tx_prod, tx_cons, rx_prod, rx_cons;
    uint32_t bad_answers;       /* not OKAY, not NULL */
    int16_t status;             /* the worst answer since it was set to 0 */
    bool busy[NET_RING];        /* ids under way */
    uint16_t posted[NET_RING];  /* which buffer stands in each slot of rx */
    uint8_t *buffers;
};

/* A frame as it came. */
struct net_got {
    uint32_t bytes, buffers;
    uint16_t flags, segment_bytes;
    uint8_t segmentation; /* XEN_NETIF_GSO_TYPE_* */
    bool bad;             /* an answer said so */
};

/* ---- control: as the hypervisor answers ---- */
long net_create(uint32_t domid, struct net_front *f, const char *name, const struct collet_vif_settings *settings); /* f->mac is set before */
void net_rings(struct net_front *f, bool one_port);
void net_rings_away(struct net_front *f);
long net_connect(struct net_front *f, uint32_t features);
long net_disconnect(uint32_t vif);
long net_destroy(uint32_t vif);
bool net_info(uint32_t vif, struct collet_vif_info *info);
bool net_nic(uint32_t nic, struct collet_nic_info *info);
/* Create (of Domain0, SPOOF_OK, in this segment), rings, connect, buffers posted. number: of the device; it makes the address. */
void net_attach(struct net_front *f, const char *name, uint32_t segment, unsigned int number, uint32_t features);
void net_detach(struct net_front *f);

/* ---- sending ---- */
struct netif_tx_request *net_slot(struct net_front *f); /* the next one: zeroed, but its id. Nobody looks whether the ring is full */
void net_push(struct net_front *f);
bool net_answered(struct net_front *f, uint64_t ns); /* everything */
struct net_how {
    uint16_t flags;           /* NETTXF_csum_blank ... of the first slot */
    uint8_t segmentation;     /* XEN_NETIF_GSO_TYPE_* */
    uint16_t segment_bytes;
    uint32_t part;            /* bytes of a slot at most; 0: a page */
    uint32_t first;           /* bytes of the first slot; 0: as the others */
};
/* A frame of the arena into the ring. Not pushed. How many slots it took. */
unsigned int net_chain(struct net_front *f, const void *data, uint32_t bytes, const struct net_how *how);
/* One, and wait: NETIF_RSP_*, or NET_NO_ANSWER. */
int net_send(struct net_front *f, const void *data, uint32_t bytes, const struct net_how *how);

/* ---- receiving ---- */
void net_post(struct net_front *f, unsigned int count); /* buffers 0 ... count - 1 */
bool net_receive(struct net_front *f, void *to, struct net_got *got, uint64_t ns); /* the next frame; its buffers are posted again */
unsigned int net_drain(struct net_front *f); /* what is there is taken and forgotten */

/* ---- frames that say what they are ---- */
enum { NET_UDP = 17, NET_TCP = 6, NET_ICMP = 1 };
/* One of `payload` bytes from a front to an address; blank: its checksum is left open. Returns its bytes. */
uint32_t net_frame(void *at, const struct net_front *from, const uint8_t *to, unsigned int family, unsigned int protocol, uint32_t payload, uint64_t tag, bool blank);
/* Other IPv4 addresses than those made from the fronts', and the sums for them. */
void net_readdress(void *at, uint32_t bytes, const uint8_t *from, const uint8_t *to, bool blank);
/* The payload from `offset` on is that of the tag. */
bool net_payload_good(const void *payload, uint32_t offset, uint32_t bytes, uint64_t tag);
/* Length, header and payload; sums too, unless blank. offset: of the payload, for pieces of a frame that was cut. */
bool net_frame_good(const void *at, uint32_t bytes, uint32_t offset, uint64_t tag, bool blank);
uint16_t net_sum(const void *at, uint32_t bytes, uint32_t sum); /* of the Internet, folded and complemented */
