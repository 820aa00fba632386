// SPDX-License-Identifier: MIT
/*
 * A guest lies to the router: in every field of a slot, in its rings, in its grants, in what a frame says of itself, while the router looks and while a card sends; floods, takes nothing, and ends with frames under way.
 * Each lie may cost the liar its frame, or its VIF until it is connected anew, and nobody anything else: after each, two others exchange frames. part= runs one part; count= and seed= are for the random ones.
 */
#include "net-child.h"

static struct net_front one, two, liar; /* witnesses, and who lies */
static uint8_t *out, *guard, *well_out; /* guard: granted read-only, never to be written */
static uint8_t in[70000];
static uint64_t seed, tags;
static const struct net_how plainly;
static uint32_t liars_segment = NET_SEGMENT;

static uint64_t rnd(uint64_t below)
{
    return random_next(&seed) % below;
}

static void fresh(void)
{
    if (liar.tx != NULL)
        net_detach(&liar);
    net_attach(&liar, "liar", liars_segment, 3, NET_ALL_FEATURES);
}

static bool broken(void)
{
    struct collet_vif_info info;

    return net_info(liar.vif, &info) && (info.flags & COLLET_VIF_BROKEN) && info.broken_why[0] != '\0';
}

static bool guard_kept(void)
{
    for (unsigned int i = 0; i < PAGE_SIZE; i++)
        if (guard[i] != 0x77)
            return false;
    return true;
}

static bool crosses_within(struct net_front *from, struct net_front *to, uint32_t payload, uint64_t ns)
{
    uint32_t bytes = net_frame(well_out, from, to->mac, 4, NET_UDP, payload, ++tags, false);
    struct net_got got;
    uint64_t until;

    if (net_send(from, well_out, bytes, &plainly) != NETIF_RSP_OKAY)
        return false;
    until = now_ns() + ns;
    while (now_ns() < until && net_receive(to, in, &got, ns)) /* after what the liar has sent to all */
        if (got.bytes == bytes && memcmp(in, well_out, 42) == 0 && net_frame_good(in, bytes, 0, tags, false))
            return true;
    return false;
}

static bool crosses(struct net_front *from, struct net_front *to, uint32_t payload)
{
    return crosses_within(from, to, payload, NET_WAIT_NS);
}

/* The witnesses are served, and nothing was written where it must not. */
static void well(const char *after)
{
    bool good;

    net_drain(&one);
    net_drain(&two);
    good = guard_kept() && crosses(&one, &two, 700) && crosses(&two, &one, 5000);
    if (!good)
        note("after %s\n", after);
    check("witnesses-are-well", good);
}

/* A good frame of one page for witness `two`, slots made by the caller's wishes. Returns its bytes. */
static uint32_t good_frame(uint32_t payload)
{
    return net_frame(out, &liar, two.mac, 4, NET_UDP, payload, ++tags, false);
}

static struct netif_tx_request *slot_of(uint32_t offset, uint32_t size, uint16_t flags)
{
    struct netif_tx_request *req = net_slot(&liar);

    req->gref = blk_ref_of(out);
    req->offset = (uint16_t)offset;
    req->size = (uint16_t)size;
    req->flags = flags;
    return req;
}

/* What was put in is answered with `want` at worst, and witnesses are well. */
static void ends_with(const char *name, int want)
{
    liar.status = 0;
    net_push(&liar);
    if (!net_answered(&liar, NET_WAIT_NS))
        expect(name, NET_NO_ANSWER, want);
    else
        expect(name, liar.status, want);
    well(name);
}

static void breaks(const char *name)
{
    net_push(&liar);
    port_send(liar.tx_port);
    for (unsigned int i = 0; i < 200 && !broken(); i++)
        pause_ns(1000000);
    check(name, broken());
    well(name);
    fresh();
}

/* ---- slots ---- */

