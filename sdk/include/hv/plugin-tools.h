/* SPDX-License-Identifier: MIT */
/*
 * What most plugins need besides <hv/plugin.h>: saying things with numbers in them, reading percentages and times, finding a domain or a parameter. Plain functions in a header, so that a plugin stays one file
 * and exports one symbol; nothing here is part of the ABI. Host programs only (floating point, stdio).
 * Guide: docs/write-a-plugin.md.  Tests: plugins-dom0/plugins/shares/test-shares.c.
 */
#pragma once

#include <hv/plugin.h>

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLUGIN_ALL 0xffffffffu /* for domid: the module's own; for vcpu: all of the domain */
#define PLUGIN_UNUSED static inline __attribute__((unused))

enum { PLUGIN_NOTE, PLUGIN_WARNING, PLUGIN_ERROR };
enum { PLUGIN_SCOPE_MODULE = 1, PLUGIN_SCOPE_DOMAIN = 2, PLUGIN_SCOPE_VCPU = 4 };
enum { PLUGIN_SCOPE_DISK = 1, PLUGIN_SCOPE_VBD = 2 }; /* of parameters of disk modules */

__attribute__((format(printf, 3, 4))) PLUGIN_UNUSED void plugin_say_text(const struct collet_plugin_host *host, int level, const char *format, ...)
{
    char text[1024];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    host->say(host, level, text);
}

/* A parameter for all of a domain, with the reason. */
__attribute__((format(printf, 5, 6))) PLUGIN_UNUSED void plugin_set_domain(const struct collet_plugin_host *host, uint32_t domid, const char *parameter, double value, const char *format, ...)
{
    char why[1024];
    va_list list;

    va_start(list, format);
    vsnprintf(why, sizeof(why), format, list);
    va_end(list);
    host->set(host, domid, PLUGIN_ALL, parameter, value, why);
}

/* A parameter of the disk's module, for one VBD (PLUGIN_ALL: the disk's own), with the reason. */
__attribute__((format(printf, 6, 7))) PLUGIN_UNUSED void plugin_set_vbd(const struct collet_plugin_host *host, uint32_t disk, uint32_t vbd, const char *parameter, double value, const char *format, ...)
{
    char why[1024];
    va_list list;

    va_start(list, format);
    vsnprintf(why, sizeof(why), format, list);
    va_end(list);
    host->set_disk(host, disk, vbd, parameter, value, why);
}

/* "file:line: key = value: ..." as an error; answers -EINVAL. */
__attribute__((format(printf, 3, 4))) PLUGIN_UNUSED int plugin_setting_wrong(const struct collet_plugin_host *host, const struct collet_plugin_setting *s, const char *format, ...)
{
    char text[1024];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    plugin_say_text(host, PLUGIN_ERROR, "%s:%u: %s = %s: %s", s->file, s->line, s->key, s->value, text);
    return -EINVAL;
}

/* A number, and what follows it. False: there is none. */
PLUGIN_UNUSED bool plugin_read_number(const char *text, double *number, const char **rest)
{
    char *end;

    *number = strtod(text, &end);
    if (end == text || !isfinite(*number))
        return false;
    while (*end == ' ')
        end++;
    *rest = end;
    return true;
}

/* "12" */
PLUGIN_UNUSED bool plugin_read_count(const char *text, double *count)
{
    const char *rest;

    return plugin_read_number(text, count, &rest) && *rest == '\0' && *count >= 0 && *count == floor(*count);
}

/* "40%", "40": 40 */
PLUGIN_UNUSED bool plugin_read_percent(const char *text, double *percent)
{
    const char *rest;

    return plugin_read_number(text, percent, &rest) && (*rest == '\0' || strcmp(rest, "%") == 0) && *percent >= 0;
}

/* "5ms", "1.5 s", "300us", "20000ns"; a plain number is nanoseconds. */
PLUGIN_UNUSED bool plugin_read_time(const char *text, double *ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"", 1}, {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"min", 60e9}};
    const char *rest;

    if (!plugin_read_number(text, ns, &rest) || *ns < 0)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(rest, units[i].unit) == 0) {
            *ns *= units[i].ns;
            return true;
        }
    return false;
}

/* "64M", "1G", "512K"; a plain number is MiB. In frames of 4096 bytes. */
PLUGIN_UNUSED bool plugin_read_frames(const char *text, double *frames)
{
    static const char units[] = "KMGT";
    const char *rest, *unit;
    double bytes;

    if (!plugin_read_number(text, &bytes, &rest) || bytes < 0 || (rest[0] != '\0' && rest[1] != '\0'))
        return false;
    unit = rest[0] != '\0' ? strchr(units, rest[0]) : units + 1;
    if (unit == NULL)
        return false;
    *frames = ceil(bytes * pow(1024, (double)(unit - units) + 1) / 4096);
    return true;
}

