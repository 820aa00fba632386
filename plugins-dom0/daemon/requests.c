// SPDX-License-Identifier: MIT
/*
 * One function per operation, a table of them, and small readers of arguments that say what is wrong.
 * Contract: requests.h.  Tests: test-requests.c.
 */
#include "requests.h"

#include "hand-loaded.h"
#include "log.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_S 60.0
#define TIMEOUT_MAX_S 86400.0
#define LOG_LINES 40
#define FRAMES_LIMIT (1ll << 40)

/* ---- Arguments ---- */

/* A text that must be there; NULL: the call is answered. */
static const char *need_text(struct call *call, const json_t *request, const char *name)
{
    const char *text = json_string_value(json_object_get(request, name));

    if (text == NULL)
        call_fail(call, EINVAL, "`%s` is missing, or is no text", name);
    return text;
}

static const char *text_or(const json_t *request, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(request, name));

    return text != NULL ? text : otherwise;
}

/* A domain: a name, or a number as a number or as text. */
static const char *need_domain(struct call *call, const json_t *request, char *buffer, size_t bytes)
{
    const json_t *domain = json_object_get(request, "domain");

    if (!json_is_integer(domain))
        return need_text(call, request, "domain");
    snprintf(buffer, bytes, "%lld", (long long)json_integer_value(domain));
    return buffer;
}

/* 0, or -errno with the call answered. Absent: *value stays. */
static int take_frames(struct call *call, const json_t *request, const char *name, uint64_t *value)
{
    const json_t *number = json_object_get(request, name);
    json_int_t n = json_integer_value(number);

    if (number == NULL || json_is_null(number))
        return 0;
    if (!json_is_integer(number) || n < 0 || n > FRAMES_LIMIT) {
        call_fail(call, EINVAL, "`%s`: a number of frames was expected", name);
        return -EINVAL;
    }
    *value = (uint64_t)n;
    return 0;
}

/* ---- Domains ---- */

static void op_ping(struct requests *r, struct call *call, const json_t *request)
{
    (void)request;
    call_result(call, json_pack("{s:i, s:s, s:I, s:s, s:s}", "pid", (int)getpid(), "version", r->version, "started_ns", (json_int_t)r->started_ns, "xenstored",
                                r->store_state != NULL ? r->store_state(r->arg) : "", "xenconsoled", r->console_state != NULL ? r->console_state(r->arg) : ""));
}

static void op_create(struct requests *r, struct call *call, const json_t *request)
{
    const char *text = need_text(call, request, "text");

    if (text != NULL)
        domains_op_create(r->domains, call, text_or(request, "file", "definition"), text, json_is_true(json_object_get(request, "paused")));
}

static void op_check(struct requests *r, struct call *call, const json_t *request)
{
    const char *text = need_text(call, request, "text");

    if (text != NULL)
        domains_op_check(r->domains, call, text_or(request, "file", "definition"), text);
}

static void op_destroy(struct requests *r, struct call *call, const json_t *request)
{
    char number[24];
    const char *which = need_domain(call, request, number, sizeof(number));

    if (which != NULL)
        domains_op_destroy(r->domains, call, which);
}

static void end_or_reboot(struct requests *r, struct call *call, const json_t *request, bool reboot)
{
    char number[24];
    const char *which = need_domain(call, request, number, sizeof(number));
    const json_t *timeout = json_object_get(request, "timeout_s");
    double seconds = json_is_number(timeout) ? json_number_value(timeout) : TIMEOUT_S;

    if (which == NULL)
        return;
    if (!(seconds > 0 && seconds <= TIMEOUT_MAX_S)) {
        call_fail(call, EINVAL, "`timeout_s`: a time within 0 and 86400 was expected");
        return;
    }
    domains_op_shutdown(r->domains, call, which, reboot, json_is_true(json_object_get(request, "wait")), (uint64_t)(seconds * 1e9));
}

static void op_shutdown(struct requests *r, struct call *call, const json_t *request)
{
    end_or_reboot(r, call, request, false);
}

static void op_reboot(struct requests *r, struct call *call, const json_t *request)
{
    end_or_reboot(r, call, request, true);
}

