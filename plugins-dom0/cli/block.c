/* SPDX-License-Identifier: MIT */
/*
 * Disks and VBDs: names to entries, entries to words and JSON.
 * Contract: block.h. Tests: test-disk.c.
 */
#include "block.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define XVD_MAJOR    202u
#define XVD_EXTENDED (1u << 28)
#define LATENCY_OPEN UINT64_MAX /* in the last bucket: no bound */

const char *const latency_op_names[2] = { "read", "other" };
const char *const latency_phase_names[COLLET_PHASES] = { "ring", "queue", "device" };

/* ---- Disks ---- */

const char *disk_kind_name(int kind)
{
    static const char *const names[COLLET_BLK_KINDS] = { "read", "write", "discard", "flush" };

    return names[kind];
}

static int no_such_disk(struct cli *cli, const char *word)
{
    struct collet_disk_info *disks = NULL;
    int count = collet_disk_list(cli->collet, &disks), exit;
    const char *names[DISKS_BITS], *near;
    size_t known = 0;

    for (int i = 0; i < count && known < DISKS_BITS; i++)
        names[known++] = disks[i].name;
    near = cli_nearest(word, names, known);
    if (count == 0)
        exit = cli_fail(cli, CLI_NO_SUCH, "ENODEV", "no disk '%s': the hypervisor drives none (it looks for virtio-blk devices at boot; `collet log` tells)",
                        word);
    else if (near != NULL)
        exit = cli_fail(cli, CLI_NO_SUCH, "ENODEV", "no disk '%s'; did you mean %s?", word, near);
    else
        exit = cli_fail(cli, CLI_NO_SUCH, "ENODEV", "no disk '%s'; `collet disk list` shows them", word);
    free(disks);
    return exit;
}

int cli_disk(struct cli *cli, const char *word, struct collet_disk_info *info)
{
    int rc = cli_open(cli);

    if (rc != 0)
        return rc;
    rc = collet_disk_find(cli->collet, word, info);
    if (rc == -ENODEV)
        return no_such_disk(cli, word);
    return rc < 0 ? cli_fail_collet(cli, rc, "%s", word) : 0;
}

char *disk_flags_text(char to[128], uint32_t flags)
{
    static const char *const words[] = { "read-only", "flush", "discard", "write-zeroes", "modelled", "failed", "recorded", "rotates" };
    size_t used = 0;

    strcpy(to, "-");
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (flags & 1u << i)
            used += (size_t)snprintf(to + used, 128 - used, "%s%s", used != 0 ? ", " : "", words[i]);
    return to;
}

static json_t *kinds_json(const uint64_t counts[COLLET_BLK_KINDS])
{
    json_t *object = json_object();

    for (int kind = 0; kind < COLLET_BLK_KINDS; kind++)
        json_object_set_new(object, disk_kind_name(kind), json_integer((json_int_t)counts[kind]));
    return object;
}

static json_t *disk_faults_json(const struct collet_disk_info *d)
{
    json_t *object = json_object();

    for (int i = 0; i < COLLET_DISK_FAULTS; i++)
        if (d->fault_names[i][0] != 0)
            json_object_set_new(object, d->fault_names[i], json_integer((json_int_t)d->faults[i]));
    return object;
}

