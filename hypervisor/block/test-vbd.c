// SPDX-License-Identifier: MIT
/*
 * VBDs and their rings between an invented guest and two invented disks that hold their sectors in memory: every kind of request, every lie, limits, barriers, ends; and a random run after which
 * no frame may be left pinned.
 */
// needs: vbd.c ring.c block.c tests/unit/fakes-machine.c

#include "vbd-internal.h"

#include "alloc.h"
#include "changes.h"
#include "cpu.h"
#include "time.h"
#include "vcpu.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DISKS 2u
#define DISK_SECTORS 8192u
#define FRAMES 64u
#define RING_REF 8u
#define FIRST_REF 16u /* reference FIRST_REF + n is frame n */

struct disk {
    struct blkdev dev;
    uint8_t data[DISK_SECTORS * 512];
    struct block_request *queue[512];
    struct disk_stream *of[512];
    uint32_t queued;
    bool fails;
    uint32_t room, flushes, runs;
};

static struct disk disks[DISKS];
uint32_t disk_count = DISKS;
static struct domain guest, dom0;
struct domain *domain0 = &dom0;
static uint8_t memory[FRAMES][4096] aligned_to(4096);
static blkif_sring_t *ring = (blkif_sring_t *)memory[0];
static int held[FRAMES], writers[FRAMES];
static uint64_t now;
static uint32_t softirqs, raised, changes;
static struct event_sink *bound;
static RING_IDX asked, answered;

/* ---- What is around ---- */

size_t strlcpy(char *to, const char *from, size_t size)
{
    snprintf(to, size, "%s", from);
    return strlen(from);
}
static uint64_t skew; /* every other time another CPU is asked, whose clock is behind */
uint64_t clock_now_ns(void)
{
    static uint32_t asked_times;

    return now - (asked_times++ % 2 != 0 ? skew : 0);
}
void *mfn_to_virt(mfn_t mfn)
{
    return memory[mfn.n];
}
int grant_hold(struct domain *d, grant_ref_t ref, domid_t by, bool write, mfn_t *mfn)
{
    uint64_t n = ref == RING_REF ? 0 : (uint64_t)ref - FIRST_REF;

    ck_assert_ptr_eq(d, &guest);
    ck_assert_uint_eq(by, DOMID_XEN);
    if (n >= FRAMES || (write && n == FRAMES - 1)) /* the last one is read-only */
        return GNTST_bad_gntref;
    held[n]++;
    writers[n] += write;
    *mfn = MFN(n);
    return 0;
}
void grant_release(struct domain *d, grant_ref_t ref, bool write, mfn_t mfn)
{
    (void)d;
    (void)ref;
    held[mfn.n]--;
    writers[mfn.n] -= write;
    ck_assert_int_ge(held[mfn.n], 0);
    ck_assert_int_ge(writers[mfn.n], 0);
}
int event_sink_bind(struct domain *d, evtchn_port_t port, struct event_sink *sink)
{
    (void)d;
    if (port != 5 || bound != NULL)
        return -EINVAL;
    bound = sink;
    return 0;
}
void event_sink_unbind(struct domain *d, evtchn_port_t port, struct event_sink *sink)
{
    (void)d;
    (void)port;
    if (bound == sink)
        bound = NULL;
}
void event_raise(struct domain *d, evtchn_port_t port)
{
    (void)d;
    ck_assert_uint_eq(port, 5);
    raised++;
}
struct domain *domain_find(domid_t id)
{
    struct domain *d = id == guest.id ? &guest : id == 0 ? &dom0 : NULL;

    if (d != NULL)
        d->refs++;
    return d;
}
void domain_get(struct domain *d)
{
    d->refs++;
}
void domain_put(struct domain *d)
{
    ck_assert_uint_gt(d->refs, 0);
    d->refs--;
}
void change_record(enum collet_change_kind kind, const struct domain *d, uint64_t value, const char *text)
{
    (void)kind;
    (void)d;
    (void)value;
    (void)text;
    changes++;
}
void log_guest(struct domain *d, enum log_level level, const char *fmt, ...)
{
    (void)d;
    (void)level;
    (void)fmt;
}
static void (*softirq)(void);
void softirq_register(enum softirq nr, void (*handler)(void))
{
    ck_assert_int_eq(nr, SOFTIRQ_BLOCK);
    softirq = handler;
}
void softirq_raise(enum softirq nr)
{
    (void)nr;
    softirqs++;
}
void timer_init(struct timer *t, void (*handler)(void *), void *arg, uint32_t cpu)
{
    *t = (struct timer){.handler = handler, .arg = arg, .cpu = cpu};
}
static struct timer *pausing; /* block.c's */
void timer_set(struct timer *t, uint64_t deadline_ns)
{
    if (t->arg == NULL)
        pausing = t;
    t->armed = true;
    t->deadline_ns = deadline_ns;
}
void timer_cancel(struct timer *t)
{
    t->armed = false;
}
void timer_cancel_sync(struct timer *t)
{
    t->armed = false;
}

/* ---- The disks ---- */

