// SPDX-License-Identifier: MIT
/* See fake-hypervisor.h. */
#include "fake-hypervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PTE_PRESENT 1ull
#define PTE_WRITE 2ull
#define PTE_FRAME 0x000ffffffffff000ull

/* Neighbouring frames get numbers far apart, so that nobody gets away with arithmetic on them. */
static uint64_t scramble(uint32_t index)
{
    return FAKE_MFN_FIRST + (uint64_t)index * 10007u % FAKE_FRAMES;
}

struct fake_frame *fake_frame(struct fake *f, uint64_t mfn)
{
    return mfn >= FAKE_MFN_FIRST && mfn < FAKE_MFN_FIRST + FAKE_FRAMES ? &f->frames[mfn - FAKE_MFN_FIRST] : NULL;
}

struct fake_domain *fake_domain(struct fake *f, uint32_t domid)
{
    for (unsigned int i = 0; i < FAKE_DOMAINS; i++)
        if (f->domains[i].info.name[0] != '\0' && f->domains[i].info.domid == domid)
            return &f->domains[i];
    return NULL;
}

unsigned int fake_domain_count(const struct fake *f)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < FAKE_DOMAINS; i++)
        n += f->domains[i].info.name[0] != '\0';
    return n;
}

unsigned int fake_frames_used(const struct fake *f)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < FAKE_FRAMES; i++)
        n += f->frames[i].owner != 0;
    return n;
}

static uint8_t *bytes_of(struct fake_frame *frame)
{
    if (frame->bytes == NULL)
        frame->bytes = calloc(1, PAGE_BYTES);
    return frame->bytes;
}

/* ---- Operations ---- */

static long op_version(struct fake *f, struct collet_version *v)
{
    memset(v, 0, sizeof(*v));
    v->version = f->version;
    strcpy(v->release, "collet fake");
    return 0;
}

static long op_machine(struct fake *f, struct collet_machine *m)
{
    memset(m, 0, sizeof(*m));
    m->frames_total = FAKE_FRAMES;
    m->frames_free = FAKE_FRAMES - fake_frames_used(f);
    m->cpus = 2;
    m->domains = fake_domain_count(f);
    return 0;
}

static long op_log_read(struct fake *f, struct collet_log_read *r)
{
    static const char log[] = "collet: hello\n";
    uint64_t size = sizeof(log) - 1, n;

    (void)f;
    n = r->from < size ? size - r->from : 0;
    n = n < r->bytes ? n : r->bytes;
    memcpy((void *)(uintptr_t)r->buffer, log + r->from, n);
    r->bytes = (uint32_t)n;
    r->next = r->from + n;
    return 0;
}

static long op_changes(struct fake *f, struct collet_changes *r)
{
    struct collet_change *to = (void *)(uintptr_t)r->buffer;
    uint32_t n = 0;

    if (r->count > 256)
        return -EINVAL;
    for (unsigned int i = 0; r->after != ~0ull && i < f->change_count && n < r->count; i++)
        if (f->changes[i].number > r->after)
            to[n++] = f->changes[i];
    r->count = n;
    r->lost = 0;
    r->last = f->change_count != 0 ? f->changes[f->change_count - 1].number : 0;
    return 0;
}

static long op_create(struct fake *f, struct collet_domain_create *a)
{
    struct fake_domain *d = NULL;

    if (a->name[0] == '\0' || memchr(a->name, '\0', sizeof(a->name)) == NULL || a->vcpus < 1 || a->vcpus > COLLET_VCPUS_MAX)
        return -EINVAL;
    for (unsigned int i = 0; i < FAKE_DOMAINS; i++) {
        if (strcmp(f->domains[i].info.name, a->name) == 0)
            return -EEXIST;
        if (d == NULL && f->domains[i].info.name[0] == '\0')
            d = &f->domains[i];
    }
    memset(d, 0, sizeof(*d));
    strcpy(d->info.name, a->name);
    d->info.domid = ++f->next_domid;
    d->info.flags = COLLET_DOMAIN_BUILDING | COLLET_DOMAIN_PAUSED;
    d->info.vcpus_max = a->vcpus;
    d->info.frames_max = a->frames_max;
    d->shared_info_maddr = 0xabc000 + d->info.domid * 0x1000ull;
    d->next_port = 1;
    a->domid = d->info.domid;
    a->shared_info_maddr = d->shared_info_maddr;
    return 0;
}