static void sizes(void)
{
    uint32_t n = good_frame(1000);

    fresh();
    slot_of(0, n, 0);
    ends_with("good", NETIF_RSP_OKAY);
    static const uint32_t alone[][2] = {{0, 0}, {0, 13}, {4096, 60}, {4090, 60}, {65535, 60}, {0, 65535}, {0, 4097}, {1, 4096}, {65535, 65535}, {4095, 14}};
    for (unsigned int i = 0; i < COUNT_OF(alone); i++) {
        slot_of(alone[i][0], alone[i][1], 0);
        ends_with("size-or-offset-of-one-slot", NETIF_RSP_ERROR);
    }
    static const uint32_t second[][3] = {/* bytes of all, offset and size of the second */
                                         {1000, 0, 0}, {1000, 0, 1000}, {1000, 0, 1001}, {1000, 0, 65535}, {1000, 4096, 1}, {1000, 4000, 97}, {1000, 65535, 500}, {65535, 0, 4096}, {13, 0, 1}};
    for (unsigned int i = 0; i < COUNT_OF(second); i++) {
        slot_of(0, second[i][0], NETTXF_more_data);
        slot_of(second[i][1], second[i][2], 0);
        ends_with("size-or-offset-of-the-second-slot", NETIF_RSP_ERROR);
    }
    for (unsigned int slots = 19; slots < 200; slots += 60) {
        slot_of(0, 14 + 10 * (slots - 1), NETTXF_more_data);
        for (unsigned int i = 1; i < slots; i++)
            slot_of(100, 10, i + 1 < slots ? NETTXF_more_data : 0);
        ends_with("more-slots-than-a-frame-has", NETIF_RSP_ERROR);
    }
    for (unsigned int flags = 1; flags < 0x10000; flags = flags * 2) {
        if (flags == NETTXF_more_data || flags == NETTXF_extra_info)
            continue;
        good_frame(1000);
        slot_of(0, n, (uint16_t)flags);
        ends_with("one-flag", NETIF_RSP_OKAY);
    }
    good_frame(1000);
    slot_of(0, n, 0)->id = 0xffff;
    liar.busy[(liar.tx_prod - 1) % NET_RING] = false;
    net_push(&liar);
    pause_ns(2000000);
    check("ids-are-the-guests-own", liar.tx->ring[(liar.tx_prod - 1) % NET_RING].rsp.id == 0xffff);
    fresh();
}

static void one_gref(const char *name, uint32_t ref, bool good)
{
    for (unsigned int at = 0; at < 3; at++) {
        good_frame(2900);
        slot_of(0, 2942, NETTXF_more_data);
        slot_of(942, 1000, NETTXF_more_data);
        slot_of(1942, 1000, 0);
        liar.tx->ring[(liar.tx_prod - 3 + at) % NET_RING].req.gref = ref;
        ends_with(name, good ? NETIF_RSP_OKAY : NETIF_RSP_ERROR);
    }
}

static void grefs(void)
{
    uint32_t ref = blk_grant(out, 0);

    fresh();
    one_gref("gref-0", 0, false);
    one_gref("gref-free", BLK_REFS - 3, false);
    one_gref("gref-beyond-what-was-set-up", BLK_REFS + 100, false);
    one_gref("gref-beyond-any-table", 1u << 24, false);
    one_gref("gref-all-ones", ~0u, false);
    blk_grants[ref].domid = 0;
    one_gref("gref-for-domain0", ref, false);
    blk_grants[ref].domid = DOMID_SELF;
    one_gref("gref-for-self", ref, false);
    blk_grants[ref].domid = BLK_BACKEND;
    blk_grants[ref].flags = GTF_permit_access | GTF_readonly;
    one_gref("gref-read-only-is-enough", ref, true);
    blk_grants[ref].flags = GTF_invalid;
    one_gref("gref-invalid", ref, false);
    blk_grants[ref].flags = GTF_accept_transfer;
    one_gref("gref-transfer", ref, false);
    blk_grants[ref].flags = GTF_transitive;
    one_gref("gref-transitive", ref, false);
    blk_grants[ref].flags = GTF_permit_access;
    static const uint32_t frames[] = {0, 0x100, ~0u, 0x7fffffff, 0xfee00, 0xa0};
    for (unsigned int i = 0; i < COUNT_OF(frames); i++) {
        blk_grants[ref].frame = frames[i];
        one_gref("gref-of-a-frame-not-ours", ref, false);
    }
    blk_grants[ref].frame = (uint32_t)mfn_of(out);
    one_gref("gref-good-again", ref, true);
    one_gref("the-ring-as-data", liar.tx_ref, true);
    check("gref-is-free-after-all", blk_ungrant(ref));
}

/* ---- rings ---- */

