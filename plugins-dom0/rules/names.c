// SPDX-License-Identifier: MIT
/*
 * Named sets and groups. A name is defined before it is used, so that no set can hold itself; a word in a set that is no such name is a service, in a group an interface, and stays that.
 * Contract: ast.h. Tests: test-rules.c.
 */
#include "ast.h"

#include <fnmatch.h>
#include <string.h>

#define NEAREST_MAX 512u

static unsigned int bucket_of(const char *name)
{
    uint32_t h = 2166136261u;

    for (; *name != 0; name++)
        h = (h ^ (uint8_t)*name) * 16777619u;
    return h % RULES_BUCKETS;
}

struct rules_name *rules_name_find(struct rules_run *run, enum rules_names what, const char *name)
{
    struct rules_name *n = run->names[bucket_of(name)];

    while (n != NULL && (n->what != what || strcmp(n->name, name) != 0))
        n = n->next;
    return n;
}

const char *rules_name_nearest(struct rules_run *run, enum rules_names what, const char *name)
{
    const char *names[NEAREST_MAX];
    size_t count = 0;

    for (unsigned int i = 0; i < RULES_BUCKETS; i++)
        for (const struct rules_name *n = run->names[i]; n != NULL && count < NEAREST_MAX; n = n->next)
            if (n->what == what)
                names[count++] = n->name;
    return rules_nearest(name, names, count);
}

/* Elements of groups are names; those of sets addresses, or numbers; both may name earlier ones. Returns how deep. */
static unsigned int check_elems(struct rules_run *run, enum rules_names what, struct rules_elems *elems)
{
    unsigned int depth = 1;

    for (struct rules_elem *e = elems->first; e != NULL; e = e->next) {
        const struct rules_name *inner = e->kind == RULES_WORD && !(what == RULES_GROUP && e->quoted) ? rules_name_find(run, what, e->word) : NULL;

        e->plain = inner == NULL;
        if (what == RULES_GROUP ? e->kind != RULES_WORD && e->kind != RULES_ANY : e->kind == RULES_ANY || e->kind == RULES_MAC) {
            rules_error(run, &e->pos, what == RULES_GROUP ? "as web, web.0, web* or nic0" : "addresses, prefixes and ranges of them, or ports", "not an element of a %s", what == RULES_GROUP ? "group" : "set");
        } else if (what == RULES_SET && e->kind == RULES_WORD && inner == NULL && rules_service(e->word) < 0) {
            const char *near = rules_name_nearest(run, RULES_SET, e->word);
            char hint[128] = "a set is defined before it is used";

            if (near != NULL)
                snprintf(hint, sizeof(hint), "did you mean '%.64s'?", near);
            rules_error(run, &e->pos, hint, "there is no set '%.64s'", e->word);
        } else if (inner != NULL && inner->depth >= depth) {
            depth = inner->depth + 1;
        }
    }
    return depth;
}

void rules_name_define(struct rules_run *run, const struct rules_pos *pos, enum rules_names what, const char *name, struct rules_elems *elems)
{
    struct rules_name *n = rules_name_find(run, what, name);
    unsigned int b = bucket_of(name), depth;

    if (n != NULL) {
        rules_error(run, pos, "each name once; a set may have others in it: { this, other }", "'%.64s' has been defined in line %u of %.120s", name, n->pos.line, n->pos.file);
        return;
    }
    depth = check_elems(run, what, elems);
    if (depth > RULES_NESTED_MAX) {
        rules_error(run, pos, "name the elements themselves", "%ss within %ss, more than %u deep", what == RULES_SET ? "set" : "group", what == RULES_SET ? "set" : "group", RULES_NESTED_MAX);
        return;
    }
    n = rules_alloc(&run->arena, sizeof(*n));
    *n = (struct rules_name){ .next = run->names[b], .pos = *pos, .what = what, .depth = depth, .name = name, .elems = *elems };
    run->names[b] = n;
}

bool rules_name_means(const char *pattern, const char *interface, const char *domain)
{
    return fnmatch(pattern, interface, 0) == 0 || (domain[0] != 0 && fnmatch(pattern, domain, 0) == 0);
}
