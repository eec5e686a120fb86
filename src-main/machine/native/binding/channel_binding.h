// SPDX-License-Identifier: Apache-2.0
// The JavaScript classes Channel and Listener, and connect().
#pragma once

#include <napi.h>

#include <memory>

#include "core/channels/channel.h"

namespace godwit::binding {

void init_channel(Napi::Env env, Napi::Object exports);

/// The channel behind a JavaScript Channel (also a closed one, whose operations fail); null when the value is not one.
std::shared_ptr<Channel> channel_of(const Napi::Value& value);

}  // namespace godwit::binding
