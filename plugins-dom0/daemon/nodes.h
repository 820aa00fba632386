/* SPDX-License-Identifier: MIT */
/*
 * What devices of guests need of XenStore: one narrow table, so that they run on the host against a made-up one (test-vbds.c, test-vifs.c). device-link.c is the real one.
 *
 * Functions answer 0 or -errno, at once; after a failure `error` gives one sentence, until the next call. Paths are whole ones.
 */
#pragma once

#include <stdint.h>

struct nodes {
    void *arg;
    const char *(*error)(void *arg);
    char *(*read)(void *arg, const char *path); /* a new string, or NULL with the reason in errno */
    int (*write)(void *arg, const char *path, const char *value);
    int (*make)(void *arg, const char *path, uint32_t owner, uint32_t reader); /* a node; what is written below it has the same rights. owner and reader may be the same */
    void (*remove)(void *arg, const char *path);                               /* never fails: what is not there is not removed */
    char *(*children)(void *arg, const char *path);                            /* a new string, one name a line; NULL: none */
    int (*watch)(void *arg, const char *path, const char *token);              /* the token comes back, at once and at each change */
    void (*unwatch)(void *arg, const char *path, const char *token);
};
