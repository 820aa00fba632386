// SPDX-License-Identifier: MIT
/*
 * A guest lies to the block core: in every field of a request, in its ring, in its grants, while the core looks and while the disk works; and domains end with requests under way. Each lie may cost
 * the liar its request, or its VBD until it is connected anew, and nobody anything else: after each, another VBD's content and service are looked at.
 * part= runs one part; count= and seed= are for the random ones. Disk 1, if there is one, is slow (throttled by QEMU), for what must be caught under way.
 */
#include "blk-child.h"

#include <collet/disk-record.h>

#define SECTORS 16384u

static struct blk_front witness, victim; /* beside it, and that of the liar */
static uint8_t *buffer, *guard;          /* guard: granted read-only, never to be written */
static uint64_t seed, attacks_made;
static struct collet_extent victim_extent = {0, 0, 0, SECTORS}, witness_extent = {0, 0, SECTORS, 2048};

static uint64_t rnd(uint64_t below)
{
    return random_next(&seed) % below;
}

static void fresh(void)
{
    if (victim.sring != NULL)
        blk_detach(&victim);
    blk_attach(&victim, "victim", 0, &victim_extent, 1);
}

static bool broken(void)
{
    struct collet_vbd_info info;

    return blk_info(victim.vbd, &info) && (info.flags & COLLET_VBD_BROKEN) && info.broken_why[0] != '\0';
}

static bool guard_kept(void)
{
    for (unsigned int i = 0; i < PAGE_SIZE; i++)
        if (guard[i] != 0x77)
            return false;
    return true;
}

/* The witness is served, its content is its own, nothing was written where it must not. */
static void well(const char *after)
{
    static uint64_t version;
    uint8_t *data = buffer + 32 * PAGE_SIZE;
    bool good = guard_kept();

    attacks_made++;
    if (version != 0) {
        memset(data, 0, 64 * BLK_SECTOR);
        good = good && blk_io(&witness, BLKIF_OP_READ, 128, 64, data) == 0 && blk_stamp_bad(data, 1, 128, 64, version) == 0;
    }
    blk_stamp(data, 1, 128, 64, ++version);
    good = good && blk_io(&witness, BLKIF_OP_WRITE, 128, 64, data) == 0;
    if (!good)
        note("after %s\n", after);
    check("witness-is-well", good);
}

/* Of a request that is right but for what the caller changes: one page at `sector`. */
static struct blkif_request *plain(uint8_t op, unsigned int segments)
{
    struct blkif_request *req = blk_slot(&victim);

    req->operation = op;
    req->nr_segments = (uint8_t)segments;
    req->id = 1000 + victim.req_prod;
    for (unsigned int i = 0; i < MIN(segments, 11u); i++)
        req->seg[i] = (struct blkif_request_segment){.gref = blk_ref_of(buffer + i * PAGE_SIZE), .first_sect = 0, .last_sect = 7};
    return req;
}

static struct blkif_request_indirect *indirect(uint8_t op, unsigned int segments)
{
    struct blkif_request_indirect *ind = (struct blkif_request_indirect *)blk_slot(&victim);
    struct blkif_request_segment *seg = (struct blkif_request_segment *)(buffer + 60 * PAGE_SIZE);

    for (unsigned int i = 0; i < 512; i++)
        seg[i] = (struct blkif_request_segment){.gref = blk_ref_of(buffer + i % 32 * PAGE_SIZE), .first_sect = 0, .last_sect = 7};
    ind->operation = BLKIF_OP_INDIRECT;
    ind->indirect_op = op;
    ind->nr_segments = (uint16_t)segments;
    ind->id = 5000 + victim.req_prod;
    for (unsigned int i = 0; i < 8; i++)
        ind->indirect_grefs[i] = blk_ref_of(seg);
    return ind;
}

static void one_gref(const char *name, uint32_t ref, bool read_too, bool write_too)
{
    for (unsigned int at = 0; at < 11; at += 5) {
        struct blkif_request *req = plain(BLKIF_OP_READ, 11);

        req->seg[at].gref = ref;
        expect(name, blk_try(&victim), read_too ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR);
        req = plain(BLKIF_OP_WRITE, 11);
        req->seg[at].gref = ref;
        expect(name, blk_try(&victim), write_too ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR);
    }
    well(name);
}

static void grefs(void)
{
    uint32_t ref = blk_grant(buffer, 0), last;
    struct blkif_request_indirect *ind;

    one_gref("gref-0", 0, false, false);
    one_gref("gref-free", BLK_REFS - 3, false, false);
    one_gref("gref-beyond-what-was-set-up", BLK_REFS + 100, false, false);
    one_gref("gref-beyond-any-table", 1u << 24, false, false);
    one_gref("gref-all-ones", ~0u, false, false);
    blk_grants[ref].domid = 0;
    one_gref("gref-for-domain0", ref, false, false);
    blk_grants[ref].domid = DOMID_SELF;
    one_gref("gref-for-self", ref, false, false);
    blk_grants[ref].domid = BLK_BACKEND;
    blk_grants[ref].flags = GTF_permit_access | GTF_readonly;
    one_gref("gref-read-only", ref, false, true);
    blk_grants[ref].flags = GTF_invalid;
    one_gref("gref-invalid", ref, false, false);
    blk_grants[ref].flags = GTF_accept_transfer;
    one_gref("gref-transfer", ref, false, false);
    blk_grants[ref].flags = GTF_transitive;
    one_gref("gref-transitive", ref, false, false);
    blk_grants[ref].flags = GTF_permit_access;
    static const uint32_t frames[] = {0, 0x100, ~0u, 0x7fffffff, 0xfee00, 0xa0};
    for (unsigned int i = 0; i < COUNT_OF(frames); i++) {
        blk_grants[ref].frame = frames[i];
        one_gref("gref-of-a-frame-not-ours", ref, false, false);
    }
    blk_grants[ref].frame = (uint32_t)mfn_of(buffer);
    one_gref("gref-good-again", ref, true, true);
    check("gref-is-free-after-all", blk_ungrant(ref));
    last = blk_grant(guard, GTF_readonly);
    one_gref("gref-read-only-guard", last, false, true);
    ind = indirect(BLKIF_OP_READ, 32);
    ind->indirect_grefs[0] = BLK_REFS - 3;
    expect("indirect-page-free", blk_try(&victim), BLKIF_RSP_ERROR);
    ind = indirect(BLKIF_OP_READ, 32);
    ind->indirect_grefs[0] = ~0u;
    expect("indirect-page-all-ones", blk_try(&victim), BLKIF_RSP_ERROR);
    for (unsigned int i = 0; i < 32; i += 31) {
        indirect(BLKIF_OP_READ, 32);
        ((struct blkif_request_segment *)(buffer + 60 * PAGE_SIZE))[i].gref = last;
        expect("indirect-segment-read-only", blk_try(&victim), BLKIF_RSP_ERROR);
    }
    ind = indirect(BLKIF_OP_WRITE, 32);
    ind->indirect_grefs[0] = last; /* garbage segments */
    expect("indirect-page-of-garbage", blk_try(&victim), BLKIF_RSP_ERROR);
    check("guard-is-free", blk_ungrant(last));
    well("indirect");
}

