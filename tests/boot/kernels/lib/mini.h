/* SPDX-License-Identifier: MIT */
/*
 * The library of the tiny PV kernels: start, console, checks, traps, page tables, events, a second vCPU. One header, since a kernel needs all of it.
 *
 * A kernel is one C file with kernel_main(). It prints results by check()/expect() and ends by returning (or by finish()). Output lines that the
 * runner reads begin with "[t] ". Structures and constants are those of <xen/...>. How to add a kernel: docs/hostile-tests.md.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>

#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/nmi.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define PAGE_SIZE 4096ul
#define PAGE_SHIFT 12
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define barrier() __asm__ volatile("" ::: "memory")

/* Page-table entry bits. */
#define PTE_P 0x001ul
#define PTE_RW 0x002ul
#define PTE_US 0x004ul
#define PTE_A 0x020ul
#define PTE_D 0x040ul
#define PTE_PSE 0x080ul
#define PTE_G 0x100ul
#define PTE_NX (1ul << 63)
#define PTE_ADDR 0x000ffffffffff000ul
#define PTE_TABLE (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D) /* what we give tables and writable pages */
#define PTE_PAGE PTE_TABLE
#define PTE_RO (PTE_P | PTE_US | PTE_A)

/* -errno as the ABI numbers them. */
enum { X_EPERM = -1, X_ENOENT = -2, X_ESRCH = -3, X_EINTR = -4, X_EIO = -5, X_ENXIO = -6, X_E2BIG = -7, X_ENOEXEC = -8, X_EBADF = -9, X_EAGAIN = -11, X_ENOMEM = -12,
       X_EACCES = -13, X_EFAULT = -14, X_EBUSY = -16, X_EEXIST = -17, X_ENODEV = -19, X_EINVAL = -22, X_ENOSPC = -28, X_ERANGE = -34,
       X_ENOSYS = -38, X_EPROTO = -71, X_EALREADY = -114, X_EOPNOTSUPP = -95 };

/* ---- what start-up leaves ---- */
enum { START_RAX, START_RBX, START_RCX, START_RDX, START_RSI, START_RDI, START_RBP, START_R8, START_R9, START_R10, START_R11, START_R12, START_R13,
       START_R14, START_R15, START_RSP, START_RFLAGS, START_CS, START_SS, START_DS, START_ES, START_FS, START_GS };
extern uint64_t start_regs[24];
extern uint64_t failsafe_segments[4]; /* ds es fs gs of the last failsafe callback */
extern struct start_info *start_info;
extern struct shared_info *shared_info; /* mapped */
extern uint64_t *p2m;
extern const int hypercall_by_page;
extern char virt_base[], text_start[], text_end[], image_end[];
extern unsigned int vcpu_count; /* how many the domain has */
extern bool on_xen;             /* the peer, for the few places where it is known to differ */

void kernel_main(void);

/* ---- command line: "name=value" words ---- */
bool arg_string(const char *name, char *value, size_t size);
uint64_t arg_number(const char *name, uint64_t otherwise); /* decimal or 0x */

/* ---- console and results ---- */
#define printf_like(f, a) __attribute__((format(printf, f, a)))
void print(const char *fmt, ...) printf_like(1, 2);
int snprintf(char *buf, size_t size, const char *fmt, ...) printf_like(3, 4);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
void check_at(const char *file, int line, const char *name, bool good);
void expect_at(const char *file, int line, const char *name, long got, long want);
void expect_any_at(const char *file, int line, const char *name, long got, const long *wants, int count);
/* One named result each. Names are unique within a kernel and say the behaviour. */
#define check(name, condition) check_at(__FILE__, __LINE__, name, condition)
#define expect(name, got, want) expect_at(__FILE__, __LINE__, name, (long)(got), (long)(want))
/* Several answers keep to the ABI: expect_any("name", rc, X_EINVAL, X_EFAULT). */
#define expect_any(name, got, ...)                                                                                                                   \
    expect_any_at(__FILE__, __LINE__, name, (long)(got), (const long[]){__VA_ARGS__}, sizeof((const long[]){__VA_ARGS__}) / sizeof(long))
#define expect_error(name, got) check_negative(__FILE__, __LINE__, name, (long)(got))
void check_negative(const char *file, int line, const char *name, long got);
void note(const char *fmt, ...) printf_like(1, 2); /* information, no result */
void skip(const char *name, const char *why);
void finish(void) __attribute__((noreturn));
void give_up(const char *fmt, ...) printf_like(1, 2) __attribute__((noreturn));

/* ---- hypercalls ---- */
long hypercall_raw(uint64_t nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
#define hypercall5(nr, a, b, c, d, e)                                                                                                                \
    hypercall_raw(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e))
