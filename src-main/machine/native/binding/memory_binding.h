// SPDX-License-Identifier: Apache-2.0
// The JavaScript class GuestMemory.
#pragma once

#include <napi.h>

#include <memory>

#include "core/memory/guest_memory.h"

namespace godwit::binding {

void init_memory(Napi::Env env, Napi::Object exports);

/// The block behind a JavaScript GuestMemory; null when the value is not one, or when it is closed.
std::shared_ptr<GuestMemory> memory_of(const Napi::Value& value);

}  // namespace godwit::binding