static void rings(void)
{
    static const uint32_t beyond[] = {257, 300, 1000, 1u << 31, ~0u};

    for (unsigned int i = 0; i < COUNT_OF(beyond); i++) {
        fresh();
        liar.tx_prod = beyond[i];
        breaks("producer-beyond-the-ring");
    }
    fresh();
    good_frame(1000);
    slot_of(0, 1042, NETTXF_more_data);
    breaks("a-frame-without-an-end");
    slot_of(0, 60, NETTXF_extra_info);
    breaks("extra-information-that-is-not-there");
    for (unsigned int i = 0; i < NET_RING; i++)
        slot_of(0, i == 0 ? 65000 : 100, NETTXF_more_data);
    breaks("a-ring-full-of-one-frame");
    slot_of(0, 1042, NETTXF_extra_info);
    for (unsigned int i = 1; i < NET_RING; i++) {
        struct netif_extra_info extra = {.type = XEN_NETIF_EXTRA_TYPE_GSO, .flags = XEN_NETIF_EXTRA_FLAG_MORE, .u.gso = {.size = 1000, .type = 1}};

        memcpy(&liar.tx->ring[liar.tx_prod++ % NET_RING], &extra, sizeof(extra));
    }
    breaks("extra-information-without-an-end");
    for (unsigned int i = 0; i < 100; i++) { /* its end of the ring, which is not its to write */
        liar.tx->rsp_prod = (uint32_t)rnd(1ul << 32);
        liar.tx->req_event = (uint32_t)rnd(1ul << 32);
        liar.rx->rsp_prod = (uint32_t)rnd(1ul << 32);
        liar.rx->req_event = (uint32_t)rnd(1ul << 32);
        good_frame(1000);
        slot_of(0, 1042, 0);
        liar.tx->rsp_event = (uint32_t)rnd(1ul << 32);
        __atomic_store_n(&liar.tx->req_prod, liar.tx_prod, __ATOMIC_RELEASE);
        port_send(liar.tx_port);
        pause_ns(200000);
    }
    well("indexes-that-are-the-routers");
    fresh();
    liar.rx->req_prod = 100000;
    crosses(&one, &liar, 10);
    net_drain(&liar);
    well("receive-producer-beyond-the-ring");
    fresh();
    for (unsigned int i = 0; i < 300; i++) { /* as noisy as can be: the runner counts lines */
        liar.tx->req_prod = 1000;
        port_send(liar.tx_port);
        fresh();
    }
    well("noise");
}

/* Reading from a ring page that becomes something else, or whose grant goes. */
static void ring_pages(void)
{
    void *page;

    fresh();
    page = liar.tx;
    if (update_va_mapping(page, (maddr_of(page) & PAGE_MASK) | PTE_RO, UVMF_INVLPG | UVMF_ALL) == 0) {
        check("served-ring-cannot-be-pinned", mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0) < 0);
        make_writable(page);
    }
    blk_grants[liar.tx_ref].frame = (uint32_t)mfn_of(guard);
    blk_grants[liar.rx_ref].flags = 0;
    good_frame(100);
    slot_of(0, 142, 0);
    net_push(&liar);
    check("served-on", net_answered(&liar, NET_WAIT_NS));
    well("ring-grants");
    net_destroy(liar.vif);
    blk_grants[liar.tx_ref].flags = 0;
    blk_grants[liar.rx_ref].flags = 0;
    net_rings_away(&liar);
    liar.tx = NULL;
    liar.rx = NULL;
    fresh();
}

/* ---- buffers ---- */

static void buffer_lie(const char *name, uint32_t ref)
{
    struct collet_vif_info before, after;
    uint32_t slot;

    net_detach(&liar);
    net_attach(&liar, "liar", liars_segment, 3, NET_ALL_FEATURES);
    for (slot = 0; slot < NET_BUFFERS; slot += 3)
        liar.rx->ring[slot].req.gref = ref;
    net_info(liar.vif, &before);
    for (unsigned int i = 0; i < 40; i++) {
        uint32_t bytes = net_frame(well_out, &one, liar.mac, 4, NET_UDP, i % 2 ? 100 : 9000, ++tags, false);

        if (net_send(&one, well_out, bytes, &plainly) != 0)
            check("sender-is-served", false);
    }
    net_info(liar.vif, &after);
    check(name, after.rx.dropped[COLLET_NET_DROP_GRANT] > before.rx.dropped[COLLET_NET_DROP_GRANT]);
    well(name);
}

static void buffers(void)
{
    uint32_t ref = blk_grant(guard, GTF_readonly);

    fresh();
    buffer_lie("buffers-not-granted", BLK_REFS - 3);
    buffer_lie("buffers-beyond-any-table", ~0u);
    buffer_lie("buffers-read-only", ref);
    fresh();
    for (unsigned int i = 0; i < NET_BUFFERS; i++) /* one page in all; the rings as buffers */
        liar.rx->ring[i].req.gref = i % 2 ? blk_ref_of(liar.buffers) : i % 4 ? liar.rx_ref : liar.tx_ref;
    for (unsigned int i = 0; i < 60; i++) {
        uint32_t bytes = net_frame(well_out, &one, liar.mac, 4, NET_UDP, 3000, ++tags, false);

        for (unsigned int j = 42; j < bytes; j++)
            well_out[j] = (uint8_t)rnd(256);
        net_send(&one, well_out, bytes, &plainly);
        port_send(liar.tx_port);
    }
    well("rings-as-buffers");
    fresh();
    check("guard-was-never-held", blk_ungrant(ref));
    /* It never takes: others go on, at full speed. */
    for (unsigned int i = 0; i < 1000; i++) {
        uint32_t bytes = net_frame(well_out, &one, liar.mac, 4, NET_UDP, 60, ++tags, false);

        net_send(&one, well_out, bytes, &plainly);
        if (i % 100 == 0)
            well("a-receiver-that-never-takes");
    }
}

