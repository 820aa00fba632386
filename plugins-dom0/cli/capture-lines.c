/* SPDX-License-Identifier: MIT */
/*
 * A captured frame in one line for people, and as JSON: read by the very parser that the rules use (<vfr/packet.h>), so that both see the same.
 * Contract: capture.h.  Tests: test-capture.c.
 */
#include "capture.h"
#include "network.h"

#include <vfr/packet.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define ADDRESS_BYTES (INET6_ADDRSTRLEN + 8)

static void parse(struct vfr_packet *p, const struct capture_frame *frame)
{
    static const struct vfr_iface nobody;

    *p = (struct vfr_packet){ .header = frame->bytes, .header_bytes = frame->record->captured, .bytes = frame->record->frame_bytes, .from = &nobody };
    if (p->header_bytes > VFR_HEADER_MAX)
        p->header_bytes = VFR_HEADER_MAX;
    vfr_parse(p);
}

static const char *address(const struct vfr_packet *p, const uint8_t *bytes, char to[ADDRESS_BYTES])
{
    return inet_ntop(p->family == 6 ? AF_INET6 : AF_INET, bytes, to, ADDRESS_BYTES);
}

static const char *mac(const uint8_t *m, char to[18])
{
    snprintf(to, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    return to;
}

static const char *protocol_name(uint8_t protocol, char to[16])
{
    switch (protocol) {
    case IPPROTO_TCP:
        return "TCP";
    case IPPROTO_UDP:
        return "UDP";
    case IPPROTO_ICMP:
        return "ICMP";
    case IPPROTO_ICMPV6:
        return "ICMPv6";
    default:
        snprintf(to, 16, "protocol %u", protocol);
        return to;
    }
}

/* "SYN,ACK" as letters: "S", "SA", "F.A" is how tcpdump has it: S F R P U, and . for ACK. */
static const char *flag_letters(uint8_t flags, char to[10])
{
    static const char letters[] = "FSRP.UEW";
    int n = 0;

    for (int i = 0; i < 8; i++)
        if (flags >> i & 1)
            to[n++] = letters[i];
    to[n] = '\0';
    return to;
}

static void say_transport(FILE *out, const struct vfr_packet *p)
{
    char name[16], flags[10];

    fprintf(out, " %s", protocol_name(p->protocol, name));
    if (p->protocol == IPPROTO_TCP && p->l4 != 0)
        fprintf(out, " [%s]", flag_letters(p->tcp_flags, flags));
    else if ((p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6) && p->l4 != 0)
        fprintf(out, " type %u code %u", p->icmp_type, p->icmp_code);
    if (p->fragment || p->more_fragments)
        fputs(p->fragment ? " later fragment" : " first fragment", out);
}

static void say_ip(FILE *out, const struct vfr_packet *p)
{
    char source[ADDRESS_BYTES], target[ADDRESS_BYTES];
    bool ports = p->l4 != 0 && (p->source_port != 0 || p->target_port != 0);

    address(p, p->source, source);
    address(p, p->target, target);
    if (ports)
        fprintf(out, p->family == 6 ? "[%s]:%u > [%s]:%u" : "%s:%u > %s:%u", source, p->source_port, target, p->target_port);
    else
        fprintf(out, "%s > %s", source, target);
    say_transport(out, p);
}

static void say_packet(FILE *out, const struct vfr_packet *p)
{
    char from[18], to[18];

    if (p->header_bytes < 14) {
        fputs("a frame without a header", out);
        return;
    }
    if (p->family != 0) {
        say_ip(out, p);
        return;
    }
    if (p->ethertype == 0x0806) {
        fprintf(out, "ARP %s > %s", inet_ntop(AF_INET, p->source, from, 18), inet_ntop(AF_INET, p->target, to, 18));
        return;
    }
    mac(p->header + 6, from);
    fprintf(out, "%s > %s ethertype 0x%04x", from, mac(p->header, to), p->ethertype);
}

void capture_line(struct cli *cli, const struct capture_frame *frame)
{
    const struct collet_capture_record *r = frame->record;
    time_t seconds = (time_t)(frame->time_ns / 1000000000);
    struct vfr_packet p;
    struct tm tm;

    gmtime_r(&seconds, &tm);
    parse(&p, frame);
    fprintf(cli->out, "%02d:%02d:%02d.%06u %s %s ", tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned int)(frame->time_ns % 1000000000 / 1000), r->name,
            r->direction == COLLET_CAPTURE_IN ? "in " : "out");
    say_packet(cli->out, &p);
    fprintf(cli->out, ", %u bytes", r->frame_bytes);
    if ((r->flags & COLLET_CAPTURED_SEGMENTED) != 0)
        fprintf(cli->out, " in segments of %u", r->segment_bytes);
    fprintf(cli->out, " (%s)\n", frame->comment);
}

static const char *action_name(uint8_t action)
{
    static const char *const names[] = { "continue", "accept", "drop", "reject", "forward" };

    return action < sizeof(names) / sizeof(names[0]) ? names[action] : "unknown";
}

static void add_addresses(json_t *j, const struct vfr_packet *p)
{
    char text[ADDRESS_BYTES];

    json_object_set_new(j, "source", json_string(address(p, p->source, text)));
    json_object_set_new(j, "target", json_string(address(p, p->target, text)));
    if (p->family == 0)
        return;
    json_object_set_new(j, "protocol", json_integer(p->protocol));
    if (p->l4 != 0 && (p->source_port != 0 || p->target_port != 0)) {
        json_object_set_new(j, "source_port", json_integer(p->source_port));
        json_object_set_new(j, "target_port", json_integer(p->target_port));
    }
    if (p->protocol == IPPROTO_TCP && p->l4 != 0)
        json_object_set_new(j, "tcp_flags", json_integer(p->tcp_flags));
}

json_t *capture_frame_json(const struct capture_frame *frame)
{
    const struct collet_capture_record *r = frame->record;
    struct vfr_packet p;
    json_t *j;

    parse(&p, frame);
    j = json_pack("{s:I, s:s, s:s, s:i, s:i, s:s, s:I, s:b, s:s, s:i}", "time_ns", (json_int_t)frame->time_ns, "interface", r->name, "direction",
                  r->direction == COLLET_CAPTURE_IN ? "in" : "out", "bytes", (int)r->frame_bytes, "captured", (int)r->captured, "verdict", action_name(r->action), "generation",
                  (json_int_t)r->generation, "passed", r->drop == COLLET_CAPTURED_PASSED, "comment", frame->comment, "ethertype", (int)p.ethertype);
    if (r->rule != VFR_NO_RULE)
        json_object_set_new(j, "rule", json_integer(r->rule));
    if (r->drop != COLLET_CAPTURED_PASSED)
        json_object_set_new(j, "dropped", json_string(net_drop_name(r->drop)));
    if (frame->dropped != 0)
        json_object_set_new(j, "lost_before", json_integer((json_int_t)frame->dropped));
    if (p.family != 0 || p.ethertype == 0x0806)
        add_addresses(j, &p);
    return j;
}
