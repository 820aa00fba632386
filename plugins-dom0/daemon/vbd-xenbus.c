// SPDX-License-Identifier: MIT
/*
 * The backend's half of the handshake with a blkfront, in XenStore. The other half of the backend, the ring, is in the hypervisor.
 *
 *     front 1 Initialising   we: 2 InitWait
 *     front 3 Initialised    it has written ring-ref and event-channel: the hypervisor takes them, then we: 4 Connected
 *     front 4 Connected      it works
 *     front 5 Closing        the ring is given back, then we: 5
 *     front 6 Closed, gone   the ring is given back, then we: 6. From there 1 begins anew (kexec, a driver loaded again)
 *     we want it gone        we: 5; when the front is 6, or never was there: VBD and nodes go
 *
 * Each look is the same function of what stands there now, so it does not matter how often it is done, in which order things changed, or whether this is the daemon that began. What a guest writes is only
 * ever compared with these few words; whatever else it writes costs it its device and is told as `why`. A guest that changes its state all the time is looked at less often.
 * The frontend's folder belongs to the guest; ours it may read.
 * Contract: vbds-private.h.  Tests: test-vbds.c.
 */
#include "vbds-private.h"
#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 40u /* a handshake needs six */
#define SECOND_NS 1000000000ull
#define VDISK_READONLY 4
#define DOMAIN0 0u

static const char *const state_names[] = {[STATE_GONE] = "none",
                                          [XenbusStateInitialising] = "initialising",
                                          [XenbusStateInitWait] = "init-wait",
                                          [XenbusStateInitialised] = "initialised",
                                          [XenbusStateConnected] = "connected",
                                          [XenbusStateClosing] = "closing",
                                          [XenbusStateClosed] = "closed",
                                          [XenbusStateReconfiguring] = "reconfiguring",
                                          [XenbusStateReconfigured] = "reconfigured"};

const char *vbd_xenbus_state_name(uint32_t state)
{
    return state < sizeof(state_names) / sizeof(state_names[0]) ? state_names[state] : "nonsense";
}

static const struct vbd_backend *backend(const struct vbd *vbd)
{
    return vbd->vbds->s.backend;
}

/* For the log: "domain 3, root (xvda)" */
static const char *title(const struct vbd *vbd)
{
    static char text[100];
    char device[DEVICE_NAME_BYTES];

    device_name(vbd->device, device);
    snprintf(text, sizeof(text), "domain %" PRIu32 ", disk %s (%s)", vbd->domid, vbd->name, device);
    return text;
}

__attribute__((format(printf, 2, 3))) static void complain(struct vbd *vbd, const char *format, ...)
{
    char text[sizeof(vbd->why)], *at;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* What a guest has written may be in it, which must not spoil a line of the log, or JSON. */
    for (at = text; *at != '\0'; at++)
        if (!isprint((unsigned char)*at))
            *at = '?';
    if (strcmp(text, vbd->why) == 0)
        return;
    memcpy(vbd->why, text, sizeof(text));
    log_warning("%s: %s", title(vbd), text);
}

/* ---- Nodes ---- */

static char *node_read(const struct vbd *vbd, const char *folder, const char *leaf)
{
    char path[STORE_PATH_BYTES + 40];

    snprintf(path, sizeof(path), "%s/%s", folder, leaf);
    return backend(vbd)->read(backend(vbd)->arg, path);
}

