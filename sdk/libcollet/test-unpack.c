// SPDX-License-Identifier: MIT
/* Unpacking: each form, cut at every length, damaged at random, and too large. Under ASan each input lies in a block of exactly its size. */
// needs: unpack.c unpack-lz4.c mini-kernel.c
// libs: -lz -llzma -lzstd -llz4

#include "internal.h"
#include "mini-kernel.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_BYTES 300000u
#define LIMIT_BYTES (8u << 20)

struct memory_sink {
    struct unpack_sink sink;
    uint8_t *bytes;
    size_t count, room;
};

static int take(struct unpack_sink *sink, const void *bytes, size_t count)
{
    struct memory_sink *m = (struct memory_sink *)sink;

    if (m->bytes == NULL)
        return 0;
    if (count > m->room - m->count)
        return -ENOSPC;
    memcpy(m->bytes + m->count, bytes, count);
    m->count += count;
    return 0;
}

static uint8_t *plain;

static void setup(void)
{
    plain = malloc(PLAIN_BYTES);
    for (unsigned int i = 0; i < PLAIN_BYTES; i++)
        plain[i] = (uint8_t)(i % 251 ^ i >> 11);
}

static void teardown(void)
{
    free(plain);
}

static const enum packing packings[] = {PACK_GZIP, PACK_XZ, PACK_ZSTD, PACK_LZ4};

START_TEST(each_form_comes_out_as_it_went_in)
{
    struct memory_sink m = {.sink = {.take = take, .limit = LIMIT_BYTES}, .bytes = malloc(PLAIN_BYTES), .room = PLAIN_BYTES};
    const char *why;
    size_t n;
    uint8_t *p = mini_pack(packings[_i], plain, PLAIN_BYTES, &n);

    ck_assert_ptr_nonnull(unpack_form(p, n));
    ck_assert_int_eq(unpack(p, n, &m.sink, &why), 0);
    ck_assert_uint_eq(m.count, PLAIN_BYTES);
    ck_assert_uint_eq(m.sink.total, PLAIN_BYTES);
    ck_assert_mem_eq(m.bytes, plain, PLAIN_BYTES);
    free(m.bytes);
    free(p);
}
END_TEST

START_TEST(a_sink_that_refuses_ends_it)
{
    struct memory_sink m = {.sink = {.take = take, .limit = LIMIT_BYTES}, .bytes = malloc(1000), .room = 1000};
    const char *why;
    size_t n;
    uint8_t *p = mini_pack(packings[_i], plain, PLAIN_BYTES, &n);

    ck_assert_int_eq(unpack(p, n, &m.sink, &why), -ENOSPC);
    free(m.bytes);
    free(p);
}
END_TEST

START_TEST(every_cut_is_noticed)
{
    struct memory_sink m = {.sink = {.take = take, .limit = LIMIT_BYTES}};
    const char *why;
    size_t n, step;
    uint8_t *p = mini_pack(packings[_i], plain, PLAIN_BYTES, &n);

    step = n > 3000 ? n / 400 : 1;
    for (size_t cut = 0; cut < n; cut += cut < 64 || cut + 64 >= n ? 1 : step) {
        uint8_t *part = malloc(cut + !cut);

        memcpy(part, p, cut);
        ck_assert_msg(unpack(part, cut, &m.sink, &why) == -ENOEXEC, "%zu of %zu bytes were taken", cut, n);
        ck_assert_ptr_nonnull(why);
        free(part);
    }
    free(p);
}
END_TEST

START_TEST(damage_does_no_harm)
{
    struct memory_sink m = {.sink = {.take = take, .limit = LIMIT_BYTES}};
    unsigned int seed = 7 + (unsigned int)_i;
    const char *why;
    size_t n;
    uint8_t *p = mini_pack(packings[_i], plain, PLAIN_BYTES, &n);

    printf("seed %u\n", seed);
    for (int round = 0; round < 600; round++) {
        uint8_t *bad = malloc(n);
        int count = 1 + rand_r(&seed) % 4, rc;

        memcpy(bad, p, n);
        while (count-- > 0)
            bad[(round % 2 ? (size_t)rand_r(&seed) : (size_t)rand_r(&seed) % 64) % n] = (uint8_t)rand_r(&seed);
        why = NULL;
        rc = unpack(bad, n, &m.sink, &why);
        ck_assert(rc == 0 || (rc < 0 && why != NULL)); /* a header's time or name may change unnoticed */
        free(bad);
    }
    free(p);
}
END_TEST

