# Model checking of what must hold for any content of guest memory (CBMC).
.PHONY: prove
prove:
	$(Q)tests/proofs/run
