// SPDX-License-Identifier: MIT
/*
 * Connection tracking against an independent implementation: Linux's, as nftables' `ct state` tells it. Seeded random conversations of UDP, ICMP and TCP, with packets that belong to none, go through a router in a network
 * namespace of its own, whose rules write the state that they saw into each packet (its DSCP); ours must find the same.
 *
 *     build/unit/tests/rules/nft-states [seed [packets]]
 *
 * Linux takes up TCP connections in their middle (nf_conntrack_tcp_loose, as usual) and so do we; it is told not to look at sequence numbers, which are all 0 here. Exit: as nft-compare.
 */
#include "judge.h"
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FLOWS 24
#define SKIP  77

static uint64_t seed_now;

static uint32_t chance(uint32_t below)
{
    seed_now = seed_now * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((seed_now >> 33) % below);
}

/* A conversation between a host of side 0 (10.0.0.x) and one of side 1 (10.1.0.x). */
struct talk {
    unsigned int protocol, a, b, port_a, port_b, step;
};
struct world {
    int side[2];
    uint8_t mac[2][6];
    struct talk talks[FLOWS];
    struct rules_judge *judge;
    struct vfr_iface ifaces[2];
    char words[256]; /* of the last packet */
};

static void talk_new(struct talk *t)
{
    static const unsigned int protocols[] = { 6, 6, 17, 1 };
    static unsigned int ports = 1024;

    *t = (struct talk){ protocols[chance(4)], chance(200) + 1, chance(200) + 1, 0, 20 + chance(60), 0 };
    t->port_a = ++ports;
}

/* ---- The kernel ---- */

static const char script[] = "flush ruleset\ntable ip states {\n  chain forward {\n    type filter hook forward priority 0; policy accept;\n    ct state new ip dscp set 1 accept\n    ct state established ip dscp set 2 accept\n"
                             "    ct state related ip dscp set 3 accept\n    ct state invalid ip dscp set 4 accept\n  }\n}\n";

static bool mac_of(const char *name, uint8_t to[6])
{
    struct ifreq request = { .ifr_flags = 0 };
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    bool good;

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    good = s >= 0 && ioctl(s, SIOCGIFHWADDR, &request) == 0;
    memcpy(to, request.ifr_hwaddr.sa_data, 6);
    if (s >= 0)
        close(s);
    return good;
}

