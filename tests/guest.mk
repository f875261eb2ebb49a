# The freestanding guests: build/tests/guest/probe (64-bit entry), pvh, entry32.
# No SSE and nothing newer than x86-64's base: software KVM interprets ring 0.
GUEST_CC     ?= gcc
GUEST_CFLAGS := -std=gnu11 -O2 -g -I. $(WARN) -ffreestanding -fno-stack-protector -fno-pic -fno-pie \
	-fcf-protection=none -mno-red-zone -mgeneral-regs-only -march=x86-64 -fno-builtin -MMD -MP
GUEST_SRC := $(sort $(wildcard tests/guest/*.c))
GUEST_OBJ := $(patsubst tests/guest/%.c,$(B)/tests/guest/%.o,$(GUEST_SRC)) $(B)/tests/guest/start.o
GUEST_LDFLAGS := -nostdlib -static -no-pie -Wl,-N,--build-id=none,-z,noexecstack,--no-warn-rwx-segments

.PHONY: guests
guests: $(B)/tests/guest/probe $(B)/tests/guest/pvh $(B)/tests/guest/entry32
tests: guests

$(B)/tests/guest/%.o: tests/guest/%.c
	@mkdir -p $(@D)
	$(call say,GUEST,$<)$(GUEST_CC) $(GUEST_CFLAGS) -c -o $@ $<
$(B)/tests/guest/start.o: tests/guest/start.S
	@mkdir -p $(@D)
	$(call say,GUEST,$<)$(GUEST_CC) -c -o $@ $<
$(B)/tests/guest/probe: $(GUEST_OBJ)
	$(call say,LD,$@)$(GUEST_CC) $(GUEST_LDFLAGS) -Wl,-Ttext=0x200000 -o $@ $^
$(B)/tests/guest/pvh: tests/guest/entry.S
	@mkdir -p $(@D)
	$(call say,GUEST,$@)$(GUEST_CC) -DPVH $(GUEST_LDFLAGS) -Wl,-Ttext=0x200000 -o $@ $<
$(B)/tests/guest/entry32: tests/guest/entry.S
	@mkdir -p $(@D)
	$(call say,GUEST,$@)$(GUEST_CC) -m32 $(GUEST_LDFLAGS) -Wl,-Ttext=0x200000,-melf_i386 -o $@ $<
