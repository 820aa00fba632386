// SPDX-License-Identifier: MIT
/*
 * A plugin of QEMU's that counts executed instructions between two marks of the measured program: of the whole machine, whoever executes them, and only those that are executed, so that an idle processor adds nothing.
 *
 * The marks are instructions that do nothing: NOPs with a number as displacement (BENCH_MARK in disk.c). At the begin mark all counters are zeroed; at the end mark a line goes to the file `out`:
 *
 *   count N ALL USER KERNEL HYPERVISOR
 *
 * and the counts of each address to OUT.N, for disk-profile.sh. Whose an instruction is, is told by its address: a user's are in the lower half, Xen's and Collet's in the slots that are theirs in every guest's address space.
 * Usage: -plugin count-plugin.so,out=FILE. One emulated processor. The declarations are those of QEMU's plugin interface, version 1; Debian ships no header of it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define MARK_BEGIN 0x314d4243u
#define MARK_END 0x324d4243u
#define SLOTS (1u << 21) /* of addresses, a power of two */

typedef uint64_t qemu_plugin_id_t;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { NO_REGISTERS = 0, INLINE_ADD_U64 = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*cb)(unsigned int cpu, void *data), int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *counter, uint64_t add);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

EXPORT int qemu_plugin_version = 1;

/* A slot that is taken stays: translated code adds to its count. */
static struct slot {
    uint64_t address, count;
} *slots;
static uint64_t user_count, overflow_count;
static uint32_t used;
static const char *out_path = "count.out";
static FILE *out;
static uint32_t ends;

static uint64_t *counter_of(uint64_t address)
{
    uint32_t at = (uint32_t)((address * 0x9e3779b97f4a7c15ull) >> 40) & (SLOTS - 1);

    if (address < 1ull << 47)
        return &user_count;
    while (slots[at].address != 0 && slots[at].address != address)
        at = (at + 1) & (SLOTS - 1);
    if (slots[at].address == 0) {
        if (used >= SLOTS / 4 * 3)
            return &overflow_count;
        used++;
        slots[at].address = address;
    }
    return &slots[at].count;
}

static bool is_hypervisor(uint64_t address)
{
    return address >= 0xffff800000000000ull && address < 0xffff880000000000ull;
}

static void begin(unsigned int cpu, void *data)
{
    (void)cpu, (void)data;
    for (uint32_t i = 0; i < SLOTS; i++)
        slots[i].count = 0;
    user_count = overflow_count = 0;
}

static void end(unsigned int cpu, void *data)
{
    uint64_t kernel = overflow_count, hypervisor = 0;
    char path[512];
    FILE *profile;

    (void)cpu, (void)data;
    snprintf(path, sizeof(path), "%s.%" PRIu32, out_path, ends);
    profile = fopen(path, "w");
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (slots[i].count == 0)
            continue;
        if (profile != NULL)
            fprintf(profile, "%016" PRIx64 " %" PRIu64 "\n", slots[i].address, slots[i].count);
        *(is_hypervisor(slots[i].address) ? &hypervisor : &kernel) += slots[i].count;
    }
    if (profile != NULL) {
        fprintf(profile, "0000000000000000 %" PRIu64 "\n", user_count);
        fclose(profile);
    }
    fprintf(out, "count %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", ends++, user_count + kernel + hypervisor, user_count, kernel, hypervisor);
    fflush(out);
}

/* nopl MARK(%rax,%rax,1) */
static uint32_t mark_of(const struct qemu_plugin_insn *insn)
{
    static const uint8_t nop[4] = {0x0f, 0x1f, 0x84, 0x00};
    const uint8_t *bytes = qemu_plugin_insn_data(insn);
    uint32_t mark;

    if (qemu_plugin_insn_size(insn) != 8 || memcmp(bytes, nop, sizeof(nop)) != 0)
        return 0;
    memcpy(&mark, bytes + sizeof(nop), sizeof(mark));
    return mark;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint32_t mark = mark_of(insn);

        if (mark == MARK_BEGIN || mark == MARK_END)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, mark == MARK_BEGIN ? begin : end, NO_REGISTERS, NULL);
        else
            qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64, counter_of(qemu_plugin_insn_vaddr(insn)), 1);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv);
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "out=", 4) == 0)
            out_path = strdup(argv[i] + 4);
    slots = calloc(SLOTS, sizeof(*slots));
    out = fopen(out_path, "w");
    if (slots == NULL || out == NULL)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
