// SPDX-License-Identifier: MIT
/*
 * Writing and reading the messages between the daemon and a plugin's worker.
 * Contract: plugin-wire.h.  Tests: test-plugin-wire.c.
 */
#include "plugin-wire.h"

#include <stdlib.h>
#include <string.h>

static void *pack_room(struct plugin_pack *p, size_t bytes)
{
    if (!p->failed && p->used + bytes > p->room) {
        size_t room = (p->room != 0 ? p->room * 2 : 4096) + bytes;
        char *data = realloc(p->data, room);

        if (data != NULL) {
            p->data = data;
            p->room = room;
        } else {
            p->failed = true;
        }
    }
    if (p->failed)
        return NULL;
    p->used += bytes;
    return p->data + p->used - bytes;
}

static void pack_bytes(struct plugin_pack *p, const void *bytes, size_t count)
{
    void *to = pack_room(p, count);

    if (to != NULL)
        memcpy(to, bytes, count);
}

void plugin_pack_begin(struct plugin_pack *p, enum plugin_message kind, uint64_t call)
{
    struct plugin_head head = {.kind = (uint16_t)kind, .version = PLUGIN_WIRE_VERSION, .call = call};

    p->head = p->used;
    pack_bytes(p, &head, sizeof(head));
}

void plugin_pack_end(struct plugin_pack *p)
{
    uint32_t bytes = (uint32_t)(p->used - p->head - sizeof(struct plugin_head));

    if (!p->failed)
        memcpy(p->data + p->head + offsetof(struct plugin_head, bytes), &bytes, sizeof(bytes));
}

void plugin_pack_free(struct plugin_pack *p)
{
    free(p->data);
    *p = (struct plugin_pack){0};
}

void plugin_pack_u64(struct plugin_pack *p, uint64_t value)
{
    pack_bytes(p, &value, sizeof(value));
}

void plugin_pack_double(struct plugin_pack *p, double value)
{
    pack_bytes(p, &value, sizeof(value));
}

void plugin_pack_text(struct plugin_pack *p, const char *text, size_t max)
{
    size_t length = text != NULL ? strnlen(text, max - 1) : 0;

    plugin_pack_u64(p, length);
    pack_bytes(p, text != NULL ? text : "", length);
    pack_bytes(p, "", 1);
}

#define WHOLE (PLUGIN_WIRE_CALL_MAX / 16)

void plugin_pack_settings(struct plugin_pack *p, const struct collet_plugin_setting *settings, uint32_t count)
{
    plugin_pack_u64(p, count);
    for (uint32_t i = 0; i < count; i++) {
        plugin_pack_text(p, settings[i].section, WHOLE);
        plugin_pack_text(p, settings[i].key, WHOLE);
        plugin_pack_text(p, settings[i].value, WHOLE);
        plugin_pack_text(p, settings[i].file, WHOLE);
        plugin_pack_u64(p, settings[i].line);
    }
}

/* The numbers of a domain in the order of the wire: one list for both directions. */
#define DOMAIN_NUMBERS(X)                                                                                                                                                              \
    X(domid)                                                                                                                                                                           \
    X(vcpus)                                                                                                                                                                           \
    X(frames)                                                                                                                                                                          \
    X(frames_max)                                                                                                                                                                      \
    X(run_ns)                                                                                                                                                                          \
    X(runnable_ns)                                                                                                                                                                     \
    X(blocked_ns)                                                                                                                                                                      \
    X(wakes)                                                                                                                                                                           \
    X(dispatches)                                                                                                                                                                      \
    X(waited_max_ns)                                                                                                                                                                   \
    X(interval_run_ns)                                                                                                                                                                 \
    X(interval_runnable_ns)                                                                                                                                                            \
    X(interval_blocked_ns)                                                                                                                                                             \
    X(interval_wakes)                                                                                                                                                                  \
    X(interval_dispatches)

#define LATENCY_BUCKETS (sizeof(((struct collet_plugin_domain *)0)->latency) / sizeof(uint64_t))

static void pack_domain(struct plugin_pack *p, const struct collet_plugin_domain *d)
{
#define X(field) plugin_pack_u64(p, d->field);
    DOMAIN_NUMBERS(X)
#undef X
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        plugin_pack_u64(p, d->latency[i]);
        plugin_pack_u64(p, d->interval_latency[i]);
    }
    plugin_pack_text(p, d->name, WHOLE);
    plugin_pack_settings(p, d->settings, d->setting_count);
}

static void pack_parameter(struct plugin_pack *p, const struct collet_plugin_parameter *parameter)
{
    plugin_pack_text(p, parameter->name, WHOLE);
    plugin_pack_u64(p, parameter->type);
    plugin_pack_u64(p, parameter->scopes);
    plugin_pack_u64(p, parameter->minimum);
    plugin_pack_u64(p, parameter->maximum);
    plugin_pack_u64(p, parameter->initial);
}

