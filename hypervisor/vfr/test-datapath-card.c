// SPDX-License-Identifier: MIT
/*
 * Between netfronts and a card: what goes out whole, summed or cut; a card that is full, and VIFs that wait for it; cards that lie, stick, want a reset; and the end of a VIF while a card has its frames.
 * The rest of the data path: test-datapath.c.
 */
// needs: vif.c tx.c rx.c nic.c switch.c turn.c cut.c sdk/vfr/packet.c sdk/vfr/reject.c sdk/vfr/antispoof.c vfr-rules/round-robin.c tests/unit/fakes-machine.c
#include "test-datapath.h"

#define ALL_RX (COLLET_VIF_RX_SG | COLLET_VIF_RX_TSO4 | COLLET_VIF_RX_TSO6 | COLLET_VIF_RX_SUM6)
#define OPEN   (NETTXF_csum_blank | NETTXF_data_validated)

static struct guest *a, *b;
static uint8_t frame[FRAME];
static struct got got;

static void setup(void)
{
    world_begin(2);
    a = guest_on(0, ALL_RX);
    b = guest_on(0, 0);
    run();
}

static void teardown(void)
{
    world_end();
}

static void put_many(struct guest *g, uint32_t count, uint32_t payload)
{
    uint32_t length = frame_make(frame, false, outside, g->mac, payload);

    for (uint32_t i = 0; i < count; i++)
        guest_put(g, frame, length, 0, 0, PAGE_SIZE, 0);
    guest_push(g);
}

/* ---- Out ---- */

START_TEST(a_frame_goes_out_from_where_it_lies)
{
    uint32_t length = frame_make(frame, false, outside, a->mac, 1400);

    card.holds = true;
    guest_put(a, frame, length, OPEN, 0, 500, 77);
    guest_push(a);
    run();
    ck_assert_uint_eq(card.frames, 1);
    ck_assert_uint_eq(card.shown, 1); /* with a kick */
    ck_assert_uint_eq(card.wire[0]->bytes, length);
    ck_assert_mem_eq(card.wire[0]->data, frame, length);
    ck_assert(card.wire[0]->offload.sum_wanted);
    ck_assert_uint_eq(card.wire[0]->offload.sum_start, 34);
    ck_assert_uint_eq(card.wire[0]->offload.sum_offset, 16);
    ck_assert_uint_eq(card.wire[0]->offload.segmentation, NET_SEGMENTATION_NONE);
    /* As long as the card has it, the guest's pages are held, and it is not answered. */
    ck_assert_uint_eq(pinned(), 4 + 3);
    ck_assert_uint_eq(guest_info(a).in_flight, 1);
    ck_assert_uint_eq(guest_unanswered(a), 3);
    card.holds = false;
    softirq_raise(SOFTIRQ_NET);
    run();
    ck_assert_uint_eq(pinned(), 4);
    ck_assert_uint_eq(guest_unanswered(a), 0);
    ck_assert_uint_eq(a->okays, 3);
    ck_assert_uint_eq(card_info().tx.packets, 1);
    ck_assert_uint_eq(card_info().tx.bytes, length);
}
END_TEST

START_TEST(what_the_card_cannot_do_is_done)
{
    uint32_t length;

    card.dev.can_sum = false;
    for (uint32_t six = 0; six < 2; six++) {
        length = frame_make(frame, six, outside, a->mac, 1001);
        guest_put(a, frame, length, OPEN, 0, 333, 5);
        guest_push(a);
        run();
        ck_assert_uint_eq(card.frames, 1 + six);
        ck_assert(!card.wire[six]->offload.sum_wanted);
        frame_sum(frame, length);
        ck_assert_mem_eq(card.wire[six]->data, frame, length);
    }
}
END_TEST

