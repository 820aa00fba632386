// SPDX-License-Identifier: MIT
/*
 * The instruction decoder and the arithmetic behind it: the forms that kernels use, the flags against this very processor, and random bytes.
 */
// needs: decode.c alu.c

#include "alu.h"
#include "decode.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool decode(struct decoded *out, const char *text, unsigned int *length)
{
    uint8_t *bytes = calloc(1, DECODE_BUFFER);
    unsigned int n = 0, value;
    int used;
    bool ok;

    while (sscanf(text, "%2x%n", &value, &used) == 1) {
        bytes[n++] = (uint8_t)value;
        text += used;
    }
    *length = n;
    memset(out, 0xa5, sizeof(*out));
    ok = decode_instruction(out, bytes, n);
    free(bytes);
    return ok;
}

static struct decoded decoded(const char *text)
{
    struct decoded in;
    unsigned int length;

    ck_assert_msg(decode(&in, text, &length), "%s is refused", text);
    ck_assert_msg(in.length == length, "%s has length %u", text, in.length);
    return in;
}

static void refused(const char *text)
{
    struct decoded in;
    unsigned int length;

    ck_assert_msg(!decode(&in, text, &length), "%s is taken as op %u", text, in.op);
}

START_TEST(privileged_instructions_are_known)
{
    static const struct {
        const char *text;
        enum decoded_op op;
    } cases[] = {
        {"0f 30", OP_WRMSR},       {"0f 32", OP_RDMSR},    {"0f 06", OP_CLTS}, {"fa", OP_CLI},      {"fb", OP_STI},     {"f4", OP_HLT},
        {"0f 08", OP_INVD},        {"0f 09", OP_WBINVD},   {"0f 01 d1", OP_XSETBV}, {"ec", OP_IN},  {"ed", OP_IN},      {"66 ed", OP_IN},
        {"e4 42", OP_IN},          {"e7 80", OP_OUT},      {"ee", OP_OUT},     {"f3 6d", OP_INS},   {"6e", OP_OUTS},    {"0f 20 e0", OP_MOV_FROM_CR},
        {"0f 22 e7", OP_MOV_TO_CR}, {"0f 21 f8", OP_MOV_FROM_DR}, {"0f 23 f8", OP_MOV_TO_DR},
    };
    unsigned int i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_int_eq(decoded(cases[i].text).op, cases[i].op);
}
END_TEST

START_TEST(control_register_moves_name_their_registers)
{
    struct decoded in = decoded("44 0f 20 c1"); /* mov %cr8,%rcx */

    ck_assert_int_eq(in.reg, 8);
    ck_assert_int_eq(in.rm, 1);
    in = decoded("41 0f 22 dd"); /* mov %r13,%cr3 */
    ck_assert_int_eq(in.reg, 3);
    ck_assert_int_eq(in.rm, 13);
}
END_TEST

START_TEST(page_table_writes_of_the_stock_kernel)
{
    struct decoded in = decoded("48 87 03"); /* xchg %rax,(%rbx) */

    ck_assert(in.op == OP_XCHG && in.width == 8 && in.memory && in.reg == 0 && in.base == 3 && in.index == DECODE_NO_REG);
    in = decoded("f0 80 20 fd"); /* lock andb $0xfd,(%rax) */
    ck_assert(in.op == OP_AND && in.width == 1 && in.lock && in.source == SOURCE_IMMEDIATE && in.immediate == ~2ull);
    in = decoded("49 89 3c 24"); /* mov %rdi,(%r12) */
    ck_assert(in.op == OP_MOV && in.width == 8 && in.reg == 7 && in.base == 12 && in.index == DECODE_NO_REG);
    in = decoded("48 c7 04 c1 00 00 00 80"); /* movq $-0x80000000,(%rcx,%rax,8) */
    ck_assert(in.op == OP_MOV && in.base == 1 && in.index == 0 && in.scale_shift == 3 && in.immediate == 0xffffffff80000000ull);
    in = decoded("f0 48 0f b1 15 78 56 34 12"); /* lock cmpxchg %rdx,0x12345678(%rip) */
    ck_assert(in.op == OP_CMPXCHG && in.reg == 2 && in.base == DECODE_RIP && in.displacement == 0x12345678);
    in = decoded("f0 48 0f ba 75 f8 05"); /* lock btrq $5,-8(%rbp) */
    ck_assert(in.op == OP_BTR && in.base == 5 && in.displacement == -8 && in.immediate == 5 && in.lock);
    in = decoded("f0 0f b3 08"); /* lock btr %ecx,(%rax) */
    ck_assert(in.op == OP_BTR && in.width == 4 && in.source == SOURCE_REG && in.reg == 1);
    in = decoded("65 48 89 04 25 10 00 00 00"); /* mov %rax,%gs:0x10 */
    ck_assert(in.segment == DECODE_SEG_GS && in.base == DECODE_NO_REG && in.index == DECODE_NO_REG && in.displacement == 0x10);
    in = decoded("66 c7 00 34 12"); /* movw $0x1234,(%rax) */
    ck_assert(in.width == 2 && in.immediate == 0x1234);
    in = decoded("4a 89 44 fd 10"); /* mov %rax,0x10(%rbp,%r15,8) */
    ck_assert(in.base == 5 && in.index == 15 && in.displacement == 0x10);
    in = decoded("67 89 00"); /* mov %eax,(%eax) */
    ck_assert(in.address32 && in.width == 4);
    in = decoded("48 83 08 40"); /* orq $0x40,(%rax) */
    ck_assert(in.op == OP_OR && in.immediate == 0x40);
}
END_TEST

