// SPDX-License-Identifier: MIT
/*
 * The folder of unpacked kernels.
 *
 * An entry's name says of what it was made: a hash of the path, then device, inode, size and times of the file. Another file, or the same one changed, has another name, so an entry is
 * never wrong, only old; keeping a new one removes the older ones of the same path. Entries are written under a name of their own and then renamed, so nobody sees half of one and
 * whoever comes second only comes too late. The cache may fail in any way: then there is just no cache. It is believed only if nobody else can write to it.
 * Contract: internal.h.  Tests: test-image.c.
 */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAME_BYTES 192
#define HASH_DIGITS 16
#define TEMPORARY "unfinished-"
#define TEMPORARY_OLD_S 3600 /* whoever was writing that has gone */

/* FNV-1a: only to tell paths apart; the file itself is told by its numbers. */
static uint64_t path_hash(const char *path)
{
    uint64_t h = 0xcbf29ce484222325ull;

    for (; *path != '\0'; path++)
        h = (h ^ (uint8_t)*path) * 0x100000001b3ull;
    return h;
}

static void entry_name(char name[NAME_BYTES], const char *path, const struct stat *s)
{
    snprintf(name, NAME_BYTES, "%016llx-%llx-%llx-%llx-%llx.%lx-%llx.%lx.elf", (unsigned long long)path_hash(path), (unsigned long long)s->st_dev, (unsigned long long)s->st_ino,
             (unsigned long long)s->st_size, (unsigned long long)s->st_mtim.tv_sec, s->st_mtim.tv_nsec, (unsigned long long)s->st_ctim.tv_sec, s->st_ctim.tv_nsec);
}

/* Ours or root's, and nobody else may write: what is in it will run as a kernel. */
static bool trusted(const struct stat *s)
{
    return (s->st_uid == geteuid() || s->st_uid == 0) && (s->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int folder_open(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat s;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &s) == 0 && trusted(&s))
        return fd;
    close(fd);
    return -EPERM;
}

int cache_find(const char *folder, const char *path, const struct stat *status)
{
    char name[NAME_BYTES];
    struct stat s;
    int dir = folder_open(folder), fd;

    if (dir < 0)
        return -ENOENT;
    entry_name(name, path, status);
    fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    close(dir);
    if (fd < 0)
        return -ENOENT;
    if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && trusted(&s) && s.st_size > 0)
        return fd;
    close(fd);
    return -ENOENT;
}

/* The folder, and those that it lies in, as far as they are missing. What cannot be made shows when it is opened. */
static void folder_make(const char *folder)
{
    char path[PATH_MAX];
    char *slash;

    if (strlen(folder) >= sizeof(path))
        return;
    strcpy(path, folder);
    for (slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    (void)mkdir(path, 0755);
}

int cache_begin(const char *folder, struct cache_entry *entry)
{
    static unsigned int counter;
    struct timespec now;

    if (*folder != '\0')
        folder_make(folder);
    entry->folder = folder_open(folder);
    if (entry->folder < 0)
        return entry->folder;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(entry->temporary, sizeof(entry->temporary), TEMPORARY "%ld-%lx-%u", (long)getpid(), (unsigned long)now.tv_nsec, __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED));
    entry->fd = openat(entry->folder, entry->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (entry->fd < 0) {
        int rc = -errno;

        close(entry->folder);
        return rc;
    }
    return 0;
}

static void sweep_one(int dir, const char *name, const char *hash, const char *kept)
{
    struct stat s;

    if (strncmp(name, TEMPORARY, strlen(TEMPORARY)) == 0) {
        if (fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) == 0 && s.st_mtim.tv_sec + TEMPORARY_OLD_S < time(NULL))
            unlinkat(dir, name, 0);
    } else if (strncmp(name, hash, HASH_DIGITS) == 0 && strcmp(name, kept) != 0) {
        unlinkat(dir, name, 0);
    }
}

/* Older entries of the same path, and what others left half done long ago. Takes dir. */
static void sweep(int dir, const char *kept)
{
    DIR *d = fdopendir(dir);
    const struct dirent *e;

    if (d == NULL) {
        close(dir);
        return;
    }
    while ((e = readdir(d)) != NULL)
        sweep_one(dir, e->d_name, kept, kept);
    closedir(d);
}

void cache_keep(struct cache_entry *entry, const char *path, const struct stat *status)
{
    char name[NAME_BYTES];

    entry_name(name, path, status);
    /* On the disk before it has its name: a power cut must not leave an empty kernel under a good name. */
    if (fdatasync(entry->fd) != 0 || renameat(entry->folder, entry->temporary, entry->folder, name) != 0) {
        cache_forget(entry);
        return;
    }
    sweep(entry->folder, name);
}

void cache_forget(struct cache_entry *entry)
{
    unlinkat(entry->folder, entry->temporary, 0);
    close(entry->folder);
}
