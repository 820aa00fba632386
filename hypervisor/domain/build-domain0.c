// SPDX-License-Identifier: MIT
/*
 * Domain0: from which modules, with how much memory.
 *
 * Module 1 is its kernel, module 2 its ramdisk (unless that is an ELF file: then it is a DomU's kernel already). It gets dom0_mem=, or all memory but
 * a reserve for the hypervisor's later needs and what the boot-module DomUs ask for. The modules' own RAM counts in: it is free once they are copied.
 * Contract: build.h.  Page: docs/concepts/domain0-image.md.
 */
#include "alloc.h"
#include "boot-info.h"
#include "build.h"
#include "cpu.h"
#include "domain-internal.h"
#include "lib/string.h"
#include "mm.h"
#include "options.h"

#include <hv/errno.h>

/* What stays the hypervisor's, for page tables, stacks, event and grant tables to come. */
#define RESERVE_FRAMES ((8ull << 20) >> PAGE_SHIFT)
#define RESERVE_SHARE 256 /* and this part of all RAM */
#define VCPU_FRAMES 8     /* stack, state and FPU area, rounded up */

const void *boot_module_bytes(const struct boot_module *m)
{
    return maddr_to_virt(m->start);
}

uint64_t boot_module_size(const struct boot_module *m)
{
    return m->end - m->start;
}

const char *boot_module_arguments(const struct boot_module *m)
{
    const char *p = m->string;

    while (*p == ' ')
        p++;
    while (*p != ' ' && *p != '\0')
        p++;
    while (*p == ' ')
        p++;
    return p;
}

/* Whole frames only: the rest of the first and the last may belong to a neighbour. */
static uint64_t module_first(const struct boot_module *m)
{
    return (m->start + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

static uint64_t module_end(const struct boot_module *m)
{
    return max(m->end >> PAGE_SHIFT, module_first(m));
}

void boot_module_release(struct boot_module *m)
{
    if (module_end(m) > module_first(m))
        frames_init_add(module_first(m), module_end(m));
    m->end = m->start; /* given away: nobody shall look at it again */
}

static bool has_ramdisk(void)
{
    const struct boot_module *m = &boot_info.modules[1];

    return boot_info.module_count > 1 && !(boot_module_size(m) >= 4 && memcmp(boot_module_bytes(m), "\177ELF", 4) == 0);
}

uint32_t boot_module_first_domain(void)
{
    return has_ramdisk() ? 2 : 1;
}

static void domain0_copied(void)
{
    uint32_t end = boot_module_first_domain();

    while (end-- > 0)
        boot_module_release(&boot_info.modules[end]);
}

static uint64_t domain0_frames(uint32_t vcpus)
{
    uint64_t have = frames_free_count(), keep, want;
    uint32_t i;

    for (i = 0; i < boot_module_first_domain(); i++)
        have += module_end(&boot_info.modules[i]) - module_first(&boot_info.modules[i]);
    keep = RESERVE_FRAMES + frames_total_count() / RESERVE_SHARE + vcpus * VCPU_FRAMES + boot_domains_frames();
    have = have > keep ? have - keep : 0;
    want = boot_options.dom0_mem_bytes >> PAGE_SHIFT;
    if (want > have)
        log_warning("dom0_mem: %lu MiB is more than there is, Domain0 gets %lu MiB", (unsigned long)(want >> 8), (unsigned long)(have >> 8));
    return want != 0 ? min(want, have) : have;
}

int build_domain0(void)
{
    uint32_t vcpus = boot_options.dom0_max_vcpus != 0 ? boot_options.dom0_max_vcpus : cpu_count;
    struct build_source source = {.flags = SIF_PRIVILEGED | SIF_INITDOMAIN, .any_ram = true, .copied = domain0_copied};
    const char *why;
    struct domain *d;

    domains_init();
    if (boot_info.module_count == 0) {
        log_error("Domain0: there is no kernel: give one as the first module");
        return -ENOENT;
    }
    source.kernel = boot_module_bytes(&boot_info.modules[0]);
    source.kernel_bytes = boot_module_size(&boot_info.modules[0]);
    source.command_line = boot_module_arguments(&boot_info.modules[0]);
    if (has_ramdisk()) {
        source.ramdisk = boot_module_bytes(&boot_info.modules[1]);
        source.ramdisk_bytes = boot_module_size(&boot_info.modules[1]);
    }
    source.frames = domain0_frames(vcpus);
    why = build_check(&source);
    if (why != NULL) {
        log_error("Domain0: its kernel is refused: %s", why);
        return -ENOEXEC;
    }
    d = domain_create(0, "Domain-0", true, vcpus, source.frames);
    why = d != NULL ? build_domain(d, &source) : "there is not enough memory for it";
    if (why != NULL) {
        log_error("Domain0: it cannot be built: %s", why);
        if (d != NULL)
            domain_destroy(d);
        return -ENOMEM;
    }
    domain_publish(d);
    return 0;
}

void build_start_domains(void)
{
    struct domain *d;

    for (d = domain_list; d != NULL; d = d->next)
        domain_unpause(d);
}
