/* SPDX-License-Identifier: MIT */
/*
 * The stock daemons that colletd keeps running: Debian's xenstored and xenconsoled, unmodified.
 *
 * Both outlive colletd: one that starts finds them by their executables and takes them up. xenconsoled is started again when it ends (rings and logs go on). xenstored cannot be: guests' watches and
 * its connections to them are in its memory alone, so its end is reported and what needs it fails with that reason; guests' CPUs, disks and network do not need it.
 * Page: docs/operations.md.
 */
#pragma once

#include "loop.h"

#include <stdbool.h>

struct stock;

struct stock_settings {
    struct loop *loop;
    const char *xenstored, *xenconsoled; /* programs; "": not ours to start */
    const char *run_folder;              /* for pid files */
    const char *log_folder;              /* console logs go to its console/ */
    void (*store_ended)(void *arg);
    void (*store_came)(void *arg); /* somebody started one anew */
    void *arg;
};

struct stock *stock_create(const struct stock_settings *settings);
/* Lets go of them: they run on. */
void stock_destroy(struct stock *stock);
/* Wait until xenstored answers, starting it if there is none: at most 15 s. 0 or -errno. Before the loop runs. */
int stock_store_start(struct stock *stock);
void stock_console_start(struct stock *stock);
/* "running", "ended", "not started". */
const char *stock_store_state(const struct stock *stock);
const char *stock_console_state(const struct stock *stock);
/* Console logs larger than `bytes` are turned over, every few seconds, and xenconsoled is told. */
void stock_console_logs(struct stock *stock, uint64_t bytes, unsigned int keep);
