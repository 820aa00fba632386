/* SPDX-License-Identifier: MIT */
/*
 * The network interfaces of all domains: Domain0's own on each card, those of definitions, and those that somebody added by hand.
 *
 * The hypervisor is the backend of the rings; here is the rest of one, as vbds.h is for disks: the nodes in XenStore and the states that netfront waits for (vif-xenbus.c, xenbus-device.c). What there is
 * stands in the hypervisor and in XenStore alone; the list in memory is made anew from both by a daemon that starts.
 * Functions that take a call answer it, now or later. All in the loop's thread.
 * Page: docs/operations.md (Network for guests).  Tests: test-vifs.c.
 */
#pragma once

#include "call.h"
#include "definition.h"
#include "loop.h"
#include "nodes.h"
#include "vif-backend.h"

struct vifs;

struct vifs_settings {
    struct loop *loop;
    const struct vif_backend *backend;
    const struct nodes *nodes;
    uint64_t close_ns; /* a guest that is asked to let go of a device has this long */
};

/* One that somebody wants. */
struct vif_order {
    uint32_t domid;
    const char *domain; /* its name: the VIF is called "domain.name", unless the domain has VIFs of another name already */
    const struct definition_vif *vif;
};

struct vifs *vifs_create(const struct vifs_settings *settings);
void vifs_destroy(struct vifs *v); /* forgets them: guests go on. Calls that wait are answered ECANCELED */

/*
 * At the start, before domains are taken up: finds those that there are and goes on with each handshake where it stood, removes nodes of those that are gone, and gives Domain0 one on each card that it has
 * none on yet. -errno: the hypervisor has no networks at all, or does not answer.
 */
int vifs_take_up(struct vifs *v);
void vifs_store_lost(struct vifs *v); /* the watches are gone */
/* A new xenstored may run: write the nodes that are not there, and watch. After domains have theirs. */
void vifs_store_anew(struct vifs *v);
/* How many of Domain0's own its netfront has not taken yet. */
unsigned int vifs_own_waiting(const struct vifs *v);

/* Are these networks there? Mistakes are told with file and line. */
void vifs_check(struct vifs *v, const struct definition *definition, struct text_mistakes *mistakes);
/* All interfaces of a definition for the domain of this name, which has not begun to run (a renamed one has another name than its definition). 0, or -errno and a sentence: then its domain is to be destroyed, and vifs_domain_gone called. */
int vifs_add_defined(struct vifs *v, uint32_t domid, const char *domain, const struct definition *definition, char *error, size_t error_bytes);
/* The domain has been destroyed, its VIFs with it: the rest goes. */
void vifs_domain_gone(struct vifs *v, uint32_t domid);
/* A VIF was destroyed or broken, perhaps by another program: look. */
void vifs_reconcile(struct vifs *v);

/* What the interfaces of this domain call it, and so network rules: its name when it began; NULL: it has none. */
const char *vifs_domain_name(const struct vifs *v, uint32_t domid);

void vifs_op_add(struct vifs *v, struct call *call, const struct vif_order *order);
void vifs_op_remove(struct vifs *v, struct call *call, uint32_t domid, const char *name, bool force);
void vifs_op_list(struct vifs *v, struct call *call, uint32_t domid); /* ~0: of all */

/* A watch has fired, on an interface or on something else. */
void vifs_watched(struct vifs *v, const char *token);
