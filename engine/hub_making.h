/* hub_making.h - a model's folder while it is made: OUT.part, which becomes OUT by one rename when
 * everything in it is on disk. */
#ifndef TERCET_HUB_MAKING_H
#define TERCET_HUB_MAKING_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

struct model_files;

struct hub_making {
    struct arena arena;
    const char *folder; /* OUT */
    const char *part;   /* OUT.part, where files go */
};

/* ERROR_INVALID when OUT exists. Behind it one of the two below has to be called. */
bool hub_making_begin(struct hub_making *making, const char *folder, struct error *err);

/* "OUT.part/NAME", in the arena; the folder before a slash in NAME is made. */
bool hub_making_path(struct hub_making *making, const char *name, const char **path_out,
                     struct error *err);
/* A small file, whole. */
bool hub_making_put(struct hub_making *making, const char *name, const void *data, size_t len,
                    struct error *err);

/* Copies what makes a model besides its weights: config, tokenizer, and what lies beside them. */
bool hub_making_settings(struct hub_making *making, struct model_files *files, struct error *err);

/* What a model's name says and its files do not (model_family.h), since OUT may have any name:
 * nothing where they have prompts of their own, or both are "". */
bool hub_making_instructions(struct hub_making *making, struct model_files *files,
                             const char *query, const char *passage, struct error *err);

/* Words of tercet.json (config.h) beside those that the files have there; word NULL: taken out. */
struct hub_making_word {
    const char *name, *word;
};
bool hub_making_say(struct hub_making *making, struct model_files *files,
                    const struct hub_making_word *words, size_t n, struct error *err);

/* Makes OUT of OUT.part. On failure hub_making_give_up is still to be called. */
bool hub_making_publish(struct hub_making *making, struct error *err);
/* Removes OUT.part and what is in it. */
void hub_making_give_up(struct hub_making *making);

#endif
