/* HTML: main text, title and language of a page. The one home of libxml2.
 *
 * The parser's events are taken as they come and no tree is built, so memory stays at a few times
 * the page. Text within <main> and <article> is the page's text when there is enough of it; else
 * all of the body is. Scripts, styles, menus, side columns and page footers are left out.
 *
 * The parser repairs soup (unclosed, wrongly nested, unknown elements). It looks through its open
 * elements at every end tag, so a page nested deeper than DEPTH_MAX is parsed on from there as if
 * all had been closed: no text is lost, and the time grows with the page only. */
#include <libxml/HTMLparser.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "engine/base/mem.h"
#include "ingest/charset.h"
#include "ingest/format.h"
#include "ingest/reader.h"

enum {
    DEPTH_MAX = 512, /* browsers stop there, too */
    MAIN_PART = 4,   /* <main> counts when it holds a quarter of the body's text */
    TITLE_BYTES_MAX = 1000,
    LANGUAGE_BYTES_MAX = 35,   /* RFC 5646, 4.4.1 */
    CHARSET_LOOK_BYTES = 4096, /* the standard says 1,024; some pages begin with long comments */
};

/* ---- elements ---- */

enum kind {
    KIND_INLINE,
    KIND_BLOCK,   /* stands on lines of its own */
    KIND_CELL,    /* of a table: a blank between two */
    KIND_SKIPPED, /* with all that is in it */
    KIND_MAIN,
    KIND_HEADING, /* the first one is a title for want of a better */
    KIND_TITLE,
    KIND_PRE,
};

static enum kind kind_of(const char *name) {
    static const struct {
        const char *names; /* between blanks */
        enum kind kind;
    } kinds[] = {
        {" script style noscript template iframe object embed svg canvas math select datalist "
         "button textarea nav aside footer dialog audio video map ",
         KIND_SKIPPED},
        {" p div section header hgroup li ul ol dl dt dd table tr thead tbody tfoot caption h2 h3 "
         "h4 h5 h6 blockquote figure figcaption form fieldset address hr br details summary body "
         "center ",
         KIND_BLOCK},
        {" td th ", KIND_CELL},
        {" main article ", KIND_MAIN},
        {" h1 ", KIND_HEADING},
        {" title ", KIND_TITLE},
        {" pre listing xmp ", KIND_PRE},
    };
    char word[16];
    size_t len = strlen(name);
    if (len + 3 > sizeof word)
        return KIND_INLINE;
    snprintf(word, sizeof word, " %s ", name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strstr(kinds[i].names, word))
            return kinds[i].kind;
    return KIND_INLINE;
}

/* ---- text as it is laid out ---- */

enum gap { GAP_NONE, GAP_BLANK, GAP_LINE };

/* Blanks become one, blocks stand on lines of their own. */
struct flow {
    struct buf text;
    enum gap gap; /* to be written before the next word */
};

static void flow_gap(struct flow *flow, enum gap gap) {
    if (gap > flow->gap)
        flow->gap = gap;
}

static void flow_words(struct flow *flow, const char *text, size_t len, bool keep_blanks) {
    static const char blanks[] = " \t\n\r\f";
    for (size_t at = 0; at < len;) {
        size_t begin = at;
        if (text[at] && strchr(blanks, text[at])) {
            if (keep_blanks && flow->text.len && flow->gap == GAP_NONE)
                buf_append(&flow->text, text + at, 1);
            else
                flow_gap(flow, GAP_BLANK);
            at++;
            continue;
        }
        while (at < len && !(text[at] && strchr(blanks, text[at])))
            at++;
        if (flow->text.len && flow->gap)
            buf_append(&flow->text, flow->gap == GAP_LINE ? "\n" : " ", 1);
        flow->gap = GAP_NONE;
        buf_append(&flow->text, text + begin, at - begin);
    }
}

/* ---- a page ---- */

struct page {
    struct flow body, main, title, heading;
    struct buf language, social_title; /* og:title */
    int depth, skipped, mains, pres;   /* open elements; of those kinds */
    bool in_title, in_heading, heading_done, title_done;
    htmlParserCtxtPtr parser;
    long taken; /* bytes, up to the element that is too deep; -1: there was none */
};

static const char *attribute(const xmlChar **attributes, const char *name) {
    for (; attributes && attributes[0]; attributes += 2)
        if (strcasecmp((const char *)attributes[0], name) == 0)
            return attributes[1] ? (const char *)attributes[1] : "";
    return NULL;
}

static void all_gap(struct page *page, enum gap gap) {
    flow_gap(&page->body, gap);
    flow_gap(&page->main, gap);
    flow_gap(&page->heading, GAP_BLANK);
}

static void set_once(struct buf *out, const char *value, size_t bytes_max) {
    if (out->len == 0 && value && strlen(value) <= bytes_max)
        buf_text(out, value);
}

