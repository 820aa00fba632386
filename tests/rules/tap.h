/* SPDX-License-Identifier: MIT */
/* An interface of the kernel whose frames this program writes and reads. The caller is in a network namespace of its own. */
#pragma once

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Write a word to a file of /proc/sys; false: it cannot be. */
static inline bool kernel_setting(const char *path, const char *value)
{
    FILE *file = fopen(path, "w");
    bool good = file != NULL && fputs(value, file) >= 0;

    if (file != NULL)
        good = fclose(file) == 0 && good;
    return good;
}

/* Up, without ARP, and silent. Its file, or -1. */
static inline int tap(const char *name)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), s = socket(AF_INET, SOCK_DGRAM, 0);
    char path[96];

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (fd < 0 || s < 0 || ioctl(fd, TUNSETIFF, &request) != 0)
        return -1;
    snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    kernel_setting(path, "1");
    request.ifr_flags = IFF_UP | IFF_NOARP;
    if (ioctl(s, SIOCSIFFLAGS, &request) != 0)
        return -1;
    close(s);
    return fd;
}
