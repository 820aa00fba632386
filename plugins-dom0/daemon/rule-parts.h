/* SPDX-License-Identifier: MIT */
/*
 * The network rules that the daemon puts in force: parts of plugins, in their order, and behind them the administrator's file, compiled to one set.
 *
 * Parts stand as files in the run folder ("50-firewall.rules"), so that a daemon that starts anew has them before its plugins have answered, and people can read them. Files that the set was made of are looked at from
 * time to time; when one has changed, the set is made and loaded anew. A file with a mistake does not hold up the rest (rule-compile.h); a part with a mistake in its own text leaves the one before.
 * Somebody who loads a set by hand (`collet rules load`) replaces it all: nothing is loaded over that, until it is flushed.
 * Page: docs/operations.md (Network rules).  Tests: test-rule-parts.c.
 */
#pragma once

#include "loop.h"

#include <collet/control.h>

struct rule_parts;

/* 0 or -errno; after a failure `error` gives a sentence. */
struct rule_parts_backend {
    void *arg;
    const char *(*error)(void *arg);
    int (*info)(void *arg, struct collet_rules_info *info);
    int (*load)(void *arg, const void *set, size_t bytes, struct collet_rules_load *load);
};

struct rule_parts_settings {
    struct loop *loop;
    struct rule_parts_backend backend;
    const char *folder; /* of the parts; made if it is not there */
    const char *file;   /* the administrator's, or empty; it need not be there */
    uint64_t look_ns;   /* how often files are looked at; 0: never */
    unsigned int compile_s; /* the rules are to be compiled in this time; 0: a minute */
};

/* Strings are copied. NULL: no memory. Nothing is loaded before rule_parts_begin(). */
struct rule_parts *rule_parts_create(const struct rule_parts_settings *settings);
void rule_parts_destroy(struct rule_parts *parts); /* rules stay in force */
/* Put in force what stands in the folder and in the file, if that is not so already. Mistakes are logged. */
void rule_parts_begin(struct rule_parts *parts);

/*
 * The part of `name`; NULL: it has none any more. 0. Or -errno and what is wrong: -EIO, the part is taken, and the set in force goes without something that it names (a file with a mistake; said each time it is set);
 * -EBUSY and reasons that pass: it is taken, and tried again; others, as -EINVAL: the part before stays.
 */
int rule_parts_set(struct rule_parts *parts, const char *name, uint32_t order, const char *text, char *error, size_t error_bytes);
