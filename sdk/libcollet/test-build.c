// SPDX-License-Identifier: MIT
/*
 * The domain builder, end to end over a fake hypervisor: what a guest finds at its start of day, found as the guest finds it, through the page tables that were written; and that nothing
 * is left of a domain whose building fails at any step.
 */
// needs: build.c image.c cache.c unpack.c unpack-lz4.c handle.c calls.c transport.c mini-kernel.c fake-hypervisor.c sdk/image/elf-image.c sdk/image/build-layout.c
// libs: -lz -llzma -lzstd -llz4

#include "fake-hypervisor.h"
#include "mini-kernel.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xen/xen.h>

#define MIB_FRAMES 256u
#define WRITABLE 2ull
#define USER 4ull
#define FRAME(entry) (((entry) & 0x000ffffffffff000ull) >> 12)
#define RAMDISK_BYTES 0x7123u

static char kernel[64], ramdisk[64];
static struct fake *f;
static struct collet *c;
static struct collet_image *image;
static struct collet_build plan;
static struct collet_built built;
static size_t memory_at_start;

static void image_make(const struct mini_kernel *k)
{
    size_t n;
    uint8_t *bytes = mini_kernel_make(k, &n);

    collet_image_close(image);
    mini_file(kernel, bytes, n);
    ck_assert_msg(collet_image_open(c, kernel, NULL, &image) == 0, "%s", collet_error(c));
    plan.image = image;
    free(bytes);
}

static void setup(void)
{
    uint8_t bytes[RAMDISK_BYTES];

    snprintf(kernel, sizeof(kernel), "/tmp/test-build-%d.kernel", (int)getpid());
    snprintf(ramdisk, sizeof(ramdisk), "/tmp/test-build-%d.ramdisk", (int)getpid());
    for (unsigned int i = 0; i < RAMDISK_BYTES; i++)
        bytes[i] = (uint8_t)(i * 7 + 3);
    mini_file(ramdisk, bytes, RAMDISK_BYTES);
    c = fake_open(&f);
    memory_at_start = f->memory_bytes;
    memset(&plan, 0, sizeof(plan));
    plan.name = "guest";
    plan.ramdisk = ramdisk;
    plan.command_line = "console=hvc0 hello";
    plan.vcpus = 2;
    plan.memory_frames = 16 * MIB_FRAMES;
    plan.rings = true;
    image = NULL;
    image_make(&mini_kernel_usual);
}

static void teardown(void)
{
    collet_image_close(image);
    unlink(kernel);
    unlink(ramdisk);
    ck_assert_uint_eq(f->memory_bytes, memory_at_start);
    collet_close(c);
}

static struct fake_domain *build(void)
{
    int rc = collet_domain_build(c, &plan, &built);

    ck_assert_msg(rc == 0, "%s", collet_error(c));
    return fake_domain(f, built.domid);
}

static struct start_info start_info_of(struct fake_domain *d)
{
    struct start_info si;

    ck_assert(fake_read(f, d, d->start.start_info, &si, sizeof(si)));
    return si;
}

/* Each pfn of the initial mapping at its place: tables read-only, the rest writable, all for the user's ring, and the p2m says the same. */
static void check_mapping(struct fake_domain *d, const struct start_info *si, uint64_t base)
{
    uint64_t first_table = (si->pt_base - base) / PAGE_BYTES, pfn = 0, entry;
    uint64_t last = (d->start.stack - base) / PAGE_BYTES + 512 * 1024 / PAGE_BYTES;

    for (; (entry = fake_walk(f, d, base + pfn * PAGE_BYTES)) != 0; pfn++) {
        struct fake_frame *frame = fake_frame(f, FRAME(entry));
        bool table = (pfn >= first_table && pfn < first_table + si->nr_pt_frames) ||
                     (si->nr_p2m_frames != 0 && pfn >= si->first_p2m_pfn + (si->nr_pages + 511) / 512 && pfn < si->first_p2m_pfn + si->nr_p2m_frames);
        uint64_t p2m;

        if (frame->pfn != pfn || ((entry & WRITABLE) != 0) == table || (entry & USER) == 0 || !fake_read(f, d, si->mfn_list + pfn * 8, &p2m, 8) || p2m != FRAME(entry))
            ck_abort_msg("pfn %#llx is mapped by %#llx, %sa table", (unsigned long long)pfn, (unsigned long long)entry, table ? "" : "not ");
    }
    ck_assert_uint_ge(pfn, last < si->nr_pages ? last : si->nr_pages); /* at least 512 KiB behind the stack */
    ck_assert_uint_le(pfn, si->nr_pages);
}

