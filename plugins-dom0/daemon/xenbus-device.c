// SPDX-License-Identifier: MIT
/*
 * The steps of a handshake that all kinds of devices have in common.
 *
 *     front 1 Initialising   we: 2 InitWait
 *     front 3 Initialised    it has written its ring and its event channel: the hypervisor takes them, then we: 4 Connected. (netfront goes to 4 at once, which is taken the same way)
 *     front 4 Connected      it works
 *     front 5 Closing        the ring is given back, then we: 5
 *     front 6 Closed, gone   the ring is given back, then we: 6. From there 1 begins anew (kexec, a driver loaded again)
 *     we want it gone        we: 5; when the front is 6, or never was there: device and nodes go
 *
 * Each look is the same function of what stands there now, so it does not matter how often it is done, in which order things changed, or whether this is the daemon that began. What a guest writes is only
 * ever compared with these few words; whatever else it writes costs it its device and is told as `why`. A guest that changes its state all the time is looked at less often.
 * The frontend's folder belongs to the guest; ours it may read.
 * Contract: xenbus-device.h.  Tests: test-vbds.c, test-vifs.c.
 */
#include "xenbus-device.h"
#include "log.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 40u /* a handshake needs six */
#define SECOND_NS 1000000000ull
#define MINUTE_NS (60 * SECOND_NS)
#define LINES_A_MINUTE 10u /* in the log, of one device */
#define VALUE_BYTES 512
#define TOKEN_BYTES 48
#define DOMAIN0 0u
#define BACK_ROOT "/local/domain/0/collet-"

static const char *const state_names[] = {[STATE_GONE] = "none",
                                          [XenbusStateInitialising] = "initialising",
                                          [XenbusStateInitWait] = "init-wait",
                                          [XenbusStateInitialised] = "initialised",
                                          [XenbusStateConnected] = "connected",
                                          [XenbusStateClosing] = "closing",
                                          [XenbusStateClosed] = "closed",
                                          [XenbusStateReconfiguring] = "reconfiguring",
                                          [XenbusStateReconfigured] = "reconfigured"};

const char *xenbus_state_name(uint32_t state)
{
    return state < sizeof(state_names) / sizeof(state_names[0]) ? state_names[state] : "nonsense";
}

/* What a guest does makes a line: it may have some, or the log would tell of nothing else. */
static bool may_log(struct xenbus_device *dev)
{
    uint64_t now = loop_now();

    if (now - dev->lines_since_ns >= MINUTE_NS) {
        if (dev->quiet != 0)
            log_note("%s: %u more lines of this kind were left out", dev->title, dev->quiet);
        dev->lines_since_ns = now;
        dev->lines = dev->quiet = 0;
    }
    if (dev->lines < LINES_A_MINUTE) {
        dev->lines++;
        return true;
    }
    dev->quiet++;
    return false;
}

__attribute__((format(printf, 2, 3))) static void complain(struct xenbus_device *dev, const char *format, ...)
{
    char text[sizeof(dev->why)], *at;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    /* What a guest has written may be in it, which must not spoil a line of the log, or JSON. */
    for (at = text; *at != '\0'; at++)
        if (!isprint((unsigned char)*at))
            *at = '?';
    if (strcmp(text, dev->why) == 0)
        return;
    memcpy(dev->why, text, sizeof(text));
    if (may_log(dev))
        log_warning("%s: %s", dev->title, text);
}

/* ---- Names ---- */

void xenbus_name(struct xenbus_device *dev, const char *device_said)
{
    const char *open = *device_said != '\0' ? " (" : "", *shut = *device_said != '\0' ? ")" : "";

    snprintf(dev->back, sizeof(dev->back), BACK_ROOT "%s/%" PRIu32 "/%" PRIu32, dev->kind->word, dev->domid, dev->device);
    snprintf(dev->front, sizeof(dev->front), "/local/domain/%" PRIu32 "/device/%s/%" PRIu32, dev->domid, dev->kind->word, dev->device);
    snprintf(dev->title, sizeof(dev->title), "domain %" PRIu32 ", %s %.31s%s%.16s%s", dev->domid, dev->kind->said, dev->name, open, device_said, shut);
}

bool xenbus_token(const char *token, const char *word, uint32_t *domid, uint32_t *device)
{
    size_t length = strlen(word);

    return strncmp(token, word, length) == 0 && sscanf(token + length, "/%" SCNu32 "/%" SCNu32, domid, device) == 2;
}

/* ---- Nodes ---- */

char *xenbus_read(const struct xenbus_device *dev, const char *folder, const char *leaf)
{
    char path[STORE_PATH_BYTES + 40];

    snprintf(path, sizeof(path), "%s/%s", folder, leaf);
    return dev->nodes->read(dev->nodes->arg, path);
}

