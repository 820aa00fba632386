/* SPDX-License-Identifier: MIT */
/*
 * Between the files of grants/.
 */
#pragma once

#include "domain.h"
#include "frame.h"
#include "grant.h"

#define GRANT_ENTRIES_PER_FRAME (4096u / sizeof(grant_entry_v1_t))

/* What is held through one entry. While anything is, mfn and domid stand fast, whatever the guest writes into the entry. */
struct grant_ref_state {
    uint32_t mfn;
    domid_t by;
    uint32_t readers, writers; /* pins */
};

/* One mapping of another's grant (or one's own), found by its handle. Lock: its holder's grants.lock. */
struct grant_mapping {
    struct domain *granter; /* with a reference, NULL: free */
    grant_ref_t ref;
    uint32_t mfn;
    uint32_t flags; /* GNTMAP_*: host_map and device_map as long as they last; readonly, contains_pte */
    uint32_t next_free;
    bool busy; /* being made or undone by some vCPU */
};

/* The entry as one word, so that it is read, checked and changed as a whole. */
#define ENTRY_FLAGS(word) ((uint16_t)(word))
#define ENTRY_DOMID(word) ((domid_t)((word) >> 16))
#define ENTRY_FRAME(word) ((uint32_t)((word) >> 32))
_Static_assert(sizeof(grant_entry_v1_t) == sizeof(uint64_t), "version 1 entries are one word");

/* The entry of ref, and what is held of it; NULL if the table is not that large. grants.lock held. */
uint64_t *grant_entry(struct domain *d, grant_ref_t ref);
struct grant_ref_state *grant_state(struct domain *d, grant_ref_t ref);
/* Make the table at least `frames` large. 0, -EINVAL, -ENOMEM. Context: no lock held. */
int grant_table_grow(struct domain *d, uint32_t frames);

/* A free handle of d, marked busy; GRANT_NO_HANDLE if there are no more. Pair: grant_mapping_put. */
uint32_t grant_mapping_get(struct domain *d, struct grant_mapping **mapping);
void grant_mapping_put(struct domain *d, uint32_t handle);
/* The mapping of a handle, marked busy, or NULL if there is no such, or someone else is at it. Pair: grant_mapping_unclaim or _put. */
struct grant_mapping *grant_mapping_claim(struct domain *d, uint32_t handle);
void grant_mapping_unclaim(struct domain *d, struct grant_mapping *mapping);
/* The mapping of a handle that is below mapping_capacity. */
struct grant_mapping *grant_mapping_at(struct domain *d, uint32_t handle);
void grant_mappings_destroy(struct domain *d);

/* The domain that an operation names, with a reference, or NULL and *status. Another than one's own only for the privileged. */
struct domain *grant_domain_named(domid_t id, int16_t *status);

/* The array operations. 0 or -EFAULT; each element has its own status. */
long grant_op_map(uint64_t uop, unsigned int count);
long grant_op_unmap(uint64_t uop, unsigned int count);
long grant_op_unmap_and_replace(uint64_t uop, unsigned int count);
long grant_op_copy(uint64_t uop, unsigned int count);
long grant_op_transfer(uint64_t uop, unsigned int count);