static void check_p2m(struct fake_domain *d, const struct start_info *si)
{
    uint64_t entries = (si->nr_pages + 511) / 512 * 512, p2m;

    for (uint64_t pfn = 0; pfn < entries; pfn++) {
        if (!fake_read(f, d, si->mfn_list + pfn * 8, &p2m, 8))
            ck_abort_msg("the p2m is not mapped at %#llx", (unsigned long long)pfn);
        if (pfn >= si->nr_pages) {
            ck_assert_uint_eq(p2m, ~0ull);
            continue;
        }
        if (fake_frame(f, p2m)->pfn != pfn || fake_frame(f, p2m)->owner != d->info.domid)
            ck_abort_msg("pfn %#llx in the p2m", (unsigned long long)pfn);
    }
}

static void check_bytes(struct fake_domain *d, uint64_t va, uint64_t bytes, uint64_t zeroes)
{
    uint8_t *got = malloc(bytes + zeroes);

    ck_assert(fake_read(f, d, va, got, bytes + zeroes));
    for (uint64_t i = 0; i < bytes + zeroes; i++)
        if (got[i] != (i < bytes ? mini_kernel_byte(i) : 0))
            ck_abort_msg("byte %#llx of the segment at %#llx", (unsigned long long)i, (unsigned long long)va);
    free(got);
}

static void check_kernel(struct fake_domain *d, const struct mini_kernel *k)
{
    uint64_t text = k->virt_base + k->load_at;

    if (!k->hypercall_page)
        check_bytes(d, text, k->text_bytes, PAGE_BYTES + 0x40);
    check_bytes(d, text + k->text_bytes + PAGE_BYTES + 0x40, k->data_bytes, k->bss_bytes);
    ck_assert_uint_eq(d->start.entry, text + 0x100);
}

static void check_ramdisk_frame(const uint8_t *got, uint64_t first, uint64_t bytes)
{
    for (uint64_t i = 0; i < PAGE_BYTES; i++)
        if (got[i] != (first + i < bytes ? (uint8_t)((first + i) * 7 + 3) : 0))
            ck_abort_msg("byte %#llx of the ramdisk", (unsigned long long)(first + i));
}

static void check_ramdisk(struct fake_domain *d, const struct start_info *si, uint64_t base)
{
    uint64_t pfn = si->flags & SIF_MOD_START_PFN ? si->mod_start : (si->mod_start - base) / PAGE_BYTES;
    uint8_t zero[PAGE_BYTES] = {0};

    ck_assert_uint_eq(si->mod_len, RAMDISK_BYTES);
    for (uint64_t at = 0; at < RAMDISK_BYTES; at += PAGE_BYTES, pfn++) {
        uint64_t mfn;

        ck_assert(fake_read(f, d, si->mfn_list + pfn * 8, &mfn, 8));
        check_ramdisk_frame(fake_frame(f, mfn)->bytes != NULL ? fake_frame(f, mfn)->bytes : zero, at, RAMDISK_BYTES);
    }
}

