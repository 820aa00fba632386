/* SPDX-License-Identifier: MIT */
/* Every scheduler module that is linked in. The first is the default; `sched=<name>` on the command line chooses another. */
#include <hv/sched-ops.h>

extern const struct sched_ops sched_bvt;
extern const struct sched_ops sched_rr;
extern const struct sched_ops sched_stride;
extern const struct sched_ops sched_edf;
extern const struct sched_ops sched_credit;

const struct sched_ops *const sched_modules[] = {
    &sched_bvt,
    &sched_rr,
    &sched_stride,
    &sched_edf,
    &sched_credit,
    NULL,
};
