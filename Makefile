# SPDX-License-Identifier: MIT
# Every task of the project: `make help` lists them.

# gcc unless told: make CC=clang
ifeq ($(origin CC),default)
CC := gcc
endif
DEBUG ?= 0
SCHED ?=
CPUS ?= 2
MEM ?= 2G
DOM0_MEM ?= 512M
BUILD := build
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
# V=1 shows the commands.
ifneq ($(V),1)
.SILENT:
endif

.PHONY: all
all: hypervisor ##- build the hypervisor: build/collet (DEBUG=1: build/collet-debug; CC=clang)

-include hypervisor/build.mk
-include tests/unit/unit.mk
-include tests/boot/kernels/kernels.mk
-include sdk/libcollet/libcollet.mk
-include plugins-dom0/rules/rules.mk
-include plugins-dom0/daemon/daemon.mk
-include plugins-dom0/plugins/plugins.mk
-include plugins-dom0/cli/cli.mk
include plugins-dom0/image/image.mk
include tests/boot/boot.mk
include tests/bench/bench.mk
-include tests/fuzz/fuzz.mk
include tests/check/check.mk

# Compiling must work before anything else, so it asks for its tools too.
$(HV_OBJECTS) $(HV_OFFSETS): | check-deps

## Running
QEMU := qemu-system-x86_64 -accel tcg -cpu max,-smap -smp $(CPUS) -m $(MEM)
DOM0_LINE = console=hvc0 acpi=off pci=off swiotlb=noforce initcall_blacklist=cmos_init nr_cpus=$(CPUS) nopvspin quiet $(DOM0_ARGS)
COLLET_LINE = console=com1 dom0_mem=$(DOM0_MEM) $(if $(SCHED),sched=$(SCHED)) $(COLLET_ARGS)

# Disks are files; what guests write stays in them. DISKS=no: a machine without, which needs no root file system.
DISKS ?= yes
disk_options = -drive if=none,id=$(basename $(notdir $(1))),format=raw,file=$(1),cache=writeback,aio=threads,discard=unmap \
	-device virtio-blk-pci,drive=$(basename $(notdir $(1))),serial=$(basename $(notdir $(1))),num-queues=$(CPUS)
ifeq ($(DISKS),yes)
RUN_ARCHIVES := $(DISKS_RAMDISK)
QEMU_DISKS = $(foreach image,$(DISK_IMAGES),$(call disk_options,$(image)))
run: $(DISK_IMAGES)
else
RUN_ARCHIVES := $(DOM0_RAMDISK)
endif

# The network is QEMU's own, 10.0.2.0/24 and fec0::/64 behind its address translation: needs no privileges. Secure shell of Domain0 (10.0.2.15) is at SSH_PORT on loopback, that of
# guests 10.0.2.16 ... 10.0.2.19 at the ports behind it, their web servers at HTTP_PORT (guest 16), HTTP_PORT + 1 ... NET=no: a machine without a card.
NET ?= yes
HTTP_PORT ?= 8016
forward_guest = hostfwd=tcp:127.0.0.1:$(shell expr $(SSH_PORT) + $(1) - 15)-10.0.2.$(1):22,hostfwd=tcp:127.0.0.1:$(shell expr $(HTTP_PORT) + $(1) - 16)-10.0.2.$(1):80
empty :=
space := $(empty) $(empty)
comma := ,
ifeq ($(NET),yes)
RUN_ARCHIVES += $(NET_TOOLS) $(SSH_FOLDER)/key.cpio
QEMU_NET = -netdev user,id=net0,hostfwd=tcp:127.0.0.1:$(SSH_PORT)-10.0.2.15:22,$(subst $(space),$(comma),$(foreach n,16 17 18 19,$(call forward_guest,$(n)))) -device virtio-net-pci,netdev=net0
RUN_HELLO := Secure shell: ssh -F $(SSH_FOLDER)/config dom0; guests by rule: guest16 ... guest19.
else
QEMU_NET := -nic none
endif
RUN_RAMDISK := $(BUILD)/dom0-run.cpio
$(RUN_RAMDISK): $(RUN_ARCHIVES) FORCE
	@cat $(RUN_ARCHIVES) >$@

.PHONY: run
run: hypervisor $(DOM0_KERNEL) $(RUN_RAMDISK) ##- boot Debian's kernel as Domain0 in QEMU, with a shell and all to make guests (SCHED=rr CPUS=4 MEM=4G DOM0_MEM=1G DISKS=no NET=no SSH_PORT=2222 COLLET_ARGS=... DOM0_ARGS=...)
	@echo 'Starting; the shell takes some seconds. Leave with `poweroff` in it, or Ctrl-A x.'
	$(if $(RUN_HELLO),@echo '$(RUN_HELLO)')
	@echo '$(QEMU) -nographic -kernel $(HV_IMAGE) ...'
	$(QEMU) -nographic -kernel $(HV_IMAGE) -append "$(strip $(COLLET_LINE))" -initrd "$(DOM0_KERNEL) $(DOM0_LINE),$(RUN_RAMDISK)" $(QEMU_DISKS) $(QEMU_NET)

