#include "engine/base/priority.h"

#include <sys/resource.h>
#include <unistd.h>

void priority_lower(void) {
    id_t self = (id_t)gettid();
    setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + PRIORITY_NICE);
}
