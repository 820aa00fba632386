// SPDX-License-Identifier: MIT
/* A blkfront for tiny kernels (blk.h). */
#include "blk.h"

volatile grant_entry_v1_t *blk_grants;
static struct region grants_region;
static uint32_t refs_free[BLK_REFS], refs_count;
static uint8_t arena[BLK_ARENA_PAGES][PAGE_SIZE] __attribute__((aligned(4096)));
static uint16_t arena_refs[BLK_ARENA_PAGES];
static unsigned int arena_used;
static uint32_t next_device = 51712 + 16 * 16;

void blk_init(void)
{
    static xen_pfn_t frames[BLK_GRANT_FRAMES];
    struct gnttab_setup_table s = {.dom = DOMID_SELF, .nr_frames = BLK_GRANT_FRAMES};

    events_mask();
    set_xen_guest_handle(s.frame_list, frames);
    if (gnttab_op(GNTTABOP_setup_table, &s, 1) != 0 || s.status != GNTST_okay)
        give_up("grant table: %d\n", s.status);
    region_build(&grants_region, 50);
    for (unsigned int i = 0; i < BLK_GRANT_FRAMES; i++)
        if (region_map(&grants_region, i, frames[i] << PAGE_SHIFT | PTE_PAGE) != 0)
            give_up("grant frame %u\n", i);
    blk_grants = region_va(&grants_region, 0);
    for (uint32_t ref = BLK_REFS - 1; ref >= BLK_REF_FIRST; ref--)
        refs_free[refs_count++] = ref;
}

static void grant_at(uint32_t ref, const void *page, uint32_t domid, uint16_t flags)
{
    blk_grants[ref].domid = (domid_t)domid;
    blk_grants[ref].frame = (uint32_t)mfn_of(page);
    barrier();
    blk_grants[ref].flags = GTF_permit_access | flags;
}

uint32_t blk_grant(const void *page, uint16_t flags)
{
    uint32_t ref;

    if (refs_count == 0)
        give_up("no grant references left\n");
    ref = refs_free[--refs_count];
    grant_at(ref, page, BLK_BACKEND, flags);
    return ref;
}

