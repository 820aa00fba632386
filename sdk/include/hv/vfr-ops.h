/* SPDX-License-Identifier: MIT */
/*
 * The contract between the virtual firewall-router and its modules (vfr-rules/<name>.c): kinds of rules, and packet schedulers.
 *
 * A rule is a pattern and what is done: its header fields are matched by the core's classifier (sdk/vfr/); what else it asks (its conditions) and does (its actions) are modules of this header.
 * The core has copied the packet's header before any rule sees it: a module reads nothing else. After "Xen and the Art of Virtualization" (SOSP 2003), section 3.3.4.
 *
 * Rules for every op, unless it says otherwise:
 *   - Several CPUs at once: state of a rule is changed by atomic operations, or under a lock of its own that is held for a few instructions. Nothing waits, allocates or logs per packet.
 *   - Time comes as the argument now_ns, which on one CPU never decreases. A module reads no clock, keeps no global variable, and orders nothing by address.
 *   - Parameters are from Domain0 and may be anything until check has accepted them; from then on they never change.
 *
 * In-tree contract: it may change; then all modules change in the same commit. Tests: vfr-rules/test-*.c.
 */
#pragma once

#include <hv/list.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VFR_HEADER_MAX    256u /* bytes of a packet that rules may see */
#define VFR_NAME_MAX      64u  /* "domain.vif", with the final zero */
#define VFR_ADDRESSES_MAX 8u   /* of one interface */

/* Where a packet is judged, seen from the domains: TX when it leaves the one it comes from, RX when it is about to enter one. For a NIC: RX is what the wire brings, TX what goes out. */
enum { VFR_TX = 1, VFR_RX = 2 };

/* An address and how many of its bits count. Family 4: the first four bytes. */
struct vfr_address {
    uint8_t bytes[16]; /* network order */
    uint8_t family;    /* 4 or 6 */
    uint8_t bits;
    uint8_t pad[2];
};

#define VFR_IFACE_NIC     0x80000000u /* of an id: not a VIF */
enum {
    VFR_IFACE_SPOOF_OK = 1u << 0, /* what it sends is not held against its addresses */
};
/* A VIF or a NIC, as rules see it. */
struct vfr_iface {
    uint32_t id;    /* the VIF's; VFR_IFACE_NIC + number */
    uint32_t domid; /* ~0 for a NIC */
    uint32_t flags; /* VFR_IFACE_* */
    uint8_t mac[6];
    uint8_t address_count;
    uint8_t pad;
    struct vfr_address addresses[VFR_ADDRESSES_MAX];
    char name[VFR_NAME_MAX];   /* "web.0", "nic0" */
    char domain[VFR_NAME_MAX]; /* "web", or empty */
};

/* What is wrong with a packet's headers (struct vfr_packet faults). It is judged all the same. */
enum {
    VFR_FAULT_SHORT = 1u << 0,    /* a header ends behind the end of the frame, or of what may be seen of it */
    VFR_FAULT_LENGTH = 1u << 1,   /* its lengths contradict each other */
    VFR_FAULT_OPTIONS = 1u << 2,  /* options or extension headers that cannot be followed, or too many of them */
    VFR_FAULT_FRAGMENT = 1u << 3, /* a fragment that overlaps the header of its own first one, or a tiny first one */
    VFR_FAULT_FLAGS = 1u << 4,    /* TCP flags that no stack sends together */
    VFR_FAULT_ADDRESS = 1u << 5,  /* an address that cannot be there: multicast source, loopback on the wire */
};

/* What is known of the flow that a packet belongs to. */
enum vfr_state { VFR_STATE_NONE, VFR_STATE_NEW, VFR_STATE_ESTABLISHED, VFR_STATE_RELATED, VFR_STATE_INVALID };

struct vfr_packet {
    const uint8_t *header;  /* our copy, from the Ethernet header on */
    uint32_t header_bytes;  /* of it: the rules read no further */
    uint32_t bytes;         /* of the whole frame */
    const struct vfr_iface *from; /* never NULL */
    const struct vfr_iface *to;   /* while VFR_RX is judged; else NULL */
    /* Filled by vfr_parse (<vfr/packet.h>). Offsets from header; 0: there is none. Numbers in this machine's order. */
    uint16_t ethertype;     /* behind VLAN tags */
    uint16_t vlan;          /* of the first tag, 0xffff none */
    uint16_t l3, l4, payload;
    uint8_t family;         /* 4, 6, or 0 */
    uint8_t protocol;       /* behind extension headers; of IPv4 and IPv6 alone */
    uint8_t tcp_flags, icmp_type, icmp_code;
    uint8_t faults;         /* VFR_FAULT_* */
    bool fragment;          /* not the first piece: it has no l4 */
    bool more_fragments;
    uint16_t source_port, target_port;
    uint8_t source[16], target[16]; /* of IPv4: four bytes; of ARP: sender's and target's */
    /* Segmentation left to whoever sends it out: bytes of payload in each segment, 0 none; and how many there will be. */
    uint16_t segment_bytes, segments;
    /* Connection tracking (<vfr/flows.h>). */
    uint8_t state;          /* enum vfr_state */
    bool reply;             /* it goes the other way than the first one of its flow */
    void *flow;
};

