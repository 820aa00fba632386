/* SPDX-License-Identifier: MIT */
/*
 * Connection tracking: which packets belong together. A bounded table, fair per domain, safe against floods of first packets; shared by all generations of rules. sdk/vfr/flows.c.
 *
 * Use per packet, if flows are on: vfr_flows_find (sets packet->state, ->reply, ->flow); the rules judge; then vfr_flows_keep if it was accepted all the way, else vfr_flows_refuse. All on one CPU, nothing in
 * between that waits; several CPUs at once. A flow belongs to the domain of the interface that its first packet came from, or, from a NIC, to the domain that it enters (~0: none).
 */
#pragma once

#include <hv/vfr-ops.h>

struct vfr_flows;
struct vfr_memory {
    void *(*alloc)(size_t bytes); /* zeroed, at most 2 MiB; NULL: none */
    void (*free)(void *ptr);
    void (*pause)(void);          /* called often during long work outside of locks: others may run; may be NULL */
    uint32_t cpus;
};

struct vfr_flow_info {
    uint32_t domid, family;
    uint8_t source[16], target[16]; /* of the first packet */
    uint16_t source_port, target_port; /* ICMP: identifier, 0 */
    uint8_t protocol;
    uint8_t state;          /* as shown: enum vfr_flow_state */
    uint8_t pad[2];
    uint32_t segment;       /* network segment */
    uint32_t from, to;      /* interface ids, of the first packet; ~0 unknown */
    uint64_t packets[2], bytes[2]; /* as the first went; replies */
    uint64_t begun_ns, seen_ns, ends_ns; /* ends_ns: forgotten then if nothing comes */
};
enum vfr_flow_state { VFR_FLOW_NEW, VFR_FLOW_OPENING, VFR_FLOW_OPEN, VFR_FLOW_CLOSING, VFR_FLOW_CLOSED, VFR_FLOW_ONE_WAY, VFR_FLOW_TWO_WAY };
extern const char *const vfr_flow_state_names[];

struct vfr_flows_stats {
    uint64_t flows, flows_max, begun, ended, expired, evicted, refused_full, invalid;
};

/* Room for so many flows; -ENOMEM, -EINVAL. */
int vfr_flows_create(struct vfr_flows **flows, uint32_t flows_max, const struct vfr_memory *memory);
void vfr_flows_destroy(struct vfr_flows *flows);
void vfr_flows_find(struct vfr_flows *flows, struct vfr_packet *packet, uint32_t segment, uint64_t now_ns);
void vfr_flows_keep(struct vfr_flows *flows, struct vfr_packet *packet, uint32_t segment, uint64_t now_ns);
void vfr_flows_refuse(struct vfr_flows *flows, struct vfr_packet *packet);
/* A domain has gone: its flows are forgotten. Bounded parts: true when done, else call again with the same *cursor (0 first). */
bool vfr_flows_forget(struct vfr_flows *flows, uint32_t domid, uint64_t *cursor);
/* Up to `room` from *cursor on (0 first; ~0 afterwards: the end). domid ~0: of all. Returns how many. */
uint32_t vfr_flows_list(struct vfr_flows *flows, uint64_t *cursor, uint32_t domid, struct vfr_flow_info *to, uint32_t room, uint64_t now_ns);
void vfr_flows_stats(struct vfr_flows *flows, struct vfr_flows_stats *stats);
