// SPDX-License-Identifier: MIT
/*
 * Formatting into a buffer: %d %i %u %x %X %o %p %s %c %%, with - 0 # + space, width, precision (both may be *), and hh h l ll z t j. No floats.
 * Always terminates (size > 0) and returns the length the whole text would have. An unknown conversion is copied as it stands.
 * Contract: log.h. Tests: test-printf.c.
 */
#include "log.h"

struct output {
    char *buf;
    size_t size;
    size_t length; /* of the whole text, also what did not fit */
};

struct format {
    bool left, zero, alternate, plus, space, upper;
    int width;
    int precision; /* -1: none */
    int size;      /* bytes of the argument */
};

static void put(struct output *out, char c)
{
    if (out->length + 1 < out->size)
        out->buf[out->length] = c;
    out->length++;
}

static void put_padding(struct output *out, char c, int count)
{
    while (count-- > 0)
        put(out, c);
}

static void put_string(struct output *out, const struct format *f, const char *s)
{
    int length = 0;

    if (s == NULL)
        s = "(null)";
    while ((f->precision < 0 || length < f->precision) && s[length] != '\0')
        length++;
    if (!f->left)
        put_padding(out, ' ', f->width - length);
    for (int i = 0; i < length; i++)
        put(out, s[i]);
    if (f->left)
        put_padding(out, ' ', f->width - length);
}

static void put_number(struct output *out, const struct format *f, uint64_t value, unsigned int base, const char *prefix)
{
    const char *digits = f->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char reversed[24];
    int count = 0, prefix_length = 0, zeros;

    for (; value != 0; value /= base)
        reversed[count++] = digits[value % base];
    if (count == 0 && f->precision != 0)
        reversed[count++] = '0';
    while (prefix[prefix_length] != '\0')
        prefix_length++;

    zeros = f->precision - count;
    if (f->precision < 0 && f->zero && !f->left)
        zeros = f->width - prefix_length - count;
    zeros = max(zeros, 0);
    if (!f->left)
        put_padding(out, ' ', f->width - prefix_length - zeros - count);
    for (int i = 0; i < prefix_length; i++)
        put(out, prefix[i]);
    put_padding(out, '0', zeros);
    for (int i = count; i > 0; i--)
        put(out, reversed[i - 1]);
    if (f->left)
        put_padding(out, ' ', f->width - prefix_length - zeros - count);
}

static void put_signed(struct output *out, const struct format *f, int64_t value)
{
    const char *sign = value < 0 ? "-" : f->plus ? "+" : f->space ? " " : "";

    put_number(out, f, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, sign);
}

static int parse_number(const char **at)
{
    int n = 0;

    for (; **at >= '0' && **at <= '9'; (*at)++)
        n = n < 100000 ? n * 10 + (**at - '0') : n;
    return n;
}

static const char *parse_flags(const char *at, struct format *f)
{
    for (;; at++) {
        switch (*at) {
        case '-': f->left = true; break;
        case '0': f->zero = true; break;
        case '#': f->alternate = true; break;
        case '+': f->plus = true; break;
        case ' ': f->space = true; break;
        default: return at;
        }
    }
}

static const char *parse_size(const char *at, struct format *f)
{
    if (at[0] == 'h') {
        f->size = at[1] == 'h' ? 1 : 2;
        return at + (at[1] == 'h' ? 2 : 1);
    }
    if (at[0] == 'l' || at[0] == 'z' || at[0] == 't' || at[0] == 'j') {
        f->size = 8;
        return at + (at[0] == 'l' && at[1] == 'l' ? 2 : 1);
    }
    return at;
}

static uint64_t truncate_to(uint64_t value, int size)
{
    return size == 8 ? value : value & ((1ull << (size * 8)) - 1);
}

static int64_t sign_extend_from(int64_t value, int size)
{
    return size == 1 ? (int8_t)value : size == 2 ? (int16_t)value : size == 4 ? (int32_t)value : value;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
    struct output out = {.buf = buf, .size = size};

    while (*fmt != '\0') {
        struct format f = {.precision = -1, .size = 4};
        const char *start = fmt;
        char c[2] = {0, 0};
        uint64_t value;

        if (*fmt != '%') {
            put(&out, *fmt++);
            continue;
        }
        fmt = parse_flags(fmt + 1, &f);
        if (*fmt == '*') {
            f.width = va_arg(args, int);
            if (f.width < 0) {
                f.left = true;
                f.width = f.width == INT32_MIN ? 0 : -f.width;
            }
            fmt++;
        } else {
            f.width = parse_number(&fmt);
        }
        if (*fmt == '.') {
            fmt++;
            if (*fmt == '*') {
                f.precision = max(va_arg(args, int), -1);
                fmt++;
            } else {
                f.precision = parse_number(&fmt);
            }
        }
        fmt = parse_size(fmt, &f);

        switch (*fmt) {
        case 'd':
        case 'i':
            put_signed(&out, &f, f.size == 8 ? va_arg(args, int64_t) : sign_extend_from(va_arg(args, int), f.size));
            break;
        case 'u':
        case 'x':
        case 'X':
        case 'o':
            value = f.size == 8 ? va_arg(args, uint64_t) : truncate_to(va_arg(args, unsigned int), f.size);
            f.upper = *fmt == 'X';
            put_number(&out, &f, value, *fmt == 'u' ? 10 : *fmt == 'o' ? 8 : 16,
                       f.alternate && value != 0 && *fmt != 'u' ? (*fmt == 'o' ? "0" : "0x") : "");
            break;
        case 'p':
            put_number(&out, &f, (uint64_t)(uintptr_t)va_arg(args, void *), 16, "0x");
            break;
        case 's':
            put_string(&out, &f, va_arg(args, const char *));
            break;
        case 'c':
            c[0] = (char)va_arg(args, int);
            if (c[0] == '\0') {
                put(&out, c[0]); /* a string of it would be empty */
                break;
            }
            f.precision = 1;
            put_string(&out, &f, c);
            break;
        case '%':
            put(&out, '%');
            break;
        default:
            for (; start < fmt; start++)
                put(&out, *start);
            continue;
        }
        fmt++;
    }
    if (size > 0)
        buf[min(out.length, size - 1)] = '\0';
    return (int)out.length;
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
