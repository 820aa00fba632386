/* SPDX-License-Identifier: MIT */
/*
 * The PCI transport of virtio devices (VIRTIO 1.2, section 4.1), modern interface only: a transitional device has it too. Contract: virtio.h.
 *
 * The device says in vendor capabilities which BAR holds what. Each place is checked against its BAR (pci_map); the notification address of a queue against the length of its window.
 */
#include "virtio.h"

#include "alloc.h"
#include "log.h"
#include "time.h"
#include "virtio-queue.h"
#include "x86/cpu-asm.h"

#include <hv/errno.h>

/* The capability (4.1.4). */
#define CAP_KIND       3u
#define CAP_BAR        4u
#define CAP_OFFSET     8u
#define CAP_LENGTH     12u
#define CAP_MULTIPLIER 16u /* of the notification window only */
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_DEVICE = 4 };
#define WINDOW_BYTES_MAX 0x10000u /* of a window, as much as we ever map */

/* Registers of the common configuration (4.1.4.3). */
#define DEVICE_FEATURE_SELECT 0x00u
#define DEVICE_FEATURE        0x04u
#define DRIVER_FEATURE_SELECT 0x08u
#define DRIVER_FEATURE        0x0cu
#define CONFIG_VECTOR         0x10u
#define QUEUE_COUNT           0x12u
#define STATUS                0x14u
#define GENERATION            0x15u
#define QUEUE_SELECT          0x16u
#define QUEUE_SIZE            0x18u
#define QUEUE_VECTOR          0x1au
#define QUEUE_ENABLE          0x1cu
#define QUEUE_NOTIFY          0x1eu
#define QUEUE_DESCRIPTORS     0x20u
#define QUEUE_AVAILABLE       0x28u
#define QUEUE_USED            0x30u
#define COMMON_BYTES          0x38u

/* Device status (2.1). */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u
#define STATUS_FAILED      128u

#define CONFIG_READS_MAX 16

static inline uint8_t read8(volatile char *at)
{
    return *(volatile uint8_t *)at;
}
static inline uint16_t read16(volatile char *at)
{
    return *(volatile uint16_t *)at;
}
static inline uint32_t read32(volatile char *at)
{
    return *(volatile uint32_t *)at;
}
static inline void write8(volatile char *at, uint8_t value)
{
    *(volatile uint8_t *)at = value;
}
static inline void write16(volatile char *at, uint16_t value)
{
    *(volatile uint16_t *)at = value;
}
static inline void write32(volatile char *at, uint32_t value)
{
    *(volatile uint32_t *)at = value;
}
static inline void write64(volatile char *at, uint64_t value)
{
    write32(at, (uint32_t)value);
    write32(at + 4, (uint32_t)(value >> 32));
}

/* The first window of this kind that can be mapped (4.1.4.1: the first is the one to prefer). */
static volatile char *window_map(const struct pci_function *f, uint8_t kind, uint32_t need, uint32_t *bytes, uint8_t *capability)
{
    unsigned int i;
    uint8_t at = 0;

    for (i = 0; i < 48 && (at = pci_capability_find(f, PCI_CAPABILITY_VENDOR, at)) != 0; i++) {
        volatile char *to;

        if (pci_read8(f, at + CAP_KIND) != kind || at > 0x100 - CAP_MULTIPLIER - 4)
            continue;
        *bytes = min(pci_read32(f, at + CAP_LENGTH), WINDOW_BYTES_MAX);
        to = *bytes >= need ? pci_map(f, pci_read8(f, at + CAP_BAR), pci_read32(f, at + CAP_OFFSET), *bytes) : NULL;
        *capability = at;
        if (to != NULL)
            return to;
    }
    return NULL;
}

/* NULL, or what is missing. */
static const char *parts_map(struct virtio_device *v, const struct pci_function *f)
{
    uint32_t common_bytes;
    uint8_t at;

    v->common = window_map(f, CAP_COMMON, COMMON_BYTES, &common_bytes, &at);
    v->config = window_map(f, CAP_DEVICE, 8, &v->config_bytes, &at);
    v->notify = window_map(f, CAP_NOTIFY, 2, &v->notify_bytes, &at);
    if (v->common == NULL || v->config == NULL || v->notify == NULL)
        return "modern virtio registers";
    v->notify_multiplier = pci_read32(f, at + CAP_MULTIPLIER);
    return pci_msix_init(f, &v->msix) == 0 ? NULL : "interrupts by MSI-X";
}

int virtio_map(struct virtio_device *v, const struct pci_function *f)
{
    const char *missing;

    v->pci = f;
    pci_enable(f);
    missing = parts_map(v, f);
    if (missing == NULL)
        return 0;
    pci_stop(f);
    log_warning("PCI %02x:%02x.%x: a virtio device is left out: it has no %s", f->bus, f->slot, f->function, missing);
    return -ENODEV;
}

