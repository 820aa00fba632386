// SPDX-License-Identifier: MIT
/*
 * What survives a restart of the daemon: one JSON file per domain, replaced as a whole by renaming. They lie in /run, which lives as long as the domains do.
 * Contract: domains-private.h.  Tests: test-domains.c.
 */
#include "domains-private.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".json"
#define MODULE_FILE "scheduler" /* whose parameters the domains have */
#define PATH_BYTES 512

static void state_path(const struct domains *d, const char *name, const char *suffix, char *path)
{
    snprintf(path, PATH_BYTES, "%.400s/%.40s%s", d->s.state_folder, name, suffix);
}

static json_t *history_json(const struct policy_history *history)
{
    json_t *list = json_array();
    unsigned int i;

    for (i = 0; i < history->count; i++)
        json_array_append_new(list, json_integer((json_int_t)history->at_ns[i]));
    return list;
}

static json_t *state_json(const struct domain *domain)
{
    const struct definition *def = domain->definition;

    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:b, s:i, s:s, s:I, s:I, s:s, s:s, s:o, s:b, s:{s:I, s:I, s:I, s:I}}", "name", domain->name, "phase", domain_phase_name(domain->phase), "domid", (json_int_t)domain->domid,
                     "created_ns", (json_int_t)domain->created_ns, "uuid", domain->uuid, "paused", domain->paused, "restarts", (int)domain->restarts, "last_exit", domain->last_exit, "frames_target",
                     (json_int_t)domain->frames_target, "frames_max", (json_int_t)domain->frames_max, "file", def != NULL ? def->file : "", "text", def != NULL ? def->text : "", "history",
                     history_json(&domain->history), "deaf", domain->deaf, "built", "console_port", (json_int_t)domain->built.console_port, "store_port", (json_int_t)domain->built.store_port,
                     "console_mfn", (json_int_t)domain->built.console_mfn, "store_mfn", (json_int_t)domain->built.store_mfn);
}

void domain_state_write(const struct domain *domain)
{
    char path[PATH_BYTES], temporary[PATH_BYTES];
    json_t *state;

    if (domain->domains->s.state_folder == NULL)
        return;
    state_path(domain->domains, domain->name, SUFFIX, path);
    state_path(domain->domains, domain->name, ".new", temporary);
    state = state_json(domain);
    if (state == NULL || json_dump_file(state, temporary, JSON_INDENT(1)) != 0 || rename(temporary, path) != 0)
        log_error("%s: its state could not be written: %s: after a restart of the daemon it will be unmanaged", domain->name, strerror(errno));
    json_decref(state);
}

void domain_state_remove(const struct domains *d, const char *name)
{
    char path[PATH_BYTES];

    if (d->s.state_folder == NULL)
        return;
    state_path(d, name, SUFFIX, path);
    unlink(path);
}

static enum domain_phase phase_from(const char *name)
{
    int phase;

    for (phase = PHASE_CREATING; phase < PHASE_ENDED; phase++)
        if (strcmp(name, domain_phase_name((enum domain_phase)phase)) == 0)
            break;
    return (enum domain_phase)phase;
}

static void history_read(struct policy_history *history, const json_t *list)
{
    size_t i;

    for (i = 0; i < json_array_size(list) && history->count < POLICY_HISTORY; i++)
        history->at_ns[history->count++] = (uint64_t)json_integer_value(json_array_get(list, i));
}

static void built_read(struct domain *domain, const json_t *built)
{
    domain->built = (struct build_result){.domid = domain->domid,
                                          .console_port = (uint32_t)json_integer_value(json_object_get(built, "console_port")),
                                          .store_port = (uint32_t)json_integer_value(json_object_get(built, "store_port")),
                                          .console_mfn = (uint64_t)json_integer_value(json_object_get(built, "console_mfn")),
                                          .store_mfn = (uint64_t)json_integer_value(json_object_get(built, "store_mfn"))};
}

/* The definition was accepted once; if it is not any more (other scheduler modules, say), the domain still is ours, without one. */
static void definition_read(struct domain *domain, const char *file, const char *text, const struct sched_catalog *catalog)
{
    struct text_mistakes *mistakes = calloc(1, sizeof(*mistakes));

    if (mistakes == NULL || *text == '\0') {
        free(mistakes);
        return;
    }
    domain->definition = definition_parse(file, text, catalog, NULL, mistakes);
    if (domain->definition == NULL)
        log_warning("%s: its definition does not hold any more: %s", domain->name, mistakes->text);
    free(mistakes);
}

