// SPDX-License-Identifier: MIT
/*
 * The other end for tests of the network, in quick guests and in Domain0; linked statically, since it goes into ramdisks.
 *
 *   peer serve                      TCP and UDP servers at ports 7001 and 7002 (PEER_PORT and the next), both families; does not end
 *   peer tcp HOST UP DOWN           so many bytes to the server and from it at the same time; both ends compare contents
 *   peer udp HOST COUNT BYTES       so many datagrams there and back, a few at a time, contents compared; lost ones are counted, more than 2% are an error
 *   peer flood HOST SECONDS BYTES   datagrams to port 9, as fast as they go
 *   peer raw DEVICE arp MAC IP WANTED-IP
 *   peer raw DEVICE udp SOURCE-MAC TARGET-MAC SOURCE-IP TARGET-IP      (both families)
 *   peer raw DEVICE na MAC IP6      a neighbour advertisement for that address, to all nodes
 *                                   a frame as a liar would send it, ten times
 *   peer page HOST                   prints what its web server says to /name; waits for at most four seconds
 *   peer knock HOST FIRST LAST TIMES  begins a connection to each of these ports, so often, and says how many were open
 * Exit status 0: all went as it should; else a line says what did not.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT 7001 /* of TCP; UDP has the next one */
#define DISCARD_PORT 9
#define CHUNK 65536u
#define WINDOW 16u
#define SMALL 4000u /* larger ones come in fragments, and fill a socket's buffer soon */
#define TIMEOUT_S 30
#define PAGE_S 4
#define RAW_COUNT 10

struct order {
    uint64_t up, down, seed;
};

static uint16_t port = PORT;
static int patience_s = TIMEOUT_S;
static uint64_t chunk[CHUNK / 8], wanted[CHUNK / 8];

static _Noreturn void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    printf("peer: ");
    vprintf(format, args);
    printf("%s%s\n", errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    va_end(args);
    fflush(stdout);
    _exit(1);
}

/* The bytes of the stream `seed` from `offset` on, a multiple of the chunk's. */
static void fill(uint64_t *words, uint64_t seed, uint64_t offset)
{
    for (uint32_t i = 0; i < CHUNK / 8; i++)
        words[i] = (offset / 8 + i + 1) * 0x9e3779b97f4a7c15ull ^ seed;
}

static socklen_t address_of(const char *host, uint16_t number, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;

    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(number);
        return sizeof(*v4);
    }
    errno = 0;
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
        die("%s is no address", host);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(number);
    return sizeof(*v6);
}

static int connected(const char *host, uint16_t number, int type)
{
    struct timeval patience = {.tv_sec = patience_s};
    struct sockaddr_storage address;
    socklen_t bytes = address_of(host, number, &address);
    int fd = socket(address.ss_family, type, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0)
        die("socket");
    if (connect(fd, (struct sockaddr *)&address, bytes) != 0)
        die("connect to %s", host);
    return fd;
}

static void send_stream(int fd, uint64_t seed, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += CHUNK) {
        uint64_t now = bytes - at < CHUNK ? bytes - at : CHUNK;

        fill(chunk, seed, at);
        for (uint64_t done = 0; done < now;) {
            ssize_t sent = send(fd, (char *)chunk + done, now - done, MSG_NOSIGNAL);

            if (sent <= 0)
                die("after %llu bytes sent", (unsigned long long)(at + done));
            done += (uint64_t)sent;
        }
    }
}

static void receive_all(int fd, void *buffer, uint64_t bytes, uint64_t at)
{
    for (uint64_t done = 0; done < bytes;) {
        ssize_t got = recv(fd, (char *)buffer + done, bytes - done, 0);

        if (got == 0)
            errno = 0;
        if (got <= 0)
            die("after %llu bytes received", (unsigned long long)(at + done));
        done += (uint64_t)got;
    }
}

static void receive_stream(int fd, uint64_t seed, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += CHUNK) {
        uint64_t now = bytes - at < CHUNK ? bytes - at : CHUNK;

        receive_all(fd, chunk, now, at);
        fill(wanted, seed, at);
        errno = 0;
        if (memcmp(chunk, wanted, now) != 0)
            die("wrong contents within the %u bytes from %llu on", CHUNK, (unsigned long long)at);
    }
}

/* Both directions at once: a child sends. */
static void exchange(int fd, uint64_t send_seed, uint64_t send_bytes, uint64_t receive_seed, uint64_t receive_bytes)
{
    pid_t child = fork();
    char last = 'e';
    int status;

    if (child == 0) {
        send_stream(fd, send_seed, send_bytes);
        _exit(0);
    }
    receive_stream(fd, receive_seed, receive_bytes);
    if (waitpid(child, &status, 0) != child || status != 0)
        _exit(1);
    /* Each tells the other that all has come, and was right. */
    if (send(fd, &last, 1, MSG_NOSIGNAL) != 1)
        die("the end");
    receive_all(fd, &last, 1, 0);
    if (last != 'e')
        die("no proper end");
}

