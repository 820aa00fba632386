// SPDX-License-Identifier: MIT
/*
 * The engine of blk-sim. Contract: blk-engine.h. Module answers are checked by blk-host.c; the disk is sdk/disk/disk-model.c, which serves one at a time: with a depth above 1 the drive has the
 * next ones already, in the order in which it was given them.
 */
#include "blk-engine.h"

#include <collet/disk-record.h>
#include <hv/errno.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000ull

/* What the drive has. */
struct engine_flight {
    struct blk_host_request *first;
    uint64_t begin_ns, end_ns;
};

struct engine {
    struct blk_run *run;
    struct blk_load *load;
    struct blk_host host;
    struct engine_flight *flights; /* a ring of `depth` */
    uint32_t flight_first, flight_count;
    uint64_t hold_until_ns; /* the module wants to be asked again then; 0: at once */
    uint64_t head;          /* the sector behind what was issued last */
};

static void *engine_grow(void *array, size_t count, size_t each)
{
    void *grown = realloc(array, count * each);

    if (grown == NULL)
        abort();
    return grown;
}

/* ---- Loads ---- */

struct blk_stream *blk_load_add(struct blk_load *load, const char *name)
{
    struct blk_stream *s;

    load->streams = engine_grow(load->streams, load->count + 1, sizeof(*s));
    s = &load->streams[load->count++];
    *s = (struct blk_stream){.domid = load->count, .weight = 0};
    snprintf(s->name, sizeof(s->name), "%s", name);
    return s;
}

struct blk_item *blk_stream_add(struct blk_stream *stream)
{
    if ((stream->count & (stream->count - 1)) == 0)
        stream->items = engine_grow(stream->items, stream->count != 0 ? stream->count * 2 : 1, sizeof(*stream->items));
    stream->items[stream->count] = (struct blk_item){.at_ns = 0};
    return &stream->items[stream->count++];
}

void blk_load_free(struct blk_load *load)
{
    for (uint32_t i = 0; i < load->count; i++) {
        free(load->streams[i].items);
        free(load->streams[i].ended_ns);
        free(load->streams[i].latency_ns);
    }
    free(load->streams);
    *load = (struct blk_load){.count = 0};
}

const struct blk_sched_ops *blk_module(const char *name)
{
    for (uint32_t i = 0; blk_sched_modules[i] != NULL; i++)
        if (strcmp(blk_sched_modules[i]->name, name) == 0)
            return blk_sched_modules[i];
    return NULL;
}

/* ---- Recording ---- */

static void engine_record(struct engine *e, struct collet_disk_record record)
{
    record.time_ns = e->run->now_ns;
    if (e->run->record != NULL && fwrite(&record, sizeof(record), 1, e->run->record) != 1)
        e->run->record = NULL; /* the caller sees the error at its end */
}

static void engine_record_name(struct engine *e, enum collet_disk_record_kind kind, uint32_t vbd, const char *name, uint64_t value)
{
    struct collet_disk_record r = {.kind = kind, .vbd = vbd, .value = value};

    snprintf(r.name, sizeof(r.name), "%s", name);
    engine_record(e, r);
}

static void engine_record_header(struct engine *e)
{
    const struct blk_disk *d = &e->run->disk;
    struct collet_disk_record_header header = {
        .magic = COLLET_DISK_RECORD_MAGIC, .version = COLLET_DISK_RECORD_VERSION, .record_bytes = sizeof(struct collet_disk_record), .sectors = d->sectors,
        .disk_id = d->id, .depth = d->depth, .sectors_max = d->sectors_max, .segments_max = d->segments_max, .rotates = d->rotates};

    if (e->run->record != NULL && fwrite(&header, sizeof(header), 1, e->run->record) != 1)
        e->run->record = NULL;
    engine_record_name(e, COLLET_DISK_USE, COLLET_DISK_NO_VBD, e->run->ops->name, 0);
}

/* ---- Made-up loads ---- */

static uint64_t engine_random(struct blk_stream *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random >> 8;
}

/* Exponential, of this mean. */
static uint64_t engine_random_time(struct blk_stream *s, double mean_ns)
{
    return (uint64_t)(-log(((double)(engine_random(s) % (1u << 30)) + 1) / (double)(1u << 30)) * mean_ns);
}

