// SPDX-License-Identifier: MIT
/*
 * What a plugin asked for: judged as one set, compared with what is in force and with what other plugins own, applied as one change, and remembered with its reason.
 *
 * One bad value refuses the whole answer: a set of parameters belongs together. A value that another plugin owns does not: it is left out, and said once. A plugin owns the values of its last good answer; of two
 * that name the same one, that which was loaded first has it.
 * Contract: plugin-host.h.  Tests: test-plugin-host.c.
 */
#include "plugin-host.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALL 0xffffffffu

static const struct collet_plugin_domain *world_domain(const struct collet_plugin_world *world, uint32_t domid)
{
    for (uint32_t i = 0; i < world->domain_count; i++)
        if (world->domains[i].domid == domid)
            return &world->domains[i];
    return NULL;
}

static const struct collet_plugin_parameter *world_parameter(const struct collet_plugin_world *world, const char *name)
{
    for (uint32_t i = 0; i < world->parameter_count; i++)
        if (strcmp(world->parameters[i].name, name) == 0)
            return &world->parameters[i];
    return NULL;
}

/* "weight of domain 3 (web)" */
static void place_text(const struct collet_plugin_world *world, uint32_t domid, uint32_t vcpu, const char *name, char *text, size_t bytes)
{
    const struct collet_plugin_domain *domain = world_domain(world, domid);

    if (plugin_place_is_disk(domid))
        plugin_disk_place_text(world, domid, vcpu, name, text, bytes);
    else if (domid == ALL)
        snprintf(text, bytes, "%.40s of the module %s", name, world->sched);
    else if (vcpu == ALL)
        snprintf(text, bytes, "%.40s of domain %u (%s)", name, domid, domain != NULL ? domain->name : "?");
    else
        snprintf(text, bytes, "%.40s of domain %u (%s), vCPU %u", name, domid, domain != NULL ? domain->name : "?", vcpu);
}

/* ---- Judging ---- */

int plugin_check_number(const struct collet_plugin_parameter *p, double asked, uint64_t *value, char *what, size_t bytes)
{
    if (!isfinite(asked))
        snprintf(what, bytes, "%s is no number", isnan(asked) ? "NaN" : "infinity");
    else if (asked < 0)
        snprintf(what, bytes, "%g is negative", asked);
    else if (round(asked) < (double)p->minimum || round(asked) > (double)p->maximum)
        snprintf(what, bytes, "%.15g is not in %" PRIu64 " to %" PRIu64, asked, p->minimum, p->maximum);
    else {
        *value = asked >= (double)p->maximum ? p->maximum : (uint64_t)round(asked);
        return 0;
    }
    return -EINVAL;
}

/* One value on its own. `what` says what is wrong with it. */
static int check_ask(const struct collet_plugin_world *world, const struct plugin_ask *ask, uint64_t *value, char *what, size_t bytes)
{
    const struct collet_plugin_parameter *p = world_parameter(world, ask->name);
    const struct collet_plugin_domain *domain = world_domain(world, ask->domid);
    uint32_t scope = ask->domid == ALL ? COLLET_SCOPE_MODULE : ask->vcpu == ALL ? COLLET_SCOPE_DOMAIN : COLLET_SCOPE_VCPU;

    if (plugin_place_is_disk(ask->domid))
        return plugin_disk_check(world, ask, value, what, bytes);
    if (p == NULL)
        snprintf(what, bytes, "the scheduler %s has no parameter of that name", world->sched);
    else if (ask->domid != ALL && domain == NULL)
        snprintf(what, bytes, "there is no such domain");
    else if (scope == COLLET_SCOPE_VCPU && ask->vcpu >= domain->vcpus)
        snprintf(what, bytes, "it has %u vCPUs", domain->vcpus);
    else if ((p->scopes & scope) == 0)
        snprintf(what, bytes, "it cannot be set for a %s", scope == COLLET_SCOPE_MODULE ? "module" : scope == COLLET_SCOPE_DOMAIN ? "domain" : "vCPU");
    else
        return plugin_check_number(p, ask->value, value, what, bytes);
    return -EINVAL;
}

