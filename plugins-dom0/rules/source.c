// SPDX-License-Identifier: MIT
/*
 * Texts of the rule language: opening and reading files, files within files, files of addresses, the words of a rule in their one form; and the whole way from inputs to a set.
 * Contract: rules.h, ast.h. Tests: test-rules.c.
 */
#include "ast.h"

#include "grammar.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SOURCE_BYTES_MAX (256u << 20)

typedef void *yyscan_t;
typedef struct yy_buffer_state *YY_BUFFER_STATE;
int rules_yylex_init_extra(struct rules_source *source, yyscan_t *scanner);
int rules_yylex_destroy(yyscan_t scanner);
YY_BUFFER_STATE rules_yy_scan_bytes(const char *bytes, int count, yyscan_t scanner);

/* ---- The words of a statement ---- */

void rules_statement_begin(struct rules_source *source)
{
    if (!source->rule_open)
        source->words_used = 0;
    source->rule_open = true;
}

void rules_word_add(struct rules_source *source, const char *text, bool quoted)
{
    size_t length = strlen(text), need = source->words_used + length + 4;
    char quote = strchr(text, '"') != NULL ? '\'' : '"';
    bool dash = !quoted && strcmp(text, "-") == 0;

    if (need > source->words_room) {
        size_t room = need * 2 + 256;
        char *words = rules_alloc(&source->run->arena, room);

        if (source->words_used != 0)
            memcpy(words, source->words, source->words_used);
        source->words = words;
        source->words_room = room;
    }
    if (source->words_used != 0 && !dash && !source->tight)
        source->words[source->words_used++] = ' ';
    /* The sign, not a name that ends in one. */
    source->tight = dash || (!quoted && strcmp(text, "!") == 0);
    if (quoted)
        source->words[source->words_used++] = quote;
    memcpy(source->words + source->words_used, text, length);
    source->words_used += length;
    if (quoted)
        source->words[source->words_used++] = quote;
}

/* ---- Files ---- */

/* Its name where `path` is relative to a folder. */
static const char *file_path(struct rules_run *run, const char *directory, const char *path)
{
    size_t bytes;
    char *to;

    if (path[0] == '/' || directory == NULL)
        return path;
    bytes = strlen(directory) + strlen(path) + 2;
    to = rules_alloc(&run->arena, bytes);
    snprintf(to, bytes, "%s/%s", directory, path);
    return to;
}

static const char *file_directory(struct rules_run *run, const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? NULL : slash == path ? "/" : rules_copy(&run->arena, path, (size_t)(slash - path));
}

static void file_note(struct rules_run *run, const char *path)
{
    struct rules_compiled *to = run->to;

    for (size_t i = 0; i < to->file_count; i++)
        if (strcmp(to->files[i], path) == 0)
            return;
    if (to->file_count == run->files_room) {
        size_t room = run->files_room * 2 + 4;
        char **files = realloc(to->files, room * sizeof(*files));

        if (files == NULL)
            longjmp(*(jmp_buf *)run->out_of_memory, 1);
        to->files = files;
        run->files_room = room;
    }
    to->files[to->file_count] = strdup(path);
    if (to->files[to->file_count] == NULL)
        longjmp(*(jmp_buf *)run->out_of_memory, 1);
    to->file_count++;
}

/* The same as file_read(), by somebody else. */
static char *file_ask(struct rules_run *run, const struct rules_pos *from, const char *path, size_t *bytes)
{
    struct rules_pos nowhere = { path, 0, 0 };
    char error[200] = "cannot be read";
    const char *text = run->options->read(run->options->read_arg, path, bytes, error, sizeof(error));

    if (text != NULL)
        return rules_copy(&run->arena, text, *bytes);
    rules_error(run, from != NULL ? from : &nowhere, NULL, "'%s': %s", path, error);
    return NULL;
}

