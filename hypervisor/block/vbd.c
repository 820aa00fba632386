// SPDX-License-Identifier: MIT
/*
 * Virtual block devices: which sectors of which disks a domain sees, who may hold the same, and how a ring is taken into service and out of it.
 *
 * Domain0 alone makes and ends them. What a VBD is (extents, mode) never changes while it lives; who has a pointer to it without a lock counts as its user, and it is freed when there is none.
 * Contract: block-internal.h; operations: <collet/control.h>.
 */
#include "vbd-internal.h"

#include "alloc.h"
#include "changes.h"
#include "cpu.h"
#include "lib/string.h"
#include "log.h"
#include "mm.h"
#include "time.h"
#include "vcpu.h"

#include <hv/errno.h>

struct spinlock vbds_lock = SPINLOCK_INIT;
struct list_node vbds = LIST_HEAD_INIT(vbds);
static struct spinlock create_lock = SPINLOCK_INIT; /* from the look for other holders to the list */
static uint32_t last_id;                            /* create_lock */

/* ---- Finding ---- */

/* The first with this id or a higher one, of this domain (~0: any), as its user. NULL: none. Pair: vbd_put. */
static struct vbd *vbd_from(uint32_t id, uint32_t domid)
{
    struct vbd *vbd, *found = NULL;

    spin_lock(&vbds_lock);
    list_for_each_entry(vbd, &vbds, link) {
        if (vbd->id >= id && (domid == UINT32_MAX || vbd->domain->id == domid)) {
            __atomic_fetch_add(&vbd->users, 1, __ATOMIC_RELAXED);
            found = vbd;
            break;
        }
    }
    spin_unlock(&vbds_lock);
    return found;
}

static void vbd_put(struct vbd *vbd)
{
    __atomic_fetch_sub(&vbd->users, 1, __ATOMIC_RELEASE);
}

static struct vbd *vbd_find(uint32_t id)
{
    struct vbd *vbd = vbd_from(id, UINT32_MAX);

    if (vbd != NULL && vbd->id != id) {
        vbd_put(vbd);
        return NULL;
    }
    return vbd;
}

/* ---- Making one ---- */

static bool before(const struct collet_extent *a, const struct collet_extent *b)
{
    return a->disk != b->disk ? a->disk < b->disk : a->sector < b->sector;
}

static void sift_down(struct collet_extent *e, uint32_t at, uint32_t count)
{
    struct collet_extent moving = e[at];

    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(&e[child], &e[child + 1]))
            child++;
        if (!before(&moving, &e[child]))
            break;
        e[at] = e[child];
    }
    e[at] = moving;
}

/* By disk and sector: heap sort, so that no list of Domain0's can make it slow. */
static void extents_sort(struct collet_extent *e, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;)
        sift_down(e, i, count);
    for (uint32_t i = count; i-- > 1;) {
        struct collet_extent last = e[i];

        e[i] = e[0];
        e[0] = last;
        sift_down(e, 0, i);
    }
}

/* One extent by itself. */
static int extent_check(const struct collet_vbd_create *op, const struct collet_extent *e, bool last)
{
    const struct disk *disk = disk_find(e->disk);
    const struct blkdev *dev;
    uint32_t block;

    if (disk == NULL)
        return -ENODEV;
    dev = disk_device((struct disk *)disk);
    block = dev->block_bytes / BLK_SECTOR_BYTES;
    if (e->pad != 0 || e->sectors == 0 || (e->sectors < COLLET_EXTENT_MIN && !last))
        return -EINVAL;
    if (e->sector > dev->sectors || e->sectors > dev->sectors - e->sector || e->sector % block != 0 || e->sectors % block != 0)
        return -ERANGE;
    if (dev->read_only && !(op->flags & COLLET_VBD_READ_ONLY))
        return -EROFS;
    return 0;
}

static bool overlaps(const struct collet_extent *sorted, uint32_t count, uint32_t disk, uint64_t sector, uint64_t sectors)
{
    uint32_t low = 0, high = count;

    /* The first that ends behind `sector`. */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct collet_extent *e = &sorted[middle];

        if (e->disk < disk || (e->disk == disk && e->sector + e->sectors <= sector))
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && sorted[low].disk == disk && sorted[low].sector < sector + sectors;
}

static bool may_share(uint32_t a, uint32_t b)
{
    return (a & b & COLLET_VBD_READ_ONLY) || (a & b & COLLET_VBD_SHARED);
}

