# SPDX-License-Identifier: MIT
# Domain0's kernel and ramdisk, from Debian packages, cached under build/debian by version; and what guests are made of.
# Domain0's whole ramdisk is four archives in one file, so that a changed program of ours costs a second:
#   build/debian/dom0.cpio   busybox, init, the kernel's Xen modules: boots alone
#   build/debian/tools.cpio  Debian's xenstored, xenconsoled, bash, shared libraries
#   build/debian/domu.cpio   /boot: kernels and a ramdisk for guests
#   Collet's own programs from build/dom0

IMAGE := plugins-dom0/image
DEBIAN := build/debian
DOM0_KERNEL := $(DEBIAN)/vmlinux
DOM0_INITRD := $(DEBIAN)/dom0.cpio
STRESS_OVERLAY := $(DEBIAN)/stress.cpio
DOM0_TOOLS := $(DEBIAN)/tools.cpio
DOMU_ARCHIVE := $(DEBIAN)/domu.cpio
DOM0_RAMDISK := $(BUILD)/dom0.cpio
DOMU_WORK := $(BUILD)/domu-work

# Asks apt for today's versions; leaves build/debian/vmlinux and dom0.cpio alone when they are of those versions.
.PHONY: image
image: check-deps
	@$(IMAGE)/build.sh $(DEBIAN)

# Offline and quick: only when there is none.
$(DOM0_KERNEL) $(DOM0_INITRD) &: $(addprefix $(IMAGE)/,build.sh extract-vmlinux.sh fetch-deb.sh make-initramfs.sh pick.sh pack.sh init inittab profile stop network-up) | check-deps
	@$(IMAGE)/build.sh $(DEBIAN)

# stress-ng, and a small C compiler with the headers it wants.
$(STRESS_OVERLAY): $(IMAGE)/make-overlay.sh $(IMAGE)/pack.sh $(IMAGE)/fetch-deb.sh | check-deps
	@mkdir -p $(DEBIAN)
	@$(IMAGE)/make-overlay.sh $@ $(DEBIAN)/packages stress-ng tcc libc6-dev linux-libc-dev

$(DOM0_TOOLS): $(addprefix $(IMAGE)/,make-tools.sh pick.sh fetch-deb.sh pack.sh) | check-deps
	@mkdir -p $(DEBIAN)
	@echo '  INITRD  $@'
	@$(IMAGE)/make-tools.sh $@ $(DEBIAN)/packages

# Static and without a library: it is loaded into every guest.
$(DOMU_WORK): $(IMAGE)/domu/work.c | check-deps
	@mkdir -p $(BUILD)
	$(CC) -std=gnu11 -Os -Wall -Wextra -Werror -static -nostdlib -ffreestanding -fno-builtin -fno-pic -no-pie -fno-stack-protector -fno-asynchronous-unwind-tables -o $@ $<

