// SPDX-License-Identifier: MIT
/*
 * Worlds for plugin-run: out of JSON that people write, or that `collet --json` has printed.
 * Contract: plugin-world.h.
 */
#include "plugin-world.h"

#define ROOM 512

static struct collet_plugin_domain domains[ROOM], before[ROOM];
static uint32_t before_count;
static struct collet_plugin_parameter parameters[ROOM];
static uint64_t recorded_ns, last_recorded_ns; /* of a recording: now, and at the last tick */
static json_t *recorded_memory;

struct collet_plugin_world world = {.size = sizeof(world), .sched = "bvt", .domains = domains, .parameters = parameters};

void die(const char *format, ...)
{
    va_list list;

    fputs("plugin-run: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(2);
}

const char *world_text(json_t *text, const char *otherwise)
{
    return json_is_string(text) ? json_string_value(json_incref(text)) : otherwise;
}

void world_number(json_t *o, const char *key, uint64_t *to)
{
    json_t *value = json_object_get(o, key);

    if (value != NULL && !json_is_number(value))
        die("%s: a number was expected", key);
    if (value != NULL)
        *to = json_is_integer(value) ? (uint64_t)json_integer_value(value) : (uint64_t)json_real_value(value);
}

void world_number32(json_t *o, const char *key, uint32_t *to)
{
    uint64_t value = *to;

    world_number(o, key, &value);
    *to = (uint32_t)value;
}

const struct collet_plugin_setting *world_settings(json_t *sections, uint32_t *count)
{
    struct collet_plugin_setting *list = calloc(ROOM, sizeof(*list));
    const char *section, *key;
    json_t *entries, *value;

    *count = 0;
    json_object_foreach(sections, section, entries)
        json_object_foreach(entries, key, value)
            if (*count < ROOM) {
                list[*count] = (struct collet_plugin_setting){section, key, world_text(value, ""), "world.json", *count + 1};
                ++*count;
            }
    json_incref(sections);
    return list;
}

static void read_domain(json_t *o, struct collet_plugin_domain *d, uint32_t number)
{
    *d = (struct collet_plugin_domain){.domid = number, .vcpus = 1, .name = world_text(json_object_get(o, "name"), "unnamed")};
    world_number32(o, "domid", &d->domid);
    world_number32(o, "vcpus", &d->vcpus);
    world_number(o, "frames", &d->frames);
    d->frames_max = d->frames;
    world_number(o, "frames_max", &d->frames_max);
    world_number(o, "run_ns", &d->run_ns);
    world_number(o, "runnable_ns", &d->runnable_ns);
    world_number(o, "blocked_ns", &d->blocked_ns);
    world_number(o, "wakes", &d->wakes);
    world_number(o, "dispatches", &d->dispatches);
    world_number(o, "waited_max_ns", &d->waited_max_ns);
    for (size_t i = 0; i < 24; i++)
        d->latency[i] = (uint64_t)json_integer_value(json_array_get(json_object_get(o, "latency"), i));
    d->settings = world_settings(json_object_get(o, "settings"), &d->setting_count);
}

static uint64_t grown(uint64_t total, uint64_t old)
{
    return total >= old ? total - old : total;
}

static void read_interval(json_t *o, struct collet_plugin_domain *d)
{
    static const struct collet_plugin_domain none;
    const struct collet_plugin_domain *b = &none;

    for (uint32_t i = 0; i < before_count; i++)
        if (before[i].domid == d->domid)
            b = &before[i];
    if (world.interval_ns != 0) {
        d->interval_run_ns = grown(d->run_ns, b->run_ns);
        d->interval_runnable_ns = grown(d->runnable_ns, b->runnable_ns);
        d->interval_blocked_ns = grown(d->blocked_ns, b->blocked_ns);
        d->interval_wakes = grown(d->wakes, b->wakes);
        d->interval_dispatches = grown(d->dispatches, b->dispatches);
        for (int i = 0; i < 24; i++)
            d->interval_latency[i] = grown(d->latency[i], b->latency[i]);
    }
    world_number(o, "interval_run_ns", &d->interval_run_ns);
    world_number(o, "interval_runnable_ns", &d->interval_runnable_ns);
    world_number(o, "interval_blocked_ns", &d->interval_blocked_ns);
    world_number(o, "interval_wakes", &d->interval_wakes);
    world_number(o, "interval_dispatches", &d->interval_dispatches);
}

uint32_t world_one_of(json_t *value, const char *const *names, const char *what)
{
    for (uint32_t i = 0; names[i] != NULL; i++)
        if (json_is_string(value) && strcmp(json_string_value(value), names[i]) == 0)
            return i;
    die("%s: %s is unknown", what, json_is_string(value) ? json_string_value(value) : "that");
}

static void read_parameter(json_t *o, struct collet_plugin_parameter *p)
{
    static const char *const types[] = {"number", "ns", "bool", "uint", NULL}, *const scopes[] = {"module", "domain", "vcpu", NULL};
    json_t *scope;
    size_t i;

    *p = (struct collet_plugin_parameter){.name = world_text(json_object_get(o, "name"), ""), .maximum = UINT64_MAX, .scopes = 7};
    world_number(o, "minimum", &p->minimum);
    world_number(o, "maximum", &p->maximum);
    world_number(o, "initial", &p->initial);
    if (json_object_get(o, "type") != NULL)
        p->type = world_one_of(json_object_get(o, "type"), types, "type") % 3;
    if (json_object_get(o, "scopes") != NULL)
        p->scopes = 0;
    json_array_foreach(json_object_get(o, "scopes"), i, scope)
        p->scopes |= 1u << world_one_of(scope, scopes, "scopes");
}

/* A new moment: what was is the beginning of the interval. */
static void next_moment(json_t *o)
{
    uint64_t last_ns = world.now_ns;
    bool first = before_count == 0 && world.domain_count == 0;

    memcpy(before, domains, sizeof(before));
    before_count = world.domain_count;
    world.now_ns += first ? 0 : NS_PER_S;
    world_number(o, "now_ns", &world.now_ns);
    world.interval_ns = first ? 0 : grown(world.now_ns, last_ns);
    world_number(o, "interval_ns", &world.interval_ns);
}

static void read_world(json_t *o)
{
    json_t *item;
    size_t i;

    next_moment(o);
    world_number32(o, "cpus", &world.cpus);
    world_number(o, "frames_total", &world.frames_total);
    world_number(o, "frames_free", &world.frames_free);
    world.sched = world_text(json_object_get(o, "sched"), world.sched);
    if (json_object_get(o, "parameters") != NULL)
        world.parameter_count = 0;
    json_array_foreach(json_object_get(o, "parameters"), i, item)
        if (world.parameter_count < ROOM)
            read_parameter(item, &parameters[world.parameter_count++]);
    if (json_object_get(o, "domains") == NULL)
        return;
    world.domain_count = 0;
    json_array_foreach(json_object_get(o, "domains"), i, item)
        if (world.domain_count < ROOM) {
            read_domain(item, &domains[world.domain_count], (uint32_t)i);
            read_interval(item, &domains[world.domain_count++]);
        }
}

/* ---- Recordings ---- */

/* `collet sched show --json` */
static void take_sched(json_t *o)
{
    json_t *item;
    size_t i;

    world.sched = world_text(json_object_get(o, "active"), world.sched);
    world.parameter_count = 0;
    json_array_foreach(json_object_get(o, "params"), i, item) {
        struct collet_plugin_parameter *p = &parameters[world.parameter_count];

        if (world.parameter_count == ROOM)
            break;
        read_parameter(item, p);
        p->scopes = (json_is_true(json_object_get(item, "for_module")) ? 1u : 0) | (json_is_true(json_object_get(item, "for_domain")) ? 2u : 0) | (json_is_true(json_object_get(item, "for_vcpu")) ? 4u : 0);
        world.parameter_count++;
    }
}

/* `collet info --json` */
static void take_machine(json_t *machine)
{
    uint64_t bytes = 0, free_bytes = 0;

    recorded_ns = 0;
    world_number(machine, "now_ns", &recorded_ns);
    world_number32(machine, "cpus", &world.cpus);
    world_number(machine, "memory_bytes", &bytes);
    world_number(machine, "memory_free_bytes", &free_bytes);
    world.frames_total = bytes / 4096;
    world.frames_free = free_bytes / 4096;
}

/* `collet list --json`: kept for what `vcpu list` does not tell. */
static void take_memory(json_t *list)
{
    json_decref(recorded_memory);
    recorded_memory = json_incref(list);
}

static void fill_memory(struct collet_plugin_domain *d)
{
    uint64_t bytes = 0, most = 0, domid;
    json_t *item;
    size_t i;

    json_array_foreach(recorded_memory, i, item) {
        domid = UINT64_MAX;
        if (json_is_integer(json_object_get(item, "domid")))
            world_number(item, "domid", &domid);
        if (domid != d->domid)
            continue;
        world_number(item, "memory_bytes", &bytes);
        world_number(item, "memory_max_bytes", &most);
        d->frames = bytes / 4096;
        d->frames_max = most / 4096;
    }
}

static void add_vcpu(json_t *vcpu)
{
    struct collet_plugin_domain *d = NULL;
    uint64_t number = 0, worst = 0;
    uint32_t domid = 0;

    world_number32(vcpu, "domid", &domid);
    for (uint32_t i = 0; i < world.domain_count; i++)
        if (domains[i].domid == domid)
            d = &domains[i];
    if (d == NULL && world.domain_count == ROOM)
        return;
    if (d == NULL) {
        d = &domains[world.domain_count++];
        *d = (struct collet_plugin_domain){.domid = domid, .name = world_text(json_object_get(vcpu, "name"), "unnamed")};
        fill_memory(d);
    }
    d->vcpus++;
#define ADD(key, field)                                                                                                                                                                \
    number = 0;                                                                                                                                                                        \
    world_number(vcpu, key, &number);                                                                                                                                                  \
    d->field += number;
    ADD("running_ns", run_ns)
    ADD("runnable_ns", runnable_ns)
    ADD("blocked_ns", blocked_ns)
    ADD("wakes", wakes)
    ADD("dispatches", dispatches)
#undef ADD
    world_number(vcpu, "latency_max_ns", &worst);
    d->waited_max_ns = worst > d->waited_max_ns ? worst : d->waited_max_ns;
    for (size_t i = 0; i < 24; i++)
        d->latency[i] += (uint64_t)json_integer_value(json_array_get(json_object_get(vcpu, "latency_buckets"), i));
}

/* `collet vcpu list --json`: a tick. */
static void take_vcpus(json_t *vcpus)
{
    json_t *empty = json_object(), *item;
    size_t i;

    next_moment(empty);
    if (recorded_ns != 0) {
        world.interval_ns = before_count != 0 ? grown(recorded_ns, last_recorded_ns) : 0;
        world.now_ns = last_recorded_ns = recorded_ns;
    }
    world.domain_count = 0;
    json_array_foreach(vcpus, i, item)
        add_vcpu(item);
    for (uint32_t d = 0; d < world.domain_count; d++)
        read_interval(empty, &domains[d]);
    json_decref(empty);
}

bool world_read(json_t *o)
{
    if (!json_is_object(o))
        die("a world is an object; --help explains its members");
    if (json_is_array(json_object_get(o, "params"))) {
        take_sched(o);
    } else if (json_is_object(json_object_get(o, "machine"))) {
        take_machine(json_object_get(o, "machine"));
    } else if (json_is_array(json_object_get(o, "vcpus"))) {
        take_vcpus(json_object_get(o, "vcpus"));
        return true;
    } else if (json_object_get(o, "daemon") != NULL) {
        take_memory(json_object_get(o, "domains"));
    } else {
        read_world(o);
        return true;
    }
    return false;
}
