# Fuzzing with libFuzzer (clang), AddressSanitizer and UBSan.
#
## make fuzz SECONDS=60 [FUZZ="common_walker ..."]   run each fuzz target for SECONDS, two at a time; prints a table
## make fuzz-regress                        run each fuzz target on every seed and every input that once failed
#
# tests/fuzz/DIRECTORY_name.c is linked like a unit test; its seeds are in
# tests/fuzz/corpus/DIRECTORY_name/. The objects are in build/fuzz/.
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(call src,tests/fuzz))
FUZZ         ?= $(FUZZ_TARGETS)
FUZZ_SAN     := fuzzer-no-link,address,undefined
FUZZ_B       := $(B)/fuzz
# Ignore the shell's variable SECONDS, which is a running count.
FUZZ_SECONDS := $(if $(filter command line,$(origin SECONDS)),$(SECONDS),60)

.PHONY: fuzz fuzz-regress fuzz-build fuzz-programs
fuzz-build:
	$(Q)$(MAKE) --no-print-directory B=$(FUZZ_B) CC=clang SAN=$(FUZZ_SAN) fuzz-programs
fuzz: fuzz-build
	$(Q)tools/run-fuzz $(FUZZ_B) $(FUZZ_SECONDS) $(FUZZ)
fuzz-regress: fuzz-build
	$(Q)tools/run-fuzz $(FUZZ_B) 0 $(FUZZ)

# The objects of each target, in addition to common/ and tests/lib.
FUZZ_WITH_blkd_nbd       := $(filter-out blkd/main.c,$(call src,blkd))
FUZZ_WITH_blkd_requests  := $(filter-out blkd/main.c,$(call src,blkd))
FUZZ_WITH_blkd_saved     := $(filter-out blkd/main.c,$(call src,blkd))
FUZZ_WITH_controld_serve := $(filter-out controld/main.c,$(call src,controld))
FUZZ_WITH_fsd_requests   := $(filter-out fsd/main.c,$(call src,fsd))
FUZZ_WITH_fsd_restore    := $(filter-out fsd/main.c,$(call src,fsd))
FUZZ_WITH_fsd_saved      := $(filter-out fsd/main.c,$(call src,fsd))
FUZZ_WITH_netd_dhcp      := netd/dhcp.c
FUZZ_WITH_netd_frames    := netd/frames.c
FUZZ_WITH_netd_passt     := netd/stream.c netd/user.c
FUZZ_WITH_netd_ra        := netd/ra.c
FUZZ_WITH_netd_queues    := $(filter-out netd/main.c,$(call src,netd))
FUZZ_WITH_parent_control := $(filter-out parent/main.c,$(call src,parent))
FUZZ_WITH_parent_options := $(wildcard parent/options/*.c)
FUZZ_WITH_parent_qmp     := parent/supervise/qmp.c
FUZZ_WITH_parent_run     := $(filter-out parent/main.c,$(call src,parent))
FUZZ_WITH_vcpu_from      := $(filter-out vcpu/kvm/engine.c vcpu/kvm/acpi.c,$(wildcard vcpu/kvm/*.c)) $(wildcard vcpu/devices/*.c) vcpu/vm.c
FUZZ_WITH_vcpu_insn      := vcpu/lguest/insn.c
FUZZ_WITH_vcpu_load      := $(wildcard vcpu/load/*.c)
FUZZ_WITH_vcpu_ports     := vcpu/devices/ports.c vcpu/devices/fill.c vcpu/devices/written.c
FUZZ_WITH_vcpu_pci       := vcpu/devices/pci.c vcpu/devices/shmem.c vcpu/devices/records.c $(wildcard vcpu/devices/vpci_*.c)
fuzz_parts = $(call obj,$(FUZZ_WITH_$(1)))
FUZZ_BIN := $(patsubst %,$(B)/tests/fuzz/%,$(FUZZ_TARGETS))
fuzz-programs: $(FUZZ_BIN)
$(FUZZ_BIN): $(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $$(call fuzz_parts,$$*) $(TLIB_OBJ) $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) -pie $(TEST_LD) -fsanitize=$(SAN),fuzzer -o $@ $(filter %.o,$^) -Wl,--start-group $(B)/libcommon.a $(B)/libpolicy.a -Wl,--end-group \
	  -lz -lpthread $(if $(findstring fuzz/parent_,$@),$(PARENT_LIBS))
