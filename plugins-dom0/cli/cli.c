/* SPDX-License-Identifier: MIT */
/*
 * The run of one `collet` command: words to a command and its arguments, failures to exit codes, results to JSON.
 * Contract: cli.h. Tests: test-cli.c.
 */
#include "cli.h"
#include "client.h"
#include "format.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

/* ---- Failures and results ---- */

const char *cli_error_name(int error)
{
    const char *name = strerrorname_np(error);

    return name != NULL ? name : "EIO";
}

int cli_exit_of(int error)
{
    switch (error) {
    case ESRCH:
    case ENODEV:
    case ENOENT: return CLI_NO_SUCH;
    case EPERM:
    case EACCES: return CLI_NOT_PERMITTED;
    case ETIMEDOUT: return CLI_TIMED_OUT;
    default: return CLI_FAILED;
    }
}

json_t *cli_json_text(const char *text)
{
    json_t *string = json_string(text);
    char *copy;

    if (string != NULL || (copy = strdup(text)) == NULL)
        return string != NULL ? string : json_string("?");
    for (char *c = copy; *c != 0; c++)
        if ((unsigned char)*c >= 128)
            *c = '?';
    string = json_string(copy);
    free(copy);
    return string;
}

static int fail_text(struct cli *cli, int exit, const char *error, const char *message)
{
    if (cli->exit == 0)
        cli->exit = exit;
    if (cli->quiet_errors)
        return exit;
    if (!cli->json) {
        fflush(cli->out);
        fprintf(cli->err, "collet: %s\n", message);
    } else if (cli->error == NULL) {
        cli->error = json_pack("{s:s, s:o, s:i}", "error", error, "message", cli_json_text(message), "exit", exit);
    }
    return exit;
}

int cli_fail(struct cli *cli, int exit, const char *error, const char *format, ...)
{
    va_list arguments;
    char *message;

    va_start(arguments, format);
    if (vasprintf(&message, format, arguments) < 0)
        message = NULL;
    va_end(arguments);
    /* What was typed may be anything; it does nothing to the terminal. */
    for (char *c = message; c != NULL && *c != 0; c++)
        if (((unsigned char)*c < ' ' && *c != '\n' && *c != '\t') || *c == 0x7f)
            *c = '?';
    fail_text(cli, exit, error, message != NULL ? message : "out of memory");
    free(message);
    return exit;
}

int cli_fail_collet(struct cli *cli, int rc, const char *format, ...)
{
    const char *why = cli->collet != NULL ? collet_error(cli->collet) : NULL;
    va_list arguments;
    char *what;

    va_start(arguments, format);
    if (vasprintf(&what, format, arguments) < 0)
        what = NULL;
    va_end(arguments);
    rc = cli_fail(cli, cli_exit_of(-rc), cli_error_name(-rc), "%s: %s", what != NULL ? what : "", why != NULL && *why != 0 ? why : strerror(-rc));
    free(what);
    return rc;
}

void cli_result(struct cli *cli, json_t *result)
{
    if (!cli->json) {
        json_decref(result);
        return;
    }
    json_decref(cli->result);
    cli->result = result;
}

void cli_result_line(struct cli *cli, json_t *result)
{
    json_dumpf(result, cli->out, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
    fputc('\n', cli->out);
    fflush(cli->out);
    json_decref(result);
}

/* One document: the result, the error, or an error with what was done before it. */
static void print_json(struct cli *cli)
{
    json_t *document = cli->result != NULL ? cli->result : cli->error;

    if (cli->result != NULL && cli->error != NULL)
        json_object_update(cli->result, cli->error);
    if (document != NULL) {
        json_dumpf(document, cli->out, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
        fputc('\n', cli->out);
    }
    json_decref(cli->result);
    json_decref(cli->error);
}

/* ---- The hypervisor ---- */

int cli_open(struct cli *cli)
{
    int rc, exit;
    const char *why;

    if (cli->collet != NULL)
        return 0;
    rc = collet_open(&cli->collet);
    if (rc == 0)
        return 0;
    why = cli->collet != NULL ? collet_error(cli->collet) : NULL;
    exit = rc == -EPROTO || rc == -ENOMEM ? CLI_FAILED : CLI_NOT_PERMITTED;
    cli_fail(cli, exit, cli_error_name(-rc), "no way to the hypervisor: %s", why != NULL && *why != 0 ? why : strerror(-rc));
    if (cli->collet != NULL)
        collet_close(cli->collet);
    cli->collet = NULL;
    return exit;
}

/* ---- Waiting ---- */

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void cli_catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal }; /* without SA_RESTART: waiting ends */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
    return interrupted != 0;
}

