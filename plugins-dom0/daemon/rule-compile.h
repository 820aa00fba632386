/* SPDX-License-Identifier: MIT */
/*
 * The daemon's network rules, compiled in a process of their own: whatever stands in a rule file, it is that process which ends, and not the daemon.
 *
 * One mistake does not hold up the rest. A file with a mistake, or that is not there, is taken as it was when it was right the last time (copies stand in a folder); if it never was, by the rules that the parts name for that
 * case (PLUGIN_RULES_INSTEAD of <hv/plugin-tools.h>), else as empty. A part with a mistake in its own text is left out, or refuses it all if it is the one that has just come.
 * Used by rule-parts.c.  Tests: test-rule-parts.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct rule_compile_part {
    const char *name; /* "plugin firewall": in mistakes */
    const char *text;
    bool strict;      /* a mistake in it refuses all */
};

struct rule_compile_order {
    const struct rule_compile_part *parts;
    size_t part_count;
    const char *file;     /* behind the parts; NULL: none */
    const char *folder;   /* of copies */
    unsigned int seconds; /* it may take this long */
    bool careful;         /* it took too long or ended before: no file that is not as its copy */
};

/* One that the set was made of. */
struct rule_compile_file {
    char *path;
    struct stat was; /* as it was read; st_ino 0: it was not there */
    bool wrong;      /* something else was taken for it */
    bool copied;     /* a new copy stands beside the old one */
};

struct rule_compile_result {
    uint8_t *bytes;
    size_t size;
    uint32_t rules;
    struct rule_compile_file *files;
    size_t file_count;
    char *mistakes; /* a line each; empty: none */
    bool careful;   /* it has been made so */
};

/* If it takes too long or ends, it is done again, carefully. 0: there is a set, in spite of `mistakes`; -EINVAL: mistakes say why not; -ETIME, -ECHILD: it took too long, or ended: mistakes say so; -ENOMEM. `to` is filled in every case: free it. */
int rule_compile(const struct rule_compile_order *order, struct rule_compile_result *to);
/* The set is in force: files that were right become the copies. */
void rule_compile_accept(const char *folder, const struct rule_compile_result *result);
void rule_compile_free(struct rule_compile_result *result);
