// SPDX-License-Identifier: MIT
/* Classic BPF: what is refused, what instructions do; random programs on random packets against libpcap's own machine. BPF_SEED repeats a random run. */
// needs: bpf.c
// libs: -lpcap
#include <vfr/bpf.h>

#include <check.h>
#include <pcap/bpf.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 20) % below);
}

static uint64_t new_seed(void)
{
    const char *given = getenv("BPF_SEED");

    return given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
}

static uint32_t run_one(const struct vfr_bpf_insn *program, uint32_t count, const uint8_t *packet, uint32_t seen, uint32_t bytes)
{
    ck_assert_ptr_null(vfr_bpf_check(program, count, NULL));
    return vfr_bpf_run(program, packet, seen, bytes);
}

static const char *refused(struct vfr_bpf_insn insn)
{
    struct vfr_bpf_insn program[2] = { insn, { BPF_RET | BPF_K, 0, 0, 0 } };

    return vfr_bpf_check(program, 2, NULL);
}

START_TEST(what_is_refused)
{
    struct vfr_bpf_insn open_end[2] = { { BPF_RET | BPF_K, 0, 0, 1 }, { BPF_LD | BPF_IMM, 0, 0, 1 } };
    static struct vfr_bpf_insn many[VFR_BPF_MAX + 1];
    uint32_t at = 77;

    ck_assert_ptr_nonnull(vfr_bpf_check(open_end, 0, &at));
    ck_assert_ptr_nonnull(vfr_bpf_check(open_end, 2, &at));
    ck_assert_uint_eq(at, 1);
    for (uint32_t i = 0; i <= VFR_BPF_MAX; i++)
        many[i].code = BPF_RET | BPF_K;
    ck_assert_ptr_null(vfr_bpf_check(many, VFR_BPF_MAX, NULL));
    ck_assert_ptr_nonnull(vfr_bpf_check(many, VFR_BPF_MAX + 1, NULL));
    ck_assert_ptr_nonnull(refused((struct vfr_bpf_insn){ BPF_JMP | BPF_JA, 0, 0, 1 }));
    ck_assert_ptr_null(refused((struct vfr_bpf_insn){ BPF_JMP | BPF_JA, 0, 0, 0 }));
    ck_assert_ptr_nonnull(refused((struct vfr_bpf_insn){ BPF_JMP | BPF_JA, 0, 0, 0xffffffff }));
    ck_assert_ptr_nonnull(refused((struct vfr_bpf_insn){ BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0 }));
    ck_assert_ptr_nonnull(refused((struct vfr_bpf_insn){ BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0 }));
    ck_assert_ptr_nonnull(refused((struct vfr_bpf_insn){ BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0 }));
    ck_assert_ptr_nonnull(refused((struct vfr_bpf_insn){ BPF_ALU | BPF_MOD | BPF_K, 0, 0, 0 }));
    ck_assert_ptr_nonnull(refused((struct vfr_bpf_insn){ BPF_ALU | BPF_LSH | BPF_K, 0, 0, 32 }));
    ck_assert_ptr_nonnull(refused((struct vfr_bpf_insn){ BPF_ST, 0, 0, 16 }));
    ck_assert_ptr_nonnull(refused((struct vfr_bpf_insn){ BPF_LDX | BPF_MEM, 0, 0, 0xffffffff }));
    ck_assert_ptr_nonnull(refused((struct vfr_bpf_insn){ BPF_LD | BPF_B | BPF_ABS, 0, 0, 0xfffff02c })); /* Linux: VLAN tag */
    for (uint32_t code = 0; code < 0x10000; code++)
        if (refused((struct vfr_bpf_insn){ (uint16_t)code, 0, 0, 1 }) == NULL)
            ck_assert_uint_lt(code, 0xb8);
}
END_TEST

START_TEST(loads_end_where_the_view_ends)
{
    static const uint8_t packet[8] = { 0x45, 2, 3, 4, 5, 6, 7, 8 };
    struct vfr_bpf_insn program[2] = { { BPF_LD | BPF_W | BPF_ABS, 0, 0, 4 }, { BPF_RET | BPF_A, 0, 0, 0 } };
    struct vfr_bpf_insn indirect[3] = { { BPF_LDX | BPF_IMM, 0, 0, 0xffffffff }, { BPF_LD | BPF_B | BPF_IND, 0, 0, 5 }, { BPF_RET | BPF_K, 0, 0, 1 } };

    ck_assert_uint_eq(run_one(program, 2, packet, 8, 8), 0x05060708);
    ck_assert_uint_eq(run_one(program, 2, packet, 7, 8), 0); /* it is in the packet, but not seen */
    program[0].k = 0x7fffffff;
    ck_assert_uint_eq(run_one(program, 2, packet, 8, 8), 0);
    ck_assert_uint_eq(run_one(indirect, 3, packet, 8, 8), 0); /* no wrap around */
    program[0].code = BPF_LD | BPF_W | BPF_LEN;
    ck_assert_uint_eq(run_one(program, 2, packet, 8, 1500), 1500);
}
END_TEST

