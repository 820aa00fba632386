// SPDX-License-Identifier: MIT
/*
 * The hypervisor's end of a blkfront ring (<xen/io/blkif.h>): a request is copied once, checked completely, its frames pinned; then it goes to the disks piece by piece, and its answer back.
 *
 * The guest may write anything into the ring page at any time. Nothing is read from it twice, rsp_prod and what was taken are kept outside of it, and a producer index that cannot be ends the service:
 * there is no telling any more which slots are answers. A request that is wrong in itself is answered with an error. Contract: vbd-internal.h.
 */
#include "vbd-internal.h"

#include "alloc.h"
#include "changes.h"
#include "lib/string.h"
#include "log.h"
#include "time.h"

#include <hv/errno.h>

#define SECTOR_SHIFT 9
#define PAGE_SECTORS 8u
#define BUSY_IN_FLIGHT 8u
#define INDIRECT_PER_PAGE (PAGE_SIZE / sizeof(struct blkif_request_segment))
_Static_assert(SEGMENTS_MAX <= INDIRECT_PER_PAGE, "one page of indirect segments is looked at");
_Static_assert(sizeof(union blkif_sring_entry) == 112, "the ring of x86_64");

/* ---- Answers ---- */

/* vbd->lock held. Seen by the guest after ring_answer. */
static void answer_put(struct vbd *vbd, uint64_t id, uint8_t operation, int16_t status)
{
    blkif_response_t *to = &vbd->ring.shared->ring[vbd->ring.answered++ % RING_SLOTS].rsp;

    to->id = id;
    to->operation = operation;
    to->status = status;
    block_want_answer(vbd);
}

void ring_answer(struct vbd *vbd)
{
    struct vbd_ring *ring = &vbd->ring;

    spin_lock(&vbd->lock);
    if (ring->shared != NULL) {
        RING_IDX before = ring->shown, now = ring->answered;

        ring->shown = now;
        smp_wmb();
        WRITE_ONCE(ring->shared->rsp_prod, now);
        smp_mb();
        if ((RING_IDX)(now - READ_ONCE(ring->shared->rsp_event)) < (RING_IDX)(now - before)) {
            vbd->events++;
            event_raise(vbd->domain, ring->port);
        }
    }
    spin_unlock(&vbd->lock);
}

/* ---- Checking ---- */

/* Which count it is: COLLET_BLK_*. */
static unsigned int kind_of(uint8_t op)
{
    return op == BLK_READ ? COLLET_BLK_READ : op == BLK_WRITE ? COLLET_BLK_WRITE : op == BLK_DISCARD ? COLLET_BLK_DISCARD : COLLET_BLK_FLUSH;
}

static void io_free(struct vbd *vbd, struct block_io *io)
{
    vbd->ring.free |= 1u << (io - vbd->ring.io);
}

static void io_release_grants(struct block_io *io)
{
    for (uint32_t i = 0; i < io->held; i++)
        grant_release(io->vbd->domain, io->grant[i].ref, io->write_grants, MFN(io->grant[i].mfn));
    io->held = 0;
}

/* Refused: the reason is the guest's own. */
static void refuse(struct vbd *vbd, struct block_io *io, int16_t status)
{
    vbd->refused++;
    io_release_grants(io);
    answer_put(vbd, io->id, io->operation, status);
    io_free(vbd, io);
}

static bool in_range(const struct vbd *vbd, uint64_t sector, uint64_t sectors)
{
    return sector < vbd->sectors && sectors <= vbd->sectors - sector && sector % vbd->block_sectors == 0 && sectors % vbd->block_sectors == 0;
}

/* Pin the frames of all segments. 0 or a BLKIF_RSP_*. The segments are our copy. */
static int16_t io_pin(struct vbd *vbd, struct block_io *io, const struct blkif_request_segment *segments, uint32_t count)
{
    uint32_t sectors = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = segments[i].first_sect, last = segments[i].last_sect;

        if (first > last || last >= PAGE_SECTORS)
            return BLKIF_RSP_ERROR;
        sectors += last - first + 1;
    }
    if (sectors == 0 || !in_range(vbd, io->sector, sectors))
        return BLKIF_RSP_ERROR;
    io->write_grants = io->op == BLK_READ; /* the device writes into its frames */
    for (uint32_t i = 0; i < count; i++) {
        mfn_t mfn;

        if (grant_hold(vbd->domain, segments[i].gref, DOMID_XEN, io->write_grants, &mfn) != 0)
            return BLKIF_RSP_ERROR;
        io->grant[i].ref = segments[i].gref;
        io->grant[i].mfn = (uint32_t)mfn.n;
        io->held = i + 1;
        io->segment[i].maddr = mfn_to_maddr(mfn) + ((uint64_t)segments[i].first_sect << SECTOR_SHIFT);
        io->segment[i].bytes = (uint32_t)(segments[i].last_sect - segments[i].first_sect + 1) << SECTOR_SHIFT;
    }
    io->segments = (uint16_t)count;
    io->sectors = sectors;
    io->left = sectors;
    return BLKIF_RSP_OKAY;
}

