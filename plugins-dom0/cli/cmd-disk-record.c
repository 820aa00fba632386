/* SPDX-License-Identifier: MIT */
/*
 * `collet disk record`: what comes to a disk, what its module is told and what it decides, from the hypervisor's ring to a file that blk-sim reads (<collet/disk-record.h>).
 *
 * Whatever ends it (the count, the time, Ctrl-C, a full disk, a reader of standard output that goes away), the recording is ended in the hypervisor and what was written can be read:
 * records are written whole, a piece of one is cut off again, and the header tells their number where the file can be written twice.
 * Tests: test-disk.c.
 */
#include "block.h"
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RECORD_POLL_MS   20
#define ROOM_DEFAULT     65536ul
#define RECORDS_CHUNK    512
#define PROGRESS_COLUMNS 79

struct recorder {
    struct collet_disk_info disk;
    struct collet_disk_record_header header;
    const char *path; /* for sentences */
    int fd;
    bool regular;      /* can be cut and written again */
    uint64_t records;  /* written whole */
    uint64_t requests; /* ARRIVE among them */
    uint64_t lost;
    uint64_t wanted; /* requests, 0: no end */
    unsigned int ms; /* 0: no end */
    int error;       /* of writing, or 0 */
    bool progress;
    uint64_t shown; /* records of the last line of progress, and 1 */
};

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- The file ---- */

