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

.PHONY: bench
bench: hypervisor $(DOM0_KERNEL) $(BENCH_INITRD) $(DRIVE) ##- count instructions natively, under Debian's Xen and on Collet, side by side (ROWS="pipe read" SYSTEMS=collet)
	@tests/bench/run.sh $(ROWS)
