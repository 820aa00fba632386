// SPDX-License-Identifier: MIT
/*
 * What a tiny kernel says: formatted output through console_io, named results, and its command line. Each call of print() is one console write, so
 * lines of two vCPUs do not mix.
 */
#include "mini.h"

static unsigned int passed, failed, skipped;
static int quiet = -1; /* quiet=1: no line for what is as it should be; an unprivileged domain's lines are limited in rate */

struct out {
    char *at, *end;
};

static void out_char(struct out *o, char c)
{
    if (o->at < o->end)
        *o->at = c;
    o->at++;
}

static void out_number(struct out *o, uint64_t value, unsigned int base, int width, char fill, bool minus)
{
    char digits[24];
    int count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (minus)
        digits[count++] = '-';
    for (; width > count; width--)
        out_char(o, fill);
    while (count > 0)
        out_char(o, digits[--count]);
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
    struct out o = {buf, buf + size - 1};

    for (; *fmt != '\0'; fmt++) {
        int width = 0, longs = 0;
        char fill = ' ';

        if (*fmt != '%') {
            out_char(&o, *fmt);
            continue;
        }
        if (*++fmt == '0')
            fill = '0';
        for (; *fmt >= '0' && *fmt <= '9'; fmt++)
            width = width * 10 + *fmt - '0';
        for (; *fmt == 'l' || *fmt == 'z'; fmt++)
            longs++;
        switch (*fmt) {
        case 'd': {
            long v = longs ? va_arg(args, long) : va_arg(args, int);
            out_number(&o, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, width, fill, v < 0);
            break;
        }
        case 'u':
            out_number(&o, longs ? va_arg(args, unsigned long) : va_arg(args, unsigned int), 10, width, fill, false);
            break;
        case 'p':
        case 'x':
            out_number(&o, longs || *fmt == 'p' ? va_arg(args, unsigned long) : va_arg(args, unsigned int), 16, width, fill, false);
            break;
        case 'c':
            out_char(&o, (char)va_arg(args, int));
            break;
        case 's':
            for (const char *s = va_arg(args, const char *); *s != '\0'; s++)
                out_char(&o, *s);
            break;
        default:
            out_char(&o, *fmt);
        }
    }
    *(o.at < o.end ? o.at : o.end) = '\0';
    return (int)(o.at - buf);
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list args;
    int length;

    va_start(args, fmt);
    length = vsnprintf(buf, size, fmt, args);
    va_end(args);
    return length;
}

static void vprint(const char *before, const char *fmt, va_list args)
{
    char line[320];
    size_t length;

    snprintf(line, sizeof(line), "%s", before);
    length = strlen(line);
    vsnprintf(line + length, sizeof(line) - length, fmt, args);
    hypercall3(__HYPERVISOR_console_io, CONSOLEIO_write, strlen(line), line);
}

void print(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vprint("", fmt, args);
    va_end(args);
}

void note(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vprint("[t] note ", fmt, args);
    va_end(args);
}

void skip(const char *name, const char *why)
{
    skipped++;
    print("[t] skip %s: %s\n", name, why);
}

static const char *file_name(const char *path)
{
    const char *name = path;

    for (; *path != '\0'; path++)
        if (*path == '/')
            name = path + 1;
    return name;
}

void check_at(const char *file, int line, const char *name, bool good)
{
    if (good) {
        passed++;
        if (quiet < 0)
            quiet = (int)arg_number("quiet", 0);
        if (quiet == 0)
            print("[t] ok %s\n", name);
    } else {
        failed++;
        print("[t] FAIL %s (%s:%d)\n", name, file_name(file), line);
    }
}

void expect_at(const char *file, int line, const char *name, long got, long want)
{
    if (got == want) {
        check_at(file, line, name, true);
    } else {
        failed++;
        print("[t] FAIL %s (%s:%d): got %ld (0x%lx), want %ld (0x%lx)\n", name, file_name(file), line, got, (unsigned long)got, want,
              (unsigned long)want);
    }
}

void expect_any_at(const char *file, int line, const char *name, long got, const long *wants, int count)
{
    for (int i = 0; i < count; i++)
        if (got == wants[i]) {
            check_at(file, line, name, true);
            return;
        }
    expect_at(file, line, name, got, wants[0]);
}

void check_negative(const char *file, int line, const char *name, long got)
{
    if (got < 0 && got > -200) {
        check_at(file, line, name, true);
    } else {
        failed++;
        print("[t] FAIL %s (%s:%d): got %ld (0x%lx), want an error\n", name, file_name(file), line, got, (unsigned long)got);
    }
}

static void shut_down(void)
{
    struct sched_shutdown arg = {.reason = SHUTDOWN_poweroff};
    char end[16];

    if (arg_string("end", end, sizeof(end)) && strcmp(end, "reboot") == 0)
        arg.reason = SHUTDOWN_reboot; /* Debian's Xen powers nothing off on its own, but QEMU ends at a reset */
    for (;;)
        sched_op(SCHEDOP_shutdown, &arg);
}

void finish(void)
{
    print("[t] done: %u passed, %u failed, %u skipped\n", passed, failed, skipped);
    shut_down();
    __builtin_unreachable();
}

void give_up(const char *fmt, ...)
{
    va_list args;

    failed++;
    va_start(args, fmt);
    vprint("[t] FAIL gave up: ", fmt, args);
    va_end(args);
    finish();
}

static const char *arg_find(const char *name)
{
    const char *s = (const char *)start_info->cmd_line;
    size_t length = strlen(name);

    for (; *s != '\0'; s++)
        if ((s == (const char *)start_info->cmd_line || s[-1] == ' ') && memcmp(s, name, length) == 0 && s[length] == '=')
            return s + length + 1;
    return NULL;
}

bool arg_string(const char *name, char *value, size_t size)
{
    const char *s = arg_find(name);

    if (s == NULL)
        return false;
    while (size > 1 && *s != '\0' && *s != ' ') {
        *value++ = *s++;
        size--;
    }
    *value = '\0';
    return true;
}

uint64_t arg_number(const char *name, uint64_t otherwise)
{
    const char *s = arg_find(name);
    uint64_t value = 0, base = 10;

    if (s == NULL)
        return otherwise;
    if (s[0] == '0' && s[1] == 'x') {
        base = 16;
        s += 2;
    }
    for (;; s++) {
        uint64_t digit = *s >= '0' && *s <= '9' ? (uint64_t)(*s - '0') : *s >= 'a' && *s <= 'f' ? (uint64_t)(*s - 'a' + 10) : 99;
        if (digit >= base)
            return value;
        value = value * base + digit;
    }
}

void *memset(void *to, int c, size_t n)
{
    for (uint8_t *p = to; n > 0; n--)
        *p++ = (uint8_t)c;
    return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
    uint8_t *p = to;

    for (const uint8_t *q = from; n > 0; n--)
        *p++ = *q++;
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *p = a, *q = b;

    for (; n > 0; n--, p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}

int strcmp(const char *a, const char *b)
{
    for (; *a != '\0' && *a == *b; a++, b++)
        ;
    return *a - *b;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n] != '\0')
        n++;
    return n;
}
