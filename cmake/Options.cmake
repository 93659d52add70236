# Language level, warnings, sanitizers and the default build type, for every target of the project.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(gossamer_options INTERFACE)
target_compile_options(
  gossamer_options
  INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wnon-virtual-dtor;-Woverloaded-virtual;-Wno-missing-field-initializers;-Werror>
)
# GCC 12 sees uninitialised members in every moved std::optional and std::variant, and overlap in string sums (GCC bug
# 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(
    gossamer_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized;-Wno-restrict>
  )
endif()
# FMA contraction would make a result depend on what the compiler chose to inline: kernels ask for FMA by name.
target_compile_options(gossamer_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)

if(GOSSAMER_SANITIZE)
  target_compile_options(
    gossamer_options INTERFACE -fsanitize=${GOSSAMER_SANITIZE} -fno-omit-frame-pointer
                               -fno-sanitize-recover=all
  )
  target_link_options(gossamer_options INTERFACE -fsanitize=${GOSSAMER_SANITIZE})
  # GCC reports false positives of these from instrumented code: of fences in the standard library, and of coroutine
  # frames, whose operator new is inlined where their operator delete is not (GCC bug 109224).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(
      gossamer_options
      INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-error=tsan;-Wno-mismatched-new-delete>
    )
  endif()
endif()

# libFuzzer steers by the coverage of the code under test, so the libraries carry its counters too.
if(GOSSAMER_FUZZ)
  target_compile_options(gossamer_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
