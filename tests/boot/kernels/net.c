// SPDX-License-Identifier: MIT
/*
 * VIFs talk through the router as the contract has it (<collet/control.h>, <xen/io/netif.h>), by a netfront of our own (net.h): what one sends is what the others get, whatever the shape of the chain, whole, cut or
 * summed as each has said it takes; and with a card, to the world and back. part= runs one part; nics=N is what the machine has. What the router must survive is in attack-net.c.
 */
#include "net.h"

static struct net_front a, b, c;
static uint8_t *out; /* 20 pages of the arena */
static uint8_t in[70000];
static uint64_t seed, tags;
static const struct net_how plainly;
static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, nobody[6] = {0x02, 1, 2, 3, 4, 5};

static uint64_t rnd(uint64_t below)
{
    return random_next(&seed) % below;
}

/* From a to b: arrives once, as it was. */
static bool crosses(struct net_front *from, struct net_front *to, unsigned int family, unsigned int protocol, uint32_t payload, const struct net_how *how)
{
    bool blank = how->flags & NETTXF_csum_blank;
    uint32_t bytes = net_frame(out, from, to->mac, family, protocol, payload, ++tags, blank);
    struct net_got got;
    int status = net_send(from, out, bytes, how);

    if (status != NETIF_RSP_OKAY || !net_receive(to, in, &got, NET_WAIT_NS)) {
        note("%u bytes: status %d\n", bytes, status);
        return false;
    }
    if (got.bad || got.bytes != bytes || got.segmentation != how->segmentation || (blank && !(got.flags & NETRXF_csum_blank))) {
        note("%u bytes: got %u in %u, flags %x, segmentation %u\n", bytes, got.bytes, got.buffers, got.flags, got.segmentation);
        return false;
    }
    return net_frame_good(in, bytes, 0, tags, blank);
}

static void lengths(void)
{
    bool good = true;
    struct collet_vif_info before, after;

    check("first-frame", crosses(&a, &b, 4, NET_UDP, 18, &plainly));
    check("and-back", crosses(&b, &a, 4, NET_UDP, 18, &plainly));
    net_info(a.vif, &before);
    for (uint32_t n = 0; n <= 1472; n += n < 300 ? 1 : 7)
        good = good && crosses(&a, &b, 4, NET_UDP, n, &plainly);
    check("every-length-ipv4", good);
    for (uint32_t n = 0; n <= 1452; n += 11)
        good = good && crosses(&b, &a, 6, n & 1 ? NET_UDP : NET_TCP, n, &plainly);
    check("every-length-ipv6", good);
    net_info(a.vif, &after);
    check("counted", after.tx.packets == before.tx.packets + 468 && after.rx.packets == before.rx.packets + 133 && after.in_flight == 0);
    if (after.tx.packets != before.tx.packets + 468 || after.rx.packets != before.rx.packets + 133)
        note("sent %lu, received %lu\n", (unsigned long)(after.tx.packets - before.tx.packets), (unsigned long)(after.rx.packets - before.rx.packets));
}

/* Chains of all shapes: a header over several slots, slots of any length, frames far longer than those of a wire. */
static void chains(void)
{
    bool good = true;

    for (unsigned int i = 0; i < 300 && good; i++) {
        uint32_t payload = (uint32_t)rnd(i % 3 == 0 ? 60000 : 4000), all = payload + 42, part = MAX(all / 17 + 1, 14 + (uint32_t)rnd(4083));
        struct net_how how = {.part = part};
        uint32_t pages = all / PAGE_SIZE + 2;

        if (all / part + pages > 17)
            how.part = 0; /* borders of pages cut, too */
        good = crosses(&a, &b, 4, NET_UDP, payload, &how);
        if (!good)
            note("payload %u, slots of %u\n", payload, how.part);
    }
    check("chains-of-any-slots", good);
    for (uint32_t first = 14; first < 60; first += 3)
        good = good && crosses(&a, &b, 4, NET_UDP, 500, &(const struct net_how){.first = first, .part = 200});
    check("header-over-several-slots", good);
    check("longest-frame", crosses(&a, &b, 4, NET_UDP, 65000, &plainly));
}