struct disk *disk_find(uint32_t id)
{
    return id < DISKS ? &disks[id] : NULL;
}
struct blkdev *disk_device(struct disk *disk)
{
    return &disk->dev;
}
int disk_stream_open(struct disk_stream *s, struct disk *disk, uint32_t vbd, uint32_t domid)
{
    s->disk = disk;
    s->sched.id = vbd;
    s->sched.domid = domid;
    return 0;
}
void disk_stream_close(struct disk_stream *s)
{
    ck_assert_uint_eq(s->in_flight, 0);
}
void disk_submit(struct disk_stream *s, struct block_request *r, uint64_t now_ns)
{
    struct disk *disk = s->disk;

    ck_assert_uint_gt(now_ns, 0);
    ck_assert_ptr_eq(r->sched.vbd, &s->sched);
    if (r->dev.op != BLKDEV_FLUSH)
        ck_assert_uint_le(r->dev.sector + r->dev.sectors, DISK_SECTORS);
    disk->of[disk->queued] = s;
    disk->queue[disk->queued++] = r;
    s->in_flight++;
}
void disk_run(struct disk *disk)
{
    disk->runs++;
}
uint32_t disk_room(const struct disk *disk)
{
    return disk->room;
}
static bool waiting;
bool disk_waiting(const struct disk *disk)
{
    (void)disk;
    return waiting;
}
static void serve(struct disk *disk, struct block_request *r)
{
    uint8_t *at = disk->data + r->dev.sector * 512;
    uint32_t bytes = 0;

    if (r->dev.op == BLKDEV_FLUSH)
        disk->flushes++;
    if (r->dev.op == BLK_DISCARD)
        memset(at, 0, r->dev.sectors * 512);
    for (uint32_t i = 0; i < r->dev.segment_count; i++) {
        const struct blkdev_segment *s = &r->dev.segments[i];
        uint8_t *frame = (uint8_t *)memory + s->maddr;

        ck_assert_uint_le(s->maddr % 4096 + s->bytes, 4096);
        ck_assert_int_gt(held[s->maddr / 4096], 0);
        ck_assert(r->dev.op != BLK_READ || writers[s->maddr / 4096] > 0);
        if (r->dev.op == BLK_READ)
            memcpy(frame, at, s->bytes);
        else
            memcpy(at, frame, s->bytes);
        at += s->bytes;
        bytes += s->bytes;
    }
    if (r->dev.op == BLK_READ || r->dev.op == BLK_WRITE)
        ck_assert_uint_eq(bytes, r->dev.sectors * 512);
    ck_assert_uint_le(r->dev.segment_count, disk->dev.segments_max);
}
/* Request `at` of the queue ends. */
static void end_one(struct disk *disk, uint32_t at, int status)
{
    struct block_request *r = disk->queue[at];

    disk->of[at]->in_flight--;
    disk->queued--;
    disk->queue[at] = disk->queue[disk->queued];
    disk->of[at] = disk->of[disk->queued];
    now += 1000;
    r->issue_ns = now - 500;
    r->end_ns = now;
    if (status == 0)
        serve(disk, r);
    r->done(r, status);
}
static bool issued; /* all are with the device: none can be taken back */
void disk_cancel(struct disk_stream *s)
{
    for (uint32_t i = issued ? 0 : s->disk->queued; i-- > 0;)
        if (s->disk->of[i] == s)
            end_one(s->disk, i, -EIO);
}
static bool lazy; /* requests stay until the test ends them */
void disks_poll(void)
{
    for (uint32_t d = 0; !lazy && d < DISKS; d++)
        while (disks[d].queued > 0)
            end_one(&disks[d], 0, disks[d].fails ? -EIO : 0);
}

/* ---- The guest ---- */

static void run(void)
{
    do {
        softirqs = 0;
        softirq();
    } while (softirqs > 0);
    for (int i = 0; i < 4; i++)
        softirq(); /* polls what was issued, and shows the answers */
}

static blkif_request_t *ask(uint8_t operation, uint64_t sector)
{
    blkif_request_t *r = &ring->ring[asked++ % RING_SLOTS].req;

    memset(r, 0, sizeof(*r));
    r->operation = operation;
    r->id = 1000 + asked;
    r->sector_number = sector;
    return r;
}

static void segment(blkif_request_t *r, uint32_t frame, uint8_t first, uint8_t last)
{
    r->seg[r->nr_segments++] = (struct blkif_request_segment){.gref = FIRST_REF + frame, .first_sect = first, .last_sect = last};
}

static uint32_t told;

/* As blkfront does: it tells only if that is asked for. */
static void kick(void)
{
    RING_IDX before = ring->req_prod;

    ring->req_prod = asked;
    if (bound != NULL && (RING_IDX)(asked - ring->req_event) < (RING_IDX)(asked - before)) {
        told++;
        bound->notify(bound);
    }
    run();
}

/* The next answer, which must be there. */
static int answer(void)
{
    blkif_response_t *r;

    ck_assert_int_gt((int)(ring->rsp_prod - answered), 0);
    r = &ring->ring[answered++ % RING_SLOTS].rsp;
    return r->status;
}