static void counts(void)
{
    static const unsigned int plain_counts[] = {0, 12, 13, 32, 128, 255}, indirect_counts[] = {0, 33, 256, 511, 512, 513, 4096, 32768, 65535};

    for (unsigned int i = 0; i < COUNT_OF(plain_counts); i++) {
        plain(BLKIF_OP_READ, plain_counts[i]);
        expect("segments-absurd", blk_try(&victim), BLKIF_RSP_ERROR);
        plain(BLKIF_OP_WRITE, plain_counts[i]);
        expect("segments-absurd-write", blk_try(&victim), BLKIF_RSP_ERROR);
    }
    for (unsigned int i = 0; i < COUNT_OF(indirect_counts); i++) {
        indirect(BLKIF_OP_READ, indirect_counts[i]);
        expect("indirect-segments-absurd", blk_try(&victim), BLKIF_RSP_ERROR);
    }
    for (unsigned int op = 2; op < 256; op += op < 10 ? 1 : 49) {
        indirect((uint8_t)op, 12);
        if (blk_try(&victim) >= 0)
            check("indirect-of-something-else", false);
        plain((uint8_t)(op < 7 ? op + 7 : op), 1);
        expect("operation-unknown", blk_try(&victim), BLKIF_RSP_EOPNOTSUPP);
    }
    for (unsigned int first = 0; first < 256; first += first < 9 ? 1 : 41)
        for (unsigned int last = 0; last < 256; last += last < 9 ? 1 : 41) {
            struct blkif_request *req = plain(BLKIF_OP_READ, 11);
            bool fine = first <= last && last <= 7;

            req->seg[3].first_sect = (uint8_t)first;
            req->seg[3].last_sect = (uint8_t)last;
            if (blk_try(&victim) != (fine ? BLKIF_RSP_OKAY : BLKIF_RSP_ERROR)) {
                note("first %u, last %u\n", first, last);
                check("sectors-of-a-segment", false);
            }
        }
    plain(BLKIF_OP_READ, 1)->sector_number = ~0ul;
    expect("sector-last", blk_try(&victim), BLKIF_RSP_ERROR);
    plain(BLKIF_OP_WRITE, 11)->sector_number = ~0ul - 87;
    expect("sector-wraps", blk_try(&victim), BLKIF_RSP_ERROR);
    indirect(BLKIF_OP_WRITE, 32)->sector_number = ~0ul - 254;
    expect("sector-wraps-indirect", blk_try(&victim), BLKIF_RSP_ERROR);
    plain(BLKIF_OP_WRITE, 1)->sector_number = SECTORS - 4; /* the witness begins there */
    expect("sector-over-the-end", blk_try(&victim), BLKIF_RSP_ERROR);
    static const uint64_t lengths[] = {0, SECTORS + 1, 1ul << 32, ~0ul, ~0ul - 7, 1ul << 63};
    for (unsigned int i = 0; i < COUNT_OF(lengths); i++) {
        struct blkif_request_discard *d = (struct blkif_request_discard *)blk_slot(&victim);

        d->operation = BLKIF_OP_DISCARD;
        d->sector_number = i & 1 ? 8 : 0;
        d->nr_sectors = lengths[i];
        if (blk_try(&victim) >= 0)
            check("discard-absurd", false);
    }
    check("victim-is-not-broken-by-bad-requests", !broken());
    well("counts");
}