/* What the receiver takes: whole with the extra slot, else in pieces; with an open sum, else completed. */
static void cut(struct net_front *to, unsigned int family, uint32_t payload, uint32_t mss, bool summed)
{
    uint32_t bytes = net_frame(out, &a, to->mac, family, NET_TCP, payload, ++tags, true), offset = 0, header = family == 4 ? 54 : 74;
    struct net_how how = {.flags = NETTXF_csum_blank, .segmentation = family == 4 ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6, .segment_bytes = (uint16_t)mss};
    bool good = net_send(&a, out, bytes, &how) == NETIF_RSP_OKAY, push = false;

    while (good && offset < payload) {
        struct net_got got;

        good = net_receive(to, in, &got, 2000000000) && !got.bad && got.bytes > header && got.bytes <= header + mss && got.segmentation == 0 && !push;
        push = in[header - 20 + 13] & 8;
        good = good && (summed ? !(got.flags & NETRXF_csum_blank) : (bool)(got.flags & NETRXF_csum_blank)) && net_frame_good(in, got.bytes, offset, tags, !summed);
        if (!good)
            note("ipv%u, %u bytes of %u: at %u, %u bytes, flags %x, segmentation %u\n", family, payload, mss, offset, got.bytes, got.flags, got.segmentation);
        offset += got.bytes - header;
    }
    check("cut-frames-are-whole", good && offset == payload && push);
}

static void segmentation(void)
{
    static const struct net_how how4 = {.flags = NETTXF_csum_blank, .segmentation = XEN_NETIF_GSO_TYPE_TCPV4, .segment_bytes = 1448};
    static const struct net_how how6 = {.flags = NETTXF_csum_blank, .segmentation = XEN_NETIF_GSO_TYPE_TCPV6, .segment_bytes = 1428};
    bool good = true;

    for (unsigned int i = 0; i < 60; i++) {
        good = good && crosses(&a, &b, 4, NET_TCP, 1449 + (uint32_t)rnd(60000), &how4);
        good = good && crosses(&b, &a, 6, NET_TCP, 1449 + (uint32_t)rnd(60000), &how6);
    }
    check("segmented-frames-cross-whole", good);
    for (unsigned int i = 0; i < 10; i++) { /* c takes none, no open sums of IPv6 either */
        cut(&c, 4, 1449 + (uint32_t)rnd(40000), 1448, false);
        cut(&c, 6, 1449 + (uint32_t)rnd(40000), 1428, true);
    }
    cut(&c, 4, 1000, 500, false);
    cut(&c, 4, 1001, 500, false);
}

static void sums(void)
{
    static const struct net_how blank = {.flags = NETTXF_csum_blank};
    bool good = true;
    struct net_got got;
    uint32_t bytes;

    for (uint32_t n = 0; n < 1400; n += 13)
        good = good && crosses(&a, &b, n & 1 ? 4 : 6, n & 2 ? NET_UDP : NET_TCP, n, &blank);
    check("open-sums-stay-open", good);
    good = true;
    for (uint32_t n = 0; n < 1400 && good; n += 13) {
        bytes = net_frame(out, &a, c.mac, 6, n & 2 ? NET_UDP : NET_TCP, n, ++tags, true);
        good = net_send(&a, out, bytes, &blank) == 0 && net_receive(&c, in, &got, NET_WAIT_NS) && !(got.flags & NETRXF_csum_blank) && net_frame_good(in, got.bytes, 0, tags, false);
    }
    check("open-sums-are-completed-for-who-takes-none", good);
}

