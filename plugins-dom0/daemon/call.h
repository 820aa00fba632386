/* SPDX-License-Identifier: MIT */
/*
 * A request that is to be answered, now or later: any number of progress lines, then exactly one of call_result and call_fail, which end the call (its memory too).
 * The client may be gone meanwhile; then the lines go nowhere.
 */
#pragma once

#include <jansson.h>

struct call {
    void (*send)(struct call *call, json_t *line, int final); /* takes the reference */
    /* Set by whoever works on the call, or NULL: the client has gone before the answer. The call goes on until it is answered. */
    void (*gone)(void *gone_arg);
    void *gone_arg;
};

void call_progress(struct call *call, unsigned int permille, const char *what);
void call_result(struct call *call, json_t *result); /* takes the reference; NULL: {} */
/* error: an errno, positive or negative. */
__attribute__((format(printf, 3, 4))) void call_fail(struct call *call, int error, const char *format, ...);