static void indices(void)
{
    static const uint32_t jumps[] = {33, 34, 64, 1000, 0x7fffffff, 0x80000000u, 0xfffffff0u, ~0u};

    for (unsigned int i = 0; i < COUNT_OF(jumps); i++) {
        struct blkif_response rsp;

        fresh();
        for (unsigned int j = 0; j < 5; j++)
            blk_io(&victim, BLKIF_OP_READ, 0, 8, buffer);
        for (unsigned int j = 0; j < BLK_RING; j++)
            plain(BLKIF_OP_WRITE, 1);
        victim.sring->req_prod = 5 + jumps[i];
        port_send(victim.port);
        pause_ns(2000000);
        port_send(victim.port);
        check("producer-jumps-breaks-the-ring", broken());
        check("producer-jumps-no-answer", !blk_response(&victim, &rsp, 10000000));
        well("indices");
        expect("broken-disconnects", blk_disconnect(victim.vbd), 0);
        blk_ring_away(&victim);
        blk_ring(&victim);
        expect("broken-connects-anew", blk_connect(&victim), 0);
        expect("broken-and-served-anew", blk_io(&victim, BLKIF_OP_READ, 0, 8, buffer), 0);
    }
    fresh();
    for (unsigned int i = 0; i < 40; i++) { /* what stands in rsp_prod is nothing to the core */
        victim.sring->rsp_prod = (uint32_t)rnd(1ul << 32);
        plain(BLKIF_OP_READ, 1);
        victim.sring->rsp_event = victim.rsp_cons + 1;
        victim.sring->req_prod = victim.req_prod;
        victim.sring->req_event = (uint32_t)rnd(1ul << 32);
        port_send(victim.port);
        uint64_t until = now_ns() + 2000000000;
        while (*(volatile uint32_t *)&victim.sring->rsp_prod != victim.rsp_cons + 1 && now_ns() < until)
            pause_ns(100000);
        expect("rsp_prod-is-the-core's", victim.sring->rsp_prod, victim.rsp_cons + 1);
        victim.rsp_cons++;
    }
    check("rsp_prod-breaks-nothing", !broken());
    well("rsp_prod");
    fresh();
    for (unsigned int round = 0; round < 3; round++) { /* more in the ring than there is room for answers that nobody took is seen by indices alone */
        for (unsigned int i = 0; i < BLK_RING; i++)
            plain(BLKIF_OP_READ, 1)->id = 42;
        blk_push(&victim);
        for (unsigned int i = 0; i < BLK_RING; i++) {
            struct blkif_response rsp = {.id = 0};

            if (!blk_response(&victim, &rsp, BLK_WAIT_NS) || rsp.id != 42 || rsp.status != 0)
                check("ids-repeated-are-echoed", false);
        }
    }
    well("ids");
}

/* Sends without end; the other vCPU changes what is in the slot. */
static volatile bool stop;
static struct blkif_request *target;
static uint32_t good_ref, guard_ref;

static void flip_request(void *unused)
{
    volatile struct blkif_request *r;
    uint64_t s = 99;

    (void)unused;
    while (!stop) {
        r = __atomic_load_n(&target, __ATOMIC_ACQUIRE);
        if (r == NULL)
            continue;
        switch (random_next(&s) % 9) {
        case 0: r->nr_segments = 255; break;
        case 1: r->nr_segments = 1; break;
        case 2: r->seg[0].last_sect = 255; break;
        case 3: r->seg[0].last_sect = 0; break;
        case 4: r->seg[0].gref = guard_ref; break;
        case 5: r->seg[0].gref = good_ref; break;
        case 6: r->operation ^= 1; break;
        case 7: r->sector_number = SECTORS - 1; break;
        case 8: r->sector_number = 16; break;
        }
    }
}

static void flip_indirect(void *unused)
{
    volatile struct blkif_request_segment *seg = (struct blkif_request_segment *)(buffer + 60 * PAGE_SIZE);
    uint64_t s = 98;

    (void)unused;
    while (!stop) {
        unsigned int i = (unsigned int)(random_next(&s) % 32);

        seg[i].last_sect = 255;
        seg[i].gref = guard_ref;
        seg[i].gref = good_ref;
        seg[i].first_sect = 9;
        seg[i].first_sect = 0;
        seg[i].last_sect = 7;
    }
}

static void flip_grant(void *unused)
{
    (void)unused;
    while (!stop) {
        blk_grants[good_ref].flags = 0;
        blk_grants[good_ref].frame = 0x100;
        blk_grants[good_ref].flags = GTF_permit_access;
        blk_grants[good_ref].flags = GTF_permit_access | GTF_readonly;
        blk_grants[good_ref].frame = (uint32_t)mfn_of(buffer);
        blk_grants[good_ref].domid = 0;
        blk_grants[good_ref].flags = GTF_permit_access;
        blk_grants[good_ref].domid = BLK_BACKEND;
    }
}

static void flip(const char *name, void (*other)(void *), unsigned int rounds)
{
    uint64_t okay = 0, refused = 0;
    bool answered = true;

    fresh();
    good_ref = blk_grant(buffer, 0);
    guard_ref = blk_grant(guard, GTF_readonly);
    stop = false;
    target = NULL;
    vcpu_do(1, other, NULL);
    for (unsigned int i = 0; i < rounds && answered; i++) {
        unsigned int n = 1 + (unsigned int)rnd(31);

        for (unsigned int j = 0; j < n; j++) {
            struct blkif_request *req;

            if (other == flip_indirect) {
                indirect(BLKIF_OP_READ, 32);
                continue;
            }
            req = plain(BLKIF_OP_READ, 1);
            req->seg[0].gref = good_ref;
            __atomic_store_n(&target, other == flip_request ? req : NULL, __ATOMIC_RELEASE);
        }
        blk_push(&victim);
        for (unsigned int j = 0; j < n; j++) {
            struct blkif_response rsp;

            if (!blk_response(&victim, &rsp, BLK_WAIT_NS)) {
                answered = false;
                break;
            }
            okay += rsp.status == 0;
            refused += rsp.status != 0;
        }
    }
    stop = true;
    vcpu_wait(1, 5000000000);
    check(name, answered && guard_kept());
    note("%s: %lu done, %lu refused\n", name, (unsigned long)okay, (unsigned long)refused);
    blk_grants[good_ref].frame = (uint32_t)mfn_of(buffer);
    well(name);
    fresh(); /* nothing is under way any more */
    if (other != flip_grant) {
        check("flipped-grants-are-free", blk_ungrant(good_ref) && blk_ungrant(guard_ref));
    } else {
        blk_grants[good_ref].flags = 0;
        blk_ungrant(good_ref);
        blk_ungrant(guard_ref);
    }
}