/* The segments of an indirect request are in a page of the guest's: copied, and let go at once. */
static int16_t indirect_copy(struct vbd *vbd, const blkif_request_indirect_t *request, struct blkif_request_segment *segments)
{
    mfn_t mfn;

    if (request->nr_segments == 0 || request->nr_segments > SEGMENTS_MAX)
        return BLKIF_RSP_ERROR;
    if (grant_hold(vbd->domain, request->indirect_grefs[0], DOMID_XEN, false, &mfn) != 0)
        return BLKIF_RSP_ERROR;
    memcpy(segments, mfn_to_virt(mfn), request->nr_segments * sizeof(*segments));
    compiler_barrier();
    grant_release(vbd->domain, request->indirect_grefs[0], false, mfn);
    return BLKIF_RSP_OKAY;
}

static bool may_write(const struct vbd *vbd)
{
    return !(vbd->flags & COLLET_VBD_READ_ONLY);
}

static int16_t check_transfer(struct vbd *vbd, struct block_io *io, const blkif_request_t *request)
{
    uint32_t count = request->nr_segments;

    io->op = request->operation == BLKIF_OP_READ ? BLK_READ : BLK_WRITE;
    io->sector = request->sector_number;
    io->barrier = request->operation == BLKIF_OP_WRITE_BARRIER;
    if (io->op == BLK_WRITE && !may_write(vbd))
        return BLKIF_RSP_ERROR;
    if (io->barrier && count == 0) {
        io->op = BLKDEV_FLUSH;
        return BLKIF_RSP_OKAY;
    }
    if (count == 0 || count > BLKIF_MAX_SEGMENTS_PER_REQUEST)
        return BLKIF_RSP_ERROR;
    return io_pin(vbd, io, request->seg, count);
}

static int16_t check_indirect(struct vbd *vbd, struct block_io *io, const blkif_request_indirect_t *request)
{
    struct blkif_request_segment segments[SEGMENTS_MAX];
    int16_t status;

    io->operation = request->indirect_op; /* what blkfront expects in the answer */
    if (request->indirect_op != BLKIF_OP_READ && request->indirect_op != BLKIF_OP_WRITE)
        return BLKIF_RSP_ERROR;
    io->op = request->indirect_op == BLKIF_OP_READ ? BLK_READ : BLK_WRITE;
    io->sector = request->sector_number;
    if (io->op == BLK_WRITE && !may_write(vbd))
        return BLKIF_RSP_ERROR;
    status = indirect_copy(vbd, request, segments);
    return status != BLKIF_RSP_OKAY ? status : io_pin(vbd, io, segments, request->nr_segments);
}

static int16_t check_discard(struct vbd *vbd, struct block_io *io, const blkif_request_discard_t *request)
{
    io->op = BLK_DISCARD;
    io->sector = request->sector_number;
    io->left = request->nr_sectors;
    if (!(vbd->disk_flags & COLLET_DISK_CAN_DISCARD) || (request->flag & BLKIF_DISCARD_SECURE))
        return BLKIF_RSP_EOPNOTSUPP;
    if (!may_write(vbd) || request->nr_sectors == 0 || !in_range(vbd, io->sector, request->nr_sectors))
        return BLKIF_RSP_ERROR;
    return BLKIF_RSP_OKAY;
}

/* Our copy of a request becomes an io, or not. */
static int16_t io_check(struct vbd *vbd, struct block_io *io, const blkif_request_t *request)
{
    switch (request->operation) {
    case BLKIF_OP_READ:
    case BLKIF_OP_WRITE:
    case BLKIF_OP_WRITE_BARRIER:
        return check_transfer(vbd, io, request);
    case BLKIF_OP_FLUSH_DISKCACHE:
        io->op = BLKDEV_FLUSH;
        if (request->nr_segments != 0)
            return BLKIF_RSP_ERROR;
        return BLKIF_RSP_OKAY;
    case BLKIF_OP_DISCARD:
        return check_discard(vbd, io, (const blkif_request_discard_t *)request);
    case BLKIF_OP_INDIRECT:
        return check_indirect(vbd, io, (const blkif_request_indirect_t *)request);
    default:
        return BLKIF_RSP_EOPNOTSUPP;
    }
}