static long building(struct fake *f, uint32_t domid, struct fake_domain **d)
{
    *d = fake_domain(f, domid);
    if (*d == NULL)
        return -ESRCH;
    return (*d)->info.flags & COLLET_DOMAIN_BUILDING ? 0 : -EBUSY;
}

static long op_populate(struct fake *f, struct collet_domain_populate *a)
{
    uint64_t *mfns = (void *)(uintptr_t)a->mfns;
    struct fake_domain *d;
    long rc = building(f, a->domid, &d);

    if (rc != 0)
        return rc;
    if (a->count == 0 || a->count > COLLET_POPULATE_MAX)
        return -EINVAL;
    if (d->info.frames + a->count > d->info.frames_max || fake_frames_used(f) + a->count > FAKE_FRAMES)
        return -ENOMEM;
    for (uint32_t i = 0; i < a->count; i++) {
        struct fake_frame *frame;

        do
            frame = fake_frame(f, mfns[i] = scramble(f->next_frame++ % FAKE_FRAMES));
        while (frame->owner != 0);
        frame->owner = a->domid;
        frame->pfn = a->first_pfn + i;
        if (frame->bytes != NULL)
            memset(frame->bytes, 0, PAGE_BYTES);
    }
    d->info.frames += a->count;
    return 0;
}

static bool is_ours(const struct fake *f, uint64_t address)
{
    for (unsigned int i = 0; i < 64; i++)
        if (address - (uintptr_t)f->memory[i].at < f->memory[i].bytes)
            return true;
    return false;
}

static long op_write(struct fake *f, struct collet_domain_write *a)
{
    const uint64_t *mfns = (void *)(uintptr_t)a->mfns;
    const uint8_t *from = (void *)(uintptr_t)a->source;
    uint64_t offset = a->offset, done, n;
    struct fake_domain *d;
    long rc = building(f, a->domid, &d);

    if (rc != 0)
        return rc;
    if (a->offset >= PAGE_BYTES || a->bytes > COLLET_WRITE_MAX)
        return -EINVAL;
    if (!is_ours(f, a->mfns))
        return -EFAULT;
    if (!is_ours(f, a->source) && f->write_faults != 0) {
        f->write_faults--;
        return -EFAULT;
    }
    for (done = 0; done < a->bytes; done += n, offset = 0, mfns++) {
        struct fake_frame *frame = fake_frame(f, *mfns);

        n = PAGE_BYTES - offset < a->bytes - done ? PAGE_BYTES - offset : a->bytes - done;
        if (frame == NULL || frame->owner != a->domid)
            return -EINVAL;
        memcpy(bytes_of(frame) + offset, from + done, n);
    }
    f->bytes_written += a->bytes;
    return 0;
}

static long op_share(struct fake *f, struct collet_domain_share *a)
{
    struct fake_frame *frame = fake_frame(f, a->mfn);
    struct fake_domain *d;
    long rc = building(f, a->domid, &d);

    if (rc != 0)
        return rc;
    if (frame == NULL || frame->owner != a->domid || a->grant_ref > 7 || d->shared_mfn[a->grant_ref] != 0)
        return -EINVAL;
    d->shared_mfn[a->grant_ref] = a->mfn;
    a->port = d->shared_port[a->grant_ref] = d->next_port++;
    return 0;
}

