// SPDX-License-Identifier: MIT
/*
 * What does a disk request cost? Issues them with O_DIRECT to a block device, and marks where each batch begins and ends for the counter (count-plugin.c).
 *
 * Rows: random reads and writes of 4 KiB with 1 and with 32 outstanding (pread, pwrite; Linux's native asynchronous I/O, as many submitted with one call as have ended), and `fio` rows: fio with so many requests and with four times as
 * many; the difference is free of its start and end. The device's contents are overwritten.
 * Prints `batch ROW REQUESTS` for each, in the order of the counter's lines (of fio: `batch ROW/first` and `ROW/second`).
 * Usage: disk DEVICE [ROW...].  Script: disk.sh.  Page: docs/performance.md.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK 4096u
#define BATCHES 3
#define WARM_UP 300u
#define DEPTH_MAX 32u

#define BENCH_MARK(number) __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00\n\t.long " #number ::: "memory")
#define BEGIN() BENCH_MARK(0x314d4243)
#define END() BENCH_MARK(0x324d4243)

struct row {
    const char *name;
    bool write;
    uint32_t depth; /* 0: fio does it */
    uint32_t requests;
    const char *fio;
};

static const struct row rows[] = {
    {"read-1", false, 1, 1000, NULL},
    {"read-32", false, 32, 3000, NULL},
    {"write-1", true, 1, 1000, NULL},
    {"write-32", true, 32, 3000, NULL},
    {"fio-read-1", false, 0, 500, "--rw=randread --bs=4k --ioengine=psync"},
    {"fio-read-32", false, 0, 1500, "--rw=randread --bs=4k --ioengine=io_uring --iodepth=32 --iodepth_batch_submit=8 --iodepth_batch_complete_min=1"},
    {"fio-seqread", false, 0, 400, "--rw=read --bs=64k --ioengine=io_uring --iodepth=4"},
    {"fio-seqwrite", true, 0, 400, "--rw=write --bs=64k --ioengine=io_uring --iodepth=4"},
    {"fio-mixed", true, 0, 1000, "--rw=randrw --rwmixread=70 --bs=4k --ioengine=io_uring --iodepth=8"},
};

static int device = -1;
static const char *path;
static uint64_t blocks;
static void *buffer[DEPTH_MAX];
static uint64_t seed = 88172645463325252ull;

static _Noreturn void die(const char *what)
{
    printf("disk: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t random_offset(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (int64_t)(seed % blocks * BLOCK);
}

static void run_one_by_one(bool write, uint32_t requests)
{
    while (requests-- > 0) {
        int64_t offset = random_offset();

        if ((write ? pwrite(device, buffer[0], BLOCK, offset) : pread(device, buffer[0], BLOCK, offset)) != BLOCK)
            die("a request");
    }
}

/* As many as have ended are submitted again, in one call. */
static void run_queued(bool write, uint32_t depth, uint32_t requests)
{
    static aio_context_t context;
    static struct iocb iocb[DEPTH_MAX];
    struct iocb *submit[DEPTH_MAX];
    struct io_event event[DEPTH_MAX];
    uint32_t submitted = 0, ended = 0, ready = depth;

    if (context == 0 && syscall(SYS_io_setup, DEPTH_MAX, &context) != 0)
        die("io_setup");
    for (uint32_t i = 0; i < depth; i++)
        submit[i] = &iocb[i];
    while (ended < requests) {
        uint32_t count = ready < requests - submitted ? ready : requests - submitted;
        long got;

        for (uint32_t i = 0; i < count; i++) {
            uint64_t slot = (uint64_t)(submit[i] - iocb);

            *submit[i] = (struct iocb){.aio_data = slot, .aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD, .aio_fildes = (uint32_t)device,
                                       .aio_buf = (uint64_t)(uintptr_t)buffer[slot], .aio_nbytes = BLOCK, .aio_offset = random_offset()};
        }
        if (count > 0 && syscall(SYS_io_submit, context, count, submit) != (long)count)
            die("io_submit");
        submitted += count;
        got = syscall(SYS_io_getevents, context, 1, depth, event, NULL);
        if (got < 1)
            die("io_getevents");
        for (long i = 0; i < got; i++) {
            if (event[i].res != BLOCK)
                die("a queued request");
            submit[i] = &iocb[event[i].data];
        }
        ended += (uint32_t)got;
        ready = (uint32_t)got;
    }
}

static void run(const struct row *row, uint32_t requests)
{
    if (row->depth == 1)
        run_one_by_one(row->write, requests);
    else
        run_queued(row->write, row->depth, requests);
}

static void run_fio(const struct row *row, uint32_t requests)
{
    char command[512];

    snprintf(command, sizeof(command), "fio --name=x --filename=%s --direct=1 --thread=1 --number_ios=%u --size=%llu --norandommap --randrepeat=1 --output=/tmp/fio.out %s >/dev/null 2>/tmp/fio.err", path, requests,
             (unsigned long long)blocks * BLOCK, row->fio);
    if (system(command) != 0) {
        if (system("cat /tmp/fio.out /tmp/fio.err") != 0)
            printf("disk: no output of fio\n");
        die("fio");
    }
}

/* The console is quiet when the batch begins: what is printed is printed through somebody's device, too. */
static void batch(const struct row *row, const char *suffix, uint32_t requests)
{
    printf("batch %s%s %u\n", row->name, suffix, requests);
    fflush(stdout);
    usleep(300000);
    BEGIN();
    if (row->depth == 0)
        run_fio(row, requests);
    else
        run(row, requests);
    END();
}

static void measure(const struct row *row)
{
    if (row->depth == 0) {
        batch(row, "/first", row->requests);
        batch(row, "/second", row->requests * 4);
        return;
    }
    run(row, WARM_UP);
    for (int i = 0; i < BATCHES; i++)
        batch(row, "", row->requests);
}

static bool wanted(const char *name, int argc, char *argv[])
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc <= 2;
}

int main(int argc, char *argv[])
{
    uint64_t bytes;

    if (argc < 2) {
        printf("usage: disk DEVICE [ROW...]\n");
        return 2;
    }
    path = argv[1];
    device = open(path, O_RDWR | O_DIRECT);
    if (device < 0 || ioctl(device, BLKGETSIZE64, &bytes) != 0)
        die(path);
    blocks = bytes / BLOCK;
    for (uint32_t i = 0; i < DEPTH_MAX; i++) {
        if (posix_memalign(&buffer[i], BLOCK, BLOCK) != 0)
            die("memory");
        memset(buffer[i], (int)i + 1, BLOCK);
    }
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        /* fio may be missing where it does not matter. */
        if (!wanted(rows[i].name, argc, argv) || (rows[i].fio != NULL && access("/usr/bin/fio", X_OK) != 0))
            continue;
        measure(&rows[i]);
    }
    printf("disk: done\n");
    return 0;
}
