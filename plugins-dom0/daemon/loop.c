// SPDX-License-Identifier: MIT
/*
 * The daemon's event loop over epoll, with timers in a sorted list (there are tens of them) and signals through a signalfd.
 * Watches that go while a round is being handed out are freed at its end, so that no callback is called for one that is gone.
 * Contract: loop.h.  Tests: test-loop.c.
 */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOP_EVENTS 64
#define NS_PER_MS 1000000ull

struct loop_watch {
    struct loop *loop;
    struct loop_watch *next;
    int fd;
    loop_fd_fn *fn; /* NULL: gone */
    void *arg;
};

struct loop_timer {
    struct loop *loop;
    struct loop_timer *next; /* ascending due_ns */
    uint64_t due_ns;
    loop_timer_fn *fn;
    void *arg;
};

struct loop_child {
    struct loop_child *next;
    pid_t pid;
    int status;
    bool ended;
    loop_child_fn *fn;
    void *arg;
};

struct loop_signal {
    struct loop_signal *next;
    int number;
    loop_signal_fn *fn;
    void *arg;
};

struct loop {
    int epoll, signals;
    sigset_t mask;
    bool stopping;
    struct loop_watch *watches, *signal_watch;
    bool watches_gone;
    struct loop_timer *timers;
    struct loop_child *children;
    struct loop_signal *handlers;
};

uint64_t loop_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- Descriptors ---- */

struct loop_watch *loop_watch(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *arg)
{
    struct loop_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        return NULL;
    *watch = (struct loop_watch){.loop = loop, .next = loop->watches, .fd = fd, .fn = fn, .arg = arg};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = events, .data.ptr = watch}) != 0) {
        free(watch);
        return NULL;
    }
    loop->watches = watch;
    return watch;
}

int loop_watch_events(struct loop_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    return epoll_ctl(watch->loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) == 0 ? 0 : -errno;
}

void loop_unwatch(struct loop_watch *watch)
{
    if (watch == NULL || watch->fn == NULL)
        return;
    epoll_ctl(watch->loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fn = NULL;
    watch->loop->watches_gone = true;
}

static void loop_sweep(struct loop *loop)
{
    struct loop_watch **at = &loop->watches, *watch;

    if (!loop->watches_gone)
        return;
    loop->watches_gone = false;
    while ((watch = *at) != NULL) {
        if (watch->fn != NULL) {
            at = &watch->next;
            continue;
        }
        *at = watch->next;
        free(watch);
    }
}

/* ---- Timers ---- */

struct loop_timer *loop_timer(struct loop *loop, uint64_t after_ns, loop_timer_fn *fn, void *arg)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer)), **at = &loop->timers;

    if (timer == NULL)
        return NULL;
    *timer = (struct loop_timer){.loop = loop, .due_ns = loop_now() + after_ns, .fn = fn, .arg = arg};
    while (*at != NULL && (*at)->due_ns <= timer->due_ns)
        at = &(*at)->next;
    timer->next = *at;
    *at = timer;
    return timer;
}

void loop_timer_cancel(struct loop_timer *timer)
{
    struct loop_timer **at;

    if (timer == NULL)
        return;
    for (at = &timer->loop->timers; *at != NULL; at = &(*at)->next)
        if (*at == timer) {
            *at = timer->next;
            free(timer);
            return;
        }
}

/* Those that were due when it began: a timer that sets itself anew with no delay does not keep the loop here. */
static void loop_fire(struct loop *loop)
{
    uint64_t now = loop_now();

    while (loop->timers != NULL && loop->timers->due_ns <= now && !loop->stopping) {
        struct loop_timer *timer = loop->timers;
        loop_timer_fn *fn = timer->fn;
        void *arg = timer->arg;

        loop->timers = timer->next;
        free(timer);
        fn(arg);
    }
}

static int loop_timeout(const struct loop *loop, int timeout_ms)
{
    uint64_t now = loop_now(), ms;

    if (loop->timers == NULL)
        return timeout_ms;
    if (loop->timers->due_ns <= now)
        return 0;
    ms = (loop->timers->due_ns - now + NS_PER_MS - 1) / NS_PER_MS;
    if (ms > 3600000)
        ms = 3600000;
    return timeout_ms >= 0 && (uint64_t)timeout_ms < ms ? timeout_ms : (int)ms;
}

/* ---- Children and signals ---- */