/* Another VBD that has some of these sectors and may not share them, or the domain's number is taken. vbds_lock held. */
static int conflict_find(struct collet_vbd_create *op, const struct collet_extent *sorted, const struct domain *d)
{
    uint32_t of_domain = 0;
    struct vbd *vbd;

    op->holder = 0;
    list_for_each_entry(vbd, &vbds, link) {
        if (vbd->domain == d) {
            of_domain++;
            if (vbd->device == op->device)
                return -EEXIST;
        }
        if (((vbd->flags | op->flags) & COLLET_VBD_RAW) || may_share(vbd->flags, op->flags))
            continue;
        for (uint32_t i = 0; i < vbd->extent_count; i++) {
            const struct vbd_extent *e = &vbd->extents[i];

            if (overlaps(sorted, op->extents, disk_device(e->stream->disk)->id, e->sector, e->sectors)) {
                op->holder = vbd->id;
                return -EBUSY;
            }
        }
    }
    return of_domain >= COLLET_VBDS_MAX ? -ENOSPC : 0;
}

static int extents_check(const struct collet_vbd_create *op, const struct collet_extent *extents, struct collet_extent *sorted)
{
    for (uint32_t i = 0; i < op->extents; i++) {
        int rc = extent_check(op, &extents[i], i + 1 == op->extents);

        if (rc != 0)
            return rc;
    }
    memcpy(sorted, extents, op->extents * sizeof(*sorted));
    extents_sort(sorted, op->extents);
    for (uint32_t i = 1; i < op->extents; i++)
        if (sorted[i].disk == sorted[i - 1].disk && sorted[i].sector < sorted[i - 1].sector + sorted[i - 1].sectors)
            return -EINVAL;
    return 0;
}

static void vbd_free(struct vbd *vbd)
{
    for (uint32_t i = 0; i < vbd->stream_count; i++)
        disk_stream_close(&vbd->streams[i]);
    if (vbd->domain != NULL)
        domain_put(vbd->domain);
    heap_free(vbd->streams);
    heap_free(vbd->extents);
    heap_free(vbd);
}

static struct disk_stream *stream_of(struct vbd *vbd, const struct disk *disk)
{
    for (uint32_t i = 0; i < vbd->stream_count; i++)
        if (vbd->streams[i].disk == disk)
            return &vbd->streams[i];
    return NULL;
}

static uint32_t flags_of(const struct blkdev *dev)
{
    return (dev->can_flush ? COLLET_DISK_CAN_FLUSH : 0) | (dev->can_discard ? COLLET_DISK_CAN_DISCARD : 0) | (dev->can_write_zeroes ? COLLET_DISK_CAN_WRITE_ZEROES : 0);
}

/* Its streams, one for each disk, and its extents. A flush is offered if any disk has a cache, the rest if all can. */
static int vbd_fill(struct vbd *vbd, const struct collet_extent *extents, uint32_t domid)
{
    uint32_t all = UINT32_MAX, any = 0;

    vbd->block_sectors = 1;
    for (uint32_t i = 0; i < vbd->extent_count; i++) {
        struct disk *disk = disk_find(extents[i].disk);
        const struct blkdev *dev = disk_device(disk);
        struct disk_stream *stream = stream_of(vbd, disk);

        if (stream == NULL) {
            stream = &vbd->streams[vbd->stream_count];
            if (disk_stream_open(stream, disk, vbd->id, domid) != 0)
                return -ENOMEM;
            vbd->stream_count++;
            all &= flags_of(dev);
            any |= flags_of(dev);
            vbd->block_sectors = max(vbd->block_sectors, dev->block_bytes / BLK_SECTOR_BYTES);
        }
        vbd->extents[i] = (struct vbd_extent){vbd->sectors, extents[i].sector, extents[i].sectors, stream};
        vbd->sectors += extents[i].sectors;
    }
    vbd->disk_flags = (all & ~COLLET_DISK_CAN_FLUSH) | (any & COLLET_DISK_CAN_FLUSH);
    return 0;
}

static struct vbd *vbd_make(const struct collet_vbd_create *op, const struct collet_extent *extents, struct domain *d)
{
    struct vbd *vbd = heap_alloc(sizeof(*vbd));

