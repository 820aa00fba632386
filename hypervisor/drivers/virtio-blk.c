/* SPDX-License-Identifier: MIT */
/*
 * Disks by virtio (VIRTIO 1.2, section 5.2), behind struct blkdev. Contract: blkdev.h. The queue: virtio-queue.c; the registers: virtio-pci.c. Page: docs/concepts/disk-driver.md.
 *
 * A queue for each pCPU as far as the device has them: submit, interrupt and poll of a request stay on one CPU, and the queue's lock is free. The queues of a disk share one vector, since its handler does
 * not ask which queue: the CPU says that. A request of the core, with what hangs on it, becomes one of the device.
 */
#include "virtio-blk.h"

#include "alloc.h"
#include "apic.h"
#include "blkdev.h"
#include "cpu.h"
#include "lib/string.h"
#include "log.h"
#include "time.h"
#include "virtio-queue.h"
#include "virtio.h"

#include <hv/errno.h>

#define DEVICE_TRANSITIONAL 0x1001u
#define DEVICE_MODERN       0x1042u

/* Features (5.2.3). */
#define FEATURE_SIZE_MAX     (1ull << 1)
#define FEATURE_SEG_MAX      (1ull << 2)
#define FEATURE_RO           (1ull << 5)
#define FEATURE_BLK_SIZE     (1ull << 6)
#define FEATURE_FLUSH        (1ull << 9)
#define FEATURE_MQ           (1ull << 12)
#define FEATURE_DISCARD      (1ull << 13)
#define FEATURE_WRITE_ZEROES (1ull << 14)
#define FEATURES_WANTED                                                                                                                                        \
    (FEATURE_SIZE_MAX | FEATURE_SEG_MAX | FEATURE_RO | FEATURE_BLK_SIZE | FEATURE_FLUSH | FEATURE_MQ | FEATURE_DISCARD | FEATURE_WRITE_ZEROES |                \
     VIRTIO_FEATURE_INDIRECT | VIRTIO_FEATURE_EVENT_INDEX | VIRTIO_FEATURE_VERSION_1 | VIRTIO_FEATURE_ACCESS_PLATFORM)

/* The device's configuration (5.2.4). */
#define CONFIG_CAPACITY        0u
#define CONFIG_SIZE_MAX        8u
#define CONFIG_SEG_MAX         12u
#define CONFIG_BLK_SIZE        20u
#define CONFIG_QUEUES          34u
#define CONFIG_DISCARD_SECTORS 36u
#define CONFIG_ZEROES_SECTORS  48u

/* Requests (5.2.6). */
enum { TYPE_IN = 0, TYPE_OUT = 1, TYPE_FLUSH = 4, TYPE_GET_ID = 8, TYPE_DISCARD = 11, TYPE_WRITE_ZEROES = 13 };
#define ANSWER_OK  0u
#define ID_BYTES   20u
#define ID_WAIT_NS NS_PER_S

#define SECTORS_OF_PAGE (PAGE_SIZE / BLK_SECTOR_BYTES)
#define TAKE_MOST       16u
#define NOTICES_MAX     16u /* of one device, for ever: it must not fill the log */

struct virtio_disk {
    struct blkdev dev;
    struct virtio_device virtio;
    struct virtio_queue *queues[MAX_CPUS];
    uint32_t queue_count; /* at most cpu_count: queue n interrupts pCPU n */
    uint32_t pages_max;   /* of a request */
    uint64_t features;    /* agreed on at boot; every reset must give the same */
    bool one_entry;       /* the device has a single interrupt, for everything */
    bool plain;           /* interrupts of queues mean just that: the block core knows the disk, and changes have an entry of their own */
    bool routed;          /* vectors lead here */
    bool resetting;       /* atomic: one at a time */
    bool dead;            /* the last reset failed */
    uint32_t notices;
    char id[ID_BYTES + 4]; /* the device writes it */
};

static const uint8_t types[] = {
    [BLK_READ] = TYPE_IN, [BLK_WRITE] = TYPE_OUT, [BLK_DISCARD] = TYPE_DISCARD, [BLK_WRITE_ZEROES] = TYPE_WRITE_ZEROES, [BLKDEV_FLUSH] = TYPE_FLUSH,
};

