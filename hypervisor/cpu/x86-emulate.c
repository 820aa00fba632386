// SPDX-License-Identifier: MIT
/*
 * Privileged instructions of guest kernels. They run in ring 3, so each of these faults with #GP; what the ABI lets a kernel expect (ABI.md 3.1) is done for it, all else
 * is bounced to it as the #GP it is. User mode gets nothing, but port access where the virtual IOPL allows it.
 *
 * There is no hardware behind the ports: reads give all ones, as on an empty bus, but for the PIT's channel 2, where all ones would keep a
 * calibration loop waiting. Contract: emulate.h.
 */
#include "cpu-policy.h"
#include "cpu.h"
#include "domain.h"
#include "emulate-internal.h"
#include "event.h"
#include "fpu.h"
#include "guest-access.h"
#include "hypercall.h"
#include "lib/string.h"
#include "mm.h"
#include "sched.h"
#include "traps.h"
#include "vcpu.h"
#include "x86/state-asm.h"

#define CR0_SHOWN 0x80050033ull /* PG AM WP NE ET MP PE */
#define CR4_ALWAYS 0x620ull     /* PAE OSFXSR OSXMMEXCPT */
#define CR4_OSXSAVE (1ull << 18)
#define CR4_FSGSBASE (1ull << 16)
#define DR6_SINGLE_STEP 0x4000ull
#define PORT_PIT_CHANNEL2 0x42
#define IOPL_USER 3

/* ---- Shared by the emulators ---- */

unsigned int emulate_fetch(const struct regs *regs, uint8_t bytes[DECODE_BUFFER])
{
    uint64_t *words = (uint64_t *)bytes;

    words[0] = words[1] = words[2] = words[3] = 0;
    if (unlikely(!guest_range_ok(regs->rip, 16))) {
        /* At the edge of the address space: byte by byte until it ends. */
        unsigned int n = 0;

        while (n < DECODE_LENGTH_MAX && copy_from_guest(bytes + n, regs->rip + n, 1) == 0)
            n++;
        return n;
    }
    return 16 - (unsigned int)guest_copy_raw(bytes, (const void *)regs->rip, 16);
}

uint64_t emulate_linear_address(const struct decoded *in, const struct regs *regs)
{
    uint64_t address = decode_address(in, regs);

    if (unlikely(in->segment == DECODE_SEG_FS))
        address += rdmsr(MSR_FS_BASE);
    else if (unlikely(in->segment == DECODE_SEG_GS))
        address += rdmsr(MSR_GS_BASE);
    return address;
}

void emulate_finish(struct vcpu *v, struct regs *regs, unsigned int length)
{
    regs->rip += length;
    regs->rflags &= ~(uint64_t)RFLAGS_RF;
    if (unlikely(regs->rflags & RFLAGS_TF)) {
        v->dr[6] |= DR6_SINGLE_STEP;
        guest_inject_exception(v, TRAP_DB, 0);
    }
}

/* ---- Control registers ---- */

static bool cr_read(const struct vcpu *v, unsigned int n, uint64_t *value)
{
    switch (n) {
    case 0:
        *value = CR0_SHOWN | (v->cr0_ts ? CR0_TS : 0);
        return true;
    case 2:
        *value = v->cr2_shadow;
        return true;
    case 3:
        *value = v->kernel_cr3;
        return true;
    case 4:
        *value = v->cr4_guest | CR4_ALWAYS | (cpu_policy.xcr0_mask ? CR4_OSXSAVE : 0) | (cpu_policy.fsgsbase ? CR4_FSGSBASE : 0);
        return true;
    default:
        return false;
    }
}

static bool cr_write(struct vcpu *v, unsigned int n, uint64_t value)
{
    switch (n) {
    case 0: /* only TS is the guest's */
        if ((value ^ CR0_SHOWN) & ~CR0_TS)
            return false;
        return hypercall_fpu_taskswitch((value & CR0_TS) != 0) == 0;
    case 2:
        v->cr2_shadow = value;
        v->info->arch.cr2 = value;
        return true;
    case 3:
        return vcpu_set_base(v, maddr_to_mfn(value), false) == 0;
    case 4: /* remembered: what it means is the hypervisor's business. No #GP, since kernels do not expect one here. */
        v->cr4_guest = value;
        return true;
    default:
        return false;
    }
}

static bool emulate_cr(struct vcpu *v, struct regs *regs, const struct decoded *in)
{
    uint64_t value;

    if (in->op == OP_MOV_TO_CR)
        return cr_write(v, in->reg, regs_gpr_value(regs, in->rm));
    if (!cr_read(v, in->reg, &value))
        return false;
    *regs_gpr(regs, in->rm) = value;
    return true;
}

static bool emulate_dr(struct regs *regs, const struct decoded *in)
{
    if (in->reg > 7)
        return false;
    if (in->op == OP_MOV_TO_DR)
        return hypercall_set_debugreg(in->reg == 4 || in->reg == 5 ? in->reg + 2 : in->reg, regs_gpr_value(regs, in->rm)) == 0;
    *regs_gpr(regs, in->rm) = (uint64_t)hypercall_get_debugreg(in->reg);
    return true;
}

/* ---- Ports ---- */

static uint64_t port_read(uint16_t port)
{
    return port == PORT_PIT_CHANNEL2 ? 0 : ~0ull;
}