/* ---- To the disks ---- */

static void piece_done(struct block_request *piece, int status);

static const struct vbd_extent *extent_at(const struct vbd *vbd, uint64_t sector)
{
    uint32_t low = 0, high = vbd->extent_count - 1;

    while (low < high) {
        uint32_t middle = (low + high + 1) / 2;

        if (vbd->extents[middle].start <= sector)
            low = middle;
        else
            high = middle - 1;
    }
    return &vbd->extents[low];
}

/* The segments from io->at on that make up so many sectors, and how many they are. One that reaches further ends here for now: io->rest is the next piece's first. */
static uint32_t segments_for(struct block_io *io, uint32_t sectors)
{
    uint32_t bytes = sectors << SECTOR_SHIFT, i = io->at, more;

    while (bytes > io->segment[i].bytes)
        bytes -= io->segment[i++].bytes;
    more = io->segment[i].bytes - bytes;
    if (more != 0) {
        io->rest = (struct blkdev_segment){.maddr = io->segment[i].maddr + bytes, .bytes = more};
        io->segment[i].bytes = bytes;
    }
    return i + 1 - io->at;
}

/* The piece before this one has ended: its last segment may have been cut. */
static void segments_join(struct block_io *io)
{
    if (io->rest.bytes == 0)
        return;
    io->segment[--io->at] = io->rest;
    io->rest.bytes = 0;
}

static void piece_send(struct block_io *io, struct disk_stream *stream, uint64_t now_ns)
{
    struct block_request *piece = &io->piece;

    piece->sched.vbd = &stream->sched;
    piece->sched.merged = NULL;
    piece->dev.op = piece->sched.op;
    piece->dev.sector = piece->sched.sector;
    piece->dev.sectors = piece->sched.sectors;
    piece->dev.more = NULL;
    piece->done = piece_done;
    disk_submit(stream, piece, now_ns);
}

static void piece_flush(struct block_io *io, uint64_t now_ns)
{
    struct block_request *piece = &io->piece;

    piece->sched.op = BLKDEV_FLUSH;
    piece->sched.sector = 0;
    piece->sched.sectors = 0;
    piece->sched.segments = 0;
    piece->dev.segment_count = 0;
    piece->dev.segments = NULL;
    piece_send(io, &io->vbd->streams[io->stream++], now_ns);
}

/* As much of the next `sectors` as the device takes in one request, in whole blocks; 0: not even one block. */
static uint64_t device_limit(const struct block_io *io, const struct blkdev *dev, uint64_t sectors)
{
    uint32_t block = max(dev->block_bytes / BLK_SECTOR_BYTES, 1u);
    uint64_t there = 0;

    if (likely(sectors <= dev->sectors_max && (uint32_t)(io->segments - io->at) <= dev->segments_max))
        return sectors;
    for (uint32_t i = io->at; i < io->segments && i - io->at < dev->segments_max; i++)
        there += io->segment[i].bytes >> SECTOR_SHIFT;
    there = min(min(there, sectors), (uint64_t)dev->sectors_max);
    return there - there % block;
}

/* As much as the device discards at once, in whole blocks of the VBD. */
static uint64_t discard_limit(const struct vbd *vbd, const struct blkdev *dev, uint64_t sectors)
{
    uint32_t most = max(dev->discard_sectors_max, vbd->block_sectors);

    return min(sectors, (uint64_t)(most - most % vbd->block_sectors));
}

/* False: the device cannot do it. */
static bool piece_data(struct block_io *io, uint64_t now_ns)
{
    const struct vbd_extent *extent = extent_at(io->vbd, io->sector);
    const struct blkdev *dev = disk_device(extent->stream->disk);
    uint64_t offset = io->sector - extent->start, sectors = min(io->left, extent->sectors - offset);
    struct block_request *piece = &io->piece;

    if (io->op == BLK_DISCARD) {
        sectors = discard_limit(io->vbd, dev, sectors);
        piece->dev.segment_count = 0;
    } else {
        segments_join(io);
        sectors = device_limit(io, dev, sectors);
        if (unlikely(sectors == 0)) {
            io->failed = true;
            return false;
        }
        piece->dev.segment_count = segments_for(io, (uint32_t)sectors);
    }
    piece->dev.segments = &io->segment[io->at];
    piece->sched.op = io->op;
    piece->sched.sector = extent->sector + offset;
    piece->sched.sectors = (uint32_t)sectors;
    piece->sched.segments = piece->dev.segment_count;
    io->at += (uint16_t)piece->dev.segment_count;
    io->sector += sectors;
    io->left -= sectors;
    piece_send(io, extent->stream, now_ns);
    return true;
}

