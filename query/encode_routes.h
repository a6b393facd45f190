/* encode_routes.h - inside the encode routes: each API's pairs of functions (encode_call.h). */
#ifndef TERCET_ENCODE_ROUTES_H
#define TERCET_ENCODE_ROUTES_H

#include "query/encode_call.h"

/* encode_own.c */
bool encode_own_read(struct encode_call *call, const struct json *body);
void encode_own_write(struct encode_call *call);
bool encode_score_read(struct encode_call *call, const struct json *body);
void encode_score_write(struct encode_call *call);

/* encode_openai.c */
bool encode_openai_read(struct encode_call *call, const struct json *body);
void encode_openai_write(struct encode_call *call);
void encode_models_write(struct encode_call *call);

/* encode_tei.c */
bool encode_tei_read(struct encode_call *call, const struct json *body);
void encode_tei_write(struct encode_call *call);
bool encode_tei_sparse_read(struct encode_call *call, const struct json *body);
void encode_tei_sparse_write(struct encode_call *call);
bool encode_tei_all_read(struct encode_call *call, const struct json *body);
void encode_tei_all_write(struct encode_call *call);
void encode_tei_info_write(struct encode_call *call);

/* encode_rerank.c: they compute in `write`, since pairs are no texts for the encoder. */
bool encode_tei_rerank_read(struct encode_call *call, const struct json *body);
void encode_tei_rerank_write(struct encode_call *call);
bool encode_rerank_read(struct encode_call *call, const struct json *body);
void encode_rerank_write(struct encode_call *call);

#endif
