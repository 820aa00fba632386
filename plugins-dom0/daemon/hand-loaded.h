/* SPDX-License-Identifier: MIT */
/*
 * Plugins that somebody loaded by `collet plugin load`, kept in a file of /run, so that a daemon that was killed loads them again. Those of colletd.ini are not among them: the settings bring them.
 * Tests: test-hand-loaded.c.
 */
#pragma once

#include <stdbool.h>

/* Note that a plugin was loaded, with the settings file that was named (NULL: the usual one), or was taken out. The file is replaced whole; a failure is logged and costs the memory of it alone. */
void hand_loaded_add(const char *path, const char *name, const char *file);
void hand_loaded_remove(const char *path, const char *name);
/* Each one; a file that is missing or damaged is no plugins. */
void hand_loaded_each(const char *path, void (*each)(void *arg, const char *name, const char *file), void *arg);
