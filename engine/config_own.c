/* tercet.json: what a model's other files have no place for. `tercet model merge` writes it: a
 * folder's name tells its family's analyzer (model_family.h), and the result may have any name; and
 * `tercet model fit-heads`, whose heads have scores of other scales than BGE-M3's. */
#include <stdio.h>
#include <string.h>

#include "engine/config_parts.h"
#include "engine/model_family.h"

static bool read_word(const struct json *root, const char *name, char out[CONFIG_WORD_MAX],
                      struct error *err) {
    const char *word = "";
    if (!json_read_string(root, name, &word, err))
        return false;
    if (strlen(word) >= CONFIG_WORD_MAX)
        return error_set(err, ERROR_LIMIT, "\"%s\": \"%.40s...\" is longer than %d bytes", name,
                         word, CONFIG_WORD_MAX - 1);
    memcpy(out, word, strlen(word) + 1);
    return true;
}

bool config_read_own(struct model_files *files, struct model_config *config, struct error *err) {
    struct model_file file;
    struct json *root = NULL;
    if (model_files_has(files, CONFIG_OWN_FILE)) {
        if (!config_parse(files, CONFIG_OWN_FILE, JSON_KIND_OBJECT, &file, &root, err))
            return false;
        bool ok = read_word(root, "analyzer", config->analyzer, err) &&
                  read_word(root, "fusion", config->fusion, err);
        json_release(root);
        if (!ok)
            return error_wrap(err, "%s: ", file.path);
    }
    if (!config->analyzer[0])
        snprintf(config->analyzer, sizeof config->analyzer, "%s",
                 model_family_analyzer(model_files_name(files)));
    return true;
}
