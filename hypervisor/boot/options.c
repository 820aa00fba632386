/* SPDX-License-Identifier: MIT */
/*
 * The command line: words `name` or `name=value`, in a table. Contract: options.h. Reference: docs/command-line.md. Tests: test-options.c.
 */
#include "options.h"

#include "lib/string.h"
#include "log.h"

#define WORD_MAX 160

struct boot_options boot_options = {
    .console_com1 = true,
    .watchdog_ms = 5000,
    .disk_timeout_ms = 30000,
    .smap = true,
};

struct option {
    const char *name;
    /* value is NULL if the word has no '='. False: malformed. */
    bool (*set)(const char *value);
    const char *form; /* what would be right */
};

static bool parse_unsigned(const char *text, uint64_t maximum, uint64_t *value, const char **end)
{
    uint64_t n = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > (maximum - (uint64_t)(*p - '0')) / 10)
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    *value = n;
    *end = p;
    return p != text;
}

static bool parse_number(const char *value, uint64_t minimum, uint64_t maximum, uint64_t *out)
{
    const char *end;
    uint64_t n;

    if (value == NULL || !parse_unsigned(value, maximum, &n, &end) || *end != '\0' || n < minimum)
        return false;
    *out = n;
    return true;
}

static bool parse_u32(const char *value, uint32_t minimum, uint32_t maximum, uint32_t *out)
{
    uint64_t n;

    if (!parse_number(value, minimum, maximum, &n))
        return false;
    *out = (uint32_t)n;
    return true;
}

/* Bytes with a suffix K, M or G; a bare number is KiB, as Xen has it for dom0_mem. */
static bool parse_size(const char *value, uint64_t *bytes)
{
    const char *end;
    uint64_t n;
    unsigned int shift = 10;

    if (value == NULL || !parse_unsigned(value, 1ull << 40, &n, &end))
        return false;
    if (*end == 'G' || *end == 'g')
        shift = 30;
    else if (*end == 'M' || *end == 'm')
        shift = 20;
    else if (*end != 'K' && *end != 'k' && *end != '\0')
        return false;
    if ((*end != '\0' && end[1] != '\0') || n > UINT64_MAX >> shift)
        return false;
    *bytes = n << shift;
    return true;
}

static bool set_console(const char *value)
{
    if (value == NULL || (strcmp(value, "com1") != 0 && strcmp(value, "none") != 0))
        return false;
    boot_options.console_com1 = value[0] == 'c';
    return true;
}

static bool set_dom0_mem(const char *value)
{
    return parse_size(value, &boot_options.dom0_mem_bytes);
}

static bool set_dom0_max_vcpus(const char *value)
{
    return parse_u32(value, 1, 64, &boot_options.dom0_max_vcpus);
}

/* Nothing is taken of a text that does not fit. */
static bool set_text(char *to, size_t size, const char *value)
{
    if (value == NULL || *value == '\0' || strlen(value) >= size)
        return false;
    strlcpy(to, value, size);
    return true;
}

static bool set_sched(const char *value)
{
    return set_text(boot_options.sched, sizeof(boot_options.sched), value);
}

static bool set_sched_params(const char *value)
{
    return set_text(boot_options.sched_params, sizeof(boot_options.sched_params), value);
}

static bool set_disksched(const char *value)
{
    return set_text(boot_options.disksched, sizeof(boot_options.disksched), value);
}

static bool set_disk_timeout(const char *value)
{
    return parse_u32(value, 0, 3600000, &boot_options.disk_timeout_ms);
}

static bool set_loglvl(const char *value)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    unsigned int i;

    for (i = 0; value != NULL && i < ARRAY_SIZE(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            log_threshold = (enum log_level)i;
            return true;
        }
    }
    return value != NULL && strcmp(value, "all") == 0 ? (log_threshold = LOG_DEBUG, true) : false;
}

static bool set_noreboot(const char *value)
{
    if (value != NULL && strcmp(value, "exit") != 0)
        return false;
    boot_options.noreboot = true;
    boot_options.noreboot_exit = value != NULL;
    return true;
}

static bool set_watchdog(const char *value)
{
    return parse_u32(value, 0, 3600000, &boot_options.watchdog_ms);
}

static bool set_maxcpus(const char *value)
{
    return parse_u32(value, 1, MAX_CPUS, &boot_options.maxcpus);
}

static bool set_smap(const char *value)
{
    if (value != NULL)
        return false;
    boot_options.smap = boot_options.smap_asked = true;
    return true;
}

static bool set_nosmap(const char *value)
{
    if (value != NULL)
        return false;
    boot_options.smap = false;
    return true;
}

static bool set_audit(const char *value)
{
    if (value != NULL)
        return false;
    boot_options.audit = true;
    return true;
}

static const struct option options[] = {
    {"audit", set_audit, "audit (no value)"},
    {"console", set_console, "console=com1 or console=none"},
    {"disk_timeout_ms", set_disk_timeout, "disk_timeout_ms=MILLISECONDS, 0 turns it off"},
    {"disksched", set_disksched, "disksched=NAME, for instance disksched=fair"},
    {"dom0_max_vcpus", set_dom0_max_vcpus, "dom0_max_vcpus=N, N from 1 to 64"},
    {"dom0_mem", set_dom0_mem, "dom0_mem=SIZE, for instance dom0_mem=512M"},
    {"loglvl", set_loglvl, "loglvl=error, warning, info, debug or all"},
    {"maxcpus", set_maxcpus, "maxcpus=N, N from 1 to 64"},
    {"noreboot", set_noreboot, "noreboot, or noreboot=exit"},
    {"nosmap", set_nosmap, "nosmap (no value)"},
    {"sched", set_sched, "sched=NAME, for instance sched=bvt"},
    {"sched_params", set_sched_params, "sched_params=name:value,name:value"},
    {"smap", set_smap, "smap (no value)"},
    {"watchdog", set_watchdog, "watchdog=MILLISECONDS, 0 turns it off"},
};

static void known_names_log(void)
{
    char names[WORD_MAX];
    unsigned int i;
    int at = 0;

    for (i = 0; i < ARRAY_SIZE(options); i++)
        at += snprintf(names + at, sizeof(names) - (size_t)at, "%s%s", i == 0 ? "" : " ", options[i].name);
    log_warning("the options are: %s", names);
}

/* True if the name is known; a malformed value is reported here. */
static bool word_apply(const char *word)
{
    const char *equals = strchr(word, '=');
    size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(options); i++) {
        if (strlen(options[i].name) != length || strncmp(options[i].name, word, length) != 0)
            continue;
        if (!options[i].set(equals != NULL ? equals + 1 : NULL))
            log_warning("option '%s' is left out: expected %s", word, options[i].form);
        return true;
    }
    return false;
}

void options_parse(const char *line)
{
    bool unknown = false;

    for (;;) {
        char word[WORD_MAX];
        size_t n = 0;

        while (*line == ' ' || *line == '\t')
            line++;
        if (*line == '\0')
            break;
        while (line[n] != '\0' && line[n] != ' ' && line[n] != '\t')
            n++;
        if (n >= sizeof(word)) {
            log_warning("an option of %lu characters is left out", n);
        } else {
            memcpy(word, line, n);
            word[n] = '\0';
            if (!word_apply(word)) {
                log_warning("unknown option '%s' is left out", word);
                unknown = true;
            }
        }
        line += n;
    }
    if (unknown)
        known_names_log();
}
