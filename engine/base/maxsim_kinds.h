/* maxsim_kinds.h - inside maxsim.c: the kinds for processors, a file each. */
#ifndef TERCET_BASE_MAXSIM_KINDS_H
#define TERCET_BASE_MAXSIM_KINDS_H

#include "engine/base/maxsim.h"

maxsim_function maxsim_best_avx2, maxsim_best_avxvnni, maxsim_best_avx512, maxsim_best_amx;

#endif