/* Its next piece; false: there is none, it has ended. vbd->lock held. */
static bool io_go_on(struct block_io *io, uint64_t now_ns)
{
    uint32_t streams = io->vbd->stream_count;
    bool data;

    if (io->failed)
        return false;
    if (io->stage == IO_FLUSH_BEFORE && io->stream >= streams)
        io->stage = IO_DATA;
    if (io->stage == IO_DATA && io->left == 0) {
        if (!io->barrier || io->op == BLKDEV_FLUSH)
            return false;
        io->stage = IO_FLUSH_AFTER;
        io->stream = 0;
    }
    data = io->stage == IO_DATA;
    if (!data && io->stream >= streams)
        return false;
    io->failed = io->vbd->closing; /* what is not with a disk yet is dropped */
    if (io->failed)
        return false;
    if (data)
        return piece_data(io, now_ns);
    piece_flush(io, now_ns);
    return true;
}

static void histogram_add(uint64_t *buckets, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t us = to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
    uint32_t bucket = us == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(us);

    buckets[min(bucket, COLLET_LATENCY_BUCKETS - 1u)]++;
}

/* vbd->lock held. */
static void io_end(struct vbd *vbd, struct block_io *io)
{
    uint64_t (*latency)[COLLET_LATENCY_BUCKETS] = vbd->latency[io->op != BLK_READ];

    histogram_add(latency[COLLET_PHASE_RING], io->piece.ring_ns, io->took_ns);
    histogram_add(latency[COLLET_PHASE_QUEUE], io->took_ns, io->issue_ns);
    histogram_add(latency[COLLET_PHASE_DEVICE], io->issue_ns, io->piece.end_ns);
    vbd->requests[kind_of(io->op)]++;
    vbd->errors += io->failed;
    io_release_grants(io);
    answer_put(vbd, io->id, io->operation, io->failed ? BLKIF_RSP_ERROR : BLKIF_RSP_OKAY);
    if (vbd->ring.barrier == io)
        vbd->ring.barrier = NULL;
    vbd->in_flight--;
    io_free(vbd, io);
}

/* A barrier that is alone now. */
static void barrier_try(struct vbd *vbd, uint64_t now_ns)
{
    struct block_io *io = vbd->ring.barrier;

    if (io != NULL && vbd->in_flight == 1 && io->took_ns == 0) {
        io->took_ns = now_ns;
        if (io_go_on(io, now_ns))
            return;
        io->issue_ns = io->piece.end_ns = now_ns; /* out of service meanwhile */
        io_end(vbd, io);
    }
}

/* A disk has done what it was asked. Context: softirq, no lock held. */
static void piece_done(struct block_request *piece, int status)
{
    struct block_io *io = (struct block_io *)((char *)piece - offsetof(struct block_io, piece));
    struct vbd *vbd = io->vbd;
    uint64_t now_ns = piece->end_ns;
    struct disk *disk = NULL;

    spin_lock(&vbd->lock);
    if (likely(status == 0))
        vbd->sectors_done[kind_of(io->op)] += piece->sched.sectors; /* of a flush: none */
    else
        io->failed = true;
    if (io->issue_ns == 0)
        io->issue_ns = piece->issue_ns;
    if (io_go_on(io, now_ns)) {
        disk = ((struct disk_stream *)((char *)piece->sched.vbd - offsetof(struct disk_stream, sched)))->disk;
    } else {
        io_end(vbd, io);
        barrier_try(vbd, now_ns);
        /* A slot is free again, or the barrier is over; the guest may have put something in without telling. */
        block_want_turn(vbd);
    }
    spin_unlock(&vbd->lock);
    if (disk != NULL)
        disk_run(disk);
}

/* ---- From the ring ---- */

void ring_notified(struct event_sink *sink)
{
    struct vbd *vbd = (struct vbd *)((char *)sink - offsetof(struct vbd, sink));

    vbd->notifies++;
    block_want_turn(vbd);
}

