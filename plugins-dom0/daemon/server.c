// SPDX-License-Identifier: MIT
/*
 * The socket. A client is freed when its connection and its open call are both gone; until then answers to a closed one go nowhere.
 * While a request is under way no more input is read, so that a client that floods is held back by the socket itself.
 * Contract: server.h.  Tests: test-server.c.
 */
#include "server.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES 16384u
#define GOODBYE_ROUNDS 20
#define GOODBYE_US 10000

struct buffer {
    char *bytes;
    size_t length, room;
};

struct client {
    struct call call; /* first: the call's address is the client's */
    struct client *next;
    struct server *server; /* NULL: the server has gone */
    int fd;                /* -1: closed */
    struct loop_watch *watch;
    struct buffer in, out;
    size_t scanned; /* of `in`, how much is known to hold no end of line */
    bool busy;      /* a request is under way */
    bool closing;   /* no more requests; gone when `out` is empty */
    bool hung_up;   /* the other side has shut down its half: there is no more input than the socket holds */
    struct loop_timer *resume;
};

struct server {
    struct loop *loop;
    char *path;
    int fd;
    struct loop_watch *watch;
    server_request *request;
    void *arg;
    struct client *clients;
    unsigned int count;
};

/* ---- Buffers ---- */

static bool buffer_room(struct buffer *b, size_t more)
{
    size_t room = b->room != 0 ? b->room : 4096;
    char *bytes;

    if (b->length + more <= b->room)
        return true;
    while (room < b->length + more)
        room *= 2;
    bytes = realloc(b->bytes, room);
    if (bytes == NULL)
        return false;
    b->bytes = bytes;
    b->room = room;
    return true;
}

static void buffer_take(struct buffer *b, size_t taken)
{
    memmove(b->bytes, b->bytes + taken, b->length - taken);
    b->length -= taken;
    if (b->length == 0 && b->room > READ_BYTES) {
        free(b->bytes);
        *b = (struct buffer){0};
    }
}

/* ---- Clients ---- */

static void client_free(struct client *c)
{
    struct client **at;

    if (c->server != NULL) {
        for (at = &c->server->clients; *at != c;)
            at = &(*at)->next;
        *at = c->next;
        c->server->count--;
    }
    free(c->in.bytes);
    free(c->out.bytes);
    free(c);
}

static void client_close(struct client *c)
{
    if (c->fd >= 0) {
        loop_unwatch(c->watch);
        close(c->fd);
        c->fd = -1;
        if (c->busy && c->call.gone != NULL)
            c->call.gone(c->call.gone_arg); /* answers from the loop, so the client is still here */
    }
    if (!c->busy)
        client_free(c);
}

static void client_watch(struct client *c)
{
    uint32_t events = c->hung_up ? 0 : EPOLLRDHUP; /* it would come again and again */

    if (c->out.length != 0)
        events |= EPOLLOUT;
    if (!c->busy && !c->closing)
        events |= EPOLLIN;
    loop_watch_events(c->watch, events);
}

/* Write what there is. false: the client is gone. */
static bool client_flush(struct client *c)
{
    ssize_t sent;

    if (c->fd < 0)
        return false;
    while (c->out.length != 0) {
        sent = send(c->fd, c->out.bytes, c->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (sent < 0) {
            client_close(c);
            return false;
        }
        buffer_take(&c->out, (size_t)sent);
    }
    if (c->out.length == 0 && c->closing && !c->busy) {
        client_close(c);
        return false;
    }
    client_watch(c);
    return true;
}

static void client_line(struct client *c, json_t *line)
{
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    size_t length = text != NULL ? strlen(text) : 0;

    json_decref(line);
    if (c->fd < 0 || text == NULL) {
        free(text);
        return;
    }
    if (c->out.length + length + 1 > SERVER_OUTPUT_MAX || !buffer_room(&c->out, length + 1)) {
        log_warning("a client that does not read its answers is dropped");
        c->out.length = 0;
        c->closing = true;
    } else {
        memcpy(c->out.bytes + c->out.length, text, length);
        c->out.length += length;
        c->out.bytes[c->out.length++] = '\n';
    }
    free(text);
}

static void client_requests(struct client *c);

/* The call's answer. Requests that came meanwhile are next, but from the loop: an answer may come from within the request. */
static void client_resume(void *arg)
{
    struct client *c = arg;

    c->resume = NULL;
    c->busy = false;
    if (c->fd < 0)
        client_free(c);
    else if (client_flush(c))
        client_requests(c);
}

static void client_send(struct call *call, json_t *line, int final)
{
    struct client *c = (struct client *)call;

    client_line(c, line);
    if (final)
        call->gone = NULL;
    if (c->server == NULL) {
        if (final)
            client_free(c);
        return;
    }
    if (final) {
        c->resume = loop_timer(c->server->loop, 0, client_resume, c);
        if (c->resume == NULL)
            log_error("no memory for a client");
    } else if (c->fd >= 0) {
        client_flush(c); /* busy: it is not freed here */
    }
}

static void client_refuse(struct client *c, int error, const char *message)
{
    client_line(c, json_pack("{s:b, s:s, s:s}", "ok", 0, "error", strerrorname_np(error), "message", message));
    c->closing = true;
}

static void client_request(struct client *c, const char *text, size_t length)
{
    char message[300];
    json_error_t error;
    json_t *request = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);

    if (!json_is_object(request)) {
        snprintf(message, sizeof(message), "a line with a JSON object was expected%s%s", request == NULL ? ": " : "", request == NULL ? error.text : "");
        client_refuse(c, EBADMSG, message);
        json_decref(request);
        return;
    }
    c->busy = true;
    c->call.gone = NULL;
    c->server->request(c->server->arg, &c->call, request);
    json_decref(request);
}

