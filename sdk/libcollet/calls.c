// SPDX-License-Identifier: MIT
/*
 * libcollet's operations other than building: the machine, domains, schedulers. Each is one operation of <collet/control.h>, or one list read to its end.
 *
 * Contract: <collet/collet.h>.  Tests: test-calls.c.  Page: docs/reference/libcollet.md.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- The machine ---- */

int collet_version(struct collet *c, struct collet_version *v)
{
    memset(v, 0, sizeof(*v));
    return collet_control(c, COLLET_OP_VERSION, v, sizeof(*v));
}

int collet_machine(struct collet *c, struct collet_machine *m)
{
    memset(m, 0, sizeof(*m));
    return collet_control(c, COLLET_OP_MACHINE, m, sizeof(*m));
}

uint64_t data_address(const struct collet *c)
{
    return (uintptr_t)c->data;
}

long collet_log_read(struct collet *c, uint64_t *position, char *text, size_t bytes)
{
    uint32_t room = bytes < DATA_BYTES ? (uint32_t)bytes : DATA_BYTES;
    struct collet_log_read r = {.from = *position, .buffer = data_address(c), .bytes = room};
    int rc = collet_control(c, COLLET_OP_LOG_READ, &r, sizeof(r));

    if (rc < 0)
        return rc;
    if (r.bytes > room)
        return collet_fail(c, -EPROTO, "the hypervisor answered with more text than there was room for");
    memcpy(text, c->data, r.bytes);
    *position = r.next;
    return r.bytes;
}

#define CHANGES_AT_ONCE 256u /* as <collet/control.h> has it */

int collet_changes(struct collet *c, uint64_t *last, struct collet_change *records, unsigned int room, uint64_t *lost)
{
    unsigned int n = room < CHANGES_AT_ONCE ? room : CHANGES_AT_ONCE;
    struct collet_changes r = {.after = *last, .buffer = data_address(c), .count = n};
    int rc = collet_control(c, COLLET_OP_CHANGES, &r, sizeof(r));

    if (rc < 0)
        return rc;
    if (r.count > n)
        return collet_fail(c, -EPROTO, "the hypervisor answered with more changes than there was room for");
    memcpy(records, c->data, r.count * sizeof(*records));
    if (r.count > 0)
        *last = records[r.count - 1].number;
    else if (*last == ~0ull)
        *last = r.last;
    if (lost != NULL)
        *lost = r.lost;
    return (int)r.count;
}

int collet_changes_fd(struct collet *c)
{
    int fd;

    if (c->changes_fd >= 0)
        return c->changes_fd;
    fd = c->transport->virq(c->state, COLLET_VIRQ_CHANGES, &c->changes_port);
    if (fd >= 0)
        return c->changes_fd = fd;
    if (fd == -EEXIST)
        return collet_fail(c, fd, "another program of Domain0 waits for the hypervisor's changes already (colletd?): only one can");
    if (fd == -ENOENT)
        return collet_fail(c, fd, "there is no /dev/xen/evtchn: load its kernel module first (modprobe xen-evtchn)");
    return collet_fail(c, fd, "cannot wait for the hypervisor's changes: %s", strerror(-fd));
}

/* The port was masked when it was delivered. Whoever reads the descriptor himself loses nothing: writing the port of an unmasked one does no harm. */
int collet_changes_rearm(struct collet *c)
{
    uint32_t ports[16];

    if (c->changes_fd < 0)
        return collet_fail(c, -EBADF, "collet_changes_rearm() without collet_changes_fd()");
    while (read(c->changes_fd, ports, sizeof(ports)) == (ssize_t)sizeof(ports))
        continue;
    if (write(c->changes_fd, &c->changes_port, sizeof(c->changes_port)) != (ssize_t)sizeof(c->changes_port))
        return collet_fail(c, -errno, "cannot wait for the hypervisor's next change: %s", strerror(errno));
    return 0;
}

