# Model checking of what must hold for any content of guest memory (CBMC).
.PHONY: prove prove-mutants
prove:
	$(Q)tests/proofs/run
# Each proof fails when the check that it stands for is taken out: some ten minutes.
prove-mutants:
	$(Q)tests/proofs/mutants
