// SPDX-License-Identifier: MIT
/*
 * Domain0 uses block devices as the contract has them (<collet/control.h>, <xen/io/blkif.h>), by a blkfront of its own (blk.h): what is read and written lands where it should, whatever the shape of
 * the request. part= runs one part; disks=N is what the machine has. Before and after, each disk's checksum is printed, and the runner compares them with its files'.
 * What it must survive is in attack-blk.c.
 */
#include "blk.h"

#include <collet/disk-record.h>
#include <disk/disk-model.h>

#define AREA 16384u /* sectors at the begin of disk 0 that most parts write to */

static struct blk_front raw[4];
static unsigned int disks, align; /* sectors of a logical block of the coarsest disk */
static uint8_t *buffer, *other;   /* 2 * BLK_DONE_MAX sectors each */
static uint64_t seed, versions;
static const char *const modules[] = {"fifo", "elevator", "deadline", "fair"};

static uint64_t rnd(uint64_t below)
{
    return random_next(&seed) % below;
}

static uint64_t rnd_block(uint64_t below)
{
    return rnd(below / align) * align;
}

static void disks_find(void)
{
    struct collet_disk_info info;

    align = 1;
    for (disks = 0; disks < COUNT_OF(raw) && blk_disk(disks, &info); disks++) {
        align = MAX(align, info.sector_bytes / BLK_SECTOR);
        note("%s: driver %s, %lu sectors of %u, depth %u, queues %u, at most %u sectors, %u segments, flags %x, module %s\n", info.name, info.driver,
             (unsigned long)info.sectors, info.sector_bytes, info.depth, info.queues, info.sectors_max, info.segments_max, info.flags, info.module);
    }
    expect("disks-as-many-as-there-are", disks, arg_number("disks", 1));
    if (disks == 0)
        give_up("no disk\n");
}

/* Of all of it, by requests as large as they come. */
static void cksum(const char *when, unsigned int disk)
{
    uint32_t crc = 0;

    for (uint64_t at = 0; at < raw[disk].sectors; at += BLK_DONE_MAX) {
        uint32_t n = (uint32_t)MIN(BLK_DONE_MAX, raw[disk].sectors - at);
        int status = blk_io(&raw[disk], BLKIF_OP_READ, at, n, buffer);

        if (status != BLKIF_RSP_OKAY) {
            expect("read-all", status, BLKIF_RSP_OKAY);
            return;
        }
        crc = blk_cksum_add(crc, buffer, n * BLK_SECTOR);
    }
    print("[t] cksum %s disk%u %u %lu\n", when, disk, blk_cksum_end(crc, raw[disk].sectors * BLK_SECTOR), (unsigned long)raw[disk].sectors * BLK_SECTOR);
}

/* Writes by one front, reads by another: the sectors are where the second sees them at `at`. */
static bool through(struct blk_front *w, uint64_t sector, struct blk_front *r, uint64_t at, uint32_t sectors)
{
    uint64_t version = ++versions;

    blk_stamp(buffer, 1, sector, sectors, version);
    if (blk_run(w, BLKIF_OP_WRITE, sector, sectors, buffer) != 0)
        return false;
    memset(other, 0xa5, sectors * BLK_SECTOR);
    return blk_run(r, BLKIF_OP_READ, at, sectors, other) == 0 && blk_stamp_bad(other, 1, sector, sectors, version) == 0;
}

static void basic(void)
{
    bool good = true;

    check("write-read-one-block", through(&raw[0], 64, &raw[0], 64, align));
    for (uint32_t n = align; n <= BLK_DONE_MAX; n += align) {
        uint64_t at = rnd_block(AREA);

        good = through(&raw[0], at, &raw[0], at, n) && good;
    }
    check("write-read-every-length", good);
    for (unsigned int i = 0; i < disks; i++) {
        uint64_t last = raw[i].sectors / align * align - align;

        check("write-read-last-block", through(&raw[i], last, &raw[i], last, align));
        good = through(&raw[i], 0, &raw[i], 0, align) && good;
    }
    check("write-read-first-block", good);
    expect("no-segments-is-an-error", blk_io(&raw[0], BLKIF_OP_READ, 0, 0, buffer), BLKIF_RSP_ERROR);
}