/* ---- Lists ---- */

uint32_t list_next_by_index(const void *last, uint32_t first, uint32_t count)
{
    (void)last;
    return first + count;
}

int list_read(struct collet *c, const struct list *l, void **entries)
{
    uint32_t room = (uint32_t)(DATA_BYTES / l->entry_bytes), first;
    uint8_t *all = NULL, *more;
    size_t n = 0;
    int rc;

    for (;;) {
        first = *l->first;
        *l->count = room;
        rc = collet_control(c, l->op, l->arg, l->arg_bytes);
        if (rc >= 0 && *l->count > room)
            rc = collet_fail(c, -EPROTO, "the hypervisor answered with a longer list than there was room for");
        if (rc < 0)
            break;
        more = realloc(all, (n + *l->count + 1) * l->entry_bytes); /* one more: never of no bytes */
        if (more == NULL) {
            rc = collet_fail(c, -ENOMEM, "out of memory for a list");
            break;
        }
        all = more;
        memcpy(all + n * l->entry_bytes, c->data, *l->count * l->entry_bytes);
        n += *l->count;
        if (*l->count < room) {
            *entries = all;
            return (int)n;
        }
        *l->first = l->next(all + (n - 1) * l->entry_bytes, first, *l->count);
        if (*l->first <= first) { /* it would never end */
            rc = collet_fail(c, -EPROTO, "the hypervisor's list is not in order");
            break;
        }
    }
    free(all);
    *entries = NULL;
    return rc;
}

static uint32_t next_domain(const void *last, uint32_t first, uint32_t count)
{
    (void)first;
    (void)count;
    return ((const struct collet_domain_info *)last)->domid + 1;
}

int collet_domains(struct collet *c, struct collet_domain_info **domains)
{
    struct collet_domain_list arg = {.buffer = data_address(c), .entry_bytes = sizeof(**domains)};
    struct list l = {COLLET_OP_DOMAIN_LIST, &arg, sizeof(arg), &arg.first_domid, &arg.count, sizeof(**domains), next_domain};

    return list_read(c, &l, (void **)domains);
}

int collet_domain_info(struct collet *c, uint32_t domid, struct collet_domain_info *info)
{
    struct collet_domain_list arg = {.first_domid = domid, .count = 1, .buffer = data_address(c), .entry_bytes = sizeof(*info)};
    int rc = collet_control(c, COLLET_OP_DOMAIN_LIST, &arg, sizeof(arg));

    if (rc < 0)
        return rc;
    memcpy(info, c->data, sizeof(*info));
    if (arg.count == 0 || info->domid != domid)
        return collet_fail(c, -ESRCH, "there is no domain %u", domid);
    return 0;
}

bool number_parse(const char *text, uint32_t *number)
{
    uint64_t n = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        n = n * 10 + (uint64_t)(*text - '0');
        if (n > UINT32_MAX)
            return false;
    }
    *number = (uint32_t)n;
    return true;
}

/* Names first: a domain may be called "7". One that is being destroyed is found only if no other has its name. */
int collet_domain_find(struct collet *c, const char *name_or_id, struct collet_domain_info *info)
{
    const struct collet_domain_info *found = NULL, *d;
    struct collet_domain_info *all;
    uint32_t domid = 0;
    int n = collet_domains(c, &all);
    bool is_number = number_parse(name_or_id, &domid);

    if (n < 0)
        return n;
    for (d = all; d < all + n; d++)
        if (strncmp(d->name, name_or_id, sizeof(d->name)) == 0 && (found == NULL || (found->flags & COLLET_DOMAIN_DYING)))
            found = d;
    for (d = all; is_number && found == NULL && d < all + n; d++)
        if (d->domid == domid)
            found = d;
    if (found != NULL)
        *info = *found;
    free(all);
    return found != NULL ? 0 : collet_fail(c, -ESRCH, "there is no domain \"%.64s\"", name_or_id);
}

