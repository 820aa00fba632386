// SPDX-License-Identifier: MIT
/*
 * From netfront to netfront: what is in a frame, its flags, segments and sums; rings and grants that lie; rules' verdicts; limits; what a frame is counted as when it goes no further. Cards: test-datapath-card.c; several
 * CPUs: test-datapath-threads.c.
 */
// needs: vif.c tx.c rx.c nic.c switch.c turn.c cut.c sdk/vfr/packet.c sdk/vfr/reject.c sdk/vfr/antispoof.c vfr-rules/round-robin.c tests/unit/fakes-machine.c
#include "test-datapath.h"

#define WIRELESS COLLET_SEGMENT_OWN
#define ALL_RX   (COLLET_VIF_RX_SG | COLLET_VIF_RX_TSO4 | COLLET_VIF_RX_TSO6 | COLLET_VIF_RX_SUM6)

static struct guest *a, *b;
static uint8_t frame[FRAME];
static struct got got;

static void setup(void)
{
    world_begin(2);
    a = guest_on(WIRELESS, ALL_RX);
    b = guest_on(WIRELESS, ALL_RX);
    run();
    ck_assert_uint_eq(pinned(), 4);
}

static void teardown(void)
{
    world_end();
}

/* What it sent last is answered, and nothing of it is held any more. */
static void all_answered(struct guest *g, uint64_t okays, uint64_t errors)
{
    ck_assert_uint_eq(guest_unanswered(g), 0);
    ck_assert_uint_eq(g->extras, 0);
    ck_assert_uint_eq(g->okays, okays);
    ck_assert_uint_eq(g->errors, errors);
    ck_assert_uint_eq(pinned(), 2 * guest_count);
    ck_assert_uint_eq(guest_info(g).in_flight, 0);
}

static void send_one(struct guest *from, const uint8_t *to)
{
    guest_send(from, frame, frame_make(frame, false, to, from->mac, 20), 0, 0);
    run();
}

/* ---- Frames ---- */

START_TEST(a_frame_arrives_as_it_was_sent)
{
    static const uint32_t payloads[] = {0, 100, VFR_HEADER_MAX - TCP4, VFR_HEADER_MAX - TCP4 + 1, 1460};
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < ARRAY_SIZE(payloads); i++) {
        uint32_t length = frame_make(frame, false, b->mac, a->mac, payloads[i]);

        frame_sum(frame, length);
        guest_send(a, frame, length, i % 2 != 0 ? NETTXF_data_validated : 0, 0);
        run();
        ck_assert(guest_receive(b, &got));
        ck_assert_uint_eq(got.bytes, length);
        ck_assert_mem_eq(got.data, frame, length);
        ck_assert_uint_eq(got.flags, i % 2 != 0 ? NETRXF_data_validated : 0);
        all_answered(a, i + 1, 0);
        bytes += length;
    }
    ck_assert_uint_eq(guest_info(a).tx.packets, ARRAY_SIZE(payloads));
    ck_assert_uint_eq(guest_info(a).tx.bytes, bytes);
    ck_assert_uint_eq(guest_info(b).rx.packets, ARRAY_SIZE(payloads));
    ck_assert_uint_eq(guest_info(b).rx.bytes, bytes);
    ck_assert_uint_eq(guest_info(b).rx.segments, ARRAY_SIZE(payloads));
    ck_assert(!guest_receive(a, &got));
}
END_TEST

/* Each burst is one event for the receiver, and one for the sender. */
START_TEST(a_burst_is_told_once)
{
    uint32_t length = frame_make(frame, false, b->mac, a->mac, 10), before_a = events[a->domain->id], before_b = events[b->domain->id];

    for (uint32_t i = 0; i < 20; i++)
        guest_put(a, frame, length, 0, 0, PAGE_SIZE, 0);
    guest_push(a);
    run();
    ck_assert_uint_eq(events[a->domain->id], before_a + 1);
    ck_assert_uint_eq(events[b->domain->id], before_b + 1);
    ck_assert_uint_eq(guest_info(b).rx.packets, 20);
    guest_send(a, frame, length, 0, 0); /* neither has read what it was told of, nor asked to be told of more */
    run();
    ck_assert_uint_eq(events[a->domain->id], before_a + 1);
    ck_assert_uint_eq(events[b->domain->id], before_b + 1);
    ck_assert_uint_eq(guest_info(b).rx.packets, 21);
}
END_TEST

/* A sum left open goes on as such to who takes that, and is completed for who does not. */
START_TEST(sums_are_completed_for_who_wants_them)
{
    struct guest *plain = guest_on(WIRELESS, COLLET_VIF_RX_SG | COLLET_VIF_RX_NO_SUM4);

    for (uint32_t payload = 0; payload < 1400; payload += 199) {
        uint32_t length = frame_make(frame, false, b->mac, a->mac, payload);

        guest_send(a, frame, length, NETTXF_csum_blank | NETTXF_data_validated, 0);
        run();
        ck_assert(guest_receive(b, &got));
        ck_assert_uint_eq(got.flags, NETRXF_csum_blank | NETRXF_data_validated);
        ck_assert_mem_eq(got.data, frame, length);
        for (uint32_t six = 0; six < 2; six++) {
            length = frame_make(frame, six, plain->mac, a->mac, payload);
            guest_put(a, frame, length, NETTXF_csum_blank | NETTXF_data_validated, 0, 333, 5);
            guest_push(a);
            run();
            ck_assert(guest_receive(plain, &got));
            ck_assert_uint_eq(got.flags, NETRXF_data_validated);
            ck_assert_uint_eq(got.bytes, length);
            ck_assert(sums_right(got.data, length));
            frame_sum(frame, length);
            ck_assert_mem_eq(got.data, frame, length);
        }
    }
    ck_assert_uint_eq(guest_unanswered(a), 0);
}
END_TEST

/* Parts of odd sizes at odd places. */
START_TEST(parts_are_put_together)
{
    static const struct {
        uint32_t payload, part;
        uint16_t offset;
    } cases[] = {{1000, 61, 7}, {1000, 1000, 3001}, {9000, 1111, 13}, {15000, 4001, 95}, {18 * 300 - TCP4, 300, 1}, {4096 * 4 - TCP4, 4096, 0}};

    for (uint32_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t length = frame_make(frame, false, b->mac, a->mac, cases[i].payload), parts = (length + cases[i].part - 1) / cases[i].part;
        uint64_t okays = a->okays;

        frame_sum(frame, length);
        guest_put(a, frame, length, 0, 0, cases[i].part, cases[i].offset);
        guest_push(a);
        run();
        ck_assert(guest_receive(b, &got));
        ck_assert_uint_eq(got.bytes, length);
        ck_assert_uint_eq(got.buffers, (length + PAGE_SIZE - 1) / PAGE_SIZE);
        ck_assert_mem_eq(got.data, frame, length);
        all_answered(a, okays + parts, 0);
    }
}
END_TEST