.PHONY: demo
demo: hypervisor $(DOM0_KERNEL) $(DISKS_RAMDISK) $(NET_TOOLS) $(SSH_FOLDER)/key.cpio $(ROOTFS) $(JQ_OVERLAY) $(DRIVE) ##- without hands: guests share a CPU by weight under several schedulers and a policy plugin; two Debian systems share a disk under four ordering modules; rules protect a web server, captures are left in build/demo
	@tests/boot/demo.sh && tests/boot/demo-disks.sh && tests/boot/demo-net.sh

## House-keeping
.PHONY: help
help: ##- this list
	@awk 'BEGIN { FS = ":.*##- " } /^[a-z-]+:.*##- / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: clean distclean
clean: ##- remove what was built; the Debian packages stay
	rm -rf $(filter-out $(DEBIAN),$(wildcard $(BUILD)/*))
distclean: ##- remove build/ altogether
	rm -rf $(BUILD)

# Package, and a file that tells that it is there. Listed once: deps and check-deps use it.
DEPS := gcc:/usr/bin/gcc binutils:/usr/bin/ld libc6-dev:/usr/include/stdio.h libxen-dev:/usr/include/xen/xen.h check:/usr/include/check.h \
	pkg-config:/usr/bin/pkg-config qemu-system-x86:/usr/bin/qemu-system-x86_64 cpio:/usr/bin/cpio xz-utils:/usr/bin/xz git:/usr/bin/git perl-base:/usr/bin/perl \
	libinih-dev:/usr/include/ini.h libjansson-dev:/usr/include/jansson.h libncurses-dev:/usr/include/curses.h liblzma-dev:/usr/include/lzma.h \
	libzstd-dev:/usr/include/zstd.h liblz4-dev:/usr/include/lz4.h zlib1g-dev:/usr/include/zlib.h \
	flex:/usr/bin/flex bison:/usr/bin/bison libpcap-dev:/usr/include/pcap/pcap.h
# Only some targets need these: GRUB boots, other packers of kernels, the other compiler and its fuzzer, tidy layout, clean scripts and pages.
DEPS_TEST := grub-common:/usr/bin/grub-mkrescue grub-pc-bin:/usr/lib/grub/i386-pc/multiboot2.mod xorriso:/usr/bin/xorriso mtools:/usr/bin/mformat \
	zstd:/usr/bin/zstd lz4:/usr/bin/lz4 clang:/usr/bin/clang libclang-rt-dev:/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a clang-format:/usr/bin/clang-format clang-tidy:/usr/bin/clang-tidy shellcheck:/usr/bin/shellcheck groff-base:/usr/bin/groff
# For the network: a key for secure shell, what looks at captures, and Linux's own filter to compare with.
DEPS_NET := openssh-client:/usr/bin/ssh-keygen curl:/usr/bin/curl tshark:/usr/bin/tshark tcpdump:/usr/bin/tcpdump nftables:/usr/sbin/nft iproute2:/bin/ip
# For disks: Debian's systems for guests, partitions, pictures of the demo.
DEPS_DISKS := mmdebstrap:/usr/bin/mmdebstrap uidmap:/usr/bin/newuidmap fakeroot:/usr/bin/fakeroot-sysv fdisk:/sbin/sfdisk e2fsprogs:/sbin/mkfs.ext4 gnuplot-nox:/usr/bin/gnuplot
missing = $(strip $(foreach d,$(1),$(if $(wildcard $(word 2,$(subst :, ,$(d)))),,$(word 1,$(subst :, ,$(d))))))
INSTALL := apt-get install -y --no-install-recommends

.PHONY: deps check-deps check-disk-deps check-net-deps
deps: ##- install the Debian packages that are missing (as root or with sudo)
	@tests/check/install-deps.sh $(call missing,$(DEPS) $(DEPS_TEST) $(DEPS_DISKS) $(DEPS_NET))

# Costs nothing when all is there; otherwise installs, or says what to type.
check-deps:
	$(if $(call missing,$(DEPS)),@tests/check/install-deps.sh $(call missing,$(DEPS)),@:)
check-disk-deps:
	$(if $(call missing,$(DEPS_DISKS)),@tests/check/install-deps.sh $(call missing,$(DEPS_DISKS)),@:)
check-net-deps:
	$(if $(call missing,$(DEPS_NET)),@tests/check/install-deps.sh $(call missing,$(DEPS_NET)),@:)
