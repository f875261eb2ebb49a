# For tests/long/checkpoint-lab: a vCPU process that hashes guest memory, and a program for a stock kernel's guest.
VCPU_HASH_WRAP := $(patsubst %,-Wl$(comma)--wrap=%,held_end_early kvm_copy_make)
$(B)/tests/host/vcpu_hash.o: TEST_CFLAGS += -fPIE
$(B)/tests/host/vcpu_hash: $(B)/tests/host/vcpu_hash.o $(VCPU_OBJ) $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(ROLE_LDFLAGS) $(VCPU_HASH_WRAP) -o $@ $^ -lz
$(B)/tests/guest/linux/resets: tests/guest/linux/resets.c
	@mkdir -p $(@D)
	$(call say,GUEST,$@)$(GUEST_CC) -std=gnu11 -D_GNU_SOURCE -O2 $(WARN) -static -o $@ $<
ifeq ($(ARCH),x86_64)
tests: $(B)/tests/host/vcpu_hash $(B)/tests/guest/linux/resets
endif