/* All of it, or an errno value; *done: bytes that were written. */
static int write_all(int fd, const void *from, size_t bytes, size_t *done)
{
    for (*done = 0; *done < bytes;) {
        ssize_t n = write(fd, (const char *)from + *done, bytes - *done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        *done += (size_t)n;
    }
    return 0;
}

static void header_fill(struct recorder *r)
{
    const struct collet_disk_info *d = &r->disk;

    r->header = (struct collet_disk_record_header){ .magic = COLLET_DISK_RECORD_MAGIC,
                                                    .version = COLLET_DISK_RECORD_VERSION,
                                                    .record_bytes = sizeof(struct collet_disk_record),
                                                    .sectors = d->sectors,
                                                    .disk_id = d->disk,
                                                    .depth = d->depth,
                                                    .sectors_max = d->sectors_max,
                                                    .segments_max = d->segments_max,
                                                    .rotates = (d->flags & COLLET_DISK_ROTATES) != 0 };
}

static int file_open(struct cli *cli, struct recorder *r, const char *path)
{
    struct stat status;
    size_t done;
    int rc;

    r->path = strcmp(path, "-") == 0 ? "standard output" : path;
    r->fd = strcmp(path, "-") == 0 ? dup(STDOUT_FILENO) : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (r->fd < 0)
        return cli_fail(cli, CLI_FAILED, cli_error_name(errno), "%s: %s; nothing is recorded", r->path, strerror(errno));
    if (isatty(r->fd) == 1) {
        close(r->fd);
        return cli_fail(cli, CLI_USAGE, "EINVAL", "disk record: a recording is not for a terminal; name a file: -w FILE");
    }
    r->regular = strcmp(path, "-") != 0 && fstat(r->fd, &status) == 0 && S_ISREG(status.st_mode);
    rc = write_all(r->fd, &r->header, sizeof(r->header), &done);
    if (rc == 0)
        return 0;
    close(r->fd);
    if (r->regular)
        unlink(path);
    return cli_fail(cli, CLI_FAILED, cli_error_name(rc), "%s: %s; nothing is recorded", r->path, strerror(rc));
}

/* A full disk leaves a piece of a record at the end: it goes. The number of records goes into the header, which takes no more room. */
static void file_end(struct recorder *r)
{
    int rc = 0;

    if (r->regular) {
        r->header.records = r->records;
        if (ftruncate(r->fd, (off_t)(sizeof(r->header) + r->records * sizeof(struct collet_disk_record))) != 0 ||
            pwrite(r->fd, &r->header, sizeof(r->header), 0) != (ssize_t)sizeof(r->header))
            rc = errno;
    }
    if (close(r->fd) != 0 && rc == 0)
        rc = errno;
    if (r->error == 0)
        r->error = rc;
}

/* How many of these records belong into the file: up to the request that was wanted last. */
static int take_wanted(struct recorder *r, const struct collet_disk_record *records, int count)
{
    for (int i = 0; i < count; i++) {
        r->requests += records[i].kind == COLLET_DISK_ARRIVE;
        if (r->wanted != 0 && r->requests >= r->wanted)
            return i + 1;
    }
    return count;
}

static void write_records(struct recorder *r, const struct collet_disk_record *records, int count)
{
    size_t done;
    int n = take_wanted(r, records, count);

    r->error = write_all(r->fd, records, (size_t)n * sizeof(*records), &done);
    r->records += done / sizeof(*records);
}

/* ---- The recording ---- */

static bool over(const struct recorder *r)
{
    return r->error != 0 || (r->wanted != 0 && r->requests >= r->wanted);
}

static void show_progress(struct cli *cli, struct recorder *r, uint64_t *next_ms)
{
    if (!r->progress || now_ms() < *next_ms || r->shown == r->records + 1)
        return;
    *next_ms = now_ms() + 500;
    r->shown = r->records + 1;
    fprintf(cli->err, "\r%s: %" PRIu64 " requests, %" PRIu64 " records, %" PRIu64 " lost ", r->disk.name, r->requests, r->records, r->lost);
    fflush(cli->err);
}

/* Take out what there is; 0 or an exit code. *running: more will come. */
static int take_records(struct cli *cli, struct recorder *r, bool *running, int *count)
{
    static struct collet_disk_record records[RECORDS_CHUNK];

    *count = collet_disk_record_read(cli->collet, r->disk.disk, records, RECORDS_CHUNK, &r->lost, running);
    if (*count == -ENOENT) { /* the end, or somebody else's --stop */
        *running = false;
        *count = 0;
    }
    if (*count < 0)
        return cli_fail_collet(cli, *count, "the recording of %s", r->disk.name);
    if (*count > 0 && !over(r))
        write_records(r, records, *count);
    return 0;
}

/* Until it is to end: 0 or an exit code. */
static int copy_records(struct cli *cli, struct recorder *r)
{
    uint64_t until = r->ms != 0 ? now_ms() + r->ms : UINT64_MAX, next_ms = 0;
    bool running = true;
    int exit = 0, count;

    while (exit == 0 && running && !over(r) && now_ms() < until && !cli_interrupted()) {
        exit = take_records(cli, r, &running, &count);
        show_progress(cli, r, &next_ms);
        if (count == 0 && running)
            cli_sleep_ms(RECORD_POLL_MS);
    }
    return exit;
}

/* End it in the hypervisor and take the rest, which otherwise would stay there; it goes to the file unless that is over. */
static int drain(struct cli *cli, struct recorder *r)
{
    bool running = true;
    int rc = collet_disk_record(cli->collet, r->disk.disk, 0), exit = 0, count;

    if (rc < 0 && rc != -ENOENT)
        return cli_fail_collet(cli, rc, "the recording of %s could not be ended", r->disk.name);
    do
        exit = take_records(cli, r, &running, &count);
    while (exit == 0 && count > 0);
    return exit;
}

static int begin(struct cli *cli, struct recorder *r, unsigned long room)
{
    int rc = collet_disk_record(cli->collet, r->disk.disk, (unsigned int)room);

    if (rc == -EBUSY)
        return cli_fail(cli, CLI_FAILED, "EBUSY", "%s is being recorded already; if nobody reads that recording any more, end it: collet disk record %s --stop",
                        r->disk.name, r->disk.name);
    return rc < 0 ? cli_fail_collet(cli, rc, "disk record %s", r->disk.name) : 0;
}

static int tell(struct cli *cli, const struct recorder *r, const char *path)
{
    if (r->progress)
        fprintf(cli->err, "\r%*s\r", PROGRESS_COLUMNS, "");
    if (!cli->json)
        fprintf(cli->err, "%s: %" PRIu64 " requests in %" PRIu64 " records to %s\n", r->disk.name, r->requests, r->records, r->path);
    if (r->lost != 0)
        fprintf(cli->err,
                "collet: %" PRIu64
                " records were lost: they came faster than they were taken; decisions cannot be verified from there on (--room N keeps more)\n",
                r->lost);
    cli_result(cli, json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "disk", r->disk.name, "file", path, "requests", (json_int_t)r->requests, "records",
                              (json_int_t)r->records, "lost", (json_int_t)r->lost, "complete", r->error == 0));
    if (r->error == EPIPE)
        return 0; /* who reads has seen enough */
    if (r->error != 0)
        return cli_fail(cli, CLI_FAILED, cli_error_name(r->error), "%s: %s; the recording has ended, and the %" PRIu64 " records that were written can be read",
                        r->path, strerror(r->error), r->records);
    return 0;
}

