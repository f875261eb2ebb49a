# The load generators and what they are made of: `make bench`.
BENCH_PARTS := $(B)/bench/measure.o $(B)/tests/lib/front.o $(B)/tests/lib/front_ring.o
BENCH_PROGRAMS := $(B)/bench/blkload $(B)/bench/netload $(B)/bench/fsload
.PHONY: bench
bench: all $(BENCH_PROGRAMS)
$(B)/bench/%.o: bench/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(TEST_CFLAGS) -c -o $@ $<
$(B)/bench/blkload: $(addprefix $(B)/bench/,blkload.o blk_front.o blk_bare.o)
$(B)/bench/netload: $(addprefix $(B)/bench/,netload.o net_front.o net_bare.o net_frames.o)
$(B)/bench/fsload: $(addprefix $(B)/bench/,fsload.o fs_front.o)
$(BENCH_PROGRAMS): $(BENCH_PARTS) $(B)/libcommon.a
	$(call say,LD,$@)$(CC) $(MARCH) -pie $(if $(SAN),-fsanitize=$(SAN)) -o $@ $(filter %.o,$^) $(B)/libcommon.a
bench: $(B)/bench/idle
$(B)/bench/idle: bench/idle.S
	@mkdir -p $(@D)
	$(call say,GUEST,$@)$(CC) -nostdlib -static -no-pie -Wl,-N,--build-id=none,-z,noexecstack,--no-warn-rwx-segments,-Ttext=0x200000 -o $@ $<
# Static like the programs that it stands for.
bench: $(B)/bench/startbare
$(B)/bench/startbare: $(B)/bench/startbare.o
	$(call say,LD,$@)$(CC) $(filter-out -fsanitize=%,$(ROLE_LDFLAGS)) -o $@ $^
# A kernel that reports success at once, for the section farm.
bench: $(B)/tests/guest/exit
# The same objects without confinement, for Valgrind.
bench: $(B)/bench/blkd-counted $(B)/bench/netd-counted
$(B)/bench/blkd-counted: $(BLKD_OBJ)
$(B)/bench/netd-counted: $(NETD_OBJ)
$(B)/bench/%-counted: $(B)/bench/no_sandbox.o $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(MARCH) -pie $(if $(SAN),-fsanitize=$(SAN)) -o $@ $(filter %.o,$^) $(B)/libcommon.a $(B)/libpolicy.a -lz
.SECONDARY: $(B)/bench/no_sandbox.o
