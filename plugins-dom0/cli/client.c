/* SPDX-License-Identifier: MIT */
/*
 * colletd's clients. The connection is kept for the run of the program: commands with several domains ask several times.
 * Progress is drawn as a bar on a terminal and left out elsewhere. Contract: client.h. Tests: test-client.c.
 */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENT_SOCKET   "/run/collet/colletd.sock"
#define CLIENT_LINE_MAX (1u << 20)

struct client {
    int fd;
    size_t used; /* bytes in buffer that are not yet taken */
    bool bar;    /* a progress bar is on the terminal */
    char buffer[CLIENT_LINE_MAX + 1];
};

static const char *socket_path(void)
{
    const char *path = getenv("COLLET_SOCKET");

    return path != NULL && *path != 0 ? path : CLIENT_SOCKET;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error;

    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof(address.sun_path)) {
        close(fd);
        return -ENAMETOOLONG;
    }
    strcpy(address.sun_path, path);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    error = errno;
    close(fd);
    return -error;
}

static int client_open(struct cli *cli)
{
    const char *path = socket_path();
    int fd;

    if (cli->client != NULL)
        return 0;
    fd = connect_to(path);
    if (fd == -EACCES || fd == -EPERM)
        return cli_fail(cli, CLI_NOT_PERMITTED, "EACCES", "not permitted to talk to colletd (%s): only root is", path);
    if (fd < 0)
        return cli_fail(cli, CLI_NO_DAEMON, "ECONNREFUSED", "colletd does not run (%s: %s); start it with: colletd --daemon", path, strerror(-fd));
    cli->client = malloc(sizeof(*cli->client));
    if (cli->client == NULL) {
        close(fd);
        return cli_fail(cli, CLI_FAILED, "ENOMEM", "out of memory");
    }
    cli->client->fd = fd;
    cli->client->used = 0;
    cli->client->bar = false;
    return 0;
}

void client_close(struct cli *cli)
{
    if (cli->client == NULL)
        return;
    close(cli->client->fd);
    free(cli->client);
    cli->client = NULL;
}

static int send_line(struct client *client, const json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    size_t length, sent = 0;
    int error = 0;

    if (text == NULL)
        return -EILSEQ;
    length = strlen(text);
    if (length >= CLIENT_LINE_MAX)
        error = E2BIG;
    text[length++] = '\n'; /* over the final zero */
    while (error == 0 && sent < length) {
        ssize_t n = send(client->fd, text + sent, length - sent, MSG_NOSIGNAL);

        if (n >= 0)
            sent += (size_t)n;
        else if (errno != EINTR)
            error = errno;
    }
    free(text);
    return -error;
}

/* The next line, to be freed with json_decref(); NULL with *error set. */
static json_t *next_line(struct client *client, unsigned int timeout_ms, int *error)
{
    for (;;) {
        struct pollfd wait = { .fd = client->fd, .events = POLLIN };
        char *end = memchr(client->buffer, '\n', client->used);
        ssize_t n;

        if (end != NULL) {
            size_t length = (size_t)(end - client->buffer) + 1;
            json_t *line = json_loadb(client->buffer, length, 0, NULL);

            memmove(client->buffer, client->buffer + length, client->used - length);
            client->used -= length;
            *error = EPROTO;
            return line;
        }
        *error = EMSGSIZE;
        if (client->used == CLIENT_LINE_MAX)
            return NULL;
        n = poll(&wait, 1, timeout_ms != 0 ? (int)timeout_ms : -1);
        *error = n == 0 ? ETIMEDOUT : errno;
        if (n < 0 && errno == EINTR && !cli_interrupted())
            continue;
        if (n <= 0)
            return NULL;
        n = recv(client->fd, client->buffer + client->used, CLIENT_LINE_MAX - client->used, 0);
        *error = n == 0 ? ECONNRESET : errno;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return NULL;
        client->used += (size_t)n;
    }
}

static void show_progress(struct cli *cli, const json_t *line)
{
    static const char full[] = "########################################";
    long long permille = json_integer_value(json_object_get(line, "progress"));
    int filled;

    if (cli->json || cli->quiet_errors || !isatty(fileno(cli->err)))
        return;
    permille = permille < 0 ? 0 : permille > 1000 ? 1000 : permille;
    filled = (int)(permille * 40 / 1000);
    fprintf(cli->err, "\r[%.*s%*s] %3d%% %.34s\033[K", filled, full, 40 - filled, "", (int)(permille / 10), client_text(line, "what"));
    fflush(cli->err);
    cli->client->bar = true;
}

static void clear_progress(struct cli *cli)
{
    if (cli->client->bar)
        fputs("\r\033[K", cli->err);
    cli->client->bar = false;
}

/* A line that is neither progress nor an answer ends the talk: nothing sensible can follow. */
static int take_answer(struct cli *cli, json_t *line, json_t **result)
{
    const json_t *ok = json_object_get(line, "ok");
    const char *name = client_text(line, "error"), *message = client_text(line, "message");
    int exit = CLI_FAILED;

    if (json_is_true(ok)) {
        json_t *found = json_object_get(line, "result");

        *result = found != NULL ? json_incref(found) : json_object();
        return 0;
    }
    if (!json_is_false(ok))
        return cli_fail(cli, CLI_FAILED, "EPROTO", "colletd answered something that is not an answer");
    if (strcmp(name, "ESRCH") == 0 || strcmp(name, "ENOENT") == 0)
        exit = CLI_NO_SUCH;
    else if (strcmp(name, "EPERM") == 0 || strcmp(name, "EACCES") == 0)
        exit = CLI_NOT_PERMITTED;
    else if (strcmp(name, "ETIMEDOUT") == 0)
        exit = CLI_TIMED_OUT;
    return cli_fail(cli, exit, *name != 0 ? name : "EIO", "%s", *message != 0 ? message : "colletd gave no reason");
}

int client_ask(struct cli *cli, json_t *request, unsigned int timeout_ms, json_t **result)
{
    int error = 0, exit = client_open(cli);
    json_t *line = NULL;

    *result = NULL;
    if (exit == 0)
        error = -send_line(cli->client, request);
    json_decref(request);
    while (exit == 0 && error == 0) {
        line = next_line(cli->client, timeout_ms, &error);
        if (line == NULL)
            break;
        error = 0;
        if (json_object_get(line, "progress") == NULL || json_object_get(line, "ok") != NULL)
            break;
        show_progress(cli, line);
        json_decref(line);
        line = NULL;
    }
    if (exit != 0)
        return exit;
    clear_progress(cli);
    if (line != NULL) {
        exit = take_answer(cli, line, result);
        json_decref(line);
        return exit;
    }
    client_close(cli);
    if (error == ETIMEDOUT)
        return cli_fail(cli, CLI_TIMED_OUT, "ETIMEDOUT", "colletd has not answered for %u s", timeout_ms / 1000);
    if (error == ECONNRESET || error == EPIPE)
        return cli_fail(cli, CLI_NO_DAEMON, "ECONNRESET", "colletd has ended before it answered; its log: /var/log/collet/colletd.log");
    return cli_fail(cli, CLI_FAILED, cli_error_name(error), "talking to colletd: %s", strerror(error));
}

json_t *client_ask_quietly(struct cli *cli, const char *op)
{
    struct cli quiet = { .out = cli->out, .err = cli->err, .quiet_errors = true };
    json_t *result;

    client_ask(&quiet, json_pack("{s:s}", "op", op), 3000, &result);
    client_close(&quiet);
    json_decref(quiet.error);
    return result;
}

const char *client_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

uint64_t client_number(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));

    return value > 0 ? (uint64_t)value : 0;
}