/* Who takes no frames in parts is given none; that is the receiver's loss. */
START_TEST(too_long_for_one_buffer)
{
    struct guest *small = guest_on(WIRELESS, 0);
    uint32_t length = frame_make(frame, false, small->mac, a->mac, 4096 - TCP4);

    guest_send(a, frame, length, 0, 0);
    length = frame_make(frame, false, small->mac, a->mac, 4097 - TCP4);
    guest_send(a, frame, length, 0, 0);
    run();
    ck_assert(guest_receive(small, &got));
    ck_assert_uint_eq(got.bytes, 4096);
    ck_assert(!guest_receive(small, &got));
    ck_assert_uint_eq(guest_info(small).rx.dropped[COLLET_NET_DROP_TOO_LONG], 1);
    all_answered(a, 3, 0);
}
END_TEST

START_TEST(a_long_frame_goes_whole_to_who_takes_it)
{
    for (uint32_t six = 0; six < 2; six++) {
        uint32_t length = frame_make(frame, six, b->mac, a->mac, 20000);

        guest_send(a, frame, length, NETTXF_csum_blank | NETTXF_data_validated, 1448);
        run();
        ck_assert(guest_receive(b, &got));
        ck_assert_uint_eq(got.bytes, length);
        ck_assert_uint_eq(got.gso_size, 1448);
        ck_assert_uint_eq(got.gso_type, six ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4);
        ck_assert_uint_eq(got.flags & (NETRXF_csum_blank | NETRXF_data_validated), NETRXF_csum_blank | NETRXF_data_validated);
        ck_assert_mem_eq(got.data, frame, length);
        ck_assert_uint_eq(guest_info(a).tx.segments, 14 * (six + 1));
        ck_assert_uint_eq(guest_info(b).rx.segments, 14 * (six + 1));
        all_answered(a, 5 * (six + 1), 0);
    }
    /* What fits into one is not marked. */
    guest_send(a, frame, frame_make(frame, false, b->mac, a->mac, 1448), NETTXF_csum_blank | NETTXF_data_validated, 1448);
    run();
    ck_assert(guest_receive(b, &got));
    ck_assert_uint_eq(got.gso_size, 0);
    ck_assert_uint_eq(guest_info(b).rx.segments, 29);
}
END_TEST

/* Extra information takes a buffer's place. */
START_TEST(a_buffer_too_few)
{
    struct guest *c = guest_make(WIRELESS);
    uint32_t length = frame_make(frame, false, c->mac, a->mac, 7000);

    c->features = ALL_RX;
    guest_post(c, 2);
    ck_assert_int_eq(guest_connect(c), 0);
    guest_send(a, frame, length, NETTXF_csum_blank | NETTXF_data_validated, 1448);
    run();
    ck_assert_uint_eq(guest_info(c).rx.dropped[COLLET_NET_DROP_NO_BUFFER], 1);
    ck_assert(!guest_receive(c, &got));
    guest_post(c, 1);
    guest_send(a, frame, length, NETTXF_csum_blank | NETTXF_data_validated, 1448);
    run();
    ck_assert(guest_receive(c, &got));
    ck_assert_mem_eq(got.data, frame, length);
    ck_assert_uint_eq(got.gso_size, 1448);
    ck_assert_uint_eq(all_drops(guest_info(c).rx), 1);
}
END_TEST

/* Piece n of a frame that was cut, as a sender who had cut it would have made it. */
static void piece_right(const uint8_t *whole, uint32_t payload, uint32_t size, uint32_t n, bool six)
{
    uint32_t header = six ? TCP6 : TCP4, l4 = header - 20, part = min(size, payload - n * size);
    bool last = (n + 1) * size >= payload;

    ck_assert_uint_eq(got.bytes, header + part);
    ck_assert_mem_eq(got.data + header, whole + header + n * size, part);
    ck_assert_mem_eq(got.data, whole, 14);
    ck_assert_uint_eq(be32(got.data + l4 + 4), (uint32_t)(be32(whole + l4 + 4) + n * size));
    ck_assert_uint_eq(got.data[l4 + 13], 0x10 | (n == 0 ? 0x80 : 0) | (last ? 9 : 0)); /* CWR in the first, PSH and FIN in the last */
    if (six) {
        ck_assert_uint_eq(be16(got.data + 18), 20 + part);
    } else {
        ck_assert_uint_eq(be16(got.data + 16), 40 + part);
        ck_assert_uint_eq(be16(got.data + 18), 0x1234 + n);
        ck_assert_uint_eq(sum16(got.data + 14, 20, 0), 0xffff);
    }
}

START_TEST(a_long_frame_is_cut_for_others)
{
    struct guest *sums = guest_on(WIRELESS, COLLET_VIF_RX_SUM6), *plain = guest_on(WIRELESS, COLLET_VIF_RX_NO_SUM4 | COLLET_VIF_RX_SG);
    struct guest *to[2] = {sums, plain};

    for (uint32_t i = 0; i < 4; i++) {
        bool six = i >= 2, summed = i % 2 != 0;
        uint32_t payload = 9999 + i, length = frame_make(frame, six, to[i % 2]->mac, a->mac, payload);

        guest_put(a, frame, length, NETTXF_csum_blank | NETTXF_data_validated, 1001, 2345, 11); /* pieces do not end where parts do */
        guest_push(a);
        run();
        for (uint32_t n = 0; n < 10; n++) {
            ck_assert(guest_receive(to[i % 2], &got));
            piece_right(frame, payload, 1001, n, six);
            ck_assert_uint_eq(got.flags, summed ? NETRXF_data_validated : NETRXF_csum_blank | NETRXF_data_validated);
            if (summed)
                ck_assert(sums_right(got.data, got.bytes));
            else
                ck_assert_uint_eq(be16(got.data + (six ? 54 : 34) + 16), pseudo16(got.data, got.bytes));
        }
        ck_assert(!guest_receive(to[i % 2], &got));
        ck_assert_uint_eq(guest_info(to[i % 2]).rx.packets, six ? 20 : 10);
    }
    ck_assert_uint_eq(guest_unanswered(a), 0);
    ck_assert_uint_eq(pinned(), 8);
}
END_TEST

