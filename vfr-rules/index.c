/* SPDX-License-Identifier: MIT */
/* Every kind of condition and action that rules may use, and every packet scheduler; the first scheduler is the default. */
#include <hv/vfr-ops.h>

extern const struct vfr_rule_ops vfr_antispoof;
extern const struct vfr_rule_ops vfr_count;
extern const struct vfr_rule_ops vfr_log;

const struct vfr_rule_ops *const vfr_rule_kinds[] = {
    &vfr_antispoof,
    &vfr_count,
    &vfr_log,
    NULL,
};

extern const struct vfr_sched_ops vfr_round_robin;

const struct vfr_sched_ops *const vfr_schedulers[] = {
    &vfr_round_robin,
    NULL,
};
