// SPDX-License-Identifier: MIT
/*
 * What a stock PV guest and the stock console daemon want to find in XenStore.
 *
 * A guest may write only the nodes listed with OWNED: those that its kernel writes by itself.
 * libxenstore would open the kernel's device and wait for ever if nobody listened on the socket; so the socket is tried first.
 * Contract: store.h.
 */
#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenstore.h>

#define PATH_BYTES 256
#define CONSOLE_LIMIT "1048576" /* bytes that xenconsoled keeps for a reader who does not read */
#define RUN_SOCKET "/run/xenstored/socket"

struct store {
    struct xs_handle *xs;
    char error[200];
};

const char *store_error(const struct store *s)
{
    return s != NULL ? s->error : "no memory";
}

__attribute__((format(printf, 2, 3))) static int fail(struct store *s, const char *format, ...)
{
    int error = errno != 0 ? errno : EIO;
    size_t length;
    va_list args;

    va_start(args, format);
    vsnprintf(s->error, sizeof(s->error), format, args);
    va_end(args);
    length = strlen(s->error);
    if (error == EPIPE || error == ECONNRESET || error == EBADF || error == ECONNREFUSED)
        snprintf(s->error + length, sizeof(s->error) - length, ": xenstored has ended (guests go on; a new one is being started)");
    else
        snprintf(s->error + length, sizeof(s->error) - length, ": %s", strerror(error));
    return -error;
}

/* ---- Connecting ---- */

bool store_listens(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = RUN_SOCKET};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

    if (fd >= 0)
        close(fd);
    return answers;
}

/* Every tool looks for these; the kernel's own are made by xenstored. */
static int domain0_nodes(struct store *s)
{
    static const char *const nodes[][2] = {{"/local/domain/0/domid", "0"}, {"/local/domain/0/name", "Domain-0"}, {"/tool/xenstored", ""}};
    char *there;
    size_t i;

    for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        there = xs_read(s->xs, XBT_NULL, nodes[i][0], NULL);
        if (there == NULL && !xs_write(s->xs, XBT_NULL, nodes[i][0], nodes[i][1], (unsigned int)strlen(nodes[i][1])))
            return fail(s, "%s could not be written", nodes[i][0]);
        free(there);
    }
    return 0;
}

int store_open(struct store **store)
{
    struct store *s = calloc(1, sizeof(*s));

    *store = s;
    if (s == NULL)
        return -ENOMEM;
    if (!store_listens())
        return fail(s, "%s", RUN_SOCKET);
    s->xs = xs_open(0);
    if (s->xs == NULL)
        return fail(s, "the connection to xenstored");
    return domain0_nodes(s);
}

void store_close(struct store *s)
{
    if (s != NULL && s->xs != NULL)
        xs_close(s->xs);
    free(s);
}

/* ---- A guest's nodes ---- */

/*
 * INHERITED: as the node above, which is what xenstored gives a new node. READABLE: Domain0 writes, the guest reads; said once for the topmost node. OWNED: the guest writes.
 * Each request is a switch to xenstored and back, so there are as few as can be: no folders by themselves, no transaction (nobody looks before the introduction).
 */
enum owner { INHERITED, READABLE, OWNED };

struct writer {
    struct store *store;
    uint32_t domid;
    const char *base; /* what paths are below of */
    int rc;           /* of the first failure; nothing is written after it */
};

static bool set_owner(struct writer *w, enum owner owner, const char *path)
{
    struct xs_permissions shared[2] = {{.id = 0, .perms = XS_PERM_NONE}, {.id = w->domid, .perms = XS_PERM_READ}};
    struct xs_permissions own = {.id = w->domid, .perms = XS_PERM_NONE};

    if (owner == INHERITED)
        return true;
    return xs_set_permissions(w->store->xs, XBT_NULL, path, owner == OWNED ? &own : shared, owner == OWNED ? 1 : 2);
}

__attribute__((format(printf, 4, 5))) static void put(struct writer *w, enum owner owner, const char *path, const char *format, ...)
{
    char whole[PATH_BYTES], value[PATH_BYTES];
    va_list args;

    if (w->rc != 0)
        return;
    snprintf(whole, sizeof(whole), "%s%s%s", w->base, *path != '\0' ? "/" : "", path);
    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    if (!xs_write(w->store->xs, XBT_NULL, whole, value, (unsigned int)strlen(value)) || !set_owner(w, owner, whole))
        w->rc = fail(w->store, "%s", whole);
}

static void put_vm(struct writer *w, const struct store_order *o)
{
    put(w, READABLE, "", "%s", "");
    put(w, INHERITED, "name", "%s", o->name);
    put(w, INHERITED, "uuid", "%s", o->uuid);
}

static void put_console(struct writer *w, const struct store_order *o)
{
    put(w, INHERITED, "console/type", "xenconsoled");
    put(w, INHERITED, "console/output", "pty");
    put(w, INHERITED, "console/limit", CONSOLE_LIMIT);
    put(w, INHERITED, "console/tty", "%s", "");
    put(w, INHERITED, "console/port", "%" PRIu32, o->built.console_port);
    put(w, INHERITED, "console/ring-ref", "%" PRIu64, o->built.console_mfn);
}

