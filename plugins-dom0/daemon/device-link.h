/* SPDX-License-Identifier: MIT */
/*
 * What the backends of disks and of network interfaces share on the real machine: a connection to xenstored with watches, and threads that wait for the end of a device.
 * One sentence about the last failure, of XenStore or of the hypervisor, is kept here.
 */
#pragma once

#include "loop.h"
#include "nodes.h"
#include "xenbus-device.h"

#include <collet/collet.h>

struct device_link;

/* fired: a watch has fired. NULL: no memory. */
struct device_link *device_link_create(struct loop *loop, struct collet *collet, void (*fired)(void *arg, const char *token), void *arg);
/* Waits for what is being ended: nobody is told any more. */
void device_link_destroy(struct device_link *link);
const struct nodes *device_link_nodes(struct device_link *link);
/* A xenstored answers: connect to it. Before its end is noticed, and after it, requests to it fail. */
int device_link_store_open(struct device_link *link);
void device_link_store_close(struct device_link *link);

/* ---- For backends ---- */

struct collet *device_link_collet(struct device_link *link);
int device_link_answer(struct device_link *link, int rc); /* returns rc; a failure's sentence is kept */
const char *device_link_error(void *link);
/* call, in a thread, with a handle of its own; done from the loop (NULL: nobody asks). -errno: no thread */
typedef int device_end_call(struct collet *collet, uint32_t id);
int device_link_end(struct device_link *link, uint32_t id, device_end_call *call, device_end_done *done, void *done_arg);
