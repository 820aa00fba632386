/* SPDX-License-Identifier: MIT */
/* The disks and VBDs of the fake machine: libcollet's functions on them. See fake-collet.h. */
#include "fake-handle.h"

#include <errno.h>
#include <stdio.h>

static const struct collet_sched_param fair_params[] = {
    { "weight", "share relative to other VBDs", COLLET_PARAM_UINT, COLLET_DISK_SCOPE_DISK | COLLET_DISK_SCOPE_VBD, 1, 1000, 100 },
    { "slice_ns", "longest turn, in ns", COLLET_PARAM_NS, COLLET_DISK_SCOPE_DISK, 1000000, 1000000000, 100000000 },
};

static void add_disk(const char *name, const char *module, uint32_t flags, uint64_t sectors)
{
    struct collet_disk_info *d = &fake.disks[fake.disk_count];

    *d = (struct collet_disk_info){ .disk = (uint32_t)fake.disk_count,
                                    .flags = flags,
                                    .sectors = sectors,
                                    .sector_bytes = 512,
                                    .depth = 32,
                                    .queues = 2,
                                    .sectors_max = 1024,
                                    .segments_max = 64,
                                    .since_ns = 1000000000,
                                    .uses = 1,
                                    .watchdog_ns = 5000000000,
                                    .queued = 3,
                                    .issued = 4,
                                    .requests = { 1000, 500, 10, 20 },
                                    .sectors_done = { 8000, 4000, 80, 0 },
                                    .device_requests = 1000,
                                    .seek_sectors = 123456,
                                    .busy_ns = 50000000000 };
    snprintf(d->name, sizeof(d->name), "%s", name);
    snprintf(d->driver, sizeof(d->driver), "virtio-blk");
    snprintf(d->serial_number, sizeof(d->serial_number), "S%d", fake.disk_count);
    snprintf(d->module, sizeof(d->module), "%s", module);
    snprintf(d->fault_names[0], sizeof(d->fault_names[0]), "bad-request");
    fake.disk_count++;
}

static void add_vbd(uint32_t vbd, uint32_t domid, uint32_t device, uint32_t flags, const char *name)
{
    struct collet_vbd_info *v = &fake.vbds[fake.vbd_count++];

    *v = (struct collet_vbd_info){ .vbd = vbd,
                                   .domid = domid,
                                   .device = device,
                                   .flags = flags,
                                   .sectors = 20480,
                                   .extents = 1,
                                   .sector_bytes = 512,
                                   .disk_flags = COLLET_DISK_CAN_FLUSH,
                                   .in_flight = 2,
                                   .requests = { 100, 50, 0, 5 },
                                   .sectors_done = { 800, 400, 0, 0 } };
    snprintf(v->name, sizeof(v->name), "%s", name);
    for (int phase = 0; phase < COLLET_PHASES; phase++) {
        v->latency[0][phase][4] = 98; /* below 16 us */
        v->latency[0][phase][10] = 1; /* below 1024 us */
        v->latency[0][phase][23] = 1; /* no bound */
    }
}

void fake_block_reset(void)
{
    add_disk("disk0", "elevator", COLLET_DISK_CAN_FLUSH | COLLET_DISK_CAN_DISCARD, 2097152);
    add_disk("disk1", "fair", COLLET_DISK_MODELLED, 4194304);
    strcpy(fake.disks[1].model, "hp97560");
    strcpy(fake.disks[1].dropped, "mine");
    strcpy(fake.disks[1].dropped_why, "it sat on a request");
    fake.disks[1].faults[0] = 3;
    add_vbd(1, 0, 51712, COLLET_VBD_RAW | COLLET_VBD_CONNECTED, "disk0");
    add_vbd(2, 3, 51712, COLLET_VBD_CONNECTED, "root");
    add_vbd(7, 4, 51728, COLLET_VBD_READ_ONLY | COLLET_VBD_BROKEN, "data");
    strcpy(fake.vbds[2].broken_why, "producer index out of range");
    fake.vbds[2].requests_per_s = 100;
    fake.vbds[2].bytes_per_s = 10 << 20;
    fake.disk_records_at_once = 100;
}

int collet_disk_list(struct collet *c, struct collet_disk_info **disks)
{
    (void)c;
    *disks = copy(fake.disks, sizeof(fake.disks[0]) * (size_t)fake.disk_count);
    return fake.disk_count;
}

int collet_disk_info(struct collet *c, uint32_t disk, struct collet_disk_info *info)
{
    if (disk >= (uint32_t)fake.disk_count)
        return fail(c, -ENODEV, "there is no such disk");
    *info = fake.disks[disk];
    return 0;
}

