/* What the pool shows, as JSON; docs/api.md has the shapes. Every tree borrows its strings: print it before they go.
 * Free with cJSON_Delete; NULL when out of memory. */
#pragma once

#include <stdint.h>

#include "images.h"
#include "pool.h"
#include "reaper.h"

struct api_info;
struct cJSON;
struct job_view;

/* engine is its kind ("docker"); outcome NULL leaves the field out. */
struct cJSON *render_carrel(const struct carrel_view *carrel, const char *engine, const char *outcome);
/* The same with what runs in the background, which is asked of the kernel. */
struct cJSON *render_looked_at(const struct carrel_view *carrel, const char *engine);
struct cJSON *render_ensured(const struct pool_ensured *ensured, const char *engine);
/* reaper is the reaper's sentence. */
struct cJSON *render_why(const struct carrel_view *carrel, const char *reaper);
/* The same of a user who has none (any more). */
struct cJSON *render_past(const struct pool_past *past);
struct cJSON *render_event(const struct pool_event *event, uint64_t seq, int64_t wall_ms);
struct cJSON *render_exec(const struct exec_view *exec, const char *user);
struct cJSON *render_job(const struct job_view *view);
/* Adds how an exec ended to *object, as put.h does; without its output. */
void render_exec_end(struct cJSON **object, const struct exec_result *result);
/* The same without the id. */
void render_exec_outcome(struct cJSON **object, const struct exec_result *result);
/* What is said of both outputs beside themselves. */
void render_exec_streams(struct cJSON **object, const struct exec_result *result, bool is_text);
/* The end with both outputs. ret_texts are what the tree borrows, for the caller to free after printing; may be NULL.
 */
struct cJSON *render_exec_result(const struct exec_result *result, char *ret_texts[2]);
struct cJSON *render_image(const struct pool_image *image);
struct cJSON *render_sweep(const struct sweep_report *report);
struct cJSON *render_info(const struct api_info *info, const struct pool_stats *stats);
