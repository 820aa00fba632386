/* SPDX-License-Identifier: MIT */
/*
 * The way between a terminal and a domain's console. The terminal is raw, so that every key but the escape reaches the guest, and is put back however this ends.
 * Contract: console.h. Tests: test-client.c.
 */
#include "console.h"
#include "client.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define CONSOLE_WAIT_MS  5000
#define REATTACH_MS      300   /* by then an ending domain has ended */
#define REATTACH_WAIT_MS 15000 /* by then colletd has started xenconsoled anew */

struct session {
    int in, out, pty;
    const struct console_options *options;
    bool input_over, line_start;
    uint64_t started_ms, output_ms; /* when the last output came */
};

enum ending { GOES_ON, DETACHED, GUEST_GONE, CONSOLE_GONE, OUTPUT_GONE };

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int console_parse_escape(struct cli *cli, const char *text, int *escape)
{
    if (strcmp(text, "none") == 0)
        return *escape = -1, 0;
    if (text[0] == '^' && text[1] != 0 && text[2] == 0) {
        *escape = toupper((unsigned char)text[1]) & 0x1f;
        return 0;
    }
    if (text[0] == 0 || text[1] != 0)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "--escape: '%s' is not a character; such as ^], ^a, ~ or none", text);
    *escape = (unsigned char)text[0];
    return 0;
}

static int open_pty(struct cli *cli, const char *path, int *fd)
{
    struct termios raw;

    *fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        return cli_fail(cli, CLI_FAILED, cli_error_name(errno), "%s: %s", path, strerror(errno));
    /* The guest's terminal echoes; a second one in between would do it again. */
    if (tcgetattr(*fd, &raw) == 0) {
        cfmakeraw(&raw);
        tcsetattr(*fd, TCSANOW, &raw);
    }
    return 0;
}

/* Only a console that is not there yet is worth waiting for. */
static bool is_worth_waiting(const struct cli *attempt, int exit)
{
    return exit == CLI_FAILED && strcmp(client_text(attempt->error, "error"), "EAGAIN") == 0;
}

int console_open(struct cli *cli, const char *domain, int *fd)
{
    for (unsigned int waited = 0;; waited += 200) {
        struct cli attempt = { .out = cli->out, .err = cli->err, .client = cli->client, .json = true }; /* an error is kept, not said */
        json_t *result;
        int exit = client_ask(&attempt, json_pack("{s:s, s:s}", "op", "console", "domain", domain), 10000, &result);
        bool again = is_worth_waiting(&attempt, exit) && waited < CONSOLE_WAIT_MS && cli_sleep_ms(200);

        cli->client = attempt.client;
        if (exit == 0) {
            exit = open_pty(cli, client_text(result, "pty"), fd);
            json_decref(result);
        } else if (!again) {
            cli_fail(cli, exit, client_text(attempt.error, "error"), "%s", client_text(attempt.error, "message"));
        }
        json_decref(attempt.error);
        if (!again)
            return exit;
    }
}

static enum ending write_all(int fd, const char *bytes, size_t count, enum ending when_gone)
{
    while (count != 0) {
        ssize_t n = write(fd, bytes, count);
        struct pollfd wait = { .fd = fd, .events = POLLOUT };

        if (n > 0) {
            bytes += n;
            count -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            poll(&wait, 1, 1000);
            if (wait.revents & (POLLHUP | POLLERR))
                return when_gone;
        } else if (n < 0 && errno != EINTR) {
            return when_gone;
        }
        if (cli_interrupted())
            return DETACHED;
    }
    return GOES_ON;
}

static enum ending from_guest(struct session *s)
{
    char buffer[4096];
    ssize_t n = read(s->pty, buffer, sizeof(buffer));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return GOES_ON;
    if (n <= 0)
        return GUEST_GONE;
    s->output_ms = now_ms();
    s->line_start = buffer[n - 1] == '\n';
    return write_all(s->out, buffer, (size_t)n, OUTPUT_GONE);
}

static enum ending from_user(struct session *s)
{
    char buffer[1024];
    ssize_t n = read(s->in, buffer, sizeof(buffer));
    char *escape = NULL;
    enum ending ending;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return GOES_ON;
    if (n <= 0) {
        s->input_over = true;
        s->output_ms = now_ms();
        return GOES_ON;
    }
    if (s->options->escape >= 0)
        escape = memchr(buffer, s->options->escape, (size_t)n);
    ending = write_all(s->pty, buffer, escape != NULL ? (size_t)(escape - buffer) : (size_t)n, GUEST_GONE);
    return escape != NULL && ending == GOES_ON ? DETACHED : ending;
}

/* How long to wait at most: -1 for ever, 0 if it is time to go. */
static int time_left(const struct session *s)
{
    uint64_t now = now_ms(), until = UINT64_MAX;

    if (s->options->total_ms != 0)
        until = s->started_ms + s->options->total_ms;
    if (s->input_over && s->output_ms + s->options->idle_ms < until)
        until = s->output_ms + s->options->idle_ms;
    if (until == UINT64_MAX)
        return -1;
    return until <= now ? 0 : (int)(until - now);
}

