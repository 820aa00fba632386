/* SPDX-License-Identifier: MIT */
/*
 * Classic BPF: check and run. Contract: <vfr/bpf.h>. Tests: test-bpf.c, and against libpcap's own on random programs: tests/fuzz/bpf.c.
 *
 * The codes are those of the paper: class, then size and mode of loads, operation and source of the rest. All that a program can do wrong is found by the check but two things, which only the packet decides: a load from
 * behind what can be seen, and a division by a zero in X. Both end the program with "does not match", as in every implementation.
 */
#include <vfr/bpf.h>

#include <stdbool.h>
#include <stddef.h>

/* The low three bits: the class. */
enum { LD, LDX, ST, STX, ALU, JMP, RET, MISC };
enum { SIZE_W = 0x00, SIZE_H = 0x08, SIZE_B = 0x10, MODE_IMM = 0x00, MODE_ABS = 0x20, MODE_IND = 0x40, MODE_MEM = 0x60, MODE_LEN = 0x80, MODE_MSH = 0xa0 };
enum { ADD = 0x00, SUB = 0x10, MUL = 0x20, DIV = 0x30, OR = 0x40, AND = 0x50, LSH = 0x60, RSH = 0x70, NEG = 0x80, MOD = 0x90, XOR = 0xa0 };
enum { JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40 };
enum { SRC_K = 0x00, SRC_X = 0x08, RET_A = 0x10, TAX = 0x00, TXA = 0x80 };

/* Loads from behind this are refused: system's own extensions live there (Linux: negative offsets). */
#define OFFSET_MAX 0x7fffffffu

static const char *check_one(const struct vfr_bpf_insn *insn)
{
    switch (insn->code) {
    case LD | SIZE_W | MODE_ABS:
    case LD | SIZE_H | MODE_ABS:
    case LD | SIZE_B | MODE_ABS:
    case LDX | SIZE_B | MODE_MSH: return insn->k <= OFFSET_MAX ? NULL : "a load from an offset that no packet has (an extension of one system?)";
    case LD | SIZE_W | MODE_IND:
    case LD | SIZE_H | MODE_IND:
    case LD | SIZE_B | MODE_IND:
    case LD | MODE_IMM:
    case LD | MODE_LEN:
    case LDX | MODE_IMM:
    case LDX | MODE_LEN: return NULL;
    case LD | MODE_MEM:
    case LDX | MODE_MEM:
    case ST:
    case STX: return insn->k < VFR_BPF_MEMORY ? NULL : "a word of memory that there is not";
    case ALU | ADD | SRC_K:
    case ALU | SUB | SRC_K:
    case ALU | MUL | SRC_K:
    case ALU | OR | SRC_K:
    case ALU | AND | SRC_K:
    case ALU | XOR | SRC_K:
    case ALU | ADD | SRC_X:
    case ALU | SUB | SRC_X:
    case ALU | MUL | SRC_X:
    case ALU | OR | SRC_X:
    case ALU | AND | SRC_X:
    case ALU | XOR | SRC_X:
    case ALU | DIV | SRC_X:
    case ALU | MOD | SRC_X:
    case ALU | LSH | SRC_X:
    case ALU | RSH | SRC_X:
    case ALU | NEG: return NULL;
    case ALU | DIV | SRC_K:
    case ALU | MOD | SRC_K: return insn->k != 0 ? NULL : "a division by zero";
    case ALU | LSH | SRC_K:
    case ALU | RSH | SRC_K: return insn->k < 32 ? NULL : "a shift by more than 31 bits";
    case JMP | JA:
    case JMP | JEQ | SRC_K:
    case JMP | JGT | SRC_K:
    case JMP | JGE | SRC_K:
    case JMP | JSET | SRC_K:
    case JMP | JEQ | SRC_X:
    case JMP | JGT | SRC_X:
    case JMP | JGE | SRC_X:
    case JMP | JSET | SRC_X: return NULL;
    case RET | SRC_K:
    case RET | RET_A: return NULL;
    case MISC | TAX:
    case MISC | TXA: return NULL;
    default: return "an instruction that there is not";
    }
}

static const char *check_flow(const struct vfr_bpf_insn *insn, uint32_t left)
{
    unsigned int class = insn->code & 7;

    if (class == RET)
        return NULL;
    if (left == 0)
        return "the end is reached without a return";
    if (class != JMP)
        return NULL;
    if (insn->code == (JMP | JA))
        return insn->k < left ? NULL : "a jump behind the end";
    return insn->jt < left && insn->jf < left ? NULL : "a jump behind the end";
}

const char *vfr_bpf_check(const struct vfr_bpf_insn *program, uint32_t count, uint32_t *at)
{
    const char *wrong = NULL;
    uint32_t i = 0;

    if (count == 0)
        wrong = "an empty program";
    else if (count > VFR_BPF_MAX)
        wrong = "too many instructions";
    for (; wrong == NULL && i < count; i++) {
        wrong = check_one(&program[i]);
        if (wrong == NULL)
            wrong = check_flow(&program[i], count - 1 - i);
        if (wrong != NULL)
            break;
    }
    if (at != NULL)
        *at = i;
    return wrong;
}

