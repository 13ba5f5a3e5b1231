/* Inside a carrel: `usage-probe CPU_MS MIB` takes that much memory, uses that much CPU time by its own clock, and
 * prints how much CPU time that was, in microseconds. With `hold` as a third argument it then waits for the end of its
 * stdin.
 * `usage-probe send N` sends N datagrams of 1,000 bytes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long used_us(void)
{
        struct timespec now;

        if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) != 0)
                exit(2);
        return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* Nobody need be at the address (RFC 5737). */
static int send_datagrams(unsigned count)
{
        static const char BYTES[1000];
        const struct sockaddr_in target = { .sin_family = AF_INET,
                                            .sin_port = htons(9),
                                            .sin_addr.s_addr = htonl(0xc0000201) };
        int fd = socket(AF_INET, SOCK_DGRAM, 0);

        for (unsigned i = 0; i < count; i++)
                if (sendto(fd, BYTES, sizeof BYTES, 0, (const struct sockaddr *)&target, sizeof target) !=
                    (ssize_t)sizeof BYTES)
                        return 2;
        return 0;
}

int main(int argc, char **argv)
{
        if (argc > 2 && strcmp(argv[1], "send") == 0)
                return send_datagrams((unsigned)strtoul(argv[2], NULL, 10));

        size_t bytes = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 0;
        long long wanted_us = argc > 1 ? strtoll(argv[1], NULL, 10) * 1000 : 0;
        char byte;

        if (bytes > 0) {
                void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                if (memory == MAP_FAILED)
                        return 2;
                memset(memory, 1, bytes);
        }
        while (used_us() < wanted_us)
                continue;
        printf("%lld\n", used_us());
        (void)fflush(stdout);
        if (argc > 3 && strcmp(argv[3], "hold") == 0)
                return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 2;
        return 0;
}
