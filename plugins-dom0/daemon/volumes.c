// SPDX-License-Identifier: MIT
/*
 * Backings looked up, and claimed.
 *
 * A device is named as the kernel names it ("xvdb1"); sysfs tells by `uevent` what it is and by `start` and `size` where. All numbers are sectors of 512 bytes, as the kernel has them there.
 * Contract: volumes.h.  Tests: test-volumes.c.
 */
#include "volumes.h"
#include "text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 512
#define NAMES_MAX 1024

struct volumes_claim {
    struct volumes_claim *next;
    char name[64];
    int fd;
    bool alone;
    unsigned int count;
};

struct volumes {
    const struct volumes_source *s;
    struct volumes_claim *claims;
};

/* One look-up. */
struct finding {
    struct volumes *v;
    const struct collet_disk_info *disks;
    unsigned int disk_count;
    const char *backing;
    struct collet_extent *extents;
    unsigned int count;
    char *error;
    size_t error_bytes;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct finding *f, int rc, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(f->error, f->error_bytes, format, args);
    va_end(args);
    return rc;
}

/* ---- sysfs ---- */

static int sysfs_read(const struct volumes *v, const char *name, const char *leaf, char *text, size_t bytes)
{
    char path[PATH_BYTES];
    FILE *file;
    size_t length;

    snprintf(path, sizeof(path), "%.200s/class/block/%.60s/%.60s", v->s->sysfs, name, leaf);
    file = fopen(path, "re");
    if (file == NULL)
        return -errno;
    length = fread(text, 1, bytes - 1, file);
    fclose(file);
    text[length] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return 0;
}

static int sysfs_number(const struct volumes *v, const char *name, const char *leaf, uint64_t *number)
{
    char text[40];
    int rc = sysfs_read(v, name, leaf, text, sizeof(text));

    return rc != 0 ? rc : text_number(text, number);
}

/* "202:17" to "xvdb1". */
static int device_by_numbers(const struct volumes *v, const char *numbers, char *name, size_t bytes)
{
    char path[PATH_BYTES], line[200];
    FILE *file;
    int rc = -ENOENT;

    snprintf(path, sizeof(path), "%.200s/dev/block/%.30s/uevent", v->s->sysfs, numbers);
    file = fopen(path, "re");
    if (file == NULL)
        return -ENOENT;
    while (rc != 0 && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "DEVNAME=", 8) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(name, bytes, "%.60s", line + 8);
            rc = 0;
        }
    fclose(file);
    return rc;
}

/* ---- Disks and partitions ---- */

static const struct collet_disk_info *disk_by_number(const struct finding *f, uint32_t disk)
{
    unsigned int i;

    for (i = 0; i < f->disk_count; i++)
        if (f->disks[i].disk == disk)
            return &f->disks[i];
    return NULL;
}

static int disk_missing(struct finding *f, const char *name)
{
    const char *names[64], *near;
    unsigned int i, count = 0;
    char all[200] = "";

    for (i = 0; i < f->disk_count && count < 63; i++) {
        names[count++] = f->disks[i].name;
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%.32s", i != 0 ? ", " : "", f->disks[i].name);
    }
    names[count] = NULL;
    near = text_nearest(name, names);
    if (near != NULL && strcmp(near, name) != 0)
        return refuse(f, -ENOENT, "there is no disk %.40s; is %s meant?", name, near);
    return refuse(f, -ENOENT, "there is no disk %.40s; there %s %s", name, count == 0 ? "are" : count == 1 ? "is" : "are", count != 0 ? all : "none");
}

static const struct collet_disk_info *disk_of(struct finding *f, const struct backing *b)
{
    char name[DEVICE_NAME_BYTES];
    unsigned int i;

    for (i = 0; i < f->disk_count; i++)
        if (b->disk[0] != '\0' ? strcmp(f->disks[i].name, b->disk) == 0 : f->disks[i].disk == b->index)
            return &f->disks[i];
    device_name(device_number(b->index), name);
    disk_missing(f, b->disk[0] != '\0' ? b->disk : name);
    return NULL;
}