START_TEST(a_card_that_segments_is_given_the_whole)
{
    for (uint32_t six = 0; six < 2; six++) {
        uint32_t length = frame_make(frame, six, outside, a->mac, 30000);

        guest_send(a, frame, length, OPEN, 1400);
        run();
        ck_assert_uint_eq(card.frames, six + 1);
        ck_assert_uint_eq(card.wire[six]->bytes, length);
        ck_assert_mem_eq(card.wire[six]->data, frame, length);
        ck_assert_uint_eq(card.wire[six]->offload.segmentation, six ? NET_SEGMENTATION_TCP6 : NET_SEGMENTATION_TCP4);
        ck_assert_uint_eq(card.wire[six]->offload.segment_bytes, 1400);
        ck_assert_uint_eq(card.wire[six]->offload.header_bytes, six ? TCP6 : TCP4);
        ck_assert(card.wire[six]->offload.sum_wanted);
    }
    ck_assert_uint_eq(card_info().tx.segments, 44);
}
END_TEST

/* Also when the card has room for a few at a time: the cut goes on where it was. */
START_TEST(another_is_given_pieces)
{
    uint32_t payload = 30000, size = 1400, count = (payload + size - 1) / size;

    card.dev.can_segment4 = card.dev.can_segment6 = false;
    for (uint32_t i = 0; i < 4; i++) {
        bool six = i >= 2;
        uint32_t header = six ? TCP6 : TCP4, length = frame_make(frame, six, outside, a->mac, payload);

        for (uint32_t n = 0; n < min(card.frames, (uint64_t)WIRE); n++)
            free(card.wire[n]);
        memset(card.wire, 0, sizeof(card.wire));
        card.frames = 0;
        card.dev.can_sum = i % 2;
        card.room = 5;
        guest_put(a, frame, length, OPEN, (uint16_t)size, 3333, 9);
        guest_push(a);
        run();
        ck_assert_uint_eq(card.frames, count);
        for (uint32_t n = 0; n < count; n++) {
            const struct wire_frame *w = card.wire[n];

            ck_assert_uint_eq(w->bytes, header + min(size, payload - n * size));
            ck_assert_mem_eq(w->data + header, frame + header + n * size, w->bytes - header);
            ck_assert_uint_eq(be32(w->data + header - 16), (uint32_t)(0xfffff000 + n * size));
            ck_assert_uint_eq(w->offload.segmentation, NET_SEGMENTATION_NONE);
            ck_assert_int_eq(w->offload.sum_wanted, i % 2);
            if (i % 2 == 0)
                ck_assert(sums_right(w->data, w->bytes));
            else
                ck_assert_uint_eq(be16(w->data + header - 4), pseudo16(w->data, w->bytes));
        }
        ck_assert_uint_eq(card_info().tx.packets, i + 1);
        ck_assert_uint_eq(card_info().tx.segments, (i + 1) * count);
        ck_assert_uint_eq(guest_unanswered(a), 0);
        ck_assert_uint_eq(pinned(), 4);
    }
}
END_TEST

/* A guest's word on how long the pieces are is held against what the wire takes. */
START_TEST(pieces_longer_than_the_wire_takes)
{
    for (uint32_t i = 0; i < 4; i++) {
        card.dev.can_segment4 = i % 2;
        guest_send(a, frame, frame_make(frame, false, outside, a->mac, 60000), OPEN, i < 2 ? 28000 : 1500 + 18 - TCP4 + 1);
        run();
        ck_assert_uint_eq(card_info().tx.dropped[COLLET_NET_DROP_TOO_LONG], i + 1);
    }
    ck_assert_uint_eq(card.frames, 0);
    ck_assert_uint_eq(all_drops(card_info().tx), 4);
    ck_assert_uint_eq(all_drops(guest_info(a).tx), 0);
    guest_send(a, frame, frame_make(frame, false, outside, a->mac, 60000), OPEN, 1500 + 18 - TCP4); /* a tag of a VLAN more than the MTU says */
    run();
    ck_assert_uint_eq(card.frames, 1);
    ck_assert_uint_eq(guest_unanswered(a), 0);
    ck_assert_uint_eq(pinned(), 4);
}
END_TEST

/* ---- In ---- */

static uint8_t wire[24][PAGE_SIZE] __attribute__((aligned(4096)));
static struct net_segment pieces[24];