/* Neighbours of what was written stay: parts of pages, in pieces of their own. */
static void partial(void)
{
    bool good = true, kept = true;

    for (unsigned int round = 0; round < 60; round++) {
        uint64_t base = 1024 + rnd_block(4096), version = ++versions;
        uint32_t first = (uint32_t)rnd(BLK_PAGE_SECTORS) / align * align, left = 2 * BLK_PAGE_SECTORS - first, n = ((uint32_t)rnd(left) / align + 1) * align;

        n = MIN(n, left);
        blk_stamp(buffer, 2, base, 32, version);
        if (blk_io(&raw[0], BLKIF_OP_WRITE, base, 32, buffer) != 0)
            good = false;
        blk_stamp(other + first * BLK_SECTOR, 3, base + 8, n, version);
        good = good && blk_io(&raw[0], BLKIF_OP_WRITE, base + 8, n, other + first * BLK_SECTOR) == 0;
        memset(buffer, 0x5a, 48 * BLK_SECTOR);
        good = good && blk_io(&raw[0], BLKIF_OP_READ, base, 32, buffer + first * BLK_SECTOR) == 0;
        good = good && blk_stamp_bad(buffer + first * BLK_SECTOR, 2, base, 8, version) == 0;
        good = good && blk_stamp_bad(buffer + (first + 8) * BLK_SECTOR, 3, base + 8, n, version) == 0;
        good = good && blk_stamp_bad(buffer + (first + 8 + n) * BLK_SECTOR, 2, base + 8 + n, 24 - n, version) == 0;
        for (uint32_t i = 0; i < first * BLK_SECTOR; i++)
            kept = kept && buffer[i] == 0x5a;
        for (uint32_t i = (first + 32) * BLK_SECTOR; i < 48 * BLK_SECTOR; i++)
            kept = kept && buffer[i] == 0x5a;
    }
    check("parts-of-pages", good);
    check("reads-touch-no-more-than-asked", kept);
}

/* Segments in any order of pages, several of them parts of one page. */
static void scattered(void)
{
    uint64_t version = ++versions;
    struct blkif_request *req;
    bool good = true;

    if (align > 1) {
        skip("segments-scattered", "blocks larger than a sector");
        return;
    }
    blk_stamp(buffer, 4, 7000, 11, version);
    if (blk_io(&raw[0], BLKIF_OP_WRITE, 7000, 11, buffer) != 0)
        check("segments-scattered-write", false);
    req = blk_slot(&raw[0]);
    req->operation = BLKIF_OP_READ;
    req->nr_segments = 11;
    req->id = 77;
    req->sector_number = 7000;
    memset(other, 0, 16 * PAGE_SIZE);
    for (unsigned int i = 0; i < 11; i++) /* the i-th sector goes to page i % 4, place (i * 3 + i / 8) % 8 */
        req->seg[i] = (struct blkif_request_segment){.gref = blk_ref_of(other + i % 4 * PAGE_SIZE), .first_sect = (i * 3 + i / 8) % 8, .last_sect = (i * 3 + i / 8) % 8};
    expect("segments-scattered", blk_try(&raw[0]), BLKIF_RSP_OKAY);
    for (unsigned int i = 0; i < 11; i++)
        good = good && blk_stamp_bad(other + i % 4 * PAGE_SIZE + (i * 3 + i / 8) % 8 * BLK_SECTOR, 4, 7000 + i, 1, version) == 0;
    check("segments-scattered-land", good);
}

struct place {
    unsigned int disk;
    uint64_t sector;
};

static struct place place_of(const struct collet_extent *e, uint64_t sector)
{
    for (; sector >= e->sectors; e++)
        sector -= e->sectors;
    return (struct place){e->disk, e->sector + sector};
}

static bool lands(const struct collet_extent *e, uint64_t sector, uint32_t sectors, uint64_t version)
{
    for (uint32_t i = 0; i < sectors; i += align) {
        struct place p = place_of(e, sector + i);

        if (blk_io(&raw[p.disk], BLKIF_OP_READ, p.sector, align, other) != 0 || blk_stamp_bad(other, 5, sector + i, align, version) != 0)
            return false;
    }
    return true;
}

static void extents(void)
{
    struct collet_extent e[6] = {{0, 0, 5000, 304}, {0, 0, 1000, 256}, {disks - 1, 0, 9000, 520}, {0, 0, 3000, 264}, {disks - 1, 0, 10000, 256}, {0, 0, 1256, 8}}, back[8];
    struct collet_vbd_extents q = {.count = 8, .buffer = (uint64_t)back};
    static struct blk_front f;
    uint64_t version = ++versions;
    bool good = true;

    blk_attach(&f, "extents", 0, e, 6);
    expect("extents-sum-up", f.sectors, 304 + 256 + 520 + 264 + 256 + 8);
    q.vbd = f.vbd;
    expect("extents-read-back", control(COLLET_OP_VBD_EXTENTS, &q), 0);
    check("extents-are-those", q.count == 6 && memcmp(back, e, sizeof(e)) == 0);
    for (uint64_t at = 0; at < f.sectors; at += 120) {
        uint32_t n = (uint32_t)MIN(120, f.sectors - at);

        blk_stamp(buffer, 5, at, n, version);
        good = good && blk_io(&f, BLKIF_OP_WRITE, at, n, buffer) == 0;
    }
    check("extents-write", good);
    check("extents-land-where-they-should", lands(e, 0, (uint32_t)f.sectors, version));
    for (unsigned int i = 0; i < 100; i++) {
        uint32_t n = (uint32_t)(rnd(BLK_DONE_MAX / align) + 1) * align;
        uint64_t at = rnd_block(f.sectors - n + align), v = ++versions;

        blk_stamp(buffer, 5, at, n, v);
        good = good && blk_io(&f, BLKIF_OP_WRITE, at, n, buffer) == 0 && (i % 10 != 0 || lands(e, at, n, v));
        memset(buffer, 0, n * BLK_SECTOR);
        good = good && blk_io(&f, BLKIF_OP_READ, at, n, buffer) == 0 && blk_stamp_bad(buffer, 5, at, n, v) == 0;
    }
    check("extents-crossed-by-requests", good);
    expect("extents-end", blk_io(&f, BLKIF_OP_READ, f.sectors, align, buffer), BLKIF_RSP_ERROR);
    expect("extents-over-the-end", blk_io(&f, BLKIF_OP_READ, f.sectors - align, 2 * align, buffer), BLKIF_RSP_ERROR);
    blk_detach(&f);
}