/* Lines that are complete, one at a time, until one is under way. */
static void client_requests(struct client *c)
{
    char *end;

    while (!c->busy && !c->closing && c->fd >= 0) {
        end = c->in.length > c->scanned ? memchr(c->in.bytes + c->scanned, '\n', c->in.length - c->scanned) : NULL;
        if (end == NULL) {
            c->scanned = c->in.length;
            if (c->in.length > SERVER_LINE_MAX)
                client_refuse(c, EMSGSIZE, "the request is longer than 1 MiB");
            break;
        }
        if ((size_t)(end - c->in.bytes) > SERVER_LINE_MAX)
            client_refuse(c, EMSGSIZE, "the request is longer than 1 MiB");
        else if (end != c->in.bytes)
            client_request(c, c->in.bytes, (size_t)(end - c->in.bytes));
        buffer_take(&c->in, (size_t)(end - c->in.bytes) + 1);
        c->scanned = 0;
    }
    client_flush(c);
}

static void client_read(struct client *c)
{
    ssize_t got;

    if (!buffer_room(&c->in, READ_BYTES)) {
        client_close(c);
        return;
    }
    got = recv(c->fd, c->in.bytes + c->in.length, READ_BYTES, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got == 0)
        c->closing = true;
    if (got < 0) {
        client_close(c);
        return;
    }
    c->in.length += (size_t)got;
    client_requests(c);
}

static void client_event(void *arg, uint32_t events)
{
    struct client *c = arg;

    if (events & (EPOLLHUP | EPOLLERR)) {
        client_close(c);
        return;
    }
    if ((events & EPOLLRDHUP) && !c->hung_up) {
        c->hung_up = true; /* it may still read, as in `echo ... | nc`: what it has sent is answered */
        client_watch(c);
    }
    if ((events & EPOLLOUT) && !client_flush(c))
        return;
    if ((events & EPOLLIN) && !c->busy && !c->closing)
        client_read(c);
}

/* ---- The listening socket ---- */

static bool peer_allowed(int fd)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t length = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == geteuid();
}

static void client_new(struct server *s, int fd)
{
    struct client *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        close(fd);
        return;
    }
    *c = (struct client){.call = {.send = client_send}, .next = s->clients, .server = s, .fd = fd};
    s->clients = c;
    s->count++;
    c->watch = loop_watch(s->loop, fd, EPOLLIN | EPOLLRDHUP, client_event, c);
    if (c->watch == NULL) {
        client_close(c);
        return;
    }
    if (!peer_allowed(fd))
        client_refuse(c, EACCES, "only root may speak to colletd");
    else if (s->count > SERVER_CLIENTS_MAX)
        client_refuse(c, EUSERS, "too many clients at once");
    if (c->closing)
        client_flush(c);
}

static void server_accept(void *arg, uint32_t events)
{
    struct server *s = arg;
    int fd;

    (void)events;
    while ((fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        if (s->count > SERVER_CLIENTS_MAX + 8) /* those above the limit hold on while being refused */
            close(fd);
        else
            client_new(s, fd);
    }
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t before;
    int fd, rc;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    unlink(path);
    before = umask(0177);
    rc = bind(fd, (struct sockaddr *)&address, sizeof(address));
    umask(before);
    if (rc == 0 && listen(fd, 64) == 0)
        return fd;
    close(fd);
    return -1;
}

struct server *server_create(struct loop *loop, const char *path, server_request *request, void *arg)
{
    struct server *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    *s = (struct server){.loop = loop, .path = strdup(path), .fd = listen_at(path), .request = request, .arg = arg};
    if (s->fd >= 0)
        s->watch = loop_watch(loop, s->fd, EPOLLIN, server_accept, s);
    if (s->watch == NULL) {
        int error = errno;

        if (s->fd >= 0)
            close(s->fd);
        free(s->path);
        free(s);
        errno = error;
        return NULL;
    }
    return s;
}

/* Answers that are on their way leave, unless their readers dawdle. */
static void goodbye(struct server *s)
{
    struct client *c;
    unsigned int round, waiting = 1;

    for (round = 0; round < GOODBYE_ROUNDS && waiting != 0; round++) {
        waiting = 0;
        for (c = s->clients; c != NULL; c = c->next) {
            ssize_t sent = c->fd >= 0 && c->out.length != 0 ? send(c->fd, c->out.bytes, c->out.length, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

            if (sent > 0)
                buffer_take(&c->out, (size_t)sent);
            waiting += c->fd >= 0 && c->out.length != 0;
        }
        if (waiting != 0)
            usleep(GOODBYE_US);
    }
}

void server_destroy(struct server *s)
{
    struct client *c, *next;

    if (s == NULL)
        return;
    loop_unwatch(s->watch);
    close(s->fd);
    unlink(s->path);
    goodbye(s);
    for (c = s->clients; c != NULL; c = next) {
        next = c->next;
        if (c->fd >= 0) {
            loop_unwatch(c->watch);
            close(c->fd);
            c->fd = -1;
        }
        c->server = NULL;
        if (!c->busy || c->resume != NULL) { /* answered */
            loop_timer_cancel(c->resume);
            client_free(c);
        }
    }
    free(s->path);
    free(s);
}
