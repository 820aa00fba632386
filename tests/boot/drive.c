// SPDX-License-Identifier: MIT
/*
 * Starts a program (QEMU with its serial line on standard input and output), plays a script against it, and judges.
 *
 * The script is one command a line; `name` is what the result line says. Times are seconds. Text after the fixed words is taken as it is.
 *
 *   expect SECONDS /EXTENDED-REGEX/ name     wait until the console shows it (after the last match); ok, or not ok when the time is over
 *   wait   SECONDS /EXTENDED-REGEX/          the same, silent when it is found
 *   send   TEXT                              type it; \n \r \t \\ \xHH are understood
 *   follow SECONDS /REGEX/ name              as expect, and lines of the guest's own that begin with "ok " or "not ok " count as results
 *   forbid /REGEX/ name                      no line of the whole log so far matches (cannot be the machine's own echo: matches whole output)
 *   allow  /REGEX/                           lines matching this are skipped by later forbids
 *   count  NUMBER /REGEX/ name               exactly so many lines of the log match
 *   show   /REGEX/                           print matching lines of the log as comments
 *   sleep  SECONDS
 *   run    SECONDS /SHELL COMMAND/ name      of this host, beside the machine: ok if its status is 0; else what it said is shown (a slash within is written \x2f)
 *   exit   SECONDS name                      the program must end by itself with status 0
 *   # comment
 *
 * A failed wait or expect ends the script: all later results are missing by then, and each is counted as a failure.
 * Results are lines "ok - name" and "not ok - name"; the log goes to the file of -l. The program is in its own process group, which is
 * always killed at the end, also when this program is killed.
 * Usage: drive [-l LOG] [-p PREFIX] [-T TOTAL-SECONDS] [-v] SCRIPT -- PROGRAM ARGUMENT...
 * Exit status: 0 all ok, 1 some not ok, 2 wrong usage.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TAIL_LINES 30
#define MAX_ALLOWED 32

static struct {
    pid_t pid;
    int in, out; /* in: what we type; out: what it says */
    bool ended;
    int status;
    char *log;       /* everything it said, NUL terminated, carriage returns removed */
    size_t length, capacity;
    size_t matched; /* end of the last match: expect looks from here */
    size_t followed; /* up to where guest result lines have been counted */
    FILE *file;
} machine;

