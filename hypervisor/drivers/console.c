/* SPDX-License-Identifier: MIT */
/*
 * The console: log and Domain0 on one serial line. Contract: console.h.
 *
 * Domain0's output is passed as it is; a log line that arrives while Domain0's cursor is inside a line begins a new one. Other domains are
 * written line by line with "(dN) " before each, under a budget per domain. Three Ctrl-A switch input between Domain0 and our keys.
 */
#include "console.h"

#include "cpu.h"
#include "domain.h"
#include "event.h"
#include "guest-access.h"
#include "hypercall.h"
#include "lib/string.h"
#include "log.h"
#include "options.h"
#include "serial.h"
#include "spinlock.h"
#include "time.h"
#include "vcpu.h"

#include <hv/errno.h>
#include <xen/xen.h>

#define INPUT_BYTES 1024u /* a power of two */
#define CHUNK 128u
#define KEYS_MAX 32
#define SWITCH_KEY 1 /* Ctrl-A */
#define SWITCH_TIMES 3
#define GUEST_LINE 128u

static struct spinlock console_lock; /* protects output; any context */
static bool mid_line;                /* the cursor is not at the start of a line */

static struct spinlock input_lock; /* protects the input ring and the switch; any context */
static char input[INPUT_BYTES];
static uint32_t input_head, input_tail;
static unsigned int switch_count;
static bool input_is_ours;
static char pressed[16];
static uint32_t pressed_head, pressed_tail;

static struct {
    char key;
    void (*handler)(char key);
    const char *help;
} keys[KEYS_MAX];
static unsigned int key_count;

static void put(char c)
{
    if (c == '\n')
        serial_put('\r');
    serial_put(c);
    mid_line = c != '\n' && c != '\r';
}

static void write_text(const char *text, size_t bytes)
{
    while (bytes-- > 0)
        put(*text++);
}

void console_write(const char *text, size_t bytes)
{
    uint64_t flags;

    if (!boot_options.console_com1)
        return;
    flags = spin_lock_irqsave(&console_lock);
    if (mid_line)
        put('\n');
    write_text(text, bytes);
    spin_unlock_irqrestore(&console_lock, flags);
}

void console_write_unlocked(const char *text, size_t bytes)
{
    if (mid_line)
        put('\n');
    write_text(text, bytes);
}

static void key_help(char key unused_arg)
{
    unsigned int i;

    log_info("keys of the hypervisor (Ctrl-A three times switches back to Domain0):");
    for (i = 0; i < key_count; i++)
        log_info("  %c  %s", keys[i].key, keys[i].help);
}

static void key_reboot(char key unused_arg)
{
    machine_end(MACHINE_REBOOT);
}

static void key_crash(char key unused_arg)
{
    panic("asked for by the key 'C'");
}

static void key_cpus(char key unused_arg)
{
    uint32_t i;

    for (i = 0; i < cpu_count; i++) {
        const struct vcpu *v = READ_ONCE(cpus[i].current);

        if (v == NULL || v->is_idle)
            log_info("cpu %u: idle", i);
        else
            log_info("cpu %u: d%u v%u", i, v->domain->id, v->id);
    }
}

static void console_softirq(void)
{
    for (;;) {
        uint64_t flags = spin_lock_irqsave(&input_lock);
        bool any = pressed_head != pressed_tail;
        char key = any ? pressed[pressed_tail++ % sizeof(pressed)] : 0;
        unsigned int i;

        spin_unlock_irqrestore(&input_lock, flags);
        if (!any)
            return;
        for (i = 0; i < key_count && keys[i].key != key; i++)
            ;
        if (i < key_count)
            keys[i].handler(key);
        else if (key > ' ')
            log_info("no such key: '%c'; 'h' lists them", key);
    }
}

void console_register_key(char key, void (*handler)(char key), const char *help)
{
    if (key_count == KEYS_MAX)
        return;
    keys[key_count].key = key;
    keys[key_count].handler = handler;
    keys[key_count++].help = help;
}

