// SPDX-License-Identifier: Apache-2.0
// How the outcome of an operation that runs on another thread is told: one call, on that thread.
#pragma once

#include <functional>

#include "core/base/result.h"

namespace godwit {

/// Called exactly once. It must not block, and must not destroy the object that calls it.
template <typename T = Unit>
using Completion = std::function<void(Result<T>)>;

}  // namespace godwit
