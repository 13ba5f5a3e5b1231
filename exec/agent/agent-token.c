#include "agent-token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "engine.h"
#include "scope.h"

enum { FILE_NAME_BYTES = 256, RECORD_BYTES = ENGINE_ID_BYTES + AGENT_TOKEN_BYTES };

/* No name of a directory begins with a dot, so the file cannot be taken for one. */
static int file_name(const char *prefix, const char *name, char ret_name[static FILE_NAME_BYTES])
{
        return snprintf(ret_name, FILE_NAME_BYTES, "%s%s", prefix, name) < FILE_NAME_BYTES ? 0 : -ENAMETOOLONG;
}

/* The id, padded with zeros, and then the token. */
static int compose(const char *container_id, const uint8_t *token, uint8_t ret_record[static RECORD_BYTES])
{
        if (strlen(container_id) >= ENGINE_ID_BYTES)
                return -EINVAL;
        (void)strncpy((char *)ret_record, container_id, ENGINE_ID_BYTES);
        memcpy(ret_record + ENGINE_ID_BYTES, token, AGENT_TOKEN_BYTES);
        return 0;
}

int agent_token_find(int directory, const char *name, const char *container_id,
                     uint8_t ret_token[static AGENT_TOKEN_BYTES])
{
        AUTO(auto_close) int fd = -1;
        char file[FILE_NAME_BYTES];
        char record[RECORD_BYTES];
        ssize_t length;
        int r = file_name(".", name, file);

        if (r < 0)
                return r;
        fd = openat(directory, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        length = read(fd, record, sizeof record);
        if (length < 0)
                return -errno;
        if (length != sizeof record || strncmp(record, container_id, ENGINE_ID_BYTES) != 0)
                return -ENOENT; /* it is of an earlier container */
        memcpy(ret_token, record + ENGINE_ID_BYTES, AGENT_TOKEN_BYTES);
        return 0;
}

/* Written to another file and renamed, so that the file is never half written. The directory is on a tmpfs. */
static int write_token(int directory, const char *name, const char *container_id, const uint8_t *token)
{
        AUTO(auto_close) int fd = -1;
        uint8_t record[RECORD_BYTES];
        char file[FILE_NAME_BYTES];
        char fresh[FILE_NAME_BYTES];
        int r = file_name(".", name, file);

        if (r == 0)
                r = file_name("..", name, fresh);
        if (r == 0)
                r = compose(container_id, token, record);
        if (r < 0)
                return r;
        fd = openat(directory, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        if (write(fd, record, sizeof record) != sizeof record || renameat(directory, fresh, directory, file) != 0) {
                r = errno != 0 ? -errno : -ENOSPC;
                (void)unlinkat(directory, fresh, 0);
                return r;
        }
        return 0;
}

int agent_token_make(int directory, const char *name, const char *container_id,
                     uint8_t ret_token[static AGENT_TOKEN_BYTES])
{
        uint8_t token[AGENT_TOKEN_BYTES];
        int r = getrandom(token, sizeof token, 0) == sizeof token ? 0 : -EAGAIN;

        if (r == 0)
                r = write_token(directory, name, container_id, token);
        if (r == 0)
                memcpy(ret_token, token, sizeof token);
        return r;
}

static const uint8_t WITHHELD[AGENT_TOKEN_BYTES];

int agent_token_withhold(int directory, const char *name, const char *container_id)
{
        return write_token(directory, name, container_id, WITHHELD);
}

bool agent_token_is_withheld(const uint8_t token[static AGENT_TOKEN_BYTES])
{
        return memcmp(token, WITHHELD, sizeof WITHHELD) == 0;
}

void agent_token_forget(int directory, const char *name)
{
        char file[FILE_NAME_BYTES];

        if (file_name(".", name, file) == 0)
                (void)unlinkat(directory, file, 0);
}