static void input_switched(void)
{
    if (input_is_ours)
        log_info("console input goes to the hypervisor now; 'h' for help, Ctrl-A three times to go back");
    else
        log_info("console input goes to Domain0 now");
}

/* A byte from the serial line. Interrupts off, boot CPU. */
static void input_byte(char c)
{
    bool switched = false, ours;

    spin_lock(&input_lock);
    switch_count = c == SWITCH_KEY ? switch_count + 1 : 0;
    if (switch_count == SWITCH_TIMES) {
        input_is_ours = !input_is_ours;
        switch_count = 0;
        switched = true;
    }
    ours = input_is_ours;
    if (!switched && ours && c != SWITCH_KEY && pressed_head - pressed_tail < sizeof(pressed))
        pressed[pressed_head++ % sizeof(pressed)] = c;
    if (!switched && !ours && input_head - input_tail < INPUT_BYTES)
        input[input_head++ % INPUT_BYTES] = c;
    spin_unlock(&input_lock);
    if (switched)
        input_switched();
    else if (ours)
        softirq_raise(SOFTIRQ_CONSOLE);
    else
        event_raise_global_virq(VIRQ_CONSOLE);
}

void console_init(void)
{
    serial_init();
}

void console_init_irq(void)
{
    softirq_register(SOFTIRQ_CONSOLE, console_softirq);
    console_register_key('h', key_help, "this list");
    console_register_key('c', key_cpus, "what each pCPU runs");
    console_register_key('C', key_crash, "crash the hypervisor, to see its report");
    console_register_key('R', key_reboot, "reboot the machine at once");
    if (boot_options.console_com1 && serial_input_start(input_byte) != 0)
        log_warning("no interrupt for the console: no input");
}

static void dom0_write(const char *text, size_t bytes)
{
    uint64_t flags = spin_lock_irqsave(&console_lock);

    write_text(text, bytes);
    spin_unlock_irqrestore(&console_lock, flags);
}

/* Another domain's text: printable characters only, a line at a time, at the rate log_guest allows. */
static void guest_write(struct domain *d, const char *text, size_t bytes)
{
    while (bytes-- > 0) {
        char c = *text++;

        if (c != '\n' && d->console_used < sizeof(d->console_line) - 1) {
            d->console_line[d->console_used++] = c >= ' ' && c < 127 ? c : ' ';
            continue;
        }
        d->console_line[d->console_used] = '\0';
        if (d->console_used > 0)
            log_guest(d, LOG_INFO, "%s", d->console_line);
        d->console_used = 0;
    }
}

static long op_write(struct domain *d, unsigned int count, uint64_t buffer)
{
    char chunk[CHUNK];
    unsigned int done;

    for (done = 0; done < count;) {
        unsigned int n = min(count - done, CHUNK);

        if (copy_from_guest(chunk, buffer + done, n) != 0)
            return -EFAULT;
        if (d->privileged) {
            if (boot_options.console_com1)
                dom0_write(chunk, n);
        } else {
            guest_write(d, chunk, n);
        }
        done += n;
        preempt_point();
    }
    return 0;
}

static long op_read(unsigned int count, uint64_t buffer)
{
    char chunk[CHUNK];
    unsigned int n = 0;
    uint64_t flags = spin_lock_irqsave(&input_lock);

    while (n < count && n < CHUNK && input_tail != input_head)
        chunk[n++] = input[input_tail++ % INPUT_BYTES];
    spin_unlock_irqrestore(&input_lock, flags);
    return copy_to_guest(buffer, chunk, n) != 0 ? -EFAULT : (long)n;
}

long hypercall_console_io(unsigned int cmd, unsigned int count, uint64_t buffer)
{
    struct domain *d = current_vcpu()->domain;

    switch (cmd) {
    case CONSOLEIO_write:
        return op_write(d, count, buffer);
    case CONSOLEIO_read:
        return d->privileged ? op_read(count, buffer) : -EPERM;
    default:
        return -ENOSYS;
    }
}