/* Kernel's name of a disk, or of a partition of it. */
static void kernel_name(const struct collet_disk_info *disk, uint32_t partition, char name[DEVICE_NAME_BYTES])
{
    char whole[DEVICE_NAME_BYTES];

    device_name(device_number(disk->disk), whole);
    if (partition != 0)
        snprintf(name, DEVICE_NAME_BYTES, "%.8s%u", whole, partition & 0xffu);
    else
        strcpy(name, whole);
}

/* Put a run of sectors at the end; neighbours become one. */
static int extent_add(struct finding *f, const struct collet_disk_info *disk, uint64_t sector, uint64_t sectors)
{
    struct collet_extent *last = f->count != 0 ? &f->extents[f->count - 1] : NULL, *more;
    uint64_t block = disk->sector_bytes > 512 ? disk->sector_bytes / 512 : 1;

    if (sectors == 0 || sector > disk->sectors || sectors > disk->sectors - sector)
        return refuse(f, -ERANGE, "sectors %" PRIu64 "+%" PRIu64 " are beyond the end of %.32s, which has %" PRIu64, sector, sectors, disk->name, disk->sectors);
    if (sector % block != 0 || sectors % block != 0)
        return refuse(f, -EINVAL, "sectors %" PRIu64 "+%" PRIu64 " do not begin and end with a block of %.32s, which are of %u bytes", sector, sectors, disk->name, disk->sector_bytes);
    if (last != NULL && last->disk == disk->disk && last->sector + last->sectors == sector) {
        last->sectors += sectors;
        return 0;
    }
    if (f->count == COLLET_EXTENTS_MAX)
        return refuse(f, -E2BIG, "it is in more than %u pieces; lvconvert or pvmove can put them together", COLLET_EXTENTS_MAX);
    more = realloc(f->extents, (f->count + 1) * sizeof(*more));
    if (more == NULL)
        return refuse(f, -ENOMEM, "no memory");
    f->extents = more;
    more[f->count++] = (struct collet_extent){.disk = disk->disk, .sector = sector, .sectors = sectors};
    return 0;
}

static int extents_check(struct finding *f)
{
    unsigned int i;

    for (i = 0; i + 1 < f->count; i++)
        if (f->extents[i].sectors < COLLET_EXTENT_MIN)
            return refuse(f, -EINVAL, "its piece %u has %" PRIu64 " sectors only; each but the last must have %u at least (extents of LVM are 8192 by default)", i + 1, f->extents[i].sectors, COLLET_EXTENT_MIN);
    return f->count != 0 ? 0 : refuse(f, -EINVAL, "it is empty");
}

/* The partitions of a disk, for a message. */
static void partitions_text(const struct finding *f, const struct collet_disk_info *disk, char *text, size_t bytes)
{
    char name[DEVICE_NAME_BYTES];
    uint64_t size;
    unsigned int p;

    *text = '\0';
    for (p = 1; p < 128; p++) {
        kernel_name(disk, p, name);
        if (sysfs_number(f->v, name, "size", &size) == 0)
            snprintf(text + strlen(text), bytes - strlen(text), "%spart:%.32sp%u", *text != '\0' ? ", " : "", disk->name, p);
    }
}

static int partition_place(struct finding *f, const struct collet_disk_info *disk, uint32_t partition, uint64_t *start, uint64_t *size)
{
    char name[DEVICE_NAME_BYTES], whole[DEVICE_NAME_BYTES], there[200];

    kernel_name(disk, partition, name);
    kernel_name(disk, 0, whole);
    if (sysfs_number(f->v, name, "start", start) == 0 && sysfs_number(f->v, name, "size", size) == 0)
        return 0;
    if (sysfs_number(f->v, whole, "size", size) != 0)
        return refuse(f, -ENOENT, "Domain0's kernel has no %s, so it does not know the partitions of %.32s (modprobe xen-blkfront)", whole, disk->name);
    partitions_text(f, disk, there, sizeof(there));
    return refuse(f, -ENOENT, "%.32s has no partition %u; there %s %s", disk->name, partition, strchr(there, ',') != NULL ? "are" : "is", there[0] != '\0' ? there : "none (sfdisk makes them)");
}

