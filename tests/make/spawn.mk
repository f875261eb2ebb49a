# The role that spawners start in tests/unit/parent_{spawn,room}.c: static, like the real ones.
$(B)/tests/host/spawn_role.o: TEST_CFLAGS += -fPIE
$(B)/tests/host/spawn_role: $(B)/tests/host/spawn_role.o $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(ROLE_LDFLAGS) -o $@ $^
$(B)/tests/unit/parent_spawn $(B)/tests/unit/parent_room: | $(B)/tests/host/spawn_role $(BIN)/lguest-sep-init
$(B)/tests/unit/parent_names: | $(addprefix $(BIN)/lguest-sep-,init vcpu netd blkd)