static void switching(void)
{
    struct net_front other = {0}, alone = {0};
    struct collet_vif_info before, after;
    struct net_got got;
    uint32_t bytes = net_frame(out, &a, everybody, 4, NET_UDP, 100, ++tags, false);

    net_attach(&other, "other", NET_SEGMENT + 1, 9, NET_ALL_FEATURES);
    check("to-all", net_send(&a, out, bytes, &plainly) == 0 && net_receive(&b, in, &got, NET_WAIT_NS) && got.bytes == bytes && net_receive(&c, in, &got, NET_WAIT_NS) && got.bytes == bytes);
    check("but-not-back", !net_receive(&a, in, &got, 5000000));
    check("nor-to-another-segment", !net_receive(&other, in, &got, 1000000));
    net_info(a.vif, &before);
    bytes = net_frame(out, &a, nobody, 4, NET_UDP, 100, ++tags, false);
    check("to-nobody", net_send(&a, out, bytes, &plainly) == 0 && !net_receive(&b, in, &got, 2000000));
    net_info(a.vif, &after);
    expect("to-nobody-is-counted", (long)(after.tx.dropped[COLLET_NET_DROP_NO_ROUTE] - before.tx.dropped[COLLET_NET_DROP_NO_ROUTE]), 1);
    bytes = net_frame(out, &a, other.mac, 4, NET_UDP, 100, ++tags, false);
    check("addresses-of-another-segment-are-nobodys", net_send(&a, out, bytes, &plainly) == 0 && !net_receive(&other, in, &got, 2000000));
    memcpy(alone.mac, a.mac, 6);
    check("same-address-twice-is-refused", net_create(0, &alone, "twice", &(const struct collet_vif_settings){.segment = NET_SEGMENT}) == X_EEXIST);
    memcpy(alone.mac, (const uint8_t[6]){0, 0x16, 0x3e, 7, 7, 7}, 6);
    expect("no-such-card", net_create(0, &alone, "alone", &(const struct collet_vif_settings){.segment = 77}), X_ENODEV);
    expect("no-such-domain", net_create(99, &alone, "alone", &(const struct collet_vif_settings){.segment = NET_SEGMENT}), X_ESRCH);
    expect("no-such-vif", net_destroy(9999), X_ENOENT);
    net_detach(&other);
}

/* Without buffers a frame is lost, counted, and nobody waits. */
static void no_buffers(void)
{
    struct net_front poor = {0};
    struct collet_vif_info info;
    struct net_got got;
    struct collet_vif_settings settings = {.flags = COLLET_VIF_SPOOF_OK, .segment = NET_SEGMENT};
    uint32_t bytes;

    memcpy(poor.mac, (const uint8_t[6]){0, 0x16, 0x3e, 0, 0, 20}, 6);
    expect("create", net_create(0, &poor, "poor", &settings), 0);
    net_rings(&poor, true);
    expect("connect-by-one-port", net_connect(&poor, COLLET_VIF_RX_SG), 0);
    for (unsigned int i = 0; i < 300; i++) {
        bytes = net_frame(out, &a, poor.mac, 4, NET_UDP, 100, ++tags, false);
        if (net_send(&a, out, bytes, &plainly) != 0)
            check("sender-is-served", false);
    }
    net_info(poor.vif, &info);
    expect("lost-frames-are-counted", (long)info.rx.dropped[COLLET_NET_DROP_NO_BUFFER], 300);
    net_post(&poor, 2);
    check("with-a-buffer-it-comes", crosses(&a, &poor, 4, NET_UDP, 1000, &plainly));
    bytes = net_frame(out, &a, poor.mac, 4, NET_UDP, 20000, ++tags, false);
    check("too-long-for-two-buffers", net_send(&a, out, bytes, &plainly) == 0 && !net_receive(&poor, in, &got, 2000000));
    check("and-what-fits-comes", crosses(&a, &poor, 4, NET_UDP, 8000, &plainly));
    net_detach(&poor);
}