static int one(blkif_request_t *r)
{
    uint8_t operation = r->operation;
    uint64_t id = r->id;
    blkif_response_t *a;

    if (operation == BLKIF_OP_INDIRECT) {
        id = ((blkif_request_indirect_t *)r)->id;
        operation = ((blkif_request_indirect_t *)r)->indirect_op;
    }
    kick();
    ck_assert_int_eq((int)(ring->rsp_prod - answered), 1);
    a = &ring->ring[answered % RING_SLOTS].rsp;
    ck_assert_uint_eq(a->operation, operation);
    ck_assert_uint_eq(a->id, id);
    return answer();
}

static uint32_t make(uint32_t flags, const struct collet_extent *extents, uint32_t count, long want)
{
    static uint32_t device;
    struct collet_vbd_create op = {.domid = guest.id, .flags = flags, .device = ++device, .extents = count, .name = "root"};

    ck_assert_int_eq(vbd_create(&op, extents), want);
    return op.vbd;
}

static uint32_t connected(uint32_t flags)
{
    /* Three extents in an order of their own; 1000 sectors. */
    const struct collet_extent e[] = {{.disk = 0, .sector = 1000, .sectors = 300}, {.disk = 1, .sector = 0, .sectors = 600}, {.disk = 0, .sector = 0, .sectors = 100}};
    uint32_t vbd = make(flags, e, 3, 0);
    struct collet_vbd_connect c = {.vbd = vbd, .ring_ref = RING_REF, .port = 5};

    ck_assert_int_eq(vbd_connect(&c), 0);
    return vbd;
}

static void setup(void)
{
    memset(disks, 0, sizeof(disks));
    memset(memory, 0, sizeof(memory));
    memset(held, 0, sizeof(held));
    memset(writers, 0, sizeof(writers));
    for (uint32_t d = 0; d < DISKS; d++) {
        disks[d].dev = (struct blkdev){.id = d, .sectors = DISK_SECTORS, .block_bytes = 512, .can_flush = true, .can_discard = true, .discard_sectors_max = 64, .depth = 64, .sectors_max = 1024, .segments_max = 64};
        disks[d].room = 64;
        for (uint32_t i = 0; i < DISK_SECTORS; i++)
            memset(disks[d].data + i * 512, (int)(d * 100 + i % 97), 512);
    }
    guest = (struct domain){.id = 3, .refs = 1};
    dom0 = (struct domain){.id = 0, .refs = 1, .privileged = true};
    ring->req_event = ring->rsp_event = 1;
    now = 1000000;
    raised = asked = answered = 0;
    bound = NULL;
    lazy = issued = false;
    block_init();
}

static void teardown(void)
{
    guest.dying = true;
    while (!block_domain_destroy(&guest))
        disks_poll();
    ck_assert_int_eq(block_domain_destroy(&dom0), true);
    ck_assert_uint_eq(guest.refs, 1);
    for (uint32_t i = 0; i < FRAMES; i++)
        ck_assert_int_eq(held[i] + writers[i], 0);
}

START_TEST(reads_and_writes_over_extents)
{
    uint32_t vbd = connected(0);
    struct collet_vbd_info info;
    blkif_request_t *r = ask(BLKIF_OP_READ, 296);

    segment(r, 1, 2, 7); /* six sectors: four of the first extent, two of the second */
    segment(r, 2, 0, 0);
    ck_assert_int_eq(one(r), BLKIF_RSP_OKAY);
    ck_assert_uint_eq(memory[1][2 * 512], 1296 % 97);
    ck_assert_uint_eq(memory[1][5 * 512], 1299 % 97);
    ck_assert_uint_eq(memory[1][6 * 512], 100);
    ck_assert_uint_eq(memory[1][7 * 512], 101);
    ck_assert_uint_eq(memory[2][0], 102);
    ck_assert_uint_eq(memory[2][512], 0);
    memset(memory[3], 0xee, 4096);
    r = ask(BLKIF_OP_WRITE, 897);
    segment(r, 3, 0, 7);
    ck_assert_int_eq(one(r), BLKIF_RSP_OKAY);
    ck_assert_uint_eq(disks[1].data[597 * 512], 0xee);
    ck_assert_uint_eq(disks[1].data[599 * 512 + 511], 0xee);
    ck_assert_uint_ne(disks[1].data[600 * 512], 0xee);
    ck_assert_uint_eq(disks[0].data[0], 0xee);
    ck_assert_uint_eq(disks[0].data[4 * 512], 0xee);
    ck_assert_uint_ne(disks[0].data[5 * 512], 0xee);
    ck_assert_int_eq(vbd_info(vbd, UINT32_MAX, &info), 0);
    ck_assert_uint_eq(info.requests[COLLET_BLK_READ], 1);
    ck_assert_uint_eq(info.sectors_done[COLLET_BLK_READ], 7);
    ck_assert_uint_eq(info.sectors_done[COLLET_BLK_WRITE], 8);
    ck_assert_uint_eq(info.in_flight, 0);
    ck_assert_uint_eq(raised, 1); /* rsp_event was 1, and has not moved */
}
END_TEST

