// SPDX-License-Identifier: MIT
/*
 * What the backends of disks and of network interfaces share on the real machine.
 *
 * A connection to xenstored of its own: libxenstore starts a thread for one that has watches, and everything else stays as it was on the other. To disconnect or to destroy a device lasts until the hardware
 * has answered what it was asked, so a thread does it, with a libcollet handle of its own, and tells the loop through a pipe.
 * Contract: device-link.h, nodes.h.
 */
#include "device-link.h"
#include "log.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <xenstore.h>

#define EVENTS_AT_ONCE 256

/* A device that is being ended. */
struct ending {
    struct ending *next;
    struct device_link *link;
    uint32_t id;
    device_end_call *call;
    device_end_done *done;
    void *arg;
    pthread_t thread;
    int rc;
    char text[300];
};

struct device_link {
    struct nodes nodes;
    struct loop *loop;
    struct collet *collet;
    void (*fired)(void *arg, const char *token);
    void *arg;
    char error[300];

    struct xs_handle *xs;
    struct loop_watch *watch;

    struct ending *endings;
    int pipe[2];
    struct loop_watch *pipe_watch;
};

struct collet *device_link_collet(struct device_link *b)
{
    return b->collet;
}

int device_link_answer(struct device_link *b, int rc)
{
    if (rc < 0)
        snprintf(b->error, sizeof(b->error), "%s", collet_error(b->collet));
    return rc;
}

static int xenstore(struct device_link *b, const char *path, bool good)
{
    int error = errno != 0 ? errno : EIO;

    if (good)
        return 0;
    snprintf(b->error, sizeof(b->error), "XenStore, %.150s: %s", path, b->xs == NULL ? "xenstored has ended (guests go on; a new one is being started)" : strerror(error));
    errno = error;
    return -error;
}

const char *device_link_error(void *arg)
{
    struct device_link *b = arg;

    return b->error[0] != '\0' ? b->error : "an unknown error";
}

/* ---- Ending one ---- */

static void *ending_main(void *arg)
{
    struct ending *e = arg;
    struct collet *c = NULL;

    e->rc = collet_open(&c);
    if (e->rc == 0)
        e->rc = e->call(c, e->id);
    if (e->rc != 0)
        snprintf(e->text, sizeof(e->text), "%s", c != NULL && collet_error(c)[0] != '\0' ? collet_error(c) : strerror(-e->rc));
    collet_close(c);
    if (write(e->link->pipe[1], &e, sizeof(e)) != (ssize_t)sizeof(e))
        log_error("device %u: the message of its end is lost: %s", e->id, strerror(errno));
    return NULL;
}

static void ending_take_out(struct ending *e)
{
    struct ending **at = &e->link->endings;

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
}

static void pipe_readable(void *arg, uint32_t events)
{
    struct device_link *b = arg;
    struct ending *e;

    (void)events;
    while (read(b->pipe[0], &e, sizeof(e)) == (ssize_t)sizeof(e)) {
        pthread_join(e->thread, NULL);
        ending_take_out(e);
        if (e->done != NULL)
            e->done(e->arg, e->rc, e->text);
        free(e);
    }
}

