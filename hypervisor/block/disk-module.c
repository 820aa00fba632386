// SPDX-License-Identifier: MIT
/*
 * Ordering modules: the first one of a disk, another one while requests are in flight, and the end of one that failed; the streams that they know.
 *
 * A change has two halves, as for schedulers. First everything the new module needs is allocated, with the disk at work; that may fail, and then nothing has changed. Then, under the disk's lock, what is
 * queued leaves the old one and enters the new, by serial; that cannot fail. What is issued ends unseen by either: it bears the generation of the module that issued it. A module that failed is
 * replaced at once, under the lock, by the arrival order, which needs no memory; its own memory is given back soon afterwards. Contract: disk-internal.h. Tests: test-disk-modules.c.
 */
#include "disk-internal.h"

#include "alloc.h"
#include "changes.h"
#include "lib/string.h"
#include "log.h"
#include "options.h"

#include <hv/errno.h>

#define SLOT_BYTES_MAX 4096u

struct spinlock disks_admin_lock = SPINLOCK_INIT;

/* ---- Arrival order: what is queued, by serial, is its only state ---- */

static void arrival_nothing(void *state, struct blk_request *request, uint64_t now_ns)
{
    (void)state, (void)request, (void)now_ns;
}

static struct blk_decision arrival_dispatch(void *state, uint64_t now_ns)
{
    struct blk_request *first = list_first_entry(&((struct disk *)state)->queued, struct blk_request, link);

    (void)now_ns;
    first->merged = NULL;
    return (struct blk_decision){first, 0};
}

const struct blk_sched_ops disk_arrival = {
    .name = "arrival",
    .summary = "the block core's own order, for want of a module",
    .insert = arrival_nothing,
    .remove = arrival_nothing,
    .dispatch = arrival_dispatch,
};

/* ---- Which ---- */

/* An incomplete table is refused by name, so that no op has to be looked for later. */
static const char *table_flaw(const struct blk_sched_ops *ops)
{
    if (ops->name == NULL || strnlen(ops->name, COLLET_NAME_MAX) == COLLET_NAME_MAX)
        return "has no usable name";
    if (ops->insert == NULL || ops->remove == NULL || ops->dispatch == NULL)
        return "lacks insert, remove or dispatch";
    if (ops->param_count != 0 && (ops->params == NULL || ops->param_set == NULL || ops->param_get == NULL))
        return "declares parameters but lacks params, param_set or param_get";
    if (ops->request_bytes > SLOT_BYTES_MAX)
        return "wants too much memory for a request";
    return NULL;
}

const struct blk_sched_ops *disk_module_find(const char *name)
{
    for (const struct blk_sched_ops *const *ops = blk_sched_modules; *ops != NULL; ops++)
        if (strcmp((*ops)->name, name) == 0)
            return *ops;
    return strcmp(name, disk_arrival.name) == 0 ? &disk_arrival : NULL;
}

void disk_describe(const struct disk *disk, struct blk_disk *to)
{
    *to = (struct blk_disk){
        .id = disk->id,
        .depth = disk->depth,
        .sectors = READ_ONCE(disk->dev->sectors),
        .sectors_max = disk->dev->sectors_max,
        .segments_max = disk->dev->segments_max,
        .rotates = disk->dev->rotates || disk->drive != NULL,
    };
}

static bool has_state(const struct blk_sched_ops *ops)
{
    return ops->name != disk_arrival.name;
}

/* ---- Memory of the next module; administration lock held ---- */

static int data_alloc(void **data, size_t bytes)
{
    *data = bytes != 0 ? heap_alloc(bytes) : NULL;
    return bytes != 0 && *data == NULL ? -ENOMEM : 0;
}

static uint32_t slot_bytes(const struct blk_sched_ops *ops)
{
    return (uint32_t)ROUND_UP(ops->request_bytes, (size_t)16);
}

static void next_data_free(struct disk *disk)
{
    struct blk_vbd *v;

    list_for_each_entry(v, &disk->streams, link) {
        struct disk_stream *s = container_of(v, struct disk_stream, sched);

        heap_free(v->data_next);
        heap_free(s->slots_next);
        v->data_next = s->slots_next = NULL;
    }
}