START_TEST(division_by_x_of_zero_does_not_match)
{
    struct vfr_bpf_insn program[3] = { { BPF_LD | BPF_IMM, 0, 0, 7 }, { BPF_ALU | BPF_DIV | BPF_X, 0, 0, 0 }, { BPF_RET | BPF_K, 0, 0, 1 } };

    ck_assert_uint_eq(run_one(program, 3, (const uint8_t *)"", 0, 0), 0);
    program[1].code = BPF_ALU | BPF_MOD | BPF_X;
    ck_assert_uint_eq(run_one(program, 3, (const uint8_t *)"", 0, 0), 0);
}
END_TEST

/* One that the check may accept, as often as not. */
static void draw_program(struct vfr_bpf_insn *program, uint32_t count)
{
    static const uint16_t codes[] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25, 0x28, 0x2c, 0x2d, 0x30, 0x34, 0x35, 0x3c, 0x3d,
                                      0x40, 0x44, 0x45, 0x48, 0x4c, 0x4d, 0x50, 0x54, 0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0x94, 0x9c, 0xa4, 0xac, 0xb1 };

    for (uint32_t i = 0; i < count; i++) {
        struct vfr_bpf_insn *insn = &program[i];

        insn->code = codes[draw(sizeof(codes) / sizeof(codes[0]))];
        insn->jt = (uint8_t)draw(count - i);
        insn->jf = (uint8_t)draw(count - i);
        insn->k = draw(8) == 0 ? draw(0xffffffff) : draw(16);
        if ((insn->code & 7) == BPF_RET && i + 1 < count && draw(4) != 0)
            insn->code = BPF_MISC | BPF_TXA;
    }
    program[count - 1].code = BPF_RET | (draw(2) != 0 ? BPF_A : BPF_K);
    /* libpcap leaves memory as it was: begin with all of it written. */
    for (uint32_t i = 0; i < VFR_BPF_MEMORY && i + 1 < count; i++)
        program[i] = (struct vfr_bpf_insn){ BPF_ST, 0, 0, i };
}

START_TEST(random_programs_do_what_those_of_libpcap_do)
{
    uint32_t ran = 0;

    seed = new_seed();
    printf("bpf: seed %llu\n", (unsigned long long)seed);
    for (uint32_t n = 0; n < 200000; n++) {
        struct vfr_bpf_insn program[40];
        struct bpf_insn theirs[40];
        uint8_t packet[64];
        uint32_t count = 17 + draw(23), seen = draw(sizeof(packet) + 1), bytes = seen + draw(3) * 100, ours;

        draw_program(program, count);
        for (uint32_t i = 0; i < sizeof(packet); i++)
            packet[i] = (uint8_t)draw(256);
        if (vfr_bpf_check(program, count, NULL) != NULL)
            continue;
        memcpy(theirs, program, count * sizeof(theirs[0]));
        ck_assert(bpf_validate(theirs, (int)count));
        ran++;
        ours = vfr_bpf_run(program, packet, seen, bytes);
        if (ours != bpf_filter(theirs, packet, bytes, seen))
            ck_abort_msg("run %u", n);
    }
    ck_assert_uint_gt(ran, 1000);
}
END_TEST

START_TEST(expressions_of_libpcap_are_accepted)
{
    static const char *const expressions[] = { "tcp[tcpflags] & tcp-syn != 0", "host 10.0.0.1 and port 80", "ip6 and udp", "vlan 7 and icmp", "greater 1000", "ip[0] & 0xf > 5", "tcp[((tcp[12]&0xf0)>>2):4] = 0x47455420", "ether broadcast", "ip6 protochain 6" };
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 256);

    for (uint32_t i = 0; i < sizeof(expressions) / sizeof(expressions[0]); i++) {
        struct bpf_program program;
        bool loops = strstr(expressions[i], "protochain") != NULL; /* compiled to a loop: jumps backward are refused */

        ck_assert_int_eq(pcap_compile(pcap, &program, expressions[i], 1, PCAP_NETMASK_UNKNOWN), 0);
        ck_assert_msg((vfr_bpf_check((const struct vfr_bpf_insn *)program.bf_insns, program.bf_len, NULL) == NULL) == !loops, "%s", expressions[i]);
        pcap_freecode(&program);
    }
    pcap_close(pcap);
}
END_TEST

Suite *suite_bpf(void);
Suite *suite_bpf(void)
{
    Suite *suite = suite_create("bpf");
    TCase *tests = tcase_create("bpf");

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_is_refused);
    tcase_add_test(tests, loads_end_where_the_view_ends);
    tcase_add_test(tests, division_by_x_of_zero_does_not_match);
    tcase_add_test(tests, random_programs_do_what_those_of_libpcap_do);
    tcase_add_test(tests, expressions_of_libpcap_are_accepted);
    return suite;
}
