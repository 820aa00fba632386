// SPDX-License-Identifier: MIT
/*
 * Several guests under load on shared disks, each in extents of its own, while Domain0 changes the ordering module every few milliseconds: every sector says what it is (VBD, sector, version) and is
 * looked at whenever it is read. For virtual time: -icount shift=...,sleep=off.
 *
 * role=dom0 guests=N seconds=N swap_ms=N model=yes: makes and connects the VBDs of domains 1 to N, swaps, ends them after so many seconds. role=guest seed=N: the load; depth and mix change by phases.
 * role=flood: asks for nonsense as fast as two vCPUs can, and says so like pest.c; the runner looks at the bystanders' shares.
 */
#include "blk.h"

#define GUESTS_MAX 6u
#define CELL 16u        /* sectors that have one version */
#define CELLS_MAX 4096u
#define RUN_CELLS 8u    /* at most so many in one request */

static const char *const modules[] = {"elevator", "fifo", "deadline", "fair"};
static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
    return random_next(&seed) % below;
}

/* ---- Domain0 ---- */

/* Guest g's extents lie between the others', on both disks, and not in the order of their sectors. */
static void extents_of(struct collet_extent *e, unsigned int g, unsigned int disks)
{
    for (unsigned int i = 0; i < 4; i++)
        e[i] = (struct collet_extent){.disk = i % disks, .sector = (uint64_t)((3 - i) * GUESTS_MAX + g) * 1024, .sectors = i == 3 ? 1000 : 1024};
}

static void disks_sound(unsigned int disks)
{
    struct collet_disk_info info;

    for (unsigned int i = 0; i < disks; i++) {
        bool good = blk_disk(i, &info);

        check("device-without-fault", good && info.errors == 0 && info.timeouts == 0 && info.resets == 0);
        check("no-module-dropped", info.dropped[0] == '\0');
        note("disk%u: %lu reads, %lu writes, %lu flushes, %lu device requests, %lu uses, module %s %s\n", i, (unsigned long)info.requests[COLLET_BLK_READ],
             (unsigned long)info.requests[COLLET_BLK_WRITE], (unsigned long)info.requests[COLLET_BLK_FLUSH], (unsigned long)info.device_requests, (unsigned long)info.uses,
             info.dropped, info.dropped_why);
    }
}

static void domain0(void)
{
    unsigned int guests = (unsigned int)MIN(arg_number("guests", 3), GUESTS_MAX), disks = 0;
    uint64_t swap_ns = arg_number("swap_ms", 4) * 1000000, seconds = arg_number("seconds", 60), until, swaps = 0, next_model = 0, done = 0;
    volatile struct blk_hello *hello[GUESTS_MAX];
    struct collet_disk_info info;
    struct blk_front f[GUESTS_MAX];
    char model[8] = "";

    while (disks < 2 && blk_disk(disks, &info))
        disks++;
    if (disks == 0)
        give_up("no disk\n");
    arg_string("model", model, sizeof(model));
    for (unsigned int g = 0; g < guests; g++) {
        struct collet_extent e[4];

        extents_of(e, g, disks);
        hello[g] = blk_accept(g + 1, 20 + g, &f[g], e, 4, BLK_WAIT_NS);
        if (hello[g] == NULL)
            give_up("guest %u offers nothing\n", g + 1);
    }
    until = now_ns() + seconds * 1000000000;
    while (now_ns() < until) {
        blk_nap(swap_ns);
        if (arg_number("swap_ms", 4) == 0) {
            blk_nap(100000000);
            continue;
        }
        for (unsigned int i = 0; i < disks; i++)
            if (blk_use(i, modules[rnd(COUNT_OF(modules))]) != 0)
                check("swap", false);
        swaps++;
        if (model[0] != '\0' && now_ns() > next_model) { /* the modelled drive comes and goes, too */
            next_model = now_ns() + 20000000000;
            if (blk_model((uint32_t)(swaps % disks), rnd(4) != 0 ? "hp97560" : "") != 0)
                check("model", false);
        }
    }
    for (unsigned int i = 0; i < disks && model[0] != '\0'; i++)
        blk_model(i, "");
    for (unsigned int g = 0; g < guests; g++)
        hello[g]->state = 3;
    until = now_ns() + 60000000000;
    for (unsigned int g = 0; g < guests; g++) {
        while (hello[g]->state != 4 && now_ns() < until)
            blk_nap(2000000);
        expect("guest-comes-to-its-end", hello[g]->state, 4);
        expect("guest-finds-nothing-bad", hello[g]->bad, 0);
        check("guest-has-done-much", hello[g]->done >= seconds || hello[g]->done > 1000);
        done += hello[g]->done;
    }
    disks_sound(disks);
    print("[t] load seconds=%lu swaps=%lu requests=%lu\n", (unsigned long)seconds, (unsigned long)swaps, (unsigned long)done);
}

