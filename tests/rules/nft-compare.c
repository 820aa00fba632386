// SPDX-License-Identifier: MIT
/*
 * The rule language and the evaluator against an independent implementation: Linux nftables. Seeded random rule sets are written twice, in our language and as an nft script; seeded random packets are judged by ours (both
 * evaluators) and sent through the kernel's ingress hook, in a network namespace of its own, where each nft rule writes its number into the packet's Ethernet address and forwards it to an interface that we read. So it is
 * compared, for each packet, which rule decides.
 *
 *     build/unit/tests/rules/nft-compare [--sets N] [--rules N] [--packets N] [--seed S] [--pcap FILE] [--keep FOLDER]
 *
 * --pcap: the packets of a capture instead of random ones. Left out, for they have no counterpart at that hook: connection states (nft-states.c), limits
 * (vfr-rules/test-*.c), and malformed headers.
 * Exit: 0 equal, 1 not, 77 cannot be tried here (no namespaces, no nft, no tun); without arguments that is no failure: so `make unit-tests` runs it. Needs root, or user namespaces.
 */
#include "judge.h"
#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SKIP      77
#define IFACES    4
#define SETS      4
#define FRAME_MAX 2048
#define WRONG_MAX 10
#define TEXT_MAX  (4u << 20)
#define NO_RULE   0xffffffu
#define ALTS_MAX  3
/* Of a transport header, in bits: nft would mix up its own guesses at the protocol with ours. Linux looks for ports and flags in later fragments too, which have none: hence a mark that keeps them out. */
#define FIRST_PIECE "meta mark & 1 == 0 "
#define SOURCE_PORT "@th,0,16"
#define TARGET_PORT "@th,16,16"
#define TCP_FLAGS   FIRST_PIECE "meta l4proto { 6 } @th,104,8"

static const char *const iface_names[IFACES] = { "web.0", "web.1", "db.0", "nic0" };

/* ---- Chance ---- */

static uint64_t seed_now;

static uint32_t chance(uint32_t below)
{
    seed_now = seed_now * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((seed_now >> 33) % below);
}

/* ---- Texts that grow ---- */

struct text {
    char *bytes;
    size_t used;
};

static void say(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    t->used += (size_t)vsnprintf(t->bytes + t->used, TEXT_MAX - t->used, format, args);
    va_end(args);
    if (t->used >= TEXT_MAX)
        exit(2);
}

/* ---- Random sets and rules, in both languages ---- */

/* Some addresses of one kind: text of the elements in each language (they are alike), by family. */
struct addresses {
    char four[512], six[512];
};

static void address4(char *to, bool host)
{
    snprintf(to, 32, "10.%u.%u.%u", chance(2), chance(4), host ? chance(16) : 0);
}

static void address6(char *to, bool host)
{
    snprintf(to, 48, "fd00:%u::%x", chance(2), host ? chance(15) + 1 : 0x10);
}

static void prefix4(char *to)
{
    static const unsigned int bits[] = { 8, 15, 16, 24, 28, 30, 32 };
    unsigned int b = bits[chance(7)];
    uint32_t address = 10u << 24 | chance(2) << 16 | chance(4) << 8 | chance(16);

    address &= ~0u << (32 - b);
    snprintf(to, 32, "%u.%u.%u.%u/%u", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255, b);
}

static void prefix6(char *to)
{
    static const unsigned int bits[] = { 16, 31, 32, 64, 124, 128 };
    unsigned int b = bits[chance(6)];
    unsigned int second = chance(2), last = chance(16);

    if (b < 32)
        second = 0;
    if (b < 124)
        last = 0;
    if (b == 124)
        last &= ~15u;
    snprintf(to, 48, "fd00:%u::%x/%u", second, last, b);
}

