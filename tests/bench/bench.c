// SPDX-License-Identifier: MIT
/*
 * What does an operation of the kernel cost, counted in instructions?
 *
 * Runs as one static program in Domain0, in a native kernel, or under another hypervisor, always in an emulator that is told
 * to advance the clock by one nanosecond per instruction (QEMU -icount shift=0). There the time-stamp counter counts instructions, of the
 * program, the kernel and the hypervisor together, so that figures repeat and can be compared.
 *
 * Each row is timed in BATCHES batches of about BATCH_TICKS and the median batch counts, so that one timer tick more or less does not
 * show. A row prints "row NAME VALUE" with VALUE in hundredths of an instruction per operation.
 * As the first process (no arguments, process 1) it prints the counter first: the price of the boot.
 * Usage: bench [ROW...]; `bench loop ROW` repeats a row for ever, for the profiler.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define BATCHES 7
#define BATCH_TICKS 6000000ull /* instructions: one or two timer ticks of the kernel */
#define PAGE 4096ul
#define FAULT_PAGES 256ul
#define MAP_BYTES (4ul << 20)

struct row {
    const char *name;
    void (*run)(long count);     /* do the operation count times */
    void (*prepare)(long argument);
    long argument;
    void (*finish)(void);
    long scale; /* operations that one count stands for; 0 is 1 */
};

