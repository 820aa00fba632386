# SPDX-License-Identifier: MIT
# The tiny PV kernels: build/kernels/NAME.elf from NAME.c here and lib/. Included by the top Makefile; also works alone: make -f tests/boot/kernels/kernels.mk
# A kernel is linked in one of three ways: -page (hypercall page note), -bare (bare SYSCALL, p2m at an address of its own), -base0 (bare, virtual base 0,
# one load segment). Needs libxen-dev.
KERNELS_DIR := tests/boot/kernels
KERNELS_OUT := build/kernels
KERNELS_CC ?= $(CC)
KERNELS_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-common -fno-strict-aliasing -fpie -fvisibility=hidden -mno-red-zone \
	-mgeneral-regs-only -mcmodel=small -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fno-builtin \
	-Wall -Wextra -Werror -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ -I$(KERNELS_DIR)/lib -Isdk/include \
	-DSTACK_BYTES=65536 -DVCPUS_MAX=8
KERNELS_LIB := console memory traps events start entry
KERNELS := abi-page abi-bare abi-base0 attack-mm attack-cpu attack-ev-gnt fuzz spin pest control attack-control blk attack-blk blk-load blk-cut net attack-net
KERNELS_ELF := $(KERNELS:%=$(KERNELS_OUT)/%.elf)
KERNELS_LIB_OBJ := $(KERNELS_LIB:%=$(KERNELS_OUT)/lib/%.o)

.PHONY: kernels test-kernels
test-kernels: hypervisor kernels ##- the tiny PV kernels only
	@$(KERNELS_DIR)/run-kernels.sh
	@$(KERNELS_DIR)/tap.sh

kernels: $(KERNELS_ELF)

$(KERNELS_OUT)/%.o: $(KERNELS_DIR)/%.c $(KERNELS_DIR)/lib/mini.h $(KERNELS_DIR)/abi.h $(KERNELS_DIR)/kernels.mk
	@mkdir -p $(@D)
	$(KERNELS_CC) $(KERNELS_CFLAGS) -c $< -o $@

$(KERNELS_OUT)/%.o: $(KERNELS_DIR)/%.S $(KERNELS_DIR)/kernels.mk
	@mkdir -p $(@D)
	$(KERNELS_CC) $(KERNELS_CFLAGS) -c $< -o $@

$(KERNELS_OUT)/high.lds: $(KERNELS_DIR)/lib/kernel.lds.S
	@mkdir -p $(@D)
	$(KERNELS_CC) -E -P -x c -DBASE=0xffffffff80000000 $< -o $@

$(KERNELS_OUT)/base0.lds: $(KERNELS_DIR)/lib/kernel.lds.S
	@mkdir -p $(@D)
	$(KERNELS_CC) -E -P -x c -DBASE=0 -DSINGLE $< -o $@

KERNELS_ABI := abi abi-start abi-cpu abi-trap abi-user abi-pagetable abi-memory abi-descriptor abi-emulation abi-event abi-grant abi-time abi-smp
KERNELS_ABI_OBJ := $(KERNELS_ABI:%=$(KERNELS_OUT)/%.o)

kernels_link = $(LD) -static -nostdlib -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments -T $(1) $(filter %.o,$^) -o $@

$(KERNELS_OUT)/abi-page.elf: $(KERNELS_ABI_OBJ) $(KERNELS_OUT)/lib/hypercall-page.o $(KERNELS_LIB_OBJ) $(KERNELS_OUT)/high.lds
	$(call kernels_link,$(KERNELS_OUT)/high.lds)
$(KERNELS_OUT)/abi-bare.elf: $(KERNELS_ABI_OBJ) $(KERNELS_OUT)/lib/hypercall-bare.o $(KERNELS_LIB_OBJ) $(KERNELS_OUT)/high.lds
	$(call kernels_link,$(KERNELS_OUT)/high.lds)
$(KERNELS_OUT)/abi-base0.elf: $(KERNELS_ABI_OBJ) $(KERNELS_OUT)/lib/hypercall-bare.o $(KERNELS_LIB_OBJ) $(KERNELS_OUT)/base0.lds
	$(call kernels_link,$(KERNELS_OUT)/base0.lds)
# A child's code is copied by its bounds: all of it must be in the one section.
$(KERNELS_OUT)/child.o: KERNELS_CFLAGS += -fno-jump-tables -fno-reorder-blocks-and-partition -fno-tree-loop-distribute-patterns
KERNELS_CONTROL_OBJ := $(patsubst %,$(KERNELS_OUT)/%.o,control-lib control-life control-destroy control-race control-fuzz child)
$(KERNELS_CONTROL_OBJ) $(KERNELS_OUT)/control.o: $(KERNELS_DIR)/control.h sdk/include/collet/control.h
$(KERNELS_OUT)/control.elf: $(KERNELS_CONTROL_OBJ)
# Kernels with block devices; the modelled drive tells what its times must be.
KERNELS_BLK := blk attack-blk blk-load blk-cut
KERNELS_BLK_OBJ := $(patsubst %,$(KERNELS_OUT)/%.o,blk-lib control-lib child disk-model)
$(KERNELS_OUT)/disk-model.o: sdk/disk/disk-model.c sdk/include/disk/disk-model.h
	@mkdir -p $(@D)
	$(KERNELS_CC) $(KERNELS_CFLAGS) -c $< -o $@
$(KERNELS_BLK:%=$(KERNELS_OUT)/%.o) $(KERNELS_OUT)/blk-lib.o: $(KERNELS_DIR)/blk.h $(KERNELS_DIR)/control.h sdk/include/collet/control.h
$(KERNELS_BLK:%=$(KERNELS_OUT)/%.elf): $(KERNELS_BLK_OBJ)
$(KERNELS_OUT)/child-blk.o: KERNELS_CFLAGS += -fno-jump-tables -fno-reorder-blocks-and-partition -fno-tree-loop-distribute-patterns
$(KERNELS_OUT)/attack-blk.elf: $(KERNELS_OUT)/child-blk.o
$(KERNELS_OUT)/attack-blk.o $(KERNELS_OUT)/child-blk.o: $(KERNELS_DIR)/blk-child.h
# Kernels with virtual network interfaces: what those with block devices share, too.
KERNELS_NET := net attack-net
$(KERNELS_NET:%=$(KERNELS_OUT)/%.o) $(KERNELS_OUT)/net-lib.o: $(KERNELS_DIR)/net.h $(KERNELS_DIR)/blk.h $(KERNELS_DIR)/control.h sdk/include/collet/control.h
$(KERNELS_NET:%=$(KERNELS_OUT)/%.elf): $(KERNELS_OUT)/net-lib.o $(KERNELS_BLK_OBJ)
$(KERNELS_OUT)/child-net.o: KERNELS_CFLAGS += -fno-jump-tables -fno-reorder-blocks-and-partition -fno-tree-loop-distribute-patterns
$(KERNELS_OUT)/attack-net.elf: $(KERNELS_OUT)/child-net.o
$(KERNELS_OUT)/attack-net.o $(KERNELS_OUT)/child-net.o: $(KERNELS_DIR)/net-child.h $(KERNELS_DIR)/net.h
$(KERNELS_OUT)/attack-cpu.elf: $(KERNELS_OUT)/attack-crash.o
$(KERNELS_OUT)/%.elf: $(KERNELS_OUT)/%.o $(KERNELS_OUT)/lib/hypercall-bare.o $(KERNELS_LIB_OBJ) $(KERNELS_OUT)/high.lds
	$(call kernels_link,$(KERNELS_OUT)/high.lds)