static bool engine_invent(struct engine *e, struct blk_stream *s, struct blk_item *item)
{
    const struct blk_pattern *p = &s->pattern;
    uint64_t to = p->to != 0 ? p->to : e->run->disk.sectors, slots = (to - p->from) / p->sectors;

    if ((p->requests != 0 && s->sent >= p->requests) || slots == 0)
        return false;
    if (p->random)
        s->position = engine_random(s) % slots;
    *item = (struct blk_item){.sector = p->from + s->position * p->sectors, .sectors = p->sectors, .segments = (uint16_t)((p->sectors + 7) / 8),
                              .op = engine_random(s) % 100 < p->reads ? BLK_READ : BLK_WRITE};
    s->position = (s->position + 1) % slots;
    if (p->window == 0) {
        item->at_ns = (s->sent != 0 ? s->last_ns : p->start_ns) + engine_random_time(s, 1e9 / p->rate);
        s->last_ns = item->at_ns;
    } else {
        item->after = s->sent < p->window ? 0 : (uint32_t)(s->sent - p->window + 1);
        item->think_ns = item->after == 0 ? p->start_ns : 0;
        if (p->think_ns != 0)
            item->think_ns += engine_random_time(s, (double)p->think_ns);
    }
    return true;
}

/* ---- Arrivals ---- */

static void engine_fetch(struct engine *e, struct blk_stream *s)
{
    if (s->items == NULL) {
        s->has_next = engine_invent(e, s, &s->next);
    } else {
        s->has_next = s->sent < s->count;
        if (s->has_next)
            s->next = s->items[s->sent];
    }
}

/* When the stream's next request comes; UINT64_MAX: that depends, or never. */
static uint64_t engine_due(const struct blk_stream *s)
{
    uint64_t at_ns;

    if (!s->has_next)
        return UINT64_MAX;
    if (!s->closed)
        at_ns = s->next.at_ns;
    else if (s->next.after > s->ended)
        return UINT64_MAX;
    else
        at_ns = (s->next.after != 0 ? s->ended_ns[s->next.after - 1] : 0) + s->next.think_ns;
    return s->items == NULL && s->pattern.stop_ns != 0 && at_ns >= s->pattern.stop_ns ? UINT64_MAX : at_ns;
}

static void engine_arrive(struct engine *e, struct blk_stream *s)
{
    const struct blk_item *item = &s->next;
    struct blk_host_request *request = blk_host_submit(&e->host, s->vbd, item->op, item->sector, item->sectors, item->segments, e->run->now_ns);

    request->tag = (uint64_t)(s - e->load->streams);
    e->run->requests++;
    engine_record(e, (struct collet_disk_record){.kind = COLLET_DISK_ARRIVE, .serial = request->r.serial, .vbd = s->vbd->id, .domid = (uint16_t)s->domid, .op = item->op,
                                                 .value = e->run->now_ns - (s->ended != 0 ? s->ended_ns[s->ended - 1] : 0), .sector = item->sector,
                                                 .sectors = item->sectors, .segments = item->segments, .after = s->ended});
    s->sent++;
    engine_fetch(e, s);
}

static uint64_t engine_arrivals(struct engine *e)
{
    uint64_t first_ns = UINT64_MAX;

    for (uint32_t i = 0; i < e->load->count; i++) {
        struct blk_stream *s = &e->load->streams[i];

        while (engine_due(s) <= e->run->now_ns) {
            engine_arrive(e, s);
            e->hold_until_ns = 0;
        }
        if (engine_due(s) < first_ns)
            first_ns = engine_due(s);
    }
    return first_ns;
}

/* ---- The device ---- */

static void engine_note(struct engine *e, const struct blk_host_request *first)
{
    for (const struct blk_request *r = &first->r; r != NULL; r = r->merged) {
        e->run->hash = (e->run->hash ^ r->serial) * 0x100000001b3ull;
        e->run->merged += r != &first->r;
        engine_record(e, (struct collet_disk_record){.kind = COLLET_DISK_DECIDE, .serial = r->serial, .vbd = r->vbd->id, .sector = r->sector, .sectors = r->sectors,
                                                     .flags = r != &first->r ? COLLET_DISK_MERGED : 0});
        if (e->run->decisions != NULL)
            fprintf(e->run->decisions, "%llu %llu %u %c %llu %u%s\n", (unsigned long long)e->run->now_ns, (unsigned long long)r->serial, r->vbd->id, "RWDZ"[r->op & 3],
                    (unsigned long long)r->sector, r->sectors, r != &first->r ? " merged" : "");
    }
}

static void engine_issue(struct engine *e, struct blk_host_request *first)
{
    struct blk_run *run = e->run;
    struct engine_flight *f = &e->flights[(e->flight_first + e->flight_count++) % run->disk.depth];
    bool moves = first->r.op == BLK_READ || first->r.op == BLK_WRITE;
    uint32_t sectors = 0;

    for (const struct blk_request *r = &first->r; r != NULL; r = r->merged)
        sectors += r->sectors;
    run->sector_distance += first->r.sector > e->head ? first->r.sector - e->head : e->head - first->r.sector;
    e->head = first->r.sector + sectors;
    f->first = first;
    f->begin_ns = run->now_ns > run->model.busy_ns ? run->now_ns : run->model.busy_ns;
    f->end_ns = disk_model_serve(&run->model, first->r.op != BLK_READ, first->r.sector, moves ? sectors : 1, run->now_ns, NULL);
    run->busy_ns += f->end_ns - f->begin_ns;
    run->device_requests++;
    engine_note(e, first);
}