START_TEST(indirect_flush_barrier_discard)
{
    blkif_request_indirect_t *i;
    struct blkif_request_segment *s = (struct blkif_request_segment *)memory[40];
    blkif_request_discard_t *d;
    blkif_request_t *r;

    (void)connected(0);
    for (uint32_t n = 0; n < 32; n++)
        s[n] = (struct blkif_request_segment){.gref = FIRST_REF + 1 + n, .first_sect = 0, .last_sect = 7};
    i = (blkif_request_indirect_t *)ask(BLKIF_OP_INDIRECT, 0);
    memset((char *)i + 1, 0, sizeof(*i) - 1);
    i->indirect_op = BLKIF_OP_READ;
    i->nr_segments = 32;
    i->id = 77;
    i->sector_number = 200;
    i->indirect_grefs[0] = FIRST_REF + 40;
    ck_assert_int_eq(one((blkif_request_t *)i), BLKIF_RSP_OKAY);
    ck_assert_uint_eq(memory[1][0], 1200 % 97);
    ck_assert_uint_eq(memory[1 + 12][4 * 512], 100); /* sector 300: the second extent */
    ck_assert_uint_eq(memory[32][7 * 512], 100 + (455 - 300) % 97);
    ck_assert_int_eq(one(ask(BLKIF_OP_FLUSH_DISKCACHE, 0)), BLKIF_RSP_OKAY);
    ck_assert_uint_eq(disks[0].flushes, 1);
    ck_assert_uint_eq(disks[1].flushes, 1);
    r = ask(BLKIF_OP_WRITE_BARRIER, 0);
    segment(r, 1, 0, 7);
    ck_assert_int_eq(one(r), BLKIF_RSP_OKAY);
    ck_assert_uint_eq(disks[0].flushes, 3);
    d = (blkif_request_discard_t *)ask(BLKIF_OP_DISCARD, 250);
    d->nr_sectors = 200;
    ck_assert_int_eq(one((blkif_request_t *)d), BLKIF_RSP_OKAY);
    ck_assert_uint_eq(disks[0].data[1250 * 512], 0);
    ck_assert_uint_eq(disks[1].data[149 * 512], 0);
    ck_assert_uint_eq(disks[1].data[150 * 512], 100 + 150 % 97);
    ck_assert_uint_eq(disks[0].data[1249 * 512], 1249 % 97);
    disks[1].dev.can_discard = false;
}
END_TEST

/* A barrier waits for what came before, and holds back what comes after. */
START_TEST(barrier_is_alone)
{
    blkif_request_t *r;

    (void)connected(0);
    lazy = true;
    r = ask(BLKIF_OP_READ, 0);
    segment(r, 1, 0, 0);
    r = ask(BLKIF_OP_READ, 8);
    segment(r, 2, 0, 0);
    r = ask(BLKIF_OP_WRITE_BARRIER, 16);
    segment(r, 3, 0, 0);
    r = ask(BLKIF_OP_READ, 24);
    segment(r, 4, 0, 0);
    kick();
    ck_assert_uint_eq(disks[0].queued, 2);
    end_one(&disks[0], 0, 0);
    run();
    ck_assert_uint_eq(disks[0].queued, 1);
    end_one(&disks[0], 0, 0);
    run();
    ck_assert_uint_eq(disks[0].queued, 1);
    ck_assert_uint_eq(disks[0].queue[0]->dev.op, BLKDEV_FLUSH);
    end_one(&disks[0], 0, 0);
    end_one(&disks[1], 0, 0);
    ck_assert_uint_eq(disks[0].queue[0]->dev.op, BLK_WRITE);
    end_one(&disks[0], 0, 0);
    ck_assert_uint_eq(disks[0].queue[0]->dev.op, BLKDEV_FLUSH);
    end_one(&disks[0], 0, 0);
    end_one(&disks[1], 0, 0);
    run();
    ck_assert_uint_eq(disks[0].queued, 1);
    ck_assert_uint_eq(disks[0].queue[0]->dev.op, BLK_READ);
    lazy = false;
    run();
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(answer(), BLKIF_RSP_OKAY);
}
END_TEST