/* ---- what a frame says of itself ---- */

static struct netif_extra_info *extra_put(uint8_t type, uint16_t size, uint8_t gso)
{
    static struct netif_extra_info extra;

    extra = (struct netif_extra_info){.type = type, .u.gso = {.size = size, .type = gso}};
    memcpy(&liar.tx->ring[liar.tx_prod++ % NET_RING], &extra, sizeof(extra));
    return &extra;
}

static void gso_lie(const char *name, unsigned int family, unsigned int protocol, uint16_t flags, uint16_t size, uint8_t gso, int want)
{
    uint32_t bytes = net_frame(out, &liar, two.mac, family, protocol, 3000, ++tags, true);

    slot_of(0, bytes, (uint16_t)(flags | NETTXF_extra_info));
    extra_put(XEN_NETIF_EXTRA_TYPE_GSO, size, gso);
    ends_with(name, want);
}

static void segments(void)
{
    const uint16_t blank = NETTXF_csum_blank;
    uint32_t bytes;

    fresh();
    gso_lie("gso-good", 4, NET_TCP, blank, 1000, 1, NETIF_RSP_OKAY);
    gso_lie("gso-of-the-other-family", 4, NET_TCP, blank, 1000, 2, NETIF_RSP_ERROR);
    gso_lie("gso-of-the-other-family", 6, NET_TCP, blank, 1000, 1, NETIF_RSP_ERROR);
    gso_lie("gso-of-udp", 4, NET_UDP, blank, 1000, 1, NETIF_RSP_ERROR);
    gso_lie("gso-of-icmp", 4, NET_ICMP, 0, 1000, 1, NETIF_RSP_ERROR);
    gso_lie("gso-size-0", 4, NET_TCP, blank, 0, 1, NETIF_RSP_ERROR);
    gso_lie("gso-size-1", 4, NET_TCP, blank, 1, 1, NETIF_RSP_ERROR);
    gso_lie("gso-size-40", 4, NET_TCP, blank, 40, 1, NETIF_RSP_ERROR);
    gso_lie("gso-longer-than-the-frame", 4, NET_TCP, blank, 65535, 1, NETIF_RSP_OKAY);
    gso_lie("gso-without-an-open-sum", 4, NET_TCP, 0, 1000, 1, NETIF_RSP_ERROR);
    gso_lie("gso-type-0", 4, NET_TCP, blank, 1000, 0, NETIF_RSP_ERROR);
    gso_lie("gso-type-77", 4, NET_TCP, blank, 1000, 77, NETIF_RSP_ERROR);
    for (unsigned int type = 0; type < 256; type += 5) {
        if (type == XEN_NETIF_EXTRA_TYPE_GSO)
            continue;
        bytes = good_frame(100);
        slot_of(0, bytes, NETTXF_extra_info);
        extra_put((uint8_t)type, 1000, 1);
        ends_with("extra-of-another-kind", NETIF_RSP_ERROR);
    }
    for (unsigned int i = 0; i < 64; i++) { /* the header is cut off somewhere */
        bytes = net_frame(out, &liar, two.mac, 4, NET_TCP, 10, ++tags, true);
        slot_of(0, 14 + i, (uint16_t)(blank | NETTXF_extra_info));
        extra_put(XEN_NETIF_EXTRA_TYPE_GSO, 1000, 1);
        liar.status = 0;
        net_push(&liar);
        check("short-headers-are-answered", net_answered(&liar, NET_WAIT_NS));
    }
    well("short-headers");
    for (unsigned int offset = 12; offset < 54; offset++) /* each byte of the headers is anything */
        for (unsigned int value = 0; value < 256; value += 15) {
            bytes = net_frame(out, &liar, two.mac, 4, NET_TCP, 3000, ++tags, true);
            out[offset] = (uint8_t)value;
            slot_of(0, bytes, (uint16_t)(blank | NETTXF_extra_info));
            extra_put(XEN_NETIF_EXTRA_TYPE_GSO, 1000, 1);
            net_push(&liar);
            if (!net_answered(&liar, NET_WAIT_NS))
                check("any-header-is-answered", false);
            net_drain(&two);
        }
    well("any-header");
    bytes = net_frame(out, &liar, two.mac, 4, NET_ICMP, 400, ++tags, true);
    slot_of(0, bytes, blank);
    ends_with("open-sum-of-icmp", NETIF_RSP_ERROR);
    bytes = net_frame(out, &liar, two.mac, 4, NET_UDP, 400, ++tags, true);
    out[21] = 1; /* a later fragment */
    slot_of(0, bytes, blank);
    ends_with("open-sum-of-a-fragment", NETIF_RSP_ERROR);
}

