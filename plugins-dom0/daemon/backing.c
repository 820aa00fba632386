// SPDX-License-Identifier: MIT
/*
 * Reading backings and the names of devices.
 * Contract: backing.h.  Tests: test-volumes.c.
 */
#include "backing.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXTENDED (1u << 28) /* numbers of devices from xvdq on: 256 minors each */
#define FORMS "disk:disk1, disk:disk1:SECTOR+SECTORS, part:disk1p2, lvm:vg/name or /dev/... was expected"

/* ---- Devices ---- */

uint32_t device_number(unsigned int index)
{
    return index < DEVICES_SHORT ? DEVICE_FIRST + index * 16u : EXTENDED | index << 8;
}

uint32_t device_index(uint32_t device)
{
    if (device >= DEVICE_FIRST && device < DEVICE_FIRST + DEVICES_SHORT * 16u)
        return (device - DEVICE_FIRST) / 16u;
    if ((device & EXTENDED) && (device & ~EXTENDED) >> 8 < DEVICES_LETTERS)
        return (device & ~EXTENDED) >> 8;
    return ~0u;
}

void device_name(uint32_t device, char name[DEVICE_NAME_BYTES])
{
    uint32_t index = device_index(device), partition = device & EXTENDED ? device & 0xff : device % 16u;
    char letters[3] = "", number[12] = "";

    if (index == ~0u) {
        snprintf(name, DEVICE_NAME_BYTES, "%u", device);
        return;
    }
    if (index < 26) {
        letters[0] = (char)('a' + index);
    } else {
        letters[0] = (char)('a' + index / 26 - 1);
        letters[1] = (char)('a' + index % 26);
    }
    if (partition != 0)
        snprintf(number, sizeof(number), "%u", partition);
    snprintf(name, DEVICE_NAME_BYTES, "xvd%s%.4s", letters, number);
}

/* "xvdb3": place and partition; the rest must be empty. */
static int device_split(const char *name, uint32_t *index, uint32_t *partition)
{
    uint64_t number = 0;

    if (strncmp(name, "xvd", 3) != 0 || !islower((unsigned char)name[3]))
        return -EINVAL;
    *index = (uint32_t)(name[3] - 'a');
    name += 4;
    if (islower((unsigned char)*name)) {
        *index = (*index + 1) * 26 + (uint32_t)(*name - 'a');
        name++;
    }
    if (*name != '\0' && (*name == '0' || text_number(name, &number) != 0 || number > 255))
        return -EINVAL;
    *partition = (uint32_t)number;
    return 0;
}

int device_parse(const char *name, uint32_t *device)
{
    uint32_t index, partition;

    if (device_split(name, &index, &partition) != 0 || (index < DEVICES_SHORT && partition > 15))
        return -EINVAL;
    *device = device_number(index) + partition;
    return 0;
}

/* ---- Volumes ---- */

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || strchr("+_.-", c) != NULL;
}

/* Group and volume as the device mapper calls them together. */
static int volume_map(const char *text, char *mapped, size_t bytes)
{
    size_t length = 0;
    bool slash = false;

    for (; *text != '\0'; text++) {
        if (length + 3 > bytes || (*text != '/' && !name_char(*text)))
            return -EINVAL;
        if (*text == '/' && (slash || length == 0 || text[1] == '\0'))
            return -EINVAL;
        slash = slash || *text == '/';
        mapped[length++] = *text == '/' ? '-' : *text;
        if (*text == '-')
            mapped[length++] = '-';
    }
    mapped[length] = '\0';
    return slash ? 0 : -EINVAL;
}

int backing_volume_name(const char *mapped, char *name, size_t bytes)
{
    size_t length = 0;
    bool slash = false;

    for (; *mapped != '\0' && length + 1 < bytes; mapped++) {
        if (*mapped == '-' && mapped[1] == '-') {
            mapped++;
        } else if (*mapped == '-') {
            if (slash || length == 0 || mapped[1] == '\0')
                return -EINVAL;
            slash = true;
            name[length++] = '/';
            continue;
        }
        name[length++] = *mapped;
    }
    name[length] = '\0';
    return slash && *mapped == '\0' ? 0 : -EINVAL;
}

