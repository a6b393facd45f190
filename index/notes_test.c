/* Notes go with the commit that they were made for, and with every copy of the index. */
#include "index/care/compact.h"
#include "index/fixture.h"

static bool note_is(struct index *index, const char *name, const char *expected) {
    struct snapshot *snapshot;
    struct buf out = {0};
    struct error err;
    CHECK_OK(snapshot_open(index, &snapshot, &err), err);
    CHECK_OK(snapshot_note(snapshot, name, &out, &err), err);
    bool same =
        out.len == strlen(expected) && (out.len == 0 || memcmp(out.data, expected, out.len) == 0);
    snapshot_close(snapshot);
    buf_done(&out);
    return same;
}

static struct index *reopen(struct index *index, const char *folder) {
    struct error err;
    index_close(index);
    CHECK_OK(index_open(folder, INDEX_WRITE, &index, &err), err);
    return index;
}

int main(void) {
    const struct index_settings settings = {.model = "made up"};
    char parent[] = "/tmp/tercet-notes-XXXXXX", folder[64], command[80];
    struct index *index;
    struct writer *writer;
    struct compact_totals totals;
    struct buf out = {0};
    struct error err;
    static char large[NOTE_BYTES_MAX + 1], name[NOTE_NAME_BYTES_MAX + 2];
    struct record record = {.key = "a", .key_len = 1, .text = "text", .text_len = 4};
    uint32_t docid = 9;
    CHECK(mkdtemp(parent));
    snprintf(folder, sizeof folder, "%s/index", parent);
    CHECK_OK(index_create(folder, &settings, &index, &err), err);
    CHECK_OK(writer_open(index, &writer, &err), err);
    CHECK_OK(writer_put(writer, &record, &err), err);
    CHECK(writer_docid(writer, "a", 1, &docid));
    CHECK_EQUAL(docid, 0);
    CHECK(!writer_docid(writer, "b", 1, &docid));
    CHECK_OK(writer_note(writer, "where", "here", 4, &err), err);
    CHECK_OK(writer_note_read(writer, "where", &out, &err), err);
    CHECK(out.len == 4 && memcmp(out.data, "here", 4) == 0);
    CHECK(note_is(index, "where", "")); /* not committed */
    index_let_go(index);                /* nothing is lost by that */
    CHECK_OK(writer_commit(writer, &err), err);
    CHECK(note_is(index, "where", "here"));

    /* Refused ones change nothing; what was not committed is as if it never was. */
    memset(name, 'n', sizeof name - 1);
    CHECK(!writer_note(writer, name, "x", 1, &err));
    CHECK(!writer_note(writer, "", "x", 1, &err));
    CHECK(!writer_note(writer, "where", large, sizeof large, &err));
    CHECK_OK(writer_note(writer, "where", "elsewhere", 9, &err), err);
    writer_close(writer);
    index = reopen(index, folder);
    CHECK(note_is(index, "where", "here"));

    /* A name that table meta has already is another one behind the prefix. */
    CHECK_OK(writer_open(index, &writer, &err), err);
    CHECK_OK(writer_note(writer, "state", "mine", 4, &err), err);
    CHECK_OK(writer_note(writer, "large", large, NOTE_BYTES_MAX, &err), err);
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
    index_close(index);
    CHECK_OK(index_compact(folder, &totals, &err), err);
    CHECK_EQUAL(totals.documents_n, 1);
    CHECK_OK(index_open(folder, INDEX_WRITE, &index, &err), err);
    CHECK(note_is(index, "state", "mine") && note_is(index, "where", "here"));

    CHECK_OK(writer_open(index, &writer, &err), err);
    CHECK_OK(writer_note(writer, "where", NULL, 0, &err), err);
    CHECK_OK(writer_note(writer, "never", NULL, 0, &err), err);
    CHECK_OK(writer_commit(writer, &err), err);
    writer_close(writer);
    index = reopen(index, folder);
    CHECK(note_is(index, "where", "") && note_is(index, "state", "mine"));
    index_close(index);
    buf_done(&out);
    snprintf(command, sizeof command, "rm -r '%s'", parent);
    CHECK_EQUAL(system(command), 0);
    return check_result();
}
