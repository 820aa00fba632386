/* SPDX-License-Identifier: MIT */
/*
 * The world that plugin-run shows to a plugin, read from JSON: written by hand (plugin-run --help), or recorded with `collet --json` in Domain0 (docs/reference/json.md).
 */
#pragma once

#include "plugin-host.h"

#include <hv/plugin-tools.h>

extern struct collet_plugin_world world;

/* An object changes the world. True: it is a call (false: a part of a recording, and the call comes with another one). Strings in it live as long as the program. */
bool world_read(json_t *o);
/* {"section": {"key": "value"}} */
const struct collet_plugin_setting *world_settings(json_t *sections, uint32_t *count);
/* Members, if they are there. */
void world_number(json_t *o, const char *key, uint64_t *to);
void world_number32(json_t *o, const char *key, uint32_t *to);
const char *world_text(json_t *text, const char *otherwise);
uint32_t world_one_of(json_t *value, const char *const *names, const char *what);
void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...);
