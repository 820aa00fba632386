# SPDX-License-Identifier: MIT
# Everything that boots in QEMU, and `make test`, which runs all suites and adds up.

DRIVE := $(BUILD)/tests/drive
DEBIAN_IMAGES := $(DOM0_KERNEL) $(DOM0_INITRD) $(STRESS_OVERLAY)

$(DRIVE): tests/boot/drive.c | check-deps
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Werror -o $@ $<

.PHONY: test test-boot test-long test-domains test-scale
DOMAINS_IMAGES := $(DOM0_KERNEL) $(DOM0_RAMDISK) $(JQ_OVERLAY) $(PLUGIN_BAD)
test: hypervisor kernels $(DEBIAN_IMAGES) $(DOMAINS_IMAGES) $(DRIVE) ##- unit tests, tiny kernels and Debian boots; ends with "N passed, N failed"
	@tests/boot/all.sh

test-boot: hypervisor $(DEBIAN_IMAGES) $(DRIVE) ##- the Debian boots only (BOOTS="bvt2 shell grub")
	@tests/boot/debian/run.sh $(BOOTS)

test-long: hypervisor $(DEBIAN_IMAGES) $(DRIVE) ##- five minutes of load on 2 and 4 CPUs, frame accounting exact after it
	@tests/boot/debian/run.sh long2 long4 longrr

test-domains: hypervisor $(DOMAINS_IMAGES) $(DRIVE) ##- guests, schedulers, plugins and daemons under Domain0 (BOOTS="basic lifecycle smp daemons plugins")
	@tests/boot/domains/run.sh $(BOOTS)

test-scale: hypervisor $(DOMAINS_IMAGES) $(DRIVE) ##- 100 tiny domains and 20 Debian kernels at once: needs 13 GiB
	@tests/boot/domains/run.sh scale
