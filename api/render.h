/* Views of the pool, its execs and images as JSON (docs/api.md). NULL when out of memory. */
#pragma once

#include <stdint.h>

#include "images.h"
#include "pool.h"
#include "reaper.h"

struct api_info;
struct json;
struct job_view;

/* engine is its kind ("docker"). outcome NULL: without that field. */
struct json *render_carrel(const struct carrel_view *carrel, const char *engine, const char *outcome);
/* The same with the fields that need the kernel: background processes, frozen. */
/* Its usage until now, read from the kernel: some 0.15 ms. */
struct json *render_usage(const struct carrel_view *carrel);
struct json *render_looked_at(const struct carrel_view *carrel, const char *engine);
struct json *render_ensured(const struct pool_ensured *ensured, const char *engine);
/* reaper is the sentence of reaper_explain. */
struct json *render_why(const struct carrel_view *carrel, const char *reaper);
/* The same for a user without a carrel. */
struct json *render_past(const struct pool_past *past);
struct json *render_event(const struct pool_event *event, uint64_t seq, int64_t wall_ms);
struct json *render_exec(const struct exec_view *exec, const char *user);
struct json *render_job(const struct job_view *view);
/* Adds the result of an exec to *object, as put.h does, without its output. */
void render_exec_end(struct json **object, const struct exec_result *result);
/* The same without the id. */
void render_exec_outcome(struct json **object, const struct exec_result *result);
/* Adds the fields about the outputs: encoding, truncation. */
void render_exec_streams(struct json **object, const struct exec_result *result, bool is_text);
/* Adds bytes of an output, which are text or become base64. bytes may be NULL when length is 0. */
void render_output(struct json **object, const char *key, const char *bytes, size_t length, bool is_text);
/* The result with both outputs. */
struct json *render_exec_result(const struct exec_result *result);
struct json *render_image(const struct pool_image *image);
struct json *render_sweep(const struct sweep_report *report);
struct json *render_info(const struct api_info *info, const struct pool_stats *stats);