__attribute__((format(printf, 4, 5))) static int node_write(const struct vbd *vbd, const char *folder, const char *leaf, const char *format, ...)
{
    char path[STORE_PATH_BYTES + 40], value[BACKING_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    snprintf(path, sizeof(path), "%s/%s", folder, leaf);
    return backend(vbd)->write(backend(vbd)->arg, path, value);
}

static int state_set(struct vbd *vbd, uint32_t state)
{
    int rc;

    if (vbd->back_state == state)
        return 0;
    rc = node_write(vbd, vbd->back, "state", "%" PRIu32, state);
    if (rc == 0)
        vbd->back_state = state;
    else
        log_error("%s: %s", title(vbd), backend(vbd)->error(backend(vbd)->arg));
    return rc;
}

/* Plain decimal digits, as every front writes them. */
static bool number_of(const char *text, uint64_t most, uint64_t *number)
{
    return text != NULL && strlen(text) < 20 && text_number(text, number) == 0 && *number <= most;
}

static uint32_t state_of(struct vbd *vbd, const char *folder)
{
    char *text = node_read(vbd, folder, "state");
    uint32_t state = STATE_LIE;
    uint64_t number;

    if (text == NULL)
        return STATE_GONE;
    if (number_of(text, XenbusStateReconfigured, &number) && number != XenbusStateUnknown)
        state = (uint32_t)number;
    else if (folder == vbd->front)
        complain(vbd, "its front says state \"%.20s\", which is none", text);
    free(text);
    return state;
}

static int back_features(const struct vbd *vbd, const struct collet_vbd_info *info)
{
    bool flush = info->disk_flags & COLLET_DISK_CAN_FLUSH, discard = (info->disk_flags & COLLET_DISK_CAN_DISCARD) && !vbd->read_only;
    uint32_t block = info->sector_bytes >= 512 ? info->sector_bytes : 512;
    int rc = node_write(vbd, vbd->back, "feature-flush-cache", "%d", flush);

    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "feature-barrier", "%d", flush);
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "feature-discard", "%d", discard);
    if (discard) {
        rc = rc != 0 ? rc : node_write(vbd, vbd->back, "discard-granularity", "%" PRIu32, block);
        rc = rc != 0 ? rc : node_write(vbd, vbd->back, "discard-alignment", "0");
        rc = rc != 0 ? rc : node_write(vbd, vbd->back, "discard-secure", "0");
    }
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "feature-max-indirect-segments", "%u", COLLET_VBD_INDIRECT_MAX);
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "sectors", "%" PRIu64, info->sectors);
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "sector-size", "%" PRIu32, block);
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "physical-sector-size", "%" PRIu32, block);
    return rc != 0 ? rc : node_write(vbd, vbd->back, "info", "%d", vbd->read_only ? VDISK_READONLY : 0);
}

static int back_write(struct vbd *vbd, const struct collet_vbd_info *info)
{
    const struct vbd_backend *b = backend(vbd);
    char device[DEVICE_NAME_BYTES];
    int rc = b->make(b->arg, vbd->back, DOMAIN0, vbd->domid);

    device_name(vbd->device, device);
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "frontend", "%s", vbd->front);
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "frontend-id", "%" PRIu32, vbd->domid);
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "vbd", "%" PRIu32, vbd->id);
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "name", "%s", vbd->name);
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "params", "%s", vbd->backing);
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "dev", "%s", device);
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "device-type", "disk");
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "mode", "%s", vbd->read_only ? "r" : "w");
    rc = rc != 0 ? rc : node_write(vbd, vbd->back, "online", "%d", !vbd->closing);
    rc = rc != 0 ? rc : back_features(vbd, info);
    vbd->back_state = STATE_GONE;
    return rc != 0 ? rc : state_set(vbd, vbd->served ? XenbusStateConnected : XenbusStateInitialising);
}

/* A kernel looks at a device as soon as its folder is there: what it needs first, the state last. */
static int front_write(struct vbd *vbd)
{
    const struct vbd_backend *b = backend(vbd);
    int rc = b->make(b->arg, vbd->front, vbd->domid, DOMAIN0);

    rc = rc != 0 ? rc : node_write(vbd, vbd->front, "backend", "%s", vbd->back);
    rc = rc != 0 ? rc : node_write(vbd, vbd->front, "backend-id", "%u", COLLET_BACKEND_DOMID);
    rc = rc != 0 ? rc : node_write(vbd, vbd->front, "virtual-device", "%" PRIu32, vbd->device);
    rc = rc != 0 ? rc : node_write(vbd, vbd->front, "device-type", "disk");
    return rc != 0 ? rc : node_write(vbd, vbd->front, "state", "%d", vbd->served ? XenbusStateConnected : XenbusStateInitialising);
}

static void token_make(const struct vbd *vbd, char token[32])
{
    snprintf(token, 32, "%" PRIu32 "/%" PRIu32, vbd->domid, vbd->device);
}

static int front_watch(struct vbd *vbd)
{
    char path[STORE_PATH_BYTES + 10], token[32];
    int rc;

    if (vbd->watched)
        return 0;
    token_make(vbd, token);
    snprintf(path, sizeof(path), "%s/state", vbd->front);
    rc = backend(vbd)->watch(backend(vbd)->arg, path, token);
    vbd->watched = rc == 0;
    return rc;
}

int vbd_xenbus_begin(struct vbd *vbd, const struct collet_vbd_info *info)
{
    int rc = back_write(vbd, info);

    if (rc == 0)
        rc = front_write(vbd);
    return rc == 0 ? front_watch(vbd) : rc;
}

