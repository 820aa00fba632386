# SPDX-License-Identifier: MIT
# The instruction-counting benchmark. See docs/performance.md.

BENCH_INITRD := $(BUILD)/bench/bench.cpio

$(BUILD)/bench/bench: tests/bench/bench.c | check-deps
	@mkdir -p $(@D)
	gcc -std=gnu11 -O2 -static -Wall -Wextra -Werror -o $@ $<

$(BENCH_INITRD): $(BUILD)/bench/bench $(DOM0_INITRD) plugins-dom0/image/pack.sh
	@rm -rf $(@D)/stage && mkdir -p $(@D)/stage/bin
	@cp $< $(@D)/stage/init && cp $< $(@D)/stage/bench
	@cp $(DEBIAN)/packages/$$(sed 's/^[^ ]* \([^ ]*\) .*/\1/' $(DEBIAN)/version)/bin/busybox $(@D)/stage/bin/sh
	@plugins-dom0/image/pack.sh $(@D)/stage $@

.PHONY: bench bench-create bench-disk bench-net
bench: hypervisor $(DOM0_KERNEL) $(BENCH_INITRD) $(DRIVE) $(if $(ROWS),,dom0 build/vfr-cost) ##- count instructions natively, under Debian's Xen and on Collet, side by side, and of making domains (ROWS="pipe read" SYSTEMS=collet)
	@tests/bench/run.sh $(ROWS)
	@$(if $(ROWS),:,tests/bench/create.sh)
	@$(if $(ROWS),:,tests/bench/disk.sh)
	@$(if $(ROWS),:,tests/bench/net.sh)
bench-disk: hypervisor $(DOM0_KERNEL) dom0 $(DRIVE) blk-cost ##- only that of disk requests, side by side, and of ordering them (DISK_ROWS="read-1 fio-mixed" SYSTEMS="native collet")
	@tests/bench/disk.sh $(DISK_ROWS)
bench-net: hypervisor $(DOM0_KERNEL) dom0 $(DRIVE) build/vfr-cost ##- only that of packets, side by side, with rule sets of many sizes and a capture (NET_ROWS="udp-64-nic rules capture" SYSTEMS="native collet")
	@tests/bench/net.sh $(NET_ROWS)
bench-create: hypervisor $(DOM0_KERNEL) dom0 $(DRIVE) ##- only that of making domains, and of scheduling beside many (PARTS="first tick spin")
	@tests/bench/create.sh
