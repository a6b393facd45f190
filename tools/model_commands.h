/* model_commands.h - what stands behind `tercet model`, one file each. */
#ifndef TERCET_MODEL_COMMANDS_H
#define TERCET_MODEL_COMMANDS_H

#include "engine/base/json.h"
#include "tools/options.h"

extern const struct command command_model_heads, command_model_info, command_model_list,
    command_model_pull, command_model_merge, command_model_random, command_model_verify;

/* One JSON object as a line on stdout, flushed; releases it. */
void model_print_json(struct json *json);

#endif
