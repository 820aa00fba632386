// SPDX-License-Identifier: MIT
/*
 * The guest ABI as its public headers state it, used properly: what a well-behaved kernel may rely on. Linked three ways (kernels.mk). With part=NAME on the
 * command line only that part runs. What must be refused is in the attack kernels.
 */
#include "abi.h"
#include "mini.h"

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {
    {"start", abi_start},           {"cpu", abi_cpu},           {"trap", abi_trap},   {"user", abi_user},   {"pagetable", abi_pagetable},
    {"memory", abi_memory},         {"descriptor", abi_descriptor}, {"emulation", abi_emulation}, {"event", abi_event}, {"grant", abi_grant},
    {"time", abi_time},             {"smp", abi_smp},
};

void kernel_main(void)
{
    char only[32] = "";

    arg_string("part", only, sizeof(only));
    for (unsigned int i = 0; i < COUNT_OF(parts); i++)
        if (only[0] == '\0' || strcmp(only, parts[i].name) == 0)
            parts[i].run();
}
