// SPDX-License-Identifier: MIT
/*
 * What does a packet cost? Sends them from an unmodified guest, and marks where each batch begins and ends for the counter (count-plugin.c).
 *
 *   net sink                           the other end: datagrams, streams, requests; does not end
 *   net NIC-ADDRESS PEER [ROW...]      measure; NIC-ADDRESS is beyond the card, PEER runs the sink
 *   net obey NIC-ADDRESS PEER          measure what orders say, until one says "end"
 *   net order HOST WORDS               such an order, "ROW SUFFIX"; returns when it is done
 *
 * Rows: udp-64-nic, udp-1400-nic: datagrams of one flow to the card; udp-64-new: each of another flow, to the addresses and ports of /bench/targets; udp-64-guest, udp-1400-guest: to the peer, which tells every 64th that they came; tcp-stream: bytes to
 * the peer, its answer at the end included; tcp-rr, udp-rr: a byte there and one back; iperf-tcp, iperf-udp: bytes by iperf3, twice, the difference is free of its start and end.
 * Prints `batch ROW COUNT` for each, in the order of the counter's lines.  Script: net.sh.  Page: docs/performance.md.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT_DISCARD 9
#define PORT_SINK    7010 /* datagrams; every WINDOWth is answered */
#define PORT_ECHO    7011 /* datagrams and streams: a byte for a byte */
#define PORT_STREAM  7012
#define PORT_ORDERS  7013
#define WINDOW 64u
#define CHUNK 65536u
#define BATCHES 3
#define PATIENCE_MS 10000
#define DATAGRAMS 4096u /* a batch */
#define TARGETS "/bench/targets" /* "ADDRESS PORT", at least DATAGRAMS different ones */

#define BENCH_MARK(number) __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00\n\t.long " #number ::: "memory")
#define BEGIN() BENCH_MARK(0x314d4243)
#define END() BENCH_MARK(0x324d4243)

static char buffer[CHUNK];
static const char *nic, *peer, *suffix = "";
static uint32_t lost;

static _Noreturn void die(const char *what)
{
    printf("net: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int socket_to(const char *host, uint16_t port, int type)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, type, 0), one = 1;

    inet_pton(AF_INET, host, &to.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        die(host);
    if (type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static int socket_at(uint16_t port, int type)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, type, 0), one = 1, bytes = 16 << 20;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || (type == SOCK_STREAM && listen(fd, 4) != 0))
        die("bind");
    return fd;
}

/* ---- the other end ---- */

static void answer_datagrams(uint16_t port, uint32_t every)
{
    int fd = socket_at(port, SOCK_DGRAM);

    if (fork() != 0)
        return;
    for (uint32_t count = 1;; count++) {
        struct sockaddr_in from;
        socklen_t bytes = sizeof(from);

        if (recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &bytes) >= 0 && count % every == 0)
            sendto(fd, buffer, 1, 0, (struct sockaddr *)&from, bytes);
    }
}

/* echo: a byte for a byte; else one byte when the other has ended. */
static void answer_streams(uint16_t port, bool echo)
{
    int listener = socket_at(port, SOCK_STREAM), one = 1;

    if (fork() != 0)
        return;
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        while (read(fd, buffer, echo ? 1 : sizeof(buffer)) > 0)
            if (echo && write(fd, buffer, 1) != 1)
                break;
        if (!echo && write(fd, buffer, 1) != 1)
            printf("net: nobody waits for the end\n");
        close(fd);
    }
}

/* ---- rows ---- */

/* All that was sent has left this system. */
static void drain(int fd)
{
    int left = 1;

    for (int i = 0; i < 1000 && left > 0; i++) {
        if (ioctl(fd, SIOCOUTQ, &left) != 0)
            die("SIOCOUTQ");
        if (left > 0)
            usleep(1000);
    }
}