static void op_rename(struct requests *r, struct call *call, const json_t *request)
{
    char number[24];
    const char *which = need_domain(call, request, number, sizeof(number)), *name = which != NULL ? need_text(call, request, "name") : NULL;

    if (name != NULL)
        domains_op_rename(r->domains, call, which, name);
}

static void op_mem(struct requests *r, struct call *call, const json_t *request)
{
    char number[24];
    const char *which = need_domain(call, request, number, sizeof(number));
    uint64_t frames = 0, frames_max = 0;

    if (which == NULL || take_frames(call, request, "frames", &frames) != 0 || take_frames(call, request, "max_frames", &frames_max) != 0)
        return;
    if (frames == 0)
        call_fail(call, EINVAL, "`frames` is missing");
    else
        domains_op_memory(r->domains, call, which, frames, frames_max);
}

static void op_definition(struct requests *r, struct call *call, const json_t *request)
{
    char number[24];
    const char *which = need_domain(call, request, number, sizeof(number));

    if (which != NULL)
        domains_op_definition(r->domains, call, which);
}

static void op_console(struct requests *r, struct call *call, const json_t *request)
{
    char number[24];
    const char *which = need_domain(call, request, number, sizeof(number));

    if (which != NULL)
        domains_op_console(r->domains, call, which);
}

static void op_domains(struct requests *r, struct call *call, const json_t *request)
{
    (void)request;
    domains_op_list(r->domains, call);
}

/* ---- Disks ---- */

/* A number, or a size as people write it. 0, or -errno with the call answered. Absent: 0. */
static int take_amount(struct call *call, const json_t *request, const char *name, uint64_t *value)
{
    const json_t *amount = json_object_get(request, name);
    const char *text = json_string_value(amount);

    *value = 0;
    if (amount == NULL || json_is_null(amount))
        return 0;
    if (text != NULL ? text_size_bytes(text, value) == 0 : json_is_integer(amount) && json_integer_value(amount) >= 0) {
        if (text == NULL)
            *value = (uint64_t)json_integer_value(amount);
        return 0;
    }
    call_fail(call, EINVAL, "`%s`: a number was expected, or a size like 10M", name);
    return -EINVAL;
}

static int take_vbd(struct call *call, const json_t *request, struct vbd_order *order)
{
    const char *mode = text_or(request, "mode", "w"), *device = text_or(request, "device", "");

    order->name = need_text(call, request, "name");
    order->backing = order->name != NULL ? need_text(call, request, "backing") : NULL;
    if (order->backing == NULL || take_amount(call, request, "iops", &order->requests_per_s) != 0 || take_amount(call, request, "bytes_per_s", &order->bytes_per_s) != 0)
        return -EINVAL;
    order->shared = json_is_true(json_object_get(request, "shared"));
    order->read_only = strcmp(mode, "r") == 0;
    if (!order->read_only && strcmp(mode, "w") != 0) {
        call_fail(call, EINVAL, "`mode`: %.20s: r (read only) or w (read and write) was expected", mode);
        return -EINVAL;
    }
    if (*device != '\0' && device_parse(device, &order->device) != 0) {
        call_fail(call, EINVAL, "`device`: %.20s: a name like xvdb was expected", device);
        return -EINVAL;
    }
    return 0;
}

static void op_vbd_add(struct requests *r, struct call *call, const json_t *request)
{
    char number[24];
    const char *which = need_domain(call, request, number, sizeof(number));
    struct vbd_order order = {0};

    if (which != NULL && take_vbd(call, request, &order) == 0)
        domains_op_vbd_add(r->domains, call, which, &order);
}

static void op_vbd_del(struct requests *r, struct call *call, const json_t *request)
{
    char number[24];
    const char *which = need_domain(call, request, number, sizeof(number));
    const char *name = which != NULL ? need_text(call, request, "name") : NULL;

    if (name != NULL)
        domains_op_vbd_remove(r->domains, call, which, name, json_is_true(json_object_get(request, "force")));
}

