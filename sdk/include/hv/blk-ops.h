/* SPDX-License-Identifier: MIT */
/*
 * The contract between the block core and a disk-ordering module (blk-sched/<name>.c).
 *
 * The core owns requests, memory, the device and the clock; a module owns an order. It is told what has arrived and what has ended, and answers one question: which request
 * goes to the device next. Every answer is checked; a module that answers wrongly, or sits on a request beyond the watchdog's bound, is replaced by the core's own arrival order
 * while requests are in flight. After "Xen and the Art of Virtualization" (SOSP 2003), section 3.3.5: batches are taken from the VBDs in turn, and ordered here.
 *
 * Rules for every op, unless it says otherwise:
 *   - One instance (`state`) serves one disk. Its ops run one at a time, under that disk's lock, interrupts off; they allocate nothing, log nothing per call; O(log n), if
 *     need be amortised, in the number of requests queued and of VBDs.
 *   - Time comes as the argument now_ns, which never decreases. A module reads no clock, keeps no global variable, and orders nothing by address: the same calls give the same
 *     answers anywhere, so that a recording can be replayed decision by decision on the host.
 *   - Where `.xxx_bytes` says so, the core allocates the module's data, zeroed, before the first op that sees it, and frees it after the last.
 *
 * The life of a request, as a module sees it:
 *
 *     insert -> dispatch returns it -> complete          or          insert -> remove
 *
 * Flushes and barriers are the core's: it lets what came before end and holds back what came after, so a module is free to reorder all that it has been given, also requests
 * that overlap: who sends those without waiting has asked for either result, as on any disk.
 *
 * In-tree contract: it may change; then all modules change in the same commit. Tests: blk-sched/test-*.c.
 */
#pragma once

#include <hv/list.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLK_SECTOR_BYTES 512u

enum blk_op { BLK_READ, BLK_WRITE, BLK_DISCARD, BLK_WRITE_ZEROES };

/* What a disk can take, given to create. */
struct blk_disk {
    uint32_t id;
    uint32_t depth;           /* requests that the device takes at a time */
    uint64_t sectors;
    uint32_t sectors_max;     /* of one device request, merged ones included */
    uint32_t segments_max;
    bool rotates;             /* seeking costs */
};

/* A virtual block device: one stream of requests. */
struct blk_vbd {
    void *data;      /* the module's: .vbd_bytes, or NULL */
    uint32_t id;     /* unique as long as the machine runs; a tie-break that does not depend on addresses */
    uint32_t domid;

    /* The core's. */
    void *data_next; /* prepared for the module that takes over */
    struct list_node link;
};

struct blk_request {
    /* What a module may read. */
    void *data;            /* the module's: .request_bytes, or NULL */
    struct blk_vbd *vbd;
    uint64_t serial;       /* order of arrival at this disk, from 1 */
    uint64_t sector;       /* first one, of the disk */
    uint32_t sectors;
    uint32_t segments;
    uint8_t op;            /* enum blk_op */
    uint64_t arrived_ns;
    /* What a module writes while it answers: the request behind this one in a merged answer, or NULL. The core sets it to NULL before insert. */
    struct blk_request *merged;

    /* The core's. */
    uint8_t place;
    uint64_t issued_ns;
    struct list_node link;
    void *data_next;
};

/*
 * What dispatch answers: a request, with others chained behind it by `merged` that continue it: same op and VBD (an error of the device must not reach two guests), each beginning at
 * the sector where the one before ends, together within the disk's sectors_max and segments_max. They go to the device as one request. blk_chain_fits below asks just that.
 * The limits bind chains; what a request alone may be is the core's affair.
 * Or none, though some are queued: only if .hold_max_ns is not 0; asked again after hold_ns, or when something is inserted or completed.
 */
struct blk_decision {
    struct blk_request *request;
    uint64_t hold_ns;
};

enum blk_param_type { BLK_PARAM_UINT, BLK_PARAM_NS, BLK_PARAM_BOOL };
enum { BLK_SCOPE_DISK = 1, BLK_SCOPE_VBD = 2 };
struct blk_parameter {
    const char *name;
    enum blk_param_type type;
    uint32_t scopes;
    uint64_t minimum, maximum, initial; /* the core refuses what lies outside */
    const char *help; /* one line, with the unit */
};

