/* SPDX-License-Identifier: MIT */
/*
 * The daemon's event loop: file descriptors, timers, children and signals, all in one thread.
 *
 * Everything in colletd happens in a callback from here, and no callback may block. Whatever takes long (building a domain) runs in a thread or a process of its own and comes back through a pipe.
 * Times are CLOCK_MONOTONIC nanoseconds (loop_now), which are not the hypervisor's.
 * Tests: test-loop.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct loop_watch;
struct loop_timer;

/* NULL: no memory or descriptors (errno). Blocks SIGCHLD and SIGPIPE's death in this process: children end up in loop_child, broken pipes in EPIPE. */
struct loop *loop_create(void);
void loop_destroy(struct loop *loop);
/* Until loop_stop. */
void loop_run(struct loop *loop);
/* One round: wait at most timeout_ms (-1: until something happens), call what is due. For tests. */
void loop_step(struct loop *loop, int timeout_ms);
void loop_stop(struct loop *loop);
uint64_t loop_now(void);

/*
 * Watch a descriptor; `events` are EPOLLIN, EPOLLOUT (EPOLLHUP and EPOLLERR always come). The descriptor stays the caller's. NULL: errno. One watch for a descriptor.
 * loop_unwatch may be called from any callback, that watch's own too; after it fn is not called any more. It goes before close().
 */
typedef void loop_fd_fn(void *arg, uint32_t events);
struct loop_watch *loop_watch(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *arg);
int loop_watch_events(struct loop_watch *watch, uint32_t events);
void loop_unwatch(struct loop_watch *watch); /* NULL: nothing */

/* Call fn once, `after_ns` from now. The timer is gone when fn is called (fn may make a new one). loop_timer_cancel is for timers that have not fired. NULL: no memory. */
typedef void loop_timer_fn(void *arg);
struct loop_timer *loop_timer(struct loop *loop, uint64_t after_ns, loop_timer_fn *fn, void *arg);
void loop_timer_cancel(struct loop_timer *timer); /* NULL: nothing */

/* Call fn once when the child has ended, with waitpid's status. It works for a child that has ended already. fn NULL: not interested any more, but reap it. 0 or -errno. */
typedef void loop_child_fn(void *arg, pid_t pid, int status);
int loop_child(struct loop *loop, pid_t pid, loop_child_fn *fn, void *arg);

/* Call fn in the loop each time the signal comes; it is blocked from now on. A child must unblock signals before exec: loop_child_signals. */
typedef void loop_signal_fn(void *arg, int number);
int loop_signal(struct loop *loop, int number, loop_signal_fn *fn, void *arg);
/* In a forked child, before exec: signals as a program expects them. */
void loop_child_signals(void);
