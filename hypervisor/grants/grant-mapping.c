// SPDX-License-Identifier: MIT
/*
 * The handles by which a domain knows its mappings of grants: a table that grows by pages, and never moves, with its free handles in a list.
 * A mapping that a vCPU works on is marked busy; another vCPU of the domain that names it meanwhile is told that there is no such handle.
 * Locks: the domain's grants.lock.  Tests: test-grant.c.
 */
#include "grant-internal.h"

#include "alloc.h"
#include "cpu.h"

#define MAPPINGS_PER_PAGE 128u
_Static_assert(MAPPINGS_PER_PAGE * sizeof(struct grant_mapping) <= PAGE_SIZE, "a page of mappings");
_Static_assert(GRANT_MAPPINGS_MAX / MAPPINGS_PER_PAGE * sizeof(void *) <= PAGE_SIZE, "a page of pointers to them");

struct grant_mapping *grant_mapping_at(struct domain *d, uint32_t handle)
{
    return &d->grants.mapping_pages[handle / MAPPINGS_PER_PAGE][handle % MAPPINGS_PER_PAGE];
}

/* Another page of free handles. Lock held. */
static bool mappings_grow(struct domain *d)
{
    struct domain_grants *g = &d->grants;
    uint32_t first = g->mapping_capacity;
    struct grant_mapping *page;

    if (first >= GRANT_MAPPINGS_MAX)
        return false;
    if (g->mapping_pages == NULL && (g->mapping_pages = page_alloc()) == NULL)
        return false;
    page = page_alloc();
    if (page == NULL)
        return false;
    for (uint32_t i = 0; i < MAPPINGS_PER_PAGE; i++)
        page[i].next_free = i + 1 < MAPPINGS_PER_PAGE ? first + i + 1 : GRANT_NO_HANDLE;
    g->mapping_pages[first / MAPPINGS_PER_PAGE] = page;
    g->mapping_capacity = first + MAPPINGS_PER_PAGE;
    g->mapping_free = first;
    return true;
}

uint32_t grant_mapping_get(struct domain *d, struct grant_mapping **mapping)
{
    struct domain_grants *g = &d->grants;
    uint32_t handle = GRANT_NO_HANDLE;

    spin_lock(&g->lock);
    if (!g->closing && (g->mapping_free != GRANT_NO_HANDLE || mappings_grow(d))) {
        handle = g->mapping_free;
        *mapping = grant_mapping_at(d, handle);
        g->mapping_free = (*mapping)->next_free;
        (*mapping)->busy = true;
    }
    spin_unlock(&g->lock);
    return handle;
}

void grant_mapping_put(struct domain *d, uint32_t handle)
{
    struct domain_grants *g = &d->grants;
    struct grant_mapping *m;

    spin_lock(&g->lock);
    m = grant_mapping_at(d, handle);
    *m = (struct grant_mapping){.next_free = g->mapping_free};
    g->mapping_free = handle;
    spin_unlock(&g->lock);
}

struct grant_mapping *grant_mapping_claim(struct domain *d, uint32_t handle)
{
    struct domain_grants *g = &d->grants;
    struct grant_mapping *m = NULL;

    spin_lock(&g->lock);
    if (handle < g->mapping_capacity) {
        m = grant_mapping_at(d, handle);
        if (m->granter == NULL || m->busy)
            m = NULL;
        else
            m->busy = true;
    }
    spin_unlock(&g->lock);
    return m;
}

void grant_mapping_unclaim(struct domain *d, struct grant_mapping *mapping)
{
    spin_lock(&d->grants.lock);
    mapping->busy = false;
    spin_unlock(&d->grants.lock);
}

void domain_grants_each_hold(struct domain *d, void (*each)(void *arg, mfn_t mfn, bool write), void *arg)
{
    for (uint32_t handle = 0; handle < d->grants.mapping_capacity; handle++) {
        const struct grant_mapping *m = grant_mapping_at(d, handle);

        if (m->granter != NULL)
            each(arg, MFN(m->mfn), !(m->flags & GNTMAP_readonly));
    }
}

void grant_mappings_destroy(struct domain *d)
{
    struct domain_grants *g = &d->grants;

    for (uint32_t handle = 0; handle < g->mapping_capacity; handle++) {
        struct grant_mapping *m = grant_mapping_at(d, handle);

        if (m->granter == NULL)
            continue;
        grant_release(m->granter, m->ref, !(m->flags & GNTMAP_readonly), MFN(m->mfn));
        domain_put(m->granter);
        m->granter = NULL;
        preempt_point();
    }
    for (uint32_t i = 0; i < g->mapping_capacity / MAPPINGS_PER_PAGE; i++)
        page_free(g->mapping_pages[i]);
    if (g->mapping_pages != NULL)
        page_free(g->mapping_pages);
    g->mapping_pages = NULL;
    g->mapping_capacity = 0;
    g->mapping_free = GRANT_NO_HANDLE;
}
