/* SPDX-License-Identifier: MIT */
/*
 * A blkfront for tiny kernels, without xenbus: what the kernels that test block devices share. The ring is the guest's and the hypervisor's; Domain0 makes the VBD and connects it, for itself
 * (blk_attach) or for a guest that offers its ring on a granted page (blk_offer, blk_accept).
 *
 * One vCPU uses a front at a time. Waiting is SCHEDOP_poll on the ring's port with upcalls masked.
 */
#pragma once

#include "control.h"

#include <xen/io/blkif.h>

#define BLK_BACKEND COLLET_BACKEND_DOMID
#define BLK_SECTOR 512u
#define BLK_PAGE_SECTORS 8u
#define BLK_RING 32u
#define BLK_GRANT_FRAMES 4u
#define BLK_REFS (BLK_GRANT_FRAMES * 512u)
#define BLK_HELLO_REF 8u      /* of the page on which a guest offers its rings */
#define BLK_REF_FIRST 16u
#define BLK_ARENA_PAGES 1536u
#define BLK_SEGMENTS_MAX COLLET_VBD_INDIRECT_MAX
#define BLK_DONE_MAX (BLK_SEGMENTS_MAX * BLK_PAGE_SECTORS) /* sectors of one request */
#define BLK_NO_ANSWER (-99)
#define BLK_WAIT_NS 20000000000ul

struct blk_front {
    uint32_t vbd, disk_flags;
    uint64_t sectors;
    struct blkif_sring *sring;
    uint32_t ring_ref;
    int port;
    uint32_t req_prod, rsp_cons; /* private; req_prod runs ahead until blk_push */
    uint32_t busy;               /* bit n: an id of slot n is under way */
    uint64_t turn;               /* makes ids differ */
    void *indirect[BLK_RING];
};

/* Grants: version 1, in reach of everybody. */
extern volatile grant_entry_v1_t *blk_grants;
void blk_init(void);
void blk_nap(uint64_t ns); /* takes no share meanwhile, unlike pause_ns */
uint32_t blk_grant(const void *page, uint16_t flags); /* to the backend; gives up when there are none */
bool blk_ungrant(uint32_t ref);                       /* false: somebody still uses it, and it stays */
uint32_t blk_ref_of(const void *at);                  /* of the page, writable; granted the first time, for good */
/* Pages in a row. Gives up when there are no more. */
void *blk_pages(unsigned int count);

/* ---- control: as the hypervisor answers ---- */
long blk_create_for(uint32_t domid, struct blk_front *f, const char *name, uint32_t flags, const struct collet_extent *extents, unsigned int count);
#define blk_create(f, name, flags, extents, count) blk_create_for(0, f, name, flags, extents, count)
void blk_ring(struct blk_front *f);     /* a ring page, granted, and a port */
void blk_ring_away(struct blk_front *f);
void blk_ring_reset(struct blk_front *f);
long blk_connect(struct blk_front *f);
long blk_disconnect(uint32_t vbd);      /* again until it is done */
long blk_destroy(uint32_t vbd);
bool blk_info(uint32_t vbd, struct collet_vbd_info *info);
bool blk_disk(uint32_t disk, struct collet_disk_info *info);
long blk_use(uint32_t disk, const char *module);
long blk_model(uint32_t disk, const char *drive);
/* Create, ring, connect; gives up if it fails. */
void blk_attach(struct blk_front *f, const char *name, uint32_t flags, const struct collet_extent *extents, unsigned int count);
void blk_attach_disk(struct blk_front *f, uint32_t disk); /* all of it, raw */
void blk_detach(struct blk_front *f);

/* ---- a guest's ring, connected by Domain0 ---- */
struct blk_hello {
    uint32_t magic, ring_ref, port;
    volatile uint32_t state; /* 1: offered, 2: connected, 3: Domain0 wants an end */
    uint32_t vbd, number;
    uint64_t sectors;
    volatile uint64_t done, bad; /* the guest's counts */
};
#define BLK_HELLO 0x6f6c6c48u
/* The guest's side: waits until it is connected. */
volatile struct blk_hello *blk_offer(struct blk_front *f);
/* Domain0's: maps the offer of a domain at region_va(&views, slot) and connects a VBD of these extents to it; NULL: no offer within the time. */
volatile struct blk_hello *blk_accept(uint32_t domid, unsigned int slot, struct blk_front *f, const struct collet_extent *extents, unsigned int count, uint64_t ns);

/* ---- requests ---- */
/* The next slot, zeroed. Nobody looks whether the ring is full. */
struct blkif_request *blk_slot(struct blk_front *f);
void blk_push(struct blk_front *f);
/* The next response, if it comes in time. */
bool blk_response(struct blk_front *f, struct blkif_response *rsp, uint64_t ns);
/* Plain or indirect as needed; data at any sector of the arena or of one page. op BLKIF_OP_*. Returns the id (slot in the low 5 bits). Not pushed. */
uint64_t blk_submit(struct blk_front *f, uint8_t op, uint64_t sector, uint32_t sectors, const void *data);
/* The next answer to what blk_submit sent: its slot, or -1. An id that nobody sent is a failed check. */
int blk_answer(struct blk_front *f, int16_t *status, uint64_t ns);
/* One, and wait: BLKIF_RSP_*, or BLK_NO_ANSWER. */
int blk_io(struct blk_front *f, uint8_t op, uint64_t sector, uint32_t sectors, const void *data);
/* One that is already in a slot, and wait. */
int blk_try(struct blk_front *f);
/* Reads or writes any length. 0 or the first bad status. */
int blk_run(struct blk_front *f, uint8_t op, uint64_t sector, uint64_t sectors, void *data);

/* ---- content that says what it is ---- */
struct blk_stamp {
    uint64_t magic, tag, sector, version, fill[59], sum;
};
void blk_stamp(void *data, uint64_t tag, uint64_t sector, uint32_t sectors, uint64_t version);
/* Sectors that are not as stamped: 0 is good. */
unsigned int blk_stamp_bad(const void *data, uint64_t tag, uint64_t sector, uint32_t sectors, uint64_t version);
/* A sector of whatever version: true with its version, false when it is not of this tag and sector or is torn. */
bool blk_stamp_read(const void *data, uint64_t tag, uint64_t sector, uint64_t *version);
/* POSIX cksum, piece by piece. */
uint32_t blk_cksum_add(uint32_t crc, const void *data, uint64_t bytes);
uint32_t blk_cksum_end(uint32_t crc, uint64_t bytes);
