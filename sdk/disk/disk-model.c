/* SPDX-License-Identifier: MIT */
/*
 * A modelled disk. Contract, drive and sources: <disk/disk-model.h>. Tests: test-disk-model.c.
 *
 * The platters turn from time 0 on: the sector in slot k of its track (its number and the skew of all tracks before) passes under the head at the k-th part of each revolution. Everything
 * else follows: stream() reads on over tracks from a moment on, for a number of sectors or until another moment; a request and reading ahead are both that.
 */
#include <disk/disk-model.h>

#include <stddef.h>

const struct disk_drive disk_hp97560 = {
    .name = "HP 97560",
    .cylinders = 1962,
    .heads = 19,
    .track_sectors = 72,
    .revolution_ns = 14992504, /* 4002 rpm */
    .switch_ns = 1600000,
    .track_skew = 8,
    .cylinder_skew = 18,
    .short_ns = 3240000,
    .short_root_ns = 400000,
    .short_cylinders = 383,
    .long_ns = 8000000,
    .long_each_ns = 8000,
    .overhead_ns = 2200000,
    .bus_sector_ns = 51200, /* 10 MB/s */
    .buffer_sectors = 256,
};

static uint64_t square_root(uint64_t n)
{
    uint64_t root = 0;

    for (uint64_t bit = 1ull << 31; bit != 0; bit >>= 1)
        if ((root + bit) * (root + bit) <= n)
            root += bit;
    return root;
}

uint64_t disk_drive_sectors(const struct disk_drive *drive)
{
    return (uint64_t)drive->cylinders * drive->heads * drive->track_sectors;
}

uint64_t disk_drive_seek_ns(const struct disk_drive *drive, uint64_t cylinders)
{
    if (cylinders == 0)
        return 0;
    if (cylinders > drive->short_cylinders)
        return drive->long_ns + cylinders * drive->long_each_ns;
    /* sqrt(d) in 1/65536: exact to a nanosecond for what drives have */
    return drive->short_ns + ((square_root(cylinders << 32) * drive->short_root_ns) >> 16);
}

void disk_model_init(struct disk_model *model, const struct disk_drive *drive, uint64_t sectors)
{
    uint64_t cylinder_sectors = (uint64_t)drive->heads * drive->track_sectors;

    *model = (struct disk_model){.drive = drive, .sectors = sectors != 0 ? sectors : disk_drive_sectors(drive)};
    model->cylinders = (model->sectors + cylinder_sectors - 1) / cylinder_sectors;
}

static uint64_t track_of(const struct disk_model *model, uint64_t sector)
{
    return sector / model->drive->track_sectors;
}

/* The slot of its revolution in which a sector passes. */
static uint64_t slot_of(const struct disk_model *model, uint64_t sector)
{
    const struct disk_drive *d = model->drive;
    uint64_t track = track_of(model, sector), cylinder = track / d->heads;
    uint64_t skew = (track - cylinder) * d->track_skew + cylinder * d->cylinder_skew;

    return (sector + skew) % d->track_sectors;
}

static uint64_t wait_for_slot(const struct disk_model *model, uint64_t slot, uint64_t now_ns)
{
    const struct disk_drive *d = model->drive;
    uint64_t at_ns = slot * d->revolution_ns / d->track_sectors, is_ns = now_ns % d->revolution_ns;

    return at_ns >= is_ns ? at_ns - is_ns : at_ns + d->revolution_ns - is_ns;
}

/* Cylinders of the drive between two sectors of the disk. Two that are not alike are at least one apart. */
static uint64_t distance(const struct disk_model *model, uint64_t a, uint64_t b)
{
    uint64_t heads = model->drive->heads, x = track_of(model, a) / heads, y = track_of(model, b) / heads, d = x > y ? x - y : y - x;

    if (d == 0 || model->cylinders == model->drive->cylinders)
        return d;
    return (d * model->drive->cylinders + model->cylinders - 1) / model->cylinders;
}

/* From one track to the next, in sequence: neighbours, whatever the scale. */
static uint64_t step_ns(const struct disk_model *model, uint64_t track)
{
    return (track + 1) % model->drive->heads != 0 ? model->drive->switch_ns : disk_drive_seek_ns(model->drive, 1);
}

/*
 * From start_ns on, with the heads on the track of `sector`, read or write on, up to `count` sectors, as many as end by until_ns. Returns their number; *end_ns: when the last of
 * them ends. *rotate_ns, if wanted: how long it waited for sectors to come round, and for heads.
 */
static uint64_t stream(const struct disk_model *model, uint64_t sector, uint64_t count, uint64_t start_ns, uint64_t until_ns, uint64_t *end_ns, uint64_t *rotate_ns)
{
    const struct disk_drive *d = model->drive;
    uint64_t done = 0, now_ns = start_ns, waited_ns = 0;

    *end_ns = start_ns;
    while (done < count) {
        uint64_t track = track_of(model, sector + done), here = (track + 1) * d->track_sectors - (sector + done), pause_ns;

        if (here > count - done)
            here = count - done;
        pause_ns = wait_for_slot(model, slot_of(model, sector + done), now_ns);
        if (now_ns + pause_ns + here * d->revolution_ns / d->track_sectors > until_ns) {
            uint64_t left_ns = until_ns > now_ns + pause_ns ? until_ns - now_ns - pause_ns : 0;

            here = left_ns * d->track_sectors / d->revolution_ns;
            count = done + here;
        }
        if (here == 0)
            break;
        waited_ns += pause_ns;
        now_ns += pause_ns + here * d->revolution_ns / d->track_sectors;
        *end_ns = now_ns;
        done += here;
        if (done < count) {
            now_ns += step_ns(model, track);
            waited_ns += step_ns(model, track);
        }
    }
    if (rotate_ns != NULL)
        *rotate_ns = waited_ns;
    return done;
}