static void races(void)
{
    unsigned int rounds = (unsigned int)arg_number("rounds", 300);

    if (vcpu_count < 2 || (vcpus[1].alive == 0 && vcpu_start(1) != 0)) {
        skip("races", "one vCPU");
        return;
    }
    flip("request-changes-while-it-is-copied", flip_request, rounds);
    flip("indirect-segments-change", flip_indirect, rounds);
    flip("grants-change", flip_grant, rounds);
}

static void ring_pages(void)
{
    uint64_t *table = table_alloc();
    struct collet_vbd_connect c;
    uint32_t ref;
    void *page;
    int status;

    /* A page table as ring, and as a target. */
    expect("pin-a-table", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(table), 0), 0);
    fresh();
    blk_disconnect(victim.vbd);
    ref = blk_grant(table, 0);
    c = (struct collet_vbd_connect){.vbd = victim.vbd, .ring_ref = ref, .port = (uint32_t)victim.port};
    expect("ring-is-a-page-table", control(COLLET_OP_VBD_CONNECT, &c), X_EINVAL);
    fresh();
    plain(BLKIF_OP_READ, 1)->seg[0].gref = ref;
    expect("read-into-a-page-table", blk_try(&victim), BLKIF_RSP_ERROR);
    plain(BLKIF_OP_WRITE, 1)->seg[0].gref = ref;
    status = blk_try(&victim);
    check("write-from-a-page-table", status == BLKIF_RSP_OKAY || status == BLKIF_RSP_ERROR);
    check("table-untouched", table[0] == 0 && table[511] == 0);
    check("table-grant-free", blk_ungrant(ref));
    mmuext(MMUEXT_UNPIN_TABLE, mfn_of(table), 0);
    table_free(table);
    well("page-table");

    /* The ring becomes a page table while it is served. */
    fresh();
    page = victim.sring;
    blk_io(&victim, BLKIF_OP_READ, 0, 8, buffer);
    if (update_va_mapping(page, (maddr_of(page) & PAGE_MASK) | PTE_RO, UVMF_INVLPG | UVMF_ALL) == 0) {
        check("served-ring-cannot-be-pinned", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0) < 0);
        make_writable(page);
    }
    expect("served-on", blk_io(&victim, BLKIF_OP_READ, 0, 8, buffer), 0);

    /* Its grant is taken away and given for another page while it is served. */
    blk_grants[victim.ring_ref].flags = 0;
    status = blk_io(&victim, BLKIF_OP_READ, 0, 8, buffer);
    check("ring-ungranted-by-force", status == BLKIF_RSP_OKAY);
    blk_grants[victim.ring_ref].frame = (uint32_t)mfn_of(guard);
    blk_grants[victim.ring_ref].flags = GTF_permit_access;
    status = blk_io(&victim, BLKIF_OP_READ, 0, 8, buffer);
    check("ring-granted-elsewhere", status == BLKIF_RSP_OKAY && guard_kept());
    well("ring-grant");
    blk_destroy(victim.vbd);
    blk_grants[victim.ring_ref].flags = 0;
    blk_ring_away(&victim);
    blk_attach(&victim, "victim", 0, &victim_extent, 1);

    /* One frame in all segments; the ring itself as data. */
    plain(BLKIF_OP_READ, 11);
    for (unsigned int i = 0; i < 11; i++)
        victim.sring->ring[(victim.req_prod - 1) % BLK_RING].req.seg[i].gref = blk_ref_of(buffer);
    expect("one-frame-in-all-segments", blk_try(&victim), BLKIF_RSP_OKAY);
    plain(BLKIF_OP_WRITE, 1)->seg[0].gref = victim.ring_ref;
    expect("ring-as-data-out", blk_try(&victim), BLKIF_RSP_OKAY);
    for (unsigned int i = 0; i < 20; i++) {
        struct blkif_response rsp;

        memset(buffer, i < 5 ? 0 : (int)rnd(256), PAGE_SIZE);
        if (i >= 10)
            for (unsigned int j = 0; j < PAGE_SIZE; j++)
                buffer[j] = (uint8_t)rnd(256);
        blk_io(&victim, BLKIF_OP_WRITE, 800, 8, buffer);
        plain(BLKIF_OP_READ, 1)->seg[0].gref = victim.ring_ref;
        victim.sring->ring[(victim.req_prod - 1) % BLK_RING].req.sector_number = 800;
        blk_push(&victim);
        blk_response(&victim, &rsp, 5000000);
        port_send(victim.port);
        well("ring-as-data-in");
        fresh();
    }
}

static void ends(void)
{
    struct blkif_response rsp;
    struct collet_vbd_info info;

    fresh();
    expect("disconnect", blk_disconnect(victim.vbd), 0);
    memset(buffer, 0x55, PAGE_SIZE);
    plain(BLKIF_OP_READ, 1);
    blk_push(&victim);
    port_send(victim.port);
    check("no-answer-after-disconnect", !blk_response(&victim, &rsp, 20000000));
    check("nothing-taken-after-disconnect", victim.sring->rsp_prod == 0 && buffer[0] == 0x55 && blk_info(victim.vbd, &info) && info.in_flight == 0);
    fresh();
    for (unsigned int round = 0; round < 20; round++) { /* the port closes under load */
        for (unsigned int i = 0; i < 20; i++)
            plain(BLKIF_OP_READ, 11);
        blk_push(&victim);
        if (round & 1)
            pause_ns(rnd(2000000));
        port_close(victim.port);
        pause_ns(1000000);
        well("port-closed");
        fresh();
    }
    for (unsigned int round = 0; round < 100; round++) { /* gone with all slots under way */
        for (unsigned int i = 0; i < BLK_RING; i++)
            plain(i & 1 ? BLKIF_OP_READ : BLKIF_OP_WRITE, 11);
        blk_push(&victim);
        if (round & 1)
            pause_ns(rnd(1000000));
        if (round & 2) {
            if (blk_disconnect(victim.vbd) != 0)
                check("disconnect-under-load", false);
        }
        fresh();
    }
    well("gone-under-load");
    for (unsigned int round = 0; round < 300; round++) { /* as noisy as can be: the runner counts lines */
        victim.sring->req_prod = 1000;
        port_send(victim.port);
        fresh();
    }
    well("noise");
}

