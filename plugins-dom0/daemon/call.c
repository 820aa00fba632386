// SPDX-License-Identifier: MIT
/*
 * Answers as JSON lines.
 * Contract: call.h.  The protocol: docs/reference/daemon-protocol.md.
 */
#include "call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 9000

void call_progress(struct call *call, unsigned int permille, const char *what)
{
    if (call != NULL)
        call->send(call, json_pack("{s:i, s:s%}", "progress", (int)permille, "what", what, strlen(what)), 0);
}

void call_result(struct call *call, json_t *result)
{
    if (result == NULL)
        result = json_object();
    if (call == NULL) {
        json_decref(result);
        return;
    }
    call->send(call, json_pack("{s:b, s:o}", "ok", 1, "result", result), 1);
}

/* Texts come from files and guests: what is not UTF-8 becomes '?'. */
static json_t *message_string(char *text)
{
    json_t *string = json_string(text);
    char *c;

    if (string != NULL)
        return string;
    for (c = text; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return json_string(text);
}

void call_fail(struct call *call, int error, const char *format, ...)
{
    char *message;
    va_list args;
    const char *name = strerrorname_np(error < 0 ? -error : error);

    if (call == NULL)
        return;
    message = malloc(MESSAGE_MAX);
    if (message != NULL) {
        va_start(args, format);
        vsnprintf(message, MESSAGE_MAX, format, args);
        va_end(args);
    }
    call->send(call, json_pack("{s:b, s:s, s:o}", "ok", 0, "error", name != NULL ? name : "EIO", "message", message != NULL ? message_string(message) : json_string("no memory")), 1);
    free(message);
}
