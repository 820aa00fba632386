/* SPDX-License-Identifier: MIT */
/*
 * Disks by virtio: found at boot and registered with the block core (blkdev.h). drivers/virtio-blk.c.
 */
#pragma once

/* Boot CPU, once, after pci_init(), block_init() and cpu_start_others(): each disk that can be used is there afterwards, each that cannot is logged with the reason. */
void virtio_blk_init(void);
