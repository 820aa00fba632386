// SPDX-License-Identifier: MIT
/*
 * Reading a domain's definition.
 *
 * A table of keys with one small function each; sections by their first word. Entries are all kept as written, for the plugins, which have keys of their own.
 * Contract: definition.h.  Tests: test-definition.c.
 */
#include "definition.h"
#include "ini-lines.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTINGS_MAX 256
#define FRAMES_MIN 1024u /* 4 MiB: less than any PV kernel takes to begin */
#define FRAMES_LIMIT (1ull << 31)

struct key {
    const char *name;
    void (*take)(struct definition_reading *r, const char *key, const char *value, unsigned int line);
};

static const char *const action_names[] = {[ACTION_DESTROY] = "destroy", [ACTION_RESTART] = "restart", [ACTION_PRESERVE] = "preserve", NULL};

const char *definition_action_name(enum definition_action action)
{
    return action_names[action];
}

#define wrong(r, key, value, line, format, ...) text_mistake((r)->mistakes, (r)->file, line, "%s = %.80s: " format, key, value __VA_OPT__(, ) __VA_ARGS__)

/* ---- The keys of [domain] ---- */

const char *definition_name_wrong(const char *name)
{
    size_t length = strlen(name), i;
    bool number = true;

    if (length == 0 || length >= COLLET_NAME_MAX)
        return "a name of 1 to 31 characters was expected";
    for (i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("._-+", name[i]) == NULL)
            return "only letters, digits, '.', '_', '-' and '+' can be in a name";
        number = number && isdigit((unsigned char)name[i]);
    }
    if (number)
        return "a name must not be a number: it would look like the number of one";
    return name[0] == '.' || name[0] == '-' ? "a name must begin with a letter, a digit, '_' or '+'" : NULL;
}

const char *definition_domain_name_wrong(const char *name)
{
    if (strncmp(name, "nic", 3) == 0 && name[3] != '\0' && name[3 + strspn(name + 3, "0123456789")] == '\0')
        return "nic0, nic1, ... are the network cards: rules could not tell them apart";
    return definition_name_wrong(name);
}

static void take_name(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    const char *bad = definition_domain_name_wrong(value);

    if (bad != NULL) {
        wrong(r, key, value, line, "%s", bad);
        return;
    }
    if (strcmp(value, "Domain0") == 0 || strcmp(value, "Domain-0") == 0) {
        wrong(r, key, value, line, "that is the name of Domain0");
        return;
    }
    strcpy(r->d->name, value);
}

static void take_path(struct definition_reading *r, const char *key, const char *value, unsigned int line, char **path)
{
    if (value[0] != '/') {
        wrong(r, key, value, line, "a path from the root was expected, like /boot/%s", strcmp(key, "kernel") == 0 ? "vmlinuz" : "initrd.img");
        return;
    }
    *path = strdup(value);
}

static void take_kernel(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    take_path(r, key, value, line, &r->d->kernel);
}

static void take_ramdisk(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    take_path(r, key, value, line, &r->d->ramdisk);
}

static void take_cmdline(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    if (strlen(value) > DEFINITION_CMDLINE_MAX) {
        wrong(r, key, value, line, "%zu bytes are too long for a kernel's command line: at most %u", strlen(value), DEFINITION_CMDLINE_MAX);
        return;
    }
    r->d->cmdline = strdup(value);
}

static void take_size(struct definition_reading *r, const char *key, const char *value, unsigned int line, uint64_t *frames)
{
    int rc = text_size_frames(value, frames);

    if (rc == 0 && *frames >= FRAMES_MIN && *frames <= FRAMES_LIMIT)
        return;
    if (rc == -EINVAL)
        wrong(r, key, value, line, "a size like 128M or 1G was expected (a plain number is MiB)");
    else
        wrong(r, key, value, line, "it must be within 4M and 8192G");
    *frames = 0;
}

static void take_memory(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    r->memory_line = line;
    take_size(r, key, value, line, &r->d->frames);
}

