// SPDX-License-Identifier: Apache-2.0
// Sockets bound to their address and listening.
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/channels/socket_target.h"

namespace godwit {

/// A numeric host, `localhost`, or empty for any address of either family. Does not block.
Result<UniqueFd> listen_tcp(const TcpTarget& target);
/// The socket file has mode 0600 from its first moment. One that nobody listens on is replaced. Does not block.
Result<UniqueFd> listen_unix(const UnixTarget& target);

/// Does not block.
Result<UniqueFd> listen_vsock(const VsockTarget& target);

}  // namespace godwit
