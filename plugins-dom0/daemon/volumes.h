/* SPDX-License-Identifier: MIT */
/*
 * From the name of a backing to the sectors that it is made of, by what Domain0's kernel knows: partitions by sysfs, logical volumes by the tables of its device mapper, from which only those that
 * are `linear` on disks of the hypervisor can be taken. No process is started and nothing is waited for: the tables come by the very calls that `dmsetup table` makes.
 *
 * A claim keeps Domain0 from using what a guest has: the block device is held open, exclusively unless it is shared, so that it can neither be mounted nor removed (lvremove, vgchange -an) meanwhile.
 * Tests: test-volumes.c.
 */
#pragma once

#include "backing.h"

#include <jansson.h>
#include <stdbool.h>

struct volumes;
struct volumes_claim;

/* Where it is looked: the machine (volumes_machine), or a made-up one. */
struct volumes_source {
    void *arg;
    const char *sysfs; /* "/sys" */
    /* A volume's table, a line for each of its targets: "0 2048 linear 202:0 4096". New text, or NULL: errno (ENXIO: no such volume; ENODEV: no device mapper) */
    char *(*table)(void *arg, const char *name);
    /* All names, one a line. New text, or NULL. */
    char *(*names)(void *arg);
    /* Open the block device with this name of the kernel's ("xvda1", "dm-0"), so that nobody else may use it if `alone`: a descriptor, or -errno (-EBUSY: it is used). */
    int (*open)(void *arg, const char *name, bool alone);
    void (*close)(void *arg, int fd);
    /* Kernel's name of a volume's device, "dm-0"; false: none. */
    bool (*device)(void *arg, const char *volume, char *name, size_t bytes);
};
extern const struct volumes_source volumes_machine;

struct volumes *volumes_create(const struct volumes_source *source);
void volumes_destroy(struct volumes *v);

/*
 * disks: as the hypervisor lists them; disk number N is Domain0's device of place N. The number of extents, in *extents for free(): neighbouring ones are one, lengths are multiples of the disk's blocks.
 * Or -errno, and a sentence that tells what would be right: -ENOENT there is none, -EINVAL it cannot be used.
 */
int volumes_find(struct volumes *v, const char *backing, const struct collet_disk_info *disks, unsigned int disk_count, struct collet_extent **extents, char *error, size_t error_bytes);

/*
 * alone: nobody in Domain0 may use it; others of our claims may. 0 with *claim, perhaps NULL (there is nothing to hold: a range without partitions, a disk that Domain0 does not drive); -EBUSY and a sentence.
 */
int volumes_claim(struct volumes *v, const char *backing, const struct collet_disk_info *disks, unsigned int disk_count, bool alone, struct volumes_claim **claim, char *error, size_t error_bytes);
void volumes_release(struct volumes *v, struct volumes_claim *claim); /* NULL: nothing */

/* All backings that there are: called with each, what it is made of, and whether Domain0 uses it. For the list `volumes`. */
typedef void volumes_each_fn(void *arg, const char *backing, const struct collet_extent *extents, unsigned int count, bool used, const char *why_not);
void volumes_each(struct volumes *v, const struct collet_disk_info *disks, unsigned int disk_count, volumes_each_fn *fn, void *arg);