/* The frame in pieces: the first, then others of at most `part` bytes. Returns how many. */
static uint32_t in_pieces(uint32_t length, uint32_t first, uint32_t part)
{
    uint32_t count = 0;

    for (uint32_t at = 0, size; at < length; at += size) {
        size = min(at == 0 ? first : part, length - at);
        ck_assert_uint_lt(count, ARRAY_SIZE(wire));
        memcpy(wire[count], frame + at, size);
        pieces[count] = (struct net_segment){.maddr = (uint64_t)wire[count], .bytes = size};
        count++;
    }
    return count;
}

START_TEST(a_frame_comes_in)
{
    uint32_t length = frame_make(frame, false, a->mac, outside, 1400);
    const struct net_offload good = {.sum_good = true};

    frame_sum(frame, length);
    card_receive(pieces, in_pieces(length, 300, 500), &good);
    run();
    ck_assert(guest_receive(a, &got));
    ck_assert_uint_eq(got.bytes, length);
    ck_assert_mem_eq(got.data, frame, length);
    ck_assert_uint_eq(got.flags, NETRXF_data_validated);
    ck_assert(!guest_receive(b, &got));
    ck_assert_uint_eq(card_info().rx.packets, 1);
    frame_make(frame, false, outside, outside, 10); /* nobody's: not back to where it came from */
    card_receive(pieces, in_pieces(TCP4 + 10, 300, 500), &good);
    run();
    ck_assert_uint_eq(card.frames, 0);
    ck_assert_uint_eq(card_info().rx.dropped[COLLET_NET_DROP_NO_ROUTE], 1);
}
END_TEST

/* What a card has put together is given whole to one, and cut again for another. */
START_TEST(what_the_card_joined)
{
    const struct net_offload joined = {.sum_wanted = true, .sum_start = 34, .sum_offset = 16, .segmentation = NET_SEGMENTATION_TCP4, .segment_bytes = 1000};
    uint32_t length = frame_make(frame, false, a->mac, outside, 5500);

    card_receive(pieces, in_pieces(length, 2000, 2000), &joined);
    run();
    ck_assert(guest_receive(a, &got));
    ck_assert_uint_eq(got.bytes, length);
    ck_assert_uint_eq(got.gso_size, 1000);
    ck_assert_mem_eq(got.data, frame, length);
    length = frame_make(frame, false, b->mac, outside, 5500);
    card_receive(pieces, in_pieces(length, 2000, 2000), &joined);
    run();
    for (uint32_t n = 0; n < 6; n++) {
        ck_assert(guest_receive(b, &got));
        ck_assert_uint_eq(got.bytes, TCP4 + (n < 5 ? 1000 : 500));
        ck_assert_mem_eq(got.data + TCP4, frame + TCP4 + n * 1000, got.bytes - TCP4);
        ck_assert_uint_eq(be16(got.data + 50), pseudo16(got.data, got.bytes));
    }
    ck_assert(!guest_receive(b, &got));
    ck_assert_uint_eq(card_info().rx.segments, 12);
}
END_TEST

/* As many buffers as a frame may have, and all of it in one piece of what is cut: the most segments there are (the sanitizer looks). One more is refused. */
START_TEST(a_card_that_lies_about_its_buffers)
{
    const struct net_offload joined = {.sum_wanted = true, .sum_start = 34, .sum_offset = 16, .segmentation = NET_SEGMENTATION_TCP4, .segment_bytes = 60000};
    uint32_t length = frame_make(frame, false, b->mac, outside, 300 + 17 * 8 - TCP4);

    ck_assert_uint_eq(in_pieces(length, 300, 8), 18);
    card_receive(pieces, 18, &joined);
    run();
    ck_assert(guest_receive(b, &got));
    ck_assert_uint_eq(got.bytes, length);
    ck_assert_mem_eq(got.data + TCP4, frame + TCP4, length - TCP4);
    length = frame_make(frame, false, b->mac, outside, 300 + 18 * 8 - TCP4);
    ck_assert_uint_eq(in_pieces(length, 300, 8), 19);
    card_receive(pieces, 19, &joined);
    run();
    ck_assert(!guest_receive(b, &got));
    ck_assert_uint_eq(card_info().rx.dropped[COLLET_NET_DROP_MALFORMED], 1);
    card_receive(pieces, 0, &joined);
    run();
    ck_assert_uint_eq(in_pieces(200, 199, 8), 2); /* the header is not whole in the first */
    card_receive(pieces, 2, &joined);
    run();
    pieces[0].bytes = 13;
    card_receive(pieces, 1, &joined);
    run();
    ck_assert_uint_eq(card_info().rx.dropped[COLLET_NET_DROP_MALFORMED], 4);
    ck_assert_uint_eq(all_drops(card_info().rx), 4);
}
END_TEST

