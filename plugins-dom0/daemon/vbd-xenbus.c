// SPDX-License-Identifier: MIT
/*
 * What a blkfront reads of its backend, and what it offers. The steps of the handshake are those of all devices: xenbus-device.c.
 * Contract: vbds-private.h.  Tests: test-vbds.c.
 */
#include "vbds-private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VDISK_READONLY 4

struct vbd *vbd_of(struct xenbus_device *dev)
{
    return (struct vbd *)dev;
}

static const struct vbd_backend *backend(const struct xenbus_device *dev)
{
    return ((const struct vbd *)dev)->vbds->s.backend;
}

static const char *error_last(const struct xenbus_device *dev)
{
    return backend(dev)->error(backend(dev)->arg);
}

static int back_features(struct xenbus_device *dev)
{
    const struct collet_vbd_info *info = &vbd_of(dev)->info;
    bool read_only = vbd_of(dev)->read_only;
    bool flush = info->disk_flags & COLLET_DISK_CAN_FLUSH, discard = (info->disk_flags & COLLET_DISK_CAN_DISCARD) && !read_only;
    uint32_t block = info->sector_bytes >= 512 ? info->sector_bytes : 512;
    int rc = xenbus_write(dev, dev->back, "feature-flush-cache", "%d", flush);

    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "feature-barrier", "%d", flush);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "feature-discard", "%d", discard);
    if (discard) {
        rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "discard-granularity", "%" PRIu32, block);
        rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "discard-alignment", "0");
        rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "discard-secure", "0");
    }
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "feature-max-indirect-segments", "%u", COLLET_VBD_INDIRECT_MAX);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "sectors", "%" PRIu64, info->sectors);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "sector-size", "%" PRIu32, block);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "physical-sector-size", "%" PRIu32, block);
    return rc != 0 ? rc : xenbus_write(dev, dev->back, "info", "%d", read_only ? VDISK_READONLY : 0);
}

static int back_fill(struct xenbus_device *dev)
{
    char device[DEVICE_NAME_BYTES];
    int rc = xenbus_write(dev, dev->back, "params", "%s", vbd_of(dev)->backing);

    device_name(dev->device, device);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "dev", "%s", device);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "device-type", "disk");
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "mode", "%s", vbd_of(dev)->read_only ? "r" : "w");
    return rc != 0 ? rc : back_features(dev);
}

static int front_fill(struct xenbus_device *dev)
{
    int rc = xenbus_write(dev, dev->front, "virtual-device", "%" PRIu32, dev->device);

    return rc != 0 ? rc : xenbus_write(dev, dev->front, "device-type", "disk");
}

static const char *offer_read(struct xenbus_device *dev, char *text, size_t bytes)
{
    char *ref = xenbus_read(dev, dev->front, "ring-ref"), *channel = xenbus_read(dev, dev->front, "event-channel");
    char *protocol = xenbus_read(dev, dev->front, "protocol"), *order = xenbus_read(dev, dev->front, "ring-page-order");
    uint64_t number = 0, second = 0;
    const char *wrong = NULL;

    if (protocol != NULL && strcmp(protocol, "x86_64-abi") != 0)
        wrong = "its front speaks another protocol than x86_64-abi";
    else if (order != NULL && strcmp(order, "0") != 0)
        wrong = "its front wants a ring of several pages, which is not offered";
    else if (!xenbus_number(ref, UINT32_MAX, &number))
        wrong = ref == NULL ? "its front has written no ring-ref" : "its front's ring-ref is no grant";
    else if (!xenbus_number(channel, UINT32_MAX, &second) || second == 0)
        wrong = channel == NULL ? "its front has written no event-channel" : "its front's event-channel is no port";
    vbd_of(dev)->ring_ref = (uint32_t)number;
    vbd_of(dev)->port = (uint32_t)second;
    snprintf(text, bytes, "%" PRIu64 " %" PRIu64, number, second);
    free(ref);
    free(channel);
    free(protocol);
    free(order);
    return wrong;
}

static int ring_connect(struct xenbus_device *dev)
{
    return backend(dev)->connect(backend(dev)->arg, dev->id, vbd_of(dev)->ring_ref, vbd_of(dev)->port);
}

static int ring_end(struct xenbus_device *dev, bool destroy, device_end_done *done, void *done_arg)
{
    return backend(dev)->end(backend(dev)->arg, dev->id, destroy, done, done_arg);
}

static void forget(struct xenbus_device *dev)
{
    vbd_forget(vbd_of(dev));
}

const struct xenbus_kind vbd_xenbus_kind = {.word = "vbd",
                                            .said = "disk",
                                            .error = error_last,
                                            .back_fill = back_fill,
                                            .front_fill = front_fill,
                                            .offer_read = offer_read,
                                            .connect = ring_connect,
                                            .end = ring_end,
                                            .forget = forget};