/* ---- with a slow disk ---- */

static struct blk_front slow;

static void slow_start(unsigned int requests, uint8_t op)
{
    struct collet_extent e = {1, 0, 0, SECTORS};

    memset(&slow, 0, sizeof(slow));
    blk_attach(&slow, "slow", 0, &e, 1);
    for (unsigned int i = 0; i < requests; i++)
        blk_submit(&slow, op, i * 88, 8, buffer + i * PAGE_SIZE);
    blk_push(&slow);
    pause_ns(5000000);
}

static void slow_end(const char *name)
{
    static uint8_t copy[PAGE_SIZE];
    uint64_t from = now_ns();
    bool still = true;

    expect(name, blk_destroy(slow.vbd), 0);
    note("%s: took %lu ms\n", name, (unsigned long)(now_ns() - from) / 1000000);
    /* Now the device touches nothing of it any more. */
    for (unsigned int i = 0; i < 32; i++)
        memset(buffer + i * PAGE_SIZE, (int)i, PAGE_SIZE);
    pause_ns(1500000000);
    for (unsigned int i = 0; i < 32; i++) {
        memset(copy, (int)i, PAGE_SIZE);
        still = still && memcmp(copy, buffer + i * PAGE_SIZE, PAGE_SIZE) == 0;
    }
    check("nothing-comes-after-the-end", still);
    blk_ring_away(&slow);
    page_free(slow.sring);
    well(name);
}

/* A frame cannot become something else while a device writes to it. */
static void frames_under_way(void)
{
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
    uint8_t *page = blk_pages(1);
    xen_pfn_t mfn = mfn_of(page);
    uint64_t free;
    int16_t status = -1;
    long rc;

    slow_start(6, BLKIF_OP_READ); /* few enough that the next one is taken at once */
    memset(page, 0, PAGE_SIZE);
    blk_submit(&slow, BLKIF_OP_READ, 4096, 8, page);
    blk_push(&slow);
    port_send(slow.port); /* a busy ring asks for no event */
    pause_ns(2000000);
    expect("unmap-under-way", update_va_mapping(page, 0, UVMF_INVLPG | UVMF_ALL), 0);
    check("no-page-table-under-way", mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0) < 0);
    free = frames_free();
    set_xen_guest_handle(r.extent_start, &mfn);
    rc = memory_op(XENMEM_decrease_reservation, &r);
    note("decrease_reservation of a frame under way: %ld\n", rc);
    check("not-free-under-way", frames_free() <= free);
    while (slow.busy != 0 && blk_answer(&slow, &status, BLK_WAIT_NS) >= 0)
        ;
    expect("under-way-ends", status, 0);
    if (rc == 1) {
        xen_pfn_t pfn = pfn_of(page);

        check("free-when-it-has-ended", frames_free() == free + 1);
        set_xen_guest_handle(r.extent_start, &pfn);
        expect("another-frame", memory_op(XENMEM_populate_physmap, &r), 1);
        p2m[pfn_of(page)] = pfn;
        mfn = pfn;
        blk_grants[blk_ref_of(page)].frame = (uint32_t)mfn;
    }
    expect("map-again", update_va_mapping(page, mfn << PAGE_SHIFT | PTE_PAGE, UVMF_INVLPG | UVMF_ALL), 0);
    slow_end("frames-under-way");
}

extern char __start_child_blk[], __stop_child_blk[];

static void child_disk(struct child *c, struct blk_front *f, const char *name, unsigned int then, unsigned int depth, uint8_t op, const struct collet_extent *e)
{
    struct child_orders o = {.mode = {CHILD_LOOP, CHILD_STAY_DOWN}};
    struct blk_orders *b = (struct blk_orders *)o.list;
    struct collet_vbd_connect connect;
    volatile struct blk_orders *seen;
    uint64_t until = now_ns() + 5000000000;
    long rc;

    *b = (struct blk_orders){.then = then, .operation = op, .segments = 11, .depth = (uint16_t)depth, .spread = 100};
    if (__stop_child_blk - __start_child_blk > (long)PAGE_SIZE)
        give_up("child too long\n");
    if ((rc = child_create(c, name, 1, 4 * CHILD_PAGES)) != 0 || (rc = child_populate(c)) != 0 || (rc = child_fill(c, &o)) != 0 ||
        (rc = child_write(c, CHILD_CODE, __start_child_blk, (uint64_t)(__stop_child_blk - __start_child_blk))) != 0 || (rc = child_share(c)) != 0 || (rc = child_start(c)) != 0)
        give_up("build %s: %ld\n", name, rc);
    rc = blk_create_for(c->domid, f, name, 0, e, 1);
    if (rc != 0)
        give_up("vbd of %s: %ld\n", name, rc);
    if (view_map(0, c->mfn[CHILD_ORDERS], c->domid, PTE_PAGE) != 0)
        give_up("view of %s\n", name);
    seen = (volatile struct blk_orders *)view_orders(0)->list;
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c->domid);
    while (seen->state != BLK_CHILD_OFFERED && now_ns() < until)
        pause_ns(1000000);
    if (seen->state != BLK_CHILD_OFFERED || seen->rc != 0)
        give_up("%s does not offer a ring: %ld\n", name, (long)seen->rc);
    connect = (struct collet_vbd_connect){.vbd = f->vbd, .ring_ref = seen->ring_ref, .port = seen->port};
    expect("child-connects", control(COLLET_OP_VBD_CONNECT, &connect), 0);
    seen->state = BLK_CHILD_GO;
    while (seen->state == BLK_CHILD_GO && now_ns() < until)
        pause_ns(200000);
}

