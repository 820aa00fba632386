/* SPDX-License-Identifier: MIT */
/*
 * Tables of text: cells are kept until the end, when the widths are known.
 * Control characters become question marks, so that no text of a guest can move the cursor. Contract: table.h. Tests: test-format.c.
 */
#include "table.h"

#include <err.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_COLUMNS_MAX 24

struct table {
    char *titles;
    const char *title[TABLE_COLUMNS_MAX];
    bool right[TABLE_COLUMNS_MAX];
    int columns;
    char **cells;
    size_t count, room;
};

/* Columns on a terminal: bytes that do not continue a UTF-8 character. */
static int width_of(const char *text)
{
    int width = 0;

    for (; *text != 0; text++)
        width += (*text & 0xc0) != 0x80;
    return width;
}

struct table *table_new(const char *titles)
{
    struct table *t = calloc(1, sizeof(*t));
    char *rest, *word;

    if (t == NULL || (t->titles = strdup(titles)) == NULL)
        errx(1, "out of memory");
    for (word = strtok_r(t->titles, "|", &rest); word != NULL && t->columns < TABLE_COLUMNS_MAX; word = strtok_r(NULL, "|", &rest)) {
        char *last = word + strlen(word) - 1;

        t->right[t->columns] = *last == '>';
        if (*last == '>' || *last == '<')
            *last = 0;
        t->title[t->columns++] = word;
    }
    return t;
}

void table_cell(struct table *t, const char *format, ...)
{
    va_list arguments;
    char *text;

    if (t->count == t->room) {
        t->room = t->room != 0 ? t->room * 2 : 64;
        t->cells = realloc(t->cells, t->room * sizeof(*t->cells));
    }
    va_start(arguments, format);
    if (t->cells == NULL || vasprintf(&text, format, arguments) < 0)
        errx(1, "out of memory");
    va_end(arguments);
    for (char *c = text; *c != 0; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
    t->cells[t->count++] = text;
}

static void print_row(const struct table *t, FILE *out, const char *const *cells, const int *widths)
{
    for (int i = 0; i < t->columns; i++) {
        int pad = widths[i] - width_of(cells[i]);

        if (i != 0)
            fputs("  ", out);
        if (t->right[i])
            fprintf(out, "%*s%s", pad, "", cells[i]);
        else if (i + 1 == t->columns)
            fputs(cells[i], out);
        else
            fprintf(out, "%s%*s", cells[i], pad, "");
    }
    fputc('\n', out);
}

void table_end(struct table *t, FILE *out, const char *empty)
{
    int widths[TABLE_COLUMNS_MAX];

    while (t->count % (size_t)t->columns != 0)
        table_cell(t, "%s", "");
    for (int i = 0; i < t->columns; i++)
        widths[i] = width_of(t->title[i]);
    for (size_t i = 0; i < t->count; i++)
        if (width_of(t->cells[i]) > widths[i % (size_t)t->columns])
            widths[i % (size_t)t->columns] = width_of(t->cells[i]);
    if (out == NULL) {
        /* wanted no longer */
    } else if (t->count == 0 && empty != NULL) {
        fprintf(out, "%s\n", empty);
    } else {
        print_row(t, out, t->title, widths);
        for (size_t i = 0; i < t->count; i += (size_t)t->columns)
            print_row(t, out, (const char *const *)t->cells + i, widths);
    }
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t->titles);
    free(t);
}
