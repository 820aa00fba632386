/* SPDX-License-Identifier: MIT */
/*
 * For tests of devices: a XenStore that is made up, a daemon that can be killed at each of its steps, and calls whose answers are looked at. Included by one test program each.
 */
#pragma once

#include "call.h"
#include "loop.h"
#include "nodes.h"

#include <check.h>
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE_NODES 2000
#define STORE_WATCHES 80
#define STORE_TOKEN_BYTES 48

static struct {
    struct {
        char path[128], value[128];
        uint32_t owner, reader;
    } nodes[STORE_NODES];
    unsigned int node_count;
    struct {
        char path[128], token[STORE_TOKEN_BYTES];
    } watches[STORE_WATCHES];
    unsigned int watch_count;
    struct loop *loop;
    void (*fired)(const char *token);
    int fail_write; /* errno of one write, after so many more */
    unsigned int writes_left;
    bool gone;
    unsigned int steps_to_live; /* of the daemon: it is killed before the step that would be one too many; 0: it lives */
    jmp_buf killed;
} store;

/* Every effect of the daemon passes here. */
static inline void alive(void)
{
    if (store.steps_to_live != 0 && --store.steps_to_live == 0)
        longjmp(store.killed, 1);
}

static inline const char *store_error(void *arg)
{
    (void)arg;
    return "so it was arranged";
}

/* ---- XenStore ---- */

static int node_at(const char *path)
{
    unsigned int i;

    for (i = 0; i < store.node_count; i++)
        if (strcmp(store.nodes[i].path, path) == 0)
            return (int)i;
    return -1;
}

static inline void fire(const char *path)
{
    unsigned int i;

    for (i = 0; i < store.watch_count; i++)
        if (strncmp(store.watches[i].path, path, strlen(path)) == 0) {
            char token[STORE_TOKEN_BYTES];

            strcpy(token, store.watches[i].token);
            store.fired(token);
        }
}

/* Anybody's write; does not fire: see front(). */
static inline void put(const char *path, const char *value)
{
    int at = node_at(path);

    if (at < 0) {
        ck_assert_uint_lt(store.node_count, STORE_NODES);
        at = (int)store.node_count++;
    }
    ck_assert_uint_lt(strlen(path), sizeof(store.nodes[0].path));
    strcpy(store.nodes[at].path, path);
    snprintf(store.nodes[at].value, sizeof(store.nodes[at].value), "%s", value);
}

static char *store_read(void *arg, const char *path)
{
    int at = store.gone ? -1 : node_at(path);

    (void)arg;
    errno = store.gone ? ENOTCONN : ENOENT;
    return at >= 0 ? strdup(store.nodes[at].value) : NULL;
}

static int store_write(void *arg, const char *path, const char *value)
{
    (void)arg;
    alive();
    if (store.gone)
        return -ENOTCONN;
    if (store.fail_write != 0 && store.writes_left-- == 0) {
        int rc = -store.fail_write;

        store.fail_write = 0;
        return rc;
    }
    put(path, value);
    return 0;
}

static int store_make(void *arg, const char *path, uint32_t owner, uint32_t reader)
{
    int rc = store_write(arg, path, "");

    if (rc != 0)
        return rc;
    store.nodes[node_at(path)].owner = owner;
    store.nodes[node_at(path)].reader = reader;
    return 0;
}

static inline void erase(const char *path)
{
    size_t length = strlen(path);
    unsigned int i;

    for (i = 0; i < store.node_count;)
        if (strncmp(store.nodes[i].path, path, length) == 0 && (store.nodes[i].path[length] == '\0' || store.nodes[i].path[length] == '/'))
            store.nodes[i] = store.nodes[--store.node_count];
        else
            i++;
}

static void store_remove(void *arg, const char *path)
{
    (void)arg;
    alive();
    if (!store.gone)
        erase(path);
}

static char *store_children(void *arg, const char *path)
{
    char *text = calloc(1, 4000), line[140];
    size_t length = strlen(path);
    unsigned int i;

    (void)arg;
    for (i = 0; i < store.node_count; i++)
        if (strncmp(store.nodes[i].path, path, length) == 0 && store.nodes[i].path[length] == '/') {
            snprintf(line, sizeof(line), "%.*s\n", (int)strcspn(store.nodes[i].path + length + 1, "/"), store.nodes[i].path + length + 1);
            if (strstr(text, line) == NULL)
                strcat(text, line);
        }
    return text;
}

/* xenstored fires a new watch once, when the daemon comes back to its loop. */
static void fire_first(void *arg)
{
    char *path = arg;

    fire(path);
    free(path);
}

static int store_watch(void *arg, const char *path, const char *token)
{
    (void)arg;
    alive();
    if (store.gone)
        return -ENOTCONN;
    strcpy(store.watches[store.watch_count].path, path);
    strcpy(store.watches[store.watch_count++].token, token);
    loop_timer(store.loop, 0, fire_first, strdup(path));
    return 0;
}

static void store_unwatch(void *arg, const char *path, const char *token)
{
    unsigned int i;

    (void)arg;
    for (i = 0; i < store.watch_count; i++)
        if (strcmp(store.watches[i].path, path) == 0 && strcmp(store.watches[i].token, token) == 0) {
            store.watches[i] = store.watches[--store.watch_count];
            return;
        }
    ck_abort_msg("%s was not watched", path);
}

static const struct nodes store_nodes = {.error = store_error,
                                   .read = store_read,
                                   .write = store_write,
                                   .make = store_make,
                                   .remove = store_remove,
                                   .children = store_children,
                                   .watch = store_watch,
                                   .unwatch = store_unwatch};

/* ---- Calls ---- */

static struct answer {
    struct call call;
    int finals;
    json_t *line;
} answers[8];
static unsigned int answer_count;

static void answer_send(struct call *call, json_t *line, int final)
{
    struct answer *a = (struct answer *)call;

    ck_assert_int_eq(final, 1);
    a->finals++;
    a->line = line;
}

static struct call *new_call(void)
{
    struct answer *a = &answers[answer_count++ % 8];

    json_decref(a->line);
    *a = (struct answer){.call.send = answer_send};
    return &a->call;
}

static struct answer *last(void)
{
    return &answers[(answer_count - 1) % 8];
}

static void ok(void)
{
    ck_assert_int_eq(last()->finals, 1);
    ck_assert_msg(json_is_true(json_object_get(last()->line, "ok")), "%s", json_string_value(json_object_get(last()->line, "message")));
}

static void failed(const char *error, const char *words)
{
    const char *message = json_string_value(json_object_get(last()->line, "message"));

    ck_assert_int_eq(last()->finals, 1);
    ck_assert(json_is_false(json_object_get(last()->line, "ok")));
    ck_assert_str_eq(json_string_value(json_object_get(last()->line, "error")), error);
    ck_assert_msg(strstr(message, words) != NULL, "%s", message);
}