int xenbus_write(const struct xenbus_device *dev, const char *folder, const char *leaf, const char *format, ...)
{
    char path[STORE_PATH_BYTES + 40], value[VALUE_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    snprintf(path, sizeof(path), "%s/%s", folder, leaf);
    return dev->nodes->write(dev->nodes->arg, path, value);
}

static int state_set(struct xenbus_device *dev, uint32_t state)
{
    int rc;

    if (dev->back_state == state)
        return 0;
    rc = xenbus_write(dev, dev->back, "state", "%" PRIu32, state);
    if (rc == 0)
        dev->back_state = state;
    else
        log_error("%s: %s", dev->title, dev->nodes->error(dev->nodes->arg));
    return rc;
}

/* Plain decimal digits, as every front writes them. */
bool xenbus_number(const char *text, uint64_t most, uint64_t *number)
{
    return text != NULL && strlen(text) < 20 && text_number(text, number) == 0 && *number <= most;
}

static uint32_t state_of(struct xenbus_device *dev, const char *folder)
{
    char *text = xenbus_read(dev, folder, "state");
    uint32_t state = STATE_LIE;
    uint64_t number;

    if (text == NULL)
        return STATE_GONE;
    if (xenbus_number(text, XenbusStateReconfigured, &number) && number != XenbusStateUnknown)
        state = (uint32_t)number;
    else if (folder == dev->front)
        complain(dev, "its front says state \"%.20s\", which is none", text);
    free(text);
    return state;
}

/* Where the hypervisor stands is written last: whoever finds a state finds the rest. */
static int back_write(struct xenbus_device *dev)
{
    int rc = dev->nodes->make(dev->nodes->arg, dev->back, DOMAIN0, dev->domid);

    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "frontend", "%s", dev->front);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "frontend-id", "%" PRIu32, dev->domid);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, dev->kind->word, "%" PRIu32, dev->id);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "name", "%s", dev->name);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "online", "%d", !dev->closing);
    rc = rc != 0 ? rc : dev->kind->back_fill(dev);
    dev->back_state = STATE_GONE;
    return rc != 0 ? rc : state_set(dev, dev->served ? XenbusStateConnected : XenbusStateInitialising);
}

/* A kernel looks at a device as soon as its folder is there: what it needs first, the state last. */
static int front_write(struct xenbus_device *dev)
{
    int rc = dev->nodes->make(dev->nodes->arg, dev->front, dev->domid, DOMAIN0);

    rc = rc != 0 ? rc : xenbus_write(dev, dev->front, "backend", "%s", dev->back);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->front, "backend-id", "%u", COLLET_BACKEND_DOMID);
    rc = rc != 0 ? rc : dev->kind->front_fill(dev);
    return rc != 0 ? rc : xenbus_write(dev, dev->front, "state", "%d", dev->served ? XenbusStateConnected : XenbusStateInitialising);
}

static void token_make(const struct xenbus_device *dev, char token[TOKEN_BYTES])
{
    snprintf(token, TOKEN_BYTES, "%s/%" PRIu32 "/%" PRIu32, dev->kind->word, dev->domid, dev->device);
}

static int front_watch(struct xenbus_device *dev)
{
    char path[STORE_PATH_BYTES + 40], token[TOKEN_BYTES];
    int rc;

    if (dev->watched)
        return 0;
    token_make(dev, token);
    snprintf(path, sizeof(path), "%s/state", dev->front);
    rc = dev->nodes->watch(dev->nodes->arg, path, token);
    dev->watched = rc == 0;
    return rc;
}

int xenbus_begin(struct xenbus_device *dev)
{
    int rc = back_write(dev);

    if (rc == 0)
        rc = front_write(dev);
    return rc == 0 ? front_watch(dev) : rc;
}

/* The ring that our predecessor noted. */
static void ring_recall(struct xenbus_device *dev)
{
    char *text = xenbus_read(dev, dev->back, "ring");

    snprintf(dev->offer, sizeof(dev->offer), "%s", text != NULL ? text : "");
    free(text);
}

/* The state is what is written last on either side. */
bool xenbus_whole(const struct xenbus_device *dev)
{
    char *back = xenbus_read(dev, dev->back, "state"), *front = xenbus_read(dev, dev->front, "state");
    bool whole = back != NULL && front != NULL;

    free(back);
    free(front);
    return whole;
}

int xenbus_take_up(struct xenbus_device *dev)
{
    char *online = xenbus_read(dev, dev->back, "online");

    dev->closing = online != NULL && strcmp(online, "0") == 0;
    free(online);
    ring_recall(dev);
    dev->back_state = state_of(dev, dev->back);
    return front_watch(dev);
}

