/* commands.h - the program's sub-commands, one file each. */
#ifndef TERCET_COMMANDS_H
#define TERCET_COMMANDS_H

#include "tools/options.h"

extern const struct command command_bench, command_check, command_compact, command_delete,
    command_demo, command_encode, command_eval, command_export, command_info, command_ingest,
    command_mine, command_model, command_rerank, command_restore, command_score, command_search,
    command_serve, command_snapshot, command_tokenize, command_tune;

#endif
