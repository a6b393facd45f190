#include "tools/lines.h"

#include <stdio.h>
#include <stdlib.h>

#include <sys/types.h>

bool input_next(struct input_line *line, struct error *err) {
    size_t cap = 0;
    size_t number = line->number + 1;
    input_done(line);
    line->number = number;
    ssize_t n = getline(&line->text, &cap, stdin);
    if (n < 0)
        return false;
    while (n > 0 && (line->text[n - 1] == '\n' || line->text[n - 1] == '\r'))
        n--;
    line->text[n] = '\0';
    line->len = (size_t)n;
    err->code = ERROR_NONE;
    if (n > 0 && line->text[0] == '{') {
        line->json = json_parse(line->text, line->len, err);
        if (!line->json)
            error_wrap(err, "standard input:%zu: ", number);
    }
    return true;
}

void input_done(struct input_line *line) {
    free(line->text);
    json_release(line->json);
    line->text = NULL;
    line->json = NULL;
}
