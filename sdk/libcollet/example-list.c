// SPDX-License-Identifier: MIT
/*
 * The example of docs/reference/libcollet.md: names and states of all domains.
 *     cc example-list.c $(pkg-config --cflags --libs collet)
 */
#include <collet/collet.h>

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    struct collet_domain_info *domains;
    struct collet *c;
    int n = collet_open(&c);

    if (n == 0)
        n = collet_domains(c, &domains);
    if (n < 0) {
        fprintf(stderr, "example-list: %s\n", collet_error(c));
        collet_close(c);
        return 1;
    }
    for (int i = 0; i < n; i++)
        printf("%5u  %-31s  %s  %llu MiB\n", domains[i].domid, domains[i].name, domains[i].flags & COLLET_DOMAIN_PAUSED ? "paused" : "running",
               (unsigned long long)(domains[i].frames >> 8));
    free(domains);
    collet_close(c);
    return 0;
}
