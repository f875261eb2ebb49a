# The hostile cases (tests/hostile), against the executables of this build and of
# one with AddressSanitizer; and the mutants that they must catch.
HOSTILE := $(B)/tests/hostile/hostile
HOSTILE_ROLE := $(B)/tests/host/hostile_role
# The unit tests that it runs, by the names in its table.
HOSTILE_SUITES := $(shell sed -n 's/.*"\([a-z0-9]*_[a-z0-9_]*\)",.*/\1/p' tests/hostile/suites.c)

$(HOSTILE): $(call obj,$(call src,tests/hostile)) $(TLIB_OBJ) $(filter-out %/main.o,$(PARENT_OBJ)) $(B)/netd/tap.o $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(MARCH) -pie $(TEST_LD) $(if $(SAN),-fsanitize=$(SAN)) -o $@ $(filter %.o,$^) -Wl,--start-group $(B)/libcommon.a $(B)/libpolicy.a -Wl,--end-group -lz -lpthread $(PARENT_LIBS)
$(HOSTILE_ROLE).o: TEST_CFLAGS += -fPIE
$(HOSTILE_ROLE): $(HOSTILE_ROLE).o $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(ROLE_LDFLAGS) -o $@ $^

.PHONY: hostile hostile-cases check-hostile check-mutants
hostile: hostile-cases $(addprefix $(B)/tests/unit/,$(HOSTILE_SUITES))
hostile-cases: all $(HOSTILE) $(HOSTILE_ROLE)
check-hostile: hostile
	$(Q)$(MAKE) --no-print-directory B=$(B)-address SAN=address,undefined all
	$(Q)HOSTILE_TOP=$(CURDIR) tests/hostile/run $(HOSTILE) $(BIN) $(B)-address/bin
check-mutants:
	$(Q)tests/hostile/mutants