static void set_number(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void set_flag(json_t *object, const char *key, bool value)
{
    json_object_set_new(object, key, json_boolean(value));
}

json_t *disk_json(const struct collet_disk_info *d)
{
    json_t *object = json_pack("{s:i, s:s, s:o, s:o, s:s}", "disk", (int)d->disk, "name", d->name, "driver", cli_json_text(d->driver), "serial_number",
                               cli_json_text(d->serial_number), "module", d->module);

    set_number(object, "sectors", d->sectors);
    set_number(object, "sector_bytes", d->sector_bytes);
    set_flag(object, "read_only", d->flags & COLLET_DISK_READ_ONLY);
    set_flag(object, "can_flush", d->flags & COLLET_DISK_CAN_FLUSH);
    set_flag(object, "can_discard", d->flags & COLLET_DISK_CAN_DISCARD);
    set_flag(object, "can_write_zeroes", d->flags & COLLET_DISK_CAN_WRITE_ZEROES);
    set_flag(object, "rotates", d->flags & COLLET_DISK_ROTATES);
    set_flag(object, "failed", d->flags & COLLET_DISK_FAILED);
    set_flag(object, "recorded", d->flags & COLLET_DISK_RECORDED);
    set_number(object, "depth", d->depth);
    set_number(object, "hardware_queues", d->queues);
    set_number(object, "sectors_max", d->sectors_max);
    set_number(object, "segments_max", d->segments_max);
    set_number(object, "since_ns", d->since_ns);
    set_number(object, "uses", d->uses);
    json_object_set_new(object, "dropped",
                        d->dropped[0] != 0
                            ? json_pack("{s:s, s:o, s:I}", "module", d->dropped, "why", cli_json_text(d->dropped_why), "at_ns", (json_int_t)d->dropped_ns)
                            : json_null());
    json_object_set_new(object, "faults", disk_faults_json(d));
    set_number(object, "watchdog_ns", d->watchdog_ns);
    set_number(object, "queued", d->queued);
    set_number(object, "issued", d->issued);
    json_object_set_new(object, "requests", kinds_json(d->requests));
    json_object_set_new(object, "sectors_done", kinds_json(d->sectors_done));
    set_number(object, "device_requests", d->device_requests);
    set_number(object, "errors", d->errors);
    set_number(object, "timeouts", d->timeouts);
    set_number(object, "resets", d->resets);
    set_number(object, "interrupts", d->interrupts);
    set_number(object, "seek_sectors", d->seek_sectors);
    set_number(object, "busy_ns", d->busy_ns);
    json_object_set_new(
        object, "model",
        d->model[0] != 0 ? json_pack("{s:s, s:I, s:I}", "drive", d->model, "cylinders", (json_int_t)d->model_cylinders, "busy_ns", (json_int_t)d->model_busy_ns)
                         : json_null());
    return object;
}

int disk_params_load(struct cli *cli, const struct collet_disk_info *info, struct sched_params *p)
{
    int rc;

    *p = (struct sched_params){ .what = "disk module", .shown_by = "disk show" };
    memcpy(p->module, info->module, sizeof(p->module));
    rc = collet_disk_param_list(cli->collet, info->module, &p->list);
    p->count = rc > 0 ? rc : 0;
    return rc < 0 && rc != -ENOENT ? cli_fail_collet(cli, rc, "parameters of %s", info->name) : 0;
}

int cli_no_such_disk_module(struct cli *cli, const char *word)
{
    struct collet_sched_module *modules = NULL;
    int count = collet_disk_module_list(cli->collet, &modules), exit;
    const char *names[64], *near;
    size_t known = 0;

    for (int i = 0; i < count && known < 64; i++)
        names[known++] = modules[i].name;
    near = cli_nearest(word, names, known);
    if (near != NULL)
        exit = cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no disk module '%s'; did you mean %s?", word, near);
    else
        exit = cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no disk module '%s'; `collet disk sched list` shows them", word);
    free(modules);
    return exit;
}

/* ---- Virtual block devices ---- */

int vbd_list_load(struct cli *cli, struct vbd_list *list)
{
    int exit = cli_open(cli), rc;

    *list = (struct vbd_list){ 0 };
    if (exit != 0)
        return exit;
    rc = collet_domains(cli->collet, &list->domains);
    list->domain_count = rc > 0 ? rc : 0;
    if (rc >= 0)
        rc = collet_vbd_list(cli->collet, COLLET_VBDS_ALL, &list->vbds);
    list->count = rc > 0 && list->vbds != NULL ? rc : 0;
    return rc < 0 ? cli_fail_collet(cli, rc, "the list of VBDs") : 0;
}

void vbd_list_free(struct vbd_list *list)
{
    free(list->vbds);
    free(list->domains);
    *list = (struct vbd_list){ 0 };
}

const char *vbd_domain_name(const struct vbd_list *list, uint32_t domid)
{
    for (int i = 0; i < list->domain_count; i++)
        if (list->domains[i].domid == domid)
            return list->domains[i].name;
    return NULL;
}

char *vbd_name(char to[VBD_NAME_BYTES], const struct vbd_list *list, const struct collet_vbd_info *vbd)
{
    const char *domain = vbd_domain_name(list, vbd->domid);

    if (domain != NULL)
        snprintf(to, VBD_NAME_BYTES, "%s/%s", domain, vbd->name);
    else
        snprintf(to, VBD_NAME_BYTES, "%" PRIu32 "/%s", vbd->domid, vbd->name);
    return to;
}

/* "3/root" is meant by "web/root" too. */
static bool vbd_is(const struct vbd_list *list, const struct collet_vbd_info *vbd, const char *word)
{
    char name[VBD_NAME_BYTES];

    if (strcmp(vbd_name(name, list, vbd), word) == 0)
        return true;
    snprintf(name, sizeof(name), "%" PRIu32 "/%s", vbd->domid, vbd->name);
    return strcmp(name, word) == 0;
}

static void no_such_vbd(struct cli *cli, const struct vbd_list *list, const char *word)
{
    const char **names = calloc((size_t)list->count + 1, sizeof(*names)), *near = NULL;
    char(*texts)[VBD_NAME_BYTES] = calloc((size_t)list->count + 1, sizeof(*texts));

    for (int i = 0; names != NULL && texts != NULL && i < list->count; i++)
        names[i] = vbd_name(texts[i], list, &list->vbds[i]);
    if (names != NULL && texts != NULL)
        near = cli_nearest(word, names, (size_t)list->count);
    if (near != NULL)
        cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no VBD '%s'; did you mean %s?", word, near);
    else if (strchr(word, '/') == NULL)
        cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no VBD '%s': it is DOMAIN/NAME, as web/root, or an id; `collet vbd list` shows them", word);
    else
        cli_fail(cli, CLI_NO_SUCH, "ENOENT", "no VBD '%s'; `collet vbd list` shows them", word);
    free(names);
    free(texts);
}

const struct collet_vbd_info *vbd_find(struct cli *cli, const struct vbd_list *list, const char *word)
{
    uint64_t id;
    bool is_id = parse_u64(word, &id) == 0;

    for (int i = 0; i < list->count; i++)
        if (vbd_is(list, &list->vbds[i], word) || (is_id && list->vbds[i].vbd == id))
            return &list->vbds[i];
    no_such_vbd(cli, list, word);
    return NULL;
}

uint64_t vbd_disks(struct cli *cli, uint32_t vbd)
{
    struct collet_extent *extents = NULL;
    int count = collet_vbd_extents(cli->collet, vbd, &extents);
    uint64_t bits = 0;

    for (int i = 0; i < count; i++)
        if (extents[i].disk < DISKS_BITS)
            bits |= 1ull << extents[i].disk;
    free(extents);
    return bits;
}

/* Minors of xvd are 16 a disk up to xvdp, then 256 a disk under the extended numbers. */
char *vbd_device_name(char to[FORMAT_BYTES], uint32_t device)
{
    bool extended = device >> 28 == 1;
    uint32_t disk = extended ? (device & (XVD_EXTENDED - 1)) >> 8 : (device & 0xff) >> 4, part = extended ? device & 0xff : device & 0xf;
    char letters[4] = "", suffix[8] = "";

    if ((!extended && device >> 8 != XVD_MAJOR) || disk >= 26 * 27) {
        snprintf(to, FORMAT_BYTES, "%" PRIu32, device);
        return to;
    }
    if (disk >= 26)
        snprintf(letters, sizeof(letters), "%c%c", (int)('a' + disk / 26 - 1), (int)('a' + disk % 26));
    else
        snprintf(letters, sizeof(letters), "%c", (int)('a' + disk));
    if (part != 0)
        snprintf(suffix, sizeof(suffix), "%" PRIu32, part);
    snprintf(to, FORMAT_BYTES, "xvd%s%s", letters, suffix);
    return to;
}

const char *vbd_state_name(const struct collet_vbd_info *vbd)
{
    return vbd->flags & COLLET_VBD_BROKEN ? "broken" : vbd->flags & COLLET_VBD_CONNECTED ? "connected" : "waiting";
}

json_t *vbd_json(const struct vbd_list *list, const struct collet_vbd_info *v)
{
    const char *domain = vbd_domain_name(list, v->domid);
    char device[FORMAT_BYTES];
    json_t *object = json_pack("{s:I, s:s, s:i, s:s?, s:i, s:s, s:s, s:s}", "vbd", (json_int_t)v->vbd, "name", v->name, "domid", (int)v->domid, "domain",
                               domain, "device_number", (int)v->device, "device", vbd_device_name(device, v->device), "mode",
                               v->flags & COLLET_VBD_READ_ONLY ? "r" : "w", "state", vbd_state_name(v));

    set_flag(object, "shared", v->flags & COLLET_VBD_SHARED);
    set_flag(object, "raw", v->flags & COLLET_VBD_RAW);
    json_object_set_new(object, "broken_why", cli_json_text(v->broken_why));
    set_number(object, "sectors", v->sectors);
    set_number(object, "sector_bytes", v->sector_bytes);
    set_number(object, "extent_count", v->extents);
    set_flag(object, "can_flush", v->disk_flags & COLLET_DISK_CAN_FLUSH);
    set_flag(object, "can_discard", v->disk_flags & COLLET_DISK_CAN_DISCARD);
    set_number(object, "in_flight", v->in_flight);
    set_number(object, "created_ns", v->created_ns);
    set_number(object, "connected_ns", v->connected_ns);
    set_number(object, "requests_per_s_limit", v->requests_per_s);
    set_number(object, "bytes_per_s_limit", v->bytes_per_s);
    set_number(object, "throttled", v->throttled);
    set_number(object, "throttled_ns", v->throttled_ns);
    json_object_set_new(object, "requests", kinds_json(v->requests));
    json_object_set_new(object, "sectors_done", kinds_json(v->sectors_done));
    set_number(object, "refused", v->refused);
    set_number(object, "errors", v->errors);
    set_number(object, "notifies", v->notifies);
    set_number(object, "events", v->events);
    return object;
}

/* ---- Latencies ---- */

uint64_t latency_since(uint64_t to[COLLET_LATENCY_BUCKETS], const uint64_t *now, const uint64_t *before)
{
    uint64_t sum = 0;

    for (unsigned int i = 0; i < COLLET_LATENCY_BUCKETS; i++) {
        to[i] = now[i] - (before != NULL ? before[i] : 0);
        sum += to[i];
    }
    return sum;
}

char *latency_text(char to[FORMAT_BYTES], const uint64_t *buckets, unsigned int permille)
{
    uint64_t ns = latency_percentile(buckets, permille, LATENCY_OPEN);
    char text[FORMAT_BYTES];

    if (ns == 0)
        return strcpy(to, "-");
    if (ns == LATENCY_OPEN)
        snprintf(to, FORMAT_BYTES, ">%.1fs", (double)(1000ull << (COLLET_LATENCY_BUCKETS - 2)) / 1e9);
    else
        snprintf(to, FORMAT_BYTES, "<%.40s", format_duration(text, ns));
    return to;
}

/* null: none, or no bound is known. */
static json_t *percentile_json(const uint64_t *buckets, unsigned int permille)
{
    uint64_t ns = latency_percentile(buckets, permille, LATENCY_OPEN);

    return ns == 0 || ns == LATENCY_OPEN ? json_null() : json_integer((json_int_t)ns);
}

json_t *vbd_latency_json(const struct collet_vbd_info *now, const struct collet_vbd_info *before)
{
    json_t *list = json_array();

    for (int op = 0; op < 2; op++)
        for (int phase = 0; phase < COLLET_PHASES; phase++) {
            uint64_t buckets[COLLET_LATENCY_BUCKETS];
            uint64_t sum = latency_since(buckets, now->latency[op][phase], before != NULL ? before->latency[op][phase] : NULL);
            json_t *array = json_array();

            for (unsigned int i = 0; i < COLLET_LATENCY_BUCKETS; i++)
                json_array_append_new(array, json_integer((json_int_t)buckets[i]));
            json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "op", latency_op_names[op], "phase", latency_phase_names[phase],
                                                  "count", (json_int_t)sum, "p50_ns", percentile_json(buckets, 500), "p90_ns", percentile_json(buckets, 900),
                                                  "p99_ns", percentile_json(buckets, 990), "p999_ns", percentile_json(buckets, 999), "buckets", array));
        }
    return list;
}
