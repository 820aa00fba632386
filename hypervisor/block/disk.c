// SPDX-License-Identifier: MIT
/*
 * A disk: requests are queued with its ordering module, issued as the module says while the device has room, and told when they have ended.
 *
 * All of it runs in softirqs and hypercalls, under the disk's lock and with interrupts off while the module is asked; the interrupt handler only notes that poll is wanted. What ends is collected under the lock
 * and told without it. A batch costs one reading of the clock, one kick of the device. Nothing here is allocated for a request: its module data lie in its stream.
 * Contract: block-internal.h, blkdev.h. Tests: test-disk.c.
 */
#include "disk-internal.h"

#include "alloc.h"
#include "cpu.h"
#include "lib/string.h"
#include "log.h"
#include "trace.h"

#include <hv/errno.h>

#define POLL_MAX 64u

static struct disk *disks[DISKS_MAX];
uint32_t disk_count;

static uint32_t poll_wanted[MAX_CPUS];          /* bit per disk; atomic */
static struct disk_ended done_here[MAX_CPUS];   /* by blkdev_done, until disk_finish_done; this CPU's softirqs only */
_Static_assert(DISKS_MAX <= 32, "a set of disks is one word");

struct disk *disk_find(uint32_t id)
{
    return id < READ_ONCE(disk_count) ? disks[id] : NULL;
}

struct blkdev *disk_device(struct disk *disk)
{
    return disk->dev;
}

uint32_t disk_room(const struct disk *disk)
{
    uint32_t queued = READ_ONCE(disk->queued_count);

    return queued < DISK_QUEUED_MAX ? DISK_QUEUED_MAX - queued : 0;
}

bool disk_waiting(const struct disk *disk)
{
    return READ_ONCE(disk->queued_count) != 0;
}

/* ---- Telling ---- */

static void want_poll(uint32_t id)
{
    __atomic_fetch_or(&poll_wanted[this_cpu_id()], 1u << id, __ATOMIC_RELAXED);
    softirq_raise(SOFTIRQ_BLOCK);
}

void disk_want_poll(struct disk *disk)
{
    want_poll(disk->id);
}

void disk_end_later(struct disk *disk, struct block_request *r)
{
    disk_ended_add(&disk->ended, r);
    want_poll(disk->id);
}

static void tell_all(struct block_request *r)
{
    while (r != NULL) {
        struct block_request *next = r->done_next; /* done may submit it again */

        r->done(r, r->status);
        r = next;
    }
}

/* ---- Traces ---- */

static void trace_disk(enum collet_trace_kind kind, const struct disk *disk, const struct block_request *r, uint64_t b)
{
    if (trace_on(kind))
        trace_record(kind, COLLET_TRACE_SUBJECT(r->sched.vbd->domid, r->sched.vbd->id & 0xffff), r->sched.serial << 8 | disk->id, b);
}

/* ---- Queueing ---- */

static void bucket_add(struct disk *disk, struct block_request *r)
{
    struct block_request **bucket = disk_bucket(disk, r);

    r->bucket_next = *bucket;
    *bucket = r;
}

static void bucket_remove(struct disk *disk, const struct block_request *r)
{
    struct block_request **at = disk_bucket(disk, r);

    while (*at != r)
        at = &(*at)->bucket_next;
    *at = r->bucket_next;
}

/* Its module data, zeroed. */
static void slot_take(struct disk *disk, struct disk_stream *s, struct block_request *r)
{
    uint64_t *word;

    r->slot = (uint32_t)__builtin_ctz(s->slots_free);
    s->slots_free &= s->slots_free - 1;
    r->sched.data = NULL;
    if (disk->slot_bytes == 0)
        return;
    word = (uint64_t *)((char *)s->slots + (size_t)r->slot * disk->slot_bytes);
    r->sched.data = word;
    for (uint32_t i = 0; i < disk->slot_bytes / sizeof(*word); i++)
        word[i] = 0;
}

static void slot_free(struct disk_stream *s, const struct block_request *r)
{
    s->slots_free |= 1u << r->slot;
}

static void queue_request(struct disk *disk, struct disk_stream *s, struct block_request *r, uint64_t now_ns)
{
    slot_take(disk, s, r);
    r->room_ns = disk_room_ns(disk, now_ns);
    r->decisions = disk->decisions;
    list_push_back(&disk->queued, &r->sched.link);
    bucket_add(disk, r);
    disk->queued_count++;
    disk->held = false;
    if (disk_recorded(disk))
        disk_record_arrive(disk, r, now_ns);
    disk->ops.insert(disk->state, &r->sched, now_ns);
}