int device_link_end(struct device_link *b, uint32_t id, device_end_call *call, device_end_done *done, void *done_arg)
{
    struct ending *e = calloc(1, sizeof(*e));
    sigset_t all, before;
    int rc = -ENOMEM;

    if (e != NULL) {
        *e = (struct ending){.next = b->endings, .link = b, .id = id, .call = call, .done = done, .arg = done_arg};
        /* Signals are for the loop's thread. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        rc = -pthread_create(&e->thread, NULL, ending_main, e);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (rc != 0) {
        free(e);
        snprintf(b->error, sizeof(b->error), "no thread to end device %u: %s", id, strerror(-rc));
        return rc;
    }
    b->endings = e;
    return 0;
}

/* ---- XenStore ---- */

static bool gone(struct device_link *b)
{
    if (b->xs == NULL)
        errno = ENOTCONN;
    return b->xs == NULL;
}

static char *node_read(void *arg, const char *path)
{
    struct device_link *b = arg;
    char *value;

    errno = 0;
    value = gone(b) ? NULL : xs_read(b->xs, XBT_NULL, path, NULL);
    xenstore(b, path, value != NULL);
    return value;
}

static int node_write(void *arg, const char *path, const char *value)
{
    struct device_link *b = arg;

    errno = 0;
    return xenstore(b, path, !gone(b) && xs_write(b->xs, XBT_NULL, path, value, (unsigned int)strlen(value)));
}

static int node_make(void *arg, const char *path, uint32_t owner, uint32_t reader)
{
    struct device_link *b = arg;
    struct xs_permissions rights[2] = {{.id = owner, .perms = XS_PERM_NONE}, {.id = reader, .perms = XS_PERM_READ}};

    errno = 0;
    return xenstore(b, path, !gone(b) && xs_write(b->xs, XBT_NULL, path, "", 0) && xs_set_permissions(b->xs, XBT_NULL, path, rights, owner == reader ? 1 : 2));
}

static void node_remove(void *arg, const char *path)
{
    struct device_link *b = arg;

    if (b->xs != NULL)
        xs_rm(b->xs, XBT_NULL, path);
}

static char *node_children(void *arg, const char *path)
{
    struct device_link *b = arg;
    unsigned int i, count = 0;
    char **names = gone(b) ? NULL : xs_directory(b->xs, XBT_NULL, path, &count), *text = NULL;
    size_t bytes = 0;
    FILE *out;

    if (names == NULL)
        return NULL;
    out = open_memstream(&text, &bytes);
    for (i = 0; out != NULL && i < count; i++)
        fprintf(out, "%s\n", names[i]);
    if (out != NULL)
        fclose(out);
    free(names);
    return text;
}

static int node_watch(void *arg, const char *path, const char *token)
{
    struct device_link *b = arg;

    errno = 0;
    return xenstore(b, path, !gone(b) && xs_watch(b->xs, path, token));
}

static void node_unwatch(void *arg, const char *path, const char *token)
{
    struct device_link *b = arg;

    if (b->xs != NULL)
        xs_unwatch(b->xs, path, token);
}

/* A few at a time, so that a guest that writes all the time does not keep the loop. */
static void store_readable(void *arg, uint32_t events)
{
    struct device_link *b = arg;
    unsigned int i;
    char **event;

    (void)events;
    for (i = 0; i < EVENTS_AT_ONCE && b->xs != NULL && (event = xs_check_watch(b->xs)) != NULL; i++) {
        b->fired(b->arg, event[XS_WATCH_TOKEN]);
        free(event);
    }
    if (i == 0 && b->xs != NULL && !store_listens())
        device_link_store_close(b); /* readable, and nothing there: it has ended */
}

int device_link_store_open(struct device_link *b)
{
    device_link_store_close(b);
    if (!store_listens() || (b->xs = xs_open(XS_UNWATCH_FILTER)) == NULL)
        return xenstore(b, "its socket", false);
    /* The first watch starts libxenstore's thread, which the descriptor below belongs to. */
    xs_watch(b->xs, "/tool/collet", "none");
    b->watch = loop_watch(b->loop, xs_fileno(b->xs), EPOLLIN, store_readable, b);
    if (b->watch != NULL)
        return 0;
    device_link_store_close(b);
    return -ENOMEM;
}

void device_link_store_close(struct device_link *b)
{
    loop_unwatch(b->watch);
    b->watch = NULL;
    if (b->xs != NULL)
        xs_close(b->xs);
    b->xs = NULL;
}

const struct nodes *device_link_nodes(struct device_link *b)
{
    return &b->nodes;
}

struct device_link *device_link_create(struct loop *loop, struct collet *collet, void (*fired)(void *arg, const char *token), void *arg)
{
    struct device_link *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    *b = (struct device_link){.loop = loop, .collet = collet, .fired = fired, .arg = arg, .pipe = {-1, -1}};
    b->nodes = (struct nodes){.arg = b,
                              .error = device_link_error,
                              .read = node_read,
                              .write = node_write,
                              .make = node_make,
                              .remove = node_remove,
                              .children = node_children,
                              .watch = node_watch,
                              .unwatch = node_unwatch};
    if (pipe2(b->pipe, O_CLOEXEC) == 0) {
        fcntl(b->pipe[0], F_SETFL, O_NONBLOCK);
        b->pipe_watch = loop_watch(loop, b->pipe[0], EPOLLIN, pipe_readable, b);
    }
    if (b->pipe_watch == NULL) {
        device_link_destroy(b);
        return NULL;
    }
    return b;
}

void device_link_destroy(struct device_link *b)
{
    struct ending *e;

    if (b == NULL)
        return;
    device_link_store_close(b);
    loop_unwatch(b->pipe_watch);
    while ((e = b->endings) != NULL) {
        pthread_join(e->thread, NULL);
        b->endings = e->next;
        free(e);
    }
    if (b->pipe[0] >= 0) {
        close(b->pipe[0]);
        close(b->pipe[1]);
    }
    free(b);
}
