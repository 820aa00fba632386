// SPDX-License-Identifier: MIT
/*
 * The daemon's own settings: one table of keys, where each goes, and of which kind it is.
 * Contract: settings.h.  Tests: test-settings.c.
 */
#include "settings.h"
#include "ini-lines.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_PATH, KIND_WORDS, KIND_BYTES, KIND_TIME, KIND_COUNT };

struct setting {
    const char *section, *key, *initial;
    enum kind kind;
    size_t offset;
};

#define AT(field) offsetof(struct settings, field)
static const struct setting table[] = {
    {"paths", "run", "/run/collet", KIND_PATH, AT(run_folder)},
    {"paths", "log", "/var/log/collet", KIND_PATH, AT(log_folder)},
    {"paths", "cache", "/var/cache/collet", KIND_PATH, AT(cache_folder)},
    {"paths", "plugins", "/usr/lib/collet/plugins", KIND_PATH, AT(plugin_folder)},
    {"paths", "plugin_settings", "/etc/collet/plugins", KIND_PATH, AT(plugin_settings_folder)},
    {"paths", "plugin_worker", "/usr/lib/collet/plugin-worker", KIND_PATH, AT(plugin_worker)},
    {"paths", "xenstored", "/usr/lib/xen-4.17/bin/xenstored", KIND_PATH, AT(xenstored)},
    {"paths", "xenconsoled", "/usr/lib/xen-4.17/bin/xenconsoled", KIND_PATH, AT(xenconsoled)},
    {"log", "size", "1M", KIND_BYTES, AT(log_bytes)},
    {"log", "keep", "3", KIND_COUNT, AT(log_keep)},
    {"console", "size", "1M", KIND_BYTES, AT(console_bytes)},
    {"console", "keep", "3", KIND_COUNT, AT(console_keep)},
    {"restart", "limit", "5", KIND_COUNT, AT(restart_limit)},
    {"restart", "within", "5min", KIND_TIME, AT(restart_within_ns)},
    {"network", "rules", "/etc/collet/rules", KIND_PATH, AT(rules)},
    {"plugins", "load", "", KIND_WORDS, AT(plugins)},
    {"plugins", "call_limit", "2s", KIND_TIME, AT(plugin_call_ns)},
    {"plugins", "memory", "64M", KIND_BYTES, AT(plugin_memory_bytes)},
};
#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

struct reading {
    const char *file;
    struct text_mistakes *mistakes;
    struct settings *settings;
};

static void take_text(struct settings *s, const struct setting *k, const char *value)
{
    char **field = (char **)((char *)s + k->offset);
    char *copy = strdup(value);

    if (copy == NULL)
        return;
    free(*field);
    *field = copy;
}

/* NULL, or what was expected. */
static const char *take(struct settings *s, const struct setting *k, const char *value)
{
    void *field = (char *)s + k->offset;
    uint64_t number;

    switch (k->kind) {
    case KIND_PATH:
        if (*value != '/' && *value != '\0')
            return "a path from the root was expected";
        take_text(s, k, value);
        return NULL;
    case KIND_WORDS:
        take_text(s, k, value);
        return NULL;
    case KIND_BYTES:
        return text_size_bytes(value, field) == 0 ? NULL : "a size like 1M was expected";
    case KIND_TIME:
        return text_duration_ns(value, field) == 0 ? NULL : "a time like 10s was expected";
    case KIND_COUNT:
        if (text_number(value, &number) != 0 || number > 1000)
            return "a number up to 1000 was expected";
        *(unsigned int *)field = (unsigned int)number;
        return NULL;
    }
    return NULL;
}

static bool section_known(const char *section)
{
    size_t i;

    for (i = 0; i < TABLE_COUNT; i++)
        if (strcmp(table[i].section, section) == 0)
            return true;
    return false;
}

static void unknown_section(struct reading *r, const char *section, unsigned int line)
{
    static const char *const names[] = {"paths", "log", "console", "restart", "network", "plugins", NULL};
    const char *near = text_nearest(section, names);

    text_mistake(r->mistakes, r->file, line, "[%s]: there is no such section%s%s%s", section, near != NULL ? "; is [" : "", near != NULL ? near : "", near != NULL ? "] meant?" : "");
}

static void unknown(struct reading *r, const char *section, const char *key, unsigned int line)
{
    const char *names[TABLE_COUNT + 1], *near;
    size_t i;

    for (i = 0; i < TABLE_COUNT; i++)
        names[i] = strcmp(table[i].section, section) == 0 ? table[i].key : "";
    names[i] = NULL;
    near = text_nearest(key, names);
    text_mistake(r->mistakes, r->file, line, "%s: there is no such setting in [%s]%s%s%s", key, section, near != NULL ? "; is " : "", near != NULL ? near : "", near != NULL ? " meant?" : "");
}

static void entry(void *arg, const char *section, const char *key, const char *value, unsigned int line)
{
    struct reading *r = arg;
    const char *expected;
    size_t i;

    if (key == NULL) {
        if (!section_known(section))
            unknown_section(r, section, line);
        return;
    }
    if (*section != '\0' && !section_known(section))
        return; /* told where it began */
    for (i = 0; i < TABLE_COUNT; i++)
        if (strcmp(section, table[i].section) == 0 && strcmp(key, table[i].key) == 0) {
            expected = take(r->settings, &table[i], value);
            if (expected != NULL)
                text_mistake(r->mistakes, r->file, line, "%s = %s: %s", key, value, expected);
            return;
        }
    unknown(r, section, key, line);
}

struct settings *settings_parse(const char *file, const char *text, struct text_mistakes *mistakes)
{
    struct settings *s = calloc(1, sizeof(*s));
    struct reading r = {.file = file, .mistakes = mistakes, .settings = s};
    size_t i;

    if (s == NULL)
        return NULL;
    for (i = 0; i < TABLE_COUNT; i++)
        take(s, &table[i], table[i].initial);
    if (text != NULL)
        ini_lines_parse(file, text, mistakes, entry, &r);
    return s;
}

void settings_free(struct settings *s)
{
    size_t i;

    if (s == NULL)
        return;
    for (i = 0; i < TABLE_COUNT; i++)
        if (table[i].kind == KIND_PATH || table[i].kind == KIND_WORDS)
            free(*(char **)((char *)s + table[i].offset));
    free(s);
}