/* ---- Backings ---- */

static int disk_take(struct backing *b, const char *name, size_t length)
{
    size_t i;

    if (length == 0 || length >= sizeof(b->disk))
        return -EINVAL;
    for (i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL)
            return -EINVAL;
    memcpy(b->disk, name, length);
    return 0;
}

/* "2048+4096" */
static int range_take(struct backing *b, const char *text)
{
    const char *plus = strchr(text, '+');
    char first[24] = "";

    b->kind = BACKING_RANGE;
    if (plus == NULL || (size_t)(plus - text) >= sizeof(first))
        return -EINVAL;
    memcpy(first, text, (size_t)(plus - text));
    return text_number(first, &b->sector) == 0 && text_number(plus + 1, &b->sectors) == 0 && b->sectors != 0 && b->sector + b->sectors > b->sector ? 0 : -EINVAL;
}

static int disk_parse(struct backing *b, const char *text)
{
    const char *colon = strchr(text, ':');

    b->kind = BACKING_DISK;
    if (disk_take(b, text, colon != NULL ? (size_t)(colon - text) : strlen(text)) != 0)
        return -EINVAL;
    return colon != NULL ? range_take(b, colon + 1) : 0;
}

/* "disk1p2": the last p divides. */
static int part_parse(struct backing *b, const char *text)
{
    const char *p = strrchr(text, 'p');
    uint64_t number;

    b->kind = BACKING_PARTITION;
    if (p == NULL || disk_take(b, text, (size_t)(p - text)) != 0 || text_number(p + 1, &number) != 0 || number == 0 || number > 255)
        return -EINVAL;
    b->partition = (uint32_t)number;
    return 0;
}

static int dev_parse(struct backing *b, const char *text)
{
    size_t i;

    if (strncmp(text, "mapper/", 7) == 0) {
        b->kind = BACKING_VOLUME;
        for (i = 7; text[i] != '\0'; i++)
            if (!name_char(text[i]) || i - 7 >= sizeof(b->volume) - 1)
                return -EINVAL;
        strcpy(b->volume, text + 7);
        return b->volume[0] != '\0' ? 0 : -EINVAL;
    }
    if (strchr(text, '/') != NULL) {
        b->kind = BACKING_VOLUME;
        return volume_map(text, b->volume, sizeof(b->volume));
    }
    if (device_split(text, &b->index, &b->partition) != 0)
        return -EINVAL;
    b->kind = b->partition != 0 ? BACKING_PARTITION : BACKING_DISK;
    return 0;
}

int backing_parse(const char *text, struct backing *backing, char *expected, size_t expected_bytes)
{
    const char *right = FORMS;
    int rc = -EINVAL;

    memset(backing, 0, sizeof(*backing));
    if (strlen(text) >= BACKING_BYTES) {
        right = "that is too long";
    } else if (strncmp(text, "disk:", 5) == 0) {
        rc = disk_parse(backing, text + 5);
        right = "a disk and perhaps a range of sectors was expected, like disk:disk1 or disk:disk1:2048+409600";
    } else if (strncmp(text, "part:", 5) == 0) {
        rc = part_parse(backing, text + 5);
        right = "a disk and the number of a partition was expected, like part:disk1p2";
    } else if (strncmp(text, "lvm:", 4) == 0) {
        backing->kind = BACKING_VOLUME;
        rc = volume_map(text + 4, backing->volume, sizeof(backing->volume));
        right = "a volume group and a volume was expected, like lvm:vg0/web-root";
    } else if (strncmp(text, "/dev/", 5) == 0) {
        rc = dev_parse(backing, text + 5);
        right = "a disk or partition of Domain0 like /dev/xvdb2, or a volume like /dev/vg0/web-root, was expected";
    } else if (text[0] == '/') {
        right = "files are no backings; make a volume (lvcreate) and write the image into it, then lvm:vg/name";
    }
    if (rc != 0)
        snprintf(expected, expected_bytes, "%s", right);
    return rc;
}