static void take_maxmem(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    r->maxmem_line = line;
    take_size(r, key, value, line, &r->d->frames_max);
}

static void take_vcpus(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    uint64_t number;

    if (text_number(value, &number) != 0 || number < 1 || number > COLLET_VCPUS_MAX) {
        wrong(r, key, value, line, "a number from 1 to %d was expected", COLLET_VCPUS_MAX);
        return;
    }
    r->d->vcpus = (uint32_t)number;
}

static void take_cpus(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    if (text_cpus(value, &r->d->cpus) != 0)
        wrong(r, key, value, line, "a list of CPUs like 0-1,3 or all or ^2 was expected");
}

static void take_action(struct definition_reading *r, const char *key, const char *value, unsigned int line, enum definition_action *action)
{
    const char *near;
    unsigned int i;

    for (i = 0; action_names[i] != NULL; i++)
        if (strcmp(value, action_names[i]) == 0) {
            *action = (enum definition_action)i;
            return;
        }
    near = text_nearest(value, action_names);
    wrong(r, key, value, line, "destroy, restart or preserve was expected%s%s%s", near != NULL ? " (" : "", near != NULL ? near : "", near != NULL ? "?)" : "");
}

static void take_on_poweroff(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    take_action(r, key, value, line, &r->d->on_poweroff);
}

static void take_on_reboot(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    take_action(r, key, value, line, &r->d->on_reboot);
}

static void take_on_crash(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    take_action(r, key, value, line, &r->d->on_crash);
}

/* Keys for plugins that are common enough to stand in [domain]: whose section they mean. */
static const struct {
    const char *key, *section;
} plugin_keys[] = {{"share", "plugin shares"}, {"cap", "plugin shares"}, {"latency", "plugin latency"}};

static const char *plugin_section(const char *key)
{
    size_t i;

    for (i = 0; i < sizeof(plugin_keys) / sizeof(plugin_keys[0]); i++)
        if (strcmp(plugin_keys[i].key, key) == 0)
            return plugin_keys[i].section;
    return NULL;
}

/* The plugin checks the value. */
static void take_for_plugins(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    if (*value == '\0')
        wrong(r, key, value, line, "a value was expected");
}

static void refuse_xl(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    wrong(r, key, value, line, "write it into cmdline: there is no key %s here", key);
}

static void refuse_device(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    if (strcmp(key, "disk") == 0)
        wrong(r, key, value, line, "a disk has a section of its own: [vbd NAME] with a line like backing = lvm:vg0/%s", r->d->name[0] != '\0' ? r->d->name : "web");
    else
        wrong(r, key, value, line, "a network interface has a section of its own: [vif 0] with lines like ip = 10.0.2.16");
}

static void refuse_maxvcpus(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    wrong(r, key, value, line, "a domain has `vcpus` vCPUs from the beginning; its kernel takes them up and down by itself");
}

static const struct key keys[] = {
    {"name", take_name},
    {"kernel", take_kernel},
    {"ramdisk", take_ramdisk},
    {"cmdline", take_cmdline},
    {"memory", take_memory},
    {"maxmem", take_maxmem},
    {"vcpus", take_vcpus},
    {"cpus", take_cpus},
    {"on_poweroff", take_on_poweroff},
    {"on_reboot", take_on_reboot},
    {"on_crash", take_on_crash},
    {"share", take_for_plugins},
    {"cap", take_for_plugins},
    {"latency", take_for_plugins},
    /* Habits of xl that have another place here. */
    {"root", refuse_xl},
    {"extra", refuse_xl},
    {"vif", refuse_device},
    {"disk", refuse_device},
    {"maxvcpus", refuse_maxvcpus},
};
#define KEYS_TOLD 14 /* those that are suggested */

static const struct collet_sched_param *catalog_param_anywhere(const struct sched_catalog *catalog, const char *name, const struct sched_catalog_module **module)
{
    const struct collet_sched_param *param;
    unsigned int i;

    *module = sched_catalog_find(catalog, NULL);
    param = sched_catalog_param(*module, name);
    for (i = 0; param == NULL && i < catalog->count; i++) {
        *module = &catalog->modules[i];
        param = sched_catalog_param(*module, name);
    }
    return param;
}

