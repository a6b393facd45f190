/* eval_commands.h - what stands behind `tercet eval` besides the benchmarks. */
#ifndef TERCET_EVAL_COMMANDS_H
#define TERCET_EVAL_COMMANDS_H

#include "tools/options.h"

extern const struct command eval_command_run, eval_command_compare, eval_command_fuse,
    eval_command_sts, eval_command_pairs, eval_command_rerank, eval_command_cluster,
    eval_command_classify;

#endif