static void check_all(struct fake_domain *d, const struct mini_kernel *k)
{
    struct start_info si = start_info_of(d);

    ck_assert_str_eq(si.magic, "xen-3.0-x86_64");
    ck_assert_uint_eq(si.nr_pages, plan.memory_frames);
    ck_assert_uint_eq(si.shared_info, d->shared_info_maddr);
    ck_assert_uint_eq(FRAME(fake_walk(f, d, si.pt_base)), d->start.l4_mfn);
    ck_assert_str_eq((const char *)si.cmd_line, plan.command_line);
    ck_assert_uint_eq(d->start.stack, si.pt_base + (si.nr_pt_frames + 1) * PAGE_BYTES);
    check_mapping(d, &si, k->virt_base);
    check_p2m(d, &si);
    check_kernel(d, k);
    if (plan.ramdisk != NULL)
        check_ramdisk(d, &si, k->virt_base);
}

START_TEST(linux_finds_all_at_its_place)
{
    struct fake_domain *d = build();
    struct start_info si = start_info_of(d);
    uint64_t base = mini_kernel_usual.virt_base, pfn;

    check_all(d, &mini_kernel_usual);
    ck_assert_uint_eq(si.mfn_list, 0x8000000000ull);
    ck_assert_uint_eq(si.flags, SIF_MOD_START_PFN);
    ck_assert_uint_eq(si.nr_p2m_frames, 8 + 3); /* the list, and L3, L2, L1 */
    ck_assert_uint_eq(si.store_mfn, d->shared_mfn[1]);
    ck_assert_uint_eq(si.store_evtchn, d->shared_port[1]);
    ck_assert_uint_eq(si.console.domU.mfn, d->shared_mfn[0]);
    ck_assert_uint_eq(si.console.domU.evtchn, d->shared_port[0]);
    /* The order of <xen/xen.h>: start_info, store, console, tables, stack. */
    pfn = (d->start.start_info - base) / PAGE_BYTES;
    ck_assert_uint_eq(fake_frame(f, si.store_mfn)->pfn, pfn + 1);
    ck_assert_uint_eq(fake_frame(f, si.console.domU.mfn)->pfn, pfn + 2);
    ck_assert_uint_eq((si.pt_base - base) / PAGE_BYTES, pfn + 3);
    ck_assert_uint_eq(built.store_mfn, si.store_mfn);
    ck_assert_uint_eq(built.store_port, si.store_evtchn);
    ck_assert_uint_eq(built.console_mfn, si.console.domU.mfn);
    ck_assert_uint_eq(built.console_port, si.console.domU.evtchn);
    ck_assert_uint_eq(d->start.ram_frames, plan.memory_frames);
    ck_assert_uint_eq(d->info.vcpus_max, 2);
    ck_assert_uint_eq(built.kernel_bytes, 0x5000 + 0x1000 + 0x40 + 0x2345 + 0x3000);
}
END_TEST

START_TEST(a_p2m_and_ramdisk_within_the_mapping)
{
    struct mini_kernel k = mini_kernel_usual;
    struct fake_domain *d;
    struct start_info si;

    k.init_p2m = k.unmapped_ramdisk = false;
    k.hypercall_page = true;
    image_make(&k);
    d = build();
    si = start_info_of(d);
    check_all(d, &k);
    ck_assert_uint_eq(si.flags, 0);
    ck_assert_uint_eq(si.nr_p2m_frames, 0);
    ck_assert(si.mfn_list > k.virt_base && si.mfn_list % PAGE_BYTES == 0);
    ck_assert(si.mod_start > k.virt_base && si.mod_start < si.mfn_list);
    uint8_t call[14], text[16];
    ck_assert(fake_read(f, d, k.virt_base + k.load_at + PAGE_BYTES + 17 * 32, call, sizeof(call)));
    ck_assert_mem_eq(call, "\x51\x41\x53\xb8\x11\0\0\0\x0f\x05\x41\x5b\x59\xc3", 14);
    ck_assert(fake_read(f, d, k.virt_base + k.load_at, text, sizeof(text)));
    ck_assert_uint_eq(text[5], mini_kernel_byte(5)); /* the text about it is there */
}
END_TEST

