/* Two containers whose agents send what the test wants. */
#pragma once

#include "agent-exec.h"
#include "world.h"

#define OTHER_CONTAINER "cafecafecafecafecafecafe"

struct rig {
        struct world world;
        struct agent_channel *channel, *other;
        int agent, other_agent; /* the agents' ends */
        int fds[AGENT_FDS_MAX]; /* of the last packet that was heard; -1: none */
};

extern struct agent_packet said, heard;

void open_rig(struct rig *rig, bool is_framed);
void close_fds(struct rig *rig);
void close_rig(struct rig *rig);

/* The next packet; its descriptors are in rig->fds. */
enum agent_kind hear(struct rig *rig, int agent);
void say(int agent); /* `said` */
void say_started(int agent, uint32_t number);
/* That stdout and stderr have ended. */
void say_outputs_end(int agent, uint32_t number);
void say_exited(int agent, uint32_t number, uint32_t is_signal, uint32_t value);
void begin_exec(struct rig *rig, const struct exec_request *request);