int loop_child(struct loop *loop, pid_t pid, loop_child_fn *fn, void *arg)
{
    struct loop_child *child;

    for (child = loop->children; child != NULL; child = child->next)
        /* One that has ended, and is still to be told of, can be called off; a new one of the same number cannot be it. */
        if (child->pid == pid && (!child->ended || fn == NULL)) {
            child->fn = fn;
            child->arg = arg;
            return 0;
        }
    child = calloc(1, sizeof(*child));
    if (child == NULL)
        return -ENOMEM;
    *child = (struct loop_child){.next = loop->children, .pid = pid, .fn = fn, .arg = arg};
    loop->children = child;
    /* It may have ended before anybody asked: look again in the next round. */
    kill(getpid(), SIGCHLD);
    return 0;
}

/* Mark all first, then call: a callback may start another child, even with the same pid. */
static void loop_reap(struct loop *loop)
{
    struct loop_child *child, **at;

    for (child = loop->children; child != NULL; child = child->next)
        if (!child->ended && waitpid(child->pid, &child->status, WNOHANG) != 0)
            child->ended = true;
    for (at = &loop->children; (child = *at) != NULL;) {
        if (!child->ended) {
            at = &child->next;
            continue;
        }
        *at = child->next;
        if (child->fn != NULL)
            child->fn(child->arg, child->pid, child->status);
        free(child);
        at = &loop->children;
    }
}

static void loop_signalled(void *arg, uint32_t events)
{
    struct loop *loop = arg;
    struct signalfd_siginfo info;
    struct loop_signal *handler;

    (void)events;
    while (read(loop->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            loop_reap(loop);
            continue;
        }
        for (handler = loop->handlers; handler != NULL; handler = handler->next)
            if (handler->number == (int)info.ssi_signo)
                handler->fn(handler->arg, handler->number);
    }
}

int loop_signal(struct loop *loop, int number, loop_signal_fn *fn, void *arg)
{
    struct loop_signal *handler = calloc(1, sizeof(*handler));

    if (handler == NULL)
        return -ENOMEM;
    *handler = (struct loop_signal){.next = loop->handlers, .number = number, .fn = fn, .arg = arg};
    loop->handlers = handler;
    sigaddset(&loop->mask, number);
    sigprocmask(SIG_BLOCK, &loop->mask, NULL);
    return signalfd(loop->signals, &loop->mask, 0) >= 0 ? 0 : -errno;
}

void loop_child_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

/* ---- The loop ---- */

struct loop *loop_create(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (loop == NULL)
        return NULL;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&loop->mask);
    sigaddset(&loop->mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &loop->mask, NULL);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->signals = signalfd(-1, &loop->mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (loop->epoll >= 0 && loop->signals >= 0)
        loop->signal_watch = loop_watch(loop, loop->signals, EPOLLIN, loop_signalled, loop);
    if (loop->signal_watch == NULL) {
        loop_destroy(loop);
        return NULL;
    }
    return loop;
}

void loop_destroy(struct loop *loop)
{
    struct loop_watch *watch;

    if (loop == NULL)
        return;
    for (watch = loop->watches; watch != NULL; watch = watch->next)
        loop_unwatch(watch);
    loop_sweep(loop);
    while (loop->timers != NULL)
        loop_timer_cancel(loop->timers);
    while (loop->children != NULL) {
        struct loop_child *child = loop->children;
        loop->children = child->next;
        free(child);
    }
    while (loop->handlers != NULL) {
        struct loop_signal *handler = loop->handlers;
        loop->handlers = handler->next;
        free(handler);
    }
    if (loop->signals >= 0)
        close(loop->signals);
    if (loop->epoll >= 0)
        close(loop->epoll);
    free(loop);
}

void loop_step(struct loop *loop, int timeout_ms)
{
    struct epoll_event events[LOOP_EVENTS];
    int i, count = epoll_wait(loop->epoll, events, LOOP_EVENTS, loop_timeout(loop, timeout_ms));

    for (i = 0; i < count && !loop->stopping; i++) {
        struct loop_watch *watch = events[i].data.ptr;

        if (watch->fn != NULL)
            watch->fn(watch->arg, events[i].events);
    }
    loop_sweep(loop);
    loop_fire(loop);
}

void loop_run(struct loop *loop)
{
    loop->stopping = false;
    while (!loop->stopping)
        loop_step(loop, -1);
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}
