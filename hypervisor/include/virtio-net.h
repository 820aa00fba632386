/* SPDX-License-Identifier: MIT */
/* The driver of virtio network cards: drivers/virtio-net.c. */
#pragma once

/* Find all cards on the PCI bus and register each. Boot CPU, after block devices; a card that cannot be used is logged and left alone. */
void virtio_net_init(void);