START_TEST(the_short_way_decodes_like_the_long_way)
{
    unsigned int rex, opcode, modrm;
    char text[32], prefixed[40];

    /* A segment prefix without effect forces the long way. */
    for (rex = 0x48; rex <= 0x4f; rex++)
        for (opcode = 0x87; opcode <= 0x89; opcode += 2)
            for (modrm = 0; modrm < 0x40; modrm++) {
                struct decoded a, b;

                if ((modrm & 7) == 4 || (modrm & 7) == 5)
                    continue;
                snprintf(text, sizeof(text), "%02x %02x %02x", rex, opcode, modrm);
                snprintf(prefixed, sizeof(prefixed), "3e %s", text);
                a = decoded(text);
                b = decoded(prefixed);
                ck_assert(a.op == b.op && a.length + 1 == b.length && a.width == b.width && a.source == b.source && a.memory == b.memory);
                ck_assert(a.lock == b.lock && a.repeat == b.repeat && a.rex == b.rex && a.reg == b.reg && a.rm == b.rm && a.segment == b.segment);
                ck_assert(a.base == b.base && a.index == b.index && a.address32 == b.address32 && a.displacement == b.displacement);
            }
}
END_TEST

START_TEST(what_is_not_ours_is_refused)
{
    static const char *const cases[] = {
        "",             /* nothing there */
        "0f",           /* cut off */
        "48 87",        /* without ModRM */
        "48 c7 00 00",  /* immediate cut off */
        "48 89 c3",     /* register to register */
        "c7 48 00 00 00 00 00", /* c7 /1 */
        "0f ba 20",     /* bt without its immediate */
        "0f ba 10 01",  /* 0f ba /2 */
        "0f 01 f8",     /* swapgs */
        "0f 01 11",     /* lgdt */
        "90",           "c3", "0f 0b", "48 8b 03",
        "f0 48 89 03",  /* lock mov */
        "f0 fa",        /* lock cli */
        "f0 0f ba 20 01", /* lock bt */
        "ff 10",        /* call */
        "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 fa", /* 16 bytes */
        "66 66 66 66 66 66 66 66 66 66 c7 80 78 56 34 12 01 00",
    };
    unsigned int i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        refused(cases[i]);
}
END_TEST

START_TEST(addresses_are_computed)
{
    struct regs regs = {.rip = 0x1000, .rax = 0x10, .rcx = ~0ull, .r13 = 0x700000000000, .rsp = 0x5000};
    struct decoded in = decoded("49 89 54 c5 f0"); /* mov %rdx,-16(%r13,%rax,8) */

    ck_assert_uint_eq(decode_address(&in, &regs), 0x700000000000 + 0x80 - 16);
    in = decoded("48 89 05 00 01 00 00"); /* mov %rax,0x100(%rip) */
    ck_assert_uint_eq(decode_address(&in, &regs), 0x1000 + 7 + 0x100);
    in = decoded("67 89 01"); /* mov %eax,(%ecx) */
    ck_assert_uint_eq(decode_address(&in, &regs), 0xffffffff);
    in = decoded("48 89 04 24"); /* mov %rax,(%rsp) */
    ck_assert_uint_eq(decode_address(&in, &regs), 0x5000);
}
END_TEST

