/* SPDX-License-Identifier: MIT */
/*
 * Definitions as text: read whole, and changed line by line, so that messages about them still name the right line.
 * Contract: definition.h. Tests: test-format.c.
 */
#include "definition.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define DEFINITION_BYTES_MAX (512u << 10)

int definition_read(const char *path, char **text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
    char *buffer = malloc(DEFINITION_BYTES_MAX + 2);
    size_t used = 0;
    ssize_t n = 1;

    if (fd < 0 || buffer == NULL)
        error = fd < 0 ? errno : ENOMEM;
    while (error == 0 && n > 0 && used <= DEFINITION_BYTES_MAX) {
        n = read(fd, buffer + used, DEFINITION_BYTES_MAX + 1 - used);
        if (n < 0)
            error = errno;
        else
            used += (size_t)n;
    }
    if (error == 0 && used > DEFINITION_BYTES_MAX)
        error = EFBIG;
    if (error == 0 && memchr(buffer, 0, used) != NULL)
        error = EILSEQ;
    if (fd >= 0)
        close(fd);
    if (error != 0) {
        free(buffer);
        return -error;
    }
    buffer[used] = 0;
    *text = buffer;
    return 0;
}

struct setting {
    char section[64], key[64];
    const char *value;
};

static int split(const char *text, struct setting *s)
{
    const char *equals = strchr(text, '='), *dot;

    if (equals == NULL || equals == text || strpbrk(text, "\r\n") != NULL)
        return -EINVAL;
    dot = memchr(text, '.', (size_t)(equals - text));
    if (dot == text || dot + 1 == equals || (size_t)(equals - text) >= sizeof(s->key))
        return -EINVAL;
    snprintf(s->section, sizeof(s->section), "%.*s", dot != NULL ? (int)(dot - text) : 6, dot != NULL ? text : "domain");
    snprintf(s->key, sizeof(s->key), "%.*s", (int)(equals - (dot != NULL ? dot + 1 : text)), dot != NULL ? dot + 1 : text);
    s->value = equals + 1;
    for (const char *c = s->section; *c != 0; c++)
        if (!isalnum((unsigned char)*c) && strchr("_- ", *c) == NULL)
            return -EINVAL;
    for (const char *c = s->key; *c != 0; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-' && *c != '.')
            return -EINVAL;
    return 0;
}

/* Does this line (up to its newline) open a section? Then *inside tells whether it is the one. */
static bool is_section(const char *line, const char *name, bool *inside)
{
    size_t length = strlen(name);

    if (*line != '[')
        return false;
    line += 1 + strspn(line + 1, " \t");
    *inside = strncasecmp(line, name, length) == 0 && line[length + strspn(line + length, " \t")] == ']';
    return true;
}

static bool is_key(const char *line, const char *key)
{
    size_t length = strlen(key);

    if (strncasecmp(line, key, length) != 0)
        return false;
    line += length + strspn(line + length, " \t");
    return *line == '=' || *line == ':';
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return line + (*line == '\n');
}

/* Lines that begin with a blank go on with the value before them. */
static bool goes_on(const char *line)
{
    size_t blanks = strspn(line, " \t");

    return blanks != 0 && line[blanks] != '\n' && line[blanks] != 0;
}

/* The text with this line, and those that go on with it, replaced; an empty comment stands for each of them, so that no line gets another number. */
static int replace_line(char **replaced, const char *text, const char *line, const struct setting *s)
{
    const char *rest = next_line(line);
    char comments[256] = "";
    size_t count = 0;

    for (; goes_on(rest) && count + 3 < sizeof(comments); rest = next_line(rest), count += 2)
        strcpy(comments + count, "#\n");
    return asprintf(replaced, "%.*s%s = %s\n%s%s", (int)(line - text), text, s->key, s->value, comments, rest);
}

int definition_override(char **text, const char *setting)
{
    struct setting s;
    char *replaced = NULL;
    const char *line = *text;
    bool inside;
    int rc = split(setting, &s);

    if (rc != 0)
        return rc;
    inside = strcmp(s.section, "domain") == 0; /* so are the lines before the first section */
    for (; *line != 0; line = next_line(line))
        if (!is_section(line, s.section, &inside) && inside && is_key(line, s.key))
            break;
    if (*line != 0)
        rc = replace_line(&replaced, *text, line, &s);
    else
        rc = asprintf(&replaced, "%s%s[%s]\n%s = %s\n", *text, line != *text && line[-1] != '\n' ? "\n" : "", s.section, s.key, s.value);
    if (rc < 0)
        return -ENOMEM;
    free(*text);
    *text = replaced;
    return 0;
}