/* All of a file, in the arena, with a zero behind; NULL and an error. from: who wants it, NULL: the caller of it all. */
static char *file_read(struct rules_run *run, const struct rules_pos *from, const char *path, size_t *bytes)
{
    struct rules_pos nowhere = { path, 0, 0 };
    size_t room = 65536, used = 0, got;
    struct stat st;
    FILE *file;
    char *text;

    file_note(run, path);
    if (run->options->read != NULL)
        return file_ask(run, from, path, bytes);
    file = fopen(path, "re");
    if (file == NULL || fstat(fileno(file), &st) != 0 || S_ISDIR(st.st_mode)) {
        rules_error(run, from != NULL ? from : &nowhere, NULL, "%s%s%s%s", from != NULL ? "'" : "", from != NULL ? path : "", from != NULL ? "': " : "",
                    file == NULL ? strerror(errno) : "is a folder, not a file");
        if (file != NULL)
            fclose(file);
        return NULL;
    }
    if (st.st_size > 0 && (uint64_t)st.st_size < SOURCE_BYTES_MAX)
        room = (size_t)st.st_size + 1;
    text = rules_alloc(&run->arena, room + 1);
    while ((got = fread(text + used, 1, room - used, file)) > 0) {
        used += got;
        if (used == room && room < SOURCE_BYTES_MAX) {
            char *more = rules_alloc(&run->arena, room * 2 + 1);

            memcpy(more, text, used);
            text = more;
            room *= 2;
        }
    }
    if (ferror(file) || used >= SOURCE_BYTES_MAX) {
        rules_error(run, from != NULL ? from : &nowhere, NULL, "'%s': %s", path, used >= SOURCE_BYTES_MAX ? "too long for rules" : "cannot be read");
        text = NULL;
    }
    fclose(file);
    *bytes = used;
    return text;
}

static int parse_text(struct rules_source *source, const char *text, size_t bytes)
{
    static const char mark[] = { '\xef', '\xbb', '\xbf' };
    yyscan_t scanner;

    /* Some editors begin a text with a mark that says how it is coded. */
    if (bytes >= sizeof(mark) && memcmp(text, mark, sizeof(mark)) == 0) {
        text += sizeof(mark);
        bytes -= sizeof(mark);
    }
    if (memchr(text, 0, bytes) != NULL) {
        struct rules_pos pos = { source->file, 0, 0 };

        rules_error(source->run, &pos, NULL, "no text: it has zeros in it");
        return -EINVAL;
    }
    if (rules_yylex_init_extra(source, &scanner) != 0)
        longjmp(*(jmp_buf *)source->run->out_of_memory, 1);
    rules_yy_scan_bytes(text, (int)bytes, scanner);
    rules_yyparse(scanner, source);
    rules_yylex_destroy(scanner);
    return 0;
}

int rules_parse_source(struct rules_run *run, const struct rules_input *input, const struct rules_pos *from, unsigned int depth)
{
    struct rules_source source = { .run = run, .line = 1, .column = 1, .depth = depth, .no_files = input->no_files };
    const char *text = input->text;
    size_t bytes = input->text_bytes;

    source.file = rules_copy(&run->arena, input->path != NULL ? input->path : "rules", strlen(input->path != NULL ? input->path : "rules"));
    source.directory = input->directory != NULL ? input->directory : text == NULL ? file_directory(run, source.file) : NULL;
    if (text == NULL)
        text = file_read(run, from, source.file, &bytes);
    return text != NULL ? parse_text(&source, text, bytes) : -EINVAL;
}

void rules_include(struct rules_source *source, const struct rules_pos *pos, const char *path)
{
    struct rules_input input = { 0 };

    if (source->no_files) {
        rules_error(source->run, pos, NULL, "this text may not include files");
    } else if (source->depth >= RULES_INCLUDE_MAX) {
        rules_error(source->run, pos, "does a file include itself?", "files within files, more than %u deep", RULES_INCLUDE_MAX);
        source->run->full = true;
    } else {
        input.path = file_path(source->run, source->directory, path);
        rules_parse_source(source->run, &input, pos, source->depth + 1);
    }
}

/* One element of a file of addresses. */
static struct rules_elem *set_line(struct rules_run *run, const struct rules_pos *pos, char *word)
{
    struct rules_elem *e = rules_alloc(&run->arena, sizeof(*e)), high;
    char *dash = strchr(word, '-'), *end;