/* One element a time: with REP the guest executes the instruction again until its count is used up, so nothing here takes long. */
static bool emulate_string_io(struct regs *regs, const struct decoded *in, unsigned int *length)
{
    uint64_t *pointer = in->op == OP_INS ? &regs->rdi : &regs->rsi, value = port_read((uint16_t)regs->rdx), count;
    uint64_t address = in->address32 ? (uint32_t)*pointer : *pointer, step = min(in->width, (uint8_t)4);

    count = in->address32 ? (uint32_t)regs->rcx : regs->rcx;
    if (in->repeat && count == 0)
        return true;
    if (in->op == OP_INS && copy_to_guest(address, &value, step) != 0)
        return false;
    address += regs->rflags & RFLAGS_DF ? -step : step;
    *pointer = in->address32 ? (uint32_t)address : address;
    if (in->repeat) {
        regs->rcx = in->address32 ? (uint32_t)(count - 1) : count - 1;
        if (count > 1)
            *length = 0;
    }
    return true;
}

static bool emulate_io(struct regs *regs, const struct decoded *in, unsigned int *length)
{
    uint16_t port = in->source == SOURCE_DX ? (uint16_t)regs->rdx : (uint8_t)in->immediate;
    struct decoded accumulator = *in;

    if (in->op == OP_INS || in->op == OP_OUTS)
        return emulate_string_io(regs, in, length);
    if (in->op == OP_OUT)
        return true; /* nothing is there to take it */
    accumulator.width = min(in->width, (uint8_t)4);
    decode_register_write(&accumulator, regs, 0, port_read(port));
    return true;
}

static inline bool is_io(const struct decoded *in)
{
    return in->op >= OP_IN && in->op <= OP_OUTS;
}

/* ---- The rest ---- */

static bool nothing_pending(struct vcpu *v)
{
    return !READ_ONCE(v->info->evtchn_upcall_pending);
}

/* As SCHEDOP_block: wait with events let in. */
static void emulate_halt(struct vcpu *v)
{
    v->info->evtchn_upcall_mask = 0;
    vcpu_block(nothing_pending);
}

static bool emulate_msr(struct vcpu *v, struct regs *regs, const struct decoded *in)
{
    uint64_t value = (uint32_t)regs->rax | regs->rdx << 32;

    if (in->op == OP_WRMSR)
        return msr_write(v, (uint32_t)regs->rcx, value);
    if (!msr_read(v, (uint32_t)regs->rcx, &value))
        return false;
    regs->rax = (uint32_t)value;
    regs->rdx = value >> 32;
    return true;
}

static bool emulate_one(struct vcpu *v, struct regs *regs, const struct decoded *in, unsigned int *length)
{
    switch (in->op) {
    case OP_RDMSR:
    case OP_WRMSR:
        return emulate_msr(v, regs, in);
    case OP_MOV_FROM_CR:
    case OP_MOV_TO_CR:
        return emulate_cr(v, regs, in);
    case OP_MOV_FROM_DR:
    case OP_MOV_TO_DR:
        return emulate_dr(regs, in);
    case OP_CLTS:
        return hypercall_fpu_taskswitch(0) == 0;
    case OP_CLI: /* the event mask is not theirs to touch: stock kernels pair a CLI here with a POPF that does not trap */
    case OP_STI:
    case OP_INVD:
    case OP_WBINVD:
        return true;
    case OP_HLT:
        emulate_halt(v);
        return true;
    case OP_XSETBV:
        return (uint32_t)regs->rcx == 0 && fpu_set_xcr0(v, (uint32_t)regs->rax | regs->rdx << 32) == 0;
    default:
        return is_io(in) && emulate_io(regs, in, length);
    }
}

/* The two kinds that the stock kernel really uses, without the decoder: CLI and STI thousands of times while it starts, RDMSR of the inactive GS base at each of its
 * context switches. Returns the instruction's length, 0 if it is another. */
static unsigned int emulate_frequent(struct regs *regs, const uint8_t *bytes, unsigned int available)
{
    uint64_t value;

    if (available < 2)
        return 0;
    if (bytes[0] == 0xfa || bytes[0] == 0xfb)
        return 1;
    if (bytes[0] != 0x0f || bytes[1] != 0x32 || (uint32_t)regs->rcx != MSR_KERNEL_GS_BASE)
        return 0;
    value = rdmsr(MSR_KERNEL_GS_BASE);
    regs->rax = (uint32_t)value;
    regs->rdx = value >> 32;
    return 2;
}

bool emulate_privileged(struct vcpu *v, struct regs *regs)
{
    uint8_t bytes[DECODE_BUFFER];
    struct decoded in;
    unsigned int available = emulate_fetch(regs, bytes), length;

    if (v->in_kernel && (length = emulate_frequent(regs, bytes, available)) != 0) {
        emulate_finish(v, regs, length);
        return true;
    }
    if (!decode_instruction(&in, bytes, available))
        return false;
    if (!v->in_kernel && !(is_io(&in) && v->iopl == IOPL_USER))
        return false;
    length = in.length;
    if (!emulate_one(v, regs, &in, &length))
        return false;
    emulate_finish(v, regs, length);
    return true;
}

bool emulate_forced_cpuid(struct vcpu *v, struct regs *regs)
{
    static const uint8_t forced[] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};
    uint8_t bytes[sizeof(forced)];
    struct cpuid_regs r;

    if (copy_from_guest(bytes, regs->rip, sizeof(bytes)) != 0 || memcmp(bytes, forced, sizeof(bytes)) != 0)
        return false;
    r = cpu_policy_cpuid(v, (uint32_t)regs->rax, (uint32_t)regs->rcx);
    regs->rax = r.eax;
    regs->rbx = r.ebx;
    regs->rcx = r.ecx;
    regs->rdx = r.edx;
    emulate_finish(v, regs, sizeof(forced));
    return true;
}
