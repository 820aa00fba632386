// SPDX-License-Identifier: MIT
/*
 * The real source of volumes.c: the device mapper's control device, asked as `dmsetup table --noflush` and `dmsetup ls` ask it, and block devices in /dev.
 * These calls look at tables in the kernel's memory; none waits for a disk.
 * Contract: volumes.h (struct volumes_source).
 */
#include "volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CONTROL "/dev/mapper/control"
#define ROOM_FIRST (64u << 10)
#define ROOM_MAX (8u << 20)

/* One command, with more room until the answer fits. A new buffer, or NULL: errno. */
static struct dm_ioctl *dm_ask(unsigned long command, const char *name, uint32_t flags)
{
    struct dm_ioctl *dm = NULL;
    size_t room = ROOM_FIRST;
    int fd = open(CONTROL, O_RDWR | O_CLOEXEC), error = 0;

    if (fd < 0)
        return NULL;
    for (;; room *= 2) {
        free(dm);
        dm = calloc(1, room);
        if (dm == NULL)
            break;
        *dm = (struct dm_ioctl){.version = {DM_VERSION_MAJOR, 0, 0}, .data_size = (uint32_t)room, .data_start = sizeof(*dm), .flags = flags};
        snprintf(dm->name, sizeof(dm->name), "%s", name);
        error = ioctl(fd, command, dm) != 0 ? errno : 0;
        if (error != 0 || !(dm->flags & DM_BUFFER_FULL_FLAG) || room >= ROOM_MAX)
            break;
    }
    close(fd);
    if (dm != NULL && error != 0) {
        free(dm);
        dm = NULL;
        errno = error;
    }
    return dm;
}

static char *table(void *arg, const char *name)
{
    struct dm_ioctl *dm = dm_ask(DM_TABLE_STATUS, name, DM_STATUS_TABLE_FLAG | DM_NOFLUSH_FLAG);
    const char *data = (const char *)dm + (dm != NULL ? dm->data_start : 0);
    char *text = NULL;
    size_t bytes = 0;
    uint32_t i, at = 0;
    FILE *out;

    (void)arg;
    if (dm == NULL)
        return NULL;
    out = open_memstream(&text, &bytes);
    for (i = 0; out != NULL && i < dm->target_count; i++) {
        const struct dm_target_spec *spec = (const void *)(data + at);

        fprintf(out, "%llu %llu %.16s %s\n", (unsigned long long)spec->sector_start, (unsigned long long)spec->length, spec->target_type, (const char *)(spec + 1));
        at = spec->next; /* from the first one on */
    }
    if (out != NULL)
        fclose(out);
    free(dm);
    return text;
}

static char *names(void *arg)
{
    struct dm_ioctl *dm = dm_ask(DM_LIST_DEVICES, "", 0);
    const struct dm_name_list *one;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out;

    (void)arg;
    if (dm == NULL)
        return NULL;
    out = open_memstream(&text, &bytes);
    one = (const void *)((const char *)dm + dm->data_start);
    while (out != NULL && one->dev != 0) {
        fprintf(out, "%s\n", one->name);
        if (one->next == 0)
            break;
        one = (const void *)((const char *)one + one->next);
    }
    if (out != NULL)
        fclose(out);
    free(dm);
    return text;
}

static bool device(void *arg, const char *volume, char *name, size_t bytes)
{
    struct dm_ioctl *dm = dm_ask(DM_DEV_STATUS, volume, DM_NOFLUSH_FLAG);

    (void)arg;
    if (dm == NULL)
        return false;
    snprintf(name, bytes, "dm-%u", minor((dev_t)dm->dev));
    free(dm);
    return true;
}

static int open_device(void *arg, const char *name, bool alone)
{
    char path[80];
    int fd;

    (void)arg;
    snprintf(path, sizeof(path), "/dev/%.60s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (alone ? O_EXCL : 0));
    return fd >= 0 ? fd : -errno;
}

static void close_device(void *arg, int fd)
{
    (void)arg;
    close(fd);
}

const struct volumes_source volumes_machine = {.sysfs = "/sys", .table = table, .names = names, .open = open_device, .close = close_device, .device = device};
