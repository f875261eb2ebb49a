# The hostile cases (tests/hostile), against the executables of this build and of
# one with AddressSanitizer; and the mutants that they must catch.
HOSTILE := $(B)/tests/hostile/hostile
HOSTILE_ROLE := $(B)/tests/host/hostile_role
HOSTILE_SUITES := policy_compile vcpu_front vcpu_load_bzimage vcpu_load_elf vcpu_load_multiboot vcpu_load_multiboot2 vcpu_registers vcpu_pci vcpu_shmem vcpu_virtio_pci vcpu_dev_net netd_capture netd_user netd_stream fsd_hostile fsd_restore fsd_past_hostile fsd_saved_hostile blkd_nbd fsd_write_hostile controld_serve parent_control parent_hold parent_steer parent_rules parent_rules_settings

$(HOSTILE): $(call obj,$(call src,tests/hostile)) $(TLIB_OBJ) $(filter-out %/main.o,$(PARENT_OBJ)) $(B)/netd/tap.o $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(MARCH) -pie $(if $(SAN),-fsanitize=$(SAN)) -o $@ $(filter %.o,$^) -Wl,--start-group $(B)/libcommon.a $(B)/libpolicy.a -Wl,--end-group -lz -lpthread $(PARENT_LIBS)
$(HOSTILE_ROLE).o: TEST_CFLAGS += -fPIE
$(HOSTILE_ROLE): $(HOSTILE_ROLE).o $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(ROLE_LDFLAGS) -o $@ $^

.PHONY: hostile check-hostile check-mutants
hostile: all $(HOSTILE) $(HOSTILE_ROLE) $(addprefix $(B)/tests/unit/,$(HOSTILE_SUITES))
check-hostile: hostile
	$(Q)$(MAKE) --no-print-directory B=$(B)-address SAN=address,undefined all
	$(Q)HOSTILE_TOP=$(CURDIR) tests/hostile/run $(HOSTILE) $(BIN) $(B)-address/bin
check-mutants:
	$(Q)tests/hostile/mutants
