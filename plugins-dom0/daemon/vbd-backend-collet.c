// SPDX-License-Identifier: MIT
/*
 * The real backend of virtual block devices.
 *
 * A connection to xenstored of its own: libxenstore starts a thread for one that has watches, and everything else stays as it was on the other. To disconnect or to destroy a VBD lasts until the disk has
 * answered what it was asked, so a thread does it, with a libcollet handle of its own, and tells the loop through a pipe.
 * Contract: vbd-backend.h.
 */
#include "vbd-backend-collet.h"
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

/* A VBD that is being ended. */
struct ending {
    struct ending *next;
    struct vbd_backend_collet *b;
    uint32_t vbd;
    bool destroy;
    vbd_end_done *done;
    void *arg;
    pthread_t thread;
    int rc;
    char text[300];
};

struct vbd_backend_collet {
    struct vbd_backend backend;
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

static int hypervisor(struct vbd_backend_collet *b, int rc)
{
    if (rc < 0)
        snprintf(b->error, sizeof(b->error), "%s", collet_error(b->collet));
    return rc;
}

static int xenstore(struct vbd_backend_collet *b, const char *path, bool good)
{
    int error = errno != 0 ? errno : EIO;

    if (good)
        return 0;
    snprintf(b->error, sizeof(b->error), "XenStore, %.150s: %s", path, b->xs == NULL ? "xenstored has ended (guests go on; a new one is being started)" : strerror(error));
    errno = error;
    return -error;
}

static const char *last_error(void *arg)
{
    struct vbd_backend_collet *b = arg;

    return b->error[0] != '\0' ? b->error : "an unknown error";
}

/* ---- The hypervisor ---- */

static int disks(void *arg, struct collet_disk_info **list)
{
    struct vbd_backend_collet *b = arg;

    return hypervisor(b, collet_disk_list(b->collet, list));
}

static int modules(void *arg, struct sched_catalog *catalog)
{
    struct vbd_backend_collet *b = arg;
    struct collet_sched_module *list = NULL;
    int i, count = hypervisor(b, collet_disk_module_list(b->collet, &list)), params = 0;

    *catalog = (struct sched_catalog){0};
    if (count < 0)
        return count;
    catalog->modules = calloc((size_t)count + 1, sizeof(*catalog->modules));
    for (i = 0; catalog->modules != NULL && params >= 0 && i < count; i++) {
        struct sched_catalog_module *m = &catalog->modules[catalog->count++];

        memcpy(m->name, list[i].name, sizeof(m->name));
        m->active = list[i].active != 0;
        params = hypervisor(b, collet_disk_param_list(b->collet, m->name, &m->params));
        m->param_count = params > 0 ? (unsigned int)params : 0;
    }
    free(list);
    if (params < 0)
        sched_catalog_free(catalog);
    return params < 0 ? params : catalog->modules != NULL ? 0 : -ENOMEM;
}

static int disk_get(void *arg, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed)
{
    struct vbd_backend_collet *b = arg;

    return hypervisor(b, collet_disk_get(b->collet, disk, module, values, count, failed));
}

static int disk_set(void *arg, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed)
{
    struct vbd_backend_collet *b = arg;

    return hypervisor(b, collet_disk_set(b->collet, disk, module, values, count, failed));
}

static int list(void *arg, struct collet_vbd_info **vbds)
{
    struct vbd_backend_collet *b = arg;

    return hypervisor(b, collet_vbd_list(b->collet, ~0u, vbds));
}

static int extents(void *arg, uint32_t vbd, struct collet_extent **list)
{
    struct vbd_backend_collet *b = arg;

    return hypervisor(b, collet_vbd_extents(b->collet, vbd, list));
}

static int create(void *arg, struct collet_vbd_create *create, const struct collet_extent *list)
{
    struct vbd_backend_collet *b = arg;

    return hypervisor(b, collet_vbd_create(b->collet, create, list));
}

static int connect_ring(void *arg, uint32_t vbd, uint32_t ring_ref, uint32_t port)
{
    struct vbd_backend_collet *b = arg;

    return hypervisor(b, collet_vbd_connect(b->collet, vbd, ring_ref, port));
}

static int limits(void *arg, uint32_t vbd, uint64_t requests_per_s, uint64_t bytes_per_s)
{
    struct vbd_backend_collet *b = arg;

    return hypervisor(b, collet_vbd_limits(b->collet, vbd, requests_per_s, bytes_per_s));
}

/* ---- Ending one ---- */

static void *ending_main(void *arg)
{
    struct ending *e = arg;
    struct collet *c = NULL;

    e->rc = collet_open(&c);
    if (e->rc == 0)
        e->rc = e->destroy ? collet_vbd_destroy(c, e->vbd) : collet_vbd_disconnect(c, e->vbd);
    if (e->rc != 0)
        snprintf(e->text, sizeof(e->text), "%s", c != NULL && collet_error(c)[0] != '\0' ? collet_error(c) : strerror(-e->rc));
    collet_close(c);
    if (write(e->b->pipe[1], &e, sizeof(e)) != (ssize_t)sizeof(e))
        log_error("VBD %u: the message of its end is lost: %s", e->vbd, strerror(errno));
    return NULL;
}

static void ending_take_out(struct ending *e)
{
    struct ending **at = &e->b->endings;

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
}

static void pipe_readable(void *arg, uint32_t events)
{
    struct vbd_backend_collet *b = arg;
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

static int end(void *arg, uint32_t vbd, bool destroy, vbd_end_done *done, void *done_arg)
{
    struct vbd_backend_collet *b = arg;
    struct ending *e = calloc(1, sizeof(*e));
    sigset_t all, before;
    int rc = -ENOMEM;

    if (e != NULL) {
        *e = (struct ending){.next = b->endings, .b = b, .vbd = vbd, .destroy = destroy, .done = done, .arg = done_arg};
        /* Signals are for the loop's thread. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        rc = -pthread_create(&e->thread, NULL, ending_main, e);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (rc != 0) {
        free(e);
        snprintf(b->error, sizeof(b->error), "no thread to end VBD %u: %s", vbd, strerror(-rc));
        return rc;
    }
    b->endings = e;
    return 0;
}

/* ---- XenStore ---- */

static bool gone(struct vbd_backend_collet *b)
{
    if (b->xs == NULL)
        errno = ENOTCONN;
    return b->xs == NULL;
}

static char *node_read(void *arg, const char *path)
{
    struct vbd_backend_collet *b = arg;
    char *value;

    errno = 0;
    value = gone(b) ? NULL : xs_read(b->xs, XBT_NULL, path, NULL);
    xenstore(b, path, value != NULL);
    return value;
}

static int node_write(void *arg, const char *path, const char *value)
{
    struct vbd_backend_collet *b = arg;

    errno = 0;
    return xenstore(b, path, !gone(b) && xs_write(b->xs, XBT_NULL, path, value, (unsigned int)strlen(value)));
}

static int node_make(void *arg, const char *path, uint32_t owner, uint32_t reader)
{
    struct vbd_backend_collet *b = arg;
    struct xs_permissions rights[2] = {{.id = owner, .perms = XS_PERM_NONE}, {.id = reader, .perms = XS_PERM_READ}};

    errno = 0;
    return xenstore(b, path, !gone(b) && xs_write(b->xs, XBT_NULL, path, "", 0) && xs_set_permissions(b->xs, XBT_NULL, path, rights, owner == reader ? 1 : 2));
}

static void node_remove(void *arg, const char *path)
{
    struct vbd_backend_collet *b = arg;

    if (b->xs != NULL)
        xs_rm(b->xs, XBT_NULL, path);
}

static char *node_children(void *arg, const char *path)
{
    struct vbd_backend_collet *b = arg;
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
    struct vbd_backend_collet *b = arg;

    errno = 0;
    return xenstore(b, path, !gone(b) && xs_watch(b->xs, path, token));
}

static void node_unwatch(void *arg, const char *path, const char *token)
{
    struct vbd_backend_collet *b = arg;

    if (b->xs != NULL)
        xs_unwatch(b->xs, path, token);
}

/* A few at a time, so that a guest that writes all the time does not keep the loop. */
static void store_readable(void *arg, uint32_t events)
{
    struct vbd_backend_collet *b = arg;
    unsigned int i;
    char **event;

    (void)events;
    for (i = 0; i < EVENTS_AT_ONCE && b->xs != NULL && (event = xs_check_watch(b->xs)) != NULL; i++) {
        b->fired(b->arg, event[XS_WATCH_TOKEN]);
        free(event);
    }
    if (i == 0 && b->xs != NULL && !store_listens())
        vbd_backend_store_close(b); /* readable, and nothing there: it has ended */
}

int vbd_backend_store_open(struct vbd_backend_collet *b)
{
    vbd_backend_store_close(b);
    if (!store_listens() || (b->xs = xs_open(XS_UNWATCH_FILTER)) == NULL)
        return xenstore(b, "its socket", false);
    /* The first watch starts libxenstore's thread, which the descriptor below belongs to. */
    xs_watch(b->xs, "/tool/collet", "none");
    b->watch = loop_watch(b->loop, xs_fileno(b->xs), EPOLLIN, store_readable, b);
    if (b->watch != NULL)
        return 0;
    vbd_backend_store_close(b);
    return -ENOMEM;
}

void vbd_backend_store_close(struct vbd_backend_collet *b)
{
    loop_unwatch(b->watch);
    b->watch = NULL;
    if (b->xs != NULL)
        xs_close(b->xs);
    b->xs = NULL;
}

const struct vbd_backend *vbd_backend_of(struct vbd_backend_collet *b)
{
    return &b->backend;
}

struct vbd_backend_collet *vbd_backend_create(struct loop *loop, struct collet *collet, void (*fired)(void *arg, const char *token), void *arg)
{
    struct vbd_backend_collet *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    *b = (struct vbd_backend_collet){.loop = loop, .collet = collet, .fired = fired, .arg = arg, .pipe = {-1, -1}};
    b->backend = (struct vbd_backend){.arg = b,
                                      .error = last_error,
                                      .disks = disks,
                                      .modules = modules,
                                      .disk_get = disk_get,
                                      .disk_set = disk_set,
                                      .list = list,
                                      .extents = extents,
                                      .create = create,
                                      .connect = connect_ring,
                                      .limits = limits,
                                      .end = end,
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
        vbd_backend_destroy(b);
        return NULL;
    }
    return b;
}

void vbd_backend_destroy(struct vbd_backend_collet *b)
{
    struct ending *e;

    if (b == NULL)
        return;
    vbd_backend_store_close(b);
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