/* What a guest says of a frame is held against the frame. */
START_TEST(lies_about_a_frame)
{
    const uint16_t open = NETTXF_csum_blank | NETTXF_data_validated;
    uint32_t length = frame_make(frame, false, b->mac, a->mac, 3000), n = 0;

    guest_send(a, frame, length, 0, 1000); /* to be cut, but the sum is said to be there */
    guest_send(a, frame, length, open, 47); /* too small pieces */
    frame[12] = 0x86; /* of the other family */
    guest_put(a, frame, length, open, 1000, PAGE_SIZE, 0);
    tx_page(a, 4)[12] = 8;
    guest_push(a);
    frame[12] = 8;
    frame[23] = 17; /* no TCP */
    guest_send(a, frame, length, open, 1000);
    frame[23] = 99; /* no sum is known there */
    guest_send(a, frame, length, open, 0);
    guest_send(a, frame, 13, 0, 0); /* no frame */
    run();
    n = 6;
    ck_assert(!guest_receive(b, &got));
    ck_assert_uint_eq(guest_info(a).tx.dropped[COLLET_NET_DROP_MALFORMED], n);
    ck_assert_uint_eq(all_drops(guest_info(a).tx), n);
    ck_assert_uint_eq(guest_info(a).tx.packets, 0);
    ck_assert(!(guest_info(a).flags & COLLET_VIF_BROKEN));
    ck_assert_uint_eq(guest_unanswered(a), 0);
    ck_assert_uint_eq(a->okays + a->errors, n);
    ck_assert_uint_eq(pinned(), 4);
}
END_TEST

/* To all of its segment but who sent it, who is down, who has no rings, and other segments. */
START_TEST(a_frame_to_all)
{
    static const uint8_t all[6] = {255, 255, 255, 255, 255, 255}, some[6] = {0x33, 0x33, 0, 0, 0, 1};
    struct guest *c = guest_on(WIRELESS, 0), *down = guest_on(WIRELESS, 0), *elsewhere = guest_on(WIRELESS + 1, 0), *wired[2] = {guest_on(0, 0), guest_on(0, 0)};

    guest_make(WIRELESS);
    guest_set(down, &(struct collet_vif_settings){.segment = WIRELESS, .flags = COLLET_VIF_DOWN});
    for (uint32_t i = 0; i < 2; i++) {
        guest_send(a, frame, frame_make(frame, false, i ? some : all, a->mac, 1000), 0, 0);
        run();
        ck_assert(guest_receive(b, &got));
        ck_assert_mem_eq(got.data, frame, got.bytes);
        ck_assert(guest_receive(c, &got));
        ck_assert_mem_eq(got.data, frame, got.bytes);
        guest_send(wired[i], frame, frame_make(frame, false, all, wired[i]->mac, 1000), 0, 0);
        run();
        ck_assert(guest_receive(wired[!i], &got));
        ck_assert_uint_eq(card.frames, i + 1);
        ck_assert_mem_eq(card.wire[i]->data, frame, got.bytes);
    }
    for (uint32_t i = 0; i < guest_count; i++)
        ck_assert(!guest_receive(&guests[i], &got));
    ck_assert_uint_eq(guest_info(elsewhere).rx.packets, 0);
    ck_assert_uint_eq(guest_info(a).tx.packets, 2);
    ck_assert_uint_eq(guest_unanswered(a), 0);
}
END_TEST

/* An address that no VIF has is the wire's, and who gets all gets it, too. */
START_TEST(an_address_that_nobody_has)
{
    struct guest *wired = guest_on(0, 0), *router = guest_on(0, 0);

    guest_set(router, &(struct collet_vif_settings){.flags = COLLET_VIF_ALL});
    guest_send(wired, frame, frame_make(frame, false, outside, wired->mac, 1000), 0, 0);
    run();
    ck_assert_uint_eq(card.frames, 1);
    ck_assert(guest_receive(router, &got));
    guest_send(wired, frame, frame_make(frame, false, b->mac, wired->mac, 1000), 0, 0); /* somebody's of another segment */
    run();
    ck_assert_uint_eq(card.frames, 2);
    ck_assert(!guest_receive(b, &got));
    guest_set(router, &(struct collet_vif_settings){0});
    ck_assert(guest_receive(router, &got));
    guest_send(wired, frame, frame_make(frame, false, outside, wired->mac, 1000), 0, 0);
    run();
    ck_assert(!guest_receive(router, &got));
    ck_assert_uint_eq(card.frames, 3);
}
END_TEST

/* ---- Rings ---- */

/* More slots than a frame may have: it is refused, all its slots answered, and the ring goes on. */
START_TEST(a_frame_of_too_many_slots)
{
    uint32_t length = frame_make(frame, false, b->mac, a->mac, 19 * 100 - TCP4);

    guest_put(a, frame, length, 0, 0, 100, 0);
    guest_send(a, frame, frame_make(frame, false, b->mac, a->mac, 18 * 100 - TCP4), 0, 0);
    run();
    ck_assert(guest_receive(b, &got));
    ck_assert_uint_eq(got.bytes, 1800);
    all_answered(a, 1, 19);
    ck_assert_uint_eq(guest_info(a).tx.dropped[COLLET_NET_DROP_MALFORMED], 1);
}
END_TEST

START_TEST(sizes_that_contradict_each_other)
{
    uint32_t ref = a->first + 2 + RX_PAGES;

    guest_slot(a, NETTXF_more_data, ref, 0, 100); /* the parts are longer than the whole */
    guest_slot(a, 0, ref + 1, 0, 100);
    guest_slot(a, NETTXF_more_data, ref, 0, 200); /* a part beyond its page */
    guest_slot(a, 0, ref + 1, 4000, 97);
    guest_slot(a, NETTXF_more_data, ref, 0, 200); /* an empty part */
    guest_slot(a, 0, ref + 1, 0, 0);
    guest_slot(a, 0, ref, 4000, 97); /* the first beyond its page */
    guest_slot(a, NETTXF_extra_info, ref, 0, 200); /* extra information of no kind */
    guest_extra(a, 77, 0, 0, 0);
    guest_slot(a, NETTXF_more_data, ref, 0, 200); /* not at the first part */
    guest_slot(a, NETTXF_extra_info, ref + 1, 0, 100);
    guest_extra(a, XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV4, 1000);
    guest_slot(a, NETTXF_extra_info, ref, 0, 200); /* twice */
    guest_extra(a, XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_EXTRA_FLAG_MORE, XEN_NETIF_GSO_TYPE_TCPV4, 1000);
    guest_extra(a, XEN_NETIF_EXTRA_TYPE_GSO, 0, XEN_NETIF_GSO_TYPE_TCPV4, 1000);
    guest_push(a);
    run();
    ck_assert(!guest_receive(b, &got));
    all_answered(a, 0, 11);
    ck_assert_uint_eq(guest_info(a).tx.dropped[COLLET_NET_DROP_MALFORMED], 7);
    ck_assert_uint_eq(all_drops(guest_info(a).tx), 7);
}
END_TEST

