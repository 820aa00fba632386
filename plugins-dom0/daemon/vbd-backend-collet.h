/* SPDX-License-Identifier: MIT */
/* The real backend of virtual block devices: libcollet, and a connection to xenstored of its own, with watches. */
#pragma once

#include "loop.h"
#include "vbd-backend.h"

#include <collet/collet.h>

struct vbd_backend_collet;

/* fired: a watch has fired. NULL: no memory. */
struct vbd_backend_collet *vbd_backend_create(struct loop *loop, struct collet *collet, void (*fired)(void *arg, const char *token), void *arg);
/* Waits for what is being ended: nobody is told any more. */
void vbd_backend_destroy(struct vbd_backend_collet *b);
const struct vbd_backend *vbd_backend_of(struct vbd_backend_collet *b);
/* A xenstored answers: connect to it. Before its end is noticed, and after it, requests to it fail. */
int vbd_backend_store_open(struct vbd_backend_collet *b);
void vbd_backend_store_close(struct vbd_backend_collet *b);
