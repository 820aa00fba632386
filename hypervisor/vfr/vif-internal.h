/* SPDX-License-Identifier: MIT */
/*
 * Between vif.c (what a VIF is), tx.c (what its guest sends), rx.c (what it is given), switch.c (where frames go), nic.c (cards) and turn.c (whose turn it is).
 */
#pragma once

#include "domain.h"
#include "event.h"
#include "grant.h"
#include "timer.h"
#include "vfr-internal.h"

#include <xen/io/netif.h>

#define TX_SLOTS     256u /* of one page, for x86_64 */
#define RX_SLOTS     256u
#define TX_CHAIN_MAX 18u  /* slots of a frame: XEN_NETIF_NR_SLOTS_MIN */
#define TX_ENTRIES   128u /* frames of one VIF on their way at a time */
_Static_assert(TX_CHAIN_MAX == XEN_NETIF_NR_SLOTS_MIN, "what a frontend may count on");
_Static_assert(TX_CHAIN_MAX + 2 <= NET_SEGMENTS_MAX, "our copy of the header, and what is left of each slot");

/* Cuts a segmented TCP frame into what goes onto the wire. tx.c or rx.c begins one, cut_next (cut.c) goes on. */
struct net_cut {
    uint32_t at;      /* bytes of payload that have been cut off */
    uint32_t number;  /* pieces */
};

struct vif;
struct nic;

/* A frame on its way from a ring. vif->lock, but the frame's own fields once a card has it. */
struct net_tx {
    struct net_packet packet;
    struct vif *vif;
    uint8_t *header; /* our copy: VFR_HEADER_MAX bytes, within one page */
    struct net_segment segment[NET_SEGMENTS_MAX];
    struct {
        grant_ref_t ref;
        uint32_t mfn;
    } grant[TX_CHAIN_MAX];
    uint16_t id[TX_CHAIN_MAX];
    uint8_t held, ids, extras; /* grants; slots to be answered; slots that had extra information */
    bool answered;
    uint32_t frames;           /* that a card has, and 1 as long as it is being worked on */
    uint32_t receivers;        /* VIFs that have got it */
    struct nic *nic;           /* parked for */
    struct net_cut cut;
    struct netdev_frame frame;
};

struct vif_rings {
    netif_tx_sring_t *tx;
    netif_rx_sring_t *rx;
    grant_ref_t tx_ref, rx_ref;
    evtchn_port_t tx_port, rx_port;
    mfn_t tx_mfn, rx_mfn;
    RING_IDX taken, answered, shown; /* of tx: req_cons, rsp_prod_pvt, rsp_prod */
    RING_IDX given, given_shown;     /* of rx: requests used, which is answers given; rsp_prod */
    struct net_tx *entries;          /* TX_ENTRIES of them */
    uint8_t *headers;
    uint16_t free[TX_ENTRIES];
    uint32_t free_count;
    struct net_tx *parked;           /* its card had no room: nothing more is taken before it is gone */
};

struct vif {
    struct vfr_port port;
    struct vfr_sender sender;  /* turn.c */
    struct list_node link;     /* all, by id; vifs_lock */
    struct list_node shows;    /* turn.c: answers to be shown; show_lock */
    bool in_shows;
    struct vif *hash_next;     /* vifs_lock; read in rounds */
    bool changing;             /* vifs_lock: out of reach of rounds until it is over */
    uint32_t users;            /* atomic: somebody has a pointer to it outside of a round, without a lock */
    uint32_t device, flags, features;
    struct domain *domain;     /* with a reference */
    struct collet_vif_settings settings;
    uint64_t created_ns, connected_ns;

    struct spinlock lock;      /* all below, down to rx_lock */
    bool closing, ending;
    bool being_closed;         /* somebody is in rings_close: one at a time */
    struct event_sink tx_sink, rx_sink;
    struct vif_rings rings;    /* but rx, rx_mfn, given: rx_lock */
    uint32_t in_flight;        /* entries in use */
    struct timer limit_timer;
    int64_t bytes_left, packets_left; /* scaled by NS_PER_S */
    uint64_t filled_ns, throttled, throttled_ns, throttled_since_ns;
    uint64_t notifies, events; /* events: atomic */
    struct collet_net_counters sent;
    char broken_why[COLLET_TEXT_MAX];
    struct timer hold_timer;   /* looks at the ring when its guest was asked not to tell */
    uint64_t busy_ns;          /* when its ring was last found empty after a take */
    uint32_t streak;           /* how often in a row that was soon after the last time */
    bool holds;

    struct spinlock rx_lock;
    bool rx_served;
    bool rx_broken;            /* its receive ring cannot be followed; until it is connected anew */
    struct collet_net_counters received;
};