static bool same_place(uint32_t domid, uint32_t vcpu, const char *name, uint32_t other_domid, uint32_t other_vcpu, const char *other_name)
{
    return domid == other_domid && vcpu == other_vcpu && strcmp(name, other_name) == 0;
}

static int check_answer(const struct plugin_worker *w, const struct collet_plugin_world *world, uint64_t *values, char *error, size_t error_bytes)
{
    char place[160], what[160];

    if (w->ask_count > PLUGIN_VALUES_MAX) {
        snprintf(error, error_bytes, "answer refused: more than %u values", PLUGIN_VALUES_MAX);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < w->ask_count; i++) {
        const struct plugin_ask *ask = &w->asks[i];
        int rc = check_ask(world, ask, &values[i], what, sizeof(what));

        for (uint32_t j = 0; j < i && rc == 0; j++)
            if (same_place(ask->domid, ask->vcpu, ask->name, w->asks[j].domid, w->asks[j].vcpu, w->asks[j].name)) {
                snprintf(what, sizeof(what), "asked for twice, %g and %g", w->asks[j].value, ask->value);
                rc = -EINVAL;
            }
        if (rc != 0) {
            place_text(world, ask->domid, ask->vcpu, ask->name, place, sizeof(place));
            snprintf(error, error_bytes, "answer refused: %s: %s", place, what);
            return rc;
        }
    }
    return 0;
}

/* ---- What is known to be in force, and whose it is ---- */

static struct plugin_value *find_value(struct plugin_value *values, uint32_t count, uint32_t domid, uint32_t vcpu, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (same_place(domid, vcpu, name, values[i].domid, values[i].vcpu, values[i].name))
            return &values[i];
    return NULL;
}

/* A value for a whole domain and one for a vCPU of it are the same matter; a disk's own is another than that of a VBD. */
static bool same_matter(const struct plugin_value *value, const struct plugin_ask *ask)
{
    return value->domid == ask->domid && (value->vcpu == ask->vcpu || (!plugin_place_is_disk(ask->domid) && (value->vcpu == ALL || ask->vcpu == ALL))) && strcmp(value->name, ask->name) == 0;
}

/* The plugin that has been loaded earlier and owns it; NULL: nobody. */
static struct plugin *owner_before(struct plugins *plugins, const struct plugin *plugin, const struct plugin_ask *ask)
{
    struct plugin *other;

    for (other = plugins->list; other != NULL; other = other->next) {
        if (other->sequence >= plugin->sequence)
            continue;
        for (uint32_t i = 0; i < other->value_count; i++)
            if (same_matter(&other->values[i], ask))
                return other;
    }
    return NULL;
}

/* The earlier plugin has come to name what a later one had: it is the later one's no more. */
static void take_from_later(struct plugins *plugins, struct plugin *plugin, const struct plugin_ask *ask, const char *place)
{
    struct plugin *other;

    for (other = plugins->list; other != NULL; other = other->next) {
        if (other->sequence <= plugin->sequence)
            continue;
        for (uint32_t i = 0; i < other->value_count;) {
            if (!same_matter(&other->values[i], ask)) {
                i++;
                continue;
            }
            plugin_say(other, 1, "%s: plugin %s, loaded before this one, sets it now", place, plugin->name);
            other->conflicts++;
            free(other->values[i].why);
            other->values[i] = other->values[--other->value_count];
        }
    }
}

void plugin_values_free(struct plugin *plugin)
{
    for (uint32_t i = 0; i < plugin->value_count; i++)
        free(plugin->values[i].why);
    free(plugin->values);
    plugin->values = NULL;
    plugin->value_count = 0;
}

void plugin_values_forget(struct plugin *plugin, bool all, const struct collet_plugin_world *world)
{
    for (uint32_t i = 0; i < plugin->value_count;) {
        const struct plugin_value *value = &plugin->values[i];
        bool holds = plugin_place_is_disk(value->domid) ? plugin_disk_value_holds(world, value) : !all && (value->domid == ALL || world_domain(world, value->domid) != NULL);

        if (holds) {
            i++;
            continue;
        }
        free(plugin->values[i].why);
        plugin->values[i] = plugin->values[--plugin->value_count];
    }
}