/* Anything at all, to everybody. */
static void random_frames(void)
{
    uint64_t count = arg_number("count", 3000);

    fresh();
    for (uint64_t i = 0; i < count; i++) {
        uint32_t bytes = net_frame(out, &liar, two.mac, rnd(2) ? 4 : 6, rnd(2) ? NET_TCP : NET_UDP, (uint32_t)rnd(3500), ++tags, true);

        for (unsigned int n = (unsigned int)rnd(6); n > 0; n--)
            out[rnd(rnd(2) ? 80 : bytes)] = (uint8_t)rnd(256);
        if (rnd(8) == 0)
            memset(out, 0xff, 6);
        for (unsigned int n = 1 + (unsigned int)rnd(3); n > 0; n--) {
            bool extra = rnd(3) == 0, more = n > 1;

            slot_of(rnd(8) ? 0 : (uint32_t)rnd(4096), rnd(8) ? bytes : (uint32_t)rnd(65536), (uint16_t)((extra ? NETTXF_extra_info : 0) | (more ? NETTXF_more_data : 0) | rnd(4)));
            if (extra)
                extra_put(rnd(4) ? 1 : (uint8_t)rnd(256), (uint16_t)rnd(3000), (uint8_t)rnd(3));
        }
        net_push(&liar);
        if (!net_answered(&liar, 100000000)) { /* more_data that the random bits set: it waits for the rest */
            if (!broken())
                check("random-frames-are-answered", false);
            fresh();
        }
        if (i % 16 == 0) {
            net_drain(&one);
            net_drain(&two);
        }
        if (i % 500 == 0)
            well("random-frames");
    }
    well("random-frames");
    fresh();
}

/* ---- while the router looks ---- */

static volatile bool stop;
static uint32_t own_refs[8]; /* the liar's: what he harms is his */

/* Another vCPU writes anything anywhere into the rings and the frame. */
static void scribble(void *unused)
{
    uint64_t s = seed ^ 0x1234567;

    (void)unused;
    while (!stop) {
        uint64_t r = random_next(&s);
        unsigned int slot = (unsigned int)(r >> 8) % NET_RING;

        switch (r % 8) {
        case 0: *(volatile uint16_t *)&liar.tx->ring[slot].req.size = (uint16_t)(r >> 20); break;
        case 1: *(volatile uint16_t *)&liar.tx->ring[slot].req.offset = (uint16_t)(r >> 20); break;
        case 2: *(volatile uint16_t *)&liar.tx->ring[slot].req.flags = (uint16_t)(r >> 20 & 0xf); break;
        case 3: *(volatile uint32_t *)&liar.tx->ring[slot].req.gref = own_refs[(r >> 20) % 8]; break;
        case 4: *(volatile uint32_t *)&liar.rx->ring[slot % NET_RING].req.gref = own_refs[(r >> 20) % 8]; break;
        case 5: *(volatile uint8_t *)(out + (r >> 20) % 80) = (uint8_t)(r >> 40); break;
        case 6: blk_grants[BLK_REF_FIRST + (r >> 20) % 16 + 1000].flags = (uint16_t)(r >> 40); break;
        default: *(volatile uint8_t *)((uint8_t *)liar.tx->ring + (r >> 20) % 3072 / 12 * 12 + 4 + (r >> 32) % 8) = (uint8_t)(r >> 40); break; /* not a gref */
        }
    }
}

