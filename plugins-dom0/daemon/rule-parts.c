// SPDX-License-Identifier: MIT
/*
 * Parts of the network rules, made one set.
 *
 * The generation that was loaded last stands in the file `generation` beside the parts: is another one in force, somebody else has loaded it, and it is left alone.
 * What keeps a set from being in force is either lasting (it would be the same the next time: a mistake, a limit) or passes (somebody loads at the same time, memory is short): then it is tried again, later each time.
 * Contract: rule-parts.h.  Tests: test-rule-parts.c.
 */
#include "rule-parts.h"
#include "log.h"
#include "rule-compile.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 512
#define NAME_BYTES 64
#define PART_BYTES_MAX (2u << 20)
#define PARTS_MAX 100u
#define COMPILE_S 60u
#define STALE_TIMES 3u
#define RETRY_MAX_NS 60000000000ull

struct part {
    struct part *next; /* by order, then name */
    char name[NAME_BYTES];
    uint32_t order;
    char *text;
};

/* A file that the set was made of, as it was then. */
struct watched {
    char *path;
    struct stat was; /* st_ino 0: it was not there */
    bool wrong;      /* the set goes without it as it is */
};

/* How it stands with the set as it should be. */
struct standing {
    bool failed;  /* it is not in force */
    bool by_hand; /* because of somebody else's */
    bool passes;  /* for a reason that passes: tried again when retry_at_ns has come */
    uint64_t retry_at_ns, retry_ns;
};

struct rule_parts {
    struct rule_parts_settings s;
    char folder[PATH_BYTES], file[PATH_BYTES], copies[PATH_BYTES];
    struct part *first;
    struct part *refused; /* the last that was, and why: its plugin asks again each time it has its turn */
    char refused_why[1000];
    struct watched *files;
    size_t file_count;
    struct loop_timer *timer;
    uint64_t generation; /* that we have loaded; 0: none */
    struct standing standing;
    bool careful;        /* with the files as they are now, compiling took too long or failed */
    char *mistakes;      /* lines: what the set in force goes without; or NULL */
    char said[1000];     /* the last complaint, so that it is not said again and again */
};

/* ---- Parts and their files ---- */

static void part_path(const struct rule_parts *p, const struct part *part, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%.400s/%02u-%s.rules", p->folder, part->order, part->name);
}

static void part_free(struct part *part)
{
    if (part != NULL)
        free(part->text);
    free(part);
}

static struct part *part_new(const char *name, uint32_t order, const char *text)
{
    struct part *part = calloc(1, sizeof(*part));

    if (part == NULL)
        return NULL;
    part->order = order;
    snprintf(part->name, sizeof(part->name), "%s", name);
    part->text = strdup(text);
    if (part->text != NULL)
        return part;
    free(part);
    return NULL;
}

static bool part_same(const struct part *a, const struct part *b)
{
    return a->order == b->order && strcmp(a->name, b->name) == 0 && strcmp(a->text, b->text) == 0;
}

static struct part **part_place(struct rule_parts *p, const char *name)
{
    struct part **at = &p->first;

