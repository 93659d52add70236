# CUDA is found or left out: defines GOSSAMER_HAS_CUDA, and enables the language where it is ON.

set(GOSSAMER_HAS_CUDA OFF)

# Sets `reason` to why CUDA cannot be used, empty when it can, and GOSSAMER_NVCC_VERSION.
function(gossamer_look_for_cuda reason)
  find_program(GOSSAMER_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_HOME ENV CUDA_PATH
               PATHS /usr/local/cuda PATH_SUFFIXES bin DOC "The CUDA compiler"
  )
  if(NOT GOSSAMER_NVCC)
    set(${reason} "nvcc is neither on PATH nor in /usr/local/cuda/bin" PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND ${GOSSAMER_NVCC} --version OUTPUT_VARIABLE output ERROR_QUIET)
  string(REGEX MATCH "release ([0-9]+\\.[0-9]+)" match "${output}")
  set(version "${CMAKE_MATCH_1}")
  if(NOT match OR version VERSION_LESS 12.0)
    set(${reason} "${GOSSAMER_NVCC} is CUDA ${version}, and C++20 needs 12.0 or newer" PARENT_SCOPE)
    return()
  endif()
  if(NOT DEFINED ENV{CUDACXX})
    set(ENV{CUDACXX} ${GOSSAMER_NVCC})
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(${reason} "${GOSSAMER_NVCC} cannot compile with this host compiler" PARENT_SCOPE)
    return()
  endif()
  set(GOSSAMER_NVCC_VERSION ${version} PARENT_SCOPE)
  set(${reason} "" PARENT_SCOPE)
endfunction()

if(NOT GOSSAMER_CUDA STREQUAL "OFF")
  gossamer_look_for_cuda(cuda_reason)
  if(NOT cuda_reason)
    set(GOSSAMER_HAS_CUDA ON)
  elseif(GOSSAMER_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA: left out (${cuda_reason})")
  else()
    message(FATAL_ERROR
      "GOSSAMER_CUDA is ON, but ${cuda_reason}. Install the CUDA toolkit (12.0 or newer) and put its "
      "bin folder on PATH, or set CUDACXX to nvcc, or configure with -DGOSSAMER_CUDA=OFF."
    )
  endif()
endif()

if(GOSSAMER_HAS_CUDA)
  # Ampere, Ada, Hopper (90a has wgmma), and from CUDA 12.8 Blackwell. The PTX of 80 serves the rest.
  set(architectures 80 89-real 90a-real)
  if(GOSSAMER_NVCC_VERSION VERSION_GREATER_EQUAL 12.8)
    list(APPEND architectures 100-real 120-real)
  endif()
  set(CMAKE_CUDA_ARCHITECTURES "${architectures}" CACHE STRING "GPU architectures to build for")
  enable_language(CUDA)
  # CMake 3.25 does not know how to ask nvcc for C++20.
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  target_compile_options(
    gossamer_options
    INTERFACE
      $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings;--expt-relaxed-constexpr;-Xcompiler=-Wall,-Wextra,-Werror>
  )
  # fmt 9 turns constexpr off for any nvcc, and then its consteval format strings cannot work.
  target_compile_definitions(gossamer_options INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>)
  message(STATUS "CUDA: ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
endif()
