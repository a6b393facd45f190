/* priority.h - who gives way when there is more work than processor.
 *
 * On Linux a thread has a nice value of its own. Threads that compute what nobody waits for (the
 * encoding of documents) lower theirs, so that a query that comes meanwhile runs at once and as if
 * alone; when none comes, nothing is slower. docs/http-api.md has the times. */
#ifndef TERCET_BASE_PRIORITY_H
#define TERCET_BASE_PRIORITY_H

/* On top of what the program was started with. Against a thread of ordinary priority 5 steps are a
 * quarter of the processor: enough to get on beside queries that never pause, and beside other
 * programs; 10 are a tenth, with which writes starved on a busy machine. */
enum { PRIORITY_NICE = 5 };

/* For the calling thread and those that it starts from now on; there is no way back. */
void priority_lower(void);

#endif
