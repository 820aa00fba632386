// SPDX-License-Identifier: MIT
/*
 * A disk with a volatile cache whose power can fail: an NBD server (old style handshake) on a UNIX socket, for one client. What is written stays in the cache until a flush; when the client is gone, the
 * power is: of what was in the cache, each sector gets to the image or does not, by chance.
 *
 * As strict as the rules of such a disk are, and no stricter: a flush saves those writes whose answers were sent before the flush came in, and nothing else. Answers to writes are held back a little and
 * sent in any order, so that a flush which does not wait for the writes before it saves less than its sender may believe.
 *
 *     cut-disk IMAGE SOCKET SEED      ends when the client does; says on standard output what was lost
 */
#include <endian.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SECTOR 512u
#define HELD_MAX 64u
#define BYTES_MAX (32u << 20)

enum { NBD_READ, NBD_WRITE, NBD_END, NBD_FLUSH };
enum { HAS_FLAGS = 1, SEND_FLUSH = 4 };

struct __attribute__((packed)) request {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t handle, from;
    uint32_t bytes;
};
struct __attribute__((packed)) reply {
    uint32_t magic, error;
    uint64_t handle;
};

struct held { /* a write or a flush that is not answered yet */
    uint64_t handle, from;
    uint32_t bytes;
    bool flush;
};

static uint8_t *now, *saved;   /* what a reader sees; what is on the platters */
static uint8_t *dirty, *waits; /* of each sector: answered and not flushed; not answered */
static uint64_t size, writes, flushes;
static struct held held[HELD_MAX];
static unsigned int held_count;
static int client;

static bool get(void *to, size_t bytes)
{
    for (uint8_t *at = to; bytes > 0;) {
        ssize_t n = read(client, at, bytes);

        if (n <= 0)
            return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

static bool put(const void *from, size_t bytes)
{
    for (const uint8_t *at = from; bytes > 0;) {
        ssize_t n = send(client, at, bytes, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

static bool answer(uint64_t handle, const void *data, uint32_t bytes)
{
    struct reply r = {.magic = htobe32(0x67446698), .error = 0, .handle = handle};

    return put(&r, sizeof(r)) && (bytes == 0 || put(data, bytes));
}

/* Answer one that is held, any of them. */
static bool release(void)
{
    unsigned int i = (unsigned int)random() % held_count;
    struct held h = held[i];

    held[i] = held[--held_count];
    if (!h.flush)
        for (uint64_t s = h.from / SECTOR; s < (h.from + h.bytes) / SECTOR; s++) {
            waits[s]--;
            dirty[s] = 1;
        }
    return answer(h.handle, NULL, 0);
}

/* What was answered until now is saved: sectors that an unanswered write has touched meanwhile are as good as written by it, and may be lost or not: here they are saved as they were asked for. */
static void flush(void)
{
    for (uint64_t s = 0; s < size / SECTOR; s++)
        if (dirty[s]) {
            memcpy(saved + s * SECTOR, now + s * SECTOR, SECTOR);
            dirty[s] = 0;
        }
    flushes++;
}

static bool serve(const struct request *r)
{
    static uint8_t data[BYTES_MAX];
    uint16_t type = be16toh(r->type);
    uint64_t from = be64toh(r->from);
    uint32_t bytes = be32toh(r->bytes);

    if (be32toh(r->magic) != 0x25609513 || type == NBD_END || bytes > BYTES_MAX || from > size || bytes > size - from)
        return false;
    if (type == NBD_READ)
        return answer(r->handle, now + from, bytes);
    if (held_count == HELD_MAX && !release())
        return false;
    if (type == NBD_WRITE) {
        if (!get(data, bytes))
            return false;
        memcpy(now + from, data, bytes);
        for (uint64_t s = from / SECTOR; s < (from + bytes) / SECTOR; s++)
            waits[s]++;
        writes++;
    } else if (type == NBD_FLUSH) {
        flush();
    } else {
        return false;
    }
    held[held_count++] = (struct held){r->handle, from, bytes, type == NBD_FLUSH};
    return true;
}

static bool greet(void)
{
    struct __attribute__((packed)) {
        uint8_t words[8];
        uint64_t magic, bytes;
        uint32_t flags;
        uint8_t zero[124];
    } hello = {.words = "NBDMAGI", .magic = htobe64(0x00420281861253), .bytes = htobe64(size), .flags = htobe32(HAS_FLAGS | SEND_FLUSH)};

    hello.words[7] = 'C';
    return put(&hello, sizeof(hello));
}

static int listen_at(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);

    strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
    unlink(path);
    if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(s, 1) != 0) {
        perror(path);
        exit(2);
    }
    return s;
}

static void *image_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *to;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    size = (uint64_t)ftell(f) / SECTOR * SECTOR;
    rewind(f);
    to = malloc(size);
    if (to == NULL || fread(to, 1, size, f) != size) {
        perror(path);
        exit(2);
    }
    fclose(f);
    return to;
}

static void power_off(const char *path)
{
    uint64_t kept = 0, lost = 0;
    FILE *f;

    for (uint64_t s = 0; s < size / SECTOR; s++)
        if (dirty[s] || waits[s]) {
            if (random() % 3 == 0) {
                memcpy(saved + s * SECTOR, now + s * SECTOR, SECTOR);
                kept++;
            } else if (memcmp(saved + s * SECTOR, now + s * SECTOR, SECTOR) != 0) {
                lost++;
            }
        }
    f = fopen(path, "r+b");
    if (f == NULL || fwrite(saved, 1, size, f) != size || fclose(f) != 0) {
        perror(path);
        exit(2);
    }
    printf("writes %llu flushes %llu unanswered %u sectors-lost %llu sectors-kept %llu\n", (unsigned long long)writes, (unsigned long long)flushes, held_count,
           (unsigned long long)lost, (unsigned long long)kept);
}

int main(int argc, char **argv)
{
    struct request r;
    int s;

    if (argc != 4) {
        fprintf(stderr, "usage: cut-disk IMAGE SOCKET SEED\n");
        return 2;
    }
    srandom((unsigned int)atoi(argv[3]));
    saved = image_read(argv[1]);
    now = malloc(size);
    dirty = calloc(size / SECTOR, 1);
    waits = calloc(size / SECTOR, 1);
    if (now == NULL || dirty == NULL || waits == NULL)
        return 2;
    memcpy(now, saved, size);
    s = listen_at(argv[2]);
    client = accept(s, NULL, NULL);
    if (client < 0 || !greet())
        return 2;
    for (;;) {
        struct pollfd p = {.fd = client, .events = POLLIN};
        bool asked = poll(&p, 1, held_count > 0 ? (int)(random() % 2) : -1) > 0;

        /* Now and then an answer goes out though more has come in. */
        if (held_count > 0 && (!asked || random() % 4 == 0)) {
            if (!release())
                break;
            continue;
        }
        if (asked && (!get(&r, sizeof(r)) || !serve(&r)))
            break;
    }
    power_off(argv[1]);
    unlink(argv[2]);
    return 0;
}
