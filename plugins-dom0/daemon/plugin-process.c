// SPDX-License-Identifier: MIT
/*
 * One worker process as the daemon sees it: started, spoken with, limited in time, and buried.
 *
 * All input is hostile: a plugin may have taken its process over. So each message is bounded, has its place in the order of plugin-wire.h, and at most a few are read a round; a worker that breaks a rule is killed.
 * Each call has one deadline, from the first byte sent to DONE.
 * Contract: plugin-host.h.  Tests: test-plugin-host.c.
 */
#include "plugin-host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define IN_BYTES (sizeof(struct plugin_head) + PLUGIN_WIRE_ANSWER_MAX)
#define READS_A_ROUND 16
#define LOAD_LIMIT_CALLS 5 /* starting a process and linking it may take as long as so many calls */

static const char *call_name(const struct plugin_worker *w)
{
    switch (w->phase == PHASE_LOADING ? PLUGIN_MESSAGE_HELLO : w->call) {
    case PLUGIN_MESSAGE_HELLO: return "loading";
    case PLUGIN_MESSAGE_CONFIGURE: return "configure";
    case PLUGIN_MESSAGE_UPDATE: return "update";
    case PLUGIN_MESSAGE_ADMIT: return "admit";
    case PLUGIN_MESSAGE_END: return "end";
    default: return "no call";
    }
}

static void answer_clear(struct plugin_worker *w)
{
    for (uint32_t i = 0; i < w->ask_count; i++) {
        free(w->asks[i].name);
        free(w->asks[i].why);
    }
    free(w->asks);
    free(w->errors);
    free(w->rules);
    w->asks = NULL;
    w->errors = NULL;
    w->rules = NULL;
    w->rules_bytes = 0;
    w->rules_said = false;
    w->ask_count = w->say_count = 0;
}

/* No more words with it. The process is reaped by the loop whenever it ends. */
static void worker_close(struct plugin_worker *w)
{
    if (w->phase == PHASE_DEAD)
        return;
    w->phase = PHASE_DEAD;
    loop_timer_cancel(w->deadline);
    w->deadline = NULL;
    loop_unwatch(w->watch);
    w->watch = NULL;
    close(w->fd);
    close(w->errors_fd);
}

static void worker_delete(struct plugin_worker *w)
{
    worker_close(w);
    answer_clear(w);
    plugin_pack_free(&w->out);
    free(w->hello.summary);
    free(w->hello.help);
    free(w->in);
    free(w);
}

static void worker_lost(struct plugin_worker *w, bool refused, const char *why)
{
    worker_close(w);
    w->ops->lost(w->arg, w, refused, why);
    worker_delete(w);
}