static void queue_flush(struct disk *disk, struct block_request *r, uint64_t now_ns)
{
    if (disk_recorded(disk))
        disk_record_arrive(disk, r, now_ns);
    if (!disk->dev->can_flush) {
        r->sched.place = BLOCK_NOWHERE;
        r->status = 0;
        r->issue_ns = r->end_ns = now_ns;
        disk_stream_of(r)->in_flight--;
        disk->requests[COLLET_BLK_FLUSH]++;
        trace_disk(COLLET_TRACE_DISK_COMPLETE, disk, r, 0);
        disk_end_later(disk, r);
        return;
    }
    list_push_back(&disk->flushes, &r->sched.link);
    disk->flush_count++;
}

/* It cannot even be queued: the device is gone, or it lies beyond the end. */
static bool hopeless(const struct disk *disk, const struct disk_stream *s, const struct block_request *r)
{
    uint64_t sectors = READ_ONCE(disk->dev->sectors);

    if (unlikely(disk->failed))
        return true;
    if (r->sched.op == BLKDEV_FLUSH)
        return false;
    return s->slots_free == 0 || r->sched.sector >= sectors || r->sched.sectors > sectors - r->sched.sector;
}

void disk_submit(struct disk_stream *s, struct block_request *r, uint64_t now_ns)
{
    struct disk *disk = s->disk;
    uint64_t flags = spin_lock_irqsave(&disk->lock);

    now_ns = disk_time(disk, now_ns);
    r->sched.vbd = &s->sched;
    r->sched.serial = ++disk->serial;
    r->sched.arrived_ns = now_ns;
    r->sched.merged = NULL;
    r->sched.place = BLOCK_QUEUED;
    r->dev.more = NULL;
    r->model_ns = 0;
    r->again = false;
    if (unlikely(hopeless(disk, s, r))) {
        r->sched.place = BLOCK_NOWHERE;
        r->status = -EIO;
        r->issue_ns = r->end_ns = now_ns;
        disk_end_later(disk, r);
    } else {
        s->in_flight++;
        trace_disk(COLLET_TRACE_DISK_QUEUE, disk, r, r->sched.sector | (uint64_t)r->sched.op << 60);
        if (r->sched.op == BLKDEV_FLUSH)
            queue_flush(disk, r, now_ns);
        else
            queue_request(disk, s, r, now_ns);
    }
    spin_unlock_irqrestore(&disk->lock, flags);
}

void disk_unqueue(struct disk *disk, struct block_request *r)
{
    list_remove(&r->sched.link);
    bucket_remove(disk, r);
    disk->queued_count--;
}

/* ---- Issuing ---- */

/* The first of a chain leaves the queue, and all behind it, for one device request. */
static void take_chain(struct disk *disk, struct block_request *first, uint64_t now_ns)
{
    struct blkdev_request **more = NULL;

    for (struct blk_request *s = &first->sched; s != NULL; s = s->merged) {
        struct block_request *r = disk_request_of(s);

        disk_unqueue(disk, r);
        s->place = BLOCK_ISSUED;
        s->issued_ns = now_ns;
        r->issue_ns = now_ns;
        r->generation = disk->generation;
        if (more != NULL)
            *more = &r->dev;
        more = &r->dev.more;
        disk->issued_pieces++;
        if (disk_recorded(disk))
            disk_record_piece(disk, COLLET_DISK_DECIDE, r, r != first ? COLLET_DISK_MERGED : 0, now_ns);
        trace_disk(COLLET_TRACE_DISK_ISSUE, disk, r, now_ns - s->arrived_ns);
    }
    disk->decisions++;
}

static struct block_request *take_flush(struct disk *disk, uint64_t now_ns)
{
    struct block_request *r = disk_request_of(list_first_entry(&disk->flushes, struct blk_request, link));

    list_remove(&r->sched.link);
    disk->flush_count--;
    disk->issued_pieces++;
    r->sched.place = BLOCK_ISSUED;
    r->sched.issued_ns = r->issue_ns = now_ns;
    r->generation = 0;
    trace_disk(COLLET_TRACE_DISK_ISSUE, disk, r, now_ns - r->sched.arrived_ns);
    return r;
}

/* How far the heads go for it, if there were any. */
static void count_issue(struct disk *disk, const struct block_request *first)
{
    uint64_t begin = first->sched.sector, end = begin;

    disk->device_requests++;
    if (first->sched.op == BLKDEV_FLUSH)
        return;
    for (const struct blk_request *s = &first->sched; s != NULL; s = s->merged)
        end += s->sectors;
    disk->seek_sectors += begin > disk->position ? begin - disk->position : disk->position - begin;
    disk->position = end;
}