START_TEST(registers_have_their_parts)
{
    struct regs regs = {.rax = 0x1122334455667788, .rsi = 0x99};
    struct decoded in = decoded("86 20"); /* xchg %ah,(%rax) */

    ck_assert_uint_eq(decode_register_read(&in, &regs, in.reg), 0x77);
    decode_register_write(&in, &regs, in.reg, 0xab);
    ck_assert_uint_eq(regs.rax, 0x112233445566ab88);
    in = decoded("40 86 30"); /* xchg %sil,(%rax) */
    ck_assert_uint_eq(decode_register_read(&in, &regs, in.reg), 0x99);
    in = decoded("87 00"); /* xchg %eax,(%rax): the upper half is cleared */
    decode_register_write(&in, &regs, 0, 0xfffffffff);
    ck_assert_uint_eq(regs.rax, 0xffffffff);
    in = decoded("66 87 00");
    decode_register_write(&in, &regs, 0, 0x1234);
    ck_assert_uint_eq(regs.rax, 0xffff1234);
}
END_TEST

/* ---- Against the processor ---- */

#define FLAGS 0x8d5ull
#define HARDWARE(name, text)                                                                                           \
    static uint64_t name(uint64_t dest, uint64_t source, uint64_t accumulator, uint64_t *flags)                        \
    {                                                                                                                  \
        uint64_t f = *flags;                                                                                           \
                                                                                                                       \
        __asm__("pushq %[f]; popfq; " text "; pushfq; popq %[f]"                                                       \
                : [d] "+q"(dest), [f] "+r"(f), "+a"(accumulator)                                                      \
                : [s] "q"(source)                                                                                      \
                : "cc", "memory");                                                                                     \
        *flags = f & FLAGS;                                                                                            \
        return dest;                                                                                                   \
    }