static enum ending copy_both_ways(struct session *s)
{
    enum ending ending = GOES_ON;

    while (ending == GOES_ON) {
        struct pollfd fds[2] = { { .fd = s->pty, .events = POLLIN }, { .fd = s->input_over ? -1 : s->in, .events = POLLIN } };
        int ms = time_left(s);

        if (ms == 0 || cli_interrupted())
            return DETACHED;
        if (poll(fds, 2, ms) < 0)
            continue;
        if (fds[0].revents & POLLIN)
            ending = from_guest(s);
        else if (fds[0].revents != 0)
            ending = GUEST_GONE;
        if (ending == GOES_ON && fds[1].revents != 0)
            ending = from_user(s);
    }
    return ending;
}

/* The number of a domain that runs; -1: there is none of that name, or it has ended. */
static int64_t running_domain(struct cli *cli, const char *domain)
{
    static const uint32_t ended = COLLET_DOMAIN_SHUT_DOWN | COLLET_DOMAIN_DYING;
    struct cli quiet = { .out = cli->out, .err = cli->err, .collet = cli->collet, .quiet_errors = true };
    struct collet_domain_info info;
    bool runs = cli_open(&quiet) == 0 && collet_domain_find(quiet.collet, domain, &info) == 0 && (info.flags & ended) == 0;

    cli->collet = quiet.collet;
    return runs ? (int64_t)info.domid : -1;
}

/* Pass the time; what is typed meanwhile is lost, but for the escape. */
static enum ending pause_reading(struct session *s)
{
    uint64_t until = now_ms() + REATTACH_MS;
    char buffer[256];

    for (uint64_t now = now_ms(); now < until; now = now_ms()) {
        struct pollfd wait = { .fd = s->input_over ? -1 : s->in, .events = POLLIN };
        ssize_t n;

        if (cli_interrupted() || time_left(s) == 0)
            return DETACHED;
        if (poll(&wait, 1, (int)(until - now)) <= 0)
            continue;
        n = read(s->in, buffer, sizeof(buffer));
        s->input_over = n == 0;
        if (n > 0 && s->options->escape >= 0 && memchr(buffer, s->options->escape, (size_t)n) != NULL)
            return DETACHED;
    }
    return GOES_ON;
}

/* The pty has closed: wait for the next one as long as the domain goes on. */
static enum ending reattach(struct cli *cli, const char *domain, int64_t domid, struct session *s)
{
    uint64_t until = now_ms() + REATTACH_WAIT_MS;

    while (now_ms() < until) {
        struct cli quiet = { .out = cli->out, .err = cli->err, .client = cli->client, .quiet_errors = true };
        enum ending ending = pause_reading(s);
        int exit;

        if (ending != GOES_ON)
            return ending;
        if (domid < 0 || running_domain(cli, domain) != domid)
            return GUEST_GONE;
        exit = console_open(&quiet, domain, &s->pty);
        cli->client = quiet.client;
        s->output_ms = now_ms();
        if (exit == 0)
            return GOES_ON;
    }
    return CONSOLE_GONE;
}

static enum ending copy_until_end(struct cli *cli, const char *domain, struct session *s)
{
    int64_t domid = running_domain(cli, domain);
    enum ending ending;

    do {
        ending = copy_both_ways(s);
        close(s->pty);
        if (ending == GUEST_GONE)
            ending = reattach(cli, domain, domid, s);
    } while (ending == GOES_ON);
    return ending;
}

static const char *say_ending(enum ending ending)
{
    return ending == GUEST_GONE     ? "the domain has ended"
           : ending == CONSOLE_GONE ? "the console has ended, and there is no new one; the domain goes on"
                                    : "detached";
}

static void say_how_to_leave(struct cli *cli, const char *domain, int escape)
{
    if (escape < 0)
        return;
    if (escape < 32)
        fprintf(cli->err, "Connected to %s; Ctrl-%c detaches.\n", domain, escape | 0x40);
    else
        fprintf(cli->err, "Connected to %s; %c detaches.\n", domain, escape);
}

int console_run(struct cli *cli, const char *domain, int fd, const struct console_options *options)
{
    struct session s = { .in = 0, .out = fileno(cli->out), .pty = fd, .options = options, .started_ms = now_ms(), .output_ms = now_ms(), .line_start = true };
    struct termios before, raw;
    bool terminal = isatty(s.in) && tcgetattr(s.in, &before) == 0;
    enum ending ending;

    cli_catch_signals();
    fflush(cli->out);
    if (terminal) {
        say_how_to_leave(cli, domain, options->escape);
        raw = before;
        cfmakeraw(&raw);
        tcsetattr(s.in, TCSAFLUSH, &raw);
    }
    ending = copy_until_end(cli, domain, &s);
    if (terminal)
        tcsetattr(s.in, TCSAFLUSH, &before);
    if (terminal || ending == GUEST_GONE || ending == CONSOLE_GONE)
        fprintf(cli->err, "%scollet: %s\n", terminal && !s.line_start ? "\n" : "", say_ending(ending));
    return ending == CONSOLE_GONE ? CLI_FAILED : CLI_OK;
}