static void changes(void)
{
    unsigned int rounds = (unsigned int)arg_number("rounds", 60);

    if (vcpu_count < 2) {
        skip("changes", "one vCPU");
        return;
    }
    for (unsigned int round = 0; round < rounds; round++) {
        fresh();
        {
            const uint32_t refs[8] = {liar.tx_ref, liar.rx_ref, blk_ref_of(out), blk_ref_of(liar.buffers), blk_ref_of(liar.buffers + PAGE_SIZE), BLK_REFS - 3, ~0u, BLK_REF_FIRST + 1005};

            memcpy(own_refs, refs, sizeof(refs));
        }
        stop = false;
        vcpu_do(1, scribble, NULL);
        for (unsigned int i = 0; i < 40; i++) {
            for (unsigned int n = 0; n < 8; n++) {
                net_frame(out, &liar, two.mac, 4, NET_TCP, 2000, ++tags, true);
                slot_of(0, 2054, (uint16_t)(NETTXF_csum_blank | NETTXF_extra_info));
                extra_put(XEN_NETIF_EXTRA_TYPE_GSO, 1000, 1);
            }
            __atomic_store_n(&liar.tx->req_prod, liar.tx_prod, __ATOMIC_RELEASE);
            port_send(liar.tx_port);
            net_send(&one, well_out, net_frame(well_out, &one, liar.mac, 4, NET_UDP, 6000, ++tags, false), &plainly);
            net_drain(&two);
        }
        stop = true;
        if (!vcpu_wait(1, NET_WAIT_NS))
            give_up("vCPU 1 does not stop\n");
        well("changes-while-the-router-looks");
    }
    fresh();
}

/* ---- floods ---- */

static volatile uint64_t flooded;

static void flood_run(void *unused)
{
    (void)unused;
    for (unsigned int i = 0; i < NET_RING; i++) {
        struct netif_tx_request *req = &liar.tx->ring[i].req;

        *req = (struct netif_tx_request){.gref = blk_ref_of(out), .size = 60, .id = (uint16_t)i};
    }
    while (!stop) { /* as full as it may be, always; answers overwrite slots: put them right again */
        uint32_t done = *(volatile uint32_t *)&liar.tx->rsp_prod;

        for (; liar.tx_prod - done < NET_RING; liar.tx_prod++)
            liar.tx->ring[liar.tx_prod % NET_RING].req = (struct netif_tx_request){.gref = blk_ref_of(out), .size = 60, .id = (uint16_t)(liar.tx_prod % NET_RING)};
        __atomic_store_n(&liar.tx->req_prod, liar.tx_prod, __ATOMIC_RELEASE);
        port_send(liar.tx_port);
        flooded++;
    }
}

static void flood(void)
{
    static const uint8_t targets[3][6] = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {2, 9, 9, 9, 9, 9}, {0, 0x16, 0x3e, 0, 0, 3}};
    struct collet_vif_info info;

    if (vcpu_count < 2) {
        skip("flood", "one vCPU");
        return;
    }
    for (unsigned int round = 0; round < 4; round++) {
        uint64_t from, longest = 0, began;
        unsigned int tries = 0, through = 0;

        fresh();
        net_frame(out, &liar, round < 3 ? targets[round] : two.mac, 4, NET_UDP, 18, 7, false);
        (void)blk_ref_of(out);
        stop = false;
        vcpu_do(1, flood_run, NULL);
        began = now_ns();
        while (now_ns() - began < 2000000000) { /* the others get through, and in a time */
            net_drain(&one);
            from = now_ns();
            tries++;
            through += crosses_within(&one, &two, 100, 100000000);
            longest = MAX(longest, now_ns() - from);
        }
        stop = true;
        if (!vcpu_wait(1, NET_WAIT_NS))
            give_up("vCPU 1 does not stop\n");
        net_info(liar.vif, &info);
        note("flood %u: %lu frames; %u of %u of a witness's came through, the slowest in %lu us\n", round, (unsigned long)info.tx.packets, through, tries, (unsigned long)longest / 1000);
        /* Where a witness's own buffers are flooded, frames are lost, but not all. */
        check("witnesses-get-through-a-flood", round == 0 || round == 3 ? through > 0 : through == tries);
        well("flood");
        fresh();
    }
}

/* ---- ends ---- */

static void fill_ring(uint32_t bytes)
{
    for (unsigned int i = 0; i < 250; i++)
        slot_of(0, bytes, 0);
    __atomic_store_n(&liar.tx->req_prod, liar.tx_prod, __ATOMIC_RELEASE);
    port_send(liar.tx_port);
}

static void gone(void)
{
    static const uint8_t outside[6] = {0x52, 0x55, 10, 0, 2, 2};
    struct collet_nic_info nic;
    bool card = net_nic(0, &nic);
    uint64_t free = 0;

    liars_segment = card ? 0 : NET_SEGMENT; /* with a card: frames in the device */
    for (unsigned int round = 0; round < 120; round++) {
        uint32_t bytes;

        fresh();
        bytes = net_frame(out, &liar, card ? outside : two.mac, 4, NET_UDP, 1400, ++tags, false);
        fill_ring(bytes);
        if (round % 4 == 1)
            pause_ns(rnd(300000));
        if (round % 4 == 2 && net_disconnect(liar.vif) != 0)
            check("disconnect-under-load", false);
        if (round % 4 == 3)
            port_close(liar.tx_port), liar.tx_port = liar.rx_port;
        if (net_destroy(liar.vif) != 0)
            check("destroy-under-load", false);
        check("nothing-is-held-afterwards", !(blk_grants[blk_ref_of(out)].flags & (GTF_reading | GTF_writing)));
        net_rings_away(&liar);
        page_free(liar.tx);
        page_free(liar.rx);
        liar.tx = NULL;
        liar.rx = NULL;
        if (round == 10)
            free = frames_free();
        if (round % 10 == 0)
            well("gone-under-load");
    }
    expect("no-frame-is-lost", (long)frames_free(), (long)free);
    liars_segment = NET_SEGMENT;
}