bool cli_sleep_ms(unsigned int ms)
{
    if (!interrupted)
        poll(NULL, 0, (int)ms);
    return !interrupted;
}

int cli_parse_seconds(struct cli *cli, const char *what, const char *text, unsigned int *ms)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != 0 || !(seconds > 0) || seconds > 1e6)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: '%s' is not a number of seconds (such as 2 or 0.5)", what, text);
    *ms = (unsigned int)(seconds * 1000);
    if (*ms == 0)
        *ms = 1;
    return 0;
}

int cli_parse_count(struct cli *cli, const char *what, const char *text, unsigned long most, unsigned long *count)
{
    uint64_t value;

    if (parse_u64(text, &value) != 0 || value == 0 || value > most)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: '%s' is not a number from 1 to %lu", what, text, most);
    *count = value;
    return 0;
}

/* ---- Words to a command ---- */

/* How many of the words a command's name is, if they begin with it; 0: they do not. */
static int name_matches(const char *name, char **words, int count)
{
    for (int i = 0; i < count; i++) {
        size_t length = strcspn(name, " ");

        if (strlen(words[i]) != length || memcmp(words[i], name, length) != 0)
            return 0;
        name += length;
        if (*name++ == 0)
            return i + 1;
    }
    return 0;
}

/* The longest name wins: "daemon stop" goes before "daemon". */
const struct cli_command *cli_command_find(char **words, int count, int *used)
{
    const struct cli_command *found = NULL;

    *used = 0;
    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++) {
        int n = name_matches((*c)->name, words, count);

        if (n > *used) {
            *used = n;
            found = *c;
        }
    }
    return found;
}

bool cli_command_is_group(const char *words)
{
    size_t length = strlen(words);

    for (const struct cli_command *const *c = cli_commands; *c != NULL; c++)
        if (strncmp((*c)->name, words, length) == 0 && (*c)->name[length] == ' ')
            return true;
    return false;
}

int cli_command_group(char **words, int count, char group[64])
{
    char text[64] = "";
    int depth = 0;

    group[0] = 0;
    for (int i = 0; i < count && i < 3; i++) {
        size_t length = strlen(text);

        snprintf(text + length, sizeof(text) - length, "%s%s", i > 0 ? " " : "", words[i]);
        if (!cli_command_is_group(text))
            break;
        memcpy(group, text, sizeof(text));
        depth = i + 1;
    }
    return depth;
}

const char *cli_option(const struct cli_args *args, const char *name)
{
    for (int i = 0; args->options != NULL && args->options[i].name != NULL; i++)
        if (strcmp(args->options[i].name, name) == 0)
            return args->values[i];
    return NULL;
}

static int unknown_option(struct cli *cli, const struct cli_command *command, const char *word)
{
    const char *names[CLI_OPTIONS_MAX + 2] = { "json", "help" }, *near;
    size_t count = 2;

    for (const struct cli_option *o = command->options; o != NULL && o->name != NULL; o++)
        names[count++] = o->name;
    near = cli_nearest(word + strspn(word, "-"), names, count);
    if (near != NULL)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: no option '%s'; did you mean --%s?", command->name, word, near);
    return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: no option '%s'; see: collet %s --help", command->name, word, command->name);
}

/* The index of the option that `word` begins with, -1: none. *value: what stands behind its = or its letter, or NULL. */
static int option_index(const struct cli_option *options, const char *word, const char **value)
{
    *value = NULL;
    for (int i = 0; options != NULL && options[i].name != NULL; i++) {
        size_t length = strlen(options[i].name);

        if (word[1] == '-' && strncmp(word + 2, options[i].name, length) == 0 && (word[2 + length] == 0 || word[2 + length] == '=')) {
            *value = word[2 + length] == '=' ? word + 3 + length : NULL;
            return i;
        }
        if (word[1] != '-' && word[1] == options[i].letter && options[i].letter != 0) {
            *value = word[2] != 0 ? word + 2 : NULL;
            return i;
        }
    }
    return -1;
}

/* One option at words[*at]; moves *at over it. 0 or an exit code. */
static int take_option(struct cli *cli, const struct cli_command *command, char **words, int count, int *at, struct cli_args *args)
{
    const char *word = words[(*at)++], *value;
    int i;

    if (strcmp(word, "--json") == 0) {
        cli->json = true;
        return 0;
    }
    i = option_index(command->options, word, &value);
    if (i < 0)
        return unknown_option(cli, command, word);
    if (command->options[i].value == NULL) {
        if (value != NULL)
            return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: option --%s takes no value", command->name, command->options[i].name);
        args->values[i] = "";
        return 0;
    }
    if (value == NULL && *at < count)
        value = words[(*at)++];
    if (value == NULL)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: option --%s needs a value: %s", command->name, command->options[i].name, command->options[i].value);
    args->values[i] = value;
    return 0;
}