static int partition_find(struct finding *f, const struct backing *b)
{
    const struct collet_disk_info *disk = disk_of(f, b);
    uint64_t start, size;
    int rc;

    if (disk == NULL)
        return -ENOENT;
    rc = partition_place(f, disk, b->partition, &start, &size);
    return rc != 0 ? rc : extent_add(f, disk, start, size);
}

static int disk_find(struct finding *f, const struct backing *b)
{
    const struct collet_disk_info *disk = disk_of(f, b);
    uint64_t block;

    if (disk == NULL)
        return -ENOENT;
    if (b->kind == BACKING_RANGE)
        return extent_add(f, disk, b->sector, b->sectors);
    block = disk->sector_bytes > 512 ? disk->sector_bytes / 512 : 1;
    return extent_add(f, disk, 0, disk->sectors - disk->sectors % block);
}

/* ---- Logical volumes ---- */

static int volume_missing(struct finding *f, const char *mapped)
{
    char *names = f->v->s->names(f->v->s->arg), *rest = names, *one, name[130], wanted[130];
    const char *list[NAMES_MAX + 1], *near;
    unsigned int count = 0;
    int rc;

    while (names != NULL && count < NAMES_MAX && (one = strsep(&rest, "\n")) != NULL)
        if (*one != '\0')
            list[count++] = one;
    list[count] = NULL;
    if (backing_volume_name(mapped, wanted, sizeof(wanted)) != 0)
        snprintf(wanted, sizeof(wanted), "%s", mapped);
    near = text_nearest(mapped, list);
    if (near != NULL && backing_volume_name(near, name, sizeof(name)) == 0)
        rc = refuse(f, -ENOENT, "there is no active volume %s; is lvm:%s meant?", wanted, name);
    else
        rc = refuse(f, -ENOENT, "there is no active volume %s; `collet vbd volumes` lists what there is, `vgchange -ay` makes those of LVM active", wanted);
    free(names);
    return rc;
}

/* A piece of a volume lies on the device with these numbers, from `offset` on. */
static int volume_piece(struct finding *f, const char *numbers, uint64_t offset, uint64_t sectors)
{
    const struct collet_disk_info *disk;
    char name[64];
    uint64_t start = 0;
    uint32_t device;

    if (device_by_numbers(f->v, numbers, name, sizeof(name)) != 0)
        snprintf(name, sizeof(name), "%.40s", numbers);
    if (device_parse(name, &device) != 0 || (disk = disk_by_number(f, device_index(device))) == NULL)
        return refuse(f, -EINVAL, "a piece of it lies on %s, which is no disk of the hypervisor: only volumes that lie directly on those can be a guest's", name);
    if (device != device_number(device_index(device)) && sysfs_number(f->v, name, "start", &start) != 0)
        return refuse(f, -EINVAL, "a piece of it lies on %s, and where that begins is not known", name);
    return extent_add(f, disk, start + offset, sectors);
}

static int table_line(struct finding *f, const char *line, uint64_t *next)
{
    uint64_t start, sectors, offset;
    char target[32], numbers[32];
    int n = sscanf(line, "%" SCNu64 " %" SCNu64 " %31s %31s %" SCNu64, &start, &sectors, target, numbers, &offset);

    if (n < 3 || start != *next)
        return refuse(f, -EINVAL, "its table cannot be read: %.60s", line);
    if (strcmp(target, "linear") != 0)
        return refuse(f, -EINVAL, "it is of kind %s: only linear volumes can be a guest's (lvcreate without --type, --mirrors, --stripes, --thin and without snapshots of it)", target);
    if (n != 5)
        return refuse(f, -EINVAL, "its table cannot be read: %.60s", line);
    *next += sectors;
    return volume_piece(f, numbers, offset, sectors);
}