static void status_add(struct virtio_device *v, uint8_t bits)
{
    write8(v->common + STATUS, read8(v->common + STATUS) | bits);
}

int virtio_stop(struct virtio_device *v)
{
    uint64_t until = clock_now_ns() + VIRTIO_RESET_NS;

    /* 4.1.4.3.2: the reset is over when the status reads back as zero. */
    write8(v->common + STATUS, 0);
    while (read8(v->common + STATUS) != 0) {
        if (clock_now_ns() > until) {
            pci_stop(v->pci);
            return -EIO;
        }
        cpu_relax();
    }
    return 0;
}

void virtio_give_up(struct virtio_device *v)
{
    status_add(v, STATUS_FAILED);
    pci_stop(v->pci);
}

bool virtio_wants_reset(struct virtio_device *v)
{
    return read8(v->common + STATUS) & STATUS_NEEDS_RESET;
}

static uint64_t features_offered(struct virtio_device *v)
{
    uint64_t low;

    write32(v->common + DEVICE_FEATURE_SELECT, 0);
    low = read32(v->common + DEVICE_FEATURE);
    write32(v->common + DEVICE_FEATURE_SELECT, 1);
    return low | (uint64_t)read32(v->common + DEVICE_FEATURE) << 32;
}

int virtio_begin(struct virtio_device *v, uint64_t wanted)
{
    if (virtio_stop(v) != 0)
        return -EIO;
    status_add(v, STATUS_ACKNOWLEDGE);
    status_add(v, STATUS_DRIVER);
    v->features = features_offered(v) & wanted;
    if (!(v->features & VIRTIO_FEATURE_VERSION_1))
        return -EIO;
    write32(v->common + DRIVER_FEATURE_SELECT, 0);
    write32(v->common + DRIVER_FEATURE, (uint32_t)v->features);
    write32(v->common + DRIVER_FEATURE_SELECT, 1);
    write32(v->common + DRIVER_FEATURE, (uint32_t)(v->features >> 32));
    status_add(v, STATUS_FEATURES_OK);
    return read8(v->common + STATUS) & STATUS_FEATURES_OK ? 0 : -EIO;
}

void virtio_ready(struct virtio_device *v)
{
    status_add(v, STATUS_DRIVER_OK);
}

uint16_t virtio_queue_count(struct virtio_device *v)
{
    return read16(v->common + QUEUE_COUNT);
}

uint16_t virtio_queue_size(struct virtio_device *v, uint16_t index)
{
    write16(v->common + QUEUE_SELECT, index);
    return read16(v->common + QUEUE_SIZE);
}

int virtio_queue_start(struct virtio_device *v, uint16_t index, struct virtio_queue *q, uint16_t entry)
{
    uint64_t notify;

    write16(v->common + QUEUE_SELECT, index);
    notify = (uint64_t)read16(v->common + QUEUE_NOTIFY) * v->notify_multiplier;
    if (notify + 2 > v->notify_bytes)
        return -EIO;
    q->notify = (volatile uint16_t *)(v->notify + notify);
    q->index = index;
    write16(v->common + QUEUE_SIZE, q->size);
    write64(v->common + QUEUE_DESCRIPTORS, virt_to_maddr(q->descriptors));
    write64(v->common + QUEUE_AVAILABLE, virt_to_maddr(q->available));
    write64(v->common + QUEUE_USED, virt_to_maddr(q->used));
    write16(v->common + QUEUE_VECTOR, entry);
    /* 4.1.5.1.2.1: the device answers with "no vector" if it could not. */
    if (read16(v->common + QUEUE_VECTOR) != entry)
        return -EIO;
    write16(v->common + QUEUE_ENABLE, 1);
    return 0;
}

int virtio_config_vector(struct virtio_device *v, uint16_t entry)
{
    write16(v->common + CONFIG_VECTOR, entry);
    return read16(v->common + CONFIG_VECTOR) == entry ? 0 : -EIO;
}

uint8_t virtio_config8(struct virtio_device *v, uint32_t offset)
{
    return offset + 1 <= v->config_bytes ? read8(v->config + offset) : 0;
}

uint16_t virtio_config16(struct virtio_device *v, uint32_t offset)
{
    return offset + 2 <= v->config_bytes ? read16(v->config + offset) : 0;
}

uint32_t virtio_config32(struct virtio_device *v, uint32_t offset)
{
    return offset + 4 <= v->config_bytes ? read32(v->config + offset) : 0;
}

uint64_t virtio_config64(struct virtio_device *v, uint32_t offset)
{
    uint64_t value = 0;
    uint8_t before;
    int i;

    for (i = 0; i < CONFIG_READS_MAX; i++) {
        before = read8(v->common + GENERATION);
        value = virtio_config32(v, offset) | (uint64_t)virtio_config32(v, offset + 4) << 32;
        if (read8(v->common + GENERATION) == before)
            break;
    }
    return value;
}