static int next_data_alloc(struct disk *disk, const struct blk_sched_ops *ops)
{
    struct blk_vbd *v;

    list_for_each_entry(v, &disk->streams, link) {
        struct disk_stream *s = container_of(v, struct disk_stream, sched);

        if (data_alloc(&v->data_next, ops->vbd_bytes) != 0 || data_alloc(&s->slots_next, (size_t)slot_bytes(ops) * DISK_STREAM_REQUESTS) != 0) {
            next_data_free(disk);
            return -ENOMEM;
        }
    }
    return 0;
}

/* After this data is the next module's and data_next the former one's. Lock held. */
static void swap_data(struct disk *disk)
{
    struct blk_vbd *v;

    list_for_each_entry(v, &disk->streams, link) {
        struct disk_stream *s = container_of(v, struct disk_stream, sched);
        void *former = v->data, *former_slots = s->slots;

        v->data = v->data_next;
        v->data_next = former;
        s->slots = s->slots_next;
        s->slots_next = former_slots;
    }
}

/* ---- Changing; lock held ---- */

static void withdraw_all(struct disk *disk, uint64_t now_ns)
{
    struct blk_request *r;
    struct blk_vbd *v;

    list_for_each_entry(r, &disk->queued, link)
        disk->ops.remove(disk->state, r, now_ns);
    if (disk->ops.vbd_remove != NULL)
        list_for_each_entry(v, &disk->streams, link)
            disk->ops.vbd_remove(disk->state, v);
}

static void install(struct disk *disk, const struct blk_sched_ops *ops, void *state, uint64_t now_ns)
{
    disk->room_ns = disk_room_ns(disk, now_ns);
    disk->hold_since_ns = 0;
    disk->held = false;
    disk->ops = *ops;
    disk->state = has_state(ops) ? state : disk;
    disk->slot_bytes = slot_bytes(ops);
    disk->generation++;
    disk->since_ns = now_ns;
    disk->uses++;
}

static void insert_vbd(struct disk *disk, struct disk_stream *s)
{
    if (disk->ops.vbd_insert != NULL)
        disk->ops.vbd_insert(disk->state, &s->sched);
}

/* Its data are zeroed, and the new module has had no time to leave it waiting. */
static void insert_again(struct disk *disk, struct block_request *r, uint64_t now_ns)
{
    r->sched.data = disk->slot_bytes != 0 ? (char *)disk_stream_of(r)->slots + (size_t)r->slot * disk->slot_bytes : NULL;
    r->sched.merged = NULL;
    r->room_ns = disk->room_ns;
    r->decisions = disk->decisions;
    disk->ops.insert(disk->state, &r->sched, now_ns);
}

static void hand_over_all(struct disk *disk, uint64_t now_ns)
{
    struct blk_request *r;
    struct blk_vbd *v;

    if (disk_recorded(disk))
        disk_record_use(disk, now_ns);
    list_for_each_entry(v, &disk->streams, link)
        insert_vbd(disk, container_of(v, struct disk_stream, sched));
    list_for_each_entry(r, &disk->queued, link)
        insert_again(disk, disk_request_of(r), now_ns);
    disk_settings_make(disk, now_ns);
}

/*
 * As one who repeats the recording will do it: to the fresh module what is queued arrives anew, one by one, each at the time at which it came. Serials are closed up, for a request may have been queued for long.
 */
static void hand_over_recorded(struct disk *disk, struct disk_recording *start, uint64_t now_ns)
{
    uint64_t first_ns = list_empty(&disk->queued) ? now_ns : list_first_entry(&disk->queued, struct blk_request, link)->arrived_ns;
    struct blk_request *r;
    struct blk_vbd *v;

    disk->recording = start;
    start->generation = disk->generation;
    start->running = true;
    disk_record_use(disk, first_ns);
    list_for_each_entry(v, &disk->streams, link) {
        struct disk_stream *s = container_of(v, struct disk_stream, sched);

        s->completions = s->last_completion_ns = 0;
        disk_record_vbd(disk, s, false, first_ns);
        insert_vbd(disk, s);
    }
    disk_settings_make(disk, first_ns);
    list_for_each_entry(r, &disk->queued, link) {
        r->serial = ++disk->serial;
        disk_record_arrive(disk, disk_request_of(r), r->arrived_ns);
        insert_again(disk, disk_request_of(r), r->arrived_ns);
    }
}