static void spoofing(void)
{
    struct net_front honest = {0};
    struct collet_vif_settings settings = {.segment = NET_SEGMENT, .addresses = 1, .address = {{.bytes = {10, 9, 0, 30}, .family = 4, .bits = 32}}};
    struct collet_vif_set set;
    struct collet_vif_info info;
    struct net_got got;
    uint32_t bytes;

    memcpy(honest.mac, (const uint8_t[6]){0, 0x16, 0x3e, 0, 0, 30}, 6);
    expect("create", net_create(0, &honest, "honest", &settings), 0);
    net_rings(&honest, false);
    net_post(&honest, 16);
    expect("connect", net_connect(&honest, NET_ALL_FEATURES), 0);
    check("own-addresses-pass", crosses(&honest, &b, 4, NET_UDP, 50, &plainly));
    bytes = net_frame(out, &honest, b.mac, 4, NET_UDP, 50, ++tags, false);
    out[11] = 31;
    check("another-mac-does-not", net_send(&honest, out, bytes, &plainly) == 0 && !net_receive(&b, in, &got, 2000000));
    net_frame(out, &honest, b.mac, 4, NET_UDP, 50, ++tags, false);
    out[29] = 31;
    check("another-ip-does-not", net_send(&honest, out, bytes, &plainly) == 0 && !net_receive(&b, in, &got, 2000000));
    net_info(honest.vif, &info);
    expect("spoofed-frames-are-counted", (long)info.tx.dropped[COLLET_NET_DROP_SPOOF], 2);
    set = (struct collet_vif_set){.vif = honest.vif, .settings = settings};
    set.settings.packets_per_s = 100;
    expect("limit", control(COLLET_OP_VIF_SET, &set), 0);
    {
        uint64_t from = now_ns();

        for (unsigned int i = 0; i < 50; i++) {
            net_frame(out, &honest, nobody, 4, NET_UDP, 50, ++tags, false);
            if (net_send(&honest, out, bytes, &plainly) != 0)
                check("limited-is-served", false);
        }
        check("limit-holds", now_ns() - from > 300000000 && now_ns() - from < 5000000000);
        note("50 frames at 100 a second: %lu ms\n", (unsigned long)(now_ns() - from) / 1000000);
    }
    set.settings = settings;
    set.settings.flags = COLLET_VIF_DOWN;
    expect("down", control(COLLET_OP_VIF_SET, &set), 0);
    net_frame(out, &honest, b.mac, 4, NET_UDP, 50, ++tags, false);
    check("down-nothing-passes", net_send(&honest, out, bytes, &plainly) == 0 && !net_receive(&b, in, &got, 2000000));
    net_detach(&honest);
}

static void comings_and_goings(void)
{
    struct net_front f = {0};
    uint64_t before = frames_free();
    bool good = true;

    for (unsigned int i = 0; i < 100 && good; i++) {
        net_attach(&f, "fleeting", NET_SEGMENT, 40, NET_ALL_FEATURES);
        good = crosses(&f, &b, 4, NET_UDP, 100 + i, &plainly) && crosses(&a, &f, 4, NET_UDP, 100 + i, &plainly);
        if (i & 1)
            good = good && net_disconnect(f.vif) == 0;
        net_detach(&f);
        if (i == 10)
            before = frames_free();
    }
    check("a-hundred-times", good);
    expect("no-frame-is-lost", (long)frames_free(), (long)before);
}

/* A full ring at a time, as fast as they go: all arrive, in order. */
static void bursts(void)
{
    bool good = true;

    for (unsigned int round = 0; round < 30 && good; round++) {
        uint64_t first = tags + 1;
        struct net_got got;

        for (unsigned int i = 0; i < 100; i++)
            net_chain(&a, out + i % 16 * PAGE_SIZE + i / 16 * 512, net_frame(out + i % 16 * PAGE_SIZE + i / 16 * 512, &a, b.mac, 4, NET_UDP, 200 + i, ++tags, false), &plainly);
        net_push(&a);
        for (unsigned int i = 0; i < 100 && good; i++)
            good = net_receive(&b, in, &got, NET_WAIT_NS) && net_frame_good(in, got.bytes, 0, first + i, false);
        good = good && net_answered(&a, NET_WAIT_NS) && a.status == 0;
    }
    check("bursts-arrive-in-order", good);
}

/* ---- with a card whose wire is QEMU's user network ---- */