static bool kernel_start(struct world *w)
{
    FILE *file;

    if ((unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) || !kernel_setting("/proc/sys/net/ipv4/ip_forward", "1"))
        return false;
    kernel_setting("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
    kernel_setting("/proc/sys/net/ipv4/conf/default/rp_filter", "0");
    kernel_setting("/proc/sys/net/ipv4/conf/all/send_redirects", "0");
    w->side[0] = tap("left");
    w->side[1] = tap("right");
    if (w->side[0] < 0 || w->side[1] < 0 || !mac_of("left", w->mac[0]) || !mac_of("right", w->mac[1]))
        return false;
    if (system("ip address add 10.0.255.1/16 dev left && ip address add 10.1.255.1/16 dev right") != 0)
        return false;
    file = fopen("build/unit/nft/states.nft", "w");
    if (file == NULL)
        return false;
    fputs(script, file);
    fclose(file);
    if (system("nft -f build/unit/nft/states.nft") != 0)
        return false;
    return kernel_setting("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "1") && kernel_setting("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "1") &&
           kernel_setting("/proc/sys/net/netfilter/nf_conntrack_checksum", "0");
}

/* What Linux found: 1 new, 2 established, 3 related, 4 invalid; 0: it did not come out. */
static unsigned int kernel_state(struct world *w, unsigned int from, const uint8_t *frame, size_t bytes)
{
    struct pollfd p = { .fd = w->side[!from], .events = POLLIN };
    uint8_t back[2048];

    if (write(w->side[from], frame, bytes) != (ssize_t)bytes)
        return 0;
    for (int tries = 0; tries < 250; tries++) {
        ssize_t got = read(w->side[!from], back, sizeof(back));

        if (got >= 34 && back[12] == 8 && back[13] == 0 && memcmp(back + 26, frame + 26, 8) == 0)
            return back[15] >> 2;
        if (got < 0)
            poll(&p, 1, 20);
    }
    return 0;
}

/* ---- Packets ---- */

static void sum_ip(uint8_t *ip)
{
    uint32_t sum = 0;

    ip[10] = ip[11] = 0;
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)ip[i] << 8 | ip[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    sum += sum >> 16;
    ip[10] = (uint8_t)(~sum >> 8);
    ip[11] = (uint8_t)~sum;
}

/* From side `from`: the packet in words, with sums that Linux looks at. */
static size_t frame_of(struct world *w, const struct talk *t, unsigned int from, const char *more, uint8_t *frame)
{
    struct rules_worded worded;
    static const char *const names[] = { [1] = "icmp", [6] = "tcp", [17] = "udp" };

    if (t->protocol == 1)
        snprintf(w->words, sizeof(w->words), "icmp from 10.%u.0.%u to 10.%u.0.%u %s in on %s", from, from == 0 ? t->a : t->b, !from, from == 0 ? t->b : t->a, more, from == 0 ? "a.0" : "b.0");
    else
        snprintf(w->words, sizeof(w->words), "%s from 10.%u.0.%u port %u to 10.%u.0.%u port %u %s in on %s", names[t->protocol], from, from == 0 ? t->a : t->b, from == 0 ? t->port_a : t->port_b, !from,
                 from == 0 ? t->b : t->a, from == 0 ? t->port_b : t->port_a, more, from == 0 ? "a.0" : "b.0");
    if (rules_packet_in_words(w->words, &worded) != 0) {
        printf("%s\n", worded.error);
        exit(2);
    }
    memcpy(frame, worded.bytes, worded.frame.length);
    memcpy(frame, w->mac[from], 6);
    if (t->protocol == 1 && frame[34] != 3) {
        frame[38] = (uint8_t)(t->port_a >> 8);
        frame[39] = (uint8_t)t->port_a;
    }
    sum_ip(frame + 14);
    return worded.frame.length;
}

/* An ICMP error of the other side about the first packet of a conversation. */
static size_t error_about(struct world *w, const struct talk *t, unsigned int from, uint8_t *frame)
{
    uint8_t quoted[2048];
    struct talk icmp = { 1, t->a, t->b, 0, 0, 0 };
    const char *first = t->protocol == 6 ? "flags S" : t->protocol == 1 ? "type echo-request" : "";
    size_t bytes = frame_of(w, t, !from, first, quoted), at;

    frame_of(w, &icmp, from, "type unreachable code 1", frame);
    memset(frame + 34, 0, 8);
    frame[34] = 3;
    frame[35] = 1;
    memcpy(frame + 42, quoted + 14, bytes - 14 < 48 ? bytes - 14 : 48);
    at = 42 + (bytes - 14 < 48 ? bytes - 14 : 48);
    frame[16] = (uint8_t)((at - 14) >> 8);
    frame[17] = (uint8_t)(at - 14);
    sum_ip(frame + 14);
    return at;
}

/* The next packet of some conversation, or one that has none before it. */
static size_t random_packet(struct world *w, unsigned int *from, uint8_t *frame)
{
    /* A whole connection; side, flags. */
    static const struct {
        unsigned int from;
        const char *flags;
    } tcp[] = { { 0, "flags S" }, { 1, "flags SA" }, { 0, "flags A" }, { 0, "flags PA" }, { 1, "flags A" }, { 1, "flags PA" }, { 0, "flags A" }, { 0, "flags FA" }, { 1, "flags A" }, { 1, "flags FA" }, { 0, "flags A" } };
    struct talk *t = &w->talks[chance(FLOWS)], stray;

    switch (chance(12)) {
    case 0: /* nobody asked for it */
        talk_new(&stray);
        *from = chance(2);
        return frame_of(w, &stray, *from, stray.protocol == 1 ? "type echo-reply" : stray.protocol == 6 ? (chance(2) ? "flags A" : "flags SA") : "", frame);
    case 1: /* about a conversation, from the one that was spoken to */
        *from = 1;
        if (t->step == 0)
            talk_new(&stray), t = &stray;
        return error_about(w, t, 1, frame);
    default: break;
    }
    if (t->protocol == 6) {
        unsigned int step = t->step++;

        if (t->step > sizeof(tcp) / sizeof(tcp[0])) {
            talk_new(t);
            return random_packet(w, from, frame);
        }
        *from = tcp[step].from;
        return frame_of(w, t, *from, tcp[step].flags, frame);
    }
    *from = t->step == 0 ? 0 : chance(2);
    if (t->step++ > 6) {
        talk_new(t);
        return random_packet(w, from, frame);
    }
    return frame_of(w, t, *from, t->protocol == 1 ? (*from == 0 ? "type echo-request" : "type echo-reply") : "", frame);
}

/* ---- The comparison ---- */

static unsigned int our_state(struct world *w, unsigned int from, const uint8_t *frame, size_t bytes, uint64_t ns)
{
    struct rules_frame f = { .bytes = frame, .captured = (uint32_t)bytes, .length = (uint32_t)bytes, .ns = ns, .from = &w->ifaces[from], .to = &w->ifaces[!from] };
    struct rules_answer a;

    rules_judge_frame(w->judge, &f, &a);
    return a.state;
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "none", "new", "established", "related", "invalid" };
    unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1, packets = argc > 2 ? strtoul(argv[2], NULL, 0) : 2000, wrong = 0, seen[5] = { 0 };
    const char *text = "accept state { new, established, related, invalid }\n";
    struct rules_input input = { .text = text, .text_bytes = strlen(text) };
    struct rules_compiled set;
    struct world w = { .judge = NULL };
    char error[256];
    uint8_t frame[2048];

    mkdir("build/unit/nft", 0777);
    if (system("nft --version >/dev/null 2>&1") != 0 || !kernel_start(&w)) {
        printf("nft-states: cannot be tried here: nftables, connection tracking, network namespaces or /dev/net/tun are missing (%s)\nunit: 0 passed, 0 failed\n", strerror(errno));
        return argc > 1 ? SKIP : 0;
    }
    if (rules_compile(&input, 1, NULL, &set) != 0 || rules_judge_create(&w.judge, set.bytes, set.size, error) != 0)
        return 2;
    seed_now = seed;
    rules_judge_iface(&w.ifaces[0], "a.0", NULL);
    rules_judge_iface(&w.ifaces[1], "b.0", NULL);
    for (int i = 0; i < FLOWS; i++)
        talk_new(&w.talks[i]);
    for (unsigned long i = 0; i < packets && wrong < 10; i++) {
        unsigned int from, ours, theirs;
        size_t bytes = random_packet(&w, &from, frame);

        theirs = kernel_state(&w, from, frame, bytes);
        ours = our_state(&w, from, frame, bytes, 1000000000ull + i * 1000000);
        seen[ours < 5 ? ours : 0]++;
        if (ours == theirs)
            continue;
        wrong++;
        printf("packet %lu, %s: Linux says %s, we say %s\n", i, w.words, theirs < 5 ? names[theirs] : "?", ours < 5 ? names[ours] : "?");
    }
    printf("nft-states: seed %lu: %lu new, %lu established, %lu related, %lu invalid; %lu differ\n", seed, seen[1], seen[2], seen[3], seen[4], wrong);
    rules_judge_destroy(w.judge);
    rules_compiled_free(&set);
    printf("unit: %d passed, %d failed\n", wrong == 0, wrong != 0);
    return wrong != 0;
}
