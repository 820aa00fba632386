// SPDX-License-Identifier: MIT
/*
 * Puts one ordering module after the other in charge of all disks, as fast as it is told, by libcollet: a test of live swaps under load.
 *
 *   disk-swapper SECONDS MICROSECONDS MODULE...
 *
 * Prints how often. Exit status 1 when a swap was refused.
 */
#include <collet/collet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct collet *c = NULL;
    unsigned long swaps = 0;
    double end;
    int rc;

    if (argc < 4)
        return 2;
    rc = collet_open(&c);
    if (rc != 0) {
        fprintf(stderr, "disk-swapper: collet_open: %s\n", strerror(-rc));
        return 1;
    }
    end = now_s() + atof(argv[1]);
    while (now_s() < end) {
        const char *module = argv[3 + swaps % (unsigned long)(argc - 3)];

        for (uint32_t disk = 0; disk < 2; disk++) {
            rc = collet_disk_use(c, disk, module);
            if (rc != 0) {
                fprintf(stderr, "disk-swapper: disk%u: %s: %s\n", disk, module, strerror(rc < 0 ? -rc : rc));
                return 1;
            }
        }
        swaps++;
        usleep((useconds_t)atoi(argv[2]));
    }
    printf("%lu swaps of each disk's module\n", swaps);
    collet_close(c);
    return 0;
}
