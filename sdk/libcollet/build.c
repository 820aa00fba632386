// SPDX-License-Identifier: MIT
/*
 * libcollet's domain builder: what hypervisor/domain/build-domain.c does for Domain0, from outside, by the same parser and the same plan (<image/build-layout.h>).
 *
 * The p2m is the list of the domain's frames, so the hypervisor writes it and every later operation names frames by a slice of it. Nothing of the domain is mapped here: large
 * pieces are copied by the hypervisor, straight from the page cache's pages where it can reach them. Page tables are put together in memory and written once, when all that they
 * say is known; the domain's frames came zeroed, so what nobody writes is zero.
 * Contract: <collet/collet.h>.  Tests: test-build.c, over a fake hypervisor.  Page: docs/reference/libcollet.md.
 */
#include "internal.h"

#include <image/build-layout.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/grant_table.h>
#include <xen/xen.h>

#define LEAST_MIB_MAX 8192u /* how far the least memory is looked for */
#define P2M_PER_FRAME 512u
#define PTE_PRESENT 0x01ull
#define PTE_WRITE 0x02ull
#define PTE_TABLE 0x67ull /* present, writable, user, accessed, dirty */
#define PTE_FRAME 0x000ffffffffff000ull
#define EFAULT_TRIES 4
#define STEP_BYTES (2u << 20) /* progress is told so often while files are copied */

static_assert(STEP_BYTES <= COLLET_WRITE_MAX, "one write");

/* A file whose bytes go into the domain. */
struct file {
    const char *path, *what;
    int fd;
    const uint8_t *bytes; /* mapped, or NULL */
    uint64_t size;
};

struct build {
    struct collet *c;
    const struct collet_build *plan;
    const struct elf_image *elf;
    struct build_layout layout;
    struct file kernel, ramdisk;
    uint32_t domid;
    uint64_t shared_info_maddr;
    uint64_t *p2m; /* whole pages */
    uint8_t *tables, *p2m_tables; /* contents of the page tables, by pfn from layout.table_pfn and layout.p2m_table_pfn */
    uint64_t next_table, tables_end; /* pfns still free for page tables */
};

static int tell(const struct build *b, unsigned int permille, const char *what)
{
    if (b->plan->progress == NULL || b->plan->progress(b->plan->progress_arg, permille, what) == 0)
        return 0;
    return collet_fail(b->c, -ECANCELED, "building domain %s was cancelled", b->plan->name);
}

static uint64_t pfn_virt(const struct build *b, uint64_t pfn)
{
    return b->layout.virt_base + pfn * PAGE_BYTES;
}

/* ---- Writing into the domain ---- */

/* `offset` is counted from pfn 0; the bytes are where the hypervisor may reach them. */
static long write_once(const struct build *b, uint64_t offset, const void *from, uint64_t bytes)
{
    struct collet_domain_write arg = {.domid = b->domid, .offset = offset % PAGE_BYTES, .mfns = (uintptr_t)&b->p2m[offset / PAGE_BYTES], .source = (uintptr_t)from, .bytes = bytes};

    return collet_call(b->c, COLLET_OP_DOMAIN_WRITE, &arg, sizeof(arg));
}

/* From memory that collet_memory() gave. */
static int put(const struct build *b, uint64_t offset, const void *from, uint64_t bytes)
{
    const uint8_t *at = from;
    long rc = 0;

    while (bytes > 0 && rc >= 0) {
        uint64_t n = bytes < COLLET_WRITE_MAX ? bytes : COLLET_WRITE_MAX;
        int tries = 0;

        do
            rc = write_once(b, offset, at, n);
        while (rc == -EFAULT && ++tries < EFAULT_TRIES);
        offset += n;
        at += n;
        bytes -= n;
    }
    return rc < 0 ? collet_explain(b->c, COLLET_OP_DOMAIN_WRITE, (int)rc) : 0;
}

