// SPDX-License-Identifier: MIT
/*
 * What `plugins` and `plugin-show` answer. Schema: docs/reference/daemon-protocol.md.  Tests: test-plugin-host.c.
 */
#include "plugin-host.h"

#include <string.h>

static json_t *text_or_empty(const char *text)
{
    return json_string(text != NULL ? text : "");
}

static json_t *entry(const struct plugin *p)
{
    const struct plugin_worker *w = p->worker != NULL ? p->worker : p->candidate;
    json_t *o = json_object();

    json_object_set_new(o, "name", json_string(p->name));
    json_object_set_new(o, "state", json_string(plugin_state_names[p->state]));
    json_object_set_new(o, "summary", text_or_empty(p->summary));
    json_object_set_new(o, "pid", json_integer(w != NULL ? w->pid : 0));
    json_object_set_new(o, "since_ns", json_integer((json_int_t)p->since_ns));
    json_object_set_new(o, "restarts", json_integer((json_int_t)p->restarts));
    json_object_set_new(o, "failures", json_integer((json_int_t)p->failures));
    json_object_set_new(o, "last_error", text_or_empty(p->last_error));
    json_object_set_new(o, "updates", json_integer((json_int_t)p->updates));
    json_object_set_new(o, "values_set", json_integer((json_int_t)p->values_set));
    return o;
}

static json_t *settings(const struct plugin *p)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < p->settings.count; i++) {
        const struct collet_plugin_setting *s = &p->settings.list[i];
        json_t *o = json_object();

        json_object_set_new(o, "section", json_string(s->section));
        json_object_set_new(o, "key", json_string(s->key));
        json_object_set_new(o, "value", json_string(s->value));
        json_object_set_new(o, "line", json_integer(s->line));
        json_array_append_new(list, o);
    }
    return list;
}

/* null for "the module's own" and "all vCPUs". */
static json_t *number_or_null(uint32_t number)
{
    return number != ~0u ? json_integer(number) : json_null();
}

static json_t *values(const struct plugin *p)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < p->value_count; i++) {
        const struct plugin_value *v = &p->values[i];
        json_t *o = json_object();

        if (plugin_place_is_disk(v->domid)) {
            json_object_set_new(o, "disk", json_integer(v->domid & ~PLUGIN_DISK_PLACE));
            json_object_set_new(o, "vbd", number_or_null(v->vcpu));
        } else {
            json_object_set_new(o, "domid", number_or_null(v->domid));
            json_object_set_new(o, "vcpu", number_or_null(v->vcpu));
        }
        json_object_set_new(o, "name", json_string(v->name));
        json_object_set_new(o, "value", json_integer((json_int_t)v->value));
        json_object_set_new(o, "before", json_integer((json_int_t)v->before));
        json_object_set_new(o, "why", text_or_empty(v->why));
        json_object_set_new(o, "at_ns", json_integer((json_int_t)v->at_ns));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *messages(const struct plugin *p)
{
    static const char *const levels[] = {"note", "warning", "error"};
    json_t *list = json_array();

    for (uint32_t i = 0; i < p->line_count; i++) {
        json_t *o = json_object();

        json_object_set_new(o, "at_ns", json_integer((json_int_t)p->lines[i].at_ns));
        json_object_set_new(o, "level", json_string(levels[p->lines[i].level]));
        json_object_set_new(o, "text", json_string(p->lines[i].text));
        json_object_set_new(o, "times", json_integer(p->lines[i].times));
        json_array_append_new(list, o);
    }
    return list;
}

json_t *plugins_list_json(struct plugins *plugins)
{
    json_t *list = json_array();

    for (const struct plugin *p = plugins->list; p != NULL; p = p->next)
        json_array_append_new(list, entry(p));
    return list;
}

json_t *plugins_entry_json(struct plugins *plugins, const char *name)
{
    const struct plugin *p = plugin_find(plugins, name);

    return p != NULL ? entry(p) : NULL;
}

json_t *plugins_show_json(struct plugins *plugins, const char *name)
{
    const struct plugin *p = plugin_find(plugins, name);
    json_t *o = p != NULL ? entry(p) : NULL;

    if (o == NULL)
        return NULL;
    json_object_set_new(o, "file", text_or_empty(p->file));
    json_object_set_new(o, "help", text_or_empty(p->help));
    json_object_set_new(o, "settings", settings(p));
    json_object_set_new(o, "values", values(p));
    json_object_set_new(o, "messages", messages(p));
    return o;
}