    if (vbd == NULL)
        return NULL;
    vbd->extents = heap_alloc(op->extents * sizeof(*vbd->extents));
    vbd->streams = heap_alloc(min(op->extents, disk_count) * sizeof(*vbd->streams));
    vbd->extent_count = op->extents;
    vbd->id = last_id + 1;
    vbd->device = op->device;
    vbd->flags = op->flags & (COLLET_VBD_READ_ONLY | COLLET_VBD_SHARED | COLLET_VBD_RAW);
    strlcpy(vbd->name, op->name, sizeof(vbd->name));
    vbd->created_ns = clock_now_ns();
    vbd->sink.notify = ring_notified;
    list_init(&vbd->turn);
    list_init(&vbd->answers);
    timer_init(&vbd->limit_timer, ring_limit_passed, vbd, this_cpu_id());
    if (vbd->extents == NULL || vbd->streams == NULL || vbd_fill(vbd, extents, d->id) != 0) {
        vbd_free(vbd);
        return NULL;
    }
    domain_get(d);
    vbd->domain = d;
    return vbd;
}

static int vbd_publish(struct collet_vbd_create *op, const struct collet_extent *extents, const struct collet_extent *sorted, struct domain *d)
{
    struct vbd *vbd;
    int rc;

    spin_lock(&vbds_lock);
    rc = conflict_find(op, sorted, d);
    spin_unlock(&vbds_lock);
    if (rc != 0)
        return rc;
    vbd = vbd_make(op, extents, d);
    if (vbd == NULL)
        return -ENOMEM;
    spin_lock(&vbds_lock);
    if (READ_ONCE(d->dying)) { /* block_domain_destroy has looked, or will find it */
        spin_unlock(&vbds_lock);
        vbd_free(vbd);
        return -ESRCH;
    }
    last_id = vbd->id;
    list_push_back(&vbds, &vbd->link);
    spin_unlock(&vbds_lock);
    op->vbd = vbd->id;
    change_record(COLLET_CHANGE_VBD_CREATED, d, vbd->id, vbd->name);
    return 0;
}

long vbd_create(struct collet_vbd_create *op, const struct collet_extent *extents)
{
    struct collet_extent *sorted;
    struct domain *d;
    long rc;

    if (op->extents == 0 || (op->flags & ~(COLLET_VBD_READ_ONLY | COLLET_VBD_SHARED | COLLET_VBD_RAW)))
        return -EINVAL;
    if (op->extents > COLLET_EXTENTS_MAX)
        return -E2BIG;
    d = op->domid < DOMID_FIRST_RESERVED ? domain_find((domid_t)op->domid) : NULL;
    if (d == NULL)
        return -ESRCH;
    sorted = heap_alloc(op->extents * sizeof(*sorted));
    if ((op->flags & COLLET_VBD_RAW) && !d->privileged)
        rc = -EPERM;
    else if (sorted == NULL)
        rc = -ENOMEM;
    else
        rc = extents_check(op, extents, sorted);
    if (rc == 0) {
        spin_lock(&create_lock);
        rc = vbd_publish(op, extents, sorted, d);
        spin_unlock(&create_lock);
    }
    heap_free(sorted);
    domain_put(d);
    return rc;
}

/* ---- Its ring ---- */

static int ring_attach(struct vbd *vbd, const struct collet_vbd_connect *op, struct block_io *io)
{
    struct vbd_ring *ring = &vbd->ring;
    mfn_t mfn;

    if (vbd->closing || vbd->ending)
        return -EBUSY;
    if (ring->shared != NULL)
        return -EALREADY;
    if (grant_hold(vbd->domain, op->ring_ref, DOMID_XEN, true, &mfn) != 0)
        return -EINVAL;
    *ring = (struct vbd_ring){.ref = op->ring_ref, .port = op->port, .mfn = mfn, .io = io, .free = UINT32_MAX};
    ring->shared = mfn_to_virt(mfn);
    /* A ring that was in use before goes on where its answers ended. */
    ring->answered = READ_ONCE(ring->shared->rsp_prod);
    ring->taken = ring->answered;
    ring->shown = ring->answered;
    vbd->flags &= ~(COLLET_VBD_BROKEN);
    vbd->flags |= COLLET_VBD_CONNECTED;
    vbd->broken_why[0] = '\0';
    vbd->connected_ns = clock_now_ns();
    vbd->seen_ns = 0;
    return 0;
}

static void ring_detach(struct vbd *vbd)
{
    grant_release(vbd->domain, vbd->ring.ref, true, vbd->ring.mfn);
    vbd->ring.shared = NULL;
    vbd->flags &= ~COLLET_VBD_CONNECTED;
}