static inline struct virtio_disk *disk_of(struct blkdev *dev)
{
    return container_of(dev, struct virtio_disk, dev);
}

static inline struct virtio_queue *own_queue(struct virtio_disk *d)
{
    uint32_t cpu = this_cpu_id();

    return d->queues[likely(cpu < d->queue_count) ? cpu : cpu % d->queue_count];
}

/* ---- requests ---- */

static uint32_t pages_count(const struct blkdev_request *r)
{
    uint32_t n = 0;

    for (; r != NULL; r = r->more)
        n += r->segment_count;
    return n;
}

/* The pages of r and of what hangs on it, in order. */
static void pages_put(struct virtio_descriptor *table, uint32_t base, const struct blkdev_request *r, uint16_t flags)
{
    uint32_t n = 0, i;

    for (; r != NULL; r = r->more)
        for (i = 0; i < r->segment_count; i++)
            virtio_slot_page(table, base, n++, r->segments[i].maddr, r->segments[i].bytes, flags);
}

/* A request of a range, without data: struct virtio_blk_discard_write_zeroes (5.2.6): sector, sectors, flags. */
static void range_put(struct virtio_slot *memory, struct virtio_descriptor *table, uint32_t base, const struct blkdev_request *r)
{
    uint32_t sectors = 0;

    memory->range[0] = r->sector;
    for (; r != NULL; r = r->more)
        sectors += r->sectors;
    memory->range[1] = sectors;
    virtio_slot_page(table, base, 0, virt_to_maddr(memory->range), sizeof(memory->range), 0);
}

/* Under q->lock, a slot is free; `pages` fit. */
static inline void request_put(struct virtio_queue *q, struct blkdev_request *r, uint8_t type, uint32_t pages)
{
    uint32_t slot = virtio_slot_take(q), base;
    struct virtio_descriptor *table = virtio_slot_table(q, slot, &base);
    struct virtio_slot *memory = &q->memory[slot];

    memory->head[0] = type;
    memory->head[1] = r->sector;
    if (type == TYPE_FLUSH) {
        memory->head[1] = 0;
        pages = 0;
    } else if (type == TYPE_DISCARD || type == TYPE_WRITE_ZEROES) {
        memory->head[1] = 0;
        range_put(memory, table, base, r);
        pages = 1;
    } else {
        pages_put(table, base, r, type == TYPE_OUT ? 0 : VIRTIO_DESCRIPTOR_WRITE);
    }
    virtio_slot_push(q, slot, pages, r);
}

static int virtio_blk_submit(struct blkdev *dev, struct blkdev_request *r)
{
    struct virtio_disk *d = disk_of(dev);
    struct virtio_queue *q = own_queue(d);
    uint32_t pages = pages_count(r);
    int rc = 0;

    if (unlikely(pages > d->pages_max || r->op >= ARRAY_SIZE(types)))
        return -EIO;
    spin_lock(&q->lock);
    if (unlikely(q->stopped))
        rc = d->dead ? -EIO : -ENOSPC;
    else if (unlikely(q->free_count == 0))
        rc = -ENOSPC;
    else
        request_put(q, r, types[r->op], pages);
    spin_unlock(&q->lock);
    return rc;
}

static void virtio_blk_kick(struct blkdev *dev)
{
    virtio_queue_show(own_queue(disk_of(dev)));
}

static void lies_count(struct virtio_disk *d)
{
    uint64_t lies = 0;
    uint32_t i;

    for (i = 0; i < d->queue_count; i++)
        lies += READ_ONCE(d->queues[i]->lies);
    d->dev.lies = lies;
}

static void tell(struct virtio_disk *d, const struct virtio_ended *ended, uint32_t count)
{
    uint32_t i;

    for (i = 0; i < count; i++)
        blkdev_done(&d->dev, ended[i].owner, ended[i].answer == ANSWER_OK ? 0 : -EIO);
}