static void to_card(uint32_t count, uint32_t bytes)
{
    static int fd = -1;

    if (fd < 0)
        fd = socket_to(nic, PORT_DISCARD, SOCK_DGRAM);
    for (uint32_t i = 0; i < count; i++)
        if (send(fd, buffer, bytes, 0) != (ssize_t)bytes && errno != ECONNREFUSED)
            die("send");
    drain(fd);
}

static struct sockaddr_in targets[DATAGRAMS];

static void read_targets(void)
{
    FILE *file = fopen(TARGETS, "r");
    char host[64];
    uint16_t port;

    for (uint32_t i = 0; i < DATAGRAMS; i++) {
        if (file == NULL || fscanf(file, "%63s %hu", host, &port) != 2)
            die(TARGETS);
        targets[i].sin_family = AF_INET;
        targets[i].sin_port = htons(port);
        inet_pton(AF_INET, host, &targets[i].sin_addr);
    }
    fclose(file);
}

/* No target comes twice in a batch, and each batch has a port of its own at this end. */
static void to_card_anew(uint32_t count, uint32_t bytes)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    for (uint32_t i = 0; i < count; i++)
        if (sendto(fd, buffer, bytes, 0, (struct sockaddr *)&targets[i], sizeof(targets[i])) != (ssize_t)bytes)
            die("send");
    drain(fd);
    close(fd);
}

static void to_peer(uint32_t count, uint32_t bytes)
{
    static int fd = -1;

    if (fd < 0)
        fd = socket_to(peer, PORT_SINK, SOCK_DGRAM);
    for (uint32_t i = 1; i <= count; i++) {
        struct pollfd answer = {.fd = fd, .events = POLLIN};

        if (send(fd, buffer, bytes, 0) != (ssize_t)bytes)
            die("send");
        if (i % WINDOW != 0)
            continue;
        /* Lost ones: fill up until the peer answers. */
        for (uint32_t extra = 0; poll(&answer, 1, extra < WINDOW ? 200 : PATIENCE_MS) == 0; extra++, lost++)
            if (extra > 2 * WINDOW || send(fd, buffer, bytes, 0) < 0)
                die("the peer does not answer");
        if (recv(fd, buffer, 1, 0) != 1)
            die("recv");
    }
}

static void stream(uint32_t bytes)
{
    int fd = socket_to(peer, PORT_STREAM, SOCK_STREAM);

    for (uint32_t at = 0; at < bytes; at += CHUNK)
        if (send(fd, buffer, CHUNK, 0) != CHUNK)
            die("send");
    if (shutdown(fd, SHUT_WR) != 0 || read(fd, buffer, 1) != 1)
        die("the stream's end");
    close(fd);
}

static void requests(int type, uint32_t count)
{
    static int fds[2] = {-1, -1};
    int *fd = &fds[type == SOCK_STREAM];

    if (*fd < 0)
        *fd = socket_to(peer, PORT_ECHO, type);
    while (count-- > 0)
        if (write(*fd, buffer, 1) != 1 || read(*fd, buffer, 1) != 1)
            die("a request");
}

static void iperf(uint32_t bytes, const char *words)
{
    char command[256];

    snprintf(command, sizeof(command), "iperf3 -c %s -n %u %s >/tmp/iperf.out 2>&1", peer, bytes, words);
    if (system(command) != 0 && system("cat /tmp/iperf.out") != 0)
        die("iperf3");
}

static void udp_64_nic(uint32_t n) { to_card(n, 64); }
static void udp_1400_nic(uint32_t n) { to_card(n, 1400); }
static void udp_64_new(uint32_t n) { to_card_anew(n, 64); }
static void udp_64_guest(uint32_t n) { to_peer(n, 64); }
static void udp_1400_guest(uint32_t n) { to_peer(n, 1400); }
static void tcp_rr(uint32_t n) { requests(SOCK_STREAM, n); }
static void udp_rr(uint32_t n) { requests(SOCK_DGRAM, n); }
static void iperf_tcp(uint32_t n) { iperf(n, ""); }
static void iperf_udp(uint32_t n) { iperf(n, "-u -b 20M -l 1400"); }

