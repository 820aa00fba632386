/* SPDX-License-Identifier: MIT */
/* For tests of whole commands: run one as main() would, and keep what it printed. */
#pragma once

#include "cli.h"

#include <stdlib.h>
#include <string.h>

static char *said, *complained; /* by the last run */

/* Words separated by spaces. */
static int run(const char *line)
{
    char *words[64] = { (char *)"collet" }, *copy = strdup(line), *rest, *word;
    size_t out_bytes, err_bytes;
    FILE *out, *err;
    int count = 1, exit;

    free(said);
    free(complained);
    out = open_memstream(&said, &out_bytes);
    err = open_memstream(&complained, &err_bytes);
    for (word = strtok_r(copy, " ", &rest); word != NULL && count < 63; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    exit = cli_main(count, words, out, err);
    fclose(out);
    fclose(err);
    free(copy);
    return exit;
}

static inline json_t *said_json(void)
{
    return json_loads(said, JSON_REJECT_DUPLICATES, NULL);
}

static inline void run_end(void)
{
    free(said);
    free(complained);
    said = complained = NULL;
}
