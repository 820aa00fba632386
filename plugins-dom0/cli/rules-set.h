/* SPDX-License-Identifier: MIT */
/* A set of rules that a command works with on this machine alone: made of files, or read back from the hypervisor. Used by `collet rules check`, `test`, `explain` and `diff`. Tests: test-rules-cli.c. */
#pragma once

#include "cli.h"
#include "judge.h"
#include "rules.h"

struct rules_set {
    struct rules_compiled compiled; /* of files */
    void *loaded;                   /* read back, or NULL */
    const void *bytes;              /* whichever it is; NULL: none is in force */
    size_t size;
    struct rules_list list;
    uint64_t generation;            /* of the one read back */
};

/* Compile files; mistakes are told. what: "rules check". 0 or an exit code. */
int rules_set_compile(struct cli *cli, const char *what, char **files, int count, struct rules_set *to);
/* The one in force. */
int rules_set_in_force(struct cli *cli, const char *what, struct rules_set *to);
void rules_set_free(struct rules_set *set);
json_t *rules_errors_json(const struct rules_compiled *set);
/* "web.rules:12 (no ssh): drop in on web ..." of rule i; VFR_NO_RULE: the policy of a direction. */
char *rules_set_rule_text(const struct rules_set *set, uint32_t rule, unsigned int direction, char *to, size_t bytes);
json_t *rules_set_rule_json(const struct rules_set *set, uint32_t rule);
