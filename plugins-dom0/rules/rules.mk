# SPDX-License-Identifier: MIT
# The library of the rule language, build/dom0/lib/librules.a: grammar by flex and bison, rule kinds of vfr-rules/, the writer of sdk/rules, and the engine that judges packets (sdk/vfr). Included by the top Makefile, before those of the
# programs that use it: RULES_LIB, RULES_LIBS, RULES_CPPFLAGS. Works alone as `make -f plugins-dom0/rules/rules.mk rules`.

BUILD ?= build
RULES := plugins-dom0/rules
RULES_LIB := $(BUILD)/dom0/lib/librules.a
RULES_LIBS := -lpcap
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

-include $(RULES_OBJECTS:.o=.d)
