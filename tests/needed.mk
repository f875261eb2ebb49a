# Every line of the tight policies is needed: tests/needed/run takes each out in turn.
$(B)/tests/needed/work: $(call obj,$(call src,tests/needed)) $(TLIB_OBJ) $(B)/libcommon.a
	$(call say,LD,$@)$(CC) $(MARCH) -pie $(if $(SAN),-fsanitize=$(SAN)) -o $@ $^ -lz
.PHONY: check-needed
check-needed: all guests lguest-double $(B)/tests/needed/work $(B)/tests/host/on-pty
	$(Q)B=$(B) ARCH=$(ARCH) CC="$(CC)" LDFLAGS="$(ROLE_LDFLAGS)" PARENT_LDFLAGS="$(PARENT_LDFLAGS)" \
		PARENT_LIBS="$(PARENT_LIBS)" tests/needed/run $(POLICY)
tests: $(B)/tests/needed/work
