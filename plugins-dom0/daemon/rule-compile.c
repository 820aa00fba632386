// SPDX-License-Identifier: MIT
/*
 * Compiling the network rules in a child process, again and again until no mistake is left that can be gone round.
 *
 * Each attempt raises what has a mistake by one level: the file itself, its copy, what stands for it. There are two levels and a limited number of files, so it ends; an attempt costs what a compilation does.
 * The child gives its answer in a file of memory, and is only believed if it has ended well. It holds nothing of the daemon's: another daemon may start while it is at work.
 * Contract: rule-compile.h.  Tests: test-rule-parts.c.
 */
#include "rule-compile.h"

#include "../rules/rules.h"

#include <hv/plugin-tools.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_BYTES 512
#define WHY_BYTES 600
#define MISTAKES_BYTES 4096
#define FILE_BYTES_MAX (64u << 20)
#define COPY_BYTES_MAX (16u << 20) /* a longer one has no copy */
#define ATTEMPTS_MAX 200u
#define INPUTS_MAX 101u

enum level { FILE_ITSELF, FILE_COPY, FILE_INSTEAD };

/* A file that rules name. */
struct source {
    struct source *next; /* in the order in which they are named first */
    char *path;
    struct stat was;
    enum level level;
    bool tried[3];
    char *text[3]; /* of each level; NULL: it has none */
    size_t bytes[3];
    char why[WHY_BYTES]; /* its first mistake */
    unsigned int more;   /* others */
    bool copied;
};

struct part_state {
    bool left_out;
    char why[WHY_BYTES];
};

struct work {
    const struct rule_compile_order *order;
    struct source *sources;
    struct part_state parts[INPUTS_MAX];
    struct rules_compiled set;
    char mistakes[MISTAKES_BYTES];
};

/* ---- Files ---- */

static struct source *source_of(struct work *w, const char *path)
{
    struct source **at = &w->sources;

    while (*at != NULL && strcmp((*at)->path, path) != 0)
        at = &(*at)->next;
    if (*at == NULL && (*at = calloc(1, sizeof(**at))) != NULL && ((*at)->path = strdup(path)) == NULL) {
        free(*at);
        *at = NULL;
    }
    return *at;
}

/* A pipe would never end, and a device has no end: plain files alone. */
static char *plain_read(const char *path, size_t bytes_max, struct stat *is, size_t *bytes, const char **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char *text = NULL;
    ssize_t got = 0;

    *bytes = 0;
    *error = fd < 0 || fstat(fd, is) != 0 ? strerror(errno) : !S_ISREG(is->st_mode) ? "no plain file" : (uint64_t)is->st_size > bytes_max ? "too long for rules" : NULL;
    if (*error == NULL && (text = malloc((size_t)is->st_size + 1)) == NULL)
        *error = "no memory";
    while (*error == NULL && *bytes < (size_t)is->st_size && (got = read(fd, text + *bytes, (size_t)is->st_size - *bytes)) > 0)
        *bytes += (size_t)got;
    if (got < 0)
        *error = strerror(errno);
    if (*error == NULL && memchr(text, 0, *bytes) != NULL)
        *error = "no text: it has zeros in it";
    if (fd >= 0)
        close(fd);
    if (*error == NULL)
        return text;
    free(text);
    return NULL;
}

static void copy_path(const char *folder, const char *path, const char *end, char to[PATH_BYTES])
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

    for (const char *c = path; *c != '\0'; c++)
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    snprintf(to, PATH_BYTES, "%.440s/%016" PRIx64 "%s", folder, hash, end);
}

/* Lines of all parts for the case that this file is of no use. */
static char *instead_of(const struct work *w, const char *path, size_t *bytes)
{
    size_t head = strlen(PLUGIN_RULES_INSTEAD), length = strlen(path);
    char *text = NULL;
    FILE *to = open_memstream(&text, bytes);

    if (to == NULL)
        return NULL;
    for (size_t i = 0; i < w->order->part_count; i++)
        for (const char *line = w->order->parts[i].text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
            const char *at = line + head;

            if (strncmp(line, PLUGIN_RULES_INSTEAD, head) != 0 || *at != '"' || strncmp(at + 1, path, length) != 0 || strncmp(at + 1 + length, "\": ", 3) != 0)
                continue;
            at += length + 4;
            fprintf(to, "%.*s\n", (int)strcspn(at, "\n"), at);
        }
    fclose(to);
    return text;
}

