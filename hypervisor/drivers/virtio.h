/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices by PCI, modern interface: registers of the transport and how a driver talks to them. drivers/virtio-pci.c.
 * Numbers are of "Virtual I/O Device (VIRTIO) Version 1.2" (OASIS, 2022); sections are named where they are used. All is little-endian, as this CPU.
 */
#pragma once

#include "pci.h"
#include "types.h"

struct virtio_queue;

#define VIRTIO_PCI_VENDOR 0x1af4u

/* Feature bits that belong to no kind of device (section 6). */
#define VIRTIO_FEATURE_INDIRECT        (1ull << 28)
#define VIRTIO_FEATURE_EVENT_INDEX     (1ull << 29)
#define VIRTIO_FEATURE_VERSION_1       (1ull << 32)
#define VIRTIO_FEATURE_ACCESS_PLATFORM (1ull << 33) /* memory as the platform has it for DMA: here, machine addresses */

struct virtio_device {
    const struct pci_function *pci;
    struct pci_msix msix;
    volatile char *common, *notify, *config;
    uint32_t notify_bytes, notify_multiplier, config_bytes;
    uint64_t features; /* agreed ones */
};

/* Map the registers of a function. 0, or -ENODEV with the reason logged. Boot only. */
int must_check virtio_map(struct virtio_device *v, const struct pci_function *f);
/*
 * Section 3.1.1 up to FEATURES_OK: reset, then agree on those of `wanted` that the device offers; VERSION_1 must be among them. 0, or -EIO.
 * Context: boot or softirq; waits for the device up to VIRTIO_RESET_NS.
 */
int must_check virtio_begin(struct virtio_device *v, uint64_t wanted);
/* The device may use its queues from now on. */
void virtio_ready(struct virtio_device *v);
/* The device has let go of its queues and of all memory: 0; -EIO: it did not in time, and has been cut off the bus. */
int must_check virtio_stop(struct virtio_device *v);
void virtio_give_up(struct virtio_device *v);
/* True: the device asks to be reset (section 2.1.2). */
bool virtio_wants_reset(struct virtio_device *v);
#define VIRTIO_RESET_NS  (100 * NS_PER_MS)
#define VIRTIO_NO_VECTOR 0xffffu

uint16_t virtio_queue_count(struct virtio_device *v);
/* Size that queue `index` can have at most; 0: there is no such queue. */
uint16_t virtio_queue_size(struct virtio_device *v, uint16_t index);
/* Hand q to the device as its queue `index`, interrupts by MSI-X entry `entry`. 0, or -EIO. */
int must_check virtio_queue_start(struct virtio_device *v, uint16_t index, struct virtio_queue *q, uint16_t entry);
/* Changes of the configuration interrupt by this entry. 0, or -EIO. */
int must_check virtio_config_vector(struct virtio_device *v, uint16_t entry);

/* Of the device's own configuration: 0 where it has none so far out. A 64-bit value is read until it is whole, a bounded number of times. */
uint8_t virtio_config8(struct virtio_device *v, uint32_t offset);
uint16_t virtio_config16(struct virtio_device *v, uint32_t offset);
uint32_t virtio_config32(struct virtio_device *v, uint32_t offset);
uint64_t virtio_config64(struct virtio_device *v, uint32_t offset);