#define HARDWARE_WIDTHS(name, text)                                                                                    \
    HARDWARE(name##8, text "q %q[s],%q[d]")                                                                            \
    HARDWARE(name##4, text "l %k[s],%k[d]")                                                                            \
    HARDWARE(name##2, text "w %w[s],%w[d]")                                                                            \
    HARDWARE(name##1, text "b %b[s],%b[d]")
#define HARDWARE_UNARY(name, text)                                                                                     \
    HARDWARE(name##8, text "q %q[d]")                                                                                  \
    HARDWARE(name##4, text "l %k[d]")                                                                                  \
    HARDWARE(name##2, text "w %w[d]")                                                                                  \
    HARDWARE(name##1, text "b %b[d]")
#define HARDWARE_BITS(name, text)                                                                                      \
    HARDWARE(name##8, text "q %q[s],%q[d]")                                                                            \
    HARDWARE(name##4, text "l %k[s],%k[d]")                                                                            \
    HARDWARE(name##2, text "w %w[s],%w[d]")
HARDWARE_WIDTHS(hw_add, "add")
HARDWARE_WIDTHS(hw_or, "or")
HARDWARE_WIDTHS(hw_adc, "adc")
HARDWARE_WIDTHS(hw_sbb, "sbb")
HARDWARE_WIDTHS(hw_and, "and")
HARDWARE_WIDTHS(hw_sub, "sub")
HARDWARE_WIDTHS(hw_xor, "xor")
HARDWARE_WIDTHS(hw_cmpxchg, "cmpxchg")
HARDWARE_UNARY(hw_inc, "inc")
HARDWARE_UNARY(hw_dec, "dec")
HARDWARE_UNARY(hw_not, "not")
HARDWARE_UNARY(hw_neg, "neg")
HARDWARE_BITS(hw_bts, "bts")
HARDWARE_BITS(hw_btr, "btr")
HARDWARE_BITS(hw_btc, "btc")

typedef uint64_t (*hardware_fn)(uint64_t, uint64_t, uint64_t, uint64_t *);
#define FOUR(name) {name##1, name##2, name##4, name##8}
static const struct {
    enum decoded_op op;
    hardware_fn fn[4];
    uint64_t defined; /* flags that have a defined value */
} operations[] = {
    {OP_ADD, FOUR(hw_add), FLAGS}, {OP_OR, FOUR(hw_or), FLAGS & ~0x10ull}, {OP_ADC, FOUR(hw_adc), FLAGS}, {OP_SBB, FOUR(hw_sbb), FLAGS},
    {OP_AND, FOUR(hw_and), FLAGS & ~0x10ull}, {OP_SUB, FOUR(hw_sub), FLAGS}, {OP_XOR, FOUR(hw_xor), FLAGS & ~0x10ull}, {OP_INC, FOUR(hw_inc), FLAGS},
    {OP_DEC, FOUR(hw_dec), FLAGS}, {OP_NOT, FOUR(hw_not), FLAGS}, {OP_NEG, FOUR(hw_neg), FLAGS}, {OP_CMPXCHG, FOUR(hw_cmpxchg), FLAGS},
    {OP_BTS, {NULL, hw_bts2, hw_bts4, hw_bts8}, 1}, {OP_BTR, {NULL, hw_btr2, hw_btr4, hw_btr8}, 1}, {OP_BTC, {NULL, hw_btc2, hw_btc4, hw_btc8}, 1},
};

static uint64_t random_state;
static uint64_t random_u64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Often something near an edge. */
static uint64_t random_operand(void)
{
    uint64_t r = random_u64();

    switch (r & 7) {
    case 0:
        return 0;
    case 1:
        return ~0ull;
    case 2:
        return 1ull << (r >> 8 & 63);
    case 3:
        return (1ull << (r >> 8 & 63)) - 1;
    default:
        return random_u64();
    }
}

static void seed(void)
{
    const char *given = getenv("SEED");

    random_state = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) | 1;
    printf("test-decode: SEED=%#lx\n", (unsigned long)random_state);
}

static void compare_once(unsigned int i, unsigned int size)
{
    unsigned int width = 1u << size;
    uint64_t mask = width == 8 ? ~0ull : (1ull << width * 8) - 1;
    uint64_t dest = random_operand() & mask, source = random_operand() & mask, flags = random_u64() & FLAGS, accumulator = source;
    uint64_t expected_flags = flags | 0x202, ours_flags = flags | 0x202, expected, ours;

    if (operations[i].op == OP_CMPXCHG && (random_u64() & 1))
        accumulator = source = dest;
    /* CMPXCHG writes dest back if it differs, and the source (here the same value) if not. */
    expected = operations[i].fn[size](dest, source, accumulator, &expected_flags) & mask;
    ours = alu_apply(operations[i].op, width, dest, source, &ours_flags) & mask;
    ck_assert_msg(ours == expected && ((ours_flags ^ expected_flags) & operations[i].defined) == 0,
                  "op %u width %u: %#lx, %#lx, flags %#lx give %#lx flags %#lx, should be %#lx flags %#lx", operations[i].op, width,
                  (unsigned long)dest, (unsigned long)source, (unsigned long)flags, (unsigned long)ours, (unsigned long)(ours_flags & FLAGS),
                  (unsigned long)expected, (unsigned long)expected_flags);
}

START_TEST(arithmetic_is_the_processors)
{
    unsigned int i, size, round;

    seed();
    for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        for (size = 0; size < 4; size++)
            for (round = 0; operations[i].fn[size] != NULL && round < 1000; round++)
                compare_once(i, size);
}
END_TEST

START_TEST(random_bytes_are_survived)
{
    static const uint8_t favourites[] = {0x0f, 0x48, 0xf0, 0x66, 0x67, 0x65, 0x80, 0x81, 0x87, 0x89, 0xba, 0xb1, 0xc7, 0x04, 0x25, 0x84};
    uint8_t *bytes = malloc(DECODE_BUFFER);
    struct regs regs = {0};
    unsigned int round, i, available, taken = 0;

    seed();
    for (round = 0; round < 400000; round++) {
        struct decoded in;

        for (i = 0; i < DECODE_BUFFER; i++)
            bytes[i] = random_u64() & 1 ? favourites[random_u64() % sizeof(favourites)] : (uint8_t)random_u64();
        available = (unsigned int)(random_u64() % 17);
        memset(bytes + available, 0, DECODE_BUFFER - available);
        if (!decode_instruction(&in, bytes, available))
            continue;
        taken++;
        ck_assert(in.length > 0 && in.length <= available && in.length <= DECODE_LENGTH_MAX);
        ck_assert(in.op > OP_NONE && in.op < OP_COUNT);
        ck_assert(in.width == 1 || in.width == 2 || in.width == 4 || in.width == 8);
        if (in.memory) {
            ck_assert(in.base < 16 || in.base >= DECODE_RIP);
            ck_assert(in.reg < 16 && (in.index < 16 || in.index == DECODE_NO_REG));
            (void)decode_address(&in, &regs);
            decode_register_write(&in, &regs, in.reg, decode_register_read(&in, &regs, in.reg));
        }
    }
    free(bytes);
    ck_assert_uint_gt(taken, 2000);
}
END_TEST

Suite *suite_decode(void);
Suite *suite_decode(void)
{
    Suite *s = suite_create("decode");
    TCase *t = tcase_create("decode");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, privileged_instructions_are_known);
    tcase_add_test(t, control_register_moves_name_their_registers);
    tcase_add_test(t, page_table_writes_of_the_stock_kernel);
    tcase_add_test(t, the_short_way_decodes_like_the_long_way);
    tcase_add_test(t, what_is_not_ours_is_refused);
    tcase_add_test(t, addresses_are_computed);
    tcase_add_test(t, registers_have_their_parts);
    tcase_add_test(t, arithmetic_is_the_processors);
    tcase_add_test(t, random_bytes_are_survived);
    suite_add_tcase(s, t);
    return s;
}
