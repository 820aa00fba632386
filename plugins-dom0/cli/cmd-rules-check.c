/* SPDX-License-Identifier: MIT */
/*
 * `collet rules check`: is a text of rules right? On any machine: the hypervisor is not asked, but the very code that it takes a set by is run. `collet rules diff`: what would change.
 * Tests: test-rules-cli.c.
 */
#include "commands.h"
#include "rules-set.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- rules check ---- */

static int check_run(struct cli *cli, const struct cli_args *args)
{
    struct rules_set set;
    struct rules_judge *judge = NULL;
    char error[256];
    int exit = rules_set_compile(cli, "rules check", args->words, args->count, &set);

    if (exit == 0 && rules_judge_create(&judge, set.bytes, set.size, error) != 0)
        exit = cli_fail(cli, CLI_FAILED, "EINVAL", "rules check: the hypervisor would not take it: %s", error);
    if (exit == 0) {
        if (!cli->json)
            fprintf(cli->out, "%" PRIu32 " rule%s, %zu bytes: right\n", set.compiled.rules, set.compiled.rules == 1 ? "" : "s", set.size);
        cli_result(cli, json_pack("{s:I, s:I, s:o}", "rules", (json_int_t)set.compiled.rules, "bytes", (json_int_t)set.size, "errors", rules_errors_json(&set.compiled)));
    }
    rules_judge_destroy(judge);
    rules_set_free(&set);
    return exit;
}

const struct cli_command cmd_rules_check = {
    .name = "rules check",
    .arguments = "FILE...",
    .summary = "Check files of rules, without loading them, on any machine",
    .description = "Several files make one set, in their order, as for rules load. Errors are told as FILE:LINE:COLUMN, with a\nsuggestion. The language: collet-rules(5).",
    .examples = "  collet rules check web.rules",
    .complete = "files",
    .least = 1,
    .most = -1,
    .run = check_run,
};

/* ---- rules diff ---- */

struct entry {
    uint64_t id;
    uint32_t index;
};

static int by_id(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/* Of each rule of `new`: its index in `old`, or -1. */
static int64_t *rules_match(const struct rules_list *new, const struct rules_list *old)
{
    struct entry *table = calloc(old->count + 1, sizeof(*table));
    int64_t *at = calloc(new->count + 1, sizeof(*at));

    for (size_t i = 0; i < old->count; i++)
        table[i] = (struct entry){ old->rules[i].id, (uint32_t)i };
    qsort(table, old->count, sizeof(*table), by_id);
    for (size_t i = 0; i < new->count; i++) {
        struct entry key = { new->rules[i].id, 0 };
        const struct entry *found = bsearch(&key, table, old->count, sizeof(*table), by_id);

        at[i] = found != NULL ? (int64_t)found->index : -1;
    }
    free(table);
    return at;
}

/* The longest run of rules that keep their order: those have stayed, the others have moved (patience sorting). */
static bool *rules_stayed(const int64_t *at, size_t count)
{
    int64_t *tails = calloc(count + 1, sizeof(*tails)), *before = calloc(count + 1, sizeof(*before));
    bool *stayed = calloc(count + 1, sizeof(*stayed));
    size_t length = 0;

    for (size_t i = 0; i < count; i++) {
        size_t low = 0, high = length;

        if (at[i] < 0)
            continue;
        while (low < high) {
            size_t middle = (low + high) / 2;

            if (at[tails[middle]] < at[i])
                low = middle + 1;
            else
                high = middle;
        }
        before[i] = low > 0 ? tails[low - 1] : -1;
        tails[low] = (int64_t)i;
        length = low + 1 > length ? low + 1 : length;
    }
    for (int64_t i = length > 0 ? tails[length - 1] : -1; i >= 0; i = before[i])
        stayed[i] = true;
    free(tails);
    free(before);
    return stayed;
}

static void tell(struct cli *cli, json_t *list, char mark, const struct rules_rule *r)
{
    if (!cli->json)
        fprintf(cli->out, "%c %s\n", mark, r->text != NULL ? r->text : "(a rule without its text)");
    json_array_append_new(list, json_pack("{s:s, s:o, s:I, s:o}", "change", mark == '+' ? "added" : mark == '-' ? "removed" : "moved", "file", r->file != NULL ? cli_json_text(r->file) : json_null(), "line",
                                          (json_int_t)r->line, "text", r->text != NULL ? cli_json_text(r->text) : json_null()));
}

static bool tell_policies(struct cli *cli, json_t *list, const struct rules_set *old, const struct rules_set *new)
{
    static const char *const names[2] = { "out", "in" };
    bool any = false;

    for (int i = 0; i < 2; i++) {
        const char *was = old->list.policy[i] != NULL ? old->list.policy[i] : "accept", *is = new->list.policy[i] != NULL ? new->list.policy[i] : "accept";

        if (strcmp(was, is) == 0)
            continue;
        any = true;
        if (!cli->json)
            fprintf(cli->out, "- policy %s %s\n+ policy %s %s\n", names[i], was, names[i], is);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "change", "policy", "direction", names[i], "was", was, "is", is));
    }
    return any;
}

