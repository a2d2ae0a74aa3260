/* Tells systemd how the service is doing (sd_notify's protocol): a datagram to the
 * socket named in $NOTIFY_SOCKET. Does nothing where there is none. */
#ifndef ASSAY_BASE_NOTIFY_H
#define ASSAY_BASE_NOTIFY_H

/* `state` as in sd_notify(3): "READY=1",
 * "RELOADING=1\nMONOTONIC_USEC=...", "STOPPING=1". */
void notify(const char *state);

#endif
