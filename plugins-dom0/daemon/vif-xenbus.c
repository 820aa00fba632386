// SPDX-License-Identifier: MIT
/*
 * What a netfront reads of its backend, and what it offers. The steps of the handshake are those of all devices: xenbus-device.c.
 *
 * A netfront looks at our features when we are at 2, writes both rings and what it can itself, and goes to 4 at once; some pass through 3. One queue, and no control ring: nothing is said of either, which
 * means just that.
 * Contract: vifs-private.h.  Tests: test-vifs.c.
 */
#include "addresses.h"
#include "vifs-private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vif *vif_of(struct xenbus_device *dev)
{
    return (struct vif *)dev;
}

static const struct vif_backend *backend(const struct xenbus_device *dev)
{
    return ((const struct vif *)dev)->vifs->s.backend;
}

static const char *error_last(const struct xenbus_device *dev)
{
    return backend(dev)->error(backend(dev)->arg);
}

static int back_fill(struct xenbus_device *dev)
{
    static const char *const features[] = {"feature-rx-copy", "feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6", "feature-ipv6-csum-offload", "feature-split-event-channels"};
    char mac[MAC_TEXT_BYTES];
    int rc = xenbus_write(dev, dev->back, "handle", "%" PRIu32, dev->device);
    size_t i;

    mac_text(vif_of(dev)->mac, mac);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "mac", "%s", mac);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "network", "%s", vif_of(dev)->network);
    rc = rc != 0 ? rc : xenbus_write(dev, dev->back, "feature-rx-flip", "0");
    for (i = 0; rc == 0 && i < sizeof(features) / sizeof(features[0]); i++)
        rc = xenbus_write(dev, dev->back, features[i], "1");
    return rc;
}

static int front_fill(struct xenbus_device *dev)
{
    char mac[MAC_TEXT_BYTES];
    int rc = xenbus_write(dev, dev->front, "handle", "%" PRIu32, dev->device);

    mac_text(vif_of(dev)->mac, mac);
    return rc != 0 ? rc : xenbus_write(dev, dev->front, "mac", "%s", mac);
}

/* ---- What the front offers ---- */

/* false: the node is not there (errno: why) or is no number. */
static bool front_number(struct xenbus_device *dev, const char *leaf, uint32_t *number)
{
    char *text = xenbus_read(dev, dev->front, leaf);
    uint64_t read = 0;
    bool good = xenbus_number(text, UINT32_MAX, &read);

    free(text);
    *number = good ? (uint32_t)read : 0;
    return good;
}

static uint32_t front_features(struct xenbus_device *dev)
{
    static const struct {
        const char *leaf;
        uint32_t flag;
    } features[] = {{"feature-sg", COLLET_VIF_RX_SG},
                    {"feature-gso-tcpv4", COLLET_VIF_RX_TSO4},
                    {"feature-gso-tcpv6", COLLET_VIF_RX_TSO6},
                    {"feature-no-csum-offload", COLLET_VIF_RX_NO_SUM4},
                    {"feature-ipv6-csum-offload", COLLET_VIF_RX_SUM6}};
    uint32_t flags = 0, number;
    size_t i;

    for (i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        if (front_number(dev, features[i].leaf, &number) && number != 0)
            flags |= features[i].flag;
    /* A segmented frame comes in pieces, and without a checksum. */
    if (!(flags & COLLET_VIF_RX_SG))
        flags &= ~(uint32_t)(COLLET_VIF_RX_TSO4 | COLLET_VIF_RX_TSO6);
    if (!(flags & COLLET_VIF_RX_SUM6))
        flags &= ~(uint32_t)COLLET_VIF_RX_TSO6;
    return flags & COLLET_VIF_RX_NO_SUM4 ? flags & ~(uint32_t)COLLET_VIF_RX_TSO4 : flags;
}

static bool front_ports(struct xenbus_device *dev, struct collet_vif_connect *offered)
{
    if (front_number(dev, "event-channel-tx", &offered->tx_port) && front_number(dev, "event-channel-rx", &offered->rx_port))
        return offered->tx_port != 0 && offered->rx_port != 0;
    if (!front_number(dev, "event-channel", &offered->tx_port) || offered->tx_port == 0)
        return false;
    offered->rx_port = offered->tx_port;
    return true;
}

static const char *offer_read(struct xenbus_device *dev, char *text, size_t bytes)
{
    struct collet_vif_connect offered = {.vif = dev->id, .features = front_features(dev)};
    uint32_t queues, copy;

    if (front_number(dev, "multi-queue-num-queues", &queues) && queues != 1)
        return "its front wants several queues, which are not offered";
    if (!front_number(dev, "request-rx-copy", &copy) || copy != 1)
        return "its front does not write request-rx-copy = 1, and frames are only ever copied to it";
    if (!front_number(dev, "tx-ring-ref", &offered.tx_ref))
        return "its front has written no tx-ring-ref, or one that is no grant";
    if (!front_number(dev, "rx-ring-ref", &offered.rx_ref))
        return "its front has written no rx-ring-ref, or one that is no grant";
    if (!front_ports(dev, &offered))
        return "its front has written no event-channel, or one that is no port";
    vif_of(dev)->offered = offered;
    snprintf(text, bytes, "tx %" PRIu32 " rx %" PRIu32 " ports %" PRIu32 " %" PRIu32 " features %" PRIx32, offered.tx_ref, offered.rx_ref, offered.tx_port, offered.rx_port, offered.features);
    return NULL;
}

static int rings_connect(struct xenbus_device *dev)
{
    return backend(dev)->connect(backend(dev)->arg, &vif_of(dev)->offered);
}

static int rings_end(struct xenbus_device *dev, bool destroy, device_end_done *done, void *done_arg)
{
    return backend(dev)->end(backend(dev)->arg, dev->id, destroy, done, done_arg);
}

static void forget(struct xenbus_device *dev)
{
    vif_forget(vif_of(dev));
}

const struct xenbus_kind vif_xenbus_kind = {.word = "vif",
                                            .said = "interface",
                                            .error = error_last,
                                            .back_fill = back_fill,
                                            .front_fill = front_fill,
                                            .offer_read = offer_read,
                                            .connect = rings_connect,
                                            .end = rings_end,
                                            .forget = forget};