static int volume_find(struct finding *f, const struct backing *b)
{
    char *table = f->v->s->table(f->v->s->arg, b->volume), *rest = table, *line;
    uint64_t next = 0;
    int rc = 0;

    if (table == NULL && errno == ENXIO)
        return volume_missing(f, b->volume);
    if (table == NULL)
        return refuse(f, -EIO, "Domain0's device mapper does not answer: %s%s", strerror(errno), errno == ENODEV || errno == ENOENT ? " (modprobe dm-mod)" : "");
    while (rc == 0 && (line = strsep(&rest, "\n")) != NULL)
        if (*line != '\0')
            rc = table_line(f, line, &next);
    free(table);
    return rc;
}

/* ---- Finding ---- */

static int find(struct finding *f, struct backing *b)
{
    char expected[160];
    int rc = backing_parse(f->backing, b, expected, sizeof(expected));

    if (rc != 0)
        return refuse(f, rc, "%s", expected);
    switch (b->kind) {
    case BACKING_PARTITION:
        return partition_find(f, b);
    case BACKING_VOLUME:
        return volume_find(f, b);
    default:
        return disk_find(f, b);
    }
}

int volumes_find(struct volumes *v, const char *backing, const struct collet_disk_info *disks, unsigned int disk_count, struct collet_extent **extents, char *error, size_t error_bytes)
{
    struct finding f = {.v = v, .disks = disks, .disk_count = disk_count, .backing = backing, .error = error, .error_bytes = error_bytes};
    struct backing b;
    int rc = find(&f, &b);

    if (rc == 0)
        rc = extents_check(&f);
    *extents = NULL;
    if (rc != 0) {
        free(f.extents);
        return rc;
    }
    *extents = f.extents;
    return (int)f.count;
}

/* ---- Claims ---- */

static struct volumes_claim *claim_of(const struct volumes *v, const char *name)
{
    struct volumes_claim *claim = v->claims;

    while (claim != NULL && strcmp(claim->name, name) != 0)
        claim = claim->next;
    return claim;
}

/* The device of Domain0's kernel that stands for a backing; false: none does. A range is guarded by the partition that holds all of it. */
static bool claim_name(struct finding *f, const struct backing *b, char *name, size_t bytes)
{
    const struct collet_disk_info *disk;
    char part[DEVICE_NAME_BYTES];
    uint64_t start, size;
    unsigned int p;

    if (b->kind == BACKING_VOLUME)
        return f->v->s->device(f->v->s->arg, b->volume, name, bytes);
    disk = disk_of(f, b);
    if (disk == NULL)
        return false;
    kernel_name(disk, b->kind == BACKING_PARTITION ? b->partition : 0, part);
    if (b->kind == BACKING_RANGE)
        for (p = 1;; p++) {
            if (p == 128)
                return false;
            kernel_name(disk, p, part);
            if (sysfs_number(f->v, part, "start", &start) == 0 && sysfs_number(f->v, part, "size", &size) == 0 && start <= b->sector && b->sector + b->sectors <= start + size)
                break;
        }
    snprintf(name, bytes, "%s", part);
    return true;
}

static int claim_open(struct finding *f, const char *name, bool alone, struct volumes_claim **claim)
{
    const struct volumes_source *s = f->v->s;
    int fd = s->open(s->arg, name, alone);

    *claim = NULL;
    if (fd == -EBUSY)
        return refuse(f, -EBUSY, "Domain0 uses it as /dev/%s (mounted, swapped to, or in a volume group): let Domain0 let go of it, or say shared = yes if it may change under the guest", name);
    if (fd == -ENOENT || fd == -ENXIO || fd == -ENODEV)
        return 0; /* then Domain0 cannot use it either */
    if (fd < 0)
        return refuse(f, fd, "/dev/%s: %s", name, strerror(-fd));
    *claim = calloc(1, sizeof(**claim));
    if (*claim == NULL) {
        s->close(s->arg, fd);
        return refuse(f, -ENOMEM, "no memory");
    }
    **claim = (struct volumes_claim){.next = f->v->claims, .fd = fd, .alone = alone, .count = 1};
    snprintf((*claim)->name, sizeof((*claim)->name), "%s", name);
    f->v->claims = *claim;
    return 0;
}