/* ---- a guest ---- */

static struct task {
    unsigned int cell, cells;
    uint8_t op, *data;
} tasks[BLK_RING];
static uint64_t version[CELLS_MAX], last_version;
static bool taken[CELLS_MAX];
static uint64_t tag;

static bool range_take(unsigned int cell, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++)
        if (taken[cell + i])
            return false;
    for (unsigned int i = 0; i < n; i++)
        taken[cell + i] = true;
    return true;
}

static void start(struct blk_front *f, unsigned int cells, unsigned int write_of_10)
{
    unsigned int slot = (unsigned int)__builtin_ctz(~f->busy), what = (unsigned int)rnd(100);
    struct task *t = &tasks[slot];

    t->cells = 1 + (unsigned int)rnd(rnd(3) == 0 ? RUN_CELLS : 1);
    t->cell = (unsigned int)rnd(cells - t->cells);
    if (what == 0) {
        t->op = BLKIF_OP_FLUSH_DISKCACHE;
        t->cells = 0;
    } else if (!range_take(t->cell, t->cells)) {
        t->cells = 0;
        return;
    } else {
        t->op = what == 1 ? BLKIF_OP_WRITE_BARRIER : rnd(10) < write_of_10 ? BLKIF_OP_WRITE : BLKIF_OP_READ;
        for (unsigned int i = 0; i < t->cells; i++) {
            uint8_t *data = t->data + i * CELL * BLK_SECTOR;

            if (version[t->cell + i] == 0 && t->op == BLKIF_OP_READ)
                t->op = BLKIF_OP_WRITE, i = ~0u; /* all of it, from the first */
            else if (t->op != BLKIF_OP_READ)
                blk_stamp(data, tag, (uint64_t)(t->cell + i) * CELL, CELL, version[t->cell + i] = ++last_version);
        }
        if (t->cells * CELL > BLKIF_MAX_SEGMENTS_PER_REQUEST * BLK_PAGE_SECTORS && t->op == BLKIF_OP_WRITE_BARRIER)
            t->op = BLKIF_OP_WRITE; /* no barrier has so many segments */
    }
    blk_submit(f, t->op, (uint64_t)t->cell * CELL, t->cells * CELL, t->data);
}

static bool end(const struct task *t, int status)
{
    bool good = status == BLKIF_RSP_OKAY;

    if (!good)
        note("op %u cell %u cells %u: status %d\n", t->op, t->cell, t->cells, status);
    for (unsigned int i = 0; i < t->cells; i++) {
        taken[t->cell + i] = false;
        if (good && t->op == BLKIF_OP_READ)
            good = blk_stamp_bad(t->data + i * CELL * BLK_SECTOR, tag, (uint64_t)(t->cell + i) * CELL, CELL, version[t->cell + i]) == 0;
    }
    return good;
}

static unsigned int under_way(uint32_t busy)
{
    unsigned int n = 0;

    for (; busy != 0; busy &= busy - 1)
        n++;
    return n;
}

