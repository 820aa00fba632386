/* SPDX-License-Identifier: MIT */
/*
 * colletd's clients: one request, any number of progress lines, one answer. Protocol: docs/reference/daemon-protocol.md.
 * The socket is /run/collet/colletd.sock unless the environment variable COLLET_SOCKET names another. Tests: test-client.c.
 */
#pragma once

#include "cli.h"

/*
 * Ask the daemon; `request` is consumed. 0 with *result for json_decref(), or an exit code with the failure said: CLI_NO_DAEMON if it does not run.
 * timeout_ms: how long it may be silent, 0 for ever: CLI_TIMED_OUT.
 */
int client_ask(struct cli *cli, json_t *request, unsigned int timeout_ms, json_t **result);
/* The same, saying nothing: NULL if it did not work. For what the daemon only adds to. */
json_t *client_ask_quietly(struct cli *cli, const char *op);
void client_close(struct cli *cli);
/* Strings and numbers of an answer, with something in place of what is missing. */
const char *client_text(const json_t *object, const char *key);
uint64_t client_number(const json_t *object, const char *key);
