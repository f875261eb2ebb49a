/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of lguest-sep, as the option driver reads them. */
#ifndef PARENT_OPTIONS_TABLE_H
#define PARENT_OPTIONS_TABLE_H

#include "common/options.h"

/* One row for each option, then one without a name. @to of the parsers is the struct config. */
extern const struct opt_row option_table[];

#endif