static void put_control(struct writer *w)
{
    put(w, INHERITED, "control/platform-feature-multiprocessor-suspend", "1");
    put(w, INHERITED, "control/platform-feature-xs_reset_watches", "1");
    put(w, OWNED, "control/shutdown", "%s", "");
    put(w, OWNED, "control/feature-poweroff", "%s", "");
    put(w, OWNED, "control/feature-reboot", "%s", "");
    put(w, OWNED, "control/feature-suspend", "%s", "");
    put(w, OWNED, "control/sysrq", "%s", "");
}

static void put_guest(struct writer *w, const struct store_order *o)
{
    char path[40];
    uint32_t vcpu;

    put(w, READABLE, "", "%s", "");
    put(w, INHERITED, "vm", "/vm/%s", o->uuid);
    put(w, INHERITED, "name", "%s", o->name);
    put(w, INHERITED, "domid", "%" PRIu32, o->domid);
    for (vcpu = 0; vcpu < o->vcpus; vcpu++) {
        snprintf(path, sizeof(path), "cpu/%u/availability", vcpu);
        put(w, INHERITED, path, "online");
    }
    put(w, INHERITED, "memory/static-max", "%" PRIu64, o->frames_max * 4);
    put(w, INHERITED, "memory/target", "%" PRIu64, o->frames * 4);
    put(w, INHERITED, "store/port", "%" PRIu32, o->built.store_port);
    put(w, INHERITED, "store/ring-ref", "%" PRIu64, o->built.store_mfn);
    put(w, INHERITED, "device", "%s", "");
    put_console(w, o);
    put_control(w);
    put(w, OWNED, "data", "%s", "");
    put(w, OWNED, "attr", "%s", "");
    put(w, OWNED, "error", "%s", "");
}

static int add_nodes(struct store *s, const struct store_order *o)
{
    char guest[PATH_BYTES], vm[PATH_BYTES];
    struct writer w = {.store = s, .domid = o->domid, .base = vm};

    snprintf(guest, sizeof(guest), "/local/domain/%" PRIu32, o->domid);
    snprintf(vm, sizeof(vm), "/vm/%s", o->uuid);
    xs_rm(s->xs, XBT_NULL, guest); /* of a domain that had the number before, if anybody forgot it */
    put_vm(&w, o);
    w.base = guest;
    put_guest(&w, o);
    return w.rc;
}

int store_add(struct store *s, const struct store_order *o)
{
    int rc;

    if (s == NULL || s->xs == NULL)
        return -ENOTCONN;
    rc = add_nodes(s, o);
    if (rc == 0 && !xs_introduce_domain(s->xs, o->domid, (unsigned long)o->built.store_mfn, o->built.store_port))
        rc = fail(s, "xenstored does not take it (its ring or its port)");
    if (rc != 0) {
        char kept[sizeof(s->error)];

        memcpy(kept, s->error, sizeof(kept));
        store_remove(s, o->domid, o->uuid);
        memcpy(s->error, kept, sizeof(kept));
    }
    return rc;
}

void store_remove(struct store *s, uint32_t domid, const char *uuid)
{
    char path[PATH_BYTES], *vm;

    if (s == NULL || s->xs == NULL)
        return;
    xs_release_domain(s->xs, domid);
    snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/vm", domid);
    vm = *uuid == '\0' ? xs_read(s->xs, XBT_NULL, path, NULL) : NULL;
    if (vm != NULL && strncmp(vm, "/vm/", 4) == 0 && vm[4] != '\0')
        xs_rm(s->xs, XBT_NULL, vm);
    free(vm);
    snprintf(path, sizeof(path), "/vm/%.40s", uuid);
    if (*uuid != '\0')
        xs_rm(s->xs, XBT_NULL, path);
    snprintf(path, sizeof(path), "/local/domain/%" PRIu32, domid);
    xs_rm(s->xs, XBT_NULL, path);
}

int store_write(struct store *s, uint32_t domid, const char *path, const char *value)
{
    char whole[PATH_BYTES];

    if (s == NULL || s->xs == NULL)
        return -ENOTCONN;
    snprintf(whole, sizeof(whole), "/local/domain/%" PRIu32 "/%s", domid, path);
    return xs_write(s->xs, XBT_NULL, whole, value, (unsigned int)strlen(value)) ? 0 : fail(s, "%s", whole);
}

char *store_read(struct store *s, uint32_t domid, const char *path)
{
    char whole[PATH_BYTES], *value;

    if (s == NULL || s->xs == NULL) {
        errno = ENOTCONN;
        return NULL;
    }
    snprintf(whole, sizeof(whole), "/local/domain/%" PRIu32 "/%s", domid, path);
    value = xs_read(s->xs, XBT_NULL, whole, NULL);
    if (value == NULL) {
        int error = errno;

        fail(s, "%s", whole);
        errno = error;
    }
    return value;
}

int store_rename(struct store *s, uint32_t domid, const char *uuid, const char *name)
{
    char whole[PATH_BYTES];
    int rc = store_write(s, domid, "name", name);

    if (rc != 0 || *uuid == '\0')
        return rc;
    snprintf(whole, sizeof(whole), "/vm/%.40s/name", uuid);
    return xs_write(s->xs, XBT_NULL, whole, name, (unsigned int)strlen(name)) ? 0 : fail(s, "%s", whole);
}
