# Builds lguest-sep. `make help` lists the targets: it prints the lines that begin with ##
# here and in the included fragments (*.mk).
#
## make [ARCH=x86_64|i386] [CC=gcc|clang]   build lguest-sep; your CFLAGS, CPPFLAGS and LDFLAGS are added to its flags
## make STATIC=1                            the parent is static too (static/lguest-sep): for hosts before Linux 2.6.39
## make SAN=address,undefined               the same with sanitizers, in a separate build directory
## make WERROR=1                            warnings are errors, as in CI
## make V=1                                 show the commands
## make check-unit                          unit tests (as any user)
#
# A role's executable is built from its own directory, common/ and the policies that
# it names; roles never include each other's headers (make check-lint checks this).

ARCH   ?= x86_64
CC     ?= gcc
HOSTCC ?= gcc
PREFIX ?= /usr/local
SAN    ?=
V      ?= 0
WERROR ?= 0
STATIC ?= 0
# With sanitizers -O1, as their manual recommends: less is optimised away before it can be checked, and gcc needs about
# half the time. Fuzz targets have -O2, for more executions a second.
CFLAGS ?= $(if $(filter-out fuzzer%,$(SAN)),-O1,-O2) -g

comma := ,
B := build$(if $(filter-out x86_64,$(ARCH)),-$(ARCH))$(if $(SAN),-$(firstword $(subst $(comma), ,$(SAN))))$(if $(filter clang%,$(CC)),-clang)
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2);)

ERROR := $(if $(filter 1,$(WERROR)),-Werror)
WARN  := -Wall -Wextra $(ERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	 -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wimplicit-fallthrough -Wundef
HARD  := -fstack-protector-strong -fstack-clash-protection $(if $(filter clang%,$(CC)),,-ftrivial-auto-var-init=zero) -fcf-protection
ifneq ($(SAN),)
HARD  := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
else
HARD  += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
MARCH := $(if $(filter i386,$(ARCH)),-m32 -march=i686 -mtune=generic)
# The user's flags come last, so that they take precedence; roles are static PIE with any flags.
BASE  := -std=gnu11 -I. -I$(B) -MMD -MP $(WARN) $(MARCH) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(CPPFLAGS) $(CFLAGS)
# No file here is made by a rule that is built into make: looking for one took 0.2 s for each call.
MAKEFLAGS += --no-builtin-rules
VERSION := $(shell cat VERSION)
BASE  += -DLGUEST_SEP_VERSION='"$(VERSION)"'

# Roles: static PIE. The parent: dynamic PIE with libnl-route, libnftnl, libmnl and libcap-ng.
ROLE_CFLAGS := $(BASE) $(HARD) -fPIE
ROLE_LDFLAGS := $(MARCH) $(LDFLAGS) -static-pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections
ifneq ($(SAN),)
ROLE_LDFLAGS := $(MARCH) $(LDFLAGS) -pie -fsanitize=$(SAN)
endif
PKG_CONFIG := $(if $(filter i386,$(ARCH)),PKG_CONFIG_LIBDIR=/usr/lib/i386-linux-gnu/pkgconfig:/usr/share/pkgconfig )pkg-config
NL_CFLAGS := $(shell $(PKG_CONFIG) --cflags libnl-route-3.0 libnftnl libmnl 2>/dev/null)
NL_LIBS   := $(shell $(PKG_CONFIG) --libs libnl-route-3.0 libnftnl libmnl 2>/dev/null)
PARENT_LIBS := $(NL_LIBS) -lcap-ng
PARENT_CFLAGS := $(ROLE_CFLAGS) $(NL_CFLAGS)
PARENT_LDFLAGS := $(MARCH) $(LDFLAGS) -pie -Wl,-z,relro,-z,now,-z,noexecstack $(if $(SAN),-fsanitize=$(SAN))

src  = $(sort $(wildcard $(1)/*.c) $(filter-out parent/init/% parent/static/%,$(wildcard $(1)/*/*.c)))
obj  = $(patsubst %.c,$(B)/%.o,$(1))