/* It is served no more, by whatever it does; what it had lent comes back; connected anew it is as before. */
static void breaks(const char *why)
{
    struct collet_vif_info info;

    run();
    info = guest_info(a);
    ck_assert(info.flags & COLLET_VIF_BROKEN);
    ck_assert_str_eq(info.broken_why, why);
    ck_assert_uint_eq(broken, 1);
    event_send(a->domain, a->port);
    run();
    ck_assert_uint_eq(broken, 1);
    ck_assert_int_eq(vif_disconnect(a->vif), 0);
    ck_assert_uint_eq(pinned(), 2);
    guest_rings_reset(a);
    guest_post(a, RX_PAGES);
    a->okays = a->errors = 0;
    ck_assert_int_eq(guest_connect(a), 0);
    ck_assert(!(guest_info(a).flags & COLLET_VIF_BROKEN));
    guest_send(a, frame, frame_make(frame, false, b->mac, a->mac, 5), 0, 0);
    guest_send(b, frame, frame_make(frame, false, a->mac, b->mac, 6), 0, 0);
    run();
    ck_assert(guest_receive(b, &got));
    ck_assert_uint_eq(got.bytes, TCP4 + 5);
    ck_assert(guest_receive(a, &got));
    ck_assert_uint_eq(got.bytes, TCP4 + 6);
    all_answered(a, 1, 0);
}

START_TEST(a_producer_index_beyond_the_transmit_ring)
{
    a->tx->req_prod = TX_SLOTS + 1;
    event_send(a->domain, a->port);
    breaks("its producer index is beyond the transmit ring");
}
END_TEST

/* Within a ring of what was taken, but over requests that have no answer yet. */
START_TEST(a_producer_index_over_the_unanswered)
{
    guest_set(a, &(struct collet_vif_settings){.segment = 0});
    card.holds = true;
    for (uint32_t i = 0; i < 3; i++)
        guest_send(a, frame, frame_make(frame, false, outside, a->mac, 400), 0, 0);
    run();
    ck_assert_uint_eq(pinned(), 4 + 3);
    a->tx->req_prod = 3 + TX_SLOTS;
    event_send(a->domain, a->port);
    run();
    ck_assert(guest_info(a).flags & COLLET_VIF_BROKEN);
    ck_assert_int_eq(vif_disconnect(a->vif), -EINTR);
    ck_assert_uint_eq(pinned(), 4 + 3);
    card.holds = false;
    run();
    ck_assert_uint_eq(pinned(), 4);
    guest_set(a, &(struct collet_vif_settings){.segment = WIRELESS});
    breaks("its producer index is beyond the transmit ring");
}
END_TEST

/* Back over what was taken and has no answer yet: the sum of both is small again. */
START_TEST(a_producer_index_that_goes_back)
{
    guest_set(a, &(struct collet_vif_settings){.segment = 0});
    card.holds = true;
    for (uint32_t i = 0; i < 10; i++)
        guest_send(a, frame, frame_make(frame, false, outside, a->mac, 400), 0, 0);
    run();
    a->tx->req_prod = 5;
    event_send(a->domain, a->port);
    run();
    ck_assert(guest_info(a).flags & COLLET_VIF_BROKEN);
    ck_assert_uint_eq(card.frames, 10);
    ck_assert_uint_eq(all_drops(guest_info(a).tx), 0); /* nothing of what lies there was taken */
    card.holds = false;
    netdev_interrupt(&card.dev);
    run();
    ck_assert_uint_eq(pinned(), 4);
    guest_set(a, &(struct collet_vif_settings){.segment = WIRELESS});
    breaks("its producer index is beyond the transmit ring");
}
END_TEST

START_TEST(a_frame_that_does_not_end)
{
    guest_slot(a, NETTXF_more_data, a->first + 2, 0, 200);
    guest_push(a);
    breaks("a frame in the transmit ring does not end");
}
END_TEST

START_TEST(extra_information_that_does_not_end)
{
    guest_slot(a, NETTXF_extra_info, a->first + 2, 0, 200);
    guest_extra(a, XEN_NETIF_EXTRA_TYPE_GSO, XEN_NETIF_EXTRA_FLAG_MORE, XEN_NETIF_GSO_TYPE_TCPV4, 1000);
    guest_push(a);
    breaks("a frame in the transmit ring does not end");
}
END_TEST

START_TEST(a_producer_index_beyond_the_receive_ring)
{
    a->rx->req_prod = a->rx->rsp_prod + RX_SLOTS + 1;
    guest_send(b, frame, frame_make(frame, false, a->mac, b->mac, 6), 0, 0);
    run();
    ck_assert_uint_eq(guest_info(a).rx.dropped[COLLET_NET_DROP_NOT_CONNECTED], 1);
    all_answered(b, 1, 0);
    breaks("its producer index is beyond the receive ring");
}
END_TEST

/* Of a frame in three parts the middle one was not granted: refused whole, and the first is let go. */
START_TEST(a_page_that_is_not_granted)
{
    uint32_t length = frame_make(frame, false, b->mac, a->mac, 3000);

    guest_put(a, frame, length, 0, 0, 1100, 0);
    withdrawn[a->first + 2 + RX_PAGES + 1] = true;
    guest_push(a);
    run();
    ck_assert(!guest_receive(b, &got));
    ck_assert_uint_eq(guest_info(a).tx.dropped[COLLET_NET_DROP_GRANT], 1);
    ck_assert_uint_eq(all_drops(guest_info(a).tx), 1);
    all_answered(a, 0, 3);
    guest_send(a, frame, length, 0, 0);
    run();
    ck_assert(guest_receive(b, &got));
    ck_assert_mem_eq(got.data, frame, length);
}
END_TEST