static void read_only(void)
{
    struct collet_extent e = {0, 0, 8192, 1024};
    static struct blk_front f;
    struct collet_vbd_info info;
    uint64_t version = ++versions;

    blk_stamp(buffer, 6, 8192, 64, version);
    expect("read-only-prepare", blk_io(&raw[0], BLKIF_OP_WRITE, 8192, 64, buffer), 0);
    blk_attach(&f, "read-only", COLLET_VBD_READ_ONLY, &e, 1);
    memset(buffer, 0, 64 * BLK_SECTOR);
    expect("read-only-reads", blk_io(&f, BLKIF_OP_READ, 0, 64, buffer), 0);
    check("read-only-content", blk_stamp_bad(buffer, 6, 8192, 64, version) == 0);
    memset(buffer, 0xee, 64 * BLK_SECTOR);
    expect("read-only-write", blk_io(&f, BLKIF_OP_WRITE, 0, 64, buffer), BLKIF_RSP_ERROR);
    expect("read-only-write-indirect", blk_io(&f, BLKIF_OP_WRITE, 0, BLK_DONE_MAX, buffer), BLKIF_RSP_ERROR);
    expect_any("read-only-discard", blk_io(&f, BLKIF_OP_DISCARD, 0, 64, NULL), BLKIF_RSP_ERROR, BLKIF_RSP_EOPNOTSUPP);
    expect_any("read-only-barrier-write", blk_io(&f, BLKIF_OP_WRITE_BARRIER, 0, 8, buffer), BLKIF_RSP_ERROR, BLKIF_RSP_EOPNOTSUPP);
    expect("read-only-refused-and-well", blk_io(&f, BLKIF_OP_READ, 0, 64, buffer), 0);
    check("read-only-unchanged", blk_stamp_bad(buffer, 6, 8192, 64, version) == 0);
    check("read-only-refused-counted", blk_info(f.vbd, &info) && info.refused >= 2 && info.errors == 0 && !(info.flags & COLLET_VBD_BROKEN));
    blk_detach(&f);
}

static void range(void)
{
    uint64_t end = raw[0].sectors;
    struct collet_disk_info before, after;

    blk_disk(0, &before);
    expect("range-at-the-end", blk_io(&raw[0], BLKIF_OP_READ, end, align, buffer), BLKIF_RSP_ERROR);
    expect("range-over-the-end", blk_io(&raw[0], BLKIF_OP_WRITE, end - align, 2 * align, buffer), BLKIF_RSP_ERROR);
    expect("range-far", blk_io(&raw[0], BLKIF_OP_READ, 1ul << 40, align, buffer), BLKIF_RSP_ERROR);
    expect("range-last-number", blk_io(&raw[0], BLKIF_OP_READ, ~0ul, align, buffer), BLKIF_RSP_ERROR);
    expect("range-wraps", blk_io(&raw[0], BLKIF_OP_WRITE, ~0ul - align + 1, 2 * align, buffer), BLKIF_RSP_ERROR);
    expect("range-wraps-in-bytes", blk_io(&raw[0], BLKIF_OP_WRITE, 1ul << 55, align, buffer), BLKIF_RSP_ERROR);
    if (align > 1) {
        expect("range-half-a-block", blk_io(&raw[0], BLKIF_OP_READ, 64, 1, buffer), BLKIF_RSP_ERROR);
        expect("range-begins-within-a-block", blk_io(&raw[0], BLKIF_OP_WRITE, 65, align, buffer), BLKIF_RSP_ERROR);
    }
    check("range-nothing-reached-the-disk", blk_disk(0, &after) && after.errors == before.errors && after.device_requests == before.device_requests);
}

/* One of many under way: what it is for. */
static struct task {
    uint64_t sector;
    uint32_t sectors;
    bool write;
    uint8_t *data;
    uint64_t version;
} tasks[BLK_RING];
#define CELLS 8u
#define CELL_SECTORS 128u
static uint64_t cell_version[BLK_RING][CELLS]; /* each slot has an area of cells of its own */

static void task_start(struct blk_front *f, unsigned int slot)
{
    struct task *t = &tasks[slot];
    unsigned int cell = (unsigned int)rnd(CELLS);
    uint64_t id;

    t->write = cell_version[slot][cell] == 0 || rnd(2) == 0;
    t->sectors = t->write ? CELL_SECTORS : (uint32_t)(rnd(CELL_SECTORS / align) + 1) * align;
    t->sector = ((uint64_t)slot * CELLS + cell) * CELL_SECTORS;
    if (t->write) {
        cell_version[slot][cell] = t->version = ++versions;
        blk_stamp(t->data, 7, t->sector, t->sectors, t->version);
    } else {
        t->version = cell_version[slot][cell];
        memset(t->data, 0, t->sectors * BLK_SECTOR);
    }
    id = blk_submit(f, t->write ? BLKIF_OP_WRITE : BLKIF_OP_READ, t->sector, t->sectors, t->data);
    if (id % BLK_RING != slot)
        give_up("slot %u, not %u\n", (unsigned int)(id % BLK_RING), slot);
}