static uint64_t frames_given_on;

static bool among(const uint64_t *mfns, unsigned int count, uint64_t mfn)
{
    for (unsigned int i = 0; i < count; i++)
        if (mfns[i] == mfn)
            return true;
    return false;
}

#define TAKEN (12u * CHILD_PAGES) /* frames: half while the device works, half then */

static void child_ends(const char *name, unsigned int then, uint8_t op, bool pause_first)
{
    static uint64_t mfns[TAKEN];
    static uint8_t pattern[PAGE_SIZE];
    struct collet_extent e = {1, 0, 0, SECTORS};
    struct collet_domain_info info;
    struct collet_vbd_info vbd;
    struct collet_domain_ref ref;
    struct child c, next;
    struct blk_front f;
    uint64_t from, longest = 0, calls = 0, free, reused = 0;
    bool early = false, hit = false;
    long rc;

    free = frames_free();
    child_disk(&c, &f, name, then, 32, op, &e);
    view_unmap(0);
    if (pause_first)
        child_ref(COLLET_OP_DOMAIN_PAUSE, c.domid);
    check("child-has-requests-under-way", blk_info(f.vbd, &vbd) && vbd.in_flight > 20);
    if (child_create(&next, "next", 1, COUNT_OF(mfns) + CHILD_PAGES) != 0)
        give_up("create next\n");
    ref = (struct collet_domain_ref){.domid = c.domid};
    from = now_ns();
    do {
        uint64_t at = now_ns();

        rc = control(COLLET_OP_DOMAIN_DESTROY, &ref);
        longest = MAX(longest, now_ns() - at);
        if (rc == X_EINTR && calls++ == 0) {
            struct collet_domain_populate a = {.domid = next.domid, .count = TAKEN / 2, .first_pfn = 0, .mfns = (uint64_t)mfns};

            /* As many frames as we can get: none of those that the device may write to. */
            if (control(COLLET_OP_DOMAIN_POPULATE, &a) != 0)
                give_up("populate next\n");
            for (unsigned int i = 0; i < TAKEN / 2; i++)
                early = early || among(&c.mfn[CHILD_DATA], 16, mfns[i]);
            well(name);
        }
    } while (rc == X_EINTR && now_ns() - from < 30000000000);
    expect("child-destroyed", rc, 0);
    note("%s: %lu ms, %lu calls more, the longest %lu us\n", name, (unsigned long)(now_ns() - from) / 1000000, (unsigned long)calls, (unsigned long)longest / 1000);
    check("no-frame-given-on-while-the-device-works", !early);
    check("calls-are-short", longest < 3000000000); /* of a busy host's time */
    check("vbd-went-with-its-domain", !blk_info(f.vbd, &(struct collet_vbd_info){0}) && !domain_info(c.domid, &info));
    if (calls == 0) {
        struct collet_domain_populate a = {.domid = next.domid, .count = TAKEN / 2, .first_pfn = 0, .mfns = (uint64_t)mfns};

        control(COLLET_OP_DOMAIN_POPULATE, &a);
    }
    /* The old frames in a new domain. */
    {
        struct collet_domain_populate a = {.domid = next.domid, .count = CHILD_PAGES};
        struct collet_domain_write w = {.domid = next.domid, .bytes = PAGE_SIZE, .source = (uint64_t)pattern};

        for (unsigned int i = TAKEN / 2; i < TAKEN; i += CHILD_PAGES) { /* as the child's were taken: blocks of that size come back */
            a.first_pfn = i;
            a.mfns = (uint64_t)(mfns + i);
            if (control(COLLET_OP_DOMAIN_POPULATE, &a) != 0)
                give_up("populate next again\n");
        }
        memset(pattern, 0xc3, PAGE_SIZE);
        for (unsigned int i = 0; i < TAKEN; i++) {
            w.mfns = (uint64_t)&mfns[i];
            if (control(COLLET_OP_DOMAIN_WRITE, &w) != 0)
                give_up("write next\n");
        }
        pause_ns(1000000000);
        for (unsigned int i = 0; i < TAKEN; i++) {
            if (!among(c.mfn, CHILD_PAGES, mfns[i]))
                continue;
            reused++;
            if (view_map(1, mfns[i], next.domid, PTE_RO) != 0)
                give_up("view next\n");
            hit = hit || memcmp(region_va(&views, 1), pattern, PAGE_SIZE) != 0;
            view_unmap(1);
        }
    }
    frames_given_on += reused;
    note("%s: %lu frames of the child are the next one's\n", name, (unsigned long)reused);
    check("late-writes-hit-nobody", !hit);
    child_ref(COLLET_OP_DOMAIN_DESTROY, next.domid);
    well(name);
    if (attacks_made > 1 && frames_free() + 64 < free)
        expect("frames-come-back", frames_free(), free);
}

static void children(void)
{
    struct collet_disk_info info;

    if (!blk_disk(1, &info)) {
        skip("children", "no slow disk");
        return;
    }
    slow_start(32, BLKIF_OP_READ);
    slow_end("destroyed-with-32-reads-under-way");
    slow_start(32, BLKIF_OP_WRITE);
    slow_end("destroyed-with-32-writes-under-way");
    frames_under_way();
    child_ends("load", BLK_CHILD_LOAD, BLKIF_OP_READ, false);
    child_ends("paused", BLK_CHILD_LOAD, BLKIF_OP_READ, true);
    child_ends("crashed", BLK_CHILD_CRASH, BLKIF_OP_READ, false);
    child_ends("ended", BLK_CHILD_END, BLKIF_OP_WRITE, false);
    child_ends("spins", BLK_CHILD_SPIN, BLKIF_OP_READ, false);
    check("frames-were-given-on", frames_given_on > 100);
}

