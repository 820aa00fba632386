/* SPDX-License-Identifier: MIT */
/*
 * What a virtual block device is to lie on, as people write it, and the names of devices.
 *
 *     disk:disk1               a whole disk          disk:disk1:2048+4096    4096 sectors of it from sector 2048 on
 *     part:disk1p2, /dev/xvdb2 a partition           /dev/xvdb               a whole disk, by Domain0's name for it
 *     lvm:vg/name, /dev/vg/name, /dev/mapper/vg-name a logical volume
 *
 * Only the form is looked at here; volumes.c looks whether it is there. Tests: test-volumes.c.
 */
#pragma once

#include <collet/control.h>

#include <stddef.h>
#include <stdint.h>

#define BACKING_BYTES 160
#define DEVICE_NAME_BYTES 16
#define DEVICE_FIRST 51712u /* xvda: major 202, minor 0 */
#define DEVICES_SHORT 16u   /* xvda to xvdp, 16 minors each; those behind have numbers of another form */
#define DEVICES_LETTERS (26u + 26u * 26u)

struct backing {
    enum { BACKING_DISK, BACKING_RANGE, BACKING_PARTITION, BACKING_VOLUME } kind;
    char disk[COLLET_NAME_MAX]; /* the hypervisor's name of it; empty: `index` says which */
    uint32_t index;
    uint32_t partition;
    uint64_t sector, sectors; /* BACKING_RANGE */
    char volume[128];         /* device mapper's name of a logical volume: vg-name, with '-' in either doubled */
};

/* 0, or -EINVAL and what would be right. */
int backing_parse(const char *text, struct backing *backing, char *expected, size_t expected_bytes);
/* "vg-name" as "vg/name", dashes undone; 0, or -EINVAL if it is no volume's name. */
int backing_volume_name(const char *mapped, char *name, size_t bytes);

/* "xvda", "xvdb3" and its xenbus number. 0 or -EINVAL. */
int device_parse(const char *name, uint32_t *device);
void device_name(uint32_t device, char name[DEVICE_NAME_BYTES]);
/* Number of the whole device that comes at this place: 0 is xvda. */
uint32_t device_number(unsigned int index);
/* Which place it has, 0 for xvda and its partitions; ~0 if it is none of these. */
uint32_t device_index(uint32_t device);
