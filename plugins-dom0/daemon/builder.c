// SPDX-License-Identifier: MIT
/*
 * Building threads. A thread and the loop share the job's order (written before the thread starts), a flag that says stop, and a pipe with messages of one size, each written in one piece.
 * Contract: builder.h.
 */
#include "builder.h"
#include "log.h"

#include <collet/collet.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define AT_ONCE 2u

struct message {
    int done; /* else progress */
    int rc;
    unsigned int permille;
    char text[400];
    struct build_result result;
};

struct build_job {
    struct build_job *next;
    struct builder *builder;
    char *name, *kernel, *ramdisk, *command_line;
    struct build_order order; /* of the strings above */
    build_progress *progress;
    build_done *done;
    void *arg;
    bool running, failing; /* failing: it could not start and is about to be told so */
    atomic_bool stop;
    int pipe[2];
    pthread_t thread;
    struct loop_watch *watch;
};

struct builder {
    struct loop *loop;
    char *cache_folder;
    struct build_job *jobs; /* in order of asking */
};

/* ---- In the thread ---- */

static void message_send(struct build_job *job, const struct message *message)
{
    if (write(job->pipe[1], message, sizeof(*message)) != (ssize_t)sizeof(*message))
        log_error("%s: a message of its builder is lost: %s", job->name, strerror(errno));
}

static int thread_progress(void *arg, unsigned int permille, const char *what)
{
    struct build_job *job = arg;
    struct message message = {.permille = permille};

    snprintf(message.text, sizeof(message.text), "%s", what);
    message_send(job, &message);
    return atomic_load(&job->stop);
}

static int thread_cancelled(void *arg)
{
    return atomic_load(&((struct build_job *)arg)->stop);
}

static int thread_build(struct build_job *job, struct collet *c, struct build_result *result)
{
    struct collet_image *image = NULL;
    struct collet_built built = {0};
    int rc;

    collet_set_cancel(c, thread_cancelled, job);
    thread_progress(job, 0, "reading the kernel");
    rc = collet_image_open(c, job->kernel, job->builder->cache_folder, &image);
    if (rc == 0) {
        struct collet_build build = {.name = job->name,
                                     .image = image,
                                     .ramdisk = job->ramdisk,
                                     .command_line = job->command_line,
                                     .vcpus = job->order.vcpus,
                                     .memory_frames = job->order.frames,
                                     .memory_frames_max = job->order.frames_max,
                                     .rings = true,
                                     .progress = thread_progress,
                                     .progress_arg = job};

        rc = collet_domain_build(c, &build, &built);
        collet_image_close(image);
    }
    *result = (struct build_result){
        .domid = built.domid, .console_port = built.console_port, .store_port = built.store_port, .console_mfn = built.console_mfn, .store_mfn = built.store_mfn};
    return rc;
}

static void *thread_main(void *arg)
{
    struct build_job *job = arg;
    struct message message = {.done = 1};
    struct collet *c = NULL;

    message.rc = collet_open(&c);
    if (message.rc == 0)
        message.rc = thread_build(job, c, &message.result);
    if (message.rc != 0)
        snprintf(message.text, sizeof(message.text), "%s", c != NULL && collet_error(c)[0] != '\0' ? collet_error(c) : strerror(-message.rc));
    collet_close(c);
    message_send(job, &message);
    return NULL;
}

/* ---- In the loop ---- */

static void job_free(struct build_job *job)
{
    struct build_job **at = &job->builder->jobs;

    while (*at != NULL && *at != job)
        at = &(*at)->next;
    if (*at != NULL)
        *at = job->next;
    loop_unwatch(job->watch);
    if (job->pipe[0] >= 0) {
        close(job->pipe[0]);
        close(job->pipe[1]);
    }
    free(job->name);
    free(job->kernel);
    free(job->ramdisk);
    free(job->command_line);
    free(job);
}

static void jobs_start(struct builder *builder);

static void job_finish(struct build_job *job, const struct message *message)
{
    struct builder *builder = job->builder;
    build_done *done = job->done;
    void *arg = job->arg;

    if (job->running)
        pthread_join(job->thread, NULL);
    job_free(job);
    done(arg, message->rc, message->text, &message->result);
    jobs_start(builder);
}