static void source_try(struct work *w, struct source *s)
{
    char path[PATH_BYTES];
    const char *error;
    struct stat is;

    if (s->tried[s->level])
        return;
    s->tried[s->level] = true;
    if (s->level == FILE_ITSELF) {
        s->text[s->level] = plain_read(s->path, FILE_BYTES_MAX, &s->was, &s->bytes[s->level], &error);
        if (error != NULL)
            snprintf(s->why, sizeof(s->why), "%.400s: %.100s", s->path, error);
    } else if (s->level == FILE_COPY) {
        copy_path(w->order->folder, s->path, "", path);
        s->text[s->level] = plain_read(path, COPY_BYTES_MAX, &is, &s->bytes[s->level], &error);
    } else {
        s->text[s->level] = instead_of(w, s->path, &s->bytes[s->level]);
    }
}

/* Is it as when it was right the last time? */
static bool source_known(struct work *w, struct source *s)
{
    enum level level = s->level;

    s->level = FILE_COPY;
    source_try(w, s);
    s->level = level;
    return s->text[FILE_COPY] != NULL && s->text[level] != NULL && s->bytes[FILE_COPY] == s->bytes[level] && memcmp(s->text[FILE_COPY], s->text[level], s->bytes[level]) == 0;
}

/* For the compiler: the text of the best level that there is. */
static const char *source_read(void *arg, const char *path, size_t *bytes, char *error, size_t error_bytes)
{
    struct work *w = arg;
    struct source *s = source_of(w, path);

    if (s != NULL)
        source_try(w, s);
    if (s != NULL && w->order->careful && s->level == FILE_ITSELF && s->text[s->level] != NULL && !source_known(w, s)) {
        s->level = FILE_COPY;
        snprintf(s->why, sizeof(s->why), "%.400s: with it, or with another that is new, compiling the rules takes too long or fails", s->path);
        source_try(w, s);
    }
    while (s != NULL && s->text[s->level] == NULL && s->level < FILE_INSTEAD) {
        s->level++;
        source_try(w, s);
    }
    if (s == NULL || s->text[s->level] == NULL) {
        snprintf(error, error_bytes, "no memory");
        return NULL;
    }
    *bytes = s->bytes[s->level];
    return s->text[s->level];
}

/* ---- Mistakes ---- */

__attribute__((format(printf, 2, 3))) static void mistake_add(struct work *w, const char *format, ...)
{
    size_t used = strlen(w->mistakes);
    va_list args;

    va_start(args, format);
    if (used != 0 && used + 1 < sizeof(w->mistakes))
        w->mistakes[used++] = '\n';
    vsnprintf(w->mistakes + used, sizeof(w->mistakes) - used, format, args);
    va_end(args);
}

static void mistakes_all(struct work *w)
{
    char text[WHY_BYTES];

    w->mistakes[0] = '\0';
    for (size_t i = 0; i < w->set.error_count; i++)
        if (!w->set.errors[i].warning)
            mistake_add(w, "%s", rules_error_text(&w->set.errors[i], text, sizeof(text)));
    if (w->mistakes[0] == '\0')
        mistake_add(w, "the rules do not compile");
}

static struct source *source_wrong(const struct work *w, const struct rules_error *e)
{
    struct source *s = w->sources;

    while (s != NULL && (s->level == FILE_INSTEAD || strncmp(s->path, e->file, sizeof(e->file) - 1) != 0))
        s = s->next;
    return e->warning ? NULL : s;
}

/* The first file alone: mistakes of those behind it may come of what it has not defined. */
static bool file_away(struct work *w)
{
    const struct rules_compiled *set = &w->set;
    struct source *s = NULL;
    size_t first = 0;

    while (first < set->error_count && (s = source_wrong(w, &set->errors[first])) == NULL)
        first++;
    if (s == NULL)
        return false;
    for (size_t i = first + 1; i < set->error_count && s->level == FILE_ITSELF; i++)
        s->more += source_wrong(w, &set->errors[i]) == s;
    if (s->why[0] == '\0')
        rules_error_text(&set->errors[first], s->why, sizeof(s->why));
    s->level++;
    return true;
}

static bool part_away(struct work *w)
{
    for (size_t e = 0; e < w->set.error_count; e++)
        for (size_t i = 0; i < w->order->part_count; i++) {
            const struct rule_compile_part *part = &w->order->parts[i];

            if (w->set.errors[e].warning || part->strict || w->parts[i].left_out || strcmp(part->name, w->set.errors[e].file) != 0)
                continue;
            w->parts[i].left_out = true;
            rules_error_text(&w->set.errors[e], w->parts[i].why, sizeof(w->parts[i].why));
            return true;
        }
    return false;
}

static bool strict_wrong(const struct work *w)
{
    for (size_t e = 0; e < w->set.error_count; e++)
        for (size_t i = 0; i < w->order->part_count; i++)
            if (!w->set.errors[e].warning && w->order->parts[i].strict && strcmp(w->order->parts[i].name, w->set.errors[e].file) == 0)
                return true;
    return false;
}

