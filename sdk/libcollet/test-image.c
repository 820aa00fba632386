// SPDX-License-Identifier: MIT
/* Opening kernels, and the cache of unpacked ones: what it keeps, what it throws away, and every way in which it may fail without harm. */
// needs: image.c cache.c unpack.c unpack-lz4.c handle.c calls.c transport.c mini-kernel.c fake-hypervisor.c sdk/image/elf-image.c
// libs: -lz -llzma -lzstd -llz4

#include "fake-hypervisor.h"
#include "mini-kernel.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], kernel[128], cache[128];
static struct fake *f;
static struct collet *c;
static uint8_t *elf;
static size_t elf_bytes;

static void setup(void)
{
    strcpy(folder, "/tmp/test-image-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(kernel, sizeof(kernel), "%s/vmlinuz", folder);
    snprintf(cache, sizeof(cache), "%s/cache", folder);
    elf = mini_kernel_make(&mini_kernel_usual, &elf_bytes);
    c = fake_open(&f);
}

static void remove_all(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d != NULL)
        closedir(d);
    rmdir(path);
}

static void teardown(void)
{
    collet_close(c);
    free(elf);
    remove_all(cache);
    remove_all(folder);
}

static void bzimage_write(enum packing how)
{
    size_t n;
    uint8_t *image = mini_bzimage(how, elf, elf_bytes, &n);

    unlink(kernel);
    mini_file(kernel, image, n);
    free(image);
}

/* Number of entries; name and inode of the last. */
static char entry[256];
static ino_t entry_inode;
static unsigned int entries(void)
{
    DIR *d = opendir(cache);
    unsigned int n = 0;
    struct dirent *e;
    struct stat s;

    while (d != NULL && (e = readdir(d)) != NULL)
        if (e->d_name[0] != '.') {
            snprintf(entry, sizeof(entry), "%s/%.120s", cache, e->d_name);
            stat(entry, &s);
            entry_inode = s.st_ino;
            n++;
        }
    if (d != NULL)
        closedir(d);
    return n;
}

/* It opens, and is our kernel. */
static void check_open(const char *cache_folder)
{
    struct collet_image *image;
    int rc = collet_image_open(c, kernel, cache_folder, &image);

    ck_assert_msg(rc == 0, "%s", collet_error(c));
    ck_assert_uint_eq(image->size, elf_bytes);
    ck_assert_mem_eq(image->bytes, elf, elf_bytes);
    ck_assert_str_eq(image->elf.guest_os, "mini");
    collet_image_close(image);
}

static void check_refused(int error, const char *why)
{
    struct collet_image *image;

    ck_assert_int_eq(collet_image_open(c, kernel, cache, &image), error);
    ck_assert_ptr_null(image);
    ck_assert_msg(strstr(collet_error(c), why) != NULL, "said: %s", collet_error(c));
    ck_assert_ptr_nonnull(strstr(collet_error(c), kernel));
}