static bool task_end(unsigned int slot, int status)
{
    struct task *t = &tasks[slot];

    if (status != BLKIF_RSP_OKAY) {
        note("slot %u: status %d\n", slot, status);
        return false;
    }
    return t->write || blk_stamp_bad(t->data, 7, t->sector, t->sectors, t->version) == 0;
}

static uint32_t area_sectors(void)
{
    return BLK_RING * CELLS * CELL_SECTORS;
}

/* `count` requests, `depth` at a time; each_few, if given, is called now and then. */
static bool many(struct blk_front *f, unsigned int count, unsigned int depth, void (*each_few)(void))
{
    unsigned int started = 0, ended = 0;
    bool good = true;

    for (unsigned int i = 0; i < BLK_RING; i++)
        if (tasks[i].data == NULL)
            tasks[i].data = blk_pages(16);
    while (ended < count) {
        int16_t status;
        int slot;

        while (started < count && started - ended < depth)
            task_start(f, (unsigned int)__builtin_ctz(~f->busy)), started++;
        blk_push(f);
        slot = blk_answer(f, &status, BLK_WAIT_NS);
        if (slot < 0)
            return false;
        good = task_end((unsigned int)slot, status) && good;
        ended++;
        if (each_few != NULL && ended % 5 == 0)
            each_few();
    }
    return good && f->busy == 0;
}

static void depth(void)
{
    struct collet_vbd_info before, after;
    struct collet_disk_info info;
    struct blkif_response extra;

    if (raw[0].sectors < area_sectors())
        give_up("disk 0 has %lu sectors, %u are needed\n", (unsigned long)raw[0].sectors, area_sectors());
    blk_info(raw[0].vbd, &before);
    check("depth-1", many(&raw[0], 100, 1, NULL));
    check("depth-32", many(&raw[0], 2000, 32, NULL));
    check("nothing-is-answered-twice", !blk_response(&raw[0], &extra, 50000000));
    blk_info(raw[0].vbd, &after);
    expect("requests-are-counted", after.requests[COLLET_BLK_READ] + after.requests[COLLET_BLK_WRITE] - before.requests[COLLET_BLK_READ] - before.requests[COLLET_BLK_WRITE],
           2100);
    check("nothing-is-left", after.in_flight == 0 && after.errors == 0 && blk_disk(0, &info) && info.queued == 0 && info.issued == 0);
}

/* Upcalls rather than polls: the event comes by itself. */
static void upcall(void)
{
    unsigned int was = port_count[raw[0].port];
    uint64_t id = blk_submit(&raw[0], BLKIF_OP_READ, 0, align, buffer);
    int16_t status = -1;

    port_unmask(raw[0].port);
    raw[0].sring->rsp_event = raw[0].rsp_cons + 1;
    blk_push(&raw[0]);
    check("the-event-comes", port_wait(raw[0].port, was, BLK_WAIT_NS));
    expect("the-event-has-an-answer", blk_answer(&raw[0], &status, 0), id % BLK_RING);
}

