# SPDX-License-Identifier: MIT
# Domain0's kernel and ramdisk, from Debian packages, cached under build/debian by version.

IMAGE := plugins-dom0/image
DEBIAN := build/debian
DOM0_KERNEL := $(DEBIAN)/vmlinux
DOM0_INITRD := $(DEBIAN)/dom0.cpio
STRESS_OVERLAY := $(DEBIAN)/stress.cpio

# Asks apt for today's versions; leaves build/debian/vmlinux and dom0.cpio alone when they are of those versions.
.PHONY: image
image: check-deps
	@$(IMAGE)/build.sh $(DEBIAN)

# Offline and quick: only when there is none.
$(DOM0_KERNEL) $(DOM0_INITRD) &: $(wildcard $(IMAGE)/*) | check-deps
	@$(IMAGE)/build.sh $(DEBIAN)

# stress-ng, and a small C compiler with the headers it wants.
$(STRESS_OVERLAY): $(IMAGE)/make-overlay.sh $(IMAGE)/pack.sh $(IMAGE)/fetch-deb.sh | check-deps
	@mkdir -p $(DEBIAN)
	@$(IMAGE)/make-overlay.sh $@ $(DEBIAN)/packages stress-ng tcc libc6-dev linux-libc-dev