START_TEST(lies_are_answered)
{
    uint32_t vbd = connected(COLLET_VBD_READ_ONLY);
    struct blkif_request_segment *s = (struct blkif_request_segment *)memory[40];
    struct collet_vbd_info info;
    blkif_request_indirect_t *i;
    blkif_request_t *r;

    r = ask(BLKIF_OP_WRITE, 0);
    segment(r, 1, 0, 7);
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
    r = ask(BLKIF_OP_READ, 0);
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR); /* no segment */
    r->nr_segments = 12;
    r = ask(BLKIF_OP_READ, 0);
    r->nr_segments = 255;
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
    r = ask(BLKIF_OP_READ, 0);
    segment(r, 1, 3, 2);
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
    r = ask(BLKIF_OP_READ, 0);
    segment(r, 1, 0, 8);
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
    r = ask(BLKIF_OP_READ, 0);
    segment(r, 1, 0, 7);
    segment(r, 500, 0, 7); /* no such grant: what was pinned is let go */
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
    r = ask(BLKIF_OP_READ, 0);
    segment(r, FRAMES - 1, 0, 7); /* the guest may not have it written */
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
    r = ask(BLKIF_OP_READ, 993);
    segment(r, 1, 0, 7);
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
    r = ask(BLKIF_OP_READ, ~0ull);
    segment(r, 1, 0, 7);
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
    r = ask(BLKIF_OP_READ, ~0ull - 6);
    segment(r, 1, 0, 7);
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
    ck_assert_int_eq(one(ask(77, 0)), BLKIF_RSP_EOPNOTSUPP);
    for (unsigned int n = 0; n < 3; n++) {
        static const uint16_t counts[] = {0, 33, 65535};

        i = (blkif_request_indirect_t *)ask(BLKIF_OP_INDIRECT, 0);
        i->indirect_op = BLKIF_OP_READ;
        i->nr_segments = counts[n];
        i->indirect_grefs[0] = FIRST_REF + 40;
        ck_assert_int_eq(one((blkif_request_t *)i), BLKIF_RSP_ERROR);
    }
    s[0] = (struct blkif_request_segment){.gref = FIRST_REF, .first_sect = 0, .last_sect = 255};
    i = (blkif_request_indirect_t *)ask(BLKIF_OP_INDIRECT, 0);
    i->indirect_op = BLKIF_OP_INDIRECT;
    i->nr_segments = 1;
    i->indirect_grefs[0] = FIRST_REF + 40;
    ck_assert_int_eq(one((blkif_request_t *)i), BLKIF_RSP_ERROR);
    ck_assert_int_eq(vbd_info(vbd, UINT32_MAX, &info), 0);
    ck_assert_uint_eq(info.refused, 15);
    ck_assert_uint_eq(info.requests[COLLET_BLK_READ], 0);
    /* And it still works. */
    r = ask(BLKIF_OP_READ, 0);
    segment(r, 1, 0, 7);
    ck_assert_int_eq(one(r), BLKIF_RSP_OKAY);
}
END_TEST

START_TEST(producer_beyond_the_ring_ends_service)
{
    uint32_t vbd = connected(0);
    struct collet_vbd_info info;
    struct collet_vbd_connect c = {.vbd = vbd, .ring_ref = RING_REF, .port = 5};

    ring->req_prod = 33;
    bound->notify(bound);
    run();
    ck_assert_int_eq(vbd_info(vbd, UINT32_MAX, &info), 0);
    ck_assert(info.flags & COLLET_VBD_BROKEN);
    ck_assert_uint_gt(strlen(info.broken_why), 0);
    ring->req_prod = 1;
    bound->notify(bound);
    run();
    ck_assert_uint_eq(ring->rsp_prod, 0);
    ck_assert_int_eq(vbd_connect(&c), -EALREADY);
    ck_assert_int_eq(vbd_disconnect(vbd), 0);
    ring->req_prod = 0;
    ck_assert_int_eq(vbd_connect(&c), 0);
    ck_assert_int_eq(vbd_info(vbd, UINT32_MAX, &info), 0);
    ck_assert(!(info.flags & COLLET_VBD_BROKEN));
}
END_TEST

/* The producer goes back, or the guest writes over what is ours: no more than 32 are ever under way. */
START_TEST(indices_that_move_about)
{
    unsigned int seed = 7;

    (void)connected(0);
    lazy = true;
    for (int i = 0; i < 5000; i++) {
        ring->req_prod = (RING_IDX)rand_r(&seed) % (i % 2 ? 64 : 33);
        ring->rsp_prod = (RING_IDX)rand_r(&seed);
        ring->ring[rand_r(&seed) % RING_SLOTS].req.operation = (uint8_t)(rand_r(&seed) % 8);
        if (bound != NULL)
            bound->notify(bound);
        run();
        ck_assert_uint_le(disks[0].queued + disks[1].queued, RING_SLOTS);
        if (disks[0].queued > 0)
            end_one(&disks[0], 0, 0);
    }
    lazy = false;
}
END_TEST