/* The ring that our predecessor noted. */
static void ring_recall(struct vbd *vbd)
{
    char *text = node_read(vbd, vbd->back, "ring");

    if (text == NULL || sscanf(text, "%" SCNu32 " %" SCNu32, &vbd->ring_ref, &vbd->port) != 2)
        vbd->port = 0;
    free(text);
}

/* The state is what is written last on either side. */
bool vbd_xenbus_whole(const struct vbd *vbd)
{
    char *back = node_read(vbd, vbd->back, "state"), *front = node_read(vbd, vbd->front, "state");
    bool whole = back != NULL && front != NULL;

    free(back);
    free(front);
    return whole;
}

int vbd_xenbus_take_up(struct vbd *vbd)
{
    char *online = node_read(vbd, vbd->back, "online");

    vbd->closing = online != NULL && strcmp(online, "0") == 0;
    free(online);
    ring_recall(vbd);
    vbd->back_state = state_of(vbd, vbd->back);
    return front_watch(vbd);
}

void vbd_xenbus_forget(struct vbd *vbd)
{
    const struct vbd_backend *b = backend(vbd);
    char path[STORE_PATH_BYTES + 10], token[32];

    token_make(vbd, token);
    snprintf(path, sizeof(path), "%s/state", vbd->front);
    if (vbd->watched)
        b->unwatch(b->arg, path, token);
    vbd->watched = false;
    b->remove(b->arg, vbd->front);
    b->remove(b->arg, vbd->back);
}

/* ---- The ring ---- */

static void ended(void *arg, int rc, const char *message)
{
    struct vbd *vbd = arg;

    vbd->ending = false;
    if (rc != 0 && rc != -ENOENT && rc != -ESRCH)
        complain(vbd, "the hypervisor does not let go of it: %.120s", message);
    else
        vbd->served = false;
    if (vbd->gone || (vbd->destroying && !vbd->served)) {
        if (!vbd->gone)
            log_note("%s: removed", title(vbd));
        vbd_xenbus_forget(vbd);
        vbd_forget(vbd);
        return;
    }
    vbd->destroying = false;
    vbd_xenbus_look(vbd);
}

static void ring_end(struct vbd *vbd, bool destroy)
{
    const struct vbd_backend *b = backend(vbd);
    int rc;

    vbd->ending = true;
    vbd->destroying = destroy;
    vbd->port = 0;
    rc = b->end(b->arg, vbd->id, destroy, ended, vbd);
    if (rc != 0) {
        vbd->ending = vbd->destroying = false;
        complain(vbd, "%.150s", b->error(b->arg));
    }
}

/* What the front offers; NULL, or what is wrong with it. */
static const char *ring_read(const struct vbd *vbd, uint32_t *ring_ref, uint32_t *port)
{
    char *ref = node_read(vbd, vbd->front, "ring-ref"), *channel = node_read(vbd, vbd->front, "event-channel");
    char *protocol = node_read(vbd, vbd->front, "protocol"), *order = node_read(vbd, vbd->front, "ring-page-order");
    uint64_t number = 0, second = 0;
    const char *wrong = NULL;

    if (protocol != NULL && strcmp(protocol, "x86_64-abi") != 0)
        wrong = "its front speaks another protocol than x86_64-abi";
    else if (order != NULL && strcmp(order, "0") != 0)
        wrong = "its front wants a ring of several pages, which is not offered";
    else if (!number_of(ref, UINT32_MAX, &number))
        wrong = ref == NULL ? "its front has written no ring-ref" : "its front's ring-ref is no grant";
    else if (!number_of(channel, UINT32_MAX, &second) || second == 0)
        wrong = channel == NULL ? "its front has written no event-channel" : "its front's event-channel is no port";
    *ring_ref = (uint32_t)number;
    *port = (uint32_t)second;
    free(ref);
    free(channel);
    free(protocol);
    free(order);
    return wrong;
}

