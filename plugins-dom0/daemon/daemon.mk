# SPDX-License-Identifier: MIT
# colletd: build/dom0/sbin/colletd. Included by the top Makefile; works alone as `make -f plugins-dom0/daemon/daemon.mk colletd`.
# Needs libinih-dev, libjansson-dev, libxen-dev, libpcap-dev. plugin-worker*.c is another program (plugins-dom0/plugins/plugins.mk).

BUILD ?= build
COLLETD := $(BUILD)/dom0/sbin/colletd
COLLETD_OUT := $(BUILD)/dom0/obj/colletd
ifndef RULES_LIB
include plugins-dom0/rules/rules.mk
endif
COLLETD_CPPFLAGS := -D_GNU_SOURCE -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ -Isdk/include '-DCOLLET_VERSION_TEXT="0.3 ($(shell git describe --always --dirty 2>/dev/null || echo unknown))"'
COLLETD_CFLAGS := -std=gnu11 -O2 -g -fno-common -Wall -Wextra -Werror
COLLETD_SOURCES := $(filter-out plugins-dom0/daemon/test-% plugins-dom0/daemon/plugin-worker%,$(wildcard plugins-dom0/daemon/*.c))
COLLETD_OBJECTS := $(COLLETD_SOURCES:%.c=$(COLLETD_OUT)/%.o)
COLLETD_LIBS := $(RULES_LIB) $(RULES_LIBS) -L$(BUILD)/dom0/lib -lcollet -linih -ljansson -lxenstore -lpthread -lm

.PHONY: colletd
colletd: $(COLLETD) ##- build Domain0's daemon: build/dom0/sbin/colletd

$(COLLETD_OUT)/%.o: %.c plugins-dom0/daemon/daemon.mk
	@mkdir -p $(@D)
	$(CC) $(COLLETD_CPPFLAGS) $(COLLETD_CFLAGS) -MMD -MP -c -o $@ $<

$(COLLETD): $(COLLETD_OBJECTS) $(BUILD)/dom0/lib/libcollet.so.1 $(RULES_LIB)
	@mkdir -p $(@D)
	$(CC) -o $@ $(COLLETD_OBJECTS) $(COLLETD_LIBS)

# These tests compile rules.
build/unit/plugins-dom0/daemon/test-rule-parts build/unit/plugins-dom0/plugins/firewall/test-firewall: $(RULES_LIB)

-include $(COLLETD_OBJECTS:.o=.d)
