/* SPDX-License-Identifier: MIT */
/*
 * What every command of `collet` is made of: its entry in the table of commands, its parsed arguments, and the run it is part of.
 *
 * A command is one file cmd-<name>.c with one `struct cli_command`; commands.c lists them. --help, the check of options and words, and the completion
 * of the shell all come from that entry, so they cannot disagree. Results go through cli_result() (--json) or to cli->out; failures through cli_fail(), whose
 * exit codes are those of collet(1).
 * Tests: test-cli.c, against fake-collet.c in place of libcollet.
 */
#pragma once

#include <collet/collet.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CLI_VERSION     "0.3"
#define CLI_OPTIONS_MAX 16
#define CLI_FRAME_BYTES 4096ull

/* Exit codes: collet(1). */
enum cli_exit { CLI_OK, CLI_FAILED, CLI_USAGE, CLI_NO_SUCH, CLI_NOT_PERMITTED, CLI_NO_DAEMON, CLI_TIMED_OUT };

struct cli_option {
    const char *name;  /* without the dashes */
    const char *value; /* what to call its value in the help, or NULL: it has none */
    const char *help;
    char letter; /* short form, or 0 */
};

struct cli_args {
    const struct cli_option *options;
    const char *values[CLI_OPTIONS_MAX]; /* by index in options; "" for one without a value that was given */
    char **words;
    int count;
};

struct client;

/* One run of the program. */
struct cli {
    FILE *out, *err;
    struct collet *collet; /* see cli_open() */
    struct client *client; /* see client.h */
    json_t *result;        /* printed at the end with --json */
    json_t *error;
    int exit; /* of the first failure */
    bool json;
    bool terminal;     /* out is one */
    bool quiet_errors; /* completion: nothing may be said */
};

struct cli_command {
    const char *name;                 /* one to three words: "sched use" */
    const char *arguments;            /* for the help: "DOMAIN..." */
    const char *summary;              /* one line */
    const char *description;          /* paragraphs, or NULL */
    const char *examples;             /* lines, or NULL */
    const struct cli_option *options; /* ends with a NULL name; may be NULL */
    const char *complete;             /* kinds of the words, separated by spaces; the last one repeats: "domains", "modules", "files" ... */
    int least, most;                  /* words; most -1: any number */
    int (*run)(struct cli *cli, const struct cli_args *args); /* answers an exit code */
    bool daemon;                                              /* asks colletd: the help says so */
};

extern const struct cli_command *const cli_commands[]; /* NULL ends it */

/* The whole program, for main() and for tests: an exit code. */
int cli_main(int argc, char **argv, FILE *out, FILE *err);

/* ---- Commands and options (cli.c, help.c) ---- */
/* The command that the words begin with; *used: how many they are. NULL: none. */
const struct cli_command *cli_command_find(char **words, int count, int *used);
/* Whether some command is of the form "<words> ...". */
bool cli_command_is_group(const char *words);
/* The longest group that the words begin with, "disk sched" for instance, in `group`: of how many words it is; 0: of none. */
int cli_command_group(char **words, int count, char group[64]);
/* Value of an option, NULL if it was not given. */
const char *cli_option(const struct cli_args *args, const char *name);
static inline bool cli_flag(const struct cli_args *args, const char *name)
{
    return cli_option(args, name) != NULL;
}
void cli_help_command(FILE *out, const struct cli_command *command);
void cli_help_all(FILE *out);
void cli_help_group(FILE *out, const char *group);

/* ---- Results and failures (cli.c) ---- */
/* Say what failed and answer `exit`. error: the name of an errno value, or a word like it. The first failure decides the exit code of the run. */
int cli_fail(struct cli *cli, int exit, const char *error, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same for -errno from libcollet: "what: collet_error()". */
int cli_fail_collet(struct cli *cli, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));
int cli_exit_of(int error);            /* of a positive errno value */
const char *cli_error_name(int error); /* "ESRCH" */
/* What --json prints at the end; takes the reference. */
void cli_result(struct cli *cli, json_t *result);
/* One line of JSON at once, for commands that go on. Takes the reference. */
void cli_result_line(struct cli *cli, json_t *result);
/* A JSON string of text that may not be UTF-8. */
json_t *cli_json_text(const char *text);

/* ---- The hypervisor (cli.c, domain.c) ---- */
/* Open libcollet for this run; 0 or an exit code, with the failure said. */
int cli_open(struct cli *cli);
/* Find a domain by name or number; 0 or an exit code, with the failure said and the nearest name suggested. */
int cli_domain(struct cli *cli, const char *word, struct collet_domain_info *info);
/* "web" or "web/1": the vCPU, or COLLET_VCPU_ALL without one. */
int cli_domain_vcpu(struct cli *cli, const char *word, struct collet_domain_info *info, uint32_t *vcpu);
/* Name of an allowed near match among `names`, or NULL. */
const char *cli_nearest(const char *word, const char *const *names, size_t count);
/* One word for the state of a domain; vcpus may be NULL. */
const char *domain_state(const struct collet_domain_info *info, const struct collet_vcpu_info *vcpus, int count);
/* The state as xl writes it: "rbpscd", a dash where it does not hold. */
void domain_state_letters(const struct collet_domain_info *info, const struct collet_vcpu_info *vcpus, int count, char letters[7]);
const char *domain_shutdown_reason(uint32_t reason);
const char *vcpu_state_name(uint32_t state);
json_t *domain_json(const struct collet_domain_info *info, const struct collet_vcpu_info *vcpus, int count);
json_t *vcpu_json(const struct collet_vcpu_info *vcpu, unsigned int cpus);

/* ---- Waiting ---- */
/* Sleep; false: SIGINT or SIGTERM has come (see cli_catch_signals()). */
bool cli_sleep_ms(unsigned int ms);
void cli_catch_signals(void);
bool cli_interrupted(void);
/* A number of seconds such as "2" or "0.5" to milliseconds; 0 or a usage failure that names `what`. */
int cli_parse_seconds(struct cli *cli, const char *what, const char *text, unsigned int *ms);
int cli_parse_count(struct cli *cli, const char *what, const char *text, unsigned long most, unsigned long *count);