#define hypercall4(nr, a, b, c, d) hypercall5(nr, a, b, c, d, 0)
#define hypercall3(nr, a, b, c) hypercall5(nr, a, b, c, 0, 0)
#define hypercall2(nr, a, b) hypercall5(nr, a, b, 0, 0, 0)
#define hypercall1(nr, a) hypercall5(nr, a, 0, 0, 0, 0)
#define hypercall0(nr) hypercall5(nr, 0, 0, 0, 0, 0)
#define xen_version(cmd, arg) hypercall2(__HYPERVISOR_xen_version, cmd, arg)
#define memory_op(cmd, arg) hypercall2(__HYPERVISOR_memory_op, cmd, arg)
#define sched_op(cmd, arg) hypercall2(__HYPERVISOR_sched_op, cmd, arg)
#define vcpu_op(cmd, id, arg) hypercall3(__HYPERVISOR_vcpu_op, cmd, id, arg)
#define evtchn_op(cmd, arg) hypercall2(__HYPERVISOR_event_channel_op, cmd, arg)
#define gnttab_op(cmd, arg, count) hypercall3(__HYPERVISOR_grant_table_op, cmd, arg, count)
#define set_trap_table(table) hypercall1(__HYPERVISOR_set_trap_table, table)
#define callback_op(cmd, arg) hypercall2(__HYPERVISOR_callback_op, cmd, arg)
#define stack_switch(ss, sp) hypercall2(__HYPERVISOR_stack_switch, ss, sp)
#define set_segment_base(which, base) hypercall2(__HYPERVISOR_set_segment_base, which, base)
#define set_gdt(frames, entries) hypercall2(__HYPERVISOR_set_gdt, frames, entries)
#define update_descriptor(maddr, desc) hypercall2(__HYPERVISOR_update_descriptor, maddr, desc)
#define set_debugreg(reg, value) hypercall2(__HYPERVISOR_set_debugreg, reg, value)
#define get_debugreg(reg) hypercall1(__HYPERVISOR_get_debugreg, reg)
#define multicall(entries, count) hypercall2(__HYPERVISOR_multicall, entries, count)
#define update_va_mapping(va, pte, flags) hypercall3(__HYPERVISOR_update_va_mapping, va, pte, flags)
#define mmu_update(reqs, count, done, dom) hypercall4(__HYPERVISOR_mmu_update, reqs, count, done, dom)
#define mmuext_op(ops, count, done, dom) hypercall4(__HYPERVISOR_mmuext_op, ops, count, done, dom)
#define set_timer_op(ns) hypercall1(__HYPERVISOR_set_timer_op, ns)

/* ---- memory: virtual addresses of the image and heap are virt_base + (pfn << 12) ---- */
static inline uint64_t pfn_of(const void *va)
{
    return ((uint64_t)va - (uint64_t)virt_base) >> PAGE_SHIFT;
}
static inline void *va_of_pfn(uint64_t pfn)
{
    return virt_base + (pfn << PAGE_SHIFT);
}
static inline uint64_t mfn_of(const void *va)
{
    return p2m[pfn_of(va)];
}
static inline uint64_t maddr_of(const void *va)
{
    return (mfn_of(va) << PAGE_SHIFT) | ((uint64_t)va & (PAGE_SIZE - 1));
}
extern const uint64_t *m2p;
static inline void *va_of_mfn(uint64_t mfn)
{
    return va_of_pfn(m2p[mfn]);
}
void *page_alloc(void); /* zeroed, mapped writable; gives up when none is left */
void page_free(void *page);
uint64_t heap_first_pfn(void);
uint64_t heap_pages(void);

/* The entry that maps va at a level (1..4) of the current kernel table, or NULL. */
uint64_t *pte_find(uint64_t va, int level);
uint64_t pte_maddr(uint64_t va, int level); /* its machine address, 0 when absent */
long pte_set(uint64_t entry_maddr, uint64_t value); /* mmu_update type 0, one request */
long mmuext(unsigned int cmd, uint64_t arg1, uint64_t arg2); /* one operation */
void make_readonly(const void *page);
void make_writable(const void *page);
void *table_alloc(void); /* a zeroed page, mapped read-only */
void table_free(void *page);

/* An L3, L2 and L1 page of our own under one L4 slot of the kernel table; the L1 covers the slot's first 2 MiB. */
struct region {
    uint64_t va;
    uint64_t *l3, *l2, *l1;
};
void region_build(struct region *r, unsigned int l4_slot);
long region_map(struct region *r, unsigned int index, uint64_t pte);
static inline void *region_va(const struct region *r, unsigned int index)
{
    return (void *)(r->va + index * PAGE_SIZE);
}
static inline uint64_t l1e_maddr(const struct region *r, unsigned int index)
{
    return maddr_of(&r->l1[index]);
}

/* ---- traps ---- */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};
#define VECTOR_EVENT 256
#define VECTOR_FAILSAFE 257
#define VECTOR_SYSCALL 258
#define VECTOR_SYSCALL32 259