static void unknown_key(struct definition_reading *r, const char *key, unsigned int line)
{
    const char *names[KEYS_TOLD + 1], *near;
    const struct sched_catalog_module *module;
    unsigned int i;

    if (catalog_param_anywhere(r->catalog, key, &module) != NULL) {
        text_mistake(r->mistakes, r->file, line, "%s: that is a parameter of the scheduler %s: write it into section [sched]", key, module->name);
        return;
    }
    for (i = 0; i < KEYS_TOLD; i++)
        names[i] = keys[i].name;
    names[i] = NULL;
    near = text_nearest(key, names);
    if (near != NULL)
        text_mistake(r->mistakes, r->file, line, "%s: there is no such key; is %s meant?", key, near);
    else
        text_mistake(r->mistakes, r->file, line, "%s: there is no such key; keys of plugins that are not listed in the reference belong into a section [plugin NAME]", key);
}

static void domain_entry(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (strcmp(key, keys[i].name) == 0) {
            keys[i].take(r, key, value, line);
            return;
        }
    unknown_key(r, key, line);
}

/* ---- [sched] ---- */

static void unknown_param(struct definition_reading *r, const char *key, unsigned int line)
{
    const char *names[128], *near;
    unsigned int count = 0, i, j;

    for (i = 0; i < r->catalog->count; i++)
        for (j = 0; j < r->catalog->modules[i].param_count && count < 127; j++)
            if (r->catalog->modules[i].params[j].scopes & (COLLET_SCOPE_DOMAIN | COLLET_SCOPE_VCPU))
                names[count++] = r->catalog->modules[i].params[j].name;
    names[count] = NULL;
    near = text_nearest(key, names);
    text_mistake(r->mistakes, r->file, line, "%s: no scheduler module has such a parameter%s%s%s", key, near != NULL ? "; is " : " (`collet sched show` lists them)", near != NULL ? near : "",
                 near != NULL ? " meant?" : "");
}

static void sched_entry(struct definition_reading *r, const char *key, const char *value, unsigned int line)
{
    const struct sched_catalog_module *module;
    const struct collet_sched_param *param = catalog_param_anywhere(r->catalog, key, &module);
    char expected[120];
    uint64_t number;

    if (param == NULL) {
        unknown_param(r, key, line);
        return;
    }
    if (!(param->scopes & (COLLET_SCOPE_DOMAIN | COLLET_SCOPE_VCPU))) {
        text_mistake(r->mistakes, r->file, line, "%s: that is set for the whole module %s, not for a domain: collet sched set %s=...", key, module->name, key);
        return;
    }
    if (sched_param_parse(param, value, &number, expected, sizeof(expected)) != 0)
        wrong(r, key, value, line, "%s (parameter of scheduler %s)", expected, module->name);
}

/* ---- Sections and entries ---- */

static bool section_is(const char *section, const char *word)
{
    size_t length = strlen(word);

    return strncmp(section, word, length) == 0 && (section[length] == '\0' || isspace((unsigned char)section[length]));
}

static void section_begin(struct definition_reading *r, const char *section, unsigned int line)
{
    static const char *const names[] = {"domain", "sched", "plugin", "vif", "vbd", NULL};
    const char *near;

    r->sections_unknown = false;
    if (strcmp(section, "domain") == 0 || strcmp(section, "sched") == 0)
        return;
    if (section_is(section, "plugin")) {
        if (strlen(section) < sizeof("plugin "))
            text_mistake(r->mistakes, r->file, line, "[%s]: the plugin's name is missing, as in [plugin shares]", section);
        return;
    }
    if (section_is(section, "vbd")) {
        definition_vbd_begin(r, section + strlen("vbd"), line);
        return;
    }
    if (section_is(section, "vif")) {
        definition_vif_begin(r, section + strlen("vif"), line);
        return;
    }
    r->sections_unknown = true;
    near = text_nearest(section, names);
    text_mistake(r->mistakes, r->file, line, "[%s]: there is no such section; %s%s%s", section, near != NULL ? "is [" : "there are [domain], [sched], [vbd NAME], [vif NAME] and [plugin NAME", near != NULL ? near : "",
                 near != NULL ? "] meant?" : "]");
}

