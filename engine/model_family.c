#include "engine/model_family.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/buf.h"

static const struct family {
    /* All parts stand in the name, in any order; NULL: no second part. */
    const char *part, *also;
    const char *task; /* NULL: the family has but one */
    struct model_instructions instructions;
} families[] = {
    {"llm-embedder",
     NULL,
     "qa",
     {"Represent this query for retrieving relevant documents: ",
      "Represent this document for retrieval: "}},
    {"llm-embedder",
     NULL,
     "convsearch",
     {"Encode this query and context for searching relevant passages: ",
      "Encode this passage for retrieval: "}},
    {"llm-embedder",
     NULL,
     "chat",
     {"Embed this dialogue to find useful historical dialogues: ",
      "Embed this historical dialogue for retrieval: "}},
    {"llm-embedder",
     NULL,
     "lrlm",
     {"Embed this text chunk for finding useful historical chunks: ",
      "Embed this historical text chunk for retrieval: "}},
    {"llm-embedder",
     NULL,
     "icl",
     {"Convert this example into vector to look for useful examples: ",
      "Convert this example into vector for retrieval: "}},
    {"llm-embedder",
     NULL,
     "tool",
     {"Transform this user request for fetching helpful tool descriptions: ",
      "Transform this tool description for retrieval: "}},
    {"bge-", "-en", NULL, {"Represent this sentence for searching relevant passages: ", ""}},
    /* The full-width colon belongs to it. */
    {"bge-", "-zh", NULL, {"为这个句子生成表示以用于检索相关文章：", ""}},
    {"multilingual-e5-", "-instruct", NULL, {"", ""}}, /* wants one of the user's own */
    {"multilingual-e5-", NULL, NULL, {"query: ", "passage: "}},
    {"e5-", "-v2", NULL, {"query: ", "passage: "}},
};
enum { FAMILIES_N = sizeof families / sizeof *families, NAME_MAX_BYTES = 256 };

/* The part of a model's name or path that tells its family: the last component; in the Hugging
 * Face cache (.../models--ORG--NAME/snapshots/HASH) the one that holds the name. */
static const char *family_name(const char *name, char out[NAME_MAX_BYTES]) {
    const char *end = name + strlen(name), *snapshots = strstr(name, "/snapshots/");
    if (snapshots)
        end = snapshots;
    while (end > name + 1 && end[-1] == '/')
        end--;
    const char *begin = end;
    while (begin > name && begin[-1] != '/')
        begin--;
    snprintf(out, NAME_MAX_BYTES, "%.*s", (int)(end - begin), begin);
    return out;
}

static bool belongs(const struct family *family, const char *name) {
    return strstr(name, family->part) && (!family->also || strstr(name, family->also));
}

static bool refuse_task(const char *path, const char *name, const char *task, struct error *err) {
    struct buf known = {0};
    buf_text(&known, "");
    for (size_t i = 0; i < FAMILIES_N; i++)
        if (families[i].task && belongs(&families[i], name)) {
            buf_text(&known, known.len ? ", " : "; it knows ");
            buf_text(&known, families[i].task);
        }
    error_set(err, ERROR_INVALID, "task \"%s\": %s has no such task%s", task, path, known.data);
    buf_done(&known);
    return false;
}

bool model_family_instructions(const char *path, const char *task, struct model_instructions *out,
                               struct error *err) {
    char name[NAME_MAX_BYTES];
    family_name(path, name);
    for (size_t i = 0; i < FAMILIES_N; i++) {
        const struct family *family = &families[i];
        if (!belongs(family, name))
            continue;
        if (task && (!family->task || strcmp(task, family->task) != 0))
            continue;
        *out = family->instructions;
        return true;
    }
    if (task)
        return refuse_task(path, name, task, err);
    *out = (struct model_instructions){"", ""};
    return true;
}

const char *model_family_analyzer(const char *path) {
    char name[NAME_MAX_BYTES];
    family_name(path, name);
    bool english = strstr(name, "-en") || strstr(name, "all-MiniLM") ||
                   strstr(name, "llm-embedder") || (strstr(name, "e5-") && strstr(name, "-v2"));
    return english ? "words:en" : "model";
}