static bool virtio_blk_poll(struct blkdev *dev, uint32_t most)
{
    struct virtio_disk *d = disk_of(dev);
    struct virtio_queue *q = own_queue(d);
    struct virtio_ended ended[TAKE_MOST];
    uint32_t part, n;
    bool more;

    do {
        part = min(most, TAKE_MOST);
        more = virtio_queue_take(q, ended, part, &n);
        tell(d, ended, n);
        most -= part;
    } while (more && most != 0);
    if (unlikely(q->lies != 0))
        lies_count(d);
    return more;
}

/* ---- start and reset ---- */

/* Hand all queues to the device, in the state after a reset. */
static int queues_start(struct virtio_disk *d)
{
    uint16_t i, config_entry = d->one_entry ? 0 : (uint16_t)d->queue_count;
    int rc = virtio_config_vector(&d->virtio, config_entry);

    for (i = 0; rc == 0 && i < d->queue_count; i++) {
        virtio_queue_restart(d->queues[i]);
        rc = virtio_queue_start(&d->virtio, i, d->queues[i], i);
    }
    if (rc != 0)
        return rc;
    virtio_ready(&d->virtio);
    for (i = 0; i < d->queue_count; i++)
        virtio_queue_open(d->queues[i]);
    return 0;
}

static int device_start(struct virtio_disk *d)
{
    int rc;

    pci_enable(d->virtio.pci);
    rc = virtio_begin(&d->virtio, d->features);
    if (rc == 0 && d->virtio.features != d->features)
        rc = -EIO;
    if (rc == 0)
        rc = queues_start(d);
    if (rc != 0)
        virtio_give_up(&d->virtio);
    return rc;
}

/* The device is reset or cut off the bus: its memory is nobody's but ours again. What it had ended before has ended so, the rest it will never end. */
static void give_back(struct virtio_disk *d)
{
    struct virtio_ended ended[TAKE_MOST];
    uint32_t i, j, n;
    bool more;

    for (i = 0; i < d->queue_count; i++) {
        do {
            more = virtio_queue_drain(d->queues[i], ended, TAKE_MOST, &n);
            tell(d, ended, n);
        } while (more);
        do {
            n = virtio_queue_abandon(d->queues[i], ended, TAKE_MOST);
            for (j = 0; j < n; j++)
                blkdev_done(&d->dev, ended[j].owner, -EAGAIN);
        } while (n == TAKE_MOST);
    }
}

static int virtio_blk_reset(struct blkdev *dev)
{
    struct virtio_disk *d = disk_of(dev);
    uint32_t i;
    int rc;

    if (__atomic_exchange_n(&d->resetting, true, __ATOMIC_ACQUIRE))
        return 0; /* somebody else is at it */
    for (i = 0; i < d->queue_count; i++)
        virtio_queue_stop(d->queues[i]);
    rc = virtio_stop(&d->virtio);
    give_back(d);
    if (rc == 0)
        rc = device_start(d);
    d->dead = rc != 0;
    lies_count(d);
    __atomic_store_n(&d->resetting, false, __ATOMIC_RELEASE);
    return rc;
}

static const struct blkdev_ops virtio_blk_ops = {
    .name = "virtio-blk",
    .submit = virtio_blk_submit,
    .kick = virtio_blk_kick,
    .poll = virtio_blk_poll,
    .reset = virtio_blk_reset,
};

/* ---- interrupts ---- */

static void config_interrupt(void *arg)
{
    struct virtio_disk *d = arg;
    uint64_t sectors = virtio_config64(&d->virtio, CONFIG_CAPACITY);
    bool wants_reset = virtio_wants_reset(&d->virtio);

    if (d->notices < NOTICES_MAX && (wants_reset || sectors != d->dev.sectors)) {
        d->notices++;
        if (wants_reset)
            log_warning("disk%u: the device asks to be reset", d->dev.id);
        else
            log_info("disk%u: %lu sectors, before %lu", d->dev.id, (unsigned long)sectors, (unsigned long)d->dev.sectors);
    }
    __atomic_store_n(&d->dev.sectors, sectors, __ATOMIC_RELAXED);
}

static void queue_interrupt(void *arg)
{
    struct virtio_disk *d = arg;

    d->dev.interrupts++;
    if (unlikely(!d->plain)) {
        if (d->dev.core == NULL)
            return; /* still asked for its name, which is waited for */
        config_interrupt(d);
    }
    blkdev_interrupt(&d->dev);
}

