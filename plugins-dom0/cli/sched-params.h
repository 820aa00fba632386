/* SPDX-License-Identifier: MIT */
/*
 * What a module in charge lets one set, for the commands `collet sched show`, `get` and `set`, and those of `collet disk`.
 * Tests: test-cli.c.
 */
#pragma once

#include "cli.h"
#include "format.h"

struct sched_params {
    struct collet_sched_param *list; /* free() */
    int count;
    char module[COLLET_NAME_MAX]; /* whose they are */
    const char *what, *shown_by;  /* "scheduler", "sched show": for sentences */
};

/* 0 or an exit code, with the failure said. */
int sched_params_load(struct cli *cli, struct sched_params *p);
/* A parameter by name; its _ns may be left out. NULL, with the failure said and the nearest name suggested. */
const struct collet_sched_param *sched_params_find(struct cli *cli, const struct sched_params *p, const char *name, size_t length);
bool sched_param_is(const struct collet_sched_param *p, const char *word, size_t length);
/* As `sched set` takes it. */
const char *sched_value_format(char to[FORMAT_BYTES], const struct collet_sched_param *p, uint64_t value);
/* The text of a value that is within the parameter's range: 0, or an exit code with the failure said. */
int sched_value_parse(struct cli *cli, const struct collet_sched_param *param, const char *text, uint64_t *value);
const char *sched_type_name(uint32_t type);
const char *sched_scopes_text(uint32_t scopes);