static struct net_front w;
static const uint8_t gateway_ip[4] = {10, 0, 2, 2}, own_ip[4] = {10, 0, 2, 77};

static bool arp(uint8_t *gateway)
{
    uint8_t *f = out;
    struct net_got got;
    uint64_t until = now_ns() + 5000000000;

    memset(f, 0, 60);
    memset(f, 0xff, 6);
    memcpy(f + 6, w.mac, 6);
    memcpy(f + 12, (const uint8_t[10]){8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, 10);
    memcpy(f + 22, w.mac, 6);
    memcpy(f + 28, own_ip, 4);
    memcpy(f + 38, gateway_ip, 4);
    if (net_send(&w, f, 60, &plainly) != 0)
        return false;
    while (now_ns() < until && net_receive(&w, in, &got, 1000000000)) {
        if (got.bytes >= 42 && in[12] == 8 && in[13] == 6 && in[21] == 2 && memcmp(in + 28, gateway_ip, 4) == 0) {
            memcpy(gateway, in + 22, 6);
            return true;
        }
    }
    return false;
}

/* Echo to the gateway and back, as long as a frame may be. */
static bool echo(const uint8_t *gateway, uint32_t payload)
{
    uint32_t bytes = net_frame(out, &w, gateway, 4, NET_ICMP, payload, ++tags, false);
    struct net_got got;
    uint64_t until = now_ns() + 5000000000;

    net_readdress(out, bytes, own_ip, gateway_ip, false);
    if (net_send(&w, out, bytes, &plainly) != 0)
        return false;
    while (now_ns() < until && net_receive(&w, in, &got, 1000000000)) {
        if (in[12] != 8 || in[13] != 0 || in[23] != NET_ICMP || in[34] != 0)
            continue;
        return got.bytes >= bytes && net_payload_good(in + 42, 0, payload, tags);
    }
    return false;
}

/* With tap-peer.c: a datagram whose sum is open both ways, and a segmented frame: whole, where the card may merge buffers. */
static bool peer(const uint8_t *gateway, uint32_t payload, bool whole)
{
    static const struct net_how blank = {.flags = NETTXF_csum_blank};
    uint32_t bytes = net_frame(out, &w, gateway, 4, NET_UDP, payload, ++tags, true), segmented = 0;
    bool back = false;
    struct net_got got;
    uint64_t until = now_ns() + 5000000000;

    net_readdress(out, bytes, own_ip, gateway_ip, true);
    if (net_send(&w, out, bytes, &blank) != 0)
        return false;
    while ((!back || segmented < 30000) && now_ns() < until && net_receive(&w, in, &got, 1000000000)) {
        if (got.bad || in[12] != 8 || in[13] != 0)
            continue;
        if (in[23] == NET_UDP && in[34] == 4000 >> 8)
            back = net_frame_good(in, 42 + payload, 0, tags, got.flags & NETRXF_csum_blank) && got.bytes >= bytes && (got.flags & (NETRXF_csum_blank | NETRXF_data_validated));
        if (in[23] != NET_TCP || in[34] != 4000 >> 8 || in[35] != (4000 & 0xff))
            continue;
        if (!net_frame_good(in, got.bytes, segmented, 5, got.flags & NETRXF_csum_blank) || whole != (got.segmentation == XEN_NETIF_GSO_TYPE_TCPV4 && got.segment_bytes == 1448))
            return false;
        segmented += got.bytes - 54;
    }
    if (!back || segmented != 30000)
        note("payload %u: back %d, segmented %u\n", payload, back, segmented);
    return back && segmented == 30000;
}

static void card(void)
{
    struct collet_nic_info before, after;
    uint8_t gateway[6];
    bool good = true;
    uint64_t segments;
    uint32_t bytes;

    if (!net_nic(0, &before)) {
        skip("card", "there is none");
        return;
    }
    note("nic0: %s, flags %x, mtu %u, %u queues, depth %u\n", before.driver, before.flags, before.mtu, before.queues, before.depth);
    check("link-is-up", before.flags & COLLET_NIC_LINK);
    net_attach(&w, "world", 0, 50, NET_ALL_FEATURES);
    if (!arp(gateway)) {
        check("gateway-answers", false);
        return;
    }
    check("gateway-answers", true);
    for (uint32_t n = 0; n <= 1400 && good; n += 28)
        good = echo(gateway, n);
    check("echoes-come-back", good);
    if (arg_number("peer", 0) != 0) {
        check("card-sums-and-segments", (before.flags & (COLLET_NIC_CAN_SUM | COLLET_NIC_CAN_SEGMENT4)) == (COLLET_NIC_CAN_SUM | COLLET_NIC_CAN_SEGMENT4));
        for (uint32_t n = 1; n < 1400 && good; n += 53)
            good = peer(gateway, n, arg_number("peer", 0) == 1);
        check("sums-and-segments-come-and-go-by-the-card", good);
    }
    for (unsigned int i = 0; i < 30; i++) { /* left over with us: sums, and segments */
        bytes = net_frame(out, &w, gateway, 4, NET_TCP, 1449 + (uint32_t)rnd(50000), ++tags, true);
        good = good && net_send(&w, out, bytes, &(const struct net_how){NETTXF_csum_blank, XEN_NETIF_GSO_TYPE_TCPV4, 1448, 0, 0}) == 0;
        bytes = net_frame(out, &w, gateway, 4, NET_UDP, (uint32_t)rnd(1400), ++tags, true);
        good = good && net_send(&w, out, bytes, &(const struct net_how){.flags = NETTXF_csum_blank}) == 0;
    }
    check("long-frames-go-out", good);
    for (unsigned int round = 0; round < 40 && good; round++) {
        for (unsigned int i = 0; i < 120; i++)
            net_chain(&w, out, 1000, &plainly);
        net_push(&w);
        good = net_answered(&w, NET_WAIT_NS);
    }
    check("a-full-card-goes-on", good);
    net_drain(&w); /* refusals of our segments */
    check("echo-after-all-that", echo(gateway, 1000));
    net_nic(0, &after);
    segments = after.tx.segments - before.tx.segments;
    note("sent %lu frames, %lu on the wire; received %lu; interrupts %lu, resets %lu, lies %lu\n", (unsigned long)(after.tx.packets - before.tx.packets), (unsigned long)segments,
         (unsigned long)(after.rx.packets - before.rx.packets), (unsigned long)(after.interrupts - before.interrupts), (unsigned long)after.resets, (unsigned long)after.lies);
    check("cards-count", after.tx.packets > before.tx.packets + 4800 && segments > after.tx.packets - before.tx.packets && after.rx.packets > before.rx.packets + 50);
    check("no-lies-and-no-resets", after.lies == 0 && after.resets == 0);
    net_drain(&w);
    net_detach(&w);
}

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {{"lengths", lengths}, {"chains", chains}, {"segmentation", segmentation}, {"sums", sums}, {"switching", switching},
             {"no-buffers", no_buffers}, {"spoofing", spoofing}, {"comings", comings_and_goings}, {"bursts", bursts}, {"card", card}};

void kernel_main(void)
{
    char part[32] = "";

    arg_string("part", part, sizeof(part));
    seed = arg_number("seed", 1) * 0x9e3779b97f4a7c15ul + 1;
    blk_init();
    out = blk_pages(20);
    net_attach(&a, "a", NET_SEGMENT, 1, NET_ALL_FEATURES);
    net_attach(&b, "b", NET_SEGMENT, 2, NET_ALL_FEATURES);
    net_attach(&c, "c", NET_SEGMENT, 3, COLLET_VIF_RX_SG);
    for (unsigned int i = 0; i < COUNT_OF(parts); i++) {
        if (part[0] != '\0' && strcmp(part, parts[i].name) != 0)
            continue;
        note("part %s\n", parts[i].name);
        parts[i].run();
        net_drain(&a);
        net_drain(&b);
        net_drain(&c);
    }
    net_detach(&a);
    net_detach(&b);
    net_detach(&c);
}
