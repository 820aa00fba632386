// SPDX-License-Identifier: MIT
/*
 * A plugin's settings, NAME.ini: read into a list with the line of each, so that a plugin can say where something is wrong.
 * The section [host] is ours: time_limit, on_failure. Its keys are checked here and not passed on.
 * Tests: test-plugin-host.c.
 */
#include "ini-lines.h"
#include "plugin-host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CALL_LIMIT_MIN_NS (10 * NS_PER_MS)
#define CALL_LIMIT_MAX_NS (60 * NS_PER_S)

struct reading {
    struct plugin_settings *settings;
    const char *file;
    struct text_mistakes mistakes;
    bool no_memory;
};

static void host_setting(struct reading *r, const char *key, const char *value, unsigned int line)
{
    static const char *const keys[] = {"time_limit", "on_failure", NULL};
    struct plugin_settings *s = r->settings;
    const char *near;

    if (strcmp(key, "time_limit") == 0) {
        if (text_duration_ns(value, &s->call_limit_ns) != 0 || s->call_limit_ns < CALL_LIMIT_MIN_NS || s->call_limit_ns > CALL_LIMIT_MAX_NS)
            text_mistake(&r->mistakes, r->file, line, "time_limit = %s: a time from 10ms to 60s was expected", value);
    } else if (strcmp(key, "on_failure") == 0) {
        s->on_failure_allow = strcmp(value, "allow") == 0;
        if (!s->on_failure_allow && strcmp(value, "refuse") != 0)
            text_mistake(&r->mistakes, r->file, line, "on_failure = %s: `refuse` or `allow` was expected", value);
    } else {
        near = text_nearest(key, keys);
        text_mistake(&r->mistakes, r->file, line, "[host] knows no `%s`%s%s%s; it knows time_limit and on_failure", key, near != NULL ? ": `" : "", near != NULL ? near : "",
                     near != NULL ? "` is meant?" : "");
    }
}

static void take_setting(void *arg, const char *section, const char *key, const char *value, unsigned int line)
{
    struct reading *r = arg;
    struct plugin_settings *s = r->settings;
    struct collet_plugin_setting *list, *one;

    if (key == NULL)
        return;
    if (strcmp(section, PLUGIN_HOST_SECTION) == 0) {
        host_setting(r, key, value, line);
        return;
    }
    list = realloc(s->list, (s->count + 1) * sizeof(*list));
    if (list == NULL) {
        r->no_memory = true;
        return;
    }
    s->list = list;
    one = &list[s->count++];
    *one = (struct collet_plugin_setting){strdup(section), strdup(key), strdup(value), strdup(r->file), line};
    if (one->section == NULL || one->key == NULL || one->value == NULL || one->file == NULL)
        r->no_memory = true;
}

/* The whole file as text. NULL: errno. */
static char *file_text(const char *file)
{
    FILE *stream = fopen(file, "re");
    char *text = NULL;
    size_t bytes;

    if (stream == NULL)
        return NULL;
    text = malloc(INI_LINES_BYTES_MAX + 1);
    if (text != NULL) {
        bytes = fread(text, 1, INI_LINES_BYTES_MAX + 1, stream);
        if (ferror(stream) || bytes > INI_LINES_BYTES_MAX) {
            errno = ferror(stream) ? errno : EFBIG;
            free(text);
            text = NULL;
        } else {
            text[bytes] = '\0';
        }
    }
    fclose(stream);
    return text;
}

int plugin_settings_read(struct plugin_settings *settings, const char *file, char *error, size_t error_bytes)
{
    struct reading r = {.settings = settings, .file = file};
    char *text = file_text(file);
    int rc = -errno;

    *settings = (struct plugin_settings){0};
    if (text == NULL) {
        snprintf(error, error_bytes, "%s: %s", file, strerror(-rc));
        return rc;
    }
    ini_lines_parse(file, text, &r.mistakes, take_setting, &r);
    free(text);
    rc = r.no_memory ? -ENOMEM : r.mistakes.count != 0 ? -EINVAL : 0;
    if (rc != 0) {
        snprintf(error, error_bytes, "%s", r.no_memory ? "no memory" : r.mistakes.text);
        plugin_settings_free(settings);
    }
    return rc;
}

void plugin_settings_free(struct plugin_settings *settings)
{
    for (uint32_t i = 0; i < settings->count; i++) {
        free((char *)settings->list[i].section);
        free((char *)settings->list[i].key);
        free((char *)settings->list[i].value);
        free((char *)settings->list[i].file);
    }
    free(settings->list);
    *settings = (struct plugin_settings){0};
}