static const uint64_t *table_of(struct fake *f, uint32_t owner, uint64_t mfn)
{
    struct fake_frame *frame = fake_frame(f, mfn);

    return frame != NULL && frame->owner == owner ? (const uint64_t *)(const void *)bytes_of(frame) : NULL;
}

/* Marks tables, level by level; false: an entry leads to no frame of the domain, or one frame is at two levels. */
static bool tables_mark(struct fake *f, uint32_t owner, uint64_t mfn, int level, uint8_t *levels)
{
    const uint64_t *table = table_of(f, owner, mfn);

    if (table == NULL || (levels[mfn - FAKE_MFN_FIRST] != 0 && levels[mfn - FAKE_MFN_FIRST] != level))
        return false;
    if (levels[mfn - FAKE_MFN_FIRST] == level)
        return true;
    levels[mfn - FAKE_MFN_FIRST] = (uint8_t)level;
    for (int i = 0; i < 512; i++) {
        uint64_t next = (table[i] & PTE_FRAME) >> 12;

        if (!(table[i] & PTE_PRESENT))
            continue;
        if (level == 4 && i >= 256 && i < 272)
            return false; /* the hypervisor's own */
        if (level == 1 ? table_of(f, owner, next) == NULL : !tables_mark(f, owner, next, level - 1, levels))
            return false;
    }
    return true;
}

static bool tables_read_only(struct fake *f, const uint8_t *levels)
{
    for (uint32_t i = 0; i < FAKE_FRAMES; i++) {
        const uint64_t *table = (const uint64_t *)(const void *)f->frames[i].bytes;

        for (int e = 0; levels[i] == 1 && e < 512; e++)
            if ((table[e] & PTE_WRITE) && (table[e] & PTE_PRESENT) && levels[((table[e] & PTE_FRAME) >> 12) - FAKE_MFN_FIRST] != 0)
                return false;
    }
    return true;
}

static long op_start_state(struct fake *f, struct collet_domain_start_state *a)
{
    uint8_t *levels;
    struct fake_domain *d;
    bool good;
    long rc = building(f, a->domid, &d);

    if (rc != 0)
        return rc;
    levels = calloc(1, FAKE_FRAMES);
    good = tables_mark(f, a->domid, a->l4_mfn, 4, levels) && tables_read_only(f, levels) && a->ram_frames >= d->info.frames;
    free(levels);
    if (!good)
        return -EINVAL;
    d->start = *a;
    d->info.flags &= ~(uint32_t)COLLET_DOMAIN_BUILDING;
    return 0;
}

static long op_destroy(struct fake *f, struct collet_domain_ref *a)
{
    struct fake_domain *d = fake_domain(f, a->domid);

    if (d == NULL)
        return -ESRCH;
    if (a->domid == 0)
        return -EINVAL;
    if (f->destroy_pieces != 0) {
        f->destroy_pieces--;
        return -EINTR;
    }
    for (uint32_t i = 0; i < FAKE_FRAMES; i++)
        if (f->frames[i].owner == a->domid)
            f->frames[i].owner = 0;
    memset(d, 0, sizeof(*d));
    return 0;
}

static long op_domain_list(struct fake *f, struct collet_domain_list *a)
{
    uint8_t *to = (void *)(uintptr_t)a->buffer;
    uint32_t n = 0;

    for (unsigned int i = 0; i < FAKE_DOMAINS && n < a->count; i++) /* they were made in order */
        if (f->domains[i].info.name[0] != '\0' && f->domains[i].info.domid >= a->first_domid)
            memcpy(to + n++ * a->entry_bytes, &f->domains[i].info, sizeof(f->domains[i].info));
    a->count = n;
    return 0;
}

static long op_vcpu_list(struct fake *f, struct collet_vcpu_list *a)
{
    struct collet_vcpu_info *to = (void *)(uintptr_t)a->buffer;
    struct fake_domain *d = fake_domain(f, a->domid);
    uint32_t n = 0;

    if (d == NULL)
        return -ESRCH;
    for (uint32_t v = a->first_vcpu; v < d->info.vcpus_max && n < a->count; v++)
        to[n++] = (struct collet_vcpu_info){.vcpu = v, .affinity = ~0ull};
    a->count = n;
    return 0;
}