static void element(char *to, bool six)
{
    unsigned int from, net = chance(2), part = chance(4);

    if (chance(4) != 0) {
        if (six)
            prefix6(to);
        else
            prefix4(to);
        return;
    }
    from = chance(10) + 1;
    if (six)
        snprintf(to, 96, "fd00:%u::%x-fd00:%u::%x", net, from, net, from + 4);
    else
        snprintf(to, 96, "10.%u.%u.%u-10.%u.%u.%u", net, part, from, net, part, from + 4);
}

static void random_addresses(struct addresses *a, unsigned int most4, unsigned int most6)
{
    char one[96];

    a->four[0] = a->six[0] = 0;
    for (unsigned int i = chance(most4 + 1); i > 0; i--) {
        element(one, false);
        snprintf(a->four + strlen(a->four), sizeof(a->four) - strlen(a->four), "%s%s", a->four[0] != 0 ? ", " : "", one);
    }
    for (unsigned int i = chance(most6 + 1); i > 0; i--) {
        element(one, true);
        snprintf(a->six + strlen(a->six), sizeof(a->six) - strlen(a->six), "%s%s", a->six[0] != 0 ? ", " : "", one);
    }
    if (a->four[0] == 0 && a->six[0] == 0)
        prefix4(a->four);
}

static void ours_list(struct text *t, const struct addresses *a)
{
    say(t, "{ %s%s%s }", a->four, a->four[0] != 0 && a->six[0] != 0 ? ", " : "", a->six);
}

struct world {
    struct addresses sets[SETS];
    struct text ours, nft;
    bool vlans, patterns;
    int in[IFACES], out;
    struct vfr_iface ifaces[IFACES];
};

/* What an nft rule asks, one text for each way in which the rule can match: [0] IPv4, [1] IPv6, [2] whatever it is. */
struct ways {
    char text[ALTS_MAX][4096];
    bool used[ALTS_MAX];
};

