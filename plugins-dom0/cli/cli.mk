# SPDX-License-Identifier: MIT
#
# Builds the command `collet` (build/dom0/bin/collet) and its unit tests. Included by the top Makefile; works alone as `make -f plugins-dom0/cli/cli.mk cli`.

ifndef RULES_LIB
include plugins-dom0/rules/rules.mk
endif
CLI := plugins-dom0/cli
DOM0_OUT ?= build/dom0
CLI_OUT := $(DOM0_OUT)/obj/cli
CLI_BIN := $(DOM0_OUT)/bin/collet
CLI_SOURCES := $(sort $(filter-out $(CLI)/test-% $(CLI)/fake-%,$(wildcard $(CLI)/*.c)))
CLI_CPPFLAGS := -D_GNU_SOURCE -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ -Isdk/include -iquote $(CLI) $(RULES_CPPFLAGS)
CLI_CFLAGS := -std=gnu11 -O2 -g -fno-common -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes
CLI_LIBS := $(RULES_LIB) -ljansson -lncursesw -ltinfo $(RULES_LIBS)

.PHONY: cli cli-man-check
cli: $(CLI_BIN)

$(CLI_OUT)/%.o: %.c $(CLI)/cli.mk
	@mkdir -p $(@D)
	$(CC) $(CLI_CPPFLAGS) $(CLI_CFLAGS) -MMD -MP -c -o $@ $<

$(CLI_BIN): $(CLI_SOURCES:%.c=$(CLI_OUT)/%.o) $(DOM0_OUT)/lib/libcollet.so.1 $(RULES_LIB)
	@mkdir -p $(@D)
	$(CC) -o $@ $(filter %.o,$^) $(DOM0_OUT)/lib/libcollet.so.1 -Wl,-rpath,'$$ORIGIN/../lib' $(CLI_LIBS)

# The tests: all of the command but main(), with fake-collet.c in place of libcollet.
CLI_TESTS := $(sort $(wildcard $(CLI)/test-*.c))
CLI_TEST_OUT := build/unit/obj/cli
CLI_TEST_SOURCES := $(filter-out $(CLI)/collet.c,$(CLI_SOURCES)) $(wildcard $(CLI)/fake-*.c)
CLI_TEST_PROGRAMS := $(patsubst %.c,build/unit/%,$(CLI_TESTS))
CLI_TEST_CFLAGS := $(filter-out -O2,$(CLI_CFLAGS)) -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all

$(CLI_TEST_OUT)/%.o: %.c $(CLI)/cli.mk
	@mkdir -p $(@D)
	@$(or $(HOSTCC),gcc) $(CLI_CPPFLAGS) $(CLI_TEST_CFLAGS) -MMD -MP -c -o $@ $<
build/unit/$(CLI)/%: $(CLI_TEST_OUT)/$(CLI)/%.o $(CLI_TEST_SOURCES:%.c=$(CLI_TEST_OUT)/%.o) $(RULES_LIB) tests/unit/unit-main.h
	@mkdir -p $(@D)
	@echo "  unit $(CLI)/$*.c"
	@printf '#include "%s"\nUNIT_MAIN(suite_%s)\n' "$(CURDIR)/tests/unit/unit-main.h" "$$(echo $* | sed 's/^test-//; s/-/_/g')" >$@-main.c
	@$(or $(HOSTCC),gcc) $(filter-out -Wmissing-prototypes,$(CLI_TEST_CFLAGS)) -o $@ $@-main.c $(filter %.o,$^) $(shell pkg-config --libs check 2>/dev/null || echo -lcheck) $(CLI_LIBS) -lm -lpthread
.SECONDARY: $(CLI_TEST_SOURCES:%.c=$(CLI_TEST_OUT)/%.o) $(CLI_TESTS:%.c=$(CLI_TEST_OUT)/%.o)

# As all others: make unit-tests ONLY="cli rules-cli": some of them.
ifneq ($(ONLY),)
CLI_TEST_PROGRAMS := $(filter $(foreach t,$(ONLY),%/test-$(t)),$(CLI_TEST_PROGRAMS))
endif
UNIT_PROGRAMS += $(CLI_TEST_PROGRAMS)
unit-build: $(CLI_TEST_PROGRAMS)
# With `make -f plugins-dom0/cli/cli.mk cli-tests` these alone.
.PHONY: cli-tests
cli-tests: $(CLI_TEST_PROGRAMS)
	@sh tests/unit/run.sh $(CLI_TEST_PROGRAMS)

# Man pages are clean when groff has nothing to say.
MAN_PAGES := $(wildcard docs/man/*.[1-8])
check: cli-man-check
cli-man-check:
	@if ! command -v groff >/dev/null; then exit 0; fi; for page in $(MAN_PAGES); do out=$$(groff -man -Tutf8 -ww $$page 2>&1 >/dev/null); [ -z "$$out" ] || { echo "$$page: $$out"; exit 1; }; done

-include $(shell find $(CLI_OUT) $(CLI_TEST_OUT) -name '*.d' 2>/dev/null)