static void note_used(const struct disk *disk, const char *module, uint64_t because)
{
    char text[2 * COLLET_NAME_MAX];

    snprintf(text, sizeof(text), "disk%u: %s", disk->id, module);
    change_record(COLLET_CHANGE_DISK_USED, NULL, because, text);
}

/* Administration lock held. */
static void note_dropped(struct disk *disk, const struct disk_retired *retired)
{
    char text[COLLET_NAME_MAX + COLLET_TEXT_MAX + 16];

    strlcpy(disk->dropped, retired->name, sizeof(disk->dropped));
    snprintf(disk->dropped_why, sizeof(disk->dropped_why), "%s (%s)", disk_fault_names[retired->fault], retired->detail);
    snprintf(text, sizeof(text), "disk%u: %s: %s", disk->id, disk->dropped, disk->dropped_why);
    change_record(COLLET_CHANGE_DISK_FAULT, NULL, retired->fault, text);
    note_used(disk, disk_arrival.name, 1);
    log_error("disk%u: module %s %s; replaced by the order of arrival", disk->id, disk->dropped, disk->dropped_why);
}

/* The module that was at work, or one that failed: which is said too. No lock of a disk held. */
static void retired_end(struct disk *disk, const struct disk_retired *retired)
{
    if (retired->name != NULL)
        note_dropped(disk, retired);
    if (retired->destroy != NULL)
        retired->destroy(retired->state);
    heap_free(retired->state);
}

/* Administration lock held. */
static int change_module(struct disk *disk, const struct blk_sched_ops *ops, struct disk_recording *start)
{
    struct disk_retired former;
    struct blk_disk description;
    uint64_t flags, now_ns;
    void *state;
    int rc = data_alloc(&state, ops->state_bytes);

    if (rc != 0)
        return rc;
    rc = next_data_alloc(disk, ops);
    if (rc != 0)
        goto free_state;
    disk_describe(disk, &description);
    rc = ops->create != NULL ? ops->create(state, &description) : 0;
    if (rc != 0)
        goto free_data;

    flags = spin_lock_irqsave(&disk->lock);
    now_ns = disk_time(disk, clock_now_ns());
    withdraw_all(disk, now_ns);
    former = has_state(&disk->ops) ? (struct disk_retired){.destroy = disk->ops.destroy, .state = disk->state} : disk->retired;
    disk->retired = (struct disk_retired){0};
    swap_data(disk);
    install(disk, ops, state, now_ns);
    if (start != NULL)
        hand_over_recorded(disk, start, now_ns);
    else
        hand_over_all(disk, now_ns);
    spin_unlock_irqrestore(&disk->lock, flags);

    retired_end(disk, &former);
    next_data_free(disk);
    disk_run(disk);
    return 0;
free_data:
    next_data_free(disk);
free_state:
    heap_free(state);
    return rc;
}

long disk_use(uint32_t id, const char *name)
{
    struct disk *disk = disk_find(id);
    const struct blk_sched_ops *ops = disk_module_find(name);
    const char *flaw;
    int rc = 0;

    if (disk == NULL)
        return -ENODEV;
    if (ops == NULL)
        return -ENOENT;
    flaw = table_flaw(ops);
    if (flaw != NULL) {
        log_error("disk module %s %s: refused", name, flaw);
        return -EINVAL;
    }
    disk_module_settle(disk);
    spin_lock(&disks_admin_lock);
    if (ops->name != READ_ONCE(disk->ops.name)) {
        rc = change_module(disk, ops, NULL);
        if (rc == 0) {
            note_used(disk, ops->name, 0);
            log_debug("disk%u: ordered by %s", id, ops->name);
        }
    }
    spin_unlock(&disks_admin_lock);
    return rc;
}

int disk_module_renew(struct disk *disk, struct disk_recording *start)
{
    const struct blk_sched_ops *ops = disk_module_find(disk->ops.name);

    return change_module(disk, ops != NULL ? ops : &disk_arrival, start);
}

int disk_module_begin(struct disk *disk)
{
    const char *wanted = boot_options.disksched;
    const struct blk_sched_ops *ops = wanted[0] != '\0' ? disk_module_find(wanted) : NULL;
    int rc = 0;

    if (wanted[0] != '\0' && ops == NULL)
        log_warning("disksched=%s: no such module", wanted);
    if (ops == NULL)
        ops = blk_sched_modules[0] != NULL ? blk_sched_modules[0] : &disk_arrival;
    install(disk, &disk_arrival, NULL, clock_now_ns());
    if (table_flaw(ops) != NULL) {
        log_error("disk module %s %s: refused", ops->name, table_flaw(ops));
    } else {
        spin_lock(&disks_admin_lock);
        rc = change_module(disk, ops, NULL);
        spin_unlock(&disks_admin_lock);
    }
    return rc;
}

