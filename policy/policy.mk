# The names of system calls, for the supervisor's lines; and the budget in numbers.
$(B)/policy/syscalls.c: $(B)/policy/compile
	$(Q)$(B)/policy/compile $(ARCH) --names $@
$(B)/policy/syscalls.o: $(B)/policy/syscalls.c
	$(Q)$(CC) $(ROLE_CFLAGS) -c -o $@ $<
$(B)/libpolicy.a: $(B)/policy/syscalls.o

# NAME CALLS RULES RULES-WITH-CONDITIONS INSTRUCTIONS CALLS-WITH-A-RULE-WITHOUT…, one policy a line
$(B)/policy/counts: $(B)/policy/compile $(wildcard policy/*.policy)
	$(Q)for p in $(wildcard policy/*.policy); do $(B)/policy/compile $(ARCH) --count $$p || exit 1; done >$@
.PHONY: policy-counts
policy-counts: $(B)/policy/counts
	@cat $<

# Policies that include others are made again when those change.
$(B)/policy/blkd-foreign.policy.c: policy/blkd.policy policy/handover.policy
$(B)/policy/netd-foreign.policy.c: policy/netd.policy policy/handover.policy
$(B)/policy/start-qemu.policy.c: policy/start.policy policy/vcpu-qemu.policy

# The compiler's own test runs it.
$(B)/tests/unit/policy_compile: | $(B)/policy/compile