struct blk_sched_ops {
    const char *name;    /* lower case, at most 31 characters */
    const char *summary; /* one line */

    size_t state_bytes, vbd_bytes, request_bytes; /* may be 0 */

    const struct blk_parameter *params;
    uint32_t param_count;

    /* The longest time for which the module keeps the device idle on purpose while requests are queued (waiting for a neighbour, keeping a limit). 0, the usual: never. */
    uint64_t hold_max_ns;

    /* A new instance; `state` is zeroed. Not under the disk's lock; may allocate. Returns 0 or -errno. Optional. */
    int (*create)(void *state, const struct blk_disk *disk);
    /* The instance ends; nothing is queued. Not under the disk's lock. Optional. */
    void (*destroy)(void *state);

    /* A VBD begins / ends to send requests here; none of it is queued or issued yet / any more (when modules change: queued). Optional. Pair. */
    void (*vbd_insert)(void *state, struct blk_vbd *vbd);
    void (*vbd_remove)(void *state, struct blk_vbd *vbd);

    /*
     * A request has arrived; the module has it until dispatch returns it or remove takes it. When a module takes over, it is given what is queued, by serial; arrived_ns may then
     * be long past. Required.
     */
    void (*insert)(void *state, struct blk_request *request, uint64_t now_ns);
    /* It leaves without having been issued: its domain ends, or another module takes over. Required. */
    void (*remove)(void *state, struct blk_request *request, uint64_t now_ns);
    /*
     * Choose what the device gets next. Called only when the device has room and something is queued.
     * A request that is not queued, a chain that does not continue, nobody without leave to hold: a fault; the oldest is issued, and the module is replaced. Required.
     */
    struct blk_decision (*dispatch)(void *state, uint64_t now_ns);
    /*
     * The device has ended a request that dispatch returned (each of a chain by itself). The last op that sees it. What was issued when modules change ends unseen by either. Optional.
     */
    void (*complete)(void *state, struct blk_request *request, uint64_t now_ns);

    /*
     * Set or read params[index]; vbd NULL: the disk. value has been checked against type, limits and scopes. A value of the disk is what VBDs without one of their own have.
     * Required if param_count is not 0.
     */
    void (*param_set)(void *state, struct blk_vbd *vbd, uint32_t index, uint64_t value, uint64_t now_ns);
    uint64_t (*param_get)(void *state, struct blk_vbd *vbd, uint32_t index);
};

/* ---- Merging ---- */

/* A merged answer that is being made. */
struct blk_chain {
    struct blk_request *first, *last;
    uint32_t sectors, segments;
};

static inline struct blk_chain blk_chain_start(struct blk_request *request)
{
    request->merged = NULL;
    return (struct blk_chain){request, request, request->sectors, request->segments};
}

/* The limits, and what must be alike; where it lies is asked by the two below. */
static inline bool blk_chain_takes(const struct blk_chain *chain, const struct blk_disk *disk, const struct blk_request *request)
{
    return request->op == chain->first->op && request->vbd == chain->first->vbd && (uint64_t)chain->sectors + request->sectors <= disk->sectors_max &&
           (uint64_t)chain->segments + request->segments <= disk->segments_max;
}

/* May this one go behind the last? */
static inline bool blk_chain_fits(const struct blk_chain *chain, const struct blk_disk *disk, const struct blk_request *request)
{
    return request->sector == chain->last->sector + chain->last->sectors && blk_chain_takes(chain, disk, request);
}

static inline bool blk_chain_fits_in_front(const struct blk_chain *chain, const struct blk_disk *disk, const struct blk_request *request)
{
    return request->sector + request->sectors == chain->first->sector && blk_chain_takes(chain, disk, request);
}

static inline void blk_chain_append(struct blk_chain *chain, struct blk_request *request)
{
    request->merged = NULL;
    chain->last->merged = request;
    chain->last = request;
    chain->sectors += request->sectors;
    chain->segments += request->segments;
}

static inline void blk_chain_prepend(struct blk_chain *chain, struct blk_request *request)
{
    request->merged = chain->first;
    chain->first = request;
    chain->sectors += request->sectors;
    chain->segments += request->segments;
}

/* blk-sched/index.c: every module that is linked in; the first is the default. Ends with NULL. */
extern const struct blk_sched_ops *const blk_sched_modules[];