/* Keep the end of what it has written to its standard error: the C library tells there why it aborts, and so does assert(). */
static void printed_take(struct plugin_worker *w)
{
    size_t used = strlen(w->printed), keep;
    char bytes[sizeof(w->printed) / 2];
    ssize_t n;

    while ((n = read(w->errors_fd, bytes, sizeof(bytes))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (bytes[i] < ' ' || bytes[i] == 0x7f)
                bytes[i] = ' ';
        keep = used + (size_t)n < sizeof(w->printed) ? used : sizeof(w->printed) - 1 - (size_t)n;
        memmove(w->printed, w->printed + used - keep, keep);
        memcpy(w->printed + keep, bytes, (size_t)n);
        used = keep + (size_t)n;
        w->printed[used] = '\0';
    }
}

static void status_text(const struct plugin_worker *w, const char *where, int status, char *text, size_t bytes)
{
    if (w->overrun)
        snprintf(text, bytes, "no answer in %s after %llu ms: killed", where, (unsigned long long)(w->limit_ns / NS_PER_MS));
    else if (WIFSIGNALED(status))
        snprintf(text, bytes, "crashed in %s: signal %d (%s)", where, WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == WORKER_NO_MEMORY)
        snprintf(text, bytes, "out of memory in %s (limit %llu MiB)", where, (unsigned long long)(w->memory_limit_bytes >> 20));
    else if (WEXITSTATUS(status) == WORKER_NO_RIGHTS)
        snprintf(text, bytes, "plugin-worker could not give up its rights, and therefore did not load the plugin");
    else if (WEXITSTATUS(status) == 127)
        snprintf(text, bytes, "plugin-worker could not be started");
    else
        snprintf(text, bytes, "ended in %s by itself, status %d", where, WEXITSTATUS(status));
}

/* Dead, and not to be heard of again. */
static void worker_slay(struct plugin_worker *w)
{
    if (w->pid != 0) {
        kill(w->pid, SIGKILL);
        loop_child(w->loop, w->pid, NULL, NULL);
        w->pid = 0;
    }
}

/* It broke a rule: kill it, and say which. */
static void worker_kill(struct plugin_worker *w, const char *why)
{
    worker_slay(w);
    worker_lost(w, false, why);
}

static void worker_overrun(void *arg)
{
    struct plugin_worker *w = arg;

    w->deadline = NULL;
    w->overrun = true;
    if (w->pid != 0)
        kill(w->pid, SIGKILL); /* worker_ended() tells the rest */
}

static void worker_arm(struct plugin_worker *w, uint64_t limit_ns)
{
    loop_timer_cancel(w->deadline);
    w->limit_ns = limit_ns;
    w->deadline = loop_timer(w->loop, limit_ns, worker_overrun, w);
}

/* ---- What it says ---- */

/* Text from a worker goes to terminals and logs: nothing but printable ASCII and line ends. */
static char *clean_text(const char *text)
{
    char *copy = strdup(text);

    for (char *c = copy; c != NULL && *c != '\0'; c++)
        if ((*c < ' ' && *c != '\n') || *c == 0x7f)
            *c = '?';
    return copy;
}

/* False: it was refused, and is gone. */
static bool take_hello(struct plugin_worker *w, struct plugin_unpack *u)
{
    int rc = (int)plugin_unpack_u64(u);
    const char *text;

    if (rc != 0) {
        char *why = clean_text(plugin_unpack_text(u));

        worker_slay(w);
        worker_lost(w, true, why != NULL ? why : "no memory");
        free(why);
        return false;
    }
    w->hello.kind = (uint32_t)plugin_unpack_u64(u);
    w->hello.interval_ms = (uint32_t)plugin_unpack_u64(u);
    plugin_unpack_text(u); /* its name, which it has checked */
    w->hello.summary = clean_text(plugin_unpack_text(u));
    w->hello.help = clean_text(plugin_unpack_text(u));
    text = plugin_unpack_text(u); /* a note */
    loop_timer_cancel(w->deadline);
    w->deadline = NULL;
    w->phase = PHASE_IDLE;
    if (text[0] != '\0')
        w->ops->said(w->arg, w, 1, text);
    w->ops->hello(w->arg, w);
    return true;
}

static void take_rules(struct plugin_worker *w, struct plugin_unpack *u)
{
    uint32_t order = (uint32_t)plugin_unpack_u64(u);
    const char *piece = plugin_unpack_text(u);
    size_t bytes = strlen(piece);
    char *rules;

    if (w->rules_bytes > COLLET_PLUGIN_RULES_MAX)
        return; /* one more than allowed is kept: the answer is refused for it */
    rules = realloc(w->rules, w->rules_bytes + bytes + 1);
    if (rules == NULL) {
        u->failed = true;
        return;
    }
    memcpy(rules + w->rules_bytes, piece, bytes + 1);
    w->rules = rules;
    w->rules_bytes += bytes;
    w->rules_order = order;
    w->rules_said = true;
}

static void take_set(struct plugin_worker *w, struct plugin_unpack *u, bool of_disk)
{
    struct plugin_ask ask, *asks;

    if (w->ask_count > PLUGIN_VALUES_MAX)
        return; /* one more than allowed is kept: the answer is refused for it */
    ask.domid = of_disk ? plugin_disk_place((uint32_t)plugin_unpack_u64(u)) : (uint32_t)plugin_unpack_u64(u);
    ask.vcpu = (uint32_t)plugin_unpack_u64(u);
    ask.value = plugin_unpack_double(u);
    ask.name = clean_text(plugin_unpack_text(u));
    ask.why = clean_text(plugin_unpack_text(u));
    asks = realloc(w->asks, (w->ask_count + 1) * sizeof(*asks));
    if (asks != NULL)
        w->asks = asks;
    if (asks == NULL || ask.name == NULL || ask.why == NULL) {
        free(ask.name);
        free(ask.why);
        u->failed = true;
        return;
    }
    w->asks[w->ask_count++] = ask;
}

static void take_say(struct plugin_worker *w, struct plugin_unpack *u)
{
    int level = (int)plugin_unpack_u64(u);
    char *text = clean_text(plugin_unpack_text(u)), *errors;

    if (text == NULL || u->failed || w->say_count++ >= PLUGIN_SAYS_MAX) {
        free(text);
        return;
    }
    level = level < 0 ? 0 : level > 2 ? 2 : level;
    if (level == 2 && asprintf(&errors, "%s%s%s", w->errors != NULL ? w->errors : "", w->errors != NULL ? "\n" : "", text) >= 0) {
        free(w->errors);
        w->errors = errors;
    }
    w->ops->said(w->arg, w, level, text);
    free(text);
}

static void take_done(struct plugin_worker *w, struct plugin_unpack *u)
{
    int rc = (int)plugin_unpack_u64(u);

    if (u->failed || w->ending) /* one that ends has to be gone in time, too */
        return;
    loop_timer_cancel(w->deadline);
    w->deadline = NULL;
    w->phase = PHASE_IDLE;
    printed_take(w); /* room for more; what was said in a call that went well is nobody's business */
    w->printed[0] = '\0';
    w->ops->answered(w->arg, w, w->call, rc);
}

/* False: the worker is gone. `in` stays valid as long as it is not. */
static bool take_message(struct plugin_worker *w, const struct plugin_head *head, const char *body)
{
    struct plugin_unpack u = {.at = body, .end = body + head->bytes};
    bool in_call = w->phase == PHASE_CALL && head->call == w->call_number;

    if (head->kind == PLUGIN_MESSAGE_HELLO && w->phase == PHASE_LOADING) {
        if (!take_hello(w, &u))
            return false;
    } else if ((head->kind == PLUGIN_MESSAGE_SET || head->kind == PLUGIN_MESSAGE_SET_DISK) && in_call) {
        take_set(w, &u, head->kind == PLUGIN_MESSAGE_SET_DISK);
    } else if (head->kind == PLUGIN_MESSAGE_RULES && in_call) {
        take_rules(w, &u);
    } else if (head->kind == PLUGIN_MESSAGE_SAY && in_call) {
        take_say(w, &u);
    } else if (head->kind == PLUGIN_MESSAGE_DONE && in_call) {
        take_done(w, &u);
    } else {
        u.failed = true;
    }
    if (u.failed) {
        worker_kill(w, "sent something that is no answer: its process is damaged");
        return false;
    }
    return true;
}

/* Whose message is being taken; NULL again if an op frees that worker meanwhile. */
static struct plugin_worker *reading;

static bool take_messages(struct plugin_worker *w)
{
    struct plugin_head head;
    size_t at = 0;

    while (w->in_used - at >= sizeof(head)) {
        memcpy(&head, w->in + at, sizeof(head));
        if (head.version != PLUGIN_WIRE_VERSION || head.bytes > PLUGIN_WIRE_ANSWER_MAX) {
            worker_kill(w, "sent something that is no message: its process is damaged");
            return false;
        }
        if (w->in_used - at < sizeof(head) + head.bytes)
            break;
        reading = w;
        if (!take_message(w, &head, w->in + at + sizeof(head)) || reading != w)
            return false;
        reading = NULL;
        at += sizeof(head) + head.bytes;
    }
    memmove(w->in, w->in + at, w->in_used - at);
    w->in_used -= at;
    return true;
}

/* False: the worker is gone. */
static bool worker_read(struct plugin_worker *w)
{
    for (int round = 0; round < READS_A_ROUND; round++) {
        ssize_t n = read(w->fd, w->in + w->in_used, IN_BYTES - w->in_used);

        if (n > 0) {
            w->in_used += (size_t)n;
            if (!take_messages(w))
                return false;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        /* Its end is closed: it has ended, or is about to be found out by its deadline. */
        loop_unwatch(w->watch);
        w->watch = NULL;
        if (w->deadline == NULL && !w->overrun)
            worker_arm(w, w->call_limit_ns);
        return true;
    }
    return true;
}

/* The process has ended by itself. What it said before may still be in the socket. */
static void worker_ended(void *arg, pid_t pid, int status)
{
    struct plugin_worker *w = arg;
    char text[160 + PLUGIN_PRINTED_MAX];
    size_t used;

    (void)pid;
    w->pid = 0;
    if (w->watch != NULL && !worker_read(w))
        return;
    status_text(w, w->phase == PHASE_IDLE ? "no call" : call_name(w), status, text, sizeof(text));
    printed_take(w);
    used = strlen(text);
    if (w->printed[0] != '\0')
        snprintf(text + used, sizeof(text) - used, "; it printed: %s", w->printed);
    worker_lost(w, false, text);
}

static void worker_write(struct plugin_worker *w)
{
    while (w->sent < w->out.used) {
        ssize_t n = send(w->fd, w->out.data + w->sent, w->out.used - w->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; /* full: later. Gone: its death will be told. */
        w->sent += (size_t)n;
    }
    if (w->watch != NULL)
        loop_watch_events(w->watch, w->sent < w->out.used && errno == EAGAIN ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void worker_io(void *arg, uint32_t events)
{
    struct plugin_worker *w = arg;

    if ((events & EPOLLOUT) != 0)
        worker_write(w);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        worker_read(w);
}

/* ---- Starting, calling, ending ---- */

static int worker_spawn(struct plugin_worker *w, const struct plugins_settings *settings, const char *path, const char *name, int fd, int errors_fd)
{
    char memory[32], user[16];
    char *argv[] = {(char *)"plugin-worker", (char *)path, (char *)name, memory, user, NULL}, *environment[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int rc;

    snprintf(memory, sizeof(memory), "%llu", (unsigned long long)w->memory_limit_bytes);
    snprintf(user, sizeof(user), "%u", settings->worker_uid != 0 ? settings->worker_uid : 65534);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&files, fd, PLUGIN_WIRE_FD);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files, errors_fd, 2);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    rc = -posix_spawn(&w->pid, settings->worker, &files, &attributes, argv, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return rc;
}

/* A pair of descriptors, of which the worker gets [1], and we keep [0], which never blocks: for speaking, or one way for its errors. [1] has a number that the spawned process's own do not collide with. */
static int pair_open(int ends[2], bool one_way)
{
    int high, rc = one_way ? pipe2(ends, O_CLOEXEC | O_NONBLOCK) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);

    if (rc != 0)
        return -errno;
    high = fcntl(ends[1], F_DUPFD_CLOEXEC, 16);
    if (high < 0) {
        rc = -errno;
        close(ends[0]);
        close(ends[1]);
        return rc;
    }
    close(ends[1]);
    ends[1] = high;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return 0;
}

/* Both pairs, and the process that has the other ends of them. */
static int worker_connect(struct plugin_worker *w, const struct plugins_settings *settings, const char *path, const char *name)
{
    int speaking[2], errors[2];
    int rc = pair_open(speaking, false);

    if (rc != 0)
        return rc;
    rc = pair_open(errors, true);
    if (rc == 0) {
        w->fd = speaking[0];
        w->errors_fd = errors[0];
        rc = worker_spawn(w, settings, path, name, speaking[1], errors[1]);
        close(errors[1]);
        if (rc != 0)
            close(errors[0]);
    }
    close(speaking[1]);
    if (rc != 0)
        close(speaking[0]);
    return rc;
}

struct plugin_worker *plugin_worker_start(const struct plugins_settings *settings, const char *path, const char *name, uint64_t call_limit_ns, const struct plugin_worker_ops *ops, void *arg)
{
    struct plugin_worker *w = calloc(1, sizeof(*w));
    int rc;

    if (w == NULL)
        return NULL;
    *w = (struct plugin_worker){.loop = settings->loop, .ops = ops, .arg = arg, .fd = -1, .call_limit_ns = call_limit_ns, .memory_limit_bytes = settings->memory_limit_bytes};
    w->in = malloc(IN_BYTES);
    rc = w->in != NULL ? worker_connect(w, settings, path, name) : -ENOMEM;
    if (rc != 0) {
        free(w->in);
        free(w);
        errno = -rc;
        return NULL;
    }
    w->watch = loop_watch(w->loop, w->fd, EPOLLIN, worker_io, w);
    loop_child(w->loop, w->pid, worker_ended, w);
    worker_arm(w, LOAD_LIMIT_CALLS * call_limit_ns);
    return w;
}

int plugin_worker_call(struct plugin_worker *w, enum plugin_message call, void (*fill)(struct plugin_pack *p, void *arg), void *arg)
{
    if (w->phase != PHASE_IDLE)
        return -EBUSY;
    answer_clear(w);
    w->out.used = w->sent = 0;
    plugin_pack_begin(&w->out, call, ++w->call_number);
    if (fill != NULL)
        fill(&w->out, arg);
    plugin_pack_end(&w->out);
    if (w->out.failed || w->out.used > PLUGIN_WIRE_CALL_MAX) {
        plugin_pack_free(&w->out);
        return -ENOMEM;
    }
    w->phase = PHASE_CALL;
    w->call = call;
    worker_arm(w, w->call_limit_ns);
    worker_write(w);
    return 0;
}

void plugin_worker_end(struct plugin_worker *w)
{
    w->ending = true;
    if (w->phase != PHASE_IDLE || plugin_worker_call(w, PLUGIN_MESSAGE_END, NULL, NULL) != 0) {
        if (w->pid != 0)
            kill(w->pid, SIGKILL);
    }
}

void plugin_worker_free(struct plugin_worker *w)
{
    if (reading == w)
        reading = NULL;
    worker_slay(w);
    worker_delete(w);
}

bool plugin_worker_world(const struct plugin_worker *w, struct plugin_unpack *u, struct collet_plugin_world *world)
{
    struct collet_plugin_request request;

    *u = (struct plugin_unpack){.at = w->out.data + sizeof(struct plugin_head), .end = w->out.data + w->out.used};
    if (w->call == PLUGIN_MESSAGE_ADMIT)
        plugin_unpack_request(u, &request);
    else
        plugin_unpack_u64(u);
    plugin_unpack_world(u, world);
    return !u->failed;
}
