# One folder is one library, one namespace and one test program; these functions keep that rule.

# gossamer_library(<folder> DEPS <target>...)
#
# Declares the library of src/<folder> from every .cc, .S and (where CUDA is) .cu file directly in it, as
# target gossamer_<folder> with slashes turned to underscores. `foo_none.cc` stands in for `foo.cu` in a
# build without CUDA. DEPS are public: other folders (by target) and packages.
function(gossamer_library folder)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cc
       ${CMAKE_SOURCE_DIR}/src/${folder}/*.S
  )
  if(GOSSAMER_HAS_CUDA)
    file(GLOB cuda_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cu)
    list(FILTER sources EXCLUDE REGEX "_none\\.cc$")
    list(APPEND sources ${cuda_sources})
  endif()
  if(sources)
    add_library(gossamer_${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(gossamer_${name} PRIVATE gossamer_options)
  else()
    add_library(gossamer_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(gossamer_${name} ${scope} ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(gossamer_${name} ${scope} ${ARG_DEPS})
endfunction()

# gossamer_portable_cuda(<target>)
#
# Builds a target's own device code, which nothing depends on the speed of, once: for the oldest architecture, whose
# PTX every newer device compiles for itself.
function(gossamer_portable_cuda target)
  if(GOSSAMER_HAS_CUDA AND "80" IN_LIST CMAKE_CUDA_ARCHITECTURES)
    set_target_properties(${target} PROPERTIES CUDA_ARCHITECTURES 80)
  endif()
endfunction()

# gossamer_test(<folder> DEPS <target>...)
#
# Declares <folder>_test from tests/<folder>/*_test.cc (and other .cc files there that the tests share),
# and its .cu files where CUDA is.
function(gossamer_test folder)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*.cc)
  if(GOSSAMER_HAS_CUDA)
    file(GLOB cuda_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${folder}/*.cu)
    list(APPEND sources ${cuda_sources})
  endif()
  add_executable(${name}_test ${sources})
  gossamer_portable_cuda(${name}_test)
  target_include_directories(${name}_test PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(
    ${name}_test PRIVATE GOSSAMER_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                         GOSSAMER_GOLDEN_DIR="${CMAKE_SOURCE_DIR}/tests/golden"
  )
  target_link_libraries(
    ${name}_test PRIVATE ${ARG_DEPS} gossamer_options GTest::gmock GTest::gtest_main
  )
  gtest_discover_tests(${name}_test TEST_PREFIX "${folder}/" DISCOVERY_TIMEOUT 60)
endfunction()

# gossamer_fuzzer(<name> SOURCE <file> DEPS <target>...)
#
# Declares a libFuzzer program; only under GOSSAMER_FUZZ.
function(gossamer_fuzzer name)
  if(NOT GOSSAMER_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "SOURCE" "DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCE})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} gossamer_options)
endfunction()
