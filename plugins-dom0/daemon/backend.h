/* SPDX-License-Identifier: MIT */
/*
 * What the lifecycle of domains needs of the hypervisor and of XenStore: one narrow table, so that domain-*.c run on the host against a fake (test-domains.c). backend-collet.c is the real one.
 *
 * Functions answer 0 or -errno; after a failure `error` gives one sentence, until the next call. All but `build` answer at once.
 */
#pragma once

#include "definition.h"

#include <collet/control.h>

#include <stdbool.h>
#include <stdint.h>

struct build_order {
    const char *name, *kernel, *ramdisk, *command_line; /* copied */
    uint32_t vcpus;
    uint64_t frames, frames_max;
};

/* A domain as it was built: what its peers in Domain0 must know. */
struct build_result {
    uint32_t domid;
    uint32_t console_port, store_port;
    uint64_t console_mfn, store_mfn;
};

/* Both come from the loop. done comes once: rc, and a sentence if it failed. */
typedef void build_progress(void *arg, unsigned int permille, const char *what);
typedef void build_done(void *arg, int rc, const char *message, const struct build_result *result);

struct build_job;

struct store_order {
    uint32_t domid;
    const char *name, *uuid;
    uint32_t vcpus;
    uint64_t frames, frames_max;
    struct build_result built;
};

struct backend {
    void *arg;
    const char *(*error)(void *arg);

    /* ---- The hypervisor ---- */
    int (*list)(void *arg, struct collet_domain_info **domains); /* a new array; the number */
    int (*vcpus)(void *arg, uint32_t domid, struct collet_vcpu_info **vcpus);
    int (*machine)(void *arg, struct collet_machine *machine);
    /* NULL: it could not even begin, error() tells. The job is gone when done is called. */
    struct build_job *(*build)(void *arg, const struct build_order *order, build_progress *progress, build_done *done, void *done_arg);
    void (*build_cancel)(struct build_job *job); /* done follows all the same */
    int (*unpause)(void *arg, uint32_t domid);
    int (*destroy)(void *arg, uint32_t domid);
    int (*rename)(void *arg, uint32_t domid, const char *name);
    int (*memory_max)(void *arg, uint32_t domid, uint64_t frames);
    int (*affinity)(void *arg, uint32_t domid, uint64_t cpus);
    int (*catalog)(void *arg, struct sched_catalog *catalog);
    int (*sched_get)(void *arg, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed);
    int (*sched_set)(void *arg, const char *module, struct collet_sched_value *values, unsigned int count, unsigned int *failed);

    /* ---- XenStore ---- */
    /* All nodes that a stock guest wants, and the introduction. On failure nothing is left. */
    int (*store_add)(void *arg, const struct store_order *order);
    void (*store_remove)(void *arg, uint32_t domid, const char *uuid); /* uuid may be empty. Never fails: what is not there is not removed */
    /* Nodes below /local/domain/<domid>/. read: a new string, or NULL with the reason in errno. */
    int (*store_write)(void *arg, uint32_t domid, const char *path, const char *value);
    char *(*store_read)(void *arg, uint32_t domid, const char *path);
    int (*store_rename)(void *arg, uint32_t domid, const char *uuid, const char *name);
};
