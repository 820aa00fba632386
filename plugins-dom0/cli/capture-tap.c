/* SPDX-License-Identifier: MIT */
/*
 * A network interface of Domain0 that captured frames come out of, so that any program that listens to interfaces (tcpdump -i, a Wireshark over ssh) sees them live.
 *
 * Domain0 itself must not take part: the interface has no address, answers no ARP and no neighbour solicitation, and nothing is routed to it. What Domain0 might send there is not read.
 * Contract: capture.h.  Tests: tests/boot/net.
 */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MTU_MOST 65521 /* of a TAP device */

/* Before it is up, else the kernel has sent its first solicitations already. Without IPv6 there is no such file. */
static void ipv6_off(const char *name)
{
    char path[96];
    int fd;

    snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "1", 1) != 1)
        (void)0; /* then it sends a few frames that nobody reads */
    close(fd);
}

static int bring_up(const char *name)
{
    struct ifreq request = { 0 };
    int rc, s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (s < 0)
        return -errno;
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    request.ifr_mtu = MTU_MOST;
    (void)ioctl(s, SIOCSIFMTU, &request); /* longer frames come out all the same */
    request.ifr_flags = IFF_UP | IFF_NOARP;
    rc = ioctl(s, SIOCSIFFLAGS, &request) != 0 ? -errno : 0;
    close(s);
    return rc;
}

int capture_tap_open(const char *name, const char **what)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), rc;

    *what = "/dev/net/tun";
    if (fd < 0)
        return -errno;
    *what = name;
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    rc = ioctl(fd, TUNSETIFF, &request) != 0 ? -errno : 0;
    if (rc == 0) {
        ipv6_off(name);
        rc = bring_up(name);
    }
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int capture_tap_write(int fd, const struct capture_frame *frame)
{
    ssize_t n = write(fd, frame->bytes, frame->record->captured);

    return n < 0 ? -errno : 0;
}