static void ring_break(struct vbd *vbd, const char *why)
{
    vbd->flags |= COLLET_VBD_BROKEN;
    strlcpy(vbd->broken_why, why, sizeof(vbd->broken_why));
    log_guest(vbd->domain, LOG_WARNING, "vbd %u (%s): %s; it is served no more", vbd->id, vbd->name, why);
    change_record(COLLET_CHANGE_VBD_BROKEN, vbd->domain, vbd->id, why);
}

/* One request. vbd->lock held, a slot is free. */
static void ring_take_one(struct vbd *vbd, uint64_t now_ns)
{
    struct vbd_ring *ring = &vbd->ring;
    struct block_io *io = &ring->io[__builtin_ctz(ring->free)];
    blkif_request_t request;
    int16_t status;

    memcpy(&request, &ring->shared->ring[ring->taken++ % RING_SLOTS].req, sizeof(request));
    compiler_barrier();
    ring->free &= ring->free - 1;
    io->vbd = vbd;
    /* The identifier is at the same place in all kinds but the indirect ones. */
    io->id = request.operation == BLKIF_OP_INDIRECT ? ((const blkif_request_indirect_t *)&request)->id : request.id;
    io->operation = request.operation;
    io->sectors = 0;
    io->left = 0;
    io->held = 0;
    io->at = 0;
    io->segments = 0;
    io->stream = 0;
    io->failed = false;
    io->barrier = false;
    io->rest.bytes = 0;
    io->issue_ns = 0;
    io->took_ns = now_ns;
    io->piece.ring_ns = vbd->seen_ns != 0 ? vbd->seen_ns : now_ns;
    status = io_check(vbd, io, &request);
    if (status != BLKIF_RSP_OKAY) {
        refuse(vbd, io, status);
        return;
    }
    vbd->in_flight++;
    if (vbd->requests_per_s != 0)
        vbd->requests_left -= (int64_t)NS_PER_S;
    if (vbd->bytes_per_s != 0 && io->op != BLK_DISCARD) /* which moves none, and may be of any size */
        vbd->bytes_left -= (int64_t)((uint64_t)io->sectors << SECTOR_SHIFT) * (int64_t)NS_PER_S;
    io->stage = io->barrier || io->op == BLKDEV_FLUSH ? IO_FLUSH_BEFORE : IO_DATA;
    if (io->barrier) {
        io->took_ns = 0; /* not begun */
        ring->barrier = io;
        barrier_try(vbd, now_ns);
    } else if (unlikely(!io_go_on(io, now_ns))) {
        io->issue_ns = io->piece.end_ns = now_ns;
        io_end(vbd, io);
    }
}

/* What is left of a limit after so much time: at most a tenth of a second's worth, and never less than one of `least`. Scaled by NS_PER_S; a limit too high for that is as good as none. */
static int64_t limit_refill(int64_t left, uint64_t per_s, uint64_t passed_ns, uint64_t least)
{
    int64_t most = (int64_t)(min(max(per_s / 10, least), (uint64_t)INT64_MAX / 2 / NS_PER_S) * NS_PER_S);
    unsigned __int128 more = (unsigned __int128)passed_ns * per_s;

    return left >= most || more >= (uint64_t)most - (uint64_t)left ? most : left + (int64_t)more;
}

/* 0: it may go on; else when. */
static uint64_t limit_until(struct vbd *vbd, uint64_t now_ns)
{
    uint64_t passed = vbd_elapsed_ns(vbd->filled_ns, now_ns), wait = 0;

    if (vbd->requests_per_s == 0 && vbd->bytes_per_s == 0)
        return 0;
    vbd->filled_ns += passed;
    vbd->requests_left = limit_refill(vbd->requests_left, vbd->requests_per_s, passed, 1);
    vbd->bytes_left = limit_refill(vbd->bytes_left, vbd->bytes_per_s, passed, BLK_SECTOR_BYTES);
    if (vbd->requests_per_s != 0 && vbd->requests_left <= 0)
        wait = (uint64_t)-vbd->requests_left / vbd->requests_per_s + 1;
    if (vbd->bytes_per_s != 0 && vbd->bytes_left <= 0)
        wait = max(wait, (uint64_t)-vbd->bytes_left / vbd->bytes_per_s + 1);
    return wait == 0 ? 0 : now_ns + wait;
}