/* ---- Applying ---- */

struct change {
    struct collet_sched_value values[PLUGIN_VALUES_MAX];
    const char *why[PLUGIN_VALUES_MAX];
    uint64_t before[PLUGIN_VALUES_MAX];
    unsigned int count;
    struct plugin_disk_change disk[PLUGIN_VALUES_MAX];
    unsigned int disk_count;
    uint64_t answer[PLUGIN_VALUES_MAX]; /* the asks, as integers */
    bool left_out[PLUGIN_VALUES_MAX];
    int place[PLUGIN_VALUES_MAX];       /* of the ask in `values` or `disk`; -1: in force already */
};

static bool in_change(const struct change *c, uint32_t domid, const char *name)
{
    for (unsigned int i = 0; i < c->count; i++)
        if (c->values[i].scope == COLLET_SCOPE_DOMAIN && c->values[i].domid == domid && strcmp(c->values[i].name, name) == 0)
            return true;
    return false;
}

static void change_add_disk(struct change *c, const struct plugin_value *known, const struct plugin_ask *ask, uint32_t index)
{
    struct plugin_disk_change *change = &c->disk[c->disk_count];

    c->place[index] = -1;
    if (known != NULL && known->value == c->answer[index])
        return;
    *change = (struct plugin_disk_change){.place = ask->domid, .why = ask->why};
    change->value.scope = ask->vcpu == ALL ? COLLET_DISK_SCOPE_DISK : COLLET_DISK_SCOPE_VBD;
    change->value.vbd = ask->vcpu == ALL ? 0 : ask->vcpu;
    change->value.value = c->answer[index];
    snprintf(change->value.name, sizeof(change->value.name), "%.*s", COLLET_NAME_MAX - 1, ask->name);
    c->place[index] = (int)c->disk_count++;
}

/* Add what is not known to be in force. A vCPU's value follows its domain's, which overwrites it. */
static void change_add(struct change *c, struct plugin *plugin, const struct plugin_ask *ask, uint32_t index)
{
    struct plugin_value *known = find_value(plugin->values, plugin->value_count, ask->domid, ask->vcpu, ask->name);
    struct collet_sched_value *value = &c->values[c->count];

    if (plugin_place_is_disk(ask->domid)) {
        change_add_disk(c, known, ask, index);
        return;
    }
    c->place[index] = -1;
    if (known != NULL && known->value == c->answer[index] && (ask->vcpu == ALL || !in_change(c, ask->domid, ask->name)))
        return;
    *value = (struct collet_sched_value){.domid = ask->domid == ALL ? 0 : ask->domid, .vcpu = ask->vcpu == ALL ? 0 : ask->vcpu, .value = c->answer[index]};
    value->scope = ask->domid == ALL ? COLLET_SCOPE_MODULE : ask->vcpu == ALL ? COLLET_SCOPE_DOMAIN : COLLET_SCOPE_VCPU;
    snprintf(value->name, sizeof(value->name), "%.*s", COLLET_NAME_MAX - 1, ask->name);
    c->why[c->count] = ask->why;
    c->place[index] = (int)c->count++;
}

static void change_collect(struct change *c, struct plugins *plugins, struct plugin *plugin, const struct plugin_worker *w, const struct collet_plugin_world *world)
{
    for (uint32_t i = 0; i < w->ask_count; i++) {
        const struct plugin *owner = owner_before(plugins, plugin, &w->asks[i]);
        char place[160];

        place_text(world, w->asks[i].domid, w->asks[i].vcpu, w->asks[i].name, place, sizeof(place));
        c->left_out[i] = owner != NULL;
        if (owner != NULL) {
            plugin->conflicts++;
            plugin_say(plugin, 1, "%s: left out, because plugin %s, loaded before this one, sets it", place, owner->name);
            continue;
        }
        change_add(c, plugin, &w->asks[i], i);
    }
}

