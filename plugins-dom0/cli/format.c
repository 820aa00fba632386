/* SPDX-License-Identifier: MIT */
/*
 * Numbers as people write and read them. Parsing is strict: a word is understood whole or refused, for a misread size would be acted upon.
 * Contract: format.h. Tests: test-format.c.
 */
#include "format.h"

#include <collet/control.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int parse_u64(const char *text, uint64_t *value)
{
    char *end;
    int base = text[0] == '0' && (text[1] | 32) == 'x' ? 16 : 10;

    if (!isdigit((unsigned char)text[0]))
        return -EINVAL;
    errno = 0;
    *value = strtoull(text, &end, base);
    if (*end != 0 || end == text)
        return -EINVAL;
    return errno == ERANGE ? -ERANGE : 0;
}

/* A decimal number with an optional fraction times a unit: exact, and without floating point. */
static int scaled(const char *text, size_t length, uint64_t unit, uint64_t *value)
{
    uint64_t whole = 0, fraction = 0, divisor = 1;
    size_t i = 0;
    bool digits = false;

    for (; i < length && isdigit((unsigned char)text[i]); i++, digits = true)
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, (uint64_t)(text[i] - '0'), &whole))
            return -ERANGE;
    if (i < length && text[i] == '.') {
        for (i++; i < length && isdigit((unsigned char)text[i]); i++, digits = true) {
            if (divisor >= 1000000000000ull)
                continue; /* finer than anything here */
            fraction = fraction * 10 + (uint64_t)(text[i] - '0');
            divisor *= 10;
        }
    }
    if (i != length || !digits)
        return -EINVAL;
    if (__builtin_mul_overflow(whole, unit, &whole))
        return -ERANGE;
    fraction = (uint64_t)((unsigned __int128)fraction * unit / divisor);
    return __builtin_add_overflow(whole, fraction, value) ? -ERANGE : 0;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static int with_unit(const char *text, const struct unit *units, uint64_t *value)
{
    size_t number = strspn(text, "0123456789.");

    if (number == 0)
        return -EINVAL;
    for (; units->name != NULL; units++)
        if (strcasecmp(text + number, units->name) == 0)
            return scaled(text, number, units->factor, value);
    return -EINVAL;
}

int parse_frames(const char *text, uint64_t *frames)
{
    static const struct unit units[] = {
        { "", 1ull << 20 },   { "k", 1ull << 10 },   { "kb", 1ull << 10 }, { "kib", 1ull << 10 }, { "m", 1ull << 20 },
        { "mb", 1ull << 20 }, { "mib", 1ull << 20 }, { "g", 1ull << 30 },  { "gb", 1ull << 30 },  { "gib", 1ull << 30 },
        { "t", 1ull << 40 },  { "tib", 1ull << 40 }, { NULL, 0 },
    };
    uint64_t bytes;
    int rc = with_unit(text, units, &bytes);

    if (rc != 0)
        return rc;
    *frames = bytes / 4096;
    return *frames == 0 ? -ERANGE : 0;
}

int parse_duration_ns(const char *text, uint64_t *ns)
{
    static const struct unit units[] = {
        { "", 1 }, { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000ull }, { "min", 60000000000ull }, { NULL, 0 },
    };

    return with_unit(text, units, ns);
}

int parse_bool(const char *text, uint64_t *value)
{
    static const char *const yes[] = { "yes", "on", "true", "1" }, *const no[] = { "no", "off", "false", "0" };

    for (size_t i = 0; i < 4; i++) {
        if (strcasecmp(text, yes[i]) == 0)
            return *value = 1, 0;
        if (strcasecmp(text, no[i]) == 0)
            return *value = 0, 0;
    }
    return -EINVAL;
}

static int parse_cpu(const char **text, unsigned int cpus, unsigned int *cpu)
{
    char *end;
    unsigned long value;

    if (!isdigit((unsigned char)**text))
        return -EINVAL;
    value = strtoul(*text, &end, 10);
    *text = end;
    *cpu = (unsigned int)value;
    return value >= cpus || value >= COLLET_VCPUS_MAX ? -ERANGE : 0;
}