/* What the device is to get next; NULL: nothing, or not yet. */
static struct block_request *take_next(struct disk *disk, uint64_t now_ns)
{
    struct block_request *first;

    if (unlikely(disk->flush_count != 0)) {
        first = take_flush(disk, now_ns);
    } else {
        if (disk->queued_count == 0 || disk->held)
            return NULL;
        first = disk_ask(disk, now_ns);
        if (first == NULL)
            return NULL;
        take_chain(disk, first, now_ns);
    }
    count_issue(disk, first);
    if (unlikely(disk->drive != NULL))
        first->model_ns = disk_model_issue(disk, first, now_ns);
    list_push_back(&disk->issued, &first->sched.link);
    if (disk->issued_count++ == 0)
        disk->busy_since_ns = now_ns;
    return first;
}

static void end_chain(struct disk *disk, struct block_request *first, uint64_t now_ns, struct disk_ended *told);

static struct block_request *take_returned(struct disk *disk)
{
    struct block_request *first = disk->returned.first;

    disk->returned.first = first->done_next;
    if (first->done_next == NULL)
        disk->returned.last = &disk->returned.first;
    disk->returned_count--;
    return first;
}

/* The device had no room for it: the next to be given. */
static void put_back(struct disk *disk, struct block_request *first)
{
    first->done_next = disk->returned.first;
    if (first->done_next == NULL)
        disk->returned.last = &first->done_next;
    disk->returned.first = first;
    disk->returned_count++;
    disk->blocked = true;
}

/* One for the device. False: it takes no more now. */
static bool issue_one(struct disk *disk, uint64_t now_ns, bool *kick)
{
    struct block_request *first = unlikely(disk->returned.first != NULL) ? take_returned(disk) : take_next(disk, now_ns);
    int rc;

    if (first == NULL)
        return false;
    rc = disk->dev->ops->submit(disk->dev, &first->dev);
    if (likely(rc == 0)) {
        *kick = true;
        return true;
    }
    if (rc == -ENOSPC) {
        put_back(disk, first);
        return false;
    }
    first->status = -EIO;
    end_chain(disk, first, now_ns, &disk->ended);
    want_poll(disk->id);
    return true;
}

/* Ask and issue while there is room. Lock held. True: the device is to be kicked. */
static bool issue_all(struct disk *disk, uint64_t now_ns)
{
    bool kick = false;

    if (unlikely(disk->resetting) || (unlikely(disk->blocked) && disk->issued_count > disk->returned_count))
        return false;
    for (uint32_t left = disk->depth; left != 0 && (disk->issued_count < disk->depth || disk->returned.first != NULL); left--)
        if (!issue_one(disk, now_ns, &kick))
            break;
    if (disk->issued_count != 0 && unlikely(!disk->timing))
        disk_timeout_arm(disk, now_ns);
    if (disk->queued_count != 0 && unlikely(!disk->watching))
        disk_watch_arm(disk, now_ns);
    return kick;
}

void disk_run(struct disk *disk)
{
    uint64_t flags;
    bool kick;

    /* Whoever queues something runs the disk afterwards: a look without the lock is enough. */
    if (READ_ONCE(disk->returned.first) == NULL &&
        (READ_ONCE(disk->queued_count) + READ_ONCE(disk->flush_count) == 0 || READ_ONCE(disk->issued_count) >= READ_ONCE(disk->depth)))
        return;
    flags = spin_lock_irqsave(&disk->lock);
    kick = issue_all(disk, disk_time(disk, clock_now_ns()));
    spin_unlock_irqrestore(&disk->lock, flags);
    if (kick)
        disk->dev->ops->kick(disk->dev);
}

/* ---- Ending ---- */

static unsigned int kind_of(uint8_t op)
{
    static const uint8_t kinds[] = {[BLK_READ] = COLLET_BLK_READ, [BLK_WRITE] = COLLET_BLK_WRITE, [BLK_DISCARD] = COLLET_BLK_DISCARD, [BLK_WRITE_ZEROES] = COLLET_BLK_WRITE,
                                    [BLKDEV_FLUSH] = COLLET_BLK_FLUSH};

    return kinds[op];
}