static void op_vbds(struct requests *r, struct call *call, const json_t *request)
{
    const json_t *domain = json_object_get(request, "domain");
    char number[24];
    const char *which = domain != NULL && !json_is_null(domain) ? need_domain(call, request, number, sizeof(number)) : NULL;

    if (which != NULL || domain == NULL || json_is_null(domain))
        domains_op_vbds(r->domains, call, which);
}

static void op_volumes(struct requests *r, struct call *call, const json_t *request)
{
    (void)request;
    domains_op_volumes(r->domains, call);
}

/* ---- Network interfaces ---- */

/* The keys of a section [vif NAME], as texts or numbers or booleans. */
static int take_vif(struct call *call, const json_t *request, struct definition_vif *vif)
{
    static const char *const keys[] = {"mac", "ip", "network", "antispoof", "rate", "pps", "weight", "all"};
    const char *name = need_text(call, request, "name");
    char expected[300], number[24];
    size_t i;

    if (name == NULL)
        return -EINVAL;
    snprintf(vif->name, sizeof(vif->name), "%s", strlen(name) < sizeof(vif->name) ? name : "");
    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const json_t *value = json_object_get(request, keys[i]);
        const char *text = json_is_boolean(value) ? (json_is_true(value) ? "yes" : "no") : json_string_value(value);

        if (json_is_integer(value)) {
            snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
            text = number;
        }
        if (value == NULL || json_is_null(value) || (text != NULL && definition_vif_take(vif, keys[i], text, expected, sizeof(expected)) == 0))
            continue;
        call_fail(call, EINVAL, "`%s`: %s", keys[i], text != NULL ? expected : "a text was expected");
        return -EINVAL;
    }
    return 0;
}

static void op_vif_add(struct requests *r, struct call *call, const json_t *request)
{
    char number[24];
    const char *which = need_domain(call, request, number, sizeof(number));
    struct definition_vif vif = {0};

    if (which != NULL && take_vif(call, request, &vif) == 0)
        domains_op_vif_add(r->domains, call, which, &vif);
}

static void op_vif_del(struct requests *r, struct call *call, const json_t *request)
{
    char number[24];
    const char *which = need_domain(call, request, number, sizeof(number));
    const char *name = which != NULL ? need_text(call, request, "name") : NULL;

    if (name != NULL)
        domains_op_vif_remove(r->domains, call, which, name, json_is_true(json_object_get(request, "force")));
}

static void op_vifs(struct requests *r, struct call *call, const json_t *request)
{
    const json_t *domain = json_object_get(request, "domain");
    char number[24];
    const char *which = domain != NULL && !json_is_null(domain) ? need_domain(call, request, number, sizeof(number)) : NULL;

    if (which != NULL || domain == NULL || json_is_null(domain))
        domains_op_vifs(r->domains, call, which);
}

/* ---- Plugins ---- */

static void op_plugins(struct requests *r, struct call *call, const json_t *request)
{
    (void)request;
    call_result(call, plugins_list_json(r->plugins));
}

static void op_plugin_show(struct requests *r, struct call *call, const json_t *request)
{
    const char *name = need_text(call, request, "plugin");
    json_t *shown = name != NULL ? plugins_show_json(r->plugins, name) : NULL;

    if (name == NULL)
        return;
    if (shown == NULL)
        call_fail(call, ENOENT, "%.60s: no plugin of this name is loaded", name);
    else
        call_result(call, shown);
}

/* A load or reload that is going on. */
struct plugin_call {
    struct requests *requests;
    struct call *call;
    bool entry; /* the answer is the plugin's entry */
    enum { PLUGIN_STAYS, PLUGIN_COMES, PLUGIN_GOES } then;
    char name[64];
    char file[512]; /* settings, as they were named; empty: the usual ones */
};

/* What a daemon that starts anew should know. */
static void plugin_remember(const struct plugin_call *p)
{
    const char *path = p->requests->plugins_file;

    if (path != NULL && p->then == PLUGIN_COMES)
        hand_loaded_add(path, p->name, p->file[0] != '\0' ? p->file : NULL);
    else if (path != NULL && p->then == PLUGIN_GOES)
        hand_loaded_remove(path, p->name);
}