PLUGIN_UNUSED bool plugin_read_bool(const char *text, bool *yes)
{
    *yes = strcmp(text, "yes") == 0 || strcmp(text, "on") == 0 || strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *yes || strcmp(text, "no") == 0 || strcmp(text, "off") == 0 || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

/* ---- Text of rules, for kind NET ---- */

/* A text that grows. Begin with {0}; free(t.text). failed: no memory. */
struct plugin_rules {
    char *text;
    size_t used, room;
    bool failed;
};

__attribute__((format(printf, 2, 3))) PLUGIN_UNUSED void plugin_rules_add(struct plugin_rules *t, const char *format, ...)
{
    va_list list;
    int bytes;

    va_start(list, format);
    bytes = vsnprintf(NULL, 0, format, list);
    va_end(list);
    if (t->used + (size_t)bytes + 1 > t->room) {
        char *text = realloc(t->text, 2 * (t->used + (size_t)bytes + 512));

        t->failed = t->failed || text == NULL;
        if (text == NULL)
            return;
        t->text = text;
        t->room = 2 * (t->used + (size_t)bytes + 512);
    }
    va_start(list, format);
    vsnprintf(t->text + t->used, t->room - t->used, format, list);
    va_end(list);
    t->used += (size_t)bytes;
}

/* Give it as the answer, and free it: what `update` returns. */
PLUGIN_UNUSED int plugin_rules_answer(const struct collet_plugin_host *host, struct plugin_rules *t, uint32_t order)
{
    int rc = t->failed ? -ENOMEM : 0;

    if (rc == 0 && host->size >= offsetof(struct collet_plugin_host, rules) + sizeof(host->rules))
        host->rules(host, order, t->text != NULL ? t->text : "");
    free(t->text);
    *t = (struct plugin_rules){0};
    return rc;
}

/* Nothing but letters, digits and these: what comes from settings must not become a rule of its own. */
PLUGIN_UNUSED bool plugin_rules_word(const char *text, const char *others)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9')) && strchr(others, *text) == NULL)
            return false;
    return true;
}

/*
 * A line of a part that is a comment to the rule language: `# without "/etc/x": RULE`. When a file that is included has a mistake and there is no older text of it that was right, the daemon takes these rules
 * for it (as many lines as there are for that file); without such a line, none.
 */
#define PLUGIN_RULES_INSTEAD "# without "

/* The next of the words that are separated by commas or blanks: copied to `word` (cut if it is too long). False: there is none. */
PLUGIN_UNUSED bool plugin_next_word(const char **text, char *word, size_t bytes)
{
    size_t length;

    *text += strspn(*text, ", \t");
    length = strcspn(*text, ", \t");
    snprintf(word, bytes, "%.*s", (int)length, *text);
    *text += length;
    return length != 0;
}

/* The name in a section "domain NAME"; NULL: another section. */
PLUGIN_UNUSED const char *plugin_section_domain(const char *section)
{
    return strncmp(section, "domain ", 7) == 0 && section[7] != '\0' ? section + 7 : NULL;
}

/* The last setting of that section and key, or NULL. A domain's definition has a plugin's words under "plugin NAME". */
PLUGIN_UNUSED const struct collet_plugin_setting *plugin_setting(const struct collet_plugin_setting *settings, uint32_t count, const char *section, const char *key)
{
    while (count-- > 0)
        if (strcmp(settings[count].section, section) == 0 && strcmp(settings[count].key, key) == 0)
            return &settings[count];
    return NULL;
}

PLUGIN_UNUSED const struct collet_plugin_domain *plugin_domain(const struct collet_plugin_world *world, const char *name)
{
    for (uint32_t i = 0; i < world->domain_count; i++)
        if (strcmp(world->domains[i].name, name) == 0)
            return &world->domains[i];
    return NULL;
}

/* A parameter of the active scheduler that can be set at all these scopes, or NULL. */
PLUGIN_UNUSED const struct collet_plugin_parameter *plugin_parameter(const struct collet_plugin_world *world, const char *name, uint32_t scopes)
{
    for (uint32_t i = 0; i < world->parameter_count; i++)
        if (strcmp(world->parameters[i].name, name) == 0 && (world->parameters[i].scopes & scopes) == scopes)
            return &world->parameters[i];
    return NULL;
}