static void end_piece(struct disk *disk, struct block_request *r, uint64_t now_ns)
{
    struct disk_stream *s = disk_stream_of(r);
    unsigned int kind = kind_of(r->sched.op);

    r->sched.place = BLOCK_NOWHERE;
    r->end_ns = now_ns;
    s->in_flight--;
    disk->issued_pieces--;
    disk->requests[kind]++;
    trace_disk(COLLET_TRACE_DISK_COMPLETE, disk, r, (now_ns - r->issue_ns) | (r->status != 0 ? 1ull << 63 : 0));
    if (unlikely(r->sched.op == BLKDEV_FLUSH))
        return;
    if (likely(r->status == 0))
        disk->sectors_done[kind] += r->sched.sectors;
    if (disk_recorded(disk) && r->generation >= disk->recording->generation) {
        disk_record_piece(disk, COLLET_DISK_COMPLETE, r, 0, now_ns);
        s->completions++;
        s->last_completion_ns = now_ns;
    }
    if (r->generation == disk->generation && disk->ops.complete != NULL)
        disk->ops.complete(disk->state, &r->sched, now_ns);
    slot_free(s, r);
}

/* A device request has ended with first->status: all its pieces have. Lock held. */
static void end_chain(struct disk *disk, struct block_request *first, uint64_t now_ns, struct disk_ended *told)
{
    int status = first->status;
    struct blkdev_request *part = &first->dev;

    list_remove(&first->sched.link);
    if (--disk->issued_count == 0)
        disk->busy_ns += now_ns - disk->busy_since_ns;
    if (unlikely(status != 0))
        disk->errors++;
    disk->held = false;
    disk->blocked = false;
    do {
        struct block_request *r = container_of(part, struct block_request, dev);

        part = part->more;
        r->status = status;
        end_piece(disk, r, now_ns);
        disk_ended_add(told, r);
    } while (part != NULL);
}

/* Requests that ended elsewhere are told now too. */
static void join_ended(struct disk *disk, struct disk_ended *told)
{
    if (likely(disk->ended.first == NULL))
        return;
    *told->last = disk->ended.first;
    told->last = disk->ended.last;
    disk_ended_init(&disk->ended);
}

/*
 * A reset took it, and it may or may not have been done: the device gets it once more, as the same request. Its guest has no answer yet, so that a write which is done twice is no more than one that came late, and a
 * flush does what it promises of all that was answered before. False: it has ended. Lock held.
 */
static bool give_again(struct disk *disk, struct block_request *first)
{
    if (first->status != -EAGAIN)
        return false;
    if (first->again || disk->failed) {
        first->status = -EIO;
        return false;
    }
    first->again = true;
    disk->repeats++;
    disk->returned_count++;
    disk_ended_add(&disk->returned, first);
    return true;
}

void disk_finish(struct disk *disk, struct disk_ended *batch, uint64_t now_ns)
{
    struct disk_ended told;
    struct block_request *next;
    uint64_t flags;
    bool kick;

    disk_ended_init(&told);
    flags = spin_lock_irqsave(&disk->lock);
    now_ns = disk_time(disk, now_ns);
    for (struct block_request *r = batch->first; r != NULL; r = next) {
        next = r->done_next;
        if (unlikely(r->status != 0) && give_again(disk, r))
            continue;
        if (unlikely(r->model_ns != 0) && disk_model_keeps(disk, r, now_ns))
            continue;
        end_chain(disk, r, now_ns, &told);
    }
    kick = issue_all(disk, now_ns);
    join_ended(disk, &told);
    spin_unlock_irqrestore(&disk->lock, flags);
    if (kick)
        disk->dev->ops->kick(disk->dev);
    tell_all(told.first);
}

void disk_finish_done(struct disk *disk)
{
    struct disk_ended *here = &done_here[this_cpu_id()], batch;

    if (here->first == NULL && READ_ONCE(disk->ended.first) == NULL)
        return;
    disk_ended_init(&batch);
    if (here->first != NULL) {
        batch = *here;
        disk_ended_init(here);
    }
    disk_finish(disk, &batch, clock_now_ns());
}

static void poll_disk(struct disk *disk)
{
    if (disk->dev->ops->poll(disk->dev, POLL_MAX))
        want_poll(disk->id);
    disk_finish_done(disk);
    if (unlikely(READ_ONCE(disk->retired.name) != NULL))
        disk_module_settle(disk);
}

void disks_poll(void)
{
    uint32_t cpu = this_cpu_id(), wanted;

    if (READ_ONCE(poll_wanted[cpu]) == 0)
        return;
    wanted = __atomic_exchange_n(&poll_wanted[cpu], 0, __ATOMIC_RELAXED);
    for (; wanted != 0; wanted &= wanted - 1)
        poll_disk(disks[__builtin_ctz(wanted)]);
}

/* ---- Taking back ---- */

