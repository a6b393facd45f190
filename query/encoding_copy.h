/* encoding_copy.h - an encoding with everything it points to, in another arena: what was encoded
 * together is given to each request for itself. */
#ifndef TERCET_ENCODING_COPY_H
#define TERCET_ENCODING_COPY_H

#include "engine/encoder.h"
#include "engine/model.h"

struct encoding encoding_copy(const struct encoding *encoding, const struct model_info *info,
                              struct arena *arena);

#endif