void xenbus_forget(struct xenbus_device *dev)
{
    const struct nodes *b = dev->nodes;
    char path[STORE_PATH_BYTES + 40], token[TOKEN_BYTES];

    token_make(dev, token);
    snprintf(path, sizeof(path), "%s/state", dev->front);
    if (dev->watched)
        b->unwatch(b->arg, path, token);
    dev->watched = false;
    b->remove(b->arg, dev->front);
    b->remove(b->arg, dev->back);
}

/* ---- The ring ---- */

static void ended(void *arg, int rc, const char *message)
{
    struct xenbus_device *dev = arg;

    dev->ending = false;
    if (rc != 0 && rc != -ENOENT && rc != -ESRCH)
        complain(dev, "the hypervisor does not let go of it: %.120s", message);
    else
        dev->served = false;
    if (dev->gone || (dev->destroying && !dev->served)) {
        if (!dev->gone)
            log_note("%s: removed", dev->title);
        xenbus_forget(dev);
        dev->kind->forget(dev);
        return;
    }
    dev->destroying = false;
    xenbus_look(dev);
}

static void ring_end(struct xenbus_device *dev, bool destroy)
{
    int rc;

    dev->ending = true;
    dev->destroying = destroy;
    dev->offer[0] = '\0';
    rc = dev->kind->end(dev, destroy, ended, dev);
    if (rc != 0) {
        dev->ending = dev->destroying = false;
        complain(dev, "%.150s", dev->kind->error(dev));
    }
}

/* The front has offered a ring and waits. */
static void ring_take(struct xenbus_device *dev)
{
    char offer[OFFER_BYTES];
    const char *wrong = dev->kind->offer_read(dev, offer, sizeof(offer));
    int rc;

    if (wrong != NULL) {
        complain(dev, "%s", wrong);
        state_set(dev, XenbusStateClosing);
        return;
    }
    if (dev->served && strcmp(dev->offer, offer) == 0) {
        state_set(dev, XenbusStateConnected);
        return;
    }
    if (dev->served) {
        ring_end(dev, false); /* it has begun anew while nobody looked */
        return;
    }
    /* Noted before it is done: whoever finds the ring served knows which. */
    rc = xenbus_write(dev, dev->back, "ring", "%s", offer);
    if (rc == 0)
        rc = dev->kind->connect(dev);
    if (rc != 0 && rc != -EALREADY) {
        complain(dev, "its front's ring (%.60s) is refused: %.100s", offer, dev->kind->error(dev));
        state_set(dev, XenbusStateClosing);
        return;
    }
    dev->served = true;
    memcpy(dev->offer, offer, sizeof(offer));
    dev->why[0] = '\0';
    if (state_set(dev, XenbusStateConnected) == 0 && may_log(dev))
        log_note("%s: connected", dev->title);
}

/* ---- Steps ---- */

/* The ring has to go before the next state is told. */
static void let_go(struct xenbus_device *dev, uint32_t state)
{
    if (dev->served)
        ring_end(dev, false);
    else
        state_set(dev, state);
}

static void close_step(struct xenbus_device *dev)
{
    bool let_go_of = dev->forced || dev->front_state == STATE_GONE || dev->front_state == XenbusStateClosed || (dev->front_state == XenbusStateInitialising && !dev->served);

    if (let_go_of)
        ring_end(dev, true);
    else
        state_set(dev, XenbusStateClosing);
}

static void step(struct xenbus_device *dev)
{
    switch (dev->front_state) {
    case XenbusStateInitialising:
        let_go(dev, XenbusStateInitWait);
        break;
    case XenbusStateInitialised:
        if (dev->back_state != XenbusStateClosing) /* refused once: it has to begin anew */
            ring_take(dev);
        break;
    case XenbusStateConnected:
        if (dev->served)
            state_set(dev, XenbusStateConnected);
        else if (dev->back_state != XenbusStateClosing)
            ring_take(dev);
        break;
    case XenbusStateClosing:
        let_go(dev, XenbusStateClosing);
        break;
    case STATE_GONE:
        if (!dev->gone)
            complain(dev, "its front has no state in XenStore: the guest has removed it");
        let_go(dev, XenbusStateClosed);
        break;
    case XenbusStateClosed:
        let_go(dev, XenbusStateClosed);
        break;
    default: /* InitWait, reconfiguring or nonsense: not a front's */
        break;
    }
}

static void pause_over(void *arg)
{
    struct xenbus_device *dev = arg;

    dev->pause = NULL;
    xenbus_look(dev);
}

/* May it be looked at now? Each look costs Domain0 some switches to xenstored, so a guest may not have as many as it likes. */
static bool may_look(struct xenbus_device *dev)
{
    uint64_t now = loop_now();

    if (dev->ending || dev->pause != NULL)
        return false; /* it is looked at when that is over */
    if (now - dev->steps_since_ns >= SECOND_NS) {
        dev->steps_since_ns = now;
        dev->steps = 0;
    }
    if (dev->steps++ < STEPS_MAX)
        return true;
    complain(dev, "its front changes its state too often; it is looked at once a second");
    dev->pause = loop_timer(dev->loop, SECOND_NS, pause_over, dev);
    return dev->pause == NULL;
}

