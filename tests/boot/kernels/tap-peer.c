// SPDX-License-Identifier: MIT
/*
 * What answers at the other end of a TAP device while the kernel `net` runs with peer=1 (tap.sh): each UDP datagram to port 4000 comes back, its checksum left open by this kernel's offloads; and with it comes, past the
 * stack, one segmented TCP frame of 30000 bytes.
 *
 *   tap-peer INTERFACE
 */
#include <arpa/inet.h>
#include <err.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAYLOAD 30000u
#define MSS     1448u
#define TAG     5u /* of net_frame (net.h) */

static uint32_t sum_add(const uint8_t *at, uint32_t bytes, uint32_t sum)
{
    for (uint32_t i = 0; i < bytes; i += 2)
        sum += (uint32_t)(at[i] << 8 | at[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Header of the device, Ethernet, IPv4, TCP, payload. The sum is that of the pseudo header. */
static uint32_t frame_make(uint8_t *at, const uint8_t *to_mac, const uint8_t *from_mac, const uint8_t *from, const uint8_t *to)
{
    struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .hdr_len = 54, .gso_size = MSS, .csum_start = 34, .csum_offset = 16};
    uint8_t *frame = at + sizeof(header), *ip = frame + 14, *tcp = ip + 20;

    memcpy(at, &header, sizeof(header));
    memcpy(frame, to_mac, 6);
    memcpy(frame + 6, from_mac, 6);
    put16(frame + 12, 0x0800);
    memset(ip, 0, 40);
    ip[0] = 0x45;
    put16(ip + 2, 40 + PAYLOAD);
    ip[8] = 64;
    ip[9] = 6;
    memcpy(ip + 12, from, 4);
    memcpy(ip + 16, to, 4);
    put16(ip + 10, ~sum_add(ip, 20, 0));
    put16(tcp, 4000);
    put16(tcp + 2, 3000);
    put16(tcp + 6, TAG);
    tcp[12] = 5 << 4;
    tcp[13] = 0x18;
    put16(tcp + 16, sum_add(ip + 12, 8, 6 + 20 + PAYLOAD));
    for (uint32_t i = 0; i < PAYLOAD; i++)
        tcp[20 + i] = (uint8_t)((i + TAG) * 7 + (i >> 8) * 13 + (TAG >> 8));
    return (uint32_t)sizeof(header) + 54 + PAYLOAD;
}

int main(int argc, char **argv)
{
    static uint8_t datagram[65536], frame[70000];
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(4000)}, from;
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    static const uint8_t guest_mac[6] = {0x00, 0x16, 0x3e, 0, 0, 50}, mac[6] = {0x02, 0, 0, 0, 0, 2}, ip[4] = {10, 0, 2, 2};
    int udp = socket(AF_INET, SOCK_DGRAM, 0), raw = socket(AF_PACKET, SOCK_RAW, 0), on = 1;

    if (argc != 2)
        errx(2, "usage: tap-peer INTERFACE");
    link.sll_ifindex = (int)if_nametoindex(argv[1]);
    if (udp < 0 || bind(udp, (struct sockaddr *)&own, sizeof(own)) != 0)
        err(1, "port 4000");
    if (raw < 0 || setsockopt(raw, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) != 0 || bind(raw, (struct sockaddr *)&link, sizeof(link)) != 0)
        err(1, "%s", argv[1]);
    for (;;) {
        socklen_t length = sizeof(from);
        ssize_t bytes = recvfrom(udp, datagram, sizeof(datagram), 0, (struct sockaddr *)&from, &length);

        if (bytes < 0)
            err(1, "receive");
        if (sendto(udp, datagram, (size_t)bytes, 0, (struct sockaddr *)&from, length) != bytes)
            warn("send");
        if (write(raw, frame, frame_make(frame, guest_mac, mac, ip, (const uint8_t *)&from.sin_addr)) < 0)
            warn("inject");
    }
}
