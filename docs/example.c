/* Ranks three passages for a query with the model inside the library.
 * cc example.c $(pkg-config --cflags --libs tercet) && ./a.out [MODEL] */
#include <stdio.h>
#include <string.h>
#include <tercet/engine.h>

int main(int argc, char **argv) {
    static const char *const passages[] = {"Bamboo is nearly all that a giant panda eats.",
                                           "Bears sleep through much of the winter.",
                                           "The stock market closed higher on Friday."};
    const char *query = "what do pandas eat?";
    struct tercet_options options = {.model = argc > 1 ? argv[1] : NULL};
    struct tercet *tercet;
    struct tercet_error err;
    struct tercet_text texts[3], question = {query, strlen(query)};
    struct tercet_encoding found[3], asked;
    float vector[4096], score;

    if (!tercet_open(&options, &tercet, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    unsigned dim = tercet_info(tercet)->dense_dim;
    if (dim > 4096 ||
        !tercet_encode(tercet, TERCET_QUERY, TERCET_DENSE, &question, 1, &asked, &err))
        return fprintf(stderr, "cannot encode: %s\n", err.message), 1;
    memcpy(vector, asked.dense, dim * sizeof *vector); /* the next call takes its place */
    for (int i = 0; i < 3; i++)
        texts[i] = (struct tercet_text){passages[i], strlen(passages[i])};
    if (!tercet_encode(tercet, TERCET_PASSAGE, TERCET_DENSE, texts, 3, found, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    for (int i = 0; i < 3; i++) {
        score = 0;
        for (unsigned d = 0; d < dim; d++)
            score += vector[d] * found[i].dense[d];
        printf("%.4f  %s\n", score, passages[i]);
    }
    tercet_close(tercet);
    return 0;
}