START_TEST(elf_is_taken_as_it_is)
{
    mini_file(kernel, elf, elf_bytes);
    check_open(cache);
    check_open(NULL);
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(bzimage_is_unpacked_once)
{
    ino_t inode;

    bzimage_write(PACK_GZIP + _i);
    check_open(NULL);
    ck_assert_uint_eq(entries(), 0);
    check_open(cache);
    ck_assert_uint_eq(entries(), 1);
    inode = entry_inode;
    check_open(cache);
    ck_assert_uint_eq(entries(), 1);
    ck_assert_uint_eq(entry_inode, inode);
}
END_TEST

START_TEST(folders_above_are_made)
{
    char deep[192];

    bzimage_write(PACK_GZIP);
    snprintf(deep, sizeof(deep), "%s/deeper", cache);
    check_open(deep);
    ck_assert_int_eq(access(deep, R_OK), 0);
    remove_all(deep);
}
END_TEST

START_TEST(packed_as_a_whole)
{
    size_t n;
    uint8_t *packed = mini_pack(PACK_GZIP + _i, elf, elf_bytes, &n);

    mini_file(kernel, packed, n);
    check_open(cache);
    ck_assert_uint_eq(entries(), 1);
    free(packed);
}
END_TEST

START_TEST(a_new_kernel_takes_the_place_of_the_old)
{
    ino_t inode;

    bzimage_write(PACK_XZ);
    check_open(cache);
    ck_assert_uint_eq(entries(), 1);
    inode = entry_inode;
    elf[0x1234] ^= 0xff; /* in the text */
    bzimage_write(PACK_XZ);
    check_open(cache);
    ck_assert_uint_eq(entries(), 1);
    ck_assert_uint_ne(entry_inode, inode);
}
END_TEST

START_TEST(damaged_entries_are_made_anew)
{
    bzimage_write(PACK_ZSTD);
    check_open(cache);
    ck_assert_uint_eq(entries(), 1);
    ck_assert_int_eq(truncate(entry, 5000), 0);
    check_open(cache);
    check_open(cache);
    ck_assert_uint_eq(entries(), 1);
    /* What others may write to is not believed. */
    ck_assert_int_eq(chmod(entry, 0666), 0);
    check_open(cache);
    ck_assert_int_eq(chmod(cache, 0777), 0);
    check_open(cache);
}
END_TEST

START_TEST(no_cache_is_no_harm)
{
    bzimage_write(PACK_XZ);
    check_open("/proc/nowhere/at/all");
    check_open("");
    check_open(kernel); /* a file */
    ck_assert_int_eq(mkdir(cache, 0777), 0);
    ck_assert_int_eq(chmod(cache, 0777), 0); /* anybody's */
    check_open(cache);
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(a_full_disk_is_no_harm)
{
    bzimage_write(PACK_XZ);
    ck_assert_int_eq(mkdir(cache, 0755), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("none", cache, "tmpfs", 0, "size=16k,mode=755") != 0)
        return; /* may not: not root */
    check_open(cache);
    ck_assert_uint_eq(entries(), 0); /* nothing half done is left */
    umount(cache);
}
END_TEST

START_TEST(what_is_left_half_done_goes_in_time)
{
    char old[192];
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

    bzimage_write(PACK_XZ);
    ck_assert_int_eq(mkdir(cache, 0755), 0);
    snprintf(old, sizeof(old), "%s/unfinished-1-2-3", cache);
    mini_file(old, elf, 100);
    utimensat(AT_FDCWD, old, times, 0);
    check_open(cache);
    ck_assert_uint_eq(entries(), 1);
    ck_assert_int_ne(access(old, F_OK), 0);
}
END_TEST

static int asked, yes_from;
static int want_end(void *arg)
{
    ck_assert_ptr_eq(arg, &asked);
    return ++asked >= yes_from;
}

START_TEST(an_unpacking_that_is_cancelled_leaves_nothing)
{
    static const enum packing kinds[] = {PACK_GZIP, PACK_XZ, PACK_ZSTD, PACK_LZ4};

    for (unsigned int i = 0; i < 4; i++) {
        bzimage_write(kinds[i]);
        asked = 0;
        yes_from = 1;
        collet_set_cancel(c, want_end, &asked);
        check_refused(-ECANCELED, "cancelled");
        ck_assert_int_gt(asked, 0);
        ck_assert_uint_eq(entries(), 0);
    }
    asked = 0;
    yes_from = 1 << 30; /* asked, and goes on */
    check_open(cache);
    ck_assert_int_gt(asked, 0);
    collet_set_cancel(c, NULL, NULL);
    check_open(cache);
}
END_TEST

START_TEST(many_may_open_at_once)
{
    pid_t children[6];

    bzimage_write(PACK_XZ);
    for (int i = 0; i < 6; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            for (int n = 0; n < 10; n++)
                check_open(cache);
            _exit(0);
        }
    }
    for (int i = 0; i < 6; i++) {
        int status;

        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    ck_assert_uint_eq(entries(), 1);
}
END_TEST

/* Six that find no entry make one, not six: its inode is the one that all of them have mapped. */
START_TEST(many_who_find_none_make_one)
{
    int results[2];

    ck_assert_int_eq(pipe(results), 0);
    bzimage_write(PACK_GZIP);
    for (int i = 0; i < 6; i++)
        if (fork() == 0) {
            struct collet_image *image;
            struct stat s;

            if (collet_image_open(c, kernel, cache, &image) != 0 || fstat(image->fd, &s) != 0 || write(results[1], &s.st_ino, sizeof(s.st_ino)) < 0)
                _exit(1);
            _exit(0);
        }
    for (int i = 0; i < 6; i++) {
        ino_t inode = 0;

        ck_assert_int_eq(read(results[0], &inode, sizeof(inode)), sizeof(inode));
        ck_assert_uint_eq(entries(), 1);
        ck_assert_uint_eq(inode, entry_inode);
    }
    while (wait(NULL) > 0)
        continue;
    close(results[0]);
    close(results[1]);
}
END_TEST

START_TEST(wrong_files_are_refused_in_words)
{
    check_refused(-ENOENT, "No such file");
    mini_file(kernel, (const uint8_t *)"", 0);
    check_refused(-ENOEXEC, "empty");
    mini_file(kernel, (const uint8_t *)"#!/bin/sh\n", 10);
    check_refused(-ENOEXEC, "not an ELF file");
    mini_file(kernel, (const uint8_t *)"\x89LZO and more", 13);
    check_refused(-ENOEXEC, "with lzo");
    elf[4] = 1;
    mini_file(kernel, elf, elf_bytes);
    check_refused(-ENOEXEC, "32-bit");
    bzimage_write(PACK_XZ); /* of no kernel */
    check_refused(-ENOEXEC, "32-bit");
    ck_assert_uint_eq(entries(), 0);
    unlink(kernel);
    ck_assert_int_eq(mkdir(kernel, 0755), 0);
    check_refused(-ENOEXEC, "not a regular file");
    rmdir(kernel);
}
END_TEST

START_TEST(cut_and_damaged_images_do_no_harm)
{
    struct collet_image *image;
    unsigned int seed = 5;
    size_t n;
    uint8_t *whole = mini_bzimage(PACK_GZIP + _i, elf, elf_bytes, &n), *bad = malloc(n);

    printf("seed %u\n", seed);
    for (int round = 0; round < 300; round++) {
        size_t size = round % 2 ? (size_t)rand_r(&seed) % n : n;
        int rc;

        memcpy(bad, whole, n);
        for (int i = 0; i < 3 && size == n; i++)
            bad[(size_t)rand_r(&seed) % n] = (uint8_t)rand_r(&seed);
        mini_file(kernel, bad, size);
        rc = collet_image_open(c, kernel, round % 3 ? cache : NULL, &image);
        ck_assert(rc == 0 || rc == -ENOEXEC);
        if (rc == 0) {
            ck_assert_uint_ne(image->elf.segment_count, 0);
            collet_image_close(image);
        }
    }
    free(bad);
    free(whole);
}
END_TEST

Suite *suite_image(void);
Suite *suite_image(void)
{
    Suite *s = suite_create("image");
    TCase *t = tcase_create("image");

    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, elf_is_taken_as_it_is);
    tcase_add_loop_test(t, bzimage_is_unpacked_once, 0, 4);
    tcase_add_test(t, folders_above_are_made);
    tcase_add_loop_test(t, packed_as_a_whole, 0, 4);
    tcase_add_test(t, a_new_kernel_takes_the_place_of_the_old);
    tcase_add_test(t, damaged_entries_are_made_anew);
    tcase_add_test(t, no_cache_is_no_harm);
    tcase_add_test(t, a_full_disk_is_no_harm);
    tcase_add_test(t, what_is_left_half_done_goes_in_time);
    tcase_add_test(t, an_unpacking_that_is_cancelled_leaves_nothing);
    tcase_add_test(t, many_may_open_at_once);
    tcase_add_test(t, many_who_find_none_make_one);
    tcase_add_test(t, wrong_files_are_refused_in_words);
    tcase_add_loop_test(t, cut_and_damaged_images_do_no_harm, 0, 4);
    suite_add_tcase(s, t);
    return s;
}
