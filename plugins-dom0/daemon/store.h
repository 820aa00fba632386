/* SPDX-License-Identifier: MIT */
/*
 * XenStore as colletd uses it: the nodes of Domain0 and of guests, through libxenstore and xenstored's socket.
 * Functions answer 0 or -errno and then store_error() has a sentence. If xenstored has gone they fail; nothing waits for it to come.
 */
#pragma once

#include "backend.h"

struct store;

/* Connects to a xenstored that answers, or -errno with *store set for store_error(). Domain0's own nodes are written if they are not there. */
int store_open(struct store **store);
void store_close(struct store *store);
const char *store_error(const struct store *store);
/* Does a xenstored listen? */
bool store_listens(void);

int store_add(struct store *store, const struct store_order *order);
void store_remove(struct store *store, uint32_t domid, const char *uuid);
int store_write(struct store *store, uint32_t domid, const char *path, const char *value);
char *store_read(struct store *store, uint32_t domid, const char *path);
int store_rename(struct store *store, uint32_t domid, const char *uuid, const char *name);
