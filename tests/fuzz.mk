# Fuzzing with libFuzzer (clang), AddressSanitizer and UBSan.
#
#   make fuzz SECONDS=60 [FUZZ="common_walker ..."]   each target so long, two at a time; a table
#   make fuzz-regress                                 every seed and every input that once broke something, once
#
# tests/fuzz/FOLDER_name.c is linked like a unit test; its seeds are in
# tests/fuzz/corpus/FOLDER_name/. Objects are build/fuzz/'s own.
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(call src,tests/fuzz))
FUZZ         ?= $(FUZZ_TARGETS)
FUZZ_SAN     := fuzzer-no-link,address,undefined
FUZZ_B       := $(B)/fuzz
# Not the shell's variable of that name, which counts.
FUZZ_SECONDS := $(if $(filter command line,$(origin SECONDS)),$(SECONDS),60)

.PHONY: fuzz fuzz-regress fuzz-build fuzz-programs
fuzz-build:
	$(Q)$(MAKE) --no-print-directory B=$(FUZZ_B) CC=clang SAN=$(FUZZ_SAN) fuzz-programs
fuzz: fuzz-build
	$(Q)tools/run-fuzz $(FUZZ_B) $(FUZZ_SECONDS) $(FUZZ)
fuzz-regress: fuzz-build
	$(Q)tools/run-fuzz $(FUZZ_B) 0 $(FUZZ)

# What each target is made of, besides common/ and tests/lib.
FUZZ_WITH_blkd_requests  := $(filter-out blkd/main.c,$(call src,blkd))
FUZZ_WITH_netd_frames    := netd/frames.c
FUZZ_WITH_netd_queues    := $(filter-out netd/main.c,$(call src,netd))
FUZZ_WITH_parent_options := $(wildcard parent/options*.c)
FUZZ_WITH_parent_qmp     := parent/qmp.c
FUZZ_WITH_vcpu_insn      := vcpu/lguest_insn.c
FUZZ_WITH_vcpu_load      := $(wildcard vcpu/load*.c) vcpu/kernel_check.c
FUZZ_WITH_vcpu_pci       := vcpu/pci.c $(wildcard vcpu/virtio_pci*.c)
fuzz_parts = $(call obj,$(FUZZ_WITH_$(1)))
FUZZ_BIN := $(patsubst %,$(B)/tests/fuzz/%,$(FUZZ_TARGETS))
fuzz-programs: $(FUZZ_BIN)
$(FUZZ_BIN): $(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $$(call fuzz_parts,$$*) $(TLIB_OBJ) $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) -pie -fsanitize=$(SAN),fuzzer -o $@ $(filter %.o,$^) -Wl,--start-group $(B)/libcommon.a $(B)/libpolicy.a -Wl,--end-group \
	  -lz -lpthread $(if $(findstring fuzz/parent_,$@),$(PARENT_LIBS))
