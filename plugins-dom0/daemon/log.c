// SPDX-License-Identifier: MIT
/*
 * The daemon's log. A lock around everything: builder threads write too. The last lines are kept in a ring.
 * Contract: log.h.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TAIL_LINES 512
#define LINE_MAX_BYTES 1200

static struct {
    pthread_mutex_t lock; /* all below */
    char *path;
    int fd, too;
    uint64_t bytes, bytes_max;
    unsigned int keep;
    char *tail[TAIL_LINES];
    unsigned int next;
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

static int file_open(void)
{
    struct stat st;

    the_log.fd = open(the_log.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (the_log.fd < 0)
        return -errno;
    the_log.bytes = fstat(the_log.fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    return 0;
}

static void file_close(void)
{
    if (the_log.fd >= 0)
        close(the_log.fd);
    the_log.fd = -1;
}

void log_turn_over(const char *path, unsigned int keep)
{
    char from[512], to[512];
    unsigned int i;

    if (keep == 0) {
        unlink(path);
        return;
    }
    for (i = keep - 1; i > 0; i--) {
        snprintf(from, sizeof(from), "%.490s.%u", path, i);
        snprintf(to, sizeof(to), "%.490s.%u", path, i + 1);
        rename(from, to);
    }
    snprintf(to, sizeof(to), "%.490s.1", path);
    rename(path, to);
}

int log_open(const char *path, uint64_t bytes_max, unsigned int keep, int too)
{
    int rc;

    pthread_mutex_lock(&the_log.lock);
    file_close();
    free(the_log.path);
    the_log.path = strdup(path);
    the_log.bytes_max = bytes_max;
    the_log.keep = keep;
    the_log.too = too;
    rc = the_log.path != NULL ? file_open() : -ENOMEM;
    pthread_mutex_unlock(&the_log.lock);
    return rc;
}

void log_reopen(void)
{
    pthread_mutex_lock(&the_log.lock);
    if (the_log.path != NULL) {
        file_close();
        file_open();
    }
    pthread_mutex_unlock(&the_log.lock);
}

void log_close(void)
{
    unsigned int i;

    pthread_mutex_lock(&the_log.lock);
    file_close();
    free(the_log.path);
    the_log.path = NULL;
    for (i = 0; i < TAIL_LINES; i++) {
        free(the_log.tail[i]);
        the_log.tail[i] = NULL;
    }
    pthread_mutex_unlock(&the_log.lock);
}

/* A line for the file: no control characters from anybody's names. Returns its length. */
static size_t line_make(char *line, size_t bytes, const char *level, const char *format, va_list args)
{
    struct timespec now;
    struct tm tm;
    size_t length, i;

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    length = strftime(line, bytes, "%Y-%m-%d %H:%M:%S", &tm);
    length += (size_t)snprintf(line + length, bytes - length, ".%03ld %s", now.tv_nsec / 1000000, level);
    i = length;
    vsnprintf(line + length, bytes - length - 1, format, args);
    length = strlen(line);
    for (; i < length; i++)
        if (line[i] == '\n' || line[i] == '\t')
            line[i] = ' ';
        else if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[length++] = '\n';
    line[length] = '\0';
    return length;
}

static void line_write(const char *line, size_t length)
{
    free(the_log.tail[the_log.next]);
    the_log.tail[the_log.next] = strdup(line);
    the_log.next = (the_log.next + 1) % TAIL_LINES;
    if (the_log.fd >= 0 && the_log.bytes_max != 0 && the_log.bytes + length > the_log.bytes_max) {
        file_close();
        log_turn_over(the_log.path, the_log.keep);
        file_open();
    }
    if (the_log.fd >= 0 && write(the_log.fd, line, length) == (ssize_t)length)
        the_log.bytes += length;
    else if (the_log.path != NULL && !the_log.too)
        fputs(line, stderr);
    if (the_log.too)
        fputs(line, stderr);
}

static void line_log(const char *level, const char *format, va_list args)
{
    char line[LINE_MAX_BYTES];
    size_t length;

    pthread_mutex_lock(&the_log.lock);
    length = line_make(line, sizeof(line), level, format, args);
    line_write(line, length);
    pthread_mutex_unlock(&the_log.lock);
}

void log_note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line_log("", format, args);
    va_end(args);
}

void log_warning(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line_log("warning: ", format, args);
    va_end(args);
}

void log_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line_log("error: ", format, args);
    va_end(args);
}

char *log_tail(unsigned int lines)
{
    unsigned int i, first;
    char *text;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (out == NULL)
        return NULL;
    if (lines > TAIL_LINES)
        lines = TAIL_LINES;
    pthread_mutex_lock(&the_log.lock);
    first = (the_log.next + TAIL_LINES - lines) % TAIL_LINES;
    for (i = 0; i < lines; i++)
        if (the_log.tail[(first + i) % TAIL_LINES] != NULL)
            fputs(the_log.tail[(first + i) % TAIL_LINES], out);
    pthread_mutex_unlock(&the_log.lock);
    return fclose(out) == 0 ? text : NULL;
}
