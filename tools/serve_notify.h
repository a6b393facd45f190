/* serve_notify.h - tells systemd how far the server is (sd_notify(3), without its library). */
#ifndef TERCET_SERVE_NOTIFY_H
#define TERCET_SERVE_NOTIFY_H

/* "READY=1", "STOPPING=1", ..: a datagram to $NOTIFY_SOCKET, a path or "@" and an abstract name.
 * Does nothing where there is no such socket: then nobody asked. */
void serve_notify(const char *state);

#endif
