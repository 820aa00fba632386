# SPDX-License-Identifier: MIT
# The library of the rule language, build/dom0/lib/librules.a: grammar by flex and bison, rule kinds of vfr-rules/, the writer of sdk/rules, and the engine that judges packets (sdk/vfr). Included by the top Makefile, before those of the
# programs that use it: RULES_LIB, RULES_LIBS, RULES_CPPFLAGS. Works alone as `make -f plugins-dom0/rules/rules.mk rules`.

BUILD ?= build
RULES := plugins-dom0/rules
RULES_LIB := $(BUILD)/dom0/lib/librules.a
RULES_LIBS := -lpcap -lm
RULES_CPPFLAGS := -iquote $(RULES)
RULES_OUT := $(BUILD)/dom0/obj/rules
RULES_MADE := $(BUILD)/dom0/rules
RULES_SOURCES := $(sort $(filter-out $(RULES)/test-%,$(wildcard $(RULES)/*.c)) $(filter-out vfr-rules/test-%,$(wildcard vfr-rules/*.c)) $(filter-out sdk/vfr/test-%,$(wildcard sdk/vfr/*.c)) sdk/rules/ruleset-write.c)
RULES_GENERATED := $(RULES_MADE)/grammar.c $(RULES_MADE)/lexer.c
RULES_OBJECTS := $(RULES_SOURCES:%.c=$(RULES_OUT)/%.o) $(RULES_OUT)/grammar.o $(RULES_OUT)/lexer.o
RULES_BUILD_CPPFLAGS := -D_GNU_SOURCE -Isdk/include -iquote $(RULES) -iquote $(RULES_MADE) -iquote sdk/vfr
RULES_CFLAGS := -std=gnu11 -O2 -g -fno-common -fPIC -Wall -Wextra -Werror

.PHONY: rules
rules: $(RULES_LIB) ##- build the library of the rule language: build/dom0/lib/librules.a

# Both have their header beside them.
$(RULES_MADE)/grammar.c $(RULES_MADE)/grammar.h &: $(RULES)/grammar.y $(RULES)/rules.mk | $(if $(HV_OBJECTS),check-deps)
	@mkdir -p $(RULES_MADE)
	bison -Werror --header=$(RULES_MADE)/grammar.h -o $(RULES_MADE)/grammar.c $<
$(RULES_MADE)/lexer.c: $(RULES)/lexer.l $(RULES)/rules.mk
	@mkdir -p $(RULES_MADE)
	flex -o $@ $<

$(RULES_OUT)/%.o: %.c $(RULES)/rules.mk
	@mkdir -p $(@D)
	$(CC) $(RULES_BUILD_CPPFLAGS) $(RULES_CFLAGS) -MMD -MP -c -o $@ $<
$(RULES_OUT)/$(RULES)/source.o: $(RULES_MADE)/grammar.h
# What flex and bison make is not ours to tidy.
$(RULES_OUT)/%.o: $(RULES_MADE)/%.c $(RULES_MADE)/grammar.h $(RULES)/rules.mk
	@mkdir -p $(@D)
	$(CC) $(RULES_BUILD_CPPFLAGS) $(RULES_CFLAGS) -Wno-unused-function -Wno-sign-compare -Wno-unused-but-set-variable -MMD -MP -c -o $@ $<

$(RULES_LIB): $(RULES_OBJECTS)
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

# The tests: all of it once more, under ASan and UBSan; and tests/rules, which holds it to Linux's nftables.
RULES_TESTS := $(sort $(wildcard $(RULES)/test-*.c))
RULES_TEST_OUT := build/unit/obj/rules
RULES_TEST_CFLAGS := $(filter-out -O2,$(RULES_CFLAGS)) -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
RULES_TEST_OBJECTS := $(RULES_SOURCES:%.c=$(RULES_TEST_OUT)/%.o) $(RULES_TEST_OUT)/grammar.o $(RULES_TEST_OUT)/lexer.o
RULES_TEST_PROGRAMS := $(patsubst %.c,build/unit/%,$(RULES_TESTS)) $(patsubst %.c,build/unit/%,$(wildcard tests/rules/nft-*.c))

$(RULES_TEST_OUT)/%.o: %.c $(RULES)/rules.mk | $(RULES_MADE)/grammar.h
	@mkdir -p $(@D)
	@$(or $(HOSTCC),gcc) $(RULES_BUILD_CPPFLAGS) $(RULES_TEST_CFLAGS) -MMD -MP -c -o $@ $<
$(RULES_TEST_OUT)/%.o: $(RULES_MADE)/%.c $(RULES_MADE)/grammar.h $(RULES)/rules.mk
	@mkdir -p $(@D)
	@$(or $(HOSTCC),gcc) $(RULES_BUILD_CPPFLAGS) $(RULES_TEST_CFLAGS) -Wno-unused-function -Wno-sign-compare -Wno-unused-but-set-variable -MMD -MP -c -o $@ $<
build/unit/librules.a: $(RULES_TEST_OBJECTS)
	@rm -f $@
	@ar rcs $@ $^
build/unit/$(RULES)/%: $(RULES_TEST_OUT)/$(RULES)/%.o build/unit/librules.a tests/unit/unit-main.h
	@mkdir -p $(@D)
	@echo "  unit $(RULES)/$*.c"
	@printf '#include "%s"\nUNIT_MAIN(suite_%s)\n' "$(CURDIR)/tests/unit/unit-main.h" "$$(echo $* | sed 's/^test-//; s/-/_/g')" >$@-main.c
	@$(or $(HOSTCC),gcc) $(RULES_TEST_CFLAGS) -o $@ $@-main.c $(filter %.o %.a,$^) $(RULES_LIBS) $(shell pkg-config --libs check 2>/dev/null || echo -lcheck) -lm -lpthread
build/unit/tests/rules/%: $(RULES_TEST_OUT)/tests/rules/%.o build/unit/librules.a
	@mkdir -p $(@D)
	@echo "  unit tests/rules/$*.c"
	@$(or $(HOSTCC),gcc) $(RULES_TEST_CFLAGS) -o $@ $^ $(RULES_LIBS)
.SECONDARY: $(RULES_TEST_OBJECTS) $(RULES_TESTS:%.c=$(RULES_TEST_OUT)/%.o) $(patsubst %.c,$(RULES_TEST_OUT)/%.o,$(wildcard tests/rules/nft-*.c))

ifeq ($(ONLY),)
UNIT_PROGRAMS += $(RULES_TEST_PROGRAMS)
unit-build: $(RULES_TEST_PROGRAMS)
endif
# With `make -f plugins-dom0/rules/rules.mk rules-tests` these alone.
.PHONY: rules-tests
rules-tests: $(RULES_TEST_PROGRAMS)
	@sh tests/unit/run.sh $(RULES_TEST_PROGRAMS)

-include $(RULES_OBJECTS:.o=.d) $(shell find $(RULES_TEST_OUT) -name '*.d' 2>/dev/null)
