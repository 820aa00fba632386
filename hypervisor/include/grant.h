/* SPDX-License-Identifier: MIT */
/*
 * Grant tables, version 1 (xen/grant_table.h, ABI.md 7.5).
 */
#pragma once

#include "spinlock.h"
#include "types.h"

#include <xen/xen.h>
#include <xen/grant_table.h>

struct domain;
struct grant_mapping; /* grants/grant-internal.h */

#define GRANT_FRAMES_MAX 64u /* 512 entries each */
#define GRANT_MAPPINGS_MAX 65536u /* a domain's mappings of others' grants */

/* Embedded in struct domain. */
struct domain_grants {
    struct spinlock lock; /* all of this, and the pins of each entry */
    uint32_t frame_count; /* frames of the table so far */
    grant_entry_v1_t *frames[GRANT_FRAMES_MAX]; /* shared with the guest, which may write anything at any time */
    struct grant_ref_state *state[GRANT_FRAMES_MAX]; /* per entry: pins held through it */
    uint32_t in_use; /* pins held, all entries together */
    bool closing;    /* the domain is going: no new pins; the last one to go frees the table */
    /* mappings this domain holds of others' grants, by handle */
    struct grant_mapping **mapping_pages; /* one page of pointers, or NULL */
    uint32_t mapping_capacity;
    uint32_t mapping_free; /* first free handle, GRANT_NO_HANDLE none */
};
#define GRANT_NO_HANDLE 0xffffffffu

int domain_grants_init(struct domain *d);
/* For builders: write an entry that grants a frame of d to `to` for reading and writing, before d runs. 0, -EINVAL: not d's frame, or the entry is not empty. */
int must_check grant_seed(struct domain *d, grant_ref_t ref, domid_t to, mfn_t mfn);
/* What the hypervisor keeps for d's grants, the shared pages of the table not counted. */
uint64_t domain_grants_bytes(const struct domain *d);
/* Drop every mapping that d holds, then its table (or leave that to whoever holds the last pin through it). Called when d's vCPUs no longer run and its
 * page tables are gone. Context: no lock held. */
void domain_grants_destroy(struct domain *d);
/* Each frame that d holds through a mapping of a grant, for the audit: one reference each, of the writable type too if it may write. Context: d is stopped. */
void domain_grants_each_hold(struct domain *d, void (*each)(void *arg, mfn_t mfn, bool write), void *arg);
/* Number of grants of d that others still hold mapped. */
uint32_t domain_grants_in_use(struct domain *d);

/*
 * For the hypervisor as a backend: pin the frame behind ref of d for reading or writing by the hypervisor, marking the entry as in use as `by` (the domid it was
 * granted to). 0 or a GNTST_* error (negative). Pair: grant_release.
 */
int must_check grant_hold(struct domain *d, grant_ref_t ref, domid_t by, bool write, mfn_t *mfn);
void grant_release(struct domain *d, grant_ref_t ref, bool write, mfn_t mfn);
