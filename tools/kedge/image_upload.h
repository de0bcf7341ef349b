/* kedge image upload, and the requests that may follow it. */
#ifndef KEDGE_TOOL_IMAGE_UPLOAD_H
#define KEDGE_TOOL_IMAGE_UPLOAD_H

#include "exchange.h"

int run_image_upload(int argc, char **argv);

/* "image test" or "image confirm" (hash empty: of the running image), and one line that says what
 * will happen. 0, or EXIT_REFUSED, said. */
int image_request(struct device_link *device, struct kedge_bytes hash, bool confirm);

/* Reset the device. */
int device_reset(struct device_link *device, bool force);

#endif
