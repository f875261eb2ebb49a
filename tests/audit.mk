# What tests/integration/audit.bats weakens a guest with.
$(B)/tests/host/weaken.so: tests/host/weaken.c common/ctl.h common/spawn_proto.h common/fdtab.h
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(BASE) -fPIC -shared -o $@ $< -ldl
$(B)/tests/host/blkd_weak.o: TEST_CFLAGS += -fPIE
$(B)/tests/host/blkd_weak: $(B)/tests/host/blkd_weak.o $(BLKD_OBJ) $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(ROLE_LDFLAGS) -Wl,--wrap=sandbox_filter,--wrap=backend_run -o $@ $^
tests: $(B)/tests/host/weaken.so $(B)/tests/host/blkd_weak