START_TEST(who_may_have_what)
{
    struct collet_extent e = {.disk = 0, .sector = 0, .sectors = 1000}, part = {.disk = 0, .sector = 999, .sectors = 300}, other = {.disk = 0, .sector = 1000, .sectors = 300};
    struct collet_extent twice[] = {{.disk = 0, .sector = 0, .sectors = 300}, {.disk = 0, .sector = 299, .sectors = 300}};
    struct collet_extent bad;

    (void)make(0, &e, 1, 0);
    (void)make(0, &part, 1, -EBUSY);
    (void)make(COLLET_VBD_SHARED, &part, 1, -EBUSY); /* the other has not agreed */
    (void)make(0, &other, 1, 0);
    (void)make(COLLET_VBD_RAW, &e, 1, -EPERM);
    (void)make(0, twice, 2, -EINVAL);
    bad = (struct collet_extent){.disk = 9, .sectors = 300};
    (void)make(0, &bad, 1, -ENODEV);
    bad = (struct collet_extent){.disk = 0, .sector = DISK_SECTORS - 10, .sectors = 300};
    (void)make(0, &bad, 1, -ERANGE);
    bad = (struct collet_extent){.disk = 0, .sector = ~0ull, .sectors = ~0ull};
    (void)make(0, &bad, 1, -ERANGE);
    twice[0].sectors = 255;
    twice[1].sector = 2000;
    (void)make(0, twice, 2, -EINVAL); /* a short one that is not the last */
    disks[1].dev.read_only = true;
    bad = (struct collet_extent){.disk = 1, .sectors = 300};
    (void)make(0, &bad, 1, -EROFS);
    (void)make(COLLET_VBD_READ_ONLY, &bad, 1, 0);
    (void)make(COLLET_VBD_READ_ONLY, &bad, 1, 0); /* readers do not disturb each other */
}
END_TEST

START_TEST(device_error_reaches_its_guest)
{
    uint32_t vbd = connected(0);
    struct collet_vbd_info info;
    blkif_request_t *r;

    disks[0].fails = true;
    r = ask(BLKIF_OP_READ, 0);
    segment(r, 1, 0, 7);
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
    r = ask(BLKIF_OP_READ, 400);
    segment(r, 1, 0, 7);
    ck_assert_int_eq(one(r), BLKIF_RSP_OKAY);
    r = ask(BLKIF_OP_READ, 897); /* three sectors of disk 1, then disk 0 */
    segment(r, 1, 0, 7);
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
    ck_assert_int_eq(vbd_info(vbd, UINT32_MAX, &info), 0);
    ck_assert_uint_eq(info.requests[COLLET_BLK_READ], 3);
    ck_assert_uint_eq(info.errors, 2);
    ck_assert_uint_eq(info.sectors_done[COLLET_BLK_READ], 8 + 3); /* what was done */
}
END_TEST

/* A device that takes little at a time gets little at a time. */
START_TEST(device_limits_cut_requests)
{
    blkif_request_t *r;

    (void)connected(0);
    for (uint32_t most = 1; most < 12; most++) {
        disks[0].dev.segments_max = disks[1].dev.segments_max = most;
        disks[0].dev.sectors_max = disks[1].dev.sectors_max = 3 + most;
        r = ask(BLKIF_OP_READ, 256);
        for (uint32_t i = 0; i < 11; i++)
            segment(r, 1 + i, i % 3, 7);
        memset(memory[1], 0, 11 * 4096);
        ck_assert_int_eq(one(r), BLKIF_RSP_OKAY);
        for (uint32_t i = 0, at = 256; i < 11; i++)
            for (uint32_t s = i % 3; s < 8; s++, at++)
                ck_assert_uint_eq(memory[1 + i][s * 512], at < 300 ? (1000 + at) % 97 : 100 + (at - 300) % 97);
    }
    disks[0].dev.segments_max = disks[1].dev.segments_max = 1;
    disks[0].dev.block_bytes = disks[1].dev.block_bytes = 4096; /* a block in two halves: cannot be done */
    r = ask(BLKIF_OP_READ, 0);
    segment(r, 1, 4, 7);
    segment(r, 2, 0, 3);
    ck_assert_int_eq(one(r), BLKIF_RSP_ERROR);
}
END_TEST

/* As many cuts as there can be: each piece begins and ends within a segment. */
START_TEST(requests_in_many_pieces)
{
    struct blkif_request_segment *s = (struct blkif_request_segment *)memory[40];
    blkif_request_indirect_t *i;

    (void)connected(0);
    for (uint32_t most = 1; most < 8; most++) {
        disks[0].dev.sectors_max = disks[1].dev.sectors_max = most;
        memset(memory[1], 0, 32 * 4096);
        for (uint32_t n = 0; n < 32; n++)
            s[n] = (struct blkif_request_segment){.gref = FIRST_REF + 1 + n, .first_sect = n % 3, .last_sect = 7};
        i = (blkif_request_indirect_t *)ask(BLKIF_OP_INDIRECT, 0);
        i->indirect_op = BLKIF_OP_READ;
        i->nr_segments = 32;
        i->id = 77;
        i->sector_number = 100;
        i->indirect_grefs[0] = FIRST_REF + 40;
        ck_assert_int_eq(one((blkif_request_t *)i), BLKIF_RSP_OKAY);
        for (uint32_t n = 0, at = 100; n < 32; n++)
            for (uint32_t sector = n % 3; sector < 8; sector++, at++)
                ck_assert_uint_eq(memory[1 + n][sector * 512], at < 300 ? (1000 + at) % 97 : 100 + (at - 300) % 97);
    }
}
END_TEST