/* So for a receiver: the frame is its loss, the buffers up to the bad one are told. */
START_TEST(a_buffer_that_is_not_granted)
{
    uint32_t length = frame_make(frame, false, b->mac, a->mac, 9000);

    for (uint32_t extra = 0; extra < 2; extra++) {
        uint32_t bad = b->first + 2 + (b->got + 1 + extra) % RX_PAGES; /* the second: extra information takes a place before it */
        RING_IDX before = b->got;

        withdrawn[bad] = true;
        guest_send(a, frame, length, NETTXF_csum_blank | NETTXF_data_validated, extra ? 1448 : 0);
        run();
        ck_assert_uint_eq(b->rx->rsp_prod - before, 2 + extra);
        ck_assert(!guest_receive(b, &got));
        ck_assert_uint_eq(b->got - before, 2 + extra);
        withdrawn[bad] = false;
        ck_assert_uint_eq(guest_info(b).rx.dropped[COLLET_NET_DROP_GRANT], 1 + extra);
        all_answered(a, 3 * (extra + 1), 0);
    }
    guest_send(a, frame, length, 0, 0);
    run();
    ck_assert(guest_receive(b, &got));
    ck_assert_mem_eq(got.data, frame, length);
    ck_assert_uint_eq(guest_info(b).rx.packets, 1);
}
END_TEST

/* Rings that were in use before go on where their answers ended; and what was put in meanwhile is found. */
START_TEST(rings_that_are_connected_again)
{
    for (uint32_t i = 0; i < 3; i++) {
        send_one(a, b->mac);
        ck_assert(guest_receive(b, &got));
        send_one(b, a->mac);
        ck_assert(guest_receive(a, &got));
        ck_assert_int_eq(guest_connect(a), -EALREADY);
        ck_assert_int_eq(vif_disconnect(a->vif), 0);
        send_one(a, b->mac);
        ck_assert(!guest_receive(b, &got));
        ck_assert_int_eq(guest_connect(a), 0);
        run();
        ck_assert(guest_receive(b, &got));
        ck_assert_uint_eq(guest_unanswered(a), 0);
    }
    all_answered(a, 6, 0);
}
END_TEST

/* A guest that fills its ring again and again is asked to tell less often, and is looked at all the same. */
START_TEST(who_sends_all_the_time_need_not_tell)
{
    uint32_t length = frame_make(frame, false, b->mac, a->mac, 10), told = 0;

    for (uint32_t i = 0; i < 100; i++) {
        uint64_t before = guest_info(a).notifies;

        guest_send(a, frame, length, 0, 0);
        told += guest_info(a).notifies != before;
        settle();
        now_ns += 10000;
        settle();
        guest_answers(a);
        while (guest_receive(b, &got))
            ;
    }
    ck_assert_uint_lt(told, 75);
    run_for(100000);
    while (guest_receive(b, &got))
        ;
    ck_assert_uint_eq(guest_unanswered(a), 0);
    ck_assert_uint_eq(guest_info(b).rx.packets, 100);
    now_ns += NS_PER_S; /* after a pause it tells of the first again */
    guest_send(a, frame, length, 0, 0);
    run();
    ck_assert(guest_receive(b, &got));
}
END_TEST

/* ---- Verdicts ---- */

static uint32_t drop_in, forward_out, forward_in, forward_target; /* interfaces by their ids; 0: none */
static uint32_t drop_out, mirror_out, mirror_target;

static void rule_of_test(const struct vfr_port *port, unsigned int direction, const struct net_packet *packet, struct vfr_verdict *verdict)
{
    uint32_t id = port->iface.id;

    (void)packet;
    if (id == (direction == VFR_TX ? drop_out : drop_in))
        verdict->action = VFR_DROP;
    if (id == (direction == VFR_TX ? forward_out : forward_in)) {
        verdict->action = VFR_FORWARD;
        verdict->target = forward_target;
    }
    if (direction == VFR_TX && id == mirror_out) {
        verdict->mirrors = 1;
        verdict->mirror[0] = mirror_target;
    }
}

START_TEST(forward_where_it_leaves)
{
    struct guest *c = guest_on(WIRELESS, 0);

    rule = rule_of_test;
    forward_out = a->vif;
    forward_target = c->vif;
    send_one(a, b->mac);
    ck_assert(!guest_receive(b, &got));
    ck_assert(guest_receive(c, &got));
    ck_assert(!guest_receive(c, &got));
    ck_assert_uint_eq(guest_info(a).tx.packets, 1);
    all_answered(a, 1, 0);
}
END_TEST

/* The rules where it enters say that it goes elsewhere: there it is judged, and delivered, once. */
START_TEST(forward_where_it_enters)
{
    struct guest *c = guest_on(WIRELESS, 0);

    rule = rule_of_test;
    forward_in = b->vif;
    forward_target = c->vif;
    send_one(a, b->mac);
    ck_assert(!guest_receive(b, &got));
    ck_assert(guest_receive(c, &got));
    ck_assert(!guest_receive(c, &got));
    ck_assert_uint_eq(judgements, 3);
    ck_assert_uint_eq(guest_info(b).rx.packets, 0);
    ck_assert_uint_eq(all_drops(guest_info(b).rx), 0);
    drop_in = c->vif;
    send_one(a, b->mac);
    ck_assert(!guest_receive(c, &got));
    ck_assert_uint_eq(guest_info(c).rx.dropped[COLLET_NET_DROP_RULE], 1);
    forward_target = nics[0]->port.iface.id;
    send_one(a, b->mac);
    ck_assert_uint_eq(card.frames, 1);
    all_answered(a, 3, 0);
}
END_TEST

static void rule_of_players(const struct vfr_port *port, unsigned int direction, const struct net_packet *packet, struct vfr_verdict *verdict)
{
    (void)packet;
    if (direction == VFR_RX) {
        verdict->action = VFR_FORWARD;
        verdict->target = port->iface.id == b->vif ? forward_target : b->vif;
    }
}

START_TEST(forwards_in_a_circle_end)
{
    struct guest *c = guest_on(WIRELESS, 0);

    rule = rule_of_players;
    forward_target = c->vif;
    send_one(a, b->mac);
    ck_assert(!guest_receive(b, &got));
    ck_assert(!guest_receive(c, &got));
    ck_assert_uint_eq(guest_info(b).rx.dropped[COLLET_NET_DROP_NO_ROUTE] + guest_info(c).rx.dropped[COLLET_NET_DROP_NO_ROUTE], 1);
    ck_assert_uint_le(judgements, 3);
    all_answered(a, 1, 0);
}
END_TEST