/* A mistake of the set as a whole, as that it is too large: it came with what is new. */
static bool news_away(struct work *w)
{
    bool any = false;

    for (struct source *s = w->sources; s != NULL; s = s->next) {
        if (s->level != FILE_ITSELF || source_known(w, s))
            continue;
        s->level = FILE_COPY;
        snprintf(s->why, sizeof(s->why), "%.200s: with it, %.*s", s->path, (int)strcspn(w->mistakes, "\n"), w->mistakes);
        any = true;
    }
    return any;
}

static void mistakes_tell(struct work *w)
{
    static const char *const taken[] = {[FILE_COPY] = "its last text without a mistake holds", [FILE_INSTEAD] = "it is left out, and what it is for closed if its plugin says so"};

    w->mistakes[0] = '\0';
    for (size_t i = 0; i < w->order->part_count; i++)
        if (w->parts[i].left_out)
            mistake_add(w, "%s; this part is left out", w->parts[i].why);
    for (const struct source *s = w->sources; s != NULL; s = s->next) {
        if (s->level == FILE_ITSELF)
            continue;
        if (s->more != 0)
            mistake_add(w, "%s, and %u more mistakes; %s", s->why, s->more, taken[s->level]);
        else
            mistake_add(w, "%s; %s", s->why, taken[s->level]);
    }
}

/* ---- The child ---- */

static int attempt(struct work *w)
{
    struct rules_options options = {.read = source_read, .read_arg = w};
    struct rules_input inputs[INPUTS_MAX] = {{0}};
    size_t count = 0;

    for (size_t i = 0; i < w->order->part_count && count < INPUTS_MAX - 1; i++) {
        const struct rule_compile_part *part = &w->order->parts[i];

        if (!w->parts[i].left_out)
            inputs[count++] = (struct rules_input){.path = part->name, .text = part->text, .text_bytes = strlen(part->text), .directory = "/"};
    }
    if (w->order->file != NULL)
        inputs[count++] = (struct rules_input){.path = w->order->file};
    rules_compiled_free(&w->set);
    return rules_compile(inputs, count, &options, &w->set);
}

static int assemble(struct work *w)
{
    for (unsigned int i = 0; i < ATTEMPTS_MAX; i++) {
        int rc = attempt(w);

        if (rc == 0)
            mistakes_tell(w);
        if (rc != -EINVAL)
            return rc;
        mistakes_all(w);
        if (!file_away(w) && (strict_wrong(w) || (!part_away(w) && !news_away(w))))
            return -EINVAL;
    }
    return -EINVAL;
}

static void copy_write(struct work *w, struct source *s)
{
    char path[PATH_BYTES];
    enum level level = s->level;
    FILE *file;

    if (level != FILE_ITSELF || s->text[level] == NULL || s->bytes[level] > COPY_BYTES_MAX || source_known(w, s))
        return;
    copy_path(w->order->folder, s->path, ".new", path);
    file = fopen(path, "we");
    if (file == NULL)
        return;
    s->copied = fwrite(s->text[level], 1, s->bytes[level], file) == s->bytes[level];
    s->copied = fclose(file) == 0 && s->copied;
}

struct answer {
    int rc;
    uint32_t rules;
    uint64_t size, files, mistakes;
};

struct answer_file {
    struct stat was;
    uint32_t path_bytes;
    bool wrong, copied;
};

static bool answer_write(struct work *w, FILE *to, int rc)
{
    struct answer a = {.rc = rc, .rules = w->set.rules, .size = rc == 0 ? w->set.size : 0, .mistakes = strlen(w->mistakes)};
    bool good;

    for (const struct source *s = w->sources; s != NULL; s = s->next)
        a.files++;
    good = fwrite(&a, sizeof(a), 1, to) == 1 && (a.size == 0 || fwrite(w->set.bytes, a.size, 1, to) == 1) && (a.mistakes == 0 || fwrite(w->mistakes, a.mistakes, 1, to) == 1);
    for (struct source *s = w->sources; s != NULL && good; s = s->next) {
        struct answer_file f = {.was = s->was, .path_bytes = (uint32_t)strlen(s->path), .wrong = s->level != FILE_ITSELF};

        if (rc == 0)
            copy_write(w, s);
        f.copied = s->copied;
        good = fwrite(&f, sizeof(f), 1, to) == 1 && fwrite(s->path, f.path_bytes, 1, to) == 1;
    }
    return fflush(to) == 0 && good;
}