START_TEST(a_kernel_at_address_zero)
{
    struct mini_kernel k = mini_kernel_usual;

    k.virt_base = 0;
    image_make(&k);
    check_all(build(), &k);
}
END_TEST

START_TEST(without_ramdisk_rings_and_command_line)
{
    struct fake_domain *d;
    struct start_info si;

    plan.ramdisk = NULL;
    plan.rings = false;
    plan.command_line = NULL;
    d = build();
    si = start_info_of(d);
    ck_assert_uint_eq(si.mod_len, 0);
    ck_assert_uint_eq(si.mod_start, 0);
    ck_assert_uint_eq(si.flags, 0);
    ck_assert_uint_eq(si.store_mfn + si.store_evtchn + si.console.domU.mfn + si.console.domU.evtchn, 0);
    ck_assert_uint_eq(si.cmd_line[0], 0);
    ck_assert_uint_eq(f->calls[COLLET_OP_DOMAIN_SHARE], 0);
    ck_assert_uint_eq((si.pt_base - d->start.start_info) / PAGE_BYTES, 1);
}
END_TEST

START_TEST(odd_amounts_of_memory)
{
    plan.memory_frames = 5 * MIB_FRAMES + 77; /* the mapping is cut at the end of the memory, the p2m is no whole page */
    check_all(build(), &mini_kernel_usual);
}
END_TEST

START_TEST(more_memory_later)
{
    struct fake_domain *d;

    plan.memory_frames_max = 32 * MIB_FRAMES;
    d = build();
    ck_assert_uint_eq(d->info.frames_max, 32 * MIB_FRAMES);
    ck_assert_uint_eq(d->info.frames, 16 * MIB_FRAMES);
    ck_assert_uint_eq(d->start.ram_frames, 32 * MIB_FRAMES);
    plan.name = "other";
    plan.memory_frames_max = MIB_FRAMES;
    ck_assert_int_eq(collet_domain_build(c, &plan, &built), -EINVAL);
}
END_TEST

START_TEST(few_calls_for_a_large_domain)
{
    struct mini_kernel k = mini_kernel_usual;
    unsigned int before = f->calls_all;

    k.text_bytes = 20u << 20;
    image_make(&k);
    plan.memory_frames = 64 * MIB_FRAMES;
    check_all(build(), &k);
    ck_assert_uint_le(f->calls_all - before, 40);
}
END_TEST

/* ---- Trouble ---- */

static void check_nothing_left(void)
{
    ck_assert_uint_eq(fake_domain_count(f), 1);
    ck_assert_uint_eq(fake_frames_used(f), 0);
    ck_assert_uint_eq(f->memory_bytes, memory_at_start);
    ck_assert_uint_eq(built.domid, 0);
}

START_TEST(a_failure_anywhere_leaves_nothing)
{
    unsigned int steps;
    char said[64];

    build();
    steps = f->calls_all;
    ck_assert_int_eq(collet_domain_destroy(c, built.domid), 0);
    for (unsigned int n = 2; n <= steps; n++) { /* the first was collet_begin()'s */
        f->fail_at = f->calls_all + n - 1;
        f->fail_times = 1;
        f->fail_rc = -EPERM;
        f->destroy_pieces = n % 3;
        ck_assert_int_eq(collet_domain_build(c, &plan, &built), -EPERM);
        snprintf(said, sizeof(said), "%.63s", collet_error(c));
        ck_assert_msg(strncmp(said, "cannot ", 7) == 0 && strstr(said, "destroy") == NULL, "call %u: %s", n, said);
        check_nothing_left();
    }
    f->fail_at = 0;
    check_all(build(), &mini_kernel_usual);
}
END_TEST

static unsigned int progress_calls, progress_stop, progress_last;

static int progress(void *arg, unsigned int permille, const char *what)
{
    ck_assert_ptr_eq(arg, &progress_calls);
    ck_assert_ptr_nonnull(what);
    ck_assert_uint_le(permille, 1000);
    ck_assert_uint_ge(permille, progress_last);
    progress_last = permille;
    return ++progress_calls == progress_stop;
}