    while (*at != NULL && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static void part_insert(struct rule_parts *p, struct part *part)
{
    struct part **at = &p->first;

    while (*at != NULL && ((*at)->order < part->order || ((*at)->order == part->order && strcmp((*at)->name, part->name) < 0)))
        at = &(*at)->next;
    part->next = *at;
    *at = part;
}

/* Beside, then moved into place: a kill leaves the old one or the new one. */
static int file_write(const char *path, const char *text)
{
    char beside[PATH_BYTES + 8];
    FILE *file;
    int rc;

    snprintf(beside, sizeof(beside), "%s.new", path);
    file = fopen(beside, "we");
    if (file == NULL)
        return -errno;
    rc = fputs(text, file) >= 0 ? 0 : -EIO;
    if (fclose(file) != 0 || (rc == 0 && rename(beside, path) != 0))
        rc = -errno;
    return rc;
}

static char *file_read(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = calloc(1, PART_BYTES_MAX + 1);

    if (file != NULL && text != NULL && fread(text, 1, PART_BYTES_MAX, file) == 0 && ferror(file)) {
        free(text);
        text = NULL;
    }
    if (file != NULL)
        fclose(file);
    else {
        free(text);
        text = NULL;
    }
    return text;
}

static void part_keep(const struct rule_parts *p, const struct part *part)
{
    char path[PATH_BYTES];
    int rc;

    part_path(p, part, path);
    rc = file_write(path, part->text);
    if (rc != 0)
        log_warning("%s: %s: this part of the rules will be gone when colletd starts anew", path, strerror(-rc));
}

static void part_drop(const struct rule_parts *p, const struct part *part)
{
    char path[PATH_BYTES];

    part_path(p, part, path);
    unlink(path);
}

static void folder_read(struct rule_parts *p)
{
    DIR *folder = opendir(p->folder);
    struct dirent *entry;
    char path[PATH_BYTES], name[NAME_BYTES];
    struct part *part;
    unsigned int order;
    int end;
    char *text;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        end = 0;
        if (sscanf(entry->d_name, "%2u-%63[a-z0-9-].rules%n", &order, name, &end) != 2 || end == 0 || entry->d_name[end] != '\0')
            continue;
        snprintf(path, sizeof(path), "%.400s/%.100s", p->folder, entry->d_name);
        text = file_read(path);
        part = text != NULL ? part_new(name, order, text) : NULL;
        free(text);
        if (part != NULL)
            part_insert(p, part);
    }
    if (folder != NULL)
        closedir(folder);
}

static void generation_path(const struct rule_parts *p, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%.400s/generation", p->folder);
}

static void generation_note(struct rule_parts *p, uint64_t generation)
{
    char path[PATH_BYTES], text[24];

    p->generation = generation;
    generation_path(p, path);
    snprintf(text, sizeof(text), "%" PRIu64 "\n", generation);
    if (file_write(path, text) != 0)
        log_warning("%s: %s", path, strerror(errno));
}

static void generation_recall(struct rule_parts *p)
{
    char path[PATH_BYTES], *text;

    generation_path(p, path);
    text = file_read(path);
    if (text != NULL)
        p->generation = strtoull(text, NULL, 10);
    free(text);
}

/* ---- Files that the set was made of ---- */

static void files_forget(struct rule_parts *p)
{
    while (p->file_count > 0)
        free(p->files[--p->file_count].path);
    free(p->files);
    p->files = NULL;
}

static void file_look(const char *path, struct stat *is)
{
    if (stat(path, is) != 0)
        memset(is, 0, sizeof(*is));
}

static void file_watch(struct rule_parts *p, const char *path, const struct stat *was, bool wrong)
{
    struct watched *w = &p->files[p->file_count];

    w->path = strdup(path);
    if (w->path == NULL)
        return;
    w->wrong = wrong;
    if (was != NULL)
        w->was = *was;
    else
        file_look(path, &w->was);
    p->file_count++;
}

/* set NULL: no set was made. */
static void files_note(struct rule_parts *p, const struct rule_compile_result *set)
{
    size_t count = set != NULL ? set->file_count : 0;
    bool named = false;

    files_forget(p);
    p->files = calloc(count + 1, sizeof(*p->files));
    if (p->files == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        if (set->files[i].path[0] == '/')
            file_watch(p, set->files[i].path, &set->files[i].was, set->files[i].wrong);
        named = named || strcmp(set->files[i].path, p->file) == 0;
    }
    if (!named && p->file[0] == '/')
        file_watch(p, p->file, NULL, false);
}

/* No set was made of them as they are now, and none would be before one changes. */
static void files_seen(struct rule_parts *p)
{
    for (size_t i = 0; i < p->file_count; i++)
        file_look(p->files[i].path, &p->files[i].was);
}

static bool files_changed(const struct rule_parts *p)
{
    struct stat is;

    for (size_t i = 0; i < p->file_count; i++) {
        const struct stat *was = &p->files[i].was;

        file_look(p->files[i].path, &is);
        if (is.st_ino != was->st_ino || is.st_size != was->st_size || is.st_mtim.tv_sec != was->st_mtim.tv_sec || is.st_mtim.tv_nsec != was->st_mtim.tv_nsec)
            return true;
    }
    return false;
}

/* ---- The set ---- */

static bool file_there(const struct rule_parts *p)
{
    return p->file[0] != '\0' && access(p->file, R_OK) == 0;
}

/* strict: the part that has just come; NULL: none. */
static int compile(struct rule_parts *p, const struct part *strict, struct rule_compile_result *set)
{
    struct rule_compile_part *parts = calloc(PARTS_MAX, sizeof(*parts));
    char (*names)[NAME_BYTES + 20] = calloc(PARTS_MAX, sizeof(*names));
    struct rule_compile_order order = {.parts = parts, .file = file_there(p) ? p->file : NULL, .folder = p->copies, .seconds = p->s.compile_s != 0 ? p->s.compile_s : COMPILE_S, .careful = p->careful && !files_changed(p)};
    const struct part *part;
    int rc = -ENOMEM;

    memset(set, 0, sizeof(*set));
    for (part = p->first; parts != NULL && names != NULL && part != NULL && order.part_count < PARTS_MAX; part = part->next) {
        snprintf(names[order.part_count], sizeof(names[0]), "plugin %s", part->name);
        parts[order.part_count] = (struct rule_compile_part){.name = names[order.part_count], .text = part->text, .strict = part == strict};
        order.part_count++;
    }
    if (parts != NULL && names != NULL)
        rc = rule_compile(&order, set);
    free(parts);
    free(names);
    return rc;
}

/* Is what is in force ours to replace? */
static int may_load(struct rule_parts *p, struct collet_rules_info *info, char *error, size_t bytes)
{
    const struct rule_parts_backend *b = &p->s.backend;
    int rc = b->info(b->arg, info);

    if (rc != 0)
        snprintf(error, bytes, "%s", b->error(b->arg));
    else if (info->bytes != 0 && info->generation != p->generation) {
        snprintf(error, bytes, "rules of generation %" PRIu64 " were loaded by hand, and are left in force; `collet rules flush` makes room for those of plugins and %s", info->generation,
                 p->file[0] != '\0' ? p->file : "files");
        rc = -EBUSY;
    }
    return rc;
}

static int load(struct rule_parts *p, const struct rule_compile_result *set, const struct collet_rules_info *info, char *error, size_t bytes)
{
    const struct rule_parts_backend *b = &p->s.backend;
    struct collet_rules_load load = {.expect = info->generation};
    bool none = p->first == NULL && !file_there(p);
    int rc;

    if (none && info->bytes == 0)
        return 0;
    rc = b->load(b->arg, none ? NULL : set->bytes, none ? 0 : set->size, &load);
    if (rc == -EINVAL)
        snprintf(error, bytes, "the hypervisor refuses the rules: line %u: %.160s", load.error_line, load.error_text);
    else if (rc != 0)
        snprintf(error, bytes, "%s", b->error(b->arg));
    else {
        generation_note(p, load.generation);
        log_note("network rules: generation %" PRIu64 ", %u rules", load.generation, none ? 0 : set->rules);
    }
    return rc;
}

/* Would it be the same the next time? */
static bool lasting(int rc)
{
    return rc == -EINVAL || rc == -E2BIG || rc == -ENOSPC || rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -EPERM || rc == -ETIME || rc == -ECHILD;
}

/* Somebody may load between the look and the load. */
static int put_in_force(struct rule_parts *p, const struct rule_compile_result *set, char *error, size_t bytes)
{
    struct collet_rules_info info;
    int rc = -ESTALE;

    for (unsigned int i = 0; i < STALE_TIMES && rc == -ESTALE; i++)
        if ((rc = may_load(p, &info, error, bytes)) == 0)
            rc = load(p, set, &info, error, bytes);
    return rc;
}

static void mistakes_note(struct rule_parts *p, const char *mistakes)
{
    const char *before = p->mistakes != NULL ? p->mistakes : "", *line = mistakes;

    if (strcmp(mistakes, before) == 0)
        return;
    for (; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n')
        log_error("network rules: %.*s", (int)strcspn(line, "\n"), line);
    if (*mistakes == '\0')
        log_note("network rules: nothing is left out any more");
    free(p->mistakes);
    p->mistakes = *mistakes != '\0' ? strdup(mistakes) : NULL;
}

static void standing_note(struct standing *now, int rc, uint64_t look_ns)
{
    now->failed = rc != 0;
    now->by_hand = rc == -EBUSY;
    now->passes = rc != 0 && !now->by_hand && !lasting(rc);
    now->retry_ns = !now->passes ? 0 : now->retry_ns == 0 ? look_ns : now->retry_ns < RETRY_MAX_NS ? now->retry_ns * 2 : now->retry_ns;
    now->retry_at_ns = loop_now() + now->retry_ns;
}

/* Make the set and put it in force. */
static int make(struct rule_parts *p, const struct part *strict, char *error, size_t bytes)
{
    struct rule_compile_result set;
    int rc = compile(p, strict, &set);

    if (rc != 0) {
        snprintf(error, bytes, "%s", set.mistakes != NULL && set.mistakes[0] != '\0' ? set.mistakes : "no memory to compile the rules");
        if (set.file_count != 0)
            files_note(p, &set);
        else if (strict == NULL)
            files_seen(p);
    } else {
        files_note(p, &set);
        p->careful = set.careful;
        rc = put_in_force(p, &set, error, bytes);
        if (rc == 0) {
            rule_compile_accept(p->copies, &set);
            mistakes_note(p, set.mistakes);
        }
    }
    rule_compile_free(&set);
    standing_note(&p->standing, rc, p->s.look_ns);
    return rc;
}

static void complain(struct rule_parts *p, const char *error)
{
    if (strcmp(p->said, error) == 0)
        return;
    snprintf(p->said, sizeof(p->said), "%s", error);
    log_error("network rules: %s", error);
}

static void make_or_complain(struct rule_parts *p)
{
    char error[sizeof(p->said)];

    if (make(p, NULL, error, sizeof(error)) == 0)
        p->said[0] = '\0';
    else
        complain(p, error);
}

/* Does it name a file that the set goes without? Of one that nobody names (it is within another) all are told. */
static bool concerns(const struct rule_parts *p, const struct part *part)
{
    bool named = false, any = false;

    for (size_t i = 0; i < p->file_count; i++) {
        if (!p->files[i].wrong)
            continue;
        any = true;
        if (strstr(part->text, p->files[i].path) != NULL)
            return true;
        named = named || strcmp(p->files[i].path, p->file) == 0;
        for (const struct part *other = p->first; other != NULL; other = other->next)
            named = named || strstr(other->text, p->files[i].path) != NULL;
    }
    return any ? !named : p->mistakes != NULL && strstr(p->mistakes, part->name) != NULL;
}

/* 0; or what is to be told of this part, which has been taken. */
static int state_of(const struct rule_parts *p, const struct part *part, char *error, size_t bytes)
{
    if (p->standing.failed && p->said[0] != '\0')
        snprintf(error, bytes, "%s", p->said);
    else if (p->mistakes != NULL && concerns(p, part))
        snprintf(error, bytes, "%s", p->mistakes);
    else
        return 0;
    return -EIO;
}

/* ---- From outside ---- */

int rule_parts_set(struct rule_parts *p, const char *name, uint32_t order, const char *text, char *error, size_t error_bytes)
{
    struct part **at = part_place(p, name), *old = *at, *new = text != NULL ? part_new(name, order, text) : NULL;
    struct standing before;
    int rc;

    if (text != NULL && new == NULL) {
        snprintf(error, error_bytes, "no memory");
        return -ENOMEM;
    }
    if (old == NULL ? text == NULL : new != NULL && part_same(old, new)) {
        part_free(new);
        return old != NULL ? state_of(p, old, error, error_bytes) : 0;
    }
    if (new != NULL && p->refused != NULL && part_same(p->refused, new) && !files_changed(p)) {
        part_free(new);
        snprintf(error, error_bytes, "%s", p->refused_why);
        return -EINVAL;
    }
    if (old != NULL)
        *at = old->next;
    if (new != NULL)
        part_insert(p, new);
    before = p->standing;
    rc = make(p, new, error, error_bytes);
    /* Rules by hand, and what passes, are no fault of this part: it waits. */
    if (rc != 0 && lasting(rc) && new != NULL) {
        *part_place(p, name) = new->next;
        part_free(p->refused);
        p->refused = new;
        snprintf(p->refused_why, sizeof(p->refused_why), "%s", error);
        if (old != NULL)
            part_insert(p, old);
        p->standing = before; /* the set without it is as it was */
        return rc;
    }
    if (old != NULL)
        part_drop(p, old);
    if (new != NULL)
        part_keep(p, new);
    part_free(old);
    if (rc != 0)
        complain(p, error);
    else
        p->said[0] = '\0';
    return rc != 0 || new == NULL ? rc : state_of(p, new, error, error_bytes);
}

static void look(void *arg)
{
    struct rule_parts *p = arg;
    struct collet_rules_info info;
    char error[sizeof(p->said)];

    p->timer = loop_timer(p->s.loop, p->s.look_ns, look, p);
    if (files_changed(p) || (p->standing.passes && loop_now() >= p->standing.retry_at_ns) || (p->standing.by_hand && may_load(p, &info, error, sizeof(error)) == 0))
        make_or_complain(p);
}

void rule_parts_begin(struct rule_parts *p)
{
    struct collet_rules_info info;
    char error[sizeof(p->said)];

    folder_read(p);
    generation_recall(p);
    if (p->first != NULL || file_there(p) || p->generation != 0) {
        make_or_complain(p);
    } else {
        files_note(p, NULL);
        may_load(p, &info, error, sizeof(error));
    }
    if (p->s.look_ns != 0)
        p->timer = loop_timer(p->s.loop, p->s.look_ns, look, p);
}

struct rule_parts *rule_parts_create(const struct rule_parts_settings *settings)
{
    struct rule_parts *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->s = *settings;
    snprintf(p->folder, sizeof(p->folder), "%.400s", settings->folder);
    snprintf(p->copies, sizeof(p->copies), "%.400s/good", p->folder);
    snprintf(p->file, sizeof(p->file), "%.500s", settings->file != NULL ? settings->file : "");
    if (mkdir(p->folder, 0755) != 0 && errno != EEXIST)
        log_warning("%s: %s", p->folder, strerror(errno));
    return p;
}

void rule_parts_destroy(struct rule_parts *p)
{
    struct part *part;

    if (p == NULL)
        return;
    loop_timer_cancel(p->timer);
    while ((part = p->first) != NULL) {
        p->first = part->next;
        part_free(part);
    }
    part_free(p->refused);
    free(p->mistakes);
    files_forget(p);
    free(p);
}
