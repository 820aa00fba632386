/* SPDX-License-Identifier: MIT */
/*
 * One generation of rules: made from a rule set in its binary form (<vfr/ruleset.h>), checked completely, compiled into a classifier; then it judges packets. The same source in the hypervisor, in the tests and in
 * `collet rules test`. A second, linear evaluator is the oracle that the tests hold it to. sdk/vfr/.
 *
 * Order: the first rule, in the order of the set, whose direction, interface, header fields and conditions all match, and whose verdict is not CONTINUE, decides; those before it that match and CONTINUE have had
 * their actions carried out. If none decides, the set's policy for the direction does.
 */
#pragma once

#include <hv/vfr-ops.h>
#include <vfr/flows.h> /* struct vfr_memory */

struct vfr_engine;

/* Where the bytes come from: read once, each byte at most once more never. 0 or -EFAULT. */
struct vfr_source {
    int (*read)(void *arg, uint64_t offset, void *to, size_t bytes);
    void *arg;
    uint64_t bytes;
};
struct vfr_load_error {
    uint32_t rule;  /* index, VFR_NO_RULE: the set as a whole */
    uint32_t line;  /* of the text it came from, 0 unknown */
    char text[160]; /* for people */
};
/* 0; -EINVAL (error says what), -E2BIG, -ENOMEM, -EFAULT. Long: pauses. */
int vfr_engine_create(struct vfr_engine **engine, const struct vfr_source *source, const struct vfr_memory *memory, struct vfr_load_error *error);
void vfr_engine_destroy(struct vfr_engine *engine);
/*
 * Counters and states of rules that both have (by id) go over from `old`, which may be judging on other CPUs meanwhile. Called twice: before the new one is put in place (copy), and when the old one has stopped (settle
 * what it counted since). settled false: counts become those of `old`, which both remember; states are copied. true: what `old` has counted beyond what both remembered is added, and both remember that; so an old one may
 * also be put back and get what the other counted. Serialised by the caller; either may judge meanwhile. Pauses.
 */
void vfr_engine_inherit(struct vfr_engine *engine, struct vfr_engine *old, bool settled);

/* Which of the set's interface names an interface has: worked out once for each interface. */
#define VFR_GROUPS_MAX 64u /* two exact names, and at most VFR_SET_GLOBS_MAX globs */
struct vfr_binding {
    uint16_t groups[VFR_GROUPS_MAX];
    uint8_t count;
    bool any[3]; /* [VFR_TX], [VFR_RX]: whether any rule may match there, or the policy is not accept */
};
void vfr_engine_bind(const struct vfr_engine *engine, const struct vfr_iface *iface, struct vfr_binding *binding);
/* Does the set's interface name number `target` (of a verdict) mean this interface? */
bool vfr_engine_means(const struct vfr_engine *engine, uint32_t target, const struct vfr_iface *iface);

/* Judge a parsed packet (the caller may skip it, and accept, if !binding->any[direction]): direction VFR_TX with from's binding, VFR_RX with to's. Context: any CPU < memory->cpus, no pause. */
void vfr_engine_judge(struct vfr_engine *engine, const struct vfr_packet *packet, unsigned int direction, const struct vfr_binding *binding, uint32_t cpu, uint64_t now_ns, struct vfr_verdict *verdict);
/* The same by looking at every rule in turn: the oracle. Counts too. */
void vfr_engine_judge_linear(struct vfr_engine *engine, const struct vfr_packet *packet, unsigned int direction, const struct vfr_binding *binding, uint32_t cpu, uint64_t now_ns, struct vfr_verdict *verdict);

bool vfr_engine_wants_flows(const struct vfr_engine *engine); /* some condition asks for the state */
uint32_t vfr_engine_rules(const struct vfr_engine *engine);
uint64_t vfr_engine_bytes(const struct vfr_engine *engine); /* memory */
struct vfr_rule_info {
    uint64_t id;
    uint32_t line;
    uint32_t pad;
    uint64_t packets, bytes, last_ns;
};
/* VFR_NO_RULE: what the policies decided. */
void vfr_engine_rule_info(struct vfr_engine *engine, uint32_t rule, struct vfr_rule_info *info);