START_TEST(a_mirror_is_a_copy)
{
    struct guest *c = guest_on(WIRELESS, 0);

    rule = rule_of_test;
    mirror_out = a->vif;
    mirror_target = c->vif;
    send_one(a, b->mac);
    ck_assert(guest_receive(b, &got));
    ck_assert(guest_receive(c, &got));
    ck_assert_mem_eq(got.data, frame, got.bytes);
    drop_out = a->vif; /* also of what is dropped */
    send_one(a, b->mac);
    ck_assert(!guest_receive(b, &got));
    ck_assert(guest_receive(c, &got));
    mirror_target = nics[0]->port.iface.id;
    send_one(a, b->mac);
    ck_assert_uint_eq(card.frames, 1);
    ck_assert_mem_eq(card.wire[0]->data, frame, card.wire[0]->bytes);
    all_answered(a, 3, 0);
}
END_TEST

/* A mirror that is down is given nothing. */
START_TEST(a_mirror_that_is_down)
{
    struct guest *c = guest_on(WIRELESS, 0);

    guest_set(c, &(struct collet_vif_settings){.segment = WIRELESS, .flags = COLLET_VIF_DOWN});
    rule = rule_of_test;
    mirror_out = a->vif;
    mirror_target = c->vif;
    send_one(a, b->mac);
    ck_assert(guest_receive(b, &got));
    ck_assert(!guest_receive(c, &got));
}
END_TEST

static void rule_rejects(const struct vfr_port *port, unsigned int direction, const struct net_packet *packet, struct vfr_verdict *verdict)
{
    (void)packet;
    if (port->iface.id == b->vif && direction == VFR_RX)
        *verdict = (struct vfr_verdict){.action = VFR_REJECT, .reject = VFR_REJECT_AUTO};
}

/* Who is rejected is told so, a hundred times in a tenth of a second; a clock of another CPU that is behind does not begin a new tenth. */
START_TEST(answers_of_reject_are_bounded)
{
    uint32_t answers = 0;
    uint64_t start_ns = NS_PER_S;

    rule = rule_rejects;
    for (uint32_t i = 0; i < 300; i++) {
        now_ns = start_ns + (i % 2 != 0 ? 0 : 50000);
        send_one(a, b->mac);
        while (guest_receive(a, &got)) {
            answers++;
            ck_assert_mem_eq(got.data, a->mac, 6);
            ck_assert_uint_eq(got.data[47] & 4, 4); /* RST */
            ck_assert(sums_right(got.data, got.bytes));
        }
        guest_answers(a);
    }
    ck_assert_uint_eq(answers, 100);
    ck_assert_uint_eq(guest_info(b).rx.dropped[COLLET_NET_DROP_RULE], 300);
    now_ns = 2 * NS_PER_S;
    send_one(a, b->mac);
    ck_assert(guest_receive(a, &got));
    ck_assert(!guest_receive(b, &got));
}
END_TEST

/* TCP behind so many options of IPv6 that its header is out of sight: rules that name ports would not see it. */
static uint32_t frame_unreadable(const uint8_t *to, const uint8_t *from)
{
    uint32_t length = frame_make(frame, true, to, from, 600);

    frame[20] = 0; /* hop-by-hop options, 8 * 32 bytes of them */
    frame[54] = 6;
    frame[55] = 31;
    return length;
}

START_TEST(what_rules_cannot_read_is_dropped_while_there_are_any)
{
    guest_set(a, &(struct collet_vif_settings){.segment = WIRELESS, .flags = COLLET_VIF_SPOOF_OK}); /* which looks for hidden headers for reasons of its own */
    guest_send(a, frame, frame_unreadable(b->mac, a->mac), 0, 0);
    run();
    ck_assert(guest_receive(b, &got));
    generation = 1;
    guest_send(a, frame, frame_unreadable(b->mac, a->mac), 0, 0);
    run();
    ck_assert(!guest_receive(b, &got));
    ck_assert_uint_eq(guest_info(a).tx.dropped[COLLET_NET_DROP_MALFORMED], 1);
    ck_assert_uint_eq(guest_info(a).tx.packets, 1);
    frame_make(frame, false, b->mac, a->mac, 600);
    memmove(frame + 24, frame + 12, 500); /* three tags of a VLAN */
    for (uint32_t i = 0; i < 3; i++)
        memcpy(frame + 12 + 4 * i, "\x81\0\0\0", 4);
    guest_send(a, frame, 500, 0, 0);
    run();
    ck_assert(!guest_receive(b, &got));
    ck_assert_uint_eq(guest_info(a).tx.dropped[COLLET_NET_DROP_MALFORMED], 2);
    send_one(a, b->mac);
    ck_assert(guest_receive(b, &got));
    all_answered(a, 4, 0);
}
END_TEST

/* ---- Frames that go no further: each is counted once, at one place, for one reason; and a capture shows it so, once ---- */

static uint64_t total_drops(void)
{
    struct collet_nic_info nic = card_info();
    uint64_t all = all_drops(nic.tx) + all_drops(nic.rx);

    for (uint32_t i = 0; i < guest_count; i++) {
        struct collet_vif_info info = guest_info(&guests[i]);

        all += all_drops(info.tx) + all_drops(info.rx);
    }
    return all;
}

static uint64_t counted_before;
static uint32_t captured_before[COLLET_NET_DROPS];

static void expect_none(void)
{
    counted_before = total_drops();
    memcpy(captured_before, captured, sizeof(captured));
}

/* One more than at expect_none, there. */
static void once(uint64_t there, unsigned int why, uint32_t shown)
{
    ck_assert_uint_eq(there, 1);
    ck_assert_uint_eq(total_drops(), counted_before + 1);
    for (uint32_t i = 0; i < COLLET_NET_DROPS; i++)
        ck_assert_uint_eq(captured[i], captured_before[i] + (i == why ? shown : 0));
    expect_none();
}