static long op_sched_values(struct fake *f, struct collet_sched_values *a, bool set)
{
    struct collet_sched_value *v = (void *)(uintptr_t)a->buffer;

    (void)f;
    if (a->module[0] != '\0' && strcmp(a->module, "bvt") != 0)
        return -ESTALE;
    for (uint32_t i = 0; i < a->count; i++) {
        a->failed = i;
        if (strcmp(v[i].name, "weight") != 0)
            return -ENOENT;
        if (set && v[i].value > 100)
            return -ERANGE;
        if (!set)
            v[i].value = 42;
    }
    a->failed = a->count;
    return 0;
}

static long op_trace_info(struct fake *f, struct collet_trace_info *a)
{
    uint64_t *mfns = (void *)(uintptr_t)a->mfns;
    uint32_t n = a->count < f->ring_pages ? a->count : f->ring_pages;

    a->cpus = 1;
    a->pages = f->ring_pages != 0 ? f->ring_pages - 1 : 0;
    for (uint32_t i = 0; a->cpu == 0 && i < n; i++)
        mfns[i] = 0x7000 + i;
    a->count = a->cpu == 0 ? n : 0;
    return 0;
}

static long operate(struct fake *f, uint64_t op, void *arg)
{
    switch (op) {
    case COLLET_OP_VERSION:
        return op_version(f, arg);
    case COLLET_OP_MACHINE:
        return op_machine(f, arg);
    case COLLET_OP_LOG_READ:
        return op_log_read(f, arg);
    case COLLET_OP_CHANGES:
        return op_changes(f, arg);
    case COLLET_OP_DOMAIN_CREATE:
        return op_create(f, arg);
    case COLLET_OP_DOMAIN_POPULATE:
        return op_populate(f, arg);
    case COLLET_OP_DOMAIN_WRITE:
        return op_write(f, arg);
    case COLLET_OP_DOMAIN_SHARE:
        return op_share(f, arg);
    case COLLET_OP_DOMAIN_START_STATE:
        return op_start_state(f, arg);
    case COLLET_OP_DOMAIN_DESTROY:
        return op_destroy(f, arg);
    case COLLET_OP_DOMAIN_LIST:
        return op_domain_list(f, arg);
    case COLLET_OP_VCPU_LIST:
        return op_vcpu_list(f, arg);
    case COLLET_OP_SCHED_GET:
    case COLLET_OP_SCHED_SET:
        return op_sched_values(f, arg, op == COLLET_OP_SCHED_SET);
    case COLLET_OP_TRACE_INFO:
        return op_trace_info(f, arg);
    case COLLET_OP_DOMAIN_UNPAUSE:
    case COLLET_OP_DOMAIN_PAUSE:
    case COLLET_OP_DOMAIN_RENAME:
    case COLLET_OP_DOMAIN_MEMORY_MAX:
    case COLLET_OP_VCPU_AFFINITY:
    case COLLET_OP_TRACE_START:
    case COLLET_OP_TRACE_STOP:
        return 0;
    default:
        return f->more != NULL ? f->more(f, op, arg) : -ENOSYS;
    }
}

static long fake_hypercall(void *state, uint64_t op, uint64_t arg, uint64_t bytes, uint64_t version)
{
    struct fake *f = state;

    (void)bytes;
    f->calls_all++;
    if (op < sizeof(f->calls) / sizeof(f->calls[0]))
        f->calls[op]++;
    if (f->fail_at != 0 && f->calls_all >= f->fail_at && f->calls_all < f->fail_at + f->fail_times)
        return f->fail_rc;
    if (version != f->version && op != COLLET_OP_VERSION)
        return -EPROTO;
    return operate(f, op, (void *)(uintptr_t)arg);
}

