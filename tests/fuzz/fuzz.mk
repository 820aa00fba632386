# SPDX-License-Identifier: MIT
#
# Fuzzing on the host, by clang's libFuzzer under ASan and UBSan, of the very sources that the hypervisor links. Included by the top Makefile.
# Each tests/fuzz/fuzz-*.c is a program build/fuzz/<name>; a comment line `// needs: a.c b.c` (from the top) names what it is linked with, `// libs:` what else, `// flags:` what its compiler is told besides.
# What seeds.sh makes of our documents and tests is tried first.
# What is found stays in build/fuzz/<name>.corpus; what fails, in build/fuzz/<name>.crash-*.

FUZZ_OUT := build/fuzz
FUZZ_SECONDS ?= 30
FUZZ_CC ?= clang
FUZZ_FLAGS := -std=gnu11 -O1 -g -D_GNU_SOURCE -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__ -Wall -Wextra -Werror -Isdk/include -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
FUZZ_TARGETS := $(sort $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz-*.c)))

.PHONY: fuzz fuzz-build
fuzz-build: $(addprefix $(FUZZ_OUT)/,$(FUZZ_TARGETS))
fuzz: fuzz-build ##- fuzz what reads packets, rule sets and rule files, FUZZ_SECONDS=30 each
	@tests/fuzz/seeds.sh $(FUZZ_OUT)/fuzz-rules.seeds
	@for t in $(FUZZ_TARGETS); do mkdir -p $(FUZZ_OUT)/$$t.corpus $(FUZZ_OUT)/$$t.seeds; echo "== $$t"; \
		$(FUZZ_OUT)/$$t -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -len_control=0 -verbosity=0 -artifact_prefix=$(FUZZ_OUT)/$$t. $(FUZZ_OUT)/$$t.corpus $(FUZZ_OUT)/$$t.seeds >$(FUZZ_OUT)/$$t.log 2>&1 || { tail -n 40 $(FUZZ_OUT)/$$t.log; exit 1; }; done

define fuzz_rule
$(FUZZ_OUT)/$(1): tests/fuzz/$(1).c $(shell sed -n 's|^// needs:||p' tests/fuzz/$(1).c) $(wildcard sdk/include/vfr/*.h sdk/include/hv/vfr-ops.h sdk/vfr/*.h) tests/fuzz/fuzz.mk
	@mkdir -p $(FUZZ_OUT)
	@echo "  fuzz $(1)"
	@$(FUZZ_CC) $(FUZZ_FLAGS) $(shell sed -n 's|^// flags:||p' tests/fuzz/$(1).c) -o $$@ $$(filter %.c,$$^) $(shell sed -n 's|^// libs:||p' tests/fuzz/$(1).c)
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_rule,$(t))))
