# SPDX-License-Identifier: MIT
# libcollet: build/dom0/lib/libcollet.so.1 (libcollet.so beside it for linking), libcollet.a, and pkgconfig/collet.pc for use from the build tree. Included by the top Makefile; works
# alone as `make -f sdk/libcollet/libcollet.mk libcollet`. Needs zlib1g-dev, liblzma-dev, libzstd-dev, liblz4-dev, libxen-dev.

BUILD ?= build
LIBCOLLET_LIB := $(BUILD)/dom0/lib
LIBCOLLET_OUT := $(BUILD)/dom0/obj/libcollet
LIBCOLLET_SO := $(LIBCOLLET_LIB)/libcollet.so.1
LIBCOLLET_A := $(LIBCOLLET_LIB)/libcollet.a
LIBCOLLET_PC := $(LIBCOLLET_LIB)/pkgconfig/collet.pc
LIBCOLLET_LIBS := -lz -llzma -lzstd -llz4
LIBCOLLET_CPPFLAGS := -D_GNU_SOURCE -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ -Isdk/include
LIBCOLLET_CFLAGS := -std=gnu11 -O2 -g -fPIC -fno-common -Wall -Wextra -Werror
LIBCOLLET_NAMES := handle calls calls-block calls-net transport trace capture unpack unpack-lz4 cache image build
LIBCOLLET_SOURCES := $(LIBCOLLET_NAMES:%=sdk/libcollet/%.c) sdk/image/elf-image.c sdk/image/build-layout.c
LIBCOLLET_OBJECTS := $(LIBCOLLET_SOURCES:%.c=$(LIBCOLLET_OUT)/%.o)

.PHONY: libcollet
libcollet: $(LIBCOLLET_SO) $(LIBCOLLET_A) $(LIBCOLLET_PC) ##- build Domain0's library: build/dom0/lib/libcollet.so.1

$(LIBCOLLET_OUT)/%.o: %.c sdk/libcollet/libcollet.mk
	@mkdir -p $(@D)
	$(CC) $(LIBCOLLET_CPPFLAGS) $(LIBCOLLET_CFLAGS) -MMD -MP -c -o $@ $<

$(LIBCOLLET_SO): $(LIBCOLLET_OBJECTS) sdk/libcollet/libcollet.map
	@mkdir -p $(@D)
	$(CC) -shared -Wl,-soname,libcollet.so.1 -Wl,--version-script=sdk/libcollet/libcollet.map -Wl,-z,defs -Wl,-z,relro,-z,now -o $@ $(LIBCOLLET_OBJECTS) $(LIBCOLLET_LIBS)
	@ln -sf libcollet.so.1 $(LIBCOLLET_LIB)/libcollet.so

# One object with everything but collet_* made local, so that the static library brings no more names than the other.
$(LIBCOLLET_A): $(LIBCOLLET_OBJECTS)
	@mkdir -p $(@D)
	$(LD) -r -o $(LIBCOLLET_OUT)/all.o $(LIBCOLLET_OBJECTS)
	objcopy --wildcard $(foreach n,$(shell sed -n 's/^ *\(collet_[a-z_]*\);$$/\1/p' sdk/libcollet/libcollet.map),--keep-global-symbol=$(n)) $(LIBCOLLET_OUT)/all.o $(LIBCOLLET_OUT)/libcollet.o
	@rm -f $@
	ar rcs $@ $(LIBCOLLET_OUT)/libcollet.o

$(LIBCOLLET_PC): sdk/libcollet/libcollet.mk
	@mkdir -p $(@D)
	@printf '%s\n' 'libdir=$(abspath $(LIBCOLLET_LIB))' 'includedir=$(abspath sdk/include)' '' 'Name: collet' 'Description: control of the Collet hypervisor from Domain0' 'Version: 1' \
		'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -lcollet' 'Libs.private: $(LIBCOLLET_LIBS)' >$@

-include $(LIBCOLLET_OBJECTS:.o=.d)
