/* SPDX-License-Identifier: MIT */
/*
 * A set of rules in its binary form: what the compiler of the rule language writes, and the engine (<vfr/engine.h>) reads, checks and takes. All numbers little-endian, all structures packed as they stand.
 *
 * There is not one offset in it: sections follow each other in the order of enum vfr_set_section, each entry behind the one before; the header says how many there are, and what belongs to an entry (the names a rule
 * is for, its uses, their values and data, the ranges of a set) comes in its own section in the same order, so that only counts must add up. Each section is filled with zeros up to a multiple of 8 bytes.
 * A reader needs one pass and verifies all: counts, sums, order of ranges, indexes, that what must be zero is. Nothing in it is trusted.
 * Writer: <vfr/ruleset-write.h>. Reader: sdk/vfr/ruleset.c. Tests: sdk/vfr/test-ruleset.c, tests/fuzz.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

#define VFR_SET_MAGIC   0x53454c55524c4f43ull /* "COLRULES" */
#define VFR_SET_VERSION 1u

#define VFR_SET_NAMES_MAX     4096u   /* of interfaces */
#define VFR_SET_GLOBS_MAX     60u     /* of these, with * or ? */
#define VFR_SET_KINDS_MAX     64u
#define VFR_SET_SETS_MAX      65536u  /* of addresses; of ports */
#define VFR_SET_RANGES_MAX    (1u << 20) /* of each kind, in all sets together */
#define VFR_SET_RULES_MAX     200000u
#define VFR_SET_USES_MAX      (1u << 20)
#define VFR_SET_DATA_MAX      (32u << 20)
#define VFR_SET_TEXT_MAX      (32u << 20)
#define VFR_SET_RULE_USES_MAX 16u     /* of one rule */
#define VFR_SET_RULE_IFACES_MAX 256u  /* of one rule */
#define VFR_SET_USE_DATA_MAX  65536u  /* of one use */

enum vfr_set_section {
    VFR_SET_NAMES,      /* struct vfr_set_name: interfaces, domains, globs */
    VFR_SET_KINDS,      /* struct vfr_set_name: kinds of rules (struct vfr_rule_ops) that are used */
    VFR_SET_ADDRESS_SETS, /* struct vfr_set_addresses */
    VFR_SET_RANGES4,    /* struct vfr_set_range4 */
    VFR_SET_RANGES6,    /* struct vfr_set_range6 */
    VFR_SET_PORT_SETS,  /* struct vfr_set_ports */
    VFR_SET_PORT_RANGES,/* struct vfr_set_port_range */
    VFR_SET_RULES,      /* struct vfr_set_rule */
    VFR_SET_RULE_IFACES,/* uint32_t: indexes of names; of the first rule first */
    VFR_SET_USES,       /* struct vfr_set_use: of each rule its conditions, then its actions */
    VFR_SET_VALUES,     /* uint64_t: parameters of the uses */
    VFR_SET_DATA,       /* bytes: data of the uses, each filled up to a multiple of 8 */
    VFR_SET_TEXT,       /* bytes: the text it was made from, for `collet rules show` and diff; nobody else looks at it */
    VFR_SET_SECTIONS
};

struct vfr_set_policy {
    uint8_t action; /* VFR_ACCEPT, VFR_DROP or VFR_REJECT */
    uint8_t reject; /* enum vfr_reject */
    uint8_t pad[6];
};
struct vfr_set_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes; /* sizeof(struct vfr_set_header) */
    uint64_t bytes;        /* of it all */
    struct vfr_set_policy policy[2]; /* what no rule decided: [0] VFR_TX, [1] VFR_RX */
    uint32_t count[VFR_SET_SECTIONS]; /* entries of each section */
    uint32_t pad;
};

/*
 * Zero-terminated, at least one character, zeros behind. Of an interface: "web.0" is that interface, "nic0" that card; "web" is every interface of the domain web; with * (any characters) or ? (one) it is a glob, tried
 * on the interface's name and on its domain's. Each name once.
 */
struct vfr_set_name {
    char text[64];
};

/* A set of addresses: its ranges, of each family sorted, not overlapping and not touching (struct vfr_set_range4 high + 1 < next low). It may be empty. */
struct vfr_set_addresses {
    uint32_t count4, count6;
};
struct vfr_set_range4 {
    uint32_t low, high; /* both inclusive, as numbers: 10.0.2.16 is 0x0a000210 */
};
struct vfr_set_range6 {
    uint64_t low[2], high[2]; /* both inclusive; [0]: the first eight bytes of the address as a number, [1]: the last */
};
/* A set of ports, ranges as above; at least one. */
struct vfr_set_ports {
    uint32_t count;
};
struct vfr_set_port_range {
    uint16_t low, high;
};

