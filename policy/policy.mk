# The names of system calls, for the supervisor's log messages; and the counts for policy/BUDGET.
$(B)/policy/syscalls.c: $(B)/policy/compile
	$(Q)$(B)/policy/compile $(ARCH) --names $@
$(B)/policy/syscalls.o: $(B)/policy/syscalls.c
	$(Q)$(CC) $(ROLE_CFLAGS) -c -o $@ $<
$(B)/libpolicy.a: $(B)/policy/syscalls.o

# One line for each policy: NAME CALLS RULES RULES-WITH-CONDITIONS INSTRUCTIONS CALLS-WITH-ANY-ARGUMENTS…
$(B)/policy/counts: $(B)/policy/compile $(wildcard policy/*.policy)
	$(Q)for p in $(wildcard policy/*.policy); do $(B)/policy/compile $(ARCH) --count $$p || exit 1; done >$@
.PHONY: policy-counts
policy-counts: $(B)/policy/counts
	@cat $<

# Rebuild a policy when one that it includes changes.
$(B)/policy/blkd-foreign.policy.c: policy/blkd.policy policy/handover.policy
$(B)/policy/blkd-saved.policy.c: policy/blkd.policy
$(B)/policy/blkd-saved-foreign.policy.c: policy/blkd.policy policy/blkd-saved.policy policy/handover.policy
$(B)/policy/fsd-foreign.policy.c: policy/fsd.policy policy/handover.policy
$(B)/policy/fsd-saved.policy.c: policy/fsd.policy
$(B)/policy/fsd-saved-foreign.policy.c: policy/fsd.policy policy/fsd-saved.policy policy/handover.policy
$(B)/policy/fsd-rw-foreign.policy.c: policy/fsd-rw.policy policy/handover.policy
$(B)/policy/netd-foreign.policy.c: policy/netd.policy policy/handover.policy
$(B)/policy/vcpu-kvm-load.policy.c: policy/vcpu-kvm.policy policy/vcpu-load.policy
$(B)/policy/vcpu-kvm-checkpoint.policy.c: policy/vcpu-kvm.policy
$(B)/policy/vcpu-kvm-checkpoint-load.policy.c: policy/vcpu-kvm.policy policy/vcpu-kvm-checkpoint.policy policy/vcpu-load.policy
$(B)/policy/vcpu-kvm-save.policy.c: policy/vcpu-kvm.policy policy/vcpu-kvm-checkpoint.policy
$(B)/policy/vcpu-kvm-save-load.policy.c: policy/vcpu-kvm.policy policy/vcpu-kvm-checkpoint.policy policy/vcpu-kvm-save.policy policy/vcpu-load.policy
$(B)/policy/vcpu-kvm-from-load.policy.c: policy/vcpu-kvm.policy policy/vcpu-load.policy
$(B)/policy/vcpu-lguest-load.policy.c: policy/vcpu-lguest.policy policy/vcpu-load.policy
$(B)/policy/vcpu-qemu-load.policy.c: policy/vcpu-qemu.policy
$(B)/policy/start-fsd.policy.c: policy/start.policy
$(B)/policy/start-fsd-rw.policy.c: policy/start.policy
$(B)/policy/start-checkpoint.policy.c: policy/start.policy
$(B)/policy/start-passt.policy.c: policy/start.policy
$(B)/policy/start-qemu.policy.c: policy/start.policy policy/vcpu-qemu.policy

# The compiler's own test runs it.
$(B)/tests/unit/policy_compile $(B)/tests/unit/policy_lines: | $(B)/policy/compile
