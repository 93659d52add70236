# Builds data/o200k_base.tiktoken into gossamer_tokenizer, by src/tokenizer/o200k_base.S, after checking that it is
# the published file. Included from src/CMakeLists.txt, whose source properties these are.

set(vocabulary ${CMAKE_SOURCE_DIR}/data/o200k_base.tiktoken)
set(published 446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d)

# A change of the file configures again, and so checks again.
set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${vocabulary})
file(SHA256 ${vocabulary} actual)
if(NOT actual STREQUAL published)
  message(FATAL_ERROR "${vocabulary} is not the published vocabulary: its SHA-256 is ${actual}, not ${published}")
endif()

set_source_files_properties(
  ${CMAKE_SOURCE_DIR}/src/tokenizer/o200k_base.S
  PROPERTIES INCLUDE_DIRECTORIES ${CMAKE_SOURCE_DIR}/data OBJECT_DEPENDS ${vocabulary}
)