void xenbus_look(struct xenbus_device *dev)
{
    if (!may_look(dev))
        return;
    errno = 0;
    dev->front_state = state_of(dev, dev->front);
    if (dev->front_state == STATE_GONE && errno != ENOENT)
        return; /* it is XenStore that is not there */
    if (dev->closing)
        close_step(dev);
    else
        step(dev);
}

void xenbus_close(struct xenbus_device *dev, bool force)
{
    dev->closing = true;
    dev->forced = dev->forced || force;
    xenbus_write(dev, dev->back, "online", "0");
    if (force)
        state_set(dev, XenbusStateClosing);
    if (force && !dev->ending)
        ring_end(dev, true);
    else
        xenbus_look(dev);
}

void xenbus_broken(struct xenbus_device *dev, const char *why)
{
    complain(dev, "its front broke the rules of the ring: %.140s", why);
    if (dev->back_state == XenbusStateConnected)
        state_set(dev, XenbusStateClosing); /* so that what it waits for ends with an error */
}

static void patience_over(void *arg)
{
    struct xenbus_device *dev = arg;
    struct call *call = dev->remover;

    dev->patience = NULL;
    dev->remover = NULL;
    if (dev->forced)
        call_fail(call, ETIMEDOUT, "%s: what is on its way in the %s has not ended yet; it goes as soon as it has", dev->name, dev->kind->said);
    else
        call_fail(call, ETIMEDOUT, "%s: the guest has not let go of it in time (its front is %s); it goes as soon as the guest does, or at once with force", dev->name, xenbus_state_name(dev->front_state));
}

int xenbus_remove(struct xenbus_device *dev, struct call *call, bool force, uint64_t patience_ns)
{
    if (dev->remover != NULL && !force)
        return -EALREADY;
    if (dev->remover != NULL)
        call_fail(dev->remover, ECANCELED, "%s: somebody removes it by force", dev->name);
    loop_timer_cancel(dev->patience);
    dev->remover = call;
    dev->patience = loop_timer(dev->loop, patience_ns, patience_over, dev);
    log_note("%s: to be removed%s", dev->title, force ? " by force" : "");
    xenbus_close(dev, force);
    return 0;
}

void xenbus_free(struct xenbus_device *dev)
{
    loop_timer_cancel(dev->pause);
    loop_timer_cancel(dev->patience);
    call_result(dev->remover, NULL);
    dev->pause = dev->patience = NULL;
    dev->remover = NULL;
}

/* ---- Those that are gone ---- */

void xenbus_domain_forget(const struct nodes *nodes, const char *word, uint32_t domid)
{
    char path[STORE_PATH_BYTES];

    snprintf(path, sizeof(path), BACK_ROOT "%s/%" PRIu32, word, domid);
    nodes->remove(nodes->arg, path);
}

static void sweep_domain(const struct nodes *nodes, const char *word, uint32_t domid, xenbus_there *there, void *arg)
{
    char path[STORE_PATH_BYTES], *devices, *rest, *device;
    uint64_t place;

    snprintf(path, sizeof(path), BACK_ROOT "%s/%" PRIu32, word, domid);
    rest = devices = nodes->children(nodes->arg, path);
    while (devices != NULL && (device = strsep(&rest, "\n")) != NULL) {
        if (text_number(device, &place) != 0 || place > UINT32_MAX || there(arg, domid, (uint32_t)place, false))
            continue;
        snprintf(path, sizeof(path), BACK_ROOT "%s/%" PRIu32 "/%.20s", word, domid, device);
        nodes->remove(nodes->arg, path);
        snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/device/%s/%.20s", domid, word, device);
        nodes->remove(nodes->arg, path);
    }
    free(devices);
}

void xenbus_sweep(const struct nodes *nodes, const char *word, xenbus_there *there, void *arg)
{
    char path[STORE_PATH_BYTES], *domains, *rest, *domid;
    uint64_t number;

    snprintf(path, sizeof(path), BACK_ROOT "%s", word);
    rest = domains = nodes->children(nodes->arg, path);
    while (domains != NULL && (domid = strsep(&rest, "\n")) != NULL) {
        if (text_number(domid, &number) != 0 || number > UINT32_MAX)
            continue;
        sweep_domain(nodes, word, (uint32_t)number, there, arg);
        if (!there(arg, (uint32_t)number, 0, true))
            xenbus_domain_forget(nodes, word, (uint32_t)number);
    }
    free(domains);
}