/* In pieces through our own buffer: always works, but touches each byte. */
static int put_file_copied(const struct build *b, uint64_t offset, const struct file *f, uint64_t at, uint64_t bytes)
{
    int rc = 0;

    while (bytes > 0 && rc == 0) {
        ssize_t n = pread(f->fd, b->c->data, bytes < DATA_BYTES ? (size_t)bytes : DATA_BYTES, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return collet_fail(b->c, -errno, "cannot read %s %s: %s", f->what, f->path, strerror(errno));
        if (n == 0)
            return collet_fail(b->c, -EIO, "%s %s became shorter while it was read", f->what, f->path);
        rc = put(b, offset, b->c->data, (uint64_t)n);
        offset += (uint64_t)n;
        at += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return rc;
}

/* Make a piece of a mapped file present. No signal if the file has been cut short; then, or with an older kernel, the answer is false and nothing is lost but time. */
static bool make_present(const uint8_t *from, uint64_t bytes)
{
    uintptr_t start = (uintptr_t)from & ~(uintptr_t)(PAGE_BYTES - 1);

    return madvise((void *)start, (uintptr_t)from + bytes - start, MADV_POPULATE_READ) == 0;
}

/* Straight from the page cache; pages may go away again before the hypervisor comes to them, so there is the other way. */
static int put_file_piece(const struct build *b, uint64_t offset, const struct file *f, uint64_t at, uint64_t bytes)
{
    long rc = -EFAULT;

    for (int tries = 0; f->bytes != NULL && rc == -EFAULT && tries < EFAULT_TRIES; tries++)
        if (!make_present(f->bytes + at, bytes))
            break;
        else
            rc = write_once(b, offset, f->bytes + at, bytes);
    if (rc == -EFAULT)
        return put_file_copied(b, offset, f, at, bytes);
    return rc < 0 ? collet_explain(b->c, COLLET_OP_DOMAIN_WRITE, (int)rc) : 0;
}

struct span {
    unsigned int from, to; /* permille of the whole */
    uint64_t done, total;
};

static int put_file(const struct build *b, uint64_t offset, const struct file *f, uint64_t at, uint64_t bytes, struct span *span)
{
    int rc = 0;

    while (bytes > 0 && rc == 0) {
        uint64_t n = bytes < STEP_BYTES ? bytes : STEP_BYTES;

        rc = put_file_piece(b, offset, f, at, n);
        offset += n;
        at += n;
        bytes -= n;
        span->done += n;
        if (rc == 0)
            rc = tell(b, span->from + (unsigned int)((span->to - span->from) * span->done / span->total), f->what);
    }
    return rc;
}

/* ---- Steps ---- */

/* What the hypervisor would refuse in one breath, told apart. */
static int check_name(const struct build *b)
{
    const char *name = b->plan->name, *c;

    for (c = name; *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("._-+", *c) != NULL))
            return collet_fail(b->c, -EINVAL, "\"%.64s\" is no name for a domain: it may have letters, digits and . _ - +", name);
    if (c == name || c - name >= COLLET_NAME_MAX)
        return collet_fail(b->c, -EINVAL, "\"%.64s\" is no name for a domain: it must have 1 to %u characters", name, COLLET_NAME_MAX - 1);
    return 0;
}

static int create(struct build *b)
{
    const struct collet_build *plan = b->plan;
    struct collet_domain_create arg = {
        .vcpus = plan->vcpus,
        .frames_max = plan->memory_frames_max > plan->memory_frames ? plan->memory_frames_max : plan->memory_frames,
    };
    int rc;

    strcpy(arg.name, plan->name); /* check() has seen to its length */
    rc = collet_control(b->c, COLLET_OP_DOMAIN_CREATE, &arg, sizeof(arg));
    b->domid = arg.domid;
    b->shared_info_maddr = arg.shared_info_maddr;
    return rc < 0 ? rc : 0;
}

static int no_frames(const struct build *b, uint64_t free_frames)
{
    return collet_fail(b->c, -ENOMEM, "domain %s: there is not enough memory: it wants %llu MiB, and %llu MiB are free", b->plan->name,
                       (unsigned long long)(b->layout.frames >> 8), (unsigned long long)(free_frames >> 8));
}

/* Before anything is made; somebody may still take it in the meantime. */
static int check_memory(const struct build *b)
{
    struct collet_machine m;
    int rc = collet_machine(b->c, &m);

    if (rc < 0)
        return rc;
    return m.frames_free < b->layout.frames ? no_frames(b, m.frames_free) : 0;
}

static int populate(struct build *b)
{
    const struct build_layout *l = &b->layout;
    uint64_t pfn = 0, n;
    long rc = 0;

    for (; pfn < l->frames && rc >= 0; pfn += n) {
        struct collet_domain_populate arg = {.domid = b->domid, .first_pfn = pfn, .mfns = (uintptr_t)&b->p2m[pfn]};

        n = l->frames - pfn < COLLET_POPULATE_MAX ? l->frames - pfn : COLLET_POPULATE_MAX;
        arg.count = (uint32_t)n;
        rc = collet_control(b->c, COLLET_OP_DOMAIN_POPULATE, &arg, sizeof(arg));
        if (rc >= 0)
            rc = tell(b, (unsigned int)(300 * (pfn + n) / l->frames), "memory");
    }
    if (rc == -ENOMEM)
        return no_frames(b, pfn - n);
    if (rc < 0)
        return (int)rc;
    for (pfn = l->frames; pfn < l->p2m_frames * P2M_PER_FRAME; pfn++)
        b->p2m[pfn] = ~0ull; /* INVALID_P2M_ENTRY */
    return 0;
}

static int load_kernel(struct build *b)
{
    struct span span = {.from = 300, .to = 800};
    uint32_t i;
    int rc = 0;

    for (i = 0; i < b->elf->segment_count; i++)
        span.total += b->elf->segments[i].file_bytes;
    for (i = 0; i < b->elf->segment_count && rc == 0; i++) {
        const struct elf_segment *s = &b->elf->segments[i];

        rc = put_file(b, s->virt - b->elf->virt_base, &b->kernel, s->file_offset, s->file_bytes, &span);
    }
    if (rc != 0 || !b->elf->has_hypercall_page)
        return rc;
    elf_image_fill_hypercall_page(b->c->data);
    return put(b, b->elf->hypercall_page - b->elf->virt_base, b->c->data, PAGE_BYTES);
}

static int load_ramdisk(struct build *b)
{
    struct span span = {.from = 800, .to = 950, .total = b->ramdisk.size};

    return put_file(b, b->layout.ramdisk_pfn * PAGE_BYTES, &b->ramdisk, 0, b->ramdisk.size, &span);
}

/* ---- Page tables ---- */

static bool is_table(const struct build_layout *l, uint64_t pfn)
{
    return pfn - l->table_pfn < l->table_frames || pfn - l->p2m_table_pfn < l->p2m_table_frames;
}

/* Our copy of the table that will be this pfn. */
static uint64_t *table_at(const struct build *b, uint64_t pfn)
{
    const struct build_layout *l = &b->layout;
    uint8_t *at = pfn - l->table_pfn < l->table_frames ? b->tables + (pfn - l->table_pfn) * PAGE_BYTES : b->p2m_tables + (pfn - l->p2m_table_pfn) * PAGE_BYTES;

    return (uint64_t *)(void *)at;
}

/* Tables know each other by machine frame; while they are put together, entries hold pfns, and tables_finish() turns them over. NULL: there are none left (then the plan was wrong). */
static uint64_t *table_below(struct build *b, uint64_t *entry)
{
    if ((*entry & PTE_PRESENT) == 0) {
        if (b->next_table == b->tables_end)
            return NULL;
        *entry = b->next_table++ * PAGE_BYTES | PTE_TABLE;
    }
    return table_at(b, (*entry & PTE_FRAME) / PAGE_BYTES);
}

static uint64_t *l1_for(struct build *b, uint64_t va)
{
    uint64_t *table = table_at(b, b->layout.table_pfn);

    for (unsigned int shift = 39; shift > 12 && table != NULL; shift -= 9)
        table = table_below(b, &table[(va >> shift) % 512]);
    return table;
}

static bool map_pages(struct build *b, uint64_t va, uint64_t pfn, uint64_t count)
{
    uint64_t *l1 = NULL;

    for (; count > 0; count--, pfn++, va += PAGE_BYTES) {
        if (l1 == NULL || (va >> 12) % 512 == 0)
            l1 = l1_for(b, va);
        if (l1 == NULL)
            return false;
        l1[(va >> 12) % 512] = pfn * PAGE_BYTES | (is_table(&b->layout, pfn) ? PTE_TABLE & ~PTE_WRITE : PTE_TABLE);
    }
    return true;
}

static void tables_finish(const struct build *b, uint64_t first_pfn, uint64_t count)
{
    uint64_t *entry = count != 0 ? table_at(b, first_pfn) : NULL;

    for (uint64_t i = 0; i < count * 512; i++)
        if (entry[i] != 0)
            entry[i] = b->p2m[(entry[i] & PTE_FRAME) / PAGE_BYTES] * PAGE_BYTES | (entry[i] & ~PTE_FRAME);
}

static bool tables_fill(struct build *b)
{
    const struct build_layout *l = &b->layout;

    b->next_table = l->table_pfn + 1; /* the first is the L4 */
    b->tables_end = l->table_pfn + l->table_frames;
    if (!map_pages(b, l->virt_base, 0, l->mapped_frames))
        return false;
    if (!b->elf->has_init_p2m)
        return true;
    b->next_table = l->p2m_table_pfn;
    b->tables_end = l->p2m_table_pfn + l->p2m_table_frames;
    return map_pages(b, l->p2m_virt, l->p2m_pfn, l->p2m_frames);
}

static int build_tables(struct build *b)
{
    const struct build_layout *l = &b->layout;
    int rc;

    b->tables = collet_memory(b->c, l->table_frames * PAGE_BYTES);
    if (l->p2m_table_frames != 0)
        b->p2m_tables = collet_memory(b->c, l->p2m_table_frames * PAGE_BYTES);
    if (b->tables == NULL || (l->p2m_table_frames != 0 && b->p2m_tables == NULL))
        return collet_fail(b->c, -ENOMEM, "out of memory for the domain's page tables");
    if (!tables_fill(b))
        return collet_fail(b->c, -EINVAL, "domain %s: its page tables were laid out too small", b->plan->name);
    tables_finish(b, l->table_pfn, l->table_frames);
    tables_finish(b, l->p2m_table_pfn, l->p2m_table_frames);
    rc = put(b, l->table_pfn * PAGE_BYTES, b->tables, l->table_frames * PAGE_BYTES);
    if (rc == 0 && l->p2m_table_frames != 0)
        rc = put(b, l->p2m_table_pfn * PAGE_BYTES, b->p2m_tables, l->p2m_table_frames * PAGE_BYTES);
    return rc;
}

/* ---- The start of day ---- */

static int share(struct build *b, uint32_t ref, uint64_t pfn, uint64_t *mfn, uint32_t *port)
{
    struct collet_domain_share arg = {.domid = b->domid, .grant_ref = ref, .mfn = b->p2m[pfn]};
    int rc = collet_control(b->c, COLLET_OP_DOMAIN_SHARE, &arg, sizeof(arg));

    *mfn = arg.mfn;
    *port = arg.port;
    return rc < 0 ? rc : 0;
}

static int share_rings(struct build *b, struct collet_built *built)
{
    int rc;

    if (!b->plan->rings)
        return 0;
    rc = share(b, GNTTAB_RESERVED_XENSTORE, b->layout.store_pfn, &built->store_mfn, &built->store_port);
    if (rc == 0)
        rc = share(b, GNTTAB_RESERVED_CONSOLE, b->layout.console_pfn, &built->console_mfn, &built->console_port);
    return rc;
}

static int write_start_info(struct build *b, const struct collet_built *built)
{
    const struct build_layout *l = &b->layout;
    struct start_info *si = (struct start_info *)(void *)b->c->data;

    memset(si, 0, PAGE_BYTES);
    memcpy(si->magic, "xen-3.0-x86_64", sizeof("xen-3.0-x86_64"));
    si->nr_pages = l->frames;
    si->shared_info = b->shared_info_maddr;
    si->store_mfn = built->store_mfn;
    si->store_evtchn = built->store_port;
    si->console.domU.mfn = built->console_mfn;
    si->console.domU.evtchn = built->console_port;
    si->pt_base = pfn_virt(b, l->table_pfn);
    si->nr_pt_frames = l->table_frames;
    si->mfn_list = l->p2m_virt;
    if (l->ramdisk_frames != 0) {
        si->mod_start = l->ramdisk_mapped ? pfn_virt(b, l->ramdisk_pfn) : l->ramdisk_pfn;
        si->mod_len = b->ramdisk.size;
        si->flags |= l->ramdisk_mapped ? 0 : SIF_MOD_START_PFN;
    }
    memcpy(si->cmd_line, b->plan->command_line, strlen(b->plan->command_line));
    if (b->elf->has_init_p2m) {
        si->first_p2m_pfn = l->p2m_pfn;
        si->nr_p2m_frames = l->p2m_frames + l->p2m_table_frames;
    }
    return put(b, l->start_info_pfn * PAGE_BYTES, si, PAGE_BYTES);
}

static int start_state(struct build *b)
{
    const struct build_layout *l = &b->layout;
    struct collet_domain_start_state arg = {
        .domid = b->domid,
        .l4_mfn = b->p2m[l->table_pfn],
        .entry = b->elf->entry,
        .stack = pfn_virt(b, l->stack_pfn + 1),
        .start_info = pfn_virt(b, l->start_info_pfn),
        .ram_frames = b->plan->memory_frames_max > l->frames ? b->plan->memory_frames_max : l->frames,
    };
    int rc = collet_control(b->c, COLLET_OP_DOMAIN_START_STATE, &arg, sizeof(arg));

    return rc < 0 ? rc : 0;
}

static int fill(struct build *b, struct collet_built *built)
{
    const struct build_layout *l = &b->layout;
    int rc = populate(b);

    if (rc == 0)
        rc = load_kernel(b);
    if (rc == 0)
        rc = load_ramdisk(b);
    if (rc == 0)
        rc = tell(b, 950, "page tables");
    if (rc == 0)
        rc = build_tables(b);
    if (rc == 0)
        rc = put(b, l->p2m_pfn * PAGE_BYTES, b->p2m, l->p2m_frames * PAGE_BYTES);
    if (rc == 0)
        rc = share_rings(b, built);
    if (rc == 0)
        rc = write_start_info(b, built);
    if (rc == 0)
        rc = tell(b, 990, "first vCPU");
    if (rc == 0)
        rc = start_state(b);
    return rc == 0 ? tell(b, 1000, "ready") : rc;
}

/* Whatever failed is what the caller is told of, not what clearing up met. */
static void undo(struct build *b)
{
    char error[SENTENCE_BYTES];

    memcpy(error, b->c->error, sizeof(error));
    (void)collet_domain_destroy(b->c, b->domid);
    memcpy(b->c->error, error, sizeof(error));
}

static int make(struct build *b, struct collet_built *built)
{
    int rc;

    b->p2m = collet_memory(b->c, b->layout.p2m_frames * PAGE_BYTES);
    if (b->p2m == NULL)
        return collet_fail(b->c, -ENOMEM, "out of memory for the list of the domain's frames");
    rc = check_memory(b);
    if (rc == 0)
        rc = create(b);
    if (rc != 0)
        return rc;
    rc = fill(b, built);
    if (rc != 0) {
        undo(b);
        return rc;
    }
    built->domid = b->domid;
    built->kernel_bytes = b->elf->virt_end - b->elf->virt_start;
    return 0;
}

/* ---- What is asked for ---- */

static int ramdisk_open(struct build *b)
{
    struct file *f = &b->ramdisk;
    struct stat s;
    void *at;

    *f = (struct file){.path = b->plan->ramdisk, .what = "ramdisk", .fd = -1};
    if (f->path == NULL)
        return 0;
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0 || fstat(f->fd, &s) != 0)
        return collet_fail(b->c, -errno, "cannot open ramdisk %s: %s", f->path, strerror(errno));
    if (!S_ISREG(s.st_mode) || s.st_size == 0)
        return collet_fail(b->c, -EINVAL, "ramdisk %s is %s", f->path, S_ISREG(s.st_mode) ? "empty" : "not a regular file");
    f->size = (uint64_t)s.st_size;
    at = mmap(NULL, f->size, PROT_READ, MAP_SHARED, f->fd, 0);
    f->bytes = at != MAP_FAILED ? at : NULL;
    return 0;
}

