/* SPDX-License-Identifier: MIT */
/*
 * Domains are built in threads, each with its own libcollet handle, a few at a time in order of asking; the loop hears of it through a pipe.
 */
#pragma once

#include "backend.h"
#include "loop.h"

struct builder;

/* cache_folder: for unpacked kernels, or NULL. */
struct builder *builder_create(struct loop *loop, const char *cache_folder);
/* Cancels what is going on and waits for its threads; done is not called any more. */
void builder_destroy(struct builder *builder);
/* As struct backend's build and build_cancel. */
struct build_job *builder_start(struct builder *builder, const struct build_order *order, build_progress *progress, build_done *done, void *arg);
void builder_cancel(struct build_job *job);
