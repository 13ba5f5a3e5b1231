/* The handlers of the routes (routes.c); docs/api.md describes each. */
#pragma once

struct request;

void handle_archive_get(struct request *request);
void handle_archive_put(struct request *request);
void handle_ensure(struct request *request);
void handle_events(struct request *request);
void handle_exec(struct request *request);
void handle_exec_inspect(struct request *request);
void handle_exec_list(struct request *request);
void handle_exec_output(struct request *request);
void handle_exec_signal(struct request *request);
void handle_exec_socket(struct request *request);
void handle_file_get(struct request *request);
void handle_file_put(struct request *request);
void handle_file_remove(struct request *request);
void handle_freeze(struct request *request);
void handle_healthz(struct request *request);
void handle_image_inspect(struct request *request);
void handle_image_list(struct request *request);
void handle_image_load(struct request *request);
void handle_image_remove(struct request *request);
void handle_info(struct request *request);
void handle_inspect(struct request *request);
void handle_list(struct request *request);
void handle_metrics(struct request *request);
void handle_readyz(struct request *request);
void handle_reap(struct request *request);
void handle_remove(struct request *request);
void handle_fork(struct request *request);
void handle_snapshot_create(struct request *request);
void handle_snapshot_inspect(struct request *request);
void handle_snapshot_list(struct request *request);
void handle_snapshot_remove(struct request *request);
void handle_snapshot_restore(struct request *request);
void handle_sweep(struct request *request);
void handle_thaw(struct request *request);
void handle_touch(struct request *request);
void handle_usage(struct request *request);
void handle_usage_list(struct request *request);
void handle_why(struct request *request);
