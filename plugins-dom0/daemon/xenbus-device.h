/* SPDX-License-Identifier: MIT */
/*
 * The backend's half of the handshake with a guest's frontend, in XenStore: the same for a disk (vbd-xenbus.c) and a network interface (vif-xenbus.c), which add what only they know.
 *
 * The ring itself is the hypervisor's. A device is embedded in what its kind remembers of one, as its first member. All in the loop's thread.
 * Page: docs/operations.md.  Tests: test-vbds.c, test-vifs.c.
 */
#pragma once

#include "call.h"
#include "loop.h"
#include "nodes.h"

#include <collet/control.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <xen/xen.h>
#include <xen/io/xenbus.h>

#define STORE_PATH_BYTES 128
#define STATE_GONE 0u /* a front whose nodes are not there; XenbusStateUnknown is the same number */
#define STATE_LIE 99u /* a front whose state is no state */

struct xenbus_device;

/* From the loop, once. */
typedef void device_end_done(void *arg, int rc, const char *message);

/* What differs. All required. */
struct xenbus_kind {
    const char *word; /* "vbd": of the folders in XenStore, and of tokens */
    const char *said; /* "disk" */
    const char *(*error)(const struct xenbus_device *dev); /* one sentence after the hypervisor has refused */
    /* Our nodes, but for those that all have, and the state; the front's. */
    int (*back_fill)(struct xenbus_device *dev);
    int (*front_fill)(struct xenbus_device *dev);
    /* What the front offers. NULL with the answer in `text`, equal for equal offers (noted as node "ring"; without a line's end); or what is wrong with it. */
    const char *(*offer_read)(struct xenbus_device *dev, char *text, size_t bytes);
    /* Serve the offer read last. -EALREADY: it is served. */
    int (*connect)(struct xenbus_device *dev);
    /* Disconnect, or destroy too; done comes later. -errno: it could not even begin. */
    int (*end)(struct xenbus_device *dev, bool destroy, device_end_done *done, void *done_arg);
    void (*forget)(struct xenbus_device *dev); /* it is gone with its nodes: free its memory */
};

#define OFFER_BYTES 160

struct xenbus_device {
    const struct xenbus_kind *kind;
    const struct nodes *nodes;
    struct loop *loop;
    uint32_t id, domid, device; /* id: in the hypervisor */
    char name[COLLET_NAME_MAX];
    char title[100]; /* for the log: "domain 3, disk root (xvda)" */

    char back[STORE_PATH_BYTES], front[STORE_PATH_BYTES];
    uint32_t back_state, front_state;
    bool watched;
    bool served;             /* the hypervisor has its ring */
    char offer[OFFER_BYTES]; /* that it serves, if known, or empty */
    bool closing, forced;    /* it shall go, as soon as the guest lets go; or at once */
    bool ending, destroying; /* the hypervisor is at it: an answer will come; destroying: not only disconnected */
    bool gone;               /* its domain is no more: forget it when `ending` is over */
    unsigned int lines, quiet; /* in the log in this minute; and left out of it */
    uint64_t lines_since_ns;
    char why[200];           /* what is wrong with its front, or empty */
    unsigned int steps;      /* in this second */
    uint64_t steps_since_ns;
    struct loop_timer *pause; /* it changes too often: looked at again when this fires */
    struct loop_timer *patience;
    struct call *remover; /* who waits until it is gone */
};

/* Its paths and its title; id, domid, device, name, kind, nodes and loop are set. device_said: "xvda", or "" */
void xenbus_name(struct xenbus_device *dev, const char *device_said);
/* Write the nodes of one that has none, and watch its front. served: the hypervisor serves it already, so both ends say so. */
int xenbus_begin(struct xenbus_device *dev);
bool xenbus_whole(const struct xenbus_device *dev); /* are its nodes there? */
/* The nodes are there: look where it stands, and watch. */
int xenbus_take_up(struct xenbus_device *dev);
void xenbus_look(struct xenbus_device *dev); /* at its front, and do the next step */
void xenbus_close(struct xenbus_device *dev, bool force);
void xenbus_broken(struct xenbus_device *dev, const char *why); /* the hypervisor serves its ring no more */
void xenbus_forget(struct xenbus_device *dev);                  /* nodes and watch */
void xenbus_free(struct xenbus_device *dev);                    /* timers; a remover is told that it is done */
const char *xenbus_state_name(uint32_t state);
/* The domain's folders of this kind, when its last device is gone. */
void xenbus_domain_forget(const struct nodes *nodes, const char *word, uint32_t domid);
/* Nodes of devices that are gone: of all for which `there` says false. */
typedef bool xenbus_there(void *arg, uint32_t domid, uint32_t device, bool any_of_domain);
void xenbus_sweep(const struct nodes *nodes, const char *word, xenbus_there *there, void *arg);
/* A token, as a watch brings it back: "vbd/3/51712". */
bool xenbus_token(const char *token, const char *word, uint32_t *domid, uint32_t *device);

/* Somebody wants it gone and waits; `force`: whether the guest lets go or not. -EALREADY: another waits, and this one does not force. */
int xenbus_remove(struct xenbus_device *dev, struct call *call, bool force, uint64_t patience_ns);

/* For kinds. */
char *xenbus_read(const struct xenbus_device *dev, const char *folder, const char *leaf);
__attribute__((format(printf, 4, 5))) int xenbus_write(const struct xenbus_device *dev, const char *folder, const char *leaf, const char *format, ...);
bool xenbus_number(const char *text, uint64_t most, uint64_t *number); /* plain decimal digits, as every front writes them */