static void tcp(const char *host, uint64_t up, uint64_t down)
{
    struct order order = {.up = up, .down = down, .seed = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid()};
    int fd = connected(host, port, SOCK_STREAM);

    if (send(fd, &order, sizeof(order), MSG_NOSIGNAL) != sizeof(order))
        die("send");
    exchange(fd, order.seed, up, ~order.seed, down);
    printf("peer: tcp %llu up, %llu down, all right\n", (unsigned long long)up, (unsigned long long)down);
}

static int served(uint16_t number, int type)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(number), .sin6_addr = in6addr_any};
    int fd = socket(AF_INET6, type, 0), one = 1, bytes = 4 << 20;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("bind");
    return fd;
}

static _Noreturn void serve_tcp(void)
{
    struct timeval patience = {.tv_sec = TIMEOUT_S};
    int listener = served(port, SOCK_STREAM);

    if (listen(listener, 16) != 0)
        die("listen");
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        struct order order;

        if (fd < 0)
            die("accept");
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (fork() == 0) {
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
            receive_all(fd, &order, sizeof(order), 0);
            exchange(fd, ~order.seed, order.down, order.seed, order.up);
            _exit(0);
        }
        close(fd);
    }
}

static _Noreturn void serve_udp(void)
{
    static char datagram[CHUNK];
    int fd = served((uint16_t)(port + 1), SOCK_DGRAM);

    for (;;) {
        struct sockaddr_storage from;
        socklen_t from_bytes = sizeof(from);
        ssize_t got = recvfrom(fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&from, &from_bytes);

        if (got >= 0)
            sendto(fd, datagram, (size_t)got, 0, (struct sockaddr *)&from, from_bytes);
    }
}

static void udp(const char *host, uint32_t count, uint32_t bytes)
{
    uint32_t sent = 0, back = 0, lost = 0;
    int fd = connected(host, (uint16_t)(port + 1), SOCK_DGRAM);
    uint64_t *numbers = chunk;

    if (bytes < 8 || bytes > CHUNK - 8)
        die("from 8 to %u bytes", CHUNK - 8);
    fill(chunk, 1, 0);
    while (back + lost < count) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};

        for (; sent < count && sent - back - lost < (bytes <= SMALL ? WINDOW : WINDOW / 8); sent++) {
            numbers[0] = sent;
            if (send(fd, chunk, bytes, 0) != (ssize_t)bytes)
                die("datagram %u", sent);
        }
        /* Silence: all that is out is lost. */
        if (poll(&ready, 1, 1000) == 0) {
            lost = sent - back;
            continue;
        }
        if (recv(fd, wanted, sizeof(wanted), 0) != (ssize_t)bytes)
            die("a datagram of another length");
        numbers[0] = wanted[0];
        errno = 0;
        if (wanted[0] >= sent || memcmp(chunk, wanted, bytes) != 0)
            die("wrong contents in a datagram");
        back++;
    }
    printf("peer: udp %u of %u bytes, %u came back\n", count, bytes, back);
    errno = 0;
    if (lost > count / 50)
        die("%u lost", lost);
}

static void flood(const char *host, uint32_t seconds, uint32_t bytes)
{
    int fd = connected(host, DISCARD_PORT, SOCK_DGRAM);
    time_t end = time(NULL) + seconds;
    uint64_t sent = 0;

    for (uint32_t i = 0; time(NULL) < end; i++)
        sent += send(fd, chunk, bytes < CHUNK ? bytes : 1400, 0) > 0;
    printf("peer: %llu datagrams sent\n", (unsigned long long)sent);
}

static void page(const char *host)
{
    static const char request[] = "GET /name HTTP/1.0\r\n\r\n";
    ssize_t got;
    int fd;

    patience_s = PAGE_S;
    fd = connected(host, 80, SOCK_STREAM);
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
        die("send");
    while ((got = recv(fd, chunk, sizeof(chunk), 0)) > 0)
        fwrite(chunk, 1, (size_t)got, stdout);
    if (got < 0)
        die("the page");
}

/* Connections are begun, a few milliseconds apart, and given up: who answers has a port open. */
static void knock(const char *host, uint32_t first, uint32_t last, uint32_t times)
{
    uint32_t open = 0, number = 0;

    for (uint32_t i = 0; i < times; i++)
        for (uint32_t at = first; at <= last; at++, number++) {
            struct sockaddr_storage address;
            socklen_t bytes = address_of(host, (uint16_t)at, &address);
            int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
            struct pollfd answer = {.fd = fd, .events = POLLOUT};

            if (fd < 0)
                die("socket");
            connect(fd, (struct sockaddr *)&address, bytes);
            open += poll(&answer, 1, 20) == 1 && (answer.revents & (POLLERR | POLLHUP)) == 0;
            close(fd);
        }
    printf("peer: knocked %u times, %u were open\n", number, open);
}

