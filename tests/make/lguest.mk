# The lguest engine on a real lguest host: make check-lguest LGUEST_HOST_KERNEL=bzImage
# (i386, CONFIG_LGUEST and LGUEST_GUEST with virtio built in; Linux 3.5 to 4.13, or an older one that is refused).
.PHONY: check-lguest
check-lguest:
ifeq ($(LGUEST_HOST_KERNEL),)
	@echo "check-lguest: skipped: no LGUEST_HOST_KERNEL=bzImage (an i386 kernel with lguest, Linux 2.6.24 to 4.13)"
else ifneq ($(ARCH),i386)
	+$(Q)$(MAKE) --no-print-directory ARCH=i386 check-lguest
else
check-lguest: all $(BIN)/lguest-sep $(B)/static/lguest-sep $(B)/tests/host/on-pty
	$(Q)tests/lab/lguest $(LGUEST_HOST_KERNEL) $(BIN)
endif

$(B)/tests/host/on-pty: tests/host/on_pty.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(BASE) -static -o $@ $< -lutil

# A FUSE file system whose server stalls (tests/integration/stall.bats).
tests: $(B)/tests/host/stalled-fuse
$(B)/tests/host/stalled-fuse: tests/host/stalled_fuse.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(BASE) -o $@ $<

# Runs a command as on a host without a vDSO (tests/integration/stall.bats).
ifeq ($(ARCH),x86_64)
tests: $(B)/tests/host/no-vdso
endif
tests: $(B)/tests/host/on-pty
$(B)/tests/host/no-vdso: tests/host/no_vdso.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(BASE) -o $@ $<

# Runs a command as on a host without seccomp filters, and the program for such hosts (tests/integration/old_host.bats).
tests: $(B)/tests/host/old-host $(if $(SAN),,$(B)/static/lguest-sep)
$(B)/tests/host/old-host: tests/host/old_host.c tests/host/old_host.h
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(BASE) -o $@ $<

# A stand-in for /dev/lguest, and the kernel of its guests (tests/integration/lguest.bats).
FUSE_LIBS := $(shell pkg-config --libs fuse3 2>/dev/null)
DOUBLE := $(patsubst %,$(B)/tests/host/lguest_%.o,double driver page_guest pci_guest lone_guest ports_guest)
.PHONY: lguest-double
lguest-double: $(if $(FUSE_LIBS),$(B)/tests/host/lguest-double) $(B)/tests/host/lguest-kernel
tests: lguest-double
$(DOUBLE): $(B)/tests/host/%.o: tests/host/%.c
	@mkdir -p $(@D)
	$(call say,HOSTCC,$<)$(HOSTCC) -std=gnu11 -O2 -g -I. -Wall -Wextra $(ERROR) -MMD -MP -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
	  $(shell pkg-config --cflags fuse3) -c -o $@ $<
$(B)/tests/host/lguest-double: $(DOUBLE)
	$(call say,LD,$@)$(HOSTCC) -o $@ $^ $(FUSE_LIBS) -lpthread
$(B)/tests/host/lguest-kernel: tests/host/lguest_kernel.S
	@mkdir -p $(@D)
	$(call say,LD,$@)$(HOSTCC) -m32 -nostdlib -static -no-pie -Wl,-N,-Ttext=0x100000,--build-id=none,--no-warn-rwx-segments,-melf_i386 -o $@ $<