static void sync(void)
{
    struct collet_disk_info info;
    bool can_flush = blk_disk(0, &info) && (info.flags & COLLET_DISK_CAN_FLUSH), good = true;

    expect("flush", blk_io(&raw[0], BLKIF_OP_FLUSH_DISKCACHE, 0, 0, NULL), can_flush ? BLKIF_RSP_OKAY : BLKIF_RSP_EOPNOTSUPP);
    for (unsigned int i = 0; i < 50 && can_flush; i++) {
        uint64_t base = 512 + rnd_block(2048), v = ++versions;
        unsigned int left = 4;

        /* Two writes of one place with a barrier between them: the later one stays, whatever the order of the answers. */
        blk_stamp(buffer, 8, base, 8, v);
        blk_stamp(buffer + PAGE_SIZE, 8, base + 8, 8, v);
        blk_stamp(buffer + 2 * PAGE_SIZE, 8, base, 8, v + 1);
        versions++;
        blk_submit(&raw[0], BLKIF_OP_WRITE, base, 8, buffer);
        blk_submit(&raw[0], BLKIF_OP_WRITE_BARRIER, base + 8, 8, buffer + PAGE_SIZE);
        blk_submit(&raw[0], BLKIF_OP_WRITE, base, 8, buffer + 2 * PAGE_SIZE);
        blk_submit(&raw[0], BLKIF_OP_FLUSH_DISKCACHE, 0, 0, NULL);
        blk_push(&raw[0]);
        while (left-- > 0) {
            int16_t status = -1;

            good = blk_answer(&raw[0], &status, BLK_WAIT_NS) >= 0 && status == 0 && good;
        }
        memset(other, 0, 16 * BLK_SECTOR);
        good = good && blk_io(&raw[0], BLKIF_OP_READ, base, 16, other) == 0;
        good = good && blk_stamp_bad(other, 8, base, 8, v + 1) == 0 && blk_stamp_bad(other + PAGE_SIZE, 8, base + 8, 8, v) == 0;
    }
    check("barriers-order", good);
    if (can_flush)
        expect_any("barrier-without-data", blk_io(&raw[0], BLKIF_OP_WRITE_BARRIER, 0, 0, NULL), BLKIF_RSP_OKAY, BLKIF_RSP_ERROR);
    good = (info.flags & COLLET_DISK_CAN_DISCARD) != 0;
    expect("discard", blk_io(&raw[0], BLKIF_OP_DISCARD, 4096, 512, NULL), good ? BLKIF_RSP_OKAY : BLKIF_RSP_EOPNOTSUPP);
    if (good) {
        bool zero = true;

        blk_stamp(buffer, 9, 4088, 8, 1);
        blk_stamp(other, 9, 4608, 8, 1);
        check("discard-neighbours-write", blk_io(&raw[0], BLKIF_OP_WRITE, 4088, 8, buffer) == 0 && blk_io(&raw[0], BLKIF_OP_WRITE, 4608, 8, other) == 0);
        expect("discard-again", blk_io(&raw[0], BLKIF_OP_DISCARD, 4096, 512, NULL), 0);
        expect("discard-read", blk_io(&raw[0], BLKIF_OP_READ, 4088, 16, buffer), 0);
        for (unsigned int i = PAGE_SIZE; i < 2 * PAGE_SIZE; i++)
            zero = zero && buffer[i] == 0;
        check("discard-reads-zeroes-here", zero);
        check("discard-neighbours-stay", blk_stamp_bad(buffer, 9, 4088, 8, 1) == 0 && blk_io(&raw[0], BLKIF_OP_READ, 4608, 8, buffer) == 0 && blk_stamp_bad(buffer, 9, 4608, 8, 1) == 0);
        expect("discard-over-the-end", blk_io(&raw[0], BLKIF_OP_DISCARD, raw[0].sectors - 8, 16, NULL), BLKIF_RSP_ERROR);
    }
    expect("no-such-request", blk_io(&raw[0], 99, 0, 8, buffer), BLKIF_RSP_EOPNOTSUPP);
}

static unsigned int swap_turn;

static void swap_next(void)
{
    if (blk_use(0, modules[++swap_turn % COUNT_OF(modules)]) != 0)
        check("swap", false);
}

static void swap(void)
{
    struct collet_disk_info info;

    for (unsigned int i = 0; i < COUNT_OF(modules); i++) {
        expect("use", blk_use(0, modules[i]), 0);
        check("use-shows", blk_disk(0, &info) && strcmp(info.module, modules[i]) == 0);
        check("each-module-serves", many(&raw[0], 500, 32, NULL));
    }
    expect("use-unknown", blk_use(0, "no-such"), X_ENOENT);
    expect("use-no-disk", blk_use(99, "fifo"), X_ENODEV);
    check("swaps-under-way-lose-nothing", many(&raw[0], 3000, 32, swap_next));
    blk_disk(0, &info);
    check("no-module-was-dropped", info.dropped[0] == '\0' && info.queued == 0);
    note("%u swaps\n", swap_turn);
    blk_use(0, "elevator");
}

static void limits(void)
{
    struct collet_vbd_limits l = {.requests_per_s = 400};
    struct collet_extent e = {0, 0, 0, area_sectors()};
    struct collet_vbd_info info;
    static struct blk_front f;
    uint64_t from, took;

    blk_attach(&f, "limited", 0, &e, 1);
    l.vbd = f.vbd;
    expect("limits", control(COLLET_OP_VBD_LIMITS, &l), 0);
    check("limits-show", blk_info(f.vbd, &info) && info.requests_per_s == 400 && info.bytes_per_s == 0);
    from = now_ns();
    check("limited-requests", many(&f, 400, 32, NULL));
    took = now_ns() - from;
    note("400 requests at 400 each second: %lu ms\n", (unsigned long)took / 1000000);
    check("limited-by-requests", took >= 800000000); /* a tenth of a second's worth may go at once, at either end */
    check("limited-shows", blk_info(f.vbd, &info) && info.throttled > 0 && info.throttled_ns > 0);
    l.requests_per_s = 0;
    l.bytes_per_s = 4 << 20;
    expect("limits-bytes", control(COLLET_OP_VBD_LIMITS, &l), 0);
    from = now_ns();
    for (unsigned int i = 0; i < 32; i++) /* 4 MiB */
        if (blk_io(&f, BLKIF_OP_READ, i * BLK_DONE_MAX, BLK_DONE_MAX, buffer) != 0)
            check("limited-read", false);
    took = now_ns() - from;
    note("4 MiB at 4 MiB each second: %lu ms\n", (unsigned long)took / 1000000);
    check("limited-by-bytes", took >= 750000000);
    l.bytes_per_s = 1ul << 32;
    expect("limits-largest", control(COLLET_OP_VBD_LIMITS, &l), 0);
    from = now_ns();
    check("limited-hardly", many(&f, 400, 32, NULL) && many(&f, 1, 1, NULL) && now_ns() - from < 2000000000);
    l.bytes_per_s = ~0ul;
    expect("limits-absurd", control(COLLET_OP_VBD_LIMITS, &l), X_ERANGE);
    l.bytes_per_s = 0;
    expect("limits-off", control(COLLET_OP_VBD_LIMITS, &l), 0);
    from = now_ns();
    check("unlimited-requests", many(&f, 400, 32, NULL));
    note("400 requests without: %lu ms\n", (unsigned long)(now_ns() - from) / 1000000);
    l.requests_per_s = 1;
    control(COLLET_OP_VBD_LIMITS, &l);
    for (unsigned int i = 0; i < 8; i++)
        blk_submit(&f, BLKIF_OP_READ, 0, align, buffer);
    blk_push(&f);
    from = now_ns();
    blk_detach(&f); /* held back or not, the end does not wait for the limit */
    check("limits-do-not-hold-up-the-end", now_ns() - from < 2000000000);
}

