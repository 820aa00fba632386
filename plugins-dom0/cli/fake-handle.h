/* SPDX-License-Identifier: MIT */
/* Between the files of the fake libcollet. */
#pragma once

#include "fake-collet.h"

#include <stdlib.h>
#include <string.h>

struct collet {
    const char *error;
};

void fake_block_reset(void); /* fake-block.c */
void fake_net_reset(void);   /* fake-net.c */

static inline int fail(struct collet *c, int rc, const char *why)
{
    c->error = why;
    return rc;
}

static inline void *copy(const void *from, size_t bytes)
{
    void *to = malloc(bytes + 1);

    if (to != NULL)
        memcpy(to, from, bytes);
    return to;
}
