/* SPDX-License-Identifier: MIT */
/* Frames for tests: made layer by layer, parsed as the router does. */
#pragma once

#include <string.h>
#include <vfr/packet.h>

struct frame {
    uint8_t bytes[2048];
    uint32_t count;
    struct vfr_packet packet;
};

static const uint8_t frame_mac[6] = { 0x00, 0x16, 0x3e, 1, 2, 3 }, frame_other_mac[6] = { 0x00, 0x16, 0x3e, 9, 9, 9 };
/* A VIF with 10.0.2.16, 10.0.3.0/24 and fec0::16; a card; another VIF. */
static struct vfr_iface frame_vif __attribute__((unused)) = {
    .id = 1, .domid = 5, .mac = { 0x00, 0x16, 0x3e, 1, 2, 3 }, .address_count = 3,
    .addresses = { { { 10, 0, 2, 16 }, 4, 32, { 0 } }, { { 10, 0, 3, 0 }, 4, 24, { 0 } }, { { 0xfe, 0xc0, [15] = 0x16 }, 6, 128, { 0 } } },
    .name = "web.0", .domain = "web",
};
static struct vfr_iface frame_peer __attribute__((unused)) = { .id = 2, .domid = 6, .mac = { 0x00, 0x16, 0x3e, 9, 9, 9 }, .name = "db.0", .domain = "db" };
static struct vfr_iface frame_nic __attribute__((unused)) = { .id = VFR_IFACE_NIC, .domid = ~0u, .name = "nic0" };

static inline void frame_put(struct frame *f, const void *bytes, uint32_t count)
{
    memcpy(f->bytes + f->count, bytes, count);
    f->count += count;
}

static inline void frame_put8(struct frame *f, unsigned int v)
{
    f->bytes[f->count++] = (uint8_t)v;
}

static inline void frame_put16(struct frame *f, unsigned int v)
{
    frame_put8(f, v >> 8);
    frame_put8(f, v);
}

static inline void frame_put32(struct frame *f, uint32_t v)
{
    frame_put16(f, v >> 16);
    frame_put16(f, v);
}

static inline void frame_zero(struct frame *f, uint32_t count)
{
    memset(f->bytes + f->count, 0, count);
    f->count += count;
}

static inline void frame_ethernet(struct frame *f, const uint8_t *source, uint16_t type)
{
    memset(f, 0, sizeof(*f));
    frame_put(f, frame_other_mac, 6);
    frame_put(f, source, 6);
    frame_put16(f, type);
}

/* `carried` bytes follow. */
static inline void frame_ipv4(struct frame *f, uint32_t source, uint32_t target, uint8_t protocol, uint32_t carried)
{
    frame_put16(f, 0x4500);
    frame_put16(f, 20 + carried);
    frame_put32(f, 0x12340000);
    frame_put8(f, 64);
    frame_put8(f, protocol);
    frame_put16(f, 0);
    frame_put32(f, source);
    frame_put32(f, target);
}

static inline void frame_ipv6(struct frame *f, const uint8_t *source, const uint8_t *target, uint8_t protocol, uint32_t carried)
{
    frame_put32(f, 0x60000000);
    frame_put16(f, carried);
    frame_put8(f, protocol);
    frame_put8(f, 255);
    frame_put(f, source, 16);
    frame_put(f, target, 16);
}

static inline void frame_udp(struct frame *f, unsigned int source, unsigned int target, uint32_t carried)
{
    frame_put16(f, source);
    frame_put16(f, target);
    frame_put16(f, 8 + carried);
    frame_put16(f, 0);
    frame_zero(f, carried);
}

static inline void frame_tcp(struct frame *f, unsigned int source, unsigned int target, uint32_t number, uint32_t ack, unsigned int flags, uint32_t carried)
{
    frame_put16(f, source);
    frame_put16(f, target);
    frame_put32(f, number);
    frame_put32(f, ack);
    frame_put8(f, 0x50);
    frame_put8(f, flags);
    frame_put16(f, 8192);
    frame_put32(f, 0);
    frame_zero(f, carried);
}

static inline struct vfr_packet *frame_parse(struct frame *f, const struct vfr_iface *from)
{
    f->packet.header = f->bytes;
    f->packet.bytes = f->count;
    f->packet.header_bytes = f->count < VFR_HEADER_MAX ? f->count : VFR_HEADER_MAX;
    f->packet.from = from;
    vfr_parse(&f->packet);
    return &f->packet;
}

/* Whole ones. */
static inline struct vfr_packet *frame_udp4(struct frame *f, const struct vfr_iface *from, uint32_t source, uint32_t target, unsigned int source_port, unsigned int target_port)
{
    frame_ethernet(f, from->mac, 0x0800);
    frame_ipv4(f, source, target, 17, 8 + 10);
    frame_udp(f, source_port, target_port, 10);
    return frame_parse(f, from);
}

static inline struct vfr_packet *frame_tcp4(struct frame *f, const struct vfr_iface *from, uint32_t source, uint32_t target, unsigned int source_port, unsigned int target_port, uint32_t number, uint32_t ack, unsigned int flags, uint32_t carried)
{
    frame_ethernet(f, from->mac, 0x0800);
    frame_ipv4(f, source, target, 6, 20 + carried);
    frame_tcp(f, source_port, target_port, number, ack, flags, carried);
    return frame_parse(f, from);
}
