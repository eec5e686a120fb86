// SPDX-License-Identifier: Apache-2.0
// The JavaScript classes RamSaver and RamLoader.
#pragma once

#include <napi.h>

#include <memory>

namespace godwit {
class RamLoader;
}

namespace godwit::binding {

void init_ram(Napi::Env env, Napi::Object exports);

/// The loader behind a JavaScript RamLoader; null when the value is not one, or when it is closed.
std::shared_ptr<RamLoader> loader_of(const Napi::Value& value);

}  // namespace godwit::binding
