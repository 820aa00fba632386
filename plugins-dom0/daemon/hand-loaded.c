// SPDX-License-Identifier: MIT
/*
 * The file of plugins loaded by hand: a JSON object, name to settings file or null. Written beside and moved into place, so that a kill at any moment leaves the old one or the new one.
 * Contract: hand-loaded.h.
 */
#include "hand-loaded.h"

#include "log.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *list_read(const char *path)
{
    json_t *list = json_load_file(path, 0, NULL);

    if (json_is_object(list))
        return list;
    json_decref(list);
    return json_object();
}

static void list_write(const char *path, const json_t *list)
{
    char temporary[4096];

    snprintf(temporary, sizeof(temporary), "%.4000s.new", path);
    if (list == NULL || json_dump_file(list, temporary, JSON_INDENT(1)) != 0 || rename(temporary, path) != 0)
        log_warning("%s: cannot be written (%s): plugins loaded by hand will be gone when colletd starts anew", path, strerror(errno));
}

void hand_loaded_add(const char *path, const char *name, const char *file)
{
    json_t *list = list_read(path);

    json_object_set_new(list, name, file != NULL ? json_string(file) : json_null());
    list_write(path, list);
    json_decref(list);
}

void hand_loaded_remove(const char *path, const char *name)
{
    json_t *list = list_read(path);

    if (json_object_del(list, name) == 0)
        list_write(path, list);
    json_decref(list);
}

void hand_loaded_each(const char *path, void (*each)(void *arg, const char *name, const char *file), void *arg)
{
    json_t *list = list_read(path), *file;
    const char *name;

    json_object_foreach(list, name, file)
        each(arg, name, json_string_value(file));
    json_decref(list);
}
