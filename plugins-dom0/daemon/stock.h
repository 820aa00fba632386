/* SPDX-License-Identifier: MIT */
/*
 * The stock daemons that colletd keeps running: Debian's xenstored and xenconsoled, unmodified.
 *
 * Both outlive colletd: one that starts finds them by their executables and takes them up. Each is started again when it ends. xenconsoled loses nothing by that. xenstored has its nodes and the guests'
 * watches in its memory alone: the daemon writes the nodes of living domains anew, but their kernels do not hear of changes any more (domains_store_anew); their CPUs, disks and network do not need it.
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
    void (*store_came)(void *arg); /* a new one answers */
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
