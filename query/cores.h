/* cores.h - cores that would idle lend a hand to a search that is alone.
 *
 * A search is one thread's work when others wait: cores are not idle then, and sharing it out would
 * only cost. When none does, its candidates are scored by several.
 * Threads: as many as like. */
#ifndef TERCET_QUERY_CORES_H
#define TERCET_QUERY_CORES_H

struct cores;
struct pool;

/* NULL where this process has one core. */
struct cores *cores_open(void);
void cores_close(struct cores *cores); /* NULL is fine */

/* Around each search: the pool it may use until it leaves. NULL: others are at work, or there is
 * one core. */
struct pool *cores_enter(struct cores *cores);
void cores_leave(struct cores *cores);

#endif