/* Counted in elements, so that the end of one that is skipped is found by its depth. */
static bool hides(const char *name, enum kind kind, const xmlChar **attributes) {
    return kind == KIND_SKIPPED || (attribute(attributes, "hidden") && strcmp(name, "body") != 0);
}

static void on_start(void *context, const xmlChar *name_bytes, const xmlChar **attributes) {
    struct page *page = context;
    const char *name = (const char *)name_bytes;
    enum kind kind = kind_of(name);
    if (++page->depth > DEPTH_MAX) {
        page->taken = page->taken < 0 ? xmlByteConsumed(page->parser) : page->taken;
        xmlStopParser(page->parser);
        return;
    }
    if (page->skipped || hides(name, kind, attributes)) {
        page->skipped += !page->skipped ? page->depth : 0;
        all_gap(page, GAP_BLANK);
        return;
    }
    if (strcmp(name, "html") == 0) {
        set_once(&page->language, attribute(attributes, "lang"), LANGUAGE_BYTES_MAX);
        set_once(&page->language, attribute(attributes, "xml:lang"), LANGUAGE_BYTES_MAX);
    }
    const char *property = strcmp(name, "meta") == 0 ? attribute(attributes, "property") : NULL;
    if (property && strcmp(property, "og:title") == 0)
        set_once(&page->social_title, attribute(attributes, "content"), TITLE_BYTES_MAX);
    const char *role = attribute(attributes, "role");
    if (kind == KIND_MAIN || (role && strcmp(role, "main") == 0))
        page->mains += !page->mains ? page->depth : 0;
    page->pres += kind == KIND_PRE && !page->pres ? page->depth : 0;
    page->in_title |= kind == KIND_TITLE && !page->title_done;
    page->in_heading |= kind == KIND_HEADING && !page->heading_done;
    if (kind == KIND_CELL)
        all_gap(page, GAP_BLANK);
    else if (kind != KIND_INLINE && kind != KIND_TITLE)
        all_gap(page, GAP_LINE);
}

static void on_end(void *context, const xmlChar *name_bytes) {
    struct page *page = context;
    enum kind kind = kind_of((const char *)name_bytes);
    int depth = page->depth--;
    if (page->skipped) {
        page->skipped = page->skipped == depth ? 0 : page->skipped;
        return;
    }
    page->mains = page->mains == depth ? 0 : page->mains;
    page->pres = page->pres == depth ? 0 : page->pres;
    if (kind == KIND_TITLE && page->in_title) {
        page->in_title = false;
        page->title_done = page->title.text.len > 0;
    }
    if (kind == KIND_HEADING && page->in_heading) {
        page->in_heading = false;
        page->heading_done = page->heading.text.len > 0;
    }
    if (kind == KIND_CELL)
        all_gap(page, GAP_BLANK);
    else if (kind != KIND_INLINE && kind != KIND_TITLE)
        all_gap(page, GAP_LINE);
}

static void on_text(void *context, const xmlChar *bytes, int len) {
    struct page *page = context;
    const char *text = (const char *)bytes;
    if (page->skipped || len <= 0)
        return;
    if (page->in_title) {
        if (page->title.text.len < TITLE_BYTES_MAX)
            flow_words(&page->title, text, (size_t)len, false);
        return;
    }
    flow_words(&page->body, text, (size_t)len, page->pres);
    if (page->mains)
        flow_words(&page->main, text, (size_t)len, page->pres);
    if (page->in_heading && page->heading.text.len < TITLE_BYTES_MAX)
        flow_words(&page->heading, text, (size_t)len, false);
}

static void page_done(struct page *page) {
    buf_done(&page->body.text);
    buf_done(&page->main.text);
    buf_done(&page->title.text);
    buf_done(&page->heading.text);
    buf_done(&page->language);
    buf_done(&page->social_title);
}

/* ---- parsing ---- */

/* What the parser reads from: a mark that says UTF-8, then the page from some place on. */
struct feed {
    const char *mark, *text, *end;
};

static int feed_read(void *context, char *out, int max) {
    struct feed *feed = context;
    size_t n = 0, left = (size_t)(feed->end - feed->text);
    while (*feed->mark && n < (size_t)max)
        out[n++] = *feed->mark++;
    size_t more = left < (size_t)max - n ? left : (size_t)max - n;
    memcpy(out + n, feed->text, more);
    feed->text += more;
    return (int)(n + more);
}

static int feed_close(void *context) {
    (void)context;
    return 0;
}