static void *fake_memory(void *state, size_t bytes)
{
    struct fake *f = state;

    for (unsigned int i = 0; i < 64; i++)
        if (f->memory[i].at == NULL) {
            f->memory[i].at = aligned_alloc(PAGE_BYTES, bytes);
            f->memory[i].bytes = bytes;
            memset(f->memory[i].at, 0, bytes);
            f->memory_bytes += bytes;
            return f->memory[i].at;
        }
    return NULL;
}

static void fake_memory_free(void *state, void *memory, size_t bytes)
{
    struct fake *f = state;

    for (unsigned int i = 0; i < 64; i++)
        if (f->memory[i].at == memory && f->memory[i].bytes == bytes) {
            free(memory);
            f->memory_bytes -= bytes;
            f->memory[i].at = NULL;
            f->memory[i].bytes = 0;
            return;
        }
    abort(); /* not what was given */
}

static void *fake_map(void *state, uint32_t domid, const uint64_t *mfns, size_t count)
{
    struct fake *f = state;
    void *at;

    if (domid != COLLET_TRACE_DOMID || count != f->ring_pages || mfns[0] != 0x7000) {
        errno = EINVAL;
        return NULL;
    }
    at = mmap(NULL, count * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(at, f->ring, count * PAGE_BYTES);
    return at;
}

static int fake_virq(void *state, unsigned int virq, uint32_t *port)
{
    struct fake *f = state;
    int ends[2];

    if (virq != COLLET_VIRQ_CHANGES || f->virq_peer >= 0)
        return -EEXIST;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    f->virq_peer = ends[1];
    *port = 33;
    return ends[0];
}

static void fake_close(void *state)
{
    struct fake *f = state;

    for (unsigned int i = 0; i < FAKE_FRAMES; i++)
        free(f->frames[i].bytes);
    if (f->virq_peer >= 0)
        close(f->virq_peer);
    free(f);
}

static const struct transport transport_fake = {
    .hypercall = fake_hypercall,
    .memory = fake_memory,
    .memory_free = fake_memory_free,
    .map = fake_map,
    .virq = fake_virq,
    .close = fake_close,
};

struct collet *fake_open(struct fake **fake)
{
    struct collet *c = calloc(1, sizeof(*c));
    struct fake *f = calloc(1, sizeof(*f));

    f->version = COLLET_CONTROL_VERSION;
    f->virq_peer = -1;
    strcpy(f->domains[0].info.name, "Domain0");
    f->domains[0].info.flags = COLLET_DOMAIN_PRIVILEGED;
    c->transport = &transport_fake;
    c->state = f;
    c->changes_fd = -1;
    *fake = f;
    if (collet_begin(c) != 0)
        abort();
    return c;
}

/* ---- Looking at what was built ---- */

uint64_t fake_walk(struct fake *f, const struct fake_domain *d, uint64_t va)
{
    uint64_t entry = d->start.l4_mfn << 12 | PTE_PRESENT;

    for (int shift = 39; shift >= 12 && (entry & PTE_PRESENT); shift -= 9) {
        const uint64_t *table = table_of(f, d->info.domid, (entry & PTE_FRAME) >> 12);

        entry = table != NULL ? table[(va >> shift) % 512] : 0;
    }
    return entry & PTE_PRESENT ? entry : 0;
}

bool fake_read(struct fake *f, const struct fake_domain *d, uint64_t va, void *to, size_t bytes)
{
    uint8_t *at = to;

    while (bytes > 0) {
        uint64_t entry = fake_walk(f, d, va), offset = va % PAGE_BYTES;
        size_t n = bytes < PAGE_BYTES - offset ? bytes : (size_t)(PAGE_BYTES - offset);

        if (entry == 0)
            return false;
        memcpy(at, bytes_of(fake_frame(f, (entry & PTE_FRAME) >> 12)) + offset, n);
        at += n;
        va += n;
        bytes -= n;
    }
    return true;
}