START_TEST(bombs_are_stopped)
{
    struct memory_sink m = {.sink = {.take = take, .limit = LIMIT_BYTES}};
    size_t n, size = LIMIT_BYTES + 1;
    uint8_t *zeroes = calloc(1, size), *p = mini_pack(packings[_i], zeroes, size, &n);
    const char *why;

    free(zeroes);
    ck_assert_int_eq(unpack(p, n, &m.sink, &why), -EFBIG);
    ck_assert_ptr_nonnull(strstr(why, "far more"));
    free(p);
}
END_TEST

START_TEST(other_forms_are_named)
{
    struct memory_sink m = {.sink = {.take = take, .limit = LIMIT_BYTES}};
    const char *why;

    ck_assert_int_eq(unpack((const uint8_t *)"\x89LZO and so on", 14, &m.sink, &why), -ENOEXEC);
    ck_assert_ptr_nonnull(strstr(why, "with lzo"));
    ck_assert_int_eq(unpack((const uint8_t *)"what is this?", 13, &m.sink, &why), -ENOEXEC);
    ck_assert_ptr_nonnull(strstr(why, "not known"));
    ck_assert_ptr_null(unpack_form((const uint8_t *)"\x1f", 1));
}
END_TEST

START_TEST(bzimage_tells_its_payload)
{
    size_t n, bytes;
    uint8_t *image = mini_bzimage(PACK_XZ, plain, PLAIN_BYTES, &n);
    const uint8_t *payload;
    const char *why;

    ck_assert_int_eq(bzimage_payload(image, n, &payload, &bytes, &why), 0);
    ck_assert_ptr_eq(payload, image + 3 * 512 + 0x123);
    ck_assert_uint_eq(bytes, n - 3 * 512 - 0x123);
    for (size_t cut = 0; cut < n; cut += cut < 2000 ? 1 : 997) {
        uint8_t *part = malloc(cut + !cut);
        int rc;

        memcpy(part, image, cut);
        rc = bzimage_payload(part, cut, &payload, &bytes, &why);
        ck_assert(rc == -ENOENT || rc == -ENOEXEC);
        free(part);
    }
    free(image);
}
END_TEST

START_TEST(damaged_setup_headers_do_no_harm)
{
    unsigned int seed = 11;
    size_t n, bytes;
    uint8_t *image = mini_bzimage(PACK_GZIP, plain, 1000, &n), *bad = malloc(n);
    const uint8_t *payload;
    const char *why;

    printf("seed %u\n", seed);
    for (int round = 0; round < 50000; round++) {
        memcpy(bad, image, n);
        for (int i = rand_r(&seed) % 4; i >= 0; i--)
            bad[0x1f1 + rand_r(&seed) % 0x70] = (uint8_t)rand_r(&seed);
        if (bzimage_payload(bad, n, &payload, &bytes, &why) == 0) {
            ck_assert(payload >= bad && payload < bad + n);
            ck_assert_uint_le(bytes, (size_t)(bad + n - payload));
        }
    }
    free(bad);
    free(image);
}
END_TEST

Suite *suite_unpack(void);
Suite *suite_unpack(void)
{
    Suite *s = suite_create("unpack");
    TCase *t = tcase_create("unpack");

    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, each_form_comes_out_as_it_went_in, 0, 4);
    tcase_add_loop_test(t, a_sink_that_refuses_ends_it, 0, 4);
    tcase_add_loop_test(t, every_cut_is_noticed, 0, 4);
    tcase_add_loop_test(t, damage_does_no_harm, 0, 4);
    tcase_add_loop_test(t, bombs_are_stopped, 0, 4);
    tcase_add_test(t, other_forms_are_named);
    tcase_add_test(t, bzimage_tells_its_payload);
    tcase_add_test(t, damaged_setup_headers_do_no_harm);
    suite_add_tcase(s, t);
    return s;
}
