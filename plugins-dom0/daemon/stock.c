// SPDX-License-Identifier: MIT
/*
 * Starting, finding and watching xenstored and xenconsoled. A pidfd tells the end of either, child or not.
 * Contract: stock.h.
 */
#include "stock.h"
#include "log.h"
#include "store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull
#define STORE_WAIT_MS 15000
#define STORE_STEP_MS 50
#define LOOK_NS (SECOND_NS / 4) /* for a new xenstored */
#define LOGS_NS (3 * SECOND_NS)  /* between looks at console logs */
#define QUICK_NS (10 * SECOND_NS) /* a daemon that ended within this is started again later each time */
#define DELAY_MAX_S 30u
#define PATH_BYTES 512

struct process {
    struct stock *stock;
    const char *name; /* of its executable */
    pid_t pid;        /* 0: none */
    int pidfd;
    struct loop_watch *watch;
    bool started; /* once, by us or another */
    uint64_t since_ns;
    unsigned int delay_s;
    struct loop_timer *timer;
    void (*ended)(struct process *p);
};

struct stock {
    struct stock_settings s;
    struct process store, console;
    bool store_fresh; /* we had to start xenstored: a xenconsoled that runs speaks to one that is gone */
    struct loop_timer *logs;
    uint64_t log_bytes;
    unsigned int log_keep;
};

/* ---- Processes ---- */

static bool runs_program(const char *pid, const char *program)
{
    char link[300], target[PATH_BYTES];
    const char *base;
    ssize_t length;

    snprintf(link, sizeof(link), "/proc/%.250s/exe", pid);
    length = readlink(link, target, sizeof(target) - 1);
    if (length <= 0)
        return false;
    target[length] = '\0';
    base = strrchr(target, '/');
    base = base != NULL ? base + 1 : target;
    /* " (deleted)" follows if a newer one was installed meanwhile. */
    return strncmp(base, program, strlen(program)) == 0 && (base[strlen(program)] == '\0' || base[strlen(program)] == ' ');
}

static pid_t process_find(const char *program)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    pid_t pid = 0;

    while (proc != NULL && pid == 0 && (entry = readdir(proc)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) && runs_program(entry->d_name, program))
            pid = (pid_t)atoi(entry->d_name);
    if (proc != NULL)
        closedir(proc);
    return pid;
}

static void pid_write(const struct process *p)
{
    char path[PATH_BYTES];
    FILE *file;

    snprintf(path, sizeof(path), "%.400s/%.40s.pid", p->stock->s.run_folder, p->name);
    file = fopen(path, "we");
    if (file == NULL)
        return;
    fprintf(file, "%d\n", (int)p->pid);
    fclose(file);
}

static void process_ended(void *arg, uint32_t events)
{
    struct process *p = arg;

    (void)events;
    loop_unwatch(p->watch);
    p->watch = NULL;
    close(p->pidfd);
    p->pidfd = -1;
    p->pid = 0;
    p->ended(p);
}

static int process_watch(struct process *p, pid_t pid)
{
    p->pidfd = pidfd_open(pid, 0);
    if (p->pidfd < 0)
        return -errno;
    p->watch = loop_watch(p->stock->s.loop, p->pidfd, EPOLLIN, process_ended, p);
    if (p->watch == NULL) {
        close(p->pidfd);
        p->pidfd = -1;
        return -ENOMEM;
    }
    p->pid = pid;
    p->started = true;
    p->since_ns = loop_now();
    pid_write(p);
    return 0;
}