#define VBD_NUMBERS(X)                                                                                                                                                                 \
    X(vbd)                                                                                                                                                                             \
    X(domid)                                                                                                                                                                           \
    X(disk)                                                                                                                                                                            \
    X(flags)                                                                                                                                                                           \
    X(sectors)                                                                                                                                                                         \
    X(reads)                                                                                                                                                                           \
    X(writes)                                                                                                                                                                          \
    X(read_sectors)                                                                                                                                                                    \
    X(write_sectors)

static void pack_disks(struct plugin_pack *p, const struct collet_plugin_world *world)
{
    plugin_pack_u64(p, world->disk_count);
    for (uint32_t i = 0; i < world->disk_count; i++) {
        const struct collet_plugin_disk *d = &world->disks[i];

        plugin_pack_u64(p, d->disk);
        plugin_pack_u64(p, d->sectors);
        plugin_pack_text(p, d->name, WHOLE);
        plugin_pack_text(p, d->module, WHOLE);
        plugin_pack_u64(p, d->parameter_count);
        for (uint32_t j = 0; j < d->parameter_count; j++)
            pack_parameter(p, &d->parameters[j]);
    }
    plugin_pack_u64(p, world->vbd_count);
    for (uint32_t i = 0; i < world->vbd_count; i++) {
        const struct collet_plugin_vbd *v = &world->vbds[i];

#define X(field) plugin_pack_u64(p, v->field);
        VBD_NUMBERS(X)
#undef X
        plugin_pack_text(p, v->name, WHOLE);
    }
}

void plugin_pack_world(struct plugin_pack *p, const struct collet_plugin_world *world)
{
    plugin_pack_u64(p, world->now_ns);
    plugin_pack_u64(p, world->interval_ns);
    plugin_pack_u64(p, world->cpus);
    plugin_pack_u64(p, world->frames_total);
    plugin_pack_u64(p, world->frames_free);
    plugin_pack_text(p, world->sched, WHOLE);
    plugin_pack_u64(p, world->parameter_count);
    for (uint32_t i = 0; i < world->parameter_count; i++)
        pack_parameter(p, &world->parameters[i]);
    plugin_pack_u64(p, world->domain_count);
    for (uint32_t i = 0; i < world->domain_count; i++)
        pack_domain(p, &world->domains[i]);
    pack_disks(p, world);
}

void plugin_pack_request(struct plugin_pack *p, const struct collet_plugin_request *request)
{
    plugin_pack_text(p, request->name, WHOLE);
    plugin_pack_u64(p, request->vcpus);
    plugin_pack_u64(p, request->frames);
    plugin_pack_u64(p, request->frames_max);
    plugin_pack_settings(p, request->settings, request->setting_count);
}

static bool unpack_bytes(struct plugin_unpack *u, void *to, size_t count)
{
    if (u->failed || (size_t)(u->end - u->at) < count) {
        u->failed = true;
        memset(to, 0, count);
        return false;
    }
    memcpy(to, u->at, count);
    u->at += count;
    return true;
}

uint64_t plugin_unpack_u64(struct plugin_unpack *u)
{
    uint64_t value;

    unpack_bytes(u, &value, sizeof(value));
    return value;
}

double plugin_unpack_double(struct plugin_unpack *u)
{
    double value;

    unpack_bytes(u, &value, sizeof(value));
    return value;
}

const char *plugin_unpack_text(struct plugin_unpack *u)
{
    uint64_t length = plugin_unpack_u64(u);
    const char *text = u->at;

    if (u->failed || length >= (uint64_t)(u->end - u->at) || text[length] != '\0') {
        u->failed = true;
        return "";
    }
    u->at += length + 1;
    return text;
}

/* Zeroed memory for `count` things, each of which takes at least a byte of what is left to read. */
static void *unpack_array(struct plugin_unpack *u, uint64_t count, size_t size)
{
    void **kept, *array;

    if (u->failed || count > (uint64_t)(u->end - u->at)) {
        u->failed = true;
        return NULL;
    }
    array = calloc(count + 1, size);
    kept = realloc(u->kept, (u->kept_count + 1) * sizeof(*kept));
    if (kept != NULL)
        u->kept = kept;
    if (array == NULL || kept == NULL) {
        free(array);
        u->failed = true;
        return NULL;
    }
    u->kept[u->kept_count++] = array;
    return array;
}

void plugin_unpack_free(struct plugin_unpack *u)
{
    for (size_t i = 0; i < u->kept_count; i++)
        free(u->kept[i]);
    free(u->kept);
    u->kept = NULL;
    u->kept_count = 0;
}

