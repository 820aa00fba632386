// SPDX-License-Identifier: MIT
/*
 * Filling a new PV domain: memory, kernel, page tables, start_info and first vCPU, as <xen/xen.h> has it for the start of day.
 *
 * All is written through the direct map while nobody else knows the domain. The p2m doubles as our own list of its frames: its pages come
 * first, the rest is allocated right into them. Page-table pages are mapped read-only, and then taken over by the same validation that any
 * table goes through (pt_adopt_initial): a mistake here is refused there.
 * Contract: build.h.  Layout: sdk/image/build-layout.c.  Page: docs/concepts/domain0-image.md.
 */
#include "alloc.h"
#include "build.h"
#include "domain-internal.h"
#include "lib/string.h"
#include "mm.h"
#include "vcpu.h"
#include "x86/regs.h"

#include <hv/errno.h>
#include <image/build-layout.h>
#include <image/elf-image.h>
#include <xen/grant_table.h>

#define P2M_PER_FRAME 512u
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define STORE_GRANT_REF 1 /* GNTTAB_RESERVED_XENSTORE; the console page is reference 0 */

static const char no_memory[] = "there is not enough memory for it";

struct build {
    struct domain *d;
    const struct build_source *source;
    struct elf_image image;
    struct build_layout layout;
    uint64_t *p2m_mfns; /* frame of each page of the p2m */
    mfn_t l4;
    uint64_t next_table, tables_end; /* pfns still free for page tables */
};

static uint64_t *p2m_entry(const struct build *b, uint64_t pfn)
{
    return (uint64_t *)mfn_to_virt(MFN(b->p2m_mfns[pfn / P2M_PER_FRAME])) + pfn % P2M_PER_FRAME;
}

static mfn_t pfn_to_mfn(const struct build *b, uint64_t pfn)
{
    return MFN(*p2m_entry(b, pfn));
}

static void *pfn_to_virt(const struct build *b, uint64_t pfn)
{
    return mfn_to_virt(pfn_to_mfn(b, pfn));
}

static uint64_t pfn_virt(const struct build *b, uint64_t pfn)
{
    return b->layout.virt_base + pfn * PAGE_SIZE;
}

static int frames_take(const struct build *b, uint64_t pfn, uint64_t count, uint64_t *mfns)
{
    return b->source->any_ram ? domain_frames_populate_unzeroed(b->d, pfn, count, mfns) : domain_frames_populate(b->d, pfn, count, mfns);
}

/* pfns [first, end), leaving out the p2m's own. */
static int populate(struct build *b, uint64_t first, uint64_t end)
{
    uint64_t p2m_first = b->layout.p2m_pfn, p2m_end = p2m_first + b->layout.p2m_frames;
    int rc = 0;

    while (first < end && rc == 0) {
        uint64_t stop = min(end, ROUND_UP(first + 1, (uint64_t)P2M_PER_FRAME));

        if (first >= p2m_first && first < p2m_end) {
            first = p2m_end;
            continue;
        }
        if (first < p2m_first)
            stop = min(stop, p2m_first);
        rc = frames_take(b, first, stop - first, p2m_entry(b, first));
        first = stop;
    }
    return rc;
}

/* The p2m's own frames first: they hold the numbers of all others. */
static int populate_p2m(struct build *b)
{
    const struct build_layout *l = &b->layout;
    uint64_t i;
    int rc;

    b->p2m_mfns = heap_alloc(l->p2m_frames * sizeof(uint64_t));
    if (b->p2m_mfns == NULL)
        return -ENOMEM;
    rc = frames_take(b, l->p2m_pfn, l->p2m_frames, b->p2m_mfns);
    if (rc != 0)
        return rc;
    for (i = 0; i < l->p2m_frames; i++)
        *p2m_entry(b, l->p2m_pfn + i) = b->p2m_mfns[i];
    for (i = l->frames; i < l->p2m_frames * P2M_PER_FRAME; i++)
        *p2m_entry(b, i) = ~0ull; /* INVALID_P2M_ENTRY */
    return 0;
}

/* Into the domain's memory, at a byte offset from pfn 0; zeroes if `from` is NULL. */
static void put(const struct build *b, uint64_t offset, const uint8_t *from, uint64_t bytes)
{
    while (bytes > 0) {
        uint64_t in_page = offset & (PAGE_SIZE - 1), n = min(bytes, PAGE_SIZE - in_page);
        uint8_t *to = (uint8_t *)pfn_to_virt(b, offset >> PAGE_SHIFT) + in_page;

        if (from != NULL) {
            memcpy(to, from, n);
            from += n;
        } else {
            memset(to, 0, n);
        }
        offset += n;
        bytes -= n;
    }
}

