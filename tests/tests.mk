# Targets for the tests as a whole; tools/quickstart check does all of it.
.PHONY: tests check-lint
tests: $(TESTS)
check: all check-unit
	tools/quickstart kernel
	tools/quickstart lab
	tools/run-bats
check-lint:
	tools/lint