/* In the child: a session of its own, nothing of ours open, output to a log. */
static void child_exec(const struct stock *stock, const char *name, char *const *arguments)
{
    char path[PATH_BYTES];
    int null = open("/dev/null", O_RDWR), out;

    snprintf(path, sizeof(path), "%.400s/%.40s.log", stock->s.log_folder, name);
    out = open(path, O_WRONLY | O_CREAT | O_APPEND, 0640);
    setsid();
    loop_child_signals();
    dup2(null, 0);
    dup2(out >= 0 ? out : null, 1);
    dup2(out >= 0 ? out : null, 2);
    close_range(3, ~0u, 0);
    execv(arguments[0], arguments);
    dprintf(2, "%s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

static int process_start(struct process *p, char *const *arguments)
{
    pid_t pid;
    int rc;

    if (access(arguments[0], X_OK) != 0) {
        rc = -errno;
        log_error("%s: %s (its place is set in colletd.ini, section [paths])", arguments[0], strerror(errno));
        return rc;
    }
    pid = fork();
    if (pid == 0)
        child_exec(p->stock, p->name, arguments);
    if (pid < 0)
        return -errno;
    rc = process_watch(p, pid);
    loop_child(p->stock->s.loop, pid, NULL, NULL);
    log_note("%s started, pid %d", p->name, (int)pid);
    return rc;
}

/* One that runs already. */
static bool process_adopt(struct process *p)
{
    pid_t pid = process_find(p->name);

    if (pid == 0 || process_watch(p, pid) != 0)
        return false;
    log_note("%s runs already, pid %d: taken up", p->name, (int)pid);
    return true;
}

/* ---- xenstored ---- */

static int store_run(struct stock *stock)
{
    char pid_path[PATH_BYTES];
    char *arguments[] = {(char *)stock->s.xenstored, "--no-fork", "--pid-file", pid_path, NULL};

    snprintf(pid_path, sizeof(pid_path), "%.400s/xenstored.pid", stock->s.run_folder);
    return process_start(&stock->store, arguments);
}

/* xenconsoled holds on to its connection to the one that is gone. */
static void console_renew(struct stock *stock)
{
    if (stock->console.pid != 0)
        pidfd_send_signal(stock->console.pidfd, SIGKILL, NULL, 0); /* it is started again when it has ended */
    else
        stock_console_start(stock);
}

/* Wait, in the loop, until a new one answers. */
static void store_look(void *arg)
{
    struct stock *stock = arg;

    stock->store.timer = NULL;
    if (stock->store.pid != 0 && store_listens()) {
        log_warning("a new xenstored answers: domains made before it came do not hear requests any more");
        stock->s.store_came(stock->s.arg);
        console_renew(stock);
        return;
    }
    if (stock->store.pid == 0 && store_listens()) /* an operator was quicker */
        process_adopt(&stock->store);
    stock->store.timer = loop_timer(stock->s.loop, LOOK_NS, store_look, stock);
}

static void store_again(void *arg)
{
    struct stock *stock = arg;

    stock->store.timer = NULL;
    if (*stock->s.xenstored != '\0' && !process_adopt(&stock->store) && store_run(stock) != 0)
        log_error("xenstored does not start: see %s/xenstored.log", stock->s.log_folder);
    stock->store.timer = loop_timer(stock->s.loop, LOOK_NS, store_look, stock);
}

/* Later each time that it ended soon. */
static uint64_t restart_delay(struct process *p)
{
    bool quick = loop_now() - p->since_ns < QUICK_NS;

    p->delay_s = !quick ? 0 : p->delay_s == 0 ? 1 : p->delay_s * 2 < DELAY_MAX_S ? p->delay_s * 2 : DELAY_MAX_S;
    return p->delay_s * SECOND_NS;
}

static void store_ended(struct process *p)
{
    log_error("xenstored has ended; running domains go on, and a new one is started");
    loop_timer_cancel(p->timer);
    p->stock->s.store_ended(p->stock->s.arg);
    p->timer = loop_timer(p->stock->s.loop, restart_delay(p), store_again, p->stock);
}

static void sleep_ms(unsigned int ms)
{
    usleep(ms * 1000);
}

int stock_store_start(struct stock *stock)
{
    unsigned int waited;
    int rc;

    if (!process_adopt(&stock->store)) {
        if (*stock->s.xenstored == '\0' && !store_listens()) {
            log_error("no xenstored runs, and colletd.ini names none to start");
            return -ENOENT;
        }
        mkdir("/run/xenstored", 0755);
        mkdir("/run/xen", 0755);
        mkdir("/var/lib/xenstored", 0755);
        rc = store_run(stock);
        stock->store_fresh = true;
        if (rc != 0)
            return rc;
    }
    for (waited = 0; !store_listens(); waited += STORE_STEP_MS) {
        if (waited >= STORE_WAIT_MS) {
            log_error("xenstored does not answer at its socket after %d s: see %s/xenstored.log", STORE_WAIT_MS / 1000, stock->s.log_folder);
            return -ETIMEDOUT;
        }
        sleep_ms(STORE_STEP_MS);
    }
    return 0;
}

/* ---- xenconsoled ---- */

static void console_again(void *arg)
{
    struct stock *stock = arg;

    stock->console.timer = NULL;
    stock_console_start(stock);
}

static void console_ended(struct process *p)
{
    uint64_t delay = restart_delay(p);

    log_error("xenconsoled has ended; guests go on, it is started again%s", delay != 0 ? " soon" : "");
    p->timer = loop_timer(p->stock->s.loop, delay, console_again, p->stock);
}

void stock_console_start(struct stock *stock)
{
    char folder[PATH_BYTES], pid_path[PATH_BYTES];
    char *arguments[] = {(char *)stock->s.xenconsoled, "-i", "--log=guest", folder, pid_path, NULL};

    if (stock->console.pid != 0 || stock->console.timer != NULL)
        return;
    if (process_adopt(&stock->console)) {
        if (stock->store_fresh)
            pidfd_send_signal(stock->console.pidfd, SIGKILL, NULL, 0); /* and started again when it has ended */
        stock->store_fresh = false;
        return;
    }
    stock->store_fresh = false;
    if (*stock->s.xenconsoled == '\0')
        return;
    snprintf(folder, sizeof(folder), "--log-dir=%.400s/console", stock->s.log_folder);
    snprintf(pid_path, sizeof(pid_path), "--pid-file=%.400s/xenconsoled.pid", stock->s.run_folder);
    if (!store_listens() || process_start(&stock->console, arguments) != 0)
        stock->console.timer = loop_timer(stock->s.loop, 5 * SECOND_NS, console_again, stock);
}

static bool log_turn(struct stock *stock, const char *name)
{
    char path[PATH_BYTES];
    size_t length = strlen(name);
    struct stat st;

    if (length < 4 || strcmp(name + length - 4, ".log") != 0)
        return false;
    snprintf(path, sizeof(path), "%.200s/console/%.255s", stock->s.log_folder, name);
    if (stat(path, &st) != 0 || (uint64_t)st.st_size <= stock->log_bytes)
        return false;
    log_turn_over(path, stock->log_keep);
    return true;
}

/* xenconsoled opens its files anew on SIGHUP; until then it writes to the renamed one, so nothing is lost. */
static void logs_look(void *arg)
{
    struct stock *stock = arg;
    char path[PATH_BYTES];
    struct dirent *entry;
    bool turned = false;
    DIR *folder;

    snprintf(path, sizeof(path), "%.400s/console", stock->s.log_folder);
    folder = opendir(path);
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        turned |= log_turn(stock, entry->d_name);
    if (folder != NULL)
        closedir(folder);
    if (turned && stock->console.pid != 0)
        pidfd_send_signal(stock->console.pidfd, SIGHUP, NULL, 0);
    stock->logs = loop_timer(stock->s.loop, LOGS_NS, logs_look, stock);
}

void stock_console_logs(struct stock *stock, uint64_t bytes, unsigned int keep)
{
    stock->log_bytes = bytes;
    stock->log_keep = keep;
    if (stock->logs == NULL && bytes != 0)
        stock->logs = loop_timer(stock->s.loop, LOGS_NS, logs_look, stock);
}

/* ---- Both ---- */

static const char *state(const struct process *p)
{
    return p->pid != 0 ? "running" : p->started ? "ended" : "not started";
}

const char *stock_store_state(const struct stock *stock)
{
    return state(&stock->store);
}

const char *stock_console_state(const struct stock *stock)
{
    return state(&stock->console);
}

struct stock *stock_create(const struct stock_settings *settings)
{
    struct stock *stock = calloc(1, sizeof(*stock));

    if (stock == NULL)
        return NULL;
    stock->s = *settings;
    stock->store = (struct process){.stock = stock, .name = "xenstored", .pidfd = -1, .ended = store_ended};
    stock->console = (struct process){.stock = stock, .name = "xenconsoled", .pidfd = -1, .ended = console_ended};
    return stock;
}

static void process_forget(struct process *p)
{
    loop_unwatch(p->watch);
    loop_timer_cancel(p->timer);
    if (p->pidfd >= 0)
        close(p->pidfd);
}

void stock_destroy(struct stock *stock)
{
    if (stock == NULL)
        return;
    process_forget(&stock->store);
    process_forget(&stock->console);
    loop_timer_cancel(stock->logs);
    free(stock);
}
