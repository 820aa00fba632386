# SPDX-License-Identifier: MIT
#
# Unit tests and host tools. Included by the top Makefile; works alone as `make -f tests/unit/unit.mk unit-tests`.
#
# Each */test-*.c is one executable under build/unit, built with ASan and UBSan. It exports `Suite *suite_<name>(void)` (- as _), and names
# what it is linked with in a comment line `// needs: a.c b.c`: beside the test, or from the top if there is a slash in the name. The host
# harness (sdk/host) answers for everything else; a test that needs tests/unit/fakes-machine.c is linked with that instead. Tests of Domain0's
# programs (sdk/libcollet, plugins-dom0) are ordinary programs: no harness, _GNU_SOURCE, and the libraries of a comment line `// libs: -lz ...`.

UNIT_OUT := build/unit
HOSTCC ?= gcc
UNIT_CPPFLAGS := -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ -DCOLLET_DEBUG -iquote hypervisor/include -iquote sdk/host -iquote sdk/sim -Isdk/include
UNIT_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -fno-common -fno-strict-aliasing -Wall -Wextra -Werror
UNIT_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
UNIT_LIBS := $(shell pkg-config --libs check 2>/dev/null || echo -lcheck -lsubunit -lrt -lpthread) -lm -lpthread

# Those of the command collet and of the rule language are linked as these are, by rules of their own (plugins-dom0/cli/cli.mk, plugins-dom0/rules/rules.mk).
UNIT_TESTS := $(sort $(filter-out plugins-dom0/cli/test-% plugins-dom0/rules/test-%,$(wildcard sched/test-*.c vfr-rules/test-*.c blk-sched/test-*.c hypervisor/*/test-*.c sdk/*/test-*.c \
	sdk/templates/*/test-*.c tests/unit/test-*.c plugins-dom0/*/test-*.c plugins-dom0/plugins/*/test-*.c)))
# make unit-tests ONLY="bvt modules": some of them.
ifneq ($(ONLY),)
UNIT_TESTS := $(filter $(foreach t,$(ONLY),%/test-$(t).c),$(UNIT_TESTS))
endif
UNIT_PROGRAMS := $(patsubst %.c,$(UNIT_OUT)/%,$(UNIT_TESTS))

HOST_SOURCES := $(sort $(filter-out %/world.c,$(wildcard sdk/host/*.c)))
# The scheduler core with every module of sched/index.c, a world to run them in, and the engine of the simulator.
SCHED_SOURCES := $(sort $(filter-out %/index.c,$(filter-out sched/test-%,$(wildcard sched/*.c))) $(filter-out hypervisor/sched/test-%,$(wildcard hypervisor/sched/*.c))) \
	sdk/host/world.c sdk/sim/sched-engine.c

# The disk-ordering modules with their index, the modelled disk, and all of blk-sim but its main.
BLK_SOURCES := $(sort $(filter-out blk-sched/test-%,$(wildcard blk-sched/*.c))) sdk/disk/disk-model.c $(addprefix sdk/sim/,blk-host.c blk-engine.c blk-input.c blk-verify.c)

comma := ,
unit_needs = $(shell sed -n 's|^// needs:||p' $(1))
# The word vfr-rules: every module of that folder, with the sources they use.
VFR_RULES := $(sort $(filter-out vfr-rules/test-%,$(wildcard vfr-rules/*.c))) sdk/vfr/antispoof.c sdk/vfr/bpf.c
unit_path = $(foreach n,$(call unit_needs,$(1)),$(if $(filter vfr-rules,$(n)),$(VFR_RULES),$(if $(findstring /,$(n)),$(n),$(dir $(1))$(n))))
unit_libs = $(shell sed -n 's|^// libs:||p' $(1))
unit_kind = $(if $(filter sdk/libcollet/% sdk/templates/plugin/% plugins-dom0/%,$(1)),user,$(if $(findstring fakes-machine,$(call unit_needs,$(1))),fakes,host))
unit_host = $(filter host,$(call unit_kind,$(1)))
unit_object = $(patsubst %.c,$(UNIT_OUT)/$(1)/%.o,$(2))

.PHONY: unit-tests unit-build unit-clean
unit-build: $(UNIT_PROGRAMS)
unit-tests: unit-build ##- unit tests of modules, cores and parsers, on this host, under ASan and UBSan (ONLY="bvt modules": some of them)
	@sh tests/unit/run.sh $(UNIT_PROGRAMS)
unit-clean:
	rm -rf $(UNIT_OUT)

# Three sets of objects: for the harness and for the plain fakes, both with their header before the first line, and for ordinary programs.
UNIT_USER_CPPFLAGS := -D_GNU_SOURCE -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ -Isdk/include
$(UNIT_OUT)/host/%.o: %.c tests/unit/unit.mk
	@mkdir -p $(@D)
	@$(HOSTCC) $(UNIT_CPPFLAGS) $(UNIT_CFLAGS) $(UNIT_SANITIZE) -include sdk/host/machine.h -MMD -MP -c -o $@ $<
$(UNIT_OUT)/fakes/%.o: %.c tests/unit/unit.mk
	@mkdir -p $(@D)
	@$(HOSTCC) $(UNIT_CPPFLAGS) $(UNIT_CFLAGS) $(UNIT_SANITIZE) -include tests/unit/fakes-machine.h -MMD -MP -c -o $@ $<
$(UNIT_OUT)/user/%.o: %.c tests/unit/unit.mk
	@mkdir -p $(@D)
	@$(HOSTCC) $(UNIT_USER_CPPFLAGS) $(UNIT_CFLAGS) $(UNIT_SANITIZE) -MMD -MP -c -o $@ $<
$(UNIT_OUT)/libhost.a: $(call unit_object,host,$(HOST_SOURCES))
	@rm -f $@
	@ar rcs $@ $^
$(UNIT_OUT)/libsched.a: $(call unit_object,host,$(SCHED_SOURCES) sched/index.c)
	@rm -f $@
	@ar rcs $@ $^
$(UNIT_OUT)/libblk.a: $(call unit_object,host,$(BLK_SOURCES))
	@rm -f $@
	@ar rcs $@ $^

# Per test: its main, its object, what it needs.
define unit_rules
$(UNIT_OUT)/$(1:.c=)-main.c: $(1) tests/unit/unit.mk
	@mkdir -p $$(@D)
	@printf '#include "%s"\nUNIT_MAIN(suite_%s)\n' "$(CURDIR)/tests/unit/unit-main.h" "$(subst -,_,$(patsubst test-%,%,$(notdir $(1:.c=))))" >$$@
$(UNIT_OUT)/$(1:.c=)-main.o: $(UNIT_OUT)/$(1:.c=)-main.c tests/unit/unit-main.h
	@$(HOSTCC) $(UNIT_CFLAGS) $(UNIT_SANITIZE) -c -o $$@ $$<
$(UNIT_OUT)/$(1:.c=): $(UNIT_OUT)/$(1:.c=)-main.o $(call unit_object,$(call unit_kind,$(1)),$(1) $(call unit_path,$(1))) \
	$(if $(call unit_host,$(1)),$(UNIT_OUT)/libsched.a $(UNIT_OUT)/libblk.a $(UNIT_OUT)/libhost.a)
	@echo "  unit $(1)"
	@$(HOSTCC) $(UNIT_SANITIZE) -o $$@ $$(filter %.o,$$^) $(if $(call unit_host,$(1)),-Wl$(comma)--start-group $(UNIT_OUT)/libsched.a $(UNIT_OUT)/libblk.a $(UNIT_OUT)/libhost.a -Wl$(comma)--end-group) $(UNIT_LIBS) $(call unit_libs,$(1))
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_rules,$(t))))

# The simulator: the same sources, optimised and without sanitizers. SCHED_EXTRA_INDEX may name another index.c.
.PHONY: sched-sim
SIM_SOURCES := $(HOST_SOURCES) $(SCHED_SOURCES) sched/index.c sdk/sim/sched-sim.c
sched-sim: build/sched-sim ##- build the simulator for scheduler modules: build/sched-sim
build/sim/%.o: %.c tests/unit/unit.mk
	@mkdir -p $(@D)
	@$(HOSTCC) $(UNIT_CPPFLAGS) $(UNIT_CFLAGS) -O2 -include sdk/host/machine.h -MMD -MP -c -o $@ $<
build/sched-sim: $(patsubst %.c,build/sim/%.o,$(SIM_SOURCES))
	$(HOSTCC) -o $@ $^ -lm -lpthread

.PHONY: sched-cost
sched-cost: build/sched-cost ##- count the instructions of scheduling decisions, by module and number of vCPUs
	@build/sched-cost
build/sched-cost: $(patsubst %.c,build/sim/%.o,$(filter-out sdk/sim/sched-sim.c,$(SIM_SOURCES)) sdk/sim/sched-cost.c)
	$(HOSTCC) -o $@ $^ -lm -lpthread

# The simulator for disk-ordering modules: no hypervisor core, ordinary objects. A module that is added to blk-sched/ is linked in.
.PHONY: blk-sim
blk-sim: build/blk-sim ##- build the simulator for disk-ordering modules: build/blk-sim
build/sim-blk/%.o: %.c tests/unit/unit.mk
	@mkdir -p $(@D)
	@$(HOSTCC) -Isdk/include $(UNIT_CFLAGS) -O2 -MMD -MP -c -o $@ $<
build/blk-sim: $(patsubst %.c,build/sim-blk/%.o,$(BLK_SOURCES) sdk/sim/blk-sim.c)
	$(HOSTCC) -o $@ $^ -lm

.PHONY: blk-cost
blk-cost: build/blk-cost ##- count the instructions of ordering a disk request, by module and number of requests queued
	@build/blk-cost
build/blk-cost: $(patsubst %.c,build/sim-blk/%.o,$(BLK_SOURCES) sdk/sim/blk-cost.c)
	$(HOSTCC) -o $@ $^ -lm

# What judging a packet costs: the engine of the hypervisor, sets from a seed.
.PHONY: vfr-cost
VFR_COST_SOURCES := $(addprefix sdk/vfr/,engine.c classifier.c classifier-build.c cache.c linear.c ruleset.c store.c packet.c) sdk/rules/ruleset-write.c sdk/rules/generate.c sdk/sim/vfr-cost.c
vfr-cost: build/vfr-cost ##- count the instructions of judging a packet, by number of rules and style of the set
	@build/vfr-cost
build/vfr-cost: $(patsubst %.c,build/sim-blk/%.o,$(VFR_COST_SOURCES))
	$(HOSTCC) -o $@ $^

-include $(shell find $(UNIT_OUT) build/sim build/sim-blk -name '*.d' 2>/dev/null)
