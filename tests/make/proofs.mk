# Model checking (CBMC) of properties that must hold for any content of guest memory.
.PHONY: prove prove-mutants
prove:
	$(Q)tests/proofs/run
# Checks that each proof fails when its check is removed from the code. Takes about ten minutes.
prove-mutants:
	$(Q)tests/proofs/mutants