$(DOMU_ARCHIVE): $(addprefix $(IMAGE)/,make-domu.sh pick.sh network-up fetch-deb.sh pack.sh) $(wildcard $(IMAGE)/domu/*) $(KERNELS_ELF) $(DOMU_WORK) | check-deps
	@mkdir -p $(DEBIAN)
	@echo '  INITRD  $@'
	@$(IMAGE)/make-domu.sh $@ $(DEBIAN)/packages $(BUILD)

# Programs of Domain0, by the names that their folders' fragments give them.
.PHONY: dom0 dom0-programs FORCE
dom0-programs: $(LIBCOLLET_SO) $(COLLETD) $(CLI_BIN) $(PLUGINS) $(PLUGIN_WORKER)
dom0: $(DOM0_RAMDISK) ##- Domain0's programs and its whole ramdisk: build/dom0.cpio
$(DOM0_RAMDISK): $(DOM0_INITRD) $(DOM0_TOOLS) $(DOMU_ARCHIVE) dom0-programs FORCE
	@$(IMAGE)/make-own.sh $@ $(BUILD)/dom0 $(DOM0_INITRD) $(DOM0_TOOLS) $(DOMU_ARCHIVE)

# Only tests have it: reads what `collet --json` prints.
JQ_OVERLAY := $(DEBIAN)/jq.cpio
$(JQ_OVERLAY): $(IMAGE)/make-overlay.sh $(IMAGE)/pack.sh $(IMAGE)/fetch-deb.sh | check-deps
	@mkdir -p $(DEBIAN)
	@$(IMAGE)/make-overlay.sh $@ $(DEBIAN)/packages jq

## Network: programs for it in Domain0, and a key that lets people in
NET_TOOLS := $(DEBIAN)/net-tools.cpio
SSH_FOLDER := $(DEBIAN)/ssh
SSH_KEY := $(SSH_FOLDER)/id
SSH_PORT ?= 2222

$(NET_TOOLS): $(addprefix $(IMAGE)/,make-net-tools.sh ssh-up pick.sh fetch-deb.sh pack.sh) $(DOMU_ARCHIVE) | check-deps
	@echo '  INITRD  $@'
	@$(IMAGE)/make-net-tools.sh $@ $(DEBIAN)/packages $(DOMU_ARCHIVE)

# As old as the file systems that have its public half.
$(SSH_KEY): | check-deps check-net-deps
	@$(IMAGE)/make-key.sh $(SSH_FOLDER) $(SSH_PORT)
$(SSH_FOLDER)/key.cpio: $(SSH_KEY) $(IMAGE)/make-key.sh FORCE
	@$(IMAGE)/make-key.sh $(SSH_FOLDER) $(SSH_PORT)

## Disks: programs for them in Domain0, a Debian system for guests, image files
DISK_TOOLS := $(DEBIAN)/disk-tools.cpio
ROOTFS := $(DEBIAN)/rootfs.ext4
ROOTFS_INITRD := $(DEBIAN)/rootfs.initrd
DISK_IMAGES := $(BUILD)/disks/disk0.img $(BUILD)/disks/disk1.img
# Domain0's whole ramdisk on a machine with disks.
DISKS_RAMDISK := $(BUILD)/dom0-disks.cpio

$(DISK_TOOLS): $(addprefix $(IMAGE)/,make-disk-tools.sh make-fio.sh pick.sh fetch-deb.sh pack.sh) $(DOMU_ARCHIVE) | check-deps
	@echo '  INITRD  $@'
	@$(IMAGE)/make-disk-tools.sh $@ $(DEBIAN)/packages $(DOMU_ARCHIVE)

$(ROOTFS) $(ROOTFS_INITRD) &: $(addprefix $(IMAGE)/,make-rootfs.sh make-fio.sh pick.sh ssh-up fetch-deb.sh) $(SSH_KEY) | check-deps check-disk-deps
	@mkdir -p $(DEBIAN)/packages
	@$(IMAGE)/make-rootfs.sh $(DEBIAN) $(DEBIAN)/packages $(SSH_KEY).pub

$(DISK_IMAGES) &: | $(ROOTFS) check-disk-deps
	@$(IMAGE)/make-disks.sh $(BUILD)/disks $(ROOTFS)

$(DISKS_RAMDISK): $(DOM0_RAMDISK) $(DISK_TOOLS) $(ROOTFS_INITRD)
	@rm -rf $(BUILD)/disks-boot && mkdir -p $(BUILD)/disks-boot/boot && cp $(ROOTFS_INITRD) $(BUILD)/disks-boot/boot/debian.initrd
	@$(IMAGE)/pack.sh $(BUILD)/disks-boot $@.initrd
	@cat $(DOM0_RAMDISK) $(DISK_TOOLS) $@.initrd >$@.partial && mv $@.partial $@ && rm $@.initrd

.PHONY: disks
disks: $(DISKS_RAMDISK) $(DISK_IMAGES) ##- image files with Debian systems for guests, build/disks/*.img, made once; and Domain0's ramdisk with programs for disks
