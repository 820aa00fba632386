# SPDX-License-Identifier: MIT
#
# Builds the hypervisor: every C and assembly file of hypervisor/, sdk/image/, sdk/disk/, sdk/vfr/, sched/, vfr-rules/ and blk-sched/ into one image.
# Included by the top Makefile; works alone as `make -f hypervisor/build.mk`. DEBUG=1 builds build/collet-debug with
# assertions, UBSan traps, stack protector and frame pointers. CC may be gcc or clang.

HV_VARIANT := $(if $(filter 1,$(DEBUG)),-debug)
HV_OUT := build/hv$(HV_VARIANT)
HV_IMAGE := build/collet$(HV_VARIANT)
HV_SIZE_LIMIT := 524288

HV_CPPFLAGS := -DCOLLET_VERSION=\"0.3\" -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ -Ihypervisor/include -Isdk/include -I$(HV_OUT)
HV_CFLAGS := -include hypervisor/include/visibility.h -std=gnu11 -O2 -g -ffreestanding -fno-common -fno-strict-aliasing -fpie -fvisibility=hidden -mno-red-zone \
	-mgeneral-regs-only -mcmodel=small -fno-asynchronous-unwind-tables -fcf-protection=none \
	-Wall -Wextra -Werror
ifeq ($(HV_VARIANT),-debug)
HV_CPPFLAGS += -DCOLLET_DEBUG
HV_CFLAGS += -fno-omit-frame-pointer -fstack-protector-strong -mstack-protector-guard=global \
	-fsanitize=undefined -fsanitize-undefined-trap-on-error -fno-sanitize=alignment
else
HV_CFLAGS += -fno-stack-protector
endif
HV_LDFLAGS := -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments --orphan-handling=warn
LD ?= ld

HV_SOURCES := $(sort $(filter-out hypervisor/image/% hypervisor/traps/asm-offsets.c, \
	$(shell find hypervisor sdk/image sdk/disk sdk/vfr $(wildcard sched vfr-rules blk-sched) \( -name '*.c' -o -name '*.S' \) ! -name 'test-*.c')))
HV_OBJECTS := $(addprefix $(HV_OUT)/,$(addsuffix .o,$(HV_SOURCES)))
HV_OFFSETS := $(if $(wildcard hypervisor/traps/asm-offsets.c),$(HV_OUT)/asm-offsets.h)

.PHONY: hypervisor hypervisor-objects hypervisor-size
hypervisor: $(HV_IMAGE) hypervisor-size
hypervisor-objects: $(HV_OBJECTS)

# Changes when the compiler or its flags do, so that everything is compiled anew then.
HV_FLAGS_STAMP := $(HV_OUT)/flags
HV_FLAGS_TEXT := $(CC) $(HV_CPPFLAGS) $(HV_CFLAGS)
$(shell mkdir -p $(HV_OUT); [ "$$(cat $(HV_FLAGS_STAMP) 2>/dev/null)" = "$(HV_FLAGS_TEXT)" ] || echo "$(HV_FLAGS_TEXT)" >$(HV_FLAGS_STAMP))

$(HV_OUT)/%.c.o: %.c $(HV_FLAGS_STAMP) | $(HV_OFFSETS)
	@mkdir -p $(@D)
	$(CC) $(HV_CPPFLAGS) $(HV_CFLAGS) -MMD -MP -c -o $@ $<

# A freestanding compiler calls memcpy for two bytes. Where packets and requests pass, and nothing but our own lib/string.c is called by such names, it may know what they mean.
HV_HOT := hypervisor/vfr sdk/vfr vfr-rules hypervisor/block blk-sched hypervisor/drivers hypervisor/grants hypervisor/events
$(foreach dir,$(HV_HOT),$(HV_OUT)/$(dir)/%.c.o): HV_CFLAGS += -fbuiltin

