/* Views of the pool, its execs and images as JSON (docs/api.md). Every tree borrows its strings, so print it while they
 * are valid. Free with cJSON_Delete; NULL when out of memory. */
#pragma once

#include <stdint.h>

#include "images.h"
#include "pool.h"
#include "reaper.h"

struct api_info;
struct cJSON;
struct job_view;

/* engine is its kind ("docker"). outcome NULL: without that field. */
struct cJSON *render_carrel(const struct carrel_view *carrel, const char *engine, const char *outcome);
/* The same with the fields that need the kernel: background processes, frozen. */
struct cJSON *render_looked_at(const struct carrel_view *carrel, const char *engine);
struct cJSON *render_ensured(const struct pool_ensured *ensured, const char *engine);
/* reaper is the sentence of reaper_explain. */
struct cJSON *render_why(const struct carrel_view *carrel, const char *reaper);
/* The same for a user without a carrel. */
struct cJSON *render_past(const struct pool_past *past);
struct cJSON *render_event(const struct pool_event *event, uint64_t seq, int64_t wall_ms);
struct cJSON *render_exec(const struct exec_view *exec, const char *user);
struct cJSON *render_job(const struct job_view *view);
/* Adds the result of an exec to *object, as put.h does, without its output. */
void render_exec_end(struct cJSON **object, const struct exec_result *result);
/* The same without the id. */
void render_exec_outcome(struct cJSON **object, const struct exec_result *result);
/* Adds the fields about the outputs: encoding, truncation. */
void render_exec_streams(struct cJSON **object, const struct exec_result *result, bool is_text);
/* The result with both outputs. The tree borrows ret_texts, which the caller frees after printing; each may be NULL. */
struct cJSON *render_exec_result(const struct exec_result *result, char *ret_texts[2]);
struct cJSON *render_image(const struct pool_image *image);
struct cJSON *render_sweep(const struct sweep_report *report);
struct cJSON *render_info(const struct api_info *info, const struct pool_stats *stats);
