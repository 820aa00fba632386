// SPDX-License-Identifier: MIT
/*
 * inih with line numbers and long lines.
 *
 * inih tells no line numbers and takes lines of 200 bytes: our reader hands it the text line by line, counting, and breaks what is longer at a blank into lines that continue the value. It also looks
 * at the form of each line first, because inih remembers the first bad one alone.
 * Contract: ini-lines.h.  Tests: test-definition.c.
 */
#include "ini-lines.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTION_MAX 49 /* what inih keeps of a section's name */
#define VALUE_MAX 2048

struct ini_lines {
    const char *file, *at; /* at: what has not been read yet */
    bool in_line;          /* `at` is in the middle of a line that was broken */
    unsigned int line;
    struct text_mistakes *mistakes;
    ini_lines_fn *fn;
    void *arg;
    bool seen_key; /* since the section began: a continuation is possible */
    bool pending;  /* an entry whose value may go on */
    unsigned int pending_line;
    char section[SECTION_MAX + 1], key[SECTION_MAX + 1], value[VALUE_MAX];
};

static void entry_flush(struct ini_lines *p)
{
    if (p->pending)
        p->fn(p->arg, p->section, p->key, p->value, p->pending_line);
    p->pending = false;
}

static void entry_add(struct ini_lines *p, const char *more)
{
    size_t length = strlen(p->value);

    if (length + strlen(more) + 2 > sizeof(p->value)) {
        text_mistake(p->mistakes, p->file, p->pending_line, "%s: the value is longer than %u bytes", p->key, VALUE_MAX - 2);
        return;
    }
    if (length != 0 && *more != '\0')
        p->value[length++] = ' ';
    strcpy(p->value + length, more);
}

/* inih's callback. A continuation comes as one more entry of the same key; the reader has told which it is by `line` standing where no new key began. */
static int entry_handler(void *arg, const char *section, const char *name, const char *value)
{
    struct ini_lines *p = arg;

    (void)section; /* the reader has it already */
    if (p->pending && strcmp(name, p->key) == 0) {
        entry_add(p, value);
        return 1;
    }
    entry_flush(p);
    p->pending = true;
    p->pending_line = p->line;
    snprintf(p->key, sizeof(p->key), "%s", name);
    p->value[0] = '\0';
    entry_add(p, value);
    return 1;
}

/* "[name]": remember it and tell it. */
static bool section_line(struct ini_lines *p, const char *text, size_t length)
{
    const char *end = memchr(text, ']', length);
    size_t name = end != NULL ? (size_t)(end - text) - 1 : 0;

    entry_flush(p);
    p->seen_key = false;
    if (end == NULL) {
        text_mistake(p->mistakes, p->file, p->line, "%.*s: the ']' is missing", (int)length, text);
        return false;
    }
    if (name > SECTION_MAX) {
        text_mistake(p->mistakes, p->file, p->line, "the section's name is longer than %u bytes", SECTION_MAX);
        return false;
    }
    memcpy(p->section, text + 1, name);
    p->section[name] = '\0';
    p->fn(p->arg, p->section, NULL, NULL, p->line);
    return true;
}

/* Is this a line that inih understands? Reports it if not. */
static bool line_fits(struct ini_lines *p, const char *text, size_t length)
{
    bool indented = length != 0 && isblank((unsigned char)*text);
    const char *start = text, *separator;

    while (length != 0 && isspace((unsigned char)*start))
        start++, length--;
    while (length != 0 && isspace((unsigned char)start[length - 1]))
        length--;
    if (length == 0 || *start == ';' || *start == '#')
        return true;
    if (indented && p->seen_key)
        return true;
    if (*start == '[')
        return section_line(p, start, length);
    separator = start;
    while ((size_t)(separator - start) < length && *separator != '=' && *separator != ':')
        separator++;
    if ((size_t)(separator - start) == length || separator == start) {
        text_mistake(p->mistakes, p->file, p->line, "%.*s: a line like `key = value` or `[section]` was expected", (int)(length > 60 ? 60 : length), start);
        return false;
    }
    if (separator - start > SECTION_MAX) {
        text_mistake(p->mistakes, p->file, p->line, "the key is longer than %u bytes", SECTION_MAX);
        return false;
    }
    entry_flush(p); /* or a key given twice in a row would look like a continuation */
    p->seen_key = true;
    return true;
}

/* How much of a line too long to take at once: up to a blank that does not stand before what would look like a comment. 0: there is none. */
static size_t line_break(const char *text, size_t room)
{
    size_t cut;

    for (cut = room; cut > room / 4; cut--)
        if (text[cut] == ' ' && text[cut + 1] != ';' && text[cut + 1] != '#' && text[cut + 1] != ' ')
            return cut;
    return 0;
}

static char *line_give(struct ini_lines *p, char *buffer, size_t room, size_t length)
{
    size_t n = 0, take = length;

    if (p->in_line)
        buffer[n++] = ' ';
    if (n + length + 2 > room) {
        take = line_break(p->at, room - 3);
        if (take == 0) {
            text_mistake(p->mistakes, p->file, p->line, "a word longer than %zu bytes", room - 4);
            take = length;
            length = 0;
        }
    }
    if (length != 0)
        memcpy(buffer + n, p->at, take);
    n += length != 0 ? take : 0;
    p->at += take;
    p->in_line = take < length;
    if (!p->in_line) {
        p->at += strcspn(p->at, "\n"); /* past a comment */
        p->at += *p->at == '\n';
    }
    buffer[n] = '\n';
    buffer[n + 1] = '\0';
    return buffer;
}

/* Of the line that `text` begins or is in, what comes before a comment. inih leaves comments in lines that continue a value. */
static size_t line_length(const char *text)
{
    size_t length = strcspn(text, "\n"), i;

    for (i = 0; i + 1 < length; i++)
        if (isblank((unsigned char)text[i]) && text[i + 1] == ';')
            return i;
    return length;
}

/* inih's reader: as fgets. */
static char *line_read(char *buffer, int room, void *arg)
{
    struct ini_lines *p = arg;
    size_t length = line_length(p->at);

    if (*p->at == '\0')
        return NULL;
    if (p->in_line)
        return line_give(p, buffer, (size_t)room, length);
    p->line++;
    if (line_fits(p, p->at, length))
        return line_give(p, buffer, (size_t)room, length);
    p->at += strcspn(p->at, "\n");
    p->at += *p->at == '\n';
    strcpy(buffer, "\n");
    return buffer;
}

int ini_lines_parse(const char *file, const char *text, struct text_mistakes *mistakes, ini_lines_fn *fn, void *arg)
{
    struct ini_lines *p;
    unsigned int before = mistakes->count;

    if (strlen(text) > INI_LINES_BYTES_MAX) {
        text_mistake(mistakes, file, 0, "longer than %u KiB", INI_LINES_BYTES_MAX >> 10);
        return -EINVAL;
    }
    p = calloc(1, sizeof(*p));
    if (p == NULL) {
        text_mistake(mistakes, file, 0, "no memory");
        return -ENOMEM;
    }
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    *p = (struct ini_lines){.file = file, .at = text, .mistakes = mistakes, .fn = fn, .arg = arg};
    ini_parse_stream(line_read, p, entry_handler, p);
    entry_flush(p);
    free(p);
    return mistakes->count == before ? 0 : -EINVAL;
}