/* ---- A module that failed ---- */

void disk_module_drop(struct disk *disk, enum disk_fault fault, const struct block_request *about, uint64_t now_ns)
{
    struct disk_retired *retired = &disk->retired;

    disk->faults[fault]++;
    if (!has_state(&disk->ops))
        return;
    disk->dropped_ns = now_ns;
    retired->name = disk->ops.name;
    retired->destroy = disk->ops.destroy;
    retired->state = disk->state;
    retired->fault = fault;
    if (about != NULL)
        snprintf(retired->detail, sizeof(retired->detail), "request %llu of VBD %u, %llu ms old", (unsigned long long)about->sched.serial, about->sched.vbd->id,
                 (unsigned long long)((now_ns - about->sched.arrived_ns) / NS_PER_MS));
    else
        snprintf(retired->detail, sizeof(retired->detail), "%u queued", disk->queued_count);
    install(disk, &disk_arrival, NULL, now_ns);
    if (disk_recorded(disk))
        disk_record_use(disk, now_ns);
    disk_want_poll(disk);
}

void disk_module_settle(struct disk *disk)
{
    struct disk_retired retired;
    uint64_t flags;

    if (READ_ONCE(disk->retired.name) == NULL)
        return;
    spin_lock(&disks_admin_lock);
    flags = spin_lock_irqsave(&disk->lock);
    retired = disk->retired;
    disk->retired = (struct disk_retired){0};
    if (retired.name != NULL)
        swap_data(disk); /* data_next is nobody's outside of a change, so this takes the failed one's away */
    spin_unlock_irqrestore(&disk->lock, flags);
    if (retired.name != NULL) {
        retired_end(disk, &retired);
        next_data_free(disk);
    }
    spin_unlock(&disks_admin_lock);
}

/* ---- Streams ---- */

struct disk_stream *disk_stream_find(struct disk *disk, uint32_t vbd)
{
    struct blk_vbd *v;

    list_for_each_entry(v, &disk->streams, link)
        if (v->id == vbd)
            return container_of(v, struct disk_stream, sched);
    return NULL;
}

int disk_stream_open(struct disk_stream *s, struct disk *disk, uint32_t vbd, uint32_t domid)
{
    uint64_t flags;
    int rc;

    *s = (struct disk_stream){.sched = {.id = vbd, .domid = domid}, .disk = disk, .slots_free = ~0u};
    spin_lock(&disks_admin_lock);
    /* The module may fail meanwhile; the arrival order does not mind data that are there. */
    rc = data_alloc(&s->sched.data, disk->ops.vbd_bytes);
    if (rc == 0)
        rc = data_alloc(&s->slots, (size_t)disk->slot_bytes * DISK_STREAM_REQUESTS);
    if (rc == 0) {
        flags = spin_lock_irqsave(&disk->lock);
        list_push_back(&disk->streams, &s->sched.link);
        if (disk_recorded(disk))
            disk_record_vbd(disk, s, false, disk_time(disk, clock_now_ns()));
        insert_vbd(disk, s);
        spin_unlock_irqrestore(&disk->lock, flags);
    } else {
        heap_free(s->sched.data);
    }
    spin_unlock(&disks_admin_lock);
    return rc;
}

void disk_stream_close(struct disk_stream *s)
{
    struct disk *disk = s->disk;
    uint64_t flags;

    spin_lock(&disks_admin_lock);
    flags = spin_lock_irqsave(&disk->lock);
    ASSERT(s->in_flight == 0);
    if (disk->ops.vbd_remove != NULL)
        disk->ops.vbd_remove(disk->state, &s->sched);
    if (disk_recorded(disk))
        disk_record_vbd(disk, s, true, disk_time(disk, clock_now_ns()));
    list_remove(&s->sched.link);
    spin_unlock_irqrestore(&disk->lock, flags);
    disk_settings_forget(disk, s->sched.id);
    spin_unlock(&disks_admin_lock);
    heap_free(s->sched.data);
    heap_free(s->slots);
}
