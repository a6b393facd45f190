#include "index/store/lock.h"

#include <errno.h>
#include <sys/file.h>
#include <time.h>

bool lock_take(int fd) {
    const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};
    for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms += LOCK_STEP_MS) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || waited_ms >= LOCK_WAIT_MS)
            return false;
        nanosleep(&step, NULL);
    }
    return true;
}