static void model(void)
{
    struct disk_model twin; /* told the same, so that its arm is where the other's is */
    uint64_t faster = 0, sum = 0, least = 0;
    struct collet_disk_info info;

    expect("model", blk_model(0, "hp97560"), 0);
    expect("model-unknown", blk_model(0, "no-such"), X_ENOENT);
    check("model-shows", blk_disk(0, &info) && (info.flags & COLLET_DISK_MODELLED) && strcmp(info.model, "hp97560") == 0);
    disk_model_init(&twin, &disk_hp97560, raw[0].sectors);
    for (unsigned int i = 0; i < 60; i++) {
        uint64_t to = i < 40 ? rnd_block(raw[0].sectors - 64) : 1024 + i * align, from = now_ns(), took, want;
        struct disk_parts parts;

        disk_model_serve(&twin, (i & 1) == 0, to, align, from, &parts);
        if (blk_io(&raw[0], i & 1 ? BLKIF_OP_READ : BLKIF_OP_WRITE, to, align, buffer) != 0)
            check("modelled-request", false);
        took = now_ns() - from;
        want = parts.overhead_ns + parts.seek_ns;
        sum += took;
        least += want;
        if (took < want && faster++ == 0)
            note("request %u at %lu: %lu us, at least %lu us\n", i, (unsigned long)to, (unsigned long)took / 1000, (unsigned long)want / 1000);
    }
    note("modelled: 60 requests in %lu us, at least %lu us\n", (unsigned long)sum / 1000, (unsigned long)least / 1000);
    check("no-completion-before-its-time", faster == 0);
    memset(cell_version, 0, sizeof(cell_version));
    check("many-under-the-model", many(&raw[0], 100, 32, NULL));
    check("swaps-under-the-model", many(&raw[0], 100, 32, swap_next));
    blk_use(0, "elevator");
    check("model-counts", blk_disk(0, &info) && info.model_busy_ns > 0);
    expect("model-off", blk_model(0, ""), 0);
    check("model-off-shows", blk_disk(0, &info) && !(info.flags & COLLET_DISK_MODELLED));
}

static struct collet_disk_record records[512];

static void record(void)
{
    struct collet_disk_recording r = {.disk = 0, .records = 16384};
    struct collet_disk_record_read take = {.buffer = (uint64_t)records};
    uint64_t kinds[16] = {0}, last = 0, serial = 0, pieces; /* a small queue cuts requests in pieces */
    struct collet_disk_info before, after;
    bool ordered = true, known = true;

    expect("record", control(COLLET_OP_DISK_RECORD, &r), 0);
    expect("record-twice", control(COLLET_OP_DISK_RECORD, &r), X_EBUSY);
    blk_disk(0, &before);
    check("recorded-requests", many(&raw[0], 200, 16, NULL));
    blk_disk(0, &after);
    pieces = after.requests[COLLET_BLK_READ] + after.requests[COLLET_BLK_WRITE] - before.requests[COLLET_BLK_READ] - before.requests[COLLET_BLK_WRITE];
    check("pieces-are-at-least-the-requests", pieces >= 200);
    blk_use(0, "fifo");
    blk_use(0, "elevator");
    r.records = 0;
    expect("record-end", control(COLLET_OP_DISK_RECORD, &r), 0);
    for (;;) {
        long rc;

        take.count = COUNT_OF(records);
        rc = control(COLLET_OP_DISK_RECORD_READ, &take);
        if (rc == X_ENOENT || (rc == 0 && take.count == 0))
            break;
        if (rc != 0) {
            expect("record-read", rc, 0);
            break;
        }
        for (uint32_t i = 0; i < take.count; i++) {
            const struct collet_disk_record *x = &records[i];

            known = known && x->kind >= 1 && x->kind <= COLLET_DISK_LOST;
            kinds[x->kind & 15]++;
            ordered = ordered && x->time_ns >= last;
            last = x->time_ns;
            if (x->kind == COLLET_DISK_ARRIVE) {
                ordered = ordered && x->serial > serial;
                serial = x->serial;
            }
        }
    }
    check("record-kinds-are-known", known);
    check("record-in-order", ordered);
    expect("record-arrivals", kinds[COLLET_DISK_ARRIVE], pieces);
    expect("record-decisions", kinds[COLLET_DISK_DECIDE], pieces);
    expect("record-completions", kinds[COLLET_DISK_COMPLETE], pieces);
    expect("record-modules", kinds[COLLET_DISK_USE], 3);
    expect("record-nothing-lost", take.lost + kinds[COLLET_DISK_LOST], 0);
}