    if (strpbrk(word, ".:") != NULL) {
        if (dash != NULL)
            *dash = 0;
        if (!rules_address_parse(run, pos, word, e) || (dash != NULL && (!rules_address_parse(run, pos, dash + 1, &high) || !rules_address_join(run, e, &high))))
            return NULL;
        return e;
    }
    *e = (struct rules_elem){ .pos = *pos, .kind = RULES_NUMBER };
    e->first = e->last = (uint32_t)strtoul(word, &end, 10);
    if (*end == '-' && end != word)
        e->last = (uint32_t)strtoul(end + 1, &end, 10);
    if (*end != 0 || end == word || e->last < e->first) {
        rules_error(run, pos, "an address, a prefix, a range, or a port in each line", "'%.80s' is no element of a set", word);
        return NULL;
    }
    return e;
}

void rules_read_set(struct rules_source *source, const struct rules_pos *pos, const char *path, struct rules_elems *to)
{
    struct rules_run *run = source->run;
    struct rules_pos at = { file_path(run, source->directory, path), 0, 1 };
    struct rules_elem **end = &to->first;
    char *text, *line, *next;
    size_t bytes;

    if (source->no_files) {
        rules_error(run, pos, NULL, "this text may not read files");
        return;
    }
    text = file_read(run, pos, at.file, &bytes);
    if (text != NULL && memchr(text, 0, bytes) != NULL) {
        rules_error(run, pos, NULL, "'%s' is no text: it has zeros in it", path);
        text = NULL;
    }
    for (line = text; line != NULL && *line != 0 && !run->full; line = next) {
        size_t length = strcspn(line, "\n");
        char *word, *save = NULL;

        next = line + length + (line[length] != 0);
        line[length] = 0;
        at.line++;
        line[strcspn(line, "#;")] = 0;
        for (word = strtok_r(line, " \t\r,", &save); word != NULL; word = strtok_r(NULL, " \t\r,", &save)) {
            at.column = (unsigned int)(word - line) + 1;
            *end = set_line(run, &at, word);
            if (*end == NULL)
                break;
            end = &(*end)->next;
        }
    }
    to->end = to->first != NULL ? end : NULL;
}

/* ---- All of it ---- */

/* Those of one file by line; files stay in the order in which they were read. */
static void errors_sort(struct rules_compiled *to)
{
    for (size_t i = 1; i < to->error_count; i++)
        for (size_t j = i; j > 0 && strcmp(to->errors[j].file, to->errors[j - 1].file) == 0 && to->errors[j].line < to->errors[j - 1].line; j--) {
            struct rules_error swap = to->errors[j];

            to->errors[j] = to->errors[j - 1];
            to->errors[j - 1] = swap;
        }
}

int rules_compile(const struct rules_input *inputs, size_t count, const struct rules_options *options, struct rules_compiled *to)
{
    static const struct rules_options usual;
    struct rules_run *run = calloc(1, sizeof(*run));
    jmp_buf out_of_memory;
    volatile int rc = -ENOMEM;

    *to = (struct rules_compiled){ 0 };
    if (run == NULL)
        return -ENOMEM;
    run->to = to;
    run->options = options != NULL ? options : &usual;
    run->end = &run->rules;
    run->out_of_memory = &out_of_memory;
    if (setjmp(out_of_memory) == 0) {
        for (size_t i = 0; i < count && !run->full; i++)
            rules_parse_source(run, &inputs[i], NULL, 0);
        /* With errors too: more of them are found, and told at once. */
        if (!run->full)
            rules_emit(run);
        errors_sort(to);
        rc = run->failed ? -EINVAL : 0;
    }
    rules_free(&run->arena);
    free(run);
    if (rc != 0) {
        free(to->bytes);
        to->bytes = NULL;
        to->size = 0;
    }
    return rc;
}

void rules_compiled_free(struct rules_compiled *set)
{
    for (size_t i = 0; i < set->file_count; i++)
        free(set->files[i]);
    free(set->files);
    free(set->errors);
    free(set->bytes);
    *set = (struct rules_compiled){ 0 };
}