static int vectors_init(struct virtio_disk *d)
{
    int vector = irq_vector_alloc(queue_interrupt, d), config_vector = 0;
    uint32_t i;

    if (vector >= 0 && !d->one_entry)
        config_vector = irq_vector_alloc(config_interrupt, d);
    d->routed = vector >= 0;
    if (vector < 0 || config_vector < 0)
        return -ENOSPC;
    for (i = 0; i < d->queue_count; i++)
        pci_msix_route(&d->virtio.msix, i, i, (uint8_t)vector);
    if (!d->one_entry)
        pci_msix_route(&d->virtio.msix, d->queue_count, 0, (uint8_t)config_vector);
    return 0;
}

/* ---- what the device is ---- */

static bool has(const struct virtio_disk *d, uint64_t feature)
{
    return d->features & feature;
}

/* As many queues as the device, the CPUs and the interrupts (one more for changes, if there are two) allow. */
static void queues_choose(struct virtio_disk *d)
{
    uint32_t queues = has(d, FEATURE_MQ) ? virtio_config16(&d->virtio, CONFIG_QUEUES) : 1;

    queues = min(queues, (uint32_t)virtio_queue_count(&d->virtio));
    queues = min(queues, cpu_count);
    if (queues > 1 && queues + 1 > d->virtio.msix.entries)
        queues = max((uint32_t)d->virtio.msix.entries, 2u) - 1;
    d->queue_count = max(queues, 1u);
    d->one_entry = d->virtio.msix.entries == 1;
}

static int queues_create(struct virtio_disk *d)
{
    uint32_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < d->queue_count; i++) {
        d->queues[i] = heap_alloc(sizeof(*d->queues[i]));
        rc = d->queues[i] == NULL ? -ENOMEM
                                  : virtio_queue_create(d->queues[i], virtio_queue_size(&d->virtio, (uint16_t)i), has(d, VIRTIO_FEATURE_INDIRECT),
                                                        has(d, VIRTIO_FEATURE_EVENT_INDEX));
    }
    return rc;
}

static uint32_t block_bytes(struct virtio_disk *d)
{
    uint32_t bytes = has(d, FEATURE_BLK_SIZE) ? virtio_config32(&d->virtio, CONFIG_BLK_SIZE) : BLK_SECTOR_BYTES;

    return bytes >= BLK_SECTOR_BYTES && bytes <= PAGE_SIZE && (bytes & (bytes - 1)) == 0 ? bytes : BLK_SECTOR_BYTES;
}

static void limits_read(struct virtio_disk *d)
{
    struct blkdev *dev = &d->dev;
    uint32_t i;

    d->pages_max = has(d, FEATURE_SEG_MAX) ? max(virtio_config32(&d->virtio, CONFIG_SEG_MAX), 1u) : 1;
    for (i = 0; i < d->queue_count; i++) {
        d->pages_max = min(d->pages_max, (uint32_t)d->queues[i]->pages_max);
        dev->depth += d->queues[i]->slots;
    }
    dev->ops = &virtio_blk_ops;
    dev->sectors = virtio_config64(&d->virtio, CONFIG_CAPACITY);
    dev->block_bytes = block_bytes(d);
    dev->queues = d->queue_count;
    dev->segments_max = d->pages_max;
    dev->sectors_max = (uint32_t)(d->pages_max * SECTORS_OF_PAGE);
    dev->discard_sectors_max = has(d, FEATURE_DISCARD) ? virtio_config32(&d->virtio, CONFIG_DISCARD_SECTORS) : 0;
    dev->zeroes_sectors_max = has(d, FEATURE_WRITE_ZEROES) ? virtio_config32(&d->virtio, CONFIG_ZEROES_SECTORS) : 0;
    dev->read_only = has(d, FEATURE_RO);
    dev->can_discard = dev->discard_sectors_max != 0 && !dev->read_only;
    dev->can_write_zeroes = dev->zeroes_sectors_max != 0 && !dev->read_only;
    dev->can_flush = has(d, FEATURE_FLUSH);
}