static uint32_t next_vcpu(const void *last, uint32_t first, uint32_t count)
{
    (void)first;
    (void)count;
    return ((const struct collet_vcpu_info *)last)->vcpu + 1;
}

int collet_vcpus(struct collet *c, uint32_t domid, struct collet_vcpu_info **vcpus)
{
    struct collet_vcpu_list arg = {.domid = domid, .buffer = data_address(c), .entry_bytes = sizeof(**vcpus)};
    struct list l = {COLLET_OP_VCPU_LIST, &arg, sizeof(arg), &arg.first_vcpu, &arg.count, sizeof(**vcpus), next_vcpu};

    return list_read(c, &l, (void **)vcpus);
}

/* ---- Domains ---- */

int collet_domain_pages(struct collet *c, uint32_t domid, struct collet_domain_pages *pages)
{
    memset(pages, 0, sizeof(*pages));
    pages->domid = domid;
    return collet_control(c, COLLET_OP_DOMAIN_PAGES, pages, sizeof(*pages));
}

static int domain_ref(struct collet *c, enum collet_op op, uint32_t domid)
{
    struct collet_domain_ref arg = {.domid = domid};

    return collet_control(c, op, &arg, sizeof(arg));
}

int collet_domain_unpause(struct collet *c, uint32_t domid)
{
    return domain_ref(c, COLLET_OP_DOMAIN_UNPAUSE, domid);
}

int collet_domain_pause(struct collet *c, uint32_t domid)
{
    return domain_ref(c, COLLET_OP_DOMAIN_PAUSE, domid);
}

#define NAP_MIN_US 200u /* a device needs about so long for a request */
#define NAP_MAX_US 10000u
#define WORK_NS    2000000u /* a call that took so long has got on by itself, as one that gives back memory does */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void patience_begin(struct patience *p, unsigned int limit_ms)
{
    p->called_ns = now_ns();
    p->until_ns = p->called_ns + limit_ms * 1000000ull;
    p->nap_us = NAP_MIN_US;
}

bool patience_again(struct patience *p, int rc)
{
    uint64_t now = now_ns();

    if (rc != -EINTR || now >= p->until_ns)
        return false;
    if (now - p->called_ns >= WORK_NS) {
        p->nap_us = NAP_MIN_US;
    } else {
        usleep(p->nap_us);
        p->nap_us = p->nap_us * 5 / 4 < NAP_MAX_US ? p->nap_us * 5 / 4 : NAP_MAX_US;
    }
    p->called_ns = now_ns();
    return true;
}

int collet_domain_destroy_within(struct collet *c, uint32_t domid, unsigned int limit_ms)
{
    struct patience p;
    int rc;

    patience_begin(&p, limit_ms);
    do
        rc = domain_ref(c, COLLET_OP_DOMAIN_DESTROY, domid);
    while (patience_again(&p, rc));
    if (rc == -EINTR)
        return collet_fail(c, -ETIMEDOUT, "domain %u: a disk or a network card still has requests of it after %u ms; it is dying, and to destroy it again goes on with that", domid, limit_ms);
    return rc;
}

int collet_domain_destroy(struct collet *c, uint32_t domid)
{
    return collet_domain_destroy_within(c, domid, END_LIMIT_MS);
}

bool name_set(char to[COLLET_NAME_MAX], const char *name)
{
    size_t n = strlen(name);

    if (n >= COLLET_NAME_MAX)
        return false;
    memset(to, 0, COLLET_NAME_MAX);
    memcpy(to, name, n);
    return true;
}

int collet_domain_rename(struct collet *c, uint32_t domid, const char *name)
{
    struct collet_domain_rename arg = {.domid = domid};

    if (!name_set(arg.name, name))
        return collet_explain(c, COLLET_OP_DOMAIN_RENAME, -EINVAL);
    return collet_control(c, COLLET_OP_DOMAIN_RENAME, &arg, sizeof(arg));
}