/* What reading ahead has brought by now. */
static void read_ahead(struct disk_model *model, uint64_t now_ns)
{
    uint64_t end_ns, got;

    if (model->held_to >= model->ahead_to || now_ns <= model->ahead_ns)
        return;
    got = stream(model, model->held_to, model->ahead_to - model->held_to, model->ahead_ns, now_ns, &end_ns, NULL);
    if (got == 0)
        return;
    model->held_to += got;
    model->arm = model->held_to - 1;
    model->ahead_ns = model->held_to < model->ahead_to ? end_ns : now_ns;
    if (model->held_to - model->held_from > model->drive->buffer_sectors)
        model->held_from = model->held_to - model->drive->buffer_sectors;
}

/* A read has ended at the sector `end`: go on behind what is held. */
static void continue_ahead(struct disk_model *model, uint64_t end, uint64_t now_ns)
{
    if (model->held_to >= model->ahead_to)
        model->ahead_ns = now_ns; /* it had stopped */
    model->ahead_to = end + model->drive->buffer_sectors;
    if (model->ahead_to > model->sectors)
        model->ahead_to = model->sectors;
}

/* A read that begins in the buffer, or just where it is being filled. Returns when it ends. */
static uint64_t serve_buffered(struct disk_model *model, uint64_t sector, uint64_t end, uint64_t now_ns, struct disk_parts *parts)
{
    const struct disk_drive *d = model->drive;
    uint64_t end_ns;

    if (end <= model->held_to) {
        parts->buffered = true;
        parts->transfer_ns = (end - sector) * d->bus_sector_ns;
        end_ns = now_ns + parts->transfer_ns;
        continue_ahead(model, end, now_ns);
        return end_ns;
    }
    continue_ahead(model, end, now_ns);
    stream(model, model->held_to, end - model->held_to, model->ahead_ns, UINT64_MAX, &end_ns, NULL);
    if (end_ns < now_ns)
        end_ns = now_ns;
    model->held_to = end;
    model->arm = end - 1;
    model->ahead_ns = end_ns;
    end_ns += d->bus_sector_ns;
    if (model->held_to - model->held_from > d->buffer_sectors)
        model->held_from = model->held_to - d->buffer_sectors;
    parts->transfer_ns = end_ns - now_ns;
    return end_ns;
}

static uint64_t serve_media(struct disk_model *model, bool write, uint64_t sector, uint64_t end, uint64_t now_ns, struct disk_parts *parts)
{
    const struct disk_drive *d = model->drive;
    uint64_t end_ns, cylinders = distance(model, model->arm, sector);

    parts->cylinders = (uint32_t)cylinders;
    parts->seek_ns = disk_drive_seek_ns(d, cylinders);
    if (cylinders == 0 && track_of(model, model->arm) != track_of(model, sector))
        parts->seek_ns = d->switch_ns;
    stream(model, sector, end - sector, now_ns + parts->seek_ns, UINT64_MAX, &end_ns, &parts->rotate_ns);
    parts->transfer_ns = end_ns - now_ns - parts->seek_ns - parts->rotate_ns;
    model->arm = end - 1;
    model->seeks += cylinders != 0;
    model->distance += cylinders;
    if (write) {
        if (sector < model->held_to && end > model->held_from)
            model->held_from = model->held_to; /* it is out of date */
        model->ahead_to = model->held_to;
        return end_ns;
    }
    model->held_from = end - sector > d->buffer_sectors ? end - d->buffer_sectors : sector;
    model->held_to = model->ahead_to = end;
    continue_ahead(model, end, end_ns);
    return end_ns + d->bus_sector_ns; /* the rest goes over the bus while the media are read */
}

uint64_t disk_model_serve(struct disk_model *model, bool write, uint64_t sector, uint32_t sectors, uint64_t now_ns, struct disk_parts *parts)
{
    struct disk_parts own;
    uint64_t start_ns = now_ns > model->busy_ns ? now_ns : model->busy_ns, end;

    if (parts == NULL)
        parts = &own;
    if (sector >= model->sectors)
        sector = model->sectors - 1;
    end = sectors < model->sectors - sector ? sector + (sectors != 0 ? sectors : 1) : model->sectors;
    *parts = (struct disk_parts){.queue_ns = start_ns - now_ns, .overhead_ns = model->drive->overhead_ns};
    start_ns += parts->overhead_ns;
    read_ahead(model, start_ns);
    if (!write && model->drive->buffer_sectors != 0 && sector >= model->held_from && sector <= model->held_to && model->held_from != model->held_to)
        model->busy_ns = serve_buffered(model, sector, end, start_ns, parts);
    else
        model->busy_ns = serve_media(model, write, sector, end, start_ns, parts);
    model->requests++;
    model->seek_ns += parts->seek_ns;
    model->rotate_ns += parts->rotate_ns;
    model->transfer_ns += parts->transfer_ns;
    return model->busy_ns;
}
