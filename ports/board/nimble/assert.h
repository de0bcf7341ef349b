/* In the place of the C library's, for NimBLE on a board: a broken promise waits for the watchdog,
 * and costs no text. */
#undef assert
_Noreturn void kedge_trap(void);
#define assert(holds) ((holds) ? (void)0 : kedge_trap())
