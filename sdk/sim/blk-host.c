// SPDX-License-Identifier: MIT
/*
 * A stand-in for the block core on the host. Contract: blk-host.h. Memory of requests is used again in the order in which it was given back, so that a module which
 * orders by address is found by the tests that repeat a run.
 */
#include "blk-host.h"

#include <hv/env.h>
#include <hv/errno.h>

#include <stdlib.h>
#include <string.h>

static void *blk_host_alloc(size_t bytes)
{
    void *p = calloc(1, bytes != 0 ? bytes : 1);

    if (p == NULL)
        abort();
    return p;
}

static void blk_host_fault(struct blk_host *host, const char *what, const struct blk_request *r)
{
    if (host->fault == NULL) {
        host->fault = what;
        host->fault_serial = r != NULL ? r->serial : 0;
    }
    host->fallback = true;
}

/* ---- Modules ---- */

static void blk_host_begin(struct blk_host *host, const struct blk_sched_ops *ops)
{
    struct blk_vbd *vbd;

    host->ops = ops;
    host->fallback = false;
    host->generation++;
    host->state = blk_host_alloc(ops->state_bytes);
    if (ops->create != NULL && ops->create(host->state, &host->disk) != 0)
        abort();
    list_for_each_entry(vbd, &host->vbds, link)
    {
        vbd->data = blk_host_alloc(ops->vbd_bytes);
        if (ops->vbd_insert != NULL)
            ops->vbd_insert(host->state, vbd);
    }
}

static void blk_host_end(struct blk_host *host)
{
    struct blk_vbd *vbd;

    list_for_each_entry(vbd, &host->vbds, link)
    {
        if (host->ops->vbd_remove != NULL)
            host->ops->vbd_remove(host->state, vbd);
        free(vbd->data);
        vbd->data = NULL;
    }
    if (host->ops->destroy != NULL)
        host->ops->destroy(host->state);
    free(host->state);
}

void blk_host_open(struct blk_host *host, const struct blk_sched_ops *ops, const struct blk_disk *disk)
{
    *host = (struct blk_host){.disk = *disk};
    list_init(&host->vbds);
    list_init(&host->queued);
    blk_host_begin(host, ops);
}

static void blk_host_take_back(struct blk_host *host, struct blk_host_request *request)
{
    free(request->r.data);
    request->r.data = NULL;
    request->r.place = 0;
    request->free_next = host->unused;
    host->unused = request;
}

void blk_host_close(struct blk_host *host)
{
    struct blk_request *r, *next;
    struct blk_vbd *vbd, *vbd_next;

    list_for_each_entry_safe(r, next, &host->queued, link)
        blk_host_cancel(host, blk_host_of(r), host->now_ns);
    blk_host_end(host);
    list_for_each_entry_safe(vbd, vbd_next, &host->vbds, link)
        free(vbd);
    while (host->unused != NULL) {
        struct blk_host_request *request = host->unused;

        host->unused = request->free_next;
        free(request);
    }
}

void blk_host_use(struct blk_host *host, const struct blk_sched_ops *ops, uint64_t now_ns)
{
    struct blk_request *r;

    list_for_each_entry(r, &host->queued, link)
    {
        if (!host->fallback)
            host->ops->remove(host->state, r, now_ns);
        free(r->data);
        r->data = NULL;
    }
    blk_host_end(host);
    blk_host_begin(host, ops);
    list_for_each_entry(r, &host->queued, link)
    {
        r->data = blk_host_alloc(ops->request_bytes);
        r->merged = NULL;
        ops->insert(host->state, r, now_ns);
    }
}

/* ---- VBDs ---- */

struct blk_vbd *blk_host_vbd_add(struct blk_host *host, uint32_t id, uint32_t domid)
{
    struct blk_vbd *vbd = blk_host_alloc(sizeof(*vbd));

    vbd->id = id;
    vbd->domid = domid;
    vbd->data = blk_host_alloc(host->ops->vbd_bytes);
    list_push_back(&host->vbds, &vbd->link);
    host->vbd_count++;
    if (host->ops->vbd_insert != NULL)
        host->ops->vbd_insert(host->state, vbd);
    return vbd;
}

void blk_host_vbd_remove(struct blk_host *host, struct blk_vbd *vbd)
{
    if (host->ops->vbd_remove != NULL && !host->fallback)
        host->ops->vbd_remove(host->state, vbd);
    list_remove(&vbd->link);
    host->vbd_count--;
    free(vbd->data);
    free(vbd);
}

struct blk_vbd *blk_host_vbd(struct blk_host *host, uint32_t id)
{
    struct blk_vbd *vbd;

    list_for_each_entry(vbd, &host->vbds, link)
        if (vbd->id == id)
            return vbd;
    return NULL;
}

/* ---- Requests ---- */

struct blk_host_request *blk_host_submit(struct blk_host *host, struct blk_vbd *vbd, enum blk_op op, uint64_t sector, uint32_t sectors, uint32_t segments, uint64_t now_ns)
{
    struct blk_host_request *request = host->unused;
    struct blk_request *r;

