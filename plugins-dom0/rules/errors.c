// SPDX-License-Identifier: MIT
/*
 * Errors of rule texts, the memory that a compilation uses, and guesses at what somebody meant.
 * Contract: rules.h, ast.h. Tests: test-rules.c.
 */
#include "ast.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES  (256u * 1024)
#define LETTERS_MAX  47

struct rules_chunk {
    struct rules_chunk *next;
    size_t used, room;
    _Alignas(16) char bytes[];
};

void *rules_alloc(struct rules_arena *arena, size_t bytes)
{
    struct rules_run *run = (struct rules_run *)(void *)((char *)arena - offsetof(struct rules_run, arena));
    struct rules_chunk *chunk = arena->chunks;
    void *at;

    bytes = (bytes + 15) & ~(size_t)15;
    if (chunk == NULL || chunk->room - chunk->used < bytes) {
        size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

        chunk = malloc(sizeof(*chunk) + room);
        if (chunk == NULL)
            longjmp(*(jmp_buf *)run->out_of_memory, 1);
        *chunk = (struct rules_chunk){ .next = arena->chunks, .room = room };
        arena->chunks = chunk;
    }
    at = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return memset(at, 0, bytes);
}

char *rules_copy(struct rules_arena *arena, const char *text, size_t bytes)
{
    char *to = rules_alloc(arena, bytes + 1);

    memcpy(to, text, bytes);
    return to;
}

void rules_free(struct rules_arena *arena)
{
    while (arena->chunks != NULL) {
        struct rules_chunk *next = arena->chunks->next;

        free(arena->chunks);
        arena->chunks = next;
    }
}

/* ---- Errors ---- */

/* A mistake is one line, and does nothing to a terminal, whatever it tells of. */
static void clean(char *text)
{
    for (; *text != 0; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

static void add(struct rules_run *run, const struct rules_pos *pos, bool warning, const char *hint, const char *format, va_list args)
{
    struct rules_compiled *to = run->to;
    struct rules_error *e;

    if (!warning)
        run->failed = true;
    if (to->error_count >= RULES_ERRORS_MAX) {
        /* A warning too many is not worth a good set. */
        run->full = run->failed;
        return;
    }
    if (to->error_count == run->errors_room) {
        size_t room = run->errors_room * 2 + 4;

        e = realloc(to->errors, room * sizeof(*e));
        if (e == NULL)
            longjmp(*(jmp_buf *)run->out_of_memory, 1);
        to->errors = e;
        run->errors_room = room;
    }
    e = &to->errors[to->error_count++];
    *e = (struct rules_error){ .warning = warning };
    if (pos != NULL) {
        snprintf(e->file, sizeof(e->file), "%s", pos->file);
        e->line = pos->line;
        e->column = pos->column;
    }
    vsnprintf(e->text, sizeof(e->text), format, args);
    if (hint != NULL)
        snprintf(e->hint, sizeof(e->hint), "%s", hint);
    clean(e->file);
    clean(e->text);
    clean(e->hint);
}

void rules_error(struct rules_run *run, const struct rules_pos *pos, const char *hint, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(run, pos, false, hint, format, args);
    va_end(args);
}

void rules_warn(struct rules_run *run, const struct rules_pos *pos, const char *hint, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(run, pos, true, hint, format, args);
    va_end(args);
}

char *rules_error_text(const struct rules_error *e, char *to, size_t bytes)
{
    char where[320] = "";

    if (e->line != 0)
        snprintf(where, sizeof(where), "%s:%u:%u: ", e->file, e->line, e->column);
    else if (e->file[0] != 0)
        snprintf(where, sizeof(where), "%s: ", e->file);
    snprintf(to, bytes, "%s%s%s%s%s%s", where, e->warning ? "warning: " : "", e->text, e->hint[0] != 0 ? " (" : "", e->hint, e->hint[0] != 0 ? ")" : "");
    return to;
}

void rules_print_errors(FILE *to, const struct rules_compiled *set)
{
    char text[1024];

    for (size_t i = 0; i < set->error_count; i++)
        fprintf(to, "%s\n", rules_error_text(&set->errors[i], text, sizeof(text)));
}

/* ---- What was meant ---- */

static unsigned int least(unsigned int a, unsigned int b, unsigned int c)
{
    a = a < b ? a : b;
    return a < c ? a : c;
}

/* Letters changed, added, left out, or swapped with a neighbour (Damerau and Levenshtein, neighbours only). */
static unsigned int distance(const char *a, const char *b)
{
    unsigned int rows[3][LETTERS_MAX + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > LETTERS_MAX || lb > LETTERS_MAX)
        return ~0u;
    for (unsigned int j = 0; j <= lb; j++)
        rows[0][j] = j;
    for (unsigned int i = 1; i <= la; i++) {
        unsigned int *row = rows[i % 3], *before = rows[(i + 2) % 3], *twice = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned int j = 1; j <= lb; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

            row[j] = least(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && y == tolower((unsigned char)a[i - 2]) && twice[j - 2] + 1 < row[j])
                row[j] = twice[j - 2] + 1;
        }
    }
    return rows[la % 3][lb];
}

const char *rules_nearest(const char *word, const char *const *names, size_t count)
{
    size_t length = strlen(word);
    unsigned int best = length <= 2 ? 1 : length <= 5 ? 2 : 3;
    const char *found = NULL;

    for (size_t i = 0; i < count; i++) {
        unsigned int d = distance(word, names[i]);

        if (length >= 2 && d > 1 && strncmp(word, names[i], length) == 0)
            d = 1; /* cut short */
        if (d <= best && (found == NULL || d < best) && d < strlen(names[i])) {
            best = d;
            found = names[i];
        }
    }
    return found;
}
