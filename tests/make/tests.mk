# Targets for the tests as a whole; tools/quickstart check runs all of them.
## make check                               unit tests and whole-program tests (root)
## make check-lint                          the rules of this tree that a program can check
.PHONY: tests check-lint
tests: $(TESTS)
check: all check-unit
	tools/quickstart kernel
	tools/quickstart lab
	tools/run-bats
check-lint:
	tools/lint
