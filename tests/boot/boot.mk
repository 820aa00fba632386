# SPDX-License-Identifier: MIT
# Everything that boots in QEMU, and `make test`, which runs all suites and adds up.

DRIVE := $(BUILD)/tests/drive
DEBIAN_IMAGES := $(DOM0_KERNEL) $(DOM0_INITRD) $(STRESS_OVERLAY)

$(DRIVE): tests/boot/drive.c | check-deps
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -o $@ $<

# Runs in Domain0, with the libcollet that is there.
DISK_SWAPPER := $(BUILD)/tests/disk-swapper
$(DISK_SWAPPER): tests/boot/disks/disk-swapper.c $(LIBCOLLET_SO) | check-deps
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -Isdk/include -o $@ $< $(LIBCOLLET_SO)

.PHONY: test test-boot test-long test-domains test-scale test-disks test-net
DOMAINS_IMAGES := $(DOM0_KERNEL) $(DOM0_RAMDISK) $(JQ_OVERLAY) $(PLUGIN_BAD)
DISKS_IMAGES := $(DOM0_KERNEL) $(DISKS_RAMDISK) $(ROOTFS) $(JQ_OVERLAY) $(DISK_SWAPPER) build/blk-sim
NET_IMAGES := $(DOM0_KERNEL) $(DISKS_RAMDISK) $(NET_TOOLS) $(SSH_FOLDER)/key.cpio $(ROOTFS) $(JQ_OVERLAY) $(LIBCOLLET_A)
test: hypervisor kernels $(DEBIAN_IMAGES) $(DOMAINS_IMAGES) $(DISKS_IMAGES) $(NET_IMAGES) $(DRIVE) ##- unit tests, tiny kernels and Debian boots; ends with "N passed, N failed"
	@tests/boot/all.sh

test-boot: hypervisor $(DEBIAN_IMAGES) $(DRIVE) ##- the Debian boots only (BOOTS="bvt2 shell grub")
	@tests/boot/debian/run.sh $(BOOTS)

test-long: hypervisor $(DEBIAN_IMAGES) $(DRIVE) ##- five minutes of load on 2 and 4 CPUs, frame accounting exact after it
	@tests/boot/debian/run.sh long2 long4 longrr

test-domains: hypervisor $(DOMAINS_IMAGES) $(DRIVE) ##- guests, schedulers, plugins and daemons under Domain0 (BOOTS="basic lifecycle smp daemons plugins")
	@tests/boot/domains/run.sh $(BOOTS)

test-scale: hypervisor $(DOMAINS_IMAGES) $(DRIVE) ##- 100 tiny domains and 20 Debian kernels at once: needs 13 GiB
	@tests/boot/domains/run.sh scale

test-net: hypervisor $(NET_IMAGES) $(DRIVE) ##- the network: guests, the host, rules, captures, trouble; make test runs basic of it (BOOTS="basic data host spoof rules capture trouble debian")
	@tests/boot/net/run.sh $(BOOTS)

test-disks: hypervisor $(DISKS_IMAGES) $(DRIVE) ##- disks of guests: Debian systems on their own, data, load, trouble (BOOTS="tools roots data load trouble errors native")
	@tests/boot/disks/run.sh $(BOOTS)
