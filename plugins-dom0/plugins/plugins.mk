# SPDX-License-Identifier: MIT
# Policy plugins (build/dom0/lib/collet/plugins/NAME.so), the program that each runs in (plugin-worker), the sdk's plugin-run, and the bad plugins that the tests run. Included by the top Makefile;
# works alone as `make -f plugins-dom0/plugins/plugins.mk plugins`. A plugin is a folder here: NAME/NAME.c is found by itself. PLUGIN_EXTRA="mine.c ..." builds others in the same manner.

BUILD ?= build
PLUGIN_LIB := $(BUILD)/dom0/lib/collet
PLUGIN_OUT := $(BUILD)/dom0/obj/plugins
PLUGIN_CPPFLAGS := -D_GNU_SOURCE -Isdk/include
PLUGIN_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror -fno-common
PLUGIN_SO_FLAGS := -fPIC -fvisibility=hidden -shared -Wl,-z,defs -Wl,-z,relro,-z,now

PLUGIN_SOURCES := $(foreach d,$(wildcard plugins-dom0/plugins/*/),$(wildcard $(d)$(notdir $(d:/=)).c))
PLUGINS := $(patsubst %.c,$(PLUGIN_LIB)/plugins/%.so,$(notdir $(PLUGIN_SOURCES)))
PLUGIN_WORKER := $(PLUGIN_LIB)/plugin-worker
PLUGIN_RUN := $(BUILD)/sdk/plugin-run
PLUGIN_BAD := $(patsubst tests/plugins/%.c,$(BUILD)/tests/plugins/%.so,$(wildcard tests/plugins/*.c))
PLUGIN_TEMPLATE := $(BUILD)/sdk/templates/mine.so

.PHONY: plugins check-plugins
plugins: $(PLUGINS) $(PLUGIN_WORKER) $(PLUGIN_RUN) $(PLUGIN_TEMPLATE) $(patsubst %.c,$(PLUGIN_LIB)/plugins/%.so,$(notdir $(PLUGIN_EXTRA))) ##- build the policy plugins and what runs them

define plugin_rule
$(PLUGIN_LIB)/plugins/$(notdir $(1:.c=.so)): $(1) sdk/include/hv/plugin.h sdk/include/hv/plugin-tools.h plugins-dom0/plugins/plugins.mk
	@mkdir -p $$(@D)
	$(CC) $(PLUGIN_CPPFLAGS) $(PLUGIN_CFLAGS) $(PLUGIN_SO_FLAGS) -o $$@ $$< -lm
endef
$(foreach s,$(PLUGIN_SOURCES) $(PLUGIN_EXTRA),$(eval $(call plugin_rule,$(s))))

$(PLUGIN_TEMPLATE): sdk/templates/plugin/mine.c sdk/include/hv/plugin.h sdk/include/hv/plugin-tools.h
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_CPPFLAGS) $(PLUGIN_CFLAGS) $(PLUGIN_SO_FLAGS) -o $@ $< -lm

$(BUILD)/tests/plugins/%.so: tests/plugins/%.c tests/plugins/bad.h tests/plugins/good.c sdk/include/hv/plugin.h plugins-dom0/plugins/plugins.mk
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_CPPFLAGS) $(PLUGIN_CFLAGS) $(PLUGIN_SO_FLAGS) -o $@ $< -lm

PLUGIN_HEADERS := $(wildcard plugins-dom0/daemon/plugin-*.h) sdk/include/hv/plugin.h
$(PLUGIN_WORKER): plugins-dom0/daemon/plugin-worker.c plugins-dom0/daemon/plugin-wire.c $(PLUGIN_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_CPPFLAGS) $(PLUGIN_CFLAGS) -fPIE -pie -Wl,-z,relro,-z,now -o $@ $(filter %.c,$^)

$(PLUGIN_RUN): sdk/sim/plugin-run.c sdk/sim/plugin-world.c $(addprefix plugins-dom0/daemon/,plugin-answer.c plugin-disk-answer.c plugin-settings.c ini-lines.c text.c) $(PLUGIN_HEADERS) sdk/sim/plugin-world.h
	@mkdir -p $(@D)
	$(CC) $(PLUGIN_CPPFLAGS) $(PLUGIN_CFLAGS) -iquote plugins-dom0/daemon -o $@ $(filter %.c,$^) -linih -ljansson -lm

# The tests of the host run the real worker against good and bad plugins.
build/unit/plugins-dom0/daemon/test-plugin-host: $(PLUGIN_WORKER) $(PLUGINS) $(PLUGIN_BAD)

check-plugins: $(PLUGINS) $(PLUGIN_TEMPLATE) ##- a plugin exports `collet_plugin` and nothing else
	@tests/check/plugins.sh $^
