# What makes a Cortex-M4 loader smaller: measured one by one on it, together 700 bytes and 200 of stack.
# Here and not in the toolchain file, whose flags CMake remembers from the first time.
set(kedge_small -fno-thread-jumps
    -fno-move-loop-invariants
    -fno-inline-functions-called-once
    -fno-schedule-insns2
    -fno-tree-tail-merge
    -fno-tree-loop-im
    -freorder-blocks-algorithm=stc
    -fno-if-conversion
    -fno-caller-saves
    -fno-tree-dominator-opts
    -fno-optimize-sibling-calls
    -fno-ipa-icf
    -fno-ssa-phiopt
    -fno-tree-sink)
add_compile_options(${kedge_small})
add_link_options(${kedge_small})
