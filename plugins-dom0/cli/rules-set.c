/* SPDX-License-Identifier: MIT */
/*
 * Sets of rules for the commands that judge or compare them on this machine.
 * Contract: rules-set.h. Tests: test-rules-cli.c.
 */
#include "rules-set.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

json_t *rules_errors_json(const struct rules_compiled *set)
{
    json_t *list = json_array();

    for (size_t i = 0; i < set->error_count; i++) {
        const struct rules_error *e = &set->errors[i];

        json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:o, s:o, s:b}", "file", cli_json_text(e->file), "line", (json_int_t)e->line, "column", (json_int_t)e->column, "text", cli_json_text(e->text), "hint",
                                              cli_json_text(e->hint), "warning", e->warning));
    }
    return list;
}

int rules_set_compile(struct cli *cli, const char *what, char **files, int count, struct rules_set *to)
{
    struct rules_input *inputs = calloc((size_t)count + 1, sizeof(*inputs));
    size_t errors = 0;
    int rc = inputs != NULL ? 0 : -ENOMEM;

    *to = (struct rules_set){ .size = 0 };
    for (int i = 0; rc == 0 && i < count; i++) {
        inputs[i].path = files[i];
        if (files[i][0] == 0) {
            free(inputs);
            return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: the name of a file is empty", what);
        }
    }
    if (rc == 0)
        rc = rules_compile(inputs, (size_t)count, NULL, &to->compiled);
    free(inputs);
    if (!cli->json)
        rules_print_errors(cli->err, &to->compiled);
    for (size_t i = 0; i < to->compiled.error_count; i++)
        errors += !to->compiled.errors[i].warning;
    if (rc == -EINVAL) {
        cli_result(cli, json_pack("{s:o}", "errors", rules_errors_json(&to->compiled)));
        return cli_fail(cli, CLI_FAILED, "EINVAL", "%s: %zu error%s", what, errors, errors == 1 ? "" : "s");
    }
    to->bytes = to->compiled.bytes;
    to->size = to->compiled.size;
    if (rc == 0)
        rc = rules_read(to->bytes, to->size, &to->list);
    return rc == 0 ? 0 : cli_fail(cli, CLI_FAILED, cli_error_name(-rc), "%s: %s", what, strerror(-rc));
}

int rules_set_in_force(struct cli *cli, const char *what, struct rules_set *to)
{
    struct collet_rules_info info;
    int exit = cli_open(cli), rc;

    *to = (struct rules_set){ .size = 0 };
    if (exit != 0)
        return exit;
    /* Another set may come between the two. */
    do {
        rc = collet_rules_info(cli->collet, &info);
        if (rc == 0)
            rc = collet_rules_read(cli->collet, info.generation, &to->loaded, &to->size);
    } while (rc == -ESTALE);
    if (rc < 0)
        return cli_fail_collet(cli, rc, "%s: the rules in force", what);
    to->generation = info.generation;
    to->bytes = to->loaded;
    rc = to->bytes != NULL ? rules_read(to->bytes, to->size, &to->list) : 0;
    return rc == 0 ? 0 : cli_fail(cli, CLI_FAILED, cli_error_name(-rc), "%s: the rules in force: %s", what, strerror(-rc));
}

void rules_set_free(struct rules_set *set)
{
    rules_list_free(&set->list);
    rules_compiled_free(&set->compiled);
    free(set->loaded);
    *set = (struct rules_set){ .size = 0 };
}

char *rules_set_rule_text(const struct rules_set *set, uint32_t rule, unsigned int direction, char *to, size_t bytes)
{
    const struct rules_rule *r = rule < set->list.count ? &set->list.rules[rule] : NULL;

    if (r == NULL)
        snprintf(to, bytes, "policy %s %s", direction == VFR_TX ? "out" : "in", set->list.policy[direction == VFR_TX ? 0 : 1] != NULL ? set->list.policy[direction == VFR_TX ? 0 : 1] : "accept");
    else
        snprintf(to, bytes, "%s:%" PRIu32 ": %s", r->file != NULL ? r->file : "rules", r->line, r->text != NULL ? r->text : "?");
    return to;
}

json_t *rules_set_rule_json(const struct rules_set *set, uint32_t rule)
{
    const struct rules_rule *r = rule < set->list.count ? &set->list.rules[rule] : NULL;
    char id[20];

    if (r == NULL)
        return json_null();
    snprintf(id, sizeof(id), "%016" PRIx64, r->id);
    return json_pack("{s:I, s:s, s:o, s:I, s:o, s:o}", "index", (json_int_t)rule, "id", id, "file", r->file != NULL ? cli_json_text(r->file) : json_null(), "line", (json_int_t)r->line, "label",
                     r->name != NULL ? cli_json_text(r->name) : json_null(), "text", r->text != NULL ? cli_json_text(r->text) : json_null());
}