    if (request != NULL)
        host->unused = request->free_next;
    else
        request = blk_host_alloc(sizeof(*request));
    r = &request->r;
    *request = (struct blk_host_request){.r = {.vbd = vbd, .serial = ++host->serial, .sector = sector, .sectors = sectors, .segments = segments, .op = (uint8_t)op,
                                               .arrived_ns = now_ns, .place = BLK_HOST_QUEUED}};
    r->data = blk_host_alloc(host->ops->request_bytes);
    list_push_back(&host->queued, &r->link);
    host->queued_count++;
    host->now_ns = now_ns;
    if (!host->fallback)
        host->ops->insert(host->state, r, now_ns);
    return request;
}

void blk_host_cancel(struct blk_host *host, struct blk_host_request *request, uint64_t now_ns)
{
    host->now_ns = now_ns;
    if (!host->fallback)
        host->ops->remove(host->state, &request->r, now_ns);
    list_remove(&request->r.link);
    host->queued_count--;
    blk_host_take_back(host, request);
}

/* Is this answer allowed? The chain is cut at the first that is not. */
static const char *blk_host_flaw(struct blk_host *host, struct blk_request *first, const struct blk_request **at)
{
    struct blk_chain chain = {first, first, first->sectors, first->segments};
    uint32_t length = 1;

    *at = first;
    if (first->place != BLK_HOST_QUEUED)
        return "answered a request that is not queued";
    for (struct blk_request *r = first->merged; r != NULL; r = r->merged) {
        *at = r;
        if (++length > host->queued_count || r->place != BLK_HOST_QUEUED)
            return "merged a request that is not queued, or twice";
        if (!blk_chain_fits(&chain, &host->disk, r))
            return "merged a request that does not continue the one before, or is too much";
        chain.last = r;
        chain.sectors += r->sectors;
        chain.segments += r->segments;
    }
    return NULL;
}

static struct blk_request *blk_host_ask(struct blk_host *host, uint64_t now_ns, uint64_t *hold_ns)
{
    struct blk_request *oldest = list_first_entry(&host->queued, struct blk_request, link);
    const struct blk_request *at = NULL;
    struct blk_decision d;
    const char *flaw;

    oldest->merged = NULL;
    if (host->fallback)
        return oldest;
    d = host->ops->dispatch(host->state, now_ns);
    if (d.request == NULL && d.hold_ns != 0 && d.hold_ns <= host->ops->hold_max_ns) {
        *hold_ns = d.hold_ns;
        host->held++;
        return NULL;
    }
    flaw = d.request == NULL ? "answered nobody without leave to" : blk_host_flaw(host, d.request, &at);
    if (flaw == NULL)
        return d.request;
    blk_host_fault(host, flaw, at);
    oldest->merged = NULL;
    return oldest;
}

struct blk_host_request *blk_host_next(struct blk_host *host, uint64_t now_ns, uint64_t *hold_ns)
{
    struct blk_request *first;

    *hold_ns = 0;
    host->now_ns = now_ns;
    if (list_empty(&host->queued))
        return NULL;
    first = blk_host_ask(host, now_ns, hold_ns);
    for (struct blk_request *r = first; r != NULL; r = r->merged) {
        list_remove(&r->link);
        r->place = BLK_HOST_ISSUED;
        r->issued_ns = now_ns;
        host->queued_count--;
        host->issued_count++;
        blk_host_of(r)->free_next = NULL;
        r->data_next = (void *)(uintptr_t)host->generation; /* which module has issued it */
    }
    return blk_host_of(first);
}

void blk_host_complete(struct blk_host *host, struct blk_host_request *request, uint64_t now_ns)
{
    host->now_ns = now_ns;
    host->issued_count--;
    if (!host->fallback && host->ops->complete != NULL && (uintptr_t)request->r.data_next == host->generation)
        host->ops->complete(host->state, &request->r, now_ns);
    blk_host_take_back(host, request);
}

/* ---- Parameters ---- */

static int blk_host_param(const struct blk_host *host, const struct blk_vbd *vbd, const char *name, uint32_t *index)
{
    for (uint32_t i = 0; i < host->ops->param_count; i++) {
        if (strcmp(host->ops->params[i].name, name) != 0)
            continue;
        *index = i;
        return host->ops->params[i].scopes & (vbd != NULL ? BLK_SCOPE_VBD : BLK_SCOPE_DISK) ? 0 : -EOPNOTSUPP;
    }
    return -ENOENT;
}

int blk_host_param_set(struct blk_host *host, struct blk_vbd *vbd, const char *name, uint64_t value)
{
    uint32_t index = 0;
    int rc = blk_host_param(host, vbd, name, &index);

    if (rc != 0)
        return rc;
    if (value < host->ops->params[index].minimum || value > host->ops->params[index].maximum)
        return -ERANGE;
    host->ops->param_set(host->state, vbd, index, value, host->now_ns);
    return 0;
}

int blk_host_param_get(struct blk_host *host, struct blk_vbd *vbd, const char *name, uint64_t *value)
{
    uint32_t index = 0;
    int rc = blk_host_param(host, vbd, name, &index);

    if (rc == 0)
        *value = host->ops->param_get(host->state, vbd, index);
    return rc;
}