static void plugin_done(void *arg, int rc, const char *message)
{
    struct plugin_call *p = arg;

    if (rc != 0) {
        call_fail(p->call, rc, "%s", message != NULL && *message != '\0' ? message : strerror(rc < 0 ? -rc : rc));
    } else {
        plugin_remember(p);
        call_result(p->call, p->entry ? plugins_entry_json(p->requests->plugins, p->name) : NULL);
    }
    free(p);
}

static struct plugin_call *plugin_begin(struct requests *r, struct call *call, const json_t *request, bool entry)
{
    const char *name = need_text(call, request, "plugin");
    struct plugin_call *p;

    if (name == NULL)
        return NULL;
    if (strlen(name) >= sizeof(p->name) || *name == '\0' || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name)) {
        call_fail(call, EINVAL, "%.60s: a plugin's name is of lower case letters, digits and '-'", name);
        return NULL;
    }
    p = malloc(sizeof(*p));
    if (p == NULL) {
        call_fail(call, ENOMEM, "no memory");
        return NULL;
    }
    *p = (struct plugin_call){.requests = r, .call = call, .entry = entry};
    strcpy(p->name, name);
    return p;
}

static void op_plugin_load(struct requests *r, struct call *call, const json_t *request)
{
    struct plugin_call *p = plugin_begin(r, call, request, true);

    if (p == NULL)
        return;
    p->then = PLUGIN_COMES;
    snprintf(p->file, sizeof(p->file), "%s", text_or(request, "file", ""));
    plugins_load(r->plugins, p->name, text_or(request, "file", NULL), plugin_done, p);
}

static void op_plugin_unload(struct requests *r, struct call *call, const json_t *request)
{
    struct plugin_call *p = plugin_begin(r, call, request, false);

    if (p == NULL)
        return;
    p->then = PLUGIN_GOES;
    plugins_unload(r->plugins, p->name, plugin_done, p);
}

static void op_plugin_reload(struct requests *r, struct call *call, const json_t *request)
{
    struct plugin_call *p = plugin_begin(r, call, request, true);

    if (p != NULL)
        plugins_reload(r->plugins, p->name, plugin_done, p);
}

/* ---- The daemon ---- */

static void op_log(struct requests *r, struct call *call, const json_t *request)
{
    const json_t *lines = json_object_get(request, "lines");
    json_int_t count = json_is_integer(lines) ? json_integer_value(lines) : LOG_LINES;
    char *text;

    (void)r;
    if (count < 0)
        count = 0;
    text = log_tail(count < 10000 ? (unsigned int)count : 10000);
    call_result(call, json_pack("{s:s}", "text", text != NULL ? text : ""));
    free(text);
}

static void op_stop(struct requests *r, struct call *call, const json_t *request)
{
    (void)request;
    log_note("asked to end");
    call_result(call, NULL);
    r->stop(r->arg);
}

static const struct {
    const char *name;
    void (*run)(struct requests *r, struct call *call, const json_t *request);
} operations[] = {
    {"ping", op_ping},
    {"create", op_create},
    {"check", op_check},
    {"destroy", op_destroy},
    {"shutdown", op_shutdown},
    {"reboot", op_reboot},
    {"rename", op_rename},
    {"mem", op_mem},
    {"definition", op_definition},
    {"domains", op_domains},
    {"console", op_console},
    {"vbd-add", op_vbd_add},
    {"vbd-del", op_vbd_del},
    {"vbds", op_vbds},
    {"volumes", op_volumes},
    {"vif-add", op_vif_add},
    {"vif-del", op_vif_del},
    {"vifs", op_vifs},
    {"plugins", op_plugins},
    {"plugin-show", op_plugin_show},
    {"plugin-load", op_plugin_load},
    {"plugin-unload", op_plugin_unload},
    {"plugin-reload", op_plugin_reload},
    {"log", op_log},
    {"stop", op_stop},
};

void requests_do(void *arg, struct call *call, const json_t *request)
{
    const char *op = need_text(call, request, "op");
    size_t i;

    if (op == NULL)
        return;
    for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (strcmp(op, operations[i].name) == 0) {
            operations[i].run(arg, call, request);
            return;
        }
    call_fail(call, ENOSYS, "%.60s: this daemon knows no such operation", op);
}