/* Sorts options out of the words, which move up. */
static int take_arguments(struct cli *cli, const struct cli_command *command, char **words, int count, struct cli_args *args)
{
    bool only_words = false;
    int at = 0, exit;

    *args = (struct cli_args){ .options = command->options, .words = words };
    while (at < count) {
        if (only_words || words[at][0] != '-' || words[at][1] == 0) {
            words[args->count++] = words[at++];
        } else if (strcmp(words[at], "--") == 0) {
            only_words = true;
            at++;
        } else {
            exit = take_option(cli, command, words, count, &at, args);
            if (exit != 0)
                return exit;
        }
    }
    if (args->count < command->least)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: something is missing: collet %s %s   (collet %s --help tells more)", command->name, command->name,
                        command->arguments, command->name);
    if (command->most >= 0 && args->count > command->most)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "%s: '%s' is one word too many: collet %s %s", command->name, words[command->most], command->name,
                        command->arguments);
    return 0;
}

static int unknown_command(struct cli *cli, char **words, int count)
{
    const char *names[128], *near;
    char group[64], all[128];
    int depth = cli_command_group(words, count, group);
    size_t known = 0;

    for (const struct cli_command *const *c = cli_commands; *c != NULL && known < 128; c++)
        if ((*c)->name[0] != '_')
            names[known++] = (*c)->name;
    snprintf(all, sizeof(all), "%s%s%s", depth > 0 ? group : words[0], count > 1 ? " " : "", depth > 0 && depth < count ? words[depth] : count > 1 ? words[1] : "");
    near = cli_nearest(all, names, known);
    if (near == NULL)
        near = cli_nearest(words[0], names, known);
    if (near != NULL)
        return cli_fail(cli, CLI_USAGE, "EINVAL", "no command '%s'; did you mean: collet %s?", depth > 0 ? all : words[0], near);
    return cli_fail(cli, CLI_USAGE, "EINVAL", "no command '%s'; `collet help` lists them", depth > 0 ? all : words[0]);
}

static bool wants_help(char **words, int count)
{
    for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++)
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)
            return true;
    return false;
}

static int run_words(struct cli *cli, char **words, int count)
{
    const struct cli_command *command;
    struct cli_args args;
    char group[64];
    int used, exit, depth;

    if (count == 0) {
        cli_help_all(cli->err);
        return CLI_USAGE;
    }
    if (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0)
        words[0] = "help";
    if (strcmp(words[0], "--version") == 0)
        words[0] = "version";
    command = cli_command_find(words, count, &used);
    depth = cli_command_group(words, count, group);
    if (command == NULL && depth > 0 && (count == depth || wants_help(words, count))) {
        cli_help_group(count == depth ? cli->err : cli->out, group);
        return count == depth ? CLI_USAGE : CLI_OK;
    }
    if (command == NULL)
        return unknown_command(cli, words, count);
    if (command->name[0] != '_' && wants_help(words + used, count - used)) {
        cli_help_command(cli->out, command);
        return CLI_OK;
    }
    /* The helper of the completion gets its words as they are. */
    if (command->name[0] == '_') {
        args = (struct cli_args){ .words = words + used, .count = count - used };
        return command->run(cli, &args);
    }
    exit = take_arguments(cli, command, words + used, count - used, &args);
    return exit != 0 ? exit : command->run(cli, &args);
}

int cli_main(int argc, char **argv, FILE *out, FILE *err)
{
    struct cli cli = { .out = out, .err = err, .terminal = isatty(fileno(out)) == 1 };
    char **words = calloc((size_t)argc + 1, sizeof(*words));
    int first = 1, exit;

    if (words == NULL)
        return CLI_FAILED;
    interrupted = 0;
    if (argc > 1 && strcmp(argv[1], "--json") == 0) {
        cli.json = true;
        first = 2;
    }
    for (int i = first; i < argc; i++) {
        words[i - first] = argv[i];
        /* Seen early, so that a usage error before it is told in JSON too. */
        if (strcmp(argv[i], "--json") == 0 && strcmp(argv[first], "__complete") != 0)
            cli.json = true;
    }
    exit = run_words(&cli, words, argc - first > 0 ? argc - first : 0);
    print_json(&cli);
    client_close(&cli);
    if (cli.collet != NULL)
        collet_close(cli.collet);
    free(words);
    if (exit == 0)
        exit = cli.exit;
    if ((fflush(out) != 0 || ferror(out) != 0) && exit == 0) {
        fprintf(err, "collet: the output could not be written: %s\n", strerror(errno));
        exit = CLI_FAILED;
    }
    return exit;
}
