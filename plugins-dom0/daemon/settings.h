/* SPDX-License-Identifier: MIT */
/*
 * The daemon's own settings: /etc/collet/colletd.ini, all of it optional. Reference: docs/operations.md.
 * Tests: test-settings.c.
 */
#pragma once

#include "text.h"

#include <stdint.h>

#define SETTINGS_FILE "/etc/collet/colletd.ini"

struct settings {
    /* [paths] */
    char *run_folder, *log_folder, *cache_folder;
    char *plugin_folder, *plugin_settings_folder, *plugin_worker;
    char *xenstored, *xenconsoled; /* empty: this daemon does not start it */
    /* [log], [console] */
    uint64_t log_bytes, console_bytes;
    unsigned int log_keep, console_keep;
    /* [restart]: so many restarts within so long, and a domain stays down. */
    unsigned int restart_limit;
    uint64_t restart_within_ns;
    /* [network] */
    char *rules; /* a file of network rules; or empty */
    /* [plugins] */
    char *plugins; /* names, with commas or blanks between */
    uint64_t plugin_call_ns, plugin_memory_bytes;
};

/* Defaults, and over them what the text says (NULL: nothing). NULL: no memory; mistakes are told, and their entries left out. */
struct settings *settings_parse(const char *file, const char *text, struct text_mistakes *mistakes);
void settings_free(struct settings *settings);
