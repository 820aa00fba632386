/* SPDX-License-Identifier: MIT */
/*
 * Disks and virtual block devices as the commands see them: found by name or number, listed with the names of their domains, and as JSON.
 * Tests: test-disk.c.
 */
#pragma once

#include "cli.h"
#include "format.h"
#include "sched-params.h"

#define VBD_NAME_BYTES (2 * COLLET_NAME_MAX + 8)
#define DISKS_BITS     64u /* disks in a mask; there are at most 16 */

/* Find a disk by name or number; 0 or an exit code, with the failure said and the nearest name suggested. */
int cli_disk(struct cli *cli, const char *word, struct collet_disk_info *info);
const char *disk_kind_name(int kind); /* COLLET_BLK_*: "read" ... */
json_t *disk_json(const struct collet_disk_info *info);
/* "read-only, flush, modelled" */
char *disk_flags_text(char to[128], uint32_t flags);
/* Parameters of the module that orders it; none if that is the core's own order. 0 or an exit code. */
int disk_params_load(struct cli *cli, const struct collet_disk_info *info, struct sched_params *p);
int cli_no_such_disk_module(struct cli *cli, const char *word);

/* All VBDs, with what is needed to name them. */
struct vbd_list {
    struct collet_vbd_info *vbds;
    int count;
    struct collet_domain_info *domains;
    int domain_count;
};

/* 0 or an exit code. Pair: vbd_list_free, also after a failure. */
int vbd_list_load(struct cli *cli, struct vbd_list *list);
void vbd_list_free(struct vbd_list *list);
/* "web/root". The domain's number stands for a name that is not known. */
char *vbd_name(char to[VBD_NAME_BYTES], const struct vbd_list *list, const struct collet_vbd_info *vbd);
const char *vbd_domain_name(const struct vbd_list *list, uint32_t domid); /* or NULL */
/* By "DOMAIN/NAME" or by id. NULL, with the failure said and the nearest name suggested. */
const struct collet_vbd_info *vbd_find(struct cli *cli, const struct vbd_list *list, const char *word);
/* Bits of the disks that it lies on; 0 if that cannot be told (it has just gone). */
uint64_t vbd_disks(struct cli *cli, uint32_t vbd);
/* "xvda", or the number where it has no such name. */
char *vbd_device_name(char to[FORMAT_BYTES], uint32_t device);
const char *vbd_state_name(const struct collet_vbd_info *vbd); /* "connected", "waiting", "broken" */
json_t *vbd_json(const struct vbd_list *list, const struct collet_vbd_info *vbd);
/* Percentiles and buckets by op and phase; of the difference to `before` (NULL: since its creation). */
json_t *vbd_latency_json(const struct collet_vbd_info *now, const struct collet_vbd_info *before);

/* Ops of a latency histogram: [0] and [1] of struct collet_vbd_info. */
extern const char *const latency_op_names[2];
extern const char *const latency_phase_names[COLLET_PHASES];
/* The difference of two histograms (before NULL: none); answers the sum of its counts. */
uint64_t latency_since(uint64_t to[COLLET_LATENCY_BUCKETS], const uint64_t *now, const uint64_t *before);
/* A percentile of them for people: "<64us", ">4.2s", or "-" without any. */
char *latency_text(char to[FORMAT_BYTES], const uint64_t *buckets, unsigned int permille);
