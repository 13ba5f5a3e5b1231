/* The images of the Docker engine. */
#pragma once

#include "engine.h"

int docker_image_inspect(struct engine *engine, const char *reference, engine_done done, void *arg,
                         struct engine_call **ret_call);
int docker_image_list(struct engine *engine, engine_done done, void *arg, struct engine_call **ret_call);
int docker_image_load(struct engine *engine, const struct image_source *source, engine_done done, void *arg,
                      struct engine_call **ret_call);
int docker_image_remove(struct engine *engine, const char *reference, engine_done done, void *arg,
                        struct engine_call **ret_call);
int docker_image_build(struct engine *engine, int context_fd, const char *reference, engine_done done, void *arg,
                       struct engine_call **ret_call);