/* The segments, and zeroes where they leave gaps. */
static void load_kernel(const struct build *b)
{
    const struct elf_image *image = &b->image;
    uint64_t at = image->virt_start - image->virt_base, end = ROUND_UP(image->virt_end - image->virt_base, PAGE_SIZE);
    uint32_t i;

    put(b, at & PAGE_MASK, NULL, at & ~PAGE_MASK);
    for (i = 0; i < image->segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];
        uint64_t to = s->virt - image->virt_base;

        put(b, at, NULL, to - at);
        put(b, to, (const uint8_t *)b->source->kernel + s->file_offset, s->file_bytes);
        at = to + s->file_bytes;
    }
    put(b, at, NULL, end - at);
    if (image->has_hypercall_page)
        elf_image_fill_hypercall_page(pfn_to_virt(b, (image->hypercall_page - image->virt_base) >> PAGE_SHIFT));
}

static void load_ramdisk(const struct build *b)
{
    uint64_t at = b->layout.ramdisk_pfn << PAGE_SHIFT, bytes = b->source->ramdisk_bytes;

    if (b->source->ramdisk == NULL)
        return;
    put(b, at, b->source->ramdisk, bytes);
    put(b, at + bytes, NULL, ROUND_UP(bytes, PAGE_SIZE) - bytes);
}

/* What is ours to fill: start_info to boot stack, and the p2m's tables. */
static void zero_pages(const struct build *b)
{
    const struct build_layout *l = &b->layout;

    put(b, l->start_info_pfn << PAGE_SHIFT, NULL, (l->stack_pfn + 1 - l->start_info_pfn) << PAGE_SHIFT);
    put(b, l->p2m_table_pfn << PAGE_SHIFT, NULL, l->p2m_table_frames << PAGE_SHIFT);
}

/* The table that *entry leads to, made from the next free table page if there is none. NULL: there are none left (then the layout was wrong). */
static uint64_t *table_below(struct build *b, uint64_t *entry)
{
    if (!(*entry & PTE_PRESENT)) {
        if (b->next_table == b->tables_end)
            return NULL;
        *entry = mfn_to_maddr(pfn_to_mfn(b, b->next_table++)) | TABLE_FLAGS;
    }
    return mfn_to_virt(pte_mfn(*entry));
}

static uint64_t *l1_for(struct build *b, uint64_t va)
{
    uint64_t *table = mfn_to_virt(b->l4);
    unsigned int shift;

    for (shift = 39; shift > PAGE_SHIFT && table != NULL; shift -= 9)
        table = table_below(b, &table[(va >> shift) & 511]);
    return table;
}

static bool is_table(const struct build_layout *l, uint64_t pfn)
{
    return pfn - l->table_pfn < l->table_frames || pfn - l->p2m_table_pfn < l->p2m_table_frames;
}

static bool map_pages(struct build *b, uint64_t va, uint64_t pfn, uint64_t count)
{
    uint64_t *l1 = NULL;

    for (; count > 0; count--, pfn++, va += PAGE_SIZE) {
        if (l1 == NULL || ((va >> PAGE_SHIFT) & 511) == 0)
            l1 = l1_for(b, va);
        if (l1 == NULL)
            return false;
        l1[(va >> PAGE_SHIFT) & 511] =
            mfn_to_maddr(pfn_to_mfn(b, pfn)) | (is_table(&b->layout, pfn) ? TABLE_FLAGS & ~PTE_WRITE : TABLE_FLAGS);
    }
    return true;
}

static const char *build_tables(struct build *b)
{
    const struct build_layout *l = &b->layout;

    b->next_table = l->table_pfn;
    b->tables_end = l->table_pfn + l->table_frames;
    b->l4 = pfn_to_mfn(b, b->next_table++);
    if (!map_pages(b, l->virt_base, 0, l->mapped_frames))
        return "its page tables were laid out too small";
    if (l->p2m_table_frames == 0 && !b->image.has_init_p2m)
        return NULL;
    b->next_table = l->p2m_table_pfn;
    b->tables_end = l->p2m_table_pfn + l->p2m_table_frames;
    if (!map_pages(b, l->p2m_virt, l->p2m_pfn, l->p2m_frames))
        return "its p2m's page tables were laid out too small";
    return NULL;
}

