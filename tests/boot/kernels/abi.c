#include "mini.h"
void kernel_main(void)
{
    note("vcpus %u base %p p2m %p nr %lu\n", vcpu_count, virt_base, p2m, start_info->nr_pages);
    expect("int3", catch_read(0x123456789000, NULL), 14);
    check("time", now_ns() > 0);
    user_setup();
    struct frame f = {0};
    *(volatile uint8_t *)USER_VA = 0xcc;
    expect("user int3", user_run(&f), 3);
}