extern char __start_child_net[], __stop_child_net[];

static void child_net(struct child *c, struct net_front *f, const char *name, unsigned int then, uint32_t bytes, uint32_t segment)
{
    static const uint8_t outside[6] = {0x52, 0x55, 10, 0, 2, 2};
    struct child_orders o = {.mode = {CHILD_LOOP, CHILD_STAY_DOWN}};
    struct net_orders *n = (struct net_orders *)o.list;
    struct collet_vif_settings settings = {.flags = COLLET_VIF_SPOOF_OK, .segment = segment};
    struct collet_vif_connect connect;
    volatile struct net_orders *seen;
    uint64_t until = now_ns() + 5000000000;
    long rc;

    *n = (struct net_orders){.then = then, .bytes = bytes, .depth = 250};
    memcpy(f->mac, (const uint8_t[6]){0, 0x16, 0x3e, 0, 1, 1}, 6);
    memcpy(n->head, segment == 0 ? outside : two.mac, 6);
    memcpy(n->head + 6, f->mac, 6);
    n->head[12] = 0x88;
    if (__stop_child_net - __start_child_net > (long)PAGE_SIZE)
        give_up("child too long\n");
    if ((rc = child_create(c, name, 1, 4 * CHILD_PAGES)) != 0 || (rc = child_populate(c)) != 0 || (rc = child_fill(c, &o)) != 0 ||
        (rc = child_write(c, CHILD_CODE, __start_child_net, (uint64_t)(__stop_child_net - __start_child_net))) != 0 || (rc = child_share(c)) != 0 || (rc = child_start(c)) != 0)
        give_up("build %s: %ld\n", name, rc);
    rc = net_create(c->domid, f, name, &settings);
    if (rc != 0)
        give_up("vif of %s: %ld\n", name, rc);
    if (view_map(0, c->mfn[CHILD_ORDERS], c->domid, PTE_PAGE) != 0)
        give_up("view of %s\n", name);
    seen = (volatile struct net_orders *)view_orders(0)->list;
    child_ref(COLLET_OP_DOMAIN_UNPAUSE, c->domid);
    while (seen->state != NET_CHILD_OFFERED && now_ns() < until)
        pause_ns(1000000);
    if (seen->state != NET_CHILD_OFFERED || seen->rc != 0)
        give_up("%s does not offer rings: %ld\n", name, (long)seen->rc);
    connect = (struct collet_vif_connect){.vif = f->vif, .tx_ref = seen->tx_ref, .rx_ref = seen->rx_ref, .tx_port = seen->port, .rx_port = seen->port};
    expect("child-connects", control(COLLET_OP_VIF_CONNECT, &connect), 0);
    seen->state = NET_CHILD_GO;
    while (seen->state == NET_CHILD_GO && now_ns() < until)
        pause_ns(200000);
}

/* A domain ends with frames of its pages on their way: it goes wholly, and soon. */
static void child_ends(const char *name, unsigned int then, uint32_t bytes, uint32_t segment, bool pause_first)
{
    struct collet_domain_info info;
    struct collet_vif_info vif;
    struct net_front f = {0};
    struct child c;
    uint64_t from, free = frames_free();

    child_net(&c, &f, name, then, bytes, segment);
    pause_ns(rnd(3000000));
    view_unmap(0);
    check("child-has-a-vif", net_info(f.vif, &vif));
    note("%s: %lu frames sent, %lu refused, %u in flight, flags %x\n", name, (unsigned long)vif.tx.packets, (unsigned long)vif.tx.dropped[COLLET_NET_DROP_MALFORMED], vif.in_flight, vif.flags);
    if (then == NET_CHILD_LIE)
        check("who-lies-is-broken", vif.flags & COLLET_VIF_BROKEN);
    if (pause_first)
        child_ref(COLLET_OP_DOMAIN_PAUSE, c.domid);
    from = now_ns();
    expect("child-destroyed", child_ref(COLLET_OP_DOMAIN_DESTROY, c.domid), 0);
    check("soon", now_ns() - from < 2000000000);
    check("vif-went-with-its-domain", !net_info(f.vif, &vif) && !domain_info(c.domid, &info));
    well(name);
    if (frames_free() + 64 < free)
        expect("frames-come-back", (long)frames_free(), (long)free);
}

