// SPDX-License-Identifier: Apache-2.0
// The outgoing way to a connected socket.
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/channels/interrupt.h"
#include "core/channels/socket_target.h"

namespace godwit {

/// Tries the target's addresses in order. Blocks; fails with ECANCELED soon after `cancel` is raised.
Result<UniqueFd> connect_socket(const SocketTarget& target, const Interrupt& cancel);

}  // namespace godwit
