#pragma once

#include <filesystem>

#include "http/server.h"

namespace gossamer::http {

/// Writes a new key and a certificate that it signed itself into the folder.
TlsFiles make_certificate(const std::filesystem::path& folder);

}  // namespace gossamer::http
