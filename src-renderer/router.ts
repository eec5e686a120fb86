// SPDX-License-Identifier: Apache-2.0
/** Every screen has an address, so that browser, desktop window and deep link open the same view. */
import { createRouter, createWebHashHistory, createWebHistory } from 'vue-router';
import HistoryView from './views/HistoryView.vue';
import MachinesView from './views/MachinesView.vue';
import MigrateView from './views/MigrateView.vue';
import RunsView from './views/RunsView.vue';
import SettingsView from './views/SettingsView.vue';

const history = window.godwit === undefined ? createWebHistory() : createWebHashHistory();

export const router = createRouter({
  history,
  routes: [
    { path: '/', redirect: '/machines' },
    { path: '/machines', component: MachinesView, name: 'machines' },
    { path: '/machines/:id', component: MachinesView, name: 'machine', props: true },
    { path: '/machines/:id/migrate', component: MigrateView, name: 'migrate', props: true },
    { path: '/runs', component: RunsView, name: 'runs' },
    // With its charts it is the largest screen: loaded when a run is looked at.
    { path: '/runs/:id', component: () => import('./views/RunView.vue'), name: 'run', props: true },
    { path: '/history', component: HistoryView, name: 'history' },
    { path: '/settings', component: SettingsView, name: 'settings' },
    { path: '/:rest(.*)*', redirect: '/machines' },
  ],
});