const struct collet_plugin_setting *plugin_unpack_settings(struct plugin_unpack *u, uint32_t *count)
{
    uint64_t number = plugin_unpack_u64(u);
    struct collet_plugin_setting *settings = unpack_array(u, number, sizeof(*settings));

    *count = settings != NULL ? (uint32_t)number : 0;
    for (uint32_t i = 0; i < *count; i++) {
        settings[i].section = plugin_unpack_text(u);
        settings[i].key = plugin_unpack_text(u);
        settings[i].value = plugin_unpack_text(u);
        settings[i].file = plugin_unpack_text(u);
        settings[i].line = (uint32_t)plugin_unpack_u64(u);
    }
    return settings;
}

static void unpack_domain(struct plugin_unpack *u, struct collet_plugin_domain *d)
{
#define X(field) d->field = (__typeof__(d->field))plugin_unpack_u64(u);
    DOMAIN_NUMBERS(X)
#undef X
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        d->latency[i] = plugin_unpack_u64(u);
        d->interval_latency[i] = plugin_unpack_u64(u);
    }
    d->name = plugin_unpack_text(u);
    d->settings = plugin_unpack_settings(u, &d->setting_count);
}

static void unpack_parameter(struct plugin_unpack *u, struct collet_plugin_parameter *parameter)
{
    parameter->name = plugin_unpack_text(u);
    parameter->type = (uint32_t)plugin_unpack_u64(u);
    parameter->scopes = (uint32_t)plugin_unpack_u64(u);
    parameter->minimum = plugin_unpack_u64(u);
    parameter->maximum = plugin_unpack_u64(u);
    parameter->initial = plugin_unpack_u64(u);
}

static const struct collet_plugin_parameter *unpack_parameters(struct plugin_unpack *u, uint32_t *count)
{
    uint64_t number = plugin_unpack_u64(u);
    struct collet_plugin_parameter *parameters = unpack_array(u, number, sizeof(*parameters));

    *count = parameters != NULL ? (uint32_t)number : 0;
    for (uint32_t i = 0; i < *count; i++)
        unpack_parameter(u, &parameters[i]);
    return parameters;
}

static void unpack_disks(struct plugin_unpack *u, struct collet_plugin_world *world)
{
    uint64_t count = plugin_unpack_u64(u);
    struct collet_plugin_disk *disks = unpack_array(u, count, sizeof(*disks));
    struct collet_plugin_vbd *vbds;

    world->disks = disks;
    world->disk_count = disks != NULL ? (uint32_t)count : 0;
    for (uint32_t i = 0; i < world->disk_count; i++) {
        disks[i].disk = (uint32_t)plugin_unpack_u64(u);
        disks[i].sectors = plugin_unpack_u64(u);
        disks[i].name = plugin_unpack_text(u);
        disks[i].module = plugin_unpack_text(u);
        disks[i].parameters = unpack_parameters(u, &disks[i].parameter_count);
    }
    count = plugin_unpack_u64(u);
    world->vbds = vbds = unpack_array(u, count, sizeof(*vbds));
    world->vbd_count = vbds != NULL ? (uint32_t)count : 0;
    for (uint32_t i = 0; i < world->vbd_count; i++) {
        struct collet_plugin_vbd *v = &vbds[i];

#define X(field) v->field = (__typeof__(v->field))plugin_unpack_u64(u);
        VBD_NUMBERS(X)
#undef X
        v->name = plugin_unpack_text(u);
    }
}

void plugin_unpack_world(struct plugin_unpack *u, struct collet_plugin_world *world)
{
    struct collet_plugin_domain *domains;
    uint64_t count;

    *world = (struct collet_plugin_world){.size = sizeof(*world)};
    world->now_ns = plugin_unpack_u64(u);
    world->interval_ns = plugin_unpack_u64(u);
    world->cpus = (uint32_t)plugin_unpack_u64(u);
    world->frames_total = plugin_unpack_u64(u);
    world->frames_free = plugin_unpack_u64(u);
    world->sched = plugin_unpack_text(u);
    world->parameters = unpack_parameters(u, &world->parameter_count);
    count = plugin_unpack_u64(u);
    world->domains = domains = unpack_array(u, count, sizeof(*domains));
    world->domain_count = domains != NULL ? (uint32_t)count : 0;
    for (uint32_t i = 0; i < world->domain_count; i++)
        unpack_domain(u, &domains[i]);
    unpack_disks(u, world);
}

void plugin_unpack_request(struct plugin_unpack *u, struct collet_plugin_request *request)
{
    *request = (struct collet_plugin_request){.size = sizeof(*request)};
    request->name = plugin_unpack_text(u);
    request->vcpus = (uint32_t)plugin_unpack_u64(u);
    request->frames = plugin_unpack_u64(u);
    request->frames_max = plugin_unpack_u64(u);
    request->settings = plugin_unpack_settings(u, &request->setting_count);
}
