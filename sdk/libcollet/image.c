// SPDX-License-Identifier: MIT
/*
 * Opening a kernel image: an ELF file is mapped as it is, anything packed is unpacked once, into the cache if there is one, and mapped from there.
 *
 * A mapped kernel is only looked at here; the builder hands its bytes to the hypervisor. Whoever cuts the file short while it is open harms those who use it, as with a program that runs.
 * Contract: <collet/collet.h>.  Tests: test-image.c.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOCK_PAUSE_NS (50 * 1000 * 1000)
#define LOCK_TRIES 1200 /* a minute */

struct file_sink {
    struct unpack_sink sink;
    const struct collet *c;
    int fd, error;
    bool cancelled;
};

void collet_set_cancel(struct collet *c, int (*cancelled)(void *arg), void *arg)
{
    c->cancelled = cancelled;
    c->cancel_arg = arg;
}

static bool is_cancelled(const struct collet *c)
{
    return c->cancelled != NULL && c->cancelled(c->cancel_arg) != 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, bytes, count);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -ENOSPC;
        if (n > 0) {
            bytes += n;
            count -= (size_t)n;
        }
    }
    return 0;
}

static int file_take(struct unpack_sink *sink, const void *bytes, size_t count)
{
    struct file_sink *f = (struct file_sink *)sink;

    f->cancelled = is_cancelled(f->c);
    if (f->cancelled)
        return -ECANCELED;
    return f->error = write_all(f->fd, bytes, count);
}

/* 0; or -errno, and *why is NULL if it was the file that could not be written. */
static int unpack_to(const struct collet *c, int fd, const uint8_t *bytes, size_t size, const char **why)
{
    struct file_sink f = {.sink = {.take = file_take, .limit = IMAGE_BYTES_MAX}, .c = c, .fd = fd};
    int rc = unpack(bytes, size, &f.sink, why);

    if (f.cancelled) {
        *why = "its unpacking was cancelled";
        return -ECANCELED;
    }
    if (f.error != 0)
        *why = NULL;
    return rc;
}

struct source {
    const char *path;        /* as asked for */
    char real[PATH_MAX];     /* names it in the cache */
    int fd;
    struct stat status;
    uint8_t *bytes;          /* all of it, when packed */
};

/* False: it changed while it was read; what came out of it is no good for later. */
static bool source_unchanged(const struct source *s)
{
    struct stat now;

    return fstat(s->fd, &now) == 0 && now.st_size == s->status.st_size && memcmp(&now.st_mtim, &s->status.st_mtim, sizeof(now.st_mtim)) == 0 &&
           memcmp(&now.st_ctim, &s->status.st_ctim, sizeof(now.st_ctim)) == 0;
}

static bool is_sound(int fd);

/* Into the cache: the descriptor, or -errno (*why as for unpack_to). */
static int unpack_to_cache(const struct collet *c, const struct source *s, const char *folder, const uint8_t *bytes, size_t size, const char **why)
{
    struct cache_entry entry;
    int rc = cache_begin(folder, &entry);

    *why = NULL;
    if (rc != 0)
        return rc;
    rc = unpack_to(c, entry.fd, bytes, size, why);
    if (rc == 0 && source_unchanged(s) && is_sound(entry.fd))
        cache_keep(&entry, s->real, &s->status);
    else
        cache_forget(&entry);
    if (rc == 0)
        return entry.fd;
    close(entry.fd);
    return rc;
}