static regex_t allowed[MAX_ALLOWED];
static int allowed_count;
static const char *prefix = "";
static bool verbose, plain; /* echo what it says; without what terminals do with it */
static int failures;
static double deadline_total = 1e18;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void result(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void result(bool ok, const char *format, ...)
{
    va_list args;

    printf("%s - %s", ok ? "ok" : "not ok", prefix);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    if (!ok)
        failures++;
}

static void kill_machine(void)
{
    if (machine.pid > 0 && !machine.ended) {
        kill(-machine.pid, SIGKILL);
        waitpid(machine.pid, &machine.status, 0);
        machine.ended = true;
    }
}

static void on_signal(int number)
{
    if (machine.pid > 0)
        kill(-machine.pid, SIGKILL);
    _exit(128 + number);
}

static void start(char **argv)
{
    int to[2], from[2];

    if (pipe(to) != 0 || pipe(from) != 0) {
        perror("drive: pipe");
        exit(2);
    }
    machine.pid = fork();
    if (machine.pid == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(to[0], 0);
        dup2(from[1], 1);
        dup2(from[1], 2);
        close(to[0]), close(to[1]), close(from[0]), close(from[1]);
        execvp(argv[0], argv);
        fprintf(stderr, "drive: %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    if (machine.pid < 0) {
        perror("drive: fork");
        exit(2);
    }
    setpgid(machine.pid, machine.pid);
    close(to[0]);
    close(from[1]);
    machine.in = to[1];
    machine.out = from[0];
}

/* To standard error. If that is no terminal, or NO_COLOR is set: without escape sequences (colours, progress bars) and carriage returns; one may begin in one piece and end in the next. */
static void echo(const char *bytes, size_t count)
{
    static enum { TEXT, ESCAPE, SEQUENCE } at;

    if (!plain) {
        fwrite(bytes, 1, count, stderr);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char c = bytes[i];

        if (c == '\033')
            at = ESCAPE;
        else if (at == ESCAPE)
            at = c == '[' ? SEQUENCE : TEXT;
        else if (at == SEQUENCE && c >= '@' && c <= '~')
            at = TEXT;
        else if (at == TEXT && c != '\r' && c != '\0')
            fputc(c, stderr);
    }
}

static void take(const char *bytes, size_t count)
{
    if (machine.length + count + 1 > machine.capacity) {
        machine.capacity = (machine.length + count + 1) * 2;
        machine.log = realloc(machine.log, machine.capacity);
        if (machine.log == NULL)
            abort();
    }
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != '\r' && bytes[i] != '\0')
            machine.log[machine.length++] = bytes[i];
    machine.log[machine.length] = '\0';
    if (machine.file) {
        fwrite(bytes, 1, count, machine.file);
        fflush(machine.file);
    }
    if (verbose) {
        echo(bytes, count);
        fflush(stderr);
    }
}

/* Reads what there is, waiting at most until `until`. False when nothing came. */
static bool listen_until(double until)
{
    struct pollfd poll_out = { .fd = machine.out, .events = POLLIN };
    char bytes[4096];
    double left = until - now();
    ssize_t count;

    if (left < 0)
        left = 0;
    if (machine.ended || poll(&poll_out, 1, (int)(left * 1000) + 1) <= 0)
        return false;
    count = read(machine.out, bytes, sizeof(bytes));
    if (count > 0) {
        take(bytes, (size_t)count);
        return true;
    }
    waitpid(machine.pid, &machine.status, 0); /* end of file: it has ended, or is about to */
    machine.ended = true;
    return false;
}

static void show_tail(void)
{
    size_t at = machine.length;

    for (int lines = 0; at > 0 && lines <= TAIL_LINES; at--)
        if (machine.log[at - 1] == '\n')
            lines++;
    printf("# the console's last lines:\n");
    for (char *line = machine.log + at; line && *line;) {
        size_t length = strcspn(line, "\n");

        printf("#   %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
    fflush(stdout);
}

static void count_guest_results(size_t end)
{
    char *line = machine.log + machine.followed;

    while (line < machine.log + end) {
        size_t length = strcspn(line, "\n");

        if (line[length] != '\n')
            break;
        if (strncmp(line, "ok ", 3) == 0)
            result(true, "%.*s", (int)length - 3, line + 3);
        else if (strncmp(line, "not ok ", 7) == 0)
            result(false, "%.*s", (int)length - 7, line + 7);
        line += length + 1;
    }
    machine.followed = (size_t)(line - machine.log);
}

static bool find(const regex_t *regex, double seconds, bool follow)
{
    double until = now() + seconds;
    regmatch_t match;

    if (until > deadline_total)
        until = deadline_total;
    for (;;) {
        if (machine.log && regexec(regex, machine.log + machine.matched, 1, &match, 0) == 0) {
            machine.matched += (size_t)match.rm_eo;
            if (follow)
                count_guest_results(machine.matched);
            return true;
        }
        if (!listen_until(until) && (machine.ended || now() >= until)) {
            if (follow && machine.log)
                count_guest_results(machine.length);
            return false;
        }
    }
}

static size_t unescape(char *text)
{
    char *to = text, *from = text;

    while (*from) {
        if (*from != '\\' || from[1] == '\0') {
            *to++ = *from++;
            continue;
        }
        from++;
        switch (*from) {
        case 'n': *to++ = '\n'; from++; break;
        case 'r': *to++ = '\r'; from++; break;
        case 't': *to++ = '\t'; from++; break;
        case 'x': *to++ = (char)strtol((char[]){ from[1], from[2], 0 }, NULL, 16); from += 3; break;
        default: *to++ = *from++; break;
        }
    }
    *to = '\0';
    return (size_t)(to - text);
}

/* Types slowly enough for a 16-byte UART. */
static void type(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (write(machine.in, text + i, 1) != 1)
            return;
        if (i % 8 == 7)
            listen_until(now() + 0.01);
    }
}

/* Calls each(line) for the log's lines that match and are not allowed; returns their number. */
static int matching_lines(const regex_t *regex, bool use_allowed, bool print)
{
    int found = 0;

    for (char *line = machine.log; line && *line;) {
        size_t length = strcspn(line, "\n");
        char saved = line[length];
        bool hit;

        line[length] = '\0';
        hit = regexec(regex, line, 0, NULL, 0) == 0;
        for (int i = 0; hit && use_allowed && i < allowed_count; i++)
            hit = regexec(&allowed[i], line, 0, NULL, 0) != 0;
        if (hit) {
            found++;
            if (print && found <= 20)
                printf("#   %s\n", line);
        }
        line[length] = saved;
        line += length + (saved == '\n');
    }
    return found;
}

static bool wait_for_end(double seconds)
{
    double until = now() + seconds;

    if (until > deadline_total)
        until = deadline_total;
    while (!machine.ended && now() < until)
        listen_until(until);
    return machine.ended;
}

static void bad_script(const char *line)
{
    fprintf(stderr, "drive: bad line in the script: %s\n", line);
    kill_machine();
    exit(2);
}

static void show_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[400];

    for (int lines = 0; file != NULL && lines < TAIL_LINES && fgets(line, sizeof(line), file) != NULL; lines++)
        printf("#   %s%s", line, strchr(line, '\n') ? "" : "\n");
    if (file != NULL)
        fclose(file);
    fflush(stdout);
}

/* "[NUMBER] /REGEX/ [name]" after the command word. */
static const char *parse(char *text, const char *line, double *number, regex_t *regex)
{
    char *end;

    if (number) {
        *number = strtod(text, &end);
        if (end == text)
            bad_script(line);
        text = end;
    }
    text += strspn(text, " ");
    if (regex) {
        if (*text != '/' || (end = strstr(text + 1, "/ ")) == NULL) {
            end = *text == '/' ? strrchr(text + 1, '/') : NULL;
            if (end == NULL)
                bad_script(line);
        }
        *end = '\0';
        if (regcomp(regex, text + 1, REG_EXTENDED | REG_NEWLINE) != 0)
            bad_script(line);
        text = end + 1;
        text += strspn(text, " ");
    }
    return text;
}

/* "SECONDS /SHELL COMMAND/ name". The machine goes on meanwhile: what it says is taken. A command that fails does not end the script. */
static void run_command(char *text, const char *line)
{
    char said[] = "/tmp/drive-said.XXXXXX";
    char *end, *command, *last;
    double until;
    int file = mkstemp(said), status = 0;
    bool ended = false;
    pid_t pid;

    until = now() + strtod(text, &end);
    command = strchr(end, '/');
    last = command == NULL ? NULL : strstr(command + 1, "/ ");
    if (end == text || last == NULL || file < 0)
        bad_script(line);
    *last = '\0';
    unescape(++command);
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
        dup2(file, 1);
        dup2(file, 2);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    while (pid > 0 && !ended && now() < until) {
        if (machine.ended)
            usleep(100000);
        else
            listen_until(now() + 0.1);
        ended = waitpid(pid, &status, WNOHANG) == pid;
    }
    if (pid > 0 && !ended) {
        kill(-pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    ended = ended && status == 0;
    result(ended, "%s", last + 2);
    if (!ended)
        show_file(said);
    close(file);
    unlink(said);
}

/* False: the rest of the script makes no sense. */
static bool play(char *command, const char *line)
{
    char *text = command + strcspn(command, " ");
    const char *name;
    double number = 0;
    regex_t regex;
    bool ok;

    if (*text)
        *text++ = '\0';
    if (strcmp(command, "send") == 0) {
        type(text, unescape(text));
        return true;
    }
    if (strcmp(command, "sleep") == 0) {
        parse(text, line, &number, NULL);
        for (double until = now() + number; now() < until && !machine.ended;)
            listen_until(until);
        return true;
    }
    if (strcmp(command, "exit") == 0) {
        name = parse(text, line, &number, NULL);
        ok = wait_for_end(number) && WIFEXITED(machine.status) && WEXITSTATUS(machine.status) == 0;
        result(ok, "%s%s", name, ok ? "" : machine.ended ? " (ended with an error)" : " (still running)");
        if (!ok)
            show_tail();
        return ok;
    }
    if (strcmp(command, "run") == 0) {
        run_command(text, line);
        return true;
    }
    if (strcmp(command, "expect") == 0 || strcmp(command, "wait") == 0 || strcmp(command, "follow") == 0) {
        name = parse(text, line, &number, &regex);
        ok = find(&regex, number, command[0] == 'f');
        if (!ok || (command[0] != 'w' && *name)) {
            result(ok, "%s%s", *name ? name : line, ok ? "" : machine.ended ? " (the machine ended)" : " (time over)");
            if (!ok)
                show_tail();
        }
        return ok;
    }
    if (strcmp(command, "allow") == 0 && allowed_count < MAX_ALLOWED) {
        parse(text, line, NULL, &allowed[allowed_count++]);
        return true;
    }
    if (strcmp(command, "forbid") == 0) {
        name = parse(text, line, NULL, &regex);
        ok = matching_lines(&regex, true, false) == 0;
        result(ok, "%s", name);
        if (!ok)
            matching_lines(&regex, true, true);
        return true;
    }
    if (strcmp(command, "count") == 0) {
        name = parse(text, line, &number, &regex);
        int found = matching_lines(&regex, false, false);

        ok = found == (int)number;
        if (ok)
            result(true, "%s", name);
        else
            result(false, "%s (%d instead of %d)", name, found, (int)number);
        return true;
    }
    if (strcmp(command, "show") == 0) {
        parse(text, line, NULL, &regex);
        matching_lines(&regex, false, true);
        return true;
    }
    bad_script(line);
    return false;
}

/* Commands that would have given a result, after the script broke off. */
static void count_missing(const char *line)
{
    static const char *const judged[] = { "expect ", "follow ", "forbid ", "count ", "exit ", "run " };

    for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++)
        if (strncmp(line, judged[i], strlen(judged[i])) == 0)
            result(false, "not reached: %s", line);
}

int main(int argc, char **argv)
{
    const char *log_path = NULL;
    char line[4096], command[4096];
    bool broken = false;
    FILE *script;
    int option;

    while ((option = getopt(argc, argv, "+l:p:T:v")) != -1) {
        switch (option) {
        case 'l': log_path = optarg; break;
        case 'p': prefix = optarg; break;
        case 'T': deadline_total = now() + atof(optarg); break;
        case 'v':
            verbose = true;
            plain = isatty(STDERR_FILENO) != 1 || (getenv("NO_COLOR") != NULL && *getenv("NO_COLOR") != 0);
            break;
        default: return 2;
        }
    }
    if (optind + 2 > argc) {
        fprintf(stderr, "usage: drive [-l LOG] [-p PREFIX] [-T SECONDS] [-v] SCRIPT -- PROGRAM ARGUMENT...\n");
        return 2;
    }
    script = strcmp(argv[optind], "-") == 0 ? stdin : fopen(argv[optind], "r");
    if (script == NULL) {
        fprintf(stderr, "drive: %s: %s\n", argv[optind], strerror(errno));
        return 2;
    }
    optind++;
    if (strcmp(argv[optind], "--") == 0)
        optind++;
    machine.file = log_path ? fopen(log_path, "w") : NULL;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    signal(SIGHUP, on_signal);
    fcntl(fileno(script), F_SETFD, FD_CLOEXEC);
    start(argv + optind);
    take("", 0);

    while (fgets(line, sizeof(line), script) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#')
            continue;
        strcpy(command, line);
        if (broken)
            count_missing(line);
        else
            broken = !play(command, line);
    }
    kill_machine();
    return failures ? 1 : 0;
}
