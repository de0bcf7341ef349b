/* A loader that knows nothing of encryption. */
#ifndef LOADER_BUILD_H
#define LOADER_BUILD_H

#define LOADER_STRATEGY(NAME) NAME
#define LOADER_STATE_MORE     0

static inline void loader_forget(void)
{
}

#endif