static int unpack_to_memory(const struct collet *c, const uint8_t *bytes, size_t size, const char **why)
{
    int fd = memfd_create("collet-kernel", MFD_CLOEXEC), rc;

    *why = NULL;
    if (fd < 0)
        return -errno;
    rc = unpack_to(c, fd, bytes, size, why);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

static int read_all(struct collet *c, struct source *s)
{
    size_t size = (size_t)s->status.st_size, at = 0;

    s->bytes = malloc(size + 1);
    if (s->bytes == NULL)
        return collet_fail(c, -ENOMEM, "out of memory to read kernel %s", s->path);
    while (at < size) {
        ssize_t n = pread(s->fd, s->bytes + at, size - at, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return collet_fail(c, -errno, "cannot read kernel %s: %s", s->path, strerror(errno));
        if (n == 0)
            return collet_fail(c, -ENOEXEC, "kernel %s: it became shorter while it was read", s->path);
        at += (size_t)n;
    }
    return 0;
}

/* The ELF file within a packed one: a descriptor, or -errno with a sentence. */
static int unpack_source(struct collet *c, struct source *s, const char *folder)
{
    const uint8_t *payload;
    const char *why = NULL;
    size_t bytes;
    int rc = read_all(c, s), fd = -1;

    if (rc != 0)
        return rc;
    rc = bzimage_payload(s->bytes, (size_t)s->status.st_size, &payload, &bytes, &why);
    if (rc == -ENOEXEC)
        return collet_fail(c, rc, "kernel %s: %s", s->path, why);
    if (rc == -ENOENT) { /* packed as a whole */
        payload = s->bytes;
        bytes = (size_t)s->status.st_size;
    }
    why = NULL;
    if (folder != NULL)
        fd = unpack_to_cache(c, s, folder, payload, bytes, &why);
    if (fd < 0 && why == NULL)
        fd = unpack_to_memory(c, payload, bytes, &why);
    if (fd >= 0)
        return fd;
    if (why == NULL)
        return collet_fail(c, fd, "kernel %s: there is no room to unpack it: %s", s->path, strerror(-fd));
    return collet_fail(c, fd == -ENOMEM || fd == -ECANCELED ? fd : -ENOEXEC, "kernel %s: %s", s->path, why);
}

/* Takes fd, also on failure. */
static int map_image(int fd, struct collet_image *image, const char **why)
{
    struct stat s;
    void *at;

    image->fd = fd;
    image->bytes = NULL;
    *why = "it cannot be mapped";
    if (fstat(fd, &s) != 0)
        goto failed;
    *why = "it is empty";
    if (s.st_size == 0)
        goto failed;
    *why = "it is too large for a kernel";
    if ((uint64_t)s.st_size > IMAGE_BYTES_MAX)
        goto failed;
    image->size = (size_t)s.st_size;
    at = mmap(NULL, image->size, PROT_READ, MAP_SHARED, fd, 0);
    *why = "it cannot be mapped";
    if (at == MAP_FAILED)
        goto failed;
    image->bytes = at;
    *why = elf_image_parse(image->bytes, image->size, &image->elf);
    if (*why == NULL)
        return 0;
    munmap(at, image->size);
failed:
    close(fd);
    image->fd = -1;
    return -ENOEXEC;
}

static bool is_sound(int fd)
{
    struct collet_image image;
    const char *why;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0 || map_image(copy, &image, &why) != 0)
        return false;
    munmap((void *)(uintptr_t)image.bytes, image.size);
    close(image.fd);
    return true;
}

static int source_open(struct collet *c, const char *path, struct source *s)
{
    s->path = path;
    s->bytes = NULL;
    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (s->fd < 0)
        return collet_fail(c, -errno, "cannot open kernel %s: %s", path, strerror(errno));
    if (fstat(s->fd, &s->status) != 0)
        return collet_fail(c, -errno, "cannot read kernel %s: %s", path, strerror(errno));
    if (!S_ISREG(s->status.st_mode))
        return collet_fail(c, -ENOEXEC, "kernel %s: it is not a regular file", path);
    if ((uint64_t)s->status.st_size > IMAGE_BYTES_MAX)
        return collet_fail(c, -ENOEXEC, "kernel %s: it is too large for a kernel", path);
    if (realpath(path, s->real) == NULL)
        snprintf(s->real, sizeof(s->real), "%s", path);
    return 0;
}

static bool is_packed(const struct source *s)
{
    uint8_t head[1024];
    ssize_t n = pread(s->fd, head, sizeof(head), 0);
    const uint8_t *payload;
    const char *why;
    size_t bytes;

    if (n <= 0)
        return false;
    if (unpack_form(head, (size_t)n) != NULL)
        return true;
    /* The head alone makes it a bzImage, if a short one. */
    return bzimage_payload(head, (size_t)n, &payload, &bytes, &why) != -ENOENT;
}

/*
 * One unpacks a kernel at a time, so that ten creations of a new kernel unpack it once. The lock is on the kernel's own file: it leaves nothing behind, ends with its holder, and
 * other kernels do not wait. Polled, with an end: a holder that has been stopped must not stop others for ever.
 */
static void source_lock(const struct collet *c, const struct source *s)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

    for (int tries = 0; flock(s->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK && tries < LOCK_TRIES && !is_cancelled(c); tries++)
        nanosleep(&pause, NULL);
}

static bool image_from_cache(const struct source *s, const char *folder, struct collet_image *image)
{
    const char *why;
    int fd = folder != NULL ? cache_find(folder, s->real, &s->status) : -ENOENT;

    return fd >= 0 && map_image(fd, image, &why) == 0;
}

/* Takes fd. */
static int image_from_file(struct collet *c, const struct source *s, int fd, struct collet_image *image)
{
    const char *why;

    if (fd < 0)
        return fd;
    if (map_image(fd, image, &why) != 0)
        return collet_fail(c, -ENOEXEC, "kernel %s: %s", s->path, why);
    return 0;
}

static int image_from_source(struct collet *c, struct source *s, const char *folder, struct collet_image *image)
{
    int fd = s->fd;

    if (!is_packed(s)) {
        s->fd = -1;
        return image_from_file(c, s, fd, image);
    }
    if (image_from_cache(s, folder, image))
        return 0;
    if (folder != NULL) {
        source_lock(c, s); /* until the file is closed */
        if (image_from_cache(s, folder, image)) /* somebody has been at it */
            return 0;
    }
    return image_from_file(c, s, unpack_source(c, s, folder), image); /* in place of a damaged entry, too */
}

int collet_image_open(struct collet *c, const char *path, const char *cache_folder, struct collet_image **image)
{
    struct collet_image *made = calloc(1, sizeof(*made));
    struct source *s = malloc(sizeof(*s));
    int rc = 0;

    *image = NULL;
    if (made != NULL)
        made->path = strdup(path);
    if (s == NULL || made == NULL || made->path == NULL)
        rc = collet_fail(c, -ENOMEM, "out of memory");
    if (rc == 0) {
        rc = source_open(c, path, s);
        if (rc == 0)
            rc = image_from_source(c, s, cache_folder, made);
        if (s->fd >= 0)
            close(s->fd);
        free(s->bytes);
    }
    free(s);
    if (rc == 0) {
        *image = made;
        return 0;
    }
    if (made != NULL)
        free(made->path);
    free(made);
    return rc;
}

void collet_image_close(struct collet_image *image)
{
    if (image == NULL)
        return;
    munmap((void *)(uintptr_t)image->bytes, image->size);
    close(image->fd);
    free(image->path);
    free(image);
}