static void ask(struct ways *w, int way, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void ask(struct ways *w, int way, const char *format, ...)
{
    size_t used = strlen(w->text[way]);
    va_list args;

    va_start(args, format);
    vsnprintf(w->text[way] + used, sizeof(w->text[way]) - used, format, args);
    va_end(args);
}

static void ask_all(struct ways *w, const char *text)
{
    for (int i = 0; i < ALTS_MAX; i++)
        ask(w, i, "%s ", text);
}

/* From here on only these two. */
static void only_ip(struct ways *w)
{
    w->used[2] = false;
}

static void rule_iface(struct world *world, struct ways *w)
{
    switch (chance(8)) {
    case 0: say(&world->ours, " on web.0"); ask_all(w, "iifname \"web.0\""); break;
    case 1: say(&world->ours, " on web"); ask_all(w, "iifname { \"web.0\", \"web.1\" }"); break;
    case 2: say(&world->ours, " on { db, nic0 }"); ask_all(w, "iifname { \"db.0\", \"nic0\" }"); break;
    case 3: say(&world->ours, " on w*"); ask_all(w, "iifname \"w*\""); break;
    case 4: say(&world->ours, " on !nic0"); ask_all(w, "iifname != \"nic0\""); break;
    case 5: say(&world->ours, " on vifs"); ask_all(w, "iifname { \"web.1\", \"db.0\" }"); break;
    default: break;
    }
}

static void rule_address(struct world *world, struct ways *w, const char *word, const char *field)
{
    struct addresses a;
    unsigned int what = chance(10);
    bool negated = chance(5) == 0;

    if (what > 5)
        return;
    say(&world->ours, " %s %s", word, negated ? "!" : "");
    if (what < 3) {
        a.four[0] = a.six[0] = 0;
        if (chance(3) == 0)
            prefix6(a.six);
        else
            prefix4(a.four);
        say(&world->ours, "%s", a.four[0] != 0 ? a.four : a.six);
    } else if (what < 5) {
        unsigned int set = chance(SETS);

        a = world->sets[set];
        say(&world->ours, "s%u", set);
    } else {
        random_addresses(&a, 4, 2);
        ours_list(&world->ours, &a);
    }
    only_ip(w);
    for (int way = 0; way < 2; way++) {
        const char *elements = way == 0 ? a.four : a.six;

        if (elements[0] != 0)
            ask(w, way, "%s %s %s{ %s } ", way == 0 ? "ip" : "ip6", field, negated ? "!= " : "", elements);
        else if (!negated)
            w->used[way] = false;
    }
}

static void rule_ports(struct world *world, struct ways *w, const char *word, const char *field)
{
    unsigned int what = chance(9), low = chance(12) + 20;
    bool negated = chance(6) == 0;
    char ports[96], nft[160];

    if (what > 3)
        return;
    /* Two single ports that are negated nft 1.0.6 makes one comparison of four bytes: not both, instead of neither. */
    if (what < 2 && !negated)
        snprintf(ports, sizeof(ports), "%u", low);
    else if (what <= 2)
        snprintf(ports, sizeof(ports), "%u-%u", low, low + 1 + chance(6));
    else
        snprintf(ports, sizeof(ports), "{ %u, %u-%u, 80 }", chance(20), low, low + 2);
    say(&world->ours, " %s %s%s", word, negated ? "!" : "", ports);
    snprintf(nft, sizeof(nft), FIRST_PIECE "meta l4proto { 6, 17, 33, 132, 136 } %s %s%s", field, negated ? "!= " : "", ports);
    ask_all(w, nft);
    only_ip(w);
}

static void rule_protocol(struct world *world, struct ways *w)
{
    static const struct {
        const char *ours, *nft;
    } list[] = {
        { "proto tcp", "meta l4proto 6" }, { "proto udp", "meta l4proto 17" }, { "proto { tcp, udp, sctp }", "meta l4proto { 6, 17, 132 }" }, { "proto !tcp", "meta l4proto != 6" }, { "proto gre", "meta l4proto 47" },
        { "proto icmp", "meta l4proto 1" }, { "proto 40-50", "meta l4proto 40-50" }, { "proto !{ udp, icmp, icmp6 }", "meta l4proto != { 17, 1, 58 }" },
    };
    unsigned int i = chance(16);

    if (i >= 8)
        return;
    say(&world->ours, " %s", list[i].ours);
    ask_all(w, list[i].nft);
    only_ip(w);
}

/* At most one of the rarer fields. */
static void rule_other(struct world *world, struct ways *w)
{
    unsigned int n = chance(16);
    char nft[96];

    switch (n) {
    case 0: say(&world->ours, " flags S/SA"); ask_all(w, TCP_FLAGS " & 0x12 == 2"); only_ip(w); break;
    case 1: say(&world->ours, " flags SA"); ask_all(w, TCP_FLAGS " 0x12"); only_ip(w); break;
    case 2: say(&world->ours, " icmp-type 8"); ask(w, 0, FIRST_PIECE "meta l4proto { 1 } @th,0,8 8 "); w->used[1] = w->used[2] = false; break;
    case 3: say(&world->ours, " ip icmp-type 3-5 code 1"); ask(w, 0, FIRST_PIECE "meta l4proto { 1 } @th,0,8 3-5 @th,8,8 1 "); w->used[1] = w->used[2] = false; break;
    case 4: say(&world->ours, " icmp6-type echo-request"); ask(w, 1, FIRST_PIECE "meta l4proto { 58 } @th,0,8 128 "); w->used[0] = w->used[2] = false; break;
    case 5: say(&world->ours, " fragment"); ask(w, 0, "ip frag-off & 0x3fff != 0 "); ask(w, 1, "exthdr frag exists "); only_ip(w); break;
    case 6: say(&world->ours, " fragment later"); ask(w, 0, "ip frag-off & 0x1fff != 0 "); ask(w, 1, "frag frag-off != 0 "); only_ip(w); break;
    case 7: say(&world->ours, " ip"); w->used[1] = w->used[2] = false; break;
    case 8: say(&world->ours, " ip6"); w->used[0] = w->used[2] = false; break;
    case 9:
        if (world->vlans) {
            n = chance(3) + 5;
            say(&world->ours, " vlan %u", n);
            snprintf(nft, sizeof(nft), "meta mark & 0xff00 == %#x", n << 8);
            ask_all(w, nft);
        }
        break;
    case 10: /* With it, `from` and `to` would be ARP's own: rule_mac has those. */
        if (!w->used[2])
            break;
        say(&world->ours, " ether arp");
        ask(w, 2, "meta protocol arp ");
        w->used[0] = w->used[1] = false;
        break;
    case 11: say(&world->ours, " ether !ip"); ask(w, 2, "meta protocol != ip "); w->used[0] = false; break;
    default: break;
    }
}

/* A pattern of libpcap with its counterpart; alone in its rule but for the interface, and for frames without VLANs. */
static void rule_pattern(struct world *world, struct ways *w)
{
    unsigned int port = chance(12) + 20;

    w->used[0] = true;
    w->used[1] = w->used[2] = false;
    switch (chance(5)) {
    case 0: say(&world->ours, " match 'ip and tcp dst port %u'", port); ask(w, 0, FIRST_PIECE "tcp dport %u ", port); break;
    case 1: say(&world->ours, " match 'ip and udp src portrange %u-%u'", port, port + 4); ask(w, 0, FIRST_PIECE "udp sport %u-%u ", port, port + 4); break;
    case 2: say(&world->ours, " match 'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0'"); ask(w, 0, FIRST_PIECE "tcp flags & (syn | fin) != 0 "); break;
    case 3: say(&world->ours, " match 'ip[8] < 5'"); ask(w, 0, "ip ttl < 5 "); break;
    default: say(&world->ours, " match 'ip src net 10.1.0.0/16 and not icmp'"); ask(w, 0, "ip saddr 10.1.0.0/16 meta l4proto != 1 "); break;
    }
}

static void rule_mac(struct world *world, struct ways *w)
{
    unsigned int n = chance(24);
    char nft[96];

    if (n < 2) {
        say(&world->ours, " from 00:16:3e:00:00:0%u", n);
        snprintf(nft, sizeof(nft), "ether saddr 00:16:3e:00:00:0%u", n);
        ask_all(w, nft);
    } else if (n == 2) {
        say(&world->ours, " to !52:54:00:00:00:00/24");
        ask_all(w, "ether daddr & ff:ff:ff:00:00:00 != 52:54:00:00:00:00");
    } else if (n == 3) {
        say(&world->ours, " arp from 10.1.0.0/16");
        ask(w, 2, "meta protocol arp arp saddr ip 10.1.0.0/16 ");
        w->used[0] = w->used[1] = false;
    }
}

static void random_rule(struct world *world, uint32_t number)
{
    static const char *const verdicts[] = { "accept", "drop", "drop", "reject", "accept" };
    struct ways w = { .used = { true, true, true } };
    unsigned int kind = chance(10);
    size_t before;

    say(&world->ours, "%s in", verdicts[chance(5)]);
    rule_iface(world, &w);
    if (kind == 0 && world->patterns) {
        for (int i = 0; i < ALTS_MAX; i++)
            w.used[i] = true;
        rule_pattern(world, &w);
    } else if (kind == 1) {
        /* An address of a MAC or ARP takes the place of one of IP. */
        before = world->ours.used;
        rule_mac(world, &w);
        if (world->ours.used == before)
            rule_protocol(world, &w);
    } else {
        rule_address(world, &w, "from", "saddr");
        rule_ports(world, &w, "sport", SOURCE_PORT);
        rule_address(world, &w, "to", "daddr");
        rule_ports(world, &w, "dport", TARGET_PORT);
        rule_protocol(world, &w);
        rule_other(world, &w);
    }
    say(&world->ours, "\n");
    /* Way 2 asks nothing of the family: the first two are in it. */
    for (int i = 0; i < ALTS_MAX; i++)
        if (w.used[i] && (i == 2 || !w.used[2]))
            say(&world->nft, "    %s%s%s ether daddr set 02:cc:00:%02x:%02x:%02x fwd to \"out0\"\n", i == 0 ? "meta protocol ip " : i == 1 ? "meta protocol ip6 " : "", w.text[i], "", number >> 16, number >> 8 & 255, number & 255);
}

static void random_set(struct world *world, uint32_t rules)
{
    world->ours.used = world->nft.used = 0;
    for (int i = 0; i < SETS; i++) {
        random_addresses(&world->sets[i], 8, 4);
        say(&world->ours, "set s%d ", i);
        ours_list(&world->ours, &world->sets[i]);
        say(&world->ours, "\n");
    }
    say(&world->ours, "group vifs { web.1, db }\npolicy drop\n");
    say(&world->nft, "flush ruleset\ntable netdev compare {\n  chain judge {\n    type filter hook ingress devices = { \"web.0\", \"web.1\", \"db.0\", \"nic0\" } priority 0; policy drop;\n"
                     "    meta protocol ip ip frag-off & 0x1fff != 0 meta mark set 1\n    meta protocol ip6 frag frag-off != 0 meta mark set 1\n"
                     "    vlan id 5 meta mark set mark or 0x500\n    vlan id 6 meta mark set mark or 0x600\n    vlan id 7 meta mark set mark or 0x700\n");
    for (uint32_t i = 0; i < rules; i++)
        random_rule(world, i);
    say(&world->nft, "    ether daddr set 02:cc:00:ff:ff:ff fwd to \"out0\"\n  }\n}\n");
}

/* ---- Random packets ---- */

static void put16(uint8_t *to, unsigned int value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static size_t random_l4(uint8_t *to, uint8_t protocol)
{
    put16(to, 18 + chance(16));
    put16(to + 2, chance(4) == 0 ? 80 : 18 + chance(16));
    switch (protocol) {
    case 6:
        to[12] = 5 << 4;
        to[13] = (uint8_t)(chance(2) ? 2 : chance(64));
        return 20 + chance(40);
    case 17:
    case 136: put16(to + 4, 8 + 12); return 20;
    case 1:
        to[0] = (uint8_t)(chance(2) ? 8 : chance(12));
        to[1] = (uint8_t)chance(3);
        return 8 + chance(20);
    case 58:
        to[0] = (uint8_t)(128 + chance(2));
        to[1] = 0;
        return 8 + chance(20);
    case 33: to[4] = 4; return 24;
    default: return 24;
    }
}

static uint8_t random_protocol(bool six)
{
    static const uint8_t list[] = { 6, 6, 6, 17, 17, 1, 132, 47, 136, 33, 50 };
    uint8_t p = list[chance(11)];

    return six && p == 1 ? 58 : p;
}

static size_t random_ip4(uint8_t *to)
{
    uint8_t protocol = random_protocol(false);
    size_t head = 20 + (chance(8) == 0 ? 4 * (chance(4) + 1) : 0), bytes;
    unsigned int piece = chance(10);
    char text[32];

    memset(to, 0, head);
    to[0] = (uint8_t)(0x40 | head / 4);
    memset(to + 20, 1, head - 20); /* no operation */
    to[8] = (uint8_t)(chance(6) == 0 ? 3 : 64);
    to[9] = protocol;
    put16(to + 4, chance(65536));
    address4(text, true);
    inet_pton(AF_INET, text, to + 12);
    address4(text, true);
    inet_pton(AF_INET, text, to + 16);
    bytes = head + random_l4(to + head, protocol);
    if (piece == 0)
        put16(to + 6, 0x2000); /* the first of several */
    else if (piece == 1)
        put16(to + 6, 100 + chance(50));
    if (piece < 2)
        bytes = head + 64, memset(to + head + 40, 0, 24);
    put16(to + 2, (unsigned int)bytes);
    return bytes;
}

static size_t random_ip6(uint8_t *to)
{
    uint8_t protocol = random_protocol(true), *next = to + 6;
    size_t at = 40;
    char text[48];
    bool later = false;

    memset(to, 0, 128);
    to[0] = 0x60;
    to[7] = 64;
    address6(text, true);
    inet_pton(AF_INET6, text, to + 8);
    address6(text, true);
    inet_pton(AF_INET6, text, to + 24);
    if (chance(6) == 0) { /* hop by hop, padded */
        *next = 0;
        next = to + at;
        to[at + 2] = 1;
        to[at + 3] = 4;
        at += 8;
    }
    if (chance(6) == 0) { /* destination options */
        *next = 60;
        next = to + at;
        to[at + 2] = 1;
        to[at + 3] = 4;
        at += 8;
    }
    if (chance(8) == 0) { /* a piece */
        *next = 44;
        next = to + at;
        later = chance(2) == 0;
        put16(to + at + 2, later ? (100 + chance(50)) << 3 : 1);
        at += 8;
    }
    *next = protocol;
    if (later)
        at += 32;
    else
        at += random_l4(to + at, protocol);
    put16(to + 4, (unsigned int)at - 40);
    return at;
}

static size_t random_frame(const struct world *world, uint8_t *to)
{
    static const uint8_t peers[2][6] = { { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, { 0, 0x16, 0x3e, 0, 0, 9 } };
    unsigned int what = chance(20);
    size_t at = 12;

    memset(to, 0, 256);
    memcpy(to, peers[chance(2)], 6);
    memcpy(to + 6, "\0\x16\x3e\0\0", 5);
    to[11] = (uint8_t)chance(4);
    if (world->vlans && chance(4) == 0) {
        put16(to + at, 0x8100);
        put16(to + at + 2, 5 + chance(4));
        at += 4;
    }
    put16(to + at, what == 0 ? 0x0806 : what == 1 ? 0x88b5 : what < 13 ? 0x0800 : 0x86dd);
    at += 2;
    if (what == 0) {
        char text[32];

        memcpy(to + at, "\0\1\x08\0\6\4\0\1", 8);
        address4(text, true);
        inet_pton(AF_INET, text, to + at + 14);
        address4(text, true);
        inet_pton(AF_INET, text, to + at + 24);
        return at + 46;
    }
    if (what == 1)
        return at + 46;
    return at + (what < 13 ? random_ip4(to + at) : random_ip6(to + at));
}

/* ---- The kernel's side ---- */

static int kernel_start(struct world *world)
{
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return -1;
    for (int i = 0; i < IFACES; i++)
        if ((world->in[i] = tap(iface_names[i])) < 0)
            return -1;
    world->out = tap("out0");
    return world->out < 0 ? -1 : 0;
}

static bool write_text(const struct text *t, const char *folder, const char *name)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    return file != NULL && fwrite(t->bytes, 1, t->used, file) == t->used && fclose(file) == 0;
}

static int kernel_load(const struct world *world, const char *folder)
{
    char command[512];

    if (!write_text(&world->nft, folder, "random.nft") || !write_text(&world->ours, folder, "random.rules"))
        return -1;
    snprintf(command, sizeof(command), "nft -f %s/random.nft", folder);
    return system(command);
}

/* Which rule decided: by the number that it wrote. ~0: the packet did not come out. */
static uint32_t kernel_judge(const struct world *world, int iface, const uint8_t *frame, size_t bytes)
{
    struct pollfd p = { .fd = world->out, .events = POLLIN };
    uint8_t back[FRAME_MAX + 64];

    if (write(world->in[iface], frame, bytes) != (ssize_t)bytes)
        return ~0u;
    for (int tries = 0; tries < 250; tries++) {
        ssize_t got = read(world->out, back, sizeof(back));

        if (got >= 14 && back[0] == 0x02 && back[1] == 0xcc && back[2] == 0)
            return (uint32_t)back[3] << 16 | (uint32_t)back[4] << 8 | back[5];
        if (got < 0)
            poll(&p, 1, 20);
    }
    return ~0u;
}

/* ---- The comparison ---- */

static uint32_t our_rule(struct world *world, struct rules_judge *judge, int iface, const uint8_t *frame, size_t bytes, bool linear)
{
    struct rules_frame f = { .bytes = frame, .captured = (uint32_t)bytes, .length = (uint32_t)bytes, .ns = 1000000000, .linear = linear };
    struct rules_answer answer;

    if (world->ifaces[iface].id & VFR_IFACE_NIC)
        f.from = &world->ifaces[iface];
    else
        f.to = &world->ifaces[iface];
    rules_judge_frame(judge, &f, &answer);
    return answer.steps[0].verdict.rule == VFR_NO_RULE ? NO_RULE : answer.steps[0].verdict.rule;
}

static const char *line_of(const struct text *t, uint32_t rule, char *to, size_t bytes)
{
    const char *at = t->bytes;

    for (uint32_t i = 0; i < rule + SETS + 2 && at != NULL; i++)
        at = strchr(at, '\n') != NULL ? strchr(at, '\n') + 1 : NULL;
    snprintf(to, bytes, "%.*s", at != NULL ? (int)strcspn(at, "\n") : 0, at != NULL ? at : "");
    return rule == NO_RULE ? "none" : to;
}

static bool compare(struct world *world, struct rules_judge *judge, int iface, const uint8_t *frame, size_t bytes)
{
    uint32_t kernel = kernel_judge(world, iface, frame, bytes), fast = our_rule(world, judge, iface, frame, bytes, false), slow = our_rule(world, judge, iface, frame, bytes, true);
    char first[4096], second[4096];

    if (kernel == fast && fast == slow)
        return true;
    printf("on %s, nft: rule %d (%s)\n    ours: rule %d (%s); one after the other: %d\n    packet:", iface_names[iface], kernel == NO_RULE ? -1 : (int)kernel,
           kernel == ~0u ? "no answer" : line_of(&world->ours, kernel, first, sizeof(first)), fast == NO_RULE ? -1 : (int)fast, line_of(&world->ours, fast, second, sizeof(second)), slow == NO_RULE ? -1 : (int)slow);
    for (size_t i = 0; i < bytes && i < 96; i++)
        printf("%s%02x", i % 2 == 0 ? " " : "", frame[i]);
    printf("\n");
    return false;
}

struct job {
    unsigned long sets, rules, packets, seed;
    const char *pcap, *keep;
};

/* Packets of a capture, by turns at each interface; those that are too long for it are left out. */
static unsigned long compare_pcap(struct world *world, struct rules_judge *judge, const char *path, unsigned long *wrong)
{
    char error[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline(path, error);
    struct pcap_pkthdr *header;
    const uint8_t *bytes;
    unsigned long count = 0;

    if (pcap == NULL) {
        printf("%s: %s\n", path, error);
        exit(2);
    }
    while (*wrong < WRONG_MAX && pcap_next_ex(pcap, &header, &bytes) == 1)
        if (header->caplen == header->len && header->len <= 1514 && header->len >= 14)
            *wrong += !compare(world, judge, (int)(count++ % IFACES), bytes, header->len);
    pcap_close(pcap);
    return count;
}

/* Random packets as a capture: `collet rules test random.rules random.pcap` tells more of a difference. */
static void write_pcap(const struct world *world, const char *path, unsigned long packets)
{
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
    pcap_dumper_t *dumper = pcap_dump_open(pcap, path);
    struct pcap_pkthdr header = { .ts = { .tv_sec = 1 } };
    uint8_t frame[FRAME_MAX];

    if (dumper == NULL) {
        printf("%s\n", pcap_geterr(pcap));
        exit(2);
    }
    for (unsigned long i = 0; i < packets; i++) {
        header.caplen = header.len = (uint32_t)random_frame(world, frame);
        header.ts.tv_usec = (suseconds_t)(i % 1000000);
        pcap_dump((u_char *)dumper, &header, frame);
    }
    pcap_dump_close(dumper);
    pcap_close(pcap);
}

static int one_set(struct world *world, const struct job *job, unsigned long seed, unsigned long *wrong, unsigned long *decided)
{
    struct rules_input input = { .path = "random.rules", .no_files = true };
    struct rules_compiled compiled;
    struct rules_judge *judge;
    char error[256];
    char pcap[256];

    seed_now = seed * 2654435761u + 12345;
    world->vlans = chance(2) != 0;
    world->patterns = !world->vlans;
    random_set(world, (uint32_t)job->rules);
    input.text = world->ours.bytes;
    input.text_bytes = world->ours.used;
    if (rules_compile(&input, 1, NULL, &compiled) != 0) {
        rules_print_errors(stdout, &compiled);
        return 2;
    }
    if (rules_judge_create(&judge, compiled.bytes, compiled.size, error) != 0) {
        printf("seed %lu: %s\n", seed, error);
        return 2;
    }
    if (kernel_load(world, job->keep) != 0) {
        printf("seed %lu: nft does not take its rules (%s/random.nft)\n", seed, job->keep);
        return 2;
    }
    snprintf(pcap, sizeof(pcap), "%s/random.pcap", job->keep);
    if (job->pcap == NULL)
        write_pcap(world, pcap, job->packets);
    compare_pcap(world, judge, job->pcap != NULL ? job->pcap : pcap, wrong);
    for (uint32_t i = 0; i < job->rules; i++)
        *decided += rules_judge_count(judge, i).packets != 0;
    rules_judge_destroy(judge);
    rules_compiled_free(&compiled);
    return 0;
}

static unsigned long number(const char *text)
{
    return text != NULL ? strtoul(text, NULL, 0) : 0;
}

int main(int argc, char **argv)
{
    struct job job = { .sets = 20, .rules = 60, .packets = 400, .seed = 1, .keep = "build/unit/nft" };
    static char ours[TEXT_MAX], nft[TEXT_MAX];
    struct world world = { .out = -1 };
    unsigned long wrong = 0, decided = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--sets") == 0)
            job.sets = number(argv[i + 1]);
        else if (strcmp(argv[i], "--rules") == 0)
            job.rules = number(argv[i + 1]);
        else if (strcmp(argv[i], "--packets") == 0)
            job.packets = number(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            job.seed = number(argv[i + 1]);
        else if (strcmp(argv[i], "--pcap") == 0)
            job.pcap = argv[i + 1];
        else if (strcmp(argv[i], "--keep") == 0)
            job.keep = argv[i + 1];
    }
    if (system("nft --version >/dev/null 2>&1") != 0 || kernel_start(&world) != 0) {
        printf("nft-compare: cannot be tried here: nftables, network namespaces or /dev/net/tun are missing (%s)\nunit: 0 passed, 0 failed\n", strerror(errno));
        return argc > 1 ? SKIP : 0;
    }
    mkdir("build/unit/nft", 0777);
    world.ours.bytes = ours;
    world.nft.bytes = nft;
    for (int i = 0; i < IFACES; i++)
        rules_judge_iface(&world.ifaces[i], iface_names[i], NULL);
    for (unsigned long i = 0; i < job.sets && wrong == 0; i++) {
        int rc = one_set(&world, &job, job.seed + i, &wrong, &decided);

        if (rc != 0) {
            printf("unit: 0 passed, 1 failed\n");
            return rc;
        }
        if (wrong != 0)
            printf("seed %lu: differs; %s has random.rules, random.nft, random.pcap\n", job.seed + i, job.keep);
    }
    if (wrong == 0)
        printf("nft-compare: %lu sets of %lu rules from seed %lu, %s%s: the same rule decided each packet; %lu rules decided some\n", job.sets, job.rules, job.seed, job.pcap != NULL ? "packets of " : "random packets",
               job.pcap != NULL ? job.pcap : "", decided);
    printf("unit: %d passed, %d failed\n", wrong == 0, wrong != 0);
    return wrong != 0;
}