/* A page that Domain0's daemons share with the guest: granted to Domain0 beforehand, and a port that waits for it. */
static uint32_t build_ring(struct build *b, unsigned int ref, uint64_t pfn)
{
    int port = event_alloc_unbound(b->d, 0);

    if (grant_seed(b->d, ref, 0, pfn_to_mfn(b, pfn)) != 0)
        log_error("d%u: grant %u cannot be prepared", b->d->id, ref);
    return port > 0 ? (uint32_t)port : 0;
}

static void build_rings(struct build *b, struct start_info *si)
{
    const struct build_layout *l = &b->layout;

    si->store_mfn = pfn_to_mfn(b, l->store_pfn).n;
    si->store_evtchn = build_ring(b, STORE_GRANT_REF, l->store_pfn);
    si->console.domU.mfn = pfn_to_mfn(b, l->console_pfn).n;
    si->console.domU.evtchn = build_ring(b, 0, l->console_pfn);
}

static void build_start_info(struct build *b)
{
    const struct build_layout *l = &b->layout;
    struct start_info *si = pfn_to_virt(b, l->start_info_pfn);

    strlcpy(si->magic, "xen-3.0-x86_64", sizeof(si->magic));
    si->nr_pages = l->frames;
    si->shared_info = virt_to_maddr(b->d->shared);
    si->flags = b->source->flags;
    if (b->source->rings)
        build_rings(b, si);
    else
        si->console.dom0.info_off = sizeof(*si); /* and no bytes of it: no screen */
    si->pt_base = pfn_virt(b, l->table_pfn);
    si->nr_pt_frames = l->table_frames;
    si->mfn_list = l->p2m_virt;
    if (l->ramdisk_frames != 0) {
        si->mod_start = l->ramdisk_mapped ? pfn_virt(b, l->ramdisk_pfn) : l->ramdisk_pfn;
        si->mod_len = b->source->ramdisk_bytes;
        if (!l->ramdisk_mapped)
            si->flags |= SIF_MOD_START_PFN;
    }
    strlcpy((char *)si->cmd_line, b->source->command_line, sizeof(si->cmd_line));
    if (b->image.has_init_p2m) {
        si->first_p2m_pfn = l->p2m_pfn;
        si->nr_p2m_frames = l->p2m_frames + l->p2m_table_frames;
    }
}

static const char *build_vcpus(struct build *b)
{
    struct domain *d = b->d;
    uint32_t id;

    if (pt_adopt_initial(d, b->l4) != 0)
        return "its page tables were refused";
    for (id = 0; id < d->vcpu_max; id++)
        if (d->vcpus[id] == NULL && vcpu_create(d, id) == NULL)
            return no_memory;
    if (vcpu_set_base(d->vcpus[0], b->l4, false) != 0)
        return "its page tables cannot be used";
    vcpu_set_boot_state(d->vcpus[0], b->image.entry, pfn_virt(b, b->layout.stack_pfn + 1), pfn_virt(b, b->layout.start_info_pfn));
    domain_wallclock_publish(d);
    return NULL;
}

static const char *build_plan(struct build *b, const struct build_source *source)
{
    const char *why = elf_image_parse(source->kernel, source->kernel_bytes, &b->image);

    b->source = source;
    if (why == NULL)
        why = build_layout_make(&b->layout, &b->image, source->frames, source->ramdisk_bytes, source->rings);
    return why;
}

const char *build_check(const struct build_source *source)
{
    struct build b;

    return build_plan(&b, source);
}

static const char *build_run(struct build *b)
{
    const struct build_layout *l = &b->layout;
    const char *why;

    if (populate_p2m(b) != 0 || populate(b, 0, l->used_frames) != 0)
        return no_memory;
    load_kernel(b);
    load_ramdisk(b);
    zero_pages(b);
    if (b->source->copied != NULL)
        b->source->copied();
    if (populate(b, l->used_frames, l->frames) != 0)
        return no_memory;
    b->d->ram_frames = l->frames;
    why = build_tables(b);
    if (why == NULL) {
        build_start_info(b);
        why = build_vcpus(b);
    }
    return why;
}

const char *build_domain(struct domain *d, const struct build_source *source)
{
    struct build b = {.d = d};
    const char *why = build_plan(&b, source);

    if (why == NULL)
        why = build_run(&b);
    heap_free(b.p2m_mfns);
    if (why == NULL)
        log_info("d%u: %s %s, %lu MiB, %u vCPUs, kernel %#lx-%#lx, entry %#lx", d->id, b.image.guest_os, b.image.guest_version,
                 (unsigned long)(b.layout.frames >> 8), d->vcpu_max, (unsigned long)b.image.virt_start,
                 (unsigned long)b.image.virt_end, (unsigned long)b.image.entry);
    return why;
}
