/* SPDX-License-Identifier: MIT */
/*
 * The daemon's socket: who may speak, lines in, lines out. What a request means is for others.
 *
 * Nothing that a client does can block the daemon or make it grow without bound: input lines and waiting output are limited, one request is under way per client, the number of clients is limited.
 * The protocol: docs/reference/daemon-protocol.md.  Tests: test-server.c.
 */
#pragma once

#include "call.h"
#include "loop.h"

#define SERVER_LINE_MAX (1u << 20)
#define SERVER_OUTPUT_MAX (8u << 20)
#define SERVER_CLIENTS_MAX 64u

struct server;

/* A request: an object. It is answered through the call, now or later. The request's memory is the server's. */
typedef void server_request(void *arg, struct call *call, const json_t *request);

/* Listens at the path (mode 0600), in place of whatever socket a dead daemon left there. NULL: errno. Only callers with this process's user are heard. */
struct server *server_create(struct loop *loop, const char *path, server_request *request, void *arg);
/* Takes no more requests; gives what has been answered a moment to leave. Calls that are still open may be answered afterwards, to nobody. */
void server_destroy(struct server *server);