static void setting_free(struct collet_plugin_setting *s)
{
    free((char *)s->section);
    free((char *)s->key);
    free((char *)s->value);
}

static void setting_keep(struct definition_reading *r, const char *section, const char *key, const char *value, unsigned int line)
{
    struct definition *d = r->d;
    uint32_t i;

    for (i = 0; i < d->setting_count; i++)
        if (strcmp(d->settings[i].section, section) == 0 && strcmp(d->settings[i].key, key) == 0) {
            text_mistake(r->mistakes, r->file, line, "%s: given twice, first in line %u", key, d->settings[i].line);
            return;
        }
    if (d->setting_count == SETTINGS_MAX) {
        text_mistake(r->mistakes, r->file, line, "more than %d entries", SETTINGS_MAX);
        return;
    }
    d->settings[d->setting_count++] =
        (struct collet_plugin_setting){.section = strdup(section), .key = strdup(key), .value = strdup(value), .file = d->file, .line = line};
}

static void entry(void *arg, const char *section, const char *key, const char *value, unsigned int line)
{
    struct definition_reading *r = arg;

    if (key == NULL) {
        section_begin(r, section, line);
        return;
    }
    if (r->sections_unknown)
        return;
    if (strcmp(section, "domain") == 0)
        section = "";
    setting_keep(r, *section == '\0' && plugin_section(key) != NULL ? plugin_section(key) : section, key, value, line);
    if (*section == '\0')
        domain_entry(r, key, value, line);
    else if (strcmp(section, "sched") == 0)
        sched_entry(r, key, value, line);
    else if (section_is(section, "vbd"))
        definition_vbd_entry(r, key, value, line);
    else if (section_is(section, "vif"))
        definition_vif_entry(r, key, value, line);
}

static bool setting_given(const struct definition *d, const char *key)
{
    uint32_t i;

    for (i = 0; i < d->setting_count; i++)
        if (d->settings[i].section[0] == '\0' && strcmp(d->settings[i].key, key) == 0)
            return true;
    return false;
}

/* What must be there, and what must fit together. */
static void check_whole(struct definition_reading *r)
{
    static const char *const required[] = {"name", "kernel", "memory"};
    static const char *const example[] = {"web", "/boot/vmlinuz", "128M"};
    struct definition *d = r->d;
    size_t i;

    for (i = 0; i < sizeof(required) / sizeof(required[0]); i++)
        if (!setting_given(d, required[i]))
            text_mistake(r->mistakes, r->file, 0, "%s is missing: a line like `%s = %s` in section [domain]", required[i], required[i], example[i]);
    if (d->frames_max == 0)
        d->frames_max = d->frames;
    if (d->frames_max < d->frames)
        text_mistake(r->mistakes, r->file, r->maxmem_line, "maxmem is less than memory (line %u): at least the same was expected", r->memory_line);
}

struct definition *definition_parse(const char *file, const char *text, const struct sched_catalog *catalog, const struct sched_catalog *disks, struct text_mistakes *mistakes)
{
    struct definition *d = calloc(1, sizeof(*d));
    struct definition_reading r = {.file = file, .catalog = catalog, .disks = disks, .mistakes = mistakes, .d = d};

    if (d == NULL)
        return NULL;
    *d = (struct definition){.file = strdup(file), .text = strdup(text), .vcpus = 1, .cpus = ~0ull, .on_reboot = ACTION_RESTART};
    d->settings = calloc(SETTINGS_MAX, sizeof(*d->settings));
    d->vbds = calloc(COLLET_VBDS_MAX, sizeof(*d->vbds));
    d->vifs = calloc(COLLET_VIFS_MAX, sizeof(*d->vifs));
    if (d->file == NULL || d->text == NULL || d->settings == NULL || d->vbds == NULL || d->vifs == NULL)
        goto bad;
    ini_lines_parse(file, text, mistakes, entry, &r);
    check_whole(&r);
    definition_vbds_check(&r);
    definition_vifs_check(&r);
    if (d->cmdline == NULL)
        d->cmdline = strdup("");
    if (mistakes->count == 0)
        return d;
bad:
    definition_free(d);
    return NULL;
}