static void engine_dispatch(struct engine *e)
{
    while (e->flight_count < e->run->disk.depth && e->host.queued_count != 0 && e->hold_until_ns <= e->run->now_ns) {
        uint64_t hold_ns;
        struct blk_host_request *first = blk_host_next(&e->host, e->run->now_ns, &hold_ns);

        if (first == NULL) {
            e->hold_until_ns = e->run->now_ns + hold_ns;
            engine_record(e, (struct collet_disk_record){.kind = COLLET_DISK_HOLD, .value = hold_ns});
            return;
        }
        engine_issue(e, first);
    }
}

static void engine_end_request(struct engine *e, struct blk_host_request *request, uint64_t disk_ns)
{
    struct blk_stream *s = &e->load->streams[request->tag];
    uint64_t now_ns = e->run->now_ns;

    if (s->ended == s->ended_room) {
        s->ended_room = s->ended_room != 0 ? s->ended_room * 2 : 1024;
        s->ended_ns = engine_grow(s->ended_ns, s->ended_room, sizeof(uint64_t));
        s->latency_ns = engine_grow(s->latency_ns, s->ended_room, sizeof(uint64_t));
    }
    s->latency_ns[s->ended] = now_ns - request->r.arrived_ns;
    s->ended_ns[s->ended++] = now_ns;
    s->sectors += request->r.sectors;
    s->disk_ns += disk_ns;
    s->wait_ns += request->r.issued_ns - request->r.arrived_ns;
    engine_record(e, (struct collet_disk_record){.kind = COLLET_DISK_COMPLETE, .serial = request->r.serial, .vbd = request->r.vbd->id, .value = now_ns - request->r.issued_ns});
    blk_host_complete(&e->host, request, now_ns);
}

/* The oldest flight has ended: each request of its chain, with an equal part of the time. */
static void engine_land(struct engine *e)
{
    struct engine_flight f = e->flights[e->flight_first];
    uint32_t count = 0;

    e->flight_first = (e->flight_first + 1) % e->run->disk.depth;
    e->flight_count--;
    for (const struct blk_request *r = &f.first->r; r != NULL; r = r->merged)
        count++;
    for (struct blk_request *r = &f.first->r, *next; r != NULL; r = next) {
        next = r->merged;
        engine_end_request(e, blk_host_of(r), (f.end_ns - f.begin_ns) / count);
    }
    e->hold_until_ns = 0;
}

/* ---- A run ---- */

static const char *engine_set(struct engine *e, const char *stream, const char *name, uint64_t value)
{
    struct blk_vbd *vbd = NULL;
    bool found = stream[0] == '\0';

    for (uint32_t i = 0; i < e->load->count && !found; i++) {
        found = strcmp(e->load->streams[i].name, stream) == 0;
        vbd = e->load->streams[i].vbd;
    }
    if (!found)
        return "no stream of this name";
    switch (blk_host_param_set(&e->host, vbd, name, value)) {
    case 0:
        engine_record_name(e, COLLET_DISK_SET, vbd != NULL ? vbd->id : COLLET_DISK_NO_VBD, name, value);
        return NULL;
    case -ENOENT:
        return "the module has no such parameter";
    case -EOPNOTSUPP:
        return "not a parameter of this target (STREAM:NAME=VALUE is one stream's, NAME=VALUE the disk's)";
    default:
        return "value out of range; --list shows the limits";
    }
}

static const char *engine_begin(struct engine *e)
{
    struct blk_run *run = e->run;

    disk_model_init(&run->model, run->drive, run->disk.sectors);
    blk_host_open(&e->host, run->ops, &run->disk);
    e->flights = engine_grow(NULL, run->disk.depth, sizeof(*e->flights));
    engine_record_header(e);
    for (uint32_t i = 0; i < e->load->count; i++) {
        struct blk_stream *s = &e->load->streams[i];

        s->vbd = blk_host_vbd_add(&e->host, i + 1, s->domid);
        s->ended = 0;
        s->sent = s->position = s->last_ns = 0;
        s->sectors = s->disk_ns = s->wait_ns = 0;
        s->random = (run->seed + i + 1) * 0x9e3779b97f4a7c15ull | 1;
        engine_record(e, (struct collet_disk_record){.kind = COLLET_DISK_VBD, .vbd = s->vbd->id, .domid = (uint16_t)s->domid});
        engine_fetch(e, s);
        if (s->weight != 0)
            engine_set(e, s->name, "weight", s->weight); /* modules without weights go without */
    }
    for (uint32_t i = 0; i < run->setting_count; i++) {
        const char *flaw = engine_set(e, run->settings[i].stream, run->settings[i].name, run->settings[i].value);

        if (flaw != NULL)
            return flaw;
    }
    return NULL;
}