/* One vCPU of Domain0 takes away, gives back, limits, records, lists and destroys what another one uses. */
static uint64_t calls_made;

static void meddle(void *unused)
{
    static const char *const modules[] = {"fifo", "elevator", "deadline", "fair", "none"};
    static struct collet_disk_record records[64];
    uint64_t s = seed ^ 0x55;

    (void)unused;
    while (!stop) {
        uint32_t vbd = *(volatile uint32_t *)&victim.vbd + (random_next(&s) % 8 == 0);
        struct collet_vbd_ref ref = {.vbd = vbd};
        struct collet_vbd_connect c = {.vbd = vbd, .ring_ref = *(volatile uint32_t *)&victim.ring_ref, .port = (uint32_t) * (volatile int *)&victim.port};
        struct collet_vbd_limits l = {.vbd = vbd, .requests_per_s = random_next(&s) % 3 * 5000};
        struct collet_disk_recording r = {.records = random_next(&s) % 2 ? 1024 : 0};
        struct collet_disk_record_read take = {.count = 64, .buffer = (uint64_t)records};
        struct collet_disk_value value = {.name = "weight", .scope = COLLET_DISK_SCOPE_VBD, .vbd = vbd, .value = 200};
        struct collet_disk_values values = {.buffer = (uint64_t)&value, .count = 1};
        struct collet_vbd_info info;
        struct collet_extent e[4];
        struct collet_vbd_extents extents = {.vbd = vbd, .count = 4, .buffer = (uint64_t)e};

        switch (random_next(&s) % 12) {
        case 0: control(COLLET_OP_VBD_DISCONNECT, &ref); break;
        case 1: control(COLLET_OP_VBD_CONNECT, &c); break;
        case 2:
            if (random_next(&s) % 8 == 0)
                control(COLLET_OP_VBD_DESTROY, &ref);
            break;
        case 3: control(COLLET_OP_VBD_LIMITS, &l); break;
        case 4: blk_info(vbd, &info); break;
        case 5: control(COLLET_OP_VBD_EXTENTS, &extents); break;
        case 6: blk_use(0, modules[random_next(&s) % 5]); break;
        case 7: control(COLLET_OP_DISK_RECORD, &r); break;
        case 8: control(COLLET_OP_DISK_RECORD_READ, &take); break;
        case 9: control(COLLET_OP_DISK_SET, &values); break;
        case 10: control(COLLET_OP_DISK_GET, &values); break;
        case 11: port_send((int)c.port); break;
        }
        calls_made++;
    }
}

static void meddled(void)
{
    uint64_t until = now_ns() + arg_number("seconds", 8) * 1000000000, rounds = 0, answers = 0;

    if (vcpu_count < 2 || (vcpus[1].alive == 0 && vcpu_start(1) != 0)) {
        skip("meddled", "one vCPU");
        return;
    }
    fresh();
    stop = false;
    vcpu_do(1, meddle, NULL);
    for (; now_ns() < until; rounds++) {
        unsigned int n = 1 + (unsigned int)rnd(BLK_RING);
        struct blkif_response rsp;
        long rc;

        for (unsigned int i = 0; i < n; i++)
            plain(rnd(2) ? BLKIF_OP_READ : BLKIF_OP_WRITE, 1 + (unsigned int)rnd(11));
        blk_push(&victim);
        while (n > 0 && blk_response(&victim, &rsp, 3000000))
            n--, answers++;
        if (n == 0 && rnd(16) != 0)
            continue;
        /* The other may have destroyed it, or have it connected to the former ring: until neither is so. */
        rc = blk_destroy(victim.vbd);
        check("meddled-destroy", rc == 0 || rc == X_ENOENT);
        blk_grants[victim.ring_ref].flags &= (uint16_t) ~(GTF_reading | GTF_writing);
        blk_ring_away(&victim);
        blk_create(&victim, "victim", 0, &victim_extent, 1);
        blk_ring(&victim);
        rc = blk_connect(&victim);
        check("meddled-connect", rc == 0 || rc == X_EALREADY || rc == X_ENOENT || rc == X_EINVAL || rc == X_EBUSY);
        if (rounds % 8 == 0)
            well("meddled");
    }
    stop = true;
    check("meddler-comes-back", vcpu_wait(1, 5000000000));
    note("%lu rounds, %lu answers, %lu calls beside them\n", (unsigned long)rounds, (unsigned long)answers, (unsigned long)calls_made);
    control(COLLET_OP_DISK_RECORD, &(struct collet_disk_recording){0});
    blk_use(0, "elevator");
    blk_destroy(victim.vbd);
    blk_ring_away(&victim);
    victim.sring = NULL;
    well("meddled");
}