START_TEST(a_card_that_lies_about_segmentation)
{
    struct net_offload o = {.sum_wanted = true, .sum_start = 34, .sum_offset = 16, .segmentation = NET_SEGMENTATION_TCP6, .segment_bytes = 1000};
    uint32_t length = frame_make(frame, false, b->mac, outside, 2000), count = in_pieces(length, 2000, 2000);

    card_receive(pieces, count, &o); /* of the other family */
    o.segmentation = NET_SEGMENTATION_TCP4;
    o.segment_bytes = 0;
    card_receive(pieces, count, &o);
    run();
    wire[0][23] = 17; /* no TCP */
    o.segment_bytes = 1000;
    card_receive(pieces, count, &o);
    run();
    ck_assert_uint_eq(card_info().rx.dropped[COLLET_NET_DROP_MALFORMED], 3);
    ck_assert(!guest_receive(b, &got));
}
END_TEST

/* ---- A full card ---- */

START_TEST(who_waits_for_the_card_goes_on)
{
    card.room = 4;
    card.holds = true;
    put_many(a, 30, 1000);
    put_many(b, 30, 1000);
    run();
    ck_assert_uint_eq(card.put, 4);
    ck_assert_uint_eq(guest_unanswered(a) + guest_unanswered(b), 60);
    card.holds = false;
    netdev_interrupt(&card.dev); /* one: the rest follows from that */
    run();
    ck_assert_uint_eq(guest_unanswered(a), 0);
    ck_assert_uint_eq(guest_unanswered(b), 0);
    ck_assert_uint_eq(card.frames, 60);
    ck_assert_uint_eq(all_drops(card_info().tx), 0);
    ck_assert_uint_eq(pinned(), 4);
}
END_TEST

/*
 * The race of the last frame that leaves against the first that waits, played at every place there is: another CPU tells that b's frames were sent, one or all, while a finds the card full; inside the driver, and between
 * its answer and where a says that it waits. Nothing else happens then that would wake a.
 */
static uint32_t told_at_once;

static void another_cpu_tells(void)
{
    fake_cpu_id = 1;
    card_tell(told_at_once, 0);
    fake_cpu_id = 0;
}

static void another_cpu_tells_when_full(void)
{
    if (card.put - card.told == card.room)
        another_cpu_tells();
    else
        keep_hook = another_cpu_tells_when_full;
}

START_TEST(a_frame_that_leaves_while_another_finds_no_room)
{
    card.room = 4;
    for (uint32_t i = 0; i < 4; i++) {
        card.holds = true;
        put_many(b, 4, 1000);
        run();
        ck_assert_uint_eq(card.put - card.told, 4);
        told_at_once = i % 2 != 0 ? 1 : 4;
        if (i < 2)
            card.full_hook = another_cpu_tells;
        else
            keep_hook = another_cpu_tells_when_full;
        put_many(a, 1, 1000);
        run();
        keep_hook = NULL;
        ck_assert_ptr_null(card.full_hook);
        /* Where one has left, there is room for a's. The other CPU need not do anything more for that. */
        if (told_at_once == 4) {
            ck_assert_msg(card.frames == 5 * (i + 1), "place %u: a waits for good", i);
        } else {
            card_tell(1, 0);
            run();
            ck_assert_msg(card.frames == 5 * (i + 1), "place %u: a waits for good", i);
        }
        card.holds = false;
        netdev_interrupt(&card.dev);
        run();
        fake_cpu_id = 1;
        run();
        fake_cpu_id = 0;
        ck_assert_uint_eq(guest_unanswered(a), 0);
        ck_assert_uint_eq(guest_unanswered(b), 0);
        ck_assert_uint_eq(pinned(), 4);
    }
}
END_TEST