int parse_cpus(const char *text, unsigned int cpus, uint64_t *mask)
{
    if (strcmp(text, "all") == 0)
        return *mask = ~0ull, 0;
    *mask = 0;
    for (;;) {
        unsigned int first, last;
        int rc = parse_cpu(&text, cpus, &first);

        if (rc != 0)
            return rc;
        last = first;
        if (*text == '-') {
            text++;
            rc = parse_cpu(&text, cpus, &last);
            if (rc != 0)
                return rc;
        }
        if (last < first)
            return -EINVAL;
        for (unsigned int cpu = first; cpu <= last; cpu++)
            *mask |= 1ull << cpu;
        if (*text == 0)
            return 0;
        if (*text++ != ',')
            return -EINVAL;
    }
}

char *format_duration(char to[FORMAT_BYTES], uint64_t ns)
{
    if (ns < 10000)
        snprintf(to, FORMAT_BYTES, "%" PRIu64 "%s", ns >= 1000 && ns % 1000 == 0 ? ns / 1000 : ns, ns >= 1000 && ns % 1000 == 0 ? "us" : "ns");
    else if (ns < 10000000)
        snprintf(to, FORMAT_BYTES, "%" PRIu64 "us", ns / 1000);
    else if (ns < 10000000000ull)
        snprintf(to, FORMAT_BYTES, "%" PRIu64 "ms", ns / 1000000);
    else
        snprintf(to, FORMAT_BYTES, "%.1fs", (double)ns / 1e9);
    return to;
}

char *format_exact_ns(char to[FORMAT_BYTES], uint64_t ns)
{
    static const struct unit units[] = { { "s", 1000000000ull }, { "ms", 1000000 }, { "us", 1000 }, { "ns", 1 } };
    size_t i = 0;

    if (ns == 0)
        return strcpy(to, "0");
    while (ns % units[i].factor != 0)
        i++;
    snprintf(to, FORMAT_BYTES, "%" PRIu64 "%s", ns / units[i].factor, units[i].name);
    return to;
}

char *format_uptime(char to[FORMAT_BYTES], uint64_t ns)
{
    unsigned long long s = ns / 1000000000ull, days = s / 86400;

    if (days != 0)
        snprintf(to, FORMAT_BYTES, "%llud %02llu:%02llu:%02llu", days, s / 3600 % 24, s / 60 % 60, s % 60);
    else
        snprintf(to, FORMAT_BYTES, "%02llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
    return to;
}

char *format_size(char to[FORMAT_BYTES], uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
    double value = (double)bytes;
    size_t i = 0;

    while (value >= 1024 && i < 5) {
        value /= 1024;
        i++;
    }
    snprintf(to, FORMAT_BYTES, i == 0 ? "%.0f %s" : "%.1f %s", value, units[i]);
    return to;
}

char *format_cpus(char to[256], uint64_t mask, unsigned int cpus)
{
    uint64_t there = cpus >= 64 ? ~0ull : (1ull << cpus) - 1;
    size_t used = 0;

    to[0] = 0;
    mask &= there;
    if (mask == there)
        return strcpy(to, "all");
    for (unsigned int cpu = 0; cpu < cpus && cpu < 64; cpu++) {
        unsigned int last = cpu;

        if ((mask >> cpu & 1) == 0)
            continue;
        while (last + 1 < 64 && (mask >> (last + 1) & 1) != 0)
            last++;
        used += (size_t)snprintf(to + used, 256 - used, last > cpu ? "%s%u-%u" : "%s%u", used != 0 ? "," : "", cpu, last);
        cpu = last;
    }
    return to[0] != 0 ? to : strcpy(to, "none");
}

uint64_t latency_percentile(const uint64_t *buckets, unsigned int permille, uint64_t max_ns)
{
    uint64_t total = 0, seen = 0, wanted;

    for (unsigned int i = 0; i < COLLET_LATENCY_BUCKETS; i++)
        total += buckets[i];
    if (total == 0)
        return 0;
    wanted = (uint64_t)(((unsigned __int128)total * permille + 999) / 1000);
    for (unsigned int i = 0; i + 1 < COLLET_LATENCY_BUCKETS; i++) {
        seen += buckets[i];
        if (seen >= wanted)
            return 1000ull << i;
    }
    return max_ns;
}
