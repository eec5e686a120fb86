// SPDX-License-Identifier: Apache-2.0
import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import vue from 'eslint-plugin-vue';
import tseslint from 'typescript-eslint';
import vueParser from 'vue-eslint-parser';
import { arrowsRule } from './scripts/layering/eslint-rule.mjs';

const noDefaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'Export by name: a thing has one name everywhere.',
};
const wallClock = {
  selector: 'MemberExpression[object.name="Date"][property.name="now"], NewExpression[callee.name="Date"]',
  message: 'The engine measures with monotonic time: performance.now() or process.hrtime.bigint().',
};

const nodeGlobals = [
  ...['process', 'console', 'performance', 'Buffer', 'URL', 'AbortController', 'AbortSignal'],
  ...['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate'],
];

export default defineConfig(
  globalIgnores(['**/build/', '**/out/', '**/dist/', 'coverage/']),
  {
    files: ['**/*.ts'],
    extends: [eslint.configs.recommended, tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { godwit: { rules: { arrows: arrowsRule } } },
    rules: {
      'godwit/arrows': 'error',
      'no-restricted-syntax': ['error', noDefaultExport],
      'max-lines': ['warn', { max: 300, skipBlankLines: true, skipComments: true }],
      eqeqeq: 'error',
      'no-console': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      // Numbers and bigints read well in sentences, and never by accident.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // `() => void | Promise<void>` is how a callback says that it may take time.
      '@typescript-eslint/no-invalid-void-type': 'off',
      // Matters of taste that would only make work: QMP's dashed names need brackets, their neighbours may have them too.
      '@typescript-eslint/dot-notation': 'off',
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/consistent-indexed-object-style': 'off',
      '@typescript-eslint/no-dynamic-delete': 'off',
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      // Interfaces may ask for a promise where one implementation has nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  {
    // This lint does not know the types of .vue files; vue-tsc does, and checks what is done with them.
    files: ['src-renderer/**/*.ts', 'tests/component/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
    },
  },
  {
    // vue-tsc knows their types; here their templates are checked.
    files: ['src-renderer/**/*.vue'],
    extends: [vue.configs['flat/recommended']],
    languageOptions: { parser: vueParser, parserOptions: { parser: tseslint.parser } },
    plugins: { godwit: { rules: { arrows: arrowsRule } } },
    rules: {
      'godwit/arrows': 'error',
      // Prettier lays templates out.
      'vue/max-attributes-per-line': 'off',
      'vue/singleline-html-element-content-newline': 'off',
      'vue/multiline-html-element-content-newline': 'off',
      'vue/html-self-closing': 'off',
      'vue/html-indent': 'off',
      'vue/html-closing-bracket-newline': 'off',
      'vue/no-v-html': 'error',
    },
  },
  {
    files: ['src-main/machine/engine/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', noDefaultExport, wallClock] },
  },
  {
    files: ['tests/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-base-to-string': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      'max-lines': ['warn', { max: 500, skipBlankLines: true, skipComments: true }],
    },
  },
  // Vitest finds its configuration and its reporters as default exports.
  { files: ['vitest.config.ts', 'scripts/suites/vitest-reporter.ts'], rules: { 'no-restricted-syntax': 'off' } },
  // Programs whose output is their purpose.
  { files: ['scripts/**/*.ts', 'src-main/shells/cli/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    files: ['**/*.mjs'],
    extends: [eslint.configs.recommended, tseslint.configs.recommended, tseslint.configs.disableTypeChecked],
    languageOptions: { globals: Object.fromEntries(nodeGlobals.map((name) => [name, 'readonly'])) },
    rules: { eqeqeq: 'error', 'max-lines': ['warn', { max: 300, skipBlankLines: true, skipComments: true }] },
  },
);