START_TEST(a_drop_is_counted_once)
{
    struct collet_vif_settings settings = {.segment = WIRELESS};
    struct guest *wired = guest_on(0, ALL_RX), *empty = guest_make(WIRELESS), *off = guest_make(WIRELESS);

    captures_on = 1;
    rule = rule_of_test;
    ck_assert_int_eq(guest_connect(empty), 0); /* without a buffer */
    expect_none();
    drop_out = a->vif;
    send_one(a, b->mac);
    once(guest_info(a).tx.dropped[COLLET_NET_DROP_RULE], COLLET_NET_DROP_RULE, 1);
    drop_out = 0;
    drop_in = b->vif;
    send_one(a, b->mac);
    once(guest_info(b).rx.dropped[COLLET_NET_DROP_RULE], COLLET_NET_DROP_RULE, 1);
    drop_in = 0;
    guest_send(a, frame, frame_make(frame, false, b->mac, empty->mac, 20), 0, 0);
    run();
    once(guest_info(a).tx.dropped[COLLET_NET_DROP_SPOOF], COLLET_NET_DROP_SPOOF, 1);
    send_one(a, empty->mac);
    once(guest_info(empty).rx.dropped[COLLET_NET_DROP_NO_BUFFER], COLLET_NET_DROP_NO_BUFFER, 1);
    send_one(a, off->mac);
    once(guest_info(off).rx.dropped[COLLET_NET_DROP_NOT_CONNECTED], COLLET_NET_DROP_NOT_CONNECTED, 1);
    send_one(a, outside);
    once(guest_info(a).tx.dropped[COLLET_NET_DROP_NO_ROUTE], COLLET_NET_DROP_NO_ROUTE, 1);
    forward_in = b->vif;
    forward_target = 0x1234;
    send_one(a, b->mac);
    once(guest_info(a).tx.dropped[COLLET_NET_DROP_NO_ROUTE] + guest_info(b).rx.dropped[COLLET_NET_DROP_NO_ROUTE] - 1, COLLET_NET_DROP_NO_ROUTE, 0);
    forward_in = 0;
    guest_send(wired, frame, frame_make(frame, false, outside, wired->mac, 1500), 0, 0);
    run();
    once(card_info().tx.dropped[COLLET_NET_DROP_TOO_LONG], COLLET_NET_DROP_TOO_LONG, 1);
    card.refuses = -EIO;
    send_one(wired, outside);
    once(card_info().tx.dropped[COLLET_NET_DROP_DEVICE], COLLET_NET_DROP_DEVICE, 1);
    card.refuses = 0;
    settings.flags = COLLET_VIF_DOWN;
    guest_set(a, &settings);
    send_one(a, b->mac);
    once(guest_info(a).tx.dropped[COLLET_NET_DROP_NOT_CONNECTED], COLLET_NET_DROP_NOT_CONNECTED, 0);
    send_one(b, a->mac);
    once(guest_info(a).rx.dropped[COLLET_NET_DROP_NOT_CONNECTED], COLLET_NET_DROP_NOT_CONNECTED, 0);
}
END_TEST

/* ---- Limits and turns ---- */

/* Another module takes over in the midst: who waits for a turn waits with the new one. */
START_TEST(another_scheduler_while_they_wait)
{
    uint32_t length = frame_make(frame, false, b->mac, a->mac, 1000);

    for (uint32_t i = 0; i < 40; i++)
        guest_put(a, frame, length, 0, 0, PAGE_SIZE, 0);
    guest_push(a);
    ck_assert_int_eq(net_sched_use("no-such"), -ENOENT);
    ck_assert_int_eq(net_sched_use("round-robin"), 0);
    ck_assert_str_eq(net_sched_active(), "round-robin");
    guest_send(b, frame, frame_make(frame, false, a->mac, b->mac, 10), 0, 0);
    run();
    ck_assert_uint_eq(guest_info(b).rx.packets, 40);
    ck_assert(guest_receive(a, &got));
    all_answered(a, 40, 0);
}
END_TEST

/* A frame that becomes twenty on the wire is charged as twenty. */
START_TEST(a_limit_by_packets_counts_segments)
{
    uint32_t length = frame_make(frame, false, b->mac, a->mac, 20 * 100);
    struct collet_vif_info info;

    guest_set(a, &(struct collet_vif_settings){.segment = WIRELESS, .packets_per_s = 1000}); /* a tenth of a second's worth: 100 */
    now_ns += NS_PER_S;
    for (uint32_t i = 0; i < 30; i++)
        guest_put(a, frame, length, NETTXF_csum_blank | NETTXF_data_validated, 100, PAGE_SIZE, 0);
    guest_push(a);
    run();
    info = guest_info(a);
    ck_assert_uint_ge(info.tx.segments, 100);
    ck_assert_uint_lt(info.tx.segments, 100 + 20);
    ck_assert_uint_eq(info.throttled, 1);
    for (uint32_t i = 0; i < 10; i++) {
        run_for(NS_PER_S / 50);
        while (guest_receive(b, &got))
            ;
    }
    ck_assert_uint_ge(guest_info(a).tx.segments, 100 + 180);
    ck_assert_uint_le(guest_info(a).tx.segments, 100 + 200 + 20);
    ck_assert_uint_eq(total_drops(), 0);
}
END_TEST

START_TEST(a_limit_by_bytes)
{
    uint32_t length = frame_make(frame, false, b->mac, a->mac, 1000 - TCP4);

    guest_set(a, &(struct collet_vif_settings){.segment = WIRELESS, .bytes_per_s = 100000});
    now_ns += NS_PER_S;
    for (uint32_t i = 0; i < 60; i++)
        guest_put(a, frame, length, 0, 0, PAGE_SIZE, 0);
    guest_push(a);
    run();
    ck_assert_uint_eq(guest_info(a).tx.bytes, 10000);
    run_for(NS_PER_S / 1000 * 95);
    ck_assert_uint_ge(guest_info(a).tx.bytes, 19000);
    ck_assert_uint_le(guest_info(a).tx.bytes, 20000);
    guest_set(a, &(struct collet_vif_settings){.segment = WIRELESS}); /* no limit any more: at once */
    run();
    ck_assert_uint_eq(guest_info(a).tx.bytes, 60000);
    all_answered(a, 60, 0);
}
END_TEST

