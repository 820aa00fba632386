// SPDX-License-Identifier: MIT
/*
 * Sizes, times, CPU lists, near misses, mistakes.
 * Contract: text.h.  Tests: test-text.c.
 */
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FRAME_BYTES 4096u
#define WORD_MAX 48

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit byte_units[] = {{"k", 1ull << 10},  {"kb", 1ull << 10},  {"kib", 1ull << 10}, {"m", 1ull << 20},  {"mb", 1ull << 20},  {"mib", 1ull << 20}, {"g", 1ull << 30},
                                         {"gb", 1ull << 30}, {"gib", 1ull << 30}, {"t", 1ull << 40},   {"tb", 1ull << 40}, {"tib", 1ull << 40}, {"b", 1},           {NULL, 0}};
static const struct unit time_units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"min", 60000000000}, {"h", 3600000000000}, {NULL, 0}};

/* Digits at the beginning; *end: what follows. */
static int digits(const char *text, const char **end, uint64_t *number)
{
    uint64_t n = 0;

    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    for (; isdigit((unsigned char)*text); text++)
        if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
            return -ERANGE;
    *end = text;
    *number = n;
    return 0;
}

int text_number(const char *text, uint64_t *number)
{
    const char *end;
    int rc = digits(text, &end, number);

    return rc != 0 ? rc : *end == '\0' ? 0 : -EINVAL;
}

static const struct unit *unit_find(const struct unit *units, const char *name)
{
    for (; units->name != NULL; units++)
        if (strcasecmp(units->name, name) == 0)
            return units;
    return NULL;
}

/* Number, perhaps with decimals, and a unit; without one: `plain`. */
static int quantity(const char *text, const struct unit *units, uint64_t plain, uint64_t *value)
{
    uint64_t whole, factor = plain, part = 0, scale = 1;
    const struct unit *unit;
    const char *end;
    int rc = digits(text, &end, &whole);

    if (rc != 0)
        return rc;
    if (*end == '.')
        for (end++; isdigit((unsigned char)*end); end++)
            if (scale < 1000000) {
                part = part * 10 + (uint64_t)(*end - '0');
                scale *= 10;
            }
    while (*end == ' ' || *end == '\t')
        end++;
    if (*end != '\0') {
        unit = unit_find(units, end);
        if (unit == NULL)
            return -EINVAL;
        factor = unit->factor;
    }
    if (__builtin_mul_overflow(whole, factor, &whole) || (part != 0 && __builtin_mul_overflow(part, factor, &part)) || __builtin_add_overflow(whole, part / scale, value))
        return -ERANGE;
    return 0;
}

int text_size_bytes(const char *text, uint64_t *bytes)
{
    return quantity(text, byte_units, 1, bytes);
}

int text_size_frames(const char *text, uint64_t *frames)
{
    uint64_t bytes;
    int rc = quantity(text, byte_units, 1ull << 20, &bytes);

    if (rc != 0)
        return rc;
    *frames = bytes / FRAME_BYTES + (bytes % FRAME_BYTES != 0);
    return 0;
}

int text_duration_ns(const char *text, uint64_t *ns)
{
    return quantity(text, time_units, 1, ns);
}

int text_bool(const char *text, bool *yes)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0) {
            *yes = i & 1;
            return 0;
        }
    return -EINVAL;
}

/* One item: "3", "0-1" or "all". */
static int cpus_item(const char *text, const char **end, uint64_t *mask)
{
    uint64_t first, last;

    if (strncmp(text, "all", 3) == 0) {
        *end = text + 3;
        *mask = ~0ull;
        return 0;
    }
    if (digits(text, end, &first) != 0 || first > 63)
        return -EINVAL;
    last = first;
    if (**end == '-' && (digits(*end + 1, end, &last) != 0 || last > 63 || last < first))
        return -EINVAL;
    *mask = (last == 63 ? ~0ull : (1ull << (last + 1)) - 1) & ~((1ull << first) - 1);
    return 0;
}

static const char *blanks(const char *text)
{
    return text + strspn(text, " \t");
}

int text_cpus(const char *text, uint64_t *mask)
{
    uint64_t with = 0, without = 0, item;
    bool named = false, negated;

    for (text = blanks(text);; text = blanks(text + 1)) {
        negated = *text == '^';
        if (cpus_item(negated ? text + 1 : text, &text, &item) != 0)
            return -EINVAL;
        if (negated) {
            without |= item;
        } else {
            with |= item;
            named = true;
        }
        text = blanks(text);
        if (*text == '\0')
            break;
        if (*text != ',')
            return -EINVAL;
    }
    *mask = (named ? with : ~0ull) & ~without;
    return *mask != 0 ? 0 : -EINVAL;
}

/* Levenshtein's distance, a swap of neighbours counting one. Words are cut at WORD_MAX. */
static unsigned int distance(const char *a, const char *b)
{
    unsigned int row[3][WORD_MAX + 1], i, j, n = (unsigned int)strnlen(a, WORD_MAX), m = (unsigned int)strnlen(b, WORD_MAX);

    for (j = 0; j <= m; j++)
        row[0][j] = j;
    for (i = 1; i <= n; i++) {
        unsigned int *now = row[i % 3], *above = row[(i + 2) % 3], *above2 = row[(i + 1) % 3];

        now[0] = i;
        for (j = 1; j <= m; j++) {
            unsigned int best = above[j - 1] + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));

            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

const char *text_nearest(const char *word, const char *const *candidates)
{
    unsigned int best = 1 + (unsigned int)strlen(word) / 3, d;
    const char *nearest = NULL;

    for (; *candidates != NULL; candidates++) {
        d = distance(word, *candidates);
        if (d < best || (d == best && nearest == NULL)) {
            best = d;
            nearest = *candidates;
        }
    }
    return nearest;
}

static void mistakes_append(struct text_mistakes *mistakes, const char *text, int length)
{
    size_t room = sizeof(mistakes->text) - mistakes->length - 1;

    if (length < 0)
        return;
    if ((size_t)length > room)
        length = (int)room;
    memcpy(mistakes->text + mistakes->length, text, (size_t)length);
    mistakes->length += (size_t)length;
    mistakes->text[mistakes->length] = '\0';
}

void text_mistake(struct text_mistakes *mistakes, const char *file, unsigned int line, const char *format, ...)
{
    char where[300], what[512];
    va_list args;

    if (++mistakes->count > TEXT_MISTAKES_MAX) {
        if (mistakes->count == TEXT_MISTAKES_MAX + 1)
            mistakes_append(mistakes, "\n(and more mistakes after these)", 32);
        return;
    }
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (line != 0)
        snprintf(where, sizeof(where), "%s%.256s:%u: ", mistakes->length != 0 ? "\n" : "", file, line);
    else
        snprintf(where, sizeof(where), "%s%.256s: ", mistakes->length != 0 ? "\n" : "", file);
    mistakes_append(mistakes, where, (int)strlen(where));
    mistakes_append(mistakes, what, (int)strlen(what));
}