static void ramdisk_close(struct build *b)
{
    if (b->ramdisk.bytes != NULL)
        munmap((void *)(uintptr_t)b->ramdisk.bytes, b->ramdisk.size);
    if (b->ramdisk.fd >= 0)
        close(b->ramdisk.fd);
}

/* The least memory, in whole MiB above what was asked for, in which all has its place; 0: more memory does not help. */
static uint64_t mib_needed(const struct build *b)
{
    struct build_layout l;

    for (uint64_t mib = (b->plan->memory_frames >> 8) + 1; mib <= LEAST_MIB_MAX; mib++)
        if (build_layout_make(&l, b->elf, mib << 8, b->ramdisk.size, b->plan->rings) == NULL)
            return mib;
    return 0;
}

static int no_layout(const struct build *b, const char *why)
{
    unsigned long long asked = b->plan->memory_frames >> 8, least = mib_needed(b);

    if (least == 0)
        return collet_fail(b->c, -EINVAL, "domain %s with %llu MiB: %s", b->plan->name, asked, why);
    return collet_fail(b->c, -EINVAL, "domain %s with %llu MiB: %s; with its ramdisk it begins in %llu MiB, and wants more to run", b->plan->name, asked, why, least);
}

static int check(struct build *b)
{
    const struct collet_build *plan = b->plan;
    const char *why;

    if (plan->name == NULL || plan->image == NULL || plan->memory_frames == 0)
        return collet_fail(b->c, -EINVAL, "a domain needs a name, a kernel and memory");
    if (check_name(b) != 0)
        return -EINVAL;
    if (plan->vcpus < 1 || plan->vcpus > COLLET_VCPUS_MAX)
        return collet_fail(b->c, -EINVAL, "domain %s: it cannot have %u vCPUs, but 1 to %u", plan->name, plan->vcpus, COLLET_VCPUS_MAX);
    if (strlen(plan->command_line) >= MAX_GUEST_CMDLINE)
        return collet_fail(b->c, -EINVAL, "domain %s: its kernel command line is longer than %u bytes", plan->name, MAX_GUEST_CMDLINE - 1);
    if (plan->memory_frames_max != 0 && plan->memory_frames_max < plan->memory_frames)
        return collet_fail(b->c, -EINVAL, "domain %s: its maximum memory is less than its memory", plan->name);
    why = build_layout_make(&b->layout, b->elf, plan->memory_frames, b->ramdisk.size, plan->rings);
    if (why != NULL)
        return no_layout(b, why);
    return 0;
}

int collet_domain_build(struct collet *c, const struct collet_build *plan, struct collet_built *built)
{
    struct collet_build whole = *plan; /* with nothing left out */
    struct build b = {.c = c, .plan = &whole};
    int rc;

    memset(built, 0, sizeof(*built));
    if (whole.command_line == NULL)
        whole.command_line = "";
    if (whole.image != NULL) {
        b.elf = &whole.image->elf;
        b.kernel = (struct file){.path = whole.image->path, .what = "kernel", .fd = whole.image->fd, .bytes = whole.image->bytes, .size = whole.image->size};
    }
    rc = ramdisk_open(&b);
    if (rc == 0)
        rc = check(&b);
    if (rc == 0)
        rc = make(&b, built);
    ramdisk_close(&b);
    collet_memory_free(c, b.p2m, b.layout.p2m_frames * PAGE_BYTES);
    collet_memory_free(c, b.tables, b.layout.table_frames * PAGE_BYTES);
    collet_memory_free(c, b.p2m_tables, b.layout.p2m_table_frames * PAGE_BYTES);
    if (rc != 0)
        memset(built, 0, sizeof(*built));
    return rc;
}