static long try_create(uint32_t domid, uint32_t flags, const struct collet_extent *e, unsigned int count)
{
    struct blk_front f = {.vbd = 0};
    long rc = blk_create_for(domid, &f, "try", flags, e, count);

    if (rc == 0)
        blk_destroy(f.vbd);
    return rc;
}

static void create_errors(void)
{
    struct collet_extent e[2] = {{0, 0, 0, 1024}, {0, 0, 4096, 1024}}, f[2];

#define TRY(name, change, count, want)                                                                                                                                     \
    do {                                                                                                                                                               \
        memcpy(f, e, sizeof(f));                                                                                                                                       \
        change;                                                                                                                                                        \
        expect("create-" name, try_create(0, 0, f, count), want);                                                                                                      \
    } while (0)
    TRY("good", (void)0, 2, 0);
    TRY("no-extents", (void)0, 0, X_EINVAL);
    TRY("too-many-extents", (void)0, COLLET_EXTENTS_MAX + 1, X_E2BIG);
    TRY("extents-all-ones", (void)0, ~0u, X_E2BIG);
    TRY("no-disk", f[1].disk = 99, 2, X_ENODEV);
    TRY("disk-all-ones", f[0].disk = ~0u, 2, X_ENODEV);
    TRY("beyond-the-end", f[1].sectors = raw[0].sectors, 2, X_ERANGE);
    TRY("wraps", (f[1].sector = ~0ul - 511, f[1].sectors = 1024), 2, X_ERANGE);
    TRY("length-all-ones", f[1].sectors = ~0ul, 2, X_ERANGE);
    TRY("too-short", f[0].sectors = COLLET_EXTENT_MIN - align, 2, X_EINVAL);
    TRY("empty-last", f[1].sectors = 0, 2, X_EINVAL);
    TRY("short-last", f[1].sectors = align, 2, 0);
    TRY("overlaps-itself", f[1].sector = 1024 - align, 2, X_EINVAL);
    TRY("reserved", f[0].pad = 1, 2, X_EINVAL);
#undef TRY
    expect("create-raw-for-another", try_create(1, COLLET_VBD_RAW, e, 1) < 0, 1);
    expect("create-for-nobody", try_create(30000, 0, e, 1), X_ESRCH);
    expect("create-unknown-flags", try_create(0, 1u << 30, e, 1), X_EINVAL);
    expect("create-from-nowhere", try_create(0, 0, (void *)8, 1), X_EFAULT);
    expect("create-from-the-hypervisor", try_create(0, 0, (void *)0xffff830000000000ul, 1), X_EFAULT);
}

static void holders(void)
{
    struct collet_extent e = {0, 0, 0, 1024}, beside = {0, 0, 1024, 1024}, across = {0, 0, 768, 512};
    struct blk_front a = {.vbd = 0}, b = {.vbd = 0};
    struct collet_vbd_create again = {.device = 51712, .extents = 1, .buffer = (uint64_t)&e, .name = "again"};
    struct collet_vbd_info info;

    expect("holder", blk_create(&a, "holder", 0, &e, 1), 0);
    expect("holder-beside", try_create(0, 0, &beside, 1), 0);
    expect("holder-across", blk_create(&b, "b", 0, &across, 1), X_EBUSY);
    expect("holder-across-read-only", try_create(0, COLLET_VBD_READ_ONLY, &across, 1), X_EBUSY);
    expect("holder-across-shared-by-one", try_create(0, COLLET_VBD_SHARED, &across, 1), X_EBUSY);
    expect("holder-raw", try_create(0, COLLET_VBD_RAW, &across, 1), 0);
    again.device = 1 << 20 | 7 << 8;
    again.buffer = (uint64_t)&beside;
    expect("device-new", control(COLLET_OP_VBD_CREATE, &again), 0);
    b.vbd = again.vbd;
    again.buffer = (uint64_t)&(struct collet_extent){0, 0, 4096, 256};
    expect("device-again", control(COLLET_OP_VBD_CREATE, &again), X_EEXIST);
    expect("destroy", blk_destroy(b.vbd), 0);
    check("destroyed-shows-no-more", !blk_info(b.vbd, &info));
    expect("destroy-twice", blk_destroy(b.vbd), X_ENOENT);
    expect("disconnect-the-gone", blk_disconnect(b.vbd), X_ENOENT);
    expect("disconnect-the-unconnected", blk_disconnect(a.vbd), 0);
    blk_destroy(a.vbd);
    blk_create(&a, "shared", COLLET_VBD_SHARED, &e, 1);
    expect("shared-with-shared", try_create(0, COLLET_VBD_SHARED, &across, 1), 0);
    expect("shared-with-unshared", try_create(0, 0, &across, 1), X_EBUSY);
    blk_destroy(a.vbd);
    blk_create(&a, "reads", COLLET_VBD_READ_ONLY, &e, 1);
    expect("both-only-read", try_create(0, COLLET_VBD_READ_ONLY, &across, 1), 0);
    expect("one-would-write", try_create(0, 0, &across, 1), X_EBUSY);
    blk_destroy(a.vbd);
}