START_TEST(limits_hold)
{
    uint32_t vbd = connected(0);
    struct collet_vbd_limits limits = {.vbd = vbd, .requests_per_s = 1000};
    struct collet_vbd_info info;
    uint64_t start;
    uint32_t done = 0;

    now += 1000000000;
    skew = _i == 0 ? 0 : 3000000; /* more than one of them takes */
    ck_assert_int_eq(vbd_limits(&limits), 0);
    start = now;
    while (done < 2000) {
        struct vbd *v = list_first_entry(&vbds, struct vbd, link);

        while (asked - answered < 16) {
            blkif_request_t *r = ask(BLKIF_OP_READ, 0);

            segment(r, 1, 0, 0);
        }
        kick();
        while ((int)(ring->rsp_prod - answered) > 0) {
            (void)answer();
            done++;
        }
        if (v->limit_timer.armed) {
            now = max(now + 100000, v->limit_timer.deadline_ns);
            v->limit_timer.armed = false;
            v->limit_timer.handler(v->limit_timer.arg);
            run();
        }
    }
    ck_assert_uint_gt(now - start, 1800000000ull);
    ck_assert_uint_lt(now - start, 2200000000ull);
    ck_assert_int_eq(vbd_info(vbd, UINT32_MAX, &info), 0);
    ck_assert_uint_gt(info.throttled, 10);
    ck_assert_uint_lt(info.throttled_ns, 1000000000000ull);
    skew = 0;
}
END_TEST

/* So many reads of eight pages, one after the other. */
static uint64_t time_of_reads(uint32_t count)
{
    struct vbd *v = list_first_entry(&vbds, struct vbd, link);
    uint64_t start = now;

    for (uint32_t n = 0; n < count; n++) {
        blkif_request_t *r = ask(BLKIF_OP_READ, 0);

        for (uint32_t i = 1; i <= 8; i++)
            segment(r, i, 0, 7);
        kick();
        while (ring->rsp_prod == answered) {
            ck_assert(v->limit_timer.armed);
            now = max(now, v->limit_timer.deadline_ns);
            v->limit_timer.armed = false;
            v->limit_timer.handler(v->limit_timer.arg);
            run();
        }
        ck_assert_int_eq(answer(), BLKIF_RSP_OKAY);
    }
    return now - start;
}

START_TEST(limits_far_below_and_above)
{
    uint32_t vbd = connected(0);
    struct collet_vbd_limits limits = {.vbd = vbd, .bytes_per_s = 1024};
    blkif_request_discard_t *d;
    uint64_t ns;

    /* 32 seconds for each of these, and the next waits for it. */
    ck_assert_int_eq(vbd_limits(&limits), 0);
    ns = time_of_reads(4);
    ck_assert_uint_gt(ns, 95 * NS_PER_S);
    ck_assert_uint_lt(ns, 98 * NS_PER_S);
    limits.bytes_per_s = 1ull << 32;
    ck_assert_int_eq(vbd_limits(&limits), 0);
    ck_assert_uint_lt(time_of_reads(4), NS_PER_S);
    now += 20 * NS_PER_S;
    ck_assert_uint_lt(time_of_reads(4), NS_PER_S);
    limits.bytes_per_s = 1024;
    ck_assert_int_eq(vbd_limits(&limits), 0);
    now += NS_PER_S;
    d = (blkif_request_discard_t *)ask(BLKIF_OP_DISCARD, 0);
    d->nr_sectors = 1000;
    ck_assert_int_eq(one((blkif_request_t *)d), BLKIF_RSP_OKAY);
    ck_assert_uint_lt(time_of_reads(1), NS_PER_S);
}
END_TEST

/* What the guest puts in later has not been there for long, though its ring is never seen empty. */
START_TEST(time_in_the_ring)
{
    uint32_t vbd = connected(0);
    struct collet_vbd_info info;

    lazy = true;
    for (uint32_t n = 0; n < 2000; n++) {
        while (asked - answered < RING_SLOTS)
            segment(ask(BLKIF_OP_READ, 0), 1, 0, 0);
        kick();
        end_one(&disks[0], 0, 0);
        run();
        while (ring->rsp_prod != answered)
            (void)answer();
    }
    ck_assert_int_eq(vbd_info(vbd, UINT32_MAX, &info), 0);
    for (uint32_t i = 8; i < COLLET_LATENCY_BUCKETS; i++)
        ck_assert_uint_eq(info.latency[0][COLLET_PHASE_RING][i], 0);
    lazy = false;
}
END_TEST

/* Out of service: what the device has is waited for, but no further piece of it goes there. */
START_TEST(end_sends_nothing_more)
{
    uint32_t vbd = connected(0);
    blkif_request_discard_t *d;
    blkif_request_t *r;

    lazy = issued = true;
    d = (blkif_request_discard_t *)ask(BLKIF_OP_DISCARD, 0);
    d->nr_sectors = 300;
    r = ask(BLKIF_OP_WRITE_BARRIER, 0);
    segment(r, 1, 0, 7);
    kick();
    ck_assert_uint_eq(disks[0].queued, 1);
    ck_assert_int_eq(vbd_destroy(vbd), -EINTR);
    end_one(&disks[0], 0, 0);
    ck_assert_uint_eq(disks[0].queued + disks[1].queued, 0);
    ck_assert_int_eq(vbd_destroy(vbd), 0);
    ck_assert_uint_eq(disks[0].flushes, 0);
}
END_TEST