static void guest(void)
{
    static struct blk_front f;
    volatile struct blk_hello *hello = blk_offer(&f);
    unsigned int cells = (unsigned int)MIN(f.sectors / CELL, CELLS_MAX), depth = 1, write_of_10 = 5;

    tag = hello->number;
    for (unsigned int i = 0; i < BLK_RING; i++)
        tasks[i].data = blk_pages(RUN_CELLS * CELL / BLK_PAGE_SECTORS);
    while (hello->state == 2 || f.busy != 0) {
        int16_t status = -1;
        int slot;

        if (hello->done % 500 == 0) {
            depth = 1 + (unsigned int)rnd(rnd(2) == 0 ? 4 : BLK_RING);
            write_of_10 = (unsigned int)rnd(11);
        }
        while (hello->state == 2 && under_way(f.busy) < depth)
            start(&f, cells, write_of_10);
        blk_push(&f);
        slot = blk_answer(&f, &status, 120000000000);
        if (slot < 0) {
            hello->bad++;
            give_up("no answer\n");
        }
        if (!end(&tasks[slot], status)) {
            hello->bad++;
            check("content", false);
        }
        hello->done++;
        if (rnd(200) == 0)
            blk_nap(rnd(3000000));
    }
    note("guest %lu: %lu requests\n", (unsigned long)tag, (unsigned long)hello->done);
    check("all-were-answered", f.busy == 0);
    hello->state = 4;
    for (;;) /* Domain0 ends all */
        sched_op(SCHEDOP_block, 0);
}

/* ---- the flood ---- */

static struct blk_front flooded;

static void notify_for_ever(void *unused)
{
    (void)unused;
    for (;;)
        port_send(flooded.port);
}

static void nonsense(unsigned int kind)
{
    struct blkif_request *req = blk_slot(&flooded);

    req->operation = kind == 0 ? BLKIF_OP_READ : kind == 1 ? 77 : kind == 2 ? BLKIF_OP_INDIRECT : BLKIF_OP_WRITE;
    req->nr_segments = kind == 3 ? 255 : 11;
    for (unsigned int i = 0; i < 11; i++)
        req->seg[i] = (struct blkif_request_segment){.gref = i < 10 ? blk_ref_of(tasks[0].data) : BLK_REFS - 2, .last_sect = 7};
    if (kind == 2) {
        struct blkif_request_indirect *ind = (struct blkif_request_indirect *)req;

        ind->indirect_op = BLKIF_OP_READ;
        ind->nr_segments = 32;
        ind->indirect_grefs[0] = blk_ref_of(tasks[0].data);
    }
}

static void flood(void)
{
    static const char *const names[] = {"badgrant", "badop", "indirect", "segments", "reads"};
    uint64_t phase_ns = arg_number("phase_ms", 3500) * 1000000;
    volatile struct blk_hello *hello = blk_offer(&flooded);

    tasks[0].data = blk_pages(1);
    if (vcpu_count > 1 && vcpu_start(1) == 0)
        vcpu_do(1, notify_for_ever, NULL);
    for (unsigned int phase = 0; phase < COUNT_OF(names); phase++) {
        unsigned int kind = phase % COUNT_OF(names);
        uint64_t from = now_ns(), answers = 0;

        print("[t] pest phase=%s from=%lu to=%lu\n", names[kind], (unsigned long)from, (unsigned long)(from + phase_ns));
        while (now_ns() < from + phase_ns) {
            struct blkif_response rsp;
            unsigned int n = BLK_RING;

            for (unsigned int i = 0; i < BLK_RING; i++) {
                nonsense(kind == 4 ? 0 : kind);
                if (kind == 4)
                    flooded.sring->ring[(flooded.req_prod - 1) % BLK_RING].req.nr_segments = 10; /* these are right */
            }
            blk_push(&flooded);
            while (n > 0 && blk_response(&flooded, &rsp, 1000000000))
                n--, answers++;
            if (n > 0)
                give_up("no answer to nonsense\n");
        }
        note("%s: %lu answers\n", names[kind], (unsigned long)answers);
        hello->done += answers;
    }
    print("[t] pest phase=end from=%lu to=%lu\n", (unsigned long)now_ns(), (unsigned long)now_ns());
    hello->state = 4;
    for (;;)
        sched_op(SCHEDOP_block, 0);
}

void kernel_main(void)
{
    char role[8] = "dom0";

    arg_string("role", role, sizeof(role));
    seed = arg_number("seed", 1) * 77 + 1;
    blk_init();
    if (strcmp(role, "guest") == 0) {
        guest();
    } else if (strcmp(role, "flood") == 0) {
        flood();
    } else {
        views_init();
        domain0();
    }
}