START_TEST(progress_is_told_and_may_cancel)
{
    unsigned int all;

    plan.progress = progress;
    plan.progress_arg = &progress_calls;
    build();
    ck_assert_uint_eq(progress_last, 1000);
    ck_assert_int_eq(collet_domain_destroy(c, built.domid), 0);
    all = progress_calls;
    ck_assert_uint_ge(all, 5);
    for (progress_stop = 1; progress_stop <= all; progress_stop++) {
        progress_calls = progress_last = 0;
        ck_assert_int_eq(collet_domain_build(c, &plan, &built), -ECANCELED);
        ck_assert_str_eq(collet_error(c), "building domain guest was cancelled");
        check_nothing_left();
    }
}
END_TEST

START_TEST(absent_pages_are_made_present_or_copied)
{
    for (unsigned int faults = 1; faults < 40; faults += 3) {
        f->write_faults = faults;
        check_all(build(), &mini_kernel_usual);
        ck_assert_int_eq(collet_domain_destroy(c, built.domid), 0);
    }
}
END_TEST

START_TEST(files_that_shrink_do_no_harm)
{
    ck_assert_int_eq(truncate(kernel, 0x2000), 0);
    ck_assert_int_eq(collet_domain_build(c, &plan, &built), -EIO);
    ck_assert_ptr_nonnull(strstr(collet_error(c), "became shorter"));
    check_nothing_left();
}
END_TEST

START_TEST(not_enough_memory_says_how_much_there_is)
{
    plan.memory_frames = (FAKE_FRAMES / MIB_FRAMES + 100) * MIB_FRAMES;
    ck_assert_int_eq(collet_domain_build(c, &plan, &built), -ENOMEM);
    ck_assert_str_eq(collet_error(c), "domain guest: there is not enough memory: it wants 196 MiB, and 96 MiB are free");
    check_nothing_left();
    ck_assert_uint_eq(f->calls[COLLET_OP_DOMAIN_CREATE], 0);
    /* Somebody else was quicker. */
    plan.memory_frames = 20 * MIB_FRAMES;
    f->fail_at = f->calls_all + 5;
    f->fail_times = 1;
    f->fail_rc = -ENOMEM;
    ck_assert_int_eq(collet_domain_build(c, &plan, &built), -ENOMEM);
    ck_assert_str_eq(collet_error(c), "domain guest: there is not enough memory: it wants 20 MiB, and 16 MiB are free");
    check_nothing_left();
}
END_TEST

static void check_refused(int error, const char *why)
{
    ck_assert_int_eq(collet_domain_build(c, &plan, &built), error);
    ck_assert_msg(strstr(collet_error(c), why) != NULL, "%s", collet_error(c));
    check_nothing_left();
}

START_TEST(bad_plans_are_refused_before_anything_is_made)
{
    char line[1100];

    plan.memory_frames = MIB_FRAMES + 50;
    check_refused(-EINVAL, "too large for the domain's memory; with its ramdisk it begins in ");
    plan.memory_frames = 0;
    check_refused(-EINVAL, "memory");
    plan.memory_frames = 16 * MIB_FRAMES;
    memset(line, 'x', sizeof(line));
    line[1024] = '\0';
    plan.command_line = line;
    check_refused(-EINVAL, "command line");
    line[1023] = '\0';
    plan.ramdisk = "/nowhere";
    check_refused(-ENOENT, "ramdisk /nowhere");
    plan.ramdisk = "/tmp";
    check_refused(-EINVAL, "not a regular file");
    plan.ramdisk = ramdisk;
    plan.name = "a-name-of-more-than-thirty-one-bytes";
    check_refused(-EINVAL, "1 to 31 characters");
    plan.name = "";
    check_refused(-EINVAL, "1 to 31 characters");
    plan.name = "two words";
    check_refused(-EINVAL, "\"two words\" is no name for a domain: it may have");
    plan.name = NULL;
    check_refused(-EINVAL, "needs a name");
    plan.name = "guest";
    plan.vcpus = 65;
    check_refused(-EINVAL, "cannot have 65 vCPUs");
    plan.vcpus = 1;
    plan.name = "guest";
    ck_assert_uint_eq(f->calls[COLLET_OP_DOMAIN_CREATE], 0);
    build();
    ck_assert_int_eq(collet_domain_build(c, &plan, &built), -EEXIST);
    ck_assert_str_eq(collet_error(c), "cannot create the domain: another domain has that name");
}
END_TEST