void ring_limit_passed(void *arg)
{
    struct vbd *vbd = arg;

    spin_lock(&vbd->lock);
    if (vbd->throttled_since_ns != 0)
        vbd->throttled_ns += vbd_elapsed_ns(vbd->throttled_since_ns, clock_now_ns());
    vbd->throttled_since_ns = 0;
    spin_unlock(&vbd->lock);
    block_want_turn(vbd);
}

/* Whether a limit holds it back; then the timer gives it its turn. */
static bool limited(struct vbd *vbd, uint64_t now_ns)
{
    uint64_t until_ns = limit_until(vbd, now_ns);

    if (likely(until_ns == 0))
        return false;
    if (vbd->throttled_since_ns == 0) {
        vbd->throttled++;
        vbd->throttled_since_ns = now_ns;
    }
    timer_set(&vbd->limit_timer, until_ns);
    return true;
}

static uint32_t disks_room(const struct vbd *vbd)
{
    uint32_t room = UINT32_MAX;

    for (uint32_t i = 0; i < vbd->stream_count; i++)
        room = min(room, disk_room(vbd->streams[i].disk));
    return room;
}

static bool ring_served(const struct vbd *vbd)
{
    return vbd->ring.shared != NULL && !vbd->closing && !(vbd->flags & COLLET_VBD_BROKEN);
}

static bool disks_waiting(const struct vbd *vbd)
{
    for (uint32_t i = 0; i < vbd->stream_count; i++)
        if (disk_waiting(vbd->streams[i].disk))
            return true;
    return false;
}

/*
 * After how many more requests the guest is to tell us. Usually 1. A ring of which many are under way is looked at whenever one of them ends, so its guest need not tell of each: at depth 32 that is a good part
 * of what a request costs. A request waits for the next end at most; but where requests queue up for the device, the module should know of it for its next decision.
 */
static RING_IDX tell_after(const struct vbd *vbd)
{
    if (vbd->in_flight < BUSY_IN_FLIGHT || disks_waiting(vbd))
        return 1;
    return vbd->in_flight / 2;
}

/* How many there are that were not taken; asks for an event with the next one (or one behind it) when there are none. */
static uint32_t ring_waiting(struct vbd *vbd)
{
    struct vbd_ring *ring = &vbd->ring;
    RING_IDX there = READ_ONCE(ring->shared->req_prod) - ring->taken;

    if (there == 0) {
        WRITE_ONCE(ring->shared->req_event, ring->taken + tell_after(vbd));
        smp_mb();
        there = READ_ONCE(ring->shared->req_prod) - ring->taken;
    }
    smp_rmb();
    return there;
}

static enum ring_state ring_take_locked(struct vbd *vbd, uint32_t most)
{
    uint64_t now_ns = 0;
    uint32_t there;

    if (vbd->throttled_since_ns != 0)
        return RING_WAITS;
    for (;;) {
        if (vbd->ring.free == 0 || vbd->ring.barrier != NULL)
            return RING_WAITS; /* a completion gives it its turn */
        there = ring_waiting(vbd);
        if (there == 0) {
            vbd->seen_ns = 0;
            return RING_EMPTY;
        }
        if (there > RING_SLOTS || (RING_IDX)(vbd->ring.taken + there - vbd->ring.answered) > RING_SLOTS) {
            ring_break(vbd, "its producer index is beyond the ring");
            return RING_WAITS;
        }
        if (now_ns == 0)
            now_ns = clock_now_ns();
        if (vbd->seen_ns == 0 || (int32_t)(vbd->ring.taken - vbd->seen_until) >= 0) {
            vbd->seen_ns = now_ns;
            vbd->seen_until = vbd->ring.taken + there;
        }
        if (disks_room(vbd) == 0)
            return vbd->in_flight > 0 ? RING_WAITS : RING_MORE; /* the end of one of its own gives it its turn; else it stays in the line */
        for (; there > 0 && most > 0 && vbd->ring.free != 0 && vbd->ring.barrier == NULL; there--, most--) {
            if (limited(vbd, now_ns))
                return RING_WAITS;
            ring_take_one(vbd, now_ns);
        }
        if (most == 0)
            return RING_MORE;
    }
}

enum ring_state ring_take(struct vbd *vbd, uint32_t most)
{
    enum ring_state state = RING_EMPTY;

    spin_lock(&vbd->lock);
    if (ring_served(vbd))
        state = ring_take_locked(vbd, most);
    spin_unlock(&vbd->lock);
    return state;
}
