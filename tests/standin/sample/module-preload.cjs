// SPDX-License-Identifier: Apache-2.0
import { contextBridge } from 'electron';
contextBridge.exposeInMainWorld('sample', {});