/* To the next event. False: nothing will happen any more. */
static bool engine_step(struct engine *e)
{
    struct blk_run *run = e->run;
    uint64_t next_ns = engine_arrivals(e);

    engine_dispatch(e);
    if (e->flight_count != 0 && e->flights[e->flight_first].end_ns < next_ns)
        next_ns = e->flights[e->flight_first].end_ns;
    if (e->hold_until_ns > run->now_ns && e->host.queued_count != 0 && e->flight_count < run->disk.depth && e->hold_until_ns < next_ns)
        next_ns = e->hold_until_ns;
    if (next_ns == UINT64_MAX)
        return false;
    if (run->time_ns != 0 && next_ns > run->time_ns) {
        run->now_ns = run->time_ns;
        return false;
    }
    run->now_ns = next_ns;
    while (e->flight_count != 0 && e->flights[e->flight_first].end_ns <= run->now_ns)
        engine_land(e);
    return true;
}

const char *blk_engine_run(struct blk_run *run, struct blk_load *load)
{
    struct engine e = {.run = run, .load = load};
    const char *flaw;

    run->now_ns = run->busy_ns = run->device_requests = run->requests = run->merged = run->sector_distance = 0;
    run->hash = 0xcbf29ce484222325ull;
    flaw = engine_begin(&e);
    while (flaw == NULL && engine_step(&e))
        ;
    run->fault = e.host.fault;
    run->fault_serial = e.host.fault_serial;
    run->held = e.host.held;
    for (; e.flight_count != 0; e.flight_count--) { /* cut off by the time limit */
        struct engine_flight *f = &e.flights[e.flight_first];

        e.flight_first = (e.flight_first + 1) % run->disk.depth;
        run->busy_ns -= f->end_ns - (f->begin_ns > run->now_ns ? f->begin_ns : run->now_ns);
        for (struct blk_request *r = &f->first->r, *next; r != NULL; r = next) {
            next = r->merged;
            blk_host_complete(&e.host, blk_host_of(r), run->now_ns);
        }
    }
    blk_host_close(&e.host);
    free(e.flights);
    return flaw;
}

/* ---- Results ---- */

static int engine_by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void engine_add_result(struct blk_result *to, const struct blk_stream *s)
{
    to->latency_ns = engine_grow(to->latency_ns, to->requests + s->ended + 1, sizeof(uint64_t));
    if (s->ended != 0)
        memcpy(to->latency_ns + to->requests, s->latency_ns, s->ended * sizeof(uint64_t));
    to->requests += s->ended;
    to->sectors += s->sectors;
    to->disk_ns += s->disk_ns;
    to->wait_ns += s->wait_ns;
}

struct blk_result *blk_results(const struct blk_load *load, uint32_t *count)
{
    struct blk_result *results = engine_grow(NULL, load->count + 1, sizeof(*results)), *all;

    *count = 0;
    for (uint32_t i = 0; i < load->count; i++) {
        const struct blk_stream *s = &load->streams[i];
        uint32_t d = 0;

        while (d < *count && results[d].domid != s->domid)
            d++;
        if (d == *count) {
            results[(*count)++] = (struct blk_result){.domid = s->domid, .weight = s->weight != 0 ? s->weight : 100};
            memcpy(results[d].name, s->name, sizeof(s->name));
        }
        engine_add_result(&results[d], s);
    }
    all = &results[*count];
    *all = (struct blk_result){.weight = 100};
    for (uint32_t i = 0; i < load->count; i++)
        engine_add_result(all, &load->streams[i]);
    for (uint32_t i = 0; i <= *count; i++)
        if (results[i].requests != 0)
            qsort(results[i].latency_ns, results[i].requests, sizeof(uint64_t), engine_by_value);
    return results;
}

void blk_results_free(struct blk_result *results, uint32_t count)
{
    for (uint32_t i = 0; i <= count; i++)
        free(results[i].latency_ns);
    free(results);
}

uint64_t blk_percentile(const struct blk_result *result, double percent)
{
    uint64_t rank;

    if (result->requests == 0)
        return 0;
    rank = (uint64_t)ceil(percent / 100 * (double)result->requests);
    return result->latency_ns[rank > result->requests ? result->requests - 1 : rank != 0 ? rank - 1 : 0];
}

double blk_fairness(const struct blk_result *results, uint32_t count)
{
    double sum = 0, squares = 0;
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++) {
        double x = (double)results[i].disk_ns / (double)results[i].weight;

        if (results[i].requests == 0)
            continue;
        sum += x;
        squares += x * x;
        n++;
    }
    return squares == 0 ? 1 : sum * sum / (n * squares);
}
