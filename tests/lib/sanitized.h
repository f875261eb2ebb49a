/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SANITIZED: not 0 if this is compiled with AddressSanitizer, which makes system calls of its own. */
#ifndef TESTS_LIB_SANITIZED_H
#define TESTS_LIB_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

#endif