static _Noreturn void die(const char *what)
{
    printf("bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- simple calls ---- */

static int file = -1;

static void run_null(long count)
{
    while (count-- > 0)
        syscall(SYS_getppid);
}

static void open_zero(long unused)
{
    (void)unused;
    if ((file = open("/dev/zero", O_RDWR)) < 0)
        die("/dev/zero");
}

static void close_file(void)
{
    close(file);
}

static void run_read(long count)
{
    char byte;

    while (count-- > 0)
        if (read(file, &byte, 1) != 1)
            die("read");
}

static void run_write(long count)
{
    while (count-- > 0)
        if (write(file, "x", 1) != 1)
            die("write");
}

static void run_stat(long count)
{
    struct stat st;

    while (count-- > 0)
        if (stat("/etc/bench", &st) != 0)
            die("stat");
}

static void run_open(long count)
{
    while (count-- > 0) {
        int fd = open("/etc/bench", O_RDONLY);

        if (fd < 0)
            die("open");
        close(fd);
    }
}

static void run_clock(long count)
{
    struct timespec t;

    while (count-- > 0)
        clock_gettime(CLOCK_MONOTONIC, &t);
}

/* Additions and branches only: what the machine takes away from a program that asks for nothing. */
static void run_cpu(long count)
{
    volatile long sink;
    unsigned long x = 1;

    for (long i = 0; i < count * 100000; i++)
        __asm__ volatile("imul $1103515245, %0\n\tadd $12345, %0" : "+r"(x));
    sink = (long)x;
    (void)sink;
}

/* ---- signals ---- */

static volatile long caught;

static void on_signal(int number)
{
    (void)number;
    caught++;
}

static void run_signal_install(long count)
{
    struct sigaction action = { .sa_handler = on_signal };

    while (count-- > 0)
        sigaction(SIGUSR1, &action, NULL);
}

static void prepare_signal(long unused)
{
    (void)unused;
    run_signal_install(1);
}

static void run_signal(long count)
{
    pid_t self = getpid();

    while (count-- > 0)
        syscall(SYS_tgkill, self, self, SIGUSR1);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    mprotect((void *)((uintptr_t)info->si_addr & ~(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE);
}

/* ---- processes ---- */

static void wait_child(pid_t pid)
{
    int status;

    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        die("child");
}

static void run_fork(long count)
{
    while (count-- > 0) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(0);
        wait_child(pid);
    }
}

static void run_exec(long count)
{
    while (count-- > 0) {
        pid_t pid = fork();

        if (pid == 0) {
            execl("/bench", "bench", "exit", NULL);
            _exit(1);
        }
        wait_child(pid);
    }
}

static void run_sh(long count)
{
    while (count-- > 0) {
        pid_t pid = fork();

        if (pid == 0) {
            execl("/bin/sh", "sh", "-c", "/bench exit", NULL);
            _exit(1);
        }
        wait_child(pid);
    }
}

/* ---- round trips ---- */

static int there[2], back[2];
static pid_t echo_pid;

static void start_echo(long use_socket)
{
    if (use_socket) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
            die("socketpair");
        there[1] = back[0] = pair[0];
        there[0] = back[1] = pair[1];
    } else if (pipe(there) != 0 || pipe(back) != 0) {
        die("pipe");
    }
    echo_pid = fork();
    if (echo_pid == 0) {
        char byte;

        close(there[1]);
        if (!use_socket)
            close(back[0]);
        while (read(there[0], &byte, 1) == 1)
            if (write(back[1], &byte, 1) != 1)
                break;
        _exit(0);
    }
    close(there[0]);
    if (!use_socket)
        close(back[1]);
}

static void run_echo(long count)
{
    char byte = 'x';

    while (count-- > 0)
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            die("round trip");
}

static void stop_echo(void)
{
    close(there[1]);
    close(back[0]);
    waitpid(echo_pid, NULL, 0);
}

/* ---- context switches: a token goes round a ring of processes; each touches its working set when it has it ---- */

#define RING_MAX 16
static int ring[RING_MAX][2];
static pid_t ring_pids[RING_MAX];
static int ring_size;
static size_t ring_bytes;
static char *ring_data;

static void touch_working_set(void)
{
    long sum = 0;

    for (size_t i = 0; i < ring_bytes; i += 64)
        sum += (ring_data[i] += 1);
    caught = sum;
}

static void ring_pass(int me)
{
    char token;

    if (read(ring[me][0], &token, 1) != 1)
        _exit(0);
    touch_working_set();
    if (write(ring[(me + 1) % ring_size][1], &token, 1) != 1)
        _exit(0);
}

/* argument: processes, plus 100 times the working set in KiB. */
static void start_ring(long argument)
{
    ring_size = (int)(argument % 100);
    ring_bytes = (size_t)(argument / 100) * 1024;
    ring_data = malloc(ring_bytes + 64);
    memset(ring_data, 0, ring_bytes + 64);
    for (int i = 0; i < ring_size; i++)
        if (pipe(ring[i]) != 0)
            die("pipe");
    for (int me = 1; me < ring_size; me++) {
        ring_pids[me] = fork();
        if (ring_pids[me] == 0) {
            for (int i = 0; i < ring_size; i++) { /* keep only my two ends, so that end of file gets about */
                if (i != me)
                    close(ring[i][0]);
                if (i != (me + 1) % ring_size)
                    close(ring[i][1]);
            }
            for (;;)
                ring_pass(me);
        }
    }
    for (int i = 0; i < ring_size; i++) {
        if (i != 0)
            close(ring[i][0]);
        if (i != 1 % ring_size)
            close(ring[i][1]);
    }
}

/* One count is one whole round: ring_size switches. */
static void run_ring(long count)
{
    char token = 't';

    while (count-- > 0) {
        if (write(ring[1][1], &token, 1) != 1 || read(ring[0][0], &token, 1) != 1)
            die("ring");
        touch_working_set();
    }
}

static void stop_ring(void)
{
    close(ring[1][1]);
    close(ring[0][0]);
    for (int me = 1; me < ring_size; me++)
        waitpid(ring_pids[me], NULL, 0);
    free(ring_data);
}

/* ---- memory ---- */

static void prepare_map(long unused)
{
    char block[4096];

    (void)unused;
    memset(block, 'm', sizeof(block));
    file = open("/tmp-map", O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (size_t i = 0; i < MAP_BYTES; i += sizeof(block))
        if (write(file, block, sizeof(block)) != sizeof(block))
            die("map file");
}

/* Map the file, touch each page, unmap. */
static void run_map(long count)
{
    while (count-- > 0) {
        volatile char *p = mmap(NULL, MAP_BYTES, PROT_READ, MAP_SHARED, file, 0);
        long sum = 0;

        if (p == MAP_FAILED)
            die("mmap");
        for (size_t i = 0; i < MAP_BYTES; i += PAGE)
            sum += p[i];
        munmap((void *)p, MAP_BYTES);
    }
}

static void run_map_nofault(long count)
{
    while (count-- > 0) {
        void *p = mmap(NULL, MAP_BYTES, PROT_READ, MAP_SHARED, file, 0);

        if (p == MAP_FAILED)
            die("mmap");
        munmap(p, MAP_BYTES);
    }
}

static void finish_map(void)
{
    close(file);
    unlink("/tmp-map");
}

static void run_anon_fault(long count)
{
    while (count-- > 0) {
        volatile char *p = mmap(NULL, FAULT_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
            die("mmap");
        for (size_t i = 0; i < FAULT_PAGES * PAGE; i += PAGE)
            p[i] = 1;
        munmap((void *)p, FAULT_PAGES * PAGE);
    }
}

static char *guarded;

static void prepare_prot(long unused)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

    (void)unused;
    sigaction(SIGSEGV, &action, NULL);
    guarded = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    guarded[0] = 1;
}

/* A write to a read-only page: fault, signal, handler makes it writable, the write again; then read-only once more. */
static void run_prot(long count)
{
    while (count-- > 0) {
        mprotect(guarded, PAGE, PROT_READ);
        *(volatile char *)guarded = 2;
    }
}

/* The fault alone: the handler jumps out and leaves the page as it is. */
static void on_fault_skip(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    (void)number;
    (void)info;
    uc->uc_mcontext.gregs[REG_RIP] += 3; /* the length of the store in run_fault_signal */
}

static void prepare_fault_signal(long unused)
{
    struct sigaction action = { .sa_sigaction = on_fault_skip, .sa_flags = SA_SIGINFO };

    (void)unused;
    sigaction(SIGSEGV, &action, NULL);
    guarded = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void run_fault_signal(long count)
{
    while (count-- > 0)
        __asm__ volatile("movb $1, (%0)" : : "a"(guarded) : "memory"); /* c6 00 01 */
}

static void finish_guarded(void)
{
    munmap(guarded, PAGE);
    signal(SIGSEGV, SIG_DFL);
}

static const struct row rows[] = {
    { "null-syscall", run_null, NULL, 0, NULL, 1 },
    { "read", run_read, open_zero, 0, close_file, 1 },
    { "write", run_write, open_zero, 0, close_file, 1 },
    { "stat", run_stat, NULL, 0, NULL, 1 },
    { "open-close", run_open, NULL, 0, NULL, 1 },
    { "signal-install", run_signal_install, NULL, 0, NULL, 1 },
    { "signal-deliver", run_signal, prepare_signal, 0, NULL, 1 },
    { "fork-wait", run_fork, NULL, 0, NULL, 1 },
    { "fork-exec", run_exec, NULL, 0, NULL, 1 },
    { "sh-c", run_sh, NULL, 0, NULL, 1 },
    { "pipe", run_echo, start_echo, 0, stop_echo, 1 },
    { "af-unix", run_echo, start_echo, 1, stop_echo, 1 },
    { "ctx-2p-0k", run_ring, start_ring, 2, stop_ring, 2 },
    { "ctx-2p-16k", run_ring, start_ring, 1602, stop_ring, 2 },
    { "ctx-8p-0k", run_ring, start_ring, 8, stop_ring, 8 },
    { "ctx-8p-16k", run_ring, start_ring, 1608, stop_ring, 8 },
    { "ctx-16p-0k", run_ring, start_ring, 16, stop_ring, 16 },
    { "ctx-16p-16k", run_ring, start_ring, 1616, stop_ring, 16 },
    { "mmap-4m", run_map_nofault, prepare_map, 0, finish_map, 1 },
    { "mmap-4m-touch", run_map, prepare_map, 0, finish_map, 1 },
    { "anon-fault", run_anon_fault, NULL, 0, NULL, FAULT_PAGES },
    { "prot-fault", run_fault_signal, prepare_fault_signal, 0, finish_guarded, 1 },
    { "prot-cycle", run_prot, prepare_prot, 0, finish_guarded, 1 },
    { "clock-gettime", run_clock, NULL, 0, NULL, 1 },
    { "cpu-loop", run_cpu, NULL, 0, NULL, 1 },
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static uint64_t time_batch(const struct row *row, long count)
{
    uint64_t before = __rdtsc();

    row->run(count);
    return __rdtsc() - before;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static long count_for_batch(const struct row *row)
{
    uint64_t one;

    row->run(1); /* warm: page tables, caches of the kernel */
    one = time_batch(row, 2) / 2;
    return one >= BATCH_TICKS ? 1 : (long)(BATCH_TICKS / (one ? one : 1)) + 1;
}

static void measure(const struct row *row)
{
    uint64_t batches[BATCHES];
    long count;

    if (row->prepare)
        row->prepare(row->argument);
    count = count_for_batch(row);
    for (int i = 0; i < BATCHES; i++)
        batches[i] = time_batch(row, count);
    if (row->finish)
        row->finish();
    qsort(batches, BATCHES, sizeof(batches[0]), compare);
    printf("row %s %llu\n", row->name, (unsigned long long)(batches[BATCHES / 2] * 100 / (uint64_t)count / (uint64_t)row->scale));
}

static const struct row *row_by_name(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* For the profiler: the row, again and again, between two lines on the console. */
static void loop_row(const struct row *row)
{
    if (row->prepare)
        row->prepare(row->argument);
    long count = count_for_batch(row);

    printf("loop %s %ld\n", row->name, count * row->scale);
    for (;;)
        time_batch(row, count);
}

static void as_init(uint64_t start)
{
    int fd;

    printf("row boot %llu\n", (unsigned long long)start * 100);
    mkdir("/proc", 0755);
    mkdir("/dev", 0755);
    mkdir("/etc", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    fd = open("/etc/bench", O_WRONLY | O_CREAT, 0644);
    close(fd);
}

/* Measure in a child: for process 1 the kernel treats faults as fatal even if a handler is set, and logs each. */
static void become_child(void)
{
    pid_t pid = fork();

    if (pid < 0)
        die("fork");
    if (pid > 0) {
        while (waitpid(-1, NULL, 0) != pid)
            ;
        reboot(RB_POWER_OFF);
    }
}

/* What of the machine the program sees: a library may choose other code by it. */
static void print_cpu(void)
{
    unsigned int a = 1, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    uint64_t before = __rdtsc();
    for (int i = 0; i < 1000; i++)
        __rdtsc();
    printf("cpu leaf1 ecx=%08x edx=%08x osxsave=%u avx=%u; 1000 rdtsc take %llu\n", c, d, c >> 27 & 1, c >> 28 & 1,
           (unsigned long long)(__rdtsc() - before));
}

/* "bench.rows=a,b" and "bench.loop=a" of the kernel's command line reach us by /proc/cmdline. */
static bool word_of_cmdline(const char *key, char *value, size_t size)
{
    static char line[4096];
    int fd = open("/proc/cmdline", O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
    char *at;

    close(fd);
    if (length < 0)
        return false;
    line[length] = '\0';
    at = strstr(line, key);
    if (at == NULL)
        return false;
    at += strlen(key);
    snprintf(value, size, "%.*s", (int)strcspn(at, " \n"), at);
    return true;
}

int main(int argc, char **argv)
{
    uint64_t start = __rdtsc();
    bool first = getpid() == 1;
    char value[1024] = "";

    if (first)
        argc = 1; /* whatever the kernel did not know of its command line */

    if (argc > 1 && strcmp(argv[1], "exit") == 0)
        _exit(0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (first) {
        as_init(start);
        become_child();
    }
    print_cpu();
    if (argc > 2 && strcmp(argv[1], "loop") == 0 && row_by_name(argv[2]))
        loop_row(row_by_name(argv[2]));
    if (first && word_of_cmdline("bench.loop=", value, sizeof(value)) && row_by_name(value))
        loop_row(row_by_name(value));
    value[0] = '\0';
    if (first)
        word_of_cmdline("bench.rows=", value, sizeof(value));
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char key[64], list[1100];
        bool wanted = argc < 2 && value[0] == '\0';

        snprintf(key, sizeof(key), ",%s,", rows[i].name);
        snprintf(list, sizeof(list), ",%s,", value);
        if (value[0] && strstr(list, key))
            wanted = true;
        for (int j = 1; j < argc; j++)
            if (strcmp(argv[j], rows[i].name) == 0)
                wanted = true;
        if (wanted)
            measure(&rows[i]);
    }
    printf("bench: done at %llu\n", (unsigned long long)__rdtsc());
    return 0;
}
