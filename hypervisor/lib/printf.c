/* SPDX-License-Identifier: MIT */
/*
 * vsnprintf: the subset of log.h. Never writes beyond `size`, always terminates (size > 0), answers the length that the whole text has.
 * Tests: test-printf.c.
 */
#include "log.h"

struct out {
    char *buf;
    size_t size, at;
};

struct spec {
    bool left, zero, hash;
    int width, precision;
    int longs; /* 0 int, 1 long and size_t, 2 long long, -1 short, -2 char */
};

static void put(struct out *o, char c)
{
    if (o->at + 1 < o->size)
        o->buf[o->at] = c;
    o->at++;
}

static void pad(struct out *o, int n, char c)
{
    while (n-- > 0)
        put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *text, int length)
{
    int fill = s->width - length;

    if (!s->left)
        pad(o, fill, ' ');
    while (length-- > 0)
        put(o, *text++);
    if (s->left)
        pad(o, fill, ' ');
}

static void put_number(struct out *o, const struct spec *s, unsigned long long value, bool negative, unsigned int base, bool upper)
{
    char digits[24];
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    int n = 0, signs = negative + (s->hash && base == 16 ? 2 : 0), zeros, fill;

    do {
        digits[n++] = set[value % base];
        value /= base;
    } while (value != 0);
    zeros = s->precision > n ? s->precision - n : 0;
    if (s->zero && !s->left && s->precision < 0 && s->width > n + signs)
        zeros = s->width - n - signs;
    fill = s->width - n - zeros - signs;
    if (!s->left)
        pad(o, fill, ' ');
    if (negative)
        put(o, '-');
    if (s->hash && base == 16) {
        put(o, '0');
        put(o, upper ? 'X' : 'x');
    }
    pad(o, zeros, '0');
    while (n-- > 0)
        put(o, digits[n]);
    if (s->left)
        pad(o, fill, ' ');
}

static int read_number(const char **fmt)
{
    int n = 0;

    while (**fmt >= '0' && **fmt <= '9')
        n = n * 10 + *(*fmt)++ - '0';
    return n;
}

static const char *read_spec(const char *fmt, struct spec *s, va_list *args)
{
    *s = (struct spec){.precision = -1};
    for (;; fmt++) {
        if (*fmt == '-')
            s->left = true;
        else if (*fmt == '0')
            s->zero = true;
        else if (*fmt == '#')
            s->hash = true;
        else
            break;
    }
    if (*fmt == '*') {
        s->width = va_arg(*args, int);
        fmt++;
    } else {
        s->width = read_number(&fmt);
    }
    if (*fmt == '.') {
        fmt++;
        if (*fmt == '*') {
            s->precision = va_arg(*args, int);
            fmt++;
        } else {
            s->precision = read_number(&fmt);
        }
    }
    for (;; fmt++) {
        if (*fmt == 'l')
            s->longs++;
        else if (*fmt == 'h')
            s->longs--;
        else if (*fmt == 'z')
            s->longs = 1;
        else
            return fmt;
    }
}

static unsigned long long read_unsigned(const struct spec *s, va_list *args)
{
    if (s->longs > 1)
        return va_arg(*args, unsigned long long);
    if (s->longs == 1)
        return va_arg(*args, unsigned long);
    if (s->longs == -1)
        return (unsigned short)va_arg(*args, unsigned int);
    if (s->longs < -1)
        return (unsigned char)va_arg(*args, unsigned int);
    return va_arg(*args, unsigned int);
}

static void put_signed(struct out *o, const struct spec *s, va_list *args)
{
    long long value;

    if (s->longs > 1)
        value = va_arg(*args, long long);
    else if (s->longs == 1)
        value = va_arg(*args, long);
    else
        value = va_arg(*args, int);
    if (s->longs == -1)
        value = (short)value;
    else if (s->longs < -1)
        value = (signed char)value;
    put_number(o, s, value < 0 ? 0ull - (unsigned long long)value : (unsigned long long)value, value < 0, 10, false);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
    int length = 0;

    if (text == NULL)
        text = "(null)";
    while ((s->precision < 0 || length < s->precision) && text[length] != '\0')
        length++;
    put_text(o, s, text, length);
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
    struct out o = {buf, size, 0};
    struct spec s;
    va_list list;
    char c;

    va_copy(list, args);
    for (; *fmt != '\0'; fmt++) {
        if (*fmt != '%') {
            put(&o, *fmt);
            continue;
        }
        fmt = read_spec(fmt + 1, &s, &list);
        switch (*fmt) {
        case 'd':
        case 'i':
            put_signed(&o, &s, &list);
            break;
        case 'u':
            put_number(&o, &s, read_unsigned(&s, &list), false, 10, false);
            break;
        case 'x':
        case 'X':
            put_number(&o, &s, read_unsigned(&s, &list), false, 16, *fmt == 'X');
            break;
        case 'p':
            s.hash = true;
            put_number(&o, &s, (unsigned long)va_arg(list, void *), false, 16, false);
            break;
        case 's':
            put_string(&o, &s, va_arg(list, const char *));
            break;
        case 'c':
            c = (char)va_arg(list, int);
            put_text(&o, &s, &c, 1);
            break;
        case '%':
            put(&o, '%');
            break;
        default: /* what we do not know is shown as it stands */
            put(&o, '%');
            if (*fmt == '\0')
                fmt--;
            else
                put(&o, *fmt);
        }
    }
    va_end(list);
    if (size > 0)
        buf[o.at < size ? o.at : size - 1] = '\0';
    return (int)o.at;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(buf, size, fmt, args);
    va_end(args);
    return n;
}