/* The answer is in force: what it names is the plugin's now, and nothing else. */
static int remember(struct plugins *plugins, struct plugin *plugin, const struct plugin_worker *w, const struct change *c, const struct collet_plugin_world *world)
{
    struct plugin_value *values = calloc(w->ask_count + 1, sizeof(*values));
    uint32_t count = 0;

    if (values == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < w->ask_count; i++) {
        const struct plugin_ask *ask = &w->asks[i];
        struct plugin_value *known = find_value(plugin->values, plugin->value_count, ask->domid, ask->vcpu, ask->name), *value = &values[count];
        char place[160];

        if (c->left_out[i])
            continue;
        count++;
        if (known != NULL) {
            *value = *known;
            known->why = NULL;
        }
        if (known != NULL && c->place[i] < 0)
            continue;
        place_text(world, ask->domid, ask->vcpu, ask->name, place, sizeof(place));
        take_from_later(plugins, plugin, ask, place);
        value->domid = ask->domid;
        value->vcpu = ask->vcpu;
        snprintf(value->name, sizeof(value->name), "%.*s", COLLET_NAME_MAX - 1, ask->name);
        value->before = plugin_place_is_disk(ask->domid) ? c->disk[c->place[i]].before : c->before[c->place[i]];
        if (plugin_place_is_disk(ask->domid))
            snprintf(value->module, sizeof(value->module), "%.*s", COLLET_NAME_MAX - 1, plugin_world_disk(world, ask->domid)->module);
        value->value = c->answer[i];
        value->at_ns = plugin_now_ns(plugins);
        free(value->why);
        value->why = strdup(ask->why);
    }
    plugin_values_free(plugin);
    plugin->values = values;
    plugin->value_count = count;
    return 0;
}

static int apply(struct plugins *plugins, struct plugin *plugin, struct change *c, const struct collet_plugin_world *world, char *error, size_t error_bytes)
{
    const struct plugins_daemon *daemon = &plugins->set.daemon;
    char place[160], said[512] = "";
    unsigned int failed = c->count;
    int rc;

    if (c->count == 0)
        return 0;
    rc = daemon->apply(daemon->arg, plugin->name, world->sched, c->values, c->why, c->count, c->before, &failed, said, sizeof(said));
    if (rc == 0) {
        plugin->values_set += c->count;
        return 0;
    }
    if (failed < c->count) {
        const struct collet_sched_value *v = &c->values[failed];

        place_text(world, v->scope == COLLET_SCOPE_MODULE ? ALL : v->domid, v->scope == COLLET_SCOPE_VCPU ? v->vcpu : ALL, v->name, place, sizeof(place));
        snprintf(error, error_bytes, "not applied: %s: %s", place, said[0] != '\0' ? said : strerror(-rc));
    } else {
        snprintf(error, error_bytes, "not applied: %s", said[0] != '\0' ? said : strerror(-rc));
    }
    return rc;
}

int plugin_answer(struct plugins *plugins, struct plugin *plugin, const struct plugin_worker *w, const struct collet_plugin_world *world, char *error, size_t error_bytes)
{
    struct change *c = calloc(1, sizeof(*c));
    int rc = c != NULL ? 0 : -ENOMEM;

    if (rc == 0)
        rc = check_answer(w, world, c->answer, error, error_bytes);
    if (rc == 0) {
        change_collect(c, plugins, plugin, w, world);
        rc = apply(plugins, plugin, c, world, error, error_bytes);
        if (rc == 0 && (rc = plugin_disk_apply(&plugins->set.daemon, plugin->name, world, c->disk, c->disk_count, error, error_bytes)) == 0)
            plugin->values_set += c->disk_count;
        /* A domain that has gone, a module that was replaced meanwhile: not the plugin's fault, so never "nonsense". */
        if (rc == -EINVAL)
            rc = -EIO;
    }
    if (rc == 0)
        rc = remember(plugins, plugin, w, c, world);
    if (rc == 0)
        rc = (int)(c->count + c->disk_count);
    if (rc == -ENOMEM)
        snprintf(error, error_bytes, "no memory");
    free(c);
    return rc;
}