$(HV_OUT)/%.S.o: %.S $(HV_FLAGS_STAMP) | $(HV_OFFSETS)
	@mkdir -p $(@D)
	$(CC) $(HV_CPPFLAGS) -D__ASSEMBLER__ -g -fpie -MMD -MP -c -o $@ $<

# Structure offsets for assembly: the compiler prints "->NAME value" lines through inline assembly (OFFSET_DEFINE).
$(HV_OUT)/asm-offsets.h: hypervisor/traps/asm-offsets.c $(HV_FLAGS_STAMP)
	$(CC) $(HV_CPPFLAGS) $(filter-out -g -fsanitize% -fno-sanitize%,$(HV_CFLAGS)) -MMD -MP -MT $@ -MF $@.d -S -o $@.s $<
	(echo '/* generated from $< */'; echo '#pragma once'; \
		sed -n 's/.*"->\([A-Za-z0-9_]*\) [$$]*\(-*[0-9a-fx]*\)".*/#define \1 \2/p' $@.s) >$@

$(HV_OUT)/collet.ld: hypervisor/image/collet.ld.S hypervisor/include/x86/layout.h $(HV_FLAGS_STAMP)
	$(CC) $(HV_CPPFLAGS) -D__ASSEMBLER__ -E -P -x c -o $@ $<

# Two links: the first gives the addresses of functions, of which the table for stack traces is made; the table lies
# behind all code, so that the second link moves no function.
$(HV_OUT)/symbols-none.S: hypervisor/image/symbols.awk
	awk -f $< </dev/null >$@
$(HV_OUT)/symbols.S: $(HV_OUT)/collet-first.elf hypervisor/image/symbols.awk
	nm -n $< | awk -f hypervisor/image/symbols.awk >$@
$(HV_OUT)/symbols%.o: $(HV_OUT)/symbols%.S
	$(CC) -c -o $@ $<
$(HV_OUT)/symbols.o: $(HV_OUT)/symbols.S
	$(CC) -c -o $@ $<
$(HV_OUT)/collet-first.elf: $(HV_OBJECTS) $(HV_OUT)/symbols-none.o $(HV_OUT)/collet.ld
	$(LD) $(HV_LDFLAGS) -T $(HV_OUT)/collet.ld -o $@ $(HV_OBJECTS) $(HV_OUT)/symbols-none.o
$(HV_OUT)/collet.elf: $(HV_OBJECTS) $(HV_OUT)/symbols.o $(HV_OUT)/collet.ld
	$(LD) $(HV_LDFLAGS) -T $(HV_OUT)/collet.ld -o $@ $(HV_OBJECTS) $(HV_OUT)/symbols.o

# The loaders want a 32-bit ELF file at 1 MiB: the image as it lies in memory, wrapped as one segment.
$(HV_OUT)/collet.bin: $(HV_OUT)/collet.elf
	objcopy -O binary $< $@
$(HV_IMAGE): $(HV_OUT)/collet.bin hypervisor/image/wrap.S hypervisor/image/wrap.ld
	$(CC) -m32 -c -DIMAGE_FILE='"$(HV_OUT)/collet.bin"' -o $(HV_OUT)/wrap.o hypervisor/image/wrap.S
	$(LD) -m elf_i386 -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments \
		--defsym=image_bytes=0x$$(nm $(HV_OUT)/collet.elf | awk '$$3 == "__image_bytes" { print $$1 }') \
		-T hypervisor/image/wrap.ld -o $@ $(HV_OUT)/wrap.o

hypervisor-size: $(HV_OUT)/collet.elf
	@size $< | awk 'NR == 2 { printf "hypervisor: text+data %d bytes of %d, bss %d\n", $$1 + $$2, $(HV_SIZE_LIMIT), $$3; \
		exit $$1 + $$2 > $(HV_SIZE_LIMIT) && "$(HV_VARIANT)" == "" }'

-include $(HV_OBJECTS:.o=.d) $(HV_OUT)/asm-offsets.h.d