/* More pieces of cut frames, and copies, than there is memory for. */
START_TEST(pieces_run_out)
{
    card.dev.can_segment4 = false;
    card.holds = true;
    for (uint32_t i = 0; i < 4; i++)
        guest_send(a, frame, frame_make(frame, false, outside, a->mac, 60000), OPEN, 1000);
    run();
    ck_assert_uint_eq(card.put, 128);
    card.holds = false;
    netdev_interrupt(&card.dev);
    run();
    ck_assert_uint_eq(card.frames, 240);
    ck_assert_uint_eq(guest_unanswered(a), 0);
    ck_assert_uint_eq(pinned(), 4);
}
END_TEST

static uint32_t mirror_to;
static void rule_mirrors(const struct vfr_port *port, unsigned int direction, const struct net_packet *packet, struct vfr_verdict *verdict)
{
    (void)packet;
    if (port->iface.id == a->vif && direction == VFR_TX)
        *verdict = (struct vfr_verdict){.action = VFR_DROP, .mirrors = 1, .mirror = {mirror_to}};
}

/* Copies for the card: no more than there is memory for; the rest is counted as lost for that. */
START_TEST(copies_run_out)
{
    rule = rule_mirrors;
    mirror_to = nics[0]->port.iface.id;
    card.holds = true;
    put_many(a, 140, 300);
    run();
    ck_assert_uint_eq(card.put, 128);
    ck_assert_uint_eq(card_info().tx.dropped[COLLET_NET_DROP_MEMORY], 12);
    ck_assert_uint_eq(guest_info(a).tx.dropped[COLLET_NET_DROP_RULE], 140);
    ck_assert_uint_eq(guest_unanswered(a), 0); /* the copies are ours */
    ck_assert_uint_eq(pinned(), 4);
    card.holds = false;
    netdev_interrupt(&card.dev);
    run();
    put_many(a, 1, 300);
    run();
    ck_assert_uint_eq(card.frames, 129);
    ck_assert_uint_eq(all_drops(card_info().tx), 12);
}
END_TEST

/* More frames of one VIF in the card than are kept track of: it waits for those. */
START_TEST(entries_run_out)
{
    card.holds = true;
    put_many(a, 200, 1000);
    run();
    ck_assert_uint_eq(card.put, TX_ENTRIES);
    card.holds = false;
    netdev_interrupt(&card.dev);
    run();
    ck_assert_uint_eq(card.frames, 200);
    ck_assert_uint_eq(guest_unanswered(a), 0);
}
END_TEST

/* ---- A card that fails ---- */

START_TEST(a_card_that_sends_nothing_is_reset)
{
    card.holds = true;
    put_many(a, 3, 1000);
    run_for(4 * NS_PER_S);
    softirq_raise(SOFTIRQ_NET);
    run();
    ck_assert_uint_eq(card.resets, 0);
    for (uint32_t i = 0; i < 20; i++) {
        run_for(NS_PER_S / 10);
        softirq_raise(SOFTIRQ_NET);
    }
    ck_assert_uint_eq(card.resets, 1);
    ck_assert_uint_eq(card_info().resets, 1);
    ck_assert_uint_eq(card_info().tx.dropped[COLLET_NET_DROP_DEVICE], 3);
    ck_assert_uint_eq(guest_unanswered(a), 0);
    ck_assert_uint_eq(a->okays, 3);
    ck_assert_uint_eq(pinned(), 4);
    run_for(20 * NS_PER_S); /* it has nothing: no more resets */
    softirq_raise(SOFTIRQ_NET);
    run();
    ck_assert_uint_eq(card.resets, 1);
}
END_TEST

