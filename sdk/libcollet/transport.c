// SPDX-License-Identifier: MIT
/*
 * libcollet's transport over Linux: /dev/xen/privcmd carries hypercalls and mappings, /dev/xen/hypercall gives memory for their arguments, /dev/xen/evtchn virtual IRQs.
 *
 * The hypervisor reaches the caller's memory only while it is present. Pages of /dev/xen/hypercall are the kernel's own and never move; where that device is missing, locked
 * anonymous memory serves nearly as well (the kernel may still move a page; callers retry after -EFAULT).
 * Contract: internal.h.  Tests: tests/boot/domains (it needs the real thing).
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/xen.h>

#include <xen/sys/evtchn.h>
#include <xen/sys/privcmd.h>

struct linux_state {
    int privcmd, hypercall; /* hypercall: -1 if there is no such device */
};

static long linux_hypercall(void *state, uint64_t op, uint64_t arg, uint64_t bytes, uint64_t version)
{
    struct linux_state *s = state;
    privcmd_hypercall_t call = {.op = COLLET_HYPERCALL, .arg = {op, arg, bytes, version}};
    int rc = ioctl(s->privcmd, IOCTL_PRIVCMD_HYPERCALL, &call);

    return rc < 0 ? -errno : rc;
}

static void *linux_memory(void *state, size_t bytes)
{
    struct linux_state *s = state;
    void *at = MAP_FAILED;

    if (s->hypercall >= 0)
        at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->hypercall, 0);
    if (at != MAP_FAILED) {
        memset(at, 0, bytes);
        return at;
    }
    at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    (void)mlock(at, bytes); /* not allowed to: then present as long as memory is not short */
    (void)madvise(at, bytes, MADV_DONTFORK);
    return at;
}

static void linux_memory_free(void *state, void *memory, size_t bytes)
{
    (void)state;
    munmap(memory, bytes);
}

static void *linux_map(void *state, uint32_t domid, const uint64_t *mfns, size_t count)
{
    struct linux_state *s = state;
    size_t bytes = count * PAGE_BYTES;
    privcmd_mmapbatch_v2_t batch = {.num = (unsigned int)count, .dom = (domid_t)domid, .arr = (const xen_pfn_t *)mfns};
    int *errors = calloc(count, sizeof(*errors));
    void *at = errors == NULL ? MAP_FAILED : mmap(NULL, bytes, PROT_READ, MAP_SHARED, s->privcmd, 0);
    int why = errno;

    if (at != MAP_FAILED) {
        batch.addr = (uintptr_t)at;
        batch.err = errors;
        if (ioctl(s->privcmd, IOCTL_PRIVCMD_MMAPBATCH_V2, &batch) != 0) {
            why = errno;
            munmap(at, bytes);
            at = MAP_FAILED;
        }
    }
    free(errors);
    errno = why;
    return at == MAP_FAILED ? NULL : at;
}

static int linux_virq(void *state, unsigned int virq, uint32_t *port)
{
    struct ioctl_evtchn_bind_virq bind = {.virq = virq};
    int fd = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC | O_NONBLOCK), rc;

    (void)state;
    if (fd < 0)
        return -errno;
    rc = ioctl(fd, IOCTL_EVTCHN_BIND_VIRQ, &bind);
    if (rc < 0) {
        rc = -errno;
        close(fd);
        return rc;
    }
    *port = (uint32_t)rc;
    return fd;
}

static void linux_close(void *state)
{
    struct linux_state *s = state;

    if (s->hypercall >= 0)
        close(s->hypercall);
    close(s->privcmd);
    free(s);
}

static const struct transport transport_linux = {
    .hypercall = linux_hypercall,
    .memory = linux_memory,
    .memory_free = linux_memory_free,
    .map = linux_map,
    .virq = linux_virq,
    .close = linux_close,
};

static int open_failed(struct collet *c, int rc)
{
    switch (rc) {
    case -EACCES:
    case -EPERM:
        return collet_fail(c, rc, "may not open /dev/xen/privcmd: run this as root");
    case -ENOENT:
    case -ENODEV:
    case -ENXIO:
        if (access("/proc/xen", F_OK) != 0 && access("/sys/hypervisor", F_OK) != 0)
            return collet_fail(c, rc, "there is no /dev/xen/privcmd: this is not Domain0 under Collet; run it there");
        return collet_fail(c, rc, "there is no /dev/xen/privcmd: load its kernel module first (modprobe xen-privcmd), in Domain0");
    default:
        return collet_fail(c, rc, "cannot open /dev/xen/privcmd: %s", strerror(-rc));
    }
}

int transport_linux_open(struct collet *c)
{
    struct linux_state *s = calloc(1, sizeof(*s));
    int rc;

    if (s == NULL)
        return collet_fail(c, -ENOMEM, "out of memory");
    s->privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
    if (s->privcmd < 0) {
        rc = -errno;
        free(s);
        return open_failed(c, rc);
    }
    s->hypercall = open("/dev/xen/hypercall", O_RDWR | O_CLOEXEC);
    c->transport = &transport_linux;
    c->state = s;
    return 0;
}
