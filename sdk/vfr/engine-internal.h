/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the engine know of each other: memory (store.c), the reader of sets (ruleset.c), fields and the linear evaluator (linear.c), the classifier (classifier-build.c, classifier.c), and the rest (engine.c).
 * For all of them: a rule's index is its place in the set; a smaller one comes first.
 */
#pragma once

#include <vfr/engine.h>
#include <vfr/ruleset.h>

/* ---- Memory: pieces of at most 2 MiB, all freed at once ---- */

struct vfr_chunk {
    struct vfr_chunk *next;
    uint64_t used, room;
};
struct vfr_arena {
    const struct vfr_memory *memory;
    struct vfr_chunk *chunks;
    uint64_t bytes;
    uint64_t last; /* bytes of the last piece, but for one that had to be larger; 0: none yet */
};
#define VFR_ARENA_MAX 0x1f0000u
/* Zeroed, aligned to 32 bytes if `bytes` is a multiple of 32, else to 8. NULL: no memory, or more than VFR_ARENA_MAX bytes. */
void *vfr_arena_get(struct vfr_arena *arena, size_t bytes);
void vfr_arena_free(struct vfr_arena *arena);

/* An array of up to VFR_VECTOR_CHUNKS << shift entries. */
#define VFR_VECTOR_CHUNKS 64u
struct vfr_vector {
    uint8_t *chunks[VFR_VECTOR_CHUNKS];
    uint32_t entry_bytes, shift;
    uint64_t bytes;
};
/* Room for entries 0..count-1: 0 or -ENOMEM. Entries are zeroed. */
int vfr_vector_make(struct vfr_vector *vector, const struct vfr_memory *memory, uint32_t entry_bytes, uint32_t shift, uint32_t count);
void vfr_vector_free(struct vfr_vector *vector, const struct vfr_memory *memory);
uint64_t vfr_vector_bytes(const struct vfr_vector *vector);
static inline void *vfr_vector_at(const struct vfr_vector *vector, uint32_t i)
{
    return vector->chunks[i >> vector->shift] + (uint64_t)(i & ((1u << vector->shift) - 1)) * vector->entry_bytes;
}

/* ---- Packets as the classifier sees them: a class, and one number for each dimension ---- */

enum vfr_class { VFR_CLASS_IPV4, VFR_CLASS_IPV6, VFR_CLASS_ARP, VFR_CLASS_OTHER, VFR_CLASSES };
enum vfr_dim {
    VFR_DIM_SOURCE,      /* of IPv4 and ARP all of it, of IPv6 the first half */
    VFR_DIM_TARGET,
    VFR_DIM_SOURCE_PORT, /* no ports: VFR_KEY_NO_PORT */
    VFR_DIM_TARGET_PORT, /* ICMP: VFR_KEY_ICMP + type * 256 + code */
    VFR_DIM_PROTOCOL,    /* not IP: VFR_KEY_NOT_IP */
    VFR_DIMS_FAST,       /* these five every rule has an interval of; the others are looked at if some rule needs them */
    VFR_DIM_SOURCE_LOW = VFR_DIMS_FAST, /* the second half of IPv6 */
    VFR_DIM_TARGET_LOW,
    VFR_DIM_SOURCE_MAC,
    VFR_DIM_TARGET_MAC,
    VFR_DIM_ETHERTYPE,
    VFR_DIM_VLAN,
    VFR_DIMS
};
#define VFR_KEY_NO_PORT 0x10000u
#define VFR_KEY_ICMP    0x20000u
#define VFR_KEY_PORTS   0x2ffffu /* the highest */
#define VFR_KEY_NOT_IP  0x100u

/* ---- A set that was taken ---- */

struct vfr_rule_use {
    const struct vfr_rule_ops *ops;
    struct vfr_use use;
    void *state;
};

struct vfr_interval {
    uint64_t low, span; /* span: high - low */
};
enum {
    VFR_RULE_DECIDES = 1u << 0, /* once its fields match: it has no conditions, and a verdict */
};
/* What looking a packet up touches of a rule. */
struct vfr_rule {
    struct vfr_interval fast[VFR_DIMS_FAST];
    uint32_t index;
    uint16_t slow;    /* VFR_FIELD_*: to be asked of the rule itself too, the intervals say only where it may match */
    uint8_t flags;    /* VFR_RULE_* */
    uint8_t classes;  /* bits 1 << enum vfr_class */
    uint16_t inexact; /* of `slow`: what the intervals of all dimensions do not say exactly either */
    uint8_t conditions, actions;
    uint8_t action, reject;
    uint16_t iface_count;
    uint32_t target;
    struct vfr_rule_use *uses; /* conditions, then actions */
    const uint16_t *ifaces;
};

struct vfr_address_set {
    uint32_t first4, count4, first6, count6;
};
struct vfr_port_set {
    uint32_t first, count;
};

/* total = counted by packets + base. See vfr_engine_inherit. */
struct vfr_count {
    uint64_t packets, bytes, last_ns;
    uint64_t base_packets, base_bytes;
    uint64_t mark_packets, mark_bytes; /* of the total: what the other generation has too */
    uint64_t pad;
};

/* ---- The classifier ---- */

