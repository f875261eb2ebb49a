# Tests that take too long for every change (tests/long/).
.PHONY: check-long
check-long: all tests hostile
	LONG_BUILD=$(abspath $(B)) tools/check-long $(LONG)

## make check-long [LONG='NAME...']         tests that take minutes each (tests/long/); root