static void job_readable(void *arg, uint32_t events)
{
    struct build_job *job = arg;
    struct message message;

    (void)events;
    while (read(job->pipe[0], &message, sizeof(message)) == (ssize_t)sizeof(message)) {
        if (message.done) {
            job_finish(job, &message);
            return;
        }
        job->progress(job->arg, message.permille, message.text);
    }
}

static int job_start(struct build_job *job)
{
    sigset_t all, before;
    int rc;

    if (pipe2(job->pipe, O_CLOEXEC) != 0)
        return -errno;
    fcntl(job->pipe[0], F_SETFL, O_NONBLOCK);
    job->watch = loop_watch(job->builder->loop, job->pipe[0], EPOLLIN, job_readable, job);
    if (job->watch == NULL)
        return -errno;
    /* Signals are for the loop's thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = -pthread_create(&job->thread, NULL, thread_main, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    job->running = rc == 0;
    return rc;
}

static void job_failed(void *arg)
{
    struct build_job *job = arg;
    struct message message = {.done = 1, .rc = atomic_load(&job->stop) ? -ECANCELED : -EAGAIN};

    snprintf(message.text, sizeof(message.text), "%s", message.rc == -ECANCELED ? "cancelled" : "no thread or pipe for its builder");
    job_finish(job, &message);
}

/* Start as many as may run. A job that cannot is told so by the loop, not from here. */
static void jobs_start(struct builder *builder)
{
    struct build_job *job;
    unsigned int running = 0;

    for (job = builder->jobs; job != NULL && running < AT_ONCE; job = job->next) {
        running++;
        if (job->running || job->failing || (!atomic_load(&job->stop) && job_start(job) == 0))
            continue;
        job->failing = true;
        if (loop_timer(builder->loop, 0, job_failed, job) == NULL)
            log_error("%s: no memory", job->name);
    }
}

struct build_job *builder_start(struct builder *builder, const struct build_order *order, build_progress *progress, build_done *done, void *arg)
{
    struct build_job *job = calloc(1, sizeof(*job)), **at = &builder->jobs;

    if (job == NULL)
        return NULL;
    *job = (struct build_job){.builder = builder, .order = *order, .progress = progress, .done = done, .arg = arg, .pipe = {-1, -1}};
    job->name = strdup(order->name);
    job->kernel = strdup(order->kernel);
    job->ramdisk = order->ramdisk != NULL ? strdup(order->ramdisk) : NULL;
    job->command_line = strdup(order->command_line);
    if (job->name == NULL || job->kernel == NULL || job->command_line == NULL || (order->ramdisk != NULL && job->ramdisk == NULL)) {
        job_free(job);
        return NULL;
    }
    while (*at != NULL)
        at = &(*at)->next;
    *at = job;
    jobs_start(builder);
    return job;
}

/* One that waits its turn ends when that comes, which is soon enough. */
void builder_cancel(struct build_job *job)
{
    atomic_store(&job->stop, true);
}

struct builder *builder_create(struct loop *loop, const char *cache_folder)
{
    struct builder *builder = calloc(1, sizeof(*builder));

    if (builder == NULL)
        return NULL;
    builder->loop = loop;
    builder->cache_folder = cache_folder != NULL ? strdup(cache_folder) : NULL;
    return builder;
}

void builder_destroy(struct builder *builder)
{
    struct build_job *job;

    if (builder == NULL)
        return;
    for (job = builder->jobs; job != NULL; job = job->next)
        atomic_store(&job->stop, true);
    while ((job = builder->jobs) != NULL) {
        loop_unwatch(job->watch);
        job->watch = NULL;
        if (job->pipe[0] >= 0)
            close(job->pipe[0]); /* a thread that waits for room in the pipe goes on */
        if (job->running)
            pthread_join(job->thread, NULL);
        if (job->pipe[1] >= 0)
            close(job->pipe[1]);
        job->pipe[0] = job->pipe[1] = -1;
        job_free(job);
    }
    free(builder->cache_folder);
    free(builder);
}