/* The device is asked for its name and waited for, before anybody else uses it: also a proof that it works. */
static int id_read(struct virtio_disk *d)
{
    struct blkdev_segment segment = { .maddr = virt_to_maddr(d->id), .bytes = ID_BYTES };
    struct blkdev_request request = { .segments = &segment, .segment_count = 1 };
    struct virtio_queue *q = own_queue(d);
    struct virtio_ended ended;
    uint64_t until = clock_now_ns() + ID_WAIT_NS;
    uint32_t i, n = 0;

    spin_lock(&q->lock);
    request_put(q, &request, TYPE_GET_ID, 1);
    spin_unlock(&q->lock);
    virtio_queue_show(q);
    while (n == 0) {
        if (clock_now_ns() > until)
            return -EIO;
        cpu_relax();
        virtio_queue_take(q, &ended, 1, &n);
    }
    for (i = 0; ended.answer == ANSWER_OK && i < ID_BYTES && d->id[i] > ' ' && d->id[i] < 0x7f; i++)
        d->dev.serial_number[i] = d->id[i];
    return 0;
}

/* Everything up to a device that works; the reason why not in *why. */
static int disk_start(struct virtio_disk *d, const char **why)
{
    *why = "it takes no part in the negotiation";
    if (virtio_begin(&d->virtio, FEATURES_WANTED) != 0)
        return -EIO;
    d->features = d->virtio.features;
    *why = "its pages are less than 4096 bytes";
    if (has(d, FEATURE_SIZE_MAX) && virtio_config32(&d->virtio, CONFIG_SIZE_MAX) < PAGE_SIZE)
        return -EIO;
    *why = "no memory, or no queue";
    queues_choose(d);
    if (queues_create(d) != 0)
        return -ENOMEM;
    limits_read(d);
    *why = "no interrupt vectors are left";
    if (vectors_init(d) != 0)
        return -ENOSPC;
    *why = "it does not take its queues";
    if (device_start(d) != 0)
        return -EIO;
    *why = "it does not answer";
    return id_read(d);
}

static void disk_log(const struct virtio_disk *d)
{
    const struct blkdev *dev = &d->dev;
    const struct pci_function *f = d->virtio.pci;

    log_info("disk%u: at %02x:%02x.%x, %u queue%s of %u, %u pages a request%s%s%s%s", dev->id, f->bus, f->slot, f->function, dev->queues,
             dev->queues == 1 ? "" : "s", dev->depth / dev->queues, dev->segments_max, has(d, VIRTIO_FEATURE_INDIRECT) ? "" : ", no indirect descriptors",
             dev->read_only ? ", read-only" : "", dev->serial_number[0] != '\0' ? ", serial " : "", dev->serial_number);
}

/* The device has been stopped, or cut off. What a vector leads to is kept. */
static void disk_forget(struct virtio_disk *d)
{
    uint32_t i;

    for (i = 0; i < d->queue_count && d->queues[i] != NULL; i++) {
        virtio_queue_destroy(d->queues[i]);
        heap_free(d->queues[i]);
        d->queues[i] = NULL;
    }
    if (!d->routed)
        heap_free(d);
}

static void disk_add(const struct pci_function *f)
{
    struct virtio_disk *d = heap_alloc(sizeof(*d));
    const char *why = "no memory";

    if (d == NULL || virtio_map(&d->virtio, f) != 0) {
        heap_free(d);
        return;
    }
    if (disk_start(d, &why) == 0) {
        why = "the block core has no room for it";
        if (blkdev_register(&d->dev) == 0) {
            d->plain = !d->one_entry;
            disk_log(d);
            return; /* for good */
        }
    }
    log_warning("PCI %02x:%02x.%x: a disk is left out: %s", f->bus, f->slot, f->function, why);
    if (virtio_stop(&d->virtio) == 0)
        virtio_give_up(&d->virtio);
    disk_forget(d);
}

void virtio_blk_init(void)
{
    uint32_t i;

    for (i = 0; i < pci_function_count; i++) {
        const struct pci_function *f = &pci_functions[i];

        if (f->vendor == VIRTIO_PCI_VENDOR && (f->device == DEVICE_MODERN || f->device == DEVICE_TRANSITIONAL))
            disk_add(f);
    }
}
