/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output whose reader is slow or has stopped: how long the end of the guest waits for it, and what is dropped. */
#ifndef PARENT_SUPERVISE_DRAIN_H
#define PARENT_SUPERVISE_DRAIN_H

#include "parent/supervise/state.h"

/* The reader of standard output has closed it: end a guest that still runs, unless standard output is a terminal. */
void sup_output_closed(struct supervisor *s);

/* Drop output whose time is over. With @last (all processes have ended) also log messages for standard error. */
void sup_output_due(struct supervisor *s, bool last);
/* Returns when output will be dropped (ms), or 0 if there is no limit at present. */
uint64_t sup_output_deadline(const struct supervisor *s, bool last);

/* Returns how long a reader of our output may read nothing (ms), or 0 if there is no limit at present. */
unsigned sup_patience_ms(const struct supervisor *s);

/* Print one line with the number of lost bytes, unless the reader itself closed the output. */
void sup_report_lost(struct supervisor *s);

#endif