/* Big-endian loads; false: behind what can be seen. */
static inline bool load(const uint8_t *header, uint32_t header_bytes, uint64_t offset, uint32_t size, uint32_t *to)
{
    const uint8_t *from = header + offset;

    if (offset + size > header_bytes)
        return false;
    if (size == 1)
        *to = from[0];
    else if (size == 2)
        *to = (uint32_t)from[0] << 8 | from[1];
    else
        *to = (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
    return true;
}

static inline uint32_t shift_left(uint32_t value, uint32_t by)
{
    return by < 32 ? value << by : 0;
}

static inline uint32_t shift_right(uint32_t value, uint32_t by)
{
    return by < 32 ? value >> by : 0;
}

/* One long switch: it is the machine. Each round goes to a later instruction, and the check has seen a return on every way. */
uint32_t vfr_bpf_run(const struct vfr_bpf_insn *program, const uint8_t *header, uint32_t header_bytes, uint32_t bytes)
{
    uint32_t a = 0, x = 0, memory[VFR_BPF_MEMORY];
    bool memory_clean = false;

    for (const struct vfr_bpf_insn *insn = program;; insn++) {
        uint32_t k = insn->k;

        switch (insn->code) {
        case LD | SIZE_W | MODE_ABS:
            if (!load(header, header_bytes, k, 4, &a))
                return 0;
            break;
        case LD | SIZE_H | MODE_ABS:
            if (!load(header, header_bytes, k, 2, &a))
                return 0;
            break;
        case LD | SIZE_B | MODE_ABS:
            if (!load(header, header_bytes, k, 1, &a))
                return 0;
            break;
        case LD | SIZE_W | MODE_IND:
            if (!load(header, header_bytes, (uint64_t)x + k, 4, &a))
                return 0;
            break;
        case LD | SIZE_H | MODE_IND:
            if (!load(header, header_bytes, (uint64_t)x + k, 2, &a))
                return 0;
            break;
        case LD | SIZE_B | MODE_IND:
            if (!load(header, header_bytes, (uint64_t)x + k, 1, &a))
                return 0;
            break;
        case LDX | SIZE_B | MODE_MSH:
            if (!load(header, header_bytes, k, 1, &x))
                return 0;
            x = (x & 15) * 4;
            break;
        case LD | MODE_IMM: a = k; break;
        case LD | MODE_LEN: a = bytes; break;
        case LDX | MODE_IMM: x = k; break;
        case LDX | MODE_LEN: x = bytes; break;
        case LD | MODE_MEM:
        case LDX | MODE_MEM:
        case ST:
        case STX:
            /* Zeroed for the few programs that have any use for it. */
            if (!memory_clean) {
                for (uint32_t i = 0; i < VFR_BPF_MEMORY; i++)
                    memory[i] = 0;
                memory_clean = true;
            }
            if (insn->code == (LD | MODE_MEM))
                a = memory[k];
            else if (insn->code == (LDX | MODE_MEM))
                x = memory[k];
            else
                memory[k] = insn->code == ST ? a : x;
            break;
        case ALU | ADD | SRC_K: a += k; break;
        case ALU | SUB | SRC_K: a -= k; break;
        case ALU | MUL | SRC_K: a *= k; break;
        case ALU | DIV | SRC_K: a /= k; break;
        case ALU | MOD | SRC_K: a %= k; break;
        case ALU | OR | SRC_K: a |= k; break;
        case ALU | AND | SRC_K: a &= k; break;
        case ALU | XOR | SRC_K: a ^= k; break;
        case ALU | LSH | SRC_K: a <<= k; break;
        case ALU | RSH | SRC_K: a >>= k; break;
        case ALU | ADD | SRC_X: a += x; break;
        case ALU | SUB | SRC_X: a -= x; break;
        case ALU | MUL | SRC_X: a *= x; break;
        case ALU | DIV | SRC_X:
            if (x == 0)
                return 0;
            a /= x;
            break;
        case ALU | MOD | SRC_X:
            if (x == 0)
                return 0;
            a %= x;
            break;
        case ALU | OR | SRC_X: a |= x; break;
        case ALU | AND | SRC_X: a &= x; break;
        case ALU | XOR | SRC_X: a ^= x; break;
        case ALU | LSH | SRC_X: a = shift_left(a, x); break;
        case ALU | RSH | SRC_X: a = shift_right(a, x); break;
        case ALU | NEG: a = 0u - a; break;
        case JMP | JA: insn += k; break;
        case JMP | JEQ | SRC_K: insn += a == k ? insn->jt : insn->jf; break;
        case JMP | JGT | SRC_K: insn += a > k ? insn->jt : insn->jf; break;
        case JMP | JGE | SRC_K: insn += a >= k ? insn->jt : insn->jf; break;
        case JMP | JSET | SRC_K: insn += (a & k) != 0 ? insn->jt : insn->jf; break;
        case JMP | JEQ | SRC_X: insn += a == x ? insn->jt : insn->jf; break;
        case JMP | JGT | SRC_X: insn += a > x ? insn->jt : insn->jf; break;
        case JMP | JGE | SRC_X: insn += a >= x ? insn->jt : insn->jf; break;
        case JMP | JSET | SRC_X: insn += (a & x) != 0 ? insn->jt : insn->jf; break;
        case RET | SRC_K: return k;
        case RET | RET_A: return a;
        case MISC | TAX: x = a; break;
        case MISC | TXA: a = x; break;
        default: return 0; /* not after a check */
        }
    }
}
