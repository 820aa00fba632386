/* SPDX-License-Identifier: MIT */
/* Every kind of condition and action that rules may use, and every packet scheduler; the first scheduler is the default. */
#include <hv/vfr-ops.h>

extern const struct vfr_rule_ops vfr_antispoof;
extern const struct vfr_rule_ops vfr_count;
extern const struct vfr_rule_ops vfr_limit;
extern const struct vfr_rule_ops vfr_limit_source;
extern const struct vfr_rule_ops vfr_log;
extern const struct vfr_rule_ops vfr_malformed;
extern const struct vfr_rule_ops vfr_match;
extern const struct vfr_rule_ops vfr_mirror;
extern const struct vfr_rule_ops vfr_portscan;
extern const struct vfr_rule_ops vfr_sample;
extern const struct vfr_rule_ops vfr_size;
extern const struct vfr_rule_ops vfr_state;

const struct vfr_rule_ops *const vfr_rule_kinds[] = {
    /* Conditions. */
    &vfr_match,
    &vfr_state,
    &vfr_limit,
    &vfr_limit_source,
    &vfr_portscan,
    &vfr_malformed,
    &vfr_antispoof,
    &vfr_size,
    &vfr_sample,
    /* Actions. */
    &vfr_log,
    &vfr_count,
    &vfr_mirror,
    NULL,
};

extern const struct vfr_sched_ops vfr_round_robin;
extern const struct vfr_sched_ops vfr_weighted;
extern const struct vfr_sched_ops vfr_fifo;

const struct vfr_sched_ops *const vfr_schedulers[] = {
    &vfr_round_robin,
    &vfr_weighted,
    &vfr_fifo,
    NULL,
};
