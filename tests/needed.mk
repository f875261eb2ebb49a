# Every line of the tight policies is needed: tests/needed/run takes each out in turn.
$(B)/tests/needed/work: $(B)/tests/needed/work.o $(TLIB_OBJ) $(B)/libcommon.a
	$(call say,LD,$@)$(CC) $(MARCH) -pie $(if $(SAN),-fsanitize=$(SAN)) -o $@ $^ -lz
.PHONY: check-needed
check-needed: all $(B)/tests/needed/work $(NETD_OBJ) $(BLKD_OBJ)
	$(Q)B=$(B) ARCH=$(ARCH) CC="$(CC)" LDFLAGS="$(ROLE_LDFLAGS)" tests/needed/run
tests: $(B)/tests/needed/work
