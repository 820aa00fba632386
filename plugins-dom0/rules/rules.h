/* SPDX-License-Identifier: MIT */
/*
 * The rule language: from text, as docs/reference/rule-language.md has it, to the binary rule set that the hypervisor takes (<vfr/ruleset.h>), and from such a set back to what people read. Used by `collet rules`,
 * by colletd for its plugins, and by the tests; build/dom0/lib/librules.a, linked with -lpcap (patterns are compiled by libpcap). No global state that outlives a call; not for several threads at once.
 *
 *     struct rules_input input = { .path = "/etc/collet/rules" };
 *     struct rules_compiled set;
 *
 *     if (rules_compile(&input, 1, NULL, &set) == 0)
 *         rc = collet_rules_load(c, set.bytes, set.size, ...);
 *     else
 *         rules_print_errors(stderr, &set);
 *     rules_compiled_free(&set);
 *
 * Tests: test-rules.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define RULES_ERRORS_MAX 20u /* found in one go; then the rest is left unread */

/* One piece of a rule set: a file, or text that somebody has. */
struct rules_input {
    const char *path;      /* read this file; or, if text is there, what to call it in errors (NULL: "rules") */
    const char *text;      /* NULL: of the file */
    size_t text_bytes;
    const char *directory; /* relative names of files that it includes start here; NULL: where the file is, or the current one */
    bool no_files;         /* it may not include or read other files */
};

struct rules_error {
    char file[256];
    unsigned int line, column; /* from 1; 0: of the set as a whole */
    char text[320];            /* what is wrong */
    char hint[160];            /* what would be right; or empty */
    bool warning;              /* the set is good in spite of it */
};

struct rules_options {
    bool no_text; /* leave names and texts of rules out of the set: smaller */
    /* Who reads files, NULL: this library. All of the file, in memory that is good until the set is made; or NULL and what is wrong. Asked each time that a file is named. */
    const char *(*read)(void *arg, const char *path, size_t *bytes, char *error, size_t error_bytes);
    void *read_arg;
};

struct rules_compiled {
    uint8_t *bytes;             /* the set; NULL when there is an error */
    size_t size;
    uint32_t rules;
    struct rules_error *errors; /* errors and warnings in the order of the text */
    size_t error_count;
    char **files;               /* all that were read: whoever wants to notice changes looks at these */
    size_t file_count;
};

/*
 * Make one set of all inputs, in their order: names that one defines are known to those behind it.
 * Returns 0 (there may be warnings); -EINVAL: the errors say what; -ENOMEM. `to` is filled in every case: free it.
 */
int rules_compile(const struct rules_input *inputs, size_t count, const struct rules_options *options, struct rules_compiled *to);
void rules_compiled_free(struct rules_compiled *set);

/* "file:line:column: what (hint)", a line each. */
void rules_print_errors(FILE *to, const struct rules_compiled *set);
/* The same of one error, without a newline. */
char *rules_error_text(const struct rules_error *error, char *to, size_t bytes);

/* ---- A set, read ---- */

/* A rule as people know it. */
struct rules_rule {
    uint64_t id;   /* the same for the same rule in another set: hash of its text, and how many of that text came before it */
    uint32_t line;
    char *name;    /* NULL: none */
    char *file;    /* NULL: unknown */
    char *text;    /* canonical; NULL: left out */
};
struct rules_list {
    struct rules_rule *rules;
    size_t count;
    char *policy[2]; /* "accept": of [0] tx, [1] rx */
};
/* 0, -EINVAL: not a set, -ENOMEM. */
int rules_read(const void *bytes, size_t size, struct rules_list *to);
void rules_list_free(struct rules_list *list);

/* ---- Names of interfaces ---- */

/* Does a name of the language ("web.0", "web", "web*", "nic0", "*") mean this interface? domain "" for a card. */
bool rules_name_means(const char *pattern, const char *interface, const char *domain);
