#include "exec-frames.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

void exec_frame_head(char ret_head[static EXEC_FRAME_HEAD_BYTES], enum exec_frame_type type, size_t length)
{
        uint32_t number = htobe32((uint32_t)length);

        memset(ret_head, 0, EXEC_FRAME_HEAD_BYTES);
        ret_head[0] = (char)type;
        memcpy(ret_head + EXEC_FRAME_HEAD_BYTES - sizeof number, &number, sizeof number);
}