/* A disk that answers one request a second: the core loses patience, resets it, and goes on. Takes a minute and more, by its name only. */
static void stuck(void)
{
    struct collet_extent e[2] = {{1, 0, 0, 4096}, {1, 0, 4096, 4096}};
    static struct blk_front f[2];
    struct collet_disk_info info;
    unsigned int okay = 0, failed = 0;
    bool still = true;

    for (unsigned int i = 0; i < 2; i++)
        blk_attach(&f[i], i == 0 ? "stuck" : "too", 0, &e[i], 1);
    for (unsigned int i = 0; i < 2; i++) {
        for (unsigned int j = 0; j < BLK_RING; j++)
            blk_submit(&f[i], BLKIF_OP_READ, j * 88, 8, buffer + j * PAGE_SIZE);
        blk_push(&f[i]);
    }
    for (unsigned int i = 0; i < 2; i++)
        while (f[i].busy != 0) {
            int16_t status;

            if (blk_answer(&f[i], &status, 200000000000) < 0)
                give_up("stuck for good\n");
            okay += status == 0;
            failed += status == BLKIF_RSP_ERROR;
        }
    note("%u done, %u failed\n", okay, failed);
    check("stuck-each-is-answered", okay + failed == 2 * BLK_RING);
    check("stuck-none-fails", failed == 0); /* done before the reset, or given to the disk again */
    check("stuck-shows", blk_disk(1, &info) && info.timeouts > 0 && info.resets > 0 && !(info.flags & COLLET_DISK_FAILED) && info.issued == 0 && info.queued == 0);
    memset(buffer, 0x3c, 32 * PAGE_SIZE);
    blk_nap(45000000000); /* QEMU has to make up for what the reset drained */
    for (unsigned int i = 0; i < 32 * PAGE_SIZE; i++)
        still = still && buffer[i] == 0x3c;
    check("nothing-comes-after-the-reset", still);
    for (unsigned int i = 0; i < 2; i++) {
        struct blkif_response extra;

        check("stuck-no-second-answer", !blk_response(&f[i], &extra, 1000000));
        blk_stamp(buffer, 4, 64, 8, 1);
        expect("stuck-works-again", blk_io(&f[i], BLKIF_OP_WRITE, 64, 8, buffer), BLKIF_RSP_OKAY);
        memset(buffer, 0, PAGE_SIZE);
        expect("stuck-reads-again", blk_io(&f[i], BLKIF_OP_READ, 64, 8, buffer), BLKIF_RSP_OKAY);
        check("stuck-content", blk_stamp_bad(buffer, 4, 64, 8, 1) == 0);
        blk_detach(&f[i]);
    }
    well("stuck");
}

/* Requests of random fields, all kinds, with whatever grants there are. */
static void fuzz(void)
{
    uint64_t count = arg_number("count", 20000), answered = 0, sent = 0, breaks = 0;
    uint32_t refs[64];

    fresh();
    for (unsigned int i = 0; i < COUNT_OF(refs); i++)
        refs[i] = i < 40 ? blk_ref_of(buffer + i * PAGE_SIZE) : i < 44 ? victim.ring_ref : i < 48 ? guard_ref : (uint32_t)rnd(BLK_REFS * 2);
    for (uint64_t i = 0; i < count; i += 32) {
        unsigned int n = 1 + (unsigned int)rnd(32);
        struct blkif_response rsp;

        for (unsigned int j = 0; j < n; j++) {
            union blkif_sring_entry *e = &victim.sring->ring[victim.req_prod % BLK_RING];
            uint64_t *words = (uint64_t *)e;

            if (rnd(4) == 0) {
                indirect((uint8_t)rnd(3), (unsigned int)rnd(40));
                ((struct blkif_request_segment *)(buffer + 60 * PAGE_SIZE))[rnd(32)].gref = refs[rnd(64)];
            } else {
                struct blkif_request *req = plain((uint8_t)rnd(8), (unsigned int)rnd(14));

                for (unsigned int k = 0; k < 11; k++)
                    req->seg[k] = (struct blkif_request_segment){.gref = refs[rnd(40)], .first_sect = (uint8_t)rnd(rnd(50) == 0 ? 256 : 4), .last_sect = (uint8_t)(4 + rnd(rnd(50) == 0 ? 256 - 4 : 4))};
                req->sector_number = rnd(rnd(10) == 0 ? SECTORS + 100 : SECTORS - 100);
            }
            for (unsigned int flips = (unsigned int)rnd(3); flips > 0; flips--)
                words[rnd(14)] ^= 1ul << rnd(64);
        }
        blk_push(&victim);
        sent += n;
        for (unsigned int tries = 0; n > 0 && tries < 100 && !(tries > 0 && broken()); tries++)
            while (n > 0 && blk_response(&victim, &rsp, 30000000))
                n--, answered++;
        if (n > 0 || broken()) {
            breaks++;
            if (!broken())
                check("random-requests-are-answered", false);
            sent -= n;
            fresh();
            for (unsigned int k = 40; k < 44; k++)
                refs[k] = victim.ring_ref;
        }
        if (i % 1024 == 0)
            well("random requests");
    }
    note("%lu random requests, %lu answered, %lu times broken\n", (unsigned long)sent, (unsigned long)answered, (unsigned long)breaks);
    check("random-all-answered", answered == sent);
}

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {{"grefs", grefs}, {"counts", counts}, {"indices", indices}, {"races", races}, {"ring-pages", ring_pages}, {"ends", ends}, {"children", children}, {"fuzz", fuzz}, {"meddled", meddled}, {"stuck", stuck}};

void kernel_main(void)
{
    char part[16] = "";
    struct collet_disk_info info;

    arg_string("part", part, sizeof(part));
    seed = arg_number("seed", 1) * 77 + 1;
    blk_init();
    views_init();
    buffer = blk_pages(64);
    guard = page_alloc();
    memset(guard, 0x77, PAGE_SIZE);
    guard_ref = 0;
    blk_attach(&witness, "witness", 0, &witness_extent, 1);
    fresh();
    for (unsigned int i = 0; i < COUNT_OF(parts); i++) {
        uint64_t from = now_ns();

        if (part[0] != '\0' ? strcmp(part, parts[i].name) != 0 : parts[i].run == stuck)
            continue;
        parts[i].run();
        fresh();
        note("part %s: %lu ms\n", parts[i].name, (unsigned long)(now_ns() - from) / 1000000);
    }
    check("the-device-has-had-no-error", blk_disk(0, &info) && info.errors == 0 && info.resets == 0);
    blk_detach(&victim);
    blk_detach(&witness);
}