/* The driver says that it cannot go on: at once; but one that says so all the time only once a second, and nobody turns meanwhile. */
START_TEST(a_card_that_wants_a_reset)
{
    put_many(a, 3, 1000);
    card.dev.wants_reset = true;
    netdev_interrupt(&card.dev);
    run();
    ck_assert_uint_eq(card.resets, 1);
    run_for(NS_PER_S / 10);
    ck_assert_uint_eq(guest_unanswered(a), 0);
    ck_assert_uint_eq(card.frames, 3);
    card.deaf = true;
    card.dev.wants_reset = true;
    netdev_interrupt(&card.dev);
    put_many(a, 3, 1000);
    run(); /* comes to rest */
    ck_assert_uint_eq(card.resets, 1);
    run_for(10 * NS_PER_S);
    ck_assert_uint_ge(card.resets, 10);
    ck_assert_uint_le(card.resets, 12);
    card.deaf = false;
    run_for(2 * NS_PER_S);
    ck_assert_uint_le(card.resets, 13);
    ck_assert_uint_eq(card.frames, 6);
    ck_assert_uint_eq(guest_unanswered(a), 0);
    run_for(5 * NS_PER_S);
    ck_assert_uint_le(card.resets, 13);
}
END_TEST

/* ---- The end of a VIF while the card has frames of it ---- */

static uint32_t each_count;
static void each_hold(void *arg, mfn_t mfn, bool write)
{
    (void)arg, (void)mfn, (void)write;
    each_count++;
}

START_TEST(disconnect_waits_for_the_card)
{
    card.room = 6;
    card.holds = true;
    put_many(a, 10, 1000); /* six in the card, one waits, three in the ring */
    run();
    ck_assert_uint_eq(pinned(), 4 + 7);
    vfr_each_hold(a->domain, each_hold, NULL);
    ck_assert_uint_eq(each_count, 2 + 7);
    ck_assert_int_eq(vif_disconnect(a->vif), -EINTR);
    ck_assert_int_eq(vif_disconnect(a->vif), -EINTR);
    ck_assert_uint_eq(pinned(), 4 + 6); /* what waited is given up */
    ck_assert_int_eq(guest_connect(a), -EALREADY);
    guest_send(b, frame, frame_make(frame, false, a->mac, b->mac, 10), 0, 0); /* nor is it given anything any more */
    run();
    ck_assert_uint_eq(guest_info(a).rx.packets, 0);
    ck_assert_uint_eq(guest_info(a).rx.dropped[COLLET_NET_DROP_NOT_CONNECTED], 1);
    card.holds = false;
    netdev_interrupt(&card.dev);
    run();
    ck_assert_uint_eq(pinned(), 4);
    ck_assert_uint_eq(card.frames, 6);
    ck_assert_int_eq(vif_disconnect(a->vif), 0);
    ck_assert_uint_eq(pinned(), 2);
    ck_assert_uint_eq(guest_unanswered(a), 3);
    ck_assert_int_eq(vif_disconnect(a->vif), 0);
    guest_rings_reset(a);
    ck_assert_int_eq(guest_connect(a), 0);
    run();
    put_many(a, 2, 1000);
    run();
    ck_assert_uint_eq(card.frames, 8);
    ck_assert_uint_eq(guest_unanswered(a), 0);
}
END_TEST

START_TEST(destroy_waits_for_the_card)
{
    struct collet_vif_info info;

    card.holds = true;
    put_many(a, 5, 1000);
    put_many(b, 5, 1000);
    run();
    ck_assert_int_eq(vif_destroy(a->vif), -EINTR);
    ck_assert(!vfr_domain_destroy(b->domain));
    ck_assert_uint_eq(pinned(), 4 + 10);
    ck_assert_int_eq(guest_connect(a), -EALREADY);
    card.holds = false;
    netdev_interrupt(&card.dev);
    run();
    ck_assert_int_eq(vif_destroy(a->vif), 0);
    ck_assert(vfr_domain_destroy(b->domain));
    ck_assert_uint_eq(pinned(), 0);
    ck_assert_int_eq(vif_info(0, ~0u, &info), -ENOENT);
    ck_assert_int_eq(vif_destroy(a->vif), -ENOENT);
    ck_assert_uint_eq(a->domain->refs, 0);
    card_receive(pieces, in_pieces(frame_make(frame, false, a->mac, outside, 10), 300, 300), &(struct net_offload){0});
    run();
    ck_assert_uint_eq(card_info().rx.dropped[COLLET_NET_DROP_NO_ROUTE], 1);
}
END_TEST