/* ---- frames of a liar ---- */

static uint8_t frame[128];
static uint32_t frame_bytes;

static void put(const void *bytes, uint32_t count)
{
    memcpy(frame + frame_bytes, bytes, count);
    frame_bytes += count;
}
static void put_hex(const char *text)
{
    for (; text[0] != '\0' && text[1] != '\0'; text += 2 + (text[2] == ':' || text[2] == ' '))
        frame[frame_bytes++] = (uint8_t)strtoul((char[]){text[0], text[1], 0}, NULL, 16);
}
static void put_address(const char *text)
{
    struct sockaddr_storage address;

    if (address_of(text, 0, &address) == sizeof(struct sockaddr_in))
        put(&((struct sockaddr_in *)&address)->sin_addr, 4);
    else
        put(&((struct sockaddr_in6 *)&address)->sin6_addr, 16);
}
static uint32_t sum_of(uint32_t from, uint32_t to, uint32_t sum)
{
    for (uint32_t i = from; i < to; i++)
        sum += i % 2 == from % 2 ? (uint32_t)frame[i] << 8 : frame[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}
static void put_sum(uint32_t at, uint32_t sum)
{
    frame[at] = (uint8_t)(~sum >> 8);
    frame[at + 1] = (uint8_t)~sum;
}

static void make_arp(const char *mac, const char *ip, const char *wanted_ip)
{
    put_hex("ff:ff:ff:ff:ff:ff");
    put_hex(mac);
    put_hex("0806 0001 0800 06 04 0001");
    put_hex(mac);
    put_address(ip);
    put_hex("000000000000");
    put_address(wanted_ip);
}
static void make_udp(const char *source_mac, const char *target_mac, const char *source, const char *target)
{
    bool v6 = strchr(source, ':') != NULL;
    uint32_t udp_at = v6 ? 54 : 34;

    put_hex(target_mac);
    put_hex(source_mac);
    put_hex(v6 ? "86dd 60000000 0010 11 40" : "0800 4500 0024 0000 4000 40 11 0000");
    put_address(source);
    put_address(target);
    put_hex("1b59 1b5a 0010 0000 6c69 6172 6c69 6172");
    put_sum(udp_at + 6, sum_of(v6 ? 22 : 26, udp_at + 16, 17 + 16));
    if (!v6)
        put_sum(24, sum_of(14, 34, 0));
}
static void make_advertisement(const char *mac, const char *ip)
{
    put_hex("33:33:00:00:00:01");
    put_hex(mac);
    put_hex("86dd 60000000 0020 3a ff");
    put_address(ip);
    put_address("ff02::1");
    put_hex("8800 0000 20000000");
    put_address(ip);
    put_hex("0201");
    put_hex(mac);
    put_sum(56, sum_of(22, 54 + 32, 58 + 32));
}

static void raw(int argc, char **argv)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[0]), .sll_halen = 6};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);

    if (fd < 0 || to.sll_ifindex == 0)
        die("%s", argv[0]);
    if (strcmp(argv[1], "arp") == 0 && argc == 5)
        make_arp(argv[2], argv[3], argv[4]);
    else if (strcmp(argv[1], "udp") == 0 && argc == 6)
        make_udp(argv[2], argv[3], argv[4], argv[5]);
    else if (strcmp(argv[1], "na") == 0 && argc == 4)
        make_advertisement(argv[2], argv[3]);
    else
        die("raw: what?");
    for (int i = 0; i < RAW_COUNT; i++)
        if (sendto(fd, frame, frame_bytes < 60 ? 60 : frame_bytes, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
            die("send");
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    const char *other = getenv("PEER_PORT");

    if (other != NULL)
        port = (uint16_t)strtoul(other, NULL, 10);
    if (strcmp(what, "serve") == 0) {
        if (fork() == 0)
            serve_tcp();
        serve_udp();
    }
    if (strcmp(what, "tcp") == 0 && argc == 5)
        tcp(argv[2], strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
    else if (strcmp(what, "udp") == 0 && argc == 5)
        udp(argv[2], (uint32_t)strtoul(argv[3], NULL, 0), (uint32_t)strtoul(argv[4], NULL, 0));
    else if (strcmp(what, "flood") == 0 && argc == 5)
        flood(argv[2], (uint32_t)strtoul(argv[3], NULL, 0), (uint32_t)strtoul(argv[4], NULL, 0));
    else if (strcmp(what, "knock") == 0 && argc == 6)
        knock(argv[2], (uint32_t)strtoul(argv[3], NULL, 0), (uint32_t)strtoul(argv[4], NULL, 0), (uint32_t)strtoul(argv[5], NULL, 0));
    else if (strcmp(what, "page") == 0 && argc == 3)
        page(argv[2]);
    else if (strcmp(what, "raw") == 0 && argc > 4)
        raw(argc - 2, argv + 2);
    else
        die("see the top of peer.c");
    return 0;
}