/* What the parser lets through is built, or refused by the hypervisor's check of the tables; nothing else happens, and nothing is left. */
START_TEST(damaged_kernels_are_built_or_refused)
{
    unsigned int seed = 3, made = 0;
    size_t n;
    struct mini_kernel k = mini_kernel_usual;

    printf("seed %u\n", seed);
    for (int round = 0; round < 400; round++) {
        uint8_t *bytes;

        k.hypercall_page = round % 2;
        k.init_p2m = round % 3 != 0;
        bytes = mini_kernel_make(&k, &n);
        for (int i = rand_r(&seed) % 4; i >= 0; i--)
            bytes[(size_t)rand_r(&seed) % 0x2c0] = (uint8_t)(rand_r(&seed) % 3 ? rand_r(&seed) : 0);
        collet_image_close(image);
        image = NULL;
        mini_file(kernel, bytes, n);
        free(bytes);
        if (collet_image_open(c, kernel, NULL, &image) != 0)
            continue;
        plan.image = image;
        if (collet_domain_build(c, &plan, &built) == 0) {
            made++;
            ck_assert_int_eq(collet_domain_destroy(c, built.domid), 0);
            built.domid = 0;
        }
        check_nothing_left();
    }
    ck_assert_uint_gt(made, 0);
}
END_TEST

/* Debian's kernel, as its package brings it, if the build has fetched it. */
START_TEST(debian_kernel_is_built)
{
    struct collet_image *debian;
    struct fake_domain *d;
    struct start_info si;

    if (access("build/debian/vmlinuz", R_OK) != 0)
        return;
    ck_assert_msg(collet_image_open(c, "build/debian/vmlinuz", NULL, &debian) == 0, "%s", collet_error(c));
    plan.image = debian;
    plan.memory_frames = 88 * MIB_FRAMES;
    d = build();
    si = start_info_of(d);
    ck_assert_uint_eq(si.mfn_list, 0x8000000000ull);
    check_mapping(d, &si, 0xffffffff80000000ull);
    check_p2m(d, &si);
    check_ramdisk(d, &si, 0xffffffff80000000ull);
    collet_image_close(debian);
}
END_TEST

Suite *suite_build(void);
Suite *suite_build(void)
{
    Suite *s = suite_create("build");
    TCase *t = tcase_create("build");

    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, linux_finds_all_at_its_place);
    tcase_add_test(t, a_p2m_and_ramdisk_within_the_mapping);
    tcase_add_test(t, a_kernel_at_address_zero);
    tcase_add_test(t, without_ramdisk_rings_and_command_line);
    tcase_add_test(t, odd_amounts_of_memory);
    tcase_add_test(t, more_memory_later);
    tcase_add_test(t, few_calls_for_a_large_domain);
    tcase_add_test(t, a_failure_anywhere_leaves_nothing);
    tcase_add_test(t, progress_is_told_and_may_cancel);
    tcase_add_test(t, absent_pages_are_made_present_or_copied);
    tcase_add_test(t, files_that_shrink_do_no_harm);
    tcase_add_test(t, not_enough_memory_says_how_much_there_is);
    tcase_add_test(t, bad_plans_are_refused_before_anything_is_made);
    tcase_add_test(t, damaged_kernels_are_built_or_refused);
    tcase_add_test(t, debian_kernel_is_built);
    suite_add_tcase(s, t);
    return s;
}
