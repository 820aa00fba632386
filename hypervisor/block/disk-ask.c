// SPDX-License-Identifier: MIT
/*
 * The ordering module is asked, and its answer checked before anything is believed: every pointer is looked up, unread, among what is queued. A bad answer costs the module its place; the oldest request goes
 * instead. Contract: disk-internal.h, <hv/blk-ops.h>. Tests: test-disk-modules.c.
 */
#include "disk-internal.h"

const char *const disk_fault_names[DISK_FAULT_COUNT] = {
    [DISK_FAULT_NOBODY] = "answered nobody",
    [DISK_FAULT_REQUEST] = "answered what is not queued",
    [DISK_FAULT_CHAIN] = "merged what does not fit",
    [DISK_FAULT_TOO_MUCH] = "merged too much",
    [DISK_FAULT_HOLD] = "held for too long",
    [DISK_FAULT_SAT] = "sat on a request",
};

/* Is it the address of one that is queued? It is not read. */
static struct block_request *find_queued(struct disk *disk, struct blk_request *answer)
{
    struct block_request *wanted = disk_request_of(answer), *r = *disk_bucket(disk, wanted);

    while (r != NULL && r != wanted)
        r = r->bucket_next;
    return r;
}

/* Is what hangs on the first allowed? */
static bool chain_right(struct disk *disk, struct block_request *first, enum disk_fault *fault)
{
    struct blk_chain chain = {&first->sched, &first->sched, first->sched.sectors, first->sched.segments};
    struct blk_disk limits = {.sectors_max = disk->dev->sectors_max, .segments_max = disk->dev->segments_max};
    uint32_t length = 1;

    for (struct blk_request *r = first->sched.merged; r != NULL; r = r->merged) {
        *fault = DISK_FAULT_CHAIN;
        if (++length > disk->queued_count || find_queued(disk, r) == NULL)
            return false;
        if (r->op != first->sched.op || r->vbd != first->sched.vbd || r->sector != chain.last->sector + chain.last->sectors)
            return false;
        *fault = DISK_FAULT_TOO_MUCH;
        if (!blk_chain_takes(&chain, &limits, r))
            return false;
        chain.last = r;
        chain.sectors += r->sectors;
        chain.segments += r->segments;
    }
    return true;
}

static struct block_request *oldest(struct disk *disk)
{
    struct blk_request *r = list_first_entry(&disk->queued, struct blk_request, link);

    r->merged = NULL;
    return disk_request_of(r);
}

/* It wants to wait. False: it may not. */
static bool hold(struct disk *disk, uint64_t hold_ns, uint64_t now_ns, enum disk_fault *fault)
{
    *fault = hold_ns == 0 || disk->ops.hold_max_ns == 0 ? DISK_FAULT_NOBODY : DISK_FAULT_HOLD;
    if (hold_ns == 0 || hold_ns > disk->ops.hold_max_ns)
        return false;
    disk->held = true;
    if (disk->hold_since_ns == 0)
        disk->hold_since_ns = now_ns;
    if (disk_recorded(disk))
        disk_record_hold(disk, hold_ns, now_ns);
    disk_hold_arm(disk, hold_ns, now_ns);
    return true;
}

struct block_request *disk_ask(struct disk *disk, uint64_t now_ns)
{
    struct blk_decision d = disk->ops.dispatch(disk->state, now_ns);
    struct block_request *first = NULL;
    enum disk_fault fault;

    if (d.request == NULL) {
        if (hold(disk, d.hold_ns, now_ns, &fault))
            return NULL;
    } else {
        fault = DISK_FAULT_REQUEST;
        first = find_queued(disk, d.request);
        if (likely(first != NULL) && likely(first->sched.merged == NULL || chain_right(disk, first, &fault))) {
            if (unlikely(disk->hold_since_ns != 0)) {
                disk->room_ns = disk_room_ns(disk, now_ns);
                disk->hold_since_ns = 0;
            }
            return first;
        }
    }
    disk_module_drop(disk, fault, first, now_ns);
    return oldest(disk);
}
