// SPDX-License-Identifier: MIT
/*
 * DomUs from boot modules: `<file> name=NAME mem=SIZE maxmem=SIZE vcpus=N <parameter>=N ... -- <command line>`.
 *
 * Words that are none of these are parameters of the active scheduler module, for the domain. Such a domain is unprivileged, starts with Domain0, and is
 * destroyed when it ends: nobody else knows of it. A bad module is reported and left out.
 * Contract: build.h.  Reference: docs/command-line.md.
 */
#include "alloc.h"
#include "boot-info.h"
#include "build.h"
#include "domain-internal.h"
#include "lib/string.h"
#include "mm.h"
#include "sched.h"

#include <hv/errno.h>

#define MEMORY_DEFAULT (32ull << 20)
#define MEMORY_MAX (1ull << 42)
#define OVERHEAD_FRAMES 64 /* vCPUs, tables of events and grants */
#define WORD_MAX 64

struct boot_domain {
    char name[DOMAIN_NAME_MAX];
    uint64_t memory_bytes, memory_max_bytes; /* 0: as memory_bytes */
    uint64_t vcpus;
    const char *command_line;
};

/* A whole decimal number; with `size`, bytes with a suffix K, M or G. */
static bool number_parse(const char *text, bool size, uint64_t maximum, uint64_t *value)
{
    uint64_t n = 0;
    const char *p = text;
    unsigned int shift = 0;

    for (; *p >= '0' && *p <= '9' && n <= maximum; p++)
        n = n * 10 + (uint64_t)(*p - '0');
    if (size && *p != '\0')
        shift = (*p | 0x20) == 'k' ? 10 : (*p | 0x20) == 'm' ? 20 : (*p | 0x20) == 'g' ? 30 : 0;
    p += shift != 0;
    if (p == text || *p != '\0' || n > maximum >> shift)
        return false;
    *value = n << shift;
    return true;
}

static bool word_take(struct boot_domain *b, struct domain *d, const char *name, const char *value)
{
    uint64_t n;

    if (strcmp(name, "name") == 0)
        return strlcpy(b->name, value, sizeof(b->name)) < sizeof(b->name) && value[0] != '\0';
    if (strcmp(name, "mem") == 0)
        return number_parse(value, true, MEMORY_MAX, &b->memory_bytes);
    if (strcmp(name, "maxmem") == 0)
        return number_parse(value, true, MEMORY_MAX, &b->memory_max_bytes);
    if (strcmp(name, "vcpus") == 0)
        return number_parse(value, false, DOMAIN_MAX_VCPUS, &b->vcpus) && b->vcpus != 0;
    if (!number_parse(value, false, UINT64_MAX / 16, &n))
        return false;
    return d == NULL || sched_param_set(d, NULL, name, n) == 0;
}

/*
 * Read the words before `--`. Without a domain: fill *b, and report nothing of scheduler parameters. With one: set those, and report all that was
 * not understood.
 */
static void words_read(struct boot_domain *b, struct domain *d, const char *text)
{
    char word[WORD_MAX], *equals;

    *b = (struct boot_domain){.memory_bytes = MEMORY_DEFAULT, .vcpus = 1, .command_line = ""};
    for (;;) {
        size_t n = 0;

        while (*text == ' ')
            text++;
        while (text[n] != ' ' && text[n] != '\0')
            n++;
        if (n == 0)
            return;
        if (n == 2 && text[0] == '-' && text[1] == '-') {
            for (text += n; *text == ' '; text++)
                ;
            b->command_line = text;
            return;
        }
        strlcpy(word, text, min(n + 1, sizeof(word)));
        text += n;
        equals = strchr(word, '=');
        if (equals != NULL)
            *equals = '\0';
        if ((n >= sizeof(word) || equals == NULL || !word_take(b, d, word, equals + 1)) && d != NULL)
            log_warning("d%u: its word '%s' is left out: not known, or malformed", d->id, word);
    }
}

uint64_t boot_domains_frames(void)
{
    struct boot_domain b;
    uint64_t frames = 0;
    uint32_t i;

    for (i = boot_module_first_domain(); i < boot_info.module_count; i++) {
        words_read(&b, NULL, boot_module_arguments(&boot_info.modules[i]));
        frames += (b.memory_bytes >> PAGE_SHIFT) + OVERHEAD_FRAMES;
    }
    return frames;
}

static const char *boot_domain_build(struct boot_domain *b, struct build_source *source, struct boot_module *m)
{
    uint64_t max_frames = max(b->memory_bytes, b->memory_max_bytes) >> PAGE_SHIFT;
    struct domain *d = domain_create(DOMID_INVALID, b->name, false, (uint32_t)b->vcpus, max_frames);
    const char *why;

    if (d == NULL)
        return "there is not enough memory for it";
    if (d->name[0] == '\0')
        snprintf(d->name, sizeof(d->name), "Domain-%u", d->id);
    why = build_domain(d, source);
    if (why != NULL) {
        domain_destroy(d);
        return why;
    }
    words_read(b, d, boot_module_arguments(m));
    d->destroy_at_end = true;
    domain_publish(d);
    return NULL;
}

void build_boot_domains(void)
{
    struct boot_domain b;
    uint32_t i;

    for (i = boot_module_first_domain(); i < boot_info.module_count; i++) {
        struct boot_module *m = &boot_info.modules[i];
        struct build_source source = {.kernel = boot_module_bytes(m), .kernel_bytes = boot_module_size(m), .rings = true};
        const char *why;

        words_read(&b, NULL, boot_module_arguments(m));
        source.frames = b.memory_bytes >> PAGE_SHIFT;
        source.command_line = b.command_line;
        why = build_check(&source);
        if (why == NULL)
            why = boot_domain_build(&b, &source, m);
        if (why != NULL)
            log_error("module %u (%s): no domain is made of it: %s", i + 1, b.name, why);
        boot_module_release(m);
    }
}
