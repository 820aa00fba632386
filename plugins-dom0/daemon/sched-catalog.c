// SPDX-License-Identifier: MIT
/*
 * What scheduler modules let one set, and values as people write them.
 * Contract: definition.h.  Tests: test-definition.c.
 */
#include "definition.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct sched_catalog_module *sched_catalog_find(const struct sched_catalog *catalog, const char *module)
{
    unsigned int i;

    for (i = 0; i < catalog->count; i++)
        if (module == NULL ? catalog->modules[i].active : strcmp(catalog->modules[i].name, module) == 0)
            return &catalog->modules[i];
    return NULL;
}

const struct collet_sched_param *sched_catalog_param(const struct sched_catalog_module *module, const char *name)
{
    unsigned int i;

    for (i = 0; module != NULL && i < module->param_count; i++)
        if (strcmp(module->params[i].name, name) == 0)
            return &module->params[i];
    return NULL;
}

void sched_catalog_free(struct sched_catalog *catalog)
{
    unsigned int i;

    for (i = 0; i < catalog->count; i++)
        free(catalog->modules[i].params);
    free(catalog->modules);
    *catalog = (struct sched_catalog){0};
}

static int value_read(const struct collet_sched_param *param, const char *text, uint64_t *value)
{
    bool yes;
    int rc;

    switch (param->type) {
    case COLLET_PARAM_NS:
        return text_duration_ns(text, value);
    case COLLET_PARAM_BOOL:
        rc = text_bool(text, &yes);
        if (rc == 0)
            *value = yes;
        return rc;
    default:
        return text_number(text, value);
    }
}

int sched_param_parse(const struct collet_sched_param *param, const char *text, uint64_t *value, char *expected, size_t expected_bytes)
{
    int rc = value_read(param, text, value);

    if (rc == 0 && (*value < param->minimum || *value > param->maximum))
        rc = -ERANGE;
    if (rc == -EINVAL)
        snprintf(expected, expected_bytes, "%s was expected",
                 param->type == COLLET_PARAM_NS ? "a time like 500us or 10ms" : param->type == COLLET_PARAM_BOOL ? "yes or no" : "a number");
    else if (rc != 0)
        snprintf(expected, expected_bytes, "it must be within %" PRIu64 " to %" PRIu64 "%s", param->minimum, param->maximum, param->type == COLLET_PARAM_NS ? " (ns)" : "");
    return rc;
}