/* The front has offered a ring and waits. */
static void ring_take(struct vbd *vbd)
{
    const struct vbd_backend *b = backend(vbd);
    uint32_t ring_ref, port;
    const char *wrong = ring_read(vbd, &ring_ref, &port);
    int rc;

    if (wrong != NULL) {
        complain(vbd, "%s", wrong);
        state_set(vbd, XenbusStateClosing);
        return;
    }
    if (vbd->served && vbd->port == port && vbd->ring_ref == ring_ref) {
        state_set(vbd, XenbusStateConnected);
        return;
    }
    if (vbd->served) {
        ring_end(vbd, false); /* it has begun anew while nobody looked */
        return;
    }
    /* Noted before it is done: whoever finds the ring served knows which. */
    rc = node_write(vbd, vbd->back, "ring", "%" PRIu32 " %" PRIu32, ring_ref, port);
    if (rc == 0)
        rc = b->connect(b->arg, vbd->id, ring_ref, port);
    if (rc != 0 && rc != -EALREADY) {
        complain(vbd, "its front's ring (grant %" PRIu32 ", port %" PRIu32 ") is refused: %.100s", ring_ref, port, b->error(b->arg));
        state_set(vbd, XenbusStateClosing);
        return;
    }
    vbd->served = true;
    vbd->ring_ref = ring_ref;
    vbd->port = port;
    vbd->why[0] = '\0';
    if (state_set(vbd, XenbusStateConnected) == 0)
        log_note("%s: connected", title(vbd));
}

/* ---- Steps ---- */

/* The ring has to go before the next state is told. */
static void let_go(struct vbd *vbd, uint32_t state)
{
    if (vbd->served)
        ring_end(vbd, false);
    else
        state_set(vbd, state);
}

static void close_step(struct vbd *vbd)
{
    bool let_go_of = vbd->forced || vbd->front_state == STATE_GONE || vbd->front_state == XenbusStateClosed || (vbd->front_state == XenbusStateInitialising && !vbd->served);

    if (let_go_of)
        ring_end(vbd, true);
    else
        state_set(vbd, XenbusStateClosing);
}

static void step(struct vbd *vbd)
{
    switch (vbd->front_state) {
    case XenbusStateInitialising:
        let_go(vbd, XenbusStateInitWait);
        break;
    case XenbusStateInitialised:
        if (vbd->back_state != XenbusStateClosing) /* refused once: it has to begin anew */
            ring_take(vbd);
        break;
    case XenbusStateConnected:
        if (vbd->served)
            state_set(vbd, XenbusStateConnected);
        else if (vbd->back_state != XenbusStateClosing)
            ring_take(vbd);
        break;
    case XenbusStateClosing:
        let_go(vbd, XenbusStateClosing);
        break;
    case STATE_GONE:
        if (!vbd->gone)
            complain(vbd, "its front has no state in XenStore: the guest has removed it");
        let_go(vbd, XenbusStateClosed);
        break;
    case XenbusStateClosed:
        let_go(vbd, XenbusStateClosed);
        break;
    default: /* InitWait, reconfiguring or nonsense: not a front's */
        break;
    }
}

static void pause_over(void *arg)
{
    struct vbd *vbd = arg;

    vbd->pause = NULL;
    vbd_xenbus_look(vbd);
}

/* May it be looked at now? Each look costs Domain0 some switches to xenstored, so a guest may not have as many as it likes. */
static bool may_look(struct vbd *vbd)
{
    uint64_t now = loop_now();

    if (vbd->ending || vbd->pause != NULL)
        return false; /* it is looked at when that is over */
    if (now - vbd->steps_since_ns >= SECOND_NS) {
        vbd->steps_since_ns = now;
        vbd->steps = 0;
    }
    if (vbd->steps++ < STEPS_MAX)
        return true;
    complain(vbd, "its front changes its state too often; it is looked at once a second");
    vbd->pause = loop_timer(vbd->vbds->s.loop, SECOND_NS, pause_over, vbd);
    return vbd->pause == NULL;
}

void vbd_xenbus_look(struct vbd *vbd)
{
    if (!may_look(vbd))
        return;
    errno = 0;
    vbd->front_state = state_of(vbd, vbd->front);
    if (vbd->front_state == STATE_GONE && errno != ENOENT)
        return; /* it is XenStore that is not there */
    if (vbd->closing)
        close_step(vbd);
    else
        step(vbd);
}

void vbd_xenbus_close(struct vbd *vbd, bool force)
{
    vbd->closing = true;
    vbd->forced = vbd->forced || force;
    node_write(vbd, vbd->back, "online", "0");
    if (force)
        state_set(vbd, XenbusStateClosing);
    if (force && !vbd->ending)
        ring_end(vbd, true);
    else
        vbd_xenbus_look(vbd);
}

void vbd_xenbus_broken(struct vbd *vbd, const char *why)
{
    complain(vbd, "its front broke the rules of the ring: %.140s", why);
    if (vbd->back_state == XenbusStateConnected)
        state_set(vbd, XenbusStateClosing); /* so that what it waits for ends with an error */
}