/* VCPUS_MAX and STACK_BYTES come from kernels.mk: assembly needs them too. */
#define STACK_USER_TOP 32768ul /* frames from user mode start here within a stack */
struct vcpu_data {
    unsigned int id;
    unsigned long catch_rsp;   /* where a deliberate fault returns to, 0: none */
    struct frame last;         /* the last exception, and cr2 with it */
    uint64_t cr2;
    uint8_t mask_in_handler;   /* evtchn_upcall_mask as the handler found it */
    uint64_t handler_rflags;   /* and the flags it ran with */
    uint64_t handler_rsp;
    unsigned int traps;        /* how many exceptions and callbacks, events apart */
    unsigned int upcalls;
    bool (*hook)(struct frame *f); /* sees each trap first; true: handled, return by iret */
    volatile unsigned int alive;
    void (*work)(void *);
    void *work_arg;
    volatile unsigned int work_seq, work_done;
};
extern struct vcpu_data vcpus[VCPUS_MAX];
extern uint8_t stacks[VCPUS_MAX][STACK_BYTES];
extern const uint64_t trap_entries[32];
extern char int80_entry[], spare_entry[], event_entry[], failsafe_entry[], syscall_entry[], syscall32_entry[], secondary_start[];
void standard_traps(void); /* register the library's trap table on this vCPU */
struct vcpu_data *this_vcpu(void); /* by the stack in use */
struct vcpu_info *vcpu_info(unsigned int id);
long callback_register(unsigned int type, const void *address, unsigned int flags);
void standard_callbacks(void);

int catch_call(void (*fn)(void *), void *arg, unsigned long *catch_rsp);
int user_enter(struct frame *frame, void *unused, unsigned long *catch_rsp);
int iret_raw(void *context, void *unused, unsigned long *catch_rsp);
void catch_jump(unsigned long rsp, int vector) __attribute__((noreturn));
/* Run fn(arg): -1, or the vector that ended it, with the frame in this_vcpu()->last. */
int catch(void (*fn)(void *), void *arg);
/* -1, or the vector. */
int catch_read(uint64_t va, uint64_t *value);
int catch_write(uint64_t va, uint64_t value);

/* ---- user mode: code and stack of its own page table, shared with a slot of the kernel's ---- */
#define USER_SLOT 3
#define USER_VA ((uint64_t)USER_SLOT << 39)
#define USER_STACK_TOP (USER_VA + 3 * PAGE_SIZE) /* page 0, 1 code and data (writable), 2 stack */
extern struct region user_region;
extern uint64_t *user_l4;
void user_setup(void);
void user_code(const void *from, const void *to); /* copy instructions to USER_VA */
/* Enter user mode at USER_VA with f's registers (rip, cs, ss, rsp, rflags are set when 0); the vector that ended it. */
int user_run(struct frame *f);
#define USER_CODE(name, text)                                                                                                                        \
    __asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection");                                                              \
    extern const char name[], name##_end[]

/* ---- events and time ---- */
#define PORTS_MAX 4096
extern volatile unsigned int port_count[PORTS_MAX]; /* how often each was seen */
extern volatile unsigned int port_vcpu[PORTS_MAX];  /* and where last */
static inline void events_mask(void)
{
    vcpu_info(this_vcpu()->id)->evtchn_upcall_mask = 1;
    barrier();
}
void events_unmask(void); /* and take what is pending */
uint64_t tsc_read(void);
uint64_t now_ns(void); /* system time, from vcpu_info */
int port_unbound(void); /* alloc_unbound(SELF, SELF) */
int bind_virq(unsigned int virq, unsigned int vcpu);
int bind_ipi(unsigned int vcpu);
int pair_bind(int port, unsigned int remote_dom); /* bind_interdomain to one of ours */
long port_close(int port);
long port_send(int port);
void port_unmask(int port);
void port_forget(int port); /* clear pending and count */
bool port_wait(int port, unsigned int more_than, uint64_t ns); /* until port_count exceeds, events unmasked meanwhile */
void pause_ns(uint64_t ns);

/* ---- further vCPUs ---- */
long vcpu_start(unsigned int id); /* initialise and up; 0 when it runs mini_secondary */
void vcpu_do(unsigned int id, void (*fn)(void *), void *arg); /* hand it work, do not wait */
bool vcpu_wait(unsigned int id, uint64_t ns); /* until it is done */

/* ---- bits ---- */
void *memset(void *, int, size_t);
void *memcpy(void *, const void *, size_t);
int memcmp(const void *, const void *, size_t);
int strcmp(const char *, const char *);
size_t strlen(const char *);
static inline uint64_t random_next(uint64_t *state) /* xorshift64*, state never 0 */
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dul;
}
struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};
struct cpuid cpuid_pv(uint32_t leaf, uint32_t subleaf); /* through the forced-emulation prefix */
struct cpuid cpuid_raw(uint32_t leaf, uint32_t subleaf);
