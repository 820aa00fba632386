/* SPDX-License-Identifier: MIT */
/*
 * The name that somebody probably meant: the least number of letters changed, left out, added or swapped with their neighbour.
 * Contract: cli.h. Tests: test-format.c.
 */
#include "cli.h"

#include <ctype.h>
#include <string.h>

#define NEAREST_LETTERS_MAX 63

static unsigned int least(unsigned int a, unsigned int b, unsigned int c)
{
    a = a < b ? a : b;
    return a < c ? a : c;
}

/* Damerau and Levenshtein's distance (neighbours only), letters' case aside. */
static unsigned int distance(const char *a, const char *b)
{
    unsigned int rows[3][NEAREST_LETTERS_MAX + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > NEAREST_LETTERS_MAX || lb > NEAREST_LETTERS_MAX)
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

const char *cli_nearest(const char *word, const char *const *names, size_t count)
{
    const char *found = NULL;
    size_t length = strlen(word);
    unsigned int best = length <= 2 ? 1 : length <= 5 ? 2 : 3;

    for (size_t i = 0; i < count; i++) {
        unsigned int d = distance(word, names[i]);

        /* A word cut short counts as near. */
        if (length >= 2 && strncmp(word, names[i], length) == 0 && d > 1)
            d = 1;
        if (d <= best && (found == NULL || d < best) && d < strlen(names[i])) {
            best = d;
            found = names[i];
        }
    }
    return found;
}
