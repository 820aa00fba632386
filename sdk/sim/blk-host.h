/* SPDX-License-Identifier: MIT */
/*
 * A stand-in for the block core on the host: it keeps requests, calls a disk-ordering module by the rules of <hv/blk-ops.h> and checks every answer as the hypervisor does.
 *
 * The module's answers and only they decide; a wrong one is noted in `fault`, and the oldest request goes instead. There is no disk and no clock here: the caller says what time it is, and
 * when a request has ended. Used by the modules' tests and by blk-sim (sdk/sim/blk-engine.c). Tests: blk-sched/test-blk-modules.c.
 */
#pragma once

#include <hv/blk-ops.h>

enum blk_host_place { BLK_HOST_QUEUED = 1, BLK_HOST_ISSUED };

struct blk_host_request {
    struct blk_request r; /* its link: all that are queued, by serial */
    uint64_t tag;         /* the caller's */
    struct blk_host_request *free_next;
};

struct blk_host {
    const struct blk_sched_ops *ops;
    void *state;
    struct blk_disk disk;
    struct list_node vbds;
    struct list_node queued;
    struct blk_host_request *unused;
    uint64_t serial;
    uint64_t now_ns;
    uint32_t queued_count, issued_count, vbd_count;
    const char *fault; /* the first wrong answer, or NULL */
    uint64_t fault_serial; /* about this request; 0: none */
    uint64_t held; /* answers "nobody yet" */
    bool fallback; /* after a fault: arrival order, the module is not asked */
    uint64_t generation;
};

void blk_host_open(struct blk_host *host, const struct blk_sched_ops *ops, const struct blk_disk *disk);
/* Whatever is queued or issued is forgotten. */
void blk_host_close(struct blk_host *host);

struct blk_vbd *blk_host_vbd_add(struct blk_host *host, uint32_t id, uint32_t domid);
void blk_host_vbd_remove(struct blk_host *host, struct blk_vbd *vbd); /* none of it is queued or issued */
struct blk_vbd *blk_host_vbd(struct blk_host *host, uint32_t id);     /* or NULL */

/* Time must not go back. */
struct blk_host_request *blk_host_submit(struct blk_host *host, struct blk_vbd *vbd, enum blk_op op, uint64_t sector, uint32_t sectors, uint32_t segments, uint64_t now_ns);
/* The request next for the device, with those merged behind it, now issued; or NULL: nothing is queued, or *hold_ns is set. */
struct blk_host_request *blk_host_next(struct blk_host *host, uint64_t now_ns, uint64_t *hold_ns);
/* One request (not its chain) has ended; it is gone. */
void blk_host_complete(struct blk_host *host, struct blk_host_request *request, uint64_t now_ns);
/* One that is queued goes away. */
void blk_host_cancel(struct blk_host *host, struct blk_host_request *request, uint64_t now_ns);
/* Another module takes over what is queued; what is issued ends unseen. */
void blk_host_use(struct blk_host *host, const struct blk_sched_ops *ops, uint64_t now_ns);

/* vbd NULL: the disk. 0, or -ENOENT (no such name), -EOPNOTSUPP (not of such a target), -ERANGE. */
int blk_host_param_set(struct blk_host *host, struct blk_vbd *vbd, const char *name, uint64_t value);
int blk_host_param_get(struct blk_host *host, struct blk_vbd *vbd, const char *name, uint64_t *value);

static inline struct blk_host_request *blk_host_of(struct blk_request *r)
{
    return r != NULL ? (struct blk_host_request *)((char *)r - offsetof(struct blk_host_request, r)) : NULL;
}