static void connect_errors(void)
{
    struct collet_extent e = {0, 0, 0, 1024};
    struct collet_vbd_connect c;
    static struct blk_front f;
    uint32_t ref;

    blk_create(&f, "connect", 0, &e, 1);
    blk_ring(&f);
    c = (struct collet_vbd_connect){.vbd = f.vbd, .ring_ref = f.ring_ref, .port = (uint32_t)f.port};
#define TRY(name, change, want)                                                                                                                                            \
    do {                                                                                                                                                               \
        struct collet_vbd_connect keep = c;                                                                                                                            \
        change;                                                                                                                                                        \
        expect("connect-" name, control(COLLET_OP_VBD_CONNECT, &c), want);                                                                                             \
        c = keep;                                                                                                                                                      \
    } while (0)
    TRY("nobody", c.vbd = 1 << 30, X_ENOENT);
    TRY("ref-free", c.ring_ref = BLK_REFS - 2, X_EINVAL);
    TRY("ref-beyond-the-table", c.ring_ref = 1 << 20, X_EINVAL);
    TRY("ref-all-ones", c.ring_ref = ~0u, X_EINVAL);
    TRY("port-0", c.port = 0, X_EINVAL);
    TRY("port-closed", c.port = (uint32_t)f.port + 200, X_EINVAL);
    TRY("port-all-ones", c.port = ~0u, X_EINVAL);
    TRY("reserved", c.pad = 1, X_EINVAL);
    ref = blk_grant(buffer, GTF_readonly);
    TRY("read-only-grant", c.ring_ref = ref, X_EINVAL);
    check("connect-failure-leaves-the-grant", blk_ungrant(ref));
    ref = blk_grant(buffer, 0);
    blk_grants[ref].domid = 0;
    TRY("grant-for-another", c.ring_ref = ref, X_EINVAL);
    blk_ungrant(ref);
    TRY("after-all", (void)0, 0);
    TRY("twice", (void)0, X_EALREADY);
#undef TRY
    expect("disconnect", blk_disconnect(f.vbd), 0);
    expect("disconnect-twice", blk_disconnect(f.vbd), 0);
    blk_detach(&f);
}

/* The front goes and comes back. */
static void churn(void)
{
    struct collet_extent e = {0, 0, 0, 1024};
    static struct blk_front f;
    uint64_t free = 0;
    bool good = true;

    for (unsigned int i = 0; i < 100; i++) {
        blk_attach(&f, "churn", 0, &e, 1);
        for (unsigned int again = 0; again < 3; again++) {
            good = good && blk_io(&f, BLKIF_OP_READ, 0, align, buffer) == 0 && blk_disconnect(f.vbd) == 0;
            blk_ring_away(&f);
            blk_ring(&f);
            good = good && blk_connect(&f) == 0;
        }
        blk_submit(&f, BLKIF_OP_WRITE, 64, align, buffer);
        blk_push(&f);
        blk_detach(&f);
        if (i == 10)
            free = frames_free();
    }
    check("churn", good);
    expect("churn-costs-nothing", frames_free(), free);
}

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {{"errors", create_errors}, {"holders", holders}, {"connect", connect_errors}, {"basic", basic}, {"partial", partial}, {"scattered", scattered}, {"extents", extents},
             {"read-only", read_only}, {"range", range}, {"depth", depth}, {"upcall", upcall}, {"sync", sync}, {"swap", swap}, {"limits", limits}, {"model", model},
             {"record", record}, {"churn", churn}};

void kernel_main(void)
{
    char part[16] = "";
    uint64_t from;

    arg_string("part", part, sizeof(part));
    seed = arg_number("seed", 1) * 77 + 1;
    blk_init();
    views_init();
    buffer = blk_pages(64);
    other = blk_pages(64);
    disks_find();
    for (unsigned int i = 0; i < disks; i++) {
        blk_attach_disk(&raw[i], i);
        cksum("before", i);
    }
    for (unsigned int i = 0; i < COUNT_OF(parts); i++) {
        if (part[0] != '\0' && strcmp(part, parts[i].name) != 0)
            continue;
        from = now_ns();
        memset(cell_version, 0, sizeof(cell_version)); /* other parts have written there */
        parts[i].run();
        note("part %s: %lu ms\n", parts[i].name, (unsigned long)(now_ns() - from) / 1000000);
    }
    for (unsigned int i = 0; i < disks; i++) {
        struct collet_disk_info info;

        check("no-errors-of-the-device", blk_disk(i, &info) && info.errors == 0 && info.timeouts == 0 && info.resets == 0);
        blk_io(&raw[i], BLKIF_OP_FLUSH_DISKCACHE, 0, 0, NULL);
        cksum("after", i);
        blk_detach(&raw[i]);
    }
}
