# The freestanding guests: build/tests/guest/probe (64-bit entry), probe-pvh (the same for QEMU), pvh, entry32, exit
# and exit32 (PVH; exit32 is for the machine i386).
# No SSE and nothing newer than x86-64's base: software KVM interprets ring 0.
GUEST_CC     ?= gcc
GUEST_CFLAGS := -std=gnu11 -O2 -g -I. $(WARN) -ffreestanding -fno-stack-protector -fno-pic -fno-pie \
	-fcf-protection=none -mno-red-zone -mgeneral-regs-only -march=x86-64 -fno-builtin -MMD -MP
GUEST_SRC := $(sort $(wildcard tests/guest/*.c))
GUEST_OBJ := $(patsubst tests/guest/%.c,$(B)/tests/guest/%.o,$(GUEST_SRC)) $(B)/tests/guest/start.o
GUEST_LDFLAGS := -nostdlib -static -no-pie -Wl,-N,--build-id=none,-z,noexecstack,--no-warn-rwx-segments

.PHONY: guests
guests: $(B)/tests/guest/probe $(B)/tests/guest/probe-pvh $(B)/tests/guest/pvh $(B)/tests/guest/entry32 $(B)/tests/guest/exit $(B)/tests/guest/exit32
tests: guests

$(B)/tests/guest/%.o: tests/guest/%.c
	@mkdir -p $(@D)
	$(call say,GUEST,$<)$(GUEST_CC) $(GUEST_CFLAGS) -c -o $@ $<
$(B)/tests/guest/start.o $(B)/tests/guest/pvh_entry.o: $(B)/tests/guest/%.o: tests/guest/%.S
	@mkdir -p $(@D)
	$(call say,GUEST,$<)$(GUEST_CC) -c -o $@ $<
$(B)/tests/guest/probe: $(GUEST_OBJ)
	$(call say,LD,$@)$(GUEST_CC) $(GUEST_LDFLAGS) -Wl,-Ttext=0x200000 -o $@ $^
$(B)/tests/guest/probe-pvh: $(GUEST_OBJ) $(B)/tests/guest/pvh_entry.o
	$(call say,LD,$@)$(GUEST_CC) $(GUEST_LDFLAGS) -Wl,-Ttext=0x200000 -o $@ $^
$(B)/tests/guest/pvh: tests/guest/entry.S
	@mkdir -p $(@D)
	$(call say,GUEST,$@)$(GUEST_CC) -DPVH $(GUEST_LDFLAGS) -Wl,-Ttext=0x200000 -o $@ $<
$(B)/tests/guest/entry32: tests/guest/entry.S
	@mkdir -p $(@D)
	$(call say,GUEST,$@)$(GUEST_CC) -m32 $(GUEST_LDFLAGS) -Wl,-Ttext=0x200000,-melf_i386 -o $@ $<
$(B)/tests/guest/exit32: tests/guest/exit.S
	@mkdir -p $(@D)
	$(call say,GUEST,$@)$(GUEST_CC) -m32 $(GUEST_LDFLAGS) -Wl,-Ttext=0x200000,-melf_i386 -o $@ $<
$(B)/tests/guest/exit: tests/guest/exit.S
	@mkdir -p $(@D)
	$(call say,GUEST,$@)$(GUEST_CC) $(GUEST_LDFLAGS) -Wl,-Ttext=0x200000 -o $@ $<

# Multiboot kernels: build/tests/guest/multiboot/1 and 2 are ELF files, 1.flat is a plain binary.
MULTIBOOT_CFLAGS := -m32 -std=gnu11 -Os $(WARN) -ffreestanding -fno-stack-protector -fno-pic -fno-pie -fcf-protection=none \
	-mgeneral-regs-only -march=i686 -fno-builtin -fno-asynchronous-unwind-tables
MULTIBOOT_KERNELS := $(addprefix $(B)/tests/guest/multiboot/,1 2 flat.elf)
MULTIBOOT_1        := -DVERSION=1
MULTIBOOT_2        := -DVERSION=2
MULTIBOOT_flat.elf := -DVERSION=1 -DFLAT
# A disk's first sector; a test adds the second one.
guests: $(B)/tests/guest/boot/sector
$(B)/tests/guest/boot/sector: tests/guest/boot/sector.S
	@mkdir -p $(@D)
	$(call say,GUEST,$@)$(GUEST_CC) -m32 $(GUEST_LDFLAGS) -Wl,-melf_i386,-Ttext=0x7c00,--oformat=binary -o $@ $<

guests: $(MULTIBOOT_KERNELS) $(B)/tests/guest/multiboot/1.flat
$(MULTIBOOT_KERNELS): $(B)/tests/guest/multiboot/%: tests/guest/multiboot/start.S tests/guest/multiboot/kernel.c tests/guest/multiboot/kernel.lds
	@mkdir -p $(@D)
	$(call say,GUEST,$@)$(GUEST_CC) $(MULTIBOOT_CFLAGS) $(MULTIBOOT_$*) $(GUEST_LDFLAGS) \
		-Wl,-melf_i386,-T,tests/guest/multiboot/kernel.lds -o $@ $(filter %.S %.c,$^)
$(B)/tests/guest/multiboot/1.flat: $(B)/tests/guest/multiboot/flat.elf
	$(call say,GUEST,$@)objcopy -O binary $< $@

# Kernels for the qemu engine's other machines: build/tests/guest/machines/NAME, by clang and lld, which
# need no compiler for each machine. riscv64-sbi is linked to run on OpenSBI.
MACHINE_CC     ?= clang
MACHINE_CFLAGS := -std=gnu11 -Os $(WARN) -ffreestanding -fno-builtin -fno-pic -fno-stack-protector -fno-unwind-tables \
	-fno-asynchronous-unwind-tables
MACHINE_LDFLAGS := -nostdlib -static -fuse-ld=lld -Wl,--build-id=none,-z,noexecstack,-T,tests/guest/machines/kernel.lds
MACHINE_KERNELS := $(addprefix $(B)/tests/guest/machines/,aarch64 arm riscv64 riscv32 riscv64-sbi)
MACHINE_aarch64     := --target=aarch64-none-elf -mgeneral-regs-only -mstrict-align -Wl,--defsym,RAM_START=0x40200000
MACHINE_arm         := --target=armv7a-none-eabi -mfloat-abi=soft -marm -mno-unaligned-access -Wl,--defsym,RAM_START=0x40200000
MACHINE_riscv64     := --target=riscv64-none-elf -march=rv64imac -mabi=lp64 -mcmodel=medany -DBARE -Wl,--defsym,RAM_START=0x80000000
MACHINE_riscv64-sbi := --target=riscv64-none-elf -march=rv64imac -mabi=lp64 -mcmodel=medany -Wl,--defsym,RAM_START=0x80200000
MACHINE_riscv32     := --target=riscv32-none-elf -march=rv32imac -mabi=ilp32 -mcmodel=medany -DBARE -Wl,--defsym,RAM_START=0x80000000

.PHONY: machine-kernels
machine-kernels: $(MACHINE_KERNELS)
# Without clang and lld there are none, and the tests that need them are skipped.
ifneq ($(shell command -v $(MACHINE_CC) 2>/dev/null),)
ifneq ($(shell command -v ld.lld 2>/dev/null),)
guests: machine-kernels
endif
endif
$(MACHINE_KERNELS): $(B)/tests/guest/machines/%: tests/guest/machines/kernel.c tests/guest/machines/kernel.lds
	@mkdir -p $(@D)
	$(call say,GUEST,$@)$(MACHINE_CC) $(MACHINE_CFLAGS) $(MACHINE_$*) $(MACHINE_LDFLAGS) -o $@ $<

# Static, because a QEMU program's room has libraries of its own.
$(B)/tests/host/qemu-double: tests/host/qemu_double.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 $(WARN) -static -o $@ $<
tests: $(B)/tests/host/qemu-double