int volumes_claim(struct volumes *v, const char *backing, const struct collet_disk_info *disks, unsigned int disk_count, bool alone, struct volumes_claim **claim, char *error, size_t error_bytes)
{
    struct finding f = {.v = v, .disks = disks, .disk_count = disk_count, .backing = backing, .error = error, .error_bytes = error_bytes};
    struct backing b;
    char name[64];

    *claim = NULL;
    if (backing_parse(backing, &b, error, error_bytes) != 0)
        return -EINVAL;
    if (!claim_name(&f, &b, name, sizeof(name)))
        return 0;
    *claim = claim_of(v, name);
    if (*claim != NULL && ((*claim)->alone || !alone)) {
        (*claim)->count++;
        return 0;
    }
    return claim_open(&f, name, alone, claim);
}

void volumes_release(struct volumes *v, struct volumes_claim *claim)
{
    struct volumes_claim **at = &v->claims;

    if (claim == NULL || --claim->count != 0)
        return;
    while (*at != claim)
        at = &(*at)->next;
    *at = claim->next;
    v->s->close(v->s->arg, claim->fd);
    free(claim);
}

/* ---- The list ---- */

struct listing {
    struct volumes *v;
    const struct collet_disk_info *disks;
    unsigned int disk_count;
    volumes_each_fn *fn;
    void *arg;
};

static void list_one(struct listing *l, const char *backing)
{
    struct collet_extent *extents = NULL;
    struct volumes_claim *claim = NULL;
    char error[300] = "", busy[300];
    int count = volumes_find(l->v, backing, l->disks, l->disk_count, &extents, error, sizeof(error));
    bool used = volumes_claim(l->v, backing, l->disks, l->disk_count, true, &claim, busy, sizeof(busy)) == -EBUSY;

    l->fn(l->arg, backing, extents, count > 0 ? (unsigned int)count : 0, used, count > 0 ? NULL : error);
    volumes_release(l->v, claim);
    free(extents);
}

static void list_disk(struct listing *l, const struct collet_disk_info *disk)
{
    char text[BACKING_BYTES], name[DEVICE_NAME_BYTES];
    uint64_t size;
    unsigned int p;

    snprintf(text, sizeof(text), "disk:%.32s", disk->name);
    list_one(l, text);
    for (p = 1; p < 128; p++) {
        kernel_name(disk, p, name);
        if (sysfs_number(l->v, name, "size", &size) != 0)
            continue;
        snprintf(text, sizeof(text), "part:%.32sp%u", disk->name, p);
        list_one(l, text);
    }
}

void volumes_each(struct volumes *v, const struct collet_disk_info *disks, unsigned int disk_count, volumes_each_fn *fn, void *arg)
{
    struct listing l = {.v = v, .disks = disks, .disk_count = disk_count, .fn = fn, .arg = arg};
    char *names, *rest, *one, name[130], text[BACKING_BYTES];
    unsigned int i;

    for (i = 0; i < disk_count; i++)
        list_disk(&l, &disks[i]);
    rest = names = v->s->names(v->s->arg);
    while (names != NULL && (one = strsep(&rest, "\n")) != NULL) {
        if (*one == '\0' || backing_volume_name(one, name, sizeof(name)) != 0)
            continue;
        snprintf(text, sizeof(text), "lvm:%s", name);
        list_one(&l, text);
    }
    free(names);
}

struct volumes *volumes_create(const struct volumes_source *source)
{
    struct volumes *v = calloc(1, sizeof(*v));

    if (v != NULL)
        v->s = source;
    return v;
}

void volumes_destroy(struct volumes *v)
{
    if (v == NULL)
        return;
    while (v->claims != NULL) {
        v->claims->count = 1;
        volumes_release(v, v->claims);
    }
    free(v);
}