/* A ring where much ends quickly is not told of each request, and none of them is forgotten. */
START_TEST(busy_ring_is_told_seldom)
{
    uint32_t done = 0, left = 0;
    unsigned int seed = 5;

    (void)connected(0);
    lazy = true;
    told = 0;
    while (done < 5000) {
        uint32_t depth = done < 2500 ? 32 : 3;

        while (left < depth) {
            segment(ask(BLKIF_OP_READ, 0), 1, 0, 0);
            left++;
            kick();
        }
        ck_assert_uint_gt(disks[0].queued, 0);
        end_one(&disks[0], rand_r(&seed) % disks[0].queued, 0);
        run();
        ring->rsp_event = ring->rsp_prod + 1;
        while (ring->rsp_prod != answered) {
            ck_assert_int_eq(answer(), BLKIF_RSP_OKAY);
            done++;
            left--;
        }
        if (done == 2500)
            told = 0;
        if (done == 2499)
            ck_assert_uint_lt(told, 250);
    }
    ck_assert_uint_gt(told, 2000); /* at a small depth each is told */
    waiting = true;
    told = 0;
    while (left < 32) {
        segment(ask(BLKIF_OP_READ, 0), 1, 0, 0);
        left++;
        kick();
    }
    ck_assert_uint_ge(told, 28); /* and where an order is to be found */
    waiting = false;
    lazy = false;
}
END_TEST

/* Ended while everything is under way. */
START_TEST(end_with_requests_under_way)
{
    uint32_t vbd = connected(0);

    lazy = true;
    for (int i = 0; i < 32; i++) {
        blkif_request_t *r = ask(i % 5 == 4 ? BLKIF_OP_WRITE_BARRIER : BLKIF_OP_READ, (uint64_t)i * 20);

        segment(r, 1 + (uint32_t)i, 0, 7);
    }
    kick();
    while (vbd_destroy(vbd) == -EINTR)
        ;
    ck_assert_int_eq(vbd_destroy(vbd), -ENOENT);
    ck_assert_ptr_null(bound);
}
END_TEST

/* A device that has always ended something: whoever else wants the CPU gets it now and then. */
START_TEST(busy_device_leaves_the_cpu)
{
    struct vcpu somebody = {0};
    uint32_t runs = 0;

    fake_vcpu = &somebody;
    (void)connected(0);
    for (uint32_t round = 0; round < 3; round++) {
        for (;;) {
            segment(ask(BLKIF_OP_READ, 0), 1, 0, 0);
            ring->req_prod = asked;
            bound->notify(bound);
            cpus[0].softirq_pending = 1u << SOFTIRQ_BLOCK;
            softirq();
            softirq();
            if (ring->rsp_prod == answered)
                break;
            ck_assert_uint_lt(++runs, 100);
            ck_assert_int_eq(answer(), BLKIF_RSP_OKAY);
        }
        ck_assert_ptr_nonnull(pausing);
        ck_assert_uint_gt(pausing->deadline_ns, now);
        pausing->armed = false;
        cpus[0].softirq_pending = 0;
        pausing->handler(pausing->arg);
        run();
        ck_assert_int_eq(answer(), BLKIF_RSP_OKAY);
    }
    somebody.is_idle = true;
    cpus[0].softirq_pending = 1u << SOFTIRQ_BLOCK;
    for (uint32_t n = 0; n < 100; n++) {
        segment(ask(BLKIF_OP_READ, 0), 1, 0, 0);
        kick();
        while (ring->rsp_prod != answered)
            (void)answer();
    }
    ck_assert_uint_eq(asked, answered);
    cpus[0].softirq_pending = 0;
    fake_vcpu = NULL;
}
END_TEST

Suite *suite_vbd(void);
Suite *suite_vbd(void)
{
    Suite *s = suite_create("vbd");
    TCase *c = tcase_create("vbd");

    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, reads_and_writes_over_extents);
    tcase_add_test(c, indirect_flush_barrier_discard);
    tcase_add_test(c, barrier_is_alone);
    tcase_add_test(c, lies_are_answered);
    tcase_add_test(c, producer_beyond_the_ring_ends_service);
    tcase_add_test(c, indices_that_move_about);
    tcase_add_test(c, who_may_have_what);
    tcase_add_test(c, device_error_reaches_its_guest);
    tcase_add_test(c, device_limits_cut_requests);
    tcase_add_test(c, requests_in_many_pieces);
    tcase_add_loop_test(c, limits_hold, 0, 2);
    tcase_add_test(c, limits_far_below_and_above);
    tcase_add_test(c, time_in_the_ring);
    tcase_add_test(c, busy_ring_is_told_seldom);
    tcase_add_test(c, end_with_requests_under_way);
    tcase_add_test(c, end_sends_nothing_more);
    tcase_add_test(c, busy_device_leaves_the_cpu);
    suite_add_tcase(s, c);
    return s;
}
