# Programs with which tests/integration/audit.bats weakens a guest.
$(B)/tests/host/weaken.so: tests/host/weaken.c common/ctl.h common/spawn_proto.h common/fdtab.h
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(BASE) -fPIC -shared -o $@ $< -ldl
WEAK_WRAP := $(patsubst %,-Wl$(comma)--wrap=%,ctl_recv_config sandbox_filter sandbox_enter madvise shm_add backend_run)
$(B)/tests/host/blkd_weak.o: TEST_CFLAGS += -fPIE
$(B)/tests/host/blkd_weak: $(B)/tests/host/blkd_weak.o $(BLKD_OBJ) $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(ROLE_LDFLAGS) $(WEAK_WRAP) -o $@ $^ -lz
# The real one at the same addresses in every process.
$(B)/tests/host/blkd_fixed: $(BLKD_OBJ) $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(MARCH) $(if $(SAN),-fsanitize=$(SAN) -no-pie,-static) -o $@ $^ -lz
tests: $(B)/tests/host/weaken.so $(B)/tests/host/blkd_weak $(B)/tests/host/blkd_fixed