COMMON_OBJ := $(call obj,$(call src,common))
POLICIES   := $(patsubst policy/%.policy,%,$(sort $(wildcard policy/*.policy)))
POLICY_OBJ := $(patsubst %,$(B)/policy/%.policy.o,$(POLICIES))
# Built from *.asl, not from C.
MADE_vcpu  := $(patsubst %.asl,$(B)/%.aml.o,$(wildcard vcpu/kvm/*.asl))
VCPU_OBJ   := $(call obj,$(call src,vcpu)) $(MADE_vcpu)
NETD_OBJ   := $(call obj,$(call src,netd))
BLKD_OBJ   := $(call obj,$(call src,blkd))
CONTROLD_OBJ := $(call obj,$(call src,controld))
FSD_OBJ    := $(call obj,$(call src,fsd))
INIT_OBJ   := $(call obj,$(call src,parent/init))
PARENT_OBJ := $(call obj,$(call src,parent))
RUNINIT_OBJ  := $(call obj,$(call src,guest))

BIN := $(B)/bin
PARENT := $(if $(filter 1,$(STATIC)),$(B)/static,$(BIN))/lguest-sep
PROGRAMS := $(PARENT) $(BIN)/lguest-sep-vcpu $(BIN)/lguest-sep-netd \
	    $(BIN)/lguest-sep-blkd $(BIN)/lguest-sep-fsd $(BIN)/lguest-sep-controld $(BIN)/lguest-sep-init $(BIN)/lguest-sep-guest

.DEFAULT_GOAL := all
.PHONY: all clean dist install uninstall check check-unit help
all: $(PROGRAMS)

# --- policies: compiled from text to BPF on the build host, for the target's architecture
$(B)/policy/compile: policy/compile.c $(wildcard policy/*.h) common/fdtab.h common/sandbox.h
	@mkdir -p $(@D)
	$(call say,HOSTCC,$@)$(HOSTCC) -std=gnu11 -O1 -g -I. -Wall -Wextra $(ERROR) -D_GNU_SOURCE -o $@ $< -lseccomp
$(B)/policy/%.policy.c: policy/%.policy $(B)/policy/compile
	$(call say,POLICY,$<)$(B)/policy/compile $(ARCH) $< $@
.PRECIOUS: $(B)/policy/%.policy.c
$(B)/policy/%.policy.o: $(B)/policy/%.policy.c
	$(Q)$(CC) $(ROLE_CFLAGS) -c -o $@ $<
$(B)/libpolicy.a: $(POLICY_OBJ)
	$(Q)rm -f $@; ar rcs $@ $^
$(B)/libcommon.a: $(COMMON_OBJ)
	$(Q)rm -f $@; ar rcs $@ $^

# ACPI tables of kvm guests: the C preprocessor fills in the numbers of vcpu/kvm/board.h, then iasl compiles them.
$(B)/vcpu/kvm/%.aml.c: vcpu/kvm/%.asl vcpu/kvm/board.h
	@mkdir -p $(@D)
	$(call say,IASL,$<)command -v iasl > /dev/null || { echo "no iasl here: install acpica-tools" >&2; exit 1; }; \
	  $(HOSTCC) -E -P -undef -x c -I. -o $(@:.c=.asl) $< && \
	  { iasl -we -p $(basename $(@:.c=)) $(@:.c=.asl) > $(@:.c=.log) 2>&1 || { cat $(@:.c=.log); exit 1; }; } && \
	  { echo '#include "vcpu/kvm/aml.h"'; echo 'const uint8_t $*_aml[] = {'; \
	    od -An -v -tx1 $(@:.c=) | sed 's/ \(..\)/0x\1,/g'; echo '};'; \
	    echo 'const size_t $*_aml_len = sizeof($*_aml);'; } > $@.new && mv $@.new $@
.PRECIOUS: $(B)/vcpu/kvm/%.aml.c
$(B)/vcpu/kvm/%.aml.o: $(B)/vcpu/kvm/%.aml.c
	$(Q)$(CC) $(ROLE_CFLAGS) -ffunction-sections -fdata-sections -c -o $@ $<

$(B)/parent/%.o: parent/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(PARENT_CFLAGS) -c -o $@ $<
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ROLE_CFLAGS) -ffunction-sections -fdata-sections -c -o $@ $<

$(BIN)/lguest-sep: $(PARENT_OBJ) $(B)/libcommon.a $(B)/libpolicy.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(PARENT_LDFLAGS) -o $@ $(PARENT_OBJ) $(B)/libcommon.a $(B)/libpolicy.a $(PARENT_LIBS)
# The same without shared libraries; parent/static/ has substitutes for what cannot be linked statically. All of
# libnl-route, because its parts register themselves. The linker warns about functions that libc implements with shared
# libraries; the parent does not call them.
STATIC_OBJ := $(filter-out $(B)/parent/setup/nft%,$(PARENT_OBJ)) $(call obj,$(wildcard parent/static/*.c))
$(B)/static/lguest-sep: $(STATIC_OBJ) $(B)/libcommon.a $(B)/libpolicy.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(ROLE_LDFLAGS) -Wl,--no-warnings -o $@ $(STATIC_OBJ) $(B)/libcommon.a $(B)/libpolicy.a \
	  -Wl,--whole-archive -lnl-route-3 -Wl,--no-whole-archive -lnl-3 -lcap-ng
	$(Q)ln -sf $(patsubst $(B)/%,../%,$(filter-out $(PARENT),$(PROGRAMS))) $(@D)/
define role
$$(BIN)/lguest-sep-$(1): $$($(2)) $$(B)/libcommon.a $$(B)/libpolicy.a
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)$$(CC) $$(ROLE_LDFLAGS) -o $$@ $$($(2)) $$(B)/libcommon.a $$(B)/libpolicy.a $(3)
endef
$(eval $(call role,vcpu,VCPU_OBJ,-lz))
$(eval $(call role,netd,NETD_OBJ,))
$(eval $(call role,blkd,BLKD_OBJ,-lz))
$(eval $(call role,fsd,FSD_OBJ,-lz))
$(eval $(call role,controld,CONTROLD_OBJ,))
$(eval $(call role,init,INIT_OBJ,))

# The init of `lguest-sep run` guests: static, without common/, never executed on the host.
RUNINIT_LDFLAGS := $(filter-out -pie -fsanitize=%,$(ROLE_LDFLAGS)) -static-pie
$(RUNINIT_OBJ): ROLE_CFLAGS := $(BASE) $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(HARD)) -fPIE
$(BIN)/lguest-sep-guest: $(RUNINIT_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(RUNINIT_LDFLAGS) -s -o $@ $(RUNINIT_OBJ)

# --- unit tests: tests/unit/DIRECTORY_subject.c is linked with the objects of
#     DIRECTORY (except main.o), common/, the policies and tests/lib.
#     The policy compiler and its test are built for the build host only.
TEST_SRC := $(filter-out $(if $(filter i386,$(ARCH)),tests/unit/policy_%),$(call src,tests/unit))
TESTS    := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(TEST_SRC))
TLIB_OBJ := $(call obj,$(call src,tests/lib))
notmain   = $(filter-out %/main.o $(B)/policy/compile.o,$(1))
parts     = $(call notmain,$(call obj,$(call src,$(firstword $(subst _, ,$(notdir $(1)))))) $(MADE_$(firstword $(subst _, ,$(notdir $(1))))))
# Test programs are linked by lld if there is one, in a third of the time.
TEST_LD := $(if $(shell command -v ld.lld 2>/dev/null),-fuse-ld=lld)
TEST_CFLAGS := $(BASE) $(if $(SAN),$(HARD),-fPIE) $(NL_CFLAGS)
$(B)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(TEST_CFLAGS) -c -o $@ $<
.SECONDEXPANSION:
$(TESTS): $(B)/tests/unit/%: $(B)/tests/unit/%.o $$(filter-out $(B)/common/%,$$(call parts,%)) $(TLIB_OBJ) $(B)/libcommon.a $(B)/libpolicy.a
	$(call say,LD,$@)$(CC) $(MARCH) -pie $(TEST_LD) $(if $(SAN),-fsanitize=$(SAN)) -o $@ $(filter %.o,$^) -Wl,--start-group $(B)/libcommon.a $(B)/libpolicy.a -Wl,--end-group \
	  -lcmocka -lz -lpthread $(if $(findstring unit/parent_,$@),$(PARENT_LIBS)) $(if $(findstring unit/policy_,$@),-lseccomp)
check-unit: $(TESTS)
	$(Q)tools/run-unit $(TESTS)

# Fragments: rules for everything else, in the directory that they are about.
-include $(sort $(wildcard */*.mk tests/make/*.mk))

# The structure of the tree: the source files of a program have no call circles, files
# include only headers of lower layers, and a header declares functions of its own file.
with_common = $(subst $(eval) ,$(comma),$(strip $(1) $(COMMON_OBJ)))
.PHONY: check-structure
check-structure: all
	$(Q)tools/call-circles lguest-sep=$(call with_common,$(PARENT_OBJ)) vcpu=$(call with_common,$(VCPU_OBJ)) \
	  netd=$(call with_common,$(NETD_OBJ)) blkd=$(call with_common,$(BLKD_OBJ)) fsd=$(call with_common,$(FSD_OBJ)) controld=$(call with_common,$(CONTROLD_OBJ)) init=$(call with_common,$(INIT_OBJ)) guest=$(subst $(eval) ,$(comma),$(strip $(RUNINIT_OBJ)))
	$(Q)tools/include-direction
	$(Q)tools/header-owners $(B) $(sort $(wildcard $(addsuffix /*.h,common vcpu vcpu/* netd blkd fsd controld guest parent parent/*)))

## make check-structure                     check call circles, direction of includes, owners of headers
## make install [PREFIX=/usr/local] [DESTDIR=]   install; `make uninstall` with the same settings removes it
MAN_PAGES := $(foreach page,$(wildcard docs/*.[178]),man$(patsubst .%,%,$(suffix $(page)))/$(notdir $(page)))
# The virtualisation server of autopkgtest, a program of its own in Python.
VIRT := autopkgtest-virt-lguest-sep
DOCS := README.md SECURITY.md CHANGELOG.md $(wildcard docs/*.md)
SHARE := $(DESTDIR)$(PREFIX)/share
EXAMPLES := $(SHARE)/doc/lguest-sep/examples
SLURM := array.sh lguest-farm README.md $(patsubst contrib/slurm/%,%,$(wildcard contrib/slurm/lguest_farm/*.py))
# Debian's zsh looks in vendor-completions.
ZSH_COMPLETIONS ?= zsh/site-functions
# systemd looks for files of administrators in /usr/local/lib too.
SYSTEM := $(DESTDIR)$(PREFIX)/lib
# AppArmor looks in /etc only, and names a profile's file after the program.
SYSCONFDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
APPARMOR := $(DESTDIR)$(SYSCONFDIR)/apparmor.d/$(subst /,.,$(patsubst /%,%,$(PREFIX)/bin/lguest-sep))
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/lguest-sep $(SHARE)/man/man7 $(SHARE)/man/man8 $(SHARE)/doc/lguest-sep/img \
	  $(SHARE)/bash-completion/completions $(SHARE)/$(ZSH_COMPLETIONS)
	install -m 755 $(PARENT) $(DESTDIR)$(PREFIX)/bin/lguest-sep
	install -m 755 $(filter-out $(PARENT),$(PROGRAMS)) $(DESTDIR)$(PREFIX)/libexec/lguest-sep/
	install -m 644 docs/*.7 $(SHARE)/man/man7/
	install -m 644 docs/*.8 $(SHARE)/man/man8/
	install -d $(SHARE)/man/man1
	install -m 644 docs/$(VIRT).1 $(SHARE)/man/man1/
	install -m 755 contrib/autopkgtest/$(VIRT) $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(DOCS) $(SHARE)/doc/lguest-sep/
	install -m 644 docs/img/* $(SHARE)/doc/lguest-sep/img/
	install -d $(EXAMPLES)/slurm/lguest_farm
	install -m 755 contrib/slurm/lguest-farm contrib/slurm/array.sh $(EXAMPLES)/slurm/
	install -m 644 contrib/slurm/README.md $(EXAMPLES)/slurm/
	install -m 644 contrib/slurm/lguest_farm/*.py $(EXAMPLES)/slurm/lguest_farm/
	install -m 644 tools/completion/lguest-sep.bash $(SHARE)/bash-completion/completions/lguest-sep
	install -m 644 tools/completion/_lguest-sep $(SHARE)/$(ZSH_COMPLETIONS)/
	install -d $(SYSTEM)/systemd/system $(SYSTEM)/sysusers.d $(SYSTEM)/tmpfiles.d
	sed 's|@BINDIR@|$(PREFIX)/bin|' contrib/systemd/lguest-sep@.service.in > $(SYSTEM)/systemd/system/lguest-sep@.service
	chmod 644 $(SYSTEM)/systemd/system/lguest-sep@.service
	install -m 644 contrib/systemd/lguest-sep.sysusers $(SYSTEM)/sysusers.d/lguest-sep.conf
	install -m 644 contrib/systemd/lguest-sep.tmpfiles $(SYSTEM)/tmpfiles.d/lguest-sep.conf
	install -d $(dir $(APPARMOR))
	sed 's|@BINDIR@|$(PREFIX)/bin|' contrib/apparmor/lguest-sep.in > $(APPARMOR)
	chmod 644 $(APPARMOR)
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/lguest-sep $(DESTDIR)$(PREFIX)/bin/$(VIRT) $(addprefix $(SHARE)/man/,$(MAN_PAGES))
	rm -f $(SHARE)/bash-completion/completions/lguest-sep $(SHARE)/$(ZSH_COMPLETIONS)/_lguest-sep
	rm -f $(addprefix $(SHARE)/doc/lguest-sep/,$(notdir $(DOCS)) $(patsubst docs/%,%,$(wildcard docs/img/*)))
	rm -f $(addprefix $(EXAMPLES)/slurm/,$(SLURM))
	-rmdir $(EXAMPLES)/slurm/lguest_farm $(EXAMPLES)/slurm $(EXAMPLES) 2>/dev/null
	-rmdir $(SHARE)/doc/lguest-sep/img $(SHARE)/doc/lguest-sep 2>/dev/null
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/libexec/lguest-sep/,$(notdir $(filter-out $(PARENT),$(PROGRAMS))))
	-rmdir $(DESTDIR)$(PREFIX)/libexec/lguest-sep 2>/dev/null
	rm -f $(SYSTEM)/systemd/system/lguest-sep@.service $(SYSTEM)/sysusers.d/lguest-sep.conf $(SYSTEM)/tmpfiles.d/lguest-sep.conf $(APPARMOR)
## make dist                                write the committed tree to build/lguest-sep-VERSION.tar.gz, reproducibly
DIST := lguest-sep-$(VERSION)
dist:
	$(Q)git rev-parse -q --verify HEAD > /dev/null || { echo "make dist needs a git work tree" >&2; exit 1; }
	@mkdir -p build
	$(call say,DIST,build/$(DIST).tar.gz)git archive --format=tar --prefix=$(DIST)/ HEAD | gzip -9n > build/$(DIST).tar.gz.new && \
	  mv build/$(DIST).tar.gz.new build/$(DIST).tar.gz
## make clean                               remove everything that was built
clean:
	rm -rf build build-* compile_commands.json
help:
	@sed -n 's/^## //p' Makefile $(sort $(wildcard */*.mk tests/make/*.mk))

## make compile_commands.json               write the file that clangd and similar tools read
# One entry for each file of the product and of the unit tests, with the flags that the rules above use.
READ_C := $(filter-out $(B)/%,$(patsubst $(B)/%.o,%.c,$(COMMON_OBJ) $(PARENT_OBJ) $(INIT_OBJ) $(NETD_OBJ) $(BLKD_OBJ) $(FSD_OBJ) $(CONTROLD_OBJ) \
	  $(filter-out $(MADE_vcpu),$(VCPU_OBJ)) $(RUNINIT_OBJ))) $(TEST_SRC)
compile_commands.json: Makefile
	$(file >$@,[)$(foreach f,$(READ_C),$(file >>$@,$(if $(filter $f,$(firstword $(READ_C))),,$(comma)) { \
	  "directory": "$(CURDIR)"$(comma) "file": "$f"$(comma) "command": "$(subst ",\",$(CC) $(PARENT_CFLAGS) -c $f)" }))$(file >>$@,])

# The objects in build/fuzz have a make of their own.
-include $(shell find $(B) -path $(B)/fuzz -prune -o -name '*.d' -print 2>/dev/null)
