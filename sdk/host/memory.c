// SPDX-License-Identifier: MIT
/* The hypervisor's heap, by libc; any allocation can be made to fail. Contract: host.h, alloc.h. */
#include "alloc.h"
#include "host.h"

#include <stdlib.h>
#include <string.h>

#define weak __attribute__((weak))

weak uint64_t host_heap_budget = UINT64_MAX;
weak int64_t host_heap_live;

weak void *heap_alloc(size_t bytes)
{
    size_t align = bytes >= 64 ? 64 : 16;
    void *p;

    if (host_heap_budget == 0)
        return NULL;
    if (host_heap_budget != UINT64_MAX)
        host_heap_budget--;
    p = aligned_alloc(align, ROUND_UP(bytes, align));
    if (p == NULL)
        abort();
    memset(p, 0, bytes);
    __atomic_fetch_add(&host_heap_live, 1, __ATOMIC_RELAXED);
    return p;
}

weak void heap_free(void *ptr)
{
    if (ptr == NULL)
        return;
    __atomic_fetch_sub(&host_heap_live, 1, __ATOMIC_RELAXED);
    free(ptr);
}

weak void *page_alloc(void)
{
    void *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);

    if (page == NULL)
        abort();
    return memset(page, 0, PAGE_SIZE);
}

weak void page_free(void *page)
{
    free(page);
}

/* Debian 12's libc has none. */
size_t strlcpy(char *to, const char *from, size_t size);
weak size_t strlcpy(char *to, const char *from, size_t size)
{
    size_t bytes = strlen(from);

    if (size > 0) {
        size_t n = bytes < size ? bytes : size - 1;

        memcpy(to, from, n);
        to[n] = '\0';
    }
    return bytes;
}
