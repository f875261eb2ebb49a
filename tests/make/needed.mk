# Checks that every line of the tight policies is needed: tests/needed/run removes each in turn.
$(B)/tests/needed/work: $(call obj,$(call src,tests/needed)) $(TLIB_OBJ) $(B)/libcommon.a
	$(call say,LD,$@)$(CC) $(MARCH) -pie $(if $(SAN),-fsanitize=$(SAN)) -o $@ $^ -lz
.PHONY: check-needed
check-needed: all guests lguest-double $(B)/tests/needed/work $(B)/tests/host/on-pty
	$(Q)B=$(B) ARCH=$(ARCH) CC="$(CC)" LDFLAGS="$(ROLE_LDFLAGS)" PARENT_LDFLAGS="$(PARENT_LDFLAGS)" \
		PARENT_LIBS="$(PARENT_LIBS)" PARENT_OBJ="$(PARENT_OBJ)" VCPU_OBJ="$(VCPU_OBJ)" NETD_OBJ="$(NETD_OBJ)" \
		BLKD_OBJ="$(BLKD_OBJ)" CONTROLD_OBJ="$(CONTROLD_OBJ)" FSD_OBJ="$(FSD_OBJ)" tests/needed/run $(POLICY)
tests: $(B)/tests/needed/work
