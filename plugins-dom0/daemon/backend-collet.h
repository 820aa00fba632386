/* SPDX-License-Identifier: MIT */
/* The real backend: libcollet and libxenstore. */
#pragma once

#include "backend.h"
#include "builder.h"
#include "device-link.h"
#include "store.h"

#include <collet/collet.h>

struct backend_collet {
    struct backend backend; /* filled in by backend_collet_init */
    struct collet *collet;
    struct store *store; /* NULL: there is no xenstored; may be replaced at any time */
    struct builder *builder;
    struct device_link *devices; /* NULL: none. Its threads end domains that take long */
    const char *sentence; /* of the last failure */
};

void backend_collet_init(struct backend_collet *b);