int collet_domain_memory_max(struct collet *c, uint32_t domid, uint64_t frames)
{
    struct collet_domain_memory_max arg = {.domid = domid, .frames_max = frames};

    return collet_control(c, COLLET_OP_DOMAIN_MEMORY_MAX, &arg, sizeof(arg));
}

int collet_vcpu_affinity(struct collet *c, uint32_t domid, uint32_t vcpu, uint64_t affinity)
{
    struct collet_vcpu_affinity arg = {.domid = domid, .vcpu = vcpu, .affinity = affinity};

    return collet_control(c, COLLET_OP_VCPU_AFFINITY, &arg, sizeof(arg));
}

/* ---- Schedulers ---- */

int collet_sched_modules(struct collet *c, struct collet_sched_module **modules)
{
    struct collet_sched_list arg = {.buffer = data_address(c)};
    struct list l = {COLLET_OP_SCHED_LIST, &arg, sizeof(arg), &arg.first, &arg.count, sizeof(**modules), list_next_by_index};

    return list_read(c, &l, (void **)modules);
}

static int module_unknown(struct collet *c, const char *module)
{
    return collet_fail(c, -ENOENT, "there is no scheduler \"%.64s\"", module);
}

int collet_sched_params(struct collet *c, const char *module, struct collet_sched_param **params)
{
    struct collet_sched_param_list arg = {.buffer = data_address(c)};
    struct list l = {COLLET_OP_SCHED_PARAM_LIST, &arg, sizeof(arg), &arg.first, &arg.count, sizeof(**params), list_next_by_index};

    *params = NULL;
    if (module != NULL && !name_set(arg.module, module))
        return module_unknown(c, module);
    return list_read(c, &l, (void **)params);
}

int collet_sched_status(struct collet *c, struct collet_sched_status *status)
{
    memset(status, 0, sizeof(*status));
    return collet_control(c, COLLET_OP_SCHED_STATUS, status, sizeof(*status));
}

int collet_sched_use(struct collet *c, const char *module)
{
    struct collet_sched_use arg;
    int rc;

    if (!name_set(arg.module, module))
        return module_unknown(c, module);
    rc = collet_control(c, COLLET_OP_SCHED_USE, &arg, sizeof(arg));
    return rc == -ENOENT ? module_unknown(c, module) : rc;
}

static_assert(COLLET_SCHED_VALUES_MAX * sizeof(struct collet_sched_value) <= DATA_BYTES, "a whole set fits");

static int sched_values(struct collet *c, enum collet_op op, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed)
{
    struct collet_sched_values arg = {.buffer = data_address(c), .count = count, .failed = count};
    int rc;

    if (failed != NULL)
        *failed = count;
    if (count > COLLET_SCHED_VALUES_MAX)
        return collet_fail(c, -EINVAL, "at most %u scheduler parameters at a time", COLLET_SCHED_VALUES_MAX);
    if (module != NULL && !name_set(arg.module, module))
        return module_unknown(c, module);
    memcpy(c->data, values, count * sizeof(*values));
    rc = collet_control(c, op, &arg, sizeof(arg));
    if (rc < 0 && arg.failed < count) {
        if (failed != NULL)
            *failed = arg.failed;
        collet_fail(c, rc, "%.31s: %s", values[arg.failed].name, collet_reason(rc == -EINVAL ? COLLET_OP_SCHED_GET : op, rc)); /* -EINVAL: its scope, of one entry; their sense, of all */
    }
    if (rc >= 0 && op == COLLET_OP_SCHED_GET)
        memcpy(values, c->data, count * sizeof(*values));
    return rc;
}

int collet_sched_get(struct collet *c, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed)
{
    return sched_values(c, COLLET_OP_SCHED_GET, module, values, count, failed);
}

int collet_sched_set(struct collet *c, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed)
{
    return sched_values(c, COLLET_OP_SCHED_SET, module, values, count, failed);
}
