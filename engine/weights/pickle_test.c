/* Pickles that must be refused, in an archive that is fine. Good ones: torch_zip_test.c. */
#include "engine/weights/fixture.h"

#define BYTES(text) text, sizeof text - 1
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define STORAGE                                                                                    \
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"                                             \
    "0NK\2tQ"

static void refuses_broken_pickles(void) {
    static const struct {
        const char *bytes;
        size_t len;
        enum error_code code;
        const char *says;
    } cases[] = {
        /* what no state_dict has */
        {BYTES("cos\nsystem\nX\2\0\0\0ls\x85R."), ERROR_UNSUPPORTED, "names os.system at byte 0"},
        {BYTES("\x8c\2os\x8c\6system\x93."), ERROR_UNSUPPORTED, "names os.system"},
        {BYTES("ctorch\nFloatStorageX\n)R."), ERROR_UNSUPPORTED, "names torch.FloatStorageX"},
        {BYTES("ctorchx\nFloatStorage\n)R."), ERROR_UNSUPPORTED, "names torchx.FloatStorage"},
        {BYTES("ctorch\nFloatStorage\n)R."), ERROR_UNSUPPORTED, "calls torch.FloatStorage"},
        {BYTES("ccollections\nOrderedDict\nK\1\x85R."), ERROR_CORRUPT, "OrderedDict with arg"},
        {BYTES("ios\nsystem\n."), ERROR_UNSUPPORTED, "opcode 0x69 at byte 0"},
        {BYTES("cos"), ERROR_CORRUPT, "a name without an end"},
        {BYTES("cos\nsystem"), ERROR_CORRUPT, "a name without an end"},
        {BYTES("K\1K\2\x93."), ERROR_CORRUPT, "STACK_GLOBAL without two texts"},
        {BYTES("\x93."), ERROR_CORRUPT, "STACK_GLOBAL without two texts"},
        /* the stack */
        {BYTES("."), ERROR_CORRUPT, "nothing on the stack"},
        {BYTES("(."), ERROR_CORRUPT, "nothing on the stack"},
        {BYTES(""), ERROR_CORRUPT, "no STOP"},
        {BYTES("}"), ERROR_CORRUPT, "no STOP"},
        {BYTES("K\1\x86."), ERROR_CORRUPT, "broken pickle at byte 2: too few values"},
        {BYTES("K\1(\x86."), ERROR_CORRUPT, "too few values"},
        {BYTES("K\1t."), ERROR_CORRUPT, "no MARK"},
        {BYTES("}K\1K\2u."), ERROR_CORRUPT, "no MARK"},
        {BYTES("}K\1s."), ERROR_CORRUPT, "no dict, or a key without its value"},
        {BYTES("}(K\1u."), ERROR_CORRUPT, "no dict, or a key without its value"},
        {BYTES("(K\1K\2u."), ERROR_CORRUPT, "no dict, or a key without its value"},
        {BYTES("NK\1K\2s."), ERROR_CORRUPT, "items for what is no dict"},
        {BYTES("}(K\2s."), ERROR_CORRUPT, "a mark among the items"},
        {BYTES("K\1K\2R."), ERROR_CORRUPT, "REDUCE needs a name and a tuple"},
        {BYTES("K\1)R."), ERROR_CORRUPT, "REDUCE needs a name and a tuple"},
        {BYTES("R."), ERROR_CORRUPT, "REDUCE needs a name and a tuple"},
        {BYTES("K\1Q."), ERROR_CORRUPT, "a persistent id that is no tuple"},
        {BYTES("Q."), ERROR_CORRUPT, "a persistent id that is no tuple"},
        {BYTES("}b."), ERROR_CORRUPT, "BUILD of what is no dict"},
        {BYTES("}K\1b."), ERROR_CORRUPT, "BUILD of what is no dict"},
        {BYTES("N}b."), ERROR_CORRUPT, "BUILD of what is no dict"},
        /* the memo */
        {BYTES("q\0."), ERROR_CORRUPT, "nothing to remember"},
        {BYTES("(q\0."), ERROR_CORRUPT, "nothing to remember"},
        {BYTES("(\x94."), ERROR_CORRUPT, "nothing to remember"},
        {BYTES("}r\xff\xff\xff\xff."), ERROR_CORRUPT, "its number is too large"},
        {BYTES("h\0."), ERROR_CORRUPT, "no such memo entry"},
        {BYTES("}q\1h\0."), ERROR_CORRUPT, "no such memo entry"},
        {BYTES("j\xff\xff\xff\xff."), ERROR_CORRUPT, "no such memo entry"},
        /* lengths */
        {BYTES("\x80"), ERROR_CORRUPT, "1 bytes wanted, 0 left"},
        {BYTES("\x95\1\2\3"), ERROR_CORRUPT, "8 bytes wanted, 3 left"},
        {BYTES("M\1"), ERROR_CORRUPT, "2 bytes wanted, 1 left"},
        {BYTES("J\1\1\1"), ERROR_CORRUPT, "4 bytes wanted, 3 left"},
        {BYTES("q"), ERROR_CORRUPT, "1 bytes wanted, 0 left"},
        {BYTES("j\1\1"), ERROR_CORRUPT, "4 bytes wanted, 2 left"},
        {BYTES("X\xff\xff\xff\xffx."), ERROR_CORRUPT, "4294967295 bytes wanted, 2 left"},
        {BYTES("\x8c\4abc"), ERROR_CORRUPT, "4 bytes wanted, 3 left"},
        {BYTES("X\1\0\0"), ERROR_CORRUPT, "4 bytes wanted, 3 left"},
        {BYTES("\x8a"), ERROR_CORRUPT, "1 bytes wanted, 0 left"},
        {BYTES("\x8a\4\1\1\1"), ERROR_CORRUPT, "4 bytes wanted, 3 left"},
        {BYTES("\x8a\t\0\0\0\0\0\0\0\0\1."), ERROR_CORRUPT, "a number of more than 64 bits"},
        /* what is no state_dict of tensors */
        {BYTES("K\7."), ERROR_CORRUPT, "the top object is no state_dict"},
        {BYTES("}K\1K\2s."), ERROR_CORRUPT, "a tensor's name is no text"},
        {BYTES("}X\3\0\0\0a\0bK\2s."), ERROR_CORRUPT, "a tensor's name is no text"},
        {BYTES("}X\1\0\0\0aK\2s."), ERROR_CORRUPT, "\"a\" is not a tensor"},
        {BYTES("}X\1\0\0\0a" REBUILD ")Rs."), ERROR_CORRUPT, "\"a\" is not a tensor"},
        {BYTES("}X\1\0\0\0a" REBUILD "(NNNNNNtRs."), ERROR_CORRUPT, "its storage is no storage"},
        {BYTES("}X\1\0\0\0a" REBUILD "()QNNNNNtRs."), ERROR_CORRUPT, "its storage is no storage"},
        {BYTES("}X\1\0\0\0a" REBUILD "((NNNNNtQNNNNNtRs."), ERROR_CORRUPT, "is no storage"},
        {BYTES("}X\1\0\0\0a" REBUILD "((X\7\0\0\0storageNNNNtQNNNNNtRs."), ERROR_CORRUPT,
         "its storage is no storage"},
        {BYTES("}X\1\0\0\0a" REBUILD "((X\7\0\0\0storage" REBUILD "X\1\0\0\0"
               "0NNtQNNNNNtRs."),
         ERROR_CORRUPT, "its storage is no storage"},
        {BYTES("}X\1\0\0\0a" REBUILD "(" STORAGE "NNNNNtRs."), ERROR_CORRUPT, "natural number"},
        {BYTES("}X\1\0\0\0a" REBUILD "(" STORAGE "\x8a\1\xff))NNtRs."), ERROR_CORRUPT, "natural"},
        {BYTES("}X\1\0\0\0a" REBUILD "(" STORAGE "K\0NNNNtRs."), ERROR_CORRUPT, "natural number"},
        {BYTES("}X\1\0\0\0a" REBUILD "(" STORAGE "K\0)NNNtRs."), ERROR_CORRUPT, "natural number"},
        {BYTES("}X\1\0\0\0a" REBUILD "(" STORAGE "K\0)K\1\x85NNtRs."), ERROR_CORRUPT, "natural"},
        {BYTES("}X\1\0\0\0a" REBUILD "(" STORAGE "K\0N\x85K\1\x85NNtRs."), ERROR_CORRUPT,
         "natural"},
        {BYTES("}X\1\0\0\0a" REBUILD "(" STORAGE "K\0K\1\x85N\x85NNtRs."), ERROR_CORRUPT,
         "natural"},
        {BYTES("}(X\1\0\0\0a" REBUILD "(" STORAGE "K\0))NNtRq\1X\1\0\0\0ah\1u."), ERROR_CORRUPT,
         "tensor \"a\" stands twice"},
    };
    const float storage[] = {1, 2};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture_zip zip = {0};
        fixture_zip_add(&zip, "x/data/0", storage, sizeof storage);
        fixture_zip_add(&zip, "x/data.pkl", cases[i].bytes, cases[i].len);
        struct buf file = fixture_zip_end(&zip);
        fixture_refused(&file, cases[i].code, cases[i].says);
        buf_done(&file);
    }
}

/* Depth and length have limits of their own. */
static void pickles_have_limits(void) {
    enum { PICKLE_BYTES_MAX = 4 << 20, DEPTH_MAX = 32 };
    struct buf deep = {0}, file;
    char *large = calloc(PICKLE_BYTES_MAX + 1, 1);
    buf_text(&deep, "N");
    for (int i = 0; i < DEPTH_MAX; i++)
        buf_text(&deep, "\x85");
    buf_text(&deep, ".");
    file = fixture_archive(&deep, "", 0);
    fixture_refused(&file, ERROR_LIMIT, "nested more than 32 deep");
    buf_done(&file);
    const struct buf long_one = {large, PICKLE_BYTES_MAX + 1, 0};
    file = fixture_archive(&long_one, "", 0);
    fixture_refused(&file, ERROR_LIMIT, "a pickle of 4194305 bytes");
    buf_done(&file);
    buf_done(&deep);
    free(large);
}

int main(void) {
    refuses_broken_pickles();
    pickles_have_limits();
    return check_result();
}
