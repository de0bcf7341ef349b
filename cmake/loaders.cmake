# The loaders of `make size`: small (p256-m), fast (the same, and what its time goes into compiled for
# speed), ed25519 (Monocypher). Each twice: for the nRF52840, whose bytes are counted, and for QEMU's
# mps2-an386, where the same objects run and are measured.

# What compilers call by themselves must not be optimised away with the rest of the program, nor be
# made of calls to itself.
foreach(name cortex_m4 cortex_m4_fast)
    add_library(${name} OBJECT ports/cortex-m4/startup.c ports/cortex-m4/memory.c ports/cortex-m4/sha256_round.c)
    target_include_directories(${name} PRIVATE include src)
    target_compile_options(${name} PRIVATE ${kedge_warnings} -ffreestanding -fno-lto
        -fno-tree-loop-distribute-patterns -fno-ivopts -fno-tree-scev-cprop)
endforeach()
target_compile_options(cortex_m4_fast PRIVATE -O2 "-DMEMORY_UNROLL=_Pragma(\"GCC unroll 4\")")

# Where a loader spends its time, loops keep their constants in registers.
target_compile_options(tp_bearssl PRIVATE -fmove-loop-invariants -ftree-loop-im)
# An encrypted update is three passes of AES over the image: 15 M instructions less for 270 bytes.
set(aes ${BEARSSL_ROOT}/src/symcipher/aes_)
set_source_files_properties(${aes}ct.c ${aes}ct_enc.c ${aes}ct_ctr.c ${aes}big_enc.c ${aes}big_ctr.c
    PROPERTIES COMPILE_OPTIONS "-O2;-fmove-loop-invariants;-ftree-loop-im")
set_source_files_properties(src/base/crc32.c PROPERTIES COMPILE_OPTIONS "-fmove-loop-invariants;-ftree-loop-im")

# The core is freestanding, yet a port has these four functions: the compiler may know what they do.
target_compile_options(kedge PRIVATE -fbuiltin)

# P-256 in three quarters of the time for 200 bytes, linked in place of what tp_p256m has.
kedge_p256m(p256m_fast OBJECT)
target_compile_options(p256m_fast PRIVATE -fmove-loop-invariants -ftree-loop-im "-DP256M_UNROLL=_Pragma(\"GCC unroll 8\")")
set(p256_fast $<TARGET_OBJECTS:p256m_fast>)

# What Ed25519 leaves room for, which is not the table of ports/crypto/crc32_fast.c.
add_library(crc32_unrolled OBJECT src/base/crc32.c)
target_include_directories(crc32_unrolled PRIVATE include)
target_compile_options(crc32_unrolled PRIVATE ${kedge_warnings} -ffreestanding -O2 -funroll-loops)

# kedge_loader(NAME PORT SOURCES... [FAST | UNROLLED] [SECRECY plain|ecies])
function(kedge_loader name port)
    cmake_parse_arguments(use "FAST;UNROLLED" "SECRECY" "" ${ARGN})
    if(NOT use_SECRECY)
        set(use_SECRECY plain)
    endif()
    set(hot $<TARGET_OBJECTS:cortex_m4>)
    if(use_FAST)
        set(hot $<TARGET_OBJECTS:cortex_m4_fast> ${p256_fast} ports/crypto/crc32_fast.c)
    elseif(use_UNROLLED)
        set(hot $<TARGET_OBJECTS:cortex_m4_fast> $<TARGET_OBJECTS:crc32_unrolled>)
    endif()
    file(GLOB sources CONFIGURE_DEPENDS ports/${port}/*.c)
    add_executable(${name} ${sources} ${use_UNPARSED_ARGUMENTS} ${hot})
    target_include_directories(${name} PRIVATE ports/${port} ports/loader-key
        ports/loader-key/${use_SECRECY})
    target_compile_options(${name} PRIVATE ${kedge_warnings} -ffreestanding -fbuiltin)
    target_link_libraries(${name} PRIVATE kedge)
    target_link_options(${name} PRIVATE -nostartfiles -nostdlib -Wl,--gc-sections -Wl,--sort-section=alignment
        -Wl,-Map=${CMAKE_BINARY_DIR}/${name}.map -L${CMAKE_SOURCE_DIR}/ports/cortex-m4
        -T${CMAKE_SOURCE_DIR}/ports/${port}/link.ld)
    target_link_libraries(${name} PRIVATE gcc)
    set_target_properties(${name} PROPERTIES SUFFIX .elf
        LINK_DEPENDS "${CMAKE_SOURCE_DIR}/ports/${port}/link.ld;${CMAKE_SOURCE_DIR}/ports/cortex-m4/sections.ld")
endfunction()

foreach(port nrf52840 mps2-an386)
    kedge_loader(${port}-small ${port} ports/loader-key/p256.c)
    kedge_loader(${port}-fast ${port} ports/loader-key/p256.c FAST)
    kedge_loader(${port}-ed25519 ${port} ports/loader-key/ed25519.c UNROLLED)
    kedge_loader(${port}-ecies ${port} ports/loader-key/p256.c ports/loader-key/ecies/strategy.c SECRECY ecies)
    kedge_loader(${port}-ecies-fast ${port} ports/loader-key/p256.c ports/loader-key/ecies-fast/strategy.c
        FAST SECRECY ecies)
endforeach()

# The decoder of patches, to be measured (bench/delta/cortex_m4.py).
add_executable(mps2-an386-delta ports/mps2-an386/delta/main_delta.c $<TARGET_OBJECTS:cortex_m4>)
target_compile_options(mps2-an386-delta PRIVATE ${kedge_warnings} -ffreestanding -fbuiltin)
target_link_libraries(mps2-an386-delta PRIVATE kedge gcc)
target_link_options(mps2-an386-delta PRIVATE -nostartfiles -nostdlib -Wl,--gc-sections
    -L${CMAKE_SOURCE_DIR}/ports/cortex-m4 -T${CMAKE_SOURCE_DIR}/ports/mps2-an386/link.ld)
set_target_properties(mps2-an386-delta PROPERTIES SUFFIX .elf)