/* From `text` to the end, or to where it becomes too deep; returns the place to go on from. */
static const char *parse_some(struct page *page, const char *text, const char *end) {
    static const char mark[] = "\xef\xbb\xbf";
    struct feed feed = {mark, text, end};
    htmlParserCtxtPtr parser = htmlNewParserCtxt();
    if (!parser)
        mem_alloc(SIZE_MAX, 2); /* memory is gone: that says so and ends */
    *parser->sax = (htmlSAXHandler){.startElement = on_start,
                                    .endElement = on_end,
                                    .characters = on_text,
                                    .ignorableWhitespace = on_text,
                                    .cdataBlock = on_text};
    parser->userData = page;
    page->parser = parser;
    page->taken = -1;
    page->depth = page->skipped = page->mains = page->pres = 0;
    htmlCtxtReadIO(parser, feed_read, feed_close, &feed, NULL, NULL,
                   HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                       HTML_PARSE_NONET | HTML_PARSE_IGNORE_ENC);
    htmlFreeParserCtxt(parser);
    if (page->taken < (long)strlen(mark))
        return end;
    text += page->taken - (long)strlen(mark);
    const char *close = text < end ? memchr(text, '>', (size_t)(end - text)) : NULL;
    return close ? close + 1 : end;
}

static void parse(struct page *page, const char *text, size_t len) {
    const char *end = text + len;
    while (text < end) {
        const char *next = parse_some(page, text, end);
        all_gap(page, GAP_LINE);
        text = next > text ? next : end;
    }
}

/* ---- its encoding ---- */

/* What the page says behind `word`: <meta charset="x">, content="text/html; charset=x". */
static bool declared_after(const char *text, const char *word, char *out, size_t out_size) {
    static const char blanks_and_quotes[] = " \t\r\n\"'";
    for (const char *at = text; (at = strcasestr(at, word)) != NULL;) {
        at += strlen(word);
        at += strspn(at, " \t\r\n");
        if (*at != '=')
            continue;
        at += 1 + strspn(at + 1, blanks_and_quotes);
        size_t len = strcspn(at, " \t\r\n\"'/>;?");
        if (len == 0 || len >= out_size)
            continue;
        memcpy(out, at, len);
        out[len] = '\0';
        return true;
    }
    return false;
}

/* UTF-8 whatever the page says, when it is that; else what the page says; else --encoding. */
static bool to_utf8(const struct format_input *input, char **text, size_t *len, struct buf *utf8,
                    struct error *err) {
    char head[CHARSET_LOOK_BYTES + 1], name[64];
    struct error unknown;
    if (charset_is_utf8(*text, *len))
        return true;
    size_t n = *len < CHARSET_LOOK_BYTES ? *len : CHARSET_LOOK_BYTES;
    memcpy(head, *text, n);
    head[n] = '\0';
    bool declared =
        declared_after(head, "charset", name, sizeof name) ||
        (strncmp(head, "<?xml", 5) == 0 && declared_after(head, "encoding", name, sizeof name));
    declared = declared && strcasecmp(name, "utf-8") != 0 && charset_known(name, &unknown);
    return charset_to_utf8(declared ? name : input->options->encoding, text, len, utf8, err);
}

/* ---- the document ---- */

static void take_title(const struct page *page, struct arena *arena, struct row *out) {
    const struct buf *titles[] = {&page->title.text, &page->social_title, &page->heading.text};
    for (size_t i = 0; i < 3 && out->title_len == 0; i++) {
        out->title = titles[i]->len ? arena_text(arena, titles[i]->data, titles[i]->len) : "";
        out->title_len = titles[i]->len;
    }
}

static bool take_page(const struct format_input *input, const struct page *page,
                      struct arena *arena, struct row *out, struct error *err) {
    const struct buf *body = &page->body.text, *main = &page->main.text;
    const struct buf *text = main->len * MAIN_PART >= body->len ? main : body;
    struct json *fields = json_new_object();
    if (text->len == 0) {
        json_release(fields);
        error_set(err, ERROR_INVALID, "the page has no text");
        return error_wrap(err, "%s: ", input->path);
    }
    if (page->language.len)
        json_add_string(fields, "lang", page->language.data);
    take_title(page, arena, out);
    format_take_fields(input, fields, arena, out);
    return format_take_text(input, text->data, text->len, arena, out, err);
}

static bool read_page(const struct format_input *input, struct buf *utf8, struct arena *arena,
                      struct row *out, struct error *err) {
    struct page page = {0};
    char *text;
    size_t len;
    if (!source_rest(input->source, &text, &len, err))
        return false;
    /* To the parser a NUL is the end. */
    if (!to_utf8(input, &text, &len, utf8, err) ||
        !format_check_text(input, text, len, "the page", err))
        return error_wrap(err, "%s: ", input->path);
    parse(&page, text, len);
    bool ok = take_page(input, &page, arena, out, err);
    page_done(&page);
    return ok;
}

static enum reader_state next_html(struct format_input *input, struct arena *arena, struct row *out,
                                   struct error *err) {
    struct buf utf8 = {0};
    bool ok = read_page(input, &utf8, arena, out, err);
    buf_done(&utf8);
    return ok ? READER_ROW : READER_BAD;
}

const struct format format_html = {
    .name = "html",
    .endings = {".html", ".htm", ".xhtml"},
    .is_document = true,
    .next = next_html,
};