static const struct row {
    const char *name;
    void (*run)(uint32_t count);
    uint32_t count;
    bool twice; /* its start and end cost something: the difference of two runs counts */
} rows[] = {
    {"udp-64-nic", udp_64_nic, DATAGRAMS, false},     {"udp-1400-nic", udp_1400_nic, DATAGRAMS, false},     {"udp-64-new", udp_64_new, DATAGRAMS, false},
    {"udp-64-guest", udp_64_guest, DATAGRAMS, false}, {"udp-1400-guest", udp_1400_guest, DATAGRAMS, false}, {"tcp-stream", stream, 16u << 20, false},
    {"tcp-rr", tcp_rr, 1000, false},               {"udp-rr", udp_rr, 1000, false},
    {"iperf-tcp", iperf_tcp, 16u << 20, true},     {"iperf-udp", iperf_udp, 2u << 20, true},
};

static void batch(const struct row *row, const char *part, uint32_t count)
{
    printf("batch %s%s%s %u\n", row->name, suffix, part, count);
    fflush(stdout);
    usleep(300000); /* what is printed is printed through somebody's device, too */
    BEGIN();
    row->run(count);
    END();
}

static void measure(const struct row *row)
{
    if (row->twice) {
        batch(row, "/first", row->count);
        batch(row, "/second", row->count * 3);
        return;
    }
    row->run(row->count / 4);
    for (int i = 0; i < BATCHES; i++)
        batch(row, "", row->count);
}

static void measure_named(const char *name)
{
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].name, name) == 0)
            measure(&rows[i]);
}

/* ---- orders ---- */

static void obey(void)
{
    int fd = socket_at(PORT_ORDERS, SOCK_DGRAM);
    static char words[256], after[128];

    for (;;) {
        struct sockaddr_in from;
        socklen_t bytes = sizeof(from);
        ssize_t got = recvfrom(fd, words, sizeof(words) - 1, 0, (struct sockaddr *)&from, &bytes);
        char *space;

        if (got < 0)
            die("orders");
        words[got] = '\0';
        if (strcmp(words, "end") == 0)
            return;
        space = strchr(words, ' ');
        if (space != NULL)
            *space++ = '\0';
        snprintf(after, sizeof(after), "%s%s", space != NULL ? "@" : "", space != NULL ? space : "");
        suffix = after;
        measure_named(words);
        sendto(fd, "done", 4, 0, (struct sockaddr *)&from, bytes);
    }
}

static int order(const char *host, const char *words)
{
    int fd = socket_to(host, PORT_ORDERS, SOCK_DGRAM);
    struct pollfd done = {.fd = fd, .events = POLLIN};

    if (send(fd, words, strlen(words), 0) < 0)
        die("order");
    if (strcmp(words, "end") == 0)
        return 0;
    return poll(&done, 1, 300000) == 1 && recv(fd, buffer, sizeof(buffer), 0) == 4 ? 0 : 1;
}

int main(int argc, char *argv[])
{
    if (argc == 2 && strcmp(argv[1], "sink") == 0) {
        answer_datagrams(PORT_SINK, WINDOW);
        answer_datagrams(PORT_ECHO, 1);
        answer_streams(PORT_STREAM, false);
        answer_streams(PORT_ECHO, true);
        while (wait(NULL) > 0)
            ;
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "order") == 0)
        return order(argv[2], argv[3]);
    if (argc < 3) {
        printf("usage: see net.c\n");
        return 2;
    }
    read_targets();
    if (argc == 4 && strcmp(argv[1], "obey") == 0) {
        nic = argv[2];
        peer = argv[3];
        obey();
        printf("net: done\n");
        return 0;
    }
    nic = argv[1];
    peer = argv[2];
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && argc == 3; i++)
        if (!rows[i].twice || access("/usr/bin/iperf3", X_OK) == 0)
            measure(&rows[i]);
    for (int i = 3; i < argc; i++)
        measure_named(argv[i]);
    if (lost > 0)
        printf("net: %u datagrams lost\n", lost);
    printf("net: done\n");
    return 0;
}