int collet_disk_find(struct collet *c, const char *word, struct collet_disk_info *info)
{
    char *end;
    unsigned long number = strtoul(word, &end, 10);

    for (int i = 0; i < fake.disk_count; i++)
        if (strcmp(fake.disks[i].name, word) == 0)
            return collet_disk_info(c, (uint32_t)i, info);
    return *word != 0 && *end == 0 ? collet_disk_info(c, (uint32_t)number, info) : fail(c, -ENODEV, "there is no such disk");
}

int collet_disk_module_list(struct collet *c, struct collet_sched_module **modules)
{
    static const struct collet_sched_module known[] = { { "elevator", "C-LOOK with merging", 0, 1 },
                                                        { "fifo", "in order of arrival", 0, 0 },
                                                        { "fair", "proportional share", 2, 1 } };

    (void)c;
    *modules = copy(known, sizeof(known));
    return 3;
}

int collet_disk_param_list(struct collet *c, const char *module, struct collet_sched_param **params)
{
    *params = NULL;
    if (strcmp(module, "arrival") == 0)
        return fail(c, -ENOENT, "no such module");
    *params = copy(fair_params, sizeof(fair_params));
    return strcmp(module, "fair") == 0 ? 2 : 0;
}

int collet_disk_use(struct collet *c, uint32_t disk, const char *module)
{
    if (strcmp(module, "fifo") != 0 && strcmp(module, "elevator") != 0 && strcmp(module, "fair") != 0)
        return fail(c, -ENOENT, "no such module");
    strcpy(fake.disks[disk].module, module);
    return 0;
}

int collet_disk_get(struct collet *c, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed)
{
    (void)c;
    (void)disk;
    (void)module;
    if (failed != NULL)
        *failed = count;
    for (struct collet_disk_value *v = values; v < values + count; v++) {
        v->value = strcmp(v->name, "weight") == 0 ? 100 : 100000000;
        for (int i = 0; i < fake.disk_value_count; i++)
            if (strcmp(fake.disk_values[i].name, v->name) == 0 && fake.disk_values[i].scope == v->scope && fake.disk_values[i].vbd == v->vbd)
                v->value = fake.disk_values[i].value;
    }
    return 0;
}

int collet_disk_set(struct collet *c, uint32_t disk, const char *module, struct collet_disk_value *values, unsigned int count, unsigned int *failed)
{
    (void)disk;
    (void)module;
    *failed = count;
    fake.disk_set_calls++;
    if (fake.disk_set_rc != 0)
        return fail(c, fake.disk_set_rc, "it was refused");
    for (unsigned int i = 0; i < count; i++)
        fake.disk_values[fake.disk_value_count++] = values[i];
    return 0;
}

int collet_disk_model(struct collet *c, uint32_t disk, const char *drive)
{
    if (drive != NULL && strcmp(drive, "hp97560") != 0)
        return fail(c, -ENOENT, "no such drive");
    strcpy(fake.disks[disk].model, drive != NULL ? drive : "");
    return 0;
}

int collet_disk_record(struct collet *c, uint32_t disk, unsigned int records)
{
    (void)disk;
    if (records != 0 && fake.recording != 0)
        return fail(c, -EBUSY, "it is recorded");
    if (records == 0 && fake.recording == 0)
        return fail(c, -ENOENT, "it is not recorded");
    fake.record_begins += records != 0;
    fake.record_ends += records == 0;
    fake.recording_left = records == 0;
    fake.recording = records;
    return 0;
}

int collet_disk_record_read(struct collet *c, uint32_t disk, struct collet_disk_record *records, unsigned int room, uint64_t *lost, bool *running)
{
    int n = fake.disk_record_count - fake.disk_records_read;

    (void)disk;
    if (fake.recording == 0 && n == 0)
        return fail(c, -ENOENT, "nothing is left");
    n = n < fake.disk_records_at_once ? n : fake.disk_records_at_once;
    n = n < (int)room ? n : (int)room;
    memcpy(records, &fake.disk_records[fake.disk_records_read], sizeof(*records) * (size_t)n);
    fake.disk_records_read += n;
    *lost = fake.disk_records_lost;
    *running = fake.recording != 0;
    return n;
}

int collet_vbd_list(struct collet *c, uint32_t domid, struct collet_vbd_info **vbds)
{
    (void)c;
    (void)domid;
    *vbds = copy(fake.vbds, sizeof(fake.vbds[0]) * (size_t)fake.vbd_count);
    for (int i = 0; i < fake.vbd_count; i++) { /* each look finds more */
        fake.vbds[i].requests[COLLET_BLK_READ] += 10;
        fake.vbds[i].latency[0][COLLET_PHASE_DEVICE][6] += 10;
    }
    return fake.vbd_count;
}

int collet_vbd_extents(struct collet *c, uint32_t vbd, struct collet_extent **extents)
{
    struct collet_extent e = { .disk = vbd == 7 ? 1 : 0, .sector = 2048, .sectors = 20480 };

    (void)c;
    *extents = copy(&e, sizeof(e));
    return 1;
}
