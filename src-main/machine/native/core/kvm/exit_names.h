// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace godwit {

/// The kernel's name of a KVM exit reason: "KVM_EXIT_SHUTDOWN"; "KVM exit 99" for one without a name here.
std::string exit_name(std::uint32_t reason);

}  // namespace godwit