/* If memory runs out it is this process that goes. */
static void expendable(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, "1000", 4) != 4)
        errno = 0;
    if (fd >= 0)
        close(fd);
}

__attribute__((noreturn)) static void child(const struct rule_compile_order *order, int answer, pid_t daemon)
{
    struct work *w;
    sigset_t none;
    FILE *to;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != daemon || dup2(answer, 3) < 0)
        _exit(1);
    close_range(4, ~0u, 0);
    signal(SIGALRM, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    alarm(order->seconds);
    expendable();
    w = calloc(1, sizeof(*w));
    to = fdopen(3, "w");
    if (w == NULL || to == NULL)
        _exit(1);
    w->order = order;
    _exit(answer_write(w, to, assemble(w)) ? 0 : 1);
}

/* ---- The daemon ---- */

static bool take(FILE *from, void *to, size_t bytes)
{
    return bytes == 0 || fread(to, bytes, 1, from) == 1;
}

static int answer_read(FILE *from, struct rule_compile_result *to)
{
    struct answer a;

    if (!take(from, &a, sizeof(a)))
        return -ECHILD;
    to->bytes = malloc(a.size + 1);
    to->mistakes = calloc(1, a.mistakes + 1);
    to->files = calloc(a.files + 1, sizeof(*to->files));
    if (to->bytes == NULL || to->mistakes == NULL || to->files == NULL)
        return -ENOMEM;
    if (!take(from, to->bytes, a.size) || !take(from, to->mistakes, a.mistakes))
        return -ECHILD;
    to->size = a.size;
    to->rules = a.rules;
    for (uint64_t i = 0; i < a.files; i++) {
        struct answer_file f;

        if (!take(from, &f, sizeof(f)) || (to->files[i].path = calloc(1, (size_t)f.path_bytes + 1)) == NULL || !take(from, to->files[i].path, f.path_bytes))
            return -ECHILD;
        to->files[i].was = f.was;
        to->files[i].wrong = f.wrong;
        to->files[i].copied = f.copied;
        to->file_count++;
    }
    return a.rc;
}

__attribute__((format(printf, 3, 4))) static int said(struct rule_compile_result *to, int rc, const char *format, ...)
{
    va_list args;

    free(to->mistakes);
    va_start(args, format);
    if (vasprintf(&to->mistakes, format, args) < 0)
        to->mistakes = NULL;
    va_end(args);
    return rc;
}

static int compile_once(const struct rule_compile_order *order, struct rule_compile_result *to)
{
    pid_t self = getpid(), pid;
    FILE *answer = NULL;
    int fd = memfd_create("rules", MFD_CLOEXEC), status = 0, rc;

    memset(to, 0, sizeof(*to));
    to->careful = order->careful;
    mkdir(order->folder, 0700);
    if (fd >= 0)
        answer = fdopen(fd, "r+");
    pid = answer != NULL ? fork() : -1;
    if (pid == 0)
        child(order, fd, self);
    rc = pid < 0 ? -errno : 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (rc != 0)
        rc = said(to, -ENOMEM, "no memory to compile the rules: %s", strerror(-rc));
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        rc = said(to, -ETIME, "compiling the rules took more than %u seconds", order->seconds);
    else if (WIFSIGNALED(status))
        rc = said(to, -ECHILD, "compiling the rules ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        rc = said(to, -ENOMEM, "no memory to compile the rules");
    else {
        rewind(answer);
        rc = answer_read(answer, to);
    }
    if (answer != NULL)
        fclose(answer);
    else if (fd >= 0)
        close(fd);
    return rc;
}

int rule_compile(const struct rule_compile_order *order, struct rule_compile_result *to)
{
    struct rule_compile_order careful = *order;
    struct rule_compile_result again;
    int rc = compile_once(order, to);

    if ((rc != -ETIME && rc != -ECHILD) || order->careful)
        return rc;
    careful.careful = true;
    if (compile_once(&careful, &again) != 0) {
        rule_compile_free(&again);
        return rc;
    }
    rule_compile_free(to);
    *to = again;
    return 0;
}

void rule_compile_accept(const char *folder, const struct rule_compile_result *result)
{
    char from[PATH_BYTES], to[PATH_BYTES];

    for (size_t i = 0; i < result->file_count; i++) {
        if (!result->files[i].copied)
            continue;
        copy_path(folder, result->files[i].path, ".new", from);
        copy_path(folder, result->files[i].path, "", to);
        rename(from, to);
    }
}

void rule_compile_free(struct rule_compile_result *result)
{
    for (size_t i = 0; i < result->file_count; i++)
        free(result->files[i].path);
    free(result->files);
    free(result->mistakes);
    free(result->bytes);
    memset(result, 0, sizeof(*result));
}