/* The channel first: a VBD that is out of service ignores what it hears, but nobody may unbind before it is bound. */
long vbd_connect(const struct collet_vbd_connect *op)
{
    struct vbd *vbd = vbd_find(op->vbd);
    struct block_io *io;
    int rc = -ENOMEM;

    if (vbd == NULL)
        return -ENOENT;
    if (READ_ONCE(vbd->ring.shared) != NULL) {
        vbd_put(vbd);
        return -EALREADY;
    }
    io = heap_alloc(RING_SLOTS * sizeof(*io));
    if (io == NULL)
        goto out;
    rc = event_sink_bind(vbd->domain, op->port, &vbd->sink);
    if (rc != 0)
        goto out;
    spin_lock(&vbd->lock);
    rc = ring_attach(vbd, op, io);
    spin_unlock(&vbd->lock);
    if (rc == 0) {
        io = NULL;
        block_want_turn(vbd);
    } else {
        event_sink_unbind(vbd->domain, op->port, &vbd->sink);
    }
out:
    heap_free(io);
    vbd_put(vbd);
    return rc;
}

/* Out of service: 0 when nothing is under way any more; -EINTR: something is. The caller is its user. */
static int ring_close(struct vbd *vbd)
{
    struct block_io *io = NULL;
    bool busy;

    spin_lock(&vbd->lock);
    if (vbd->ring.shared == NULL) {
        spin_unlock(&vbd->lock);
        return 0;
    }
    vbd->closing = true;
    spin_unlock(&vbd->lock);
    event_sink_unbind(vbd->domain, vbd->ring.port, &vbd->sink);
    timer_cancel_sync(&vbd->limit_timer);
    for (uint32_t i = 0; i < vbd->stream_count; i++)
        disk_cancel(&vbd->streams[i]);
    ring_answer(vbd);
    spin_lock(&vbd->lock);
    busy = vbd->in_flight != 0;
    if (!busy && vbd->ring.shared != NULL) {
        ring_detach(vbd);
        io = vbd->ring.io;
        vbd->ring.io = NULL;
        vbd->closing = false;
        vbd->throttled_since_ns = 0;
    }
    spin_unlock(&vbd->lock);
    heap_free(io);
    return busy ? -EINTR : 0;
}

long vbd_disconnect(uint32_t id)
{
    struct vbd *vbd = vbd_find(id);
    int rc;

    if (vbd == NULL)
        return -ENOENT;
    rc = ring_close(vbd);
    vbd_put(vbd);
    return rc;
}

/* ---- Its end ---- */

/* The caller is its user, and stays so unless 0. 0: it is gone; -EINTR: to be called again. */
static int vbd_end(struct vbd *vbd)
{
    int rc;

    spin_lock(&vbd->lock);
    vbd->ending = true;
    spin_unlock(&vbd->lock);
    rc = ring_close(vbd);
    if (rc != 0)
        return rc;
    block_forget(vbd);
    spin_lock(&vbds_lock);
    if (__atomic_load_n(&vbd->users, __ATOMIC_ACQUIRE) != 1) { /* somebody looks at it: in a moment */
        spin_unlock(&vbds_lock);
        return -EINTR;
    }
    list_remove(&vbd->link);
    spin_unlock(&vbds_lock);
    change_record(COLLET_CHANGE_VBD_DESTROYED, vbd->domain, vbd->id, vbd->name);
    vbd_free(vbd);
    return 0;
}

long vbd_destroy(uint32_t id)
{
    struct vbd *vbd = vbd_find(id);
    int rc;

    if (vbd == NULL)
        return -ENOENT;
    rc = vbd_end(vbd);
    if (rc != 0)
        vbd_put(vbd);
    return rc;
}

bool block_domain_destroy(struct domain *d)
{
    uint32_t next = 0;
    bool all = true;

    for (;;) {
        struct vbd *vbd = vbd_from(next, d->id);

        if (vbd == NULL)
            return all;
        next = vbd->id + 1;
        if (vbd->domain != d) { /* one of that number that went before */
            vbd_put(vbd);
            continue;
        }
        if (vbd_end(vbd) != 0) {
            vbd_put(vbd);
            all = false;
        }
    }
}

/* ---- Looking ---- */