/* Which fields of struct vfr_set_rule say something. All that are set must match; if the same bit is in `negated`, that one field must not. What says nothing is zero. */
enum {
    VFR_FIELD_IFACE = 1u << 0,        /* names: one of them means the interface */
    VFR_FIELD_FAMILY = 1u << 1,       /* 4 or 6. Not to be negated */
    VFR_FIELD_ETHERTYPE = 1u << 2,
    VFR_FIELD_VLAN = 1u << 3,         /* id of the first tag; 0xffff: has none */
    VFR_FIELD_PROTOCOL = 1u << 4,     /* bit protocol & 63 of protocols[protocol >> 6]. IP packets only, negated or not */
    VFR_FIELD_SOURCE = 1u << 5,       /* IP packets; with ethertype ARP (not negated): sender's and target's address of ARP packets. A prefix, negated or not, is about packets of its own family; a set is about both */
    VFR_FIELD_TARGET = 1u << 6,
    VFR_FIELD_SOURCE_PORT = 1u << 7,  /* packets whose ports could be read only, negated or not: TCP, UDP, UDP-Lite, SCTP, DCCP, and no later fragments */
    VFR_FIELD_TARGET_PORT = 1u << 8,
    VFR_FIELD_TCP_FLAGS = 1u << 9,    /* (flags & tcp_mask) == tcp_flags. TCP only, and no later fragments */
    VFR_FIELD_ICMP = 1u << 10,        /* type and code in ranges. ICMP and ICMPv6 only, and no later fragments; give a protocol or family too, the numbers differ */
    VFR_FIELD_SOURCE_MAC = 1u << 11,  /* (address & mask) == mac */
    VFR_FIELD_TARGET_MAC = 1u << 12,
    VFR_FIELD_FRAGMENT = 1u << 13,    /* enum vfr_set_fragment */
    VFR_FIELDS = (1u << 14) - 1,
    VFR_FIELDS_NEGATABLE = VFR_FIELDS & ~VFR_FIELD_FAMILY,
};
enum vfr_set_fragment {
    VFR_FRAGMENT_ANY,   /* a piece of a packet, the first or another */
    VFR_FRAGMENT_LATER, /* not the first: it has no ports */
};
/* Addresses: a prefix in the rule, or one of the sets. */
struct vfr_set_address {
    uint8_t bytes[16];  /* network order; family 4: the first four. Behind the prefix's bits: zeros */
    uint8_t family;     /* 4 or 6: a prefix; 0: `set` */
    uint8_t bits;
    uint8_t pad[2];
    uint32_t set;       /* index of a set of addresses */
};
/* Ports: a range in the rule, or one of the sets. */
#define VFR_SET_NO_SET 0xffffffffu
struct vfr_set_port {
    uint16_t low, high;
    uint32_t set;       /* index of a set of ports; then low and high are 0. VFR_SET_NO_SET: the range */
};
struct vfr_set_rule {
    uint64_t id;        /* not 0, each once. The same for the same rule in the next set: its counters and states go on (a hash of its words, and of how many like it came before) */
    uint32_t line;      /* of the text; 0 unknown */
    uint32_t fields;    /* VFR_FIELD_* */
    uint32_t negated;   /* VFR_FIELD_* */
    uint8_t directions; /* VFR_TX | VFR_RX */
    uint8_t family;
    uint16_t ethertype;
    uint64_t protocols[4];
    struct vfr_set_address source, target;
    struct vfr_set_port source_port, target_port; /* the field's bit not set: all zero */
    uint16_t vlan;
    uint8_t tcp_flags, tcp_mask;
    uint8_t icmp_type_low, icmp_type_high, icmp_code_low, icmp_code_high;
    uint8_t source_mac[6], source_mac_mask[6], target_mac[6], target_mac_mask[6];
    uint8_t fragment;
    uint8_t action;     /* enum vfr_action: the rule's verdict. CONTINUE: on to the next rule, once its actions are done */
    uint8_t reject;     /* enum vfr_reject, with VFR_REJECT */
    uint8_t pad;
    uint32_t target_name; /* with VFR_FORWARD: index of a name without * and ?; else 0 */
    uint16_t ifaces;    /* names in VFR_SET_RULE_IFACES; 0 unless VFR_FIELD_IFACE */
    uint8_t conditions, actions; /* in VFR_SET_USES */
    uint32_t pad2;
};

/* One use of a kind. Values: one for each of its parameters, in their order. */
struct vfr_set_use {
    uint32_t kind;       /* index in VFR_SET_KINDS */
    uint32_t values;     /* exactly as many as the kind has parameters */
    uint32_t data_bytes; /* in VFR_SET_DATA, without what fills up */
    uint32_t pad;
};

static_assert(sizeof(struct vfr_set_header) == 96, "layout of a rule set");
static_assert(sizeof(struct vfr_set_address) == 24, "layout of a rule set");
static_assert(sizeof(struct vfr_set_rule) == 168, "layout of a rule set");
static_assert(sizeof(struct vfr_set_use) == 16, "layout of a rule set");
