// SPDX-License-Identifier: MIT
/*
 * Exceptions and callbacks of a tiny kernel, deliberate faults (catch), and excursions into user mode.
 */
#include "mini.h"

struct vcpu_data vcpus[VCPUS_MAX];
struct region user_region;
uint64_t *user_l4;

void event_upcall(struct vcpu_data *v); /* events.c */

struct vcpu_data *this_vcpu(void)
{
    uint64_t here = (uint64_t)__builtin_frame_address(0) - (uint64_t)stacks;

    return &vcpus[here < sizeof(stacks) ? here / STACK_BYTES : 0];
}

void trap_c(struct frame *f)
{
    struct vcpu_data *v = this_vcpu();
    struct vcpu_info *info = vcpu_info(v->id);

    if (f->vector == VECTOR_EVENT) {
        event_upcall(v);
        return;
    }
    v->mask_in_handler = info->evtchn_upcall_mask;
    __asm__ volatile("pushfq; pop %0" : "=r"(v->handler_rflags));
    v->handler_rsp = (uint64_t)f;
    v->last = *f;
    v->cr2 = info->arch.cr2;
    v->traps++;
    if (v->hook != NULL && v->hook(f))
        return;
    if (v->catch_rsp != 0) {
        info->evtchn_upcall_mask = (uint8_t)(f->cs >> 32);
        catch_jump(v->catch_rsp, (int)f->vector);
    }
    give_up("unexpected trap %lu error %lx rip %lx cs %lx rflags %lx rsp %lx ss %lx cr2 %lx rax %lx rbx %lx rcx %lx rdx %lx rdi %lx r13 %lx r14 %lx r15 %lx\n", f->vector, f->error,
            f->rip, f->cs, f->rflags, f->rsp, f->ss, v->cr2, f->rax, f->rbx, f->rcx, f->rdx, f->rdi, f->r13, f->r14, f->r15);
}

int catch(void (*fn)(void *), void *arg)
{
    struct vcpu_data *v = this_vcpu();
    unsigned long outer = v->catch_rsp;
    int vector = catch_call(fn, arg, &v->catch_rsp);

    v->catch_rsp = outer;
    return vector;
}

static void do_read(void *arg)
{
    uint64_t *pair = arg;

    pair[1] = *(volatile uint64_t *)pair[0];
}

static void do_write(void *arg)
{
    uint64_t *pair = arg;

    *(volatile uint64_t *)pair[0] = pair[1];
}

int catch_read(uint64_t va, uint64_t *value)
{
    uint64_t pair[2] = {va, 0};
    int vector = catch(do_read, pair);

    if (value != NULL)
        *value = pair[1];
    return vector;
}

int catch_write(uint64_t va, uint64_t value)
{
    uint64_t pair[2] = {va, value};

    return catch(do_write, pair);
}

void standard_traps(void)
{
    struct trap_info table[35] = {0};
    unsigned int n = 0;

    for (unsigned int vector = 0; vector < 32; vector++) {
        uint8_t flags = vector == 3 ? 3 : vector == 4 ? 7 : 4; /* int3 leaves events as they are */

        table[n++] = (struct trap_info){(uint8_t)vector, flags, FLAT_KERNEL_CS, trap_entries[vector]};
    }
    table[n++] = (struct trap_info){0x80, 7, FLAT_KERNEL_CS, (uint64_t)int80_entry};
    table[n++] = (struct trap_info){0x81, 4, FLAT_KERNEL_CS, (uint64_t)spare_entry};
    if (set_trap_table(table) != 0)
        give_up("set_trap_table\n");
}

long callback_register(unsigned int type, const void *address, unsigned int flags)
{
    struct callback_register c = {.type = (uint16_t)type, .flags = (uint16_t)flags, .address = (uint64_t)address};

    return callback_op(CALLBACKOP_register, &c);
}

void standard_callbacks(void)
{
    if (callback_register(CALLBACKTYPE_event, event_entry, 0) != 0 || callback_register(CALLBACKTYPE_failsafe, failsafe_entry, 0) != 0 ||
        callback_register(CALLBACKTYPE_syscall, syscall_entry, CALLBACKF_mask_events) != 0)
        give_up("callback_op\n");
    callback_register(CALLBACKTYPE_syscall32, syscall32_entry, CALLBACKF_mask_events); /* may be refused */
}

void user_setup(void)
{
    if (user_l4 != NULL)
        return;
    region_build(&user_region, USER_SLOT);
    for (unsigned int i = 0; i < 3; i++)
        if (region_map(&user_region, i, maddr_of(page_alloc()) | PTE_PAGE) != 0)
            give_up("user_setup: page %u\n", i);
    user_l4 = table_alloc();
    if (pte_set(maddr_of(&user_l4[USER_SLOT]), maddr_of(user_region.l3) | PTE_TABLE) != 0 ||
        mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(user_l4), 0) != 0 || mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(user_l4), 0) != 0)
        give_up("user_setup: table\n");
}

void user_code(const void *from, const void *to)
{
    memcpy((void *)USER_VA, from, (size_t)((const char *)to - (const char *)from));
}

int user_run(struct frame *f)
{
    struct vcpu_data *v = this_vcpu();
    unsigned long outer = v->catch_rsp;
    int vector;

    if (f->rip == 0)
        f->rip = USER_VA;
    if (f->cs == 0)
        f->cs = FLAT_USER_CS64;
    if (f->ss == 0)
        f->ss = FLAT_USER_SS64;
    if (f->rsp == 0)
        f->rsp = USER_STACK_TOP - 16;
    if (f->rflags == 0)
        f->rflags = 2;
    stack_switch(FLAT_KERNEL_SS, stacks[v->id] + STACK_USER_TOP);
    vector = user_enter(f, NULL, &v->catch_rsp);
    v->catch_rsp = outer;
    return vector;
}
