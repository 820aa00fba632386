# SPDX-License-Identifier: MIT
# Checks of the source that need no machine: seconds, on any Linux host.

CHECK := tests/check
CHECK_FLAGS := -std=gnu11 -fsyntax-only -Wall -Wextra -Werror -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__

CONTROL_PAGE := docs/abi/control.md

.PHONY: check check-source check-headers check-modules check-fence check-docs check-control-page check-libcollet control-page check-spdx check-scripts fmt fmt-check tidy
check: unit-tests check-source ##- unit tests and checks of the source: minutes, host only
check-source: check-headers check-modules check-plugins check-fence check-docs check-control-page check-libcollet check-spdx check-scripts ##- checks of the source alone
	@echo 'check: all fine'

check-headers: check-deps $(HV_OFFSETS) ##- each header compiles alone
	@CC='$(CC)' FLAGS='$(CHECK_FLAGS)' OFFSETS='$(dir $(HV_OFFSETS))' $(CHECK)/headers.sh

check-modules: check-deps ##- a module exports its table and nothing else
	@CC='$(CC)' $(CHECK)/modules.sh

check-fence: ##- inline assembly only where the house style allows it
	@$(CHECK)/fence.sh

check-docs: ##- the documentation names only functions and files that exist
	@$(CHECK)/docs.sh

check-control-page: ##- the page of the control interface says what the header says
	@CC='$(CC)' $(CHECK)/control-page.sh

check-libcollet: ##- libcollet exports what its header promises
	@$(CHECK)/libcollet.sh

control-page: ##- make that page anew: docs/abi/control.md
	@CC='$(CC)' perl docs/abi/make-control.pl sdk/include/collet/control.h >$(CONTROL_PAGE)

check-spdx: ##- each source file says its licence
	@$(CHECK)/spdx.sh

check-scripts:
	@if command -v shellcheck >/dev/null; then shellcheck -S warning -e SC1091,SC2046,SC3043 $$(git ls-files '*.sh' .ci/run); fi
	@for f in $$(git ls-files '*.sh'); do sh -n $$f 2>/dev/null || bash -n $$f || exit 1; done

fmt: ##- lay out the C sources as .clang-format says
	@git ls-files '*.c' '*.h' | xargs clang-format -i

tidy: ##- clang-tidy over the hypervisor
	@clang-tidy --quiet $$(git ls-files 'hypervisor/*.c' 'sched/*.c') -- $(HV_CPPFLAGS) $(filter-out -Werror,$(HV_CFLAGS))