static int stop_recording(struct cli *cli, struct recorder *r)
{
    int exit;

    r->error = ECANCELED; /* nothing is written */
    exit = drain(cli, r);
    if (exit == 0)
        cli_result(cli, json_pack("{s:s, s:b}", "disk", r->disk.name, "stopped", true));
    return exit;
}

static int parse_limits(struct cli *cli, const struct cli_args *args, struct recorder *r, unsigned long *room)
{
    const char *count = cli_option(args, "count"), *seconds = cli_option(args, "seconds"), *room_text = cli_option(args, "room");
    unsigned long wanted = 0;
    int exit = 0;

    *room = ROOM_DEFAULT;
    if (count != NULL)
        exit = cli_parse_count(cli, "--count", count, 1ul << 40, &wanted);
    if (exit == 0 && seconds != NULL)
        exit = cli_parse_seconds(cli, "--seconds", seconds, &r->ms);
    if (exit == 0 && room_text != NULL)
        exit = cli_parse_count(cli, "--room", room_text, ROOM_DEFAULT, room);
    if (exit == 0 && (*room & (*room - 1)) != 0)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "--room: %lu is not a power of two up to %lu", *room, ROOM_DEFAULT);
    r->wanted = wanted;
    return exit;
}

static int record(struct cli *cli, struct recorder *r, const char *path, unsigned long room)
{
    int exit, ended;

    header_fill(r);
    exit = file_open(cli, r, path);
    if (exit != 0)
        return exit;
    signal(SIGPIPE, SIG_IGN); /* writing tells */
    cli_catch_signals();
    r->progress = !cli->json && isatty(fileno(cli->err)) == 1;
    exit = begin(cli, r, room);
    if (exit != 0) {
        close(r->fd);
        if (r->regular)
            unlink(path);
        return exit;
    }
    exit = copy_records(cli, r);
    ended = drain(cli, r);
    file_end(r);
    if (exit == 0)
        exit = ended;
    return exit == 0 ? tell(cli, r, path) : exit;
}

static int disk_record_run(struct cli *cli, const struct cli_args *args)
{
    const char *path = cli_option(args, "write");
    struct recorder r = { 0 };
    unsigned long room;
    int exit = parse_limits(cli, args, &r, &room);

    if (exit == 0 && path == NULL && !cli_flag(args, "stop"))
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "disk record: no file is named: -w FILE, or -w - for standard output");
    if (exit == 0 && path != NULL && cli->json && strcmp(path, "-") == 0)
        exit = cli_fail(cli, CLI_USAGE, "EINVAL", "disk record: --json and -w - both want standard output");
    if (exit == 0)
        exit = cli_disk(cli, args->words[0], &r.disk);
    if (exit != 0)
        return exit;
    return cli_flag(args, "stop") ? stop_recording(cli, &r) : record(cli, &r, path, room);
}

static const struct cli_option record_options[] = {
    { "write", "FILE", "where the recording goes; - is standard output", 'w' },
    { "count", "N", "end after so many requests", 'n' },
    { "seconds", "N", "end after so long", 's' },
    { "room", "RECORDS", "what the hypervisor keeps until it is taken, a power of two (65536)", 'r' },
    { "stop", NULL, "end a recording that nobody reads any more, and drop it", 'x' },
    { 0 },
};

const struct cli_command cmd_disk_record = {
    .name = "disk record",
    .arguments = "DISK",
    .summary = "Record what comes to a disk, for blk-sim",
    .description = "Requests with their think times, what the module was told and what it decided, until --count, --seconds or Ctrl-C.\n"
                   "blk-sim replays the file under any module, and with --verify compares every decision. If the file's disk is full, the\n"
                   "recording ends, and what was written can be read.",
    .examples = "  collet disk record disk0 -w load.rec --seconds 10\n  collet disk record disk0 -w load.rec -n 10000\n  blk-sim load.rec",
    .options = record_options,
    .complete = "disks none",
    .least = 1,
    .most = 1,
    .run = disk_record_run,
};