/* In the midst of one close another one is told to come again, and nobody connects: the first would take the fresh rings and channels down. */
static void another_closes_and_connects(void)
{
    ck_assert_int_eq(vif_disconnect(a->vif), -EINTR);
    ck_assert_int_eq(guest_connect(a), -EALREADY);
}

START_TEST(two_closes_and_a_connect_between)
{
    cancel_hook = another_closes_and_connects;
    ck_assert_int_eq(vif_disconnect(a->vif), 0);
    ck_assert_ptr_null(cancel_hook);
    guest_rings_reset(a);
    guest_post(a, RX_PAGES);
    ck_assert_int_eq(guest_connect(a), 0);
    run();
    ck_assert(guest_info(a).flags & COLLET_VIF_CONNECTED);
    ck_assert_uint_eq(pinned(), 4);
    put_many(a, 2, 1000);
    run();
    ck_assert_uint_eq(card.frames, 2);
    ck_assert_uint_eq(guest_unanswered(a), 0);
    ck_assert_int_eq(vif_destroy(a->vif), 0);
    ck_assert_ptr_null(sinks[a->domain->id][a->port]);
}
END_TEST

/* Its turn was asked for, its answers were to be shown: a VIF that goes is on no list. */
START_TEST(a_vif_that_goes_leaves_every_list)
{
    put_many(a, 2, 1000);
    ck_assert_int_eq(vif_destroy(a->vif), 0);
    run();
    put_many(b, 2, 1000);
    run();
    ck_assert_uint_eq(card.frames, 2);
    ck_assert_uint_eq(pinned(), 2);
    guest_set(b, &(struct collet_vif_settings){.packets_per_s = 10});
    put_many(b, 5, 1000); /* its timer is armed */
    run();
    ck_assert_int_eq(vif_destroy(b->vif), 0);
    run_for(NS_PER_S);
    ck_assert_uint_eq(pinned(), 0);
}
END_TEST

Suite *suite_datapath_card(void);
Suite *suite_datapath_card(void)
{
    Suite *s = suite_create("datapath-card");
    TCase *t = tcase_create("out and in");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_frame_goes_out_from_where_it_lies);
    tcase_add_test(t, what_the_card_cannot_do_is_done);
    tcase_add_test(t, a_card_that_segments_is_given_the_whole);
    tcase_add_test(t, another_is_given_pieces);
    tcase_add_test(t, pieces_longer_than_the_wire_takes);
    tcase_add_test(t, a_frame_comes_in);
    tcase_add_test(t, what_the_card_joined);
    tcase_add_test(t, a_card_that_lies_about_its_buffers);
    tcase_add_test(t, a_card_that_lies_about_segmentation);
    suite_add_tcase(s, t);
    t = tcase_create("full, or failed");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, who_waits_for_the_card_goes_on);
    tcase_add_test(t, a_frame_that_leaves_while_another_finds_no_room);
    tcase_add_test(t, pieces_run_out);
    tcase_add_test(t, copies_run_out);
    tcase_add_test(t, entries_run_out);
    tcase_add_test(t, a_card_that_sends_nothing_is_reset);
    tcase_add_test(t, a_card_that_wants_a_reset);
    suite_add_tcase(s, t);
    t = tcase_create("ends");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, disconnect_waits_for_the_card);
    tcase_add_test(t, destroy_waits_for_the_card);
    tcase_add_test(t, two_closes_and_a_connect_between);
    tcase_add_test(t, a_vif_that_goes_leaves_every_list);
    suite_add_tcase(s, t);
    return s;
}