static void children(void)
{
    struct collet_nic_info nic;
    bool card = net_nic(0, &nic);

    for (uint32_t segment = card ? 0 : NET_SEGMENT; segment <= NET_SEGMENT; segment += NET_SEGMENT) {
        child_ends("load", NET_CHILD_LOAD, 700, segment, false);
        child_ends("load-of-two-slots", NET_CHILD_LOAD, 1500, segment, false);
        child_ends("paused", NET_CHILD_LOAD, 1500, segment, true);
        child_ends("crashed", NET_CHILD_CRASH, 1500, segment, false);
        child_ends("ended", NET_CHILD_END, 700, segment, false);
        child_ends("spins", NET_CHILD_SPIN, 1500, segment, false);
        child_ends("lies", NET_CHILD_LIE, 1500, segment, false);
    }
}

/* One vCPU of Domain0 takes away, gives back, changes, lists and destroys what another one uses. */
static void meddle(void *unused)
{
    uint64_t s = seed ^ 0x55;

    (void)unused;
    while (!stop) {
        struct collet_vif_set set = {.vif = liar.vif, .settings = {.flags = COLLET_VIF_SPOOF_OK, .segment = NET_SEGMENT + (uint32_t)(random_next(&s) % 3)}};
        struct collet_vif_ref ref = {.vif = liar.vif};
        struct collet_vif_info info;

        switch (random_next(&s) % 6) {
        case 0: control(COLLET_OP_VIF_SET, &set); break;
        case 1: control(COLLET_OP_VIF_DISCONNECT, &ref); break;
        case 2: net_connect(&liar, (uint32_t)random_next(&s) & 31); break;
        case 3: set.settings.flags |= COLLET_VIF_DOWN | COLLET_VIF_ALL; control(COLLET_OP_VIF_SET, &set); break;
        case 4: set.settings.packets_per_s = 1 + random_next(&s) % 100000; control(COLLET_OP_VIF_SET, &set); break;
        default: net_info(liar.vif, &info); break;
        }
    }
}

static void races(void)
{
    if (vcpu_count < 2) {
        skip("races", "one vCPU");
        return;
    }
    for (unsigned int round = 0; round < 15; round++) {
        uint64_t until = now_ns() + 300000000;

        fresh();
        stop = false;
        vcpu_do(1, meddle, NULL);
        while (now_ns() < until) {
            if (liar.tx_prod - *(volatile uint32_t *)&liar.tx->rsp_prod < 200) {
                net_frame(out, &liar, two.mac, 4, NET_UDP, 1000, ++tags, false);
                slot_of(0, 1042, 0);
            }
            __atomic_store_n(&liar.tx->req_prod, liar.tx_prod, __ATOMIC_RELEASE);
            port_send(liar.tx_port);
            net_send(&one, well_out, net_frame(well_out, &one, liar.mac, 4, NET_UDP, 3000, ++tags, false), &plainly);
            net_drain(&two);
        }
        stop = true;
        if (!vcpu_wait(1, NET_WAIT_NS))
            give_up("vCPU 1 does not stop\n");
        well("meddling");
    }
    fresh();
}

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {{"sizes", sizes},     {"grefs", grefs},     {"rings", rings}, {"ring-pages", ring_pages}, {"buffers", buffers}, {"segments", segments},
             {"random", random_frames}, {"changes", changes}, {"flood", flood}, {"gone", gone},             {"children", children}, {"races", races}};

void kernel_main(void)
{
    char part[32] = "";

    arg_string("part", part, sizeof(part));
    seed = arg_number("seed", 1) * 0x9e3779b97f4a7c15ul + 1;
    blk_init();
    views_init();
    out = blk_pages(2);
    well_out = blk_pages(4);
    guard = blk_pages(1);
    memset(guard, 0x77, PAGE_SIZE);
    if (vcpu_count > 1)
        vcpu_start(1);
    net_attach(&one, "one", NET_SEGMENT, 1, NET_ALL_FEATURES);
    net_attach(&two, "two", NET_SEGMENT, 2, NET_ALL_FEATURES);
    well("nothing");
    for (unsigned int i = 0; i < COUNT_OF(parts); i++) {
        if (part[0] != '\0' && strcmp(part, parts[i].name) != 0)
            continue;
        note("part %s\n", parts[i].name);
        parts[i].run();
    }
    if (liar.tx != NULL)
        net_detach(&liar);
    net_detach(&one);
    net_detach(&two);
}