long vbd_limits(const struct collet_vbd_limits *op)
{
    struct vbd *vbd;

    if (op->requests_per_s > NS_PER_S || op->bytes_per_s > (1ull << 32)) /* times NS_PER_S, they stay within 63 bits (ring.c) */
        return -ERANGE;
    vbd = vbd_find(op->vbd);
    if (vbd == NULL)
        return -ENOENT;
    spin_lock(&vbd->lock);
    vbd->requests_per_s = op->requests_per_s;
    vbd->bytes_per_s = op->bytes_per_s;
    vbd->requests_left = 0;
    vbd->bytes_left = 0;
    vbd->filled_ns = clock_now_ns();
    spin_unlock(&vbd->lock);
    timer_cancel(&vbd->limit_timer);
    ring_limit_passed(vbd);
    vbd_put(vbd);
    return 0;
}

long vbd_info(uint32_t from, uint32_t domid, struct collet_vbd_info *info)
{
    struct vbd *vbd = vbd_from(from, domid);

    if (vbd == NULL)
        return -ENOENT;
    memset(info, 0, sizeof(*info));
    spin_lock(&vbd->lock);
    info->vbd = vbd->id;
    info->domid = vbd->domain->id;
    info->device = vbd->device;
    info->flags = vbd->flags;
    strlcpy(info->name, vbd->name, sizeof(info->name));
    info->sectors = vbd->sectors;
    info->extents = vbd->extent_count;
    info->sector_bytes = vbd->block_sectors * BLK_SECTOR_BYTES;
    info->disk_flags = vbd->disk_flags;
    info->in_flight = vbd->in_flight;
    info->created_ns = vbd->created_ns;
    info->connected_ns = vbd->connected_ns;
    info->requests_per_s = vbd->requests_per_s;
    info->bytes_per_s = vbd->bytes_per_s;
    info->throttled = vbd->throttled;
    info->throttled_ns = vbd->throttled_ns + (vbd->throttled_since_ns != 0 ? vbd_elapsed_ns(vbd->throttled_since_ns, clock_now_ns()) : 0);
    memcpy(info->requests, vbd->requests, sizeof(info->requests));
    memcpy(info->sectors_done, vbd->sectors_done, sizeof(info->sectors_done));
    info->refused = vbd->refused;
    info->errors = vbd->errors;
    info->notifies = vbd->notifies;
    info->events = vbd->events;
    strlcpy(info->broken_why, vbd->broken_why, sizeof(info->broken_why));
    memcpy(info->latency, vbd->latency, sizeof(info->latency));
    spin_unlock(&vbd->lock);
    vbd_put(vbd);
    return 0;
}

long vbd_extents_get(uint32_t id, uint32_t first, uint32_t count, struct collet_extent *to)
{
    struct vbd *vbd = vbd_find(id);
    uint32_t n = 0;

    if (vbd == NULL)
        return -ENOENT;
    for (uint32_t i = first; i < vbd->extent_count && n < count; i++, n++)
        to[n] = (struct collet_extent){.disk = disk_device(vbd->extents[i].stream->disk)->id, .sector = vbd->extents[i].sector, .sectors = vbd->extents[i].sectors};
    vbd_put(vbd);
    return n;
}

static void ring_each_hold(const struct vbd_ring *ring, void (*each)(void *arg, mfn_t mfn, bool write), void *arg)
{
    if (ring->shared == NULL)
        return;
    each(arg, ring->mfn, true);
    for (uint32_t slot = 0; slot < RING_SLOTS; slot++)
        if (!(ring->free & (1u << slot)))
            for (uint32_t i = 0; i < ring->io[slot].held; i++)
                each(arg, MFN(ring->io[slot].grant[i].mfn), ring->io[slot].write_grants);
}

void block_each_hold(struct domain *d, void (*each)(void *arg, mfn_t mfn, bool write), void *arg)
{
    struct vbd *vbd;

    spin_lock(&vbds_lock);
    list_for_each_entry(vbd, &vbds, link)
        if (vbd->domain == d)
            ring_each_hold(&vbd->ring, each, arg);
    spin_unlock(&vbds_lock);
}

uint64_t block_domain_bytes(const struct domain *d)
{
    uint64_t bytes = 0;
    struct vbd *vbd;

    spin_lock(&vbds_lock);
    list_for_each_entry(vbd, &vbds, link)
        if (vbd->domain == d)
            bytes += sizeof(*vbd) + vbd->extent_count * sizeof(*vbd->extents) + vbd->stream_count * sizeof(*vbd->streams) +
                     (vbd->ring.io != NULL ? RING_SLOTS * sizeof(*vbd->ring.io) : 0);
    spin_unlock(&vbds_lock);
    return bytes;
}
