/* SPDX-License-Identifier: MIT */
/*
 * The operations of docs/reference/daemon-protocol.md: their arguments looked at, and handed to whoever does them.
 * Tests: test-requests.c.
 */
#pragma once

#include "call.h"
#include "domains.h"
#include "plugins.h"

struct requests {
    struct domains *domains;
    struct plugins *plugins;
    const char *plugins_file; /* of plugins loaded by hand (hand-loaded.h), or NULL */
    const char *version;
    uint64_t started_ns;
    /* Words about the stock daemons for `ping`; the daemon's end. */
    const char *(*store_state)(void *arg);
    const char *(*console_state)(void *arg);
    void (*stop)(void *arg);
    void *arg;
};

/* Answers the call, now or later. arg: struct requests. */
void requests_do(void *arg, struct call *call, const json_t *request);
