// SPDX-License-Identifier: MIT
/*
 * Repeats a disk recording call by call: the same module files, told the same at the same times, must answer as they did in the hypervisor. Contract: blk-input.h. Format:
 * <collet/disk-record.h>. Tests: test-blk-input.c.
 */
#include "blk-input.h"

#include <collet/disk-record.h>

#include <stdlib.h>
#include <string.h>

struct verify {
    struct blk_host host;
    bool open;
    struct blk_host_request **requests; /* by serial less the first one */
    uint64_t first_serial, request_room;
    struct blk_host_request *expected;  /* the rest of the chain that was answered */
    uint64_t decisions, time_ns;
    char *text;
    size_t text_bytes;
    const char *path;
    uint64_t number; /* of the record */
};

static int verify_end(struct verify *v, int rc, const char *what)
{
    snprintf(v->text, v->text_bytes, "%s: record %llu: %s", v->path, (unsigned long long)v->number, what);
    return rc;
}

static struct blk_host_request **verify_slot(struct verify *v, uint64_t serial)
{
    if (v->first_serial == 0)
        v->first_serial = serial;
    if (serial < v->first_serial || serial - v->first_serial >= v->request_room)
        return NULL;
    return &v->requests[serial - v->first_serial];
}

/* ---- The block core's own order, which takes over from a module that failed ---- */

struct arrival_request {
    struct list_node link;
    struct blk_request *request;
};

static int arrival_create(void *state, const struct blk_disk *disk)
{
    (void)disk;
    list_init(state);
    return 0;
}

static void arrival_insert(void *state, struct blk_request *request, uint64_t now_ns)
{
    struct arrival_request *r = request->data;

    (void)now_ns;
    r->request = request;
    list_push_back(state, &r->link);
}

static void arrival_remove(void *state, struct blk_request *request, uint64_t now_ns)
{
    (void)state, (void)now_ns;
    list_remove(&((struct arrival_request *)request->data)->link);
}

static struct blk_decision arrival_dispatch(void *state, uint64_t now_ns)
{
    struct arrival_request *r = list_first_entry((struct list_node *)state, struct arrival_request, link);

    (void)now_ns;
    list_remove(&r->link);
    r->request->merged = NULL;
    return (struct blk_decision){r->request, 0};
}

static const struct blk_sched_ops arrival = {
    .name = "arrival",
    .state_bytes = sizeof(struct list_node),
    .request_bytes = sizeof(struct arrival_request),
    .create = arrival_create,
    .insert = arrival_insert,
    .remove = arrival_remove,
    .dispatch = arrival_dispatch,
};

/* ---- Records ---- */

static int verify_use(struct verify *v, const struct collet_disk_record_header *header, const struct collet_disk_record *r)
{
    const struct blk_disk disk = {.id = header->disk_id, .depth = header->depth, .sectors = header->sectors, .sectors_max = header->sectors_max,
                                  .segments_max = header->segments_max, .rotates = header->rotates != 0};
    char name[33] = "", message[128];
    const struct blk_sched_ops *ops;

    memcpy(name, r->name, sizeof(r->name));
    ops = strcmp(name, arrival.name) == 0 ? &arrival : blk_module(name);
    if (ops == NULL) {
        snprintf(message, sizeof(message), "there is no module '%s' here", name);
        return verify_end(v, 2, message);
    }
    if (v->open)
        blk_host_use(&v->host, ops, r->time_ns);
    else
        blk_host_open(&v->host, ops, &disk);
    v->open = true;
    return 0;
}

static int verify_arrive(struct verify *v, const struct collet_disk_record *r)
{
    struct blk_host_request **slot = verify_slot(v, r->serial);
    struct blk_vbd *vbd = blk_host_vbd(&v->host, r->vbd);

    if (r->op == COLLET_DISK_FLUSH)
        return 0; /* the core's */
    if (slot == NULL || *slot != NULL || vbd == NULL || r->op > BLK_WRITE_ZEROES)
        return verify_end(v, 2, "an arrival with an unknown VBD or op, or a serial that is not new");
    v->host.serial = r->serial - 1;
    *slot = blk_host_submit(&v->host, vbd, r->op, r->sector, r->sectors, r->segments, r->time_ns);
    return 0;
}

/* The module is asked, or the chain that it has answered goes on. */
static int verify_decide(struct verify *v, const struct collet_disk_record *r)
{
    struct blk_host_request *answer = v->expected;
    uint64_t hold_ns = 0;
    char message[160];

    if (!(r->flags & COLLET_DISK_MERGED) && v->expected != NULL)
        return verify_end(v, 1, "here the module has merged one more request");
    if (!(r->flags & COLLET_DISK_MERGED))
        answer = blk_host_next(&v->host, r->time_ns, &hold_ns);
    if (v->host.fault != NULL)
        return verify_end(v, 1, v->host.fault);
    if (answer == NULL || answer->r.serial != r->serial) {
        snprintf(message, sizeof(message), "recorded is request %llu, here the answer is %llu", (unsigned long long)r->serial,
                 (unsigned long long)(answer != NULL ? answer->r.serial : 0));
        return verify_end(v, 1, message);
    }
    v->expected = blk_host_of(answer->r.merged);
    v->decisions++;
    return 0;
}