void definition_free(struct definition *d)
{
    uint32_t i;

    if (d == NULL)
        return;
    for (i = 0; i < d->setting_count; i++)
        setting_free(&d->settings[i]);
    free(d->settings);
    for (i = 0; d->vbds != NULL && i < d->vbd_count; i++)
        free(d->vbds[i].backing);
    free(d->vbds);
    free(d->vifs);
    free(d->kernel);
    free(d->ramdisk);
    free(d->cmdline);
    free(d->file);
    free(d->text);
    free(d);
}

/* ---- Against the world ---- */

unsigned int definition_line(const struct definition *d, const char *key)
{
    uint32_t i;

    for (i = 0; i < d->setting_count; i++)
        if (d->settings[i].section[0] == '\0' && strcmp(d->settings[i].key, key) == 0)
            return d->settings[i].line;
    return 0;
}

void definition_check_files(const struct definition *d, struct text_mistakes *mistakes)
{
    if (access(d->kernel, R_OK) != 0)
        text_mistake(mistakes, d->file, definition_line(d, "kernel"), "kernel = %s: %s", d->kernel, strerror(errno));
    if (d->ramdisk != NULL && access(d->ramdisk, R_OK) != 0)
        text_mistake(mistakes, d->file, definition_line(d, "ramdisk"), "ramdisk = %s: %s", d->ramdisk, strerror(errno));
}

void definition_check_machine(const struct definition *d, unsigned int cpus, uint64_t frames_total, struct text_mistakes *mistakes)
{
    uint64_t there = cpus >= 64 ? ~0ull : (1ull << cpus) - 1;

    if ((d->cpus & there) == 0)
        text_mistake(mistakes, d->file, definition_line(d, "cpus"), "cpus: none of these exists: this machine has CPUs 0 to %u", cpus - 1);
    if (d->frames > frames_total)
        text_mistake(mistakes, d->file, definition_line(d, "memory"), "memory: the whole machine has %" PRIu64 " MiB", frames_total >> 8);
}

static unsigned int values_of(const struct definition *d, const struct collet_sched_param *param, const char *text, uint32_t domid, struct collet_sched_value *values, unsigned int room)
{
    bool whole = param->scopes & COLLET_SCOPE_DOMAIN;
    unsigned int i, count = whole ? 1 : d->vcpus;
    char expected[120];
    uint64_t number;

    if (sched_param_parse(param, text, &number, expected, sizeof(expected)) != 0 || count > room)
        return 0;
    for (i = 0; i < count; i++) {
        values[i] = (struct collet_sched_value){.scope = whole ? COLLET_SCOPE_DOMAIN : COLLET_SCOPE_VCPU, .domid = domid, .vcpu = whole ? 0 : i, .value = number};
        memcpy(values[i].name, param->name, sizeof(values[i].name));
    }
    return count;
}

unsigned int definition_sched_values(const struct definition *d, const struct sched_catalog_module *module, const struct sched_catalog_module *except, uint32_t domid,
                                     struct collet_sched_value *values, unsigned int room)
{
    const struct collet_sched_param *param;
    unsigned int count = 0;
    uint32_t i;

    for (i = 0; i < d->setting_count; i++) {
        if (strcmp(d->settings[i].section, "sched") != 0)
            continue;
        param = sched_catalog_param(module, d->settings[i].key);
        if (param != NULL && (param->scopes & (COLLET_SCOPE_DOMAIN | COLLET_SCOPE_VCPU)) && sched_catalog_param(except, d->settings[i].key) == NULL)
            count += values_of(d, param, d->settings[i].value, domid, values + count, room - count);
    }
    return count;
}