/* Its turns are given by CPUs whose rounds began at different times: no time passes by that. */
START_TEST(a_limit_holds_when_time_runs_backwards)
{
    uint32_t length = frame_make(frame, false, b->mac, a->mac, 20);
    uint64_t start_ns = NS_PER_S;

    guest_set(a, &(struct collet_vif_settings){.segment = WIRELESS, .packets_per_s = 1000});
    for (uint32_t n = 0; n < 20; n++) {
        for (uint32_t i = 0; i < 20; i++)
            guest_put(a, frame, length, 0, 0, PAGE_SIZE, 0);
        fake_cpu_id = n % 2;
        now_ns = start_ns + (n % 2 != 0 ? 0 : 100000);
        guest_push(a);
        event_send(a->domain, a->port);
        run();
        guest_answers(a);
        while (guest_receive(b, &got))
            ;
        if (a->put - a->seen > 40)
            break;
    }
    fake_cpu_id = 0;
    ck_assert_uint_le(guest_info(a).tx.packets, 101);
    ck_assert_uint_ge(guest_info(a).tx.packets, 100);
    ck_assert_uint_gt(guest_info(a).throttled, 0);
}
END_TEST

/* Who sends to all of a hundred takes as much of its turns as a hundred frames: another one, who sends to one, is not held up by it. */
START_TEST(a_frame_to_all_is_charged_for_all)
{
    static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
    struct guest *last = NULL;
    uint64_t to_all, to_one;

    for (uint32_t i = 0; i < 100; i++)
        last = guest_on(WIRELESS, 0);
    run();
    hold_cost_ns = 1000;
    idle->is_idle = false;
    for (uint32_t i = 0; i < 300; i++) {
        while (a->put - a->seen < TX_PAGES)
            guest_put(a, frame, frame_make(frame, false, all, a->mac, 900), 0, 0, PAGE_SIZE, 0);
        guest_push(a);
        while (b->put - b->seen < TX_SLOTS)
            guest_put(b, frame, frame_make(frame, false, last->mac, b->mac, 900), 0, 0, PAGE_SIZE, 0);
        guest_push(b);
        softirq_raise(SOFTIRQ_NET);
        step();
        now_ns += 10000;
        guest_answers(a);
        guest_answers(b);
        for (uint32_t n = 0; n < guest_count; n++)
            while (guest_receive(&guests[n], &got))
                ;
    }
    to_all = guest_info(a).tx.packets;
    to_one = guest_info(b).tx.packets;
    ck_assert_uint_gt(to_all, 0);
    ck_assert_uint_gt(to_one, to_all * 50);
    ck_assert_uint_eq(guest_info(last).rx.packets + all_drops(guest_info(last).rx), to_all + to_one);
    hold_cost_ns = 0;
}
END_TEST

/* A round gives no more turns after half a millisecond, and after some of them who else wants the CPU has it for as long. */
START_TEST(rounds_make_room_for_others)
{
    static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
    uint64_t longest = 0, busy = 0, began = now_ns, rested;

    for (uint32_t i = 0; i < 60; i++)
        guest_on(WIRELESS, 0);
    run();
    hold_cost_ns = 1000;
    idle->is_idle = false;
    for (uint32_t i = 0; i < 400; i++) {
        uint64_t before = now_ns;

        for (uint32_t n = 0; n < 12; n++) {
            struct guest *g = &guests[n];

            guest_answers(g);
            while (g->put - g->seen < TX_PAGES)
                guest_put(g, frame, frame_make(frame, false, all, g->mac, 40), 0, 0, PAGE_SIZE, 0);
            guest_push(g);
        }
        for (uint32_t n = 0; n < guest_count; n++)
            while (guest_receive(&guests[n], &got))
                ;
        if (step()) {
            longest = max(longest, now_ns - before);
            busy += now_ns - before;
        } else {
            now_ns += 10000;
        }
    }
    rested = now_ns - began - busy;
    ck_assert_uint_gt(busy, 0);
    ck_assert_uint_lt(longest, 800000);
    ck_assert_uint_gt(rested, busy / 2);
    hold_cost_ns = 0;
    idle->is_idle = true;
}
END_TEST

Suite *suite_datapath(void);
Suite *suite_datapath(void)
{
    Suite *s = suite_create("datapath");
    TCase *t = tcase_create("frames");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_frame_arrives_as_it_was_sent);
    tcase_add_test(t, a_burst_is_told_once);
    tcase_add_test(t, sums_are_completed_for_who_wants_them);
    tcase_add_test(t, parts_are_put_together);
    tcase_add_test(t, too_long_for_one_buffer);
    tcase_add_test(t, a_long_frame_goes_whole_to_who_takes_it);
    tcase_add_test(t, a_buffer_too_few);
    tcase_add_test(t, a_long_frame_is_cut_for_others);
    tcase_add_test(t, lies_about_a_frame);
    tcase_add_test(t, a_frame_to_all);
    tcase_add_test(t, an_address_that_nobody_has);
    suite_add_tcase(s, t);
    t = tcase_create("rings");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_frame_of_too_many_slots);
    tcase_add_test(t, sizes_that_contradict_each_other);
    tcase_add_test(t, a_producer_index_beyond_the_transmit_ring);
    tcase_add_test(t, a_producer_index_over_the_unanswered);
    tcase_add_test(t, a_producer_index_that_goes_back);
    tcase_add_test(t, a_frame_that_does_not_end);
    tcase_add_test(t, extra_information_that_does_not_end);
    tcase_add_test(t, a_producer_index_beyond_the_receive_ring);
    tcase_add_test(t, a_page_that_is_not_granted);
    tcase_add_test(t, a_buffer_that_is_not_granted);
    tcase_add_test(t, rings_that_are_connected_again);
    tcase_add_test(t, who_sends_all_the_time_need_not_tell);
    suite_add_tcase(s, t);
    t = tcase_create("verdicts");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, forward_where_it_leaves);
    tcase_add_test(t, forward_where_it_enters);
    tcase_add_test(t, forwards_in_a_circle_end);
    tcase_add_test(t, a_mirror_is_a_copy);
    tcase_add_test(t, a_mirror_that_is_down);
    tcase_add_test(t, answers_of_reject_are_bounded);
    tcase_add_test(t, what_rules_cannot_read_is_dropped_while_there_are_any);
    tcase_add_test(t, a_drop_is_counted_once);
    suite_add_tcase(s, t);
    t = tcase_create("turns");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, another_scheduler_while_they_wait);
    tcase_add_test(t, a_limit_by_packets_counts_segments);
    tcase_add_test(t, a_limit_by_bytes);
    tcase_add_test(t, a_limit_holds_when_time_runs_backwards);
    tcase_add_test(t, a_frame_to_all_is_charged_for_all);
    tcase_add_test(t, rounds_make_room_for_others);
    suite_add_tcase(s, t);
    return s;
}
