#include <stdint.h>
#include <stdio.h>

#include "engine/hub_random_parts.h"

#define MARK "\xe2\x96\x81" /* U+2581, which stands for a blank */

/* XLM-R's order: <s> <pad> </s> <unk>, the pieces, <mask>. */
enum { FIRST_PIECE = 4 };

static const char letters[] = "etaoinshrdlucmfwygpbvkjxqz";
enum { LETTERS_N = 26 };

/* Scores are log probabilities: of several ways to cut a text the highest sum wins. With these,
 * fewer pieces always win; a longer one is the rarer. */
static const double mark_score = -4, character_score = -14, word_score = -9, score_step = 1e-5;

/* The characters that pieces of their own are made of: scripts that benchmarks' texts are in. */
static const struct {
    uint32_t first, last;
} scripts[] = {{0x21, 0x7e},     {0xa1, 0x24f},   {0x370, 0x52f}, {0x5d0, 0x5ea},
               {0x620, 0x64a},   {0x900, 0x97f},  {0xe01, 0xe3a}, {0x3041, 0x30ff},
               {0x4e00, 0x9fff}, {0xac00, 0xd7a3}};

struct pieces {
    struct buf *out;
    uint32_t n, end; /* the next one's id, and the first that is none */
};

static void add(struct pieces *pieces, const char *mark, const char *text, double score) {
    if (pieces->n == pieces->end)
        return;
    score -= score_step * pieces->n;
    buf_format(pieces->out, "[\"%s%s\",%.5f],\n", mark, text, score);
    pieces->n++;
}

static void add_characters(struct pieces *pieces) {
    char text[8];
    add(pieces, MARK, "", mark_score);
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        for (uint32_t c = scripts[i].first; c <= scripts[i].last; c++) {
            /* JSON's escape serves for every character below U+10000. */
            snprintf(text, sizeof text, "\\u%04x", c);
            add(pieces, "", text, character_score);
        }
}

/* The words of `len` letters, each with the mark in front and without. They come in an order that
 * jumps about, so that the vocabulary's end does not cut off one part of the alphabet. */
static void add_words(struct pieces *pieces, unsigned len) {
    enum { JUMP = 123457 }; /* shares no factor with a power of 26: every word comes once */
    uint64_t words_n = 1;
    for (unsigned i = 0; i < len; i++)
        words_n *= LETTERS_N;
    for (uint64_t i = 0; i < words_n && pieces->n < pieces->end; i++) {
        char text[16] = "";
        uint64_t word = i * JUMP % words_n;
        for (unsigned j = 0; j < len; j++, word /= LETTERS_N)
            text[j] = letters[word % LETTERS_N];
        add(pieces, MARK, text, word_score - len);
        if (len > 1)
            add(pieces, "", text, word_score - len);
    }
}

/* JSON written with ' for ", which none of our texts has inside. */
static void put(struct buf *out, const char *json) {
    size_t from = out->len;
    buf_text(out, json);
    for (size_t i = from; i < out->len; i++)
        if (out->data[i] == '\'')
            out->data[i] = '"';
}

static void add_special(struct buf *out, uint32_t id, const char *text, bool strips,
                        const char *end) {
    char json[256];
    snprintf(json, sizeof json,
             "{'id':%u,'content':'%s','single_word':false,'lstrip':%s,'rstrip':false,"
             "'normalized':false,'special':true}%s\n",
             id, text, strips ? "true" : "false", end);
    put(out, json);
}

#define BEGIN "{'SpecialToken':{'id':'<s>','type_id':0}}"
#define END "{'SpecialToken':{'id':'</s>','type_id':0}}"
#define TEXT_A "{'Sequence':{'id':'A','type_id':0}}"
#define TEXT_B "{'Sequence':{'id':'B','type_id':0}}"

/* What stands between the special tokens and the pieces: <s> A </s> and <s> A </s></s> B </s>. */
static const char sections[] = "],\n'normalizer':null,\n"
                               "'pre_tokenizer':{'type':'Metaspace','replacement':'" MARK
                               "','add_prefix_space':true,'prepend_scheme':'always'},\n"
                               "'post_processor':{'type':'TemplateProcessing',\n"
                               "'single':[" BEGIN "," TEXT_A "," END "],\n"
                               "'pair':[" BEGIN "," TEXT_A "," END "," END "," TEXT_B "," END "],\n"
                               "'special_tokens':{'<s>':{'id':'<s>','ids':[0],'tokens':['<s>']},"
                               "'</s>':{'id':'</s>','ids':[2],'tokens':['</s>']}}},\n"
                               "'decoder':null,\n'model':{'type':'Unigram','unk_id':3,'vocab':[\n";

void random_tokenizer_write(uint32_t vocabulary_n, struct buf *out) {
    static const char *const specials[] = {"<s>", "<pad>", "</s>", "<unk>"};
    struct pieces pieces = {out, FIRST_PIECE, vocabulary_n - 1};
    put(out, "{'version':'1.0','truncation':null,'padding':null,'added_tokens':[\n");
    for (uint32_t i = 0; i < FIRST_PIECE; i++)
        add_special(out, i, specials[i], false, ",");
    add_special(out, vocabulary_n - 1, "<mask>", true, "");
    put(out, sections);
    for (uint32_t i = 0; i < FIRST_PIECE; i++)
        buf_format(out, "[\"%s\",0.0],\n", specials[i]);
    add_characters(&pieces);
    for (unsigned len = 1; pieces.n < pieces.end; len++)
        add_words(&pieces, len);
    buf_text(out, "[\"<mask>\",0.0]]}}\n");
}