static int diff_sets(struct cli *cli, const struct rules_set *old, const struct rules_set *new)
{
    json_t *list = json_array();
    int64_t *at = rules_match(&new->list, &old->list), *back = rules_match(&old->list, &new->list);
    bool *stayed = rules_stayed(at, new->list.count);
    bool any = tell_policies(cli, list, old, new), sets = false;
    size_t o = 0;

    for (size_t n = 0; n <= new->list.count; n++) {
        /* What has gone from between two that stayed is told there. */
        for (; o < old->list.count && (n == new->list.count || !stayed[n] || (int64_t)o < at[n]) && (back[o] < 0 || !stayed[back[o]]); o++)
            if (back[o] < 0) {
                tell(cli, list, '-', &old->list.rules[o]);
                any = true;
            }
        if (n == new->list.count)
            break;
        if (stayed[n])
            o = (size_t)at[n] + 1;
        else
            tell(cli, list, at[n] < 0 ? '+' : '~', &new->list.rules[n]), any = true;
    }
    sets = !any && (old->size != new->size || (old->size != 0 && memcmp(old->bytes, new->bytes, old->size) != 0));
    if (!cli->json && sets)
        fprintf(cli->out, "the same rules; elements of sets or groups, or where they stand in the text, differ\n");
    else if (!cli->json && !any)
        fprintf(cli->out, "no difference\n");
    cli_result(cli, json_pack("{s:o, s:b, s:b}", "changes", list, "same_rules", !any, "same", !any && !sets));
    free(at);
    free(back);
    free(stayed);
    return 0;
}

static int diff_run(struct cli *cli, const struct cli_args *args)
{
    struct rules_set old, new = { .size = 0 };
    int exit = args->count > 1 ? rules_set_compile(cli, "rules diff", args->words, 1, &old) : rules_set_in_force(cli, "rules diff", &old);

    if (exit == 0)
        exit = rules_set_compile(cli, "rules diff", args->words + args->count - 1, 1, &new);
    if (exit == 0)
        exit = diff_sets(cli, &old, &new);
    rules_set_free(&old);
    rules_set_free(&new);
    return exit;
}

const struct cli_command cmd_rules_diff = {
    .name = "rules diff",
    .arguments = "[OLD] FILE",
    .summary = "Tell how a file of rules differs from the rules in force, or from another file",
    .description = "`-` marks rules that go, `+` those that come, `~` those that stand elsewhere in the order. Rules are the same if\ntheir words are: these keep their counters when FILE is loaded.",
    .examples = "  collet rules diff web.rules\n  collet rules diff old.rules new.rules",
    .complete = "files",
    .least = 1,
    .most = 2,
    .run = diff_run,
};