static int verify_hold(struct verify *v, const struct collet_disk_record *r)
{
    uint64_t hold_ns = 0;

    if (v->expected != NULL)
        return verify_end(v, 1, "here the module has merged one more request");
    if (blk_host_next(&v->host, r->time_ns, &hold_ns) != NULL || hold_ns != r->value)
        return verify_end(v, 1, "recorded is waiting; here the answer is another");
    v->decisions++;
    return 0;
}

static int verify_gone(struct verify *v, const struct collet_disk_record *r)
{
    struct blk_host_request **slot = verify_slot(v, r->serial);

    if (slot == NULL || *slot == NULL || (*slot)->r.place != (r->kind == COLLET_DISK_CANCEL ? BLK_HOST_QUEUED : BLK_HOST_ISSUED))
        return verify_end(v, 2, "the end of a request that is not there");
    if (r->kind == COLLET_DISK_CANCEL)
        blk_host_cancel(&v->host, *slot, r->time_ns);
    else
        blk_host_complete(&v->host, *slot, r->time_ns);
    *slot = NULL;
    return 0;
}

static bool verify_busy(const struct verify *v, const struct blk_vbd *vbd)
{
    for (uint64_t i = 0; i < v->request_room; i++)
        if (v->requests[i] != NULL && v->requests[i]->r.vbd == vbd)
            return true;
    return false;
}

static int verify_vbd(struct verify *v, const struct collet_disk_record *r)
{
    struct blk_vbd *vbd = blk_host_vbd(&v->host, r->vbd);
    char name[33] = "";

    if (r->kind == COLLET_DISK_VBD && vbd == NULL) {
        blk_host_vbd_add(&v->host, r->vbd, r->domid);
        return 0;
    }
    if (r->kind == COLLET_DISK_VBD_GONE && vbd != NULL && !verify_busy(v, vbd)) {
        blk_host_vbd_remove(&v->host, vbd);
        return 0;
    }
    memcpy(name, r->name, sizeof(r->name));
    if (r->kind == COLLET_DISK_SET && blk_host_param_set(&v->host, vbd, name, r->value) == 0)
        return 0;
    return verify_end(v, 2, "a VBD twice, one that is not there or is busy, or an unknown parameter");
}

static int verify_record(struct verify *v, const struct collet_disk_record_header *header, const struct collet_disk_record *r)
{
    if (r->time_ns < v->time_ns)
        return verify_end(v, 2, "time goes back");
    v->time_ns = r->time_ns;
    if (r->kind == COLLET_DISK_USE)
        return verify_use(v, header, r);
    if (r->kind == COLLET_DISK_LOST)
        return verify_end(v, 2, "records were lost here; what follows cannot be compared");
    if (!v->open)
        return verify_end(v, 2, "a recording begins with the module in use");
    v->host.now_ns = r->time_ns;
    switch (r->kind) {
    case COLLET_DISK_VBD:
    case COLLET_DISK_VBD_GONE:
    case COLLET_DISK_SET:
        return verify_vbd(v, r);
    case COLLET_DISK_ARRIVE:
        return verify_arrive(v, r);
    case COLLET_DISK_DECIDE:
        return verify_decide(v, r);
    case COLLET_DISK_HOLD:
        return verify_hold(v, r);
    case COLLET_DISK_COMPLETE:
    case COLLET_DISK_CANCEL:
        return verify_gone(v, r);
    default:
        return 0; /* of a later version */
    }
}

int blk_verify(const char *path, const char *bytes, size_t count, char *text, size_t text_bytes)
{
    struct verify v = {.text = text, .text_bytes = text_bytes, .path = path};
    struct collet_disk_record_header header;
    struct collet_disk_record r;
    uint64_t records;
    int rc = 0;

    if (count < sizeof(header))
        return verify_end(&v, 2, "not a recording");
    memcpy(&header, bytes, sizeof(header));
    if (header.magic != COLLET_DISK_RECORD_MAGIC || header.version != COLLET_DISK_RECORD_VERSION || header.record_bytes != sizeof(r))
        return verify_end(&v, 2, "not a recording of this version");
    records = (count - sizeof(header)) / sizeof(r);
    if (header.records != 0 && header.records < records)
        records = header.records;
    v.request_room = records + 1;
    v.requests = calloc(v.request_room, sizeof(*v.requests));
    if (v.requests == NULL)
        abort();
    for (; rc == 0 && v.number < records; v.number++) {
        memcpy(&r, bytes + sizeof(header) + v.number * sizeof(r), sizeof(r));
        rc = verify_record(&v, &header, &r);
        if (rc != 0)
            break;
    }
    if (rc == 0)
        snprintf(text, text_bytes, "%s: %llu decisions, all alike", path, (unsigned long long)v.decisions);
    for (uint64_t i = 0; i < v.request_room; i++)
        if (v.requests[i] != NULL && v.requests[i]->r.place == BLK_HOST_ISSUED)
            blk_host_complete(&v.host, v.requests[i], v.time_ns);
    if (v.open)
        blk_host_close(&v.host);
    free(v.requests);
    return rc;
}