#define VFR_NODE_LEAF 31u
/* 16 bytes; children lie side by side, on a 32-byte boundary: the low bits of `next` are free for the dimension. */
struct vfr_node {
    uint64_t split; /* keys below it go to the first child. Of a leaf: the address of struct vfr_leaf */
    uint64_t next;  /* address of two children + dimension; VFR_NODE_LEAF */
};
struct vfr_leaf {
    uint32_t count;
    uint32_t first; /* index of the first rule; VFR_NO_RULE: none */
    const struct vfr_rule *rules[];
};
struct vfr_tree {
    struct vfr_node root;
    uint32_t first; /* smallest index in it */
    uint32_t rules;
};
#define VFR_TREES_MAX 6u
struct vfr_forest {
    uint32_t first, trees;
    struct vfr_tree tree[VFR_TREES_MAX]; /* by their first rules */
};

struct vfr_classifier_stats {
    uint64_t nodes, leaves, entries, longest, depth;
};

/* What a packet was found to match the last time: sdk/vfr/cache.c. */
struct vfr_cache;

struct vfr_engine {
    struct vfr_memory memory;
    struct vfr_arena arena;
    struct vfr_set_policy policy[3]; /* by direction */
    struct vfr_set_name *names;
    uint32_t name_count, set_count, port_set_count, rule_count, kind_count;
    const struct vfr_rule_ops *kinds[VFR_SET_KINDS_MAX];
    struct vfr_vector sets, port_sets, ranges4, ranges6, ports; /* struct vfr_address_set, _port_set, vfr_set_range4, _range6, _port_range */
    struct vfr_vector texts; /* struct vfr_set_rule: as they came */
    struct vfr_vector rules; /* struct vfr_rule */
    struct vfr_vector counts;/* struct vfr_count; the one behind the last rule's is the policies' */
    struct vfr_vector ids;   /* uint32_t: index + 1 of rules, by a hash of their ids; 0: free */
    uint32_t id_mask;
    uint32_t dims;           /* bits 1 << enum vfr_dim, from VFR_DIMS_FAST on: what trees ask for */
    uint32_t fields;         /* VFR_FIELD_* that some rule uses */
    bool wants_flows;
    struct vfr_vector forests; /* struct vfr_forest *: vfr_forest_place */
    struct vfr_classifier_stats stats;
    struct vfr_vector caches; /* struct vfr_cache, one for each CPU; none if it does not pay */
    bool cached;
};

/* Group 0: rules for any interface; 1 + index of a name. */
static inline uint32_t vfr_forest_place(uint32_t group, enum vfr_class class, unsigned int direction)
{
    return (group * VFR_CLASSES + class) * 2 + (direction - 1);
}

/* Where a rule's id is looked for first. */
static inline uint32_t vfr_id_slot(const struct vfr_engine *engine, uint64_t id)
{
    return (uint32_t)((id * 0x9e3779b97f4a7c15ull) >> 32) & engine->id_mask;
}

static inline void vfr_engine_pause(const struct vfr_engine *engine)
{
    if (engine->memory.pause != NULL)
        engine->memory.pause();
}

/* ruleset.c: fills all but the classifier. */
int vfr_ruleset_read(struct vfr_engine *engine, const struct vfr_source *source, struct vfr_load_error *error);
/* error: text, and a name behind it in quotes unless it is NULL. Returns -EINVAL. */
int vfr_load_fail(struct vfr_load_error *error, uint32_t rule, uint32_t line, const char *text, const char *name);

/* linear.c. One field, a bit of rule->fields: negation is applied. */
bool vfr_field_matches(const struct vfr_engine *engine, uint32_t rule, uint32_t field, const struct vfr_packet *packet, const struct vfr_binding *binding);
enum vfr_class vfr_class_of(const struct vfr_packet *packet);
bool vfr_protocol_has_ports(uint8_t protocol);
/* Number of the first range of a set that ends at `address` or behind it; count of the set: none. */
uint32_t vfr_ranges4_find(const struct vfr_engine *engine, const struct vfr_address_set *set, uint32_t address);
uint32_t vfr_ranges6_find(const struct vfr_engine *engine, const struct vfr_address_set *set, const uint64_t address[2]);
uint32_t vfr_ports_find(const struct vfr_engine *engine, const struct vfr_port_set *set, uint16_t port);

/* engine.c: do what a rule whose fields match says. True: it decided. */
bool vfr_rule_run(struct vfr_engine *engine, const struct vfr_rule *rule, const struct vfr_packet *packet, uint64_t now_ns, struct vfr_verdict *verdict);
void vfr_policy_run(struct vfr_engine *engine, const struct vfr_packet *packet, unsigned int direction, uint64_t now_ns, struct vfr_verdict *verdict);

/* classifier-build.c: 0 or -ENOMEM. */
int vfr_classifier_build(struct vfr_engine *engine);

/* classifier.c. Rules from `from` on whose fields match, in their order: up to VFR_MATCHES_MAX that do not surely decide, and the first that does. */
#define VFR_MATCHES_MAX 16u
struct vfr_matches {
    uint32_t count;
    uint32_t decides;   /* index of the first that does; rule_count: none */
    const struct vfr_rule *decider; /* that one, or NULL */
    bool more;          /* there may be more behind the last one of `rule` and before `decides` */
    const struct vfr_rule *rule[VFR_MATCHES_MAX];
};
void vfr_classify(const struct vfr_engine *engine, const struct vfr_packet *packet, unsigned int direction, const struct vfr_binding *binding, uint32_t from, struct vfr_matches *matches);

/* cache.c. */
int vfr_cache_create(struct vfr_engine *engine);
/* What vfr_classify with from = 0 would say, faster if it said so to this CPU before. */
void vfr_cache_classify(struct vfr_engine *engine, const struct vfr_packet *packet, unsigned int direction, const struct vfr_binding *binding, uint32_t cpu, struct vfr_matches *matches);