bool blk_ungrant(uint32_t ref)
{
    uint16_t flags = blk_grants[ref].flags;

    do {
        if (flags & (GTF_reading | GTF_writing))
            return false;
    } while (!__atomic_compare_exchange_n((uint16_t *)&blk_grants[ref].flags, &flags, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    refs_free[refs_count++] = ref;
    return true;
}

void *blk_pages(unsigned int count)
{
    if (count > BLK_ARENA_PAGES - arena_used)
        give_up("no arena left\n");
    arena_used += count;
    return arena[arena_used - count];
}

uint32_t blk_ref_of(const void *at)
{
    uint64_t index = (uint64_t)((const uint8_t *)at - arena[0]) / PAGE_SIZE;

    if ((const uint8_t *)at < arena[0] || index >= BLK_ARENA_PAGES)
        give_up("%p is not of the arena\n", at);
    if (arena_refs[index] == 0)
        arena_refs[index] = (uint16_t)blk_grant(arena[index], 0);
    return arena_refs[index];
}

/* ---- control ---- */

long blk_create_for(uint32_t domid, struct blk_front *f, const char *name, uint32_t flags, const struct collet_extent *extents, unsigned int count)
{
    struct collet_vbd_create a = {.domid = domid, .flags = flags, .device = next_device, .extents = count, .buffer = (uint64_t)extents};
    long rc;

    memcpy(a.name, name, MIN(strlen(name) + 1, sizeof(a.name)));
    next_device += 16;
    rc = control(COLLET_OP_VBD_CREATE, &a);
    f->vbd = a.vbd;
    return rc;
}

static int port_for(uint32_t domid)
{
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = (domid_t)domid};
    long rc = evtchn_op(EVTCHNOP_alloc_unbound, &a);

    return rc != 0 ? (int)rc : (int)a.port;
}

void blk_ring_reset(struct blk_front *f)
{
    memset(f->sring, 0, PAGE_SIZE);
    f->sring->req_event = f->sring->rsp_event = 1;
    f->req_prod = f->rsp_cons = f->busy = 0;
}

void blk_ring(struct blk_front *f)
{
    if (f->sring == NULL)
        f->sring = page_alloc();
    blk_ring_reset(f);
    f->ring_ref = blk_grant(f->sring, 0);
    f->port = port_for(BLK_BACKEND);
    if (f->port <= 0)
        give_up("port for the backend: %d\n", f->port);
}

void blk_ring_away(struct blk_front *f)
{
    check("ring-ref-given-back", blk_ungrant(f->ring_ref));
    port_close(f->port);
}

long blk_connect(struct blk_front *f)
{
    struct collet_vbd_connect a = {.vbd = f->vbd, .ring_ref = f->ring_ref, .port = (uint32_t)f->port};

    return control(COLLET_OP_VBD_CONNECT, &a);
}

static long ref_call(unsigned int op, uint32_t vbd)
{
    struct collet_vbd_ref a = {.vbd = vbd};
    uint64_t until = now_ns() + 60000000000;
    long rc;

    do
        rc = control(op, &a);
    while (rc == X_EINTR && now_ns() < until);
    return rc;
}

long blk_disconnect(uint32_t vbd)
{
    return ref_call(COLLET_OP_VBD_DISCONNECT, vbd);
}

long blk_destroy(uint32_t vbd)
{
    return ref_call(COLLET_OP_VBD_DESTROY, vbd);
}

bool blk_info(uint32_t vbd, struct collet_vbd_info *info)
{
    struct collet_vbd_list list = {.first_vbd = vbd, .count = 1, .buffer = (uint64_t)info, .entry_bytes = sizeof(*info), .domid = ~0u};

    return control(COLLET_OP_VBD_LIST, &list) == 0 && list.count == 1 && info->vbd == vbd;
}

bool blk_disk(uint32_t disk, struct collet_disk_info *info)
{
    struct collet_disk_list list = {.first = disk, .count = 1, .buffer = (uint64_t)info, .entry_bytes = sizeof(*info)};

    return control(COLLET_OP_DISK_LIST, &list) == 0 && list.count == 1 && info->disk == disk;
}

long blk_use(uint32_t disk, const char *module)
{
    struct collet_disk_use a = {.disk = disk};

    memcpy(a.module, module, MIN(strlen(module) + 1, sizeof(a.module)));
    return control(COLLET_OP_DISK_USE, &a);
}

long blk_model(uint32_t disk, const char *drive)
{
    struct collet_disk_model a = {.disk = disk};

    memcpy(a.drive, drive, MIN(strlen(drive) + 1, sizeof(a.drive)));
    return control(COLLET_OP_DISK_MODEL, &a);
}

static void learn(struct blk_front *f)
{
    struct collet_vbd_info info;

    if (!blk_info(f->vbd, &info))
        give_up("vbd %u is not in the list\n", f->vbd);
    f->sectors = info.sectors;
    f->disk_flags = info.disk_flags;
}

void blk_attach(struct blk_front *f, const char *name, uint32_t flags, const struct collet_extent *extents, unsigned int count)
{
    long rc = blk_create(f, name, flags, extents, count);

    if (rc != 0)
        give_up("vbd %s: create: %ld\n", name, rc);
    blk_ring(f);
    rc = blk_connect(f);
    if (rc != 0)
        give_up("vbd %s: connect: %ld\n", name, rc);
    learn(f);
}

void blk_attach_disk(struct blk_front *f, uint32_t disk)
{
    struct collet_disk_info info;
    struct collet_extent whole = {.disk = disk};
    char name[16];

    if (!blk_disk(disk, &info))
        give_up("no disk %u\n", disk);
    whole.sectors = info.sectors;
    snprintf(name, sizeof(name), "raw%u", disk);
    blk_attach(f, name, COLLET_VBD_RAW, &whole, 1);
}

void blk_detach(struct blk_front *f)
{
    long rc = blk_destroy(f->vbd);

    if (rc != 0)
        give_up("vbd %u: destroy: %ld\n", f->vbd, rc);
    blk_ring_away(f);
}

/* ---- a guest's ring ---- */

volatile struct blk_hello *blk_offer(struct blk_front *f)
{
    volatile struct blk_hello *hello = page_alloc();
    uint64_t until = now_ns() + BLK_WAIT_NS;

    blk_ring(f);
    hello->ring_ref = f->ring_ref;
    hello->port = (uint32_t)f->port;
    hello->state = 1;
    hello->magic = BLK_HELLO;
    grant_at(BLK_HELLO_REF, (void *)hello, 0, 0);
    while (hello->state == 1) {
        if (now_ns() > until)
            give_up("nobody connects the ring\n");
        pause_ns(1000000);
    }
    f->sectors = hello->sectors;
    f->vbd = hello->vbd;
    return hello;
}

volatile struct blk_hello *blk_accept(uint32_t domid, unsigned int slot, struct blk_front *f, const struct collet_extent *extents, unsigned int count, uint64_t ns)
{
    volatile struct blk_hello *hello = region_va(&views, slot);
    uint64_t until = now_ns() + ns;
    struct collet_vbd_connect a;
    long rc;

    for (;;) {
        struct gnttab_map_grant_ref m = {.host_addr = (uint64_t)hello, .flags = GNTMAP_host_map, .ref = BLK_HELLO_REF, .dom = (domid_t)domid};

        gnttab_op(GNTTABOP_map_grant_ref, &m, 1);
        if (m.status == GNTST_okay)
            break;
        if (now_ns() > until)
            return NULL;
        pause_ns(5000000);
    }
    while (hello->magic != BLK_HELLO || hello->state != 1)
        if (now_ns() > until)
            return NULL;
    rc = blk_create_for(domid, f, "guest", 0, extents, count);
    if (rc != 0)
        give_up("vbd for %u: %ld\n", domid, rc);
    learn(f);
    a = (struct collet_vbd_connect){.vbd = f->vbd, .ring_ref = hello->ring_ref, .port = hello->port};
    rc = control(COLLET_OP_VBD_CONNECT, &a);
    if (rc != 0)
        give_up("connect for %u: %ld\n", domid, rc);
    hello->sectors = f->sectors;
    hello->vbd = f->vbd;
    hello->number = domid;
    barrier();
    hello->state = 2;
    return hello;
}

/* ---- requests ---- */

struct blkif_request *blk_slot(struct blk_front *f)
{
    struct blkif_request *req = &f->sring->ring[f->req_prod++ % BLK_RING].req;

    return memset(req, 0, sizeof(*req));
}

void blk_push(struct blk_front *f)
{
    uint32_t old = f->sring->req_prod, new = f->req_prod;

    __atomic_store_n(&f->sring->req_prod, new, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (new - *(volatile uint32_t *)&f->sring->req_event < new - old)
        port_send(f->port);
}

static void poll_port(int port, uint64_t until)
{
    evtchn_port_t ports[1] = {(evtchn_port_t)port};
    struct sched_poll p = {.nr_ports = 1, .timeout = until};

    set_xen_guest_handle(p.ports, ports);
    sched_op(SCHEDOP_poll, &p);
}

void blk_nap(uint64_t ns)
{
    struct sched_poll p = {.nr_ports = 0, .timeout = now_ns() + ns};

    sched_op(SCHEDOP_poll, &p);
}

bool blk_response(struct blk_front *f, struct blkif_response *rsp, uint64_t ns)
{
    uint64_t until = 0;
    const struct blkif_response *from;

    while (__atomic_load_n(&f->sring->rsp_prod, __ATOMIC_ACQUIRE) == f->rsp_cons) {
        uint64_t now = now_ns();

        if (until == 0)
            until = now + ns;
        if (now > until)
            return false;
        port_forget(f->port);
        f->sring->rsp_event = f->rsp_cons + 1;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (__atomic_load_n(&f->sring->rsp_prod, __ATOMIC_ACQUIRE) == f->rsp_cons)
            poll_port(f->port, until + 1000);
    }
    from = &f->sring->ring[f->rsp_cons++ % BLK_RING].rsp;
    rsp->id = from->id;
    rsp->operation = from->operation;
    rsp->status = from->status;
    return true;
}

/* Segments of `sectors` sectors at data: at most `room`; how many, 0 when they do not fit. */
static unsigned int segments_fill(struct blkif_request_segment *seg, unsigned int room, const void *data, uint32_t sectors)
{
    unsigned int count = 0;
    const uint8_t *at = data;

    while (sectors > 0) {
        uint32_t first = (uint32_t)((uint64_t)at & (PAGE_SIZE - 1)) / BLK_SECTOR, take = MIN(sectors, BLK_PAGE_SECTORS - first);

        if (count == room)
            return 0;
        seg[count++] = (struct blkif_request_segment){.gref = blk_ref_of(at), .first_sect = (uint8_t)first, .last_sect = (uint8_t)(first + take - 1)};
        at += take * BLK_SECTOR;
        sectors -= take;
    }
    return count;
}

static uint64_t id_take(struct blk_front *f)
{
    unsigned int slot;

    if (f->busy == ~0u)
        give_up("more than %u requests\n", BLK_RING);
    slot = (unsigned int)__builtin_ctz(~f->busy);
    f->busy |= 1u << slot;
    return ++f->turn << 5 | slot;
}

uint64_t blk_submit(struct blk_front *f, uint8_t op, uint64_t sector, uint32_t sectors, const void *data)
{
    uint64_t id = id_take(f);
    struct blkif_request *req = blk_slot(f);
    struct blkif_request_segment segs[BLK_SEGMENTS_MAX];
    unsigned int count;

    req->operation = op;
    req->id = id;
    req->sector_number = sector;
    if (op == BLKIF_OP_DISCARD) {
        ((struct blkif_request_discard *)req)->nr_sectors = sectors;
        return id;
    }
    count = segments_fill(segs, BLK_SEGMENTS_MAX, data, sectors);
    if (count == 0 && sectors != 0)
        give_up("request of %u sectors\n", sectors);
    if (count <= BLKIF_MAX_SEGMENTS_PER_REQUEST) {
        req->nr_segments = (uint8_t)count;
        memcpy(req->seg, segs, count * sizeof(segs[0]));
    } else {
        struct blkif_request_indirect *ind = (struct blkif_request_indirect *)req;

        if (f->indirect[id % BLK_RING] == NULL)
            f->indirect[id % BLK_RING] = blk_pages(1);
        memcpy(f->indirect[id % BLK_RING], segs, count * sizeof(segs[0]));
        memset(req, 0, sizeof(*req));
        ind->operation = BLKIF_OP_INDIRECT;
        ind->indirect_op = op;
        ind->nr_segments = (uint16_t)count;
        ind->id = id;
        ind->sector_number = sector;
        ind->indirect_grefs[0] = blk_ref_of(f->indirect[id % BLK_RING]);
    }
    return id;
}

int blk_answer(struct blk_front *f, int16_t *status, uint64_t ns)
{
    struct blkif_response rsp;

    if (!blk_response(f, &rsp, ns)) {
        note("vbd %u: no answer; busy %x, requests %u, responses %u\n", f->vbd, f->busy, f->req_prod, f->rsp_cons);
        return -1;
    }
    if (!(f->busy & 1u << rsp.id % BLK_RING)) {
        note("vbd %u: an answer to id %lx, which nobody sent\n", f->vbd, (unsigned long)rsp.id);
        check("answers-have-ids-that-were-sent", false);
        return -1;
    }
    f->busy &= ~(1u << rsp.id % BLK_RING);
    *status = rsp.status;
    return (int)(rsp.id % BLK_RING);
}

int blk_io(struct blk_front *f, uint8_t op, uint64_t sector, uint32_t sectors, const void *data)
{
    uint64_t id = blk_submit(f, op, sector, sectors, data);
    int16_t status;

    blk_push(f);
    if (blk_answer(f, &status, BLK_WAIT_NS) != (int)(id % BLK_RING))
        return BLK_NO_ANSWER;
    return status;
}

int blk_try(struct blk_front *f)
{
    struct blkif_response rsp;

    blk_push(f);
    return blk_response(f, &rsp, BLK_WAIT_NS) ? rsp.status : BLK_NO_ANSWER;
}

int blk_run(struct blk_front *f, uint8_t op, uint64_t sector, uint64_t sectors, void *data)
{
    uint8_t *at = data;

    while (sectors > 0) {
        uint32_t first = (uint32_t)((uint64_t)at & (PAGE_SIZE - 1)) / BLK_SECTOR, n = (uint32_t)MIN(sectors, BLK_DONE_MAX - first);
        int status = blk_io(f, op, sector, n, at);

        if (status != BLKIF_RSP_OKAY)
            return status;
        at += n * BLK_SECTOR;
        sector += n;
        sectors -= n;
    }
    return 0;
}

/* ---- content ---- */

#define STAMP_MAGIC 0x706d617473ul
_Static_assert(sizeof(struct blk_stamp) == BLK_SECTOR, "a sector");

static uint64_t stamp_sum(const struct blk_stamp *s)
{
    const uint64_t *word = (const uint64_t *)s;
    uint64_t sum = 0;

    for (unsigned int i = 0; i < 63; i++)
        sum = (sum << 7 | sum >> 57) ^ word[i];
    return sum;
}

void blk_stamp(void *data, uint64_t tag, uint64_t sector, uint32_t sectors, uint64_t version)
{
    struct blk_stamp *s = data;

    for (uint32_t i = 0; i < sectors; i++) {
        uint64_t seed = (tag << 40 ^ (sector + i) << 16 ^ version) * 0x9e3779b97f4a7c15ul;

        s[i].magic = STAMP_MAGIC;
        s[i].tag = tag;
        s[i].sector = sector + i;
        s[i].version = version;
        for (unsigned int j = 0; j < COUNT_OF(s->fill); j++)
            s[i].fill[j] = seed += 0x123456789abcdef1ul;
        s[i].sum = stamp_sum(&s[i]);
    }
}

bool blk_stamp_read(const void *data, uint64_t tag, uint64_t sector, uint64_t *version)
{
    const struct blk_stamp *s = data;

    *version = s->version;
    return s->magic == STAMP_MAGIC && s->tag == tag && s->sector == sector && s->sum == stamp_sum(s);
}

unsigned int blk_stamp_bad(const void *data, uint64_t tag, uint64_t sector, uint32_t sectors, uint64_t version)
{
    const struct blk_stamp *s = data;
    unsigned int bad = 0;

    for (uint32_t i = 0; i < sectors; i++) {
        uint64_t found;

        if (blk_stamp_read(&s[i], tag, sector + i, &found) && found == version)
            continue;
        if (bad++ == 0)
            note("sector %lu of %lx: magic %lx tag %lx sector %lu version %lu, wanted version %lu%s\n", (unsigned long)(sector + i), (unsigned long)tag,
                 (unsigned long)s[i].magic, (unsigned long)s[i].tag, (unsigned long)s[i].sector, (unsigned long)s[i].version, (unsigned long)version,
                 s[i].sum == stamp_sum(&s[i]) ? "" : ", torn");
    }
    return bad;
}

uint32_t blk_cksum_add(uint32_t crc, const void *data, uint64_t bytes)
{
    static uint32_t table[256];
    const uint8_t *p = data;

    if (table[1] == 0)
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i << 24;

            for (unsigned int bit = 0; bit < 8; bit++)
                c = c & 0x80000000u ? c << 1 ^ 0x04c11db7u : c << 1;
            table[i] = c;
        }
    for (; bytes > 0; bytes--)
        crc = crc << 8 ^ table[(crc >> 24 ^ *p++) & 255];
    return crc;
}

uint32_t blk_cksum_end(uint32_t crc, uint64_t bytes)
{
    for (; bytes > 0; bytes >>= 8) {
        uint8_t byte = (uint8_t)bytes;

        crc = blk_cksum_add(crc, &byte, 1);
    }
    return ~crc;
}