/* It has not been issued, and never will be: with -EIO. Lock held. */
static void take_back(struct disk *disk, struct block_request *r, uint64_t now_ns, struct disk_ended *told)
{
    if (r->sched.op == BLKDEV_FLUSH) {
        list_remove(&r->sched.link);
        disk->flush_count--;
    } else {
        disk->ops.remove(disk->state, &r->sched, now_ns);
        disk_unqueue(disk, r);
        if (disk_recorded(disk))
            disk_record_piece(disk, COLLET_DISK_CANCEL, r, 0, now_ns);
        slot_free(disk_stream_of(r), r);
    }
    r->sched.place = BLOCK_NOWHERE;
    r->status = -EIO;
    r->issue_ns = r->end_ns = now_ns;
    disk_stream_of(r)->in_flight--;
    trace_disk(COLLET_TRACE_DISK_COMPLETE, disk, r, 1ull << 63);
    disk_ended_add(told, r);
}

/* Of one stream, or (NULL) of all. Lock held. */
static void take_back_all(struct disk *disk, const struct disk_stream *s, uint64_t now_ns, struct disk_ended *told)
{
    struct blk_request *r, *next;

    list_for_each_entry_safe(r, next, &disk->queued, link)
        if (s == NULL || r->vbd == &s->sched)
            take_back(disk, disk_request_of(r), now_ns, told);
    list_for_each_entry_safe(r, next, &disk->flushes, link)
        if (s == NULL || r->vbd == &s->sched)
            take_back(disk, disk_request_of(r), now_ns, told);
    disk->held = false;
    if (disk->queued_count == 0 && disk->hold_since_ns != 0) {
        disk->room_ns = disk_room_ns(disk, now_ns);
        disk->hold_since_ns = 0;
    }
}

void disk_cancel(struct disk_stream *s)
{
    struct disk *disk = s->disk;
    struct disk_ended told;
    uint64_t flags;

    disk_ended_init(&told);
    flags = spin_lock_irqsave(&disk->lock);
    take_back_all(disk, s, disk_time(disk, clock_now_ns()), &told);
    join_ended(disk, &told);
    spin_unlock_irqrestore(&disk->lock, flags);
    tell_all(told.first);
}

void disk_fail_queued(struct disk *disk, uint64_t now_ns)
{
    while (disk->returned.first != NULL) {
        struct block_request *first = take_returned(disk);

        first->status = -EIO;
        end_chain(disk, first, now_ns, &disk->ended);
    }
    take_back_all(disk, NULL, now_ns, &disk->ended);
    want_poll(disk->id);
}

/* ---- The driver's side ---- */

void blkdev_done(struct blkdev *dev, struct blkdev_request *request, int status)
{
    struct block_request *r = container_of(request, struct block_request, dev);

    (void)dev;
    r->status = status == 0 || status == -EAGAIN ? status : -EIO;
    disk_ended_add(&done_here[this_cpu_id()], r);
}

void blkdev_interrupt(struct blkdev *dev)
{
    want_poll(dev->id);
}

static void disk_init(struct disk *disk, struct blkdev *dev, uint32_t id)
{
    disk->lock = SPINLOCK_INIT;
    disk->dev = dev;
    disk->id = id;
    disk->depth = max(dev->depth, 1u);
    list_init(&disk->queued);
    list_init(&disk->flushes);
    list_init(&disk->issued);
    list_init(&disk->streams);
    list_init(&disk->settings);
    disk_ended_init(&disk->ended);
    disk_ended_init(&disk->returned);
    disk_watch_init(disk);
}

void disks_init(void)
{
    for (uint32_t cpu = 0; cpu < MAX_CPUS; cpu++) {
        disk_ended_init(&done_here[cpu]);
        poll_wanted[cpu] = 0;
    }
}

int blkdev_register(struct blkdev *dev)
{
    struct disk *disk;
    int rc;

    if (disk_count == DISKS_MAX) {
        log_warning("%s: more than %u disks; this one is left alone", dev->ops->name, DISKS_MAX);
        return -ENOMEM;
    }
    if (disk_count == 0)
        disks_init();
    disk = heap_alloc(sizeof(*disk));
    if (disk == NULL)
        return -ENOMEM;
    disk_init(disk, dev, disk_count);
    rc = disk_module_begin(disk);
    if (rc != 0) {
        heap_free(disk);
        return rc;
    }
    dev->id = disk->id;
    dev->core = disk;
    disks[disk->id] = disk;
    __atomic_store_n(&disk_count, disk_count + 1, __ATOMIC_RELEASE);
    log_info("disk%u: %s, %llu MiB, depth %u, ordered by %s", disk->id, dev->ops->name, (unsigned long long)(dev->sectors >> 11), disk->depth, disk->ops.name);
    return 0;
}
