/* metrics.h - what the server did, as Prometheus reads it (text format 0.0.4).
 *
 *   tercet_http_requests_total{route,method,status}         answered requests
 *   tercet_http_request_seconds{route}                      histogram: first byte to last
 *   tercet_stage_seconds{stage}                             histogram: queue, handler, and what
 *                                                           handlers name (encode, retrieve, ..)
 *   tercet_http_bytes_total{direction}                      bodies
 *   tercet_queue_length{lane}, tercet_connections, tercet_requests_running
 *   tercet_documents, tercet_segments, tercet_index_bytes {collection}
 *   tercet_encoder_tokens_total, tercet_model_info{model,precision}
 *   process_start_time_seconds, process_resident_memory_bytes
 *
 * "route" is a route's pattern, or "none", so that no client can make series.
 * Threads: the loop thread's only, except that collections are counted by whoever asks. */
#ifndef TERCET_METRICS_H
#define TERCET_METRICS_H

#include "query/server/server.h"

struct encoders;
struct metrics;
struct service;

/* Both are borrowed; either may be NULL. */
struct metrics *metrics_open(struct service *service, struct encoders *encoders);
void metrics_close(struct metrics *metrics);

/* Once the server listens; its load is told from then on. */
void metrics_watch(struct metrics *metrics, struct server *server);

void metrics_count(struct metrics *metrics, const struct server_access *access);

/* For {SERVER_GET, "/metrics", metrics_handler, metrics, SERVER_LANE_LOOP}: it answers while the
 * workers' queue is full, which is when somebody looks. */
server_handler metrics_handler;

#endif