/* ---- Kinds of conditions and actions ---- */

enum vfr_action { VFR_CONTINUE, VFR_ACCEPT, VFR_DROP, VFR_REJECT, VFR_FORWARD };
enum vfr_reject { VFR_REJECT_AUTO, VFR_REJECT_RESET, VFR_REJECT_PORT, VFR_REJECT_HOST, VFR_REJECT_ADMIN };
#define VFR_NO_RULE   0xffffffffu
#define VFR_MIRRORS_MAX 2u

struct vfr_verdict {
    uint8_t action;  /* enum vfr_action; after all rules: never CONTINUE */
    uint8_t reject;  /* enum vfr_reject */
    bool log;        /* tell the trace and the log of it */
    uint8_t mirrors; /* how many of the following */
    uint32_t rule;   /* index of the one that decided; VFR_NO_RULE: the set's policy */
    uint32_t target; /* FORWARD: index of the interface name in the set */
    uint32_t mirror[VFR_MIRRORS_MAX]; /* copies go there too */
};

enum vfr_param_type { VFR_PARAM_UINT, VFR_PARAM_BYTES_PER_S, VFR_PARAM_PER_S, VFR_PARAM_BOOL, VFR_PARAM_PROGRAM, VFR_PARAM_TEXT, VFR_PARAM_IFACE,
    VFR_PARAM_SECONDS, /* the kind's rates of type PER_S are so many in so many seconds, usually 1; the language sets it from 10/min, 6/h, 1/d */
};
struct vfr_parameter {
    const char *name;
    enum vfr_param_type type;
    uint64_t minimum, maximum, initial;
    const char *help; /* one line */
};

/* Parameters of one use of a kind, as the set has them: one value for each of .params, in their order; PROGRAM: `data` (struct vfr_bpf_insn[], <vfr/bpf.h>), value: how many. */
struct vfr_use {
    const uint64_t *values;
    const void *data;
    uint32_t data_bytes;
    uint32_t rule; /* index */
};

struct vfr_rule_ops {
    const char *name;    /* as the rule language has it: lower case, at most 31 characters */
    const char *summary; /* one line */
    const struct vfr_parameter *params;
    uint32_t param_count;
    size_t state_bytes;  /* of each use in each rule, zeroed; may be 0. It goes on when a set with the same rule (by its id) takes over */
    bool wants_flows;    /* it reads packet->state, ->reply or ->flow: connections are tracked while a rule in force uses it */

    /* Are these parameters right? Ranges have been checked. NULL, or what is wrong, for people. Optional. */
    const char *(*check)(const struct vfr_use *use);
    /* Before the first packet, state zeroed. Optional. */
    void (*start)(const struct vfr_use *use, void *state);
    /* A condition: does the packet meet it? Called for rules whose header fields match, in the order of the rules. */
    bool (*match)(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns);
    /* An action, called when all conditions are met, in order; *verdict starts as the rule's. It may turn CONTINUE into a verdict, and one verdict into another, but none into CONTINUE: then the rule's own stands. One of match
     * and act is there. */
    void (*act)(const struct vfr_use *use, void *state, const struct vfr_packet *packet, uint64_t now_ns, struct vfr_verdict *verdict);
};

/* vfr-rules/index.c: all kinds; ends with NULL. */
extern const struct vfr_rule_ops *const vfr_rule_kinds[];

/* ---- Packet schedulers: which interface's packets go next ---- */

struct vfr_sender {
    void *data;         /* the module's: .sender_bytes, zeroed */
    uint32_t id, domid; /* of its interface */
    uint32_t weight;    /* 1..1000, from its definition; 100 usual */
    /* The core's. */
    struct list_node link;
    bool waiting;
};

struct vfr_turn {
    struct vfr_sender *sender; /* NULL: nobody waits */
    uint32_t packets, bytes;   /* it may send so many before next is asked again; at least 1 packet */
};

struct vfr_sched_ops {
    const char *name, *summary;
    size_t state_bytes, sender_bytes;
    /* All under one lock of the core, interrupts off; O(log n) at most. */
    void (*create)(void *state);
    void (*insert)(void *state, struct vfr_sender *sender);  /* it exists, and has nothing to send */
    void (*remove)(void *state, struct vfr_sender *sender);  /* it goes; not waiting any more */
    void (*ready)(void *state, struct vfr_sender *sender, uint64_t now_ns);   /* it has something to send */
    void (*unready)(void *state, struct vfr_sender *sender);                  /* it waits no more, without having been asked */
    struct vfr_turn (*next)(void *state, uint64_t now_ns);                    /* takes it off those that wait */
    void (*sent)(void *state, struct vfr_sender *sender, uint32_t packets, uint32_t bytes, uint64_t now_ns); /* what it used of its turn; ready follows if it has more */
};

/* vfr-rules/index.c: all of them, the first is the default; ends with NULL. */
extern const struct vfr_sched_ops *const vfr_schedulers[];