/* Files come in any order; the list is in order of creation. */
static void place_in_order(struct domain *domain)
{
    struct domain **at = &domain->domains->first;

    while (*at != domain)
        at = &(*at)->next;
    *at = domain->next;
    at = &domain->domains->first;
    while (*at != NULL && (*at)->created_ns <= domain->created_ns)
        at = &(*at)->next;
    domain->next = *at;
    *at = domain;
}

static void state_take(struct domains *d, const char *path, json_t *state, const struct sched_catalog *catalog)
{
    const char *name, *phase, *uuid, *last_exit, *file, *text;
    json_int_t domid, created, target, max;
    int paused, restarts;
    struct domain *domain;
    json_t *history = NULL;

    if (json_unpack(state, "{s:s, s:s, s:I, s:I, s:s, s:b, s:i, s:s, s:I, s:I, s:s, s:s, s?o}", "name", &name, "phase", &phase, "domid", &domid, "created_ns", &created, "uuid", &uuid, "paused", &paused,
                    "restarts", &restarts, "last_exit", &last_exit, "frames_target", &target, "frames_max", &max, "file", &file, "text", &text, "history", &history) != 0 ||
        strlen(name) >= COLLET_NAME_MAX || strlen(uuid) >= UUID_BYTES || domain_by_name(d, name) != NULL) {
        log_error("%s: not a state that this daemon has written; it is left alone", path);
        return;
    }
    domain = domain_add(d, name);
    if (domain == NULL)
        return;
    domain->phase = phase_from(phase);
    domain->domid = (uint32_t)domid;
    domain->created_ns = (uint64_t)created;
    place_in_order(domain);
    strcpy(domain->uuid, uuid);
    domain->paused = paused;
    domain->restarts = (unsigned int)restarts;
    snprintf(domain->last_exit, sizeof(domain->last_exit), "%s", last_exit);
    domain->frames_target = (uint64_t)target;
    domain->frames_max = (uint64_t)max;
    domain->deaf = json_is_true(json_object_get(state, "deaf"));
    built_read(domain, json_object_get(state, "built"));
    history_read(&domain->history, history);
    definition_read(domain, file, text, catalog);
}

void domain_state_module_write(const struct domains *d)
{
    char path[PATH_BYTES];
    FILE *file;

    if (d->s.state_folder == NULL)
        return;
    snprintf(path, sizeof(path), "%.400s/" MODULE_FILE, d->s.state_folder);
    file = fopen(path, "we");
    if (file == NULL)
        return;
    fputs(d->active_module, file);
    fclose(file);
}

static void module_read(struct domains *d)
{
    char path[PATH_BYTES], name[COLLET_NAME_MAX] = "";
    FILE *file;

    snprintf(path, sizeof(path), "%.400s/" MODULE_FILE, d->s.state_folder);
    file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(name, sizeof(name), file) != NULL)
        memcpy(d->active_module, name, sizeof(name));
    fclose(file);
}

void domains_state_read(struct domains *d)
{
    struct sched_catalog catalog = {0};
    struct dirent *entry;
    char path[PATH_BYTES];
    json_error_t error;
    json_t *state;
    DIR *folder;

    folder = d->s.state_folder != NULL ? opendir(d->s.state_folder) : NULL;
    if (folder == NULL)
        return;
    module_read(d);
    d->s.backend->catalog(d->s.backend->arg, &catalog);
    while ((entry = readdir(folder)) != NULL) {
        size_t length = strlen(entry->d_name);

        if (length <= strlen(SUFFIX) || strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) != 0)
            continue;
        snprintf(path, sizeof(path), "%.200s/%.255s", d->s.state_folder, entry->d_name);
        state = json_load_file(path, 0, &error);
        if (state == NULL)
            log_error("%s: %s; it is left alone", path, error.text);
        else
            state_take(d, path, state, &catalog);
        json_decref(state);
    }
    closedir(folder);
    sched_catalog_free(&catalog);
}
