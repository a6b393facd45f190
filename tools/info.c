/* tercet info - what an index holds and with what it was made. */
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/json.h"
#include "index/index.h"
#include "query/plan.h"
#include "tools/commands.h"

static const char *lexical_name(enum index_lexical lexical) {
    return lexical == INDEX_LEXICAL_BM25      ? "bm25"
           : lexical == INDEX_LEXICAL_LEARNED ? "learned"
                                              : "none";
}

static void print_json(const char *folder, const struct index_settings *settings,
                       const struct index_counts *counts) {
    struct json *json = json_new_object();
    struct buf out = {0};
    json_add_string(json, "index", folder);
    json_add_string(json, "model", settings->model);
    json_add_string(json, "fingerprint", settings->fingerprint);
    json_add_string(json, "analyzer", settings->analyzer);
    json_add_string(json, "instruction", settings->instruction);
    json_add_string(json, "passage_instruction", settings->passage_instruction);
    json_add_string(json, "lexical", lexical_name(settings->lexical));
    json_add_string(json, "fusion", fuse_method_name(plan_fusion(settings)));
    json_add_number(json, "dense_dim", settings->dense_dim);
    json_add_string(json, "dense_index", index_dense_name(settings->dense_kind));
    json_add_number(json, "multi_dim", settings->multi_dim);
    json_add_number(json, "pool_tokens", settings->pool_tokens > 1 ? settings->pool_tokens : 1);
    json_add_number(json, "max_length", settings->length_max);
    json_add_number(json, "chunk_tokens", settings->chunk_tokens);
    json_add_number(json, "chunk_overlap", settings->chunk_overlap);
    json_add_number(json, "documents", (double)counts->documents_n);
    json_add_number(json, "passages", (double)counts->passages_n);
    json_add_number(json, "dead", (double)counts->dead_n);
    json_add_number(json, "segments", (double)counts->segments_n);
    json_add_number(json, "terms", (double)counts->terms_n);
    json_add_number(json, "bytes", (double)counts->bytes_on_disk);
    json_add_number(json, "dense_generation", (double)counts->dense_generation);
    json_add_number(json, "dense_covered", (double)counts->dense_covered_n);
    json_print(json, &out);
    puts(out.data);
    json_release(json);
    buf_done(&out);
}

static void print_text(const char *folder, const struct index_settings *settings,
                       const struct index_counts *counts) {
    enum { FINGERPRINT_SHOWN = 12 };
    const double mebibyte = 1024.0 * 1024.0;
    printf("index        %s\n", folder);
    printf("documents    %" PRIu64 " (and %" PRIu64 " dead, not reclaimed yet)\n",
           counts->documents_n, counts->dead_n);
    if (settings->chunk_tokens)
        printf("passages     %" PRIu64 ", of at most %u tokens that share up to %u\n",
               counts->passages_n, settings->chunk_tokens, settings->chunk_overlap);
    printf("on disk      %.1f MiB in %" PRIu64 " segments, %" PRIu64 " bytes a document\n",
           (double)counts->bytes_on_disk / mebibyte, counts->segments_n,
           counts->documents_n ? counts->bytes_on_disk / counts->documents_n : 0);
    if (index_has_model(settings))
        printf("model        %s (%.*s), at most %u tokens\n", settings->model, FINGERPRINT_SHOWN,
               settings->fingerprint, settings->length_max);
    else
        printf("model        none: vectors come ready-made\n");
    if (settings->instruction[0])
        printf("query        \"%s...\" is put in front\n", settings->instruction);
    if (settings->passage_instruction[0])
        printf("documents    \"%s...\" is put in front\n", settings->passage_instruction);
    printf("dense        %u dimensions, %s", settings->dense_dim,
           index_dense_name(settings->dense_kind));
    if (counts->dense_generation)
        printf(", generation %" PRIu64 " covers documents below %" PRIu64, counts->dense_generation,
               counts->dense_covered_n);
    else
        printf(", searched exactly");
    printf("\nsparse       %s over %s, %" PRIu64 " terms\n", lexical_name(settings->lexical),
           settings->analyzer, counts->terms_n);
    printf("multi        %u dimensions", settings->multi_dim);
    if (settings->pool_tokens > 1)
        printf(", a vector for %u tokens", settings->pool_tokens);
    printf("\nfusion       %s%s\n", fuse_method_name(plan_fusion(settings)),
           settings->fusion[0] ? ", as the model asks for" : "");
}

static int run(int argc, char **argv) {
    bool json = false;
    const struct option table[] = {
        {"json", OPTION_FLAG, &json, NULL, "one JSON object", 0, 0, 0},
        {0},
    };
    size_t words_n;
    int status = options_parse(&command_info, table, argc, argv, &words_n);
    if (status >= 0)
        return status;
    if (words_n != 1)
        return options_wrong(&command_info, "one index is needed, found %zu words", words_n);
    struct error err;
    struct index *index = NULL;
    struct index_counts counts;
    if (index_open(argv[0], INDEX_READ, &index, &err) && index_count(index, &counts, &err))
        (json ? print_json : print_text)(argv[0], index_settings_of(index), &counts);
    else
        status = command_failed(&err);
    index_close(index);
    return status < 0 ? EXIT_DONE : status;
}

const struct command command_info = {"info", "INDEX", "what an index holds", run};
