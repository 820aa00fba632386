/* SPDX-License-Identifier: MIT */
/* Every disk-ordering module that is linked in. The first is the default; each disk can be given another while it works. */
#include <hv/blk-ops.h>

extern const struct blk_sched_ops blk_elevator;
extern const struct blk_sched_ops blk_fifo;
extern const struct blk_sched_ops blk_deadline;
extern const struct blk_sched_ops blk_fair;

const struct blk_sched_ops *const blk_sched_modules[] = {
    &blk_elevator,
    &blk_fifo,
    &blk_deadline,
    &blk_fair,
    NULL,
};
