// SPDX-License-Identifier: Apache-2.0
// First of all: the schemas of other modules must not try to compile code, which the page's policy forbids.
import './no-eval.ts';
import './styles/tokens.css';
import './styles/components.css';
import { createPinia } from 'pinia';
import { createApp } from 'vue';
import App from './App.vue';
import { router } from './router.ts';

createApp(App).use(createPinia()).use(router).mount('#app');