struct nic {
    struct vfr_port port;
    struct netdev *dev;
    char name[COLLET_NAME_MAX];
    struct collet_net_counters sent, received; /* atomic adds */
    uint32_t in_flight;       /* atomic */
    bool starving;            /* atomic: a VIF waits for room */
    bool kick;                /* atomic: frames have been given to it since the last kick */
    bool failed;
    uint64_t resets, progress; /* frames that were sent */
    uint64_t reset_ns;        /* when it last had a reset that it wanted; 0: never */
    struct timer reset_timer;
    uint64_t watched_progress, watched_ns; /* watched_ns 0: its watch begins with the next look */
    struct spinlock lock;     /* pieces */
    struct nic_piece *pieces;
    uint16_t *free;
    uint32_t free_count;
};

extern struct spinlock vifs_lock;
extern struct list_node vifs;
extern struct nic *nics[16];
extern uint32_t nic_count;
extern uint32_t vif_slots;   /* slots of VIFs in vfr_ports that have ever been used */
extern uint32_t vif_routers; /* how many have COLLET_VIF_ALL; atomic */

static inline bool port_is_nic(const struct vfr_port *port)
{
    return port->iface.id & VFR_IFACE_NIC;
}
static inline struct vif *port_vif(struct vfr_port *port)
{
    return container_of(port, struct vif, port);
}
static inline struct nic *port_nic(struct vfr_port *port)
{
    return container_of(port, struct nic, port);
}
static inline void count_drop(struct collet_net_counters *counters, unsigned int why)
{
    __atomic_fetch_add(&counters->dropped[why], 1, __ATOMIC_RELAXED);
}

/* ---- vif.c ---- */

/* The VIF of this address in this segment; NULL: none. Context: in a round. */
struct vif *vif_of_mac(uint32_t segment, const uint8_t *mac);
void vif_break(struct vif *vif, const char *why); /* vif->lock held */

/* ---- turn.c ---- */

void turn_init(void);
void turn_want(struct vif *vif); /* there is something in its ring, or may be. Context: any but interrupt handlers; vif->lock may be held */
void turn_show(struct vif *vif); /* answers or received frames that its guest has not been shown. Same context */
int must_check turn_insert(struct vif *vif); /* it may have turns from now on: 0 or -ENOMEM */
void turn_remove(struct vif *vif);           /* it leaves both lists for good */
/* Of the round under way on this CPU: the generation that judges, and the time when its present batch began. */
struct vfr_generation *round_generation(void);
uint64_t round_now_ns(void);

/* ---- tx.c ---- */

enum tx_state { TX_EMPTY, TX_MORE, TX_WAITS };
enum tx_state tx_take(struct vif *vif, uint32_t packets, uint32_t bytes, uint32_t *packets_taken, uint32_t *bytes_taken);
void tx_show(struct vif *vif);
void tx_notified(struct event_sink *sink);
void tx_limit_passed(void *arg);
void tx_hold_over(void *arg);
/* A frame (or piece) of it has left the card, or was never given to one. vif->lock not held. */
void tx_put(struct net_tx *tx);

/* ---- rx.c ---- */

/* One copy into the buffers that it has posted. 0, or why not: 1 + COLLET_NET_DROP_*. Counts both. Context: in a round; no rx_lock held. */
int rx_deliver(struct vif *to, const struct net_packet *packet);
void rx_show(struct vif *vif);
void rx_notified(struct event_sink *sink);

/* ---- cut.c ---- */

/* Bytes of the header of each piece; 0: the frame is not one that can be cut. */
uint32_t cut_header_bytes(const struct vfr_packet *view);
/*
 * The next piece: its header into `header` (room for VFR_HEADER_MAX), its payload as segments[1...]; segments[0] is the header. Returns its bytes, 0: there are no more. `sum`: complete the TCP checksum (else it is
 * left with the sum of the pseudo header).
 */
uint32_t cut_next(const struct net_packet *packet, struct net_cut *cut, bool sum, uint8_t *header, struct net_segment *segments, uint32_t *segment_count);
/* Complete the checksum that was left open, in the header, over all segments. header is packet->segments[0]'s, writable. */
void sum_complete(const struct net_packet *packet, uint8_t *header);

/* ---- switch.c ---- */

/* Judge it and send it on its way. tx: where it came from a ring, with vif->lock held; NULL: it came from a card. -ENOSPC: tx waits for its card (tx->nic); else 0. */
int switch_packet(struct net_packet *packet, struct net_tx *tx);

/* ---- nic.c ---- */

/* Give it to the card, whole or cut. 0; -ENOSPC: again later, from where it was (tx->cut); or 1 + COLLET_NET_DROP_*. vif->lock held. */
int nic_send(struct nic *nic, struct net_tx *tx);
/* A copy, for small frames of the router's own: answers, mirrors. 0 or 1 + COLLET_NET_DROP_*. */
int nic_send_copy(struct nic *nic, const struct net_packet *packet);
void nics_poll(uint32_t most); /* receive, and take back what was sent. In a round */
void nics_kick(void);
