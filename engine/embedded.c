#include "engine/embedded.h"

#include <string.h>

/* The assembler puts each file's bytes into the read-only data of the program: nothing is copied
 * at start, and pages that are never read are never loaded. TERCET_EMBEDDED_FOLDER comes from
 * meson.build. Trap: the build does not know of the files read here; after changing one, touch this
 * source. %progbits rather than @progbits: '@' begins a comment on some processors. */
#define EMBED(symbol, file)                                                                        \
    __asm__(".section .rodata.tercet_embedded, \"a\", %progbits\n"                                 \
            ".balign 64\n"                                                                         \
            ".hidden tercet_embedded_" #symbol "\n"                                                \
            ".global tercet_embedded_" #symbol "\n"                                                \
            "tercet_embedded_" #symbol ":\n"                                                       \
            ".incbin \"" TERCET_EMBEDDED_FOLDER "/" file "\"\n"                                    \
            ".hidden tercet_embedded_" #symbol "_end\n"                                            \
            ".global tercet_embedded_" #symbol "_end\n"                                            \
            "tercet_embedded_" #symbol "_end:\n"                                                   \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const uint8_t tercet_embedded_##symbol[], tercet_embedded_##symbol##_end[]

EMBED(config, "config.json");
EMBED(tokenizer, "tokenizer.json");
EMBED(weights, "model.safetensors");
EMBED(pooling, "1_Pooling/config.json");
EMBED(modules, "modules.json");

const struct embedded_file *embedded_find(const char *name) {
    static const struct embedded_file files[] = {
        {"config.json", tercet_embedded_config, tercet_embedded_config_end},
        {"tokenizer.json", tercet_embedded_tokenizer, tercet_embedded_tokenizer_end},
        {"model.safetensors", tercet_embedded_weights, tercet_embedded_weights_end},
        {"1_Pooling/config.json", tercet_embedded_pooling, tercet_embedded_pooling_end},
        {"modules.json", tercet_embedded_modules, tercet_embedded_modules_end},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strcmp(files[i].name, name) == 0)
            return &files[i];
    return NULL;
}
